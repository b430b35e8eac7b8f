use std::collections::BTreeSet;

use jiff::Timestamp;

use super::*;
use crate::api::{ExemptEntry, UnknownEntry};

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn entry(id: &str) -> DriftEntry {
    DriftEntry {
        id: id.to_owned(),
        control: "securityGroups".to_owned(),
        check: "Ingress".to_owned(),
        severity: "Critical".to_owned(),
        resource: format!("arn:{id}"),
        region: Some("eu-west-1".to_owned()),
        since: Some(time(1)),
        ..DriftEntry::default()
    }
}

fn stale_entry(id: &str) -> DriftEntry {
    DriftEntry { stale: true, ..entry(id) }
}

/// A status after an evaluation that ended at a second.
fn drifting(at: i64, drift: &[DriftEntry]) -> AccountBaselineStatus {
    let fresh = drift.iter().filter(|entry| !entry.stale).count();
    AccountBaselineStatus {
        last_evaluated_at: Some(time(at)),
        drift: drift.to_vec(),
        drift_total: Some(length(fresh)),
        unknown_total: Some(0),
        ..AccountBaselineStatus::default()
    }
}

fn condition(kind: ConditionType, status: &str, reason: Reason) -> Condition {
    Condition {
        r#type: kind.as_str().to_owned(),
        status: status.to_owned(),
        observed_generation: 1,
        last_transition_time: time(0),
        reason: reason.as_str().to_owned(),
        message: format!("because of {}", reason.as_str()),
    }
}

fn ready(status: &str, reason: Reason) -> Condition {
    condition(ConditionType::Ready, status, reason)
}

fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.happening.as_str()).collect()
}

#[test]
fn new_drift_is_told_once_and_also_where_it_joins_old() {
    let none = AccountBaselineStatus::default();
    let first = drifting(1, &[entry("a"), entry("b")]);
    let events = of_baseline(&none, &first);
    assert_eq!(names(&events), ["DriftDetected"]);
    assert!(events[0].note.starts_with("2 more findings fail, 2 in all; the worst: Critical Ingress of arn:a"));
    assert_eq!(names(&of_baseline(&first, &drifting(2, &[entry("a"), entry("b")]))), [""; 0], "a steady state");
    let joined = of_baseline(&first, &drifting(3, &[entry("a"), entry("b"), entry("c")]));
    assert_eq!(names(&joined), ["DriftDetected"]);
    assert!(joined[0].note.starts_with("1 more finding fails, 3 in all; the worst: Critical Ingress of arn:c"));
}

#[test]
fn drift_that_is_gone_is_told_with_what_is_left() {
    let both = drifting(1, &[entry("a"), entry("b")]);
    let some = of_baseline(&both, &drifting(2, &[entry("a")]));
    assert_eq!(names(&some), ["DriftResolved"]);
    assert_eq!(some[0].note, "1 no longer drift; 1 still fail; the first: Ingress of arn:b");
    let all = of_baseline(&both, &drifting(2, &[]));
    assert!(all[0].note.contains("nothing fails: compliant"), "{all:?}");
    let swapped = of_baseline(&both, &drifting(2, &[entry("a"), entry("c")]));
    assert_eq!(names(&swapped), ["DriftDetected", "DriftResolved"]);
    let exempt = ExemptEntry {
        control: "securityGroups".to_owned(),
        check: "Ingress".to_owned(),
        resource: "arn:b".to_owned(),
        region: Some("eu-west-1".to_owned()),
        ..ExemptEntry::default()
    };
    let excepted = AccountBaselineStatus { exempt: vec![exempt], ..drifting(2, &[entry("a")]) };
    assert!(of_baseline(&both, &excepted)[0].note.contains("1 of them by an exception"));
}

#[test]
fn drift_that_could_not_be_looked_at_again_is_neither_new_nor_gone() {
    let seen = drifting(1, &[entry("a"), entry("b")]);
    let unread = drifting(2, &[entry("a"), stale_entry("b")]);
    assert_eq!(names(&of_baseline(&seen, &unread)), [""; 0]);
    assert_eq!(names(&of_baseline(&unread, &seen)), [""; 0]);
    let gone = of_baseline(&unread, &drifting(3, &[entry("a")]));
    assert_eq!(names(&gone), ["DriftResolved"]);
}

#[test]
fn a_list_that_was_cut_tells_of_its_true_number_alone() {
    let cut = |at, total, drift: &[DriftEntry]| AccountBaselineStatus {
        truncated: true,
        drift_total: Some(total),
        ..drifting(at, drift)
    };
    let unknown_since = DriftEntry { since: None, ..entry("c") };
    let before = cut(1, 500, &[entry("a"), entry("b")]);
    let moved = cut(2, 500, &[entry("a"), unknown_since]);
    assert_eq!(names(&of_baseline(&before, &moved)), [""; 0], "others became visible");
    let grown = of_baseline(&before, &cut(2, 503, &[entry("a"), entry("b")]));
    assert!(grown.len() == 1 && grown[0].note.starts_with("3 more findings fail, 503 in all"), "{grown:?}");
    let shrunk = of_baseline(&before, &cut(2, 490, &[entry("a"), entry("b")]));
    assert_eq!(shrunk[0].note, "10 no longer drift; 490 still fail");
    let unread = cut(2, 499, &[entry("a"), stale_entry("b")]);
    assert_eq!(names(&of_baseline(&before, &unread)), [""; 0]);
    assert_eq!(names(&of_baseline(&unread, &before)), [""; 0]);
}

#[test]
fn what_could_not_be_judged_is_told_when_it_begins_and_when_it_ends() {
    let unknown = UnknownEntry {
        check: "UserMfa".to_owned(),
        resource: "arn:u".to_owned(),
        cause: "AccessDenied".to_owned(),
        missing_action: Some("iam:ListMFADevices".to_owned()),
        ..UnknownEntry::default()
    };
    let unread = |at, total| AccountBaselineStatus {
        unknown: vec![unknown.clone()],
        unknown_total: Some(total),
        ..drifting(at, &[])
    };
    let begins = of_baseline(&drifting(1, &[]), &unread(2, 3));
    assert_eq!(names(&begins), ["EvaluationIncomplete"]);
    assert_eq!(
        begins[0].note,
        "3 could not be judged; the first: UserMfa of arn:u: AccessDenied, allow iam:ListMFADevices"
    );
    assert_eq!(names(&of_baseline(&unread(2, 3), &unread(3, 4))), [""; 0]);
    assert_eq!(names(&of_baseline(&unread(3, 4), &drifting(4, &[]))), ["EvaluationComplete"]);
}

#[test]
fn whether_an_account_can_be_looked_at_is_told_on_change_alone() {
    let status = |ready: Option<Condition>| AwsAccountStatus {
        conditions: ready.into_iter().collect(),
        ..AwsAccountStatus::default()
    };
    let verified = || Some(ready("True", Reason::Verified));
    let away = || Some(ready("False", Reason::AccountUnreachable));
    let other = || Some(ready("False", Reason::AccountMismatch));
    let suspended = || Some(ready("True", Reason::Suspended));
    let table: [(Option<Condition>, Option<Condition>, &[&str]); 8] = [
        (None, verified(), &["AccountReachable"]),
        (verified(), verified(), &[]),
        (verified(), away(), &["AccountUnreachable"]),
        (away(), away(), &[]),
        (away(), other(), &["AccountMismatch"]),
        (other(), verified(), &["AccountReachable"]),
        (verified(), suspended(), &["Suspended"]),
        (suspended(), verified(), &["Resumed"]),
    ];
    for (before, after, told) in table {
        assert_eq!(names(&of_account(&status(before.clone()), &status(after.clone()))), told, "{before:?} {after:?}");
    }
    let open = |reason, word| AwsAccountStatus {
        conditions: vec![condition(ConditionType::ExternalIdEnforced, word, reason)],
        ..AwsAccountStatus::default()
    };
    let (closed, open) = (open(Reason::ExternalIdVerified, "True"), open(Reason::ExternalIdNotEnforced, "False"));
    assert_eq!(names(&of_account(&closed, &open)), ["ExternalIdNotEnforced"]);
    assert_eq!(names(&of_account(&open, &closed)), [""; 0]);
}

#[test]
fn a_baseline_whose_account_comes_and_goes_says_so() {
    let status = |ready: Condition| AccountBaselineStatus { conditions: vec![ready], ..drifting(1, &[entry("a")]) };
    let evaluated = status(ready("True", Reason::Evaluated));
    let none = AccountBaselineStatus::default();
    assert_eq!(names(&of_baseline(&none, &evaluated)), ["DriftDetected"], "the first look is no return");
    for (reason, told) in [
        (Reason::AccountNotFound, "AccountNotFound"),
        (Reason::AccountUnreachable, "AccountUnreachable"),
        (Reason::AccountMismatch, "AccountMismatch"),
        (Reason::InvalidSpec, "InvalidSpec"),
    ] {
        let away = status(ready("False", reason));
        assert_eq!(names(&of_baseline(&evaluated, &away)), [told]);
        assert_eq!(names(&of_baseline(&away, &evaluated)), ["AccountReachable"]);
    }
    let stale = AccountBaselineStatus {
        conditions: vec![condition(ConditionType::Compliant, "Unknown", Reason::Stale)],
        ..evaluated.clone()
    };
    let judged = AccountBaselineStatus {
        conditions: vec![condition(ConditionType::Compliant, "False", Reason::DriftDetected)],
        ..evaluated
    };
    assert_eq!(names(&of_baseline(&judged, &stale)), ["Stale"]);
    assert_eq!(names(&of_baseline(&stale, &judged)), [""; 0]);
}

#[test]
fn what_holds_enforcement_back_is_told_once_for_each_reason() {
    let status = |blocked: Option<Reason>| {
        let mut conditions = vec![ready("True", Reason::Enforced)];
        conditions.extend(blocked.map(|reason| condition(ConditionType::EnforcementBlocked, "True", reason)));
        AccountBaselineStatus { conditions, ..drifting(1, &[entry("a")]) }
    };
    let told = |before, after| {
        let events = of_baseline(&status(before), &status(after));
        events.into_iter().map(|event| (event.happening.as_str(), event.weight)).collect::<Vec<_>>()
    };
    let (window, refused) = (Some(Reason::OutsideWindow), Some(Reason::MissingPermission));
    assert_eq!(told(None, window), [("EnforcementBlocked", Weight::Normal)]);
    assert_eq!(told(window, window), []);
    assert_eq!(told(window, refused), [("EnforcementBlocked", Weight::Warning)]);
    assert_eq!(told(refused, None), [("EnforcementUnblocked", Weight::Normal)]);
    let audited =
        AccountBaselineStatus { conditions: vec![ready("True", Reason::Evaluated)], ..drifting(1, &[entry("a")]) };
    assert_eq!(names(&of_baseline(&status(window), &audited)), [""; 0], "nobody wants it any more");
}

#[test]
fn a_contest_is_told_once() {
    let drift = |id: &str, reason: &str| DriftEntry { remediation_reason: Some(reason.to_owned()), ..entry(id) };
    let before = drifting(1, &[drift("a", "Contested"), drift("b", "NotRead"), drift("c", "NotRead")]);
    assert_eq!(names(&of_baseline(&before, &drifting(2, &before.drift))), [""; 0]);
    let after = drifting(2, &[drift("a", "Contested"), drift("b", "Contested"), drift("c", "Contested")]);
    let events = of_baseline(&before, &after);
    assert_eq!(names(&events), ["Contested"]);
    assert!(events[0].note.starts_with("Ingress of arn:b and 1 more"), "{events:?}");
    assert_eq!(names(&of_baseline(&after, &drifting(3, &before.drift))), [""; 0]);
}

#[test]
fn exceptions_and_approvals_tell_what_became_of_them() {
    let exception = |reason| BaselineExceptionStatus {
        conditions: vec![ready("True", reason)],
        ..BaselineExceptionStatus::default()
    };
    let none = BaselineExceptionStatus::default();
    assert_eq!(names(&of_exception(&none, &exception(Reason::Active))), ["ExceptionActive"]);
    assert_eq!(names(&of_exception(&exception(Reason::Active), &exception(Reason::Active))), [""; 0]);
    for (reason, told) in [
        (Reason::Unused, "ExceptionUnused"),
        (Reason::Expired, "ExceptionExpired"),
        (Reason::Invalid, "ExceptionInvalid"),
    ] {
        assert_eq!(names(&of_exception(&exception(Reason::Active), &exception(reason))), [told]);
    }
    let approval =
        |reason| PlanApprovalStatus { conditions: vec![ready("True", reason)], ..PlanApprovalStatus::default() };
    let none = PlanApprovalStatus::default();
    assert_eq!(names(&of_approval(&none, &approval(Reason::Pending))), [""; 0]);
    for (reason, told) in [
        (Reason::InUse, "ApprovalInUse"),
        (Reason::Used, "ApprovalUsed"),
        (Reason::Expired, "ApprovalExpired"),
        (Reason::Invalid, "ApprovalInvalid"),
    ] {
        assert_eq!(names(&of_approval(&approval(Reason::Pending), &approval(reason))), [told]);
    }
}

#[test]
fn every_event_has_a_row_in_the_documentation_and_every_row_is_an_event() {
    let page = include_str!("../../../docs/events.md");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let documented: BTreeSet<String> = rows.iter().map(|row| row[0].replace('`', "")).collect();
    // The code's own list, as it is written: a new one is not to be forgotten here.
    let code = include_str!("../events.rs");
    let words = code.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => \""));
    let words: BTreeSet<String> = words.map(|(_, word)| word.trim_end_matches("\",").to_owned()).collect();
    let words: BTreeSet<String> = words.into_iter().filter(|word| word != "Normal" && word != "Warning").collect();
    assert!(words.len() > 20, "{words:?}");
    assert_eq!(documented, words);
    for row in rows {
        assert!(row.len() == 4 && row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        assert!(["Normal", "Warning", "either"].contains(&row[2]), "{row:?}");
    }
}
