//! From failing findings to an ordered list of changes, and why each finding that is held out is held. No IO, no clock.
//!
//! One function for the command line, the budget and the enforcement: what `plumbline plan` prints is what the operator
//! does. Each control says what it would change and what it holds ([`ControlPlan`]); here modes, contests and refusals
//! are laid over that, the changes are put in order, and the whole gets a digest that nothing alters but the changes.

mod mode;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

pub use self::mode::{control_enforces, effective, enforces, mode_of};
use super::account::AccountIdentity;
use super::change::{Action, Change};
use super::check::Control;
use super::finding::{Finding, Verdict, short_hash};
use super::history::{CONTESTED_AFTER, History};
use super::remediation::{HoldReason, Remediation};
use super::{mfa, password_policy, s3_encryption, security_groups};
use crate::api::{Controls, Mode, OwnerTag, PasswordPolicy, PasswordPolicyChange, RecordedBaseline};

/// What was observed to judge the account.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the controls' names")]
pub struct Snapshots {
    pub password_policy: Option<password_policy::Snapshot>,
    pub mfa: Option<mfa::Snapshot>,
    pub security_groups: Option<security_groups::Snapshot>,
    pub s3_encryption: Option<s3_encryption::Snapshot>,
}

/// What was read beside it to plan: present for controls that enforce and fail.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the controls' names")]
pub struct Evidence {
    pub password_policy: Option<password_policy::Evidence>,
    pub mfa: Option<mfa::Evidence>,
    pub security_groups: Option<security_groups::Evidence>,
    pub s3_encryption: Option<s3_encryption::Evidence>,
}

/// What of the world beside AWS a plan depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Circumstances {
    /// The moment of the plan. It decides about grace periods and the age of records, and never about the order.
    pub now: Timestamp,
    /// Whose account it is, and who we are there.
    pub account: AccountIdentity,
    /// The baseline's mode: the ceiling.
    pub mode: Mode,
    /// Tags that mark what somebody else manages.
    pub owned_elsewhere: Vec<OwnerTag>,
    /// The ARNs of users through which the operator itself comes: never denied.
    pub own_users: BTreeSet<String>,
    /// The baseline as it stands, which refusals are counted by.
    pub baseline: RecordedBaseline,
    /// The account's records.
    pub history: History,
}

/// What one control plans: which findings are answered by which change, and why the others are not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ControlPlan {
    /// The changes, in the order in which this control wants them made.
    pub changes: Vec<Change>,
    /// What is done about each failing finding, by id. One that a change answers is `Automatic`.
    pub remediations: BTreeMap<String, Remediation>,
}

/// What enforcement would change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The changes, in the order in which they are made.
    pub changes: Vec<Change>,
    /// What is done about each failing finding, by id.
    pub remediations: BTreeMap<String, Remediation>,
    /// Names this set of changes; `None` where there is nothing to change.
    pub digest: Option<String>,
    /// The meanings of the changes, in the same order: an approval covers these.
    pub meanings: Vec<String>,
}

impl ControlPlan {
    /// A change answers these findings; `what` says what it does, as a sentence without a period.
    pub fn change(&mut self, action: Action, resource: impl Into<String>, answers: &[&Finding], what: &str) {
        for finding in answers {
            self.remediations.insert(finding.subject().id(), Remediation::Automatic(what.to_owned()));
        }
        let answers = answers.iter().map(|finding| (*finding).into()).collect();
        self.changes.push(Change { action, resource: resource.into(), answers });
    }

    /// A finding is held.
    pub fn hold(&mut self, finding: &Finding, reason: HoldReason, message: impl Into<String>) {
        self.remediations.insert(finding.subject().id(), Remediation::held(reason, message));
    }

    /// People have to do something about a finding.
    pub fn manual(&mut self, finding: &Finding, message: impl Into<String>) {
        self.remediations.insert(finding.subject().id(), Remediation::Manual(message.into()));
    }
}

/// Plans the changes that close what fails.
///
/// The findings are those after exceptions: what is `Exempt` or `Unknown` is never planned for.
#[must_use]
pub fn plan(
    findings: &[Finding],
    snapshots: &Snapshots,
    evidence: &Evidence,
    controls: &Controls,
    circumstances: &Circumstances,
) -> Plan {
    let mut changes = Vec::new();
    let mut remediations = BTreeMap::new();
    for control in Control::ALL {
        let failing: Vec<&Finding> = findings
            .iter()
            .filter(|finding| finding.verdict() == Verdict::Fail && finding.subject().check.control() == control)
            .collect();
        let enforces = mode_of(control, circumstances.mode, controls) == Mode::Enforce;
        let planned = if enforces {
            plan_of(control, &failing, snapshots, evidence, controls, circumstances)
        } else {
            ControlPlan::default()
        };
        for finding in failing {
            let id = finding.subject().id();
            let done = planned.remediations.get(&id).cloned();
            let done = Remediation::manual(finding.subject().check).or(done).unwrap_or_else(|| {
                if enforces {
                    Remediation::held(HoldReason::NotRead, "what decides whether a change is safe was not read")
                } else {
                    Remediation::held(HoldReason::AuditMode, format!("the mode of {control} is Audit"))
                }
            });
            remediations.insert(id, done);
        }
        changes.extend(planned.changes);
    }
    hold_back(&mut changes, &mut remediations, circumstances);
    wait_for_age(&mut changes, &mut remediations);
    // A stable sort: what a control wants in an order (add before revoke) stays in it.
    changes.sort_by(|a, b| order(a).cmp(&order(b)));
    let account_id = &circumstances.account.account_id;
    let meanings: Vec<String> = changes.iter().map(|change| change.meaning(account_id)).collect();
    let digest = digest(&meanings);
    Plan { changes, remediations, digest, meanings }
}

fn plan_of(
    control: Control,
    failing: &[&Finding],
    snapshots: &Snapshots,
    evidence: &Evidence,
    controls: &Controls,
    circumstances: &Circumstances,
) -> ControlPlan {
    let planned = match control {
        Control::PasswordPolicy => {
            let inputs = (&controls.password_policy, &snapshots.password_policy, &evidence.password_policy);
            let (Some(desired), Some(snapshot), Some(evidence)) = inputs else { return ControlPlan::default() };
            password_policy::plan(desired, failing, snapshot, evidence, circumstances)
        }
        Control::Mfa => {
            let inputs = (&controls.mfa, &snapshots.mfa, &evidence.mfa);
            let (Some(desired), Some(snapshot), Some(evidence)) = inputs else { return ControlPlan::default() };
            mfa::plan(desired, failing, snapshot, evidence, circumstances)
        }
        Control::SecurityGroups => {
            let inputs = (&controls.security_groups, &snapshots.security_groups, &evidence.security_groups);
            let (Some(desired), Some(snapshot), Some(evidence)) = inputs else { return ControlPlan::default() };
            security_groups::plan(desired, failing, snapshot, evidence, circumstances)
        }
        Control::S3Encryption => {
            let inputs = (&controls.s3_encryption, &snapshots.s3_encryption, &evidence.s3_encryption);
            let (Some(desired), Some(snapshot), Some(evidence)) = inputs else { return ControlPlan::default() };
            s3_encryption::plan(desired, failing, snapshot, evidence, circumstances)
        }
    };
    debug_assert!(planned.changes.iter().all(|change| !change.answers.is_empty()), "a change answers something");
    planned
}

/// Names the set: the order in which findings came has no part in it.
fn digest(meanings: &[String]) -> Option<String> {
    let sorted: BTreeSet<&str> = meanings.iter().map(String::as_str).collect();
    (!sorted.is_empty()).then(|| short_hash(sorted))
}

/// Takes out what others undo again and again, and what AWS refused a short time ago.
fn hold_back(
    changes: &mut Vec<Change>,
    remediations: &mut BTreeMap<String, Remediation>,
    circumstances: &Circumstances,
) {
    take_out(changes, remediations, |change| {
        let Circumstances { now, account, baseline, history, .. } = circumstances;
        if let Some(until) = history.contested_until(&change.target(&account.account_id), *now) {
            let message = format!(
                "others have undone what was changed here {CONTESTED_AFTER} times within 14 days: find out who, and \
                 agree or except it; it is left alone until {until}"
            );
            return Some(Remediation::held(HoldReason::Contested, message));
        }
        let refusal = history.refusal(change.action.operation().name(), baseline, *now)?;
        Some(Remediation::held(HoldReason::MissingPermission, refusal.message.clone()))
    });
}

/// Users are denied nothing in the plan that makes passwords expire: whether the two together would lock somebody out
/// is judged by the age that is in force.
fn wait_for_age(changes: &mut Vec<Change>, remediations: &mut BTreeMap<String, Remediation>) {
    let sets_age = changes.iter().any(|change| match &change.action {
        Action::PasswordPolicy(PasswordPolicyChange { before, after }) => {
            let age = |policy: &Option<PasswordPolicy>| policy.as_ref().and_then(|policy| policy.max_password_age);
            age(after).is_some() && age(after) != age(before)
        }
        Action::UserPolicy(_)
        | Action::SecurityGroupRule(_)
        | Action::BucketEncryption(_)
        | Action::BucketPolicy(_) => false,
    });
    take_out(changes, remediations, |change| {
        (sets_age && matches!(change.action, Action::UserPolicy(_))).then(|| {
            let message = "passwords get a maximum age first: whether the user could be locked out is judged once it \
                           is in force";
            Remediation::held(HoldReason::NotRead, message)
        })
    });
}

/// Takes changes out and holds what they answer. Where one of several changes that answer a finding together goes, all
/// of them go, and so on with what those answer: half of a change is none.
fn take_out(
    changes: &mut Vec<Change>,
    remediations: &mut BTreeMap<String, Remediation>,
    why: impl Fn(&Change) -> Option<Remediation>,
) {
    let mut held: BTreeMap<String, Remediation> = BTreeMap::new();
    loop {
        let before = changes.len();
        changes.retain(|change| {
            let shared = change.answers.iter().find_map(|answered| held.get(&answered.id).cloned());
            let Some(why) = why(change).or(shared) else { return true };
            for answered in &change.answers {
                held.entry(answered.id.clone()).or_insert_with(|| why.clone());
            }
            false
        });
        if changes.len() == before {
            break;
        }
    }
    for (id, why) in held {
        remediations.insert(id, why);
    }
}

/// What opens no risk first: encryption and transport, then the password policy, then openings, users last. Within one
/// kind by region and resource.
fn order(change: &Change) -> (u8, &str, &str) {
    let rank = match &change.action {
        Action::BucketEncryption(_) => 0,
        Action::BucketPolicy(_) => 1,
        Action::PasswordPolicy(_) => 2,
        Action::SecurityGroupRule(_) => 3,
        Action::UserPolicy(_) => 4,
    };
    (rank, change.action.region().unwrap_or_default(), &change.resource)
}

#[cfg(test)]
mod tests;
