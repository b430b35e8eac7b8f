use serde_json::json;

use super::*;
use crate::api::{BucketPolicyChange, PasswordPolicyChange, SecurityGroupRuleChange, UserPolicyChange};

fn policy(length: i32, age: Option<i32>) -> PasswordPolicy {
    PasswordPolicy {
        minimum_password_length: length,
        require_symbols: true,
        require_numbers: true,
        require_uppercase_characters: true,
        require_lowercase_characters: true,
        allow_users_to_change_password: true,
        max_password_age: age,
        password_reuse_prevention: None,
        hard_expiry: false,
    }
}

#[test]
fn of_a_password_policy_what_differs_is_said() {
    let change = PasswordPolicyChange { before: Some(policy(8, None)), after: Some(policy(14, Some(90))) };
    let (before, after) = before_and_after(&Action::PasswordPolicy(change));
    assert_eq!(before, "maxPasswordAge none, minimumPasswordLength 8");
    assert_eq!(after, "maxPasswordAge 90, minimumPasswordLength 14");
    let first = PasswordPolicyChange { before: None, after: Some(policy(14, None)) };
    let (before, after) = before_and_after(&Action::PasswordPolicy(first));
    assert_eq!(before, "no policy of its own");
    assert!(after.contains("minimumPasswordLength 14") && after.contains("requireSymbols true"), "{after}");
}

#[test]
fn a_rule_is_what_it_opens_and_to_whom() {
    let said = |value: serde_json::Value| {
        let value = serde_json::from_value(value).unwrap();
        let change: SecurityGroupRuleChange =
            serde_json::from_value(json!({"region": "eu-west-1", "groupId": "sg-1"})).unwrap();
        let change = SecurityGroupRuleChange { before: Some(value), ..change };
        before_and_after(&Action::SecurityGroupRule(Box::new(change)))
    };
    let world = "0.0.0.0/0";
    let cases = [
        (json!({"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "cidrIpv4": world}), "tcp 22 from 0.0.0.0/0"),
        (json!({"ipProtocol": "udp", "fromPort": 0, "toPort": 9, "cidrIpv6": "::/0"}), "udp 0-9 from ::/0"),
        (json!({"ipProtocol": "-1", "fromPort": -1, "isEgress": true, "cidrIpv4": world}), "all traffic to 0.0.0.0/0"),
        (json!({"ipProtocol": "icmp", "fromPort": 8, "toPort": -1, "prefixListId": "pl-1"}), "icmp type 8 from pl-1"),
        (json!({"ipProtocol": "47", "referencedGroup": {"groupId": "sg-2"}}), "47 from sg-2"),
    ];
    for (value, expected) in cases {
        assert_eq!(said(value), (expected.to_owned(), "no rule".to_owned()));
    }
}

#[test]
fn of_a_bucket_policy_the_statements_that_come_or_go_are_named() {
    let before = json!({"Statement": {"Sid": "Read", "Effect": "Allow"}}).to_string();
    let statements = json!([{"Sid": "Read", "Effect": "Allow"}, {"Sid": "PlumblineRequireTls", "Effect": "Deny"}]);
    let change = BucketPolicyChange {
        bucket: "logs".to_owned(),
        region: "eu-west-1".to_owned(),
        before: Some(before),
        after: Some(json!({"Statement": statements}).to_string()),
    };
    let action = Action::BucketPolicy(change.clone());
    let after = "2 statements, Deny PlumblineRequireTls only here";
    assert_eq!(before_and_after(&action), ("1 statement".to_owned(), after.to_owned()));
    let broken = BucketPolicyChange { before: None, after: Some("{".to_owned()), ..change };
    let said = before_and_after(&Action::BucketPolicy(broken));
    assert_eq!(said, ("no policy".to_owned(), "a policy of 1 bytes".to_owned()));
}

#[test]
fn an_encryption_has_its_key_its_bucket_key_and_what_it_blocks() {
    let full = BucketEncryption {
        algorithm: "aws:kms".to_owned(),
        kms_key_id: Some("alias/s3".to_owned()),
        bucket_key_enabled: true,
        blocked_encryption_types: vec!["SSE-C".to_owned()],
    };
    assert_eq!(encryption(Some(&full)), "aws:kms with alias/s3, bucket key, blocks SSE-C");
    assert_eq!(encryption(None), "none of its own (AES256)");
}

#[test]
fn a_policy_of_a_user_is_told_by_its_name() {
    let change = UserPolicyChange {
        user_name: "bob".to_owned(),
        policy_arn: "arn:aws:iam::222222222222:policy/security/PlumblineRequireMfa".to_owned(),
        policy_version: "v1".to_owned(),
        policy_hash: "00".to_owned(),
        before: false,
        after: true,
    };
    let (before, after) = before_and_after(&Action::UserPolicy(change));
    assert_eq!(before, "security/PlumblineRequireMfa not attached");
    assert_eq!(after, "security/PlumblineRequireMfa attached");
}
