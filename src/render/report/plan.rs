//! From a plan to its part of the document `PlanReport`, and to what each finding says is done about it. No IO, no
//! clock.

use serde::Serialize;

use super::{optional_text, text};
use crate::api::{Enforcement, RecordedChange};
use crate::baseline::change::Change;
use crate::baseline::plan::Plan;

use crate::baseline::{Check, Control, HoldReason, Remediation};
use crate::render::change::before_and_after;

/// What enforcement would change.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    /// Names this set of changes: a `PlanApproval` names it. `None` where there is nothing to change.
    pub digest: Option<String>,
    /// How many of the changes start only after somebody approved the plan: all or none.
    pub need_approval: usize,
    /// The changes, in the order in which they are made.
    pub changes: Vec<ChangeReport>,
    /// How many failing findings are held, each with its reason in `findings`.
    pub held: usize,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeReport {
    /// The operation of AWS's API, such as `s3:PutBucketPolicy`.
    pub operation: &'static str,
    /// The operation that undoes it.
    pub inverse: &'static str,
    /// What an undo cannot bring back, where there is something.
    pub not_undone: Option<&'static str>,
    /// The control whose drift it answers.
    #[serde(serialize_with = "text")]
    pub control: Control,
    /// The ARN of what is changed.
    pub resource: String,
    /// The region, where the resource has one.
    pub region: Option<String>,
    /// What is replaced, in short.
    pub before: String,
    /// By what, in short.
    pub after: String,
    /// The findings that it answers.
    pub findings: Vec<AnsweredReport>,
    /// A hash of account, operation, resource, before and after, which the record's name is made of.
    pub meaning: String,
    /// The values whole, as a `ChangeRecord` has them.
    pub change: RecordedChange,
}

/// A finding that a change answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AnsweredReport {
    /// The finding's id.
    pub id: String,
    /// Its check.
    #[serde(serialize_with = "text")]
    pub check: Check,
}

/// What is done about a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RemediationReport {
    /// `None` where it does not fail, `Automatic` where a change of the plan answers it, `Held` where enforcement
    /// leaves it alone, `Manual` where only people can do something.
    pub kind: &'static str,
    /// One word for programs: why it is held.
    #[serde(serialize_with = "optional_text")]
    pub reason: Option<HoldReason>,
    /// What is changed, why nothing is, or what people do, in a sentence.
    pub message: Option<String>,
}

impl PlanReport {
    pub(super) fn new(plan: &Plan, enforcement: &Enforcement) -> Self {
        let Plan { changes, remediations, digest, meanings } = plan;
        let held = remediations.values().filter(|remediation| matches!(remediation, Remediation::Held { .. })).count();
        let needs_approval = enforcement.needs_approval(changes.len());
        Self {
            digest: digest.clone(),
            need_approval: if needs_approval { changes.len() } else { 0 },
            changes: changes.iter().zip(meanings).map(|(change, meaning)| ChangeReport::new(change, meaning)).collect(),
            held,
        }
    }
}

impl ChangeReport {
    fn new(change: &Change, meaning: &str) -> Self {
        let Change { action, resource, answers } = change;
        let (before, after) = before_and_after(action);
        let answered = answers.iter().map(|answered| AnsweredReport { id: answered.id.clone(), check: answered.check });
        Self {
            operation: action.operation().name(),
            inverse: action.inverse().operation().name(),
            not_undone: action.not_undone(),
            control: action.control(),
            resource: resource.clone(),
            region: action.region().map(str::to_owned),
            before,
            after,
            findings: answered.collect(),
            meaning: meaning.to_owned(),
            change: action.recorded(),
        }
    }
}

impl RemediationReport {
    /// The word, with the reason where it is held: `Held: GracePeriod`.
    #[must_use]
    pub fn in_short(&self) -> String {
        self.reason.map_or_else(|| self.kind.to_owned(), |reason| format!("{}: {reason}", self.kind))
    }
}

impl From<&Remediation> for RemediationReport {
    fn from(remediation: &Remediation) -> Self {
        Self {
            kind: remediation.as_str(),
            reason: remediation.reason(),
            message: remediation.message().map(str::to_owned),
        }
    }
}
