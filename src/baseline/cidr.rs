//! From where a rule opens: sets of IPv4 and IPv6 addresses, and how much of them is public. No IO.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv4Subnets, Ipv6Net, Ipv6Subnets};

use super::ranges::RangeSet;
use crate::api::PublicThreshold;

/// IPv4 ranges that are private or reserved, so that nobody on the internet has one.
/// <https://www.iana.org/assignments/iana-ipv4-special-registry/iana-ipv4-special-registry.xhtml>, and for 224.0.0.0/4
/// <https://www.iana.org/assignments/ipv4-address-space/ipv4-address-space.xhtml>
const RESERVED_V4: [Ipv4Net; 14] = [
    Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 8),
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10),
    Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 0, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 2, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15),
    Ipv4Net::new_assert(Ipv4Addr::new(198, 51, 100, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(203, 0, 113, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4),
    Ipv4Net::new_assert(Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The only IPv6 block that IANA gives out as global unicast.
/// <https://www.iana.org/assignments/ipv6-unicast-address-assignments/ipv6-unicast-address-assignments.xhtml>
const GLOBAL_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Blocks within it that are plainly not reachable: benchmarking, ORCHID, documentation. The rest of the protocol
/// assignments (Teredo, 6to4, ...) counts as public: a mistake there reports too much, never too little.
/// <https://www.iana.org/assignments/iana-ipv6-special-registry/iana-ipv6-special-registry.xhtml>
const RESERVED_V6: [Ipv6Net; 4] = [
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0), 48),
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0x10, 0, 0, 0, 0, 0, 0), 28),
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    Ipv6Net::new_assert(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// How many blocks a text lists before it counts the rest.
const BLOCKS_SHOWN: usize = 4;

/// A set of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Sources {
    /// IPv4.
    pub(crate) v4: RangeSet<u32>,
    /// IPv6.
    pub(crate) v6: RangeSet<u128>,
}

impl Sources {
    /// Every address there is.
    pub(crate) fn everywhere() -> Self {
        Self { v4: RangeSet::of(0, u32::MAX), v6: RangeSet::of(0, u128::MAX) }
    }

    /// The addresses of an IPv4 block; bits behind the prefix do not matter.
    pub(crate) fn of_v4(block: Ipv4Net) -> Self {
        Self { v4: RangeSet::of(block.network().to_bits(), block.broadcast().to_bits()), v6: RangeSet::default() }
    }

    /// The addresses of an IPv6 block; bits behind the prefix do not matter.
    pub(crate) fn of_v6(block: Ipv6Net) -> Self {
        Self { v4: RangeSet::default(), v6: RangeSet::of(block.network().to_bits(), block.broadcast().to_bits()) }
    }

    /// The addresses of several blocks of either family.
    pub(crate) fn of_blocks(blocks: impl IntoIterator<Item = IpNet>) -> Self {
        let sets: Vec<Self> = blocks
            .into_iter()
            .map(|block| match block {
                IpNet::V4(block) => Self::of_v4(block),
                IpNet::V6(block) => Self::of_v6(block),
            })
            .collect();
        Self::union(&sets)
    }

    /// The addresses of any of the sets.
    pub(crate) fn union<'a>(sets: impl IntoIterator<Item = &'a Self> + Clone) -> Self {
        Self {
            v4: RangeSet::union(sets.clone().into_iter().map(|set| &set.v4)),
            v6: RangeSet::union(sets.into_iter().map(|set| &set.v6)),
        }
    }

    /// The addresses of this set that are not in the other.
    pub(crate) fn subtract(&self, other: &Self) -> Self {
        Self { v4: self.v4.subtract(&other.v4), v6: self.v6.subtract(&other.v6) }
    }

    /// The addresses that are in both sets.
    pub(crate) fn intersect(&self, other: &Self) -> Self {
        Self { v4: self.v4.intersect(&other.v4), v6: self.v6.intersect(&other.v6) }
    }

    /// Whether all of another set is in it.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other.subtract(self).is_empty()
    }

    /// Whether no address is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// The fewest blocks that hold exactly these addresses, IPv4 first.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = IpNet> {
        let v4 = self.v4.intervals().iter().flat_map(|interval| {
            Ipv4Subnets::new(Ipv4Addr::from_bits(interval.from), Ipv4Addr::from_bits(interval.to), 0).map(IpNet::V4)
        });
        let v6 = self.v6.intervals().iter().flat_map(|interval| {
            Ipv6Subnets::new(Ipv6Addr::from_bits(interval.from), Ipv6Addr::from_bits(interval.to), 0).map(IpNet::V6)
        });
        v4.chain(v6)
    }

    /// For people: a few blocks, and how many more there are.
    pub(crate) fn describe(&self) -> String {
        let mut blocks = self.blocks();
        let shown: Vec<String> = blocks.by_ref().take(BLOCKS_SHOWN).map(|block| block.to_string()).collect();
        match blocks.count() {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    }
}

/// What counts as public: how much of the internet a source must hold.
#[derive(Clone, Debug)]
pub(crate) struct PublicSpace {
    reserved: Sources,
    least_v4: u128,
    least_v6: u128,
}

impl PublicSpace {
    /// The thresholds as numbers of public addresses. A threshold above what is public at all (a prefix length of 0)
    /// is all of it, else not even `0.0.0.0/0` would reach it.
    pub(crate) fn new(threshold: &PublicThreshold) -> Self {
        let beyond = Sources::everywhere().subtract(&Sources::of_v6(GLOBAL_V6)).v6;
        let listed = Sources::of_blocks(RESERVED_V4.map(IpNet::V4).into_iter().chain(RESERVED_V6.map(IpNet::V6)));
        let reserved = Sources { v6: RangeSet::union([&listed.v6, &beyond]), v4: listed.v4 };
        let public = Sources::everywhere().subtract(&reserved);
        let size = |length: i32, bits: i32| {
            let exponent = u32::try_from(bits - length.clamp(0, bits)).unwrap_or(0);
            1u128.checked_shl(exponent).unwrap_or(u128::MAX)
        };
        Self {
            reserved,
            least_v4: size(threshold.ipv4_prefix_length, 32).min(public.v4.count()),
            least_v6: size(threshold.ipv6_prefix_length, 128).min(public.v6.count()),
        }
    }

    /// The addresses of the set that are neither private nor reserved.
    pub(crate) fn public_part(&self, sources: &Sources) -> Sources {
        sources.subtract(&self.reserved)
    }

    /// Whether enough of the internet is in the set, of either family on its own.
    pub(crate) fn is_public(&self, sources: &Sources) -> bool {
        self.is_public_v4(&sources.v4) || self.is_public_v6(&sources.v6)
    }

    /// The same for IPv4 alone.
    pub(crate) fn is_public_v4(&self, addresses: &RangeSet<u32>) -> bool {
        // The whole set bounds its public part: most sources are small, and need no subtraction.
        addresses.count() >= self.least_v4 && addresses.subtract(&self.reserved.v4).count() >= self.least_v4
    }

    /// The same for IPv6 alone.
    pub(crate) fn is_public_v6(&self, addresses: &RangeSet<u128>) -> bool {
        addresses.count() >= self.least_v6 && addresses.subtract(&self.reserved.v6).count() >= self.least_v6
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::baseline::ranges::Interval;

    fn sources(blocks: &[&str]) -> Sources {
        Sources::of_blocks(blocks.iter().map(|block| block.parse::<IpNet>().unwrap()))
    }

    fn is_public(blocks: &[&str]) -> bool {
        PublicSpace::new(&PublicThreshold::default()).is_public(&sources(blocks))
    }

    #[test]
    fn a_block_of_the_threshold_is_public_and_a_smaller_one_is_not() {
        assert!(is_public(&["52.0.0.0/8"]));
        assert!(!is_public(&["52.0.0.0/9"]));
        assert!(is_public(&["52.0.0.0/9", "52.128.0.0/9"]));
        assert!(is_public(&["2a00::/32"]));
        assert!(!is_public(&["2a00::/33"]));
        assert!(is_public(&["::/0"]) && is_public(&["2000::/3"]) && is_public(&["0.0.0.0/0"]));
    }

    #[test]
    fn private_and_reserved_ranges_do_not_count() {
        assert!(!is_public(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8"]));
        assert!(!is_public(&["0.0.0.0/8", "224.0.0.0/3", "169.254.0.0/16"]));
        assert!(!is_public(&["fc00::/7", "fe80::/10", "ff00::/8", "2001:db8::/32", "3fff::/20"]));
        // 172.0.0.0/8 holds a private /12, so it holds fewer public addresses than a /8.
        assert!(!is_public(&["172.0.0.0/8"]));
    }

    #[test]
    fn a_threshold_of_everything_is_reached_by_everything() {
        let space = PublicSpace::new(&PublicThreshold { ipv4_prefix_length: 0, ipv6_prefix_length: 0 });
        assert!(space.is_public(&sources(&["0.0.0.0/0"])));
        assert!(space.is_public(&sources(&["::/0"])));
        assert!(!space.is_public(&sources(&["0.0.0.0/1", "8000::/1"])));
        let narrow = PublicSpace::new(&PublicThreshold { ipv4_prefix_length: 32, ipv6_prefix_length: 128 });
        assert!(narrow.is_public(&sources(&["52.0.0.1/32"])) && narrow.is_public(&sources(&["2a00::1/128"])));
        assert!(!narrow.is_public(&sources(&["10.0.0.1/32", "fe80::1/128"])));
    }

    #[test]
    fn two_halves_of_each_family_are_not_public_together() {
        assert!(!is_public(&["52.0.0.0/9", "2a00::/33"]));
    }

    #[test]
    fn a_text_shows_a_few_blocks_and_counts_the_rest() {
        assert_eq!(sources(&["0.0.0.0/1", "128.0.0.0/1", "::/0"]).describe(), "0.0.0.0/0, ::/0");
        let rest = sources(&["0.0.0.0/0"]).subtract(&sources(&["52.1.2.3/32"]));
        assert_eq!(rest.describe(), "0.0.0.0/3, 32.0.0.0/4, 48.0.0.0/6, 52.0.0.0/16 and 28 more");
        assert_eq!(Sources::default().describe(), "");
    }

    proptest! {
        #[test]
        fn blocks_hold_exactly_the_addresses_of_the_set(
            pairs in prop::collection::vec((any::<u32>(), any::<u32>()), 0..5),
            six in prop::collection::vec((any::<u128>(), any::<u128>()), 0..3),
        ) {
            let set = Sources {
                v4: pairs.into_iter().map(|(from, to)| Interval { from, to }).collect(),
                v6: six.into_iter().map(|(from, to)| Interval { from, to }).collect(),
            };
            let blocks: Vec<IpNet> = set.blocks().collect();
            prop_assert_eq!(Sources::of_blocks(blocks.iter().copied()), set);
            // Fewest: no two neighbours are the halves of one block.
            for pair in blocks.windows(2) {
                let parents = (pair[0].supernet(), pair[1].supernet());
                prop_assert!(parents.0.is_none() || parents.0 != parents.1, "{:?}", pair);
            }
        }

        #[test]
        fn the_text_of_a_set_is_bounded(pairs in prop::collection::vec((any::<u128>(), any::<u128>()), 0..50)) {
            let v6 = pairs.into_iter().map(|(from, to)| Interval { from: from.min(to), to: from.max(to) }).collect();
            let text = Sources { v4: RangeSet::default(), v6 }.describe();
            prop_assert!(text.len() < 250, "{}", text);
        }
    }
}
