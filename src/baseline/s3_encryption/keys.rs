//! From what a bucket or the spec calls a KMS key to the key, and whether it is the right one and works. No IO.

use super::{Bucket, Buckets, KeyManager, KmsKey};
use crate::api::S3Encryption;
use crate::baseline::account::AccountIdentity;
use crate::baseline::observed::{Cause, CauseClass, Observed};

/// What a bucket's configuration says in `KMSMasterKeyID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRef {
    /// Nothing, or the alias `aws/s3`: the key that AWS manages, whose policy nobody can change.
    AwsManaged,
    /// An alias without account and region: it is resolved in the account of whoever uploads.
    AliasByName(KeyArn),
    /// A key or alias by its ARN, or a key of this account by its id.
    Arn(KeyArn),
    /// Nothing that names a key.
    Malformed(String),
}

/// The ARN of a key or of an alias.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyArn {
    /// The whole ARN.
    pub text: String,
    /// Its region.
    pub region: String,
    /// Its account.
    pub account: String,
    /// Whether it is an alias, which stands for a key of the same account and region.
    pub is_alias: bool,
}

impl KeyArn {
    /// Reads an ARN of KMS.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let ["arn", _, "kms", region, account, resource] = *text.splitn(6, ':').collect::<Vec<_>>().as_slice() else {
            return None;
        };
        let is_alias = resource.starts_with("alias/");
        (is_alias || resource.starts_with("key/")).then(|| Self {
            text: text.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            is_alias,
        })
    }

    fn local(resource: &str, region: &str, account: &AccountIdentity) -> Self {
        Self {
            text: account.arn("kms", region, resource),
            region: region.to_owned(),
            account: account.account_id.clone(),
            is_alias: resource.starts_with("alias/"),
        }
    }
}

impl KeyRef {
    /// Reads the key of a bucket in a region of the account.
    #[must_use]
    pub fn of(key_id: Option<&str>, region: &str, account: &AccountIdentity) -> Self {
        match key_id.unwrap_or_default() {
            "" => Self::AwsManaged,
            text if text.starts_with("alias/aws/") || text.contains(":alias/aws/") => Self::AwsManaged,
            text if text.starts_with("alias/") => Self::AliasByName(KeyArn::local(text, region, account)),
            text if text.starts_with("arn:") => {
                KeyArn::parse(text).map_or_else(|| Self::Malformed(text.to_owned()), Self::Arn)
            }
            id => Self::Arn(KeyArn::local(&format!("key/{id}"), region, account)),
        }
    }

    /// What is described to judge the key: nothing where the answer is known, or where the key is in another region
    /// than its bucket, which S3 cannot use.
    #[must_use]
    pub fn to_describe(&self, bucket: &Bucket) -> Option<&KeyArn> {
        match self {
            Self::Arn(arn) | Self::AliasByName(arn) => Some(arn).filter(|arn| arn.region == bucket.region),
            Self::AwsManaged | Self::Malformed(_) => None,
        }
    }
}

/// The keys that the spec names for a region: its aliases by name, and the ARNs that lie there.
#[must_use]
pub fn named_keys(desired: &S3Encryption, region: &str, account: &AccountIdentity) -> Vec<KeyArn> {
    let names = desired.kms_keys.iter().flatten();
    names
        .filter_map(|name| match name.as_str() {
            alias if alias.starts_with("alias/") => Some(KeyArn::local(alias, region, account)),
            arn => KeyArn::parse(arn).filter(|arn| arn.region == region),
        })
        .collect()
}

/// How a key does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// It is as asked for.
    Good,
    /// It is not, for this reason.
    Bad(String),
    /// The question makes no sense, for this reason.
    Moot(&'static str),
    /// It was not read.
    Unread(Cause),
}

/// Whether a bucket's key is customer-managed, or one of the named.
///
/// A key that the spec names by its ARN passes by that ARN alone: the key of another account can often not be
/// described.
pub(super) fn is_wanted(
    desired: &S3Encryption,
    key: &KeyRef,
    bucket: &Bucket,
    buckets: &Buckets,
    account: &AccountIdentity,
) -> Judged {
    let arn = match key {
        KeyRef::AwsManaged => return Judged::Bad("the bucket uses the AWS-managed key aws/s3".to_owned()),
        KeyRef::AliasByName(alias) => {
            return Judged::Bad(format!(
                "{} is an alias by name alone, resolved in the account of whoever uploads: name the key by its ARN",
                alias.text.rsplit_once(':').map_or("the key", |(_, name)| name)
            ));
        }
        KeyRef::Malformed(text) => return Judged::Unread(malformed(text)),
        KeyRef::Arn(arn) if arn.region != bucket.region => return Judged::Bad(elsewhere(arn)),
        KeyRef::Arn(arn) => arn,
    };
    let described = buckets.described(arn);
    let aws_managed = described.as_ref().is_ok_and(|key| key.is_some_and(|key| key.manager == KeyManager::Aws));
    if desired.require_customer_managed_key && aws_managed {
        return Judged::Bad(format!("{} is managed by AWS", arn.text));
    }
    if desired.kms_keys.is_some() {
        return is_named(arn, &named_keys(desired, &bucket.region, account), buckets);
    }
    match described {
        Ok(Some(_)) => Judged::Good,
        Ok(None) => Judged::Bad(format!("{} does not exist", arn.text)),
        Err(cause) => Judged::Unread(cause),
    }
}

/// An alias stands for a key of its own account and region, so only names of the same account can mean the key.
fn is_named(arn: &KeyArn, named: &[KeyArn], buckets: &Buckets) -> Judged {
    if named.iter().any(|name| name.text == arn.text) {
        return Judged::Good;
    }
    let named: Vec<_> = named.iter().filter(|name| name.account == arn.account).collect();
    if named.is_empty() {
        return Judged::Bad(format!("{} is not among the named keys", arn.text));
    }
    let key = match buckets.resolved(arn) {
        Ok(Some(key)) => key,
        Ok(None) => return Judged::Bad(format!("{} does not exist", arn.text)),
        Err(cause) => return Judged::Unread(cause),
    };
    let mut unread = None;
    for name in named {
        match buckets.resolved(name) {
            Ok(resolved) if resolved.as_ref() == Some(&key) => return Judged::Good,
            Ok(_) => {}
            Err(cause) => unread = unread.or(Some(cause)),
        }
    }
    unread.map_or_else(|| Judged::Bad(format!("{key} is not among the named keys")), Judged::Unread)
}

/// Whether S3 can encrypt with the bucket's key, and decrypt what it encrypted.
///
/// <https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html>
pub(super) fn is_usable(key: &KeyRef, bucket: &Bucket, buckets: &Buckets) -> Judged {
    let arn = match key {
        KeyRef::AwsManaged => return Judged::Moot(AWS_KEEPS_IT),
        KeyRef::Malformed(text) => return Judged::Unread(malformed(text)),
        KeyRef::Arn(arn) | KeyRef::AliasByName(arn) => arn,
    };
    if arn.region != bucket.region {
        return Judged::Bad(elsewhere(arn));
    }
    match buckets.described(arn) {
        Ok(Some(key)) if key.manager == KeyManager::Aws => Judged::Moot(AWS_KEEPS_IT),
        Ok(Some(key)) => works(key),
        Ok(None) => Judged::Bad(format!("{} does not exist", arn.text)),
        Err(cause) => Judged::Unread(cause),
    }
}

const AWS_KEEPS_IT: &str = "the bucket uses the AWS-managed key, which AWS keeps usable";

/// Whether S3 can encrypt with a key, and decrypt what it encrypted.
pub(super) fn works(key: &KmsKey) -> Judged {
    let KmsKey { arn, state, manager: _, spec, usage } = key;
    if spec != "SYMMETRIC_DEFAULT" || usage != "ENCRYPT_DECRYPT" {
        return Judged::Bad(format!("{arn} is a key for {usage} of type {spec}: S3 needs a symmetric encryption key"));
    }
    match state.as_str() {
        // While a multi-Region key's primary moves, the key works on.
        "Enabled" | "Updating" => Judged::Good,
        "Disabled" | "PendingDeletion" | "PendingReplicaDeletion" | "PendingImport" | "Unavailable" | "Creating" => {
            Judged::Bad(format!("{arn} is in state {state}: objects can be neither written nor read with it"))
        }
        _ => {
            Judged::Unread(Cause::new(CauseClass::Malformed, format!("{arn} is in a state that is not known: {state}")))
        }
    }
}

fn elsewhere(arn: &KeyArn) -> String {
    format!("{} is in another region than the bucket: S3 cannot use it", arn.text)
}

fn malformed(text: &str) -> Cause {
    let text: String = text.chars().take(256).collect();
    Cause::new(CauseClass::Malformed, format!("the bucket's key is neither id, ARN nor alias: {text}"))
}

impl Buckets {
    /// The key of an ARN; `None` where there is no such key.
    pub(super) fn described(&self, arn: &KeyArn) -> Result<Option<&KmsKey>, Cause> {
        match self.keys.get(&arn.text) {
            Some(Observed::Complete { value, .. }) => Ok(value.as_ref()),
            Some(Observed::Unknown(cause)) => Err(cause.clone()),
            None => Err(Cause::new(CauseClass::Malformed, format!("{} was not described", arn.text))),
        }
    }

    /// The ARN of the key behind an ARN: of a key its own, read or not.
    fn resolved(&self, arn: &KeyArn) -> Result<Option<String>, Cause> {
        if arn.is_alias { Ok(self.described(arn)?.map(|key| key.arn.clone())) } else { Ok(Some(arn.text.clone())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AccountIdentity {
        AccountIdentity::from_caller("222222222222", "arn:aws-us-gov:iam::222222222222:user/x").unwrap()
    }

    #[test]
    fn s3_36_a_key_by_its_id_lies_in_the_partition_of_the_caller() {
        let KeyRef::Arn(arn) = KeyRef::of(Some("1234"), "us-gov-west-1", &account()) else { panic!("no ARN") };
        assert_eq!(arn.text, "arn:aws-us-gov:kms:us-gov-west-1:222222222222:key/1234");
        assert_eq!(KeyArn::parse(&arn.text), Some(arn));
    }

    #[test]
    fn every_spelling_of_the_aws_managed_key_is_that_key() {
        for id in [None, Some(""), Some("alias/aws/s3"), Some("arn:aws:kms:eu-west-1:222222222222:alias/aws/s3")] {
            assert_eq!(KeyRef::of(id, "eu-west-1", &account()), KeyRef::AwsManaged, "{id:?}");
        }
    }

    #[test]
    fn an_arn_of_anything_else_is_no_key() {
        for id in ["arn:aws:s3:::bucket", "arn:aws:kms:eu-west-1:222222222222", "arn:aws:kms:eu-west-1:2:grant/1"] {
            assert_eq!(KeyRef::of(Some(id), "eu-west-1", &account()), KeyRef::Malformed(id.to_owned()));
        }
    }

    #[test]
    fn a_key_named_for_another_region_is_not_looked_for() {
        let desired: S3Encryption = serde_saphyr::from_str(
            "{minimumAlgorithm: SseKms, kmsKeys: [alias/a, 'arn:aws-us-gov:kms:us-gov-east-1:222222222222:key/1']}",
        )
        .unwrap();
        let named = named_keys(&desired, "us-gov-west-1", &account());
        assert_eq!(named.len(), 1);
        assert_eq!(named[0].text, "arn:aws-us-gov:kms:us-gov-west-1:222222222222:alias/a");
    }
}
