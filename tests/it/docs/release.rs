//! A stand-in for the kubelet: whatever Deployment of Plumbline an API server holds runs as a process, and its status
//! says so. Does IO. The control plane of the tests has no controllers of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Container;
use kube::Api;
use kube::api::{Patch, PatchParams};
use plumbline_rig::controlplane::ControlPlane;
use plumbline_rig::supervisor::{Program, Supervised};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::support::PLUMBLINE;

const NAMESPACE: &str = "plumbline-system";

/// Ports of the chart that another test may have, too.
const PORTS: [&str; 2] = ["--metrics-bind-address", "--health-probe-bind-address"];

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
    pub(super) log: PathBuf,
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
        let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).unwrap();
        let account = pod.service_account_name.as_deref().unwrap_or("default");
        let kubeconfig = self.cluster.service_account_kubeconfig(NAMESPACE, account).await.unwrap();
        let program = Program::new(PLUMBLINE, &self.log).args(arguments(&pod.containers[0])).clear_env();
        let ports = PORTS.map(|flag| format!("{flag}=127.0.0.1:0"));
        let program = program.args(ports).env("POD_NAMESPACE", NAMESPACE).env("POD_NAME", "plumbline-0");
        let variables = pod.containers[0].env.iter().flatten();
        let program = variables.fold(program, |program, variable| match &variable.value {
            Some(value) => program.env(&variable.name, value),
            None => program,
        });
        let environment = self.environment.iter();
        let program = environment.fold(program, |program, (name, value)| program.env(name, value));
        program.env("KUBECONFIG", kubeconfig).start().unwrap()
    }
}

/// The container's arguments, without the ports.
fn arguments(container: &Container) -> Vec<String> {
    let mut kept = Vec::new();
    let mut args = container.args.iter().flatten();
    while let Some(arg) = args.next() {
        if PORTS.contains(&arg.as_str()) {
            args.next();
        } else if !PORTS.iter().any(|flag| arg.starts_with(&format!("{flag}="))) {
            kept.push(arg.clone());
        }
    }
    kept
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

#[test]
fn ports_are_not_taken_from_the_chart() {
    let args =
        ["controller", "--enforce", "--metrics-bind-address=:8080", "--health-probe-bind-address", ":8081", "-v"];
    let container = Container { args: Some(args.map(str::to_owned).to_vec()), ..Container::default() };
    assert_eq!(arguments(&container), ["controller", "--enforce", "-v"]);
}
