//! The control `securityGroups`: what is observed of rules and groups, and how they are judged and enforced. No
//! IO.
//!
//! What has no row: rules out of a group, rules whose source is a group, and groups that another account owns.

mod allowed;
mod evaluate;
mod judge;
mod plan;
mod text;

pub use evaluate::{Needs, evaluate, needs};
pub use plan::{Evidence, GroupEvidence, INTERFACES_KEPT, group_of, plan};

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::account::AccountIdentity;
use super::observed::Observed;

/// In or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the field's own words")]
pub enum Direction {
    Ingress,
    Egress,
}

/// The other side of a rule: exactly one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// `CidrIpv4`
    Ipv4(Ipv4Net),
    /// `CidrIpv6`
    Ipv6(Ipv6Net),
    /// `PrefixListId`
    PrefixList(String),
    /// `ReferencedGroupInfo`: the id of a security group.
    Group(String),
}

/// One rule as `ec2:DescribeSecurityGroupRules` returns it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecurityGroupRule {
    /// `sgr-...`
    pub id: String,
    /// `sg-...`
    pub group_id: String,
    /// The account that owns the group.
    pub group_owner_id: String,
    /// In or out.
    pub direction: Direction,
    /// `-1`, `tcp`, `udp`, `icmp`, `icmpv6`, or a protocol number.
    pub protocol: String,
    /// The lowest port; the type for ICMP; -1 or absent for none.
    pub from_port: Option<i32>,
    /// The highest port; the code for ICMP; -1 or absent for none.
    pub to_port: Option<i32>,
    /// The other side.
    pub peer: Peer,
}

/// A group as `ec2:DescribeSecurityGroups` returns it, without its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityGroup {
    /// `sg-...`
    pub id: String,
    /// The name, `default` for a VPC's default group.
    pub name: String,
    /// The account that owns the group.
    pub owner_id: String,
    /// The VPC.
    pub vpc_id: Option<String>,
    /// Tags, as AWS returns them.
    pub tags: Vec<(String, String)>,
}

/// A prefix list with its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixList {
    /// `pl-...`
    pub id: String,
    /// The name, such as `com.amazonaws.global.cloudfront.origin-facing`.
    pub name: String,
    /// The account that owns it, or `AWS`.
    pub owner_id: String,
    /// The blocks. Empty for a list of AWS's own, whose entries are not read.
    pub cidrs: Vec<IpNet>,
    /// `MaxEntries`: as so many rules it counts, whatever it holds. `None` for a list of AWS's own.
    pub max_entries: Option<usize>,
}

/// Everything that the control is judged by.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Whose groups they are.
    pub account: AccountIdentity,
    /// The judged regions, sorted by name; unknown where AWS did not list the regions.
    pub regions: Observed<Vec<RegionSnapshot>>,
}

/// What was read of one region: the rules, and beyond them only what their verdicts depend on ([`needs`]).
#[derive(Clone, Debug, PartialEq)]
pub struct RegionSnapshot {
    /// The region's name.
    pub region: String,
    /// Every rule of the region.
    pub rules: Observed<Vec<SecurityGroupRule>>,
    /// The default groups; `None` where they are not judged.
    pub default_groups: Option<Observed<Vec<SecurityGroup>>>,
    /// Groups of which an entry with `groupNames` needs the name; `None` where no verdict depends on one.
    pub named_groups: Option<Observed<Vec<SecurityGroup>>>,
    /// The prefix lists that judged rules refer to, by id.
    pub prefix_lists: BTreeMap<String, Observed<PrefixList>>,
    /// Whether a failing group is attached to any network interface, by the group's id; `None` where nothing fails.
    pub attached: Option<Observed<BTreeMap<String, bool>>>,
}

impl RegionSnapshot {
    /// A region of which the rules alone were read.
    #[must_use]
    pub fn new(region: impl Into<String>, rules: Observed<Vec<SecurityGroupRule>>) -> Self {
        Self {
            region: region.into(),
            rules,
            default_groups: None,
            named_groups: None,
            prefix_lists: BTreeMap::new(),
            attached: None,
        }
    }
}
