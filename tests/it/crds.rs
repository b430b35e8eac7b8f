//! The CRDs on a real API server.

use std::process::Command;
use std::time::Duration;

use plumbline_rig::controlplane::{manifests, tools};

use crate::support::{cluster, file};

#[tokio::test]
async fn the_crds_install_without_a_warning() {
    let warnings = cluster().await.install_crds(&manifests(&file("crds")).unwrap()).await.unwrap();
    assert_eq!(warnings, Vec::<String>::new());
}

#[tokio::test]
async fn kubectl_explains_a_field_with_its_unit_and_an_example() {
    let kubectl = tools().await.unwrap().join("kubectl");
    let kubeconfig = cluster().await.admin_kubeconfig();
    let explained = |path: &str| {
        // The API server publishes the schema of a new kind some seconds after it serves the kind.
        for _ in 0..100 {
            let output = Command::new(&kubectl).env("KUBECONFIG", kubeconfig).args(["explain", path]).output().unwrap();
            if output.status.success() {
                return String::from_utf8(output.stdout).unwrap();
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        panic!("{path} is not explained");
    };
    assert!(explained("accountbaseline.spec.controls.passwordPolicy.maxPasswordAge").contains("days"));
    assert!(explained("accountbaseline.spec.controls.securityGroups.allowedIngress.ports").contains("8000-8080"));
    assert!(explained("baselineexception.spec.expiresAt").contains("2027-10-31T00:00:00Z"));
    assert!(explained("awsaccount.spec.auditRoleName").contains("PlumblineAudit"));
}
