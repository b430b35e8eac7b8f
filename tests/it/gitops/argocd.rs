//! The scripts of `examples/argocd/argocd-cm.yaml` under the interpreter that Argo CD uses: over a table of statuses,
//! and over those that the operator itself wrote.

use std::collections::BTreeMap;

use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use plumbline::api::{AccountBaseline, AwsAccount, BaselineException, PlanApproval};
use plumbline_rig::controlplane::manifests;
use plumbline_rig::gitops::lua;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{World, apply, condition, file};

const KINDS: [&str; 5] = ["AwsAccount", "AccountBaseline", "BaselineException", "PlanApproval", "ChangeRecord"];

/// The states of health that Argo CD knows, but for those that are not a script's to say.
const HEALTH: [&str; 4] = ["Healthy", "Progressing", "Suspended", "Degraded"];

/// One row of `health.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    kind: String,
    #[serde(default)]
    spec: BTreeMap<String, Value>,
    #[serde(default)]
    status: BTreeMap<String, Value>,
    #[serde(default)]
    conditions: BTreeMap<String, (String, String, String)>,
    #[serde(default = "two")]
    seen: i64,
    health: String,
    strict: Option<String>,
    #[serde(default)]
    message: String,
}

fn two() -> i64 {
    2
}

impl Row {
    fn object(&self) -> Value {
        let mut object = json!({"kind": self.kind, "metadata": {"name": "a", "generation": 2}, "spec": self.spec});
        let mut status = json!(self.status);
        if !self.conditions.is_empty() {
            let condition = |(kind, (status, reason, message)): (&String, &(String, String, String))| {
                json!({"type": kind, "status": status, "reason": reason, "message": message,
                    "observedGeneration": self.seen, "lastTransitionTime": "2026-11-01T00:00:00Z"})
            };
            status["observedGeneration"] = self.seen.into();
            status["conditions"] = self.conditions.iter().map(condition).collect();
        }
        if status != json!({}) {
            object["status"] = status;
        }
        object
    }
}

/// The value of a key of the ConfigMap in a file of `examples/argocd`.
fn script(path: &str, key: &str) -> String {
    let config = manifests(&file("examples/argocd").join(path)).unwrap().remove(0);
    let key = format!("resource.customizations.{key}");
    config["data"][&key].as_str().unwrap_or_else(|| panic!("{path} has no {key}")).to_owned()
}

fn health_script(kind: &str) -> String {
    let group = if kind == "Application" { "argoproj.io" } else { "plumbline.dev" };
    script("argocd-cm.yaml", &format!("health.{group}_{kind}"))
}

fn strict_script() -> String {
    script("strict/argocd-cm.yaml", "health.plumbline.dev_AccountBaseline")
}

/// State and message.
async fn health(script: &str, object: &Value) -> (String, String) {
    let said = lua(script, object).await.unwrap_or_else(|error| panic!("{error}: {object}"));
    let text = |field: &str| said[field].as_str().unwrap_or_else(|| panic!("no {field} in {said}")).to_owned();
    (text("status"), text("message"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_health_of_each_state_of_each_kind_is_what_the_table_says() {
    let rows: Vec<Row> = serde_saphyr::from_str(include_str!("health.yaml")).unwrap();
    let mut wrong = Vec::new();
    for row in &rows {
        let (kind, name) = (&row.kind, &row.name);
        assert!(HEALTH.contains(&row.health.as_str()), "{kind} {name}: {}", row.health);
        let (state, message) = health(&health_script(kind), &row.object()).await;
        if state != row.health || !message.contains(&row.message) {
            wrong.push(format!("{kind} {name}: {state}: {message}"));
        }
        if kind == "AccountBaseline" {
            let (state, message) = health(&strict_script(), &row.object()).await;
            let expected = row.strict.as_ref().unwrap_or(&row.health);
            if state != *expected || !message.contains(&row.message) {
                wrong.push(format!("strict, {kind} {name}: {state}: {message}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for kind in KINDS {
        let of_kind = rows.iter().filter(|row| row.kind == kind).count();
        assert!(of_kind >= 4, "{kind} has {of_kind} rows");
    }
}

/// What the script of an action makes of an object.
async fn act(kind: &str, action: &str, object: &Value) -> Value {
    let actions: Value =
        serde_saphyr::from_str(&script("argocd-cm.yaml", &format!("actions.plumbline.dev_{kind}"))).unwrap();
    let definitions = actions["definitions"].as_array().unwrap();
    let found = definitions.iter().find(|definition| definition["name"] == action).unwrap();
    lua(found["action.lua"].as_str().unwrap(), object).await.unwrap()
}

/// The actions that are offered for an object.
async fn offered(kind: &str, object: &Value) -> Vec<String> {
    let actions: Value =
        serde_saphyr::from_str(&script("argocd-cm.yaml", &format!("actions.plumbline.dev_{kind}"))).unwrap();
    let found = lua(actions["discovery.lua"].as_str().unwrap(), object).await.unwrap();
    let found = found.as_object().unwrap();
    let mut names: Vec<_> =
        found.iter().filter(|(_, action)| action["disabled"] != true).map(|(n, _)| n.clone()).collect();
    names.sort();
    names
}

async fn live(world: &World, kind: &str, name: &str) -> Value {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("plumbline.dev", "v1alpha1", kind));
    let object = Api::<DynamicObject>::all_with(world.client.clone(), &resource).get(name).await.unwrap();
    serde_json::to_value(object).unwrap()
}

/// Sends what an action made of an object as Argo CD does: the difference, as a merge patch.
async fn carry_out(world: &World, kind: &str, action: &str) -> Value {
    let before = live(world, kind, &world.id).await;
    let after = act(kind, action, &before).await;
    let field = |object: &Value, path: &str| object.pointer(path).cloned().unwrap_or(Value::Null);
    let suspend = field(&after, "/spec/suspend");
    let annotations = field(&after, "/metadata/annotations");
    let mut patch = json!({});
    if suspend != field(&before, "/spec/suspend") {
        patch["spec"] = json!({"suspend": suspend});
    }
    if annotations != field(&before, "/metadata/annotations") {
        patch["metadata"] = json!({"annotations": annotations});
    }
    assert_ne!(patch, json!({}), "{action} of {kind} does nothing");
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("plumbline.dev", "v1alpha1", kind));
    let api = Api::<DynamicObject>::all_with(world.client.clone(), &resource);
    api.patch(&world.id, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    live(world, kind, &world.id).await
}

async fn state(kind: &str, object: &Value) -> String {
    health(&health_script(kind), object).await.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_operator_writes_is_understood_and_the_actions_do_what_they_say() {
    let world = World::new().await;
    let seeded = world.seed("regions: [eu-west-1]\npasswordPolicy: {minimumPasswordLength: 8}").await;
    world.account(&seeded.account_id, "").await;
    let baseline = world.baseline("{passwordPolicy: {minimumPasswordLength: 14}}", "").await;
    for kind in ["AwsAccount", "AccountBaseline"] {
        assert_eq!(state(kind, &live(&world, kind, &world.id).await).await, "Progressing", "{kind}, no operator yet");
    }
    let _operator = world.operator();
    world.evaluated(baseline.metadata.generation.unwrap()).await;
    let verified =
        |account: &AwsAccount| account.status.as_ref().is_some_and(|status| status.last_verified_at.is_some());
    world.until_account("verified", verified).await;
    let (account, drifted) =
        (live(&world, "AwsAccount", &world.id).await, live(&world, "AccountBaseline", &world.id).await);
    assert_eq!(state("AwsAccount", &account).await, "Healthy");
    let (state_of_drift, message) = health(&health_script("AccountBaseline"), &drifted).await;
    assert!(state_of_drift == "Healthy" && message.starts_with("DriftDetected: 1 fail"), "{message}");
    assert_eq!(health(&strict_script(), &drifted).await.0, "Degraded");

    for kind in ["AwsAccount", "AccountBaseline"] {
        let object = live(&world, kind, &world.id).await;
        assert_eq!(offered(kind, &object).await, ["reconcile", "suspend"], "{kind}");
        let suspended = carry_out(&world, kind, "suspend").await;
        assert_eq!(offered(kind, &suspended).await, ["resume"], "{kind}");
        assert_eq!(state(kind, &suspended).await, "Suspended");
        let resumed = carry_out(&world, kind, "resume").await;
        assert_eq!(resumed["spec"]["suspend"], object["spec"]["suspend"], "{kind}");
    }
    let asked = carry_out(&world, "AccountBaseline", "reconcile").await;
    let value = asked["metadata"]["annotations"]["plumbline.dev/requestedAt"].as_str().unwrap().to_owned();
    let handled = |baseline: &AccountBaseline| {
        baseline.status.as_ref().unwrap().last_handled_reconcile_at.as_deref() == Some(value.as_str())
    };
    world.until("evaluated on request", handled).await;
    other_kinds_are_understood(&world).await;
}

async fn other_kinds_are_understood(world: &World) {
    let in_an_hour = jiff::Timestamp::now().saturating_add(jiff::SignedDuration::from_hours(1)).unwrap().to_string();
    let object = |kind: &str, spec: Value| {
        let metadata = json!({"name": world.id});
        json!({"apiVersion": "plumbline.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
    };
    let spec = json!({"accounts": [world.id], "check": "MinimumPasswordLength", "resourcePattern": "*",
        "owner": "team-data", "reason": "the migration needs it", "expiresAt": in_an_hour});
    apply::<BaselineException>(&world.client, object("BaselineException", spec)).await;
    let covers =
        |exception: &BaselineException| exception.status.as_ref().is_some_and(|status| status.matched == Some(1));
    world.until_named::<BaselineException>(&world.id, "in force", covers).await;
    assert_eq!(state("BaselineException", &live(world, "BaselineException", &world.id).await).await, "Healthy");
    let spec = json!({"baselineRef": {"name": world.id}, "planDigest": "8f14e45fceea167a", "expiresAt": in_an_hour});
    apply::<PlanApproval>(&world.client, object("PlanApproval", spec)).await;
    let looked_at = |approval: &PlanApproval| {
        approval.status.as_ref().is_some_and(|status| condition(&status.conditions, "Ready").is_some())
    };
    world.until_named::<PlanApproval>(&world.id, "looked at", looked_at).await;
    assert_eq!(state("PlanApproval", &live(world, "PlanApproval", &world.id).await).await, "Suspended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scripts_have_only_the_libraries_that_argo_cd_opens() {
    let object = json!({});
    let script = "return {string = string == nil, io = io == nil, os = os == nil, math = math == nil}";
    let absent = lua(script, &object).await.unwrap();
    assert_eq!(absent, json!({"string": true, "io": true, "os": true, "math": true}));
    let error = lua("return obj.spec.suspend", &object).await.unwrap_err().to_string();
    assert!(error.contains("attempt to index"), "{error}");
}
