//! P12: the printed audit policy is enough, and every action in it is needed: on the emulator that enforces policies,
//! with a role that has the printed policy and the printed trust policy, and then with one action less each.

mod enforce;

use std::collections::BTreeSet;
use std::process::{Command, Output};

use futures::{StreamExt, stream};
use plumbline_rig::ministack::{Ministack, User};
use serde_json::{Value, json};

use crate::support::PLUMBLINE;

const OPERATORS_ACCOUNT: &str = "111111111111";

/// How many audits run at the same time: they share two cores with the emulator.
const AT_ONCE: usize = 4;

/// Makes every read happen: a user without MFA and one whose device makes the emulator report one for root too, an
/// administrator, a public rule, a rule for a prefix list, the default group with its usual rules, a bucket with a key
/// and one without, which could be a target of logs.
const ACCOUNT: &str = r#"
accountId: "$ACCOUNT"
alias: least-privilege
passwordPolicy: {minimumPasswordLength: 8}
groups: [{name: admins, policies: ["arn:aws:iam::aws:policy/AdministratorAccess"]}]
policies:
  - name: RequireMfa
    document:
      Version: "2012-10-17"
      Statement:
        - Effect: Deny
          NotAction: ["iam:CreateVirtualMFADevice", "iam:EnableMFADevice", "iam:ListMFADevices",
                      "iam:ListVirtualMFADevices", "iam:ResyncMFADevice", "iam:GetUser", "iam:GetMFADevice",
                      "sts:GetSessionToken"]
          Resource: "*"
          Condition: {BoolIfExists: {"aws:MultiFactorAuthPresent": "false"}}
users:
  - {name: ada, password: true, groups: [admins]}
  - {name: bob, password: true, mfa: [Virtual]}
  - {name: zoe, password: true, mfa: [Virtual], groups: [admins]}
prefixLists: {eu-west-1: [{name: partners, cidrs: [3.0.0.0/8]}]}
securityGroups:
  eu-west-1:
    - name: web
      ingress:
        - {protocol: tcp, ports: 22, cidrs: [0.0.0.0/0]}
        - {protocol: tcp, ports: 443, prefixLists: [partners]}
keys: {eu-west-1: [{alias: alias/s3-default}]}
buckets:
  - {name: plain-$ACCOUNT, region: eu-west-1}
  - name: public-$ACCOUNT
    region: eu-west-1
    publicAccessBlock: false
    policy: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: "*", Action: "s3:GetObject",
             Resource: "arn:aws:s3:::public-$ACCOUNT/*"}]}
  - name: secret-$ACCOUNT
    region: eu-west-1
    encryption: {algorithm: aws:kms, key: "key:eu-west-1/alias/s3-default", bucketKey: true}
    policy: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::$ACCOUNT:root"},
             Action: "s3:GetObject", Resource: "arn:aws:s3:::secret-$ACCOUNT/*"}]}
"#;

/// The actions on which no verdict hangs, but whether a change is safe: without one of them its findings are held.
const FOR_CHANGES: [&str; 5] = [
    "iam:SimulatePrincipalPolicy",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketTagging",
    "s3:GetBucketWebsite",
    "s3:GetReplicationConfiguration",
];

/// Two baselines of the account, because only one scope of users at a time can be asked for.
fn manifest(account_id: &str, key: &str, role: &str, external_id: &str) -> String {
    format!(
        r#"apiVersion: plumbline.dev/v1alpha1
kind: AwsAccount
metadata: {{name: shop}}
spec:
  {{accountId: "{account_id}", auditRoleName: {role}, externalId: {external_id}, regions: [eu-west-1]}}
---
apiVersion: plumbline.dev/v1alpha1
kind: AccountBaseline
metadata: {{name: administrators}}
spec: {{accountRef: {{name: shop}}, controls: {{mfa: {{users: {{scope: PrivilegedUsers}}}}}}}}
---
apiVersion: plumbline.dev/v1alpha1
kind: AccountBaseline
metadata: {{name: everything}}
spec:
  accountRef: {{name: shop}}
  mode: Enforce
  enforcement: {{ownedElsewhere: [{{key: ManagedBy}}]}}
  controls:
    passwordPolicy: {{minimumPasswordLength: 14}}
    mfa:
      rootUser: {{requireMfa: true, requireHardwareMfa: true, forbidAccessKeys: true, requireUnusedFor: 90d}}
      users: {{breakGlassUsers: [emergency-1]}}
      denyPolicyName: RequireMfa
    securityGroups:
      {{allowedIngress: [], narrow: true, requireEmptyDefaultGroup: true, enforceDefaultGroup: Unattached}}
    s3Encryption:
      {{minimumAlgorithm: SseKms, requireCustomerManagedKey: true, kmsKeys: ["{key}"],
       requireBucketKey: true, forbidSseC: true, requireTls: true, allowKmsMigration: true}}
"#
    )
}

/// The emulator, the account, and what the binary printed for it.
struct Stage {
    emulator: Ministack,
    operator: User,
    account: String,
    /// The ARN of its key: the emulator takes an alias for another resource than its key.
    key: String,
    policy: Value,
    trust: Value,
    dir: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        let emulator = Ministack::start().await.unwrap();
        let seeded = emulator.seed(ACCOUNT).await.unwrap();
        let key = seeded.keys["eu-west-1/alias/s3-default"].clone();
        let account = seeded.account_id;
        let assume = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": format!("arn:aws:iam::{account}:role/*")}
        ]});
        let operator = emulator.user(OPERATORS_ACCOUNT, "plumbline", &assume).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("printed.yaml");
        std::fs::write(&file, manifest(&account, &key, "PlumblineAudit", "0f6c9a")).unwrap();
        let policy = printed(&["audit", "-f", file.to_str().unwrap()]);
        // The emulator does not replace policy variables.
        let policy: Value = policy.to_string().replace("${aws:PrincipalAccount}", &account).parse().unwrap();
        // It does not know which user a simulation is about, either.
        let simulate = "iam:SimulatePrincipalPolicy";
        let mut policy = without(&policy, simulate);
        let anywhere = json!({"Sid": "Simulate", "Effect": "Allow", "Action": [simulate], "Resource": "*"});
        policy["Statement"].as_array_mut().unwrap().push(anywhere);
        let trust = printed(&["trust", "--operator", &operator.arn, "--external-id", "0f6c9a"]);
        Self { emulator, operator, account, key, policy, trust, dir }
    }

    /// Makes a role with a policy and audits by it.
    async fn audit(&self, role: &str, policy: &Value) -> Value {
        self.emulator.role(&self.account, role, &self.trust, policy).await.unwrap();
        let output = self.run(role, "0f6c9a").await;
        assert!(!output.stdout.is_empty(), "{role}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    async fn run(&self, role: &str, external_id: &str) -> Output {
        let file = self.dir.path().join(format!("{role}-{external_id}.yaml"));
        std::fs::write(&file, manifest(&self.account, &self.key, role, external_id)).unwrap();
        let mut command = Command::new(PLUMBLINE);
        command.args(["audit", "-o", "json", "-f"]).arg(&file);
        command.env_clear().envs(self.emulator.environment(&self.operator));
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn audit_without(&self, action: &str) -> Value {
        let role = format!("Without-{}", action.replace(':', "-"));
        self.audit(&role, &without(&self.policy, action)).await
    }
}

/// What `plumbline iam-policy` prints.
pub(crate) fn printed(args: &[&str]) -> Value {
    let output = Command::new(PLUMBLINE).arg("iam-policy").args(args).env_clear().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn actions(policy: &Value) -> BTreeSet<&str> {
    let statements = policy["Statement"].as_array().unwrap().iter();
    statements.flat_map(|statement| statement["Action"].as_array().unwrap()).map(|it| it.as_str().unwrap()).collect()
}

fn without(policy: &Value, action: &str) -> Value {
    let mut policy = policy.clone();
    let statements = policy["Statement"].as_array_mut().unwrap();
    for statement in statements.iter_mut() {
        statement["Action"].as_array_mut().unwrap().retain(|it| it != action);
    }
    statements.retain(|statement| !statement["Action"].as_array().unwrap().is_empty());
    policy
}

/// What could not be judged: the missing action, or the cause where none is missing.
fn unknown(report: &Value) -> BTreeSet<String> {
    let unknown = report["baselines"].as_array().unwrap().iter().flat_map(|it| it["unknown"].as_array().unwrap());
    unknown.map(|it| it["missingAction"].as_str().unwrap_or(&it.to_string()).to_owned()).collect()
}

/// Whether a finding's message has a text in it.
fn says(report: &Value, text: &str) -> bool {
    let findings = report["baselines"].as_array().unwrap().iter().flat_map(|it| it["findings"].as_array().unwrap());
    findings.filter_map(|finding| finding["message"].as_str()).any(|message| message.contains(text))
}

/// Whether a finding is held because an action is missing.
fn holds(report: &Value, action: &str) -> bool {
    let findings = report["baselines"].as_array().unwrap().iter().flat_map(|it| it["findings"].as_array().unwrap());
    let mut held = findings.map(|it| &it["remediation"]).filter(|it| it["reason"] == "NotRead");
    held.any(|it| it["message"].as_str().is_some_and(|message| message.contains(action)))
}

fn alias(report: &Value) -> &Value {
    &report["baselines"][0]["account"]["alias"]
}

#[tokio::test]
async fn p12_the_audit_policy_is_enough_and_every_action_in_it_is_needed() {
    let stage = Stage::new().await;
    let every = printed(&["audit"]);
    let mut rest = actions(&every);
    assert_eq!(actions(&stage.policy), rest, "the manifest asks for all that there is");

    // No audit calls these: a plan does, and who makes its changes, or the operator for the status of the account.
    for action in enforce::FOR_PLANS.into_iter().chain(enforce::FOR_STATUS) {
        assert!(rest.remove(action), "{action}");
    }
    // First, because a report that is there, as after every other audit, need not be made.
    let generate = "iam:GenerateCredentialReport";
    assert!(rest.remove(generate));
    assert_eq!(unknown(&stage.audit_without(generate).await), BTreeSet::from([generate.to_owned()]));

    let report = stage.audit("PlumblineAudit", &stage.policy).await;
    assert_eq!(unknown(&report), BTreeSet::new());
    assert_eq!(alias(&report), "least-privilege");
    assert!(says(&report, "attached to nothing"), "{report:#}");

    // No verdict hangs on these two, so that nothing is unknown without them. Reports lack the account's alias, ...
    let (for_names, for_severity) = ("iam:ListAccountAliases", "ec2:DescribeNetworkInterfaces");
    assert!(rest.remove(for_names) && rest.remove(for_severity));
    let report = stage.audit_without(for_names).await;
    assert_eq!((unknown(&report), alias(&report)), (BTreeSet::new(), &Value::Null));
    // ... and an open group is as bad as one that is in use, with the reason.
    let report = stage.audit_without(for_severity).await;
    assert_eq!(unknown(&report), BTreeSet::new());
    assert!(!says(&report, "attached to nothing") && says(&report, for_severity), "{report:#}");

    for action in FOR_CHANGES {
        assert!(rest.remove(action), "{action}");
        assert!(!holds(&report, action), "{report:#}");
        let report = stage.audit_without(action).await;
        assert_eq!(unknown(&report), BTreeSet::new(), "without {action}");
        assert!(holds(&report, action), "without {action}: {report:#}");
    }

    let audits = rest.iter().map(async |action| (action, stage.audit_without(action).await));
    let reports: Vec<_> = stream::iter(audits).buffer_unordered(AT_ONCE).collect().await;
    for (action, report) in reports {
        assert_eq!(unknown(&report), BTreeSet::from([(*action).to_owned()]), "without {action}");
    }

    let stranger = stage.run("PlumblineAudit", "another-id").await;
    let error = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert_eq!(stranger.status.code(), Some(1), "{error}");
    assert!(error.contains("external id"), "the trust policy asks for it: {error}");
}
