//! From the desired and the observed buckets to findings: per bucket one for each check that is asked for. No IO.

use jiff::Timestamp;

use super::demand::{algorithm, word};
use super::keys::{self, Judged};
use super::{BucketEncryption, BucketState, Buckets, Demand, KeyRef, PlainHttp, Snapshot};
use crate::api::{Algorithm, S3Encryption};
use crate::baseline::account::AccountIdentity;
use crate::baseline::check::Check;
use crate::baseline::finding::{Finding, Subject};
use crate::baseline::observed::{Cause, CauseClass, Observed};

/// What all buckets are judged with.
struct Bench<'a> {
    desired: &'a S3Encryption,
    account: &'a AccountIdentity,
    buckets: &'a Buckets,
}

/// A verdict before it has a subject: what was observed, and whether it complies.
enum Outcome {
    Pass { observed: String, note: String, at: Timestamp },
    Fail { observed: String, why: String, at: Timestamp },
    NotApplicable { reason: String, at: Timestamp },
    Unknown(Cause),
}

/// Judges the buckets: a baseline is a floor, so stronger encryption passes, and a silent spec asks for nothing.
///
/// A bucket whose name belongs to another account by now is `NotApplicable`: it is not this account's.
#[must_use]
pub fn evaluate(desired: &S3Encryption, snapshot: &Snapshot) -> Vec<Finding> {
    let checks = Demand(desired).checks();
    let (buckets, listed_at) = match snapshot.buckets.read() {
        Ok(read) => read,
        Err(cause) => {
            let first = checks.first().map(|(check, field)| Subject::new(*check, snapshot.account.root_arn(), field));
            return first
                .map(|subject| Finding::unknown(subject, "every bucket judged", cause.clone()))
                .into_iter()
                .collect();
        }
    };
    let bench = Bench { desired, account: &snapshot.account, buckets };
    let mut rows: Vec<_> = buckets.judged.iter().map(|state| (&state.bucket, Some(state))).collect();
    rows.extend(buckets.other_owner.iter().map(|bucket| (bucket, None)));
    rows.sort_by_key(|(bucket, _)| *bucket);
    let mut findings = Vec::with_capacity(rows.len() * checks.len());
    for (bucket, state) in rows {
        for &(check, field) in &checks {
            let arn = snapshot.account.bucket_arn(&bucket.name);
            let subject = Subject::new(check, arn, field).in_region(&bucket.region);
            let outcome = match state {
                Some(state) => bench.judge(check, state),
                None => Outcome::NotApplicable { reason: OTHER_OWNER.to_owned(), at: listed_at },
            };
            findings.push(outcome.of(subject, bench.wish(check)));
        }
    }
    findings
}

/// So many of the named keys stand in a finding: each bucket has one, and the spec has them all.
const NAMED_KEYS: usize = 3;

const OTHER_OWNER: &str = "the bucket's name belongs to another account by now: it was not judged";

impl Outcome {
    fn of(self, subject: Subject, desired: String) -> Finding {
        match self {
            Self::Pass { observed, note, at } => Finding::pass(subject, desired, observed, at).with_message(note),
            Self::Fail { observed, why, at } => Finding::fail(subject, desired, observed, at).with_message(why),
            Self::NotApplicable { reason, at } => Finding::not_applicable(subject, reason, at),
            Self::Unknown(cause) => Finding::unknown(subject, desired, cause),
        }
    }
}

impl Bench<'_> {
    /// The desired value of a check, for people.
    fn wish(&self, check: Check) -> String {
        match check {
            Check::EncryptionAlgorithm => self.desired.minimum_algorithm.map_or("", word).to_owned(),
            Check::KmsKey => match &self.desired.kms_keys {
                Some(names) => {
                    let more = names.len().saturating_sub(NAMED_KEYS);
                    let first: Vec<_> = names.iter().take(NAMED_KEYS).map(ToString::to_string).collect();
                    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                    format!("{}{more}", first.join(", "))
                }
                None => "a customer-managed key".to_owned(),
            },
            Check::KmsKeyUsable => "a usable key".to_owned(),
            _ => "true".to_owned(),
        }
    }

    fn judge(&self, check: Check, state: &BucketState) -> Outcome {
        if check == Check::TlsRequired {
            return tls(state);
        }
        let (encryption, at) = match state.encryption.as_ref().map(Observed::read) {
            Some(Ok((encryption, at))) => (encryption.as_ref(), at),
            Some(Err(cause)) => return Outcome::Unknown(cause.clone()),
            None => return Outcome::Unknown(never_read("the bucket's encryption")),
        };
        if check == Check::SseCForbidden {
            return sse_c(encryption, at);
        }
        let Some(algorithm) = algorithm(encryption) else {
            let word = encryption.map_or("", |encryption| &encryption.algorithm).chars().take(64).collect::<String>();
            return Outcome::Unknown(Cause::new(
                CauseClass::Malformed,
                format!("the bucket's encryption algorithm is not known: {word}"),
            ));
        };
        match check {
            Check::EncryptionAlgorithm => self.algorithm(state, encryption, algorithm, at),
            Check::KmsKey => self.key(state, encryption, algorithm, at),
            Check::KmsKeyUsable => self.usable(state, encryption, algorithm, at),
            _ => bucket_key(encryption, algorithm, at),
        }
    }

    fn algorithm(
        &self,
        state: &BucketState,
        encryption: Option<&BucketEncryption>,
        algorithm: Algorithm,
        at: Timestamp,
    ) -> Outcome {
        let observed = word(algorithm).to_owned();
        let read = match encryption {
            Some(encryption) => encryption.algorithm.as_str(),
            None => "no configuration, so AES256, which S3 then uses",
        };
        if self.desired.minimum_algorithm.is_none_or(|minimum| algorithm >= minimum) {
            let note = if encryption.is_none() { format!("the bucket has {read}") } else { String::new() };
            return Outcome::Pass { observed, note, at };
        }
        self.unless_logs_arrive(state, encryption, at).unwrap_or_else(|| {
            let wish = self.wish(Check::EncryptionAlgorithm);
            let why = format!("the bucket's default encryption is {read}, the baseline asks for {wish} or stronger");
            Outcome::Fail { observed, why, at }
        })
    }

    fn key(
        &self,
        state: &BucketState,
        encryption: Option<&BucketEncryption>,
        algorithm: Algorithm,
        at: Timestamp,
    ) -> Outcome {
        if algorithm == Algorithm::SseS3 {
            return self.unless_logs_arrive(state, encryption, at).unwrap_or_else(|| {
                let why = "the bucket's default encryption uses no KMS key".to_owned();
                Outcome::Fail { observed: "none".to_owned(), why, at }
            });
        }
        let key = self.key_of(state, encryption);
        let judged = keys::is_wanted(self.desired, &key, &state.bucket, self.buckets, self.account);
        outcome(judged, encryption, at)
    }

    fn usable(
        &self,
        state: &BucketState,
        encryption: Option<&BucketEncryption>,
        algorithm: Algorithm,
        at: Timestamp,
    ) -> Outcome {
        if algorithm == Algorithm::SseS3 {
            return Outcome::NotApplicable { reason: "the bucket uses no KMS key".to_owned(), at };
        }
        let key = self.key_of(state, encryption);
        outcome(keys::is_usable(&key, &state.bucket, self.buckets), encryption, at)
    }

    fn key_of(&self, state: &BucketState, encryption: Option<&BucketEncryption>) -> KeyRef {
        let id = encryption.and_then(|encryption| encryption.kms_key_id.as_deref());
        KeyRef::of(id, &state.bucket.region, self.account)
    }

    /// Some logs can be delivered only to a bucket with SSE-S3, so more cannot be asked of their target. Where it was
    /// not read whether a bucket is one, it is unknown: neither the rule nor its exception was seen to hold.
    fn unless_logs_arrive(
        &self,
        state: &BucketState,
        encryption: Option<&BucketEncryption>,
        at: Timestamp,
    ) -> Option<Outcome> {
        if !Demand(self.desired).falls_short_of_kms(encryption) {
            return None;
        }
        let exempt = |logs: &str| {
            let reason = format!("the bucket receives {logs}, which can be delivered only to a bucket with SSE-S3");
            Some(Outcome::NotApplicable { reason, at })
        };
        let policy = state.policy.as_ref().map(Observed::read);
        if let Some(Ok((Some(policy), _))) = policy
            && policy.admits_load_balancer_logs
        {
            return exempt("access logs of application or classic load balancers (its policy lets them in)");
        }
        let targets = self.buckets.log_targets.get(&state.bucket.region);
        if targets.is_some_and(|targets| targets.names.contains(&state.bucket.name)) {
            return exempt("S3 server access logs");
        }
        let unread = match (policy, targets) {
            (Some(Err(cause)), _) => about("load balancers deliver logs to the bucket", cause),
            (None, _) => never_read("the bucket's policy"),
            (_, None) => never_read("where server access logs go"),
            (_, Some(targets)) => match &targets.unread {
                Some((source, cause)) => about(&format!("bucket {source} delivers server access logs to it"), cause),
                None => return None,
            },
        };
        Some(Outcome::Unknown(unread))
    }
}

fn outcome(judged: Judged, encryption: Option<&BucketEncryption>, at: Timestamp) -> Outcome {
    let key = encryption.and_then(|encryption| encryption.kms_key_id.clone());
    let observed = key.filter(|key| !key.is_empty()).unwrap_or_else(|| "aws/s3".to_owned());
    match judged {
        Judged::Good => Outcome::Pass { observed, note: String::new(), at },
        Judged::Bad(why) => Outcome::Fail { observed, why, at },
        Judged::Moot(reason) => Outcome::NotApplicable { reason: reason.to_owned(), at },
        Judged::Unread(cause) => Outcome::Unknown(cause),
    }
}

fn bucket_key(encryption: Option<&BucketEncryption>, algorithm: Algorithm, at: Timestamp) -> Outcome {
    match algorithm {
        Algorithm::SseS3 => {
            Outcome::NotApplicable { reason: "the bucket does not use KMS, which a bucket key is for".to_owned(), at }
        }
        Algorithm::DsseKms => Outcome::NotApplicable { reason: "DSSE-KMS supports no bucket key".to_owned(), at },
        Algorithm::SseKms if encryption.is_some_and(|encryption| encryption.bucket_key_enabled) => {
            Outcome::Pass { observed: "true".to_owned(), note: String::new(), at }
        }
        Algorithm::SseKms => Outcome::Fail {
            observed: "false".to_owned(),
            why: "the bucket uses SSE-KMS without a bucket key, so every request for an object calls KMS".to_owned(),
            at,
        },
    }
}

/// Absent and `NONE` both block nothing.
fn sse_c(encryption: Option<&BucketEncryption>, at: Timestamp) -> Outcome {
    let blocked = encryption.map_or(&[][..], |encryption| &encryption.blocked_encryption_types);
    let blocked: Vec<&str> = blocked.iter().map(String::as_str).filter(|blocked| *blocked != "NONE").collect();
    let observed =
        if blocked.is_empty() { "none blocked".to_owned() } else { format!("{} blocked", blocked.join(", ")) };
    if blocked.contains(&"SSE-C") {
        return Outcome::Pass { observed, note: String::new(), at };
    }
    let why = "the bucket accepts objects that are encrypted with a key that only the uploader has (SSE-C)".to_owned();
    Outcome::Fail { observed, why, at }
}

fn tls(state: &BucketState) -> Outcome {
    let (policy, at) = match state.policy.as_ref().map(Observed::read) {
        Some(Ok((policy, at))) => (policy, at),
        Some(Err(cause)) => return Outcome::Unknown(cause.clone()),
        None => return Outcome::Unknown(never_read("the bucket's policy")),
    };
    match policy.as_ref().map(|policy| &policy.plain_http) {
        Some(PlainHttp::Denied) => Outcome::Pass { observed: "denied without TLS".to_owned(), note: String::new(), at },
        Some(PlainHttp::Gap(gap)) => {
            Outcome::Fail { observed: "not denied without TLS".to_owned(), why: gap.clone(), at }
        }
        None => Outcome::Fail {
            observed: "no bucket policy".to_owned(),
            why: "the bucket has no policy, so nothing denies requests without TLS".to_owned(),
            at,
        },
    }
}

/// A cause in the words of what hangs on it.
fn about(question: &str, cause: &Cause) -> Cause {
    Cause { message: format!("whether {question} is not known: {}", cause.message), ..cause.clone() }
}

fn never_read(what: &str) -> Cause {
    Cause::new(CauseClass::Malformed, format!("{what} was not read"))
}

#[cfg(test)]
mod tests;
