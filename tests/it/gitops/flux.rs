//! One repository under Flux's own kustomize-controller, from nothing to a baseline that was removed from it.

use std::time::Duration;

use jiff::Timestamp;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use plumbline::api::{AccountBaseline, AwsAccount, BaselineException, ChangeRecord};
use plumbline_rig::aws_proxy::ProxyOptions;
use plumbline_rig::controlplane::{ControlPlane, manifests, tools};
use plumbline_rig::gitops::{Repository, kustomize_controller, programs};
use plumbline_rig::kube_proxy::KubeProxy;
use plumbline_rig::supervisor::Supervised;
use serde_json::{Value, json};

use super::checkout::Checkout;
use crate::bad_manifests;
use crate::support::{PATIENCE, World, apply, file, prepare, verdict};

/// The Kustomizations of `examples/flux/cluster`, in no order.
const KUSTOMIZATIONS: [&str; 5] = ["operator", "accounts", "exceptions", "baselines", "approvals"];

/// What Flux adds to an object's fields it owns by this name.
const FLUX: &str = "kustomize-controller";

struct Flux {
    // Before the cluster that they talk to.
    operator: Option<Supervised>,
    controller: Supervised,
    /// Between the operator and the API server.
    calls: KubeProxy,
    repository: Repository,
    checkout: Checkout,
    world: World,
    _cluster: ControlPlane,
}

impl Flux {
    /// A cluster with Flux and without Plumbline, and a repository with the examples and the CRDs.
    async fn new() -> Self {
        // The examples' names are everybody's: a cluster of its own.
        let cluster = ControlPlane::start().await.unwrap();
        let world = World::on(&cluster).await;
        let checkout = Checkout::new(&world).await;
        for crd in std::fs::read_dir(file("crds")).unwrap() {
            let crd = crd.unwrap();
            let name = format!("crds/{}", crd.file_name().to_str().unwrap());
            checkout.write(&name, &std::fs::read_to_string(crd.path()).unwrap());
        }
        let mut crds = manifests(&programs().await.unwrap().join("crds")).unwrap();
        crds.retain(|crd| crd["spec"]["group"].as_str().unwrap().ends_with("fluxcd.io"));
        prepare(&cluster, &crds).await;
        cluster.service_account_kubeconfig("flux-system", FLUX).await.unwrap();
        let calls = KubeProxy::start(world.kubeconfig(), ProxyOptions::default()).await.unwrap();
        // Not through a proxy: Go's client sends no token where there is no TLS.
        let log = cluster.dir().join("flux.log");
        let controller = kustomize_controller(cluster.admin_kubeconfig(), &log).await.unwrap();
        let repository = Repository::start().unwrap();
        Self { operator: None, controller, calls, repository, checkout, world, _cluster: cluster }
    }

    fn start_operator(&mut self) {
        let kubeconfig = self.calls.kubeconfig(self.world.kubeconfig()).unwrap();
        self.operator = Some(self.world.start(&kubeconfig, &[]));
    }

    fn api(&self, group: &str, kind: &str) -> Api<DynamicObject> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        Api::namespaced_with(self.world.client.clone(), "flux-system", &kind)
    }

    fn kustomizations(&self) -> Api<DynamicObject> {
        self.api("kustomize.toolkit.fluxcd.io", "Kustomization")
    }

    /// Applies a folder of `examples/flux`, with what a test is too short for, or has no Helm for, set otherwise.
    async fn bootstrap(&self, folder: &str) {
        let kubectl = tools().await.unwrap().join("kubectl");
        let path = file("examples/flux").join(folder);
        let built = std::process::Command::new(kubectl).arg("kustomize").arg(path).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let built = String::from_utf8(built.stdout).unwrap();
        let objects: Vec<Value> = serde_saphyr::from_multiple(&built).unwrap();
        assert_eq!(objects.len(), KUSTOMIZATIONS.len() + 1);
        for mut object in objects {
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            let api = match object["kind"].as_str().unwrap() {
                "GitRepository" => self.api("source.toolkit.fluxcd.io", "GitRepository"),
                "Kustomization" => {
                    // Those that others wait for are not ready while Flux goes over them again.
                    let watched = name.ends_with("accounts") || name.ends_with("baselines");
                    object["spec"]["interval"] = if watched { "5s" } else { "1h" }.into();
                    object["spec"]["retryInterval"] = "1s".into();
                    object["spec"]["timeout"] = "4m".into();
                    if name == "plumbline-operator" {
                        object["spec"]["path"] = "./crds".into();
                    }
                    if name == "plumbline-accounts" {
                        object["spec"]["commonMetadata"]["labels"] = json!({"test": self.world.id});
                    }
                    self.kustomizations()
                }
                other => panic!("{other} in examples/flux/{folder}"),
            };
            let params = PatchParams::apply("test").force();
            api.patch(&name, &params, &Patch::Apply(object)).await.unwrap();
        }
    }

    /// Makes the checkout as it is now what Flux's source-controller would have found.
    async fn push(&self) -> String {
        let status = self.repository.push(self.checkout.root(), &Timestamp::now().to_string()).await.unwrap();
        let revision = status["artifact"]["revision"].as_str().unwrap().to_owned();
        let repositories = self.api("source.toolkit.fluxcd.io", "GitRepository");
        let patch = Patch::Merge(json!({"status": status}));
        repositories.patch_status("plumbline", &PatchParams::default(), &patch).await.unwrap();
        revision
    }

    /// Waits until a Kustomization has a status that is as it should be, and returns its `Ready`.
    async fn until(&self, name: &str, what: &str, is: impl Fn(&Value, &Value) -> bool) -> Value {
        let name = format!("plumbline-{name}");
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let object = self.kustomizations().get(&name).await.unwrap();
            let status = &object.data["status"];
            let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
            let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap_or_default();
            if is(status, &ready) {
                return ready;
            }
            let logs = format!("Flux's log:\n{}\nThe operator's:\n{}", self.controller.log_tail(), self.world.log());
            assert!(tokio::time::Instant::now() < deadline, "{name} is not {what}: {status:#}\n{logs}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn until_ready(&self, name: &str, revision: &str) {
        let is = |status: &Value, ready: &Value| status["lastAppliedRevision"] == revision && ready["status"] == "True";
        self.until(name, "ready", is).await;
    }

    /// Waits until a Kustomization has failed at a revision, and returns why: reason and message.
    async fn until_failed(&self, name: &str, revision: &str) -> (String, String) {
        let is = |status: &Value, ready: &Value| {
            let tried = status["lastAttemptedRevision"] == revision && ready["status"] == "False";
            tried && ready["reason"] != "DependencyNotReady"
        };
        let ready = self.until(name, "failed", is).await;
        let text = |field: &str| ready[field].as_str().unwrap().to_owned();
        (text("reason"), text("message"))
    }

    /// Waits until Flux has gone over a Kustomization so many times again: each time it asks the API server what an
    /// apply would change.
    async fn looked_at(&self, name: &str, times: i64) {
        let looks = async || {
            let object = self.kustomizations().get(&format!("plumbline-{name}")).await.unwrap();
            let history = object.data["status"]["history"].as_array().cloned().unwrap_or_default();
            history.iter().filter_map(|entry| entry["totalReconciliations"].as_i64()).sum::<i64>()
        };
        let (before, deadline) = (looks().await, tokio::time::Instant::now() + PATIENCE);
        while looks().await < before + times {
            assert!(tokio::time::Instant::now() < deadline, "Flux does not look at {name} again");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn account(&self, name: &str) -> AwsAccount {
        Api::all(self.world.client.clone()).get(name).await.unwrap()
    }

    async fn baseline(&self, name: &str) -> Option<AccountBaseline> {
        Api::all(self.world.client.clone()).get_opt(name).await.unwrap()
    }

    /// Sets `suspend` of an account as `kubectl patch` does, by its name among the owners of fields.
    async fn suspend(&self, name: &str, suspend: Option<bool>) {
        let params = PatchParams { field_manager: Some("kubectl-patch".to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({"spec": {"suspend": suspend}}));
        Api::<AwsAccount>::all(self.world.client.clone()).patch(name, &params, &patch).await.unwrap();
    }

    fn assert_aws_is_as_it_was(&self) {
        let calls = self.world.aws.proxy().calls();
        let changing: Vec<_> = calls.iter().filter(|call| call.mutating).collect();
        assert!(changing.is_empty() && !calls.is_empty(), "{changing:?}");
    }

    async fn everything_becomes_ready_in_order(&mut self) -> String {
        self.bootstrap("cluster").await;
        let revision = self.push().await;
        self.until_ready("operator", &revision).await;
        // No operator looks at the accounts yet.
        let waits = |_: &Value, ready: &Value| ready["reason"] == "DependencyNotReady";
        let ready = self.until("baselines", "waiting for the accounts", waits).await;
        assert!(ready["message"].as_str().unwrap().contains("plumbline-accounts"), "{ready}");
        assert!(self.baseline("payments-prod").await.is_none());
        self.start_operator();
        for name in KUSTOMIZATIONS {
            self.until_ready(name, &revision).await;
        }
        for name in ["payments-prod", "analytics-dev"] {
            let baseline = self.baseline(name).await.unwrap();
            let compliant = verdict(&baseline, "Compliant").unwrap();
            assert_eq!(compliant, ("False".to_owned(), "DriftDetected".to_owned()), "drift is no failure");
            assert_eq!(self.account(name).await.spec.account_id.as_str(), self.checkout.id(name));
        }
        revision
    }

    async fn nobody_writes_while_nothing_changes(&self) {
        let before = (self.account("payments-prod").await, self.baseline("payments-prod").await.unwrap());
        self.calls.clear();
        self.looked_at("accounts", 2).await;
        self.looked_at("baselines", 2).await;
        let after = (self.account("payments-prod").await, self.baseline("payments-prod").await.unwrap());
        assert_eq!(before.0.metadata.resource_version, after.0.metadata.resource_version);
        assert_eq!(before.1.metadata.resource_version, after.1.metadata.resource_version);
        let writes: Vec<_> = self.calls.calls().into_iter().filter(|call| call.mutating).collect();
        assert!(writes.iter().all(|call| call.resource == "leases"), "{writes:?}");
    }

    async fn a_status_is_no_reason_to_apply(&self) {
        let before = self.baseline("payments-prod").await.unwrap();
        let patch = Patch::Merge(json!({"metadata": {"annotations": {"plumbline.dev/requestedAt": "again"}}}));
        let baselines = Api::<AccountBaseline>::all(self.world.client.clone());
        baselines.patch("payments-prod", &PatchParams::default(), &patch).await.unwrap();
        let seen = |baseline: &AccountBaseline| {
            baseline.status.as_ref().unwrap().last_handled_reconcile_at.as_deref() == Some("again")
        };
        let evaluated = self.world.until_named::<AccountBaseline>("payments-prod", "evaluated again", seen).await;
        self.looked_at("baselines", 2).await;
        let after = self.baseline("payments-prod").await.unwrap();
        assert_eq!(evaluated.metadata.resource_version, after.metadata.resource_version);
        assert_eq!(before.metadata.generation, after.metadata.generation);
        let applied = |baseline: &AccountBaseline| {
            let managers = baseline.metadata.managed_fields.clone().unwrap_or_default();
            let mut of_flux = managers.into_iter().filter(|entry| entry.manager.as_deref() == Some(FLUX));
            (of_flux.next().unwrap(), of_flux.count())
        };
        assert_eq!(applied(&before), applied(&after), "what Flux owns, and since when");
    }

    async fn a_stop_by_hand_holds(&self) {
        self.suspend("analytics-dev", Some(true)).await;
        self.looked_at("accounts", 2).await;
        assert!(self.account("analytics-dev").await.spec.suspend, "Flux took the stop back");
        self.suspend("analytics-dev", None).await;
    }

    async fn without_the_annotation_a_stop_by_hand_does_not_hold(&self) {
        let patch = Patch::Merge(json!({"spec": {"commonMetadata": {"annotations": null}}}));
        self.kustomizations().patch("plumbline-accounts", &PatchParams::default(), &patch).await.unwrap();
        let bare = |account: &AwsAccount| account.metadata.annotations.clone().unwrap_or_default().is_empty();
        self.world.until_named::<AwsAccount>("analytics-dev", "bare", bare).await;
        self.suspend("analytics-dev", Some(true)).await;
        let started = |account: &AwsAccount| !account.spec.suspend;
        self.world.until_named::<AwsAccount>("analytics-dev", "started again", started).await;
        self.bootstrap("cluster").await;
    }

    async fn a_mistake_fails_with_our_message(&self) {
        let path = "fleet/baselines/payments-prod.yaml";
        self.checkout.edit(path, "interval: 1h", "interval: 59s");
        let revision = self.push().await;
        let (reason, message) = self.until_failed("baselines", &revision).await;
        assert_eq!(reason, "ReconciliationFailed");
        assert!(message.contains("AccountBaseline/payments-prod"), "{message}");
        assert!(message.contains("spec.interval") && message.contains("must be at least 1m"), "{message}");
        self.until_ready("accounts", &revision).await;
        self.checkout.edit(path, "interval: 59s", "interval: 1h");
        let revision = self.push().await;
        self.until_ready("baselines", &revision).await;
    }

    async fn an_exception_that_cannot_be_honoured_fails_alone(&self) {
        let path = "fleet/exceptions/reporting-db-migration.yaml";
        let good = self.checkout.read(path);
        let over: Vec<&str> = good.lines().filter(|line| !line.contains("expiresAt")).collect();
        self.checkout.write(path, &format!("{}\n  expiresAt: \"2026-01-01T00:00:00Z\"\n", over.join("\n")));
        let revision = self.push().await;
        let (reason, message) = self.until_failed("exceptions", &revision).await;
        assert_eq!(reason, "HealthCheckFailed");
        assert!(message.contains("BaselineException/reporting-db-migration"), "{message}");
        for name in ["accounts", "baselines", "approvals"] {
            self.until_ready(name, &revision).await;
        }
        self.checkout.write(path, &good);
        let revision = self.push().await;
        self.until_ready("exceptions", &revision).await;
        let exceptions = Api::<BaselineException>::all(self.world.client.clone());
        assert!(exceptions.get("reporting-db-migration").await.unwrap().spec.expires_at.as_str() > "2026-06");
    }

    async fn strict_means_that_drift_fails(&self) {
        self.bootstrap("cluster-strict").await;
        self.checkout.write("fleet/README.md", "another revision\n");
        let revision = self.push().await;
        let (reason, message) = self.until_failed("baselines", &revision).await;
        assert_eq!(reason, "HealthCheckFailed");
        // It ends the wait with the first that it meets.
        assert!(message.contains("AccountBaseline/") && message.contains("'Failed'"), "{message}");
        self.until_ready("accounts", &revision).await;
        self.until_ready("approvals", &revision).await;
        self.bootstrap("cluster").await;
        self.until_ready("baselines", &revision).await;
    }

    async fn what_is_removed_is_pruned_and_inert(&self) {
        let mut record = bad_manifests::good().into_iter().find(|object| object["kind"] == "ChangeRecord").unwrap();
        record["spec"]["accountId"] = self.checkout.id("payments-prod").into();
        let name = record["metadata"]["name"].as_str().unwrap().to_owned();
        apply::<ChangeRecord>(&self.world.client, record).await;
        self.checkout.remove("fleet/baselines/payments-prod.yaml");
        let revision = self.push().await;
        self.until_ready("baselines", &revision).await;
        assert!(self.baseline("payments-prod").await.is_none());
        assert!(self.baseline("analytics-dev").await.is_some());
        assert!(Api::<ChangeRecord>::all(self.world.client.clone()).get_opt(&name).await.unwrap().is_some());
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.assert_aws_is_as_it_was();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flux_applies_the_examples_judges_them_and_never_fights_with_the_operator() {
    let mut flux = Flux::new().await;
    flux.everything_becomes_ready_in_order().await;
    flux.nobody_writes_while_nothing_changes().await;
    flux.a_status_is_no_reason_to_apply().await;
    flux.a_stop_by_hand_holds().await;
    flux.without_the_annotation_a_stop_by_hand_does_not_hold().await;
    flux.a_mistake_fails_with_our_message().await;
    flux.an_exception_that_cannot_be_honoured_fails_alone().await;
    flux.strict_means_that_drift_fails().await;
    flux.what_is_removed_is_pruned_and_inert().await;
}
