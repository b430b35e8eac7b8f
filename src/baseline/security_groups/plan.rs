//! From failing findings of the control to the changes that answer them, and why the others are held. No IO.
//!
//! One rule a change. Whatever of a rule is allowed stays open: such a rule is held, or it goes only after narrower
//! ones are there. What somebody else manages, what an exception covers, and what changed while it was read is left
//! alone.

mod default_group;
mod groups;
mod ingress;
mod narrow;
mod ownership;

use std::collections::{BTreeMap, BTreeSet};

use self::groups::{Group, Region};
use super::judge::Judge;
use super::{Direction, Peer, SecurityGroup, SecurityGroupRule, Snapshot};
use crate::api::{SecurityGroupRuleValue, SecurityGroupsControl};
use crate::baseline::check::Check;
use crate::baseline::finding::{Finding, Subject};
use crate::baseline::observed::{Cause, Observed};
use crate::baseline::plan::{Circumstances, ControlPlan};
use crate::baseline::remediation::HoldReason;

/// How many of a group's interfaces are kept: a record lists as many.
pub const INTERFACES_KEPT: usize = 16;

const CHANGED: &str = "it changed while it was read: the next evaluation judges it as it is then";

/// What is read beside the snapshot to plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// By region, and in each the groups in which something fails, by id. All of a region was read, or nothing.
    pub regions: BTreeMap<String, Observed<BTreeMap<String, GroupEvidence>>>,
}

/// A group in which something fails.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupEvidence {
    /// Name, tags and VPC.
    pub group: SecurityGroup,
    /// Every rule, in and out, whole.
    pub rules: Vec<SecurityGroupRuleValue>,
    /// The interfaces that it is attached to: the first [`INTERFACES_KEPT`] by id.
    pub interfaces: BTreeSet<String>,
}

/// The region and the id of the group that a finding is about.
#[must_use]
pub fn group_of(subject: &Subject) -> Option<(&str, &str)> {
    let arn = match subject.check {
        Check::DefaultSecurityGroup => &subject.resource,
        _ => subject.parent.as_ref()?,
    };
    Some((subject.region.as_deref()?, arn.rsplit_once('/')?.1))
}

/// Plans the control.
#[must_use]
pub fn plan(
    desired: &SecurityGroupsControl,
    failing: &[&Finding],
    snapshot: &Snapshot,
    evidence: &Evidence,
    circumstances: &Circumstances,
) -> ControlPlan {
    let mut plan = ControlPlan::default();
    let mut judge = Judge::new(desired);
    let mut by_group: BTreeMap<(&str, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in failing {
        by_group.entry(group_of(finding.subject()).unwrap_or_default()).or_default().push(finding);
    }
    for read in snapshot.regions.value().into_iter().flatten() {
        let failing: BTreeMap<&str, Vec<&Finding>> = by_group
            .iter()
            .filter(|((region, _), _)| *region == read.region)
            .map(|((_, group), findings)| (*group, findings.clone()))
            .collect();
        let known = match evidence.regions.get(&read.region) {
            Some(Observed::Complete { value, .. }) => value,
            Some(Observed::Unknown(cause)) => {
                failing.values().flatten().for_each(|finding| plan.hold(finding, HoldReason::NotRead, unread(cause)));
                continue;
            }
            None => continue,
        };
        let judged = judge.as_mut().map(|judge| judge.region(&snapshot.account, read)).unwrap_or_default();
        let region = Region { desired, circumstances, account: &snapshot.account, read, judged };
        for (id, findings) in failing {
            match known.get(id) {
                Some(evidence) => Group { region: &region, evidence, findings }.plan(judge.as_mut(), &mut plan),
                None => findings.iter().for_each(|finding| plan.hold(finding, HoldReason::NotRead, CHANGED)),
            }
        }
    }
    plan
}

fn unread(cause: &Cause) -> String {
    let what = cause.missing_action.clone().unwrap_or_else(|| cause.class.to_string());
    format!("what decides whether a change is safe could not be read ({what}): {}", cause.message)
}

/// Whether a rule is, read whole, the one that was judged.
fn is_same(rule: &SecurityGroupRule, value: &SecurityGroupRuleValue) -> bool {
    let port = |port: Option<i32>| port.filter(|port| *port != -1);
    value.rule_id.as_ref() == Some(&rule.id)
        && value.is_egress == (rule.direction == Direction::Egress)
        && value.ip_protocol == rule.protocol
        && (port(value.from_port), port(value.to_port)) == (port(rule.from_port), port(rule.to_port))
        && peer_of(value).as_ref() == Some(&rule.peer)
}

/// The one other side; `None` where there is not exactly one, or it is no block.
fn peer_of(value: &SecurityGroupRuleValue) -> Option<Peer> {
    let group = value.referenced_group.as_ref().map(|group| group.group_id.clone());
    match (&value.cidr_ipv4, &value.cidr_ipv6, &value.prefix_list_id, group) {
        (Some(block), None, None, None) => Some(Peer::Ipv4(block.parse::<ipnet::Ipv4Net>().ok()?.trunc())),
        (None, Some(block), None, None) => Some(Peer::Ipv6(block.parse::<ipnet::Ipv6Net>().ok()?.trunc())),
        (None, None, Some(list), None) => Some(Peer::PrefixList(list.clone())),
        (None, None, None, Some(group)) => Some(Peer::Group(group)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
