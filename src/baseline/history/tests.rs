use super::*;
use crate::api::RecordedChange;

fn at(text: &str) -> Timestamp {
    format!("2026-11-{text}Z").parse().unwrap()
}

fn now() -> Timestamp {
    at("20T12:00:00")
}

fn baseline(generation: i64) -> RecordedBaseline {
    RecordedBaseline { name: "prod".to_owned(), uid: "1".to_owned(), generation, requested_at: None }
}

#[expect(clippy::unnecessary_wraps, reason = "a record holds an option")]
fn settled(outcome: Outcome, reason: SettledReason) -> Option<Settled> {
    Some(Settled {
        outcome,
        reason: reason.as_str().to_owned(),
        missing_action: None,
        message: format!("it was {}", outcome.as_str()),
        at: None,
    })
}

fn record(claimed_at: &str, settled: Option<Settled>) -> RecordSummary {
    RecordSummary {
        name: claimed_at.to_owned(),
        operation: "iam:UpdateAccountPasswordPolicy".to_owned(),
        meaning: "m".to_owned(),
        target: "t".to_owned(),
        ordinal: 0,
        baseline: baseline(1),
        approval: None,
        is_undo: false,
        claimed_at: at(claimed_at),
        settled,
    }
}

fn made(claimed_at: &str) -> RecordSummary {
    record(claimed_at, settled(Outcome::Succeeded, SettledReason::Applied))
}

#[test]
fn words_of_records_are_read_back_and_those_of_later_versions_are_unverifiable() {
    for outcome in [Outcome::Succeeded, Outcome::NotApplied, Outcome::Failed, Outcome::Unverifiable] {
        assert_eq!(Outcome::parse(outcome.as_str()), outcome);
    }
    assert_eq!(Outcome::parse("Postponed"), Outcome::Unverifiable);
}

#[test]
fn a_summary_keeps_all_of_a_record_but_its_values() {
    let spec = ChangeRecordSpec {
        account_id: "222222222222".into(),
        partition: "aws".to_owned(),
        baseline: baseline(7),
        control: "passwordPolicy".to_owned(),
        findings: Vec::new(),
        operation: "iam:UpdateAccountPasswordPolicy".to_owned(),
        inverse: "iam:DeleteAccountPasswordPolicy".to_owned(),
        not_undone: None,
        resource: "arn:aws:iam::222222222222:root".to_owned(),
        region: None,
        meaning: "m".to_owned(),
        target: "t".to_owned(),
        ordinal: 3,
        plan_digest: None,
        approval: Some("agreed".to_owned()),
        undoes: Some("another".to_owned()),
        claimed_at: now(),
        claimed_by: "plumbline-0".to_owned(),
        change: RecordedChange::default(),
    };
    let summary = RecordSummary::of("r", &spec, None);
    let expected = RecordSummary {
        name: "r".to_owned(),
        ordinal: 3,
        baseline: baseline(7),
        approval: Some("agreed".to_owned()),
        is_undo: true,
        claimed_at: now(),
        ..record("20T12:00:00", None)
    };
    assert_eq!(summary, expected);
    let status = ChangeRecordStatus {
        outcome: Some("Failed".to_owned()),
        reason: Some("NotShown".to_owned()),
        message: Some("AWS shows the old value".to_owned()),
        missing_action: None,
        settled_at: Some(now()),
    };
    let read = RecordSummary::of("r", &spec, Some(&status)).settled.unwrap();
    assert_eq!((read.outcome, read.reason.as_str(), read.at), (Outcome::Failed, "NotShown", Some(now())));
    // A status that says nothing yet settles nothing.
    assert_eq!(RecordSummary::of("r", &spec, Some(&ChangeRecordStatus::default())).settled, None);
}

#[test]
fn p2_the_next_ordinal_follows_the_highest_that_is_settled_and_an_unsettled_one_keeps_its_own() {
    let numbered = |ordinal, settled| RecordSummary { ordinal, ..record("20T11:00:00", settled) };
    let done = || settled(Outcome::Succeeded, SettledReason::Applied);
    assert_eq!(History::default().ordinal("m"), 0);
    assert_eq!(History(vec![numbered(0, None)]).ordinal("m"), 0);
    // Older records were deleted: the number is new all the same.
    let history = History(vec![numbered(7, done()), numbered(4, done()), numbered(8, None)]);
    assert_eq!((history.ordinal("m"), history.ordinal("another")), (8, 0));
    assert_eq!(history.unsettled().count(), 1);
}

#[test]
fn p7_what_may_have_changed_aws_counts_for_an_hour_and_undos_do_not() {
    let history = History(vec![
        record("20T11:59:00", None),
        made("20T11:00:01"),
        made("20T11:00:00"),
        record("20T11:30:00", settled(Outcome::NotApplied, SettledReason::Denied)),
        record("20T11:40:00", settled(Outcome::Failed, SettledReason::NotShown)),
        record("20T11:50:00", settled(Outcome::Unverifiable, SettledReason::Unreadable)),
        RecordSummary { is_undo: true, ..made("20T11:45:00") },
        // Another process's clock is ahead.
        made("20T12:00:05"),
    ]);
    let times = ["20T11:00:01", "20T11:40:00", "20T11:50:00", "20T11:59:00", "20T12:00:05"];
    assert_eq!(history.within_rate_period(now()), times.map(at));
}

#[test]
fn pw_14_and_p8_what_was_made_three_times_within_14_days_is_contested() {
    let contested = |records: Vec<RecordSummary>| History(records).contested_until("t", now()).is_some();
    let three = || vec![made("06T12:00:01"), made("10T00:00:00"), made("19T00:00:00")];
    assert!(contested(three()));
    assert!(!contested(three().split_off(1)));
    let mut old = three();
    old[0] = made("06T12:00:00");
    assert!(!contested(old), "14 days are over");
    let mut other = three();
    other[0].target = "another".to_owned();
    assert!(!contested(other));
    for outcome in [Outcome::NotApplied, Outcome::Failed, Outcome::Unverifiable] {
        let mut unmade = three();
        unmade[0].settled = settled(outcome, SettledReason::NotShown);
        assert!(!contested(unmade), "nobody undid what was not made");
    }
    let mut undo = three();
    undo[0].is_undo = true;
    assert!(!contested(undo));
    let mut other_meanings = three();
    for (n, record) in other_meanings.iter_mut().enumerate() {
        (record.meaning, record.baseline) = (n.to_string(), baseline(i64::try_from(n).unwrap()));
    }
    assert!(contested(other_meanings), "what counts is what is fought about, whoever edits the spec meanwhile");
}

#[test]
fn p8_a_contest_ends_when_the_first_of_the_last_three_changes_is_14_days_old() {
    let until = |records: &[&str], now| {
        History(records.iter().map(|claimed_at| made(claimed_at)).collect()).contested_until("t", at(now))
    };
    let three = ["19T00:00:00", "06T12:00:01", "10T00:00:00"];
    assert_eq!(until(&three, "20T12:00:00"), Some(at("20T12:00:01")), "whatever their order");
    assert_eq!(until(&three, "20T12:00:01"), None, "it is tried once more");
    // Undone once more: the contest goes on, counted from the next of them.
    let four = ["06T12:00:01", "10T00:00:00", "19T00:00:00", "20T12:00:01"];
    assert_eq!(until(&four, "20T13:00:00"), Some(at("24T00:00:00")));
}

#[test]
fn pw_15_a_refusal_holds_its_operation_until_somebody_acts_or_six_hours_are_over() {
    let denied = || settled(Outcome::NotApplied, SettledReason::Denied);
    let operation = "iam:UpdateAccountPasswordPolicy";
    let refused = |records: Vec<RecordSummary>, generation| {
        History(records).refusal(operation, &baseline(generation), now()).is_some()
    };
    assert!(refused(vec![record("20T06:00:01", denied())], 1));
    assert!(!refused(vec![record("20T06:00:00", denied())], 1), "it is tried again, slowly");
    assert!(!refused(vec![record("20T11:00:00", denied())], 2), "the spec was edited");
    assert!(!refused(vec![record("20T11:00:00", denied()), made("20T11:30:00")], 1), "it was granted");
    assert!(refused(vec![record("20T11:00:00", denied()), record("20T11:30:00", None)], 1));
    assert!(!refused(vec![RecordSummary { is_undo: true, ..record("20T11:00:00", denied()) }], 1));
    let other = settled(Outcome::NotApplied, SettledReason::Refused);
    assert!(!refused(vec![record("20T11:00:00", other)], 1));
    let history = History(vec![record("20T11:00:00", denied())]);
    assert_eq!(history.refusal("s3:PutBucketPolicy", &baseline(1), now()), None);
    let asked = RecordedBaseline { requested_at: Some("now".to_owned()), ..baseline(1) };
    assert_eq!(history.refusal(operation, &asked, now()), None, "a person asked");
}

#[test]
fn failures_are_those_of_this_spec_that_aws_did_not_simply_deny() {
    let history = History(vec![
        record("20T01:00:00", settled(Outcome::Failed, SettledReason::NotShown)),
        record("20T02:00:00", settled(Outcome::Unverifiable, SettledReason::Unreadable)),
        record("20T03:00:00", settled(Outcome::NotApplied, SettledReason::Refused)),
        record("20T04:00:00", settled(Outcome::NotApplied, SettledReason::Denied)),
        record("20T05:00:00", settled(Outcome::NotApplied, SettledReason::NotWanted)),
        record("20T06:00:00", None),
        made("20T07:00:00"),
        RecordSummary { is_undo: true, ..record("20T08:00:00", settled(Outcome::Failed, SettledReason::NotShown)) },
        RecordSummary {
            baseline: baseline(2),
            ..record("20T09:00:00", settled(Outcome::Failed, SettledReason::NotShown))
        },
    ]);
    let failed: Vec<_> = history.failures(&baseline(1)).iter().map(|record| record.name.as_str()).collect();
    assert_eq!(failed, ["20T01:00:00", "20T02:00:00", "20T03:00:00"]);
    let read_back: Vec<_> = history.failures(&baseline(1)).iter().map(|record| record.read_back_failed()).collect();
    assert_eq!(read_back, [true, false, false]);
}
