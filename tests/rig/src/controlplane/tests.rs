use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::Instant;

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::*;

fn crd(plural: &str, schema: &Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.rig.plumbline.dev")},
        "spec": {
            "group": "rig.plumbline.dev",
            "scope": "Cluster",
            "names": {"plural": plural, "kind": plural.to_uppercase(), "listKind": format!("{plural}List")},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object",
                "properties": {"spec": schema},
            }}}],
        },
    })
}

#[tokio::test]
async fn an_administrator_lists_namespaces_with_a_client_and_with_kubectl() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let client = control_plane.admin_client().await.unwrap();
    assert_eq!(client.apiserver_version().await.unwrap().git_version, "v1.36.3");
    let namespaces = Api::<Namespace>::all(client).list(&ListParams::default()).await.unwrap();
    assert!(namespaces.items.iter().any(|namespace| namespace.metadata.name.as_deref() == Some("default")));

    let kubectl = Command::new(tools().await.unwrap().join("kubectl"))
        .args(["get", "namespaces", "--output=name", "--kubeconfig"])
        .arg(control_plane.admin_kubeconfig())
        .output()
        .unwrap();
    let printed = String::from_utf8(kubectl.stdout).unwrap();
    assert!(printed.lines().any(|line| line == "namespace/default"), "{printed:?} {:?}", kubectl.stderr);
}

#[tokio::test]
async fn a_service_account_is_itself_and_may_do_nothing_without_rbac() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let first = control_plane.service_account_kubeconfig("rig-accounts", "nobody").await.unwrap();
    let again = control_plane.service_account_kubeconfig("rig-accounts", "nobody").await.unwrap();
    assert_eq!(first, again, "what exists already is not in the way");

    let client = client_of(&first).await.unwrap();
    let review = Api::<SelfSubjectReview>::all(client.clone())
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await
        .unwrap();
    let user = review.status.unwrap().user_info.unwrap();
    assert_eq!(user.username.as_deref(), Some("system:serviceaccount:rig-accounts:nobody"));

    let refused = Api::<Namespace>::all(client).list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 403), "{refused:?}");
}

#[tokio::test]
async fn a_good_crd_is_served_without_a_warning_and_a_bad_one_is_warned_about() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let good =
        crd("goods", &json!({"type": "object", "properties": {"count": {"type": "integer", "format": "int32"}}}));
    let bad = crd("bads", &json!({"type": "object", "properties": {"count": {"type": "integer", "format": "uint16"}}}));
    assert_eq!(control_plane.install_crds(std::slice::from_ref(&good)).await.unwrap(), Vec::<String>::new());
    let warnings = control_plane.install_crds(&[good, bad]).await.unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains(r#""uint16""#), "{warnings:?}");

    let client = control_plane.admin_client().await.unwrap();
    let listed = client.request_text(get("/apis/rig.plumbline.dev/v1/goods").unwrap()).await.unwrap();
    assert!(listed.contains("goodsList"), "{listed}");

    let broken = crd("brokens", &json!({"type": "no such type"}));
    let refused = control_plane.install_crds(&[broken]).await.unwrap_err().to_string();
    assert!(refused.contains("brokens") && refused.contains("no such type"), "{refused}");
}

#[test]
fn a_folder_of_yaml_is_read_by_name_with_all_documents() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("b.yaml"), "---\nkind: B\n---\nkind: C\n---\n").unwrap();
    fs::write(dir.path().join("a.yml"), "kind: A\n").unwrap();
    fs::write(dir.path().join("README.md"), "no: manifest\n").unwrap();
    let kinds = manifests(dir.path()).unwrap();
    assert_eq!(kinds, [json!({"kind": "A"}), json!({"kind": "B"}), json!({"kind": "C"})]);
    fs::write(dir.path().join("c.yaml"), "kind: [").unwrap();
    assert!(manifests(dir.path()).unwrap_err().to_string().contains("c.yaml"));
}

#[tokio::test]
async fn a_dropped_control_plane_leaves_nothing_behind() {
    let began = Instant::now();
    let control_plane = ControlPlane::start().await.unwrap();
    eprintln!("ready after {:?}", began.elapsed());
    let dir = control_plane.dir().to_owned();
    let pids = [control_plane.etcd.pid(), control_plane.apiserver.pid()];
    let runs = |pid: u32| {
        Command::new("sh").args(["-c", "kill -0 $0 2>/dev/null", &pid.to_string()]).status().unwrap().success()
    };
    assert!(dir.exists() && pids.iter().all(|pid| runs(*pid)));
    drop(control_plane);
    assert!(!dir.exists() && !pids.iter().any(|pid| runs(*pid)));
}

#[tokio::test]
async fn a_taken_port_is_told_apart_from_other_failures_so_that_another_is_tried() {
    let programs = script("controlplane/build").await.unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = ControlPlane::launch(&programs, port).await.unwrap_err();
    assert!(error.is::<PortTaken>(), "{error:#}");
}

#[tokio::test]
async fn an_early_end_is_told_with_its_log_long_before_the_deadline() {
    let programs = tempfile::tempdir().unwrap();
    for name in ["etcd", "kube-apiserver"] {
        let path = programs.path().join(name);
        fs::write(&path, format!("#!/bin/sh\necho {name} has no wish to run\nexit 1\n")).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let began = Instant::now();
    let port = free_port().unwrap();
    let error = ControlPlane::launch(programs.path(), port).await.unwrap_err();
    assert!(!error.is::<PortTaken>());
    assert!(format!("{error:#}").contains("has no wish to run"), "{error:#}");
    assert!(began.elapsed() < READY_WITHIN / 2);
}
