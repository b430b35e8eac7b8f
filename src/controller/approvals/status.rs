//! From the status of an approval before and what is known of it to the status after. Pure: `now` is an argument.

use jiff::Timestamp;

use crate::api::{ConditionStatus, ConditionType, PlanApprovalStatus, Reason};
use crate::controller::conditions::Conditions;
use crate::controller::status::count;

/// An object is to stay under 256 KiB: a meaning has 16 characters.
const CHANGES: usize = 4_000;

/// What is known of an approval.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) generation: i64,
    /// The name of the baseline.
    pub(super) baseline: String,
    /// The digest that is approved.
    pub(super) digest: String,
    /// When it ends; `None` for no time that exists.
    pub(super) expires_at: Option<Timestamp>,
    /// The digest of the baseline's plan, if it has one; `None` outside where there is no such baseline.
    pub(super) plan: Option<Option<String>>,
    /// What it is used for, where that is what the status is written for.
    pub(super) used: Option<Use>,
}

/// What an approval is used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) struct Use {
    /// Since when.
    pub(in crate::controller) at: Timestamp,
    /// The meanings of the changes of the plan.
    pub(in crate::controller) changes: Vec<String>,
    /// Those that have been made since.
    pub(in crate::controller) made: std::collections::BTreeSet<String>,
}

/// The status after a look. What is used stays used, for the changes that it was first used for.
pub(super) fn next_status(previous: &PlanApprovalStatus, seen: &Seen, now: Timestamp) -> PlanApprovalStatus {
    let mut next = previous.clone();
    next.observed_generation = seen.generation;
    if let Some(used) = &seen.used {
        if next.used_at.is_none() {
            next.used_at = Some(used.at);
            next.changes = used.changes.iter().take(CHANGES).cloned().collect();
        }
        let remaining = next.changes.iter().filter(|meaning| !used.made.contains(*meaning)).count();
        next.remaining = Some(count(remaining));
    }
    let (status, reason, message) = ready(&next, seen, now);
    Conditions::new(&mut next.conditions, seen.generation, now).set(ConditionType::Ready, status, reason, &message);
    next
}

fn ready(next: &PlanApprovalStatus, seen: &Seen, now: Timestamp) -> (ConditionStatus, Reason, String) {
    let covered = next.changes.len();
    match (next.used_at, next.remaining, seen.expires_at) {
        (Some(_), Some(0), _) => {
            (ConditionStatus::True, Reason::Used, format!("all {covered} changes that it covers have been made"))
        }
        (_, _, None) => {
            let message = "expiresAt is no time that exists: delete this approval and create another one".to_owned();
            (ConditionStatus::False, Reason::Invalid, message)
        }
        (used_at, remaining, Some(end)) if end <= now => {
            let left = match (used_at, remaining) {
                (Some(_), Some(left)) => format!("{left} of its {covered} changes were not made"),
                (Some(_), None) | (None, _) => "it was not used".to_owned(),
            };
            (ConditionStatus::False, Reason::Expired, format!("it ended at {end}: {left}"))
        }
        (Some(_), left, Some(end)) => {
            let left = left.unwrap_or_else(|| count(covered));
            let message = format!("{left} of its {covered} changes are still to be made, until {end}");
            (ConditionStatus::True, Reason::InUse, message)
        }
        (None, _, Some(_)) => (ConditionStatus::False, Reason::Pending, waits_for(seen)),
    }
}

/// What an approval waits for that has not been used.
fn waits_for(seen: &Seen) -> String {
    let Seen { baseline, digest, .. } = seen;
    match &seen.plan {
        None => format!("there is no AccountBaseline {baseline}"),
        Some(None) => format!("AccountBaseline {baseline} has no plan: nothing is to be changed"),
        Some(Some(plan)) if plan == digest => format!("the plan of AccountBaseline {baseline} starts when it may"),
        Some(Some(plan)) => {
            format!("the plan of AccountBaseline {baseline} is {plan} by now: look at it, and approve that one")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn seen() -> Seen {
        Seen {
            generation: 1,
            baseline: "prod".to_owned(),
            digest: "8f14e45fceea167a".to_owned(),
            expires_at: Some(time(100)),
            plan: Some(Some("8f14e45fceea167a".to_owned())),
            used: None,
        }
    }

    fn used(at: i64, changes: &[&str], made: &[&str]) -> Seen {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let used = Use { at: time(at), changes: words(changes), made: words(made).into_iter().collect() };
        Seen { used: Some(used), ..seen() }
    }

    fn state(status: &PlanApprovalStatus) -> (&str, &str) {
        (&status.conditions[0].status, &status.conditions[0].reason)
    }

    #[test]
    fn an_approval_waits_for_its_plan_and_says_what_for() {
        let fresh = PlanApprovalStatus { observed_generation: -1, ..PlanApprovalStatus::default() };
        let table = [
            (None, "there is no AccountBaseline prod"),
            (Some(None), "has no plan"),
            (Some(Some("0000000000000000".to_owned())), "is 0000000000000000 by now"),
            (seen().plan, "starts when it may"),
        ];
        for (plan, says) in table {
            let status = next_status(&fresh, &Seen { plan, ..seen() }, time(1));
            assert_eq!(state(&status), ("False", "Pending"));
            assert!(status.conditions[0].message.contains(says), "{status:?}");
            assert_eq!((status.used_at, status.remaining, status.observed_generation), (None, None, 1));
        }
        let invalid = next_status(&fresh, &Seen { expires_at: None, ..seen() }, time(1));
        assert_eq!(state(&invalid), ("False", "Invalid"));
    }

    #[test]
    fn p8_an_approval_is_used_once_for_the_changes_that_it_was_first_used_for() {
        let first = next_status(&PlanApprovalStatus::default(), &used(5, &["a", "b"], &[]), time(5));
        assert_eq!(state(&first), ("True", "InUse"));
        assert_eq!((first.used_at, first.remaining), (Some(time(5)), Some(2)));
        let later = next_status(&first, &used(50, &["b", "c"], &["a"]), time(50));
        assert_eq!((later.used_at, &later.changes, later.remaining), (Some(time(5)), &first.changes, Some(1)));
        assert_eq!(next_status(&later, &seen(), time(60)), later, "a look changes nothing");
        let expired = next_status(&later, &seen(), time(100));
        assert_eq!(state(&expired), ("False", "Expired"));
        assert!(expired.conditions[0].message.contains("1 of its 2 changes were not made"), "{expired:?}");
        let done = next_status(&later, &used(70, &["c"], &["a", "b"]), time(70));
        assert_eq!(state(&done), ("True", "Used"));
        assert_eq!(state(&next_status(&done, &seen(), time(100))), ("True", "Used"), "what was used did not expire");
    }

    #[test]
    fn p15_an_approval_of_a_very_large_plan_stays_small() {
        let many: Vec<String> = (0..20_000).map(|n| format!("{n:016x}")).collect();
        let words: Vec<&str> = many.iter().map(String::as_str).collect();
        let status = next_status(&PlanApprovalStatus::default(), &used(5, &words, &[]), time(5));
        assert_eq!((status.changes.len(), status.remaining), (4_000, Some(4_000)));
        assert!(serde_json::to_vec(&status).unwrap().len() < 100_000);
    }
}
