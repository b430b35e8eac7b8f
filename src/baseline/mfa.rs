//! The control `mfa`: what is observed of root and of IAM users, and how it is judged and
//! enforced. No IO.
//!
//! Breadth comes from the credential report, which is up to four hours old; truth comes from live reads. The report
//! only ever clears a user: whoever fails by it is read live before a finding says so, and what passes by it carries
//! the report's time. [`users`] says which user is read live, and why not every one.

mod administration;
mod administrators;
pub mod deny_policy;
mod evaluate;
mod facts;
mod plan;
mod root;
mod snapshot;
pub mod users;

pub use administration::{Administration, is_assumable_from_outside};
pub use administrators::{Grants, grants_everything};
pub use evaluate::evaluate;
pub use facts::{ManagedPolicy, UserFacts};
pub use plan::{ENROLMENT, Evidence, UserEvidence, deny_policy_arn, never_a_target, plan};
pub use snapshot::{LiveUser, Needs, Snapshot};

use jiff::Timestamp;

/// What `iam:GetAccountSummary` says of root, live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSummary {
    /// `AccountMFAEnabled`: root has an MFA device of any kind.
    pub root_mfa_enabled: bool,
    /// `AccountPasswordPresent`: root has a password. `None` where AWS did not say.
    pub root_password_present: Option<bool>,
    /// `AccountAccessKeysPresent`
    pub root_access_keys_present: bool,
    /// `AccountSigningCertificatesPresent`
    pub root_signing_certificates_present: bool,
    /// `AttachedPoliciesPerUserQuota`: how many managed policies a user can have. `None` where AWS did not say.
    pub attached_policies_per_user_quota: Option<usize>,
}

/// A column of the credential report that holds a time, or says why it holds none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastUsed {
    /// Used at this time.
    At(Timestamp),
    /// Never used since AWS keeps track: `no_information`, `N/A`.
    Never,
    /// `not_supported`
    NotSupported,
}

/// The column `password_enabled`, which has a third value for root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the values of the column")]
pub enum PasswordEnabled {
    Yes,
    No,
    NotSupported,
}

/// A row of the credential report: a user, or root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRow {
    /// The user's name; `<root_account>` for root.
    pub user: String,
    /// The ARN.
    pub arn: String,
    /// `user_creation_time`: a user deleted and made again under the same name is another user.
    pub created_at: Option<Timestamp>,
    /// `password_enabled`
    pub password_enabled: PasswordEnabled,
    /// `password_last_used`
    pub password_last_used: LastUsed,
    /// `password_last_changed`
    pub password_last_changed: LastUsed,
    /// `mfa_active`
    pub mfa_active: bool,
    /// `access_key_1_active` or `access_key_2_active`
    pub access_key_active: bool,
    /// The later of `access_key_1_last_used_date` and `access_key_2_last_used_date`.
    pub access_key_last_used: LastUsed,
}

/// The credential report: breadth, up to four hours old. Its age is that of the `Observed` that holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialReport {
    /// The row of root, where the report has one.
    pub root: Option<ReportRow>,
    /// The rows of the users, in the report's order.
    pub users: Vec<ReportRow>,
}

/// A user of `iam:ListUsers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IamUser {
    /// The name, unique in the account.
    pub name: String,
    /// The ARN, with the path.
    pub arn: String,
    /// When the user was created.
    pub created_at: Timestamp,
    /// `PasswordLastUsed`: when the user last signed in with a password. `None` where AWS knows of no time.
    pub password_last_used: Option<Timestamp>,
}

/// The kinds of MFA devices, told apart by the serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MfaDevice {
    /// `arn:...:mfa/NAME`
    Virtual,
    /// `arn:...:u2f/...`: a passkey or security key.
    Fido,
    /// A bare serial number.
    HardwareTotp,
    /// `arn:...:sms-mfa/...`
    Sms,
}

impl MfaDevice {
    /// The kind of a device, from its serial number. A hardware TOTP token has a bare number, all others have an ARN.
    ///
    /// An ARN of a kind that is not known here counts as virtual: a device, but none that withstands phishing.
    ///
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_MFADevice.html>
    #[must_use]
    pub fn from_serial(serial: &str) -> Self {
        let resource = serial.strip_prefix("arn:").and_then(|arn| arn.splitn(5, ':').nth(4));
        match resource.map(|resource| resource.split('/').next().unwrap_or_default()) {
            None => Self::HardwareTotp,
            Some("u2f") => Self::Fido,
            Some("sms-mfa") => Self::Sms,
            Some(_) => Self::Virtual,
        }
    }

    /// The kind as a word for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Virtual => "virtual",
            Self::Fido => "FIDO",
            Self::HardwareTotp => "hardware TOTP",
            Self::Sms => "SMS",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mfa_15_a_serial_that_is_no_arn_is_a_hardware_token() {
        for (serial, kind) in [
            ("GAHT12345678", MfaDevice::HardwareTotp),
            ("1234-5678:90", MfaDevice::HardwareTotp),
            ("", MfaDevice::HardwareTotp),
            ("arn:aws:iam::222222222222:mfa/ada", MfaDevice::Virtual),
            ("arn:aws:iam::222222222222:mfa/u2f/ada", MfaDevice::Virtual),
            ("arn:aws:iam::222222222222:mfa/root-account-mfa-device", MfaDevice::Virtual),
            ("arn:aws-us-gov:iam::222222222222:u2f/user/ada/key-ABC", MfaDevice::Fido),
            ("arn:aws:iam::222222222222:sms-mfa/ada", MfaDevice::Sms),
            ("arn:aws:iam::222222222222:something-new/ada", MfaDevice::Virtual),
        ] {
            assert_eq!(MfaDevice::from_serial(serial), kind, "{serial}");
        }
    }
}
