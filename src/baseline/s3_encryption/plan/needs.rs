//! From the failing checks of a bucket to what has to be read before it can be planned for: the one place that asks
//! the spec before anything is asked of AWS. No IO.

use super::super::demand::Demand;
use super::super::keys::{KeyArn, named_keys};
use super::super::{BucketState, Buckets};
use super::key::{self, Start};
use super::{grants, is_answerable};
use crate::api::S3Encryption;
use crate::baseline::account::AccountIdentity;
use crate::baseline::check::Check;
use crate::baseline::policy_document::PolicyDocument;

/// What has to be read of one bucket, and of the named keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Its policy, which decides whether anything is changed at all: where it was not read, nothing else is needed.
    pub policy: bool,
    /// Its website and, where its policy [`is_public`], its public access block.
    pub transport: bool,
    /// Its replication.
    pub replication: bool,
    /// Named keys, one of which it may move to.
    pub keys: Vec<KeyArn>,
}

impl Needs {
    /// What the failing checks of a bucket need. What the spec alone holds needs nothing.
    #[must_use]
    pub fn of(
        desired: &S3Encryption,
        failing: &[Check],
        state: &BucketState,
        buckets: &Buckets,
        account: &AccountIdentity,
    ) -> Self {
        if grants::is_control_towers(&state.bucket.name) || !failing.iter().any(|check| is_answerable(*check)) {
            return Self::default();
        }
        let start = Start::of(state, buckets, account);
        let moves = Demand(desired).may_move_to_kms()
            && key::named(desired, &state.bucket, account).is_ok()
            && failing.iter().any(|check| match check {
                Check::EncryptionAlgorithm => start == Some(Start::SseS3),
                Check::KmsKey => matches!(start, Some(Start::SseS3 | Start::AwsManaged)),
                _ => false,
            });
        Self {
            policy: true,
            transport: failing.contains(&Check::TlsRequired),
            replication: moves,
            keys: if moves { named_keys(desired, &state.bucket.region, account) } else { Vec::new() },
        }
    }
}

/// Whether AWS would call a policy public, so that it hangs on `BlockPublicPolicy` whether it can be written at all.
#[must_use]
pub fn is_public(policy: &str) -> bool {
    PolicyDocument::parse(policy).is_ok_and(|document| grants::is_public(&document))
}
