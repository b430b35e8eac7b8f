//! From a Lease as it was read to what a process does about it. No IO; times are arguments, of a monotonic clock.
//!
//! A process leads for as long as its last renewal allows by its own clock, whether or not it has learned of another
//! leader: whoever takes the Lease waits for its whole duration after the last change that it saw, which cannot be
//! before the renewal was sent.

use std::time::{Duration, Instant};

/// A Lease as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Who holds it; `None` where it was released.
    pub(super) holder: Option<String>,
    /// Changes with every renewal.
    pub(super) resource_version: String,
    /// How long its holder may count on it.
    pub(super) duration: Duration,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is none: create it.
    Create,
    /// Nobody holds it, or its holder is gone: replace it, if it is still the one that was read.
    Take,
    /// It is ours: renew it, if it is still the one that was read.
    Renew,
    /// Somebody else holds it; its time is over after so long, if nothing changes.
    Wait(Duration),
}

/// Decides about a Lease that has not changed for so long.
pub(super) fn decide(lease: Option<&Seen>, me: &str, own: Duration, unchanged_for: Duration) -> Step {
    let Some(lease) = lease else { return Step::Create };
    match lease.holder.as_deref() {
        None | Some("") => Step::Take,
        Some(holder) if holder == me => Step::Renew,
        Some(_) => {
            // The holder counts on its own duration, which may be another one than ours.
            let lasts = lease.duration.max(own);
            if unchanged_for >= lasts { Step::Take } else { Step::Wait(lasts.saturating_sub(unchanged_for)) }
        }
    }
}

/// Until when a process leads whose renewal was sent at a moment. A tenth is left for clocks that run differently.
pub(super) fn leads_until(sent: Instant, duration: Duration) -> Instant {
    sent + duration.mul_f64(0.9)
}

/// The Lease as this process last saw it, and since when, by its own clock, it has been so.
#[derive(Debug, Default)]
pub(super) struct Observation(Option<(Seen, Instant)>);

impl Observation {
    /// What was read at a moment, and how long it has not changed before the eyes of this process. A Lease that was
    /// deleted stands as it was: its holder may count on it, and need not know yet.
    pub(super) fn of(&mut self, read: Option<Seen>, at: Instant) -> (Option<&Seen>, Duration) {
        if let Some(lease) = read
            && self.0.as_ref().is_none_or(|(known, _)| *known != lease)
        {
            self.0 = Some((lease, at));
        }
        match &self.0 {
            Some((lease, since)) => (Some(lease), at.saturating_duration_since(*since)),
            None => (None, Duration::ZERO),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: Duration = Duration::from_secs(15);

    fn lease(holder: Option<&str>, version: &str) -> Seen {
        Seen { holder: holder.map(str::to_owned), resource_version: version.to_owned(), duration: LASTS }
    }

    #[test]
    fn a_lease_is_taken_only_where_nobody_can_count_on_it() {
        let second = Duration::from_secs;
        let table = [
            (None, 0, Step::Create, "there is none"),
            (Some(lease(None, "1")), 0, Step::Take, "released"),
            (Some(lease(Some(""), "1")), 0, Step::Take, "released in the way of other programs"),
            (Some(lease(Some("me"), "1")), 0, Step::Renew, "ours"),
            (Some(lease(Some("me"), "1")), 99, Step::Renew, "ours, and nobody took it meanwhile"),
            (Some(lease(Some("other"), "1")), 0, Step::Wait(second(15)), "somebody's"),
            (Some(lease(Some("other"), "1")), 14, Step::Wait(second(1)), "somebody's for another second"),
            (Some(lease(Some("other"), "1")), 15, Step::Take, "the holder is gone"),
            (Some(Seen { duration: second(60), ..lease(Some("other"), "1") }), 15, Step::Wait(second(45)), "longer"),
            (Some(Seen { duration: second(1), ..lease(Some("other"), "1") }), 5, Step::Wait(second(10)), "shorter"),
        ];
        for (lease, unchanged, step, why) in table {
            assert_eq!(decide(lease.as_ref(), "me", LASTS, second(unchanged)), step, "{why}");
        }
    }

    /// What is done about a Lease that is read at a moment.
    fn step(seen: &mut Observation, read: Option<&Seen>, me: &str, at: Instant) -> Step {
        let (lease, unchanged) = seen.of(read.cloned(), at);
        decide(lease, me, LASTS, unchanged)
    }

    #[test]
    fn p6_a_lease_whose_holder_renews_is_never_taken_however_wrong_the_clocks_are() {
        let (mut seen, start) = (Observation::default(), Instant::now());
        for renewal in 0..100_u64 {
            // It renews with its own clock, which nobody looks at: only the change of the version counts.
            let lease = lease(Some("other"), &renewal.to_string());
            let at = start + Duration::from_secs(renewal * 14);
            assert!(matches!(step(&mut seen, Some(&lease), "me", at), Step::Wait(_)), "renewal {renewal}");
        }
        let gone = lease(Some("other"), "99");
        let last = start + Duration::from_secs(99 * 14);
        assert_eq!(step(&mut seen, Some(&gone), "me", last + Duration::from_secs(14)), Step::Wait(LASTS / 15));
        assert_eq!(step(&mut seen, Some(&gone), "me", last + LASTS), Step::Take);
    }

    #[test]
    fn p6_two_processes_never_lead_at_the_same_moment() {
        // The one renews at every offset and then hangs; the other sees that renewal at once, or late. Whoever deletes
        // the Lease meanwhile changes nothing about it.
        let start = Instant::now();
        for (sent, seen_after) in [(0, 0), (0, 500), (3_000, 1), (7_000, 4_000)] {
            for deleted_after in [None, Some(Duration::ZERO), Some(Duration::from_secs(9))] {
                let sent = start + Duration::from_millis(sent);
                let mut observed = Observation::default();
                let renewed = lease(Some("one"), "7");
                let first_seen = sent + Duration::from_millis(seen_after);
                observed.of(Some(renewed.clone()), first_seen);
                let mut at = first_seen;
                loop {
                    let is_deleted = deleted_after.is_some_and(|after| at >= first_seen + after);
                    if step(&mut observed, Some(&renewed).filter(|_| !is_deleted), "two", at) == Step::Take {
                        break;
                    }
                    at += Duration::from_millis(100);
                }
                assert!(at > leads_until(sent, LASTS), "both lead");
            }
        }
    }

    #[test]
    fn a_lease_that_was_made_again_is_a_new_one() {
        let (mut seen, start) = (Observation::default(), Instant::now());
        assert_eq!(step(&mut seen, None, "me", start), Step::Create);
        assert_eq!(step(&mut seen, Some(&lease(Some("other"), "1")), "me", start), Step::Wait(LASTS));
        assert_eq!(step(&mut seen, None, "me", start + LASTS / 3), Step::Wait(LASTS * 2 / 3));
        assert_eq!(step(&mut seen, Some(&lease(Some("other"), "2")), "me", start + LASTS), Step::Wait(LASTS));
        assert_eq!(step(&mut seen, Some(&lease(None, "3")), "me", start + LASTS), Step::Take, "released");
        assert_eq!(step(&mut seen, None, "me", start + LASTS), Step::Take, "released, and deleted then");
    }
}
