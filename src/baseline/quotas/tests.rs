use std::collections::BTreeMap;

use super::*;
use crate::baseline::mfa::{Evidence, UserEvidence, UserFacts};
use crate::baseline::security_groups::SecurityGroupRule;
use crate::baseline::{AccountIdentity, Cause, CauseClass, Observed};

const OWN: &str = "222222222222";

fn rule(group: &str, direction: Direction, peer: &str) -> SecurityGroupRule {
    let peer = match peer.split_once('-') {
        Some(("pl", _)) => Peer::PrefixList(peer.to_owned()),
        Some(("sg", _)) => Peer::Group(peer.to_owned()),
        _ if peer.contains(':') => Peer::Ipv6(peer.parse().unwrap()),
        _ => Peer::Ipv4(peer.parse().unwrap()),
    };
    SecurityGroupRule {
        id: "sgr-1".to_owned(),
        group_id: group.to_owned(),
        group_owner_id: OWN.to_owned(),
        direction,
        protocol: "tcp".to_owned(),
        from_port: Some(443),
        to_port: Some(443),
        peer,
    }
}

fn seen<T>(value: T) -> Observed<T> {
    Observed::complete(value, jiff::Timestamp::UNIX_EPOCH)
}

fn snapshot(regions: Vec<RegionSnapshot>) -> Snapshot {
    let caller = "arn:aws:sts::222222222222:assumed-role/PlumblineAudit/plumbline";
    Snapshot { account: AccountIdentity::from_caller(OWN, caller).unwrap(), regions: seen(regions) }
}

fn list(name: &str, owner: &str, cidr: Option<&str>, max_entries: Option<usize>) -> PrefixList {
    PrefixList {
        id: String::new(),
        name: name.to_owned(),
        owner_id: owner.to_owned(),
        cidrs: cidr.iter().map(|cidr| cidr.parse().unwrap()).collect(),
        max_entries,
    }
}

/// The fullest group of a region with these rules.
fn fullest(rules: Vec<SecurityGroupRule>, lists: &[(&str, PrefixList)]) -> Usage {
    let mut region = RegionSnapshot::new("eu-west-1", seen(rules));
    region.prefix_lists = lists.iter().map(|(id, list)| ((*id).to_owned(), seen(list.clone()))).collect();
    rules_per_group(&snapshot(vec![region])).remove("eu-west-1").unwrap()
}

fn usage(count: usize, resource: &str) -> Usage {
    Usage { count, resource: Some(resource.to_owned()) }
}

use Direction::{Egress, Ingress};

#[test]
fn in_and_out_and_both_versions_of_ip_are_counted_apart() {
    let two = |group: &str| vec![rule(group, Ingress, "10.0.0.0/8"), rule(group, Ingress, "11.0.0.0/8")];
    assert_eq!(fullest(two("sg-1"), &[]), usage(2, "sg-1"));
    let mut rules = two("sg-1");
    rules.extend([rule("sg-1", Egress, "10.0.0.0/8"), rule("sg-1", Ingress, "2001:db8::/32")]);
    assert_eq!(fullest(rules.clone(), &[]), usage(2, "sg-1"));
    // A rule about a group is one of both versions.
    rules.push(rule("sg-1", Ingress, "sg-9"));
    assert_eq!(fullest(rules.clone(), &[]), usage(3, "sg-1"));
    rules.extend([rule("sg-2", Egress, "::/0"), rule("sg-2", Egress, "2001::/16"), rule("sg-2", Egress, "2002::/16")]);
    assert_eq!(fullest(rules.clone(), &[]), usage(3, "sg-1"), "of two alike the first");
    rules.push(rule("sg-2", Egress, "2003::/16"));
    assert_eq!(fullest(rules, &[]), usage(4, "sg-2"));
}

#[test]
fn a_prefix_list_counts_as_so_many_rules_as_it_may_have_entries() {
    let with = |found: PrefixList| fullest(vec![rule("sg-1", Ingress, "pl-1")], &[("pl-1", found)]).count;
    assert_eq!(with(list("partners", OWN, Some("10.0.0.0/8"), Some(20))), 20);
    assert_eq!(with(list("com.amazonaws.global.cloudfront.origin-facing", "AWS", None, None)), 55);
    assert_eq!(with(list("com.amazonaws.eu-west-1.s3", "AWS", None, None)), 1);
    assert_eq!(with(list("com.amazonaws.eu-west-1.s3express", "AWS", None, None)), 6);
    assert_eq!(with(list("com.amazonaws.eu-west-1.something-new", "AWS", None, None)), 1);
    assert_eq!(fullest(vec![rule("sg-1", Ingress, "pl-2")], &[]).count, 1, "a list that was not read");
}

#[test]
fn the_entries_of_a_list_count_for_their_version_of_ip() {
    let rules = || vec![rule("sg-1", Ingress, "pl-1"), rule("sg-1", Ingress, "10.0.0.0/8")];
    let with = |found: PrefixList| fullest(rules(), &[("pl-1", found)]).count;
    assert_eq!(with(list("partners", OWN, Some("10.0.0.0/8"), Some(20))), 21);
    assert_eq!(with(list("partners", OWN, Some("2001:db8::/32"), Some(20))), 20);
    assert_eq!(with(list("com.amazonaws.global.ipv6.cloudfront.origin-facing", "AWS", None, None)), 55);
}

#[test]
fn p5_a_region_that_was_not_read_has_no_count_and_groups_of_others_have_none_either() {
    let mut shared = rule("sg-7", Ingress, "10.0.0.0/8");
    shared.group_owner_id = "333333333333".to_owned();
    let unread = Observed::Unknown(Cause::new(CauseClass::Throttled, "slow down"));
    let regions = vec![RegionSnapshot::new("eu-west-1", unread), RegionSnapshot::new("us-east-1", seen(vec![shared]))];
    let found = rules_per_group(&snapshot(regions));
    assert_eq!(found, BTreeMap::from([("us-east-1".to_owned(), Usage::default())]));
}

#[test]
fn the_user_with_most_policies_is_named_of_those_that_were_read() {
    let facts = |arn: &str, policies: usize| UserFacts {
        arn: arn.to_owned(),
        has_login_profile: true,
        password_reset_required: false,
        has_mfa_device: false,
        has_active_access_key: false,
        has_other_credential: false,
        attached_policies: vec!["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned(); policies],
    };
    let read = |arn: &str, policies| {
        (arn.to_owned(), UserEvidence { facts: Some(seen(Some(facts(arn, policies)))), enrolment: None })
    };
    let unread = ("arn:zoe".to_owned(), UserEvidence::default());
    let users = BTreeMap::from([read("arn:ada", 2), read("arn:bob", 9), unread.clone()]);
    assert_eq!(policies_per_user(&Evidence { users, ..Evidence::default() }), Some(usage(9, "arn:bob")));
    let nobody = Evidence { users: BTreeMap::from([unread]), ..Evidence::default() };
    assert_eq!(policies_per_user(&nobody), None);
}
