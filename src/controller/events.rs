//! From what happened to an Event on the object that it happened to. Publishing is IO, in the background, so that
//! nobody waits for whoever is told.
//!
//! Each Event is created and never counted up: it tells of one transition, with a note of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as KubeEvent;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::time::timeout;
use tracing::{info, warn};

use super::fresh::CallError;
use super::write::{WithStatus, Written};

/// Events that are not taken in this time are dropped: status and records have everything.
const PUBLISH_WITHIN: Duration = Duration::from_secs(10);

/// The longest note that the API server takes, in bytes.
const NOTE_BYTES: usize = 1024;

/// Where Events of cluster-scoped objects land.
const NAMESPACE: &str = "default";

/// The longest name that an object may have, and what of it an Event's own name may take up.
const NAME_BYTES: usize = 200;

/// Everything that Events tell of. Each has a row in `docs/events.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    DriftDetected,
    DriftResolved,
    EvaluationIncomplete,
    EvaluationComplete,
    Stale,
    Suspended,
    Resumed,
    InvalidSpec,
    AccountNotFound,
    AccountUnreachable,
    AccountReachable,
    AccountMismatch,
    ExternalIdNotEnforced,
    EnforcementBlocked,
    EnforcementUnblocked,
    Contested,
    ChangeApplied,
    ChangeFailed,
    ChangeNotApplied,
    ExceptionActive,
    ExceptionUnused,
    ExceptionExpired,
    ExceptionInvalid,
    ApprovalInUse,
    ApprovalUsed,
    ApprovalExpired,
    ApprovalInvalid,
}

/// Whether somebody should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Normal,
    Warning,
}

impl Weight {
    fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// What happened to one object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) happening: Happening,
    pub(super) weight: Weight,
    /// What Plumbline did, or would have done.
    pub(super) action: String,
    /// A sentence for people.
    pub(super) note: String,
    /// Another object that it is about, too.
    pub(super) related: Option<ObjectReference>,
}

/// An Event to be published.
pub(super) struct Told {
    pub(super) regarding: ObjectReference,
    pub(super) event: Event,
}

impl Happening {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::DriftDetected => "DriftDetected",
            Self::DriftResolved => "DriftResolved",
            Self::EvaluationIncomplete => "EvaluationIncomplete",
            Self::EvaluationComplete => "EvaluationComplete",
            Self::Stale => "Stale",
            Self::Suspended => "Suspended",
            Self::Resumed => "Resumed",
            Self::InvalidSpec => "InvalidSpec",
            Self::AccountNotFound => "AccountNotFound",
            Self::AccountUnreachable => "AccountUnreachable",
            Self::AccountReachable => "AccountReachable",
            Self::AccountMismatch => "AccountMismatch",
            Self::ExternalIdNotEnforced => "ExternalIdNotEnforced",
            Self::EnforcementBlocked => "EnforcementBlocked",
            Self::EnforcementUnblocked => "EnforcementUnblocked",
            Self::Contested => "Contested",
            Self::ChangeApplied => "ChangeApplied",
            Self::ChangeFailed => "ChangeFailed",
            Self::ChangeNotApplied => "ChangeNotApplied",
            Self::ExceptionActive => "ExceptionActive",
            Self::ExceptionUnused => "ExceptionUnused",
            Self::ExceptionExpired => "ExceptionExpired",
            Self::ExceptionInvalid => "ExceptionInvalid",
            Self::ApprovalInUse => "ApprovalInUse",
            Self::ApprovalUsed => "ApprovalUsed",
            Self::ApprovalExpired => "ApprovalExpired",
            Self::ApprovalInvalid => "ApprovalInvalid",
        }
    }

    /// How much it weighs, where that does not depend on anything.
    pub(super) fn weight(self) -> Weight {
        match self {
            Self::DriftResolved
            | Self::EvaluationComplete
            | Self::Suspended
            | Self::Resumed
            | Self::AccountReachable
            | Self::EnforcementUnblocked
            | Self::ChangeApplied
            | Self::ExceptionActive
            | Self::ExceptionUnused
            | Self::ApprovalInUse
            | Self::ApprovalUsed => Weight::Normal,
            Self::DriftDetected
            | Self::EvaluationIncomplete
            | Self::Stale
            | Self::InvalidSpec
            | Self::AccountNotFound
            | Self::AccountUnreachable
            | Self::AccountMismatch
            | Self::ExternalIdNotEnforced
            | Self::EnforcementBlocked
            | Self::Contested
            | Self::ChangeFailed
            | Self::ChangeNotApplied
            | Self::ExceptionExpired
            | Self::ExceptionInvalid
            | Self::ApprovalExpired
            | Self::ApprovalInvalid => Weight::Warning,
        }
    }
}

impl Event {
    pub(super) fn new(happening: Happening, action: &str, note: String) -> Self {
        Self { happening, weight: happening.weight(), action: action.to_owned(), note, related: None }
    }
}

/// Names one pass, in its log lines and its trace.
pub(super) fn reconcile_id() -> String {
    format!("{:08x}", fastrand::u32(..))
}

/// Tells what the status that was written says anew: a log line and an Event each. What was not written is not told.
pub(super) fn tell_all<K: WithStatus>(
    told: &mpsc::UnboundedSender<Told>,
    object: &K,
    written: Option<&Written<K::Status>>,
    events: impl Fn(&K::Status, &K::Status) -> Vec<Event>,
) where
    K::Status: Default,
{
    let Some(Written { before, after }) = written else { return };
    for event in events(&before.clone().unwrap_or_default(), after) {
        // Without the note: it names what stands in AWS, and the log holds no more of that than it must.
        info!(event = event.happening.as_str(), weight = event.weight.as_str(), "told");
        // Fails only after the operator stopped.
        let _ = told.unbounded_send(Told { regarding: object.object_ref(&()), event });
    }
}

/// Publishes what is told, until everybody who tells is gone.
pub(super) async fn publish(client: Client, identity: String, mut told: mpsc::UnboundedReceiver<Told>) {
    let api = Api::<KubeEvent>::namespaced(client, NAMESPACE);
    while let Some(Told { regarding, event }) = told.next().await {
        let reason = event.happening.as_str();
        let event = kube_event(regarding, event, &identity);
        let failed = match timeout(PUBLISH_WITHIN, api.create(&PostParams::default(), &event)).await {
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => CallError::Api(Box::new(error)),
            Err(_) => CallError::NoAnswer,
        };
        warn!(reason, error = %failed, "an Event was not published; status and records have everything");
    }
}

fn kube_event(regarding: ObjectReference, event: Event, identity: &str) -> KubeEvent {
    /// Two Events of one moment have names of their own.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let now = Timestamp::now();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let object = bounded(regarding.name.as_deref().unwrap_or_default(), NAME_BYTES);
    KubeEvent {
        metadata: ObjectMeta {
            name: Some(format!("{}.{:x}.{number:x}", object.trim_end_matches(['.', '-']), now.as_nanosecond())),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        reporting_controller: Some("plumbline".to_owned()),
        // The API server takes no more, here and of the action.
        reporting_instance: Some(bounded(identity, 128)),
        regarding: Some(regarding),
        related: event.related,
        action: Some(bounded(&event.action, 128)),
        reason: Some(event.happening.as_str().to_owned()),
        note: Some(bounded(&event.note, NOTE_BYTES)),
        type_: Some(event.weight.as_str().to_owned()),
        ..KubeEvent::default()
    }
}

fn bounded(text: &str, bytes: usize) -> String {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p15_a_note_and_a_name_are_never_longer_than_the_api_server_takes() {
        let regarding = ObjectReference { name: Some(format!("{}.", "n".repeat(250))), ..ObjectReference::default() };
        let event = Event::new(Happening::DriftDetected, "Evaluate", "é".repeat(4_000));
        let event = kube_event(regarding, event, &"i".repeat(300));
        let note = event.note.unwrap();
        assert!(note.len() <= 1024 && note.len() > 1000, "{}", note.len());
        assert!(event.metadata.name.unwrap().len() <= 253);
        assert_eq!(event.reporting_instance.unwrap().len(), 128);
    }

    #[test]
    fn two_events_of_one_moment_have_two_names() {
        let name = || {
            let event = Event::new(Happening::Stale, "Evaluate", String::new());
            kube_event(ObjectReference::default(), event, "me").metadata.name.unwrap()
        };
        assert_ne!(name(), name());
    }
}
