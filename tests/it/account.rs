//! What the status of an `AwsAccount` tells: why it is not reached and what to paste, its zones, and how near it is to
//! the quotas that a change can meet.

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use plumbline::api::{AccountAccess, AccountBaseline, AccountQuota, AwsAccount, AwsAccountStatus};
use plumbline_rig::aws_proxy::{Action, Matcher, Role};
use serde_json::{Value, json};

use crate::support::{World, condition, kubectl};

/// The two actions that the status alone needs.
const ZONES: &str = "ec2:DescribeAvailabilityZones";
const QUOTA: &str = "servicequotas:GetServiceQuota";

fn status(account: &AwsAccount) -> AwsAccountStatus {
    account.status.clone().unwrap_or_default()
}

fn access(account: &AwsAccount) -> AccountAccess {
    status(account).access.unwrap_or_default()
}

async fn verified(world: &World) -> AwsAccountStatus {
    let seen =
        |account: &AwsAccount| condition(&status(account).conditions, "Ready").is_some_and(|it| it.status == "True");
    status(&world.until_account("verified", seen).await)
}

/// The quota of security groups in a region.
fn of_region<'a>(status: &'a AwsAccountStatus, region: &str) -> &'a AccountQuota {
    status.quotas.iter().find(|row| row.region.as_deref() == Some(region)).unwrap()
}

async fn ask(world: &World, api: Api<AwsAccount>, value: &str) {
    let patch = json!({"metadata": {"annotations": {"plumbline.dev/requestedAt": value}}});
    api.patch(&world.id, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
}

#[tokio::test]
async fn the_trust_statement_that_is_missing_is_in_status_and_pasting_it_lets_the_operator_in() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 16}").await;
    let aws = world.aws.proxy();
    aws.change(&seeded.account_id, |account| account.roles.clear());
    world.account(&seeded.account_id, "").await;
    let _operator = world.operator();
    let refused = |account: &AwsAccount| access(account).trust_statement.is_some();
    let account = world.until_account("refused", refused).await;
    let said = access(&account);
    assert_eq!((said.reachable, said.cause.as_deref()), (false, Some("Credentials")));
    let ready = condition(&account.status.as_ref().unwrap().conditions, "Ready").unwrap();
    assert_eq!((&*ready.status, &*ready.reason), ("False", "AccountUnreachable"));
    // AWS does not tell which side refuses: both are said.
    for side in ["trust arn:aws:iam::111111111111:user/", "needs sts:AssumeRole on it"] {
        assert!(ready.message.contains(side), "{}", ready.message);
    }
    assert_eq!(said.message.as_deref(), Some(ready.message.as_str()));

    let path = "jsonpath={.status.access.trustStatement}";
    let printed = kubectl(&["get", "awsaccount", &world.id, "-o", path]).await;
    let statement: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!((&statement["Effect"], &statement["Action"]), (&json!("Allow"), &json!(["sts:AssumeRole"])));
    let trusted = statement["Principal"]["AWS"].as_str().unwrap();
    assert!(ready.message.contains(trusted), "the operator itself is trusted: {trusted}");
    let external_id = statement["Condition"]["StringEquals"]["sts:ExternalId"].as_str().map(str::to_owned);
    assert_eq!(external_id.as_deref(), Some("0f6c9a"));

    // The rig's trust policy is no more than who is let in by which external id.
    let role = Role { name: "PlumblineAudit".to_owned(), external_id };
    aws.change(&seeded.account_id, |account| account.roles.push(role));
    ask(&world, Api::all(world.client.clone()), "pasted").await;
    let reached = world.until_account("reached", |account| access(account).reachable).await;
    assert_eq!(access(&reached), AccountAccess { reachable: true, ..AccountAccess::default() });
}

#[tokio::test]
async fn a_network_that_fails_is_no_matter_of_trust() {
    let world = World::new().await;
    let seeded = world.seed("").await;
    let action = Action::Error { status: 403, code: "ExpiredToken".to_owned(), message: "it has expired".to_owned() };
    world.aws.proxy().rule(Matcher::operation("sts", "AssumeRole"), action, None);
    world.account(&seeded.account_id, "").await;
    let _operator = world.operator();
    let failed = |account: &AwsAccount| access(account).cause.is_some();
    let said = access(&world.until_account("not reached", failed).await);
    assert_eq!((said.reachable, said.cause.as_deref()), (false, Some("Credentials")));
    assert_eq!(said.trust_statement, None, "{said:?}");
}

/// Zone ids by name.
fn ids(status: &AwsAccountStatus, region: &str) -> Vec<(String, String)> {
    let region = status.regions.iter().find(|row| row.name == region).unwrap();
    region.zones.iter().map(|zone| (zone.name.clone(), zone.id.clone())).collect()
}

/// The status of an account whose id ends with another digit than those.
async fn another(world: &World, taken: &mut Vec<u32>) -> AwsAccountStatus {
    let account_id = loop {
        let seeded = world.seed("regions: [eu-west-1, us-east-1]").await;
        let turn = seeded.account_id.chars().last().unwrap().to_digit(10).unwrap() % 3;
        if !taken.contains(&turn) {
            taken.push(turn);
            break seeded.account_id;
        }
    };
    world.account(&account_id, ", excludedRegions: [us-east-1]").await;
    let status = verified(world).await;
    Api::<AwsAccount>::all(world.client.clone()).delete(&world.id, &kube::api::DeleteParams::default()).await.unwrap();
    status
}

#[tokio::test]
async fn two_accounts_call_the_same_zones_by_different_names_and_each_says_which() {
    let world = World::new().await;
    let _operator = world.operator();
    let mut taken = Vec::new();
    let (one, other) = (another(&world, &mut taken).await, another(&world, &mut taken).await);
    let judged: Vec<_> = one.regions.iter().map(|row| (row.name.as_str(), row.judged)).collect();
    assert_eq!(judged, [("eu-west-1", true), ("us-east-1", false)]);
    let (one, other) = (ids(&one, "eu-west-1"), ids(&other, "eu-west-1"));
    let names: Vec<_> = one.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["eu-west-1a", "eu-west-1b", "eu-west-1c"]);
    assert!(one.iter().zip(&other).all(|(a, b)| a.0 == b.0 && a.1 != b.1), "{one:?} {other:?}");
    let sorted = |rows: &[(String, String)]| {
        let mut ids: Vec<_> = rows.iter().map(|(_, id)| id.clone()).collect();
        ids.sort();
        ids
    };
    assert_eq!(sorted(&one), sorted(&other), "the ids are the same places");
}

#[tokio::test]
async fn p12_each_right_that_the_status_needs_is_named_where_it_is_missing_and_the_account_stays_ready() {
    let world = World::new().await;
    let seeded = world.seed("regions: [eu-west-1, us-east-1]\nrulesPerGroup: 100").await;
    let aws = world.aws.proxy();
    for (service, operation) in [("ec2", "DescribeAvailabilityZones"), ("servicequotas", "GetServiceQuota")] {
        let matcher = Matcher::operation(service, operation).region("eu-west-1");
        aws.rule(matcher, Action::AccessDenied { message: None }, None);
    }
    world.account(&seeded.account_id, "").await;
    let _operator = world.operator();
    let before = verified(&world).await;
    let region = |name: &str| before.regions.iter().find(|row| row.name == name).unwrap();
    assert!(region("eu-west-1").message.as_deref().is_some_and(|it| it.contains(ZONES)), "{before:#?}");
    assert_eq!(region("eu-west-1").zones, []);
    assert!(region("us-east-1").message.is_none() && !region("us-east-1").zones.is_empty(), "{before:#?}");
    let (denied, read) = (of_region(&before, "eu-west-1"), of_region(&before, "us-east-1"));
    assert_eq!((denied.limit, denied.source.as_str()), (60, "Default"));
    assert!(denied.message.as_deref().is_some_and(|it| it.contains(QUOTA)), "{denied:?}");
    assert_eq!((read.limit, read.source.as_str(), &read.message), (100, "ServiceQuotas", &None));

    // The rights were added: who asks need not wait a day.
    aws.clear_rules();
    ask(&world, Api::all(world.client.clone()), "added").await;
    let handled = |account: &AwsAccount| status(account).last_handled_reconcile_at.as_deref() == Some("added");
    let after = status(&world.until_account("looked at again", handled).await);
    assert!(after.regions.iter().all(|row| row.message.is_none() && row.zones.len() > 2), "{after:#?}");
    assert_eq!((of_region(&after, "eu-west-1").limit, &*of_region(&after, "eu-west-1").source), (100, "ServiceQuotas"));
}

/// A group with three rules, in and out, and a user with two policies who fails.
const NEAR: &str = r#"
regions: [eu-west-1, us-east-1]
rulesPerGroup: 5
policies:
  - {name: RequireMfa, document: {Version: "2012-10-17", Statement: [{Effect: Deny, Action: "*", Resource: "*"}]}}
  - {name: Other, document: {Version: "2012-10-17", Statement: [{Effect: Deny, Action: "*", Resource: "*"}]}}
users: [{name: ada, password: true, policies: [Other, "arn:aws:iam::aws:policy/ReadOnlyAccess"]}]
securityGroups:
  eu-west-1:
    - name: web
      ingress: [{protocol: tcp, ports: 443, cidrs: [10.0.0.0/8, 172.16.0.0/12, "::/0", 192.168.0.0/16]}]
"#;

async fn evaluate(world: &World, value: &str) {
    let patch = json!({"metadata": {"annotations": {"plumbline.dev/requestedAt": value}}});
    let api = Api::<AccountBaseline>::all(world.client.clone());
    api.patch(&world.id, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    let handled = |baseline: &AccountBaseline| {
        baseline.status.as_ref().is_some_and(|status| status.last_handled_reconcile_at.as_deref() == Some(value))
    };
    world.until("evaluated again", handled).await;
}

#[tokio::test]
async fn p1_the_quotas_that_a_change_can_meet_say_who_is_nearest_and_are_written_only_when_that_changes() {
    let world = World::new().await;
    let seeded = world.seed(NEAR).await;
    world.account(&seeded.account_id, ", regions: [eu-west-1]").await;
    let controls = "{securityGroups: {allowedIngress: []}, \
                    mfa: {rootUser: {requireMfa: true}, users: {}, denyPolicyName: RequireMfa}}";
    world.baseline(controls, ", mode: Enforce").await;
    let _operator = world.operator();
    let counted = |account: &AwsAccount| {
        let status = status(account);
        status.quotas.len() == 2 && status.quotas.iter().all(|row| row.used.is_some())
    };
    let account = world.until_account("counted", counted).await;
    let near = status(&account);
    let group = seeded.security_groups["eu-west-1/web"].clone();
    let rules = of_region(&near, "eu-west-1");
    assert_eq!((rules.used, rules.limit, rules.resource.as_ref()), (Some(3), 5, Some(&group)), "{rules:?}");
    let policies = near.quotas.iter().find(|row| row.name == "AttachedPoliciesPerUserQuota").unwrap();
    assert_eq!((policies.used, policies.limit, policies.source.as_str()), (Some(2), 10, "AccountSummary"));
    assert_eq!(policies.resource.as_ref(), Some(&seeded.users["ada"]));

    let aws = world.aws.proxy();
    aws.clear();
    for value in ["first", "second", "third"] {
        evaluate(&world, value).await;
    }
    let still = Api::<AwsAccount>::all(world.client.clone()).get(&world.id).await.unwrap();
    assert_eq!(still.resource_version(), account.resource_version(), "nothing was counted anew, so nothing is written");

    let rule = [
        ("GroupId", group.as_str()),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "8443"),
        ("IpPermissions.1.ToPort", "8443"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/8"),
    ];
    world.aws.ec2(&seeded.account_id, "eu-west-1", "AuthorizeSecurityGroupIngress", &rule).await.unwrap();
    evaluate(&world, "fourth").await;
    let more = |account: &AwsAccount| of_region(&status(account), "eu-west-1").used == Some(4);
    let after = status(&world.until_account("recounted", more).await);
    assert_eq!(AwsAccountStatus { quotas: near.quotas.clone(), ..after }, near, "only the count");
    for (service, operation) in [("ec2", "DescribeAvailabilityZones"), ("servicequotas", "GetServiceQuota")] {
        assert_eq!(aws.count(service, operation), 0, "{operation} is asked once a day");
    }
}
