//! Whether what AWS shows is the value from before, the one that is meant, or neither; and what names a change. No IO.

use ipnet::IpNet;
use serde_json::{Map, Value};

use super::{Action, Change, Position, ResourceState, UserState};
use crate::api::{
    BucketEncryption, BucketEncryptionChange, BucketPolicyChange, PasswordPolicy, PasswordPolicyChange,
    SecurityGroupRuleChange, SecurityGroupRuleValue, UserPolicyChange,
};
use crate::baseline::finding::short_hash;
use crate::baseline::ports;

impl Change {
    /// A hash of account, operation, resource, before and after: the same change has the same meaning.
    #[must_use]
    pub fn meaning(&self, account_id: &str) -> String {
        self.action.meaning(account_id, &self.resource)
    }

    /// A hash of what is fought about if others undo the change again and again.
    #[must_use]
    pub fn target(&self, account_id: &str) -> String {
        self.action.target(account_id, &self.resource)
    }

    /// The change that undoes this one.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self { action: self.action.inverse(), resource: self.resource.clone(), answers: Vec::new() }
    }
}

impl Action {
    /// A hash of account, operation, resource, before and after. What was read only to inform people (a group's name,
    /// its interfaces) has no part in it.
    #[must_use]
    pub fn meaning(&self, account_id: &str, resource: &str) -> String {
        let [before, after] = match self {
            Self::PasswordPolicy(PasswordPolicyChange { before, after }) => [json(before), json(after)],
            Self::UserPolicy(UserPolicyChange { policy_arn, policy_hash, before, after, .. }) => {
                [format!("{before} {policy_arn}"), format!("{after} {policy_hash}")]
            }
            Self::SecurityGroupRule(change) => [json(&change.before), json(&change.after)],
            Self::BucketEncryption(BucketEncryptionChange { before, after, .. }) => [json(before), json(after)],
            Self::BucketPolicy(BucketPolicyChange { before, after, .. }) => [json(before), json(after)],
        };
        short_hash([account_id, self.operation().name(), resource, &before, &after])
    }

    /// A hash of the account and of what is fought about: the policy, the user, what a rule opens, the bucket's
    /// encryption or policy. A rule that is made again has a new id, so its id has no part in it.
    #[must_use]
    pub fn target(&self, account_id: &str, resource: &str) -> String {
        let what = match self {
            Self::PasswordPolicy(_) | Self::UserPolicy(_) | Self::BucketEncryption(_) | Self::BucketPolicy(_) => {
                String::new()
            }
            Self::SecurityGroupRule(change) => {
                let rule = change.before.as_ref().or(change.after.as_ref());
                json(&rule.map(opening))
            }
        };
        short_hash([account_id, self.operation().name(), resource, &what])
    }

    /// Of a group's rules, the one that is to be revoked, where there is one: by its id, or by what it opens.
    #[must_use]
    pub fn rule_to_revoke<'a>(&self, rules: &'a [SecurityGroupRuleValue]) -> Option<&'a SecurityGroupRuleValue> {
        let Self::SecurityGroupRule(change) = self else { return None };
        let gone = change.before.as_ref()?;
        rules.iter().find(|rule| is_rule(rule, gone))
    }

    /// Where AWS stands between before and after. A state of another kind of resource counts as moved.
    #[must_use]
    pub fn position(&self, state: &ResourceState) -> Position {
        match (self, state) {
            (Self::PasswordPolicy(change), ResourceState::PasswordPolicy(live)) => between(
                &of_policy(live.as_ref()),
                &of_policy(change.before.as_ref()),
                &of_policy(change.after.as_ref()),
            ),
            (Self::UserPolicy(change), ResourceState::User(user)) => user_position(change, user),
            (Self::SecurityGroupRule(change), ResourceState::SecurityGroup(rules)) => rule_position(change, rules),
            (Self::SecurityGroupRule(change), ResourceState::Gone) if change.after.is_none() => Position::After,
            (Self::BucketEncryption(change), ResourceState::BucketEncryption(live)) => between(
                &of_encryption(live.as_ref()),
                &of_encryption(change.before.as_ref()),
                &of_encryption(change.after.as_ref()),
            ),
            (Self::BucketPolicy(change), ResourceState::BucketPolicy(live)) => between(
                &of_document(live.as_deref()),
                &of_document(change.before.as_deref()),
                &of_document(change.after.as_deref()),
            ),
            (_, ResourceState::Gone) => Position::Moved("it does not exist any more".to_owned()),
            _ => Position::Moved("AWS showed another kind of resource".to_owned()),
        }
    }
}

/// The value as JSON, which names it: objects have their fields in one order.
fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn between<T: PartialEq>(live: &T, before: &T, after: &T) -> Position {
    if live == after {
        Position::After
    } else if live == before {
        Position::Before
    } else {
        Position::Moved("AWS shows neither the value from before nor the new one".to_owned())
    }
}

/// AWS says 0 or nothing where there is none.
fn of_policy(policy: Option<&PasswordPolicy>) -> Option<PasswordPolicy> {
    let mut policy = policy?.clone();
    policy.max_password_age = policy.max_password_age.filter(|days| *days > 0);
    policy.password_reuse_prevention = policy.password_reuse_prevention.filter(|number| *number > 0);
    Some(policy)
}

/// No configuration is AES256, which S3 then uses; `NONE` blocks nothing; the order of what is blocked has no meaning.
fn of_encryption(encryption: Option<&BucketEncryption>) -> BucketEncryption {
    let mut encryption = encryption.cloned().unwrap_or_else(|| BucketEncryption {
        algorithm: "AES256".to_owned(),
        kms_key_id: None,
        bucket_key_enabled: false,
        blocked_encryption_types: Vec::new(),
    });
    encryption.kms_key_id = encryption.kms_key_id.filter(|key| !key.is_empty());
    if !encryption.algorithm.starts_with("aws:kms") {
        encryption.bucket_key_enabled = false;
    }
    encryption.blocked_encryption_types.retain(|blocked| blocked != "NONE");
    encryption.blocked_encryption_types.sort();
    encryption.blocked_encryption_types.dedup();
    encryption
}

/// A policy in one spelling, so that what AWS wrote differently on the way is the same. A text that is no JSON is
/// compared as it is.
fn of_document(text: Option<&str>) -> Option<Value> {
    text.map(|text| serde_json::from_str(text).map_or_else(|_| Value::String(text.to_owned()), normal))
}

/// A list of one is that one; the order of a list has no meaning in a policy.
fn normal(value: Value) -> Value {
    match value {
        Value::Array(values) => {
            let mut values: Vec<Value> = values.into_iter().map(normal).collect();
            values.sort_by_cached_key(ToString::to_string);
            values.dedup();
            match <[Value; 1]>::try_from(values) {
                Ok([single]) => single,
                Err(values) => Value::Array(values),
            }
        }
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, normal(value))).collect::<Map<_, _>>())
        }
        Value::Bool(flag) => Value::String(flag.to_string()),
        Value::Number(number) => Value::String(number.to_string()),
        other => other,
    }
}

fn user_position(change: &UserPolicyChange, user: &UserState) -> Position {
    let UserState { attached, policy, facts } = user;
    if *attached == change.after {
        return Position::After;
    }
    if !change.after {
        return Position::Before;
    }
    match policy {
        None => Position::Moved(format!("{} does not exist any more", change.policy_arn)),
        Some((_, hash)) if *hash != change.policy_hash => {
            Position::Moved(format!("{} is another policy by now", change.policy_arn))
        }
        Some(_) => facts.refusal().map_or(Position::Before, |(_, why)| Position::Moved(why)),
    }
}

fn rule_position(change: &SecurityGroupRuleChange, rules: &[SecurityGroupRuleValue]) -> Position {
    match (&change.before, &change.after) {
        (Some(gone), _) => match rules.iter().find(|rule| is_rule(rule, gone)) {
            None => Position::After,
            Some(rule) if opening(rule) != opening(gone) => {
                Position::Moved("the rule opens something else by now".to_owned())
            }
            Some(_) => match change.requires.iter().find(|needed| !has(rules, needed)) {
                None => Position::Before,
                Some(_) => Position::Moved("a narrower rule that must stay is not there".to_owned()),
            },
        },
        (None, Some(new)) if has(rules, new) => Position::After,
        (None, Some(_)) => Position::Before,
        (None, None) => Position::Moved("nothing is to be changed".to_owned()),
    }
}

/// By id, where there is one; a rule that was made without a known id is told by what it opens.
fn is_rule(rule: &SecurityGroupRuleValue, wanted: &SecurityGroupRuleValue) -> bool {
    match &wanted.rule_id {
        Some(id) => rule.rule_id.as_ref() == Some(id),
        None => opening(rule) == opening(wanted),
    }
}

fn has(rules: &[SecurityGroupRuleValue], wanted: &SecurityGroupRuleValue) -> bool {
    rules.iter().any(|rule| opening(rule) == opening(wanted))
}

/// What a rule opens, without its id, description and tags.
#[must_use]
fn opening(rule: &SecurityGroupRuleValue) -> SecurityGroupRuleValue {
    let mut opening = SecurityGroupRuleValue { rule_id: None, description: None, tags: Vec::new(), ..rule.clone() };
    // Only these have ports or types: what AWS says of them for another protocol means nothing.
    let has_ports = ports::number_of(&opening.ip_protocol).is_some_and(|number| ports::WITH_PORTS.contains(&number));
    opening.from_port = opening.from_port.filter(|port| has_ports && *port != -1);
    opening.to_port = opening.to_port.filter(|port| has_ports && *port != -1);
    // One block can be written in several ways.
    let block = |text: String| text.parse::<IpNet>().map_or(text, |block| block.trunc().to_string());
    opening.cidr_ipv4 = opening.cidr_ipv4.map(block);
    opening.cidr_ipv6 = opening.cidr_ipv6.map(block);
    if let Some(group) = &mut opening.referenced_group {
        // AWS leaves the owner out, or says it, for a group of the same account.
        group.user_id = None;
    }
    opening
}
