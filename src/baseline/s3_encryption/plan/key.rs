//! From the named keys to the one that a bucket moves to. No IO.

use super::super::demand::algorithm;
use super::super::keys::{Judged, KeyArn, KeyRef, named_keys, works};
use super::super::{Bucket, BucketState, Buckets, KeyManager, KmsKey};
use super::{Case, Hold};
use crate::api::{Algorithm, S3Encryption};
use crate::baseline::account::AccountIdentity;
use crate::baseline::observed::Observed;
use crate::baseline::remediation::HoldReason;

/// What a bucket's default encryption is before a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Without KMS.
    SseS3,
    /// With the key that AWS manages.
    AwsManaged,
    /// With another key, which is never replaced.
    Customer,
}

impl Start {
    /// `None` where the encryption was not read, or its algorithm is not known.
    pub(super) fn of(state: &BucketState, buckets: &Buckets, account: &AccountIdentity) -> Option<Self> {
        let encryption = state.encryption.as_ref()?.value()?.as_ref();
        if algorithm(encryption)? == Algorithm::SseS3 {
            return Some(Self::SseS3);
        }
        let id = encryption.and_then(|encryption| encryption.kms_key_id.as_deref());
        Some(match KeyRef::of(id, &state.bucket.region, account) {
            KeyRef::AwsManaged => Self::AwsManaged,
            KeyRef::Arn(arn) => match buckets.described(&arn) {
                Ok(Some(key)) if key.manager == KeyManager::Aws => Self::AwsManaged,
                Ok(_) | Err(_) => Self::Customer,
            },
            KeyRef::AliasByName(_) | KeyRef::Malformed(_) => Self::Customer,
        })
    }
}

/// The keys that the spec names for the bucket, in its order; none where the AWS-managed key is enough.
pub(super) fn named(desired: &S3Encryption, bucket: &Bucket, account: &AccountIdentity) -> Result<Vec<KeyArn>, Hold> {
    let region = &bucket.region;
    if desired.kms_keys.is_none() {
        let message = "no key is named: name in kmsKeys the key that buckets are to be encrypted with";
        let is_enough = !desired.require_customer_managed_key;
        return if is_enough { Ok(Vec::new()) } else { Err(Hold::new(HoldReason::NoUsableKey, message)) };
    }
    let named = named_keys(desired, region, account);
    if named.is_empty() {
        let message = format!("kmsKeys names no key in {region}: S3 uses only keys of the bucket's region");
        return Err(Hold::new(HoldReason::NoUsableKey, message));
    }
    Ok(named)
}

/// The ARN of the first of these keys that is usable.
///
/// A key whose description failed for a reason that may pass could be the first usable one, so nothing is chosen past
/// it; one that cannot be described for good is passed over.
pub(super) fn choose(case: &Case<'_>, named: &[KeyArn]) -> Result<String, Hold> {
    let (mut unread, mut unusable) = (None, Vec::new());
    for name in named {
        match case.keys.get(&name.text) {
            Some(Observed::Complete { value: Some(key), .. }) => match usable(key, &case.state.bucket) {
                Ok(()) => return Ok(key.arn.clone()),
                Err(why) => unusable.push(why),
            },
            Some(Observed::Complete { value: None, .. }) => unusable.push(format!("{} does not exist", name.text)),
            Some(Observed::Unknown(failure)) => {
                let hold = Hold::unread(&name.text, failure);
                if failure.class.may_pass() {
                    return Err(hold);
                }
                unread = unread.or(Some(hold));
            }
            None => return Err(Hold::new(HoldReason::NotRead, format!("{} was not described", name.text))),
        }
    }
    let message = format!("none of the named keys can be used: {}", unusable.join("; "));
    Err(unread.unwrap_or_else(|| Hold::new(HoldReason::NoUsableKey, message)))
}

fn usable(key: &KmsKey, bucket: &Bucket) -> Result<(), String> {
    if key.manager == KeyManager::Aws {
        return Err(format!("{} is managed by AWS", key.arn));
    }
    if KeyArn::parse(&key.arn).is_none_or(|arn| arn.is_alias || arn.region != bucket.region) {
        return Err(format!("{} is no key of the bucket's region", key.arn));
    }
    match works(key) {
        Judged::Good => Ok(()),
        Judged::Bad(why) => Err(why),
        Judged::Moot(why) => Err(why.to_owned()),
        Judged::Unread(cause) => Err(cause.message),
    }
}
