//! From S3's answers to buckets and their configuration. IO through the account's clients.
//!
//! Every call for a bucket names the account as its expected owner: a name that was given up can belong to anybody.

use std::error::Error;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_bucket_tagging::GetBucketTaggingOutput;
use aws_sdk_s3::types::{
    BlockedEncryptionTypes, ReplicationRule as SdkReplicationRule, ReplicationRuleStatus, SseKmsEncryptedObjectsStatus,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use jiff::Timestamp;
use serde::de::IgnoredAny;

use super::account::Account;
use super::error::{Failure, FailureKind, malformed};
use super::operation::{
    GET_BUCKET_ENCRYPTION, GET_BUCKET_LOGGING, GET_BUCKET_POLICY, GET_BUCKET_REPLICATION, GET_BUCKET_TAGGING,
    GET_BUCKET_WEBSITE, GET_PUBLIC_ACCESS_BLOCK, LIST_BUCKETS, Operation,
};
use super::paging::{now, pages};
use crate::api::Tag;
use crate::baseline::s3_encryption::{Bucket, BucketEncryption, ReplicationRule};
use crate::baseline::{Cause, CauseClass};

/// The largest page, about 5 MiB. With a limit AWS also says the regions.
const PAGE: i32 = 10_000;

type Read<T> = Result<(T, Timestamp), Cause>;

impl Account {
    pub(super) async fn read_buckets(&self) -> Read<Vec<Bucket>> {
        let s3 = self.s3(self.home());
        let mut buckets = Vec::new();
        let at = pages(
            LIST_BUCKETS,
            |token| {
                let request = s3.list_buckets().max_buckets(PAGE).set_continuation_token(token).send();
                self.call(LIST_BUCKETS, self.home(), request)
            },
            |page| {
                for bucket in page.buckets() {
                    let named = bucket.name().zip(bucket.bucket_region());
                    let (name, region) =
                        named.ok_or_else(|| malformed(LIST_BUCKETS, "a bucket has no name, or no region"))?;
                    buckets.push(Bucket { name: name.to_owned(), region: region.to_owned() });
                }
                Ok(page.continuation_token().map(str::to_owned))
            },
        )
        .await?;
        Ok((buckets, at))
    }

    pub(super) async fn read_bucket_encryption(&self, bucket: &Bucket) -> Read<Option<BucketEncryption>> {
        let s3 = self.s3(&bucket.region);
        let request = s3.get_bucket_encryption().bucket(&bucket.name).expected_bucket_owner(&self.id).send();
        let Some(answer) = self.bucket_call(GET_BUCKET_ENCRYPTION, bucket, request).await? else {
            return Ok((None, now()));
        };
        let rule = answer.server_side_encryption_configuration().and_then(|it| it.rules().first());
        let default = rule.and_then(|rule| rule.apply_server_side_encryption_by_default());
        let (rule, default) = rule
            .zip(default)
            .ok_or_else(|| malformed(GET_BUCKET_ENCRYPTION, format!("{} has no default rule", bucket.name)))?;
        let blocked = rule.blocked_encryption_types().map(BlockedEncryptionTypes::encryption_type).unwrap_or_default();
        let encryption = BucketEncryption {
            algorithm: default.sse_algorithm().as_str().to_owned(),
            kms_key_id: default.kms_master_key_id().filter(|id| !id.is_empty()).map(str::to_owned),
            bucket_key_enabled: rule.bucket_key_enabled().unwrap_or(false),
            blocked_encryption_types: blocked.iter().map(|kind| kind.as_str().to_owned()).collect(),
        };
        Ok((Some(encryption), now()))
    }

    pub(super) async fn read_bucket_policy(&self, bucket: &Bucket) -> Read<Option<String>> {
        let s3 = self.s3(&bucket.region);
        let request = s3.get_bucket_policy().bucket(&bucket.name).expected_bucket_owner(&self.id).send();
        let Some(answer) = self.bucket_call(GET_BUCKET_POLICY, bucket, request).await? else {
            return Ok((None, now()));
        };
        // The answer's body is the policy itself, which the SDK hands on unread: half of it must not go further.
        let policy = answer.policy().unwrap_or_default();
        if serde_json::from_str::<IgnoredAny>(policy).is_err() {
            return Err(malformed(GET_BUCKET_POLICY, format!("the policy of {} is no JSON", bucket.name)));
        }
        Ok((Some(policy.to_owned()), now()))
    }

    pub(super) async fn read_bucket_logging_target(&self, bucket: &Bucket) -> Read<Option<String>> {
        let s3 = self.s3(&bucket.region);
        let request = s3.get_bucket_logging().bucket(&bucket.name).expected_bucket_owner(&self.id).send();
        let answer = self.bucket_call(GET_BUCKET_LOGGING, bucket, request).await?;
        let target = answer.and_then(|answer| answer.logging_enabled().map(|it| it.target_bucket().to_owned()));
        Ok((target.filter(|target| !target.is_empty()), now()))
    }

    pub(super) async fn read_bucket_tags(&self, bucket: &Bucket) -> Read<Vec<Tag>> {
        let s3 = self.s3(&bucket.region);
        let request = s3.get_bucket_tagging().bucket(&bucket.name).expected_bucket_owner(&self.id).send();
        let answer = self.bucket_call(GET_BUCKET_TAGGING, bucket, request).await?;
        let tags = answer.iter().flat_map(GetBucketTaggingOutput::tag_set);
        let tags = tags.map(|tag| Tag { key: tag.key().to_owned(), value: tag.value().to_owned() }).collect();
        Ok((tags, now()))
    }

    pub(super) async fn read_bucket_has_website(&self, bucket: &Bucket) -> Read<bool> {
        let s3 = self.s3(&bucket.region);
        let request = s3.get_bucket_website().bucket(&bucket.name).expected_bucket_owner(&self.id).send();
        let answer = self.bucket_call(GET_BUCKET_WEBSITE, bucket, request).await?;
        Ok((answer.is_some(), now()))
    }

    pub(super) async fn read_bucket_blocks_public_policy(&self, bucket: &Bucket) -> Read<bool> {
        let s3 = self.s3(&bucket.region);
        let request = s3.get_public_access_block().bucket(&bucket.name).expected_bucket_owner(&self.id).send();
        let Some(answer) = self.bucket_call(GET_PUBLIC_ACCESS_BLOCK, bucket, request).await? else {
            return Ok((false, now()));
        };
        let block = answer.public_access_block_configuration();
        let block = block.ok_or_else(|| malformed(GET_PUBLIC_ACCESS_BLOCK, format!("{} has no block", bucket.name)))?;
        Ok((block.block_public_policy().unwrap_or(false), now()))
    }

    pub(super) async fn read_bucket_replication(&self, bucket: &Bucket) -> Read<Vec<ReplicationRule>> {
        let s3 = self.s3(&bucket.region);
        let request = s3.get_bucket_replication().bucket(&bucket.name).expected_bucket_owner(&self.id).send();
        let Some(answer) = self.bucket_call(GET_BUCKET_REPLICATION, bucket, request).await? else {
            return Ok((Vec::new(), now()));
        };
        let configuration = answer.replication_configuration();
        let configuration = configuration
            .ok_or_else(|| malformed(GET_BUCKET_REPLICATION, format!("{} has no configuration", bucket.name)))?;
        Ok((configuration.rules().iter().map(replication_rule).collect(), now()))
    }

    /// A call for a bucket; `None` where AWS says that there is no such configuration.
    ///
    /// S3 refuses a wrong `ExpectedBucketOwner` with the very words of a missing permission (`Access Denied`), but
    /// names the missing action only where account and bucket are of one account. So where it names none, the list of
    /// buckets is asked once more whether the bucket still is the account's.
    async fn bucket_call<T, E>(
        &self,
        operation: Operation,
        bucket: &Bucket,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<Option<T>, Cause>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match self.call(operation, &bucket.region, request).await {
            Err(failure) if failure.kind == FailureKind::BareDenial && self.is_gone(bucket).await => {
                let message = format!("{operation}: the bucket {} now belongs to another account", bucket.name);
                Err(Cause::new(CauseClass::OtherOwner, message))
            }
            answer => Failure::or_absent(answer),
        }
    }

    /// Whether the account is known not to own the bucket any more. A list that cannot be read proves nothing.
    async fn is_gone(&self, bucket: &Bucket) -> bool {
        // The name itself is the first of all names that begin with it.
        let s3 = self.s3(self.home());
        let request = s3.list_buckets().prefix(&bucket.name).max_buckets(PAGE).send();
        let answer = self.call(LIST_BUCKETS, self.home(), request).await;
        answer.is_ok_and(|page| page.buckets().iter().all(|found| found.name() != Some(&bucket.name)))
    }
}

fn replication_rule(rule: &SdkReplicationRule) -> ReplicationRule {
    let kms = rule.source_selection_criteria().and_then(|criteria| criteria.sse_kms_encrypted_objects());
    ReplicationRule {
        id: rule.id().unwrap_or("without an id").to_owned(),
        // A status that is not known may replicate.
        enabled: rule.status() != &ReplicationRuleStatus::Disabled,
        replicates_kms: kms.is_some_and(|objects| objects.status() == &SseKmsEncryptedObjectsStatus::Enabled),
    }
}

#[cfg(test)]
mod tests;
