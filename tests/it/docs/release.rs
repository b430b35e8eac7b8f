//! A stand-in for the kubelet: whatever Deployment of Plumbline an API server holds runs as a process, and its status
//! says so. Does IO. The control plane of the tests has no controllers of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use plumbline_rig::controlplane::ControlPlane;
use plumbline_rig::release::{NAMESPACE, Release};
use plumbline_rig::supervisor::Supervised;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::PLUMBLINE;

/// Runs the Deployment until it is dropped.
pub(super) struct Kubelet(JoinHandle<()>);

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a process needs that its Deployment does not say.
pub(super) struct Node {
    pub(super) cluster: Arc<ControlPlane>,
    pub(super) environment: Vec<(&'static str, String)>,
    /// Takes the operator's log and its config file.
    pub(super) dir: PathBuf,
}

impl Node {
    /// Looks for the Deployment again and again: runs it, runs it anew where it has changed, ends it where it is gone.
    pub(super) async fn watch(self) -> Kubelet {
        let client = self.cluster.admin_client().await.unwrap();
        let deployments: Api<Deployment> = Api::namespaced(client, NAMESPACE);
        Kubelet(tokio::spawn(async move {
            let mut running: Option<(i64, Supervised)> = None;
            loop {
                let found = deployments.get_opt("plumbline").await.ok().flatten();
                let generation = found.as_ref().and_then(|deployment| deployment.metadata.generation);
                if running.as_ref().map(|(generation, _)| *generation) != generation {
                    // The old one ends first: its Lease is what the new one waits for.
                    drop(running.take());
                    if let (Some(deployment), Some(generation)) = (&found, generation) {
                        running = Some((generation, self.start(deployment).await));
                        tell(&deployments, deployment, generation).await;
                    }
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }))
    }

    async fn start(&self, deployment: &Deployment) -> Supervised {
        let maps: Api<ConfigMap> = Api::namespaced(self.cluster.admin_client().await.unwrap(), NAMESPACE);
        let maps = maps.list(&ListParams::default()).await.unwrap().items.into_iter();
        let objects = [object("Deployment", deployment)].into_iter().chain(maps.map(|map| object("ConfigMap", &map)));
        let release = Release::of(objects);
        let (namespace, account) = release.service_account().unwrap();
        let kubeconfig = self.cluster.service_account_kubeconfig(namespace, account).await.unwrap();
        let program = release.program(Path::new(PLUMBLINE), &self.dir).unwrap();
        let environment = self.environment.iter();
        let program = environment.fold(program, |program, (name, value)| program.env(name, value));
        program.env("KUBECONFIG", kubeconfig).start().unwrap()
    }
}

/// An object as a manifest has it: the API's own types leave out of which kind they are.
fn object(kind: &str, of: &impl Serialize) -> Value {
    let mut object = serde_json::to_value(of).unwrap();
    object["kind"] = kind.into();
    object
}

/// What `kubectl rollout status` asks for.
async fn tell(deployments: &Api<Deployment>, deployment: &Deployment, generation: i64) {
    let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let status = json!({"status": {
        "observedGeneration": generation, "replicas": replicas, "updatedReplicas": replicas,
        "readyReplicas": replicas, "availableReplicas": replicas,
        "conditions": [{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}],
    }});
    let patched = deployments.patch_status("plumbline", &PatchParams::default(), &Patch::Merge(&status)).await;
    // A later look tells again where the Deployment has changed or is gone meanwhile.
    drop(patched);
}
