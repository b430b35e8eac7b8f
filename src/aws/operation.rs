//! The operations of AWS's API that Plumbline calls, each with the IAM action that permits it. Data only.

use std::fmt;

use crate::baseline::change::WriteOperation;

#[expect(clippy::enum_variant_names, reason = "Service Quotas is the name of a service of AWS")]
/// The services, each with clients and a rate of its own; changes of EC2 have another one than its reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Service {
    Ec2,
    Ec2Changes,
    Iam,
    Kms,
    S3,
    ServiceQuotas,
    Sts,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    /// As AWS's documentation writes it, with the service: `iam:ListUsers`.
    pub(super) name: &'static str,
    /// The IAM action that permits it, which for S3 is often another word.
    pub(super) action: &'static str,
}

impl Operation {
    const fn new(name: &'static str) -> Self {
        Self { name, action: name }
    }

    /// One that changes an account.
    pub(super) fn of(change: WriteOperation) -> Self {
        Self { name: change.name(), action: change.action() }
    }

    const fn permitted_by(self, action: &'static str) -> Self {
        Self { action, ..self }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

pub(super) const GET_CALLER_IDENTITY: Operation = Operation::new("sts:GetCallerIdentity");
pub(super) const ASSUME_ROLE: Operation = Operation::new("sts:AssumeRole");

pub(super) const GET_ACCOUNT_PASSWORD_POLICY: Operation = Operation::new("iam:GetAccountPasswordPolicy");
pub(super) const GET_ACCOUNT_SUMMARY: Operation = Operation::new("iam:GetAccountSummary");
pub(super) const LIST_ACCOUNT_ALIASES: Operation = Operation::new("iam:ListAccountAliases");
pub(super) const LIST_USERS: Operation = Operation::new("iam:ListUsers");
pub(super) const GET_LOGIN_PROFILE: Operation = Operation::new("iam:GetLoginProfile");
pub(super) const LIST_MFA_DEVICES: Operation = Operation::new("iam:ListMFADevices");
pub(super) const LIST_VIRTUAL_MFA_DEVICES: Operation = Operation::new("iam:ListVirtualMFADevices");
pub(super) const GET_ACCOUNT_AUTHORIZATION_DETAILS: Operation = Operation::new("iam:GetAccountAuthorizationDetails");
pub(super) const SIMULATE_PRINCIPAL_POLICY: Operation = Operation::new("iam:SimulatePrincipalPolicy");
pub(super) const GET_CREDENTIAL_REPORT: Operation = Operation::new("iam:GetCredentialReport");
pub(super) const GENERATE_CREDENTIAL_REPORT: Operation = Operation::new("iam:GenerateCredentialReport");

pub(super) const LIST_ACCESS_KEYS: Operation = Operation::new("iam:ListAccessKeys");
pub(super) const LIST_SERVICE_SPECIFIC_CREDENTIALS: Operation = Operation::new("iam:ListServiceSpecificCredentials");
pub(super) const LIST_SIGNING_CERTIFICATES: Operation = Operation::new("iam:ListSigningCertificates");
pub(super) const LIST_ATTACHED_USER_POLICIES: Operation = Operation::new("iam:ListAttachedUserPolicies");
pub(super) const GET_POLICY: Operation = Operation::new("iam:GetPolicy");
pub(super) const GET_POLICY_VERSION: Operation = Operation::new("iam:GetPolicyVersion");

pub(super) const DESCRIBE_REGIONS: Operation = Operation::new("ec2:DescribeRegions");
pub(super) const DESCRIBE_AVAILABILITY_ZONES: Operation = Operation::new("ec2:DescribeAvailabilityZones");
pub(super) const DESCRIBE_SECURITY_GROUP_RULES: Operation = Operation::new("ec2:DescribeSecurityGroupRules");
pub(super) const DESCRIBE_SECURITY_GROUPS: Operation = Operation::new("ec2:DescribeSecurityGroups");
pub(super) const DESCRIBE_NETWORK_INTERFACES: Operation = Operation::new("ec2:DescribeNetworkInterfaces");
pub(super) const DESCRIBE_MANAGED_PREFIX_LISTS: Operation = Operation::new("ec2:DescribeManagedPrefixLists");
pub(super) const GET_MANAGED_PREFIX_LIST_ENTRIES: Operation = Operation::new("ec2:GetManagedPrefixListEntries");

pub(super) const LIST_BUCKETS: Operation = Operation::new("s3:ListBuckets").permitted_by("s3:ListAllMyBuckets");
pub(super) const GET_BUCKET_ENCRYPTION: Operation =
    Operation::new("s3:GetBucketEncryption").permitted_by("s3:GetEncryptionConfiguration");
pub(super) const GET_BUCKET_POLICY: Operation = Operation::new("s3:GetBucketPolicy");
pub(super) const GET_BUCKET_LOGGING: Operation = Operation::new("s3:GetBucketLogging");
pub(super) const GET_BUCKET_TAGGING: Operation = Operation::new("s3:GetBucketTagging");
pub(super) const GET_BUCKET_WEBSITE: Operation = Operation::new("s3:GetBucketWebsite");
pub(super) const GET_PUBLIC_ACCESS_BLOCK: Operation =
    Operation::new("s3:GetPublicAccessBlock").permitted_by("s3:GetBucketPublicAccessBlock");
pub(super) const GET_BUCKET_REPLICATION: Operation =
    Operation::new("s3:GetBucketReplication").permitted_by("s3:GetReplicationConfiguration");

pub(super) const DESCRIBE_KEY: Operation = Operation::new("kms:DescribeKey");

pub(super) const GET_SERVICE_QUOTA: Operation = Operation::new("servicequotas:GetServiceQuota");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::baseline::permissions::every_read;

    /// The arguments of this file's calls of a function.
    fn texts(function: &str) -> BTreeSet<&'static str> {
        let (code, _) = include_str!("operation.rs").split_once("#[cfg(test)]").unwrap();
        code.split(&format!("{function}(\"")).skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn p12_the_audit_policy_has_the_action_of_every_operation_and_no_other() {
        // To ask who one is needs no permission, and the operator's own identity assumes the role.
        let without_a_right_of_the_role = [GET_CALLER_IDENTITY.name, ASSUME_ROLE.name];
        let of_another_word = [LIST_BUCKETS, GET_BUCKET_ENCRYPTION, GET_PUBLIC_ACCESS_BLOCK, GET_BUCKET_REPLICATION];
        assert_eq!(texts("permitted_by"), of_another_word.map(|operation| operation.action).into());
        let mut called = texts("Operation::new");
        called.retain(|name| !without_a_right_of_the_role.contains(name));
        for operation in of_another_word {
            called.remove(operation.name);
            called.insert(operation.action);
        }
        let allowed: BTreeSet<_> = every_read("aws").into_iter().map(|permission| permission.action).collect();
        assert_eq!(called, allowed);
    }
}
