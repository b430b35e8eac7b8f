//! The control `mfa`: what is observed of root and of IAM users, and how it is judged. No IO.

mod administrators;

use jiff::Timestamp;

pub use administrators::{Grants, grants_everything};

/// What `iam:GetAccountSummary` says of root, live.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the IAM API's own shape")]
pub struct AccountSummary {
    /// `AccountMFAEnabled`: root has an MFA device of any kind.
    pub root_mfa_enabled: bool,
    /// `AccountPasswordPresent`: root has a password. `None` where AWS did not say.
    pub root_password_present: Option<bool>,
    /// `AccountAccessKeysPresent`
    pub root_access_keys_present: bool,
    /// `AccountSigningCertificatesPresent`
    pub root_signing_certificates_present: bool,
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

/// The column `password_enabled`, which has a third value for root in GovCloud.
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
