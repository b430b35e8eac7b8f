//! Tells of every change: a log line and an Event on the baseline, before it is made and after. IO in the background,
//! so that a change never waits for whoever is told of it.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use tokio::time::timeout;
use tracing::{info, warn};

use super::context::Context;
use super::entries::one_line;
use super::fresh::CallError;
use crate::api::{AccountBaseline, ChangeRecord, DriftEntry};
use crate::baseline::HoldReason;
use crate::baseline::history::{Outcome, SettledReason};
use crate::engine::enforce::Witness;
use crate::engine::ledger::{Entry, Settlement};
use crate::metrics::Metrics;

/// Events that are not taken in this time are dropped: the records have everything.
const PUBLISH_WITHIN: Duration = Duration::from_secs(10);

/// The longest note that the API server takes, in bytes.
const NOTE_BYTES: usize = 1024;

/// An Event to be published.
pub(super) struct Told {
    baseline: ObjectReference,
    event: Event,
}

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
            account = spec.account_id.as_str(),
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
            account = spec.account_id.as_str(),
            control = spec.control,
            region = spec.region,
            operation = spec.operation,
            resource = one_line(&spec.resource),
            record = entry.name,
            outcome = settlement.outcome.as_str(),
            reason = settlement.reason.as_str(),
            message = one_line(&settlement.message),
            "change settled"
        );
        self.metrics.changed(&self.account, &spec.control, &spec.operation, settlement.outcome);
        let told = Told { baseline: self.baseline.clone(), event: change_event(entry, settlement) };
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

    /// Tells of drift that others bring back again and again, once.
    pub(super) fn contested(&self, before: &[DriftEntry], after: &[DriftEntry]) {
        if let Some(event) = contest_event(before, after) {
            let _ = self.told.unbounded_send(Told { baseline: self.baseline.clone(), event });
        }
    }
}

fn change_event(entry: &Entry, settlement: &Settlement) -> Event {
    let (type_, reason) = match (settlement.outcome, settlement.reason) {
        (Outcome::Succeeded, _) => (EventType::Normal, "ChangeApplied"),
        (Outcome::Failed | Outcome::Unverifiable, _) => (EventType::Warning, "ChangeFailed"),
        (Outcome::NotApplied, SettledReason::Denied | SettledReason::Refused) => {
            (EventType::Warning, "ChangeNotApplied")
        }
        (Outcome::NotApplied, _) => (EventType::Normal, "ChangeNotApplied"),
    };
    let Entry { name, spec } = entry;
    let place = spec.region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
    let what = format!("{} on {}{place}", spec.operation, one_line(&spec.resource));
    let note = format!("{what}: {}; ChangeRecord {name}", one_line(&settlement.message));
    Event {
        type_,
        reason: reason.to_owned(),
        note: Some(bounded(&note)),
        action: spec.operation.clone(),
        // Without it, the event of the next change would count as a repetition of this one.
        secondary: Some(ObjectReference {
            api_version: Some(ChangeRecord::api_version(&()).into_owned()),
            kind: Some(ChangeRecord::kind(&()).into_owned()),
            name: Some(name.clone()),
            ..ObjectReference::default()
        }),
    }
}

fn contest_event(before: &[DriftEntry], after: &[DriftEntry]) -> Option<Event> {
    let contested = |entry: &&DriftEntry| entry.remediation_reason.as_deref() == Some(HoldReason::Contested.as_str());
    let known: Vec<&str> = before.iter().filter(contested).map(|entry| entry.id.as_str()).collect();
    let new: Vec<&DriftEntry> = after.iter().filter(contested).filter(|e| !known.contains(&e.id.as_str())).collect();
    let first = new.first()?;
    let others = if new.len() > 1 { format!(" and {} others", new.len() - 1) } else { String::new() };
    let what = format!("{} of {}{others}", first.check, first.resource);
    let note = format!("{what} is contested: {}", first.remediation_message.as_deref().unwrap_or_default());
    Some(Event {
        type_: EventType::Warning,
        reason: "Contested".to_owned(),
        note: Some(bounded(&note)),
        action: "Enforce".to_owned(),
        secondary: None,
    })
}

fn bounded(note: &str) -> String {
    let end = (0..=NOTE_BYTES.min(note.len())).rev().find(|end| note.is_char_boundary(*end)).unwrap_or(0);
    note.get(..end).unwrap_or_default().to_owned()
}

/// Publishes what is told, until everybody who tells is gone. Events of cluster-scoped objects land in the namespace
/// `default`.
pub(super) async fn publish(client: Client, identity: String, mut told: mpsc::UnboundedReceiver<Told>) {
    let reporter = Reporter { controller: "plumbline".to_owned(), instance: Some(identity) };
    let recorder = Recorder::new(client, reporter);
    while let Some(Told { baseline, event }) = told.next().await {
        let published = timeout(PUBLISH_WITHIN, recorder.publish(&event, &baseline)).await;
        let failed = match published {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => CallError::Api(Box::new(error)),
            Err(_) => CallError::NoAnswer,
        };
        warn!(reason = event.reason, error = %failed, "an Event was not published; the ChangeRecord has everything");
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
            (Outcome::Succeeded, SettledReason::Applied, EventType::Normal, "ChangeApplied"),
            (Outcome::Failed, SettledReason::NotShown, EventType::Warning, "ChangeFailed"),
            (Outcome::Unverifiable, SettledReason::Unreadable, EventType::Warning, "ChangeFailed"),
            (Outcome::NotApplied, SettledReason::Denied, EventType::Warning, "ChangeNotApplied"),
            (Outcome::NotApplied, SettledReason::NotWanted, EventType::Normal, "ChangeNotApplied"),
        ];
        for (outcome, why, type_, reason) in table {
            let event = change_event(&entry("r-1", "arn:aws:s3:::logs"), &settlement(outcome, why, "it is as it is"));
            assert_eq!((event.type_, event.reason.as_str()), (type_, reason));
            let note = event.note.unwrap();
            assert_eq!(
                note,
                "s3:PutBucketEncryption on arn:aws:s3:::logs in eu-west-1: it is as it is; ChangeRecord r-1"
            );
            assert_eq!(event.secondary.unwrap().name.as_deref(), Some("r-1"), "else it counts as a repetition");
        }
    }

    #[test]
    fn p15_a_note_is_never_longer_than_the_api_server_takes() {
        let long = "\u{1b}é".repeat(4_000);
        let event =
            change_event(&entry(&"n".repeat(253), &long), &settlement(Outcome::Failed, SettledReason::NotShown, &long));
        let note = event.note.unwrap();
        assert!(note.len() <= 1024 && note.len() > 900 && !note.contains('\u{1b}'), "{}", note.len());
    }

    #[test]
    fn a_contest_is_told_once() {
        let drift = |id: &str, reason: Option<&str>| DriftEntry {
            id: id.to_owned(),
            remediation_reason: reason.map(str::to_owned),
            ..DriftEntry::default()
        };
        let before = [drift("a", Some("Contested")), drift("b", Some("NotRead"))];
        assert!(contest_event(&before, &before).is_none());
        let after = [drift("a", Some("Contested")), drift("b", Some("Contested")), drift("c", Some("Contested"))];
        let event = contest_event(&before, &after).unwrap();
        assert!(event.note.unwrap().contains("and 1 others"));
        assert!(contest_event(&after, &before).is_none());
    }
}
