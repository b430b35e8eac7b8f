//! From the failing checks of a bucket's encryption to the one write that answers those which can be. No IO.

use super::super::BucketEncryption;
use super::super::demand::{Demand, algorithm, word};
use super::super::keys::{Judged, KeyRef, is_usable};
use super::key::{self, Start};
use super::{Case, Hold, grants, read};
use crate::api::{Algorithm, BucketEncryptionChange};
use crate::baseline::change::Action;
use crate::baseline::check::Check;
use crate::baseline::finding::Finding;
use crate::baseline::plan::ControlPlan;
use crate::baseline::policy_document::PolicyDocument;
use crate::baseline::remediation::HoldReason;

/// The write of a bucket as it comes together.
struct Draft<'a> {
    after: BucketEncryption,
    algorithm: Algorithm,
    answers: Vec<&'a Finding>,
    does: Vec<String>,
}

/// Plans the write of a bucket's encryption.
pub(super) fn plan(case: &Case<'_>, findings: &[&Finding], policy: Option<&PolicyDocument>, planned: &mut ControlPlan) {
    if findings.is_empty() {
        return;
    }
    let (live, start, mut draft) = match begin(case) {
        Ok(begun) => begun,
        Err(hold) => return hold.all(findings, planned),
    };
    let of = |check: Check| findings.iter().copied().find(|finding| finding.subject().check == check);
    let (weak, key) = (of(Check::EncryptionAlgorithm), of(Check::KmsKey));
    if start == Start::SseS3 {
        let both: Vec<_> = weak.into_iter().chain(key).collect();
        hold_unless(leave_sse_s3(case, policy, weak.is_some(), &both, &mut draft), &both, planned);
    } else {
        if let Some(finding) = key {
            hold_unless(take_named_key(case, policy, start, finding, &mut draft), &[finding], planned);
        }
        if let Some(finding) = weak {
            hold_unless(raise(case, policy, finding, &mut draft), &[finding], planned);
        }
    }
    if let Some(finding) = of(Check::BucketKey) {
        draft.use_bucket_key(finding);
    }
    if let Some(finding) = of(Check::SseCForbidden) {
        draft.block_sse_c(finding);
    }
    draft.finish(case, live, planned);
}

/// The live encryption, what of it decides where the bucket may move, and a draft that changes nothing.
fn begin<'a, 'b>(case: &Case<'a>) -> Result<(Option<&'a BucketEncryption>, Start, Draft<'b>), Hold> {
    let live = read("the bucket's encryption", case.state.encryption.as_ref())?.as_ref();
    let known = algorithm(live).zip(Start::of(case.state, case.buckets, case.account));
    let (algorithm, start) = known.ok_or_else(|| {
        let message = "the bucket's algorithm is not known, so a write could lose what it means";
        Hold::new(HoldReason::NotRead, message)
    })?;
    Ok((live, start, Draft { after: explicit(live), algorithm, answers: Vec::new(), does: Vec::new() }))
}

fn hold_unless(drafted: Result<(), Hold>, findings: &[&Finding], planned: &mut ControlPlan) {
    if let Err(hold) = drafted {
        hold.all(findings, planned);
    }
}

/// The live values with nothing left to AWS's defaults: a write that leaves something out changes it.
fn explicit(live: Option<&BucketEncryption>) -> BucketEncryption {
    let mut explicit = live.cloned().unwrap_or_else(|| BucketEncryption {
        algorithm: "AES256".to_owned(),
        kms_key_id: None,
        bucket_key_enabled: false,
        blocked_encryption_types: Vec::new(),
    });
    if explicit.blocked_encryption_types.is_empty() {
        explicit.blocked_encryption_types.push("NONE".to_owned());
    }
    explicit
}

/// From SSE-S3 to the algorithm and key that are asked for.
fn leave_sse_s3<'a>(
    case: &Case<'_>,
    policy: Option<&PolicyDocument>,
    algorithm_fails: bool,
    answers: &[&'a Finding],
    draft: &mut Draft<'a>,
) -> Result<(), Hold> {
    if answers.is_empty() {
        return Ok(());
    }
    let target = Demand(case.desired).floor();
    if !algorithm_fails {
        let message = "the bucket needs KMS to have a key, and an exception lets its algorithm be";
        return Err(Hold::new(HoldReason::KmsMigration, message));
    }
    let key = new_key(case, policy, target)?;
    draft.raise_to(target);
    if target == Algorithm::SseKms && case.desired.require_bucket_key {
        draft.after.bucket_key_enabled = true;
    }
    draft.does.push(format!("encrypt new objects by {} under {}", word(target), key.as_deref().unwrap_or("aws/s3")));
    draft.after.kms_key_id = key;
    draft.answers.extend(answers);
    Ok(())
}

/// From the AWS-managed key to a named one; from any other to none.
fn take_named_key<'a>(
    case: &Case<'_>,
    policy: Option<&PolicyDocument>,
    start: Start,
    answers: &'a Finding,
    draft: &mut Draft<'a>,
) -> Result<(), Hold> {
    if start == Start::Customer {
        let message = "the bucket has another customer-managed key, and to replace it can lock readers out or let \
                       others in: change it by hand";
        return Err(Hold::new(HoldReason::ReplacesKey, message));
    }
    if let Some(key) = new_key(case, policy, draft.algorithm)? {
        draft.does.push(format!("encrypt new objects under {key} in place of aws/s3"));
        draft.after.kms_key_id = Some(key);
        draft.answers.push(answers);
        return Ok(());
    }
    let message = "no key is named: name in kmsKeys the key that buckets are to be encrypted with";
    Err(Hold::new(HoldReason::NoUsableKey, message))
}

/// From SSE-KMS to DSSE-KMS under the same key.
fn raise<'a>(
    case: &Case<'_>,
    policy: Option<&PolicyDocument>,
    answers: &'a Finding,
    draft: &mut Draft<'a>,
) -> Result<(), Hold> {
    let target = Demand(case.desired).floor();
    allowed(case)?;
    accepts(policy, target)?;
    let key = KeyRef::of(draft.after.kms_key_id.as_deref(), &case.state.bucket.region, case.account);
    let chosen = case.keys.values().filter_map(|key| key.value()?.as_ref());
    let is_chosen = chosen.into_iter().any(|chosen| draft.after.kms_key_id.as_ref() == Some(&chosen.arn));
    match is_usable(&key, &case.state.bucket, case.buckets) {
        Judged::Good | Judged::Moot(_) => {}
        // A key that this very write puts there was checked when it was chosen.
        Judged::Bad(_) | Judged::Unread(_) if is_chosen && !draft.answers.is_empty() => {}
        Judged::Bad(why) => return Err(Hold::new(HoldReason::NoUsableKey, why)),
        Judged::Unread(unread) => return Err(Hold::unread("the bucket's key", &unread)),
    }
    draft.raise_to(target);
    draft.does.push(format!("encrypt new objects by {}", word(target)));
    draft.answers.push(answers);
    Ok(())
}

/// The key to move to, once nothing stands against the move; `None` for the AWS-managed one.
fn new_key(case: &Case<'_>, policy: Option<&PolicyDocument>, target: Algorithm) -> Result<Option<String>, Hold> {
    let named = key::named(case.desired, &case.state.bucket, case.account)?;
    allowed(case)?;
    accepts(policy, target)?;
    if let Some(document) = policy {
        others_keep_access(case, document, named.is_empty())?;
    }
    let rules = read("the bucket's replication", case.evidence.replication.as_ref())?;
    if let Some(rule) = rules.iter().find(|rule| rule.enabled && !rule.replicates_kms) {
        let message = format!(
            "replication rule {} leaves out objects that are encrypted with KMS: give it SseKmsEncryptedObjects and a \
             key for the replicas first",
            rule.id
        );
        return Err(Hold::new(HoldReason::Replication, message));
    }
    if named.is_empty() { Ok(None) } else { key::choose(case, &named).map(Some) }
}

fn allowed(case: &Case<'_>) -> Result<(), Hold> {
    let message = "from then on every writer needs rights on the key: set allowKmsMigration once they have them";
    if case.desired.allow_kms_migration { Ok(()) } else { Err(Hold::new(HoldReason::KmsMigration, message)) }
}

fn accepts(policy: Option<&PolicyDocument>, target: Algorithm) -> Result<(), Hold> {
    let Some(statement) = policy.and_then(|document| grants::refuses_algorithm(document, aws_word(target))) else {
        return Ok(());
    };
    let sid = statement.sid.as_ref().map_or_else(|| "without Sid".to_owned(), |sid| format!("{sid:?}"));
    let message = format!("the policy's statement {sid} demands another algorithm of uploads: change it first");
    Err(Hold::new(HoldReason::UploadsDemandSseS3, message))
}

fn others_keep_access(case: &Case<'_>, document: &PolicyDocument, aws_managed: bool) -> Result<(), Hold> {
    if let Some(who) = grants::other_writer(document, case.account) {
        let message = format!("the policy lets {who} write, who may have no rights on the key: move it by hand");
        return Err(Hold::new(HoldReason::OtherWriters, message));
    }
    if let Some(who) = grants::reader_without_kms(document) {
        let message = format!("the policy lets {who} read, who can decrypt nothing with KMS: move it by hand");
        return Err(Hold::new(HoldReason::OtherReaders, message));
    }
    let reader = grants::other_reader(document, case.account).filter(|_| aws_managed);
    reader.map_or(Ok(()), |who| {
        let message =
            format!("the policy lets {who} read, and nobody else can be given rights on aws/s3: name a key in kmsKeys");
        Err(Hold::new(HoldReason::OtherReaders, message))
    })
}

/// The algorithm's word in AWS.
fn aws_word(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::SseS3 => "AES256",
        Algorithm::SseKms => "aws:kms",
        Algorithm::DsseKms => "aws:kms:dsse",
    }
}

impl<'a> Draft<'a> {
    fn raise_to(&mut self, target: Algorithm) {
        self.algorithm = self.algorithm.max(target);
        aws_word(self.algorithm).clone_into(&mut self.after.algorithm);
        // DSSE-KMS supports no bucket key, and S3 has no use for one without KMS.
        self.after.bucket_key_enabled &= self.algorithm == Algorithm::SseKms;
    }

    fn use_bucket_key(&mut self, finding: &'a Finding) {
        if self.algorithm == Algorithm::SseKms {
            self.after.bucket_key_enabled = true;
            self.does.push("use a bucket key".to_owned());
        }
        self.answers.push(finding);
    }

    fn block_sse_c(&mut self, finding: &'a Finding) {
        let blocked = &mut self.after.blocked_encryption_types;
        blocked.retain(|kind| kind != "NONE" && kind != "SSE-C");
        blocked.push("SSE-C".to_owned());
        self.does.push("block SSE-C".to_owned());
        self.answers.push(finding);
    }

    fn finish(self, case: &Case<'_>, live: Option<&BucketEncryption>, planned: &mut ControlPlan) {
        if self.answers.is_empty() {
            return;
        }
        let change = BucketEncryptionChange {
            bucket: case.state.bucket.name.clone(),
            region: case.state.bucket.region.clone(),
            before: live.cloned(),
            after: Some(self.after),
        };
        planned.change(Action::BucketEncryption(change), case.arn(), &self.answers, &self.does.join(", "));
    }
}
