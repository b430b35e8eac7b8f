//! P5 and P13 through the real binary: one fault of each kind between it and AWS. The library's own tests have every
//! read times every fault; here the whole way is walked, from the socket to the report and to the status.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::Api;
use plumbline::api::{AccountBaseline, AwsAccount};
use plumbline_rig::aws_proxy::{Action, AwsProxy, Matcher};
use serde_json::{Value, json};

use crate::support::{Aws, World, apply, condition, drift, verdict};

/// Something for each control to read.
const ACCOUNT: &str = r#"
regions: [eu-west-1, us-east-1]
root: {mfa: [Hardware], password: true}
passwordPolicy: {minimumPasswordLength: 8}
users:
  - {name: alice, password: true, mfa: [Virtual]}
  - {name: carol, password: true}
securityGroups:
  eu-west-1:
    - name: web
      ingress: [{protocol: tcp, ports: 443, cidrs: [0.0.0.0/0]}, {protocol: tcp, ports: 22, cidrs: [0.0.0.0/0]}]
keys: {eu-west-1: [{alias: alias/s3-default}]}
buckets:
  - {name: plain-$ACCOUNT, region: eu-west-1}
  - name: safe-$ACCOUNT
    region: eu-west-1
    encryption: {algorithm: "aws:kms", key: "key:eu-west-1/alias/s3-default", bucketKey: true}
"#;

const CONTROLS: &str = r#"{
    passwordPolicy: {minimumPasswordLength: 14},
    mfa: {rootUser: {requireMfa: true}, users: {scope: ConsoleUsers}},
    securityGroups: {allowedIngress: [{protocol: tcp, ports: [443], cidrs: ["0.0.0.0/0"]}],
                     requireEmptyDefaultGroup: true},
    s3Encryption: {minimumAlgorithm: SseKms, kmsKeys: [alias/s3-default], requireTls: true}}"#;

/// A fault, the check that rests on what it hits, and the cause that must be named.
struct Case {
    control: &'static str,
    service: &'static str,
    operation: &'static str,
    action: Action,
    page: Option<u32>,
    check: &'static str,
    cause: &'static str,
}

impl Case {
    fn disturb(&self, proxy: &AwsProxy, account_id: &str) {
        let matcher = Matcher::operation(self.service, self.operation).account(account_id);
        proxy.rule(matcher.clone(), Action::Paginate { page_size: 1 }, None);
        let matcher = self.page.map_or(matcher.clone(), |page| matcher.page(page));
        proxy.rule(matcher, self.action.clone(), None);
    }
}

/// All kinds of faults, by account: in each of them, every control meets one at most.
fn cases() -> BTreeMap<&'static str, Vec<Case>> {
    let case = |control, (service, operation), action, check, cause| Case {
        control,
        service,
        operation,
        action,
        page: None,
        check,
        cause,
    };
    let (mfa, groups, buckets) = ("mfa", "securityGroups", "s3Encryption");
    let rules = ("ec2", "DescribeSecurityGroupRules");
    let denied = Action::AccessDenied { message: None };
    let second_page = case(mfa, ("iam", "ListUsers"), Action::Throttle, "UserMfa", "Throttled");
    BTreeMap::from([
        (
            "refused",
            vec![
                case(
                    "passwordPolicy",
                    ("iam", "GetAccountPasswordPolicy"),
                    Action::Throttle,
                    "MinimumPasswordLength",
                    "Throttled",
                ),
                case(mfa, ("iam", "ListUsers"), denied, "UserMfa", "AccessDenied"),
                case(groups, rules, Action::DeniedByOrganization, "Ingress", "DeniedByOrganization"),
                case(
                    buckets,
                    ("s3", "GetBucketEncryption"),
                    Action::Status(500),
                    "EncryptionAlgorithm",
                    "ServiceError",
                ),
            ],
        ),
        (
            "broken",
            vec![
                case(mfa, ("iam", "GetAccountSummary"), Action::Html, "RootUserMfa", "ServiceError"),
                case(groups, ("ec2", "DescribeSecurityGroups"), Action::Reset, "DefaultSecurityGroup", "Unreachable"),
                case(buckets, ("kms", "DescribeKey"), Action::Status(503), "KmsKey", "ServiceError"),
            ],
        ),
        (
            "cut",
            vec![
                case(mfa, ("iam", "ListMFADevices"), Action::DropAnswer, "UserMfa", "Unreachable"),
                case(groups, rules, Action::RepeatToken, "Ingress", "Malformed"),
                case(buckets, ("s3", "ListBuckets"), Action::HalfBody, "EncryptionAlgorithm", "Unreachable"),
            ],
        ),
        (
            "hanging",
            vec![
                Case { page: Some(2), ..second_page },
                case(buckets, ("s3", "GetBucketPolicy"), Action::Hang, "TlsRequired", "DeadlineExceeded"),
            ],
        ),
    ])
}

fn manifest(name: &str, account_id: &str, controls: &str) -> String {
    let controls = controls.replace('\n', " ");
    format!(
        "---\napiVersion: plumbline.dev/v1alpha1\nkind: AwsAccount\nmetadata: {{name: {name}}}\n\
         spec: {{accountId: \"{account_id}\", auditRoleName: PlumblineAudit, externalId: 0f6c9a}}\n---\n\
         apiVersion: plumbline.dev/v1alpha1\nkind: AccountBaseline\nmetadata: {{name: {name}}}\n\
         spec: {{accountRef: {{name: {name}}}, controls: {controls}}}\n"
    )
}

/// The verdicts of a report's baseline by check and resource, with the account's id and what AWS named left out.
fn verdicts(baseline: &Value) -> BTreeMap<(String, String), String> {
    let account_id = baseline["account"]["accountId"].as_str().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |finding: &Value| {
        // Ids of rules and groups differ between accounts, so the region and what was observed stand for them.
        let resource = match finding["control"].as_str() {
            Some("securityGroups") => format!("{} {}", text(&finding["region"]), text(&finding["observed"])),
            _ => text(&finding["resource"]).replace(account_id, "ID"),
        };
        ((text(&finding["check"]), resource), text(&finding["result"]))
    };
    baseline["findings"].as_array().unwrap().iter().map(row).collect()
}

fn audit(aws: &Aws, name: &str, accounts: &[(&str, String)], timeout: &str) -> Value {
    let yaml: String = accounts.iter().map(|(name, account_id)| manifest(name, account_id, CONTROLS)).collect();
    let file = aws.write(&format!("{name}.yaml"), &yaml);
    let output = aws.plumbline(&["audit", "-f", &file, "-o", "json", "--timeout", timeout]);
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no report: {error}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p5_one_fault_of_each_kind_is_unknown_with_its_cause_and_all_else_is_judged() {
    let aws = &Aws::new().await;
    let cases = cases();
    let mut accounts = vec![("undisturbed", aws.seed(ACCOUNT).await.account_id)];
    for (name, cases) in &cases {
        let account_id = aws.seed(ACCOUNT).await.account_id;
        for case in cases {
            case.disturb(aws.rig.proxy(), &account_id);
        }
        accounts.push((name, account_id));
    }
    // Retries take their time, so two processes run side by side; only the one that hangs ends at its deadline.
    let (hanging, others): (Vec<_>, Vec<_>) = accounts.into_iter().partition(|(name, _)| *name == "hanging");
    let (hanging, others) = tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let hanging = scope.spawn(|| audit(aws, "hanging", &hanging, "30s"));
            (audit(aws, "others", &others, "5m"), hanging.join().unwrap())
        })
    });
    let reports = [hanging, others];
    let baselines: Vec<&Value> = reports.iter().flat_map(|report| report["baselines"].as_array().unwrap()).collect();
    let named = |name: &str| *baselines.iter().find(|baseline| baseline["baseline"] == name).unwrap();
    let expected = named("undisturbed");
    assert_eq!(expected["unknown"], json!([]));
    for (name, cases) in &cases {
        compare(name, cases, expected, named(name));
    }
}

/// Holds the report of a disturbed account against that of the undisturbed one.
fn compare(name: &str, cases: &[Case], undisturbed: &Value, disturbed: &Value) {
    let unknown = disturbed["unknown"].as_array().unwrap();
    for row in unknown {
        let case = cases.iter().find(|case| row["control"] == case.control);
        let case = case.unwrap_or_else(|| panic!("{name}: nothing disturbed {row:#}"));
        assert_eq!(row["cause"], case.cause, "{name}: {row:#}");
    }
    for case in cases {
        assert!(unknown.iter().any(|row| row["check"] == case.check), "{name} {}: {unknown:#?}", case.check);
    }
    let (expected, found) = (verdicts(undisturbed), verdicts(disturbed));
    for (subject, verdict) in found.iter().filter(|(_, verdict)| *verdict != "Unknown") {
        assert_eq!(expected.get(subject), Some(verdict), "{name}: {subject:?} was judged by what was not read");
    }
    for control in ["passwordPolicy", "mfa", "securityGroups", "s3Encryption"] {
        let rows = |report: &Value| {
            report["findings"].as_array().unwrap().iter().filter(|row| row["control"] == control).count()
        };
        if cases.iter().all(|case| case.control != control) {
            assert_eq!(rows(disturbed), rows(undisturbed), "{name}: {control} is judged");
        }
    }
}

#[tokio::test]
async fn p5_under_a_throttle_for_ever_status_says_so_and_the_calls_are_counted() {
    let world = World::new().await;
    let seeded = world.seed(ACCOUNT).await;
    world.aws.proxy().rule(Matcher::operation("ec2", "DescribeSecurityGroupRules"), Action::Throttle, None);
    world.account(&seeded.account_id, "").await;
    world.baseline(CONTROLS, "").await;
    let _operator = world.operator();
    let baseline = world.evaluated(1).await;
    let status = baseline.status.as_ref().unwrap();
    let unknown: Vec<_> = status
        .unknown
        .iter()
        .map(|entry| (entry.control.as_str(), entry.cause.as_str(), entry.region.clone()))
        .collect();
    let of = |region: &str| ("securityGroups", "Throttled", Some(region.to_owned()));
    assert!(unknown.contains(&of("eu-west-1")) && unknown.contains(&of("us-east-1")), "{unknown:?}");
    assert!(unknown.iter().all(|(control, cause, _)| (*control, *cause) == ("securityGroups", "Throttled")));
    assert!(drift(&baseline, "Ingress").is_empty(), "nothing was read of it");
    assert_eq!(drift(&baseline, "UserMfa").len(), 1, "the other controls are judged");
    let result = |name: &str| status.controls.iter().find(|control| control.name == name).unwrap().result.clone();
    assert_eq!(result("securityGroups"), "Unknown");
    let calls = world.aws.proxy().count("ec2", "DescribeSecurityGroupRules");
    assert!(calls <= 2 * 5, "one call a region, five attempts each: {calls}");
    // The next pass comes after minutes: there is no hot loop.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.aws.proxy().count("ec2", "DescribeSecurityGroupRules"), calls);
}

#[tokio::test]
async fn p13_one_account_that_hangs_does_not_keep_the_others_waiting() {
    let world = World::new().await;
    // More than are evaluated at the same time, and the one that hangs is declared first.
    let names: Vec<String> = (0..4).map(|number| format!("{}-{number}", world.id)).collect();
    for (number, name) in names.iter().enumerate() {
        let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 16}").await;
        if number == 0 {
            world.aws.proxy().rule(Matcher::any().account(&seeded.account_id), Action::Hang, None);
        }
        let account = json!({"apiVersion": "plumbline.dev/v1alpha1", "kind": "AwsAccount",
            "metadata": {"name": name, "labels": {"test": world.id}},
            "spec": {"accountId": seeded.account_id, "auditRoleName": "PlumblineAudit", "externalId": "0f6c9a"}});
        apply::<AwsAccount>(&world.client, account).await;
        let baseline = json!({"apiVersion": "plumbline.dev/v1alpha1", "kind": "AccountBaseline",
            "metadata": {"name": name},
            "spec": {"accountRef": {"name": name}, "controls": {"passwordPolicy": {"minimumPasswordLength": 14}}}});
        apply::<AccountBaseline>(&world.client, baseline).await;
    }
    let _operator = world.operator_with(&["--account-timeout", "15s", "--concurrency", "2"]);
    let (hanging, others) = names.split_first().unwrap();
    for name in others {
        let ready = |baseline: &AccountBaseline| {
            verdict(baseline, "Compliant") == Some(("True".to_owned(), "AllPassing".to_owned()))
        };
        world.until_named::<AccountBaseline>(name, "evaluated", ready).await;
    }
    let api = Api::<AccountBaseline>::all(world.client.clone());
    let first = api.get(hanging).await.unwrap();
    assert_eq!(verdict(&first, "Ready"), None, "the others were evaluated before it was given up");
    let gone = |baseline: &AccountBaseline| {
        verdict(baseline, "Ready") == Some(("False".to_owned(), "AccountUnreachable".to_owned()))
    };
    let first = world.until_named::<AccountBaseline>(hanging, "given up", gone).await;
    let conditions = &first.status.as_ref().unwrap().conditions;
    assert!(condition(conditions, "Ready").unwrap().message.contains("time"), "{conditions:#?}");
    assert_eq!(world.aws.proxy().count("iam", "GetAccountPasswordPolicy"), others.len(), "the calls that they need");
}

#[tokio::test]
async fn p15_a_refusal_that_quotes_the_request_leaves_no_secret_in_status_or_log() {
    let world = World::new().await;
    let seeded = world.seed(ACCOUNT).await;
    for (code, status) in [("SignatureDoesNotMatch", 403), ("IncompleteSignature", 400)] {
        let operation = if status == 403 { "GetAccountPasswordPolicy" } else { "GetAccountSummary" };
        let quote =
            "The Canonical String should have been x-amz-security-token:CANARYTOKEN wJalrCANARYSECRET".to_owned();
        let action = Action::Error { status, code: code.to_owned(), message: quote };
        world.aws.proxy().rule(Matcher::operation("iam", operation), action, None);
    }
    world.account(&seeded.account_id, "").await;
    world.baseline(CONTROLS, "").await;
    let _operator = world.operator();
    let baseline = world.evaluated(1).await;
    let unknown: Vec<_> = baseline.status.as_ref().unwrap().unknown.iter().map(|it| (&*it.check, &*it.cause)).collect();
    assert!(unknown.contains(&("MinimumPasswordLength", "Credentials")), "{unknown:?}");
    assert!(unknown.contains(&("RootUserMfa", "Credentials")), "{unknown:?}");
    let account = Api::<AwsAccount>::all(world.client.clone()).get(&world.id).await.unwrap();
    let texts = [serde_json::to_string(&baseline).unwrap(), serde_json::to_string(&account).unwrap(), world.log()];
    // `not-checked` is the secret key that the operator runs with.
    for text in texts {
        assert!(!text.contains("CANARY") && !text.contains("not-checked"), "{text}");
    }
}
