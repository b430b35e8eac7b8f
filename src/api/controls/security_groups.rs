//! The control `securityGroups`: what may be open, and how far it may be closed. Data only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::names::{Cidr, GroupNamePattern, PrefixListId, Protocol};
use crate::api::ports::PortRange;
use crate::api::resource::Mode;

/// Which ingress rules security groups may have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.enforceDefaultGroup) || self.enforceDefaultGroup == 'None' || \
              (has(self.requireEmptyDefaultGroup) && self.requireEmptyDefaultGroup)",
     "message": "enforceDefaultGroup empties what requireEmptyDefaultGroup asks to be empty: set \
                 requireEmptyDefaultGroup: true too, or remove enforceDefaultGroup"},
    {"rule": "!has(self.narrow) || !self.narrow || has(self.allowedIngress)",
     "message": "narrow replaces rules by what allowedIngress allows of them: set allowedIngress too, or remove \
                 narrow"},
]))]
pub struct SecurityGroupsControl {
    /// What is done about this control's drift: `Audit` or `Enforce`. It can only lower the baseline's own mode.
    /// Omitted: the baseline's mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Which rules are judged: `PublicSources` (default) only what is open to the public, `AllSources` every rule with
    /// a CIDR block or prefix list as its source.
    #[serde(default)]
    pub scope: SecurityGroupScope,
    /// What may be open. Omitted: ingress is not judged; an empty list: nothing may be open. A judged rule passes if
    /// it lies inside the union of the entries that apply to its group.
    /// Example: `[{protocol: tcp, ports: [443], cidrs: ["0.0.0.0/0", "::/0"]}]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic", "x-kubernetes-validations" = [
        {"rule": "self.all(a, self.exists_one(b, a == b))", "message": "lists the same entry twice: remove one"},
    ]))]
    pub allowed_ingress: Option<Vec<AllowedIngress>>,
    /// True judges ICMP and ICMPv6 too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub judge_icmp: bool,
    /// From which size on a source counts as public, as prefix lengths in bits. Omitted: /8 for IPv4, /32 for IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_threshold: Option<PublicThreshold>,
    /// True demands that each VPC's default security group has no rule, in or out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_empty_default_group: bool,
    /// True lets `Enforce` replace a rule that is partly allowed by narrower ones: what is allowed is added first, then
    /// the rule is revoked. False: such a rule is left alone, since to revoke it would close what is allowed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub narrow: bool,
    /// Which default groups `Enforce` empties: `None` (default) no one, `Unattached` those that are attached to
    /// nothing now, `InUseToo` all. Launch templates, groups scaled to zero and idle functions have no interface now.
    #[serde(default, skip_serializing_if = "DefaultGroupEnforcement::is_none")]
    pub enforce_default_group: DefaultGroupEnforcement,
}

/// Which default groups are emptied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum DefaultGroupEnforcement {
    #[default]
    #[expect(missing_docs, reason = "documented on the field")]
    None,
    #[expect(missing_docs, reason = "documented on the field")]
    Unattached,
    #[expect(missing_docs, reason = "documented on the field")]
    InUseToo,
}

impl DefaultGroupEnforcement {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// Which sources are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum SecurityGroupScope {
    #[default]
    #[expect(missing_docs, reason = "documented on the field")]
    PublicSources,
    #[expect(missing_docs, reason = "documented on the field")]
    AllSources,
}

/// One opening that is allowed: a protocol, ports, and from where, for all groups or for those of a name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline, extend("x-kubernetes-validations" = [
    {"rule": "self.protocol in ['tcp','udp'] ? has(self.ports) : !has(self.ports)",
     "message": "ports are required for tcp and udp, and do not exist for other protocols: add ports, such as 443 or \
                 0-65535, or remove them"},
    {"rule": "has(self.cidrs) || has(self.prefixListIds)",
     "message": "name the allowed sources: cidrs, prefixListIds, or both"},
    {"rule": "self.protocol != 'icmp' || !has(self.cidrs) || \
              self.cidrs.all(c, !isCIDR(c) || cidr(c).ip().family() == 4)",
     "message": "icmp is IPv4: use icmpv6 for IPv6 blocks"},
    {"rule": "self.protocol != 'icmpv6' || !has(self.cidrs) || \
              self.cidrs.all(c, !isCIDR(c) || cidr(c).ip().family() == 6)",
     "message": "icmpv6 is IPv6: use icmp for IPv4 blocks"},
]))]
pub struct AllowedIngress {
    /// `tcp`, `udp`, `icmp`, `icmpv6`, `gre`, `esp`, `ah`, `sctp`, `all`, or an IANA protocol number as a string.
    /// Examples: `tcp`, `"112"`.
    pub protocol: Protocol,
    /// Ports as numbers and ranges, for tcp and udp only. Example: `[22, 8000-8080]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "set"))]
    pub ports: Option<Vec<PortRange>>,
    /// Allowed sources as CIDR blocks. Example: `["0.0.0.0/0", "::/0"]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub cidrs: Option<Vec<Cidr>>,
    /// Allowed sources as prefix lists, by id. Example: `[pl-0a1b2c3d]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "set"))]
    pub prefix_list_ids: Option<Vec<PrefixListId>>,
    /// The entry applies only to security groups whose name matches one of these; `*` stands for any characters.
    /// Omitted: to all groups. Example: `["bastion-*"]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "set"))]
    pub group_names: Option<Vec<GroupNamePattern>>,
}

/// From which size on a source counts as public: a source that opens at least as many public addresses as a block of
/// this prefix length holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PublicThreshold {
    /// The prefix length for IPv4 in bits, 0 to 32. Default: 8, which is 16.7 million addresses. Example: `16`.
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self >= 0 && self <= 32", "message": "ipv4PrefixLength must be 0 to 32 bits"},
    ]))]
    pub ipv4_prefix_length: i32,
    /// The prefix length for IPv6 in bits, 0 to 128. Default: 32. Example: `48`.
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self >= 0 && self <= 128", "message": "ipv6PrefixLength must be 0 to 128 bits"},
    ]))]
    pub ipv6_prefix_length: i32,
}

impl Default for PublicThreshold {
    fn default() -> Self {
        Self { ipv4_prefix_length: 8, ipv6_prefix_length: 32 }
    }
}
