//! Enforcement on bad days: what AWS, the API server or somebody else refuses is a clear condition, nothing is half
//! done, nothing is tried in a hot loop, and everything else goes on.

use std::time::Duration;

use plumbline_rig::aws_proxy::{Action, Matcher};
use plumbline_rig::kube_proxy::{Action as KubeAction, Matcher as KubeMatcher};
use serde_json::json;

use crate::enforced::{CHANGES, Enforced, STATE, blocked_by, outcomes};
use crate::support::{apply, drift};

const PASSWORDS: &str = "{passwordPolicy: {minimumPasswordLength: 14}}";
const WEAK: &str = "passwordPolicy: {minimumPasswordLength: 8}";

/// Long enough for a loop to show.
async fn a_while() {
    tokio::time::sleep(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn pw_15_a_write_that_is_denied_names_the_action_and_the_others_are_made() {
    let enforced = Enforced::new().await;
    let proxy = enforced.world.aws.proxy();
    let denied = Matcher::operation("iam", "UpdateAccountPasswordPolicy");
    proxy.rule(denied, Action::AccessDenied { message: None }, None);
    let _operator = enforced.operator();
    let baseline = enforced.blocked("MissingPermission").await;
    assert!(
        blocked_by(&baseline).unwrap().1.contains("iam:UpdateAccountPasswordPolicy"),
        "{:?}",
        blocked_by(&baseline)
    );
    let entry = drift(&baseline, "MinimumPasswordLength")[0];
    assert_eq!(entry.remediation_reason.as_deref(), Some("MissingPermission"));
    let mut others = CHANGES.to_vec();
    others.retain(|name| *name != "iam:UpdateAccountPasswordPolicy");
    assert_eq!(enforced.change_names(), others);
    a_while().await;
    enforced.look_again("still denied, and somebody asked").await;
    assert!(proxy.count("iam", "UpdateAccountPasswordPolicy") <= 2, "no hot loop");
    let records = enforced.records().await;
    let refused = records.iter().find(|record| record.spec.operation == "iam:UpdateAccountPasswordPolicy").unwrap();
    let status = refused.status.as_ref().unwrap();
    assert_eq!(status.outcome.as_deref(), Some("NotApplied"));
    assert_eq!(status.missing_action.as_deref(), Some("iam:UpdateAccountPasswordPolicy"));

    proxy.clear_rules();
    enforced.look_again("now it may").await;
    enforced.quiet().await;
    assert_eq!(enforced.change_names().len(), 5);
}

#[tokio::test]
async fn pw_15_a_policy_of_the_organization_is_told_from_a_missing_permission() {
    let enforced = Enforced::of(WEAK, PASSWORDS, "").await;
    let denied = Matcher::operation("iam", "UpdateAccountPasswordPolicy");
    enforced.world.aws.proxy().rule(denied, Action::DeniedByOrganization, None);
    let _operator = enforced.operator();
    let baseline = enforced.blocked("MissingPermission").await;
    let (_, message) = blocked_by(&baseline).unwrap();
    assert!(message.contains("organization"), "{message}");
    assert_eq!(enforced.records().await[0].status.as_ref().unwrap().missing_action, None, "nothing to add to the role");
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_changes_nothing_and_says_which() {
    let enforced = Enforced::of(WEAK, PASSWORDS, "").await;
    let id = &enforced.world.id;
    apply::<plumbline::api::AwsAccount>(
        &enforced.world.client,
        json!({"apiVersion": "plumbline.dev/v1alpha1", "kind": "AwsAccount",
            "metadata": {"name": id, "labels": {"test": id}},
            "spec": {"accountId": enforced.seeded.account_id, "auditRoleName": "PlumblineAudit",
                "enforceRoleName": "NobodyMadeIt", "externalId": "0f6c9a"}}),
    )
    .await;
    let _operator = enforced.operator();
    let baseline = enforced.blocked("MissingPermission").await;
    let (_, message) = blocked_by(&baseline).unwrap();
    assert!(message.contains("NobodyMadeIt"), "{message}");
    a_while().await;
    let assumed = enforced.world.aws.proxy().calls();
    let tries = assumed.iter().filter(|call| call.resource.as_deref().is_some_and(|r| r.contains("NobodyMadeIt")));
    assert!(tries.count() <= 3, "no hot loop");
    assert_eq!(enforced.change_names(), [""; 0]);
}

#[tokio::test]
async fn without_an_enforce_role_nothing_is_changed() {
    let enforced = Enforced::of(WEAK, PASSWORDS, "").await;
    let patch = kube::api::Patch::Merge(json!({"spec": {"enforceRoleName": null}}));
    let accounts = kube::Api::<plumbline::api::AwsAccount>::all(enforced.world.client.clone());
    accounts.patch(&enforced.world.id, &kube::api::PatchParams::default(), &patch).await.unwrap();
    let _operator = enforced.operator();
    let baseline = enforced.blocked("NoEnforceRole").await;
    assert!(blocked_by(&baseline).unwrap().1.contains("enforceRoleName"));
    assert_eq!(enforced.change_names(), [""; 0]);
}

#[tokio::test]
async fn p3_a_record_that_cannot_be_written_stops_the_change_and_says_so() {
    for status in [403, 409, 422, 500] {
        let enforced = Enforced::of(WEAK, PASSWORDS, "").await;
        enforced.kube.rule(KubeMatcher::call("create", "changerecords"), KubeAction::Status(status), None);
        let _operator = enforced.operator();
        enforced.blocked("NotRecorded").await;
        a_while().await;
        assert_eq!(enforced.change_names(), [""; 0], "{status}");
        assert!(enforced.kube.calls_of("create", "changerecords").len() <= 12, "{status}: no hot loop");
        enforced.kube.clear_rules();
        enforced.look_again("it may be written now").await;
        enforced.quiet().await;
        assert_eq!(enforced.change_names(), ["iam:UpdateAccountPasswordPolicy"], "{status}");
    }
}

#[tokio::test]
async fn p2_an_outcome_that_cannot_be_written_is_settled_later_by_reading() {
    let enforced = Enforced::of(WEAK, PASSWORDS, "").await;
    enforced.kube.rule(KubeMatcher::call("update-status", "changerecords"), KubeAction::Status(500), None);
    let _operator = enforced.operator();
    enforced.blocked("Unsettled").await;
    assert_eq!(enforced.change_names(), ["iam:UpdateAccountPasswordPolicy"]);
    enforced.kube.clear_rules();
    enforced.look_again("it may be written now").await;
    enforced.quiet().await;
    assert_eq!(enforced.change_names(), ["iam:UpdateAccountPasswordPolicy"], "never again");
    let settled = outcomes(&enforced.records().await);
    assert_eq!(settled, [("iam:UpdateAccountPasswordPolicy".to_owned(), "Succeeded".to_owned())]);
}

#[tokio::test]
async fn p2_an_answer_that_was_lost_is_settled_by_reading_and_never_tried_again() {
    let enforced = Enforced::new().await;
    let proxy = enforced.world.aws.proxy();
    for (service, operation) in CHANGES.map(|name| name.split_once(':').unwrap()) {
        proxy.rule(Matcher::operation(service, operation).mutating(), Action::DropAnswer, Some(1));
    }
    enforced.kube.rule(KubeMatcher::call("create", "changerecords").nth(2), KubeAction::DropAnswer, Some(1));
    let _operator = enforced.operator();
    enforced.quiet().await;
    assert_eq!(enforced.change_names(), CHANGES);
    let records = enforced.records().await;
    assert_eq!(outcomes(&records), CHANGES.map(|name| (name.to_owned(), "Succeeded".to_owned())));
    enforced.assert_recorded(&records);
}

#[tokio::test]
async fn sg_34_where_a_quota_is_met_while_narrowing_nothing_is_revoked() {
    let state = "regions: [eu-west-1, us-east-1]\nsecurityGroups: {eu-west-1: [{name: wide, attached: true, \
                 ingress: [{protocol: tcp, ports: 80-443, cidrs: [0.0.0.0/0]}]}]}";
    let controls = "{securityGroups: {narrow: true, allowedIngress: \
                    [{protocol: tcp, ports: [80, 443], cidrs: [\"0.0.0.0/0\"]}]}}";
    let enforced = Enforced::of(state, controls, "").await;
    let full = Action::Error {
        status: 400,
        code: "RulesPerSecurityGroupLimitExceeded".to_owned(),
        message: "The maximum number of rules per security group has been reached.".to_owned(),
    };
    let authorize = Matcher::operation("ec2", "AuthorizeSecurityGroupIngress").mutating();
    enforced.world.aws.proxy().rule(authorize, full, None);
    let _operator = enforced.operator();
    let refused = || enforced.world.aws.proxy().calls().iter().any(|call| call.fault.as_deref() == Some("Error"));
    enforced.wait("the quota is met", refused).await;
    a_while().await;
    assert_eq!(enforced.change_names(), [""; 0], "what is allowed stays open");
    let records = enforced.records().await;
    assert!(records.iter().all(|record| record.spec.operation == "ec2:AuthorizeSecurityGroupIngress"), "{records:?}");
    enforced.world.aws.proxy().clear_rules();
    enforced.look_again("there is room now").await;
    enforced.quiet().await;
    assert_eq!(
        enforced.change_names(),
        ["ec2:AuthorizeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
    );
}

#[tokio::test]
async fn sg_30_a_rule_that_is_gone_when_it_is_to_be_revoked_is_no_failure() {
    let controls = "{securityGroups: {allowedIngress: [{protocol: tcp, ports: [443], cidrs: [\"0.0.0.0/0\"]}]}}";
    let enforced = Enforced::of(STATE, controls, "").await;
    let rule = &enforced.seeded.rules["eu-west-1/web"][1];
    let group = &enforced.seeded.security_groups["eu-west-1/web"];
    let aws = &enforced.world.aws;
    let revoke = Matcher::operation("ec2", "RevokeSecurityGroupIngress").mutating();
    aws.proxy().rule(revoke, Action::Delay(Duration::from_secs(4)), Some(1));
    let _operator = enforced.operator();
    let arrived =
        || aws.proxy().calls().iter().any(|call| call.operation == "RevokeSecurityGroupIngress" && call.mutating);
    enforced.wait("the rule is about to be revoked", arrived).await;
    let parameters = [("GroupId", group.as_str()), ("SecurityGroupRuleId.1", rule.as_str())];
    aws.ec2(&enforced.seeded.account_id, "eu-west-1", "RevokeSecurityGroupIngress", &parameters).await.unwrap();
    let baseline = enforced.quiet().await;
    assert_eq!(drift(&baseline, "Ingress").len(), 0);
    let settled = outcomes(&enforced.records().await);
    assert_eq!(settled, [("ec2:RevokeSecurityGroupIngress".to_owned(), "Succeeded".to_owned())]);
}

#[tokio::test]
async fn s3_35_a_policy_that_somebody_else_writes_at_the_same_time_is_seen() {
    let enforced = Enforced::of(STATE, "{s3Encryption: {requireTls: true}}", "").await;
    let aws = &enforced.world.aws;
    let account = &enforced.seeded.account_id;
    let bucket = format!("plain-{account}");
    let written = Matcher::operation("s3", "PutBucketPolicy").mutating();
    aws.proxy().rule(written, Action::Delay(Duration::from_secs(1)), Some(1));
    let _operator = enforced.operator();
    let arrived = || aws.proxy().count("s3", "PutBucketPolicy") == 1;
    enforced.wait("the policy is about to be written", arrived).await;
    // From here on every read is held, so that the other's write comes between ours and the read-back.
    aws.proxy().rule(Matcher::operation("s3", "GetBucketPolicy"), Action::Delay(Duration::from_secs(4)), Some(1));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let theirs = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"AWS": format!("arn:aws:iam::{account}:root")}, "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::{bucket}/*")}]});
    aws.put_bucket_policy(account, "eu-west-1", &bucket, &theirs.to_string()).await.unwrap();
    let failed = || {
        let ended = enforced.kube.calls_of("update-status", "changerecords");
        ended.iter().any(|call| call.status == Some(200))
    };
    enforced.wait("the outcome is written", failed).await;
    let records = enforced.records().await;
    assert_eq!(outcomes(&records)[0], ("s3:PutBucketPolicy".to_owned(), "Failed".to_owned()));
    assert_eq!(records[0].status.as_ref().unwrap().reason.as_deref(), Some("NotShown"));
    enforced.look_again("their statement stays, ours comes beside it").await;
    let baseline = enforced.quiet().await;
    assert_eq!(drift(&baseline, "TlsRequired").len(), 0);
    let last = enforced.records().await.pop().unwrap();
    let after = last.spec.change.bucket_policy.unwrap().after.unwrap();
    assert!(after.contains("s3:GetObject") && after.contains("aws:SecureTransport"), "{after}");
}

#[tokio::test]
async fn p5_a_read_that_fails_before_the_change_changes_nothing() {
    let enforced = Enforced::of(WEAK, PASSWORDS, "").await;
    let proxy = enforced.world.aws.proxy();
    // The evaluations read it first; from the third time on it is the enforcement that asks.
    let armed = || enforced.kube.calls_of("create", "changerecords").len() == 1;
    enforced.kube.rule(
        KubeMatcher::call("create", "changerecords").nth(1),
        KubeAction::Delay(Duration::from_secs(2)),
        Some(1),
    );
    let _operator = enforced.operator();
    enforced.wait("the record is about to be written", armed).await;
    proxy.rule(Matcher::operation("iam", "GetAccountPasswordPolicy"), Action::Throttle, None);
    let settled = || {
        let ended = enforced.kube.calls_of("update-status", "changerecords");
        ended.iter().any(|call| call.status == Some(200))
    };
    enforced.wait("the outcome is written", settled).await;
    assert_eq!(enforced.change_names(), [""; 0]);
    let record = enforced.records().await.remove(0);
    let status = record.status.unwrap();
    assert_eq!((status.outcome.as_deref(), status.reason.as_deref()), (Some("NotApplied"), Some("NotRead")));
    proxy.clear_rules();
    enforced.look_again("it can be read again").await;
    enforced.quiet().await;
    assert_eq!(enforced.change_names(), ["iam:UpdateAccountPasswordPolicy"]);
}
