//! The checks: their names, which are part of the API and never change their meaning, and their severities.

use std::fmt;

/// The four controls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Control {
    /// The account's IAM password policy.
    PasswordPolicy,
    /// Multi-factor authentication.
    Mfa,
    /// Security groups.
    SecurityGroups,
    /// Encryption of S3 buckets.
    S3Encryption,
}

/// How bad it is when a check fails, from bad to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the field's own words")]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

/// Everything that is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the documentation: `plumbline checks` prints them with references")]
pub enum Check {
    MinimumPasswordLength,
    RequireUppercaseCharacters,
    RequireLowercaseCharacters,
    RequireNumbers,
    RequireSymbols,
    PasswordReusePrevention,
    MaxPasswordAge,
    AllowUsersToChangePassword,
    RootUserMfa,
    RootUserHardwareMfa,
    RootUserAccessKeys,
    RootUserUnused,
    UserMfa,
    UserPhishingResistantMfa,
    Ingress,
    DefaultSecurityGroup,
    EncryptionAlgorithm,
    KmsKey,
    KmsKeyUsable,
    BucketKey,
    SseCForbidden,
    TlsRequired,
}

impl Control {
    /// All controls, in the order of reports.
    pub const ALL: [Self; 4] = [Self::PasswordPolicy, Self::Mfa, Self::SecurityGroups, Self::S3Encryption];

    /// The name as in the spec.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PasswordPolicy => "passwordPolicy",
            Self::Mfa => "mfa",
            Self::SecurityGroups => "securityGroups",
            Self::S3Encryption => "s3Encryption",
        }
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Severity {
    /// The word as it stands in status and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }

    /// One step less bad.
    #[must_use]
    pub fn lower(self) -> Self {
        match self {
            Self::Critical => Self::High,
            Self::High => Self::Medium,
            Self::Medium | Self::Low => Self::Low,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Check {
    /// All checks, in the order of reports.
    pub const ALL: [Self; 22] = [
        Self::MinimumPasswordLength,
        Self::RequireUppercaseCharacters,
        Self::RequireLowercaseCharacters,
        Self::RequireNumbers,
        Self::RequireSymbols,
        Self::PasswordReusePrevention,
        Self::MaxPasswordAge,
        Self::AllowUsersToChangePassword,
        Self::RootUserMfa,
        Self::RootUserHardwareMfa,
        Self::RootUserAccessKeys,
        Self::RootUserUnused,
        Self::UserMfa,
        Self::UserPhishingResistantMfa,
        Self::Ingress,
        Self::DefaultSecurityGroup,
        Self::EncryptionAlgorithm,
        Self::KmsKey,
        Self::KmsKeyUsable,
        Self::BucketKey,
        Self::SseCForbidden,
        Self::TlsRequired,
    ];

    /// The name as it stands everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MinimumPasswordLength => "MinimumPasswordLength",
            Self::RequireUppercaseCharacters => "RequireUppercaseCharacters",
            Self::RequireLowercaseCharacters => "RequireLowercaseCharacters",
            Self::RequireNumbers => "RequireNumbers",
            Self::RequireSymbols => "RequireSymbols",
            Self::PasswordReusePrevention => "PasswordReusePrevention",
            Self::MaxPasswordAge => "MaxPasswordAge",
            Self::AllowUsersToChangePassword => "AllowUsersToChangePassword",
            Self::RootUserMfa => "RootUserMfa",
            Self::RootUserHardwareMfa => "RootUserHardwareMfa",
            Self::RootUserAccessKeys => "RootUserAccessKeys",
            Self::RootUserUnused => "RootUserUnused",
            Self::UserMfa => "UserMfa",
            Self::UserPhishingResistantMfa => "UserPhishingResistantMfa",
            Self::Ingress => "Ingress",
            Self::DefaultSecurityGroup => "DefaultSecurityGroup",
            Self::EncryptionAlgorithm => "EncryptionAlgorithm",
            Self::KmsKey => "KmsKey",
            Self::KmsKeyUsable => "KmsKeyUsable",
            Self::BucketKey => "BucketKey",
            Self::SseCForbidden => "SseCForbidden",
            Self::TlsRequired => "TlsRequired",
        }
    }

    /// The control that the check belongs to.
    #[must_use]
    pub fn control(self) -> Control {
        match self {
            Self::MinimumPasswordLength
            | Self::RequireUppercaseCharacters
            | Self::RequireLowercaseCharacters
            | Self::RequireNumbers
            | Self::RequireSymbols
            | Self::PasswordReusePrevention
            | Self::MaxPasswordAge
            | Self::AllowUsersToChangePassword => Control::PasswordPolicy,
            Self::RootUserMfa
            | Self::RootUserHardwareMfa
            | Self::RootUserAccessKeys
            | Self::RootUserUnused
            | Self::UserMfa
            | Self::UserPhishingResistantMfa => Control::Mfa,
            Self::Ingress | Self::DefaultSecurityGroup => Control::SecurityGroups,
            Self::EncryptionAlgorithm
            | Self::KmsKey
            | Self::KmsKeyUsable
            | Self::BucketKey
            | Self::SseCForbidden
            | Self::TlsRequired => Control::S3Encryption,
        }
    }

    /// The usual severity; a finding can have another one where the catalogue says so.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::RootUserMfa | Self::RootUserAccessKeys | Self::KmsKeyUsable => Severity::Critical,
            Self::RootUserHardwareMfa
            | Self::RootUserUnused
            | Self::UserMfa
            | Self::Ingress
            | Self::DefaultSecurityGroup => Severity::High,
            Self::MinimumPasswordLength
            | Self::RequireUppercaseCharacters
            | Self::RequireLowercaseCharacters
            | Self::RequireNumbers
            | Self::RequireSymbols
            | Self::UserPhishingResistantMfa
            | Self::EncryptionAlgorithm
            | Self::KmsKey
            | Self::SseCForbidden
            | Self::TlsRequired => Severity::Medium,
            Self::PasswordReusePrevention
            | Self::MaxPasswordAge
            | Self::AllowUsersToChangePassword
            | Self::BucketKey => Severity::Low,
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_check_has_a_name_of_its_own_and_all_holds_them_in_order() {
        let names: BTreeSet<_> = Check::ALL.iter().map(|check| check.as_str()).collect();
        assert_eq!(names.len(), Check::ALL.len());
        assert!(Check::ALL.is_sorted());
    }
}
