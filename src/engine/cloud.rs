//! What the engine asks of a cloud: reads alone, one unit each. The audit path holds no more than this.

use std::sync::Arc;

use async_trait::async_trait;
use std::collections::BTreeSet;

use crate::baseline::mfa::{AccountSummary, CredentialReport, IamUser, MfaDevice};
use crate::baseline::password_policy::PasswordPolicy;
use crate::baseline::s3_encryption::{Bucket, BucketEncryption, KmsKey};
use crate::baseline::security_groups::{PrefixList, SecurityGroup, SecurityGroupRule};
use crate::baseline::{AccountIdentity, Cause, Observed};

/// How an account is reached: the declared id, and the role to assume in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The declared account, twelve digits.
    pub account_id: String,
    /// The role's name, with its path if it has one; `None` for the caller's own identity.
    pub role_name: Option<String>,
    /// The external id for the role.
    pub external_id: Option<String>,
    /// The session's name, which CloudTrail shows: at most 64 characters of `[\w+=,.@-]`.
    pub session_name: String,
}

/// A region of `ec2:DescribeRegions`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Region {
    /// The name.
    pub name: String,
    /// Whether it is enabled in the account: `OptInStatus` is not `not-opted-in`.
    pub enabled: bool,
}

/// Where clouds come from.
#[async_trait]
pub trait CloudProvider: Send + Sync {
    /// The account of the target, as yet unverified: nothing was asked of AWS.
    ///
    /// The cloud gives up on all its reads when `deadline` is reached: they answer `DeadlineExceeded`.
    async fn cloud(&self, target: &Target, deadline: std::time::Duration) -> Result<Arc<dyn Cloud>, Cause>;
}

/// Which security groups are described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupFilter {
    /// Those named `default`.
    Default,
    /// Those of these ids; at most 200 are asked for in one call.
    Ids(BTreeSet<String>),
}

/// The reads. Each is paged to the end, retried where that helps, and bounded in time; none changes anything.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// `sts:GetCallerIdentity`: who we are there.
    async fn identity(&self) -> Result<AccountIdentity, Cause>;
    /// `iam:ListAccountAliases`: the alias, if there is one.
    async fn account_alias(&self) -> Observed<Option<String>>;
    /// `ec2:DescribeRegions` with `AllRegions`: every region of the partition, sorted by name.
    async fn regions(&self) -> Observed<Vec<Region>>;

    /// `iam:GetAccountPasswordPolicy`; `None` for `NoSuchEntity`.
    async fn password_policy(&self) -> Observed<Option<PasswordPolicy>>;

    /// `iam:GetAccountSummary`
    async fn account_summary(&self) -> Observed<AccountSummary>;
    /// `iam:GetCredentialReport`, generated if absent or older than four hours; `at` is when AWS made it.
    async fn credential_report(&self) -> Observed<Arc<CredentialReport>>;
    /// `iam:ListUsers`
    async fn users(&self) -> Observed<Vec<IamUser>>;
    /// `iam:GetLoginProfile`: whether the user has a console password.
    async fn has_login_profile(&self, user: &str) -> Observed<bool>;
    /// `iam:ListMFADevices` of a user.
    async fn mfa_devices(&self, user: &str) -> Observed<Vec<MfaDevice>>;
    /// `iam:ListVirtualMFADevices`, assigned ones: whether one of them belongs to root.
    async fn root_has_virtual_mfa(&self) -> Observed<bool>;
    /// `iam:GetAccountAuthorizationDetails`: the names of users that may do everything, by their own policies or by
    /// those of their groups.
    async fn administrators(&self) -> Observed<BTreeSet<String>>;

    /// `ec2:DescribeSecurityGroupRules` of a region.
    async fn security_group_rules(&self, region: &str) -> Observed<Vec<SecurityGroupRule>>;
    /// `ec2:DescribeSecurityGroups` of a region.
    async fn security_groups(&self, region: &str, filter: GroupFilter) -> Observed<Vec<SecurityGroup>>;
    /// `ec2:DescribeNetworkInterfaces`, managed ones too: which of these groups are attached to one.
    async fn attached_groups(&self, region: &str, groups: &BTreeSet<String>) -> Observed<BTreeSet<String>>;
    /// `ec2:DescribeManagedPrefixLists` and `ec2:GetManagedPrefixListEntries`: the entries of a list that AWS owns are
    /// not read.
    async fn prefix_list(&self, region: &str, id: &str) -> Observed<PrefixList>;

    /// `s3:ListBuckets`, with each bucket's region. Directory buckets are not among them.
    async fn buckets(&self) -> Observed<Vec<Bucket>>;
    /// `s3:GetBucketEncryption`; `None` where AWS says that there is no configuration.
    async fn bucket_encryption(&self, bucket: &Bucket) -> Observed<Option<BucketEncryption>>;
    /// `s3:GetBucketPolicy`; `None` where there is none.
    async fn bucket_policy(&self, bucket: &Bucket) -> Observed<Option<String>>;
    /// `s3:GetBucketLogging`: the bucket that the server access logs go to, if any.
    async fn bucket_logging_target(&self, bucket: &Bucket) -> Observed<Option<String>>;
    /// `kms:DescribeKey` by id, ARN or alias, in a region; `None` where there is no such key.
    async fn kms_key(&self, region: &str, key: &str) -> Observed<Option<KmsKey>>;
}
