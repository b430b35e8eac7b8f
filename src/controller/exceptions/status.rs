//! From the status of an exception before and what is known of it to the status after. Pure: `now` is an argument.

use jiff::{SignedDuration, Timestamp};

use crate::api::{BaselineExceptionStatus, ConditionStatus, ConditionType, Reason};
use crate::controller::conditions::Conditions;

/// After this time without a match, an exception is probably no longer needed, or never meant what it says.
const UNUSED_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How exact `lastMatchedAt` is: more would be a write for each evaluation.
const GRAIN: SignedDuration = SignedDuration::from_hours(24);

/// What is known of an exception.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) generation: i64,
    pub(super) created_at: Timestamp,
    /// When it ends, or why it must not be applied.
    pub(super) expires_at: Result<Timestamp, String>,
    /// How many findings it covered in the last evaluations.
    pub(super) matched: i64,
    /// When the latest evaluation ended in which it covered something.
    pub(super) matched_at: Option<Timestamp>,
    /// Whether it may have covered more than is known.
    pub(super) uncounted: bool,
    /// Accounts that it names and that do not exist.
    pub(super) missing: Vec<String>,
}

impl Seen {
    /// When the status will be another one without anything happening.
    pub(super) fn next_change(&self, status: &BaselineExceptionStatus, now: Timestamp) -> Option<Timestamp> {
        let end = self.expires_at.as_ref().ok().copied();
        [end, Some(self.unused_at(status))].into_iter().flatten().filter(|at| *at > now).min()
    }

    fn unused_at(&self, status: &BaselineExceptionStatus) -> Timestamp {
        let since = status.last_matched_at.map_or(self.created_at, |at| at.max(self.created_at));
        since.checked_add(UNUSED_AFTER).unwrap_or(Timestamp::MAX)
    }
}

/// The status after a look.
pub(super) fn next_status(previous: &BaselineExceptionStatus, seen: &Seen, now: Timestamp) -> BaselineExceptionStatus {
    let mut next = previous.clone();
    next.observed_generation = seen.generation;
    next.last_matched_at = last_matched_at(previous, seen, now);
    next.matched = Some(seen.matched);
    let unused = seen.matched == 0 && !seen.uncounted && seen.unused_at(&next) <= now;
    let since = next.last_matched_at.unwrap_or(seen.created_at);
    let mut conditions = Conditions::new(&mut next.conditions, seen.generation, now);
    match &seen.expires_at {
        Err(message) => conditions.stall(Reason::Invalid, &format!("not applied: {message}")),
        Ok(end) if *end <= now => {
            let message = format!("it ended at {end}, and what it covered fails again: delete it, or make a new one");
            conditions.stall(Reason::Expired, &message);
        }
        Ok(end) => {
            let missing = match seen.missing.as_slice() {
                [] => String::new(),
                names => format!("; there is no AwsAccount {}", names.join(", ")),
            };
            let (reason, message) = if unused {
                let advice = "remove it, or correct accounts, check and resourcePattern";
                (Reason::Unused, format!("has matched nothing since {since}: {advice}{missing}"))
            } else {
                (Reason::Active, format!("in force until {end}{missing}"))
            };
            conditions.set(ConditionType::Ready, ConditionStatus::True, reason, &message);
            conditions.remove(ConditionType::Stalled);
        }
    }
    next
}

fn last_matched_at(previous: &BaselineExceptionStatus, seen: &Seen, now: Timestamp) -> Option<Timestamp> {
    let known = previous.last_matched_at;
    match (known, seen.matched_at) {
        (None, matched_at) => matched_at,
        (Some(known), Some(matched_at)) if matched_at.duration_since(known) >= GRAIN => Some(matched_at),
        // It just stopped: until then it matched.
        (Some(known), None) if previous.matched.is_some_and(|matched| matched > 0) => Some(known.max(now)),
        (Some(known), _) => Some(known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_second(day * DAY).unwrap()
    }

    fn seen(matched: i64, matched_at: Option<i64>) -> Seen {
        Seen {
            generation: 2,
            created_at: day(0),
            expires_at: Ok(day(100)),
            matched,
            matched_at: matched_at.map(day),
            uncounted: false,
            missing: Vec::new(),
        }
    }

    fn fresh() -> BaselineExceptionStatus {
        BaselineExceptionStatus { observed_generation: -1, ..BaselineExceptionStatus::default() }
    }

    fn ready(status: &BaselineExceptionStatus) -> (&str, &str) {
        (&status.conditions[0].status, &status.conditions[0].reason)
    }

    #[test]
    fn an_exception_is_active_until_it_ends() {
        let active = next_status(&fresh(), &seen(2, Some(1)), day(1));
        assert_eq!(ready(&active), ("True", "Active"));
        assert_eq!((active.matched, active.last_matched_at, active.observed_generation), (Some(2), Some(day(1)), 2));
        assert_eq!(seen(2, Some(1)).next_change(&active, day(8)), Some(day(100)));
        let expired = next_status(&active, &seen(0, None), day(100));
        assert_eq!(ready(&expired), ("False", "Expired"));
        assert_eq!(expired.conditions[1].r#type, "Stalled");
        let renewed = next_status(&expired, &Seen { expires_at: Ok(day(200)), ..seen(1, Some(101)) }, day(101));
        assert_eq!(ready(&renewed), ("True", "Active"));
        assert_eq!(renewed.conditions.len(), 1);
    }

    #[test]
    fn one_that_has_matched_nothing_for_a_week_says_so() {
        let new = next_status(&fresh(), &seen(0, None), day(6));
        assert_eq!(ready(&new), ("True", "Active"));
        assert_eq!(seen(0, None).next_change(&new, day(6)), Some(day(7)));
        let unused = next_status(&new, &seen(0, None), day(7));
        assert_eq!(ready(&unused), ("True", "Unused"));
        assert!(unused.conditions[0].message.contains("since 1970-01-01T00:00:00Z"), "{unused:?}");
        let uncounted = next_status(&new, &Seen { uncounted: true, ..seen(0, None) }, day(7));
        assert_eq!(ready(&uncounted), ("True", "Active"), "nobody knows");
        let used = next_status(&unused, &seen(1, Some(8)), day(8));
        assert_eq!(ready(&used), ("True", "Active"));
        let stopped = next_status(&used, &seen(0, None), day(9));
        assert_eq!(stopped.last_matched_at, Some(day(9)));
        assert_eq!(ready(&next_status(&stopped, &seen(0, None), day(15))), ("True", "Active"));
        assert_eq!(ready(&next_status(&stopped, &seen(0, None), day(16))), ("True", "Unused"));
    }

    #[test]
    fn an_exception_that_matches_all_the_time_is_written_once_a_day_and_never_unused() {
        let mut status = next_status(&fresh(), &seen(1, Some(0)), day(0));
        let mut writes = 0;
        for hour in 1..=240 {
            let at = Timestamp::from_second(hour * 3600).unwrap();
            let next = next_status(&status, &Seen { matched_at: Some(at), ..seen(1, None) }, at);
            writes += usize::from(next != status);
            assert_eq!(ready(&next), ("True", "Active"));
            status = next;
        }
        assert_eq!(writes, 10);
    }

    #[test]
    fn one_that_must_not_be_applied_says_why_and_one_for_nobody_names_who_is_missing() {
        let invalid = Seen { expires_at: Err("expiresAt is too far".to_owned()), ..seen(0, None) };
        let status = next_status(&fresh(), &invalid, day(1));
        assert_eq!(ready(&status), ("False", "Invalid"));
        assert_eq!(status.conditions[0].message, "not applied: expiresAt is too far");
        let missing = Seen { missing: vec!["payments-pord".to_owned()], ..seen(0, None) };
        let status = next_status(&fresh(), &missing, day(1));
        assert!(status.conditions[0].message.ends_with("there is no AwsAccount payments-pord"), "{status:?}");
    }
}
