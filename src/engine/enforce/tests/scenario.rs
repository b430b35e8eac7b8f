//! What is changed: an account, and the changes that a plan for it holds. One scenario for each kind of change, and
//! plans of several.

use std::collections::BTreeMap;

use crate::api::{
    BucketEncryption, BucketEncryptionChange, BucketPolicyChange, PasswordPolicy, PasswordPolicyChange,
    RecordedBaseline, ReferencedGroup, SecurityGroupRuleChange, SecurityGroupRuleValue, Tag, UserPolicyChange,
};
use crate::baseline::Check;
use crate::baseline::change::{Action, Answered, Change};
use crate::baseline::mfa::UserFacts;
use crate::engine::cloud::Target;
use crate::engine::enforce::Claimant;
use crate::engine::enforce::fake::World;
use crate::engine::enforce::undo::restoring;

pub(crate) const ACCOUNT: &str = "222222222222";
pub(crate) const DENY: &str = "arn:aws:iam::222222222222:policy/PlumblineRequireMfa";
/// As short as they can be: to hash and to parse them is most of what a run costs.
const POLICY: &str = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject"}]}"#;
const POLICY_TLS: &str =
    r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject"},{"Effect":"Deny"}]}"#;

/// An account, and what is to be changed in it.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) world: World,
    pub(crate) changes: Vec<Change>,
}

impl Scenario {
    /// The changes that undo it, the last one first, in the account as it is afterwards.
    fn undone(&self) -> Self {
        let mut world = self.world.clone();
        for change in &self.changes {
            assert_eq!(world.apply(&change.action), Ok(true), "{}: each change has an effect", self.name);
        }
        let inverse = |change: &Change| Change { action: restoring(&change.action), ..change.clone() };
        let changes = self.changes.iter().rev().map(inverse).collect();
        Self { name: format!("undo of {}", self.name), world, changes }
    }
}

pub(crate) fn claimant() -> Claimant {
    Claimant {
        target: Target {
            account_id: ACCOUNT.to_owned(),
            role_name: Some("PlumblineEnforce".to_owned()),
            external_id: None,
            session_name: "plumbline-prod".to_owned(),
        },
        partition: "aws".to_owned(),
        baseline: RecordedBaseline {
            name: "prod".to_owned(),
            uid: "7b1d".to_owned(),
            generation: 3,
            requested_at: None,
        },
        claimed_by: "plumbline-0".to_owned(),
    }
}

fn password_policy(length: i32) -> PasswordPolicy {
    PasswordPolicy {
        minimum_password_length: length,
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

fn user(name: &str) -> UserFacts {
    UserFacts {
        arn: format!("arn:aws:iam::{ACCOUNT}:user/{name}"),
        has_login_profile: true,
        password_reset_required: false,
        has_mfa_device: false,
        has_active_access_key: false,
        has_other_credential: false,
        attached_policies: vec!["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()],
    }
}

fn rule(id: &str, from: i32, to: i32, cidr: &str) -> SecurityGroupRuleValue {
    SecurityGroupRuleValue {
        rule_id: Some(id.to_owned()),
        ip_protocol: "tcp".to_owned(),
        from_port: Some(from),
        to_port: Some(to),
        cidr_ipv4: Some(cidr.to_owned()),
        description: Some("made by hand".to_owned()),
        tags: vec![Tag { key: "team".to_owned(), value: "web".to_owned() }],
        ..SecurityGroupRuleValue::default()
    }
}

fn default_group() -> Vec<SecurityGroupRuleValue> {
    let itself = ReferencedGroup { group_id: "sg-default".to_owned(), ..ReferencedGroup::default() };
    let everything = SecurityGroupRuleValue { ip_protocol: "-1".to_owned(), ..SecurityGroupRuleValue::default() };
    vec![
        SecurityGroupRuleValue {
            rule_id: Some("sgr-self".to_owned()),
            referenced_group: Some(itself),
            ..everything.clone()
        },
        SecurityGroupRuleValue {
            rule_id: Some("sgr-out".to_owned()),
            is_egress: true,
            cidr_ipv4: Some("0.0.0.0/0".to_owned()),
            ..everything
        },
    ]
}

fn encryption(algorithm: &str, key: Option<&str>) -> BucketEncryption {
    BucketEncryption {
        algorithm: algorithm.to_owned(),
        kms_key_id: key.map(ToOwned::to_owned),
        bucket_key_enabled: key.is_some(),
        blocked_encryption_types: vec!["SSE-C".to_owned()],
    }
}

/// As S3 makes it: nothing is blocked, and nothing says so.
fn as_new() -> BucketEncryption {
    BucketEncryption { blocked_encryption_types: Vec::new(), ..encryption("AES256", None) }
}

/// Twice as much as is ever changed: the other half must stay as it is.
pub(crate) fn world() -> World {
    let named = |name: &str| name.to_owned();
    World {
        password_policy: None,
        users: ["alice", "bob", "carol"].map(|name| (named(name), user(name))).into(),
        managed_policies: BTreeMap::from([(named(DENY), (named("v2"), named("5d41")))]),
        groups: BTreeMap::from([
            (named("sg-web"), vec![rule("sgr-22", 22, 22, "0.0.0.0/0"), rule("sgr-web", 80, 443, "0.0.0.0/0")]),
            (named("sg-default"), default_group()),
            (named("sg-other"), vec![rule("sgr-other", 22, 22, "0.0.0.0/0")]),
        ]),
        encryption: BTreeMap::from([
            (named("logs"), None),
            (named("data"), Some(as_new())),
            (named("other"), Some(encryption("AES256", None))),
        ]),
        bucket_policies: BTreeMap::from([
            (named("logs"), Some(named(POLICY))),
            (named("data"), None),
            (named("other"), Some(named(POLICY))),
        ]),
        next_rule: 0,
    }
}

fn change(action: Action, resource: &str, check: Check, finding: &str) -> Change {
    let answered = Answered { id: finding.to_owned(), check, message: "it fails".to_owned(), observed_at: None };
    Change { action, resource: resource.to_owned(), answers: vec![answered] }
}

fn policy_change(before: Option<i32>) -> Change {
    let after = Some(password_policy(14));
    let action = Action::PasswordPolicy(PasswordPolicyChange { before: before.map(password_policy), after });
    change(action, "arn:aws:iam::222222222222:root", Check::MinimumPasswordLength, "f-policy")
}

pub(crate) fn attach(user: &str) -> Change {
    let action = Action::UserPolicy(UserPolicyChange {
        user_name: user.to_owned(),
        policy_arn: DENY.to_owned(),
        policy_version: "v2".to_owned(),
        policy_hash: "5d41".to_owned(),
        before: false,
        after: true,
    });
    change(action, &format!("arn:aws:iam::{ACCOUNT}:user/{user}"), Check::UserMfa, &format!("f-{user}"))
}

fn rule_change(
    group: &str,
    before: Option<SecurityGroupRuleValue>,
    after: Option<SecurityGroupRuleValue>,
    requires: Vec<SecurityGroupRuleValue>,
    finding: &str,
) -> Change {
    let action = Action::SecurityGroupRule(Box::new(SecurityGroupRuleChange {
        region: "eu-west-1".to_owned(),
        group_id: group.to_owned(),
        group_name: Some("web".to_owned()),
        vpc_id: Some("vpc-1".to_owned()),
        attached_interfaces: vec!["eni-1".to_owned()],
        before,
        after,
        requires,
    }));
    let resource = format!("arn:aws:ec2:eu-west-1:{ACCOUNT}:security-group/{group}");
    change(action, &resource, Check::Ingress, finding)
}

pub(crate) fn revoke() -> Change {
    rule_change("sg-web", Some(rule("sgr-22", 22, 22, "0.0.0.0/0")), None, Vec::new(), "f-22")
}

/// What of 80 to 443 is allowed stays: 80 and 443.
pub(crate) fn narrow() -> Vec<Change> {
    let made = |port| SecurityGroupRuleValue { rule_id: None, ..rule("", port, port, "0.0.0.0/0") };
    let wide = rule("sgr-web", 80, 443, "0.0.0.0/0");
    vec![
        rule_change("sg-web", None, Some(made(80)), Vec::new(), "f-web"),
        rule_change("sg-web", None, Some(made(443)), Vec::new(), "f-web"),
        rule_change("sg-web", Some(wide), None, vec![made(80), made(443)], "f-web"),
    ]
}

fn empty_default_group() -> Vec<Change> {
    let revoke = |rule| rule_change("sg-default", Some(rule), None, Vec::new(), "f-default");
    default_group().into_iter().map(revoke).collect()
}

fn encrypt(bucket: &str, before: Option<BucketEncryption>) -> Change {
    let key = "arn:aws:kms:eu-west-1:222222222222:key/0f6c9a";
    let action = Action::BucketEncryption(BucketEncryptionChange {
        bucket: bucket.to_owned(),
        region: "eu-west-1".to_owned(),
        before,
        after: Some(encryption("aws:kms", Some(key))),
    });
    change(action, &format!("arn:aws:s3:::{bucket}"), Check::EncryptionAlgorithm, &format!("f-encryption-{bucket}"))
}

fn demand_tls(bucket: &str, before: Option<&str>) -> Change {
    let action = Action::BucketPolicy(BucketPolicyChange {
        bucket: bucket.to_owned(),
        region: "eu-west-1".to_owned(),
        before: before.map(ToOwned::to_owned),
        after: Some(POLICY_TLS.to_owned()),
    });
    change(action, &format!("arn:aws:s3:::{bucket}"), Check::TlsRequired, &format!("f-tls-{bucket}"))
}

/// Every kind of change that a plan can hold, alone where it stands alone.
pub(crate) fn kinds() -> Vec<Scenario> {
    let data = as_new();
    let with_policy = World { password_policy: Some(password_policy(8)), ..world() };
    let scenario = |name: &str, world: World, changes: Vec<Change>| Scenario { name: name.to_owned(), world, changes };
    vec![
        scenario("a first password policy", world(), vec![policy_change(None)]),
        scenario("a stricter password policy", with_policy, vec![policy_change(Some(8))]),
        scenario("a user is denied", world(), vec![attach("alice")]),
        scenario("a rule is revoked", world(), vec![revoke()]),
        scenario("a rule is narrowed", world(), narrow()),
        scenario("a default group is emptied", world(), empty_default_group()),
        scenario("a bucket gets its first encryption", world(), vec![encrypt("logs", None)]),
        scenario("a bucket moves to another encryption", world(), vec![encrypt("data", Some(data))]),
        scenario("a bucket gets its first policy", world(), vec![demand_tls("data", None)]),
        scenario("a bucket policy gets a statement", world(), vec![demand_tls("logs", Some(POLICY))]),
    ]
}

/// Every kind of change that an undo makes.
pub(crate) fn undos() -> Vec<Scenario> {
    kinds().iter().map(Scenario::undone).collect()
}

/// Plans of several changes, of one kind and of all.
pub(crate) fn plans() -> Vec<Scenario> {
    let two = vec![attach("alice"), attach("bob")];
    let mut all = vec![encrypt("logs", None), demand_tls("logs", Some(POLICY)), policy_change(None), revoke()];
    all.push(attach("alice"));
    vec![
        Scenario { name: "two users are denied".to_owned(), world: world(), changes: two },
        Scenario { name: "a change for every control".to_owned(), world: world(), changes: all },
    ]
}
