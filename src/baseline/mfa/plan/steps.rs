//! From what was read of the account and of one user to whether the user could still come in. No IO.

use jiff::{SignedDuration, Timestamp};

use super::{ENROLMENT, Evidence, not_read};
use crate::baseline::mfa::deny_policy::DenyPolicy;
use crate::baseline::mfa::snapshot::read;
use crate::baseline::mfa::users::is_of;
use crate::baseline::mfa::{IamUser, LastUsed, PasswordEnabled, UserFacts};
use crate::baseline::observed::{Cause, CauseClass};
use crate::baseline::quotas::POLICIES_PER_USER_DEFAULT;
use crate::baseline::remediation::{HoldReason, Remediation};

/// One user, and everything that was read.
pub(super) struct Steps<'a> {
    pub(super) evidence: &'a Evidence,
    pub(super) user: &'a IamUser,
    pub(super) now: Timestamp,
}

impl Steps<'_> {
    /// Neither expired now, nor without a way out when it expires before the user enrols.
    pub(super) fn password(&self, deny: DenyPolicy, policy: &str) -> Result<(), Remediation> {
        let own = read(self.evidence.password_policy.as_ref());
        let (own, _) = own.map_err(|cause| not_read("whether passwords expire", &cause))?;
        let age = own.as_ref().and_then(|own| own.max_password_age).filter(|days| *days > 0);
        let Some(days) = age else { return Ok(()) };
        if !deny.leaves_password_change_open {
            let message = format!(
                "passwords of the account expire after {days} days and {policy} does not leave iam:ChangePassword and \
                 iam:GetAccountPasswordPolicy open: whose password expires before enrolling would be locked out"
            );
            return Err(Remediation::held(HoldReason::UnsafeDenyPolicy, message));
        }
        let changed = self.password_changed().map_err(|cause| not_read("the age of the password", &cause))?;
        if self.now.duration_since(changed) >= SignedDuration::from_hours(24 * i64::from(days)) {
            let message = format!(
                "the password of {} has expired: it was changed on {changed}, and expires after {days} days",
                self.user.name
            );
            return Err(Remediation::held(HoldReason::PasswordMustChange, message));
        }
        Ok(())
    }

    /// When the password was changed, or a moment before that: the report may be older than the password.
    fn password_changed(&self) -> Result<Timestamp, Cause> {
        let (report, at) = read(self.evidence.report.as_ref())?;
        let row = report.users.iter().find(|row| row.user == self.user.name && is_of(row, self.user));
        // A password is no older than its user, and one that the report does not know of is younger than the report.
        let Some(row) = row else { return Ok(self.user.created_at) };
        match (row.password_enabled, row.password_last_changed) {
            (PasswordEnabled::Yes, LastUsed::At(changed)) => Ok(changed),
            (PasswordEnabled::No, _) => Ok(at),
            (PasswordEnabled::Yes | PasswordEnabled::NotSupported, _) => {
                let message = "the credential report does not say when it was changed";
                Err(Cause::new(CauseClass::Malformed, message))
            }
        }
    }

    pub(super) fn quota(&self, facts: &UserFacts) -> Result<(), Remediation> {
        let summary = read(self.evidence.summary.as_ref());
        let (summary, _) = summary.map_err(|cause| not_read("how many policies a user can have", &cause))?;
        let quota = summary.attached_policies_per_user_quota.unwrap_or(POLICIES_PER_USER_DEFAULT);
        let count = facts.attached_policies.len();
        if count < quota {
            return Ok(());
        }
        let message = format!(
            "{} has {count} managed policies, and the account's quota is {quota}: detach one, or raise the quota",
            self.user.name
        );
        Err(Remediation::held(HoldReason::PolicyQuota, message))
    }

    pub(super) fn enrolment(&self) -> Result<(), Remediation> {
        let answers = read(self.evidence.users.get(&self.user.arn).and_then(|user| user.enrolment.as_ref()));
        let (answers, _) = answers.map_err(|cause| not_read("whether the user may enrol", &cause))?;
        let denied: Vec<&str> = ENROLMENT.into_iter().filter(|action| answers.get(*action) != Some(&true)).collect();
        if denied.is_empty() {
            return Ok(());
        }
        let message = format!(
            "{} may not enrol: allow {}, on mfa/* and on the user's own user, to whoever enrols",
            self.user.name,
            denied.join(", ")
        );
        Err(Remediation::held(HoldReason::CannotEnrol, message))
    }

    /// Whoever is denied fails, and so has no MFA: nobody of the plan is ever the administrator who is left, however
    /// many are planned together.
    pub(super) fn way_in(&self) -> Result<(), Remediation> {
        let administration = read(self.evidence.administration.as_ref());
        let (administration, _) = administration.map_err(|cause| not_read("who administers the account", &cause))?;
        let others = || self.evidence.administrators.iter().filter(|(name, _)| **name != self.user.name);
        let signs_in = others().any(|(name, with_mfa)| {
            administration.users.contains(name) && with_mfa.read().is_ok_and(|(with_mfa, _)| *with_mfa)
        });
        if signs_in || !administration.roles.is_empty() {
            return Ok(());
        }
        if let Some(cause) = others().find_map(|(_, with_mfa)| with_mfa.read().err()) {
            return Err(not_read("whether another administrator has MFA", cause));
        }
        let message = "no administrator could sign in: let one with a console password enrol an MFA device, or make an \
                       administrator role for federation or another account";
        Err(Remediation::held(HoldReason::LastAdministrator, message))
    }
}
