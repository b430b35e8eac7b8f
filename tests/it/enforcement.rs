//! Enforcement through the real binary, on a real API server and an AWS emulator.

use std::process::Command;

use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use plumbline_rig::controlplane::ControlPlane;
use serde_json::{Value, json};

use crate::enforced::{CHANGES, CONTROLS, Enforced, STATE, blocked_by, outcomes};
use crate::support::{PLUMBLINE, apply, cluster, drift, kubectl, verdict};

/// Runs `plumbline` as the administrator of the cluster and of the account.
async fn plumbline(enforced: &Enforced, args: &[&str]) -> (i32, String, String) {
    let control_plane: &ControlPlane = cluster().await;
    let output = Command::new(PLUMBLINE)
        .args(args)
        .env_clear()
        .envs(enforced.world.aws.environment(&enforced.seeded.account_id))
        .env("KUBECONFIG", control_plane.admin_kubeconfig())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// What `plumbline audit` or `plan` reports of the account, with the account's own credentials and no cluster.
fn report(enforced: &Enforced, command: &str, mode: &str) -> Value {
    let aws = &enforced.world.aws;
    let id = &enforced.seeded.account_id;
    let manifest = format!(
        "{{apiVersion: plumbline.dev/v1alpha1, kind: AwsAccount, metadata: {{name: a}}, \
         spec: {{accountId: \"{id}\"}}}}\n---\n{{apiVersion: plumbline.dev/v1alpha1, kind: AccountBaseline, \
         metadata: {{name: a}}, spec: {{accountRef: {{name: a}}, mode: {mode}, controls: {CONTROLS}}}}}\n"
    );
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), manifest).unwrap();
    let path = file.path().display().to_string();
    let output = Command::new(PLUMBLINE)
        .args([command, "-f", &path, "-o", "json"])
        .env_clear()
        .envs(aws.environment(id))
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no report: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Everything that a baseline of all controls says of the account, without the ids of rules: they change when a rule is
/// made again.
fn state(enforced: &Enforced) -> Vec<(String, String, String)> {
    let report = report(enforced, "audit", "Audit");
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap_or_default().to_owned();
    let findings = report["baselines"][0]["findings"].as_array().unwrap();
    let mut state: Vec<_> = findings
        .iter()
        .map(|finding| (text(finding, "check"), text(finding, "result"), text(finding, "observed")))
        .collect();
    state.sort();
    state
}

#[tokio::test]
async fn p1_p3_p4_an_account_is_enforced_and_then_undone_from_the_records_alone() {
    let enforced = Enforced::new().await;
    let before = state(&enforced);
    let mut operator = enforced.operator();
    let baseline = enforced.quiet().await;

    assert_eq!(enforced.change_names(), CHANGES, "in this order, each once");
    let records = enforced.records().await;
    assert_eq!(outcomes(&records), CHANGES.map(|name| (name.to_owned(), "Succeeded".to_owned())));
    enforced.assert_recorded(&records);
    assert_eq!(verdict(&baseline, "Ready"), Some(("True".into(), "Enforced".into())));
    for check in ["MinimumPasswordLength", "Ingress", "SseCForbidden", "TlsRequired"] {
        assert_eq!(drift(&baseline, check), Vec::<&plumbline::api::DriftEntry>::new(), "{check} was closed");
    }
    let users = drift(&baseline, "UserMfa");
    let about = |user: &str| users.iter().find(|entry| entry.resource.ends_with(user)).unwrap();
    assert_eq!(about("carol").remediation.as_deref(), Some("Manual"), "she has to enrol: {users:#?}");
    assert_eq!(about("deploy").remediation_reason.as_deref(), Some("ActiveCredentials"));

    for value in ["one", "two", "three"] {
        let again = enforced.look_again(value).await;
        assert_eq!(again.status.as_ref().unwrap().drift, baseline.status.as_ref().unwrap().drift);
    }
    assert_eq!(enforced.change_names(), CHANGES, "a steady state changes nothing");
    operator.signal(plumbline_rig::supervisor::Signal::Kill).unwrap();

    for record in records.iter().rev() {
        let name = record.metadata.name.clone().unwrap();
        let (code, out, err) = plumbline(&enforced, &["undo", &name]).await;
        assert_eq!(code, 0, "{name}: {out}{err}");
    }
    assert_eq!(state(&enforced), before, "as if nothing had been done");
    let undone = enforced.records().await;
    assert_eq!(undone.len(), 10, "an undo writes a record of its own");
    assert!(outcomes(&undone).iter().all(|(_, outcome)| outcome == "Succeeded"), "{:?}", outcomes(&undone));
}

#[tokio::test]
async fn three_switches_are_needed_and_each_one_that_is_off_says_so() {
    let enforced = Enforced::of(STATE, CONTROLS, "").await;
    let kubeconfig = enforced.kube.kubeconfig(enforced.world.kubeconfig()).unwrap();
    let operator = enforced.world.start(&kubeconfig, &[]);
    let baseline = enforced.blocked("NotEnabled").await;
    assert!(blocked_by(&baseline).unwrap().1.contains("--enforce"));
    let plan = baseline.status.as_ref().unwrap().plan.clone().unwrap();
    assert_eq!(plan.changes, 5, "the plan is shown all the same");
    let printed = report(&enforced, "plan", "Enforce");
    let printed = &printed["baselines"][0]["plan"];
    assert_eq!(
        printed["digest"].as_str(),
        plan.digest.as_deref(),
        "what the command line prints is what would be done"
    );
    let operations: Vec<_> = printed["changes"].as_array().unwrap().iter().map(|it| it["operation"].clone()).collect();
    assert_eq!(operations, CHANGES);
    drop(operator);

    let _operator = enforced.operator();
    enforced.patch(json!({"mode": "Audit"})).await;
    let audited = enforced.world.evaluated(2).await;
    assert_eq!(blocked_by(&audited), None, "nobody wants to enforce");
    assert_eq!(audited.status.unwrap().plan, None);
    assert_eq!(enforced.change_names(), [""; 0]);
    assert_eq!(enforced.records().await, []);
}

#[tokio::test]
async fn p7_a_plan_over_its_size_starts_nothing_without_consent() {
    let enforced = Enforced::of(STATE, CONTROLS, ", enforcement: {maxPlanSize: 4}").await;
    let _operator = enforced.operator();
    let baseline = enforced.blocked("ApprovalRequired").await;
    let digest = baseline.status.as_ref().unwrap().plan.as_ref().unwrap().digest.clone().unwrap();
    assert!(blocked_by(&baseline).unwrap().1.contains(&digest));
    assert_eq!(enforced.change_names(), [""; 0]);
    let id = &enforced.world.id;
    apply::<plumbline::api::PlanApproval>(
        &enforced.world.client,
        json!({"apiVersion": "plumbline.dev/v1alpha1", "kind": "PlanApproval", "metadata": {"name": id},
            "spec": {"baselineRef": {"name": id}, "planDigest": digest, "expiresAt": "2099-01-01T00:00:00Z"}}),
    )
    .await;
    enforced.quiet().await;
    assert_eq!(enforced.change_names(), CHANGES);
    assert!(enforced.records().await.iter().all(|record| record.spec.approval.as_deref() == Some(id.as_str())));
    let used = |approval: &plumbline::api::PlanApproval| {
        let status = approval.status.clone().unwrap_or_default();
        status.conditions.iter().any(|condition| condition.reason == "Used") && status.remaining == Some(0)
    };
    enforced.world.until_named::<plumbline::api::PlanApproval>(id, "used", used).await;
}

#[tokio::test]
async fn p7_changes_go_at_the_rate_and_the_rest_waits_until_a_time() {
    let enforced = Enforced::of(STATE, CONTROLS, ", enforcement: {maxChangesPerHour: 2}").await;
    let operator = enforced.operator();
    let baseline = enforced.blocked("ChangeBudgetExhausted").await;
    assert!(blocked_by(&baseline).unwrap().1.starts_with("3 changes wait until "), "{:?}", blocked_by(&baseline));
    assert_eq!(enforced.change_names(), CHANGES[..2]);
    drop(operator);
    let _operator = enforced.operator();
    enforced.look_again("after a restart").await;
    assert_eq!(enforced.change_names(), CHANGES[..2], "records survive a restart, so the rate does");
}

#[tokio::test]
async fn who_edits_a_baseline_does_not_approve_its_plan_and_nobody_of_them_writes_records() {
    let client = cluster().await.admin_client().await.unwrap();
    // The chart's roles, which the operator's rights came with.
    for name in ["plumbline-view", "plumbline-edit-baselines", "plumbline-approve-plans"] {
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}]});
        apply::<ClusterRoleBinding>(&client, binding).await;
    }
    let (view, edit, approve) = ("plumbline-view", "plumbline-edit-baselines", "plumbline-approve-plans");
    for (user, verb, resource, may) in [
        (view, "list", "changerecords", true),
        (view, "update", "accountbaselines", false),
        (edit, "update", "accountbaselines", true),
        (edit, "create", "planapprovals", false),
        (edit, "create", "changerecords", false),
        (approve, "create", "planapprovals", true),
        (approve, "get", "accountbaselines", true),
        (approve, "update", "accountbaselines", false),
        (approve, "create", "changerecords", false),
    ] {
        let answer = kubectl(&["auth", "can-i", verb, &format!("{resource}.plumbline.dev"), "--as", user]).await;
        assert_eq!(answer.status.success(), may, "{user} {verb} {resource}");
    }
}
