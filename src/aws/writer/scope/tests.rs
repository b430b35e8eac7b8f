use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::api::{BucketPolicyChange, SecurityGroupRuleChange, SecurityGroupRuleValue, UserPolicyChange};
use crate::aws::writer::tests::actions;

const ACCOUNT: &str = "222222222222";

fn policy_of(action: &Action) -> Value {
    serde_json::from_str(&session_policy(action, "aws", ACCOUNT)).unwrap()
}

fn list(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    }
}

#[test]
fn each_session_may_make_its_one_change_and_otherwise_read() {
    for action in actions() {
        let policy = policy_of(&action);
        let mut writes = BTreeSet::new();
        for statement in policy["Statement"].as_array().unwrap() {
            assert_eq!(statement["Effect"], "Allow");
            for name in list(&statement["Action"]) {
                let (_, verb) = name.split_once(':').unwrap();
                assert!(!name.contains('*'), "{name}");
                if ["Get", "List", "Describe"].iter().any(|read| verb.starts_with(read)) {
                    continue;
                }
                writes.insert(name.to_owned());
                // IAM scopes the password policy to nothing.
                let is_global = name.ends_with("AccountPasswordPolicy");
                assert!(is_global || list(&statement["Resource"]).iter().all(|arn| *arn != "*"), "{statement}");
            }
        }
        let tags = is_authorize(action.operation()).then(|| "ec2:CreateTags".to_owned());
        let expected = [action.operation().action().to_owned()].into_iter().chain(tags).collect();
        assert_eq!(writes, expected, "{:?}", action.operation());
    }
}

#[test]
fn a_user_is_meant_whatever_the_path_and_with_that_policy_alone() {
    let action = actions().into_iter().find(|it| it.operation() == WriteOperation::AttachUserPolicy).unwrap();
    let policy = policy_of(&action);
    let attach = &policy["Statement"][0];
    let users = ["arn:aws:iam::222222222222:user/ada", "arn:aws:iam::222222222222:user/*/ada"];
    assert_eq!(list(&attach["Resource"]), users);
    let deny = "arn:aws:iam::222222222222:policy/RequireMfa";
    assert_eq!(attach["Condition"]["ArnEquals"]["iam:PolicyARN"], deny);
    assert_eq!(policy["Statement"][2]["Resource"], deny);
}

#[test]
fn a_group_is_meant_in_its_region_and_a_bucket_in_its_account() {
    let of = |operation| policy_of(&actions().into_iter().find(|it| it.operation() == operation).unwrap());
    let revoke = of(WriteOperation::RevokeSecurityGroupIngress);
    let group = "arn:aws:ec2:eu-west-1:222222222222:security-group/sg-1";
    assert_eq!(list(&revoke["Statement"][1]["Resource"]), [group]);
    let authorize = of(WriteOperation::AuthorizeSecurityGroupEgress);
    let rules = "arn:aws:ec2:eu-west-1:222222222222:security-group-rule/*";
    assert_eq!(list(&authorize["Statement"][1]["Resource"]), [group, rules]);
    let tags = &authorize["Statement"][2];
    assert_eq!(list(&tags["Resource"]), [rules]);
    assert_eq!(tags["Condition"]["StringEquals"]["ec2:CreateAction"], "AuthorizeSecurityGroupEgress");
    let bucket = of(WriteOperation::PutBucketPolicy);
    assert_eq!(list(&bucket["Statement"][0]["Resource"]), ["arn:aws:s3:::logs"]);
    assert_eq!(bucket["Statement"][0]["Condition"]["StringEquals"]["s3:ResourceAccount"], ACCOUNT);
}

#[test]
fn the_longest_names_fit_what_sts_takes() {
    let partition = "aws-us-gov";
    let mut longest = actions();
    longest.push(Action::UserPolicy(UserPolicyChange {
        user_name: "u".repeat(64),
        policy_arn: format!("arn:{partition}:iam::{ACCOUNT}:policy/{}/{}", "p".repeat(511), "n".repeat(128)),
        policy_version: "v1".to_owned(),
        policy_hash: "0".repeat(64),
        before: false,
        after: true,
    }));
    longest.push(Action::SecurityGroupRule(Box::new(SecurityGroupRuleChange {
        region: "ap-northeast-special-10".to_owned(),
        group_id: "s".repeat(64),
        group_name: None,
        vpc_id: None,
        attached_interfaces: Vec::new(),
        before: None,
        after: Some(SecurityGroupRuleValue { is_egress: true, ..SecurityGroupRuleValue::default() }),
        requires: Vec::new(),
    })));
    longest.push(Action::BucketPolicy(BucketPolicyChange {
        bucket: "b".repeat(63),
        region: "ap-northeast-special-10".to_owned(),
        before: None,
        after: Some("{}".to_owned()),
    }));
    for action in longest {
        let policy = session_policy(&action, partition, ACCOUNT);
        assert!(policy.len() <= 2048, "{} characters: {policy}", policy.len());
    }
}
