//! P12: the printed enforce policy is enough for every change that a plan can ask for, each in the session that it is
//! made in, and every action in it is needed. The same of the reads that only a plan makes, which the audit role has.

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use plumbline::api::{
    BucketEncryption, BucketEncryptionChange, BucketPolicyChange, PasswordPolicy, PasswordPolicyChange,
    SecurityGroupRuleChange, SecurityGroupRuleValue, UserPolicyChange,
};
use plumbline::aws::{Aws, AwsSettings};
use plumbline::baseline::change::{Action, Position, ResourceState, WriteOperation};
use plumbline::baseline::mfa::IamUser;
use plumbline::baseline::{Cause, Observed};
use plumbline::engine::cloud::{Applied, CloudProvider, CloudWriter, ExternalIdProbe, Target, WriterProvider};
use plumbline_rig::ministack::Ministack;
use plumbline_rig::seed::Seeded;
use serde_json::{Value, json};

use super::{OPERATORS_ACCOUNT, actions, manifest, printed, without};

/// What only a plan reads.
pub(super) const FOR_PLANS: [&str; 6] = [
    "iam:ListAccessKeys",
    "iam:ListServiceSpecificCredentials",
    "iam:ListSigningCertificates",
    "iam:ListAttachedUserPolicies",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
];

/// What only the status of an `AwsAccount` is made of. This emulator has no Service Quotas, so that the second one is
/// proven needed where `tests/it/account.rs` denies it.
pub(super) const FOR_STATUS: [&str; 2] = ["ec2:DescribeAvailabilityZones", "servicequotas:GetServiceQuota"];

const REGION: &str = "eu-west-1";

/// Something for every change: two groups whose only rule goes, one that is narrowed, the default group, a bucket.
const ACCOUNT: &str = r#"
accountId: "$ACCOUNT"
policies:
  - {name: RequireMfa, document: {Version: "2012-10-17", Statement: [{Effect: Deny, Action: "*", Resource: "*"}]}}
  - {name: Other, document: {Version: "2012-10-17", Statement: [{Effect: Deny, Action: "*", Resource: "*"}]}}
users:
  - {name: ada, password: true}
  - {name: emergency-1, password: true}
securityGroups:
  eu-west-1:
    - {name: web, noDefaultEgress: true, ingress: [{protocol: tcp, ports: 22, cidrs: [0.0.0.0/0]}]}
    - {name: spare, noDefaultEgress: true, ingress: [{protocol: tcp, ports: 22, cidrs: [0.0.0.0/0]}]}
    - {name: wide, noDefaultEgress: true, ingress: [{protocol: tcp, ports: 0-65535, cidrs: [0.0.0.0/0]}]}
    - {default: true, ingress: [{protocol: "-1", cidrs: [10.0.0.0/8]}]}
buckets: [{name: plain-$ACCOUNT, region: eu-west-1}]
"#;

/// The emulator, the account, what the binary printed for it, and the edge under test.
struct Stage {
    emulator: Ministack,
    account: String,
    seeded: Seeded,
    policy: Value,
    audit_policy: Value,
    trust: Value,
    aws: Aws,
}

/// Why a change was not made: the action that is missing, or what else happened.
type Refused = Result<(), String>;

impl Stage {
    async fn new() -> Self {
        let emulator = Ministack::start().await.unwrap();
        let seeded = emulator.seed(ACCOUNT).await.unwrap();
        let account = seeded.account_id.clone();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("printed.yaml");
        let declared = manifest(&account, "alias/s3-default", "PlumblineAudit", "0f6c9a")
            .replace("auditRoleName", "enforceRoleName: PlumblineEnforce, auditRoleName");
        std::fs::write(&file, declared).unwrap();
        let path = file.to_str().unwrap();
        // The emulator does not replace policy variables.
        let own = |policy: Value| -> Value {
            policy.to_string().replace("${aws:PrincipalAccount}", &account).parse().unwrap()
        };
        let mut operator_policy = printed(&["operator", "-f", path]);
        // Every case has a role of its own.
        operator_policy["Statement"][0]["Resource"] = json!(format!("arn:aws:iam::{account}:role/*"));
        let operator = emulator.user(OPERATORS_ACCOUNT, "plumbline", &operator_policy).await.unwrap();
        let environment = emulator.environment(&operator);
        let value = |name: &str| environment.iter().find(|(known, _)| *known == name).unwrap().1.clone();
        let credentials =
            Credentials::new(value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"), None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .endpoint_url(value("AWS_ENDPOINT_URL"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        Self {
            account: account.clone(),
            policy: own(printed(&["enforce", "-f", path])),
            audit_policy: own(printed(&["audit", "-f", path])),
            trust: printed(&["trust", "--operator", &operator.arn, "--external-id", "0f6c9a"]),
            aws: Aws::from_config(&config, AwsSettings::default()),
            emulator,
            seeded,
        }
    }

    fn target(&self, role: &str) -> Target {
        Target {
            account_id: self.account.clone(),
            role_name: Some(role.to_owned()),
            external_id: Some("0f6c9a".to_owned()),
            session_name: "plumbline-everything".to_owned(),
        }
    }

    async fn role(&self, role: &str, policy: &Value) {
        self.emulator.role(&self.account, role, &self.trust, policy).await.unwrap();
    }

    async fn writer(&self, role: &str, action: &Action) -> Arc<dyn CloudWriter> {
        self.aws.writer(&self.target(role), action).await.unwrap()
    }

    /// As enforcement makes a change, but without the dry run, which the emulator takes for the change itself.
    async fn change(&self, role: &str, action: &Action) -> Refused {
        let writer = self.writer(role, action).await;
        let identity = writer.identity().await.map_err(|cause| cause.message)?;
        assert_eq!(identity.account_id, self.account);
        let before = read(writer.state(action).await)?;
        assert_eq!(action.position(&before), Position::Before, "{action:?}: {before:?}");
        match writer.apply(action).await {
            Applied::Done => {}
            Applied::Refused(cause) => return Err(said(cause)),
            other => panic!("{action:?}: {other:?}"),
        }
        let after = read(writer.state(action).await)?;
        assert_eq!(action.position(&after), Position::After, "{action:?}: {after:?}");
        Ok(())
    }

    fn rule_of(&self, group: &str) -> Action {
        let rule = SecurityGroupRuleValue {
            rule_id: Some(self.seeded.rules[&format!("{REGION}/{group}")][0].clone()),
            ..opening(22, 22, "0.0.0.0/0")
        };
        self.of_rule(group, Some(rule), None)
    }

    fn of_rule(
        &self,
        group: &str,
        before: Option<SecurityGroupRuleValue>,
        after: Option<SecurityGroupRuleValue>,
    ) -> Action {
        Action::SecurityGroupRule(Box::new(SecurityGroupRuleChange {
            region: REGION.to_owned(),
            group_id: self.seeded.security_groups[&format!("{REGION}/{group}")].clone(),
            group_name: None,
            vpc_id: None,
            attached_interfaces: Vec::new(),
            before,
            after,
            requires: Vec::new(),
        }))
    }

    fn attach(&self, user: &str, policy: &str) -> Action {
        Action::UserPolicy(UserPolicyChange {
            user_name: user.to_owned(),
            policy_arn: format!("arn:aws:iam::{}:policy/{policy}", self.account),
            policy_version: "v1".to_owned(),
            policy_hash: String::new(),
            before: false,
            after: true,
        })
    }

    /// The rule that AWS gives to every default group, as it is there.
    async fn egress_of_default(&self, role: &str) -> Action {
        let any = self.of_rule("default", Some(SecurityGroupRuleValue::default()), None);
        let ResourceState::SecurityGroup(rules) = read(self.writer(role, &any).await.state(&any).await).unwrap() else {
            panic!("the default group is gone")
        };
        let egress = rules.into_iter().find(|rule| rule.is_egress).unwrap();
        self.of_rule("default", Some(egress), None)
    }

    /// The attachment whose record says what the policy is.
    async fn attach_deny(&self, role: &str) -> Action {
        let action = self.attach("ada", "RequireMfa");
        let ResourceState::User(user) = read(self.writer(role, &action).await.state(&action).await).unwrap() else {
            panic!("ada is gone")
        };
        let Action::UserPolicy(change) = action else { unreachable!() };
        Action::UserPolicy(UserPolicyChange { policy_hash: user.policy.unwrap().1, ..change })
    }

    /// Every change that a plan can ask for.
    async fn changes(&self, role: &str) -> Vec<Action> {
        let bucket = || format!("plain-{}", self.account);
        let policy = json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "Tls", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
             "Resource": format!("arn:aws:s3:::{}/*", bucket()),
             "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
        ]});
        let encryption = |algorithm: &str| BucketEncryption {
            algorithm: algorithm.to_owned(),
            kms_key_id: None,
            bucket_key_enabled: algorithm == "aws:kms",
            blocked_encryption_types: Vec::new(),
        };
        vec![
            Action::PasswordPolicy(PasswordPolicyChange { before: None, after: Some(password_policy()) }),
            self.attach_deny(role).await,
            self.rule_of("web"),
            self.egress_of_default(role).await,
            self.of_rule("wide", None, Some(opening(443, 443, "0.0.0.0/0"))),
            Action::BucketEncryption(BucketEncryptionChange {
                bucket: bucket(),
                region: REGION.to_owned(),
                before: Some(encryption("AES256")),
                after: Some(encryption("aws:kms")),
            }),
            Action::BucketPolicy(BucketPolicyChange {
                bucket: bucket(),
                region: REGION.to_owned(),
                before: None,
                after: Some(policy.to_string()),
            }),
        ]
    }
}

fn password_policy() -> PasswordPolicy {
    PasswordPolicy {
        minimum_password_length: 14,
        require_symbols: true,
        require_numbers: true,
        require_uppercase_characters: true,
        require_lowercase_characters: true,
        allow_users_to_change_password: true,
        max_password_age: None,
        password_reuse_prevention: Some(24),
        hard_expiry: false,
    }
}

fn opening(from: i32, to: i32, cidr: &str) -> SecurityGroupRuleValue {
    SecurityGroupRuleValue {
        ip_protocol: "tcp".to_owned(),
        from_port: Some(from),
        to_port: Some(to),
        cidr_ipv4: Some(cidr.to_owned()),
        ..SecurityGroupRuleValue::default()
    }
}

fn said(cause: Cause) -> String {
    cause.missing_action.unwrap_or(cause.message)
}

fn read<T>(observed: Observed<T>) -> Result<T, String> {
    match observed {
        Observed::Complete { value, .. } => Ok(value),
        Observed::Unknown(cause) => Err(said(cause)),
    }
}

/// The operation whose change needs an action.
fn needed_by(action: &str) -> WriteOperation {
    match action {
        "iam:UpdateAccountPasswordPolicy" | "iam:GetAccountPasswordPolicy" => {
            WriteOperation::UpdateAccountPasswordPolicy
        }
        "ec2:RevokeSecurityGroupIngress" | "ec2:DescribeSecurityGroupRules" => {
            WriteOperation::RevokeSecurityGroupIngress
        }
        "ec2:RevokeSecurityGroupEgress" => WriteOperation::RevokeSecurityGroupEgress,
        "ec2:AuthorizeSecurityGroupIngress" => WriteOperation::AuthorizeSecurityGroupIngress,
        "s3:PutEncryptionConfiguration" | "s3:GetEncryptionConfiguration" => WriteOperation::PutBucketEncryption,
        "s3:PutBucketPolicy" | "s3:GetBucketPolicy" => WriteOperation::PutBucketPolicy,
        user if user.starts_with("iam:") => WriteOperation::AttachUserPolicy,
        other => panic!("no change needs {other}"),
    }
}

/// The policy without an action where it is allowed: who takes it from the deny too proves nothing.
fn not_allowed(policy: &Value, action: &str) -> Value {
    let mut policy = policy.clone();
    let statements = policy["Statement"].as_array_mut().unwrap();
    let denies: Vec<Value> = statements.extract_if(.., |statement| statement["Effect"] == "Deny").collect();
    let mut policy = without(&policy, action);
    policy["Statement"].as_array_mut().unwrap().extend(denies);
    policy
}

#[tokio::test]
async fn p12_the_enforce_policy_is_enough_and_every_action_in_it_is_needed() {
    let stage = Stage::new().await;
    let every = printed(&["enforce"]);
    let mut rest = actions(&stage.policy);
    assert_eq!(rest, actions(&every), "the manifest asks for all that there is");
    stage.role("PlumblineEnforce", &stage.policy).await;
    let changes = stage.changes("PlumblineEnforce").await;

    // The emulator lets everybody set tags on what is being made.
    assert!(rest.remove("ec2:CreateTags"));
    // This one is asked for the last rule of a group, which has gone by then.
    let to_verify = "ec2:DescribeSecurityGroups";
    assert!(rest.remove(to_verify));
    stage.role("WithoutDescribe", &not_allowed(&stage.policy, to_verify)).await;
    assert_eq!(stage.change("WithoutDescribe", &stage.rule_of("spare")).await, Err(to_verify.to_owned()));

    for action in rest {
        let role = format!("Without-{}", action.replace(':', "-"));
        stage.role(&role, &not_allowed(&stage.policy, action)).await;
        let change = changes.iter().find(|change| change.operation() == needed_by(action)).unwrap();
        assert_eq!(stage.change(&role, change).await, Err(action.to_owned()), "without {action}");
    }

    // What the role may do, the session of another change may not.
    for (change, other) in changes.iter().zip(changes.iter().cycle().skip(1)) {
        let writer = stage.writer("PlumblineEnforce", change).await;
        let Applied::Refused(cause) = writer.apply(other).await else {
            panic!("{other:?} in the session of {change:?}")
        };
        assert_eq!(said(cause), other.operation().action());
    }
    let writer = stage.writer("PlumblineEnforce", &stage.rule_of("spare")).await;
    assert!(matches!(writer.apply(&stage.rule_of("web")).await, Applied::Refused(_)), "another group");

    // Nor may the role attach another policy, or touch a user for emergencies.
    for action in [stage.attach("ada", "Other"), stage.attach("emergency-1", "RequireMfa")] {
        let writer = stage.writer("PlumblineEnforce", &action).await;
        let Applied::Refused(cause) = writer.apply(&action).await else { panic!("{action:?}") };
        assert_eq!(cause.missing_action.as_deref(), Some("iam:AttachUserPolicy"));
    }

    for change in &changes {
        assert_eq!(stage.change("PlumblineEnforce", change).await, Ok(()), "{change:?}");
    }
}

#[tokio::test]
async fn p12_the_audit_role_may_read_what_a_plan_needs_and_every_action_for_it_is_needed() {
    let stage = Stage::new().await;
    let user = IamUser {
        name: "ada".to_owned(),
        arn: stage.seeded.users["ada"].clone(),
        created_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        password_last_used: None,
    };
    let deny = format!("arn:aws:iam::{}:policy/RequireMfa", stage.account);
    let plan = async |role: &str, policy: &Value| -> Refused {
        stage.role(role, policy).await;
        let cloud = stage.aws.cloud(&stage.target(role), Duration::from_mins(1)).await.unwrap();
        let facts = read(cloud.user_facts(&user).await)?.unwrap();
        assert!(facts.has_login_profile && facts.refusal().is_none(), "{facts:?}");
        assert!(read(cloud.managed_policy(&deny).await)?.unwrap().document.contains("Deny"));
        Ok(())
    };
    assert_eq!(plan("PlumblineAudit", &stage.audit_policy).await, Ok(()));
    for action in FOR_PLANS {
        let role = format!("Without-{}", action.replace(':', "-"));
        assert_eq!(plan(&role, &without(&stage.audit_policy, action)).await, Err(action.to_owned()));
    }
    let zones = async |role: &str, policy: &Value| -> Refused {
        stage.role(role, policy).await;
        let cloud = stage.aws.cloud(&stage.target(role), Duration::from_mins(1)).await.unwrap();
        assert!(!read(cloud.availability_zones(REGION).await)?.is_empty());
        Ok(())
    };
    let [describe_zones, _] = FOR_STATUS;
    assert_eq!(zones("Zones", &stage.audit_policy).await, Ok(()));
    let refused = zones("WithoutZones", &without(&stage.audit_policy, describe_zones)).await;
    assert_eq!(refused, Err(describe_zones.to_owned()));

    let probe = async |role: &str| stage.aws.assumable_without(&stage.target(role)).await;
    assert!(!probe("PlumblineAudit").await.unwrap(), "the printed trust policy asks for the external id");
    let open = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": stage.trust["Statement"][0]["Principal"], "Action": "sts:AssumeRole"}
    ]});
    stage.emulator.role(&stage.account, "Open", &open, &stage.audit_policy).await.unwrap();
    assert!(probe("Open").await.unwrap());
}
