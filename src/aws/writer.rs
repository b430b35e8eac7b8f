//! From one change to the one call that makes it, in a session of its own. IO: the only folder that changes an account.
//!
//! A change is sent once: nothing retries, and the transport lets no second attempt through. The session of a change
//! may do that one thing to that one resource and read it back, whatever else the role may do.

mod ec2;
mod iam;
mod s3;
mod scope;

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::account::Account;
use super::error::{Attempt, answer_to_change, deadline_exceeded};
use super::limits::Limits;
use super::operation::{Operation, Service};
use super::session::{Session, assumable_without_external_id};
use super::transport::{Expected, Once};
use super::{Aws, attempt};
use crate::baseline::change::{Action, ResourceState, UserState, WriteOperation};
use crate::baseline::{AccountIdentity, Cause, CauseClass, Observed};
use crate::engine::cloud::{Applied, Cloud, CloudWriter, DryRun, ExternalIdProbe, GroupFilter, Target, WriterProvider};

/// The session of one change.
pub(super) struct Writer {
    /// The reads, by the same session.
    account: Account,
    partition: String,
}

/// One attempt of one operation: what its client is made of, and whether it was sent.
struct OneAttempt {
    operation: WriteOperation,
    region: String,
    config: SdkConfig,
    once: Once,
}

impl Writer {
    async fn open(aws: &Aws, target: &Target, action: &Action) -> Result<Self, Cause> {
        let partition = aws.caller.identity().await?.partition.clone();
        let length = aws.edge.settings.change_session_length;
        // Never a session that reads: it may do more, or less, and others use it.
        let session = if target.role_name.is_some() {
            let policy = scope::session_policy(action, &partition, &target.account_id);
            Session::of_role_within(Arc::clone(&aws.caller), target.clone(), length, policy)
        } else {
            Session::of_chain(aws.edge.config.credentials_provider())
        };
        session.open().await?;
        let limits = aws.limits.get_or_insert_with(&target.account_id, || Limits::new(&target.account_id));
        let (edge, report, id) = (Arc::clone(&aws.edge), Arc::default(), target.account_id.clone());
        Ok(Self { account: Account::new(edge, Arc::new(session), limits, report, id, length), partition })
    }

    fn attempt(&self, operation: WriteOperation, service: Service, region: &str) -> OneAttempt {
        // S3 answers a change with nothing, the other services with a document.
        let expected = if service == Service::S3 { Expected::Nothing } else { Expected::Response };
        let once = Once::default();
        let config = self.account.config_of_one_attempt(service, region, expected, once.clone());
        OneAttempt { operation, region: region.to_owned(), config, once }
    }

    /// Waits for the answer to the one attempt, and says what it means.
    async fn send<T, E>(
        &self,
        once: &OneAttempt,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Attempt
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let OneAttempt { operation, region, once, .. } = once;
        let request = attempt::of(Operation::of(*operation), &self.account.id, Box::pin(request));
        let answer = tokio::time::timeout(self.account.edge.settings.change_timeout, request).await;
        let meaning = match answer {
            Ok(Ok(_)) => Attempt::Made,
            Ok(Err(error)) => answer_to_change(*operation, region, &error),
            Err(_) => Attempt::NotKnown(late(*operation, region)),
        };
        match meaning {
            Attempt::NotKnown(cause) | Attempt::Refused(cause) if !once.is_sent() => Attempt::NotSent(cause),
            meaning => meaning,
        }
    }

    /// Sends the change, or with `dry_run` asks EC2 about it.
    async fn make(&self, action: &Action, dry_run: bool) -> Attempt {
        match action {
            Action::PasswordPolicy(change) => self.write_password_policy(change.after.as_ref()).await,
            Action::UserPolicy(change) => self.write_user_policy(change).await,
            Action::SecurityGroupRule(change) => self.write_rule(action, change, dry_run).await,
            Action::BucketEncryption(change) => self.write_bucket_encryption(change).await,
            Action::BucketPolicy(change) => self.write_bucket_policy(change).await,
        }
    }

    async fn read(&self, action: &Action) -> Result<(ResourceState, jiff::Timestamp), Cause> {
        match action {
            Action::PasswordPolicy(_) => {
                let (policy, at) = self.account.read_password_policy().await?;
                Ok((ResourceState::PasswordPolicy(policy), at))
            }
            Action::UserPolicy(change) => {
                // The path is not known here; the ARN is for messages, which name the user alone.
                let arn = format!("arn:{}:iam::{}:user/{}", self.partition, self.account.id, change.user_name);
                let (facts, at) = Box::pin(self.account.read_user_facts(&change.user_name, &arn)).await?;
                let Some(facts) = facts else { return Ok((ResourceState::Gone, at)) };
                let (policy, _) = self.account.read_managed_policy(&change.policy_arn).await?;
                let attached = facts.attached_policies.contains(&change.policy_arn);
                let policy = policy.map(|policy| (policy.version_id.clone(), policy.hash()));
                Ok((ResourceState::User(Box::new(UserState { attached, policy, facts })), at))
            }
            Action::SecurityGroupRule(change) => self.read_group(&change.region, &change.group_id).await,
            Action::BucketEncryption(change) => {
                let bucket = s3::bucket(&change.bucket, &change.region);
                or_gone(self.account.read_bucket_encryption(&bucket).await, ResourceState::BucketEncryption)
            }
            Action::BucketPolicy(change) => {
                let bucket = s3::bucket(&change.bucket, &change.region);
                or_gone(self.account.read_bucket_policy(&bucket).await, ResourceState::BucketPolicy)
            }
        }
    }

    async fn read_group(&self, region: &str, group: &str) -> Result<(ResourceState, jiff::Timestamp), Cause> {
        let groups = BTreeSet::from([group.to_owned()]);
        let (mut rules, at) = self.account.read_rules_of_groups(region, &groups).await?;
        let rules = rules.remove(group).unwrap_or_default();
        // A list of rules does not tell an empty group from none.
        if rules.is_empty() && self.account.read_security_groups(region, &GroupFilter::Ids(groups)).await?.0.is_empty()
        {
            return Ok((ResourceState::Gone, at));
        }
        Ok((ResourceState::SecurityGroup(rules), at))
    }
}

fn late(operation: WriteOperation, region: &str) -> Cause {
    let Cause { message, .. } = deadline_exceeded(Operation::of(operation), region);
    Cause::new(CauseClass::Unreachable, message.replace("the time for the account", "the time for the change"))
}

/// A bucket that is not there is one of the answers.
fn or_gone<T>(
    read: Result<(T, jiff::Timestamp), Cause>,
    state: impl FnOnce(T) -> ResourceState,
) -> Result<(ResourceState, jiff::Timestamp), Cause> {
    match read {
        Ok((value, at)) => Ok((state(value), at)),
        Err(cause) if cause.class == CauseClass::NotFound => Ok((ResourceState::Gone, super::paging::now())),
        Err(cause) => Err(cause),
    }
}

#[async_trait]
impl CloudWriter for Writer {
    async fn identity(&self) -> Result<AccountIdentity, Cause> {
        self.account.identity().await
    }

    async fn state(&self, action: &Action) -> Observed<ResourceState> {
        self.read(action).await.into()
    }

    async fn dry_run(&self, action: &Action) -> DryRun {
        let operation = action.operation();
        if !operation.has_dry_run() {
            let message = format!("{} cannot be asked about beforehand", operation.name());
            return DryRun::NotKnown(Cause::new(CauseClass::NotAvailable, message));
        }
        match self.make(action, true).await {
            Attempt::Made | Attempt::WouldBeMade(_) => DryRun::Allowed,
            Attempt::Refused(cause) if cause.class != CauseClass::Throttled => DryRun::Refused(cause),
            Attempt::Refused(cause) | Attempt::NotSent(cause) | Attempt::NotKnown(cause) => DryRun::NotKnown(cause),
        }
    }

    async fn apply(&self, action: &Action) -> Applied {
        match self.make(action, false).await {
            Attempt::Made => Applied::Done,
            Attempt::Refused(cause) => Applied::Refused(cause),
            Attempt::NotSent(cause) => Applied::NotSent(cause),
            // Nobody asked it to pretend.
            Attempt::NotKnown(cause) | Attempt::WouldBeMade(cause) => Applied::NotKnown(cause),
        }
    }
}

#[async_trait]
impl WriterProvider for Aws {
    async fn writer(&self, target: &Target, action: &Action) -> Result<Arc<dyn CloudWriter>, Cause> {
        Ok(Arc::new(Writer::open(self, target, action).await?))
    }
}

#[async_trait]
impl ExternalIdProbe for Aws {
    async fn assumable_without(&self, target: &Target) -> Result<bool, Cause> {
        // The caller's own identity is not assumed, with or without anything.
        if target.role_name.is_none() {
            return Ok(false);
        }
        assumable_without_external_id(&self.caller, target).await
    }
}

#[cfg(test)]
pub(super) mod tests;
