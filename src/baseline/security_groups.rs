//! The control `securityGroups`: what is observed of rules and groups, and how they are judged. No IO.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

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
#[derive(Clone, Debug, PartialEq, Eq)]
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
}
