//! From the spec to what has to be read and judged: the one place that observation and evaluation both ask. No IO.

use super::{BucketEncryption, BucketState};
use crate::api::{Algorithm, S3Encryption};
use crate::baseline::check::Check;

/// What a spec asks for.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a>(pub &'a S3Encryption);

impl Demand<'_> {
    /// The checks that are asked for, with the field that asks, in the order of the catalogue.
    #[must_use]
    pub fn checks(self) -> Vec<(Check, &'static str)> {
        let Self(S3Encryption {
            mode: _,
            minimum_algorithm,
            require_customer_managed_key,
            kms_keys,
            require_bucket_key,
            forbid_sse_c,
            require_tls,
            allow_kms_migration: _,
        }) = self;
        let key_field = if kms_keys.is_some() { "kmsKeys" } else { "requireCustomerManagedKey" };
        [
            (minimum_algorithm.is_some(), Check::EncryptionAlgorithm, "minimumAlgorithm"),
            (kms_keys.is_some() || *require_customer_managed_key, Check::KmsKey, key_field),
            // A key of one's own needs a minimumAlgorithm of KMS, so that field always stands behind this check.
            (self.asks_for_kms(), Check::KmsKeyUsable, "minimumAlgorithm"),
            (*require_bucket_key, Check::BucketKey, "requireBucketKey"),
            (*forbid_sse_c, Check::SseCForbidden, "forbidSseC"),
            (*require_tls, Check::TlsRequired, "requireTls"),
        ]
        .into_iter()
        .filter_map(|(asked, check, field)| asked.then_some((check, field)))
        .collect()
    }

    /// Whether KMS is asked for in any way.
    #[must_use]
    pub fn asks_for_kms(self) -> bool {
        self.floor() > Algorithm::SseS3
    }

    /// Whether any check needs the default encryption of buckets.
    #[must_use]
    pub fn reads_encryption(self) -> bool {
        self.checks().iter().any(|(check, _)| *check != Check::TlsRequired)
    }

    /// Whether a bucket is weaker than asked for, where the spec asks for KMS: a target of logs that need SSE-S3 is
    /// not judged by that. An algorithm that is not known is not weaker.
    #[must_use]
    pub fn falls_short_of_kms(self, encryption: Option<&BucketEncryption>) -> bool {
        self.asks_for_kms() && algorithm(encryption).is_some_and(|algorithm| algorithm < self.floor())
    }

    /// Whether a verdict on the bucket hangs on the buckets that log to it.
    #[must_use]
    pub fn asks_who_logs_to(self, state: &BucketState) -> bool {
        let encryption = state.encryption.as_ref().and_then(|encryption| encryption.value());
        let balancer = state.policy.as_ref().and_then(|policy| policy.value()).and_then(Option::as_ref);
        encryption.is_some_and(|encryption| self.falls_short_of_kms(encryption.as_ref()))
            && !balancer.is_some_and(|policy| policy.admits_load_balancer_logs)
    }

    /// Whether a change may move a bucket to KMS, or from the AWS-managed key to a named one: the spec alone can rule
    /// it out.
    #[must_use]
    pub fn may_move_to_kms(self) -> bool {
        let knows_the_key = self.0.kms_keys.is_some() || !self.0.require_customer_managed_key;
        self.asks_for_kms() && self.0.allow_kms_migration && knows_the_key
    }

    /// The weakest algorithm that is asked for in any way.
    pub(super) fn floor(self) -> Algorithm {
        let minimum = self.0.minimum_algorithm.unwrap_or(Algorithm::SseS3);
        let own_key = self.0.require_customer_managed_key || self.0.kms_keys.is_some();
        if own_key { minimum.max(Algorithm::SseKms) } else { minimum }
    }
}

/// The algorithm of a bucket: where AWS says that there is no configuration, new objects have SSE-S3 nevertheless.
/// `None` for a word that is not known.
pub(super) fn algorithm(encryption: Option<&BucketEncryption>) -> Option<Algorithm> {
    match encryption.map(|encryption| encryption.algorithm.as_str()) {
        None | Some("AES256") => Some(Algorithm::SseS3),
        Some("aws:kms") => Some(Algorithm::SseKms),
        Some("aws:kms:dsse") => Some(Algorithm::DsseKms),
        Some(_) => None,
    }
}

/// The algorithm's word in the spec.
pub(super) fn word(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::SseS3 => "SseS3",
        Algorithm::SseKms => "SseKms",
        Algorithm::DsseKms => "DsseKms",
    }
}
