//! P2: the fakes over which every crash is tried do what the real parts do. The cases of
//! `src/engine/enforce/conformance.rs`, which the crate's own tests run over the fakes, are run here over the writer of
//! AWS on the emulator, and over the records on the API server with the operator's own rights.
//!
//! The file is included, so that neither the program nor its public interface holds cases of tests. It names
//! `crate::baseline` and `crate::engine`, which `main.rs` imports for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::Timestamp;
use kube::config::{KubeConfigOptions, Kubeconfig};
use plumbline::api::{
    BucketEncryption, BucketEncryptionChange, BucketPolicyChange, PasswordPolicy, PasswordPolicyChange,
    RecordedBaseline, ReferencedGroup, SecurityGroupRuleChange, SecurityGroupRuleValue, Tag, UserPolicyChange,
};
use plumbline::aws::{Aws, AwsSettings, Rate};
use plumbline::baseline::Check;
use plumbline::baseline::change::{Action, Answered, Change, ResourceState};
use plumbline::baseline::history::History;
use plumbline::controller::cluster_of;
use plumbline::engine::cloud::{Applied, CloudWriter, Target, WriterProvider};
use plumbline::engine::enforce::{Claimant, Warrant, entry};
use plumbline::engine::ledger::record_name;
use plumbline_rig::seed::unique_account_id;
use serde_json::json;

use self::cases::{a_ledger_keeps_its_records, a_writer_makes_and_undoes};
use crate::support;

#[path = "../../src/engine/enforce/conformance.rs"]
mod cases;

const REGION: &str = "eu-west-1";
const USER: &str = "carol";
const DENY: &str = "PlumblineRequireMfa";

/// Something for every kind of change.
const STATE: &str = r#"
policies:
  - name: PlumblineRequireMfa
    document: {Version: "2012-10-17", Statement: [{Effect: Deny, NotAction: "iam:*", Resource: "*",
               Condition: {BoolIfExists: {"aws:MultiFactorAuthPresent": "false"}}}]}
users: [{name: carol, password: true, policies: ["arn:aws:iam::aws:policy/ReadOnlyAccess"]}]
securityGroups:
  eu-west-1:
    - name: web
      ingress:
        - {protocol: tcp, ports: 22, cidrs: [0.0.0.0/0], description: nobody knows}
        - {protocol: tcp, ports: 443, cidrs: [10.0.0.0/8]}
    - {default: true, ingress: [{protocol: "-1", groups: [default]}]}
keys: {eu-west-1: [{alias: alias/s3-default}]}
buckets:
  - {name: plain-$ACCOUNT, region: eu-west-1}
  - name: data-$ACCOUNT
    region: eu-west-1
    encryption: {algorithm: AES256}
    policy: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::$ACCOUNT:root"},
             Action: "s3:GetObject", Resource: "arn:aws:s3:::data-$ACCOUNT/*"}]}
"#;

/// What the changes name.
struct Names {
    account: String,
    web: String,
    ssh_rule: String,
    default: String,
    key: String,
    deny_hash: String,
}

impl Names {
    fn deny(&self) -> String {
        format!("arn:aws:iam::{}:policy/{DENY}", self.account)
    }

    fn target(&self) -> Target {
        Target {
            account_id: self.account.clone(),
            role_name: Some("PlumblineEnforce".to_owned()),
            external_id: Some("0f6c9a".to_owned()),
            session_name: "plumbline-everything".to_owned(),
        }
    }

    /// Every kind of change that a plan can hold.
    fn kinds(&self) -> Vec<Change> {
        let [plain, data] = ["plain", "data"].map(|bucket| format!("{bucket}-{}", self.account));
        let public = json!({"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{}:root", self.account)},
            "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{data}/*")});
        let policy =
            |statements: &[serde_json::Value]| json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let tls = |bucket: &str| {
            json!({"Sid": "Tls", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
                "Resource": format!("arn:aws:s3:::{bucket}/*"),
                "Condition": {"Bool": {"aws:SecureTransport": "false"}}})
        };
        vec![
            self.password_policy(None, 14),
            self.attach(),
            self.rule(&self.web, Some(self.ssh()), None),
            // A narrower one for it, and it goes while the office's rule must stay.
            self.rule(&self.web, None, Some(SecurityGroupRuleValue { tags: vec![tag()], ..opening(22, "10.0.0.0/8") })),
            // The rule has another id since it was made again.
            requiring(by_what_it_opens(self.rule(&self.web, Some(self.ssh()), None)), opening(443, "10.0.0.0/8")),
            self.rule(&self.default, Some(self.itself()), None),
            self.rule(&self.default, Some(outwards()), None),
            encrypt(&plain, None, "AES256", None),
            encrypt(&data, Some("AES256"), "aws:kms", Some(&self.key)),
            demand_tls(&plain, None, &policy(&[tls(&plain)])),
            demand_tls(&data, Some(&policy(std::slice::from_ref(&public))), &policy(&[public, tls(&data)])),
        ]
    }

    fn password_policy(&self, before: Option<i32>, after: i32) -> Change {
        let policy = |length| PasswordPolicy {
            minimum_password_length: length,
            require_symbols: true,
            require_numbers: true,
            require_uppercase_characters: true,
            require_lowercase_characters: true,
            allow_users_to_change_password: true,
            max_password_age: None,
            password_reuse_prevention: Some(24),
            hard_expiry: false,
        };
        let change = PasswordPolicyChange { before: before.map(policy), after: Some(policy(after)) };
        let resource = format!("arn:aws:iam::{}:root", self.account);
        change_of(Action::PasswordPolicy(change), resource, Check::MinimumPasswordLength)
    }

    fn attach(&self) -> Change {
        let change = UserPolicyChange {
            user_name: USER.to_owned(),
            policy_arn: self.deny(),
            policy_version: "v1".to_owned(),
            policy_hash: self.deny_hash.clone(),
            before: false,
            after: true,
        };
        change_of(Action::UserPolicy(change), format!("arn:aws:iam::{}:user/{USER}", self.account), Check::UserMfa)
    }

    fn rule(
        &self,
        group: &str,
        before: Option<SecurityGroupRuleValue>,
        after: Option<SecurityGroupRuleValue>,
    ) -> Change {
        let change = SecurityGroupRuleChange {
            region: REGION.to_owned(),
            group_id: group.to_owned(),
            group_name: Some("web".to_owned()),
            vpc_id: None,
            attached_interfaces: Vec::new(),
            before,
            after,
            requires: Vec::new(),
        };
        let resource = format!("arn:aws:ec2:{REGION}:{}:security-group/{group}", self.account);
        change_of(Action::SecurityGroupRule(Box::new(change)), resource, Check::Ingress)
    }

    fn ssh(&self) -> SecurityGroupRuleValue {
        let description = Some("nobody knows".to_owned());
        SecurityGroupRuleValue { rule_id: Some(self.ssh_rule.clone()), description, ..opening(22, "0.0.0.0/0") }
    }

    /// What every default group allows inwards.
    fn itself(&self) -> SecurityGroupRuleValue {
        let itself = ReferencedGroup { group_id: self.default.clone(), ..ReferencedGroup::default() };
        SecurityGroupRuleValue {
            ip_protocol: "-1".to_owned(),
            referenced_group: Some(itself),
            ..SecurityGroupRuleValue::default()
        }
    }
}

/// What every group allows outwards.
fn outwards() -> SecurityGroupRuleValue {
    SecurityGroupRuleValue {
        is_egress: true,
        ip_protocol: "-1".to_owned(),
        cidr_ipv4: Some("0.0.0.0/0".to_owned()),
        ..SecurityGroupRuleValue::default()
    }
}

fn opening(port: i32, cidr: &str) -> SecurityGroupRuleValue {
    SecurityGroupRuleValue {
        ip_protocol: "tcp".to_owned(),
        from_port: Some(port),
        to_port: Some(port),
        cidr_ipv4: Some(cidr.to_owned()),
        ..SecurityGroupRuleValue::default()
    }
}

fn tag() -> Tag {
    Tag { key: "team".to_owned(), value: "shop".to_owned() }
}

fn requiring(mut change: Change, rule: SecurityGroupRuleValue) -> Change {
    let Action::SecurityGroupRule(revoke) = &mut change.action else { unreachable!() };
    revoke.requires = vec![rule];
    change
}

fn encrypt(bucket: &str, before: Option<&str>, after: &str, key: Option<&str>) -> Change {
    let encryption = |algorithm: &str, key: Option<&str>| BucketEncryption {
        algorithm: algorithm.to_owned(),
        kms_key_id: key.map(ToOwned::to_owned),
        bucket_key_enabled: key.is_some(),
        blocked_encryption_types: Vec::new(),
    };
    let after = BucketEncryption { blocked_encryption_types: vec!["SSE-C".to_owned()], ..encryption(after, key) };
    let change = BucketEncryptionChange {
        bucket: bucket.to_owned(),
        region: REGION.to_owned(),
        before: before.map(|algorithm| encryption(algorithm, None)),
        after: Some(after),
    };
    change_of(Action::BucketEncryption(change), format!("arn:aws:s3:::{bucket}"), Check::EncryptionAlgorithm)
}

fn demand_tls(bucket: &str, before: Option<&str>, after: &str) -> Change {
    let change = BucketPolicyChange {
        bucket: bucket.to_owned(),
        region: REGION.to_owned(),
        before: before.map(ToOwned::to_owned),
        after: Some(after.to_owned()),
    };
    change_of(Action::BucketPolicy(change), format!("arn:aws:s3:::{bucket}"), Check::TlsRequired)
}

fn change_of(action: Action, resource: String, check: Check) -> Change {
    let answered =
        Answered { id: "3f2a".to_owned(), check, message: "it fails".to_owned(), observed_at: Some(Timestamp::now()) };
    Change { action, resource, answers: vec![answered] }
}

/// The same change where nobody knows the rule's id, because it was made again.
fn by_what_it_opens(mut change: Change) -> Change {
    if let Action::SecurityGroupRule(change) = &mut change.action {
        for rule in change.before.iter_mut().chain(&mut change.after) {
            rule.rule_id = None;
        }
    }
    change
}

/// As quick as the emulator: the usual rates spare the customer's own automation.
fn settings() -> AwsSettings {
    let rate = Rate::new(100, 100);
    AwsSettings { ec2: rate, ec2_changes: rate, iam: rate, ..AwsSettings::default() }
}

/// The writer of AWS, and an account of its own on the emulator.
struct Stage {
    aws: Aws,
    names: Names,
    _rig: support::Aws,
}

impl Stage {
    async fn new() -> Self {
        let rig = support::Aws::new().await;
        let seeded = rig.seed(STATE).await;
        let environment = rig.rig.environment("111111111111");
        let value = |name: &str| environment.iter().find(|(known, _)| *known == name).unwrap().1.clone();
        let (key, secret) = (value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"));
        let credentials = SharedCredentialsProvider::new(Credentials::new(key, secret, None, None, "test"));
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .endpoint_url(value("AWS_ENDPOINT_URL"))
            .credentials_provider(credentials)
            .build();
        let names = Names {
            account: seeded.account_id.clone(),
            web: seeded.security_groups[&format!("{REGION}/web")].clone(),
            ssh_rule: seeded.rules[&format!("{REGION}/web")][0].clone(),
            default: seeded.security_groups[&format!("{REGION}/default")].clone(),
            key: seeded.keys[&format!("{REGION}/alias/s3-default")].clone(),
            deny_hash: String::new(),
        };
        let mut stage = Self { aws: Aws::from_config(&config, settings()), names, _rig: rig };
        let ResourceState::User(user) = stage.state(&stage.names.attach()).await else { panic!("{USER} is gone") };
        stage.names.deny_hash = user.policy.unwrap().1;
        stage
    }

    async fn writer(&self, change: &Change) -> Arc<dyn CloudWriter> {
        self.aws.writer(&self.names.target(), &change.action).await.unwrap()
    }

    /// What AWS shows, whatever ids rules got and in whatever order they stand, and however it says that nothing is
    /// blocked.
    async fn state(&self, change: &Change) -> ResourceState {
        let state = self.writer(change).await.state(&change.action).await;
        let mut state = state.read().unwrap().0.clone();
        match &mut state {
            ResourceState::SecurityGroup(rules) => {
                for rule in rules.iter_mut() {
                    rule.rule_id = None;
                }
                rules.sort_by_key(|rule| format!("{rule:?}"));
            }
            ResourceState::BucketEncryption(Some(encryption)) => {
                encryption.blocked_encryption_types.retain(|blocked| blocked != "NONE");
            }
            _ => {}
        }
        state
    }

    async fn make(&self, change: &Change) {
        assert_eq!(self.writer(change).await.apply(&change.action).await, Applied::Done, "{change:?}");
    }
}

#[tokio::test]
async fn p2_the_fakes_and_the_real_parts_pass_the_same_cases_of_the_writer() {
    let stage = Stage::new().await;
    let target = stage.names.target();
    for change in stage.names.kinds() {
        let was = stage.state(&change).await;
        a_writer_makes_and_undoes(&stage.aws, &target, &change).await;
        assert_eq!(stage.state(&change).await, was, "{change:?}");

        // The same the other way around: what an undo does is a change as well, and can be undone.
        let change = by_what_it_opens(change);
        let undo = change.inverse();
        stage.make(&change).await;
        let is = stage.state(&change).await;
        assert_ne!(is, was, "{change:?}");
        a_writer_makes_and_undoes(&stage.aws, &target, &undo).await;
        assert_eq!(stage.state(&change).await, is, "{undo:?}");
        stage.make(&undo).await;
        assert_eq!(stage.state(&change).await, was, "{undo:?}");
    }
    // A policy that is there already becomes a stricter one.
    stage.make(&stage.names.password_policy(None, 8)).await;
    a_writer_makes_and_undoes(&stage.aws, &target, &stage.names.password_policy(Some(8), 14)).await;
}

#[tokio::test]
async fn p2_the_fakes_and_the_real_parts_pass_the_same_cases_of_the_ledger() {
    let cluster = support::cluster().await;
    let kubeconfig = cluster.service_account_kubeconfig("plumbline-system", "plumbline").await.unwrap();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let cluster = cluster_of(config).unwrap();

    let account = unique_account_id();
    let names = Names {
        web: "sg-0a1b2c3d".to_owned(),
        ssh_rule: "sgr-0a1b2c3d".to_owned(),
        default: "sg-00000000".to_owned(),
        key: format!("arn:aws:kms:{REGION}:{account}:key/0f6c9a"),
        deny_hash: "5d41".repeat(16),
        account,
    };
    let claimant = Claimant {
        target: names.target(),
        partition: "aws".to_owned(),
        baseline: RecordedBaseline {
            name: "everything".to_owned(),
            uid: "7b1d".to_owned(),
            generation: 3,
            requested_at: None,
        },
        claimed_by: "plumbline-0".to_owned(),
    };
    let mut meanings = BTreeSet::new();
    for change in names.kinds().into_iter().flat_map(|change| [change.inverse(), change]) {
        if !meanings.insert(change.meaning(&names.account)) {
            continue;
        }
        let warrant = Warrant { plan_digest: Some("3f2a"), approval: Some("friday"), undoes: None };
        let first = entry(&change, &claimant, warrant, &History::default(), Timestamp::now());
        let mut second = first.clone();
        second.spec.ordinal = 1;
        second.name = record_name(&names.account, &first.spec.meaning, 1);
        a_ledger_keeps_its_records(cluster.ledger(), &first, &second).await;
    }
}
