//! From a cloud to the buckets of the judged regions and what judges them. IO through the cloud alone.
//!
//! The fewest calls: `ListBuckets` in pages; per judged bucket `GetBucketEncryption` where a check needs it, and
//! `GetBucketPolicy` where TLS is asked for, or where the bucket is weaker than the KMS encryption that is asked for:
//! it may receive load balancers' logs, which need SSE-S3. `GetBucketLogging` only of the buckets in a region where
//! such a bucket remains: source and target of server access logs share a region. `DescribeKey` once per key and
//! region, and only where KMS is asked for: aliases first, because an alias's answer is its key's too.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, BoxStream, StreamExt};

use super::{CONCURRENCY, Scope};
use crate::api::S3Encryption;
use crate::baseline::s3_encryption::{
    Bucket, BucketPolicy, BucketState, Buckets, Demand, KeyArn, KeyRef, KmsKey, LogTargets, Snapshot, named_keys,
};
use crate::baseline::{AccountIdentity, Cause, CauseClass, Control, Observed};
use crate::engine::assess::Progress;
use crate::engine::cloud::Cloud;

/// Observes the buckets.
pub(in crate::engine) async fn s3_encryption(
    scope: &Scope,
    desired: &S3Encryption,
    cloud: &dyn Cloud,
    progress: &dyn Progress,
) -> Snapshot {
    let account = scope.account.clone();
    let regions = match scope.regions.read() {
        Ok((regions, _)) => regions,
        Err(cause) => return Snapshot { account, buckets: Observed::Unknown(cause.clone()) },
    };
    let (listed, at) = match cloud.buckets().await {
        Observed::Complete { value, at } => (value, at),
        Observed::Unknown(cause) => return Snapshot { account, buckets: Observed::Unknown(cause) },
    };
    let total = listed.len();
    let inside: Vec<Bucket> = listed.into_iter().filter(|bucket| regions.includes(&bucket.region)).collect();
    let mut buckets = Buckets { elsewhere: total - inside.len(), ..Buckets::default() };
    read_buckets(&mut buckets, inside, desired, &account, cloud, progress).await;
    buckets.log_targets = log_targets(&buckets.judged, Demand(desired), cloud).await;
    if Demand(desired).asks_for_kms() {
        buckets.keys = keys(&buckets.judged, desired, &account, cloud).await;
    }
    Snapshot { account, buckets: Observed::complete(buckets, at) }
}

/// Reads as many at a time as are allowed, in no order; only those under way exist. Boxed, because the compiler cannot
/// see otherwise that what waits for them may move between threads.
fn side_by_side<'a, T: Send + 'a>(reads: impl Iterator<Item = BoxFuture<'a, T>> + Send + 'a) -> BoxStream<'a, T> {
    stream::iter(reads).buffer_unordered(CONCURRENCY).boxed()
}

async fn read_buckets(
    buckets: &mut Buckets,
    inside: Vec<Bucket>,
    desired: &S3Encryption,
    account: &AccountIdentity,
    cloud: &dyn Cloud,
    progress: &dyn Progress,
) {
    let total = inside.len();
    let reads = inside.into_iter().map(|bucket| read_bucket(bucket, desired, account, cloud).boxed());
    let mut states = side_by_side(reads);
    let mut done = 0;
    while let Some(state) = states.next().await {
        done += 1;
        progress.advanced(Control::S3Encryption, done, total);
        match gone(&state) {
            None => buckets.judged.push(state),
            Some(CauseClass::OtherOwner) => buckets.other_owner.push(state.bucket),
            Some(_) => {}
        }
    }
    buckets.judged.sort_by(|one, other| one.bucket.cmp(&other.bucket));
    buckets.other_owner.sort();
}

/// Whether an answer said that the bucket is no bucket of this account any more: deleted, or another account's.
fn gone(state: &BucketState) -> Option<CauseClass> {
    let encryption = state.encryption.as_ref().and_then(|encryption| encryption.read().err());
    let policy = state.policy.as_ref().and_then(|policy| policy.read().err());
    [encryption, policy].into_iter().flatten().map(|cause| cause.class).find(|class| is_gone(*class))
}

fn is_gone(class: CauseClass) -> bool {
    matches!(class, CauseClass::NotFound | CauseClass::OtherOwner)
}

async fn read_bucket(
    bucket: Bucket,
    desired: &S3Encryption,
    account: &AccountIdentity,
    cloud: &dyn Cloud,
) -> BucketState {
    let demand = Demand(desired);
    let encryption = if demand.reads_encryption() { Some(cloud.bucket_encryption(&bucket).await) } else { None };
    let read = encryption.as_ref().and_then(Observed::value);
    let weak = read.is_some_and(|encryption| demand.falls_short_of_kms(encryption.as_ref()));
    let vanished = encryption.as_ref().and_then(|one| one.read().err()).is_some_and(|cause| is_gone(cause.class));
    let policy = if (desired.require_tls || weak) && !vanished {
        Some(judged_policy(cloud.bucket_policy(&bucket).await, &bucket, account))
    } else {
        None
    };
    BucketState { bucket, encryption, policy }
}

/// Keeps of the policy, which may have 20 KB, only what is judged.
fn judged_policy(
    policy: Observed<Option<String>>,
    bucket: &Bucket,
    account: &AccountIdentity,
) -> Observed<Option<BucketPolicy>> {
    let (text, at) = match policy {
        Observed::Complete { value: Some(text), at } => (text, at),
        Observed::Complete { value: None, at } => return Observed::complete(None, at),
        Observed::Unknown(cause) => return Observed::Unknown(cause),
    };
    match BucketPolicy::read(&text, bucket, account) {
        Ok(policy) => Observed::complete(Some(policy), at),
        Err(error) => Observed::Unknown(Cause::new(CauseClass::Malformed, error.to_string())),
    }
}

/// Asks every bucket of the regions where it matters; one that vanished, or is another account's, delivers nothing.
async fn log_targets(judged: &[BucketState], demand: Demand<'_>, cloud: &dyn Cloud) -> BTreeMap<String, LogTargets> {
    let asking = judged.iter().filter(|state| demand.asks_who_logs_to(state));
    let mut regions: BTreeMap<String, LogTargets> =
        asking.map(|state| (state.bucket.region.clone(), LogTargets::default())).collect();
    let sources: Vec<&Bucket> =
        judged.iter().map(|state| &state.bucket).filter(|bucket| regions.contains_key(&bucket.region)).collect();
    let reads = sources.into_iter().map(|bucket| logging(bucket, cloud).boxed());
    let mut answers = side_by_side(reads);
    while let Some((bucket, answer)) = answers.next().await {
        let Some(targets) = regions.get_mut(&bucket.region) else { continue };
        match answer {
            Observed::Complete { value, .. } => targets.names.extend(value),
            Observed::Unknown(cause) if is_gone(cause.class) => {}
            // The first by name is kept, so that the same account gives the same words.
            Observed::Unknown(cause) => {
                if targets.unread.as_ref().is_none_or(|(first, _)| bucket.name < *first) {
                    targets.unread = Some((bucket.name.clone(), cause));
                }
            }
        }
    }
    regions
}

async fn logging<'a>(bucket: &'a Bucket, cloud: &dyn Cloud) -> (&'a Bucket, Observed<Option<String>>) {
    (bucket, cloud.bucket_logging_target(bucket).await)
}

/// Describes the keys of the buckets, and those that the spec names in the regions where buckets have a key.
async fn keys(
    judged: &[BucketState],
    desired: &S3Encryption,
    account: &AccountIdentity,
    cloud: &dyn Cloud,
) -> BTreeMap<String, Observed<Option<KmsKey>>> {
    let mut wanted = BTreeSet::new();
    let mut regions = BTreeSet::new();
    for state in judged {
        let encryption = state.encryption.as_ref().and_then(Observed::value).and_then(Option::as_ref);
        let Some(encryption) = encryption.filter(|encryption| encryption.algorithm.starts_with("aws:kms")) else {
            continue;
        };
        let key = KeyRef::of(encryption.kms_key_id.as_deref(), &state.bucket.region, account);
        if let Some(arn) = key.to_describe(&state.bucket) {
            wanted.insert(arn.clone());
            if matches!(key, KeyRef::Arn(_)) {
                regions.insert(state.bucket.region.as_str());
            }
        }
    }
    // Only an alias has to be resolved: the key of an ARN is that ARN.
    let named = regions.into_iter().flat_map(|region| named_keys(desired, region, account));
    wanted.extend(named.filter(|name| name.is_alias));
    let (aliases, keys): (Vec<KeyArn>, Vec<KeyArn>) = wanted.into_iter().partition(|arn| arn.is_alias);
    let mut described = describe(aliases, cloud).await;
    let behind: Vec<_> =
        described.values().filter_map(|key| Some((key.value()?.as_ref()?.arn.clone(), key.clone()))).collect();
    described.extend(behind);
    let rest = keys.into_iter().filter(|arn| !described.contains_key(&arn.text)).collect();
    described.extend(describe(rest, cloud).await);
    described
}

async fn describe(arns: Vec<KeyArn>, cloud: &dyn Cloud) -> BTreeMap<String, Observed<Option<KmsKey>>> {
    let reads = arns.into_iter().map(|arn| describe_one(arn, cloud).boxed());
    side_by_side(reads).collect().await
}

async fn describe_one(arn: KeyArn, cloud: &dyn Cloud) -> (String, Observed<Option<KmsKey>>) {
    let key = cloud.kms_key(&arn.region, &arn.text).await;
    (arn.text, key)
}

#[cfg(test)]
mod tests;
