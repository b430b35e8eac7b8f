//! From the status before and the outcome of a pass to the status after. Pure: `now` is an argument, and where nothing
//! changed the result equals what was there, so that nothing is written.

use jiff::{SignedDuration, Timestamp};

use super::conditions::Conditions;
use super::enforcement::VERSION;
use super::entries::{drift_entries, exception_uses, exempt_entries, one_line, unknown_entries};
use super::planned::Planned;
use crate::api::{
    AccountBaselineStatus, ConditionStatus, ConditionType, ControlStatus, Controls, CoverageStatus, Mode, Reason,
    SummaryStatus,
};
use crate::baseline::plan::{enforces, mode_of};
use crate::baseline::{Cause, Control, Summary, result_of};
use crate::engine::{AssessError, Assessment, Coverage, control_message};

/// What a pass over a baseline came to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The account was judged to the end.
    Evaluated(Box<Evaluated>),
    /// There is no `AwsAccount` of that name (yet).
    AccountNotFound {
        /// The name in the baseline's `accountRef`.
        name: String,
    },
    /// There is one, and this version cannot read it.
    AccountUnreadable {
        /// The name in the baseline's `accountRef`.
        name: String,
        /// What is wrong with it.
        error: String,
    },
    /// The account could not be judged at all.
    Failed(AssessError),
    /// The baseline or its account is suspended.
    Suspended {
        /// Which of the two, for people.
        what: &'static str,
    },
}

/// A judged account, and what was planned and made.
#[derive(Debug)]
pub(super) struct Evaluated {
    pub(super) assessment: Assessment,
    pub(super) planned: Planned,
}

impl Outcome {
    /// When to look again, where that is before the interval's end.
    pub(super) fn again(&self) -> Option<Timestamp> {
        match self {
            Self::Evaluated(evaluated) => evaluated.planned.again,
            Self::AccountNotFound { .. }
            | Self::AccountUnreadable { .. }
            | Self::Failed(_)
            | Self::Suspended { .. } => None,
        }
    }
}

/// What of the objects the pass rests on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    /// The baseline's generation.
    pub(super) generation: i64,
    /// The account's generation; `None` where there is no account.
    pub(super) account_generation: Option<i64>,
    /// The account's uid.
    pub(super) account_uid: Option<String>,
    /// The value of the annotation that forces an evaluation.
    pub(super) requested_at: Option<String>,
    /// The fingerprint of the exceptions in force.
    pub(super) exceptions: Option<String>,
    /// The fingerprint of the approvals that have not expired.
    pub(super) approvals: Option<String>,
    /// The baseline's mode.
    pub(super) mode: Mode,
    /// The baseline's controls, which may have modes of their own.
    pub(super) controls: Controls,
    /// After this time without an evaluation, what was last seen is stale.
    pub(super) stale_after: SignedDuration,
}

/// The status after a pass.
pub(super) fn next_status(
    previous: &AccountBaselineStatus,
    seen: &Seen,
    outcome: &Outcome,
    now: Timestamp,
) -> AccountBaselineStatus {
    let mut next = previous.clone();
    // Whoever asked has their answer, also where it is that the account could not be looked at.
    if !matches!(outcome, Outcome::Suspended { .. }) {
        next.last_handled_reconcile_at.clone_from(&seen.requested_at);
    }
    if !enforces(seen.mode, &seen.controls) {
        Conditions::new(&mut next.conditions, seen.generation, now).remove(ConditionType::EnforcementBlocked);
    }
    match outcome {
        Outcome::Evaluated(done) => evaluated(&mut next, previous, seen, done, now),
        Outcome::AccountNotFound { name } => {
            let message = format!("there is no AwsAccount {name}: create it, or correct accountRef");
            let mut conditions = Conditions::new(&mut next.conditions, seen.generation, now);
            conditions.set(ConditionType::Ready, ConditionStatus::False, Reason::AccountNotFound, &message);
            conditions.set(ConditionType::Reconciling, ConditionStatus::True, Reason::AccountNotFound, &message);
            conditions.remove(ConditionType::Stalled);
            expire(&mut next, seen, now);
        }
        Outcome::Failed(AssessError::Unreachable { cause, .. }) => unreachable(&mut next, seen, cause, now),
        Outcome::AccountUnreadable { name, error } => {
            let message = one_line(&format!("AwsAccount {name} cannot be read, correct it: {error}"));
            stalled(&mut next, seen, Reason::InvalidSpec, &message, now);
        }
        Outcome::Failed(error @ AssessError::Mismatch { .. }) => {
            let advice = "correct the role or the credentials, or make another AwsAccount with the right accountId";
            let message = format!("{error}; {advice}");
            stalled(&mut next, seen, Reason::AccountMismatch, &message, now);
        }
        Outcome::Suspended { what } => {
            let message = format!("the {what} is suspended: status is what was last seen");
            observe(&mut next, seen);
            let mut conditions = Conditions::new(&mut next.conditions, seen.generation, now);
            conditions.keep(ConditionType::Ready, Reason::Suspended, &message);
            conditions.remove(ConditionType::Reconciling);
            conditions.remove(ConditionType::Stalled);
        }
    }
    next
}

/// What of the objects this status speaks of.
fn observe(next: &mut AccountBaselineStatus, seen: &Seen) {
    next.observed_generation = seen.generation;
    next.observed_account_generation = seen.account_generation;
    next.observed_account_uid.clone_from(&seen.account_uid);
    next.observed_exceptions.clone_from(&seen.exceptions);
    next.observed_approvals.clone_from(&seen.approvals);
}

fn evaluated(
    next: &mut AccountBaselineStatus,
    previous: &AccountBaselineStatus,
    seen: &Seen,
    evaluated: &Evaluated,
    now: Timestamp,
) {
    let Evaluated { assessment, planned } = evaluated;
    let summary = Summary::of(&assessment.findings);
    let drift = drift_entries(previous, &assessment.findings, &planned.plan.remediations, now);
    let unknown = unknown_entries(&assessment.findings);
    observe(next, seen);
    next.evaluated_by = Some(VERSION.to_owned());
    next.plan = planned.status();
    next.last_evaluated_at = Some(now);
    next.summary = Some(summary_status(summary));
    next.coverage = Some(coverage_status(&assessment.coverage));
    let mode = |control| mode_of(control, seen.mode, &seen.controls);
    let controls = assessment.controls.iter();
    next.controls = controls.map(|control| control_status(*control, assessment, mode(*control))).collect();
    let exempt = exempt_entries(&assessment.findings);
    next.truncated = drift.cut || unknown.cut || exempt.cut;
    next.exempt = exempt.entries;
    next.exceptions = exception_uses(&assessment.findings).entries;
    next.drift = drift.entries;
    next.drift_total = Some(count(summary.fail));
    next.unknown = unknown.entries;
    next.unknown_total = Some(count(summary.unknown));

    let mut conditions = Conditions::new(&mut next.conditions, seen.generation, now);
    conditions.remove(ConditionType::Reconciling);
    conditions.remove(ConditionType::Stalled);
    let message = format!("{} findings in account {}", assessment.findings.len(), assessment.identity.account_id);
    if planned.enforces {
        let message = format!("{message}, {} changes made", planned.made);
        conditions.set(ConditionType::Ready, ConditionStatus::True, Reason::Enforced, &message);
    } else {
        conditions.set(ConditionType::Ready, ConditionStatus::True, Reason::Evaluated, &message);
    }
    match planned.blocked() {
        Some((reason, message)) => {
            conditions.set(ConditionType::EnforcementBlocked, ConditionStatus::True, reason, &message);
        }
        None => conditions.remove(ConditionType::EnforcementBlocked),
    }
    let (status, reason, message) = compliance(summary);
    conditions.set(ConditionType::Compliant, status, reason, &message);
}

fn compliance(summary: Summary) -> (ConditionStatus, Reason, String) {
    let Summary { fail, unknown, pass, exempt, .. } = summary;
    let excepted = if exempt > 0 { format!(", {exempt} exempt") } else { String::new() };
    if fail > 0 {
        (
            ConditionStatus::False,
            Reason::DriftDetected,
            format!("{fail} fail, {unknown} unknown, {pass} pass{excepted}"),
        )
    } else if unknown > 0 {
        let message = format!("nothing fails, but {unknown} could not be judged{excepted}");
        (ConditionStatus::Unknown, Reason::PartiallyEvaluated, message)
    } else {
        (ConditionStatus::True, Reason::AllPassing, format!("all {pass} findings pass{excepted}"))
    }
}

fn unreachable(next: &mut AccountBaselineStatus, seen: &Seen, cause: &Cause, now: Timestamp) {
    let message = one_line(&cause.message);
    let mut conditions = Conditions::new(&mut next.conditions, seen.generation, now);
    conditions.set(ConditionType::Ready, ConditionStatus::False, Reason::AccountUnreachable, &message);
    conditions.set(ConditionType::Reconciling, ConditionStatus::True, Reason::ProgressingWithRetry, &message);
    conditions.remove(ConditionType::Stalled);
    expire(next, seen, now);
}

/// Nothing will change without an edit.
fn stalled(next: &mut AccountBaselineStatus, seen: &Seen, reason: Reason, message: &str, now: Timestamp) {
    observe(next, seen);
    let mut conditions = Conditions::new(&mut next.conditions, seen.generation, now);
    conditions.stall(reason, message);
    expire(next, seen, now);
}

/// A verdict that is too old is no verdict: silence must not stay green.
fn expire(next: &mut AccountBaselineStatus, seen: &Seen, now: Timestamp) {
    let stale_since = next.last_evaluated_at.map(|at| at.saturating_add(seen.stale_after));
    if let Some(Ok(stale_since)) = stale_since
        && stale_since <= now
    {
        let evaluated = next.last_evaluated_at.map(|at| at.to_string()).unwrap_or_default();
        let message = format!("the account was last evaluated at {evaluated}");
        let mut conditions = Conditions::new(&mut next.conditions, seen.generation, now);
        conditions.set(ConditionType::Compliant, ConditionStatus::Unknown, Reason::Stale, &message);
    }
}

fn control_status(control: Control, assessment: &Assessment, mode: Mode) -> ControlStatus {
    let summary = assessment.summary_of(control);
    ControlStatus {
        name: control.as_str().to_owned(),
        mode: mode.as_str().to_owned(),
        result: result_of(summary).as_str().to_owned(),
        summary: summary_status(summary),
        message: control_message(control, &assessment.findings, &assessment.coverage),
    }
}

fn summary_status(summary: Summary) -> SummaryStatus {
    let Summary { pass, fail, unknown, not_applicable, exempt } = summary;
    SummaryStatus {
        pass: count(pass),
        fail: count(fail),
        unknown: count(unknown),
        not_applicable: count(not_applicable),
        exempt: count(exempt),
    }
}

fn coverage_status(coverage: &Coverage) -> CoverageStatus {
    let Coverage { regions, regions_not_enabled, users, users_listed, buckets, buckets_skipped, credential_report_at } =
        coverage;
    CoverageStatus {
        regions: regions.clone(),
        regions_not_enabled: regions_not_enabled.clone(),
        users: users.map(count),
        users_listed: users_listed.map(count),
        buckets: buckets.map(count),
        buckets_skipped: buckets_skipped.map(count),
        credential_report_at: *credential_report_at,
    }
}

/// A count as the API has it.
pub(super) fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::admit::{Block, BlockReason};
    use crate::baseline::{AccountIdentity, CauseClass, Check, Finding, Subject};
    use crate::controller::conditions::{find, is_to_be_retried};

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn seen(generation: i64) -> Seen {
        Seen {
            generation,
            account_generation: Some(1),
            account_uid: Some("a".to_owned()),
            requested_at: None,
            exceptions: None,
            approvals: None,
            mode: Mode::Audit,
            controls: Controls::default(),
            stale_after: SignedDuration::from_hours(2),
        }
    }

    fn evaluated_with(findings: Vec<Finding>) -> Outcome {
        let caller = "arn:aws:iam::222222222222:role/PlumblineAudit";
        let assessment = Assessment {
            identity: AccountIdentity::from_caller("222222222222", caller).unwrap(),
            alias: None,
            coverage: Coverage::default(),
            controls: vec![Control::PasswordPolicy],
            findings,
            snapshots: crate::baseline::plan::Snapshots::default(),
        };
        Outcome::Evaluated(Box::new(Evaluated { assessment, planned: Planned::default() }))
    }

    fn subject() -> Subject {
        Subject::new(Check::MinimumPasswordLength, "arn:aws:iam::222222222222:root", "minimumPasswordLength")
    }

    fn passing() -> Finding {
        Finding::pass(subject(), "14", "14", time(0))
    }

    fn failing() -> Finding {
        Finding::fail(subject(), "14", "8", time(0))
    }

    fn unknown() -> Finding {
        Finding::unknown(subject(), "14", Cause::new(CauseClass::AccessDenied, "not authorized"))
    }

    fn failed(class: CauseClass) -> Outcome {
        let cause = Cause::new(class, "no answer");
        Outcome::Failed(AssessError::Unreachable { account_id: "222222222222".to_owned(), cause })
    }

    fn fresh() -> AccountBaselineStatus {
        AccountBaselineStatus { observed_generation: -1, ..AccountBaselineStatus::default() }
    }

    fn condition(status: &AccountBaselineStatus, kind: ConditionType) -> Option<(&str, &str)> {
        find(&status.conditions, kind).map(|c| (c.status.as_str(), c.reason.as_str()))
    }

    #[test]
    fn whoever_asked_has_an_answer_whatever_came_of_it_and_a_failure_is_tried_again_after_a_restart() {
        let asked = Seen { requested_at: Some("now".to_owned()), ..seen(1) };
        let missing = Outcome::AccountNotFound { name: "payments".to_owned() };
        for (outcome, again) in
            [(evaluated_with(vec![passing()]), false), (failed(CauseClass::Unreachable), true), (missing, true)]
        {
            let status = next_status(&fresh(), &asked, &outcome, time(1));
            assert_eq!(status.last_handled_reconcile_at.as_deref(), Some("now"), "{outcome:?}");
            assert_eq!(is_to_be_retried(&status.conditions), again, "{outcome:?}");
        }
        let suspended = next_status(&fresh(), &asked, &Outcome::Suspended { what: "baseline" }, time(1));
        assert_eq!(suspended.last_handled_reconcile_at, None, "nobody looks");
    }

    #[test]
    fn drift_makes_compliant_false_and_never_ready() {
        let status = next_status(&fresh(), &seen(1), &evaluated_with(vec![failing(), unknown()]), time(1));
        assert_eq!(condition(&status, ConditionType::Ready), Some(("True", "Evaluated")));
        assert_eq!(condition(&status, ConditionType::Compliant), Some(("False", "DriftDetected")));
        assert_eq!((status.drift_total, status.unknown_total), (Some(1), Some(1)));
    }

    /// A baseline that enforces password policies and leaves MFA at Audit.
    fn enforcing(generation: i64) -> Seen {
        let controls = r#"{"passwordPolicy": {"minimumPasswordLength": 14}, "mfa": {"mode": "Audit"}}"#;
        Seen { mode: Mode::Enforce, controls: serde_json::from_str(controls).unwrap(), ..seen(generation) }
    }

    fn enforced_with(findings: Vec<Finding>, planned: Planned) -> Outcome {
        let Outcome::Evaluated(evaluated) = evaluated_with(findings) else { unreachable!("it is made so") };
        let planned = Planned { enforces: true, ..planned };
        Outcome::Evaluated(Box::new(Evaluated { planned, ..*evaluated }))
    }

    #[test]
    fn what_holds_enforcement_back_is_a_condition_while_it_does_and_ready_says_what_was_made() {
        let block = Block { reason: BlockReason::OutsideWindow, message: "no window is open".to_owned(), until: None };
        let waiting = Planned { block: Some(block), again: Some(time(60)), ..Planned::default() };
        let blocked = next_status(&fresh(), &enforcing(1), &enforced_with(vec![failing()], waiting), time(1));
        assert_eq!(condition(&blocked, ConditionType::Ready), Some(("True", "Enforced")));
        assert_eq!(condition(&blocked, ConditionType::EnforcementBlocked), Some(("True", "OutsideWindow")));
        assert_eq!(blocked.evaluated_by.as_deref(), Some(VERSION));
        assert_eq!(blocked.plan.as_ref().unwrap().next_change_at, None, "nothing is planned");
        assert_eq!(blocked.controls[0].mode, "Enforce");
        let made = Planned { made: 2, ..Planned::default() };
        let done = next_status(&blocked, &enforcing(1), &enforced_with(vec![passing()], made), time(2));
        assert_eq!(condition(&done, ConditionType::EnforcementBlocked), None);
        assert_eq!(done.plan.as_ref().unwrap().made, 2);
        let ready = find(&done.conditions, ConditionType::Ready).unwrap();
        assert!(ready.message.ends_with("2 changes made"), "{ready:?}");
    }

    #[test]
    fn a_baseline_that_goes_back_to_audit_is_not_blocked_any_more_even_if_its_account_is_away() {
        let block = Block { reason: BlockReason::Conflict, message: "two".to_owned(), until: None };
        let planned = Planned { block: Some(block), ..Planned::default() };
        let blocked = next_status(&fresh(), &enforcing(1), &enforced_with(vec![failing()], planned), time(1));
        let still = next_status(&blocked, &enforcing(1), &failed(CauseClass::Unreachable), time(2));
        assert_eq!(condition(&still, ConditionType::EnforcementBlocked), Some(("True", "Conflict")));
        let audited = next_status(&blocked, &seen(2), &failed(CauseClass::Unreachable), time(2));
        assert_eq!(condition(&audited, ConditionType::EnforcementBlocked), None);
        let evaluated = next_status(&blocked, &seen(2), &evaluated_with(vec![failing()]), time(2));
        assert_eq!((evaluated.plan, evaluated.controls[0].mode.as_str()), (None, "Audit"));
    }

    #[test]
    fn what_was_not_read_is_never_compliant() {
        let status = next_status(&fresh(), &seen(1), &evaluated_with(vec![passing(), unknown()]), time(1));
        assert_eq!(condition(&status, ConditionType::Compliant), Some(("Unknown", "PartiallyEvaluated")));
        assert_eq!(status.controls[0].result, "Unknown");
        let status = next_status(&status, &seen(1), &evaluated_with(vec![passing()]), time(2));
        assert_eq!(condition(&status, ConditionType::Compliant), Some(("True", "AllPassing")));
    }

    #[test]
    fn what_is_excepted_is_no_drift_and_stays_visible_with_its_true_result() {
        let excepted = failing().with_message("too short").excepted("until-autumn", time(9));
        let seen = Seen { exceptions: Some("0a1b".to_owned()), ..seen(1) };
        let status = next_status(&fresh(), &seen, &evaluated_with(vec![excepted, passing()]), time(1));
        assert_eq!(condition(&status, ConditionType::Compliant), Some(("True", "AllPassing")));
        assert_eq!((status.drift_total, status.summary.unwrap().exempt), (Some(0), 1));
        let entry = &status.exempt[0];
        assert_eq!((entry.exception.as_str(), entry.actual.as_str()), ("until-autumn", "Fail"));
        assert_eq!((entry.expires_at, entry.message.as_str()), (Some(time(9)), "too short"));
        assert_eq!((status.exceptions[0].name.as_str(), status.exceptions[0].matched), ("until-autumn", 1));
        assert_eq!(status.observed_exceptions.as_deref(), Some("0a1b"));
        let over = next_status(&status, &self::seen(1), &evaluated_with(vec![failing()]), time(10));
        assert_eq!(condition(&over, ConditionType::Compliant), Some(("False", "DriftDetected")));
        assert_eq!((over.exempt.len(), over.exceptions.len(), over.observed_exceptions), (0, 0, None));
        assert_eq!(over.drift[0].since, Some(time(10)));
    }

    #[test]
    fn p1_an_evaluation_that_finds_the_same_changes_nothing_but_its_time() {
        let first = next_status(&fresh(), &seen(1), &evaluated_with(vec![failing()]), time(1));
        let mut second = next_status(&first, &seen(1), &evaluated_with(vec![failing()]), time(2));
        assert_eq!(second.last_evaluated_at, Some(time(2)));
        second.last_evaluated_at = first.last_evaluated_at;
        assert_eq!(second, first);
    }

    #[test]
    fn an_account_that_stays_away_writes_once_and_then_turns_stale() {
        let before = next_status(&fresh(), &seen(1), &evaluated_with(vec![passing()]), time(0));
        let away = next_status(&before, &seen(1), &failed(CauseClass::Unreachable), time(60));
        assert_eq!(condition(&away, ConditionType::Ready), Some(("False", "AccountUnreachable")));
        assert_eq!(condition(&away, ConditionType::Reconciling), Some(("True", "ProgressingWithRetry")));
        assert_eq!(condition(&away, ConditionType::Stalled), None);
        assert_eq!(condition(&away, ConditionType::Compliant), Some(("True", "AllPassing")));
        assert_eq!(next_status(&away, &seen(1), &failed(CauseClass::Unreachable), time(120)), away);
        let later = next_status(&away, &seen(1), &failed(CauseClass::Unreachable), time(7200));
        assert_eq!(condition(&later, ConditionType::Compliant), Some(("Unknown", "Stale")));
        let back = next_status(&later, &seen(1), &evaluated_with(vec![passing()]), time(7300));
        assert_eq!(condition(&back, ConditionType::Compliant), Some(("True", "AllPassing")));
        assert_eq!(condition(&back, ConditionType::Reconciling), None);
    }

    #[test]
    fn an_account_that_is_another_one_stalls_and_says_what_to_correct() {
        let mismatch = AssessError::Mismatch { declared: "222222222222".into(), actual: "333333333333".into() };
        let status = next_status(&fresh(), &seen(3), &Outcome::Failed(mismatch), time(1));
        assert_eq!(condition(&status, ConditionType::Stalled), Some(("True", "AccountMismatch")));
        assert_eq!(status.observed_generation, 3, "kstatus reports a failure only for the observed generation");
        let ready = &status.conditions[0].message;
        assert!(ready.contains("333333333333") && ready.contains("correct"), "{ready}");
    }

    #[test]
    fn an_account_that_cannot_be_read_stalls_and_is_not_called_missing() {
        let outcome = Outcome::AccountUnreadable { name: "payments".to_owned(), error: "missing field".to_owned() };
        let status = next_status(&fresh(), &seen(3), &outcome, time(1));
        assert_eq!(condition(&status, ConditionType::Ready), Some(("False", "InvalidSpec")));
        assert_eq!(condition(&status, ConditionType::Stalled), Some(("True", "InvalidSpec")));
        assert_eq!(status.observed_generation, 3, "kstatus reports a failure only for the observed generation");
        let message = &status.conditions[0].message;
        assert!(message.contains("payments") && message.contains("missing field"), "{message}");
    }

    #[test]
    fn an_edit_that_was_never_judged_does_not_keep_the_verdict_of_the_spec_before_it() {
        let before = next_status(&fresh(), &seen(1), &evaluated_with(vec![passing()]), time(0));
        let away = next_status(&before, &seen(2), &failed(CauseClass::Unreachable), time(60));
        let compliant =
            |status: &AccountBaselineStatus| find(&status.conditions, ConditionType::Compliant).cloned().unwrap();
        assert_eq!(
            (away.observed_generation, compliant(&away).observed_generation),
            (1, 1),
            "it speaks of the old one"
        );
        assert_eq!(condition(&away, ConditionType::Ready), Some(("False", "AccountUnreachable")));
        let later = next_status(&away, &seen(2), &failed(CauseClass::Throttled), time(7200));
        assert_eq!(condition(&later, ConditionType::Compliant), Some(("Unknown", "Stale")));
        assert_eq!(compliant(&later).observed_generation, 2);
        assert_eq!(next_status(&later, &seen(3), &failed(CauseClass::Throttled), time(7300)).observed_generation, 1);
        assert!(compliant(&later).message.contains("1970-01-01T00:00:00Z"), "since when: {later:?}");
    }

    #[test]
    fn whatever_keeps_an_account_from_being_judged_lets_its_verdict_turn_stale() {
        let judged = next_status(&fresh(), &seen(1), &evaluated_with(vec![failing()]), time(0));
        let mismatch = AssessError::Mismatch { declared: "222222222222".into(), actual: "333333333333".into() };
        let name = || "payments".to_owned();
        for outcome in [
            Outcome::AccountNotFound { name: name() },
            Outcome::AccountUnreadable { name: name(), error: name() },
            Outcome::Failed(mismatch),
            failed(CauseClass::AccessDenied),
            failed(CauseClass::DeadlineExceeded),
        ] {
            let early = next_status(&judged, &seen(1), &outcome, time(7199));
            assert_eq!(condition(&early, ConditionType::Compliant), Some(("False", "DriftDetected")), "{outcome:?}");
            let late = next_status(&early, &seen(1), &outcome, time(7200));
            assert_eq!(condition(&late, ConditionType::Compliant), Some(("Unknown", "Stale")), "{outcome:?}");
            assert_eq!(
                (&late.drift, late.last_evaluated_at),
                (&judged.drift, judged.last_evaluated_at),
                "still to see"
            );
            assert_eq!(next_status(&late, &seen(1), &outcome, time(9000)), late, "written once");
        }
        let never = next_status(&fresh(), &seen(1), &failed(CauseClass::Unreachable), time(9000));
        assert_eq!(condition(&never, ConditionType::Compliant), None, "what was never judged is not stale");
    }

    #[test]
    fn a_missing_account_is_waited_for_and_is_not_stalled() {
        let outcome = Outcome::AccountNotFound { name: "payments".to_owned() };
        let status = next_status(&fresh(), &seen(1), &outcome, time(1));
        assert_eq!(condition(&status, ConditionType::Ready), Some(("False", "AccountNotFound")));
        assert_eq!(condition(&status, ConditionType::Stalled), None);
        assert_eq!(status.observed_generation, -1);
        assert_eq!(next_status(&status, &seen(1), &outcome, time(2)), status);
    }

    #[test]
    fn suspended_keeps_what_was_last_seen() {
        let before = next_status(&fresh(), &seen(1), &evaluated_with(vec![failing()]), time(1));
        let status = next_status(&before, &seen(2), &Outcome::Suspended { what: "baseline" }, time(2));
        assert_eq!(condition(&status, ConditionType::Ready), Some(("True", "Suspended")));
        assert_eq!(condition(&status, ConditionType::Compliant), Some(("False", "DriftDetected")));
        assert_eq!((status.drift, status.last_evaluated_at), (before.drift, before.last_evaluated_at));
        let never = next_status(&fresh(), &seen(1), &Outcome::Suspended { what: "account" }, time(1));
        assert_eq!(condition(&never, ConditionType::Ready), Some(("Unknown", "Suspended")));
    }

    #[test]
    fn every_condition_speaks_of_the_generation_that_was_judged() {
        let status = next_status(&fresh(), &seen(7), &evaluated_with(vec![passing()]), time(1));
        assert!(status.conditions.iter().all(|condition| condition.observed_generation == 7));
        assert_eq!(status.observed_generation, 7);
    }
}
