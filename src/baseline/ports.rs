//! What a rule opens, without from where: protocols and ports as numbers on one line. No IO.
//!
//! A protocol without ports takes up the whole stretch of its number: whoever opens GRE opens all of it. ICMP types
//! are never ports, so ICMP does the same.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::ranges::{Interval, RangeSet};
use crate::api::PortRange;

/// Protocol numbers as IANA assigns them.
/// <https://www.iana.org/assignments/protocol-numbers/protocol-numbers.xhtml>
pub(crate) const ICMP: u8 = 1;
/// Transmission Control Protocol.
pub(crate) const TCP: u8 = 6;
/// User Datagram Protocol.
pub(crate) const UDP: u8 = 17;
/// ICMP of IPv6.
pub(crate) const ICMPV6: u8 = 58;

/// The protocols that EC2 has names for, and of which it keeps ports or types.
pub(crate) const WITH_PORTS: [u8; 4] = [ICMP, TCP, UDP, ICMPV6];

const NAMES: [(&str, u8); 8] = [
    ("tcp", TCP),
    ("udp", UDP),
    ("icmp", ICMP),
    ("icmpv6", ICMPV6),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("sctp", 132),
];

/// How many stretches of ports a text lists before it counts the rest.
const PORTS_SHOWN: usize = 8;

/// How many protocols without ports a text names before it counts them.
const PROTOCOLS_SHOWN: usize = 3;

/// A set of (protocol, port): the protocol's number in the upper bits, the port in the lower sixteen.
pub(crate) type Services = RangeSet<u32>;

/// The number of a protocol and port in a set.
pub(crate) fn point(protocol: u8, port: u16) -> u32 {
    u32::from(protocol) << 16 | u32::from(port)
}

/// Every protocol and port.
pub(crate) fn everything() -> Services {
    Services::of(0, point(u8::MAX, u16::MAX))
}

/// All of a protocol.
pub(crate) fn protocol(number: u8) -> Services {
    ports(number, 0, u16::MAX)
}

/// Ports of a protocol, both ends included.
pub(crate) fn ports(number: u8, from: u16, to: u16) -> Services {
    Services::of(point(number, from), point(number, to))
}

/// ICMP of both families.
pub(crate) fn icmp() -> Services {
    Services::union([&protocol(ICMP), &protocol(ICMPV6)])
}

/// The number of a protocol that EC2 or a spec names by name or number.
pub(crate) fn number_of(name: &str) -> Option<u8> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number).or_else(|| name.parse().ok())
}

/// A protocol as EC2 says it: four have a name there, the others a number alone.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html>
pub(crate) fn ec2_name(number: u8) -> String {
    let named = NAMES.iter().find(|(_, known)| *known == number && WITH_PORTS.contains(known));
    named.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

/// What a rule of `ec2:DescribeSecurityGroupRules` opens. `-1` is everything; only TCP and UDP have ports, and where
/// EC2 says none for them, all are meant. `None` where the rule makes no sense.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SecurityGroupRule.html>
pub(crate) fn opened_by_rule(protocol_name: &str, from: Option<i32>, to: Option<i32>) -> Option<Services> {
    if protocol_name == "-1" {
        return Some(everything());
    }
    let number = number_of(protocol_name)?;
    if number != TCP && number != UDP {
        return Some(protocol(number));
    }
    match (from.filter(|port| *port != -1), to.filter(|port| *port != -1)) {
        (None, None) => Some(protocol(number)),
        (from, to) => {
            let (from, to) = (u16::try_from(from?).ok()?, u16::try_from(to?).ok()?);
            (from <= to).then(|| ports(number, from, to))
        }
    }
}

/// What an entry of a spec allows; `None` for a protocol that the schema refuses.
pub(crate) fn allowed_by_entry(protocol_name: &str, allowed: Option<&[PortRange]>) -> Option<Services> {
    if protocol_name == "all" {
        return Some(everything());
    }
    let number = number_of(protocol_name)?;
    match allowed {
        Some(ranges) if number == TCP || number == UDP => {
            Some(ranges.iter().flat_map(|range| ports(number, range.from, range.to).intervals().to_vec()).collect())
        }
        Some(_) | None => Some(protocol(number)),
    }
}

/// Whether a TCP port is among the services.
pub(crate) fn has_tcp(services: &Services, port: u16) -> bool {
    services.contains(point(TCP, port))
}

/// Whether every port of TCP or every port of UDP is among the services.
pub(crate) fn has_every_port(services: &Services) -> bool {
    services.covers(&protocol(TCP)) || services.covers(&protocol(UDP))
}

/// For people: `tcp 20-21, 23-25; udp 53; gre`, or `all traffic`. Bounded, whatever the set holds.
pub(crate) fn describe(services: &Services) -> String {
    let parts = by_protocol(services);
    let whole = |number: u8| parts.get(&number).is_some_and(|held| **held == [Interval { from: 0, to: u16::MAX }]);
    let others: Vec<u8> = parts.keys().copied().filter(|number| *number != TCP && *number != UDP).collect();
    // 252 protocols are left without TCP, UDP and the two ICMP, which may not be judged.
    if whole(TCP) && whole(UDP) && others.len() >= 252 {
        return "all traffic".to_owned();
    }
    let mut texts: Vec<String> = [TCP, UDP]
        .into_iter()
        .filter_map(|number| parts.get(&number).map(|held| format!("{} {}", name_of(number), describe_ports(held))))
        .collect();
    if others.len() > PROTOCOLS_SHOWN {
        texts.push(format!("{} other protocols", others.len()));
    } else {
        texts.extend(others.into_iter().map(name_of));
    }
    texts.join("; ")
}

fn name_of(number: u8) -> String {
    let known = NAMES.iter().find(|(_, known)| *known == number);
    known.map_or_else(|| format!("protocol {number}"), |(name, _)| (*name).to_owned())
}

fn describe_ports(held: &[Interval<u16>]) -> String {
    let shown: Vec<String> = held
        .iter()
        .take(PORTS_SHOWN)
        .map(|interval| PortRange { from: interval.from, to: interval.to }.to_string())
        .collect();
    let mut text = shown.join(", ");
    if held.len() > PORTS_SHOWN {
        let _ = write!(text, " and {} more", held.len() - PORTS_SHOWN);
    }
    text
}

/// The ports of each protocol that the set touches, from low to high.
pub(crate) fn by_protocol(services: &Services) -> BTreeMap<u8, Vec<Interval<u16>>> {
    let mut parts: BTreeMap<u8, Vec<Interval<u16>>> = BTreeMap::new();
    for interval in services.intervals() {
        let (first, first_port) = split(interval.from);
        let (last, last_port) = split(interval.to);
        for number in first..=last {
            let from = if number == first { first_port } else { 0 };
            let to = if number == last { last_port } else { u16::MAX };
            parts.entry(number).or_default().push(Interval { from, to });
        }
    }
    parts
}

/// Protocol and port of a point. Points above the highest protocol do not exist.
fn split(point: u32) -> (u8, u16) {
    let [_, protocol, high, low] = point.to_be_bytes();
    (protocol, u16::from_be_bytes([high, low]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn opened(protocol: &str, from: i32, to: i32) -> String {
        opened_by_rule(protocol, Some(from), Some(to)).map_or_else(|| "no sense".to_owned(), |set| describe(&set))
    }

    #[test]
    fn rules_open_what_ec2_says_they_open() {
        assert_eq!(opened("-1", -1, -1), "all traffic");
        assert_eq!(opened("tcp", 20, 25), "tcp 20-25");
        assert_eq!(opened("udp", 53, 53), "udp 53");
        assert_eq!(opened("tcp", -1, -1), "tcp 0-65535");
        assert_eq!(opened("6", 22, 22), "tcp 22");
        assert_eq!(opened("icmp", 8, -1), "icmp", "a type is no port");
        assert_eq!(opened("47", -1, -1), "gre");
        assert_eq!(opened("89", 1, 2), "protocol 89");
        for (protocol, from, to) in [("tcp", 25, 20), ("tcp", 22, -1), ("udp", 0, 65536), ("tcpx", 1, 1), ("256", 0, 0)]
        {
            assert_eq!(opened(protocol, from, to), "no sense", "{protocol} {from}-{to}");
        }
        assert_eq!(opened_by_rule("udp", None, None), Some(protocol(UDP)));
    }

    #[test]
    fn the_gap_between_two_allowed_ports_is_named() {
        let allowed = allowed_by_entry("tcp", Some(&[PortRange::single(80), PortRange::single(443)])).unwrap();
        assert_eq!(describe(&ports(TCP, 80, 443).subtract(&allowed)), "tcp 81-442");
        let all_but = describe(&everything().subtract(&allowed));
        assert_eq!(all_but, "tcp 0-79, 81-442, 444-65535; udp 0-65535; 254 other protocols");
    }

    #[test]
    fn everything_without_icmp_is_still_called_all_traffic() {
        assert_eq!(describe(&everything().subtract(&icmp())), "all traffic");
    }

    #[test]
    fn a_text_is_bounded() {
        let even: Services = (0..1000).flat_map(|n| ports(TCP, n * 2, n * 2).intervals().to_vec()).collect();
        assert_eq!(describe(&even), "tcp 0, 2, 4, 6, 8, 10, 12, 14 and 992 more");
    }

    proptest! {
        #[test]
        fn a_described_point_belongs_to_its_protocol(number: u8, from: u16, to: u16) {
            let set = ports(number, from.min(to), from.max(to));
            let parts = by_protocol(&set);
            prop_assert_eq!(parts.len(), 1);
            prop_assert_eq!(&parts[&number], &[Interval { from: from.min(to), to: from.max(to) }]);
        }
    }
}
