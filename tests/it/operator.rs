//! The operator as a child process, on a real API server and an AWS emulator.

use std::time::Duration;

use kube::api::{Patch, PatchParams, WatchEvent, WatchParams};
use kube::{Api, ResourceExt};
use plumbline::api::{AccountBaseline, AwsAccount};
use plumbline_rig::aws_proxy::{Action, Matcher};
use plumbline_rig::supervisor::Signal;
use serde_json::json;

use crate::support::{World, condition, drift, kubectl, verdict};

const PASSWORDS: &str = "{passwordPolicy: {minimumPasswordLength: 14}}";

/// An account with something wrong for each control, and something right.
const MESS: &str = r#"
regions: [eu-west-1, us-east-1]
root: {mfa: [], password: true, accessKeys: 1}
passwordPolicy: {minimumPasswordLength: 8, requireNumbers: true}
users:
  - {name: alice, password: true, mfa: [Fido]}
  - {name: carol, password: true}
  - {name: deploy, accessKeys: 1}
securityGroups:
  eu-west-1:
    - name: web
      attached: true
      ingress: [{protocol: tcp, ports: 443, cidrs: [0.0.0.0/0]}, {protocol: tcp, ports: 22, cidrs: [0.0.0.0/0]}]
  us-east-1:
    - name: office
      ingress: [{protocol: tcp, ports: 22, cidrs: [10.0.0.0/8]}]
keys: {eu-west-1: [{alias: alias/s3-default}]}
buckets:
  - {name: plain-$ACCOUNT, region: eu-west-1}
  - name: safe-$ACCOUNT
    region: eu-west-1
    encryption: {algorithm: "aws:kms", key: "key:eu-west-1/alias/s3-default", bucketKey: true}
"#;

const EVERYTHING: &str = r#"{
    passwordPolicy: {minimumPasswordLength: 14, requireNumbers: true},
    mfa: {rootUser: {requireMfa: true, forbidAccessKeys: true}, users: {scope: ConsoleUsers}},
    securityGroups: {allowedIngress: [{protocol: tcp, ports: [443], cidrs: ["0.0.0.0/0"]}]},
    s3Encryption: {minimumAlgorithm: SseKms, requireCustomerManagedKey: true, kmsKeys: [alias/s3-default]}}"#;

#[tokio::test]
async fn a_real_account_is_judged_by_all_four_controls_and_nothing_in_it_is_changed() {
    let world = World::new().await;
    let seeded = world.seed(MESS).await;
    world.account(&seeded.account_id, "").await;
    world.baseline(EVERYTHING, "").await;
    let _operator = world.operator();
    let baseline = world.evaluated(1).await;

    assert_eq!(verdict(&baseline, "Ready"), Some(("True".into(), "Evaluated".into())), "drift must not matter");
    assert_eq!(verdict(&baseline, "Compliant"), Some(("False".into(), "DriftDetected".into())));
    assert_eq!(verdict(&baseline, "Reconciling"), None);
    let status = baseline.status.as_ref().unwrap();
    assert_eq!(status.observed_generation, 1);
    assert_eq!(status.unknown, [], "{:#?}", status.unknown);
    assert_eq!(drift(&baseline, "MinimumPasswordLength")[0].observed, "8");
    assert_eq!(drift(&baseline, "RootUserMfa").len(), 1);
    assert_eq!(drift(&baseline, "RootUserAccessKeys").len(), 1);
    let users: Vec<_> = drift(&baseline, "UserMfa").iter().map(|entry| entry.resource.clone()).collect();
    assert_eq!(users, [seeded.users["carol"].clone()]);
    let rules = drift(&baseline, "Ingress");
    assert_eq!(rules.len(), 1, "443 is allowed, and an office is not the public: {rules:#?}");
    assert!(rules[0].resource.ends_with(&seeded.rules["eu-west-1/web"][1]), "{}", rules[0].resource);
    assert_eq!((rules[0].severity.as_str(), rules[0].region.as_deref()), ("Critical", Some("eu-west-1")));
    let buckets: Vec<_> = drift(&baseline, "EncryptionAlgorithm").iter().map(|entry| entry.resource.clone()).collect();
    assert_eq!(buckets, [format!("arn:aws:s3:::plain-{}", seeded.account_id)]);

    let coverage = status.coverage.clone().unwrap();
    assert_eq!(coverage.regions, ["eu-west-1", "us-east-1"]);
    assert_eq!((coverage.users, coverage.users_listed, coverage.buckets), (Some(2), Some(3), Some(2)));
    let changes: Vec<_> = world.aws.proxy().calls().into_iter().filter(|call| call.mutating).collect();
    assert!(changes.iter().all(|call| call.operation == "GenerateCredentialReport"), "{changes:#?}");
}

#[tokio::test]
async fn an_account_says_who_it_is_and_which_regions_are_judged() {
    let world = World::new().await;
    let seeded = world.seed("alias: shop-$ACCOUNT\nregions: [eu-west-1, us-east-1]\n").await;
    world.account(&seeded.account_id, ", excludedRegions: [us-east-1]").await;
    let _operator = world.operator();
    let ready = |account: &AwsAccount| account.status.as_ref().is_some_and(|status| status.observed_generation == 1);
    let status = world.until_account("verified", ready).await.status.unwrap();
    assert_eq!(status.alias, Some(format!("shop-{}", seeded.account_id)));
    assert_eq!(status.enabled_regions, ["eu-west-1", "us-east-1"]);
    assert_eq!(status.region_count, Some(1));
    assert_eq!(condition(&status.conditions, "Ready").unwrap().status, "True");
    assert!(status.caller_arn.unwrap().contains(":assumed-role/PlumblineAudit/"));
}

#[tokio::test]
async fn a_fresh_baseline_is_not_current_and_kubectl_waits_for_its_verdict() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 16}").await;
    world.account(&seeded.account_id, "").await;
    let fresh = world.baseline(PASSWORDS, "").await;
    assert_eq!(fresh.metadata.generation, Some(1));
    assert_eq!(fresh.status.unwrap().observed_generation, -1, "kstatus compares the two: it is in progress");
    let object = format!("accountbaseline/{}", world.id);
    let waits = async |condition: &str, timeout: &str| {
        let (condition, timeout) = (format!("--for=condition={condition}"), format!("--timeout={timeout}"));
        kubectl(&["wait", &object, &condition, &timeout]).await
    };
    assert!(!waits("Ready", "1s").await.status.success(), "nobody has evaluated it");
    let _operator = world.operator();
    for condition in ["Ready", "Compliant"] {
        let output = waits(condition, "60s").await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test]
async fn one_evaluation_writes_once_and_between_evaluations_nothing_is_written() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 8}").await;
    world.account(&seeded.account_id, "").await;
    let created = world.baseline(PASSWORDS, "").await;
    let _operator = world.operator();
    world.evaluated(1).await;
    for time in ["first", "second", "third"] {
        request(&world, time).await;
        let handled = |baseline: &AccountBaseline| {
            baseline.status.as_ref().is_some_and(|status| status.last_handled_reconcile_at.as_deref() == Some(time))
        };
        world.until("asked for", handled).await;
    }
    // A change of its own ends the list of events to look at.
    label(&world, "over").await;
    let versions = changes_since(&world, &created).await;
    let evaluations = 4;
    let annotations = 3;
    assert_eq!(versions.len(), evaluations + annotations + 1, "{versions:#?}");
    let reads = world.aws.proxy().count("iam", "GetAccountPasswordPolicy");
    assert_eq!(reads, evaluations);
}

#[tokio::test]
async fn since_survives_evaluations_and_a_restart_of_the_operator() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 8}").await;
    world.account(&seeded.account_id, "").await;
    world.baseline(PASSWORDS, "").await;
    let mut operator = world.operator();
    let first = world.evaluated(1).await;
    let since = drift(&first, "MinimumPasswordLength")[0].since.unwrap();
    operator.signal(Signal::Kill).unwrap();
    drop(operator);
    // `since` has whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let evaluations = world.aws.proxy().count("iam", "GetAccountPasswordPolicy");

    let _operator = world.operator();
    request(&world, "again").await;
    let later = |baseline: &AccountBaseline| {
        baseline.status.as_ref().unwrap().last_evaluated_at > first.status.as_ref().unwrap().last_evaluated_at
    };
    let second = world.until("evaluated again", later).await;
    assert_eq!(drift(&second, "MinimumPasswordLength")[0].since, Some(since));
    let reads = world.aws.proxy().count("iam", "GetAccountPasswordPolicy") - evaluations;
    assert_eq!(reads, 1, "a restart alone must not evaluate what is not due");
}

#[tokio::test]
async fn an_edit_cancels_the_evaluation_in_progress_and_starts_one() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 8}").await;
    world.account(&seeded.account_id, "").await;
    let read = Matcher::operation("iam", "GetAccountPasswordPolicy");
    world.aws.proxy().rule(read, Action::Hang, Some(1));
    world.baseline(PASSWORDS, "").await;
    let _operator = world.operator();
    while world.aws.proxy().count("iam", "GetAccountPasswordPolicy") == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.baseline("{passwordPolicy: {minimumPasswordLength: 6}}", "").await;
    let baseline = world.evaluated(2).await;
    assert_eq!(verdict(&baseline, "Compliant"), Some(("True".into(), "AllPassing".into())));
    assert!(world.log().contains("given up"), "{}", world.log());
}

#[tokio::test]
async fn an_edit_of_the_account_starts_an_evaluation() {
    let world = World::new().await;
    let seeded = world.seed("regions: [eu-west-1, us-east-1]").await;
    world.account(&seeded.account_id, "").await;
    world.baseline("{securityGroups: {requireEmptyDefaultGroup: true}}", "").await;
    let _operator = world.operator();
    world.evaluated(1).await;
    world.account(&seeded.account_id, ", regions: [eu-west-1, me-south-1]").await;
    let covered = |baseline: &AccountBaseline| {
        let coverage = baseline.status.as_ref().unwrap().coverage.clone().unwrap_or_default();
        coverage.regions == ["eu-west-1"] && coverage.regions_not_enabled == ["me-south-1"]
    };
    world.until("evaluated in the other regions", covered).await;
}

#[tokio::test]
async fn a_suspended_baseline_is_not_evaluated_and_keeps_what_was_seen() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 8}").await;
    world.account(&seeded.account_id, "").await;
    world.baseline(PASSWORDS, "").await;
    let _operator = world.operator();
    let before = world.evaluated(1).await;
    world.baseline(PASSWORDS, ", suspend: true").await;
    let suspended =
        |baseline: &AccountBaseline| verdict(baseline, "Ready") == Some(("True".into(), "Suspended".into()));
    let after = world.until("suspended", suspended).await;
    assert_eq!(after.status.unwrap().drift, before.status.unwrap().drift);
    let reads = world.aws.proxy().count("iam", "GetAccountPasswordPolicy");
    request(&world, "while suspended").await;
    // Another object of the same operator is handled after it: then the request has been seen too.
    world.baseline(PASSWORDS, ", suspend: false").await;
    world.evaluated(3).await;
    assert_eq!(world.aws.proxy().count("iam", "GetAccountPasswordPolicy"), reads + 1);
}

#[tokio::test]
async fn a_baseline_waits_for_its_account_and_says_so() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 16}").await;
    world.baseline(PASSWORDS, "").await;
    let _operator = world.operator();
    let waiting = |baseline: &AccountBaseline| verdict(baseline, "Ready").is_some();
    let baseline = world.until("waiting", waiting).await;
    assert_eq!(verdict(&baseline, "Ready"), Some(("False".into(), "AccountNotFound".into())));
    assert_eq!(verdict(&baseline, "Stalled"), None, "it may come by itself");
    world.account(&seeded.account_id, "").await;
    let baseline = world.evaluated(1).await;
    assert_eq!(verdict(&baseline, "Compliant"), Some(("True".into(), "AllPassing".into())));

    Api::<AwsAccount>::all(world.client.clone()).delete(&world.id, &kube::api::DeleteParams::default()).await.unwrap();
    let gone =
        |baseline: &AccountBaseline| verdict(baseline, "Ready") == Some(("False".into(), "AccountNotFound".into()));
    world.until("without its account", gone).await;
}

#[tokio::test]
async fn credentials_of_another_account_stall_and_read_nothing_more() {
    let world = World::new().await;
    let seeded = world.seed("").await;
    // The operator's own identity, without a role, is of another account.
    let yaml = json!({"apiVersion": "plumbline.dev/v1alpha1", "kind": "AwsAccount",
        "metadata": {"name": world.id, "labels": {"test": world.id}}, "spec": {"accountId": seeded.account_id}});
    crate::support::apply::<AwsAccount>(&world.client, yaml).await;
    world.baseline(EVERYTHING, "").await;
    let _operator = world.operator();
    let stalled = |baseline: &AccountBaseline| verdict(baseline, "Stalled").is_some();
    let baseline = world.until("stalled", stalled).await;
    assert_eq!(verdict(&baseline, "Ready"), Some(("False".into(), "AccountMismatch".into())));
    assert_eq!(baseline.status.as_ref().unwrap().observed_generation, 1, "kstatus says Failed only then");
    let operations: Vec<_> = world.aws.proxy().calls().into_iter().map(|call| call.operation).collect();
    assert!(!operations.is_empty());
    assert!(operations.iter().all(|operation| operation == "GetCallerIdentity"), "{operations:?}");
}

#[tokio::test]
async fn what_is_denied_is_unknown_with_the_missing_action_and_the_rest_is_judged() {
    let world = World::new().await;
    let seeded = world.seed(MESS).await;
    let read = Matcher::operation("iam", "GetAccountPasswordPolicy");
    world.aws.proxy().rule(read, Action::AccessDenied { message: None }, None);
    let rules = Matcher::operation("ec2", "DescribeSecurityGroupRules").region("us-east-1");
    world.aws.proxy().rule(rules, Action::DeniedByOrganization, None);
    world.account(&seeded.account_id, "").await;
    world.baseline(EVERYTHING, "").await;
    let _operator = world.operator();
    let baseline = world.evaluated(1).await;
    let status = baseline.status.as_ref().unwrap();
    let unknown: Vec<_> = status
        .unknown
        .iter()
        .map(|entry| (entry.check.as_str(), entry.cause.as_str(), entry.missing_action.as_deref()))
        .collect();
    let policy = ("AccessDenied", Some("iam:GetAccountPasswordPolicy"));
    assert!(unknown.contains(&("MinimumPasswordLength", policy.0, policy.1)), "{unknown:?}");
    assert!(unknown.contains(&("Ingress", "DeniedByOrganization", None)), "{unknown:?}");
    assert!(drift(&baseline, "MinimumPasswordLength").is_empty());
    assert_eq!(drift(&baseline, "Ingress").len(), 1, "the other region is judged");
    assert_eq!(drift(&baseline, "UserMfa").len(), 1, "the other controls are judged");
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_said_and_tried_again() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 16}").await;
    let assume = Matcher::operation("sts", "AssumeRole");
    world.aws.proxy().rule(assume, Action::AccessDenied { message: None }, None);
    world.account(&seeded.account_id, "").await;
    world.baseline(PASSWORDS, "").await;
    let _operator = world.operator();
    let away =
        |baseline: &AccountBaseline| verdict(baseline, "Ready") == Some(("False".into(), "AccountUnreachable".into()));
    let baseline = world.until("unreachable", away).await;
    let message = condition(&baseline.status.as_ref().unwrap().conditions, "Ready").unwrap().message.clone();
    assert!(message.contains("PlumblineAudit"), "{message}");
    assert_eq!(verdict(&baseline, "Reconciling"), Some(("True".into(), "ProgressingWithRetry".into())));
    assert_eq!(verdict(&baseline, "Compliant"), None, "nothing was judged");
    world.aws.proxy().clear_rules();
    world.evaluated(1).await;
}

#[tokio::test]
async fn p17_pw_19_deleting_a_baseline_changes_nothing_in_aws() {
    let world = World::new().await;
    let seeded = world.seed(MESS).await;
    world.account(&seeded.account_id, "").await;
    world.baseline(EVERYTHING, "").await;
    let operator = world.operator();
    world.evaluated(1).await;
    let looked = |account: &AwsAccount| account.status.as_ref().is_some_and(|status| status.observed_generation == 1);
    world.until_account("verified", looked).await;
    world.aws.proxy().clear();
    let params = kube::api::DeleteParams::default();
    Api::<AccountBaseline>::all(world.client.clone()).delete(&world.id, &params).await.unwrap();
    Api::<AwsAccount>::all(world.client.clone()).delete(&world.id, &params).await.unwrap();
    let ended = operator.end().unwrap();
    assert!(ended.success(), "SIGTERM is an ordinary end: {ended}");
    assert_eq!(world.aws.proxy().calls(), []);
}

/// Asks for an evaluation as `kubectl annotate` does.
async fn request(world: &World, value: &str) {
    let patch = json!({"metadata": {"annotations": {"plumbline.dev/requestedAt": value}}});
    merge(world, &patch).await;
}

async fn label(world: &World, value: &str) {
    merge(world, &json!({"metadata": {"labels": {"test": value}}})).await;
}

async fn merge(world: &World, patch: &serde_json::Value) {
    let api = Api::<AccountBaseline>::all(world.client.clone());
    api.patch(&world.id, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// The versions of the baseline after its creation, from the API server's own memory of events.
async fn changes_since(world: &World, created: &AccountBaseline) -> Vec<String> {
    use futures::TryStreamExt;
    let last = world.stored().await.resource_version().unwrap();
    let api = Api::<AccountBaseline>::all(world.client.clone());
    let params = WatchParams::default().fields(&format!("metadata.name={}", world.id));
    let mut events = Box::pin(api.watch(&params, &created.resource_version().unwrap()).await.unwrap());
    let mut versions = Vec::new();
    while let Some(event) = events.try_next().await.unwrap() {
        let WatchEvent::Modified(baseline) = event else { continue };
        let version = baseline.resource_version().unwrap();
        versions.push(version.clone());
        if version == last {
            break;
        }
    }
    versions
}
