//! When an object is due. Pure: status, memory, `now` and the jitter are arguments.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The first delay after a failure; each further one doubles it.
const FIRST_RETRY: Duration = Duration::from_secs(10);

/// The longest delay after a failure, if the interval is not shorter.
const LONGEST_RETRY: Duration = Duration::from_mins(10);

/// The delay where something was unread that may pass by itself: throttling that just ended a pass must not be met at
/// once again.
const PARTIAL_RETRY: Duration = Duration::from_mins(5);

/// So much may the clocks of two nodes differ.
const CLOCKS_DIFFER: Duration = Duration::from_mins(1);

/// What an evaluation answers to. If it differs from what was last handled, an evaluation is due at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trigger {
    /// The object's generation.
    pub(super) generation: i64,
    /// The generation of the account that a baseline names.
    pub(super) account_generation: Option<i64>,
    /// The uid of that account: an account that was made anew begins at the same generation.
    pub(super) account_uid: Option<String>,
    /// The value of the annotation that forces an evaluation.
    pub(super) requested_at: Option<String>,
    /// The fingerprint of the exceptions in force: when one comes, changes, goes or ends, it is another one.
    pub(super) exceptions: Option<String>,
    /// The fingerprint of the approvals that have not expired.
    pub(super) approvals: Option<String>,
}

/// What this process remembers of an object's last pass. Lost with the process: status has what must survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// What it answered to.
    pub(super) trigger: Trigger,
    /// How many passes failed in a row.
    pub(super) failures: u32,
    /// When the next one is due, if nothing triggers it before.
    pub(super) next_at: Timestamp,
}

/// What the stored status says of the last complete pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Handled {
    pub(super) trigger: Trigger,
    pub(super) at: Timestamp,
    /// When the next change may be started, where one waits for a time.
    pub(super) next_change_at: Option<Timestamp>,
}

/// How a pass ended, as far as the next one depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything was read.
    Complete,
    /// Something was not read that may pass by itself.
    Partial,
    /// Nothing could be read.
    Failed,
    /// Nothing will change without an edit.
    Stalled,
}

/// When the next evaluation is due; a time that is not after `now` means at once.
pub(super) fn due(
    trigger: &Trigger,
    attempt: Option<&Attempt>,
    handled: Option<&Handled>,
    interval: Duration,
    now: Timestamp,
) -> Timestamp {
    match (attempt, handled) {
        // Never later than an interval from now: otherwise the clock was set back meanwhile.
        (Some(attempt), _) if attempt.trigger == *trigger && attempt.next_at <= later(now, interval) => attempt.next_at,
        // A restart: what status tells of this very trigger is as good as a memory, unless it is of the future.
        (None, Some(handled)) if handled.trigger == *trigger && handled.at <= later(now, CLOCKS_DIFFER) => {
            let due = later(handled.at, interval);
            handled.next_change_at.map_or(due, |at| at.min(due))
        }
        (Some(_) | None, _) => now,
    }
}

/// The memory of a pass that ended now. `jitter` from 0 to 1 spreads accounts, so that they do not all ask AWS at the
/// same moment: an interval is shortened by up to a tenth of it, and after a failure by up to half, because what fails
/// for one account at a moment tends to fail for all.
pub(super) fn after(
    trigger: Trigger,
    before: Option<&Attempt>,
    ending: Ending,
    interval: Duration,
    now: Timestamp,
    jitter: f64,
) -> Attempt {
    let failures = match ending {
        // An edit or a request begins anew: whoever corrected something need not wait for what failed before.
        Ending::Failed => {
            let before = before.filter(|attempt| attempt.trigger == trigger);
            before.map_or(0, |attempt| attempt.failures).saturating_add(1)
        }
        Ending::Complete | Ending::Partial | Ending::Stalled => 0,
    };
    let delay = match ending {
        Ending::Complete | Ending::Stalled => interval,
        Ending::Partial => PARTIAL_RETRY.min(interval),
        Ending::Failed => {
            let doublings = failures.saturating_sub(1).min(16);
            (FIRST_RETRY * 2_u32.pow(doublings)).min(LONGEST_RETRY).min(interval)
        }
    };
    let share = if ending == Ending::Failed { 0.5 } else { 0.1 };
    Attempt { trigger, failures, next_at: later(now, delay.mul_f64(1.0 - share * jitter.clamp(0.0, 1.0))) }
}

/// Whether another process has looked since a pass began, which was stopped for a while then. A time that is still to
/// come is of a clock that was wrong, and must not keep what is true now from being written.
pub(super) fn looked_since(stored: Option<Timestamp>, began: Timestamp, now: Timestamp) -> bool {
    stored.is_some_and(|stored| stored > began && stored <= now)
}

fn later(from: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| from.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn trigger(generation: i64) -> Trigger {
        Trigger { generation, ..Trigger::default() }
    }

    #[test]
    fn a_new_object_is_due_at_once() {
        assert_eq!(due(&trigger(1), None, None, HOUR, time(5)), time(5));
    }

    #[test]
    fn an_edit_or_an_annotation_is_due_at_once_whatever_the_memory_says() {
        let memory = after(trigger(1), None, Ending::Complete, HOUR, time(0), 0.0);
        assert_eq!(due(&trigger(1), Some(&memory), None, HOUR, time(5)), time(3600));
        assert_eq!(due(&trigger(2), Some(&memory), None, HOUR, time(5)), time(5));
        let asked = Trigger { requested_at: Some("now".to_owned()), ..trigger(1) };
        assert_eq!(due(&asked, Some(&memory), None, HOUR, time(5)), time(5));
        let account = Trigger { account_generation: Some(2), ..trigger(1) };
        assert_eq!(due(&account, Some(&memory), None, HOUR, time(5)), time(5));
        let made_anew = Trigger { account_uid: Some("b".to_owned()), ..trigger(1) };
        assert_eq!(due(&made_anew, Some(&memory), None, HOUR, time(5)), time(5));
        let approved = Trigger { approvals: Some("0a1b".to_owned()), ..trigger(1) };
        assert_eq!(due(&approved, Some(&memory), None, HOUR, time(5)), time(5));
        let excepted = Trigger { exceptions: Some("0a1b".to_owned()), ..trigger(1) };
        assert_eq!(due(&excepted, Some(&memory), None, HOUR, time(5)), time(5));
    }

    #[test]
    fn after_a_restart_an_account_that_was_just_evaluated_is_not_evaluated_again() {
        let handled = Handled { trigger: trigger(1), at: time(100), next_change_at: None };
        assert_eq!(due(&trigger(1), None, Some(&handled), HOUR, time(200)), time(3700));
        assert_eq!(due(&trigger(2), None, Some(&handled), HOUR, time(200)), time(200));
        let waiting = Handled { next_change_at: Some(time(900)), ..handled };
        assert_eq!(due(&trigger(1), None, Some(&waiting), HOUR, time(200)), time(900), "a change waits for its time");
    }

    #[test]
    fn failures_back_off_to_a_bound_and_success_forgets_them() {
        let mut memory = None;
        let mut delays = Vec::new();
        for _ in 0..9 {
            let next = after(trigger(1), memory.as_ref(), Ending::Failed, HOUR, time(0), 0.0);
            delays.push(next.next_at.as_second());
            memory = Some(next);
        }
        assert_eq!(delays, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
        let next = after(trigger(1), memory.as_ref(), Ending::Complete, HOUR, time(0), 0.0);
        assert_eq!((next.failures, next.next_at), (0, time(3600)));
    }

    #[test]
    fn whoever_corrected_something_does_not_wait_for_what_failed_before() {
        let away = Attempt { trigger: trigger(1), failures: 9, next_at: time(600) };
        let edited = after(trigger(2), Some(&away), Ending::Failed, HOUR, time(0), 0.0);
        assert_eq!((edited.failures, edited.next_at), (1, time(10)));
    }

    #[test]
    fn what_another_process_saw_since_is_not_overwritten_by_what_this_one_saw_before() {
        let since = |stored| looked_since(stored, time(100), time(160));
        assert!(since(Some(time(140))), "this process was stopped while it looked");
        assert!(!since(Some(time(100))) && !since(Some(time(90))) && !since(None));
        assert!(!since(Some(time(9000))), "of a clock that was wrong");
    }

    #[test]
    fn a_clock_that_was_ahead_postpones_nothing() {
        let ahead = Attempt { trigger: trigger(1), failures: 0, next_at: time(9 * 3600) };
        assert_eq!(due(&trigger(1), Some(&ahead), None, HOUR, time(100)), time(100));
        let handled = |at| Handled { trigger: trigger(1), at: time(at), next_change_at: None };
        assert_eq!(due(&trigger(1), None, Some(&handled(6 * 3600)), HOUR, time(100)), time(100));
        assert_eq!(due(&trigger(1), None, Some(&handled(130)), HOUR, time(100)), time(3730), "clocks differ a little");
    }

    /// When each of 300 accounts is looked at, if AWS is away from second 0 to `back`; all begin at the same moment.
    fn passes_of_300_accounts(seed: u64, back: i64, until: i64) -> Vec<Vec<i64>> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut account = || {
            let (mut memory, mut at, mut passes) = (None, time(0), Vec::new());
            while at < time(until) {
                passes.push(at.as_second());
                let ending = if at < time(back) { Ending::Failed } else { Ending::Complete };
                let next = after(trigger(1), memory.as_ref(), ending, HOUR, at, random.f64());
                at = due(&trigger(1), Some(&next), None, HOUR, at);
                memory = Some(next);
            }
            passes
        };
        (0..300).map(|_| account()).collect()
    }

    #[test]
    fn an_outage_asks_rarely_and_its_end_is_no_stampede() {
        for (seed, back) in [(1, 300), (2, 1800), (3, 3600), (4, 4 * 3600)] {
            let accounts = passes_of_300_accounts(seed, back, back + 2 * 3600);
            // Ten-minute retries come after at least five minutes; six failures get there.
            let bound = usize::try_from(7 + back / 300).unwrap();
            let tries = accounts.iter().map(|passes| passes.iter().filter(|at| **at < back).count()).max().unwrap();
            assert!(tries <= bound, "{tries} tries in an outage of {back} s");
            let busiest = |from: i64, to: i64| {
                let minutes = (from / 60..to / 60).map(|minute| {
                    accounts.iter().flatten().filter(|at| **at >= from && **at < to && **at / 60 == minute).count()
                });
                minutes.max().unwrap()
            };
            let recovered = busiest(back, back + 600);
            assert!(recovered <= 150, "{recovered} of 300 recover within one minute after {back} s");
            let later = busiest(back + 3600 - 360, back + 2 * 3600);
            assert!(later <= 75, "{later} of 300 are judged again within one minute, an outage of {back} s before");
            assert!(accounts.iter().all(|passes| passes.iter().any(|at| *at >= back && *at < back + 600)));
        }
    }

    #[test]
    fn no_retry_is_later_than_the_interval_and_jitter_only_shortens() {
        let minute = Duration::from_mins(1);
        let partial = after(trigger(1), None, Ending::Partial, minute, time(0), 1.0);
        assert_eq!(partial.next_at, time(54));
    }
}
