//! From a cloud to the evidence for planning the control. IO through the cloud alone.
//!
//! The fewest calls, and only about buckets that fail: `GetBucketPolicy`, and `GetBucketTagging` where the spec names
//! tags of other owners. Where these leave the bucket to a plan, `GetBucketWebsite` for a TLS statement and
//! `GetPublicAccessBlock` where the policy is public; `GetBucketReplication` where the bucket may move to KMS, and
//! `DescribeKey` once per named key and region of such buckets.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::FutureExt;
use futures::stream::{self, StreamExt};

use crate::api::{OwnerTag, S3Encryption};
use crate::baseline::s3_encryption::{Bucket, BucketEvidence, Evidence, KeyArn, KmsKey, Needs, Snapshot, is_public};
use crate::baseline::{AccountIdentity, Check, Finding, Observed};
use crate::engine::cloud::Cloud;
use crate::engine::observe::CONCURRENCY;

/// Reads what decides whether the changes that would answer these findings are safe.
pub(super) async fn gather(
    desired: &S3Encryption,
    failing: &[&Finding],
    snapshot: &Snapshot,
    account: &AccountIdentity,
    owned_elsewhere: &[OwnerTag],
    cloud: &dyn Cloud,
) -> Evidence {
    let mut checks: BTreeMap<&str, Vec<Check>> = BTreeMap::new();
    for finding in failing {
        checks.entry(&finding.subject().resource).or_default().push(finding.subject().check);
    }
    let Some(buckets) = snapshot.buckets.value() else { return Evidence::default() };
    let mut wanted = Vec::new();
    let mut keys = BTreeSet::new();
    for state in &buckets.judged {
        let Some(failing) = checks.get(account.bucket_arn(&state.bucket.name).as_str()) else { continue };
        let needs = Needs::of(desired, failing, state, buckets, account);
        keys.extend(needs.keys.iter().cloned());
        if needs.policy {
            wanted.push((&state.bucket, needs));
        }
    }
    let asks_for_tags = !owned_elsewhere.is_empty();
    let reads = wanted.into_iter().map(|(bucket, needs)| read_bucket(bucket, needs, asks_for_tags, cloud).boxed());
    let read_keys = keys.into_iter().map(|key| read_key(key, cloud).boxed());
    let (buckets, keys) = futures::join!(
        stream::iter(reads).buffer_unordered(CONCURRENCY).boxed().collect::<BTreeMap<_, _>>(),
        stream::iter(read_keys).buffer_unordered(CONCURRENCY).boxed().collect::<BTreeMap<_, _>>(),
    );
    Evidence { buckets, keys }
}

/// Reads one bucket. Where policy or tags could not be read, nothing is planned for it: the rest is spared.
async fn read_bucket(
    bucket: &Bucket,
    needs: Needs,
    asks_for_tags: bool,
    cloud: &dyn Cloud,
) -> (String, BucketEvidence) {
    let tags = async { if asks_for_tags { Some(cloud.bucket_tags(bucket).await) } else { None } };
    let (policy, tags) = futures::join!(cloud.bucket_policy(bucket), tags);
    let text = policy.value().cloned().flatten();
    let is_read = policy.value().is_some() && tags.as_ref().is_none_or(|tags| tags.value().is_some());
    let mut evidence = BucketEvidence { policy: Some(policy), tags, ..BucketEvidence::default() };
    if !is_read {
        return (bucket.name.clone(), evidence);
    }
    if needs.transport {
        evidence.serves_website = Some(cloud.bucket_has_website(bucket).await);
        if text.is_some_and(|text| is_public(&text)) {
            evidence.blocks_public_policy = Some(cloud.bucket_blocks_public_policy(bucket).await);
        }
    }
    if needs.replication {
        evidence.replication = Some(cloud.bucket_replication(bucket).await);
    }
    (bucket.name.clone(), evidence)
}

async fn read_key(key: KeyArn, cloud: &dyn Cloud) -> (String, Observed<Option<KmsKey>>) {
    let described = cloud.kms_key(&key.region, &key.text).await;
    (key.text, described)
}

#[cfg(test)]
mod tests;
