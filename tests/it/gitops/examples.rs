//! The manifests of `examples/flux` and `examples/argocd` under the schemas of Flux and Argo CD, and ours among them.

use std::path::{Path, PathBuf};
use std::process::Command;

use plumbline_rig::controlplane::manifests;
use plumbline_rig::gitops::programs;
use serde_json::Value;

use crate::support::{PLUMBLINE, cluster, file, kubectl};

/// Manifests that are for kustomize, and no objects.
fn is_input_of_kustomize(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "kustomization.yaml" || name == "strict.yaml")
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found = paths.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] });
    found.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

/// Whether the API server would take an object, unknown fields being an error.
async fn try_out(object: &Value, dir: &Path) -> Result<(), String> {
    let path = dir.join("object.yaml");
    std::fs::write(&path, object.to_string()).unwrap();
    // Validation by the server alone: each field known, each rule kept.
    let dry_run = ["--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts"];
    let applied = kubectl(&[&["apply", "-f", path.to_str().unwrap()], &dry_run[..]].concat()).await;
    if applied.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&applied.stderr).into_owned()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_manifest_is_what_flux_and_argo_cd_take() {
    let cluster = cluster().await;
    cluster.install_crds(&manifests(&programs().await.unwrap().join("crds")).unwrap()).await.unwrap();
    for namespace in ["argocd", "flux-system", "plumbline-system"] {
        cluster.service_account_kubeconfig(namespace, "examples").await.unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let mut kinds = Vec::new();
    for path in ["flux", "argocd"].iter().flat_map(|name| below(&file("examples").join(name))) {
        if is_input_of_kustomize(&path) {
            continue;
        }
        for object in manifests(&path).unwrap() {
            let kind = object["kind"].as_str().unwrap().to_owned();
            // Its controller's module is not to be had, so there is no schema of it.
            if kind != "HelmRelease" {
                try_out(&object, dir.path()).await.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            }
            kinds.push(kind);
        }
    }
    for (kind, count) in [("Kustomization", 5), ("Application", 6), ("AppProject", 3), ("ConfigMap", 2)] {
        assert_eq!(kinds.iter().filter(|found| *found == kind).count(), count, "{kind} in {kinds:?}");
    }
    let wrong = serde_json::json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": "wrong", "namespace": "argocd"}, "spec": {"sourceRepositories": []}});
    let refused = try_out(&wrong, dir.path()).await.unwrap_err();
    assert!(refused.contains("sourceRepositories"), "{refused}");
}

#[test]
fn the_projects_let_in_what_their_applications_hold_and_no_record() {
    let apps = manifests(&file("examples/argocd/apps")).unwrap();
    let of_kind = |kind: &str| apps.iter().filter(|object| object["kind"] == kind).cloned().collect::<Vec<_>>();
    let allowed = |project: &str| -> Vec<(String, String)> {
        let projects = of_kind("AppProject");
        let project = projects.iter().find(|found| found["metadata"]["name"] == project).unwrap();
        let list = project["spec"]["clusterResourceWhitelist"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        list.iter().map(|entry| (text(&entry["group"]), text(&entry["kind"]))).collect()
    };
    let mut folders = 0;
    for application in of_kind("Application") {
        let spec = &application["spec"];
        let allowed = allowed(spec["project"].as_str().unwrap());
        assert!(!allowed.iter().any(|(_, kind)| kind == "ChangeRecord" || kind == "*"), "{allowed:?}");
        let path = spec["source"]["path"].as_str().unwrap();
        if !path.starts_with("fleet/") {
            continue;
        }
        folders += 1;
        for object in manifests(&file("examples").join(path)).unwrap() {
            let group = object["apiVersion"].as_str().unwrap().split('/').next().unwrap().to_owned();
            let kind = object["kind"].as_str().unwrap().to_owned();
            assert!(allowed.contains(&(group, kind)), "{object} is in no whitelist: {allowed:?}");
        }
    }
    assert_eq!(folders, 4);
}

#[test]
fn the_fleet_is_that_of_the_other_examples_and_valid_as_a_repository_of_its_own() {
    let validated = |path: &str| {
        let output = Command::new(PLUMBLINE).args(["validate", "-f"]).arg(file(path)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let fleet = "2 AwsAccounts, 2 AccountBaselines, 1 BaselineException and 1 PlanApproval";
    assert_eq!(validated("examples/fleet"), format!("valid: {fleet}\n"));
    // A copy that said something else would be refused.
    assert!(validated("examples").starts_with(&format!("valid: {fleet}")));
}
