//! `BaselineException`s, with the operator on a real API server and with the command line.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::DeleteParams;
use plumbline::api::{AccountBaseline, BaselineException};
use serde_json::{Value, json};

use crate::support::{Aws, World, apply, condition, drift, verdict};

/// A group whose name is the only thing that a manifest can know.
const GROUPS: &str = r"
regions: [eu-west-1, us-east-1]
passwordPolicy: {minimumPasswordLength: 8}
securityGroups:
  eu-west-1:
    - name: reporting-db
      attached: true
      ingress: [{protocol: tcp, ports: 5432, cidrs: [0.0.0.0/0]}]
";

const CONTROLS: &str = "{passwordPolicy: {minimumPasswordLength: 14}, securityGroups: {allowedIngress: []}}";

/// Both findings of that account.
const RULE: (&str, &str) = ("Ingress", "reporting-*");
const LENGTH: (&str, &str) = ("MinimumPasswordLength", "*");

fn in_an_hour() -> Timestamp {
    Timestamp::now().saturating_add(SignedDuration::from_hours(1)).unwrap()
}

/// An exception as an object: its name, its account, check and pattern, and its end.
fn exception(name: &str, account: &str, (check, pattern): (&str, &str), expires_at: Timestamp) -> Value {
    json!({"apiVersion": "plumbline.dev/v1alpha1", "kind": "BaselineException", "metadata": {"name": name},
        "spec": {"accounts": [account], "check": check, "resourcePattern": pattern, "owner": "team-data",
            "reason": "the migration needs it", "expiresAt": expires_at.to_string()}})
}

impl World {
    /// Declares an exception for the account of this test.
    async fn exception(&self, name: &str, covers: (&str, &str), expires_at: Timestamp) -> String {
        let name = format!("{}-{name}", self.id);
        apply::<BaselineException>(&self.client, exception(&name, &self.id, covers, expires_at)).await;
        name
    }

    /// Waits until the `Ready` of an exception has a reason, and as many matches.
    async fn until_exception(&self, name: &str, reason: &str, matched: i64) -> BaselineException {
        let api = Api::<BaselineException>::all(self.client.clone());
        let mut last = None;
        for _ in 0..600 {
            let object = api.get(name).await.unwrap();
            let status = object.status.clone().unwrap_or_default();
            let ready = condition(&status.conditions, "Ready").map(|ready| ready.reason.clone());
            if ready.as_deref() == Some(reason) && status.matched == Some(matched) {
                return object;
            }
            last = Some(status);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{name} is not {reason} with {matched} matches: {last:#?}\n{}", self.log());
    }
}

fn exempt(baseline: &AccountBaseline) -> Vec<(&str, &str)> {
    let status = baseline.status.as_ref().unwrap();
    status.exempt.iter().map(|entry| (entry.check.as_str(), entry.exception.as_str())).collect()
}

fn evaluations(world: &World) -> usize {
    world.aws.proxy().count("iam", "GetAccountPasswordPolicy")
}

fn compliant(baseline: &AccountBaseline) -> Option<String> {
    verdict(baseline, "Compliant").map(|(status, _)| status)
}

#[tokio::test]
async fn what_is_excepted_stays_visible_and_fails_again_when_the_exception_is_deleted() {
    let world = World::new().await;
    let seeded = world.seed(GROUPS).await;
    world.account(&seeded.account_id, "").await;
    world.baseline(CONTROLS, "").await;
    let _operator = world.operator();
    let before = world.evaluated(1).await;
    assert_eq!((drift(&before, "Ingress").len(), drift(&before, "MinimumPasswordLength").len()), (1, 1));

    let rule = world.exception("rule", RULE, in_an_hour()).await;
    let excepted = |baseline: &AccountBaseline| exempt(baseline).contains(&("Ingress", rule.as_str()));
    let baseline = world.until("excepted by the group's name", excepted).await;
    assert_eq!(compliant(&baseline).as_deref(), Some("False"), "the password policy still fails");
    assert!(drift(&baseline, "Ingress").is_empty());

    let length = world.exception("length", LENGTH, in_an_hour()).await;
    let baseline = world.until("compliant", |baseline| compliant(baseline).as_deref() == Some("True")).await;
    let status = baseline.status.clone().unwrap();
    let summary = status.summary.unwrap();
    assert_eq!((summary.fail, summary.exempt, status.drift_total), (0, 2, Some(0)));
    assert!(status.exempt.iter().all(|entry| entry.actual == "Fail" && entry.expires_at.is_some()), "{status:#?}");
    assert_eq!(status.exempt[0].exception, rule, "worst first");
    let matched = world.until_exception(&rule, "Active", 1).await.status.unwrap();
    assert_eq!(matched.last_matched_at, status.last_evaluated_at.min(matched.last_matched_at));
    assert!(matched.last_matched_at.is_some());

    let api = Api::<BaselineException>::all(world.client.clone());
    api.delete(&length, &DeleteParams::default()).await.unwrap();
    let failing = |baseline: &AccountBaseline| !drift(baseline, "MinimumPasswordLength").is_empty();
    let baseline = world.until("failing again", failing).await;
    assert_eq!(exempt(&baseline), [("Ingress", rule.as_str())]);
    assert_eq!(evaluations(&world), 4, "one to begin with, and one for each change");
    api.delete(&rule, &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn an_exception_ends_on_time_without_an_edit() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 8}").await;
    world.account(&seeded.account_id, "").await;
    world.baseline("{passwordPolicy: {minimumPasswordLength: 14}}", "").await;
    let end = Timestamp::now().saturating_add(SignedDuration::from_secs(20)).unwrap();
    let name = world.exception("short", LENGTH, end).await;
    let _operator = world.operator();
    let baseline = world.evaluated(1).await;
    assert_eq!(exempt(&baseline), [("MinimumPasswordLength", name.as_str())]);
    assert_eq!(compliant(&baseline).as_deref(), Some("True"));
    let failing = |baseline: &AccountBaseline| compliant(baseline).as_deref() == Some("False");
    let baseline = world.until("failing again", failing).await;
    let evaluated = baseline.status.as_ref().unwrap().last_evaluated_at.unwrap();
    // Times in status have whole seconds.
    let late = evaluated.duration_since(end).as_secs();
    assert!((-1..=20).contains(&late), "ended at {end}, evaluated at {evaluated}");
    assert_eq!(exempt(&baseline), []);
    assert_eq!(evaluations(&world), 2);
    let over = world.until_exception(&name, "Expired", 0).await.status.unwrap();
    assert_eq!(condition(&over.conditions, "Stalled").unwrap().status, "True");
    Api::<BaselineException>::all(world.client.clone()).delete(&name, &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn an_exception_that_is_too_long_is_invalid_and_covers_nothing() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 8}").await;
    world.account(&seeded.account_id, "").await;
    world.baseline("{passwordPolicy: {minimumPasswordLength: 14}}", "").await;
    let too_far = Timestamp::now().saturating_add(SignedDuration::from_hours(367 * 24)).unwrap();
    let name = world.exception("long", LENGTH, too_far).await;
    let _operator = world.operator();
    let baseline = world.evaluated(1).await;
    assert_eq!((exempt(&baseline).len(), drift(&baseline, "MinimumPasswordLength").len()), (0, 1));
    let status = world.until_exception(&name, "Invalid", 0).await.status.unwrap();
    let message = &condition(&status.conditions, "Ready").unwrap().message;
    assert!(message.contains("more than 366 days after"), "{message}");

    world.exception("long", LENGTH, in_an_hour()).await;
    world.until_exception(&name, "Active", 1).await;
    Api::<BaselineException>::all(world.client.clone()).delete(&name, &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn a_restart_evaluates_nothing_and_writes_nothing_while_the_exceptions_are_the_same() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 8}").await;
    world.account(&seeded.account_id, "").await;
    let name = world.exception("same", LENGTH, in_an_hour()).await;
    world.baseline("{passwordPolicy: {minimumPasswordLength: 14}}", "").await;
    let operator = world.operator();
    world.evaluated(1).await;
    let before = world.until_exception(&name, "Active", 1).await;
    operator.end().unwrap();
    let operator = world.operator();
    // What the restarted operator does is seen to be over once it has handled something that came later.
    let other = world.exception("other", ("UserMfa", "nobody"), in_an_hour()).await;
    world.until_exception(&other, "Active", 0).await;
    world.until("evaluated for the other exception", |_| evaluations(&world) == 2).await;
    operator.end().unwrap();
    let api = Api::<BaselineException>::all(world.client.clone());
    let after = api.get(&name).await.unwrap();
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version);
    assert_eq!(evaluations(&world), 2, "for the other exception, and not for the restart");
    for name in [name, other] {
        api.delete(&name, &DeleteParams::default()).await.unwrap();
    }
}

#[tokio::test]
async fn audit_of_files_applies_exceptions_and_refuses_one_that_is_too_long() {
    let aws = Aws::new().await;
    let seeded = aws.seed(GROUPS).await;
    let account = json!({"apiVersion": "plumbline.dev/v1alpha1", "kind": "AwsAccount", "metadata": {"name": "shop"},
        "spec": {"accountId": seeded.account_id, "auditRoleName": "PlumblineAudit", "externalId": "0f6c9a"}});
    let controls: Value = serde_saphyr::from_str(CONTROLS).unwrap();
    let baseline = json!({"apiVersion": "plumbline.dev/v1alpha1", "kind": "AccountBaseline",
        "metadata": {"name": "shop"}, "spec": {"accountRef": {"name": "shop"}, "controls": controls}});
    let list = |exceptions: Vec<Value>| {
        let items: Vec<Value> = [account.clone(), baseline.clone()].into_iter().chain(exceptions).collect();
        aws.write("all.json", &json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string())
    };
    let audit = |file: &str| {
        let output = aws.plumbline(&["audit", "-f", file, "-o", "json"]);
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap_or(Value::Null), said)
    };
    let both = vec![exception("rule", "shop", RULE, in_an_hour()), exception("length", "shop", LENGTH, in_an_hour())];
    let (code, report, said) = audit(&list(both));
    assert_eq!(code, Some(0), "{said}");
    let found = &report["baselines"][0];
    assert_eq!((&found["result"], &found["summary"]["exempt"]), (&json!("Pass"), &json!(2)));
    let findings = found["findings"].as_array().unwrap();
    let rule = findings.iter().find(|finding| finding["result"] == "Exempt" && finding["check"] == "Ingress").unwrap();
    assert_eq!((&rule["exception"]["name"], &rule["exception"]["actual"]), (&json!("rule"), &json!("Fail")));

    let elsewhere = vec![exception("rule", "another", RULE, in_an_hour())];
    let over = vec![exception("length", "shop", LENGTH, "2020-01-01T00:00:00Z".parse().unwrap())];
    for exceptions in [elsewhere, over] {
        let (code, report, said) = audit(&list(exceptions));
        assert_eq!((code, &report["baselines"][0]["summary"]["fail"]), (Some(2), &json!(2)), "{said}");
    }
    let too_far = Timestamp::now().saturating_add(SignedDuration::from_hours(367 * 24)).unwrap();
    let (code, report, said) = audit(&list(vec![exception("rule", "shop", RULE, too_far)]));
    assert_eq!((code, report), (Some(1), Value::Null));
    assert!(said.contains("spec.expiresAt") && said.contains("more than 366 days"), "{said}");
}
