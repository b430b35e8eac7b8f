//! From a rule that is partly allowed to the fewest rules that open exactly the allowed part of it. No IO.
//!
//! A rule of EC2 opens one stretch of services to one block. For each block that the allowed part is made of, the
//! widest stretches that are allowed to all of it are the only rules worth adding; of those, the ones that the others
//! cover are left out.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::peer_of;
use crate::api::SecurityGroupRuleValue;
use crate::baseline::cidr::Sources;
use crate::baseline::ports::{self, ICMP, ICMPV6, Services, TCP, UDP};
use crate::baseline::security_groups::allowed::{Part, elementary};
use crate::baseline::security_groups::judge::{Judge, is_aws_managed, prefix_list};
use crate::baseline::security_groups::{Peer, RegionSnapshot, SecurityGroupRule};

/// So many rules take the place of one at most.
pub(super) const MOST_RULES: usize = 16;

/// So many candidates are compared at most: more make more rules than may be added.
const MOST_CANDIDATES: usize = 1024;

/// A rule that could be added.
#[derive(Clone, Debug, PartialEq)]
struct Candidate {
    services: Services,
    block: IpNet,
    /// `None` for all of them.
    protocol: Option<u8>,
    from: u16,
    to: u16,
}

/// What of a rule `allowedIngress` allows a group of this name. A list whose entries are not known may hold any
/// address.
pub(super) fn allowed(judge: &mut Judge, rule: &SecurityGroupRule, name: &str, region: &RegionSnapshot) -> Vec<Part> {
    let services = ports::opened_by_rule(&rule.protocol, rule.from_port, rule.to_port).unwrap_or_default();
    let (sources, list) = match &rule.peer {
        Peer::Ipv4(block) => (Sources::of_v4(*block), None),
        Peer::Ipv6(block) => (Sources::of_v6(*block), None),
        Peer::Group(_) => (Sources::default(), None),
        Peer::PrefixList(id) => {
            let known = prefix_list(region, id).filter(|list| !is_aws_managed(list));
            let blocks = known.map(|list| Sources::of_blocks(list.cidrs.iter().copied()));
            (blocks.unwrap_or_else(Sources::everywhere), Some(id.as_str()))
        }
    };
    judge.entries.for_name(name).part(&services, &sources, list)
}

/// The rules that open exactly the allowed part, as rules of the same group without id, description and tags; `None`
/// where that takes more than [`MOST_RULES`].
pub(super) fn rules(allowed: &[Part], rule: &SecurityGroupRuleValue) -> Option<Vec<SecurityGroupRuleValue>> {
    let mut chosen = candidates(allowed)?;
    let whole = chosen.clone();
    let mut index = 0;
    chosen.retain(|candidate| {
        index += 1;
        !whole.iter().enumerate().any(|(other, wider)| other + 1 != index && wider.covers(candidate))
    });
    if chosen.len() > MOST_RULES * MOST_RULES {
        return None;
    }
    // From the last one on, which stands for the highest services and the smallest blocks.
    for place in (0..chosen.len()).rev() {
        let mut others = chosen.clone();
        let candidate = others.remove(place);
        if candidate.is_covered_by(&others) {
            chosen = others;
        }
    }
    (chosen.len() <= MOST_RULES).then(|| chosen.iter().map(|candidate| candidate.rule(rule)).collect())
}

/// The widest rules for each block; `None` where there are too many of either. No two are equal.
fn candidates(allowed: &[Part]) -> Option<Vec<Candidate>> {
    // So many rules end at no more than twice as many places, and these part the services.
    if allowed.len() > 2 * MOST_RULES {
        return None;
    }
    let mut blocks = BTreeSet::new();
    for part in allowed {
        let exact: Vec<IpNet> = part.sources.blocks().take(MOST_RULES + 1).collect();
        // Every service needs these alone.
        if exact.len() > MOST_RULES {
            return None;
        }
        blocks.extend(exact);
    }
    let mut candidates = Vec::new();
    for block in blocks {
        let whole = Sources::of_blocks([block]);
        let services = allowed.iter().filter(|part| part.sources.covers(&whole)).map(|part| &part.services);
        candidates.extend(Candidate::of(&Services::union(services), block));
        if candidates.len() > MOST_CANDIDATES {
            return None;
        }
    }
    candidates.sort_by(|a, b| (&a.services, a.block).cmp(&(&b.services, b.block)));
    Some(candidates)
}

impl Candidate {
    fn of(services: &Services, block: IpNet) -> Vec<Self> {
        if *services == ports::everything() {
            return vec![Self { services: services.clone(), block, protocol: None, from: 0, to: u16::MAX }];
        }
        let stretches = ports::by_protocol(services)
            .into_iter()
            .flat_map(|(protocol, held)| held.into_iter().map(move |interval| (protocol, interval.from, interval.to)));
        stretches
            .map(|(protocol, from, to)| Self {
                services: ports::ports(protocol, from, to),
                block,
                protocol: Some(protocol),
                from,
                to,
            })
            .collect()
    }

    /// The services of each are one stretch: its ends decide.
    fn covers(&self, other: &Self) -> bool {
        let ends = |services: &Services| services.intervals().iter().all(|it| self.holds(it.from) && self.holds(it.to));
        self.block.contains(&other.block) && ends(&other.services)
    }

    fn holds(&self, service: u32) -> bool {
        self.services.contains(service)
    }

    fn is_covered_by(&self, others: &[Self]) -> bool {
        let whole = Sources::of_blocks([self.block]);
        let all = others.iter().chain([self]).map(|candidate| &candidate.services);
        elementary(all).into_iter().filter(|piece| self.services.contains(piece.from)).all(|piece| {
            let open = others.iter().filter(|other| other.services.contains(piece.from));
            Sources::of_blocks(open.map(|other| other.block)).covers(&whole)
        })
    }

    /// Types of ICMP are never cut: a rule about one keeps it.
    fn rule(&self, rule: &SecurityGroupRuleValue) -> SecurityGroupRuleValue {
        let port = |port: u16| Some(i32::from(port));
        let (ip_protocol, from_port, to_port) = match self.protocol {
            None => ("-1".to_owned(), None, None),
            Some(number @ (TCP | UDP)) => (ports::ec2_name(number), port(self.from), port(self.to)),
            Some(number) if ports::number_of(&rule.ip_protocol) == Some(number) => {
                (rule.ip_protocol.clone(), rule.from_port, rule.to_port)
            }
            Some(number @ (ICMP | ICMPV6)) => (ports::ec2_name(number), Some(-1), Some(-1)),
            Some(number) => (ports::ec2_name(number), None, None),
        };
        let (cidr_ipv4, cidr_ipv6) = match self.block {
            IpNet::V4(block) => (Some(block.to_string()), None),
            IpNet::V6(block) => (None, Some(block.to_string())),
        };
        SecurityGroupRuleValue { ip_protocol, from_port, to_port, cidr_ipv4, cidr_ipv6, ..Default::default() }
    }
}

/// Whether a rule that stays opens all that the part opens.
pub(super) fn covers(kept: &SecurityGroupRuleValue, part: &SecurityGroupRuleValue) -> bool {
    let block = |rule| match peer_of(rule)? {
        Peer::Ipv4(block) => Some(IpNet::V4(block)),
        Peer::Ipv6(block) => Some(IpNet::V6(block)),
        Peer::PrefixList(_) | Peer::Group(_) => None,
    };
    let services =
        |rule: &SecurityGroupRuleValue| ports::opened_by_rule(&rule.ip_protocol, rule.from_port, rule.to_port);
    let (Some(outer), Some(inner)) = (block(kept), block(part)) else { return false };
    let (Some(wide), Some(narrow)) = (services(kept), services(part)) else { return false };
    outer.contains(&inner) && wide.covers(&narrow) && types_cover(kept, part)
}

/// The types of ICMP stand where other protocols have ports, and no set of services tells them apart.
fn types_cover(kept: &SecurityGroupRuleValue, part: &SecurityGroupRuleValue) -> bool {
    let types = |rule: &SecurityGroupRuleValue| {
        let told = |port: Option<i32>| port.filter(|port| *port != -1);
        (told(rule.from_port), told(rule.to_port))
    };
    match ports::number_of(&kept.ip_protocol) {
        Some(ICMP | ICMPV6) => types(kept) == (None, None) || types(kept) == types(part),
        _ => true,
    }
}
