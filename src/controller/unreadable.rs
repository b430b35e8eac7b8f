//! A baseline that this version cannot read, as a later one may have written it: it is not evaluated, so the verdict of
//! an earlier evaluation is withdrawn, and status says why. Does IO: one read, and one write where that is new.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use kube::api::TypeMeta;
use kube::core::ObjectMeta;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::reflector::Store;
use kube::{Api, Resource, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Guarded;
use super::conditions::{Conditions, find};
use super::context::{Context, now, uids};
use super::entries::one_line;
use super::fresh::answered;
use super::write::{WithStatus, WriteError, write_status};
use crate::api::{AccountBaseline, Condition, ConditionStatus, ConditionType, Reason};

/// An `AccountBaseline` as it is stored, whatever is in it.
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(inherit = AccountBaseline)]
struct Stored {
    #[serde(flatten)]
    types: TypeMeta,
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<Map<String, Value>>,
}

impl WithStatus for Stored {
    type Status = Map<String, Value>;

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }

    fn set_status(&mut self, status: Self::Status) {
        self.status = Some(status);
    }
}

/// The baselines whose verdict was withdrawn, by uid, and the name of the account of each: for `/metrics`.
#[derive(Default)]
pub(super) struct Withdrawn(Mutex<HashMap<String, String>>);

impl Withdrawn {
    fn map(&self) -> MutexGuard<'_, HashMap<String, String>> {
        // A panic elsewhere cannot have left a half-written entry: inserts are whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account of one of them.
    pub(super) fn account(&self, uid: &str) -> Option<String> {
        self.map().get(uid).cloned()
    }

    fn add(&self, uid: &str, account: String, live: &Store<Guarded<AccountBaseline>>) {
        let uids = uids(live);
        let mut map = self.map();
        map.retain(|known, _| uids.contains(known));
        map.insert(uid.to_owned(), account);
    }
}

/// Withdraws the verdict of a baseline that cannot be read, where its account is one of ours.
pub(super) async fn withdraw(context: &Context, invalid: &InvalidObject) -> Result<(), WriteError> {
    let name = invalid.metadata.name.as_deref().unwrap_or_default();
    let api = Api::<Stored>::all(context.client.clone());
    let found = answered(api.get_opt(name)).await;
    let found = found.map_err(|error| WriteError::Unread { name: name.to_owned(), why: error.to_string() })?;
    let Some(stored) = found.filter(|stored| stored.uid() == invalid.metadata.uid) else { return Ok(()) };
    let account = stored.spec.pointer("/accountRef/name").and_then(Value::as_str).unwrap_or_default();
    if !context.selects(account) {
        return Ok(());
    }
    let account = account.to_owned();
    let at = now();
    write_status(&context.client, &stored, |stored| {
        let generation = stored.metadata.generation.unwrap_or_default();
        withdrawn(stored.status.clone().unwrap_or_default(), generation, &invalid.error, at)
    })
    .await?;
    context.withdrawn.add(&stored.uid().unwrap_or_default(), account, &context.baselines);
    Ok(())
}

/// The status without its verdict. What else a later version wrote stays.
fn withdrawn(mut status: Map<String, Value>, generation: i64, error: &str, now: Timestamp) -> Map<String, Value> {
    let stored = status.get("conditions").and_then(|conditions| serde_json::from_value(conditions.clone()).ok());
    let mut list: Vec<Condition> = stored.unwrap_or_default();
    let said = |kind, reason: Reason| {
        find(&list, kind).is_some_and(|it| it.reason == reason.as_str() && it.observed_generation == generation)
    };
    // Whatever the error was called: two versions must not correct each other for ever.
    if said(ConditionType::Ready, Reason::InvalidSpec) && said(ConditionType::Compliant, Reason::Stale) {
        return status;
    }
    let mut conditions = Conditions::new(&mut list, generation, now);
    let message = one_line(&format!(
        "this version of Plumbline cannot read it: correct it, or run the version that it was written for: {error}"
    ));
    conditions.stall(Reason::InvalidSpec, &message);
    let message = "it is not evaluated, see Ready: what was last seen is of an earlier evaluation";
    conditions.set(ConditionType::Compliant, ConditionStatus::Unknown, Reason::Stale, message);
    status.insert("conditions".to_owned(), json!(list));
    status.insert("observedGeneration".to_owned(), generation.into());
    // Whoever can read it evaluates it at once.
    status.remove("observedAccountUid");
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_withdrawn_once_and_what_is_not_ours_to_know_stays() {
        let time = |second| Timestamp::from_second(second).unwrap();
        let before = json!({
            "observedGeneration": 3,
            "observedAccountUid": "a",
            "ofALaterVersion": {"kept": true},
            "conditions": [{"type": "Compliant", "status": "True", "reason": "AllPassing", "message": "all pass",
                "observedGeneration": 3, "lastTransitionTime": "2026-11-01T00:00:00Z"}],
        });
        let Value::Object(before) = before else { panic!("it is made so") };
        let after = withdrawn(before, 4, "unknown field `regions`", time(10));
        let list: Vec<Condition> = serde_json::from_value(after["conditions"].clone()).unwrap();
        let said: Vec<_> = list.iter().map(|it| (it.r#type.as_str(), it.status.as_str(), it.reason.as_str())).collect();
        let expected =
            [("Compliant", "Unknown", "Stale"), ("Ready", "False", "InvalidSpec"), ("Stalled", "True", "InvalidSpec")];
        assert_eq!(said, expected);
        assert!(list[1].message.contains("unknown field `regions`"), "{}", list[1].message);
        assert_eq!((&after["ofALaterVersion"], after.get("observedAccountUid")), (&json!({"kept": true}), None));
        assert_eq!(withdrawn(after.clone(), 4, "as another version calls it", time(99)), after, "nothing to write");
        assert_ne!(withdrawn(after.clone(), 5, "unknown field `regions`", time(99)), after, "edited, and no better");
        let odd = withdrawn(Map::from_iter([("conditions".to_owned(), json!("none"))]), 1, "bad", time(10));
        assert_eq!(odd["conditions"].as_array().map(Vec::len), Some(3));
    }
}
