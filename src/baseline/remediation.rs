//! What is done about a finding that fails: a change, nothing for a reason, or something that only people can do. Data.

use std::fmt;

use super::check::Check;

/// What is done about a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remediation {
    /// Nothing is to be done: it does not fail.
    None,
    /// A change of the plan answers it; what is changed, as a sentence without a period.
    Automatic(String),
    /// Enforcement leaves it alone.
    Held {
        /// One word for programs.
        reason: HoldReason,
        /// Why, and what to do, as a sentence without a period.
        message: String,
    },
    /// No program can or should do it; what people do, as a sentence without a period.
    Manual(String),
}

/// Why enforcement leaves a finding alone. The words are part of the API: status and reports have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldReason {
    /// The mode of the control, or of the baseline, is `Audit`.
    AuditMode,
    /// Something that decides whether the change is safe could not be read; the message names the missing action.
    NotRead,
    /// Others undo what is changed here, three times within 14 days: it is left alone until the first of those three
    /// changes is 14 days old. Nothing else lifts it, neither an edit of the spec nor `requestedAt`: what edits the
    /// spec again and again may be who we would fight. Who takes it out of the spec or excepts it has no failing
    /// finding left.
    Contested,
    /// AWS refused this change a short time ago; the message names the missing action.
    MissingPermission,

    /// A password policy of the account's own would be looser than AWS's default.
    LooserThanDefault,
    /// Passwords would expire at once, more than the spec acknowledges.
    ExpiresPasswords,
    /// Users may not change their own password: an age would strand them.
    UsersCannotChangePassword,
    /// Users whose password would expire are denied everything without MFA, a change of the password too.
    DenyBlocksPasswordChange,

    /// The deny policy does not exist, does not deny, allows something, or locks enrolment.
    UnsafeDenyPolicy,
    /// The user is new.
    GracePeriod,
    /// The user is for emergencies.
    BreakGlassUser,
    /// The operator itself runs as this user.
    OperatorsOwnUser,
    /// The user has credentials for programs, which a deny would break.
    ActiveCredentials,
    /// The user has no console password any more.
    NoConsolePassword,
    /// The user's password has expired or must be changed first: a deny would lock the user out.
    PasswordMustChange,
    /// Nothing allows the user to enrol a device.
    CannotEnrol,
    /// The user has as many managed policies as AWS allows.
    PolicyQuota,
    /// No administrator could sign in afterwards.
    LastAdministrator,

    /// Another controller manages the group or bucket.
    ManagedElsewhere,
    /// To revoke the rule would close what is allowed; `narrow` is off.
    ClosesAllowed,
    /// A default group that the spec does not let be emptied.
    DefaultGroup,

    /// The move to KMS needs `allowKmsMigration`.
    KmsMigration,
    /// No key is named, or the named one cannot be used for the bucket.
    NoUsableKey,
    /// The bucket has another customer-managed key: to replace it can lock readers out or let others in.
    ReplacesKey,
    /// Other accounts or services write to the bucket.
    OtherWriters,
    /// Others read from the bucket, who could not decrypt with the key.
    OtherReaders,
    /// The bucket's policy demands uploads with SSE-S3.
    UploadsDemandSseS3,
    /// An AWS service delivers to the bucket.
    DeliveryBucket,
    /// Objects are replicated from the bucket without KMS settings.
    Replication,
    /// The bucket serves a website, which has no HTTPS.
    Website,
    /// The bucket's policy cannot be rewritten: `NotPrincipal`, a principal that is gone, public under a block.
    PolicyNotWritable,
    /// The bucket's policy would be longer than AWS allows.
    PolicyTooLarge,
}

impl HoldReason {
    /// The word as it stands in status and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuditMode => "AuditMode",
            Self::NotRead => "NotRead",
            Self::Contested => "Contested",
            Self::MissingPermission => "MissingPermission",
            Self::LooserThanDefault => "LooserThanDefault",
            Self::ExpiresPasswords => "ExpiresPasswords",
            Self::UsersCannotChangePassword => "UsersCannotChangePassword",
            Self::DenyBlocksPasswordChange => "DenyBlocksPasswordChange",
            Self::UnsafeDenyPolicy => "UnsafeDenyPolicy",
            Self::GracePeriod => "GracePeriod",
            Self::BreakGlassUser => "BreakGlassUser",
            Self::OperatorsOwnUser => "OperatorsOwnUser",
            Self::ActiveCredentials => "ActiveCredentials",
            Self::NoConsolePassword => "NoConsolePassword",
            Self::PasswordMustChange => "PasswordMustChange",
            Self::CannotEnrol => "CannotEnrol",
            Self::PolicyQuota => "PolicyQuota",
            Self::LastAdministrator => "LastAdministrator",
            Self::ManagedElsewhere => "ManagedElsewhere",
            Self::ClosesAllowed => "ClosesAllowed",
            Self::DefaultGroup => "DefaultGroup",
            Self::KmsMigration => "KmsMigration",
            Self::NoUsableKey => "NoUsableKey",
            Self::ReplacesKey => "ReplacesKey",
            Self::OtherWriters => "OtherWriters",
            Self::OtherReaders => "OtherReaders",
            Self::UploadsDemandSseS3 => "UploadsDemandSseS3",
            Self::DeliveryBucket => "DeliveryBucket",
            Self::Replication => "Replication",
            Self::Website => "Website",
            Self::PolicyNotWritable => "PolicyNotWritable",
            Self::PolicyTooLarge => "PolicyTooLarge",
        }
    }
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Remediation {
    /// Held for a reason.
    #[must_use]
    pub fn held(reason: HoldReason, message: impl Into<String>) -> Self {
        Self::Held { reason, message: message.into() }
    }

    /// The word as it stands in status and reports.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Automatic(_) => "Automatic",
            Self::Held { .. } => "Held",
            Self::Manual(_) => "Manual",
        }
    }

    /// Why it is held.
    #[must_use]
    pub fn reason(&self) -> Option<HoldReason> {
        match self {
            Self::Held { reason, .. } => Some(*reason),
            Self::None | Self::Automatic(_) | Self::Manual(_) => None,
        }
    }

    /// The sentence for people.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Automatic(message) | Self::Held { message, .. } | Self::Manual(message) => Some(message),
        }
    }

    /// What people do about a check that no program answers; `None` for a check that changes can answer.
    #[must_use]
    pub fn manual(check: Check) -> Option<Self> {
        let what = match check {
            Check::RootUserMfa => "sign in as root and register an MFA device: nobody else can",
            Check::RootUserHardwareMfa => "sign in as root and replace the virtual MFA device by a hardware key",
            Check::RootUserAccessKeys => "sign in as root and delete its access keys and certificates",
            Check::RootUserUnused => "find out who used root, and give them a role of their own",
            Check::UserPhishingResistantMfa => "the user registers a passkey or security key",
            Check::KmsKeyUsable => "enable the key, cancel its deletion, or give the bucket another key",
            Check::MinimumPasswordLength
            | Check::RequireUppercaseCharacters
            | Check::RequireLowercaseCharacters
            | Check::RequireNumbers
            | Check::RequireSymbols
            | Check::PasswordReusePrevention
            | Check::MaxPasswordAge
            | Check::AllowUsersToChangePassword
            | Check::UserMfa
            | Check::Ingress
            | Check::DefaultSecurityGroup
            | Check::EncryptionAlgorithm
            | Check::KmsKey
            | Check::BucketKey
            | Check::SseCForbidden
            | Check::TlsRequired => return None,
        };
        Some(Self::Manual(what.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_calls_manual_what_no_change_answers() {
        for check in Check::ALL {
            assert_eq!(check.remediation() == "Manual", Remediation::manual(check).is_some(), "{check}");
        }
    }
}
