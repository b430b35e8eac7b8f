//! The four controls: what is desired of an account, naming no account. Roles, policies and keys are named, so that one
//! text can serve many accounts.

mod security_groups;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::security_groups::{
    AllowedIngress, DefaultGroupEnforcement, PublicThreshold, SecurityGroupScope, SecurityGroupsControl,
};
use super::names::{BaselineDuration, Days, IamUserName, KmsKeyName};
use super::resource::Mode;

/// The desired state of an account. A control that is absent is not judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.passwordPolicy) || has(self.mfa) || has(self.securityGroups) || has(self.s3Encryption)",
     "message": "name at least one control: passwordPolicy, mfa, securityGroups or s3Encryption"},
]))]
pub struct Controls {
    /// The account's IAM password policy. Each field is a floor: what is stricter in the account passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_policy: Option<PasswordPolicyControl>,
    /// Multi-factor authentication of the root user and of IAM users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mfa: Option<MfaControl>,
    /// Which ports security groups may open, and to whom, in every judged region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_groups: Option<SecurityGroupsControl>,
    /// Default encryption of S3 buckets, and TLS on the way to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_encryption: Option<S3Encryption>,
}

/// The desired IAM password policy. An account without a policy of its own is judged by AWS's default policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.acknowledgeExpiringPasswords) || has(self.maxPasswordAge)",
     "message": "acknowledgeExpiringPasswords is consent to a password age: set maxPasswordAge too, or remove it"},
]))]
#[expect(clippy::struct_excessive_bools, reason = "the IAM API's own shape")]
pub struct PasswordPolicyControl {
    /// What is done about this control's drift: `Audit` or `Enforce`. It can only lower the baseline's own mode.
    /// Omitted: the baseline's mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The least number of characters, 6 to 128. AWS's default is 8. Example: `14`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self >= 6 && self <= 128",
         "message": "minimumPasswordLength must be 6 to 128 characters, the range that AWS accepts"},
    ]))]
    pub minimum_password_length: Option<i32>,
    /// True demands at least one uppercase letter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_uppercase_characters: bool,
    /// True demands at least one lowercase letter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_lowercase_characters: bool,
    /// True demands at least one digit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_numbers: bool,
    /// True demands at least one character that is neither letter nor digit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_symbols: bool,
    /// How many earlier passwords may not be used again, at least: 1 to 24. Example: `24`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self >= 1 && self <= 24",
         "message": "passwordReusePrevention must be 1 to 24 passwords, the range that AWS accepts; \
                     to ask for nothing, leave it out"},
    ]))]
    pub password_reuse_prevention: Option<i32>,
    /// The oldest that a password may be, in days, 1 to 1095. A lower age in the account passes. Example: `90`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self >= 1 && self <= 1095",
         "message": "maxPasswordAge must be 1 to 1095 days, the range that AWS accepts; \
                     to ask for nothing, leave it out"},
    ]))]
    pub max_password_age: Option<i32>,
    /// True demands that users may change their own password.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_users_to_change_password: bool,
    /// Consent to a password age that makes this many users' passwords expire at once, at most: 1 to 100000. Omitted:
    /// an age is enforced only where nobody's password would. Example: `12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self >= 1 && self <= 100000",
         "message": "acknowledgeExpiringPasswords must be 1 to 100000, the passwords that may expire at once; to \
                     consent to none, leave it out"},
    ]))]
    pub acknowledge_expiring_passwords: Option<i32>,
}

/// The desired multi-factor authentication.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.denyPolicyName) || has(self.users)",
     "message": "denyPolicyName is what Enforce attaches to users without MFA: set users too, such as users: {}, or \
                 remove denyPolicyName"},
]))]
pub struct MfaControl {
    /// What is done about this control's drift: `Audit` or `Enforce`. It can only lower the baseline's own mode.
    /// Omitted: the baseline's mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What is asked of the account's root user. Plumbline never changes anything about root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_user: Option<RootUser>,
    /// What is asked of IAM users: each user in scope has an MFA device. Omitted: users are not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<UserMfa>,
    /// The managed policy of the account that `Enforce` attaches to users without MFA: it must deny everything but
    /// enrolment while no MFA is present. Its name, with its path where it has one. Omitted: no user is changed.
    /// Example: `PlumblineRequireMfa`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 640), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,128}$')",
         "message": "must be the name of a managed policy of the account, such as PlumblineRequireMfa, with its path \
                     where it has one; no ARN"},
    ]))]
    pub deny_policy_name: Option<String>,
}

/// What is asked of the root user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RootUser {
    /// True demands an MFA device, where root has credentials at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_mfa: bool,
    /// True demands that no virtual MFA device protects root: hardware keys only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_hardware_mfa: bool,
    /// True demands that root has neither access keys nor signing certificates.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forbid_access_keys: bool,
    /// Demands that root's password and access keys were not used for this many days. Example: `90d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_unused_for: Option<Days>,
}

/// What is asked of IAM users.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserMfa {
    /// Which users are judged: `ConsoleUsers` (default) have a console password, `PrivilegedUsers` are administrators,
    /// `AllUsers` is every IAM user.
    #[serde(default)]
    pub scope: UserScope,
    /// True demands a FIDO device (passkey or security key): one-time codes and SMS can be phished.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_phishing_resistant: bool,
    /// How long after a user was created enforcement waits for the user to enrol. Omitted: not at all. Example: `24h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_period: Option<BaselineDuration>,
    /// Users for emergencies: judged as all others, and never changed. Example: `[emergency-1]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub break_glass_users: Option<Vec<IamUserName>>,
}

/// Which IAM users are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum UserScope {
    #[default]
    #[expect(missing_docs, reason = "documented on the field, where `kubectl explain` finds it")]
    ConsoleUsers,
    #[expect(missing_docs, reason = "documented on the field")]
    PrivilegedUsers,
    #[expect(missing_docs, reason = "documented on the field")]
    AllUsers,
}

/// Desired encryption of every bucket of the account in the judged regions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!(has(self.kmsKeys) || (has(self.requireCustomerManagedKey) && self.requireCustomerManagedKey)) || \
              (has(self.minimumAlgorithm) && self.minimumAlgorithm != 'SseS3')",
     "message": "kmsKeys and requireCustomerManagedKey need minimumAlgorithm SseKms or DsseKms: SSE-S3 has no key of \
                 yours"},
    {"rule": "!has(self.allowKmsMigration) || !self.allowKmsMigration || has(self.kmsKeys) || \
              (has(self.requireCustomerManagedKey) && self.requireCustomerManagedKey) || \
              (has(self.minimumAlgorithm) && self.minimumAlgorithm != 'SseS3')",
     "message": "allowKmsMigration needs minimumAlgorithm SseKms or DsseKms: set it, or remove allowKmsMigration"},
]))]
#[expect(clippy::struct_excessive_bools, reason = "independent wishes, each of which may be absent")]
pub struct S3Encryption {
    /// What is done about this control's drift: `Audit` or `Enforce`. It can only lower the baseline's own mode.
    /// Omitted: the baseline's mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The weakest default encryption that passes: `SseS3` (S3's own keys), `SseKms` (KMS) or `DsseKms` (KMS, twice),
    /// from the weakest to the strongest. Omitted: the algorithm is not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_algorithm: Option<Algorithm>,
    /// True demands a customer-managed KMS key: the AWS-managed key `aws/s3` does not pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_customer_managed_key: bool,
    /// The only KMS keys that pass, as aliases or ARNs. Omitted: any customer-managed key, where one is asked for.
    /// Example: `[alias/s3-default]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "set"))]
    pub kms_keys: Option<Vec<KmsKeyName>>,
    /// True demands an S3 Bucket Key where a bucket uses SSE-KMS: it saves calls to KMS.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_bucket_key: bool,
    /// True demands that the bucket refuses SSE-C (keys that the uploader keeps).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forbid_sse_c: bool,
    /// True demands a bucket policy that denies every request without TLS.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_tls: bool,
    /// True lets `Enforce` move a bucket's default encryption from SSE-S3 to KMS. From then on every writer needs
    /// rights on the key, and uploads of those who have none fail.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_kms_migration: bool,
}

/// An encryption algorithm of S3, from the weakest to the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Algorithm {
    #[expect(missing_docs, reason = "documented on the field")]
    SseS3,
    #[expect(missing_docs, reason = "documented on the field")]
    SseKms,
    #[expect(missing_docs, reason = "documented on the field")]
    DsseKms,
}
