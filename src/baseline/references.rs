//! What each check is called elsewhere, who on the customer's side acts on it, and what can be done about it. No IO.
//!
//! Every id is a text: `1.10` is not `1.1`. All checks lie on the customer's side of AWS's shared responsibility model.

use super::check::Check;

/// The ids of a check in other frameworks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// CIS AWS Foundations Benchmark.
    pub cis: CisIds,
    /// Controls of AWS Security Hub.
    pub security_hub: &'static [&'static str],
    /// Managed rules of AWS Config.
    pub config_rules: &'static [&'static str],
    /// Checks of AWS Trusted Advisor.
    pub trusted_advisor: &'static [&'static str],
    /// Where an id holds only for some settings, which.
    pub note: Option<&'static str>,
}

/// The numbers of a recommendation in the versions of the CIS AWS Foundations Benchmark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the versions of the benchmark")]
pub struct CisIds {
    pub v3: &'static [&'static str],
    pub v5: &'static [&'static str],
    pub v6: &'static [&'static str],
    pub v7: &'static [&'static str],
}

/// Who on the customer's side acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// Holds the root user.
    AccountOwner,
    /// Administers IAM: password policy, users.
    IdentityAdministrator,
    /// Answers for security groups.
    NetworkOwner,
    /// Answers for buckets and what they hold.
    DataOwner,
    /// Answers for KMS keys.
    KeyOwner,
    /// Administers the organization: service control policies, central root access.
    OrganizationAdministrator,
}

impl Actor {
    /// The word as it stands in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountOwner => "AccountOwner",
            Self::IdentityAdministrator => "IdentityAdministrator",
            Self::NetworkOwner => "NetworkOwner",
            Self::DataOwner => "DataOwner",
            Self::KeyOwner => "KeyOwner",
            Self::OrganizationAdministrator => "OrganizationAdministrator",
        }
    }
}

impl CisIds {
    const fn new(
        v3: &'static [&'static str],
        v5: &'static [&'static str],
        v6: &'static [&'static str],
        v7: &'static [&'static str],
    ) -> Self {
        Self { v3, v5, v6, v7 }
    }

    /// The versions with their numbers, where the benchmark has the recommendation.
    pub fn by_version(self) -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
        let versions = [("3.0", self.v3), ("5.0", self.v5), ("6.0", self.v6), ("7.0", self.v7)];
        versions.into_iter().filter(|(_, ids)| !ids.is_empty())
    }
}

const NO_CIS: CisIds = CisIds::new(&[], &[], &[], &[]);

const fn references(
    cis: CisIds,
    security_hub: &'static [&'static str],
    config_rules: &'static [&'static str],
    trusted_advisor: &'static [&'static str],
) -> References {
    References { cis, security_hub, config_rules, trusted_advisor, note: None }
}

impl Check {
    /// The ids of the check in other frameworks; empty where they have none.
    #[must_use]
    pub fn references(self) -> References {
        match self {
            Self::MinimumPasswordLength
            | Self::RequireUppercaseCharacters
            | Self::RequireLowercaseCharacters
            | Self::RequireNumbers
            | Self::RequireSymbols
            | Self::PasswordReusePrevention
            | Self::MaxPasswordAge
            | Self::AllowUsersToChangePassword => self.password_references(),
            Self::RootUserMfa
            | Self::RootUserHardwareMfa
            | Self::RootUserAccessKeys
            | Self::RootUserUnused
            | Self::UserMfa
            | Self::UserPhishingResistantMfa => self.mfa_references(),
            Self::Ingress => references(
                CisIds::new(&["5.2", "5.3"], &["5.3", "5.4"], &["6.3", "6.4"], &["6.3", "6.4"]),
                &["EC2.18", "EC2.19"],
                &["vpc-sg-open-only-to-authorized-ports", "restricted-common-ports"],
                &["Security Groups - Specific Ports Unrestricted", "Security Groups - Unrestricted Access"],
            ),
            Self::DefaultSecurityGroup => references(
                CisIds::new(&["5.4"], &["5.5"], &["6.5"], &["6.5"]),
                &["EC2.2"],
                &["vpc-default-security-group-closed"],
                &[],
            ),
            Self::EncryptionAlgorithm | Self::KmsKey => {
                references(NO_CIS, &["S3.17"], &["s3-default-encryption-kms"], &[])
            }
            Self::TlsRequired => references(
                CisIds::new(&["2.1.1"], &["2.1.1"], &["3.1.1"], &["3.1.1"]),
                &["S3.5"],
                &["s3-bucket-ssl-requests-only"],
                &[],
            ),
            Self::KmsKeyUsable | Self::BucketKey | Self::SseCForbidden => References::default(),
        }
    }

    fn password_references(self) -> References {
        const RULE: &[&str] = &["iam-password-policy"];
        const ADVISOR: &[&str] = &["IAM Password Policy"];
        match self {
            Self::MinimumPasswordLength => {
                references(CisIds::new(&["1.8"], &["1.7"], &["2.7"], &["2.8"]), &["IAM.15", "IAM.7"], RULE, ADVISOR)
            }
            Self::PasswordReusePrevention => {
                references(CisIds::new(&["1.9"], &["1.8"], &["2.8"], &["2.9"]), &["IAM.16", "IAM.7"], RULE, ADVISOR)
            }
            Self::RequireUppercaseCharacters => references(NO_CIS, &["IAM.11"], RULE, &[]),
            Self::RequireLowercaseCharacters => references(NO_CIS, &["IAM.12"], RULE, &[]),
            Self::RequireSymbols => references(NO_CIS, &["IAM.13"], RULE, &[]),
            Self::RequireNumbers => references(NO_CIS, &["IAM.14"], RULE, &[]),
            Self::MaxPasswordAge => references(NO_CIS, &["IAM.17"], RULE, &[]),
            _ => References::default(),
        }
    }

    fn mfa_references(self) -> References {
        match self {
            Self::RootUserAccessKeys => references(
                CisIds::new(&["1.4"], &["1.3"], &["2.3"], &["2.4"]),
                &["IAM.4"],
                &["iam-root-access-key-check"],
                &[],
            ),
            Self::RootUserMfa => references(
                CisIds::new(&["1.5"], &["1.4"], &["2.4"], &["2.5"]),
                &["IAM.9"],
                &["root-account-mfa-enabled"],
                &["MFA on Root Account"],
            ),
            Self::RootUserHardwareMfa => references(
                CisIds::new(&["1.6"], &["1.5"], &["2.5"], &["2.6"]),
                &["IAM.6"],
                &["root-account-hardware-mfa-enabled"],
                &[],
            ),
            Self::RootUserUnused => references(CisIds::new(&["1.7"], &["1.6"], &["2.6"], &["2.7"]), &[], &[], &[]),
            Self::UserMfa => References {
                note: Some("IAM.19 and iam-user-mfa-enabled with scope AllUsers"),
                ..references(
                    CisIds::new(&["1.10"], &["1.9"], &["2.9"], &["2.10"]),
                    &["IAM.5", "IAM.19"],
                    &["mfa-enabled-for-iam-console-access", "iam-user-mfa-enabled"],
                    &[],
                )
            },
            _ => References::default(),
        }
    }

    /// Who on the customer's side acts where the check fails.
    #[must_use]
    pub fn actor(self) -> Actor {
        match self {
            Self::RootUserMfa | Self::RootUserHardwareMfa | Self::RootUserAccessKeys | Self::RootUserUnused => {
                Actor::AccountOwner
            }
            Self::MinimumPasswordLength
            | Self::RequireUppercaseCharacters
            | Self::RequireLowercaseCharacters
            | Self::RequireNumbers
            | Self::RequireSymbols
            | Self::PasswordReusePrevention
            | Self::MaxPasswordAge
            | Self::AllowUsersToChangePassword
            | Self::UserMfa
            | Self::UserPhishingResistantMfa => Actor::IdentityAdministrator,
            Self::Ingress | Self::DefaultSecurityGroup => Actor::NetworkOwner,
            Self::EncryptionAlgorithm | Self::KmsKey | Self::BucketKey | Self::SseCForbidden | Self::TlsRequired => {
                Actor::DataOwner
            }
            Self::KmsKeyUsable => Actor::KeyOwner,
        }
    }

    /// What each finding of the check speaks of.
    #[must_use]
    pub fn judged_per(self) -> &'static str {
        match self {
            Self::UserMfa | Self::UserPhishingResistantMfa => "IAM user in scope",
            Self::Ingress => "rule",
            Self::DefaultSecurityGroup => "default group",
            Self::EncryptionAlgorithm
            | Self::KmsKey
            | Self::KmsKeyUsable
            | Self::BucketKey
            | Self::SseCForbidden
            | Self::TlsRequired => "bucket",
            _ => "account",
        }
    }

    /// How a failing finding can be put right: by enforcement, by enforcement only where it is safe, or by hand.
    #[must_use]
    pub fn remediation(self) -> &'static str {
        match self {
            Self::RootUserMfa
            | Self::RootUserHardwareMfa
            | Self::RootUserAccessKeys
            | Self::RootUserUnused
            | Self::UserPhishingResistantMfa
            | Self::KmsKeyUsable => "Manual",
            Self::UserMfa => "Automatic, Held or Manual",
            Self::MaxPasswordAge
            | Self::Ingress
            | Self::DefaultSecurityGroup
            | Self::EncryptionAlgorithm
            | Self::KmsKey
            | Self::SseCForbidden
            | Self::TlsRequired => "Automatic or Held",
            Self::MinimumPasswordLength
            | Self::RequireUppercaseCharacters
            | Self::RequireLowercaseCharacters
            | Self::RequireNumbers
            | Self::RequireSymbols
            | Self::PasswordReusePrevention
            | Self::AllowUsersToChangePassword
            | Self::BucketKey => "Automatic",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_texts_and_keep_their_zeros() {
        let cis = Check::UserMfa.references().cis;
        assert_eq!(
            cis.by_version().collect::<Vec<_>>(),
            [("3.0", &["1.10"][..]), ("5.0", &["1.9"]), ("6.0", &["2.9"]), ("7.0", &["2.10"])]
        );
    }

    #[test]
    fn the_table_says_what_the_frameworks_say() {
        let hub = |check: Check| check.references().security_hub;
        assert_eq!(hub(Check::RequireUppercaseCharacters), ["IAM.11"]);
        assert_eq!(hub(Check::RequireSymbols), ["IAM.13"]);
        assert_eq!(hub(Check::RequireNumbers), ["IAM.14"]);
        assert_eq!(hub(Check::TlsRequired), ["S3.5"]);
        assert_eq!(hub(Check::KmsKey), hub(Check::EncryptionAlgorithm));
        assert_eq!(Check::RootUserAccessKeys.references().cis.v3, ["1.4"]);
        assert_eq!(Check::Ingress.references().cis.v5, ["5.3", "5.4"]);
        assert_eq!(Check::DefaultSecurityGroup.references().config_rules, ["vpc-default-security-group-closed"]);
        assert_eq!(Check::RootUserMfa.references().trusted_advisor, ["MFA on Root Account"]);
    }

    #[test]
    fn every_id_has_the_shape_of_its_framework_and_cis_numbers_come_in_all_versions() {
        for check in Check::ALL {
            let found = check.references();
            let versions = found.cis.by_version().count();
            assert!(versions == 0 || versions == 4, "{check}");
            for id in found.cis.by_version().flat_map(|(_, ids)| ids) {
                assert!(id.split('.').all(|part| part.parse::<u8>().is_ok_and(|number| number > 0)), "{check}: {id}");
            }
            for id in found.security_hub {
                let (service, number) = id.split_once('.').unwrap();
                assert!(["IAM", "EC2", "S3"].contains(&service) && number.parse::<u8>().is_ok(), "{check}: {id}");
            }
            for rule in found.config_rules {
                assert!(rule.bytes().all(|byte| byte.is_ascii_lowercase() || b"-3".contains(&byte)), "{check}: {rule}");
            }
        }
    }

    #[test]
    fn root_is_never_changed_by_a_program() {
        for check in Check::ALL.into_iter().filter(|check| check.as_str().starts_with("RootUser")) {
            assert_eq!((check.remediation(), check.actor()), ("Manual", Actor::AccountOwner), "{check}");
        }
    }
}
