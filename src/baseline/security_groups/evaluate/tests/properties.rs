//! Properties over a universe small enough to be counted: twenty-eight addresses, some ports and protocols.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use proptest::prelude::*;

use super::{account, group, list, seen};
use crate::api::{AllowedIngress, PortRange, PublicThreshold, SecurityGroupScope, SecurityGroupsControl};
use crate::baseline::cidr::Sources;
use crate::baseline::ports;
use crate::baseline::security_groups::judge::{Judge, Outcome};
use crate::baseline::security_groups::{Direction, Peer, RegionSnapshot, SecurityGroupRule, Snapshot, evaluate, needs};
use crate::baseline::{Finding, Verdict};

pub(in crate::baseline::security_groups) const LIST: &str = "pl-00000001";
pub(in crate::baseline::security_groups) const LIST_BLOCKS: [&str; 2] = ["52.0.0.0/31", "52.0.0.12/30"];

/// Protocol and port.
pub(in crate::baseline::security_groups) type Service = (u8, u16);

/// Those in which rules and entries can differ, and some in which they cannot.
pub(in crate::baseline::security_groups) fn services() -> Vec<Service> {
    let ported = [6, 17].into_iter().flat_map(|protocol| (0..9).chain([40000]).map(move |port| (protocol, port)));
    ported.chain([(1, 0), (58, 0), (47, 0), (99, 0)]).collect()
}

pub(in crate::baseline::security_groups) fn addresses() -> Vec<IpAddr> {
    let blocks: [IpNet; 3] = ["52.0.0.0/28", "10.0.0.0/30", "2a00::/125"].map(|block| block.parse::<IpNet>().unwrap());
    let all = |block: IpNet| {
        let count = 1u32 << (block.max_prefix_len() - block.prefix_len());
        (0..count).map(move |n| match block.network() {
            IpAddr::V4(first) => IpAddr::V4((first.to_bits() + n).into()),
            IpAddr::V6(first) => IpAddr::V6((first.to_bits() + u128::from(n)).into()),
        })
    };
    blocks.into_iter().flat_map(all).collect()
}

fn is_public_address(address: &IpAddr) -> bool {
    !matches!(address, IpAddr::V4(v4) if v4.is_private())
}

/// Four IPv4 addresses, or two of IPv6, are the public here.
fn is_public(addresses: &BTreeSet<IpAddr>) -> bool {
    let public = |v4: bool| addresses.iter().filter(|a| a.is_ipv4() == v4 && is_public_address(a)).count();
    public(true) >= 4 || public(false) >= 2
}

fn blocks() -> impl Strategy<Value = IpNet> {
    let block = |(base, length): (&str, u8)| format!("{base}/{length}").parse::<IpNet>().unwrap().trunc();
    prop_oneof![
        // Mostly small ones, which matter only together.
        5 => (0..16u8, prop_oneof![1 => 28..=30u8, 4 => 31..=32u8])
            .prop_map(move |(last, length)| block((&format!("52.0.0.{last}"), length))),
        1 => (0..4u8, 30..=32u8).prop_map(move |(last, length)| block((&format!("10.0.0.{last}"), length))),
        2 => (0..8u8, prop_oneof![1 => 125..=127u8, 4 => Just(128u8)])
            .prop_map(move |(last, length)| block((&format!("2a00::{last}"), length))),
    ]
}

pub(in crate::baseline::security_groups) fn any_rules() -> impl Strategy<Value = Vec<SecurityGroupRule>> {
    let protocol =
        prop_oneof![12 => Just("tcp"), 2 => Just("udp"), 1 => Just("-1"), 1 => Just("icmp"), 1 => Just("47")];
    let peer = prop_oneof![
        8 => blocks().prop_map(|block| match block {
            IpNet::V4(block) => Peer::Ipv4(block),
            IpNet::V6(block) => Peer::Ipv6(block),
        }),
        1 => Just(Peer::PrefixList(LIST.to_owned())),
    ];
    let rule = (prop_oneof![4 => Just("sg-a"), 1 => Just("sg-b")], protocol, 0..8u8, 0..8u8, peer);
    prop::collection::vec(rule, 0..12).prop_map(|rules| {
        let numbered = rules.into_iter().enumerate();
        numbered
            .map(|(index, (group, protocol, a, b, peer))| SecurityGroupRule {
                id: format!("sgr-{index}"),
                group_id: group.to_owned(),
                group_owner_id: "222222222222".to_owned(),
                direction: Direction::Ingress,
                protocol: protocol.to_owned(),
                from_port: Some(i32::from(a.min(b))),
                to_port: Some(i32::from(a.max(b))),
                peer,
            })
            .collect()
    })
}

fn any_entries() -> impl Strategy<Value = Vec<AllowedIngress>> {
    let protocol =
        prop_oneof![6 => Just("tcp"), 2 => Just("udp"), 1 => Just("all"), 1 => Just("icmp"), 1 => Just("gre")];
    let range = (0..8u16, 0..8u16).prop_map(|(a, b)| PortRange { from: a.min(b), to: a.max(b) });
    let names = prop::option::weighted(0.3, prop_oneof![Just("a"), Just("*b"), Just("*"), Just("A")]);
    let entry =
        (protocol, prop::collection::vec(range, 1..3), prop::collection::vec(blocks(), 0..4), any::<bool>(), names);
    let entry = entry.prop_map(|(protocol, ports, cidrs, lists, names)| AllowedIngress {
        protocol: protocol.into(),
        ports: matches!(protocol, "tcp" | "udp").then_some(ports),
        cidrs: Some(cidrs.iter().map(|block| block.to_string().as_str().into()).collect()),
        prefix_list_ids: lists.then(|| vec![LIST.into()]),
        group_names: names.map(|name| vec![name.into()]),
    });
    prop::collection::vec(entry, 0..5)
}

pub(in crate::baseline::security_groups) fn any_desired() -> impl Strategy<Value = SecurityGroupsControl> {
    (any::<bool>(), any::<bool>(), any_entries()).prop_map(|(all, judge_icmp, entries)| SecurityGroupsControl {
        scope: if all { SecurityGroupScope::AllSources } else { SecurityGroupScope::PublicSources },
        allowed_ingress: Some(entries),
        judge_icmp,
        public_threshold: Some(PublicThreshold { ipv4_prefix_length: 30, ipv6_prefix_length: 127 }),
        require_empty_default_group: false,
        ..SecurityGroupsControl::default()
    })
}

pub(in crate::baseline::security_groups) fn region(rules: Vec<SecurityGroupRule>) -> RegionSnapshot {
    let mut region = RegionSnapshot::new("eu-west-1", seen(rules));
    region.prefix_lists.insert(LIST.to_owned(), seen(list(LIST, "222222222222", &LIST_BLOCKS)));
    region.named_groups = Some(seen(vec![group("sg-a", "a"), group("sg-b", "bb")]));
    region
}

pub(in crate::baseline::security_groups) fn findings(
    desired: &SecurityGroupsControl,
    region: RegionSnapshot,
) -> Vec<Finding> {
    evaluate(desired, &Snapshot { account: account(), regions: seen(vec![region]) })
}

fn failing(findings: &[Finding]) -> BTreeSet<String> {
    let fails = findings.iter().filter(|finding| finding.verdict() == Verdict::Fail);
    fails.map(|finding| finding.subject().resource.clone()).collect()
}

fn failing_groups(findings: &[Finding]) -> BTreeSet<Option<String>> {
    let fails = findings.iter().filter(|finding| finding.verdict() == Verdict::Fail);
    fails.map(|finding| finding.subject().parent.clone()).collect()
}

/// Half of the addresses, or of the ports where there is one address.
fn narrower(rule: SecurityGroupRule) -> SecurityGroupRule {
    let peer = match rule.peer.clone() {
        Peer::Ipv4(block) => block.subnets(block.prefix_len() + 1).ok().and_then(|mut it| it.next()).map(Peer::Ipv4),
        Peer::Ipv6(block) => block.subnets(block.prefix_len() + 1).ok().and_then(|mut it| it.next()).map(Peer::Ipv6),
        Peer::PrefixList(_) | Peer::Group(_) => None,
    };
    match peer {
        Some(peer) => SecurityGroupRule { peer, ..rule },
        None => SecurityGroupRule { to_port: rule.from_port, ..rule },
    }
}

/// The definition, by counting.
pub(in crate::baseline::security_groups) struct BruteForce<'a> {
    pub(in crate::baseline::security_groups) desired: &'a SecurityGroupsControl,
    pub(in crate::baseline::security_groups) rules: &'a [SecurityGroupRule],
}

impl BruteForce<'_> {
    pub(in crate::baseline::security_groups) fn sources(rule: &SecurityGroupRule) -> BTreeSet<IpAddr> {
        let blocks: Vec<IpNet> = match &rule.peer {
            Peer::Ipv4(block) => vec![IpNet::V4(*block)],
            Peer::Ipv6(block) => vec![IpNet::V6(*block)],
            Peer::PrefixList(_) => LIST_BLOCKS.iter().map(|block| block.parse().unwrap()).collect(),
            Peer::Group(_) => Vec::new(),
        };
        addresses().into_iter().filter(|address| blocks.iter().any(|block| block.contains(address))).collect()
    }

    pub(in crate::baseline::security_groups) fn opens(rule: &SecurityGroupRule, (protocol, port): Service) -> bool {
        match (rule.protocol.as_str(), protocol) {
            ("-1", _) | ("icmp", 1) | ("47", 47) => true,
            ("tcp", 6) | ("udp", 17) => {
                rule.from_port <= Some(i32::from(port)) && Some(i32::from(port)) <= rule.to_port
            }
            _ => false,
        }
    }

    fn is_judged(&self, rule: &SecurityGroupRule, service: Service) -> bool {
        if !Self::opens(rule, service) || (matches!(service.0, 1 | 58) && !self.desired.judge_icmp) {
            return false;
        }
        let own = Self::sources(rule);
        if self.desired.scope == SecurityGroupScope::AllSources || is_public(&own) {
            return true;
        }
        let rest = self.rules.iter().filter(|other| other.group_id == rule.group_id && Self::opens(other, service));
        let union = rest.map(Self::sources).filter(|sources| !is_public(sources)).flatten().collect();
        // The rule makes up a union only of a family in which it has a public address itself.
        [true, false].into_iter().any(|v4| {
            let family = |set: &BTreeSet<IpAddr>| set.iter().filter(|a| a.is_ipv4() == v4).copied().collect();
            is_public(&family(&union)) && family(&own).iter().any(is_public_address)
        })
    }

    pub(in crate::baseline::security_groups) fn is_allowed(
        &self,
        rule: &SecurityGroupRule,
        service: Service,
        address: IpAddr,
    ) -> bool {
        self.desired.allowed_ingress.iter().flatten().any(|entry| {
            let covers_service = match (entry.protocol.as_str(), service.0) {
                ("all", _) | ("icmp", 1) | ("gre", 47) => true,
                ("tcp", 6) | ("udp", 17) => {
                    entry.ports.iter().flatten().any(|range| (range.from..=range.to).contains(&service.1))
                }
                _ => false,
            };
            let covers_source = (rule.peer == Peer::PrefixList(LIST.to_owned()) && entry.prefix_list_ids.is_some())
                || entry.cidrs.iter().flatten().any(|cidr| cidr.as_str().parse::<IpNet>().unwrap().contains(&address));
            let covers_name = entry.group_names.iter().flatten().all(|pattern| match pattern.as_str() {
                "a" => rule.group_id == "sg-a",
                "*b" => rule.group_id == "sg-b",
                pattern => pattern == "*",
            });
            covers_service && covers_source && covers_name
        })
    }

    fn excess(&self, rule: &SecurityGroupRule) -> BTreeSet<(Service, IpAddr)> {
        let judged = services().into_iter().filter(|service| self.is_judged(rule, *service));
        judged
            .flat_map(|service| {
                let outside = |address: &IpAddr| !self.is_allowed(rule, service, *address);
                let excess: Vec<IpAddr> = Self::sources(rule).into_iter().filter(outside).collect();
                let counts =
                    self.desired.scope == SecurityGroupScope::AllSources || excess.iter().any(is_public_address);
                excess.into_iter().filter(move |_| counts).map(move |address| (service, address))
            })
            .collect()
    }
}

fn excess_of(outcome: &Outcome) -> BTreeSet<(Service, IpAddr)> {
    let Outcome::Outside { excess, .. } = outcome else {
        return BTreeSet::new();
    };
    let mut points = BTreeSet::new();
    for part in excess {
        for service in services() {
            if part.services.covers(&ports::ports(service.0, service.1, service.1)) {
                let held =
                    |address: &IpAddr| Sources::of_blocks([IpNet::from(*address)]).subtract(&part.sources).is_empty();
                points.extend(addresses().into_iter().filter(held).map(|address| (service, address)));
            }
        }
    }
    points
}

proptest! {
    #[test]
    fn the_excess_equals_brute_force(desired in any_desired(), rules in any_rules()) {
        let region = region(rules.clone());
        let judged = Judge::new(&desired).unwrap().region(&account(), &region);
        prop_assert_eq!(judged.len(), rules.len());
        for judged in judged {
            let expected = BruteForce { desired: &desired, rules: &rules }.excess(judged.rule);
            let fails = matches!(judged.outcome, Outcome::Outside { .. });
            prop_assert_eq!(fails, !expected.is_empty(), "{:?} {:?}", judged.rule, judged.outcome);
            prop_assert_eq!(excess_of(&judged.outcome), expected, "{:?}", judged.rule);
        }
    }

    #[test]
    fn more_allowed_never_fails_more(desired in any_desired(), more in any_entries(), rules in any_rules()) {
        let before = failing(&findings(&desired, region(rules.clone())));
        let mut looser = desired.clone();
        looser.allowed_ingress.get_or_insert_default().extend(more);
        prop_assert!(failing(&findings(&looser, region(rules))).is_subset(&before));
    }

    #[test]
    fn a_rule_less_never_fails_more(desired in any_desired(), rules in any_rules(), gone in 0..12_usize) {
        let mut fewer = rules.clone();
        if gone < fewer.len() {
            fewer.remove(gone);
        }
        let before = failing(&findings(&desired, region(rules)));
        prop_assert!(failing(&findings(&desired, region(fewer))).is_subset(&before));
    }

    /// Of a rule that was public on its own and is made a little smaller, the rest may have to be taken together with
    /// others: then these fail in its stead. So the property is one of the group, not of the rule.
    #[test]
    fn a_group_with_narrower_rules_never_begins_to_fail(
        desired in any_desired(),
        rules in any_rules(),
        cut in any::<[bool; 12]>(),
    ) {
        let narrowed = rules.iter().cloned().zip(cut).map(|(rule, cut)| if cut { narrower(rule) } else { rule });
        let before = failing_groups(&findings(&desired, region(rules.clone())));
        let after = failing_groups(&findings(&desired, region(narrowed.collect())));
        prop_assert!(after.is_subset(&before), "{before:?} {after:?}");
    }

    #[test]
    fn a_stricter_spec_never_fails_less(desired in any_desired(), rules in any_rules(), thresholds: (bool, bool)) {
        let weak = findings(&desired, region(rules.clone()));
        let all = SecurityGroupsControl { scope: SecurityGroupScope::AllSources, ..desired.clone() };
        let icmp = SecurityGroupsControl { judge_icmp: true, ..desired.clone() };
        for stricter in [all, icmp] {
            let strict = failing(&findings(&stricter, region(rules.clone())));
            prop_assert!(failing(&weak).is_subset(&strict), "{stricter:?}");
        }
        // A rule that becomes public on its own leaves the union to the others: again a property of the group.
        let mut lower = desired.clone();
        let threshold = lower.public_threshold.get_or_insert_default();
        threshold.ipv4_prefix_length += i32::from(thresholds.0);
        threshold.ipv6_prefix_length += i32::from(thresholds.1);
        let strict = failing_groups(&findings(&lower, region(rules)));
        prop_assert!(failing_groups(&weak).is_subset(&strict), "{lower:?}");
    }

    #[test]
    fn the_order_of_rules_and_entries_never_matters(
        desired in any_desired(),
        (rules, shuffled) in any_rules().prop_flat_map(|rules| (Just(rules.clone()), Just(rules).prop_shuffle())),
    ) {
        let mut reversed = desired.clone();
        reversed.allowed_ingress.iter_mut().for_each(|entries| entries.reverse());
        prop_assert_eq!(findings(&desired, region(rules)), findings(&reversed, region(shuffled)));
    }

    #[test]
    fn what_needs_names_is_enough_to_judge_to_the_end(desired in any_desired(), rules in any_rules()) {
        let full = region(rules.clone());
        let mut read = RegionSnapshot::new("eu-west-1", seen(rules));
        for id in needs(&desired, &account(), &read).prefix_lists {
            let list = full.prefix_lists[&id].clone();
            read.prefix_lists.insert(id, list);
        }
        let names = needs(&desired, &account(), &read).names;
        let all = full.named_groups.clone().unwrap();
        let wanted = |groups: Vec<super::SecurityGroup>| groups.into_iter().filter(|group| names.contains(&group.id));
        read.named_groups = Some(all.map(|groups| wanted(groups).collect()));
        let (read, full) = (findings(&desired, read), findings(&desired, full));
        let verdicts = |findings: &[Finding]| findings.iter().map(Finding::verdict).collect::<Vec<_>>();
        prop_assert_eq!(verdicts(&read), verdicts(&full));
    }

    #[test]
    fn no_input_panics(
        words in prop::collection::vec(
            ("(-1|tcp|udp|icmp|[0-9]{1,4}|.{0,4})", any::<Option<i32>>(), any::<Option<i32>>()),
            0..6,
        ),
        peers in prop::collection::vec((any::<u32>(), 0..=32u8, any::<u128>(), 0..=128u8, 0..4), 6),
        entries in prop::collection::vec((".{0,5}", any::<Option<(u16, u16)>>(), ".{0,12}", ".{0,5}"), 0..4),
        thresholds: (i32, i32),
        all: bool,
    ) {
        let rules = words.into_iter().zip(peers).enumerate().map(|(index, ((protocol, from, to), peer))| {
            let (v4, length4, v6, length6, kind) = peer;
            SecurityGroupRule {
                id: index.to_string(),
                group_id: String::new(),
                group_owner_id: "222222222222".to_owned(),
                direction: Direction::Ingress,
                protocol,
                from_port: from,
                to_port: to,
                peer: match kind {
                    0 => Peer::Ipv4(ipnet::Ipv4Net::new(v4.into(), length4).unwrap()),
                    1 => Peer::Ipv6(ipnet::Ipv6Net::new(v6.into(), length6).unwrap()),
                    2 => Peer::PrefixList(LIST.to_owned()),
                    _ => Peer::PrefixList(String::new()),
                },
            }
        });
        let entry = |(protocol, range, source, name): (String, Option<(u16, u16)>, String, String)| AllowedIngress {
            protocol: protocol.as_str().into(),
            ports: range.map(|(from, to)| vec![PortRange { from, to }]),
            cidrs: Some(vec![source.as_str().into()]),
            prefix_list_ids: Some(vec![source.as_str().into()]),
            group_names: Some(vec![name.as_str().into()]),
        };
        let desired = SecurityGroupsControl {
            scope: if all { SecurityGroupScope::AllSources } else { SecurityGroupScope::PublicSources },
            allowed_ingress: Some(entries.into_iter().map(entry).collect()),
            judge_icmp: true,
            public_threshold: Some(PublicThreshold {
                ipv4_prefix_length: thresholds.0,
                ipv6_prefix_length: thresholds.1,
            }),
            require_empty_default_group: true,
            ..SecurityGroupsControl::default()
        };
        let rules: Vec<SecurityGroupRule> = rules.collect();
        let count = rules.len();
        let found = findings(&desired, region(rules));
        prop_assert_eq!(found.len(), count, "every judged rule has a row");
        prop_assert!(found.iter().all(|finding| finding.message().len() < 2000));
    }
}
