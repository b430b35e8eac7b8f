//! From the engine's reads to AWS calls, for one account: clients made when first needed, and one deadline. IO.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::Instant;

use super::error::{Failure, classify, deadline_exceeded};
use super::limits::Limits;
use super::operation::{GET_CALLER_IDENTITY, Operation, Service};
use super::report::ReportCache;
use super::session::{self, Session};
use super::transport::{Expected, Once};
use super::{Edge, attempt};
use crate::api::{AvailabilityZone, SecurityGroupRuleValue, Tag};
use crate::baseline::mfa::{
    AccountSummary, Administration, CredentialReport, IamUser, ManagedPolicy, MfaDevice, UserFacts,
};
use crate::baseline::password_policy::PasswordPolicy;
use crate::baseline::s3_encryption::{Bucket, BucketEncryption, KmsKey, ReplicationRule};
use crate::baseline::security_groups::{PrefixList, SecurityGroup, SecurityGroupRule};
use crate::baseline::{AccountIdentity, Cause, CauseClass, Observed};
use crate::engine::cloud::{Cloud, GroupFilter, Region};

/// One account for the length of one evaluation.
pub(super) struct Account {
    pub(super) id: String,
    pub(super) edge: Arc<Edge>,
    pub(super) report: Arc<ReportCache>,
    session: Arc<Session>,
    limits: Arc<Limits>,
    deadline: Instant,
    iam: OnceLock<aws_sdk_iam::Client>,
    ec2: Mutex<HashMap<String, aws_sdk_ec2::Client>>,
    s3: Mutex<HashMap<String, aws_sdk_s3::Client>>,
    kms: Mutex<HashMap<String, aws_sdk_kms::Client>>,
    service_quotas: Mutex<HashMap<String, aws_sdk_servicequotas::Client>>,
}

impl Account {
    pub(super) fn new(
        edge: Arc<Edge>,
        session: Arc<Session>,
        limits: Arc<Limits>,
        report: Arc<ReportCache>,
        id: String,
        deadline: Duration,
    ) -> Self {
        Self {
            id,
            edge,
            report,
            session,
            limits,
            deadline: Instant::now() + deadline,
            iam: OnceLock::new(),
            ec2: Mutex::default(),
            s3: Mutex::default(),
            kms: Mutex::default(),
            service_quotas: Mutex::default(),
        }
    }

    /// The region of the calls that belong to no region.
    pub(super) fn home(&self) -> &str {
        &self.edge.home
    }

    pub(super) fn iam(&self) -> &aws_sdk_iam::Client {
        self.iam.get_or_init(|| self.edge.iam(&self.session, &self.limits))
    }

    pub(super) fn ec2(&self, region: &str) -> aws_sdk_ec2::Client {
        regional(&self.ec2, region, || self.edge.ec2(region, &self.session, &self.limits))
    }

    pub(super) fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        regional(&self.s3, region, || self.edge.s3(region, &self.session, &self.limits))
    }

    pub(super) fn kms(&self, region: &str) -> aws_sdk_kms::Client {
        regional(&self.kms, region, || self.edge.kms(region, &self.session, &self.limits))
    }

    pub(super) fn service_quotas(&self, region: &str) -> aws_sdk_servicequotas::Client {
        regional(&self.service_quotas, region, || self.edge.service_quotas(region, &self.session, &self.limits))
    }

    /// What the client of one attempt of a change is made of.
    pub(super) fn config_of_one_attempt(
        &self,
        service: Service,
        region: &str,
        expected: Expected,
        once: Once,
    ) -> SdkConfig {
        self.edge.config_of_one_attempt(service, region, &self.session, &self.limits, expected, once)
    }

    /// One call with its retries, which races with the account's deadline.
    pub(super) async fn call<T, E>(
        &self,
        operation: Operation,
        region: &str,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let request = attempt::of(operation, &self.id, Box::pin(request));
        let Ok(answer) = tokio::time::timeout_at(self.deadline, request).await else {
            return Err(deadline_exceeded(operation, region).into());
        };
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => {
                let failure = classify(operation, region, &error);
                if failure.cause.class == CauseClass::Credentials {
                    self.session.forget().await;
                }
                Err(failure)
            }
        }
    }

    /// The time that is left.
    pub(super) fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Waits for a lock, but no longer than the deadline.
    pub(super) async fn lock<'a, T>(
        &self,
        operation: Operation,
        lock: &'a tokio::sync::Mutex<T>,
    ) -> Result<tokio::sync::MutexGuard<'a, T>, Cause> {
        let locked = tokio::time::timeout_at(self.deadline, lock.lock()).await;
        locked.map_err(|_| deadline_exceeded(operation, self.home()))
    }
}

fn regional<C: Clone>(clients: &Mutex<HashMap<String, C>>, region: &str, make: impl FnOnce() -> C) -> C {
    let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
    clients.entry(region.to_owned()).or_insert_with(make).clone()
}

#[async_trait]
impl Cloud for Account {
    async fn identity(&self) -> Result<AccountIdentity, Cause> {
        let sts = self.edge.sts(&self.session, &self.limits);
        let answer = self.call(GET_CALLER_IDENTITY, self.home(), sts.get_caller_identity().send()).await?;
        session::identity(answer.account(), answer.arn())
    }

    async fn account_alias(&self) -> Observed<Option<String>> {
        self.read_account_alias().await.into()
    }

    async fn regions(&self) -> Observed<Vec<Region>> {
        self.read_regions().await.into()
    }

    async fn availability_zones(&self, region: &str) -> Observed<Vec<AvailabilityZone>> {
        self.read_availability_zones(region).await.into()
    }

    async fn rules_per_group_quota(&self, region: &str) -> Observed<i64> {
        self.read_rules_per_group_quota(region).await.into()
    }

    async fn password_policy(&self) -> Observed<Option<PasswordPolicy>> {
        self.read_password_policy().await.into()
    }

    async fn account_summary(&self) -> Observed<AccountSummary> {
        self.read_account_summary().await.into()
    }

    async fn credential_report(&self) -> Observed<Arc<CredentialReport>> {
        self.read_credential_report().await.into()
    }

    async fn users(&self) -> Observed<Vec<IamUser>> {
        self.read_users().await.into()
    }

    async fn has_login_profile(&self, user: &str) -> Observed<bool> {
        self.read_login_profile(user).await.into()
    }

    async fn mfa_devices(&self, user: &str) -> Observed<Vec<MfaDevice>> {
        self.read_mfa_devices(user).await.into()
    }

    async fn root_has_virtual_mfa(&self) -> Observed<bool> {
        self.read_root_virtual_mfa().await.into()
    }

    async fn administrators(&self) -> Observed<BTreeSet<String>> {
        self.read_administrators().await.into()
    }

    async fn user_facts(&self, user: &IamUser) -> Observed<Option<UserFacts>> {
        Box::pin(self.read_user_facts(&user.name, &user.arn)).await.into()
    }

    async fn may_change_password(&self, user_arn: &str) -> Observed<bool> {
        self.simulate_password_change(user_arn).await.into()
    }

    async fn managed_policy(&self, arn: &str) -> Observed<Option<ManagedPolicy>> {
        self.read_managed_policy(arn).await.into()
    }

    async fn administration(&self) -> Observed<Administration> {
        self.read_administration().await.into()
    }

    async fn simulate(
        &self,
        user_arn: &str,
        actions: &[&str],
        mfa_present: Option<bool>,
    ) -> Observed<BTreeMap<String, bool>> {
        self.read_simulation(user_arn, actions, mfa_present).await.into()
    }

    async fn rules_of_groups(
        &self,
        region: &str,
        groups: &BTreeSet<String>,
    ) -> Observed<BTreeMap<String, Vec<SecurityGroupRuleValue>>> {
        self.read_rules_of_groups(region, groups).await.into()
    }

    async fn security_group_rules(&self, region: &str) -> Observed<Vec<SecurityGroupRule>> {
        self.read_security_group_rules(region).await.into()
    }

    async fn security_groups(&self, region: &str, filter: GroupFilter) -> Observed<Vec<SecurityGroup>> {
        self.read_security_groups(region, &filter).await.into()
    }

    async fn attached_groups(&self, region: &str, groups: &BTreeSet<String>) -> Observed<BTreeSet<String>> {
        self.read_attached_groups(region, groups).await.into()
    }

    async fn interfaces(
        &self,
        region: &str,
        groups: &BTreeSet<String>,
    ) -> Observed<BTreeMap<String, BTreeSet<String>>> {
        self.read_interfaces(region, groups).await.into()
    }

    async fn prefix_list(&self, region: &str, id: &str) -> Observed<PrefixList> {
        self.read_prefix_list(region, id).await.into()
    }

    async fn buckets(&self) -> Observed<Vec<Bucket>> {
        self.read_buckets().await.into()
    }

    async fn bucket_encryption(&self, bucket: &Bucket) -> Observed<Option<BucketEncryption>> {
        self.read_bucket_encryption(bucket).await.into()
    }

    async fn bucket_policy(&self, bucket: &Bucket) -> Observed<Option<String>> {
        self.read_bucket_policy(bucket).await.into()
    }

    async fn bucket_logging_target(&self, bucket: &Bucket) -> Observed<Option<String>> {
        self.read_bucket_logging_target(bucket).await.into()
    }

    async fn bucket_tags(&self, bucket: &Bucket) -> Observed<Vec<Tag>> {
        self.read_bucket_tags(bucket).await.into()
    }

    async fn bucket_has_website(&self, bucket: &Bucket) -> Observed<bool> {
        self.read_bucket_has_website(bucket).await.into()
    }

    async fn bucket_blocks_public_policy(&self, bucket: &Bucket) -> Observed<bool> {
        self.read_bucket_blocks_public_policy(bucket).await.into()
    }

    async fn bucket_replication(&self, bucket: &Bucket) -> Observed<Vec<ReplicationRule>> {
        self.read_bucket_replication(bucket).await.into()
    }

    async fn kms_key(&self, region: &str, key: &str) -> Observed<Option<KmsKey>> {
        self.read_kms_key(region, key).await.into()
    }
}
