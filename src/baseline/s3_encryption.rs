//! The control `s3Encryption`: what is observed of buckets and keys, and how they are judged and enforced. No IO.
//!
//! Directory buckets are out of scope: `s3:ListBuckets` does not list them, so they have no rows.

mod bucket_policy;
mod demand;
mod evaluate;
mod keys;
mod plan;
mod tls;

use std::collections::{BTreeMap, BTreeSet};

pub use crate::api::BucketEncryption;
pub use bucket_policy::BucketPolicy;
pub use demand::Demand;
pub use evaluate::evaluate;
pub use keys::{KeyArn, KeyRef, named_keys};
pub use plan::{BucketEvidence, Evidence, Needs, ReplicationRule, is_public, plan};
pub use tls::PlainHttp;

use super::account::AccountIdentity;
use super::observed::{Cause, Observed};

/// A bucket of `s3:ListBuckets`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket {
    /// The name.
    pub name: String,
    /// `BucketRegion`
    pub region: String,
}

/// Who manages a KMS key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "KMS's own words")]
pub enum KeyManager {
    Aws,
    Customer,
}

/// A key as `kms:DescribeKey` returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsKey {
    /// The ARN of the key (never of an alias).
    pub arn: String,
    /// `KeyState`: `Enabled`, `Disabled`, `PendingDeletion`, ...
    pub state: String,
    /// `KeyManager`
    pub manager: KeyManager,
    /// `KeySpec`: `SYMMETRIC_DEFAULT`, `RSA_2048`, `HMAC_256`, ...
    pub spec: String,
    /// `KeyUsage`: `ENCRYPT_DECRYPT`, ...
    pub usage: String,
}

/// Everything that the control is judged by.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Whose buckets these are.
    pub account: AccountIdentity,
    /// The buckets; unknown where they, or the regions, could not be listed.
    pub buckets: Observed<Buckets>,
}

/// The buckets of an account, and what is needed besides to judge them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    /// Those of the judged regions. One that vanished while it was read is not among them.
    pub judged: Vec<BucketState>,
    /// How many lie in regions that are not judged, or not enabled.
    pub elsewhere: usize,
    /// Those whose name belongs to another account by now, which `ExpectedBucketOwner` told.
    pub other_owner: Vec<Bucket>,
    /// The keys and aliases that buckets or the spec name, by ARN; `None` where there is no such key.
    pub keys: BTreeMap<String, Observed<Option<KmsKey>>>,
    /// By region, which buckets receive server access logs; only for regions where a verdict hangs on it. Source and
    /// target of such logs always lie in one region and one account.
    pub log_targets: BTreeMap<String, LogTargets>,
}

/// What was read of one bucket. It is small: of a policy only what is judged is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct BucketState {
    /// Which bucket.
    pub bucket: Bucket,
    /// Its default encryption; `None` inside where AWS said that there is none. `None` outside where no check needs it.
    pub encryption: Option<Observed<Option<BucketEncryption>>>,
    /// Its policy; `None` inside where it has none. `None` outside where no check needs it.
    pub policy: Option<Observed<Option<BucketPolicy>>>,
}

/// Which buckets of a region receive the server access logs of its other buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogTargets {
    /// Their names.
    pub names: BTreeSet<String>,
    /// A bucket of which it was not read where its logs go: any other one could be their target.
    pub unread: Option<(String, Cause)>,
}

impl Buckets {
    /// How many buckets were not judged: those of other regions, and those of other accounts.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.elsewhere + self.other_owner.len()
    }
}
