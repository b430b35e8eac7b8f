//! From an action to a few words on what is replaced, and by what. No IO.
//!
//! Short, for people: the values whole are in the record, and in the JSON of a plan.

use serde_json::{Map, Value};

use crate::api::{BucketEncryption, PasswordPolicy, SecurityGroupRuleValue};
use crate::baseline::change::Action;

/// Before and after, such as `minimumPasswordLength 8` and `minimumPasswordLength 14`.
#[must_use]
pub fn before_and_after(action: &Action) -> (String, String) {
    match action {
        Action::PasswordPolicy(change) => policies(change.before.as_ref(), change.after.as_ref()),
        Action::UserPolicy(change) => {
            let policy = change.policy_arn.split_once(":policy/").map_or(change.policy_arn.as_str(), |(_, name)| name);
            let word = |attached| if attached { "attached" } else { "not attached" };
            (format!("{policy} {}", word(change.before)), format!("{policy} {}", word(change.after)))
        }
        Action::SecurityGroupRule(change) => (rule(change.before.as_ref()), rule(change.after.as_ref())),
        Action::BucketEncryption(change) => (encryption(change.before.as_ref()), encryption(change.after.as_ref())),
        Action::BucketPolicy(change) => documents(change.before.as_deref(), change.after.as_deref()),
    }
}

/// The fields that differ; all fields of a policy that comes or goes.
fn policies(before: Option<&PasswordPolicy>, after: Option<&PasswordPolicy>) -> (String, String) {
    let (before, after) = (fields(before), fields(after));
    let said = |own: &Option<Map<String, Value>>, other: &Option<Map<String, Value>>| {
        let Some(own) = own else { return "no policy of its own".to_owned() };
        let mut names: Vec<&String> = own.keys().chain(other.iter().flat_map(Map::keys)).collect();
        names.sort();
        names.dedup();
        let value =
            |fields: &Map<String, Value>, name: &str| fields.get(name).map_or("none".to_owned(), Value::to_string);
        let differs = |name: &&&String| other.as_ref().is_none_or(|other| other.get(**name) != own.get(**name));
        names.iter().filter(differs).map(|name| format!("{name} {}", value(own, name))).collect::<Vec<_>>().join(", ")
    };
    (said(&before, &after), said(&after, &before))
}

fn fields(policy: Option<&PasswordPolicy>) -> Option<Map<String, Value>> {
    match serde_json::to_value(policy?) {
        Ok(Value::Object(fields)) => Some(fields),
        Ok(_) | Err(_) => None,
    }
}

/// `tcp 22 from 0.0.0.0/0`
fn rule(rule: Option<&SecurityGroupRuleValue>) -> String {
    let Some(rule) = rule else { return "no rule".to_owned() };
    let SecurityGroupRuleValue { ip_protocol, from_port, to_port, .. } = rule;
    let (from, to) = (from_port.filter(|port| *port >= 0), to_port.filter(|port| *port >= 0));
    let what = match (ip_protocol.as_str(), from, to) {
        ("-1", _, _) => "all traffic".to_owned(),
        ("icmp" | "icmpv6", Some(kind), Some(code)) => format!("{ip_protocol} type {kind} code {code}"),
        ("icmp" | "icmpv6", Some(kind), None) => format!("{ip_protocol} type {kind}"),
        (_, Some(from), Some(to)) if from != to => format!("{ip_protocol} {from}-{to}"),
        (_, Some(port), _) | (_, None, Some(port)) => format!("{ip_protocol} {port}"),
        (_, None, None) => ip_protocol.clone(),
    };
    let peers = [&rule.cidr_ipv4, &rule.cidr_ipv6, &rule.prefix_list_id].into_iter().flatten();
    let group = rule.referenced_group.as_ref().map(|group| &group.group_id);
    let peer = peers.chain(group).map(String::as_str).next().unwrap_or("nobody");
    format!("{what} {} {peer}", if rule.is_egress { "to" } else { "from" })
}

/// `aws:kms with alias/s3-default, bucket key, blocks SSE-C`
fn encryption(encryption: Option<&BucketEncryption>) -> String {
    let Some(encryption) = encryption else { return "none of its own (AES256)".to_owned() };
    let BucketEncryption { algorithm, kms_key_id, bucket_key_enabled, blocked_encryption_types } = encryption;
    let mut parts = vec![match kms_key_id {
        Some(key) => format!("{algorithm} with {key}"),
        None => algorithm.clone(),
    }];
    parts.extend(bucket_key_enabled.then(|| "bucket key".to_owned()));
    let blocked: Vec<_> = blocked_encryption_types.iter().filter(|blocked| *blocked != "NONE").cloned().collect();
    parts.extend((!blocked.is_empty()).then(|| format!("blocks {}", blocked.join(" and "))));
    parts.join(", ")
}

/// How many statements, and which of them the other policy has not.
fn documents(before: Option<&str>, after: Option<&str>) -> (String, String) {
    let said = |own: Option<&str>, other: Option<&str>| {
        let Some(text) = own else { return "no policy".to_owned() };
        let Some(own) = statements(text) else { return format!("a policy of {} bytes", text.len()) };
        let other = other.and_then(statements).unwrap_or_default();
        let alone: Vec<_> = own.iter().filter(|statement| !other.contains(statement)).map(named).collect();
        let count = format!("{} statement{}", own.len(), if own.len() == 1 { "" } else { "s" });
        if alone.is_empty() { count } else { format!("{count}, {} only here", alone.join(" and ")) }
    };
    (said(before, after), said(after, before))
}

fn statements(text: &str) -> Option<Vec<Value>> {
    let mut policy: Value = serde_json::from_str(text).ok()?;
    Some(match policy.get_mut("Statement")?.take() {
        Value::Array(statements) => statements,
        single => vec![single],
    })
}

/// By its `Sid`, or by what it does.
fn named(statement: &Value) -> String {
    let text = |field: &str| statement.get(field).and_then(Value::as_str);
    let effect = text("Effect").unwrap_or("a statement");
    text("Sid").map_or_else(|| format!("{effect} without a Sid"), |sid| format!("{effect} {sid}"))
}

#[cfg(test)]
mod tests;
