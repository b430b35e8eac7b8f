//! The CRDs on a real API server.

use std::time::Duration;

use plumbline_rig::controlplane::manifests;

use crate::support::{cluster, file, kubectl};

#[tokio::test]
async fn the_crds_install_without_a_warning() {
    let warnings = cluster().await.install_crds(&manifests(&file("crds")).unwrap()).await.unwrap();
    assert_eq!(warnings, Vec::<String>::new());
}

#[tokio::test]
async fn kubectl_explains_a_field_with_its_unit_and_an_example() {
    for (path, says) in [
        ("accountbaseline.spec.controls.passwordPolicy.maxPasswordAge", "days"),
        ("accountbaseline.spec.controls.securityGroups.allowedIngress.ports", "8000-8080"),
        ("awsaccount.spec.auditRoleName", "PlumblineAudit"),
        ("baselineexception.spec.expiresAt", "2027-10-31T00:00:00Z"),
        ("accountbaseline.spec.enforcement.windows.timeZone", "Europe/Berlin"),
        ("accountbaseline.spec.controls.mfa.denyPolicyName", "PlumblineRequireMfa"),
        ("planapproval.spec.planDigest", "status.plan.digest"),
        ("changerecord.spec.change.bucketPolicy", "The policy of a bucket"),
        ("changerecord.status.outcome", "NotApplied"),
    ] {
        let explained = explain(path).await;
        assert!(explained.contains(says), "{explained}");
    }
}

/// What `kubectl explain` prints. The API server publishes the schema of a new kind some seconds after it serves it.
async fn explain(path: &str) -> String {
    for _ in 0..100 {
        let output = kubectl(&["explain", path]).await;
        if output.status.success() {
            return String::from_utf8(output.stdout).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    panic!("{path} is not explained");
}
