//! A cloud for tests: answers from fields that the test fills in, and records which reads were asked of it.
//!
//! A unit that a test did not fill in is `Unknown`, never empty: a test that forgot it cannot pass by accident.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;

use super::cloud::{Cloud, GroupFilter, Region};
use crate::api::{AvailabilityZone, SecurityGroupRuleValue, Tag};
use crate::baseline::mfa::{
    AccountSummary, Administration, CredentialReport, IamUser, ManagedPolicy, MfaDevice, UserFacts,
};
use crate::baseline::password_policy::PasswordPolicy;
use crate::baseline::s3_encryption::{Bucket, BucketEncryption, KmsKey, ReplicationRule};
use crate::baseline::security_groups::{PrefixList, SecurityGroup, SecurityGroupRule};
use crate::baseline::{AccountIdentity, Cause, CauseClass, Observed};

/// The moment at which the fake observes everything: 2026-11-01T00:00:00Z.
pub(crate) fn at() -> Timestamp {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

/// A unit that was read.
pub(crate) fn seen<T>(value: T) -> Observed<T> {
    Observed::complete(value, at())
}

/// A unit that could not be read.
pub(crate) fn denied<T>(action: &str) -> Observed<T> {
    Observed::Unknown(Cause {
        missing_action: Some(action.to_owned()),
        ..Cause::new(CauseClass::AccessDenied, format!("{action} is denied"))
    })
}

/// The account of all fakes.
pub(crate) fn account() -> AccountIdentity {
    let caller = "arn:aws:sts::222222222222:assumed-role/PlumblineAudit/plumbline";
    AccountIdentity::from_caller("222222222222", caller).unwrap()
}

/// Fields are the answers; keys are user names, `region`, `region/id` or bucket names.
#[derive(Default)]
pub(crate) struct FakeCloud {
    pub(crate) identity: Option<AccountIdentity>,
    pub(crate) regions: Option<Observed<Vec<Region>>>,
    pub(crate) zones: BTreeMap<String, Observed<Vec<AvailabilityZone>>>,
    pub(crate) rules_per_group_quotas: BTreeMap<String, Observed<i64>>,
    pub(crate) password_policy: Option<Observed<Option<PasswordPolicy>>>,
    pub(crate) account_summary: Option<Observed<AccountSummary>>,
    pub(crate) credential_report: Option<Observed<CredentialReport>>,
    pub(crate) users: Option<Observed<Vec<IamUser>>>,
    pub(crate) login_profiles: BTreeMap<String, Observed<bool>>,
    pub(crate) mfa_devices: BTreeMap<String, Observed<Vec<MfaDevice>>>,
    pub(crate) root_has_virtual_mfa: Option<Observed<bool>>,
    pub(crate) administrators: Option<Observed<BTreeSet<String>>>,
    pub(crate) user_facts: BTreeMap<String, Observed<Option<UserFacts>>>,
    /// By ARN.
    pub(crate) password_changes: BTreeMap<String, Observed<bool>>,
    pub(crate) managed_policies: BTreeMap<String, Observed<Option<ManagedPolicy>>>,
    pub(crate) administration: Option<Observed<Administration>>,
    /// By the user's ARN: what the user may do, whether MFA is present or not.
    pub(crate) simulations: BTreeMap<String, Observed<BTreeMap<String, bool>>>,
    /// By region, then by group.
    pub(crate) group_rules: BTreeMap<String, Observed<BTreeMap<String, Vec<SecurityGroupRuleValue>>>>,
    pub(crate) rules: BTreeMap<String, Observed<Vec<SecurityGroupRule>>>,
    pub(crate) groups: BTreeMap<String, Observed<Vec<SecurityGroup>>>,
    pub(crate) attached: BTreeMap<String, Observed<BTreeSet<String>>>,
    /// By region, then by group.
    pub(crate) interfaces: BTreeMap<String, Observed<BTreeMap<String, BTreeSet<String>>>>,
    pub(crate) prefix_lists: BTreeMap<String, Observed<PrefixList>>,
    pub(crate) buckets: Option<Observed<Vec<Bucket>>>,
    pub(crate) encryption: BTreeMap<String, Observed<Option<BucketEncryption>>>,
    pub(crate) policies: BTreeMap<String, Observed<Option<String>>>,
    pub(crate) logging: BTreeMap<String, Observed<Option<String>>>,
    pub(crate) tags: BTreeMap<String, Observed<Vec<Tag>>>,
    pub(crate) websites: BTreeMap<String, Observed<bool>>,
    pub(crate) public_policy_blocks: BTreeMap<String, Observed<bool>>,
    pub(crate) replication: BTreeMap<String, Observed<Vec<ReplicationRule>>>,
    pub(crate) keys: BTreeMap<String, Observed<Option<KmsKey>>>,
    pub(crate) calls: Mutex<Vec<String>>,
}

fn answer<T: Clone>(filled: Option<&Observed<T>>) -> Observed<T> {
    filled.cloned().unwrap_or_else(|| {
        Observed::Unknown(Cause::new(CauseClass::Malformed, "the test did not say what this read answers"))
    })
}

impl FakeCloud {
    /// The reads that were asked for, in order: `Operation` or `Operation argument`.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn log(&self, call: impl Into<String>) {
        self.calls.lock().unwrap().push(call.into());
    }
}

#[async_trait]
impl Cloud for FakeCloud {
    async fn identity(&self) -> Result<AccountIdentity, Cause> {
        self.log("GetCallerIdentity");
        self.identity.clone().ok_or_else(|| Cause::new(CauseClass::Credentials, "no credentials"))
    }

    async fn account_alias(&self) -> Observed<Option<String>> {
        self.log("ListAccountAliases");
        seen(None)
    }

    async fn regions(&self) -> Observed<Vec<Region>> {
        self.log("DescribeRegions");
        answer(self.regions.as_ref())
    }

    async fn availability_zones(&self, region: &str) -> Observed<Vec<AvailabilityZone>> {
        self.log(format!("DescribeAvailabilityZones {region}"));
        answer(self.zones.get(region))
    }

    async fn rules_per_group_quota(&self, region: &str) -> Observed<i64> {
        self.log(format!("GetServiceQuota {region}"));
        answer(self.rules_per_group_quotas.get(region))
    }

    async fn password_policy(&self) -> Observed<Option<PasswordPolicy>> {
        self.log("GetAccountPasswordPolicy");
        answer(self.password_policy.as_ref())
    }

    async fn account_summary(&self) -> Observed<AccountSummary> {
        self.log("GetAccountSummary");
        answer(self.account_summary.as_ref())
    }

    async fn credential_report(&self) -> Observed<Arc<CredentialReport>> {
        self.log("GetCredentialReport");
        answer(self.credential_report.as_ref()).map(Arc::new)
    }

    async fn users(&self) -> Observed<Vec<IamUser>> {
        self.log("ListUsers");
        answer(self.users.as_ref())
    }

    async fn has_login_profile(&self, user: &str) -> Observed<bool> {
        self.log(format!("GetLoginProfile {user}"));
        answer(self.login_profiles.get(user))
    }

    async fn mfa_devices(&self, user: &str) -> Observed<Vec<MfaDevice>> {
        self.log(format!("ListMFADevices {user}"));
        answer(self.mfa_devices.get(user))
    }

    async fn root_has_virtual_mfa(&self) -> Observed<bool> {
        self.log("ListVirtualMFADevices");
        answer(self.root_has_virtual_mfa.as_ref())
    }

    async fn administrators(&self) -> Observed<BTreeSet<String>> {
        self.log("GetAccountAuthorizationDetails");
        answer(self.administrators.as_ref())
    }

    async fn user_facts(&self, user: &IamUser) -> Observed<Option<UserFacts>> {
        self.log(format!("UserFacts {}", user.name));
        answer(self.user_facts.get(&user.name))
    }

    async fn may_change_password(&self, user_arn: &str) -> Observed<bool> {
        self.log(format!("SimulatePrincipalPolicy {user_arn}"));
        answer(self.password_changes.get(user_arn))
    }

    async fn managed_policy(&self, arn: &str) -> Observed<Option<ManagedPolicy>> {
        self.log(format!("GetPolicy {arn}"));
        answer(self.managed_policies.get(arn))
    }

    async fn administration(&self) -> Observed<Administration> {
        self.log("GetAccountAuthorizationDetails with roles");
        answer(self.administration.as_ref())
    }

    async fn simulate(
        &self,
        user_arn: &str,
        actions: &[&str],
        mfa_present: Option<bool>,
    ) -> Observed<BTreeMap<String, bool>> {
        self.log(format!("SimulatePrincipalPolicy {user_arn} {mfa_present:?}"));
        let asked = |(action, _): &(String, bool)| actions.contains(&action.as_str());
        answer(self.simulations.get(user_arn)).map(|answers| answers.into_iter().filter(asked).collect())
    }

    async fn rules_of_groups(
        &self,
        region: &str,
        groups: &BTreeSet<String>,
    ) -> Observed<BTreeMap<String, Vec<SecurityGroupRuleValue>>> {
        self.log(format!("DescribeSecurityGroupRules {region} {groups:?}"));
        answer(self.group_rules.get(region))
            .map(|rules| rules.into_iter().filter(|(group, _)| groups.contains(group)).collect::<BTreeMap<_, _>>())
    }

    async fn security_group_rules(&self, region: &str) -> Observed<Vec<SecurityGroupRule>> {
        self.log(format!("DescribeSecurityGroupRules {region}"));
        answer(self.rules.get(region))
    }

    async fn security_groups(&self, region: &str, filter: GroupFilter) -> Observed<Vec<SecurityGroup>> {
        self.log(format!("DescribeSecurityGroups {region} {filter:?}"));
        answer(self.groups.get(region)).map(|groups| {
            let wanted = |group: &SecurityGroup| match &filter {
                GroupFilter::Default => group.name == "default",
                GroupFilter::Ids(ids) => ids.contains(&group.id),
            };
            groups.into_iter().filter(wanted).collect()
        })
    }

    async fn attached_groups(&self, region: &str, groups: &BTreeSet<String>) -> Observed<BTreeSet<String>> {
        self.log(format!("DescribeNetworkInterfaces {region}"));
        answer(self.attached.get(region)).map(|attached| attached.intersection(groups).cloned().collect())
    }

    async fn interfaces(
        &self,
        region: &str,
        groups: &BTreeSet<String>,
    ) -> Observed<BTreeMap<String, BTreeSet<String>>> {
        self.log(format!("DescribeNetworkInterfaces {region} {groups:?}"));
        answer(self.interfaces.get(region))
            .map(|attached| attached.into_iter().filter(|(group, _)| groups.contains(group)).collect())
    }

    async fn prefix_list(&self, region: &str, id: &str) -> Observed<PrefixList> {
        self.log(format!("GetManagedPrefixListEntries {region}/{id}"));
        answer(self.prefix_lists.get(&format!("{region}/{id}")))
    }

    async fn buckets(&self) -> Observed<Vec<Bucket>> {
        self.log("ListBuckets");
        answer(self.buckets.as_ref())
    }

    async fn bucket_encryption(&self, bucket: &Bucket) -> Observed<Option<BucketEncryption>> {
        self.log(format!("GetBucketEncryption {}", bucket.name));
        answer(self.encryption.get(&bucket.name))
    }

    async fn bucket_policy(&self, bucket: &Bucket) -> Observed<Option<String>> {
        self.log(format!("GetBucketPolicy {}", bucket.name));
        answer(self.policies.get(&bucket.name))
    }

    async fn bucket_logging_target(&self, bucket: &Bucket) -> Observed<Option<String>> {
        self.log(format!("GetBucketLogging {}", bucket.name));
        answer(self.logging.get(&bucket.name))
    }

    async fn bucket_tags(&self, bucket: &Bucket) -> Observed<Vec<Tag>> {
        self.log(format!("GetBucketTagging {}", bucket.name));
        answer(self.tags.get(&bucket.name))
    }

    async fn bucket_has_website(&self, bucket: &Bucket) -> Observed<bool> {
        self.log(format!("GetBucketWebsite {}", bucket.name));
        answer(self.websites.get(&bucket.name))
    }

    async fn bucket_blocks_public_policy(&self, bucket: &Bucket) -> Observed<bool> {
        self.log(format!("GetPublicAccessBlock {}", bucket.name));
        answer(self.public_policy_blocks.get(&bucket.name))
    }

    async fn bucket_replication(&self, bucket: &Bucket) -> Observed<Vec<ReplicationRule>> {
        self.log(format!("GetBucketReplication {}", bucket.name));
        answer(self.replication.get(&bucket.name))
    }

    async fn kms_key(&self, region: &str, key: &str) -> Observed<Option<KmsKey>> {
        self.log(format!("DescribeKey {region}/{key}"));
        answer(self.keys.get(&format!("{region}/{key}")))
    }
}
