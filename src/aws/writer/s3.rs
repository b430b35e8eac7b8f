//! The changes of buckets: default encryption and policy. IO, one attempt each.
//!
//! Every call names the account as the bucket's expected owner: a name that was given up can belong to anybody.

use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::types::{
    BlockedEncryptionTypes, EncryptionType, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
};

use super::{OneAttempt, Writer};
use crate::api::{BucketEncryption, BucketEncryptionChange, BucketPolicyChange};
use crate::aws::error::Attempt;
use crate::aws::operation::Service;
use crate::baseline::change::WriteOperation;
use crate::baseline::s3_encryption::Bucket;
use crate::baseline::{Cause, CauseClass};

impl Writer {
    pub(super) async fn write_bucket_encryption(&self, change: &BucketEncryptionChange) -> Attempt {
        let BucketEncryptionChange { bucket, region, after, .. } = change;
        let owner = &self.account.id;
        let Some(after) = after else {
            let attempt = self.attempt(WriteOperation::DeleteBucketEncryption, Service::S3, region);
            let request = client(&attempt).delete_bucket_encryption().bucket(bucket).expected_bucket_owner(owner);
            return self.send(&attempt, request.send()).await;
        };
        let configuration = match configuration(after) {
            Ok(configuration) => configuration,
            Err(error) => return Attempt::NotSent(Cause::new(CauseClass::Refused, error.to_string())),
        };
        let attempt = self.attempt(WriteOperation::PutBucketEncryption, Service::S3, region);
        let request = client(&attempt).put_bucket_encryption().bucket(bucket).expected_bucket_owner(owner);
        self.send(&attempt, request.server_side_encryption_configuration(configuration).send()).await
    }

    pub(super) async fn write_bucket_policy(&self, change: &BucketPolicyChange) -> Attempt {
        let BucketPolicyChange { bucket, region, after, .. } = change;
        let owner = &self.account.id;
        let Some(after) = after else {
            let attempt = self.attempt(WriteOperation::DeleteBucketPolicy, Service::S3, region);
            let request = client(&attempt).delete_bucket_policy().bucket(bucket).expected_bucket_owner(owner);
            return self.send(&attempt, request.send()).await;
        };
        let attempt = self.attempt(WriteOperation::PutBucketPolicy, Service::S3, region);
        let request = client(&attempt).put_bucket_policy().bucket(bucket).expected_bucket_owner(owner);
        self.send(&attempt, request.policy(after).send()).await
    }
}

fn client(attempt: &OneAttempt) -> aws_sdk_s3::Client {
    // An endpoint of one's own has no name per bucket.
    let path_style = attempt.config.endpoint_url().is_some();
    let config = aws_sdk_s3::config::Builder::from(&attempt.config).force_path_style(path_style);
    aws_sdk_s3::Client::from_conf(config.build())
}

/// A bucket as the reads name it.
pub(super) fn bucket(name: &str, region: &str) -> Bucket {
    Bucket { name: name.to_owned(), region: region.to_owned() }
}

/// The write replaces the whole rule, so every part is said, also that nothing is blocked.
fn configuration(after: &BucketEncryption) -> Result<ServerSideEncryptionConfiguration, BuildError> {
    let default = ServerSideEncryptionByDefault::builder()
        .sse_algorithm(ServerSideEncryption::from(after.algorithm.as_str()))
        .set_kms_master_key_id(after.kms_key_id.clone())
        .build()?;
    let mut blocked: Vec<EncryptionType> =
        after.blocked_encryption_types.iter().map(|kind| EncryptionType::from(kind.as_str())).collect();
    if blocked.is_empty() {
        blocked.push(EncryptionType::None);
    }
    let rule = ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(default)
        .bucket_key_enabled(after.bucket_key_enabled)
        .blocked_encryption_types(BlockedEncryptionTypes::builder().set_encryption_type(Some(blocked)).build())
        .build();
    ServerSideEncryptionConfiguration::builder().rules(rule).build()
}
