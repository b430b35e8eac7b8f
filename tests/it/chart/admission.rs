//! The chart's `ValidatingAdmissionPolicies` on the API server, for people with and without the verbs they ask for.

use std::time::Duration;

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::Client;
use serde_json::{Value, json};

use super::installed::guarded;
use super::{kubectl, said};
use crate::bad_manifests::good;
use crate::support::apply;

/// Binds `ClusterRoles` to a user.
async fn bind(client: &Client, user: &str, roles: &[&str]) {
    for role in roles {
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": format!("{user}-{role}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]});
        apply::<ClusterRoleBinding>(client, binding).await;
    }
}

/// What the API server answers a user: nothing, or why not.
async fn attempt(user: &str, args: &[&str], manifest: &Value) -> Result<(), String> {
    let (cluster, _) = guarded().await;
    let output = kubectl(cluster.admin_kubeconfig(), Some(user), args, &manifest.to_string()).await;
    if output.status.success() { Ok(()) } else { Err(said(&output)) }
}

async fn create(user: &str, manifest: &Value) -> Result<(), String> {
    attempt(user, &["create", "--filename", "-"], manifest).await
}

async fn patch(user: &str, object: &str, patch: &str) -> Result<(), String> {
    attempt(user, &["patch", object, "--type", "merge", "--patch", patch], &Value::Null).await
}

/// Policies hold some time after they were stored: waits until one refuses this.
async fn until_refused(user: &str, manifest: &Value, with: &str) {
    let mut last = Ok(());
    for _ in 0..200 {
        last = attempt(user, &["create", "--dry-run=server", "--filename", "-"], manifest).await;
        if last.as_ref().is_err_and(|refusal| refusal.contains(with)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    panic!("{user} is not refused with {with}: {last:?}");
}

fn object(kind: &str, name: &str) -> Value {
    let mut object = good().into_iter().find(|object| object["kind"] == kind).unwrap();
    object["metadata"] = json!({"name": name});
    object
}

fn baseline(name: &str, mode: &str) -> Value {
    let mut baseline = object("AccountBaseline", name);
    // Of an account that nobody declares: the operator has nothing to do with it.
    baseline["spec"] = json!({"accountRef": {"name": "admission-nobody"}, "mode": mode,
        "controls": {"passwordPolicy": {"minimumPasswordLength": 14}}});
    baseline
}

#[tokio::test]
async fn to_enforce_is_a_right_of_its_own_and_to_stop_is_everybodys_who_edits() {
    let client = guarded().await.0.admin_client().await.unwrap();
    bind(&client, "editor", &["plumbline-edit-baselines"]).await;
    bind(&client, "lead", &["plumbline-edit-baselines", "plumbline-enforce-baselines"]).await;
    let says = "the verb enforce on accountbaselines.plumbline.dev is needed";
    until_refused("editor", &baseline("admission-enforced", "Enforce"), says).await;
    let refused = |answer: Result<(), String>| answer.unwrap_err().contains(says);

    create("editor", &baseline("admission-audited", "Audit")).await.unwrap();
    assert!(refused(patch("editor", "accountbaseline/admission-audited", r#"{"spec": {"mode": "Enforce"}}"#).await));
    patch("lead", "accountbaseline/admission-audited", r#"{"spec": {"mode": "Enforce"}}"#).await.unwrap();
    create("lead", &baseline("admission-enforced", "Enforce")).await.unwrap();

    let enforced = "accountbaseline/admission-enforced";
    for (edit, may) in [
        (r#"{"metadata": {"annotations": {"plumbline.dev/requestedAt": "now"}}}"#, true),
        (r#"{"spec": {"controls": {"passwordPolicy": {"minimumPasswordLength": 20}}}}"#, false),
        (r#"{"spec": {"suspend": true}}"#, true),
        (r#"{"spec": {"controls": {"passwordPolicy": {"minimumPasswordLength": 20}}}}"#, true),
        (r#"{"spec": {"suspend": false}}"#, false),
        (r#"{"spec": {"mode": "Audit"}}"#, true),
        (r#"{"spec": {"suspend": false}}"#, true),
        (r#"{"spec": {"mode": "Enforce"}}"#, false),
    ] {
        let answer = patch("editor", enforced, edit).await;
        assert_eq!(answer.is_ok(), may, "{edit}: {answer:?}");
        assert!(may || refused(answer), "{edit}");
    }
    attempt("editor", &["delete", enforced, "accountbaseline/admission-audited"], &Value::Null).await.unwrap();
}

#[tokio::test]
async fn to_name_the_role_that_changes_an_account_is_the_same_right() {
    let client = guarded().await.0.admin_client().await.unwrap();
    bind(&client, "accountant", &["plumbline-edit-baselines"]).await;
    bind(&client, "chief", &["plumbline-edit-baselines", "plumbline-enforce-baselines"]).await;
    let account = |name: &str, role: Option<&str>| {
        let mut account = object("AwsAccount", name);
        account["spec"] = json!({"accountId": "999999999999", "suspend": true});
        if let Some(role) = role {
            account["spec"]["enforceRoleName"] = role.into();
        }
        account
    };
    let says =
        "to edit an account that names an enforceRoleName, the verb enforce on awsaccounts.plumbline.dev is needed";
    until_refused("accountant", &account("admission-changed", Some("PlumblineEnforce")), says).await;
    create("accountant", &account("admission-read", None)).await.unwrap();
    let name_it = r#"{"spec": {"enforceRoleName": "PlumblineEnforce"}}"#;
    let refusal = patch("accountant", "awsaccount/admission-read", name_it).await.unwrap_err();
    assert!(refusal.contains(says), "{refusal}");
    create("chief", &account("admission-changed", Some("PlumblineEnforce"))).await.unwrap();
    let changed = "awsaccount/admission-changed";
    patch("accountant", changed, r#"{"metadata": {"labels": {"tier": "prod"}}}"#).await.unwrap();
    patch("accountant", changed, r#"{"spec": {"enforceRoleName": null}}"#).await.unwrap();
    attempt("accountant", &["delete", changed, "awsaccount/admission-read"], &Value::Null).await.unwrap();
}

#[tokio::test]
async fn only_the_operator_and_who_may_undo_writes_records() {
    let client = guarded().await.0.admin_client().await.unwrap();
    let writer = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "admission-records"}, "rules": [{"apiGroups": ["plumbline.dev"],
            "resources": ["changerecords", "changerecords/status"],
            "verbs": ["get", "create", "update", "patch", "delete"]}]});
    apply::<ClusterRole>(&client, writer).await;
    bind(&client, "forger", &["admission-records"]).await;
    bind(&client, "undoer", &["plumbline-undo-changes"]).await;
    let says = "only the operator writes ChangeRecords";
    let record = object("ChangeRecord", "admission-record");
    until_refused("forger", &record, says).await;
    create("undoer", &record).await.unwrap();

    let stored = "changerecord/admission-record";
    // A label says nothing of a change. RBAC would allow the forger all of these.
    patch("forger", stored, r#"{"metadata": {"labels": {"seen": "yes"}}}"#).await.unwrap();
    let outcome = r#"{"status": {"outcome": "Succeeded", "reason": "Applied", "message": "it was"}}"#;
    let settle = ["patch", stored, "--subresource", "status", "--type", "merge", "--patch", outcome];
    let refusal = attempt("forger", &settle, &Value::Null).await.unwrap_err();
    assert!(refusal.contains(says), "{refusal}");
    // The operator's own writes are shown by every test that enforces under these policies.
    let operator = "system:serviceaccount:plumbline-system:plumbline";
    create(operator, &object("ChangeRecord", "admission-operators")).await.unwrap();
    attempt("forger", &["delete", stored, "changerecord/admission-operators"], &Value::Null).await.unwrap();
}

#[tokio::test]
async fn an_exception_of_more_than_a_leap_year_is_refused_with_what_to_do() {
    let client = guarded().await.0.admin_client().await.unwrap();
    bind(&client, "waiver", &["plumbline-edit-baselines"]).await;
    let exception = |name: &str, days: i64| {
        let mut exception = object("BaselineException", name);
        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days);
        exception["spec"]["expiresAt"] = jiff::Timestamp::from_second(end.as_second()).unwrap().to_string().into();
        exception
    };
    let says = "expiresAt must be at most 366 days after the exception was created";
    until_refused("waiver", &exception("admission-long", 367), says).await;
    create("waiver", &exception("admission-short", 366)).await.unwrap();
    let longer = json!({"spec": {"expiresAt": exception("x", 367)["spec"]["expiresAt"]}}).to_string();
    let refusal = patch("waiver", "baselineexception/admission-short", &longer).await.unwrap_err();
    assert!(refusal.contains(says), "{refusal}");
    attempt("waiver", &["delete", "baselineexception/admission-short"], &Value::Null).await.unwrap();
}
