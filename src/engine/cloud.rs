//! What the engine asks of a cloud: reads, one unit each, by [`Cloud`]; changes, one a session, by [`CloudWriter`].
//! Traits alone. An audit holds no more than the reads.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

use crate::api::{AvailabilityZone, AwsAccountSpec, SecurityGroupRuleValue, Tag};
use crate::baseline::change::{Action, ResourceState};
use crate::baseline::mfa::{
    AccountSummary, Administration, CredentialReport, IamUser, ManagedPolicy, MfaDevice, UserFacts,
};
use crate::baseline::password_policy::PasswordPolicy;
use crate::baseline::s3_encryption::{Bucket, BucketEncryption, KmsKey, ReplicationRule};
#[cfg(doc)]
use crate::baseline::security_groups::INTERFACES_KEPT;
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
    /// The session's name, which `CloudTrail` shows: at most 64 characters of `[\w+=,.@-]`.
    pub session_name: String,
}

impl Target {
    /// The account as its spec says that it is reached, for the baseline of this name.
    #[must_use]
    pub fn new(account: &AwsAccountSpec, baseline: &str) -> Self {
        Self {
            account_id: account.account_id.to_string(),
            role_name: account.audit_role_name.clone(),
            external_id: account.external_id.clone(),
            session_name: session_name(baseline),
        }
    }

    /// The account with its enforce role; `None` where its spec names none.
    #[must_use]
    pub fn to_enforce(account: &AwsAccountSpec, baseline: &str) -> Option<Self> {
        let role_name = Some(account.enforce_role_name.clone()?);
        Some(Self { role_name, ..Self::new(account, baseline) })
    }

    /// The same account, reached by whatever credentials the caller has: no role is assumed.
    #[must_use]
    pub fn as_caller(self) -> Self {
        Self { role_name: None, external_id: None, ..self }
    }
}

/// The most characters that STS takes for a session name.
///
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
const SESSION_NAME_MAX: usize = 64;

/// The name under which a baseline's reads stand in `CloudTrail`: `plumbline-BASELINE`.
///
/// Where that is too long, or holds what STS refuses, it is cut or replaced, and a hash of the whole name keeps two
/// baselines apart.
#[must_use]
pub fn session_name(baseline: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    let whole = format!("plumbline-{baseline}");
    if whole.len() <= SESSION_NAME_MAX && whole.chars().all(allowed) {
        return whole;
    }
    let hash = Sha256::digest(baseline.as_bytes()).iter().take(4).fold(0_u32, |n, byte| n << 8 | u32::from(*byte));
    let hash = format!("{hash:08x}");
    let kept = SESSION_NAME_MAX - hash.len() - 1;
    let name: String = whole.chars().map(|c| if allowed(c) { c } else { '-' }).take(kept).collect();
    format!("{name}-{hash}")
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
    async fn cloud(&self, target: &Target, deadline: Duration) -> Result<Arc<dyn Cloud>, Cause>;
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
    /// `ec2:DescribeAvailabilityZones` of a region: the zones of the type `availability-zone`, sorted by name.
    async fn availability_zones(&self, region: &str) -> Observed<Vec<AvailabilityZone>>;
    /// `servicequotas:GetServiceQuota` of a region: how many rules a security group can have, in one direction and for
    /// one version of IP.
    async fn rules_per_group_quota(&self, region: &str) -> Observed<i64>;

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

    /// `iam:GetLoginProfile`, `iam:ListMFADevices`, `iam:ListAccessKeys`, `iam:ListServiceSpecificCredentials`,
    /// `iam:ListSigningCertificates` and `iam:ListAttachedUserPolicies` of a user, all of them or none; `None` where
    /// there is no such user.
    async fn user_facts(&self, user: &IamUser) -> Observed<Option<UserFacts>>;
    /// `iam:SimulatePrincipalPolicy`: whether nothing keeps the user from changing the own password without MFA, once
    /// the account's password policy lets users change theirs. That permission is granted by no policy of the
    /// user, so that a simulation of the user's own policies alone would miss it.
    async fn may_change_password(&self, user_arn: &str) -> Observed<bool>;
    /// `iam:GetPolicy` and `iam:GetPolicyVersion` of the default version; `None` where there is no such policy.
    async fn managed_policy(&self, arn: &str) -> Observed<Option<ManagedPolicy>>;
    /// `iam:GetAccountAuthorizationDetails`, roles too: the users that may do everything, and the roles that may and
    /// that people from outside the account can assume.
    async fn administration(&self) -> Observed<Administration>;
    /// `iam:SimulatePrincipalPolicy`: which of these actions the user may do on what is the user's own, with
    /// `aws:MultiFactorAuthPresent` as given; `None` leaves the key out, as calls with long-term keys do. Every action
    /// that was asked about has an answer.
    async fn simulate(
        &self,
        user_arn: &str,
        actions: &[&str],
        mfa_present: Option<bool>,
    ) -> Observed<BTreeMap<String, bool>>;

    /// `ec2:DescribeSecurityGroupRules` of a region.
    async fn security_group_rules(&self, region: &str) -> Observed<Vec<SecurityGroupRule>>;
    /// `ec2:DescribeSecurityGroupRules` of some groups of a region, whole, in both directions, by group.
    async fn rules_of_groups(
        &self,
        region: &str,
        groups: &BTreeSet<String>,
    ) -> Observed<BTreeMap<String, Vec<SecurityGroupRuleValue>>>;
    /// `ec2:DescribeSecurityGroups` of a region.
    async fn security_groups(&self, region: &str, filter: GroupFilter) -> Observed<Vec<SecurityGroup>>;
    /// `ec2:DescribeNetworkInterfaces`, managed ones too: which of these groups are attached to one.
    async fn attached_groups(&self, region: &str, groups: &BTreeSet<String>) -> Observed<BTreeSet<String>>;
    /// The same, and which interfaces: the first [`INTERFACES_KEPT`] by id. A group that is attached to none has no
    /// entry.
    async fn interfaces(&self, region: &str, groups: &BTreeSet<String>)
    -> Observed<BTreeMap<String, BTreeSet<String>>>;
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
    /// `s3:GetBucketTagging`: none where it has no tags.
    async fn bucket_tags(&self, bucket: &Bucket) -> Observed<Vec<Tag>>;
    /// `s3:GetBucketWebsite`: whether the bucket serves a website.
    async fn bucket_has_website(&self, bucket: &Bucket) -> Observed<bool>;
    /// `s3:GetPublicAccessBlock` of the bucket alone: its `BlockPublicPolicy`, false where it has no such block.
    async fn bucket_blocks_public_policy(&self, bucket: &Bucket) -> Observed<bool>;
    /// `s3:GetBucketReplication`: the rules, none where objects are not replicated.
    async fn bucket_replication(&self, bucket: &Bucket) -> Observed<Vec<ReplicationRule>>;
    /// `kms:DescribeKey` by id, ARN or alias, in a region; `None` where there is no such key.
    async fn kms_key(&self, region: &str, key: &str) -> Observed<Option<KmsKey>>;
}

/// The longest that [`CloudWriter::apply`] takes, waiting for its turn included: then it says itself whether the call
/// was sent. The enforcement waits a little longer for that, and asks nobody who does not lead for as long.
pub const CHANGE_TIMEOUT: Duration = Duration::from_secs(9);

/// What AWS said to a call that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was made, or everything is as if it had been: the rule that is to go is gone already.
    Done,
    /// AWS refused it: nothing was changed.
    Refused(Cause),
    /// It was never sent: nothing was changed.
    NotSent(Cause),
    /// It was sent and its answer is not known: it may have been made.
    NotKnown(Cause),
}

/// What EC2 said to the question whether it would allow a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DryRun {
    /// It would.
    Allowed,
    /// It would not.
    Refused(Cause),
    /// It did not say.
    NotKnown(Cause),
}

/// The one change for which a session was opened: 900 seconds, one action on one resource, the reads that verify it.
///
/// Exists only where the three switches of enforcement are on, and in `plumbline undo` with the caller's credentials.
#[async_trait]
pub trait CloudWriter: Send + Sync {
    /// `sts:GetCallerIdentity` of this very session.
    async fn identity(&self) -> Result<AccountIdentity, Cause>;
    /// What AWS shows of the one thing that the action changes, read directly.
    async fn state(&self, action: &Action) -> Observed<ResourceState>;
    /// Asks EC2 beforehand; only for operations that have it.
    async fn dry_run(&self, action: &Action) -> DryRun;
    /// Makes the change, with one attempt.
    async fn apply(&self, action: &Action) -> Applied;
}

/// Where sessions for changes come from.
#[async_trait]
pub trait WriterProvider: Send + Sync {
    /// Opens the session for one change. The target names the account's enforce role, or none for the caller's own
    /// credentials.
    async fn writer(&self, target: &Target, action: &Action) -> Result<Arc<dyn CloudWriter>, Cause>;
}

/// Whether roles ask for their external ids: the check that AWS wants vendors to make.
#[async_trait]
pub trait ExternalIdProbe: Send + Sync {
    /// Whether the target's role can be assumed without the external id. A refusal is the good answer; it is also the
    /// answer for a role that cannot be assumed at all, which this check does not tell apart.
    async fn assumable_without(&self, target: &Target) -> Result<bool, Cause>;
}

/// Everything that the operator asks of a cloud.
pub trait Provider: CloudProvider + WriterProvider + ExternalIdProbe {}

impl<T: CloudProvider + WriterProvider + ExternalIdProbe> Provider for T {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_after_its_baseline() {
        assert_eq!(session_name("payments-prod.eu"), "plumbline-payments-prod.eu");
        assert_eq!(session_name(&"a".repeat(54)), format!("plumbline-{}", "a".repeat(54)));
    }

    #[test]
    fn a_long_or_strange_session_name_is_one_that_sts_takes_and_stays_unique() {
        let (one, two) = (session_name(&format!("{}x", "a".repeat(60))), session_name(&format!("{}y", "a".repeat(60))));
        assert_eq!((one.len(), two.len()), (64, 64));
        assert_ne!(one, two);
        assert!(one.starts_with("plumbline-aaaa"), "{one}");
        let strange = session_name("büro/1");
        assert!(strange.starts_with("plumbline-b-ro-1-"), "{strange}");
        assert_ne!(strange, session_name("b-ro-1"));
    }

    #[test]
    fn a_target_is_what_the_spec_says_and_as_caller_assumes_nothing() {
        let spec = AwsAccountSpec {
            account_id: "222222222222".into(),
            audit_role_name: Some("PlumblineAudit".to_owned()),
            external_id: Some("0f6c9a".to_owned()),
            ..AwsAccountSpec::default()
        };
        let target = Target::new(&spec, "prod");
        assert_eq!(target.role_name.as_deref(), Some("PlumblineAudit"));
        assert_eq!(target.external_id.as_deref(), Some("0f6c9a"));
        let caller = target.as_caller();
        assert_eq!((caller.role_name, caller.external_id), (None, None));
        assert_eq!((caller.account_id.as_str(), caller.session_name.as_str()), ("222222222222", "plumbline-prod"));
    }
}
