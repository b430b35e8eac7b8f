//! Seeding on a real emulator, read back through a proxy.

use base64::Engine as _;

use super::*;
use crate::aws_proxy::tests::Caller;
use crate::aws_rig::AwsRig;

const ACCOUNT: &str = r#"
accountId: "$ACCOUNT"
alias: payments-$ACCOUNT
roles: [{name: PlumblineAudit, externalId: 0f6c9a}]
root: {mfa: [Virtual], passwordLastUsed: 2026-01-01T00:00:00Z}
passwordPolicy: {minimumPasswordLength: 8, requireNumbers: true}
policies:
  - {name: Everything, document: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "*", Resource: "*"}]}}
groups: [{name: admins, policies: ["arn:aws:iam::aws:policy/AdministratorAccess"]}]
users:
  - {name: alice, path: /people/, password: true, mfa: [Virtual, Fido, HardwareTotp, Sms], groups: [admins],
     createdDaysAgo: 400}
  - {name: bob, password: true, accessKeys: 1, inactiveAccessKeys: 1, policies: [Everything]}
  - name: robot
    inlinePolicies: {own: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:*", Resource: "*"}]}}
prefixLists: {eu-west-1: [{name: partners, cidrs: [192.0.2.0/24]}]}
securityGroups:
  eu-west-1:
    - name: web
      tags: {team: shop}
      ingress:
        - {protocol: tcp, ports: 80-443, cidrs: [0.0.0.0/0, "::/0"], description: the world}
        - {protocol: tcp, ports: 22, prefixLists: [partners], groups: [web]}
      attached: true
    - {default: true, noDefaultEgress: true, ingress: [{protocol: "-1", groups: [default]}]}
keys: {eu-west-1: [{alias: alias/s3-default}, {alias: alias/off, state: Disabled}]}
buckets:
  - name: data-$ACCOUNT
    region: eu-west-1
    encryption: {algorithm: aws:kms, key: "key:eu-west-1/alias/s3-default", bucketKey: true,
                 blockedEncryptionTypes: [SSE-C]}
    policy: {Version: "2012-10-17", Statement: []}
    website: true
    publicAccessBlock: true
    logsTo: logs-$ACCOUNT
  - {name: logs-$ACCOUNT, region: eu-west-1}
  - {name: plain-$ACCOUNT, region: us-east-1}
"#;

#[tokio::test]
async fn users_of_every_kind_read_back_as_declared() {
    let rig = AwsRig::start().await.unwrap();
    let seeded = rig.seed(ACCOUNT).await.unwrap();
    let caller = Caller::of(rig.proxy(), &seeded.account_id);

    let devices = caller.iam("Action=ListMFADevices&UserName=alice").await;
    let serials: Vec<_> =
        devices.find("MFADevices").unwrap().children.iter().map(|d| d.child_text("SerialNumber").unwrap()).collect();
    assert_eq!(serials.len(), 4);
    for part in [":mfa/alice", ":u2f/user/alice/", "GAHT", ":sms-mfa/alice"] {
        assert_eq!(serials.iter().filter(|serial| serial.contains(part)).count(), 1, "{part} in {serials:?}");
    }

    assert_eq!(caller.iam("Action=GenerateCredentialReport").await.find("State").unwrap().text, "STARTED");
    assert_eq!(caller.iam("Action=GenerateCredentialReport").await.find("State").unwrap().text, "COMPLETE");
    let report = caller.iam("Action=GetCredentialReport").await.find("Content").unwrap().text.clone();
    let csv = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(report).unwrap()).unwrap();
    let columns = |user: &str| {
        let row = csv.lines().find(|line| line.starts_with(&format!("{user},"))).unwrap();
        let row: Vec<_> = row.split(',').collect();
        [row[3], row[7], row[8], row[13]].join(" ")
    };
    assert_eq!(columns("<root_account>"), "true true false false");
    assert_eq!(columns("alice"), "true true false false");
    assert_eq!(columns("bob"), "true false true false");
    assert_eq!(columns("robot"), "false false false false");

    let devices = caller.iam("Action=ListVirtualMFADevices&AssignmentStatus=Assigned").await;
    assert!(
        devices.find("VirtualMFADevices").unwrap().children[0]
            .child_text("SerialNumber")
            .unwrap()
            .ends_with("root-account-mfa-device")
    );
    let policy = caller.iam("Action=GetAccountPasswordPolicy").await;
    assert_eq!(policy.find("MinimumPasswordLength").unwrap().text, "8");
    assert_eq!(policy.find("MaxPasswordAge"), None);
}

#[tokio::test]
async fn groups_rules_and_lists_read_back_as_declared() {
    let rig = AwsRig::start().await.unwrap();
    let seeded = rig.seed(ACCOUNT).await.unwrap();
    let caller = Caller::of(rig.proxy(), &seeded.account_id);
    let body = "Action=DescribeSecurityGroupRules&Filter.1.Name=group-id&Filter.1.Value.1=";
    let rules = caller.ec2("eu-west-1", &format!("{body}{}", seeded.security_groups["eu-west-1/web"])).await;
    let rules = &rules.find("securityGroupRuleSet").unwrap().children;
    let ingress: Vec<_> = rules.iter().filter(|rule| rule.child_text("isEgress") == Some("false")).collect();
    let ids: Vec<_> = ingress.iter().map(|rule| rule.child_text("securityGroupRuleId").unwrap().to_owned()).collect();
    assert_eq!(ids, seeded.rules["eu-west-1/web"]);
    assert_eq!(ingress.len(), 4);
    assert_eq!(ingress[1].child_text("cidrIpv6"), Some("::/0"));
    assert!(
        ingress.iter().any(|rule| rule.child_text("prefixListId") == Some(&seeded.prefix_lists["eu-west-1/partners"]))
    );
    let default = caller.ec2("eu-west-1", &format!("{body}{}", seeded.security_groups["eu-west-1/default"])).await;
    assert_eq!(default.find("securityGroupRuleSet").unwrap().children.len(), 1);
    let interfaces = caller.ec2("eu-west-1", "Action=DescribeNetworkInterfaces").await;
    assert_eq!(interfaces.find("groupId").unwrap().text, seeded.security_groups["eu-west-1/web"]);
    let regions = caller.ec2("us-east-1", "Action=DescribeRegions").await;
    assert_eq!(regions.find("regionInfo").unwrap().children.len(), 2);
}

#[tokio::test]
async fn buckets_and_keys_read_back_as_declared() {
    let rig = AwsRig::start().await.unwrap();
    let seeded = rig.seed(ACCOUNT).await.unwrap();
    let caller = Caller::of(rig.proxy(), &seeded.account_id);
    let (data, plain) = (format!("/data-{}", seeded.account_id), format!("/plain-{}", seeded.account_id));

    let encryption = caller.s3("eu-west-1", "GET", &format!("{data}?encryption"), "").await;
    assert_eq!(encryption.find("KMSMasterKeyID").unwrap().text, seeded.keys["eu-west-1/alias/s3-default"]);
    assert_eq!(encryption.find("EncryptionType").unwrap().text, "SSE-C");
    let encryption = caller.s3("us-east-1", "GET", &format!("{plain}?encryption"), "").await;
    assert_eq!(encryption.find("SSEAlgorithm").unwrap().text, "AES256");
    let logging = caller.s3("eu-west-1", "GET", &format!("{data}?logging"), "").await;
    assert_eq!(logging.find("TargetBucket").unwrap().text, format!("logs-{}", seeded.account_id));
    let website = caller.s3("eu-west-1", "GET", &format!("{data}?website"), "").await;
    assert!(website.find("IndexDocument").is_some());

    let first = caller.s3("us-east-1", "GET", "/?max-buckets=1", "").await;
    assert_eq!(first.find("Name").unwrap().text, data[1..]);
    assert_eq!(first.find("BucketRegion").unwrap().text, "eu-west-1");
    let token = first.child_text("ContinuationToken").unwrap();
    let rest = caller.s3("us-east-1", "GET", &format!("/?max-buckets=2&continuation-token={token}"), "").await;
    let regions: Vec<_> = rest
        .find("Buckets")
        .unwrap()
        .children
        .iter()
        .map(|bucket| bucket.child_text("BucketRegion").unwrap())
        .collect();
    assert_eq!(regions, ["eu-west-1", "us-east-1"]);
    assert_eq!(rest.child_text("ContinuationToken"), None);

    let key = caller.kms("eu-west-1", "DescribeKey", r#"{"KeyId":"alias/off"}"#).await;
    assert_eq!(key["KeyMetadata"]["KeyState"], "Disabled");
    assert_eq!(rig.proxy().count("s3", "ListBuckets"), 2);
}

#[tokio::test]
async fn an_account_is_seeded_once() {
    let rig = AwsRig::start().await.unwrap();
    let yaml = format!("accountId: \"{}\"", unique_account_id());
    seed(rig.proxy(), &yaml).await.unwrap();
    let error = seed(rig.proxy(), &yaml).await.unwrap_err();
    assert!(error.to_string().contains("was seeded before"), "{error}");
}

#[tokio::test]
async fn what_a_document_has_too_much_is_an_error() {
    let rig = AwsRig::start().await.unwrap();
    let error = rig.seed("accountId: \"$ACCOUNT\"\nuser: []").await.unwrap_err();
    assert!(format!("{error:#}").contains("user"), "{error:#}");
    let error = seed(rig.proxy(), "accountId: \"12\"").await.unwrap_err();
    assert!(error.to_string().contains("twelve digits"), "{error}");
}

#[test]
fn account_ids_are_twelve_digits_and_differ() {
    let ids: HashSet<_> = (0..1000).map(|_| unique_account_id()).collect();
    assert_eq!(ids.len(), 1000);
    assert!(ids.iter().all(|id| id.len() == 12 && !id.starts_with('0')));
}
