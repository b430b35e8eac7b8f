//! The chart: rendered by both versions of Helm without a cluster, held against the API server, and (below) installed.

mod admission;
mod generated;
mod installed;
mod rights;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use plumbline_rig::controlplane::tools;
use plumbline_rig::release::{self, Helm, Release};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::{cluster, file};

/// The values that the chart is rendered with, by name.
fn cases() -> Vec<(String, PathBuf)> {
    let mut cases: Vec<_> = std::fs::read_dir(file("charts/plumbline/ci"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().replace("-values.yaml", ""), path))
        .collect();
    cases.sort();
    assert!(cases.len() > 10, "{cases:?}");
    cases
}

async fn rendered(helm: Helm, values: &Path) -> String {
    let (chart, values) = (release::chart().display().to_string(), values.display().to_string());
    let args = ["template", release::NAME, &chart, "--namespace", release::NAMESPACE, "--values", &values];
    // The two part documents by a different number of empty lines.
    let text = helm.run(&args).await.unwrap();
    text.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n")
}

/// Runs kubectl with this kubeconfig, as this user where one is named, and gives it a manifest to read.
async fn kubectl(kubeconfig: &Path, user: Option<&str>, args: &[&str], manifest: &str) -> Output {
    let mut command = tokio::process::Command::new(tools().await.unwrap().join("kubectl"));
    command.env("KUBECONFIG", kubeconfig).args(args).args(user.iter().flat_map(|user| ["--as", user]));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(manifest.as_bytes()).await.unwrap();
    drop(stdin);
    child.wait_with_output().await.unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn both_helms_render_the_same_from_all_values_and_it_is_what_it_was() {
    for (name, values) in cases() {
        let (three, four) = (rendered(Helm::Three, &values).await, rendered(Helm::Four, &values).await);
        assert_eq!(three, four, "{name}");
        // The CRDs, the alerts and the dashboard have tests of their own.
        let elsewhere = ["crds.yaml", "prometheusrule.yaml", "dashboard.yaml"];
        let is_elsewhere = |part: &str| {
            elsewhere.iter().any(|file| part.starts_with(&format!("# Source: plumbline/templates/{file}\n")))
        };
        let parts: Vec<_> = three.split("---\n").filter(|part| !is_elsewhere(part)).collect();
        insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(name, parts.join("---\n")) });
    }
}

/// A key without a value, as a values file easily has it, is the key left out.
#[tokio::test]
async fn a_key_without_a_value_takes_nothing_away() {
    let keys = [
        "imagePullSecrets",
        "serviceAccount.annotations",
        "config",
        "crds.annotations",
        "metrics.serviceMonitor",
        "admissionPolicies",
        "podDisruptionBudget.maxUnavailable",
        "podLabels",
        "commonLabels",
        "extraArgs",
        "global",
    ];
    for helm in Helm::ALL {
        for key in keys {
            let release = Release::rendered(helm, &["--set", &format!("{key}=null,replicaCount=2")]).await;
            let release = release.unwrap_or_else(|error| panic!("{helm:?} {key}: {error}"));
            let budget = release.of_kind("PodDisruptionBudget").next().unwrap();
            assert_eq!(budget["spec"]["maxUnavailable"], 1, "{helm:?} {key}");
        }
    }
}

#[tokio::test]
async fn labels_of_ones_own_stand_once_beside_those_that_select_the_pods() {
    let own = "commonLabels.team=a,podLabels.team=b,podLabels.app\\.kubernetes\\.io/name=c,nameOverride=a1";
    let text = Helm::Four.run(&["template", "plumbline", &release::chart().display().to_string(), "--set", own]).await;
    let text = text.unwrap();
    let deployment = Release::read(&text).unwrap();
    let deployment = deployment.of_kind("Deployment").next().unwrap();
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["team"], "a", "those that everybody has: {labels}");
    assert_eq!(labels["app.kubernetes.io/name"], "a1", "{labels}");
    assert_eq!(deployment["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"], "a1");
}

#[tokio::test]
async fn rights_follow_however_leadership_and_enforcement_are_asked_for() {
    let off = "leaderElection.enabled=false";
    for asked in ["config.leaderElect=true", "extraArgs={--leader-elect=true}", "extraArgs={--enforce=true}"] {
        let release = Release::rendered(Helm::Four, &["--set", &format!("{off},{asked}")]).await.unwrap();
        let leases = |role: &&Value| role["rules"][0]["resources"] == json!(["leases"]);
        assert_eq!(release.of_kind("Role").filter(leases).count(), 1, "{asked}");
    }
    let release = Release::rendered(Helm::Four, &["--set", off]).await.unwrap();
    assert_eq!(release.of_kind("Role").count(), 1, "that of Events alone");
}

#[tokio::test]
async fn neither_helm_has_anything_to_complain_about() {
    for helm in Helm::ALL {
        for (name, values) in cases() {
            let (chart, values) = (release::chart().display().to_string(), values.display().to_string());
            let linted = helm.run(&["lint", "--strict", &chart, "--values", &values]).await;
            assert!(linted.is_ok(), "{helm:?} {name}: {linted:?}");
        }
    }
}

#[tokio::test]
async fn the_api_server_takes_every_object_and_restricted_namespaces_every_pod() {
    let cluster = cluster().await;
    let admin = cluster.admin_kubeconfig();
    let namespace = |name: &str, level: &str| {
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name,
            "labels": {"pod-security.kubernetes.io/enforce": level}}})
    };
    for namespace in [namespace("security", "restricted"), namespace("chart-restricted", "restricted")] {
        let made = kubectl(admin, None, &["apply", "--filename", "-"], &namespace.to_string()).await;
        assert!(made.status.success(), "{}", said(&made));
    }
    for (name, values) in cases() {
        let release = Release::read(&rendered(Helm::Four, &values).await).unwrap();
        // The kinds of the Prometheus operator are not served here; the CRDs are installed by all tests.
        let is_served = |object: &&Value| {
            let group = object["apiVersion"].as_str().unwrap();
            !group.starts_with("monitoring.coreos.com/") && object["kind"] != "CustomResourceDefinition"
        };
        let objects: Vec<_> = release.objects().iter().filter(is_served).cloned().collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        let apply = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict"];
        let applied = kubectl(admin, None, &[&apply[..], &["--filename", "-"]].concat(), &list).await;
        assert!(applied.status.success(), "{name}: {}", said(&applied));
        assert!(!said(&applied).contains("Warning"), "{name}: {}", said(&applied));

        let mut pod = release.of_kind("Deployment").next().unwrap()["spec"]["template"].clone();
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        pod["metadata"]["name"] = "plumbline".into();
        let create = ["create", "--namespace", "chart-restricted", "--dry-run=server", "--filename", "-"];
        let created = kubectl(admin, None, &create, &pod.to_string()).await;
        // OpenShift's own ranges are to choose the ids.
        assert!(created.status.success(), "{name}: {}", said(&created));
        let pod = pod.to_string();
        assert!(["runAsUser", "runAsGroup", "fsGroup"].iter().all(|id| !pod.contains(id)), "{name}: {pod}");
    }
}

#[tokio::test]
async fn values_that_make_no_sense_are_refused_with_their_name() {
    let chart = release::chart().display().to_string();
    for (set, names) in [
        ("replicas=2", "replicas"),
        ("image.digest=abc", "digest"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("metrics.serviceMonitor.enable=true", "enable"),
        ("enforcement.enabled=please", "enabled"),
        ("enforcement.maxChangesPerHour=0", "maxChangesPerHour"),
        ("enforcement.recordRetention=12h", "recordRetention"),
        ("leaderElection.leaseDuration=soon", "leaseDuration"),
        ("terminationGracePeriodSeconds=30", "terminationGracePeriodSeconds"),
        ("admissionPolicies.exceptions.maxDays=400", "maxDays"),
        ("replicaCount=2,leaderElection.enabled=false", "replicaCount above 1 needs leaderElection.enabled"),
        ("metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true", "scrape the same pods twice"),
        ("metrics.serviceMonitor.enabled=true,metrics.enabled=false", "needs metrics.enabled"),
        ("metrics.podMonitor.enabled=true,metrics.enabled=false", "needs metrics.enabled"),
    ] {
        for helm in Helm::ALL {
            let error = helm.run(&["template", "x", &chart, "--set", set]).await.unwrap_err().to_string();
            assert!(error.contains(names), "{helm:?} {set}: {error}");
        }
    }
}

#[tokio::test]
async fn an_older_cluster_is_refused() {
    let chart = release::chart().display().to_string();
    for helm in Helm::ALL {
        let error = helm.run(&["template", "x", &chart, "--kube-version", "1.31.9"]).await.unwrap_err().to_string();
        assert!(error.contains("1.32"), "{helm:?}: {error}");
        // As the clouds write it.
        helm.run(&["template", "x", &chart, "--kube-version", "v1.32.0-eks-5ca49cb"]).await.unwrap();
    }
}

#[tokio::test]
async fn it_is_a_part_of_another_chart_with_that_ones_globals_and_switch() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("charts")).unwrap();
    let of_chart = release::chart().canonicalize().unwrap().display().to_string();
    let parent = dir.path().display().to_string();
    for helm in Helm::ALL {
        // Packaged, as a parent has it; so that all it needs is shown to be in the package, too.
        helm.run(&["package", &of_chart, "--destination", &format!("{parent}/charts")]).await.unwrap();
        let dependency = "dependencies: [{name: plumbline, version: '*', condition: plumbline.enabled}]";
        let text = format!("apiVersion: v2\nname: parent\nversion: 1.0.0\n{dependency}\n");
        std::fs::write(dir.path().join("Chart.yaml"), text).unwrap();
        let globals = "global: {imageRegistry: mirror.example.org, domain: example.org}";
        let values = format!("{globals}\nplumbline: {{enabled: true, replicaCount: 2}}\n");
        std::fs::write(dir.path().join("values.yaml"), values).unwrap();

        let release = Release::read(&helm.run(&["template", "platform", &parent]).await.unwrap()).unwrap();
        let deployment = release.of_kind("Deployment").next().unwrap();
        assert_eq!(deployment["metadata"]["name"], "platform-plumbline");
        let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
        assert_eq!(image, &format!("mirror.example.org/plumbline-dev/plumbline:{}", env!("CARGO_PKG_VERSION")));
        assert_eq!(release.of_kind("CustomResourceDefinition").count(), 5);

        let off = helm.run(&["template", "platform", &parent, "--set", "plumbline.enabled=false"]).await.unwrap();
        assert!(Release::read(&off).unwrap().objects().is_empty(), "{off}");
    }
}

#[test]
fn the_chart_has_the_operators_version() {
    let chart = std::fs::read_to_string(file("charts/plumbline/Chart.yaml")).unwrap();
    let chart: Value = serde_saphyr::from_str(&chart).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    // Helm never upgrades what lies there.
    assert!(!file("charts/plumbline/crds").exists());
}

#[tokio::test]
async fn the_crds_are_those_of_the_repository_and_stay_unless_told_otherwise() {
    for (set, kept) in [("crds.keep=true", true), ("crds.keep=false", false)] {
        let release = Release::rendered(Helm::Four, &["--set", set]).await.unwrap();
        let mut count = 0;
        for crd in release.of_kind("CustomResourceDefinition") {
            let policy = crd["metadata"]["annotations"]["helm.sh/resource-policy"].as_str();
            assert_eq!(policy == Some("keep"), kept, "{crd}");
            let plural = crd["spec"]["names"]["plural"].as_str().unwrap();
            let stored = std::fs::read_to_string(file(&format!("crds/plumbline.dev_{plural}.yaml"))).unwrap();
            let stored: Value = serde_saphyr::from_str(&stored).unwrap();
            assert_eq!(crd["spec"], stored["spec"]);
            assert_eq!(crd["metadata"]["name"], stored["metadata"]["name"]);
            count += 1;
        }
        assert_eq!(count, std::fs::read_dir(file("crds")).unwrap().count());
    }
    let without = Release::rendered(Helm::Four, &["--set", "crds.enabled=false"]).await.unwrap();
    assert_eq!(without.of_kind("CustomResourceDefinition").count(), 0);
}

#[tokio::test]
async fn notes_say_what_to_do_next_with_the_names_of_this_release() {
    let chart = release::chart().display().to_string();
    // Helm prints them for a cluster alone.
    let kubeconfig = cluster().await.admin_kubeconfig().display().to_string();
    let notes = async |helm: Helm, set: &str| {
        let set = format!("crds.enabled=false,{set}");
        let args = ["install", "audit", chart.as_str(), "--namespace", "security", "--set", &set];
        let args = [&args[..], &["--dry-run=client", "--kubeconfig", &kubeconfig]].concat();
        let text = helm.run(&args).await.unwrap();
        text.split_once("NOTES:").unwrap().1.to_owned()
    };
    for helm in Helm::ALL {
        let text = notes(helm, "commonLabels.a=b").await;
        assert!(text.contains("It only looks"), "{text}");
        assert!(text.contains("--namespace security --service-account audit-plumbline"), "{text}");
        for step in ["plumbline iam-policy operator", "plumbline iam-policy trust", "plumbline iam-policy audit"] {
            assert!(text.contains(step), "{step}: {text}");
        }
        let irsa = r"serviceAccount.annotations.eks\.amazonaws\.com/role-arn=arn:aws:iam::111111111111:role/p";
        let text = notes(helm, &format!("enforcement.enabled=true,{irsa}")).await;
        assert!(text.contains("It MAY change accounts"), "{text}");
        assert!(text.contains("system:serviceaccount:security:audit-plumbline"), "{text}");
        assert!(!text.contains("create-pod-identity-association"), "{text}");
    }
}
