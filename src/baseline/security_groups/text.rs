//! From outcomes to the sentences of findings, each bounded whatever a rule holds. No IO.

use super::allowed::{Excess, Part};
use super::judge::{Judged, is_aws_managed, prefix_list};
use super::{Peer, RegionSnapshot, SecurityGroupRule};
use crate::api::SecurityGroupRuleValue;
use crate::baseline::ports;

/// How many parts of an excess, or rules, a text lists before it counts the rest.
const SHOWN: usize = 3;

/// What a rule opens and from where: `tcp 20-25 from 0.0.0.0/0`.
pub(super) fn opening(judged: &Judged<'_>, region: &RegionSnapshot) -> String {
    let rule = judged.rule;
    let services = judged.services.as_ref().map_or_else(|| senseless(rule), ports::describe);
    let source = match &rule.peer {
        Peer::Ipv4(block) => block.to_string(),
        Peer::Ipv6(block) => block.to_string(),
        Peer::PrefixList(id) => named_list(id, region),
        Peer::Group(id) => id.clone(),
    };
    format!("{services} from {source}")
}

/// What is not allowed, and with whose help: `tcp 20-21, 23-25 from 0.0.0.0/0 is not allowed`.
pub(super) fn outside(rule: &SecurityGroupRule, excess: &[Excess], with: &[String], region: &RegionSnapshot) -> String {
    let list = match &rule.peer {
        Peer::PrefixList(id) => Some(id.as_str()),
        Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::Group(_) => None,
    };
    let unread = list.and_then(|id| prefix_list(region, id)).is_some_and(is_aws_managed);
    let parts = excess.iter().map(|part| {
        let source = match list {
            Some(id) if unread => named_list(id, region),
            Some(id) => format!("{} ({})", part.sources.describe(), named_list(id, region)),
            None => part.sources.describe(),
        };
        format!("{} from {source}", ports::describe(&part.services))
    });
    let mut text = format!("{} is not allowed", listed(parts, ", and "));
    if !with.is_empty() {
        text.push_str(": public together with ");
        text.push_str(&listed(with.iter().cloned(), ", "));
    }
    text
}

/// What AWS described and cannot be.
pub(super) fn senseless(rule: &SecurityGroupRule) -> String {
    let port = |port: Option<i32>| port.map_or_else(|| "none".to_owned(), |port| port.to_string());
    format!("protocol {} ports {} to {}", rule.protocol, port(rule.from_port), port(rule.to_port))
}

fn named_list(id: &str, region: &RegionSnapshot) -> String {
    match prefix_list(region, id) {
        Some(list) if !list.name.is_empty() => format!("prefix list {id} {}", list.name),
        _ => format!("prefix list {id}"),
    }
}

/// What a rule opens, as AWS shows it whole: `tcp 20-25 from 0.0.0.0/0`, or `to` a peer where it lets traffic out.
pub(super) fn value(rule: &SecurityGroupRuleValue) -> String {
    let services = ports::opened_by_rule(&rule.ip_protocol, rule.from_port, rule.to_port);
    let services = services.as_ref().map_or_else(|| rule.ip_protocol.clone(), ports::describe);
    let group = rule.referenced_group.as_ref().map(|group| &group.group_id);
    let peers = [rule.cidr_ipv4.as_ref(), rule.cidr_ipv6.as_ref(), rule.prefix_list_id.as_ref(), group];
    let peer = peers.into_iter().flatten().next().map_or("nowhere", String::as_str);
    format!("{services} {} {peer}", if rule.is_egress { "to" } else { "from" })
}

/// What rules open.
pub(super) fn values(rules: &[SecurityGroupRuleValue]) -> String {
    listed(rules.iter().map(value), ", ")
}

/// What of a rule is allowed: `tcp 80, 443 from 0.0.0.0/0`.
pub(super) fn allowed(parts: &[Part]) -> String {
    let part = |part: &Part| format!("{} from {}", ports::describe(&part.services), part.sources.describe());
    listed(parts.iter().map(part), ", and ")
}

fn listed(parts: impl ExactSizeIterator<Item = String>, between: &str) -> String {
    let more = parts.len().saturating_sub(SHOWN);
    let shown: Vec<String> = parts.take(SHOWN).collect();
    let shown = shown.join(between);
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
