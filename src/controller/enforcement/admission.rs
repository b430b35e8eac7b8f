//! Whether and how much of a plan may start: what of the cluster decides is read afresh, the rate is shared with the
//! passes beside this one, and an approval is marked as used before anything is started under it. IO by fresh reads.

use jiff::{SignedDuration, Timestamp};
use kube::{Client, ResourceExt};

use super::{Look, Work, blocked};
use crate::api::{AwsAccount, ConditionType, PlanApproval};
use crate::baseline::admit::{Admission, Block, BlockReason, Terms, admit};
use crate::controller::approvals::{self, Use};
use crate::controller::budget::Share;
use crate::controller::conditions::find;
use crate::controller::context::now;
use crate::controller::describe;
use crate::controller::fresh::CallError;
use crate::controller::intent::rival;

/// The time in which a look at an account finds out whether its roles demand the external id.
const EXTERNAL_ID_CHECKED: SignedDuration = SignedDuration::from_mins(1);

/// What of the cluster decides whether changes may start, read afresh.
#[derive(Default)]
pub(super) struct Standing {
    pub(super) approvals: Vec<PlanApproval>,
    rival: Option<String>,
    unread: Option<Block>,
}

impl<'a> Work<'a> {
    /// Reads afresh what of the cluster decides; nothing where nothing may be started anyway.
    pub(super) async fn standing(&self) -> Standing {
        if self.target.is_none() {
            return Standing::default();
        }
        let client: &Client = &self.context.fresh;
        let read = |reason, what: &'static str| {
            move |error: CallError| {
                blocked(reason, &format!("{what} could not be read, so nothing is changed: {error}"))
            }
        };
        let (approvals, rival) = futures::join!(
            approvals::fresh(client, &self.baseline.name),
            rival(client, &self.baseline.uid, self.account_id()),
        );
        let approvals = approvals.map_err(read(BlockReason::ApprovalRequired, "the PlanApprovals"));
        let rival = rival.map_err(read(BlockReason::Conflict, "whether another baseline is for the same account"));
        let unread = rival.as_ref().err().or(approvals.as_ref().err()).cloned();
        Standing { approvals: approvals.unwrap_or_default(), rival: rival.unwrap_or_default(), unread }
    }

    /// Decides what may be started, with this pass's share of the operator's rate.
    pub(super) async fn admit(&self, look: &Look, standing: &Standing) -> (Admission, Option<Share<'a>>) {
        let unread = look.unread.clone().or_else(|| standing.unread.clone());
        if unread.is_some() {
            return (Admission { block: unread, ..Admission::default() }, None);
        }
        if self.target.is_none() {
            return (self.decide(look, standing, &[]), None);
        }
        let decide = |changes: &[Timestamp]| self.decide(look, standing, changes);
        match self.context.budget.admit(&self.context.ledger, now(), decide).await {
            Ok((admission, share)) => (admission, Some(share)),
            Err(error) => {
                let block = blocked(BlockReason::NotRecorded, &error.message);
                (Admission { block: Some(block), ..Admission::default() }, None)
            }
        }
    }

    fn decide(&self, look: &Look, standing: &Standing, operator_changes: &[Timestamp]) -> Admission {
        let consents: Vec<_> = standing.approvals.iter().filter_map(approvals::consent).collect();
        let settings = &self.context.settings.enforcement;
        let external_id = external_id_objection(self.account, now());
        let terms = Terms {
            now: now(),
            enforcement: &self.enforcement,
            baseline: &self.baseline,
            history: &look.history,
            operator_changes_per_hour: usize::try_from(settings.max_changes_per_hour).unwrap_or(usize::MAX),
            operator_changes,
            consents: &consents,
            conflict: standing.rival.as_deref(),
            enabled: self.enabled(),
            has_enforce_role: self.account.spec.enforce_role_name.is_some(),
            external_id_not_enforced: external_id.as_ref().map(|(why, until)| (why.as_str(), *until)),
            unreadable_exception: self.pass.in_force.unreadable.as_deref(),
            evaluated_before: self.pass.evaluated_before(),
        };
        admit(&look.plan, &terms)
    }

    /// Writes down what the approval is used for, before anything is started under it.
    pub(super) async fn mark_as_used(
        &self,
        look: &Look,
        standing: &Standing,
        admission: &Admission,
    ) -> Result<(), Block> {
        let Some(approval) = approval_of(standing, admission) else { return Ok(()) };
        let marked = approvals::mark(self.context, approval, &Self::usage(approval, look)).await;
        marked.map_err(|error| {
            let why = describe(&error);
            let message = format!("PlanApproval {} could not be marked as used: {why}", approval.name_any());
            blocked(BlockReason::NotRecorded, &message)
        })
    }

    pub(super) fn usage(approval: &PlanApproval, look: &Look) -> Use {
        let at = approval.status.as_ref().and_then(|status| status.used_at).unwrap_or_else(now);
        let made = look.history.0.iter().filter(|record| record.counts() && record.claimed_at >= at);
        Use { at, changes: look.plan.meanings.clone(), made: made.map(|record| record.meaning.clone()).collect() }
    }
}

/// The approval that covers what was admitted.
pub(super) fn approval_of<'s>(standing: &'s Standing, admission: &Admission) -> Option<&'s PlanApproval> {
    let name = admission.approval.as_ref()?;
    standing.approvals.iter().find(|approval| approval.name_any() == *name)
}

/// Why the account's roles are not safe to use, where that is to be checked: it was found, or is not known yet. What is
/// not known yet is looked at beside this pass, which starts none: so with the time when to look again.
fn external_id_objection(account: &AwsAccount, now: Timestamp) -> Option<(String, Option<Timestamp>)> {
    if !account.spec.verify_external_id {
        return None;
    }
    let soon = now.checked_add(EXTERNAL_ID_CHECKED).ok();
    let status = account.status.as_ref();
    let Some(condition) = status.and_then(|status| find(&status.conditions, ConditionType::ExternalIdEnforced)) else {
        return Some(("it was not checked yet whether the roles demand the external id".to_owned(), soon));
    };
    if account.metadata.generation != Some(condition.observed_generation) {
        return Some(("the AwsAccount was edited: its external id is checked anew first".to_owned(), soon));
    }
    match condition.status.as_str() {
        "True" => None,
        "False" => Some((condition.message.clone(), None)),
        _ => Some((condition.message.clone(), soon)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{AwsAccountSpec, AwsAccountStatus, Condition};

    #[test]
    fn an_account_whose_roles_do_not_demand_the_external_id_is_not_changed() {
        let mut account = AwsAccount::new("payments", AwsAccountSpec::default());
        account.metadata.generation = Some(2);
        let now = Timestamp::UNIX_EPOCH;
        let soon = Some(Timestamp::from_second(60).unwrap());
        assert_eq!(external_id_objection(&account, now), None, "nobody asked for the check");
        account.spec.verify_external_id = true;
        let (why, until) = external_id_objection(&account, now).unwrap();
        assert!(why.contains("not checked yet") && until == soon, "{why}");
        let condition = |status: &str, generation| Condition {
            r#type: "ExternalIdEnforced".to_owned(),
            status: status.to_owned(),
            observed_generation: generation,
            last_transition_time: now,
            reason: String::new(),
            message: "the role can be assumed without it".to_owned(),
        };
        let mut after = |condition| {
            account.status = Some(AwsAccountStatus { conditions: vec![condition], ..AwsAccountStatus::default() });
            external_id_objection(&account, now)
        };
        assert_eq!(after(condition("True", 2)), None);
        for edited in [condition("True", 1), condition("False", 1)] {
            let (why, until) = after(edited).unwrap();
            assert!(why.contains("edited") && until == soon, "{why}");
        }
        let open = "the role can be assumed without it".to_owned();
        assert_eq!(after(condition("False", 2)), Some((open.clone(), None)), "somebody has to correct the role");
        assert_eq!(after(condition("Unknown", 2)), Some((open, soon)));
    }
}
