//! From failing findings of the control to the changes that answer them, and why the others are held. No IO.
//!
//! A bucket has one write of its encryption and one of its policy at most. What the spec does not ask for keeps its
//! live value, no algorithm is lowered, no customer-managed key is replaced, no statement is taken away. What one
//! finding is held for does not hold the others of the bucket, unless it speaks of the bucket as a whole.

mod encryption;
mod grants;
mod key;
mod needs;
mod policy;

use std::collections::BTreeMap;

pub use needs::{Needs, is_public};

use super::{BucketState, Buckets, KmsKey, Snapshot};
use crate::api::{OwnerTag, S3Encryption, Tag};
use crate::baseline::account::AccountIdentity;
use crate::baseline::check::Check;
use crate::baseline::finding::Finding;
use crate::baseline::observed::{Cause, Observed};
use crate::baseline::plan::{Circumstances, ControlPlan};
use crate::baseline::policy_document::PolicyDocument;
use crate::baseline::remediation::{HoldReason, Remediation};

/// What is read beside the snapshot to plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// What was read of the buckets that fail, by name.
    pub buckets: BTreeMap<String, BucketEvidence>,
    /// The keys that the spec names where buckets may move to one, by the ARN of the key or alias that is named; `None`
    /// inside where there is no such key.
    pub keys: BTreeMap<String, Observed<Option<KmsKey>>>,
}

/// What was read of one bucket. Outside, `None` is what no plan for the bucket needed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BucketEvidence {
    /// Its policy, whole; `None` inside where it has none.
    pub policy: Option<Observed<Option<String>>>,
    /// Its tags.
    pub tags: Option<Observed<Vec<Tag>>>,
    /// Whether it serves a website.
    pub serves_website: Option<Observed<bool>>,
    /// Whether it has `BlockPublicPolicy`.
    pub blocks_public_policy: Option<Observed<bool>>,
    /// The rules by which its objects are replicated.
    pub replication: Option<Observed<Vec<ReplicationRule>>>,
}

/// A rule of `s3:GetBucketReplication`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationRule {
    /// The rule's id.
    pub id: String,
    /// Whether its status is `Enabled`.
    pub enabled: bool,
    /// Whether it replicates objects that are encrypted with KMS (`SseKmsEncryptedObjects`).
    pub replicates_kms: bool,
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hold {
    reason: HoldReason,
    message: String,
}

/// A bucket that fails, and all that decides what is done about it.
struct Case<'a> {
    desired: &'a S3Encryption,
    account: &'a AccountIdentity,
    buckets: &'a Buckets,
    state: &'a BucketState,
    evidence: &'a BucketEvidence,
    keys: &'a BTreeMap<String, Observed<Option<KmsKey>>>,
    owned_elsewhere: &'a [OwnerTag],
}

/// A bucket's policy as it was read to plan.
struct LivePolicy {
    text: String,
    document: PolicyDocument,
}

/// Plans the control.
#[must_use]
pub fn plan(
    desired: &S3Encryption,
    failing: &[&Finding],
    snapshot: &Snapshot,
    evidence: &Evidence,
    circumstances: &Circumstances,
) -> ControlPlan {
    let mut planned = ControlPlan::default();
    let Some(buckets) = snapshot.buckets.value() else { return planned };
    let mut by_bucket: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in failing.iter().filter(|finding| is_answerable(finding.subject().check)) {
        by_bucket.entry(&finding.subject().resource).or_default().push(finding);
    }
    let nothing = BucketEvidence::default();
    for state in &buckets.judged {
        let arn = snapshot.account.bucket_arn(&state.bucket.name);
        let Some(findings) = by_bucket.get(arn.as_str()) else { continue };
        let case = Case {
            desired,
            account: &snapshot.account,
            buckets,
            state,
            evidence: evidence.buckets.get(&state.bucket.name).unwrap_or(&nothing),
            keys: &evidence.keys,
            owned_elsewhere: &circumstances.owned_elsewhere,
        };
        case.plan(findings, &mut planned);
    }
    planned
}

/// Whether a change of the bucket can answer the check: an unusable key is its owner's to repair.
fn is_answerable(check: Check) -> bool {
    Remediation::manual(check).is_none()
}

impl Case<'_> {
    fn plan(&self, findings: &[&Finding], planned: &mut ControlPlan) {
        let live = match self.left_alone().and_then(|()| self.policy()) {
            Ok(live) => live,
            Err(hold) => return hold.all(findings, planned),
        };
        let document = live.as_ref().map(|live| &live.document);
        if let Some(hold) = document.and_then(grants::delivered_by).map(Hold::delivery) {
            return hold.all(findings, planned);
        }
        let (tls, encryption): (Vec<&Finding>, Vec<&Finding>) =
            findings.iter().partition(|finding| finding.subject().check == Check::TlsRequired);
        encryption::plan(self, &encryption, document, planned);
        for finding in tls {
            match policy::change(self, live.as_ref()) {
                Ok((action, what)) => planned.change(action, self.arn(), &[finding], what),
                Err(hold) => hold.all(&[finding], planned),
            }
        }
    }

    fn arn(&self) -> String {
        self.account.bucket_arn(&self.state.bucket.name)
    }

    /// Whether the bucket is nobody else's to change, by its name and tags.
    fn left_alone(&self) -> Result<(), Hold> {
        let name = &self.state.bucket.name;
        if grants::is_control_towers(name) {
            return Err(Hold::delivery("AWS Control Tower"));
        }
        if self.owned_elsewhere.is_empty() {
            return Ok(());
        }
        let tags = read("the bucket's tags", self.evidence.tags.as_ref())?;
        match tags.iter().find(|tag| self.owned_elsewhere.iter().any(|owner| marks(owner, tag))) {
            None => Ok(()),
            Some(Tag { key, value }) => {
                let message =
                    format!("the tag {key}={value} says that another tool manages the bucket: change it there");
                Err(Hold::new(HoldReason::ManagedElsewhere, message))
            }
        }
    }

    fn policy(&self) -> Result<Option<LivePolicy>, Hold> {
        let Some(text) = read("the bucket's policy", self.evidence.policy.as_ref())? else { return Ok(None) };
        let document = PolicyDocument::parse(text)
            .map_err(|error| Hold::new(HoldReason::NotRead, format!("the bucket's policy cannot be read: {error}")))?;
        Ok(Some(LivePolicy { text: text.clone(), document }))
    }
}

/// Letter case counts, as it does in AWS.
fn marks(owner: &OwnerTag, tag: &Tag) -> bool {
    owner.key == tag.key && owner.value.as_ref().is_none_or(|value| *value == tag.value)
}

/// What was read, or that it was not.
fn read<'a, T>(what: &str, observed: Option<&'a Observed<T>>) -> Result<&'a T, Hold> {
    match observed {
        Some(Observed::Complete { value, .. }) => Ok(value),
        Some(Observed::Unknown(cause)) => Err(Hold::unread(what, cause)),
        None => Err(Hold::new(HoldReason::NotRead, format!("{what} was not read"))),
    }
}

impl Hold {
    fn new(reason: HoldReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    fn unread(what: &str, cause: &Cause) -> Self {
        let missing = cause.missing_action.as_ref().map(|action| format!("; the role lacks {action}"));
        let message = format!("{what} was not read: {}{}", cause.message, missing.unwrap_or_default());
        Self::new(HoldReason::NotRead, message)
    }

    fn delivery(by: &str) -> Self {
        let message = format!("{by} delivers to the bucket, and may fail to after a change: change it by hand");
        Self::new(HoldReason::DeliveryBucket, message)
    }

    fn all(&self, findings: &[&Finding], planned: &mut ControlPlan) {
        for finding in findings {
            planned.hold(finding, self.reason, self.message.clone());
        }
    }
}

#[cfg(test)]
mod tests;
