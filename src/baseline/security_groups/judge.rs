//! From a region's rules and what is allowed to an outcome for each ingress rule. No IO.
//!
//! Near-linear in the number of rules: only within one group are rules compared with each other, and only where all
//! the small sources of that group together are public.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::allowed::{Allowed, Entries, Excess, elementary};
use super::{Direction, Peer, PrefixList, RegionSnapshot, SecurityGroupRule};
use crate::api::{SecurityGroupScope, SecurityGroupsControl};
use crate::baseline::account::AccountIdentity;
use crate::baseline::cidr::{PublicSpace, Sources};
use crate::baseline::ports::{Services, icmp, opened_by_rule};
use crate::baseline::ranges::{Interval, Point, RangeSet};

/// AWS's word for itself as the owner of a prefix list.
const AWS: &str = "AWS";

/// How one rule fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// ICMP, which the spec does not ask about.
    IcmpNotJudged,
    /// The source is a prefix list of AWS's own, which nobody else can widen.
    AwsManaged,
    /// Too small a source, on its own and with the others of its group.
    NotPublic,
    /// Inside `allowedIngress`.
    Allowed,
    /// Partly or wholly outside of it.
    Outside {
        /// What exactly; never empty.
        excess: Vec<Excess>,
        /// The rules that only together with this one are public.
        with: Vec<String>,
    },
    /// It depends on what was not read.
    Undecided {
        /// The prefix list's entries.
        list: bool,
        /// The group's name.
        name: bool,
    },
    /// AWS described a rule that cannot be: ports upside down, a protocol that is none.
    Senseless,
}

/// A judged rule.
pub(super) struct Judged<'a> {
    pub(super) rule: &'a SecurityGroupRule,
    /// What it opens; `None` where it makes no sense.
    pub(super) services: Option<Services>,
    pub(super) outcome: Outcome,
}

/// What the spec says, ready to compare.
pub(super) struct Judge {
    scope: SecurityGroupScope,
    icmp_judged: bool,
    space: PublicSpace,
    pub(super) entries: Entries,
    icmp: Services,
    everywhere: Sources,
}

/// From where a rule opens, as far as it was read.
enum Source {
    Blocks(Sources),
    Aws,
    Unread,
}

/// One rule of a group while the group is judged.
struct Opening<'a> {
    rule: &'a SecurityGroupRule,
    all: Option<Services>,
    source: Source,
    /// The services at which the rule is judged.
    judged: Services,
    with: BTreeSet<&'a str>,
}

impl Judge {
    /// `None` where the spec does not ask about ingress.
    pub(super) fn new(desired: &SecurityGroupsControl) -> Option<Self> {
        let allowed = desired.allowed_ingress.as_ref()?;
        Some(Self {
            scope: desired.scope,
            icmp_judged: desired.judge_icmp,
            space: PublicSpace::new(&desired.public_threshold.clone().unwrap_or_default()),
            entries: Entries::new(allowed),
            icmp: icmp(),
            everywhere: Sources::everywhere(),
        })
    }

    /// Judges the ingress rules of a region that have addresses or a prefix list as their source, in the order of
    /// groups and rules; groups of other accounts are left to their owners.
    pub(super) fn region<'a>(&mut self, account: &AccountIdentity, region: &'a RegionSnapshot) -> Vec<Judged<'a>> {
        let mut rules: Vec<&SecurityGroupRule> = region
            .rules
            .value()
            .into_iter()
            .flatten()
            .filter(|rule| rule.direction == Direction::Ingress && !matches!(rule.peer, Peer::Group(_)))
            .filter(|rule| rule.group_owner_id == account.account_id)
            .collect();
        rules.sort_unstable_by(|a, b| (&a.group_id, &a.id, a).cmp(&(&b.group_id, &b.id, b)));
        rules.dedup_by(|a, b| (&a.group_id, &a.id) == (&b.group_id, &b.id));
        let names: HashMap<&str, &str> = [&region.default_groups, &region.named_groups]
            .into_iter()
            .flatten()
            .filter_map(|groups| groups.value())
            .flatten()
            .map(|group| (group.id.as_str(), group.name.as_str()))
            .collect();
        let mut judged = Vec::with_capacity(rules.len());
        for group in rules.chunk_by(|a, b| a.group_id == b.group_id) {
            let name = group.first().and_then(|rule| names.get(rule.group_id.as_str()).copied());
            judged.extend(self.group(group, name, region));
        }
        judged
    }

    fn group<'a>(
        &mut self,
        rules: &[&'a SecurityGroupRule],
        name: Option<&str>,
        region: &'a RegionSnapshot,
    ) -> Vec<Judged<'a>> {
        let mut openings: Vec<Opening<'a>> = rules.iter().map(|rule| self.opening(rule, region)).collect();
        if self.scope == SecurityGroupScope::PublicSources {
            self.keep_public(&mut openings);
        }
        openings
            .into_iter()
            .map(|opening| {
                let outcome = self.outcome(&opening, name);
                Judged { rule: opening.rule, services: opening.all, outcome }
            })
            .collect()
    }

    fn opening<'a>(&self, rule: &'a SecurityGroupRule, region: &'a RegionSnapshot) -> Opening<'a> {
        let source = match &rule.peer {
            Peer::Ipv4(block) => Source::Blocks(Sources::of_v4(*block)),
            Peer::Ipv6(block) => Source::Blocks(Sources::of_v6(*block)),
            Peer::PrefixList(id) => match prefix_list(region, id) {
                Some(list) if list.owner_id == AWS => Source::Aws,
                Some(list) => Source::Blocks(Sources::of_blocks(list.cidrs.iter().copied())),
                None => Source::Unread,
            },
            // Filtered out before; without addresses it opens nothing.
            Peer::Group(_) => Source::Blocks(Sources::default()),
        };
        let all = opened_by_rule(&rule.protocol, rule.from_port, rule.to_port);
        let judged = all.clone().unwrap_or_default();
        let judged = if self.icmp_judged { judged } else { judged.subtract(&self.icmp) };
        Opening { rule, all, source, judged, with: BTreeSet::new() }
    }

    /// Leaves to each rule the services at which it is public: all, where it is public on its own, else those at which
    /// it is together with the other small ones. A list that was not read stays in question, and out of the union.
    fn keep_public<'a>(&self, openings: &mut [Opening<'a>]) {
        let mut small: Vec<&mut Opening<'a>> = Vec::new();
        for opening in openings {
            match &opening.source {
                Source::Blocks(sources) if !self.space.is_public(sources) => small.push(opening),
                Source::Aws => opening.judged = Services::default(),
                Source::Blocks(_) | Source::Unread => {}
            }
        }
        let parts: Vec<Sources> = small
            .iter()
            .map(|opening| match &opening.source {
                Source::Blocks(sources) => self.space.public_part(sources),
                Source::Aws | Source::Unread => Sources::default(),
            })
            .collect();
        let services: Vec<&Services> = small.iter().map(|opening| &opening.judged).collect();
        let v4 = parts.iter().map(|part| &part.v4);
        let v4 = public_together(&services, &v4.collect::<Vec<_>>(), |union| self.space.is_public_v4(union));
        let v6 = parts.iter().map(|part| &part.v6);
        let v6 = public_together(&services, &v6.collect::<Vec<_>>(), |union| self.space.is_public_v6(union));
        let ids: Vec<&'a str> = small.iter().map(|opening| opening.rule.id.as_str()).collect();
        for ((opening, (v4, with_v4)), (v6, with_v6)) in small.into_iter().zip(v4).zip(v6) {
            opening.judged = Services::union([&v4, &v6]);
            opening.with = with_v4.union(&with_v6).filter_map(|index| ids.get(*index).copied()).collect();
        }
    }

    fn outcome(&mut self, opening: &Opening<'_>, name: Option<&str>) -> Outcome {
        let Some(all) = &opening.all else {
            return Outcome::Senseless;
        };
        if !self.icmp_judged && self.icmp.covers(all) {
            return Outcome::IcmpNotJudged;
        }
        if opening.judged.is_empty() {
            return if matches!(opening.source, Source::Aws) { Outcome::AwsManaged } else { Outcome::NotPublic };
        }
        if !self.entries.depend_on_names() {
            let allowed = self.entries.for_any_name();
            return self.against(opening, &allowed);
        }
        if let Some(name) = name {
            let allowed = self.entries.for_name(name);
            return self.against(opening, &allowed);
        }
        // More allowed never fails more, so that the name matters only between the two ends.
        let allowed = self.entries.for_any_name();
        let worst = self.against(opening, &allowed);
        if worst == Outcome::Allowed {
            return worst;
        }
        let allowed: Rc<Allowed> = self.entries.for_best_name();
        let best = self.against(opening, &allowed);
        if best == worst {
            return worst;
        }
        Outcome::Undecided { list: matches!(opening.source, Source::Unread), name: true }
    }

    fn against(&self, opening: &Opening<'_>, allowed: &Allowed) -> Outcome {
        let list = match &opening.rule.peer {
            Peer::PrefixList(id) => Some(id.as_str()),
            Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::Group(_) => None,
        };
        // A list whose entries are not known could hold any address.
        let sources = match &opening.source {
            Source::Blocks(sources) => sources,
            Source::Aws | Source::Unread => &self.everywhere,
        };
        let mut excess = allowed.excess(&opening.judged, sources, list);
        if self.scope == SecurityGroupScope::PublicSources {
            // What is left of a public opening may be private or reserved, which nobody asked about.
            excess.retain(|part| !self.space.public_part(&part.sources).is_empty());
        }
        match opening.source {
            _ if excess.is_empty() => Outcome::Allowed,
            Source::Unread => Outcome::Undecided { list: true, name: false },
            Source::Blocks(_) | Source::Aws => {
                Outcome::Outside { excess, with: opening.with.iter().map(|id| (*id).to_owned()).collect() }
            }
        }
    }
}

/// A prefix list, where it was read.
pub(super) fn prefix_list<'a>(region: &'a RegionSnapshot, id: &str) -> Option<&'a PrefixList> {
    region.prefix_lists.get(id)?.value()
}

/// Whether a prefix list is AWS's own.
pub(super) fn is_aws_managed(list: &PrefixList) -> bool {
    list.owner_id == AWS
}

/// For each rule the services at which it makes up a public union, and the others that make it up with it. Rules
/// without a public address of the family take no part.
fn public_together<T: Point>(
    services: &[&Services],
    parts: &[&RangeSet<T>],
    is_public: impl Fn(&RangeSet<T>) -> bool,
) -> Vec<(Services, BTreeSet<usize>)> {
    let mut together: Vec<(Services, BTreeSet<usize>)> = vec![Default::default(); services.len()];
    // What all of them open together bounds every union of some: nearly always this answers.
    if !is_public(&RangeSet::union(parts.iter().copied())) {
        return together;
    }
    let members: Vec<(usize, &Services, &RangeSet<T>)> = services
        .iter()
        .zip(parts)
        .enumerate()
        .filter(|(_, (_, part))| !part.is_empty())
        .map(|(index, (services, part))| (index, *services, *part))
        .collect();
    let mut found: Vec<Vec<Interval<u32>>> = vec![Vec::new(); services.len()];
    for piece in elementary(members.iter().map(|(_, services, _)| *services)) {
        let open: Vec<_> = members.iter().filter(|(_, services, _)| services.contains(piece.from)).collect();
        if is_public(&RangeSet::union(open.iter().map(|(_, _, part)| *part))) {
            for (index, _, _) in open {
                found.get_mut(*index).into_iter().for_each(|pieces| pieces.push(piece));
            }
        }
    }
    let found: Vec<(usize, Services)> =
        found.into_iter().map(|pieces| pieces.into_iter().collect::<Services>()).enumerate().collect();
    for ((index, services), slot) in found.iter().zip(&mut together) {
        let shares = |other: &Services| !services.intersect(other).is_empty();
        slot.1 = found.iter().filter(|(other, set)| other != index && shares(set)).map(|(other, _)| *other).collect();
        slot.0.clone_from(services);
    }
    together
}
