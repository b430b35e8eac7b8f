//! From the credential report to whether a maximum age may be set, and whose passwords it would expire at once. No IO,
//! no clock: `now` is an argument.
//!
//! An age acts at once on every older password. Nobody is left who could neither sign in nor change the password.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::plan::{looser_than_default, merged, of_age, without_zeros};
use super::{Evidence, PasswordPolicy, Snapshot};
use crate::api::PasswordPolicyControl;
use crate::baseline::finding::Finding;
use crate::baseline::mfa::{CredentialReport, LastUsed, PasswordEnabled, ReportRow};
use crate::baseline::observed::{Cause, CauseClass, Observed};
use crate::baseline::remediation::HoldReason;

/// How many users a message names.
const NAMED: usize = 5;

type Refusal = (HoldReason, String);

/// What the decision about an age needs to know, asked for step by step: nothing that cannot change it any more.
#[derive(Clone, Copy, Debug)]
pub struct Needs<'a> {
    /// What is asked for.
    pub desired: &'a PasswordPolicyControl,
    /// The findings of the control that fail.
    pub failing: &'a [&'a Finding],
    /// The live policy.
    pub snapshot: &'a Snapshot,
}

impl Needs<'_> {
    /// Whether the credential report is needed: an age is to be set, and nothing holds it already.
    #[must_use]
    pub fn report(&self) -> bool {
        self.meant().is_some_and(|(_, after)| may_change(&after).is_ok())
    }

    /// The ARNs of the users of whom it must be known whether they could change their password.
    #[must_use]
    pub fn users(&self, report: &CredentialReport, now: Timestamp) -> Vec<String> {
        let Some((before, after)) = self.meant() else { return Vec::new() };
        let expiring = expiring(report, before.as_ref(), &after, now);
        match may_change(&after).and_then(|()| may_expire(self.desired, &after, expiring.len())) {
            Ok(()) => expiring.into_iter().map(|row| row.arn.clone()).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// The policy before and after, where it would set an age.
    fn meant(&self) -> Option<(Option<PasswordPolicy>, PasswordPolicy)> {
        let Self { desired, failing, snapshot } = self;
        of_age(failing)?;
        let (live, _) = snapshot.policy.read().ok()?;
        let before = live.as_ref().map(without_zeros);
        let after = merged(desired, failing, before.as_ref());
        looser_than_default(before.as_ref(), &after).is_none().then_some((before, after))
    }
}

/// How many passwords expire at once by the age that is asked for, if it may be set.
pub(super) fn check(
    desired: &PasswordPolicyControl,
    failing: &[&Finding],
    snapshot: &Snapshot,
    evidence: &Evidence,
    now: Timestamp,
) -> Result<usize, Refusal> {
    let Some((before, after)) = (Needs { desired, failing, snapshot }).meant() else { return Ok(0) };
    may_change(&after)?;
    let report = report(evidence)?;
    let expiring = expiring(report, before.as_ref(), &after, now);
    may_expire(desired, &after, expiring.len())?;
    let mut blocked = Vec::new();
    for row in &expiring {
        match evidence.password_changes.get(&row.arn) {
            Some(Observed::Complete { value: true, .. }) => {}
            Some(Observed::Complete { value: false, .. }) => blocked.push(row.user.as_str()),
            // Deleted since the report was made: nobody is left to be stranded.
            Some(Observed::Unknown(cause)) if cause.class == CauseClass::NotFound => {}
            Some(Observed::Unknown(cause)) => {
                return Err(unread(&format!("whether {} could change the password without MFA", row.user), cause));
            }
            None => {
                let message = format!("whether {} could change the password without MFA was not read", row.user);
                return Err((HoldReason::NotRead, message));
            }
        }
    }
    if blocked.is_empty() {
        return Ok(expiring.len());
    }
    let message = format!(
        "{}, whose password would expire at once, could not change it without MFA: a deny leaves iam:ChangePassword \
         and iam:GetAccountPasswordPolicy not open, and expiry and deny together leave no way in",
        names(&blocked)
    );
    Err((HoldReason::DenyBlocksPasswordChange, message))
}

/// An age is never set where users may not change their own password.
fn may_change(after: &PasswordPolicy) -> Result<(), Refusal> {
    if after.allow_users_to_change_password {
        return Ok(());
    }
    let message = "users may not change their own password, so that an age would strand them: ask for \
                   allowUsersToChangePassword too";
    Err((HoldReason::UsersCannotChangePassword, message.to_owned()))
}

/// Nobody's password expires at once without consent to that number; none at all where `HardExpiry` is in force, for
/// then no user can replace an expired one.
fn may_expire(desired: &PasswordPolicyControl, after: &PasswordPolicy, count: usize) -> Result<(), Refusal> {
    let acknowledged = desired.acknowledge_expiring_passwords.and_then(|number| usize::try_from(number).ok());
    if count > 0 && after.hard_expiry {
        let message = format!(
            "the passwords of {count} console users would expire at once, and as the account's policy has HardExpiry \
             they could not replace them"
        );
        Err((HoldReason::UsersCannotChangePassword, message))
    } else if count > acknowledged.unwrap_or_default() {
        let message = format!(
            "the passwords of {count} console users would expire at once: set acknowledgeExpiringPasswords to {count} \
             or more to go on"
        );
        Err((HoldReason::ExpiresPasswords, message))
    } else {
        Ok(())
    }
}

fn report(evidence: &Evidence) -> Result<&CredentialReport, Refusal> {
    match &evidence.report {
        Some(Observed::Complete { value, .. }) => Ok(Arc::as_ref(value)),
        Some(Observed::Unknown(cause)) => Err(unread("whose passwords would expire at once", cause)),
        None => Err((HoldReason::NotRead, "whose passwords would expire at once was not read".to_owned())),
    }
}

fn unread(what: &str, cause: &Cause) -> Refusal {
    let missing = cause.missing_action.as_ref().map_or_else(String::new, |action| format!(" (needs {action})"));
    (HoldReason::NotRead, format!("{what} could not be read{missing}: {cause}"))
}

/// The console users whose password is older than the new age, and was not older than the one before. A password of
/// unknown age counts as too old.
fn expiring<'a>(
    report: &'a CredentialReport,
    before: Option<&PasswordPolicy>,
    after: &PasswordPolicy,
    now: Timestamp,
) -> Vec<&'a ReportRow> {
    let expired = |changed: LastUsed, days: Option<i32>| match (days, changed) {
        (None, _) => false,
        (Some(days), LastUsed::At(changed)) => {
            let age = SignedDuration::from_hours(24 * i64::from(days));
            changed.checked_add(age).is_ok_and(|expires| expires <= now)
        }
        (Some(_), LastUsed::Never | LastUsed::NotSupported) => true,
    };
    let would_expire = |row: &&ReportRow| match row.password_enabled {
        PasswordEnabled::Yes => {
            let by_then = before.and_then(|policy| policy.max_password_age);
            let was_known = matches!(row.password_last_changed, LastUsed::At(_));
            expired(row.password_last_changed, after.max_password_age)
                && !(was_known && expired(row.password_last_changed, by_then))
        }
        PasswordEnabled::No | PasswordEnabled::NotSupported => false,
    };
    report.users.iter().filter(would_expire).collect()
}

fn names(users: &[&str]) -> String {
    let named = users.get(..NAMED).unwrap_or(users).join(", ");
    match users.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
