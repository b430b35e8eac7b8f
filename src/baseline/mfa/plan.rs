//! From failing findings of the control to the changes that answer them, and why the others are held. No IO.
//!
//! The one change is to attach the policy of `denyPolicyName` to a user who fails `UserMfa`. Plumbline enrols nobody.
//! Whoever is not attached to is held for the first of these, in this order, so that a message names what would still
//! stand in the way after everything below it was put right:
//!
//! 1. break-glass users, then users through whom the operator itself comes;
//! 2. the policy cannot be read, or does not exist;
//! 3. the user cannot be read, has no console password, or has a device by now;
//! 4. (`Manual`) the policy is attached already: the user has to enrol, and nothing is to be changed;
//! 5. the policy is unsafe;
//! 6. the grace period;
//! 7. credentials of programs;
//! 8. a password that must be changed, has expired, or could not be changed once it expires;
//! 9. the quota of policies;
//! 10. nothing allows the user to enrol;
//! 11. no administrator could sign in.
//!
//! Nobody is attached to on doubt: each of these asks for what was read, and what was not read holds the change.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use self::steps::Steps;
use super::deny_policy::{self, DenyPolicy};
use super::snapshot::read;
use super::{AccountSummary, Administration, CredentialReport, IamUser, ManagedPolicy, Snapshot, UserFacts};
use crate::api::{MfaControl, UserPolicyChange};
use crate::baseline::account::AccountIdentity;
use crate::baseline::change::Action;
use crate::baseline::check::Check;
use crate::baseline::finding::Finding;
use crate::baseline::observed::{Cause, Observed};
use crate::baseline::password_policy::PasswordPolicy;
use crate::baseline::plan::{Circumstances, ControlPlan};
use crate::baseline::remediation::{HoldReason, Remediation};

#[cfg(test)]
pub(crate) mod lockout;
mod steps;
#[cfg(test)]
mod tests;

/// The actions that a user must be allowed to do to enrol: the deny only denies.
pub const ENROLMENT: [&str; 3] = ["iam:CreateVirtualMFADevice", "iam:EnableMFADevice", "iam:ListMFADevices"];

/// What is read beside the snapshot to plan. A unit is `None` where nothing asks for it; were it asked for after all,
/// it would count as unread.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// The policy of `denyPolicyName`.
    pub deny_policy: Option<Observed<Option<ManagedPolicy>>>,
    /// The account's own password policy: whether passwords expire.
    pub password_policy: Option<Observed<Option<PasswordPolicy>>>,
    /// The credential report: how old passwords are.
    pub report: Option<Observed<Arc<CredentialReport>>>,
    /// How many policies a user can have.
    pub summary: Option<Observed<AccountSummary>>,
    /// Who administers the account.
    pub administration: Option<Observed<Administration>>,
    /// Of administrators who do not fail, by name: whether they have a console password and an MFA device.
    pub administrators: BTreeMap<String, Observed<bool>>,
    /// The failing users, by ARN.
    pub users: BTreeMap<String, UserEvidence>,
}

/// What is read of one failing user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserEvidence {
    /// What decides whether the user may be denied; `None` where there is no such user.
    pub facts: Option<Observed<Option<UserFacts>>>,
    /// Whether the user may do each of [`ENROLMENT`] without MFA.
    pub enrolment: Option<Observed<BTreeMap<String, bool>>>,
}

/// The ARN of the policy that is attached to users without MFA, where the spec names one.
#[must_use]
pub fn deny_policy_arn(desired: &MfaControl, account: &AccountIdentity) -> Option<String> {
    let name = desired.deny_policy_name.as_deref()?;
    Some(account.arn("iam", "", &format!("policy/{name}")))
}

/// Plans the control.
#[must_use]
pub fn plan(
    desired: &MfaControl,
    failing: &[&Finding],
    snapshot: &Snapshot,
    evidence: &Evidence,
    circumstances: &Circumstances,
) -> ControlPlan {
    let mut plan = ControlPlan::default();
    for finding in failing.iter().filter(|finding| finding.subject().check == Check::UserMfa) {
        let arn = finding.subject().resource.as_str();
        let case = Case { desired, arn, snapshot, evidence, circumstances };
        match case.judge() {
            Ok(change) => {
                let what = format!(
                    "attach {} to {}: until an MFA device is used, everything but enrolling one is denied",
                    policy_name(&change.policy_arn),
                    change.user_name
                );
                plan.change(Action::UserPolicy(change), arn, &[finding], &what);
            }
            Err(Remediation::Held { reason, message }) => plan.hold(finding, reason, message),
            Err(Remediation::Manual(message)) => plan.manual(finding, message),
            // A case is attached to, held or left to people.
            Err(Remediation::None | Remediation::Automatic(_)) => {}
        }
    }
    plan
}

/// A user whose ARN the spec or the operator's own identity makes untouchable, before anything is read.
///
/// # Errors
///
/// Why the user is held.
pub fn never_a_target(
    desired: &MfaControl,
    user: &IamUser,
    account: &AccountIdentity,
    is_own: impl Fn(&str) -> bool,
) -> Result<(), Remediation> {
    let names = desired.users.iter().flat_map(|users| users.break_glass_users.iter().flatten());
    // IAM takes names that differ in case alone for the same.
    if names.into_iter().any(|name| name.as_str().eq_ignore_ascii_case(&user.name)) {
        let message = format!("{} is one of breakGlassUsers, which are never denied", user.name);
        return Err(Remediation::held(HoldReason::BreakGlassUser, message));
    }
    if account.caller_arn == user.arn || is_own(&user.arn) {
        let message = format!("the operator itself runs as {}", user.name);
        return Err(Remediation::held(HoldReason::OperatorsOwnUser, message));
    }
    Ok(())
}

/// One failing user.
struct Case<'a> {
    desired: &'a MfaControl,
    arn: &'a str,
    snapshot: &'a Snapshot,
    evidence: &'a Evidence,
    circumstances: &'a Circumstances,
}

impl Case<'_> {
    /// The steps in the order of the module's doc.
    fn judge(&self) -> Result<UserPolicyChange, Remediation> {
        let Circumstances { now, account, own_users, .. } = self.circumstances;
        let Some(policy_arn) = deny_policy_arn(self.desired, account) else {
            let message = "set denyPolicyName, or have the user enrol an MFA device";
            return Err(Remediation::Manual(message.to_owned()));
        };
        let user = self.user()?;
        never_a_target(self.desired, user, account, |arn| own_users.contains(arn))?;
        let policy = self.policy(&policy_arn)?;
        let judged = deny_policy::judge(&policy.document);
        let facts = self.facts(user)?;
        if facts.attached_policies.contains(&policy_arn) {
            return Err(attached(&policy_arn, facts, user, judged.as_ref()));
        }
        let deny = judged.map_err(|gap| {
            let message = format!("{} must not be attached: {gap}", policy_name(&policy_arn));
            Remediation::held(HoldReason::UnsafeDenyPolicy, message)
        })?;
        self.in_grace(user, *now)?;
        if let Some((reason, message)) = facts.refusal() {
            return Err(Remediation::held(reason, message));
        }
        let steps = Steps { evidence: self.evidence, user, now: *now };
        steps.password(deny, policy_name(&policy_arn))?;
        steps.quota(facts)?;
        steps.enrolment()?;
        steps.way_in()?;
        Ok(UserPolicyChange {
            user_name: user.name.clone(),
            policy_version: policy.version_id.clone(),
            policy_hash: policy.hash(),
            policy_arn,
            before: false,
            after: true,
        })
    }

    fn user(&self) -> Result<&IamUser, Remediation> {
        let (users, _) = read(self.snapshot.users.as_ref()).map_err(|cause| not_read("the users", &cause))?;
        let found = users.iter().find(|user| user.arn == self.arn);
        found.ok_or_else(|| Remediation::held(HoldReason::NotRead, "the user is not in the list of users"))
    }

    fn policy(&self, arn: &str) -> Result<&ManagedPolicy, Remediation> {
        let policy = read(self.evidence.deny_policy.as_ref());
        let (policy, _) = policy.map_err(|cause| not_read("the deny policy", &cause))?;
        policy.as_ref().ok_or_else(|| {
            let message = format!("{arn} does not exist: create it, or change denyPolicyName");
            Remediation::held(HoldReason::UnsafeDenyPolicy, message)
        })
    }

    /// The user's facts, where the user is still one who could be denied.
    fn facts(&self, user: &IamUser) -> Result<&UserFacts, Remediation> {
        let read = read(self.evidence.users.get(self.arn).and_then(|user| user.facts.as_ref()));
        let (facts, _) = read.map_err(|cause| not_read("the user", &cause))?;
        let gone =
            || Remediation::held(HoldReason::NoConsolePassword, format!("{} does not exist any more", user.name));
        let facts = facts.as_ref().ok_or_else(gone)?;
        match facts.refusal() {
            Some((HoldReason::NoConsolePassword, why)) => Err(Remediation::held(HoldReason::NoConsolePassword, why)),
            _ => Ok(facts),
        }
    }

    fn in_grace(&self, user: &IamUser, now: Timestamp) -> Result<(), Remediation> {
        let Some(grace) = self.desired.users.as_ref().and_then(|users| users.grace_period.as_ref()) else {
            return Ok(());
        };
        let span = grace.to_duration().and_then(|span| SignedDuration::try_from(span).ok());
        match span.and_then(|span| user.created_at.checked_add(span).ok()) {
            Some(until) if until <= now => Ok(()),
            Some(until) => Err(Remediation::held(HoldReason::GracePeriod, format!("in grace until {until}"))),
            None => Err(Remediation::held(HoldReason::GracePeriod, format!("gracePeriod {grace} cannot be read"))),
        }
    }
}

/// The user is denied already: nothing is to be changed, and what is amiss only people can put right.
fn attached(
    policy_arn: &str,
    facts: &UserFacts,
    user: &IamUser,
    judged: Result<&DenyPolicy, &deny_policy::Gap>,
) -> Remediation {
    let (policy, name) = (policy_name(policy_arn), &user.name);
    Remediation::Manual(match judged {
        Err(gap) => format!("{policy} is attached to {name} and has become unsafe: {gap}; correct it or detach it"),
        Ok(deny) if facts.password_reset_required && !deny.leaves_password_change_open => format!(
            "{policy} is attached and denies {name} the change of password that the next sign-in demands: give {name} \
             a password that need not be changed"
        ),
        Ok(_) => format!("{policy} is attached: {name} signs in and enrols an MFA device"),
    })
}

fn policy_name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or_default()
}

/// Held because something was not read.
fn not_read(what: &str, cause: &Cause) -> Remediation {
    let missing = cause.missing_action.as_ref().filter(|action| !cause.message.contains(action.as_str()));
    let missing = missing.map(|action| format!(" ({action} is missing)")).unwrap_or_default();
    Remediation::held(HoldReason::NotRead, format!("{what} could not be read: {cause}{missing}"))
}
