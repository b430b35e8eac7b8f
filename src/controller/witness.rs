//! Tells of every change: a log line before it is made and after, and an Event on the baseline. No IO of its own.

use std::sync::Arc;

use futures::channel::mpsc;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;
use tracing::info;

use super::context::Context;
use super::entries::one_line;
use super::events::{Event, Happening, Told, Weight};
use crate::api::{AccountBaseline, ChangeRecord};
use crate::baseline::history::{Outcome, SettledReason};
use crate::engine::enforce::Witness;
use crate::engine::ledger::{Entry, Settlement};
use crate::metrics::Metrics;

/// Is told of the changes of one pass.
pub(super) struct KubeWitness {
    pub(super) baseline: ObjectReference,
    pub(super) told: mpsc::UnboundedSender<Told>,
    /// The name of the `AwsAccount`.
    pub(super) account: String,
    pub(super) metrics: Arc<Metrics>,
}

impl Witness for KubeWitness {
    fn claimed(&self, entry: &Entry) {
        let spec = &entry.spec;
        info!(
            account_id = spec.account_id.as_str(),
            control = spec.control,
            region = spec.region,
            operation = spec.operation,
            resource = one_line(&spec.resource),
            record = entry.name,
            "change starts"
        );
    }

    fn settled(&self, entry: &Entry, settlement: &Settlement) {
        let spec = &entry.spec;
        info!(
            account_id = spec.account_id.as_str(),
            control = spec.control,
            region = spec.region,
            operation = spec.operation,
            resource = one_line(&spec.resource),
            record = entry.name,
            outcome = settlement.outcome.as_str(),
            reason = settlement.reason.as_str(),
            detail = one_line(&settlement.message),
            "change settled"
        );
        self.metrics.changed(&self.account, &spec.control, &spec.operation, settlement.outcome);
        let told = Told { regarding: self.baseline.clone(), event: change_event(entry, settlement) };
        // Fails only after the operator stopped.
        let _ = self.told.unbounded_send(told);
    }
}

impl KubeWitness {
    pub(super) fn of(baseline: &AccountBaseline, context: &Context) -> Self {
        Self {
            baseline: baseline.object_ref(&()),
            told: context.told.clone(),
            account: baseline.spec.account_ref.name.clone(),
            metrics: context.metrics.clone(),
        }
    }
}

fn change_event(entry: &Entry, settlement: &Settlement) -> Event {
    let (weight, happening) = match (settlement.outcome, settlement.reason) {
        (Outcome::Succeeded, _) => (Weight::Normal, Happening::ChangeApplied),
        (Outcome::Failed | Outcome::Unverifiable, _) => (Weight::Warning, Happening::ChangeFailed),
        (Outcome::NotApplied, SettledReason::Denied | SettledReason::Refused) => {
            (Weight::Warning, Happening::ChangeNotApplied)
        }
        (Outcome::NotApplied, _) => (Weight::Normal, Happening::ChangeNotApplied),
    };
    let Entry { name, spec } = entry;
    let place = spec.region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
    let what = format!("{} on {}{place}", spec.operation, one_line(&spec.resource));
    let note = format!("{what}: {}; ChangeRecord {name}", one_line(&settlement.message));
    Event {
        happening,
        weight,
        action: one_line(&spec.operation),
        note,
        related: Some(ObjectReference {
            api_version: Some(ChangeRecord::api_version(&()).into_owned()),
            kind: Some(ChangeRecord::kind(&()).into_owned()),
            name: Some(name.clone()),
            ..ObjectReference::default()
        }),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::api::{ChangeRecordSpec, RecordedBaseline, RecordedChange};

    fn entry(name: &str, resource: &str) -> Entry {
        let spec = ChangeRecordSpec {
            account_id: "222222222222".into(),
            partition: "aws".to_owned(),
            baseline: RecordedBaseline::default(),
            control: "s3Encryption".to_owned(),
            findings: Vec::new(),
            operation: "s3:PutBucketEncryption".to_owned(),
            inverse: "s3:PutBucketEncryption".to_owned(),
            not_undone: None,
            resource: resource.to_owned(),
            region: Some("eu-west-1".to_owned()),
            meaning: String::new(),
            target: String::new(),
            ordinal: 0,
            plan_digest: None,
            approval: None,
            undoes: None,
            claimed_at: Timestamp::UNIX_EPOCH,
            claimed_by: String::new(),
            change: RecordedChange::default(),
        };
        Entry { name: name.to_owned(), spec }
    }

    fn settlement(outcome: Outcome, reason: SettledReason, message: &str) -> Settlement {
        let at = Timestamp::UNIX_EPOCH;
        Settlement { outcome, reason, message: message.to_owned(), missing_action: None, at }
    }

    #[test]
    fn p11_every_outcome_is_an_event_that_names_resource_and_record() {
        let table = [
            (Outcome::Succeeded, SettledReason::Applied, Weight::Normal, Happening::ChangeApplied),
            (Outcome::Failed, SettledReason::NotShown, Weight::Warning, Happening::ChangeFailed),
            (Outcome::Unverifiable, SettledReason::Unreadable, Weight::Warning, Happening::ChangeFailed),
            (Outcome::NotApplied, SettledReason::Denied, Weight::Warning, Happening::ChangeNotApplied),
            (Outcome::NotApplied, SettledReason::NotWanted, Weight::Normal, Happening::ChangeNotApplied),
        ];
        for (outcome, why, weight, happening) in table {
            let event = change_event(&entry("r-1", "arn:aws:s3:::logs"), &settlement(outcome, why, "it is as it is"));
            assert_eq!((event.weight, event.happening), (weight, happening));
            assert_eq!(
                event.note,
                "s3:PutBucketEncryption on arn:aws:s3:::logs in eu-west-1: it is as it is; ChangeRecord r-1"
            );
            assert_eq!(event.related.unwrap().name.as_deref(), Some("r-1"));
        }
    }

    #[test]
    fn p15_a_note_holds_nothing_that_a_terminal_acts_upon() {
        let long = "\u{1b}é".repeat(4_000);
        let event = change_event(&entry("r-1", &long), &settlement(Outcome::Failed, SettledReason::NotShown, &long));
        assert!(!event.note.contains('\u{1b}') && event.note.len() < 2_000, "{}", event.note.len());
    }
}
