//! The next status of an `AwsAccount`, from the one before and what a look came to. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::external_id::set_external_id;
use super::{Outcome, Verified, quotas, regions};
use crate::api::{AccountAccess, AwsAccountStatus, ConditionStatus, ConditionType, Reason};
use crate::controller::conditions::Conditions;
use crate::controller::entries::one_line;
use crate::controller::schedule::Trigger;
use crate::controller::status::count;
use crate::controller::usage::AccountUsage;
use crate::engine::AssessError;

/// The status after a look.
pub(super) fn next_status(
    previous: &AwsAccountStatus,
    trigger: &Trigger,
    outcome: &Outcome,
    usage: &AccountUsage,
    now: Timestamp,
) -> AwsAccountStatus {
    let mut next = previous.clone();
    // Whoever asked has their answer, also where it is that the account could not be reached.
    if !matches!(outcome, Outcome::Suspended) {
        next.last_handled_reconcile_at.clone_from(&trigger.requested_at);
    }
    let mut conditions = Conditions::new(&mut next.conditions, trigger.generation, now);
    match outcome {
        Outcome::Verified(verified) => {
            conditions.set(ConditionType::Ready, ConditionStatus::True, Reason::Verified, &verified.message());
            conditions.remove(ConditionType::Reconciling);
            conditions.remove(ConditionType::Stalled);
            let verified_at = &mut next.external_id_verified_at;
            set_external_id(&mut conditions, verified_at, &verified.external_id, now);
            next.last_verified_at = Some(now);
            next.caller_arn = Some(one_line(&verified.caller_arn));
            next.alias = verified.alias.as_deref().map(one_line);
            next.access = Some(AccountAccess { reachable: true, ..AccountAccess::default() });
            if let Some((enabled, scope)) = &verified.regions {
                next.enabled_regions.clone_from(enabled);
                next.region_count = Some(count(scope.judged.len()));
                next.regions = regions::rows(&previous.regions, enabled, scope, &verified.details.zones);
            }
            // Where the regions could not be listed, nothing of them was read: the next look tries again.
            next.details_read_at =
                verified.regions.as_ref().and_then(|_| verified.details.read_at(previous.details_read_at, now));
            next.quotas = quotas::rows(&next.regions, &previous.quotas, &verified.details.rules_per_group, usage, now);
        }
        Outcome::Failed { error: error @ AssessError::Unreachable { cause, .. }, trust_statement } => {
            let message = one_line(&error.to_string());
            next.access = Some(AccountAccess {
                reachable: false,
                cause: Some(cause.class.to_string()),
                message: Some(message.clone()),
                trust_statement: trust_statement.clone(),
            });
            conditions.set(ConditionType::Ready, ConditionStatus::False, Reason::AccountUnreachable, &message);
            let (status, reason) = (ConditionStatus::True, Reason::ProgressingWithRetry);
            conditions.set(ConditionType::Reconciling, status, reason, &message);
            conditions.remove(ConditionType::Stalled);
            return next;
        }
        Outcome::Failed { error: error @ AssessError::Mismatch { .. }, trust_statement: _ } => {
            let advice = "correct the role or the credentials, or make another AwsAccount with the right accountId";
            let message = format!("{error}; {advice}");
            next.access = Some(AccountAccess {
                reachable: false,
                cause: Some(Reason::AccountMismatch.as_str().to_owned()),
                message: Some(one_line(&message)),
                trust_statement: None,
            });
            conditions.stall(Reason::AccountMismatch, &message);
        }
        Outcome::Suspended => {
            conditions.keep(ConditionType::Ready, Reason::Suspended, "suspended: status is what was last seen");
            conditions.remove(ConditionType::Reconciling);
            conditions.remove(ConditionType::Stalled);
        }
    }
    next.observed_generation = trigger.generation;
    next
}

/// The status with what evaluations counted since: nothing else of it changes, and nothing at all before a first look.
pub(super) fn recounted(previous: &AwsAccountStatus, usage: &AccountUsage, now: Timestamp) -> AwsAccountStatus {
    if previous.quotas.is_empty() {
        return previous.clone();
    }
    let quotas = quotas::rows(&previous.regions, &previous.quotas, &BTreeMap::new(), usage, now);
    AwsAccountStatus { quotas, ..previous.clone() }
}

impl Verified {
    fn message(&self) -> String {
        let mut message = match &self.regions {
            Some((enabled, scope)) => format!("{} of {} enabled regions are judged", scope.judged.len(), enabled.len()),
            None => "the account answers, but its regions could not be listed".to_owned(),
        };
        if let Some((_, scope)) = &self.regions
            && !scope.not_enabled.is_empty()
        {
            message = format!("{message}; not enabled in the account: {}", scope.not_enabled.join(", "));
        }
        match &self.note {
            Some(note) => format!("{message}; {note}"),
            None => message,
        }
    }
}

#[cfg(test)]
mod tests;
