use proptest::prelude::*;

use super::*;
use crate::api::{ChangeRecordSpec, RecordedBaseline, ReferencedGroup, Tag};
use crate::baseline::HoldReason;

const ACCOUNT: &str = "222222222222";

fn policy(change: impl FnOnce(&mut PasswordPolicy)) -> PasswordPolicy {
    let mut policy = PasswordPolicy {
        minimum_password_length: 8,
        require_symbols: false,
        require_numbers: false,
        require_uppercase_characters: false,
        require_lowercase_characters: false,
        allow_users_to_change_password: false,
        max_password_age: None,
        password_reuse_prevention: None,
        hard_expiry: false,
    };
    change(&mut policy);
    policy
}

fn password(before: Option<PasswordPolicy>, after: Option<PasswordPolicy>) -> Action {
    Action::PasswordPolicy(PasswordPolicyChange { before, after })
}

fn user(before: bool, after: bool) -> Action {
    Action::UserPolicy(UserPolicyChange {
        user_name: "ada".to_owned(),
        policy_arn: "arn:aws:iam::222222222222:policy/RequireMfa".to_owned(),
        policy_version: "v1".to_owned(),
        policy_hash: "abc".to_owned(),
        before,
        after,
    })
}

fn rule(id: Option<&str>, port: i32) -> SecurityGroupRuleValue {
    SecurityGroupRuleValue {
        rule_id: id.map(str::to_owned),
        ip_protocol: "tcp".to_owned(),
        from_port: Some(port),
        to_port: Some(port),
        cidr_ipv4: Some("0.0.0.0/0".to_owned()),
        ..SecurityGroupRuleValue::default()
    }
}

fn rule_change(
    before: Option<SecurityGroupRuleValue>,
    after: Option<SecurityGroupRuleValue>,
) -> SecurityGroupRuleChange {
    SecurityGroupRuleChange {
        region: "eu-west-1".to_owned(),
        group_id: "sg-1".to_owned(),
        group_name: Some("web".to_owned()),
        vpc_id: None,
        attached_interfaces: Vec::new(),
        before,
        after,
        requires: Vec::new(),
    }
}

fn revoke(rule: SecurityGroupRuleValue) -> Action {
    Action::SecurityGroupRule(Box::new(rule_change(Some(rule), None)))
}

fn authorize(rule: SecurityGroupRuleValue) -> Action {
    Action::SecurityGroupRule(Box::new(rule_change(None, Some(rule))))
}

fn encryption(algorithm: &str) -> BucketEncryption {
    BucketEncryption {
        algorithm: algorithm.to_owned(),
        kms_key_id: None,
        bucket_key_enabled: false,
        blocked_encryption_types: Vec::new(),
    }
}

fn bucket(before: Option<BucketEncryption>, after: Option<BucketEncryption>) -> Action {
    let (name, region) = ("logs".to_owned(), "eu-west-1".to_owned());
    Action::BucketEncryption(BucketEncryptionChange { bucket: name, region, before, after })
}

fn bucket_policy(before: Option<&str>, after: Option<&str>) -> Action {
    let (before, after) = (before.map(str::to_owned), after.map(str::to_owned));
    let (name, region) = ("logs".to_owned(), "eu-west-1".to_owned());
    Action::BucketPolicy(BucketPolicyChange { bucket: name, region, before, after })
}

fn arn(action: &Action) -> &'static str {
    match action {
        Action::PasswordPolicy(_) => "arn:aws:iam::222222222222:root",
        Action::UserPolicy(_) => "arn:aws:iam::222222222222:user/people/ada",
        Action::SecurityGroupRule(_) => "arn:aws:ec2:eu-west-1:222222222222:security-group/sg-1",
        Action::BucketEncryption(_) | Action::BucketPolicy(_) => "arn:aws:s3:::logs",
    }
}

/// One of each kind, and its inverse.
fn one_of_each() -> Vec<Action> {
    let there = [
        password(None, Some(policy(|_| {}))),
        password(Some(policy(|_| {})), Some(policy(|p| p.require_numbers = true))),
        user(false, true),
        revoke(rule(Some("sgr-1"), 22)),
        revoke(SecurityGroupRuleValue { is_egress: true, ..rule(Some("sgr-1"), 22) }),
        authorize(rule(None, 443)),
        bucket(None, Some(encryption("aws:kms"))),
        bucket(Some(encryption("aws:kms")), Some(encryption("aws:kms:dsse"))),
        bucket_policy(None, Some("{}")),
        bucket_policy(Some("{}"), Some("{\"Version\": \"1\"}")),
    ];
    there.iter().flat_map(|action| [action.clone(), action.inverse()]).collect()
}

fn recorded(action: &Action) -> ChangeRecordSpec {
    let resource = arn(action);
    ChangeRecordSpec {
        account_id: ACCOUNT.into(),
        partition: "aws".to_owned(),
        baseline: RecordedBaseline::default(),
        control: action.control().as_str().to_owned(),
        findings: Vec::new(),
        operation: action.operation().name().to_owned(),
        inverse: action.inverse().operation().name().to_owned(),
        not_undone: None,
        resource: resource.to_owned(),
        region: action.region().map(str::to_owned),
        meaning: action.meaning(ACCOUNT, resource),
        target: action.target(ACCOUNT, resource),
        ordinal: 0,
        plan_digest: None,
        approval: None,
        undoes: None,
        claimed_at: Timestamp::UNIX_EPOCH,
        claimed_by: "plumbline-0".to_owned(),
        change: action.recorded(),
    }
}

fn is_moved(position: &Position) -> bool {
    matches!(position, Position::Moved(_))
}

#[test]
fn every_action_has_its_call_and_its_inverse_the_opposite_one() {
    use WriteOperation::*;
    let operations: Vec<_> = one_of_each().iter().map(Action::operation).collect();
    let expected = [
        [UpdateAccountPasswordPolicy, DeleteAccountPasswordPolicy],
        [UpdateAccountPasswordPolicy, UpdateAccountPasswordPolicy],
        [AttachUserPolicy, DetachUserPolicy],
        [RevokeSecurityGroupIngress, AuthorizeSecurityGroupIngress],
        [RevokeSecurityGroupEgress, AuthorizeSecurityGroupEgress],
        [AuthorizeSecurityGroupIngress, RevokeSecurityGroupIngress],
        [PutBucketEncryption, DeleteBucketEncryption],
        [PutBucketEncryption, PutBucketEncryption],
        [PutBucketPolicy, DeleteBucketPolicy],
        [PutBucketPolicy, PutBucketPolicy],
    ];
    assert_eq!(operations, expected.concat());
    let dry: Vec<_> = operations.iter().filter(|it| it.has_dry_run()).map(|it| it.name()).collect();
    assert!(dry.iter().all(|name| name.starts_with("ec2:")) && dry.len() == 6, "{dry:?}");
}

#[test]
fn p4_the_inverse_of_the_inverse_is_the_change_and_swaps_the_positions() {
    let states = |action: &Action| -> [ResourceState; 2] {
        match action.clone() {
            Action::PasswordPolicy(change) => [change.before, change.after].map(ResourceState::PasswordPolicy),
            Action::UserPolicy(change) => [change.before, change.after].map(|attached| state_of_user(attached, "abc")),
            Action::SecurityGroupRule(change) => {
                [change.before, change.after].map(|rule| ResourceState::SecurityGroup(rule.into_iter().collect()))
            }
            Action::BucketEncryption(change) => [change.before, change.after].map(ResourceState::BucketEncryption),
            Action::BucketPolicy(change) => [change.before, change.after].map(ResourceState::BucketPolicy),
        }
    };
    for action in one_of_each() {
        let inverse = action.inverse();
        assert_eq!(inverse.inverse(), action);
        let [before, after] = states(&action);
        assert_eq!(action.position(&before), Position::Before, "{action:?}");
        assert_eq!(action.position(&after), Position::After, "{action:?}");
        assert_eq!(inverse.position(&before), Position::After, "{inverse:?}");
        assert_eq!(inverse.position(&after), Position::Before, "{inverse:?}");
    }
}

#[test]
fn p4_what_an_undo_does_not_bring_back_is_said() {
    let said = |action: Action| action.not_undone().is_some();
    assert!(said(revoke(rule(Some("sgr-1"), 22))) && said(bucket(None, Some(encryption("aws:kms")))));
    assert!(
        !said(authorize(rule(None, 22))) && !said(password(None, Some(policy(|_| {})))) && !said(user(false, true))
    );
}

#[test]
fn a_policy_that_reads_back_zeros_is_the_one_without_age() {
    let action = password(Some(policy(|_| {})), Some(policy(|p| p.require_numbers = true)));
    let zeros = |numbers| {
        let live = policy(|p| {
            (p.max_password_age, p.password_reuse_prevention, p.require_numbers) = (Some(0), Some(0), numbers);
        });
        action.position(&ResourceState::PasswordPolicy(Some(live)))
    };
    assert_eq!((zeros(false), zeros(true)), (Position::Before, Position::After));
    let other = ResourceState::PasswordPolicy(Some(policy(|p| p.minimum_password_length = 20)));
    assert!(is_moved(&action.position(&other)));
    assert!(is_moved(&action.position(&ResourceState::PasswordPolicy(None))));
}

fn state_of_user(attached: bool, hash: &str) -> ResourceState {
    let facts = UserFacts {
        arn: arn(&user(false, true)).to_owned(),
        has_login_profile: true,
        password_reset_required: false,
        has_mfa_device: false,
        has_active_access_key: false,
        has_other_credential: false,
        attached_policies: Vec::new(),
    };
    ResourceState::User(Box::new(UserState { attached, policy: Some(("v1".to_owned(), hash.to_owned())), facts }))
}

#[test]
fn a_user_who_may_not_be_denied_any_more_has_moved() {
    let attach = user(false, true);
    let with = |change: fn(&mut UserState)| {
        let ResourceState::User(mut user) = state_of_user(false, "abc") else { unreachable!() };
        change(&mut user);
        attach.position(&ResourceState::User(user))
    };
    assert_eq!(with(|_| {}), Position::Before);
    assert_eq!(with(|user| user.attached = true), Position::After);
    let moved: [fn(&mut UserState); 6] = [
        |user| user.policy = None,
        |user| user.policy = Some(("v2".to_owned(), "another".to_owned())),
        |user| user.facts.has_mfa_device = true,
        |user| user.facts.has_active_access_key = true,
        |user| user.facts.has_login_profile = false,
        |user| user.facts.password_reset_required = true,
    ];
    for change in moved {
        assert!(is_moved(&with(change)));
    }
    assert!(is_moved(&attach.position(&ResourceState::Gone)));
}

#[test]
fn to_detach_asks_nothing_of_the_user() {
    let detach = user(true, false);
    let ResourceState::User(mut state) = state_of_user(true, "another") else { unreachable!() };
    state.facts.has_mfa_device = true;
    assert_eq!(state.facts.refusal().unwrap().0, HoldReason::NoConsolePassword);
    assert_eq!(detach.position(&ResourceState::User(state)), Position::Before);
    assert_eq!(detach.position(&state_of_user(false, "abc")), Position::After);
}

#[test]
fn a_rule_is_revoked_by_its_id_and_found_by_what_it_opens_where_it_has_none() {
    let by_id = revoke(rule(Some("sgr-1"), 22));
    let group = |rules: &[SecurityGroupRuleValue]| ResourceState::SecurityGroup(rules.to_vec());
    let described = SecurityGroupRuleValue {
        description: Some("by hand".to_owned()),
        tags: vec![Tag { key: "a".to_owned(), value: "b".to_owned() }],
        ..rule(Some("sgr-1"), 22)
    };
    assert_eq!(by_id.position(&group(&[described])), Position::Before);
    // The same opening under another id is another rule.
    assert_eq!(by_id.position(&group(&[rule(Some("sgr-2"), 22)])), Position::After);
    assert_eq!(by_id.position(&group(&[])), Position::After);
    assert!(is_moved(&by_id.position(&group(&[rule(Some("sgr-1"), 23)]))));
    let made_here = authorize(rule(None, 22)).inverse();
    assert_eq!(made_here.position(&group(&[rule(Some("sgr-9"), 22)])), Position::Before);
    assert_eq!(made_here.position(&group(&[rule(Some("sgr-9"), 23)])), Position::After);
}

#[test]
fn a_group_that_is_gone_has_no_rule_any_more_and_takes_none() {
    assert_eq!(revoke(rule(Some("sgr-1"), 22)).position(&ResourceState::Gone), Position::After);
    assert!(is_moved(&authorize(rule(None, 22)).position(&ResourceState::Gone)));
    assert!(is_moved(&bucket(None, Some(encryption("aws:kms"))).position(&ResourceState::Gone)));
}

#[test]
fn a_rule_is_revoked_only_while_what_must_stay_is_there() {
    let mut narrow = rule_change(Some(rule(Some("sgr-1"), 22)), None);
    narrow.requires = vec![SecurityGroupRuleValue { cidr_ipv4: Some("10.0.0.0/8".to_owned()), ..rule(None, 22) }];
    let kept = SecurityGroupRuleValue { rule_id: Some("sgr-2".to_owned()), ..narrow.requires[0].clone() };
    let action = Action::SecurityGroupRule(Box::new(narrow));
    let position = |rules: Vec<SecurityGroupRuleValue>| action.position(&ResourceState::SecurityGroup(rules));
    assert_eq!(position(vec![rule(Some("sgr-1"), 22), kept.clone()]), Position::Before);
    assert!(is_moved(&position(vec![rule(Some("sgr-1"), 22)])));
    assert_eq!(position(vec![kept]), Position::After);
    assert_eq!(position(Vec::new()), Position::After);
}

#[test]
fn a_rule_that_is_added_again_is_told_by_what_it_opens() {
    let again = revoke(SecurityGroupRuleValue {
        referenced_group: Some(ReferencedGroup { group_id: "sg-9".to_owned(), ..ReferencedGroup::default() }),
        cidr_ipv4: None,
        ip_protocol: "-1".to_owned(),
        from_port: Some(-1),
        to_port: Some(-1),
        ..rule(Some("sgr-1"), 0)
    })
    .inverse();
    let spelled = SecurityGroupRuleValue {
        ip_protocol: "-1".to_owned(),
        referenced_group: Some(ReferencedGroup {
            group_id: "sg-9".to_owned(),
            user_id: Some(ACCOUNT.to_owned()),
            vpc_peering_connection_id: None,
        }),
        rule_id: Some("sgr-7".to_owned()),
        ..SecurityGroupRuleValue::default()
    };
    assert_eq!(again.position(&ResourceState::SecurityGroup(vec![spelled.clone()])), Position::After);
    let outward = SecurityGroupRuleValue { is_egress: true, ..spelled };
    assert_eq!(again.position(&ResourceState::SecurityGroup(vec![outward])), Position::Before);
}

#[test]
fn no_encryption_is_that_of_s3_and_blocked_types_have_no_order() {
    let blocked = |algorithm: &str, types: &[&str]| {
        let blocked_encryption_types = types.iter().map(|name| (*name).to_owned()).collect();
        Some(BucketEncryption { blocked_encryption_types, ..encryption(algorithm) })
    };
    let action = bucket(None, blocked("AES256", &["SSE-C", "X"]));
    let position = |live| action.position(&ResourceState::BucketEncryption(live));
    assert_eq!(position(None), Position::Before);
    assert_eq!(position(blocked("AES256", &[])), Position::Before);
    assert_eq!(position(blocked("AES256", &["NONE"])), Position::Before);
    assert_eq!(position(blocked("AES256", &["X", "SSE-C", "X"])), Position::After);
    assert!(is_moved(&position(blocked("AES256", &["X"]))));
    assert!(is_moved(&position(blocked("aws:kms", &["SSE-C", "X"]))));
    // A bucket key means nothing without KMS, and an empty key is none.
    let odd = BucketEncryption { bucket_key_enabled: true, kms_key_id: Some(String::new()), ..encryption("AES256") };
    assert_eq!(position(Some(odd)), Position::Before);
    let keyed = |key_enabled| Some(BucketEncryption { bucket_key_enabled: key_enabled, ..encryption("aws:kms") });
    let with_key = bucket(keyed(false), keyed(true));
    assert_eq!(with_key.position(&ResourceState::BucketEncryption(keyed(false))), Position::Before);
}

#[test]
fn a_bucket_policy_is_the_same_in_another_spelling() {
    const MEANT: &str = r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Action": ["s3:GetObject", "s3:PutObject"], "Principal": "*", "Resource": ["a"],
         "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {"Effect": "Allow", "Action": "s3:GetObject", "Principal": {"AWS": ["1"]}, "Resource": "a"}]}"#;
    const SPELLED: &str = r#"{"Statement":[{"Action":["s3:GetObject"],"Effect":"Allow","Principal":{"AWS":"1"},
        "Resource":"a"},{"Action":["s3:PutObject","s3:GetObject"],"Condition":{"Bool":{"aws:SecureTransport":[false]}},
        "Effect":"Deny","Principal":"*","Resource":"a"}],"Version":"2012-10-17"}"#;
    let action = bucket_policy(None, Some(MEANT));
    let position = |live: Option<&str>| action.position(&ResourceState::BucketPolicy(live.map(str::to_owned)));
    assert_eq!(position(Some(SPELLED)), Position::After);
    assert_eq!(position(None), Position::Before);
    assert!(is_moved(&position(Some(&SPELLED.replace("s3:PutObject", "s3:DeleteObject")))));
    assert!(is_moved(&position(Some("{}"))));
    let unreadable = bucket_policy(Some("no json"), Some("{}"));
    assert_eq!(unreadable.position(&ResourceState::BucketPolicy(Some("no json".to_owned()))), Position::Before);
}

#[test]
fn a_state_of_another_kind_has_moved() {
    for action in one_of_each() {
        let other = match action {
            Action::PasswordPolicy(_) => ResourceState::BucketPolicy(None),
            _ => ResourceState::PasswordPolicy(None),
        };
        assert!(is_moved(&action.position(&other)), "{action:?}");
    }
}

#[test]
fn each_change_has_a_meaning_of_its_own_and_the_same_one_each_time() {
    let meaning = |action: &Action, account: &str, resource: &str| action.meaning(account, resource);
    let mut meanings = std::collections::BTreeSet::new();
    let all = one_of_each();
    for action in &all {
        let of = meaning(action, ACCOUNT, arn(action));
        assert_eq!(of, meaning(&action.clone(), ACCOUNT, arn(action)));
        assert_eq!(of.len(), 16);
        meanings.insert(of);
        meanings.insert(meaning(action, "333333333333", arn(action)));
        meanings.insert(meaning(action, ACCOUNT, "another"));
    }
    assert_eq!(meanings.len(), 3 * all.len());
}

#[test]
fn what_only_informs_people_has_no_part_in_the_meaning() {
    let mut named = rule_change(Some(rule(Some("sgr-1"), 22)), None);
    let plain = Action::SecurityGroupRule(Box::new(named.clone()));
    (named.group_name, named.vpc_id) = (Some("renamed".to_owned()), Some("vpc-1".to_owned()));
    named.attached_interfaces = vec!["eni-1".to_owned()];
    let named = Action::SecurityGroupRule(Box::new(named));
    assert_eq!(plain.meaning(ACCOUNT, arn(&plain)), named.meaning(ACCOUNT, arn(&plain)));
    let later = |version: &str, hash: &str| match user(false, true) {
        Action::UserPolicy(change) => Action::UserPolicy(UserPolicyChange {
            policy_version: version.to_owned(),
            policy_hash: hash.to_owned(),
            ..change
        }),
        _ => unreachable!(),
    };
    let meaning = |action: &Action| action.meaning(ACCOUNT, "user");
    assert_eq!(meaning(&later("v1", "abc")), meaning(&later("v2", "abc")), "the same text is the same policy");
    assert_ne!(meaning(&later("v1", "abc")), meaning(&later("v1", "def")));
}

#[test]
fn p8_a_rule_that_is_made_again_is_the_same_fight_under_another_meaning() {
    let [first, again, other] = [rule(Some("sgr-1"), 22), rule(Some("sgr-2"), 22), rule(Some("sgr-3"), 23)].map(revoke);
    let group = arn(&first);
    assert_ne!(first.meaning(ACCOUNT, group), again.meaning(ACCOUNT, group));
    assert_eq!(first.target(ACCOUNT, group), again.target(ACCOUNT, group));
    assert_ne!(first.target(ACCOUNT, group), other.target(ACCOUNT, group));
    assert_ne!(first.target(ACCOUNT, group), first.target(ACCOUNT, "another group"));
    assert_ne!(first.target(ACCOUNT, group), first.inverse().target(ACCOUNT, group), "who undoes does not fight");
}

#[test]
fn p8_whatever_the_others_write_it_is_the_same_fight() {
    let meant = policy(|p| p.require_numbers = true);
    let weak = |length| password(Some(policy(|p| p.minimum_password_length = length)), Some(meant.clone()));
    let root = arn(&weak(6));
    assert_ne!(weak(6).meaning(ACCOUNT, root), weak(7).meaning(ACCOUNT, root));
    assert_eq!(weak(6).target(ACCOUNT, root), weak(7).target(ACCOUNT, root));
}

#[test]
fn a_record_gives_its_action_back() {
    for action in one_of_each() {
        assert_eq!(Action::from_record(&recorded(&action)), Ok(action));
    }
}

#[test]
fn p4_a_record_that_says_another_thing_than_its_values_is_refused() {
    let inconsistent = |field| Err(RecordError::Inconsistent { field });
    for action in one_of_each() {
        let honest = recorded(&action);
        let forged = |change: &dyn Fn(&mut ChangeRecordSpec)| {
            let mut record = honest.clone();
            change(&mut record);
            Action::from_record(&record)
        };
        assert_eq!(forged(&|record| record.operation = "iam:CreateAccessKey".to_owned()), inconsistent("operation"));
        assert_eq!(forged(&|record| record.inverse = "s3:DeleteBucket".to_owned()), inconsistent("inverse"));
        assert_eq!(forged(&|record| record.control = "none".to_owned()), inconsistent("control"));
        assert_eq!(forged(&|record| record.region = Some("us-east-1".to_owned())), inconsistent("region"));
        assert_eq!(forged(&|record| record.meaning = "0".repeat(16)), inconsistent("meaning"));
        assert_eq!(forged(&|record| record.target = "0".repeat(16)), inconsistent("target"));
        assert_eq!(forged(&|record| record.change = RecordedChange::default()), Err(RecordError::NotOne(0)));
        let two = |record: &mut ChangeRecordSpec| {
            record.change.user_policy = user(false, true).recorded().user_policy;
            record.change.password_policy = password(None, None).recorded().password_policy;
        };
        assert!(matches!(forged(&two), Err(RecordError::NotOne(2 | 3))));
        // With hashes that were made to fit.
        for resource in ["arn:aws:s3:::other", "arn:aws:iam::333333333333:root", "arn:aws:iam::222222222222:user/bob"] {
            let elsewhere = |record: &mut ChangeRecordSpec| {
                record.resource = resource.to_owned();
                record.meaning = action.meaning(ACCOUNT, resource);
                record.target = action.target(ACCOUNT, resource);
            };
            assert_eq!(forged(&elsewhere), inconsistent("resource"), "{resource} {action:?}");
        }
    }
}

#[test]
fn p4_the_undo_of_a_forged_record_attaches_no_policy_of_aws() {
    for policy in ["arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::333333333333:policy/RequireMfa"] {
        let Action::UserPolicy(change) = user(true, false) else { unreachable!() };
        let forged = Action::UserPolicy(UserPolicyChange { policy_arn: policy.to_owned(), ..change });
        let refused = Err(RecordError::Inconsistent { field: "resource" });
        assert_eq!(Action::from_record(&recorded(&forged)), refused, "{policy}");
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        "[a-c]{0,2}".prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        (0..3).prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[A-C]", inner, 0..4)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The same document as AWS could write it: lists the other way round, those of one without brackets, flags as words.
fn spelled(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Array(values) if values.len() == 1 => spelled(&values[0]),
        Value::Array(values) => values.iter().rev().map(spelled).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().rev().map(|(name, value)| (name.clone(), spelled(value))).collect())
        }
        Value::Bool(flag) => Value::String(flag.to_string()),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn a_document_is_told_apart_from_others_and_not_from_its_other_spellings(one in any_json(), other in any_json()) {
        let texts = [&one, &spelled(&one), &other].map(ToString::to_string);
        let action = bucket_policy(Some(&texts[2]), Some(&texts[0]));
        let position = |text: &str| action.position(&ResourceState::BucketPolicy(Some(text.to_owned())));
        prop_assert_eq!(position(&texts[1]), Position::After);
        prop_assert_eq!(position(&texts[0]), Position::After);
        prop_assert!(!is_moved(&position(&texts[2])));
        let meant = position(&spelled(&other).to_string());
        prop_assert!(position(&texts[2]) == Position::Before || meant == Position::After);
    }
}
