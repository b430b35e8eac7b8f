//! What is known of one user from direct reads, and whether such a user may be denied everything without MFA. No IO.

use sha2::{Digest, Sha256};

use crate::baseline::remediation::HoldReason;

/// A user as AWS's API shows it now: nothing here comes from the credential report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one answer of AWS")]
pub struct UserFacts {
    /// The user's ARN.
    pub arn: String,
    /// Whether the user has a console password (`iam:GetLoginProfile`).
    pub has_login_profile: bool,
    /// Whether the password must be changed at the next sign-in (`PasswordResetRequired`).
    pub password_reset_required: bool,
    /// Whether the user has an MFA device of any kind.
    pub has_mfa_device: bool,
    /// Whether an access key is active.
    pub has_active_access_key: bool,
    /// Whether a service-specific credential or a signing certificate is active.
    pub has_other_credential: bool,
    /// The ARNs of the managed policies that are attached to the user.
    pub attached_policies: Vec<String>,
}

/// A managed policy with its default version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedPolicy {
    /// The ARN.
    pub arn: String,
    /// The default version's id, such as `v3`.
    pub version_id: String,
    /// The default version's document, decoded.
    pub document: String,
}

impl ManagedPolicy {
    /// SHA-256 of the document, in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> String {
        Sha256::digest(self.document.as_bytes()).iter().fold(String::with_capacity(64), |mut hash, byte| {
            hash.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or_default()));
            hash
        })
    }
}

impl UserFacts {
    /// Why such a user must not be denied, whatever the spec says; `None` where these facts allow it.
    #[must_use]
    pub fn refusal(&self) -> Option<(HoldReason, String)> {
        let user = self.arn.rsplit('/').next().unwrap_or_default();
        if !self.has_login_profile {
            Some((HoldReason::NoConsolePassword, format!("{user} has no console password")))
        } else if self.has_mfa_device {
            Some((HoldReason::NoConsolePassword, format!("{user} has an MFA device by now")))
        } else if self.has_active_access_key || self.has_other_credential {
            let message = format!("{user} has an active access key or another credential, which a deny would break");
            Some((HoldReason::ActiveCredentials, message))
        } else if self.password_reset_required {
            let message = format!("{user} must change the password first: a deny would lock the user out");
            Some((HoldReason::PasswordMustChange, message))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_told_by_the_hash_of_its_document() {
        let policy = |document: &str| ManagedPolicy {
            arn: "arn:aws:iam::222222222222:policy/RequireMfa".to_owned(),
            version_id: "v1".to_owned(),
            document: document.to_owned(),
        };
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(policy("abc").hash(), known);
        assert_ne!(policy("abd").hash(), known);
    }
}
