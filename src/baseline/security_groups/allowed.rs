//! From the entries of `allowedIngress` to what they allow a group together, and what of an opening lies beyond. No IO.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::api::AllowedIngress;
use crate::baseline::cidr::Sources;
use crate::baseline::ports::{Services, allowed_by_entry};
use crate::baseline::ranges::{Interval, RangeSet};

/// One entry, ready to compare. What the schema refuses (a CIDR block or a protocol that is none) allows nothing.
struct Entry {
    services: Services,
    sources: Sources,
    lists: BTreeSet<String>,
    /// `None`: the entry applies to every group.
    names: Option<Vec<String>>,
}

/// The entries of a spec, and what each combination of them that some group meets allows.
pub(super) struct Entries {
    entries: Vec<Entry>,
    combined: BTreeMap<Vec<usize>, Rc<Allowed>>,
}

/// What a group may open: disjoint stretches of services, from low to high, each with its sources.
pub(super) struct Allowed(Vec<Stretch>);

struct Stretch {
    services: Interval<u32>,
    entries: Rc<Together>,
}

/// What the entries that cover a stretch allow together.
struct Together {
    sources: Sources,
    lists: BTreeSet<String>,
}

/// A part of an opening that is not allowed: every source of it at every service of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excess {
    pub(super) services: Services,
    pub(super) sources: Sources,
}

/// A part of an opening that is allowed: every source of it at every service of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) services: Services,
    pub(super) sources: Sources,
}

impl Entries {
    pub(super) fn new(spec: &[AllowedIngress]) -> Self {
        let entries = spec
            .iter()
            .filter_map(|entry| {
                let blocks = entry.cidrs.iter().flatten().filter_map(|cidr| cidr.as_str().parse().ok());
                Some(Entry {
                    services: allowed_by_entry(entry.protocol.as_str(), entry.ports.as_deref())?,
                    sources: Sources::of_blocks(blocks),
                    lists: entry.prefix_list_ids.iter().flatten().map(ToString::to_string).collect(),
                    names: entry.group_names.as_ref().map(|names| names.iter().map(ToString::to_string).collect()),
                })
            })
            .collect();
        Self { entries, combined: BTreeMap::new() }
    }

    /// Whether what is allowed depends on a group's name.
    pub(super) fn depend_on_names(&self) -> bool {
        self.entries.iter().any(|entry| entry.names.is_some())
    }

    /// What a group of this name may open.
    pub(super) fn for_name(&mut self, name: &str) -> Rc<Allowed> {
        self.combine(|patterns| patterns.iter().any(|pattern| matches(pattern, name)))
    }

    /// What every group may open, whatever its name.
    pub(super) fn for_any_name(&mut self) -> Rc<Allowed> {
        self.combine(|_| false)
    }

    /// What a group could open at most, if its name matched everything.
    pub(super) fn for_best_name(&mut self) -> Rc<Allowed> {
        self.combine(|_| true)
    }

    fn combine(&mut self, applies: impl Fn(&[String]) -> bool) -> Rc<Allowed> {
        let applying = |entry: &Entry| entry.names.as_deref().is_none_or(&applies);
        let chosen: Vec<(usize, &Entry)> =
            self.entries.iter().enumerate().filter(|(_, entry)| applying(entry)).collect();
        let key = chosen.iter().map(|(index, _)| *index).collect();
        let combined = self.combined.entry(key);
        Rc::clone(combined.or_insert_with(|| Rc::new(Allowed::of(&chosen))))
    }
}

impl Allowed {
    fn of(entries: &[(usize, &Entry)]) -> Self {
        let mut together: BTreeMap<Vec<usize>, Rc<Together>> = BTreeMap::new();
        let stretches = elementary(entries.iter().map(|(_, entry)| &entry.services))
            .into_iter()
            .filter_map(|services| {
                let covering = || entries.iter().filter(|(_, entry)| entry.services.contains(services.from));
                let key: Vec<usize> = covering().map(|(index, _)| *index).collect();
                if key.is_empty() {
                    return None;
                }
                let entries = together.entry(key).or_insert_with(|| {
                    let sources: Vec<&Sources> = covering().map(|(_, entry)| &entry.sources).collect();
                    Rc::new(Together {
                        sources: Sources::union(sources.iter().copied()),
                        lists: covering().flat_map(|(_, entry)| entry.lists.iter().cloned()).collect(),
                    })
                });
                Some(Stretch { services, entries: Rc::clone(entries) })
            })
            .collect();
        Self(stretches)
    }

    /// What of an opening is not allowed, exactly: parts with the same sources are one, from the lowest service on.
    ///
    /// A prefix list is allowed as a whole where an entry names it, whatever it holds.
    pub(super) fn excess(&self, services: &Services, sources: &Sources, list: Option<&str>) -> Vec<Excess> {
        let mut parts: BTreeMap<Sources, Vec<Interval<u32>>> = BTreeMap::new();
        let mut add = |sources: Sources, services: &Services| {
            if !sources.is_empty() && !services.is_empty() {
                parts.entry(sources).or_default().extend_from_slice(services.intervals());
            }
        };
        let touched = self.touched(services);
        let known: Services = touched.iter().map(|stretch| stretch.services).collect();
        add(sources.clone(), &services.subtract(&known));
        for Stretch { services: Interval { from, to }, entries } in touched {
            if list.is_none_or(|id| !entries.lists.contains(id)) {
                add(sources.subtract(&entries.sources), &services.intersect(&Services::of(*from, *to)));
            }
        }
        let excess =
            parts.into_iter().map(|(sources, services)| Excess { services: services.into_iter().collect(), sources });
        let mut excess: Vec<Excess> = excess.collect();
        excess.sort_by(|a, b| a.services.cmp(&b.services));
        excess
    }

    /// What of an opening is allowed, exactly: parts with the same sources are one, and no two share a service.
    ///
    /// A prefix list is allowed as a whole where an entry names it, whatever it holds.
    pub(super) fn part(&self, services: &Services, sources: &Sources, list: Option<&str>) -> Vec<Part> {
        let mut parts: BTreeMap<Sources, Vec<Interval<u32>>> = BTreeMap::new();
        for Stretch { services: Interval { from, to }, entries } in self.touched(services) {
            let named = list.is_some_and(|id| entries.lists.contains(id));
            let sources = if named { sources.clone() } else { sources.intersect(&entries.sources) };
            let services = services.intersect(&Services::of(*from, *to));
            if !sources.is_empty() && !services.is_empty() {
                parts.entry(sources).or_default().extend_from_slice(services.intervals());
            }
        }
        let part = |(sources, services): (_, Vec<_>)| Part { services: services.into_iter().collect(), sources };
        parts.into_iter().map(part).collect()
    }

    /// The stretches between the lowest and the highest of the services.
    fn touched(&self, services: &Services) -> &[Stretch] {
        let (Some(first), Some(last)) = (services.intervals().first(), services.intervals().last()) else {
            return &[];
        };
        let start = self.0.partition_point(|stretch| stretch.services.to < first.from);
        let end = self.0.partition_point(|stretch| stretch.services.from <= last.to);
        self.0.get(start..end).unwrap_or_default()
    }
}

/// Cuts services wherever one of the sets begins or ends: within a piece, every set holds all or nothing.
pub(super) fn elementary<'a>(sets: impl Iterator<Item = &'a Services>) -> Vec<Interval<u32>> {
    // The highest service is far below the highest u32, so one above it is a number.
    let cuts: BTreeSet<u32> = sets
        .flat_map(RangeSet::intervals)
        .flat_map(|interval| [interval.from, interval.to.saturating_add(1)])
        .collect();
    cuts.iter()
        .zip(cuts.iter().skip(1))
        .map(|(from, next)| Interval { from: *from, to: next.saturating_sub(1) })
        .collect()
}

/// Whether a name matches a pattern in which `*` stands for any characters, none included. Letter case counts.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(head) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let tail = pieces.pop().unwrap_or_default();
    for piece in pieces {
        // The first place is the best one: it leaves the most for the pieces that follow.
        let Some((_, after)) = left.split_once(piece) else {
            return false;
        };
        left = after;
    }
    left.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name) in [
            ("*", ""),
            ("bastion-*", "bastion-"),
            ("bastion-*", "bastion-eu"),
            ("*-db", "a-db-db"),
            ("a*b*c", "axxbyyc"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("bastion-*", "Bastion-eu"), ("bastion", "bastion-eu"), ("a*a", "a"), ("*b*b*", "ab"), ("a?c", "abc")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    /// The definition, which takes exponential time.
    fn matches_by_definition(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|skipped| matches_by_definition(rest, &name[skipped..])),
            Some((letter, rest)) => name.first() == Some(letter) && matches_by_definition(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn matching_equals_its_definition(pattern in "[ab*]{0,8}", name in "[ab]{0,8}") {
            prop_assert_eq!(matches(&pattern, &name), matches_by_definition(pattern.as_bytes(), name.as_bytes()));
        }
    }

    #[test]
    fn what_the_schema_refuses_allows_nothing() {
        let spec: Vec<AllowedIngress> = serde_saphyr::from_str(
            "[{protocol: tcp, ports: [22], cidrs: [everywhere, 1.2.3.4]}, {protocol: ipx, cidrs: [0.0.0.0/0]}]",
        )
        .unwrap();
        let ssh = allowed_by_entry("tcp", Some(&[crate::api::PortRange::single(22)])).unwrap();
        let excess = Entries::new(&spec).for_any_name().excess(&ssh, &Sources::everywhere(), None);
        assert_eq!(excess, [Excess { services: ssh, sources: Sources::everywhere() }]);
    }
}
