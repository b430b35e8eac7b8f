//! The chart installed into a real API server by both versions of Helm; the operator then runs as the release says:
//! with its `ServiceAccount`, its arguments and its environment.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};
use plumbline::api::{AccountBaseline, BaselineException, ChangeRecord, ChangeRecordStatus, PlanApproval};
use plumbline_rig::controlplane::ControlPlane;
use plumbline_rig::kube_proxy::{Action, KubeProxy, Matcher};
use plumbline_rig::release::{self, Helm, Release};
use plumbline_rig::supervisor::{Signal, Supervised};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::rights::allowed;
use crate::enforced::{CHANGES, CONTROLS, Enforced, STATE, outcomes};
use crate::support::{PATIENCE, World, apply};

/// It may change, keeps few records, and every admission policy is on: the operator has to live with them.
const GUARDED: &str = "enforcement.enabled=true,enforcement.recordsPerAccount=100,\
    admissionPolicies.records.enabled=true,admissionPolicies.enforce.enabled=true,\
    admissionPolicies.exceptions.enabled=true";

/// A control plane into which Helm 4 installed the chart, and nothing else installed anything.
pub(super) async fn guarded() -> &'static (ControlPlane, Release) {
    static READY: OnceCell<(ControlPlane, Release)> = OnceCell::const_new();
    READY
        .get_or_init(|| async {
            let cluster = ControlPlane::start().await.unwrap();
            let release =
                Release::installed(Helm::Four, cluster.admin_kubeconfig(), &["--set", GUARDED]).await.unwrap();
            (cluster, release)
        })
        .await
}

impl Enforced {
    fn start(&self, release: &Release) -> Supervised {
        self.world.start_release(release, &self.kube.kubeconfig(self.world.kubeconfig()).unwrap())
    }
}

/// What the operator asked of the API server, as a rule would say it.
fn asked(kube: &KubeProxy) -> BTreeSet<(String, String)> {
    let of_object = |resource: &str| !resource.starts_with('/');
    let calls = kube.calls().into_iter().filter(|call| of_object(&call.resource));
    calls
        .map(|call| match call.verb.split_once('-') {
            Some((verb, subresource)) => (verb.to_owned(), format!("{}/{subresource}", call.resource)),
            None => (call.verb, call.resource),
        })
        .collect()
}

/// A copy of a record under another name, with another outcome or none.
async fn copy(world: &World, of: &ChangeRecord, name: &str, at: Timestamp, outcome: Option<&str>) {
    let api = Api::<ChangeRecord>::all(world.client.clone());
    let mut spec = of.spec.clone();
    spec.claimed_at = at;
    let mut stored = api.create(&PostParams::default(), &ChangeRecord::new(name, spec)).await.unwrap();
    if let Some(outcome) = outcome {
        stored.status = Some(ChangeRecordStatus {
            outcome: Some(outcome.to_owned()),
            reason: Some("Applied".to_owned()),
            message: Some("as it was".to_owned()),
            missing_action: None,
            settled_at: Some(at),
        });
        api.replace_status(name, &PostParams::default(), &stored).await.unwrap();
    }
}

#[tokio::test]
async fn p12_the_operators_roles_are_enough_and_every_rule_of_them_is_used() {
    let (cluster, release) = guarded().await;
    let enforced = Enforced::on(World::on(cluster).await, STATE, CONTROLS, ", enforcement: {approval: Always}").await;
    let (world, id) = (&enforced.world, enforced.world.id.clone());
    let in_an_hour = Timestamp::now().saturating_add(SignedDuration::from_hours(1)).unwrap().to_string();
    let exception = json!({"apiVersion": "plumbline.dev/v1alpha1", "kind": "BaselineException",
        "metadata": {"name": id}, "spec": {"accounts": [id], "control": "mfa", "resourcePattern": "nobody",
            "owner": "team-data", "reason": "the migration needs it", "expiresAt": in_an_hour}});
    apply::<BaselineException>(&world.client, exception).await;
    // A status that somebody else wrote meanwhile is read again.
    for kind in ["awsaccounts", "accountbaselines", "baselineexceptions", "planapprovals"] {
        enforced.kube.rule(Matcher::call("update-status", kind), Action::Status(409), Some(1));
    }

    let operator = enforced.start(release);
    let baseline = enforced.blocked("ApprovalRequired").await;
    let digest = baseline.status.unwrap().plan.unwrap().digest;
    let approval = json!({"apiVersion": "plumbline.dev/v1alpha1", "kind": "PlanApproval", "metadata": {"name": id},
        "spec": {"baselineRef": {"name": id}, "planDigest": digest, "expiresAt": in_an_hour}});
    apply::<PlanApproval>(&world.client, approval).await;
    enforced.quiet().await;
    assert_eq!(enforced.change_names(), CHANGES);

    // More records than are kept.
    let records = enforced.records().await;
    enforced.assert_recorded(&records);
    let long_ago: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
    for number in 0..100 {
        copy(world, &records[0], &format!("{id}-old-{number}"), long_ago, Some("Succeeded")).await;
    }
    enforced.look_again("to forget the oldest").await;
    let deleted = || !enforced.kube.calls_of("delete", "changerecords").is_empty();
    enforced.wait("the oldest records are deleted", deleted).await;
    // What tells of itself by an Event, and holds the Lease on.
    enforced.wait("the Lease is renewed", || !enforced.kube.calls_of("update", "leases").is_empty()).await;
    enforced.wait("Events are told", || !enforced.kube.calls_of("create", "events").is_empty()).await;
    drop(operator);

    let denied: Vec<_> = enforced.kube.calls().into_iter().filter(|call| call.status == Some(403)).collect();
    assert!(denied.is_empty(), "{denied:#?}");
    let (allowed, asked) = (allowed(release, "plumbline-operator"), asked(&enforced.kube));
    let missing: Vec<_> = asked.difference(&allowed).collect();
    assert!(missing.is_empty(), "asked for without a rule: {missing:?}");
    let unused: Vec<_> = allowed.difference(&asked).collect();
    assert!(unused.is_empty(), "allowed and never asked for: {unused:?}");
}

/// The chart as it was: an earlier version, with CRDs that lack a field of today's.
fn earlier(folder: &Path) {
    let copied = std::process::Command::new("cp").arg("-r").arg(release::chart()).arg(folder).status().unwrap();
    assert!(copied.success());
    let edit = |path: &str, edit: &dyn Fn(String) -> String| {
        let path = folder.join(path);
        let text = std::fs::read_to_string(&path).unwrap();
        let edited = edit(text.clone());
        assert_ne!(text, edited, "{}", path.display());
        std::fs::write(path, edited).unwrap();
    };
    let version = format!("ersion: {}", env!("CARGO_PKG_VERSION"));
    edit("Chart.yaml", &|text| text.replace(&version, "ersion: 0.0.9"));
    edit("files/crds/plumbline.dev_changerecords.yaml", &|text| {
        let mut crd: Value = serde_saphyr::from_str(&text).unwrap();
        let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
        crd.pointer_mut(status).unwrap().as_object_mut().unwrap().remove("missingAction").unwrap();
        serde_saphyr::to_string(&crd).unwrap()
    });
}

async fn knows_missing_action(world: &World) -> bool {
    let crds = Api::<CustomResourceDefinition>::all(world.client.clone());
    let crd = serde_json::to_string(&crds.get("changerecords.plumbline.dev").await.unwrap().spec).unwrap();
    crd.contains("\"missingAction\"")
}

async fn names_and_specs(world: &World) -> Vec<(String, Value)> {
    let records = Api::<ChangeRecord>::all(world.client.clone()).list(&ListParams::default()).await.unwrap();
    let of = |record: &ChangeRecord| (record.name_any(), serde_json::to_value(&record.spec).unwrap());
    records.items.iter().map(of).collect()
}

#[tokio::test]
async fn p16_p17_upgraded_uninstalled_and_installed_again_it_loses_no_record_and_repeats_no_change() {
    let cluster = ControlPlane::start().await.unwrap();
    let kubeconfig = cluster.admin_kubeconfig();
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("plumbline");
    earlier(&old);
    let set = ["--set", "enforcement.enabled=true"];

    // Helm 3 installs the earlier chart, and the operator makes its changes.
    let release = Release::installed_from(Helm::Three, &old, release::NAME, kubeconfig, &set).await.unwrap();
    let enforced = Enforced::on(World::on(&cluster).await, STATE, CONTROLS, "").await;
    let world = &enforced.world;
    assert!(!knows_missing_action(world).await);
    let operator = enforced.start(&release);
    enforced.quiet().await;
    drop(operator);
    assert_eq!(enforced.change_names(), CHANGES);
    let records = enforced.records().await;
    for (name, outcome) in [
        ("failed", Some("Failed")),
        ("not-applied", Some("NotApplied")),
        ("unverifiable", Some("Unverifiable")),
        ("without-outcome", None),
    ] {
        let now = Timestamp::now();
        copy(world, &records[0], &format!("{}-{name}", world.id), now, outcome).await;
    }
    let before = names_and_specs(world).await;
    assert_eq!(before.len(), CHANGES.len() + 4);

    // Helm 4 upgrades it, CRDs and all.
    let release = Release::installed(Helm::Four, kubeconfig, &set).await.unwrap();
    assert!(knows_missing_action(world).await);
    let mut operator = enforced.start(&release);
    enforced.look_again("after the upgrade").await;
    enforced.quiet().await;
    assert_eq!(names_and_specs(world).await, before);
    assert_eq!(enforced.change_names(), CHANGES, "no change is repeated");
    let outcomes = outcomes(&enforced.records().await);
    assert!(outcomes.iter().all(|(_, outcome)| outcome != "none"), "what was left is settled: {outcomes:?}");

    // Uninstalled under the operator's feet, then ended as its pod would be.
    let calls = world.aws.proxy().calls().len();
    let kubeconfig_text = kubeconfig.display().to_string();
    let of_release = ["--namespace", release::NAMESPACE, "--kubeconfig", kubeconfig_text.as_str()];
    Helm::Four.run(&[&["uninstall", release::NAME], &of_release[..]].concat()).await.unwrap();
    operator.signal(Signal::Term).unwrap();
    assert_eq!(operator.wait(PATIENCE).await.unwrap().code(), Some(0));
    assert_eq!(world.aws.proxy().calls().len(), calls, "uninstalling asks nothing of AWS");
    let deployments = Api::<Deployment>::namespaced(world.client.clone(), release::NAMESPACE);
    assert!(deployments.list(&ListParams::default()).await.unwrap().items.is_empty());
    assert_eq!(names_and_specs(world).await, before, "the records stay");
    assert!(Api::<AccountBaseline>::all(world.client.clone()).get(&world.id).await.is_ok());

    // Under another name, the CRDs that stayed are somebody else's until they are taken over.
    let chart = release::chart();
    let again = async |helm: Helm, more: &[&str]| {
        Release::installed_from(helm, &chart, "plumbline-two", kubeconfig, more).await
    };
    for helm in Helm::ALL {
        let refused = again(helm, &set).await.unwrap_err().to_string();
        assert!(refused.contains("invalid ownership metadata"), "{helm:?}: {refused}");
        // Only the first of the two installs; the other upgrades what that one left.
        let release = again(helm, &[&set[..], &["--take-ownership"]].concat()).await.unwrap();
        let (namespace, account) = release.service_account().unwrap();
        let own = cluster.service_account_kubeconfig(namespace, account).await.unwrap();
        assert_eq!(account, "plumbline-two");
        let operator = world.start_release(&release, &enforced.kube.kubeconfig(&own).unwrap());
        enforced.look_again(&format!("{helm:?} installed it again")).await;
        enforced.quiet().await;
        drop(operator);
        Helm::Three.run(&[&["uninstall", "plumbline-two"], &of_release[..]].concat()).await.unwrap();
        // The labels of the release stay on what stays; as if it had been another's.
        let theirs = Release::installed_from(Helm::Four, &chart, "other", kubeconfig, &["--take-ownership"]).await;
        theirs.unwrap();
        Helm::Four.run(&[&["uninstall", "other"], &of_release[..]].concat()).await.unwrap();
    }
    assert_eq!(names_and_specs(world).await, before);
    assert_eq!(enforced.change_names(), CHANGES);
}
