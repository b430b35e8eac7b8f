//! From a status and the one that was written in its place to what happened in between. Pure.
//!
//! Two equal statuses tell of nothing, so neither a steady state nor a restart of the operator does. Drift that could
//! not be looked at again is neither new nor gone.

use super::conditions::find;
use super::events::{Event, Happening, Weight};
use crate::api::{
    AccountBaselineStatus, AwsAccountStatus, BaselineExceptionStatus, Condition, ConditionType, DriftEntry,
    PlanApprovalStatus, Reason,
};
use crate::baseline::HoldReason;

const EVALUATE: &str = "Evaluate";
const ENFORCE: &str = "Enforce";

/// What happened to a baseline.
pub(super) fn of_baseline(before: &AccountBaselineStatus, after: &AccountBaselineStatus) -> Vec<Event> {
    let mut events = reached(&before.conditions, &after.conditions, EVALUATE);
    // Not by the time of the evaluation: two of them may be of one second.
    events.extend(contested(before, after));
    events.extend(appeared(before, after));
    events.extend(vanished(before, after));
    events.extend(completeness(before, after));
    events.extend(stale(before, after));
    events.extend(blocked(before, after));
    events
}

/// What happened to an account.
pub(super) fn of_account(before: &AwsAccountStatus, after: &AwsAccountStatus) -> Vec<Event> {
    let mut events = reached(&before.conditions, &after.conditions, "Verify");
    let kind = ConditionType::ExternalIdEnforced;
    if let Some(condition) = turned(&before.conditions, &after.conditions, kind).filter(|now| now.status == "False") {
        events.push(Event::new(Happening::ExternalIdNotEnforced, "Verify", condition.message.clone()));
    }
    events
}

/// What happened to an exception.
pub(super) fn of_exception(before: &BaselineExceptionStatus, after: &BaselineExceptionStatus) -> Vec<Event> {
    let table = [
        (Reason::Active, Happening::ExceptionActive),
        (Reason::Unused, Happening::ExceptionUnused),
        (Reason::Expired, Happening::ExceptionExpired),
        (Reason::Invalid, Happening::ExceptionInvalid),
    ];
    ready_became(&before.conditions, &after.conditions, &table, "Except").into_iter().collect()
}

/// What happened to an approval.
pub(super) fn of_approval(before: &PlanApprovalStatus, after: &PlanApprovalStatus) -> Vec<Event> {
    let table = [
        (Reason::InUse, Happening::ApprovalInUse),
        (Reason::Used, Happening::ApprovalUsed),
        (Reason::Expired, Happening::ApprovalExpired),
        (Reason::Invalid, Happening::ApprovalInvalid),
    ];
    ready_became(&before.conditions, &after.conditions, &table, "Approve").into_iter().collect()
}

/// A condition whose status or reason is another one now, or that was not there.
fn turned<'a>(before: &[Condition], after: &'a [Condition], kind: ConditionType) -> Option<&'a Condition> {
    let now = find(after, kind)?;
    let same = find(before, kind).is_some_and(|was| was.status == now.status && was.reason == now.reason);
    (!same).then_some(now)
}

/// `Ready` has a reason now that it did not have, and the reason is one of these.
fn ready_became(
    before: &[Condition],
    after: &[Condition],
    table: &[(Reason, Happening)],
    action: &str,
) -> Option<Event> {
    let now = turned(before, after, ConditionType::Ready)?;
    let (_, happening) = table.iter().find(|(reason, _)| reason.as_str() == now.reason)?;
    Some(Event::new(*happening, action, now.message.clone()))
}

/// Whether the account can be looked at: suspended, resumed, not reachable, reachable again.
fn reached(before: &[Condition], after: &[Condition], action: &str) -> Vec<Event> {
    let Some(now) = turned(before, after, ConditionType::Ready) else { return Vec::new() };
    let was = find(before, ConditionType::Ready);
    let was_suspended = was.is_some_and(|was| was.reason == Reason::Suspended.as_str());
    let table = [
        (Reason::Suspended, Happening::Suspended),
        (Reason::InvalidSpec, Happening::InvalidSpec),
        (Reason::AccountNotFound, Happening::AccountNotFound),
        (Reason::AccountUnreachable, Happening::AccountUnreachable),
        (Reason::AccountMismatch, Happening::AccountMismatch),
    ];
    let mut events = Vec::new();
    if was_suspended && now.reason != Reason::Suspended.as_str() {
        events.push(Event::new(Happening::Resumed, action, "no longer suspended".to_owned()));
    }
    events.extend(ready_became(before, after, &table, action));
    // A baseline that was never looked at before tells of what was found, an account that it was found.
    let never = was.is_none_or(|was| was.status == "Unknown");
    let first = never && now.reason == Reason::Verified.as_str();
    if now.status == "True" && (first || was.is_some_and(|was| was.status == "False")) {
        events.push(Event::new(Happening::AccountReachable, action, now.message.clone()));
    }
    events
}

/// New findings that fail.
fn appeared(before: &AccountBaselineStatus, after: &AccountBaselineStatus) -> Option<Event> {
    let known = |entry: &DriftEntry| before.drift.iter().any(|was| was.id == entry.id);
    // An entry without `since` may have been among those that were cut before.
    let is_new = |entry: &&DriftEntry| !entry.stale && entry.since.is_some() && !known(entry);
    let new: Vec<&DriftEntry> = after.drift.iter().filter(is_new).collect();
    let cut = before.truncated || after.truncated;
    let grown = if cut { size(after).saturating_sub(size(before)).max(0) } else { 0 };
    let count = grown.max(length(new.len()));
    if count == 0 {
        return None;
    }
    let worst = new.first().map(|worst| format!("; the worst: {}", described(worst))).unwrap_or_default();
    let all = after.drift_total.unwrap_or_default();
    let note = format!("{}, {all} in all{worst}", newly_failing(count));
    Some(Event::new(Happening::DriftDetected, EVALUATE, note))
}

/// Findings that fail no longer.
fn vanished(before: &AccountBaselineStatus, after: &AccountBaselineStatus) -> Option<Event> {
    let gone: Vec<&DriftEntry> = if after.truncated {
        // What is not listed may have been cut.
        Vec::new()
    } else {
        let listed = |entry: &&DriftEntry| after.drift.iter().any(|now| now.id == entry.id);
        before.drift.iter().filter(|entry| !listed(entry)).collect()
    };
    let cut = before.truncated || after.truncated;
    let shrunk = if cut { size(before).saturating_sub(size(after)).max(0) } else { 0 };
    let count = shrunk.max(length(gone.len()));
    if count == 0 {
        return None;
    }
    let exempt = gone.iter().filter(|entry| is_exempt(entry, after)).count();
    let excepted = if exempt > 0 { format!(", {exempt} of them by an exception") } else { String::new() };
    let first = gone.first().map(|first| format!("; the first: {} of {}", first.check, first.resource));
    let first = first.unwrap_or_default();
    let left = match (after.drift_total.unwrap_or_default(), after.unknown_total.unwrap_or_default()) {
        (0, 0) => "nothing fails: compliant".to_owned(),
        (0, unknown) => format!("nothing fails, {unknown} could not be judged"),
        (drift, _) => format!("{drift} still fail"),
    };
    let note = format!("{count} no longer drift{excepted}; {left}{first}");
    Some(Event::new(Happening::DriftResolved, EVALUATE, note))
}

fn is_exempt(entry: &DriftEntry, status: &AccountBaselineStatus) -> bool {
    status.exempt.iter().any(|exempt| {
        (&exempt.control, &exempt.check, &exempt.resource, &exempt.region)
            == (&entry.control, &entry.check, &entry.resource, &entry.region)
    })
}

/// How many findings drift, those that could not be looked at again among them.
fn size(status: &AccountBaselineStatus) -> i64 {
    let stale = status.drift.iter().filter(|entry| entry.stale).count();
    status.drift_total.unwrap_or_default().saturating_add(length(stale))
}

/// Whether everything could be judged.
fn completeness(before: &AccountBaselineStatus, after: &AccountBaselineStatus) -> Option<Event> {
    let (was, now) = (before.unknown_total.unwrap_or_default(), after.unknown_total.unwrap_or_default());
    if was == 0 && now > 0 {
        let first = after.unknown.first().map(|first| {
            let missing = first.missing_action.as_ref().map(|action| format!(", allow {action}")).unwrap_or_default();
            format!("; the first: {} of {}: {}{missing}", first.check, first.resource, first.cause)
        });
        let note = format!("{now} could not be judged{}", first.unwrap_or_default());
        return Some(Event::new(Happening::EvaluationIncomplete, EVALUATE, note));
    }
    let done = was > 0 && now == 0;
    done.then(|| Event::new(Happening::EvaluationComplete, EVALUATE, "everything could be judged again".to_owned()))
}

fn stale(before: &AccountBaselineStatus, after: &AccountBaselineStatus) -> Option<Event> {
    let now = turned(&before.conditions, &after.conditions, ConditionType::Compliant)?;
    let is_stale = now.reason == Reason::Stale.as_str();
    is_stale.then(|| Event::new(Happening::Stale, EVALUATE, now.message.clone()))
}

/// What holds enforcement back, once for each reason.
fn blocked(before: &AccountBaselineStatus, after: &AccountBaselineStatus) -> Option<Event> {
    let kind = ConditionType::EnforcementBlocked;
    let Some(now) = find(&after.conditions, kind) else {
        let enforced = |status: &AccountBaselineStatus| {
            find(&status.conditions, ConditionType::Ready).is_some_and(|now| now.reason == Reason::Enforced.as_str())
        };
        let was = find(&before.conditions, kind)?;
        let note = format!("no longer held back by {}", was.reason);
        return enforced(after).then(|| Event::new(Happening::EnforcementUnblocked, ENFORCE, note));
    };
    turned(&before.conditions, &after.conditions, kind)?;
    let note = format!("{}: {}", now.reason, now.message);
    let weight = if is_routine(&now.reason) { Weight::Normal } else { Weight::Warning };
    Some(Event { weight, ..Event::new(Happening::EnforcementBlocked, ENFORCE, note) })
}

/// Whether enforcement waits for nothing but its time, or for the consent that was asked for.
fn is_routine(reason: &str) -> bool {
    [Reason::OutsideWindow, Reason::ChangeBudgetExhausted, Reason::EvaluatedOnly, Reason::ApprovalRequired]
        .iter()
        .any(|routine| routine.as_str() == reason)
}

/// Drift that others bring back again and again, once.
fn contested(before: &AccountBaselineStatus, after: &AccountBaselineStatus) -> Option<Event> {
    let contested = |entry: &&DriftEntry| entry.remediation_reason.as_deref() == Some(HoldReason::Contested.as_str());
    let known = |entry: &&DriftEntry| before.drift.iter().filter(contested).any(|was| was.id == entry.id);
    let new: Vec<&DriftEntry> = after.drift.iter().filter(contested).filter(|entry| !known(entry)).collect();
    let first = new.first()?;
    let others = if new.len() > 1 { format!(" and {} more", new.len() - 1) } else { String::new() };
    let why = first.remediation_message.as_deref().unwrap_or_default();
    let note = format!("{} of {}{others}: {why}", first.check, first.resource);
    Some(Event::new(Happening::Contested, ENFORCE, note))
}

fn described(entry: &DriftEntry) -> String {
    let DriftEntry { severity, check, resource, region, desired, observed, .. } = entry;
    let place = region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
    format!("{severity} {check} of {resource}{place}, desired {desired}, observed {observed}")
}

fn newly_failing(count: i64) -> String {
    if count == 1 { "1 more finding fails".to_owned() } else { format!("{count} more findings fail") }
}

fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
