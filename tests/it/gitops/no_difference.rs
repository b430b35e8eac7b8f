//! What is applied stays as it was applied: kubectl and Argo CD find nothing to do, before and after the operator wrote
//! its status.

use std::path::PathBuf;

use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use plumbline::api::{AccountBaseline, AwsAccount, BaselineException};
use plumbline_rig::controlplane::manifests;
use serde_json::Value;

use super::checkout::Checkout;
use crate::support::{World, condition, kubectl};

const FOLDERS: [&str; 4] = ["accounts", "approvals", "baselines", "exceptions"];

/// The fleet under names of this test's own, for the operator of this test.
async fn fleet(world: &World) -> (Checkout, PathBuf) {
    let checkout = Checkout::new(world).await;
    let mut objects = Vec::new();
    for folder in FOLDERS {
        objects.extend(manifests(&checkout.path("fleet").join(folder)).unwrap());
    }
    let names: Vec<String> =
        objects.iter().map(|object| object["metadata"]["name"].as_str().unwrap().to_owned()).collect();
    let mut text: Vec<String> = objects.iter().map(|object| serde_saphyr::to_string(object).unwrap()).collect();
    for text in &mut text {
        for name in ["payments-prod-2027-01", "analytics-dev", "reporting-db-migration", "payments-prod"] {
            assert!(names.iter().any(|known| known == name), "{names:?}");
            *text = text.replace(&format!(": {name}\n"), &format!(": {}-{name}\n", world.id));
            *text = text.replace(&format!("- {name}\n"), &format!("- {}-{name}\n", world.id));
        }
        *text = text.replace("    tier: ", &format!("    test: {}\n    tier: ", world.id));
    }
    let path = checkout.path("all.yaml");
    checkout.write("all.yaml", &text.join("---\n"));
    (checkout, path)
}

/// What a manifest says that the stored object does not say in the same words. Fields that are not in the manifest are
/// nobody's concern, but a list has to be the same list: GitOps tools compare them as a whole.
fn differences(path: &str, manifest: &Value, stored: &Value) -> Vec<String> {
    match (manifest, stored) {
        (Value::Object(manifest), Value::Object(stored)) => {
            let of = |(name, value): (&String, &Value)| match stored.get(name) {
                Some(stored) => differences(&format!("{path}.{name}"), value, stored),
                None => vec![format!("{path}.{name} is gone")],
            };
            manifest.iter().flat_map(of).collect()
        }
        (manifest, stored) if manifest == stored => Vec::new(),
        (manifest, stored) => vec![format!("{path}: {manifest} is stored as {stored}")],
    }
}

async fn stored(world: &World, manifest: &Value) -> Value {
    let kind = manifest["kind"].as_str().unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("plumbline.dev", "v1alpha1", kind));
    let api = Api::<DynamicObject>::all_with(world.client.clone(), &resource);
    let object = api.get(manifest["metadata"]["name"].as_str().unwrap()).await.unwrap();
    serde_json::to_value(object).unwrap()
}

/// Whether each way to apply the file finds anything to do.
async fn assert_no_difference(file: &str, when: &str) {
    let diff = kubectl(&["diff", "-f", file]).await;
    assert_eq!(diff.status.code(), Some(0), "{when}: {}", String::from_utf8_lossy(&diff.stdout));
    let argo = ["--server-side", "--force-conflicts", "--field-manager=argocd-controller"];
    let diff = kubectl(&[&["diff", "-f", file], &argo[..]].concat()).await;
    let changes: Vec<_> = String::from_utf8_lossy(&diff.stdout).lines().map(str::to_owned).collect();
    assert_eq!((diff.status.code(), changes.len()), (Some(0), 0), "{when}: {changes:#?}");
    let applied = kubectl(&["apply", "-f", file]).await;
    let said = String::from_utf8(applied.stdout).unwrap();
    assert!(applied.status.success(), "{when}: {}", String::from_utf8_lossy(&applied.stderr));
    assert_eq!(said.lines().count(), 6, "{said}");
    assert!(said.lines().all(|line| line.ends_with(" unchanged")), "{when}: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_applied_is_what_is_stored_before_and_after_the_operator_wrote_its_status() {
    let world = World::new().await;
    let (_checkout, path) = fleet(&world).await;
    let file = path.to_str().unwrap();
    let applied = kubectl(&["apply", "-f", file]).await;
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    assert_no_difference(file, "before the operator").await;
    let _operator = world.operator();
    for name in ["payments-prod", "analytics-dev"] {
        let name = format!("{}-{name}", world.id);
        let is_ready = |conditions: &[plumbline::api::Condition]| {
            condition(conditions, "Ready").is_some_and(|ready| ready.status == "True")
        };
        let account = |account: &AwsAccount| account.status.iter().any(|status| is_ready(&status.conditions));
        world.until_named(&name, "ready", account).await;
        let baseline = |baseline: &AccountBaseline| baseline.status.iter().any(|status| is_ready(&status.conditions));
        world.until_named(&name, "ready", baseline).await;
    }
    let judged = |exception: &BaselineException| exception.status.iter().any(|status| status.matched.is_some());
    world.until_named(&format!("{}-reporting-db-migration", world.id), "judged", judged).await;
    assert_no_difference(file, "after the status was written").await;
    for manifest in manifests(&path).unwrap() {
        let name = manifest["metadata"]["name"].to_string();
        assert_eq!(differences(&name, &manifest, &stored(&world, &manifest).await), Vec::<String>::new());
    }
}

#[test]
fn a_difference_is_found() {
    let manifest = serde_json::json!({"a": 1, "b": {"c": [1, 2]}});
    assert_eq!(differences("", &manifest, &manifest), Vec::<String>::new());
    let stored = serde_json::json!({"a": 2, "b": {"c": [1, 2, 3], "d": 4}});
    assert_eq!(differences("", &manifest, &stored).len(), 2);
    assert_eq!(differences("", &manifest, &serde_json::json!({})).len(), 2);
}
