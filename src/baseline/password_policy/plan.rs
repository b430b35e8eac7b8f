//! From failing findings of the control to the one write that answers them, and why the others are held. No IO.
//!
//! AWS replaces the whole policy at once, so the write is the live policy with the failing fields made stricter and
//! every other one kept. It is never looser than what it replaces, in any field.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::evaluate::AWS_DEFAULT;
use super::{PasswordPolicy, Snapshot, expiry};
use crate::api::{PasswordPolicyChange, PasswordPolicyControl};
use crate::baseline::change::Action;
use crate::baseline::check::Check;
use crate::baseline::finding::Finding;
use crate::baseline::mfa::CredentialReport;
use crate::baseline::observed::Observed;
use crate::baseline::plan::{Circumstances, ControlPlan};
use crate::baseline::remediation::HoldReason;

/// What is read beside the snapshot to plan: only where a maximum age is to be set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// The credential report, which knows how old each password is.
    pub report: Option<Observed<Arc<CredentialReport>>>,
    /// Whether users whose password would expire at once could change it without MFA, by ARN.
    pub password_changes: BTreeMap<String, Observed<bool>>,
}

/// A policy of the account's own takes the place of AWS's default whole, and with it of the rule that no field has: of
/// uppercase and lowercase letters, digits and symbols, three. (Nor does a field have the other rule that AWS tells of
/// its default, that a password is not the account's name or e-mail address.) So many must be demanded singly.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_passwords_account-policy.html>
const CLASSES_OF_DEFAULT: usize = 3;

/// Plans the control.
#[must_use]
pub fn plan(
    desired: &PasswordPolicyControl,
    failing: &[&Finding],
    snapshot: &Snapshot,
    evidence: &Evidence,
    circumstances: &Circumstances,
) -> ControlPlan {
    let mut planned = ControlPlan::default();
    let Ok((live, _)) = snapshot.policy.read() else { return planned };
    let before = live.as_ref().map(without_zeros);
    let mut answered = failing.to_vec();
    if let Some(message) = looser_than_default(before.as_ref(), &merged(desired, &answered, before.as_ref())) {
        for finding in failing {
            planned.hold(finding, HoldReason::LooserThanDefault, message.clone());
        }
        return planned;
    }
    let mut expiring = 0;
    if let Some(age) = of_age(failing) {
        match expiry::check(desired, failing, snapshot, evidence, circumstances.now) {
            Ok(count) => expiring = count,
            Err((reason, message)) => {
                planned.hold(age, reason, message);
                answered.retain(|finding| finding.subject().check != Check::MaxPasswordAge);
            }
        }
    }
    if !answered.is_empty() {
        let after = merged(desired, &answered, before.as_ref());
        let what = what(&answered, before.is_none(), expiring);
        let action = Action::PasswordPolicy(PasswordPolicyChange { before, after: Some(after) });
        planned.change(action, snapshot.account.root_arn(), &answered, &what);
    }
    planned
}

/// The finding that a maximum age would answer.
pub(super) fn of_age<'a>(failing: &[&'a Finding]) -> Option<&'a Finding> {
    failing.iter().copied().find(|finding| finding.subject().check == Check::MaxPasswordAge)
}

/// Why a policy of the account's own would take something away that AWS's default demands.
pub(super) fn looser_than_default(before: Option<&PasswordPolicy>, after: &PasswordPolicy) -> Option<String> {
    let classes = [
        after.require_uppercase_characters,
        after.require_lowercase_characters,
        after.require_numbers,
        after.require_symbols,
    ];
    let demanded = classes.into_iter().filter(|demanded| *demanded).count();
    (before.is_none() && demanded < CLASSES_OF_DEFAULT).then(|| {
        "a password policy of the account's own would drop the rule of AWS's default that a password has three of the \
         four classes of characters: ask for at least three of requireUppercaseCharacters, \
         requireLowercaseCharacters, requireNumbers and requireSymbols"
            .to_owned()
    })
}

/// The live policy, or AWS's default, with what these findings ask for made stricter and everything else kept.
pub(super) fn merged(
    desired: &PasswordPolicyControl,
    answered: &[&Finding],
    live: Option<&PasswordPolicy>,
) -> PasswordPolicy {
    let asked = |check| answered.iter().any(|finding| finding.subject().check == check);
    let number = |check, value: Option<i32>| value.filter(|_| asked(check));
    let live = live.unwrap_or(&AWS_DEFAULT);
    let PasswordPolicy {
        minimum_password_length,
        require_symbols,
        require_numbers,
        require_uppercase_characters,
        require_lowercase_characters,
        allow_users_to_change_password,
        max_password_age,
        password_reuse_prevention,
        hard_expiry,
    } = *live;
    let length = number(Check::MinimumPasswordLength, desired.minimum_password_length);
    let age = number(Check::MaxPasswordAge, desired.max_password_age);
    let reuse = number(Check::PasswordReusePrevention, desired.password_reuse_prevention);
    PasswordPolicy {
        minimum_password_length: minimum_password_length.max(length.unwrap_or_default()),
        require_symbols: require_symbols || asked(Check::RequireSymbols),
        require_numbers: require_numbers || asked(Check::RequireNumbers),
        require_uppercase_characters: require_uppercase_characters || asked(Check::RequireUppercaseCharacters),
        require_lowercase_characters: require_lowercase_characters || asked(Check::RequireLowercaseCharacters),
        allow_users_to_change_password: allow_users_to_change_password || asked(Check::AllowUsersToChangePassword),
        max_password_age: max_password_age.into_iter().chain(age).min(),
        password_reuse_prevention: password_reuse_prevention.max(reuse),
        hard_expiry,
    }
}

/// AWS says 0 for "none" in some answers, and accepts it in no write.
pub(super) fn without_zeros(policy: &PasswordPolicy) -> PasswordPolicy {
    let positive = |number: Option<i32>| number.filter(|number| *number > 0);
    PasswordPolicy {
        max_password_age: positive(policy.max_password_age),
        password_reuse_prevention: positive(policy.password_reuse_prevention),
        ..policy.clone()
    }
}

fn what(answered: &[&Finding], is_first: bool, expiring: usize) -> String {
    let fields: Vec<String> =
        answered.iter().map(|finding| format!("{} becomes {}", finding.subject().field, finding.desired())).collect();
    let first = if is_first { "the account gets a password policy of its own: " } else { "" };
    let passwords = match expiring {
        0 => String::new(),
        1 => "; the password of 1 user expires at once".to_owned(),
        more => format!("; the passwords of {more} users expire at once"),
    };
    format!("{first}{}, everything else stays{passwords}", fields.join(", "))
}

#[cfg(test)]
mod tests;
