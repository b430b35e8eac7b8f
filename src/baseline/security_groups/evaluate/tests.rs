//! One test per acceptance case that auditing decides, and properties against brute force.

pub(in crate::baseline::security_groups) mod properties;

use std::collections::BTreeMap;

use super::*;
use crate::baseline::observed::Observed;
use crate::baseline::security_groups::PrefixList;
use crate::baseline::{Verdict, result_of};

/// A spec under which whatever is public fails.
const NOTHING_ALLOWED: &str = "{allowedIngress: []}";

pub(in crate::baseline::security_groups) fn account() -> AccountIdentity {
    let caller = "arn:aws:sts::222222222222:assumed-role/PlumblineAudit/plumbline";
    AccountIdentity::from_caller("222222222222", caller).unwrap()
}

pub(in crate::baseline::security_groups) fn seen<T>(value: T) -> Observed<T> {
    Observed::complete(value, Timestamp::UNIX_EPOCH)
}

fn throttled<T>() -> Observed<T> {
    Observed::Unknown(Cause::new(CauseClass::Throttled, "slow down"))
}

pub(in crate::baseline::security_groups) fn denied<T>(action: &str) -> Observed<T> {
    let cause = Cause::new(CauseClass::AccessDenied, format!("{action} is denied"));
    Observed::Unknown(Cause { missing_action: Some(action.to_owned()), ..cause })
}

/// `GROUP PROTOCOL PORTS PEER`, ports as `22`, `20-25` or `-`; the rule's id is told by its place in the list.
pub(in crate::baseline::security_groups) fn rule(id: usize, text: &str) -> SecurityGroupRule {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (from, to) = match words[2] {
        "-" => (-1, -1),
        ports => {
            let (from, to) = ports.split_once('-').unwrap_or((ports, ports));
            (from.parse().unwrap(), to.parse().unwrap())
        }
    };
    let peer = match words[3] {
        group if group.starts_with("sg-") => Peer::Group(group.to_owned()),
        list if list.starts_with("pl-") => Peer::PrefixList(list.to_owned()),
        block => block.parse().map(Peer::Ipv4).or_else(|_| block.parse().map(Peer::Ipv6)).unwrap(),
    };
    SecurityGroupRule {
        id: format!("sgr-{id:05}"),
        group_id: words[0].to_owned(),
        group_owner_id: "222222222222".to_owned(),
        direction: Direction::Ingress,
        protocol: words[1].to_owned(),
        from_port: Some(from),
        to_port: Some(to),
        peer,
    }
}

pub(in crate::baseline::security_groups) fn rules(texts: &[&str]) -> Vec<SecurityGroupRule> {
    texts.iter().enumerate().map(|(index, text)| rule(index + 1, text)).collect()
}

pub(in crate::baseline::security_groups) fn egress(mut rule: SecurityGroupRule) -> SecurityGroupRule {
    rule.direction = Direction::Egress;
    rule
}

pub(in crate::baseline::security_groups) fn group(id: &str, name: &str) -> SecurityGroup {
    SecurityGroup {
        id: id.to_owned(),
        name: name.to_owned(),
        owner_id: "222222222222".to_owned(),
        vpc_id: Some("vpc-1".to_owned()),
        tags: Vec::new(),
    }
}

pub(in crate::baseline::security_groups) fn list(id: &str, owner: &str, blocks: &[&str]) -> PrefixList {
    PrefixList {
        id: id.to_owned(),
        name: format!("name-of-{id}"),
        owner_id: owner.to_owned(),
        cidrs: blocks.iter().map(|block| block.parse().unwrap()).collect(),
        max_entries: (owner != "AWS").then_some(blocks.len()),
    }
}

fn region(rules: Vec<SecurityGroupRule>) -> RegionSnapshot {
    RegionSnapshot::new("eu-west-1", seen(rules))
}

pub(in crate::baseline::security_groups) fn desired(yaml: &str) -> SecurityGroupsControl {
    serde_saphyr::from_str(yaml).unwrap()
}

fn judge(yaml: &str, region: RegionSnapshot) -> Vec<Finding> {
    evaluate(&desired(yaml), &Snapshot { account: account(), regions: seen(vec![region]) })
}

fn judged(yaml: &str, texts: &[&str]) -> Vec<Finding> {
    judge(yaml, region(rules(texts)))
}

/// `1 Fail, 2 Pass`: the last digits of each resource and its verdict.
fn verdicts(findings: &[Finding]) -> String {
    let row = |finding: &Finding| {
        let name = finding.subject().resource.rsplit(['-', '/', ':']).next().unwrap_or_default();
        format!("{} {}", name.trim_start_matches('0'), finding.verdict())
    };
    findings.iter().map(row).collect::<Vec<_>>().join(", ")
}

fn only(findings: &[Finding]) -> &Finding {
    assert_eq!(findings.len(), 1, "{findings:#?}");
    &findings[0]
}

fn assert_fails(findings: &[Finding], severity: Severity, message: &str) {
    let finding = only(findings);
    let actual = (finding.verdict(), finding.severity(), finding.message());
    assert_eq!(actual, (Verdict::Fail, severity, message));
}

#[test]
fn sg_01_the_excess_is_what_is_open_less_what_is_allowed() {
    let findings = judged(NOTHING_ALLOWED, &["sg-1 tcp 20-25 0.0.0.0/0"]);
    assert_fails(&findings, Severity::Critical, "tcp 20-25 from 0.0.0.0/0 is not allowed");
    let spec = "{allowedIngress: [{protocol: tcp, ports: [22], cidrs: [0.0.0.0/0]}]}";
    let findings = judged(spec, &["sg-1 tcp 20-25 0.0.0.0/0"]);
    assert_fails(&findings, Severity::High, "tcp 20-21, 23-25 from 0.0.0.0/0 is not allowed");
    let finding = only(&findings);
    assert_eq!(finding.observed(), "tcp 20-25 from 0.0.0.0/0");
    let subject = finding.subject();
    assert_eq!(subject.resource, "arn:aws:ec2:eu-west-1:222222222222:security-group-rule/sgr-00001");
    assert_eq!(subject.parent.as_deref(), Some("arn:aws:ec2:eu-west-1:222222222222:security-group/sg-1"));
    assert_eq!(subject.region.as_deref(), Some("eu-west-1"));
}

#[test]
fn sg_01_a_source_is_allowed_only_where_the_entries_hold_it() {
    let spec = "{allowedIngress: [{protocol: tcp, ports: [22], cidrs: [0.0.0.0/1]}, \
                                  {protocol: tcp, ports: [22], cidrs: [128.0.0.0/2]}]}";
    let findings = judged(spec, &["sg-1 tcp 22-23 0.0.0.0/0"]);
    let message = "tcp 22 from 192.0.0.0/2, and tcp 23 from 0.0.0.0/0 is not allowed";
    assert_fails(&findings, Severity::Critical, message);
    assert_eq!(verdicts(&judged(spec, &["sg-1 tcp 22 0.0.0.0/1", "sg-1 tcp 22 ::/0"])), "1 Pass, 2 Fail");
}

#[test]
fn sg_02_everything_open_to_the_world_fails() {
    let findings = judged(NOTHING_ALLOWED, &["sg-1 -1 - ::/0"]);
    assert_fails(&findings, Severity::Critical, "all traffic from ::/0 is not allowed");
    let spec = "{allowedIngress: [{protocol: tcp, ports: [0-65535], cidrs: [0.0.0.0/0, '::/0']}]}";
    let findings = judged(spec, &["sg-1 -1 - ::/0"]);
    let message = "udp 0-65535; 252 other protocols from ::/0 is not allowed";
    assert_fails(&findings, Severity::Critical, message);
    let all = "{allowedIngress: [{protocol: all, cidrs: [0.0.0.0/0, '::/0']}]}";
    assert_eq!(verdicts(&judged(all, &["sg-1 -1 - ::/0", "sg-1 tcp 22 0.0.0.0/0"])), "1 Pass, 2 Pass");
}

#[test]
fn sg_03_both_ways_to_open_all_of_tcp_are_seen_and_udp_is_not_ssh() {
    let ssh_allowed = "{allowedIngress: [{protocol: tcp, ports: [22], cidrs: [0.0.0.0/0]}]}";
    let all_tcp = judged(ssh_allowed, &["sg-1 tcp 0-65535 0.0.0.0/0"]);
    assert_fails(&all_tcp, Severity::Critical, "tcp 0-21, 23-65535 from 0.0.0.0/0 is not allowed");
    let all = judged(ssh_allowed, &["sg-1 -1 - 0.0.0.0/0"]);
    assert!(only(&all).message().starts_with("tcp 0-21, 23-65535; udp 0-65535; "), "{}", only(&all).message());
    let udp = judged(NOTHING_ALLOWED, &["sg-1 udp 22 0.0.0.0/0"]);
    assert_fails(&udp, Severity::High, "udp 22 from 0.0.0.0/0 is not allowed");
    let udp = judged(NOTHING_ALLOWED, &["sg-1 udp 0-65534 0.0.0.0/0"]);
    assert_eq!(only(&udp).severity(), Severity::High);
    let every_port = judged(NOTHING_ALLOWED, &["sg-1 udp 0-65535 0.0.0.0/0"]);
    assert_eq!(only(&every_port).severity(), Severity::Critical, "every port is open");
    assert_eq!(only(&judged(NOTHING_ALLOWED, &["sg-1 tcp 3389 0.0.0.0/0"])).severity(), Severity::Critical);
}

#[test]
fn sg_04_what_is_allowed_for_tcp_is_not_allowed_for_udp() {
    let spec = "{allowedIngress: [{protocol: tcp, ports: [443], cidrs: [0.0.0.0/0]}]}";
    let findings = judged(spec, &["sg-1 tcp 443 0.0.0.0/0", "sg-1 udp 443 0.0.0.0/0"]);
    assert_eq!(verdicts(&findings), "1 Pass, 2 Fail");
}

#[test]
fn sg_05_icmp_passes_unless_it_is_judged_and_its_types_are_no_ports() {
    let texts = ["sg-1 icmp 22 0.0.0.0/0", "sg-1 icmpv6 - ::/0"];
    assert_eq!(verdicts(&judged(NOTHING_ALLOWED, &texts)), "1 Pass, 2 Pass");
    assert_eq!(only(&judged(NOTHING_ALLOWED, &texts[..1])).message(), "ICMP is not judged");
    let judging = judged("{allowedIngress: [], judgeIcmp: true}", &texts);
    assert_eq!(verdicts(&judging), "1 Fail, 2 Fail");
    assert_eq!((judging[0].severity(), judging[0].message()), (Severity::High, "icmp from 0.0.0.0/0 is not allowed"));
    let allowed = "{allowedIngress: [{protocol: icmp, cidrs: [0.0.0.0/0]}], judgeIcmp: true}";
    assert_eq!(verdicts(&judged(allowed, &texts)), "1 Pass, 2 Fail");
    let ssh = "{allowedIngress: [{protocol: tcp, ports: [0-65535], cidrs: [0.0.0.0/0, '::/0']}], judgeIcmp: true}";
    assert_eq!(verdicts(&judged(ssh, &texts)), "1 Fail, 2 Fail");
}

#[test]
fn sg_06_protocols_without_ports_fail_unless_an_entry_names_them_by_name_or_number() {
    let texts = ["sg-1 47 - 0.0.0.0/0", "sg-1 50 - 0.0.0.0/0", "sg-1 51 - 0.0.0.0/0", "sg-1 132 - 0.0.0.0/0"];
    let findings = judged(NOTHING_ALLOWED, &texts);
    assert_eq!(verdicts(&findings), "1 Fail, 2 Fail, 3 Fail, 4 Fail");
    assert_eq!(findings[0].message(), "gre from 0.0.0.0/0 is not allowed");
    assert_eq!(findings[0].severity(), Severity::High);
    let spec = "{allowedIngress: [{protocol: gre, cidrs: [0.0.0.0/0]}, {protocol: '50', cidrs: [0.0.0.0/0]}, \
                                  {protocol: ah, cidrs: [0.0.0.0/0]}, {protocol: sctp, cidrs: [0.0.0.0/0]}]}";
    assert_eq!(verdicts(&judged(spec, &texts)), "1 Pass, 2 Pass, 3 Pass, 4 Pass");
}

#[test]
fn sg_07_small_sources_that_are_public_together_fail_and_name_each_other() {
    let each_public =
        ["sg-1 tcp 22 0.0.0.0/1", "sg-1 tcp 22 128.0.0.0/1", "sg-2 tcp 22 64.0.0.0/2", "sg-3 tcp 22 2000::/3"];
    assert_eq!(verdicts(&judged(NOTHING_ALLOWED, &each_public)), "1 Fail, 2 Fail, 3 Fail, 4 Fail");
    let halves = ["sg-1 tcp 20-22 52.0.0.0/9", "sg-1 tcp 22-30 52.128.0.0/9", "sg-1 tcp 23 54.0.0.0/20"];
    let findings = judged(NOTHING_ALLOWED, &halves);
    assert_eq!(verdicts(&findings), "1 Fail, 2 Fail, 3 Pass");
    let message = "tcp 22 from 52.0.0.0/9 is not allowed: public together with sgr-00002";
    assert_eq!(findings[0].message(), message);
    assert!(findings[1].message().ends_with("together with sgr-00001"), "{}", findings[1].message());
}

#[test]
fn sg_07_ipv6_is_taken_together_too_and_a_private_source_makes_up_nothing_public() {
    let six = ["sg-1 tcp 22 2a00::/33", "sg-1 tcp 22 2a00:0:8000::/33", "sg-1 tcp 22 52.0.0.0/9"];
    assert_eq!(verdicts(&judged(NOTHING_ALLOWED, &six)), "1 Fail, 2 Fail, 3 Pass");
    let private = ["sg-1 tcp 22 52.0.0.0/9", "sg-1 tcp 22 52.128.0.0/9", "sg-1 tcp 22 10.0.0.0/8"];
    assert_eq!(verdicts(&judged(NOTHING_ALLOWED, &private)), "1 Fail, 2 Fail, 3 Pass");
}

#[test]
fn sg_07_only_one_group_protocol_port_and_family_is_taken_together() {
    for pair in [
        ["sg-1 tcp 22 52.0.0.0/9", "sg-2 tcp 22 52.128.0.0/9"],
        ["sg-1 tcp 22 52.0.0.0/9", "sg-1 udp 22 52.128.0.0/9"],
        ["sg-1 tcp 22 52.0.0.0/9", "sg-1 tcp 23 52.128.0.0/9"],
        ["sg-1 tcp 22 52.0.0.0/9", "sg-1 tcp 22 2a00::/33"],
        ["sg-1 tcp 22 52.0.0.0/9", "sg-1 tcp 22 52.0.0.0/9"],
        ["sg-1 tcp 22 52.0.0.0/9", "sg-1 tcp 22 10.0.0.0/8"],
    ] {
        assert_eq!(verdicts(&judged(NOTHING_ALLOWED, &pair)), "1 Pass, 2 Pass", "{pair:?}");
    }
    let all_traffic = judged(NOTHING_ALLOWED, &["sg-1 -1 - 52.0.0.0/9", "sg-1 tcp 22 52.128.0.0/9"]);
    assert_eq!(verdicts(&all_traffic), "1 Fail, 2 Fail");
    assert!(all_traffic[0].message().starts_with("tcp 22 from 52.0.0.0/9"), "{}", all_traffic[0].message());
}

#[test]
fn sg_07_the_threshold_is_a_setting() {
    let spec = "{allowedIngress: [], publicThreshold: {ipv4PrefixLength: 16}}";
    let findings = judged(spec, &["sg-1 tcp 22 52.1.0.0/16", "sg-1 tcp 22 52.2.0.0/17", "sg-2 tcp 22 10.0.0.0/8"]);
    assert_eq!(verdicts(&findings), "1 Fail, 2 Pass, 3 Pass");
}

#[test]
fn sg_09_a_customers_list_is_judged_like_its_blocks_together() {
    let mut region = region(rules(&["sg-1 tcp 22 pl-wide", "sg-1 tcp 22 pl-small", "sg-1 tcp 443 pl-named"]));
    let wide = list("pl-wide", "222222222222", &["52.0.0.0/9", "52.128.0.0/9"]);
    region.prefix_lists.insert("pl-wide".to_owned(), seen(wide));
    let small = list("pl-small", "333333333333", &["52.0.0.0/20", "10.0.0.0/8"]);
    region.prefix_lists.insert("pl-small".to_owned(), seen(small));
    let spec = "{allowedIngress: [{protocol: tcp, ports: [443], prefixListIds: [pl-named]}]}";
    let findings = judge(spec, region.clone());
    assert_eq!(verdicts(&findings), "1 Fail, 2 Pass, 3 Pass");
    let message = "tcp 22 from 52.0.0.0/8 (prefix list pl-wide name-of-pl-wide) is not allowed";
    assert_eq!(findings[0].message(), message);
    let spec = "{scope: AllSources, allowedIngress: [{protocol: tcp, ports: [22], cidrs: [52.0.0.0/8]}, \
                 {protocol: tcp, ports: [443], prefixListIds: [pl-named]}]}";
    let findings = judge(spec, region);
    assert_eq!(verdicts(&findings), "1 Pass, 2 Fail, 3 Pass");
    assert!(findings[1].message().starts_with("tcp 22 from 10.0.0.0/8 (prefix"), "{}", findings[1].message());
}

#[test]
fn sg_10_a_list_of_aws_passes_where_public_sources_are_judged() {
    let mut region = region(rules(&["sg-1 tcp 22 pl-aws"]));
    region.prefix_lists.insert("pl-aws".to_owned(), seen(list("pl-aws", "AWS", &[])));
    assert_eq!(only(&judge(NOTHING_ALLOWED, region.clone())).verdict(), Verdict::Pass);
    let findings = judge("{scope: AllSources, allowedIngress: []}", region.clone());
    assert_fails(&findings, Severity::Critical, "tcp 22 from prefix list pl-aws name-of-pl-aws is not allowed");
    let named = "{scope: AllSources, allowedIngress: [{protocol: tcp, ports: [22], prefixListIds: [pl-aws]}]}";
    assert_eq!(only(&judge(named, region)).verdict(), Verdict::Pass);
}

#[test]
fn sg_11_a_list_that_cannot_be_read_is_unknown_for_its_rules_alone() {
    let mut region = region(rules(&["sg-1 tcp 22 pl-1", "sg-1 tcp 443 pl-1", "sg-1 tcp 22 0.0.0.0/0"]));
    region.prefix_lists.insert("pl-1".to_owned(), denied("ec2:GetManagedPrefixListEntries"));
    let spec = "{allowedIngress: [{protocol: tcp, ports: [443], prefixListIds: [pl-1]}]}";
    let findings = judge(spec, region);
    assert_eq!(verdicts(&findings), "1 Unknown, 2 Pass, 3 Fail");
    let action = findings[0].cause().and_then(|cause| cause.missing_action.as_deref());
    assert_eq!(action, Some("ec2:GetManagedPrefixListEntries"));
}

#[test]
fn sg_12_a_source_that_is_a_group_is_not_judged() {
    assert_eq!(judged("{scope: AllSources, allowedIngress: []}", &["sg-1 -1 - sg-2"]), []);
}

#[test]
fn sg_13_of_one_permission_only_the_rule_of_the_world_fails() {
    let texts = ["sg-1 tcp 22 0.0.0.0/0", "sg-1 tcp 22 10.0.0.0/8", "sg-1 tcp 22 sg-2"];
    assert_eq!(verdicts(&judged(NOTHING_ALLOWED, &texts)), "1 Fail, 2 Pass");
}

#[test]
fn sg_14_between_two_allowed_ports_the_rest_fails() {
    let spec = "{allowedIngress: [{protocol: tcp, ports: [80, 443], cidrs: [0.0.0.0/0, '::/0']}]}";
    let findings = judged(spec, &["sg-1 tcp 80-443 0.0.0.0/0"]);
    assert_fails(&findings, Severity::High, "tcp 81-442 from 0.0.0.0/0 is not allowed");
}

#[test]
fn sg_16_a_partners_block_passes_with_public_sources() {
    let findings = judged(NOTHING_ALLOWED, &["sg-1 tcp 22 52.94.0.0/20"]);
    assert_eq!((only(&findings).verdict(), only(&findings).message()), (Verdict::Pass, "not public"));
}

#[test]
fn sg_17_a_single_address_passes_with_public_sources_and_fails_with_all_unless_allowed() {
    let texts = ["sg-1 tcp 22 52.94.1.7/32"];
    assert_eq!(only(&judged(NOTHING_ALLOWED, &texts)).verdict(), Verdict::Pass);
    let findings = judged("{scope: AllSources, allowedIngress: []}", &texts);
    assert_fails(&findings, Severity::Critical, "tcp 22 from 52.94.1.7/32 is not allowed");
    let spec = "{scope: AllSources, allowedIngress: [{protocol: tcp, ports: [22], cidrs: [52.94.0.0/20]}]}";
    assert_eq!(only(&judged(spec, &texts)).verdict(), Verdict::Pass);
}

#[test]
fn sg_18_rules_out_of_a_group_are_not_judged() {
    let out = egress(rule(1, "sg-1 -1 - 0.0.0.0/0"));
    assert_eq!(judge("{scope: AllSources, allowedIngress: []}", region(vec![out])), []);
}

#[test]
fn sg_20_21_22_groups_that_others_manage_fail_like_any_other() {
    for name in ["FMManagedSecurityGroup-1", "k8s-elb-a1", "eks-cluster-sg-a", "rds-ec2-1", "d-926_controllers"] {
        let mut region = region(rules(&["sg-1 tcp 22 0.0.0.0/0"]));
        region.named_groups = Some(seen(vec![group("sg-1", name)]));
        let spec = "{allowedIngress: [{protocol: tcp, ports: [22], cidrs: [0.0.0.0/0], groupNames: [bastion]}]}";
        assert_eq!(only(&judge(spec, region)).verdict(), Verdict::Fail, "{name}");
    }
}

#[test]
fn sg_23_a_group_attached_to_nothing_is_one_step_less_severe_and_an_unknown_one_is_not() {
    let texts = ["sg-1 tcp 22 0.0.0.0/0", "sg-2 tcp 22 0.0.0.0/0", "sg-3 tcp 22 0.0.0.0/0", "sg-2 tcp 80 0.0.0.0/0"];
    let mut region = region(rules(&texts));
    let attached = BTreeMap::from([("sg-1".to_owned(), true), ("sg-2".to_owned(), false)]);
    region.attached = Some(seen(attached));
    let findings = judge(NOTHING_ALLOWED, region.clone());
    let severities: Vec<Severity> = findings.iter().map(Finding::severity).collect();
    assert_eq!(severities, [Severity::Critical, Severity::High, Severity::Medium, Severity::Critical]);
    assert!(findings[1].message().ends_with("; the group is attached to nothing"), "{}", findings[1].message());
    assert!(findings.iter().all(|finding| finding.verdict() == Verdict::Fail));
    for (unread, why) in [(throttled(), "(Throttled)"), (denied("ec2:Describe"), "(ec2:Describe)")] {
        region.attached = Some(unread);
        let finding = &judge(NOTHING_ALLOWED, region.clone())[1];
        assert_eq!(finding.severity(), Severity::Critical);
        let says = format!("; whether the group is attached to anything could not be read {why}");
        assert!(finding.message().ends_with(&says), "{}", finding.message());
    }
}

#[test]
fn sg_25_26_a_default_group_with_any_rule_fails_where_it_must_be_empty() {
    let spec = "{requireEmptyDefaultGroup: true}";
    for one in [
        rule(1, "sg-1 -1 - sg-1"),
        egress(rule(1, "sg-1 -1 - 0.0.0.0/0")),
        rule(1, "sg-1 tcp 22 10.0.0.1/32"),
        egress(rule(1, "sg-1 -1 - pl-1")),
    ] {
        let mut region = region(vec![one, rule(2, "sg-2 tcp 22 0.0.0.0/0")]);
        region.default_groups = Some(seen(vec![group("sg-9", "default"), group("sg-1", "default")]));
        region.attached = Some(seen(BTreeMap::from([("sg-1".to_owned(), true)])));
        let findings = judge(spec, region.clone());
        assert_eq!(verdicts(&findings), "1 Fail, 9 Pass", "Ingress is not judged");
        assert_eq!(findings[0].severity(), Severity::High);
        assert_eq!(findings[0].subject().resource, "arn:aws:ec2:eu-west-1:222222222222:security-group/sg-1");
        region.attached = Some(seen(BTreeMap::from([("sg-1".to_owned(), false)])));
        let findings = judge(spec, region.clone());
        assert_eq!((findings[0].verdict(), findings[0].severity()), (Verdict::Fail, Severity::Medium));
        region.attached = None;
        assert_eq!(judge(spec, region)[0].severity(), Severity::High);
    }
}

#[test]
fn sg_25_the_finding_counts_the_rules_in_and_out() {
    let rules = vec![rule(1, "sg-1 -1 - sg-1"), egress(rule(2, "sg-1 -1 - 0.0.0.0/0")), rule(3, "sg-1 -1 - sg-2")];
    let mut region = region(rules);
    region.default_groups = Some(seen(vec![group("sg-1", "default")]));
    let findings = judge("{requireEmptyDefaultGroup: true}", region);
    assert_eq!((only(&findings).desired(), only(&findings).observed()), ("no rules", "2 in, 1 out"));
}

#[test]
fn sg_28_groups_of_another_account_are_left_to_its_owner() {
    let mut foreign = rule(1, "sg-1 tcp 22 0.0.0.0/0");
    foreign.group_owner_id = "333333333333".to_owned();
    let mut region = region(vec![foreign]);
    let shared = SecurityGroup { owner_id: "333333333333".to_owned(), ..group("sg-1", "default") };
    region.default_groups = Some(seen(vec![shared]));
    let spec = "{allowedIngress: [], requireEmptyDefaultGroup: true}";
    assert_eq!(needs(&desired(spec), &account(), &region), Needs::default());
    assert_eq!(judge(spec, region), []);
}

#[test]
fn sg_29_a_region_that_is_denied_is_one_unknown_and_the_others_are_judged() {
    let denied_region = RegionSnapshot::new("eu-north-1", denied("ec2:DescribeSecurityGroupRules"));
    let regions = seen(vec![denied_region, region(rules(&["sg-1 tcp 22 0.0.0.0/0"]))]);
    let spec = desired("{allowedIngress: [], requireEmptyDefaultGroup: true}");
    let findings = evaluate(&spec, &Snapshot { account: account(), regions });
    assert_eq!(verdicts(&findings), "* Unknown, 1 Fail");
    let subject = findings[0].subject();
    assert_eq!((subject.check, subject.resource.as_str()), (Check::Ingress, "arn:aws:ec2:eu-north-1:222222222222:*"));
    assert_eq!(subject.region.as_deref(), Some("eu-north-1"));
}

#[test]
fn regions_that_were_not_listed_are_one_unknown_for_the_control() {
    let snapshot = Snapshot { account: account(), regions: denied("ec2:DescribeRegions") };
    let findings = evaluate(&desired(NOTHING_ALLOWED), &snapshot);
    assert_eq!((only(&findings).verdict(), only(&findings).subject().check), (Verdict::Unknown, Check::Ingress));
    let findings = evaluate(&desired("{requireEmptyDefaultGroup: true}"), &snapshot);
    assert_eq!(only(&findings).subject().check, Check::DefaultSecurityGroup);
    assert_eq!(evaluate(&desired("{}"), &snapshot), [], "nothing is asked for");
}

#[test]
fn sg_32_a_region_throttled_between_two_pages_is_unknown_never_a_pass() {
    let findings = judge(NOTHING_ALLOWED, RegionSnapshot::new("eu-west-1", throttled()));
    assert_eq!(only(&findings).cause().map(|cause| cause.class), Some(CauseClass::Throttled));
    assert_eq!(result_of(crate::baseline::Summary::of(&findings)), Verdict::Unknown);
}

#[test]
fn default_groups_that_were_not_read_are_one_unknown_beside_the_judged_rules() {
    let mut region = region(rules(&["sg-1 tcp 22 0.0.0.0/0"]));
    region.default_groups = Some(throttled());
    let spec = "{allowedIngress: [], requireEmptyDefaultGroup: true}";
    let findings = judge(spec, region.clone());
    assert_eq!(verdicts(&findings), "1 Fail, * Unknown");
    assert_eq!(findings[1].subject().check, Check::DefaultSecurityGroup);
    region.named_groups = Some(throttled());
    let spec = "{allowedIngress: [{protocol: tcp, ports: [22], cidrs: [0.0.0.0/0], groupNames: ['b*']}], \
                 requireEmptyDefaultGroup: true}";
    assert_eq!(verdicts(&judge(spec, region)), "* Unknown", "one cause is one row");
}

#[test]
fn sg_33_ten_thousand_groups_are_judged_in_near_linear_time() {
    let spec = desired(
        "{allowedIngress: [{protocol: tcp, ports: [80, 443], cidrs: [0.0.0.0/0]}, \
                           {protocol: tcp, ports: [22], cidrs: [0.0.0.0/0], groupNames: ['bastion-*']}]}",
    );
    let rules: Vec<SecurityGroupRule> = (0..10_000)
        .flat_map(|n| {
            let third = n % 250;
            [
                rule(5 * n, &format!("sg-{n} tcp 443 0.0.0.0/0")),
                rule(5 * n + 1, &format!("sg-{n} tcp 5432 10.0.{third}.0/24")),
                rule(5 * n + 2, &format!("sg-{n} tcp 5432 52.0.{third}.0/24")),
                rule(5 * n + 3, &format!("sg-{n} -1 - sg-{n}")),
                rule(5 * n + 4, &format!("sg-{n} tcp {} 0.0.0.0/0", if n % 100 == 0 { "21" } else { "80" })),
            ]
        })
        .collect();
    let region = region(rules);
    let needs = needs(&spec, &account(), &region);
    assert_eq!((needs.attachment.len(), needs.names.len()), (100, 0));
    let started = std::time::Instant::now();
    let findings = evaluate(&spec, &Snapshot { account: account(), regions: seen(vec![region]) });
    assert_eq!(findings.len(), 40_000);
    assert_eq!(findings.iter().filter(|finding| finding.verdict() == Verdict::Fail).count(), 100);
    // Comparing all rules with each other would take hours.
    assert!(started.elapsed() < std::time::Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn sg_33_a_thousand_small_sources_of_one_group_that_are_public_together_are_judged_in_time() {
    let texts: Vec<String> =
        (0..1000).map(|n| format!("sg-1 tcp {n}-2000 {}.{}.0.0/16", 52 + n / 250, n % 250)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let started = std::time::Instant::now();
    let findings = judged("{allowedIngress: [], publicThreshold: {ipv4PrefixLength: 8}}", &texts);
    assert!(findings.iter().all(|finding| finding.verdict() == Verdict::Fail));
    let message = "tcp 255-2000 from 52.0.0.0/16 is not allowed: public together with \
                   sgr-00002, sgr-00003, sgr-00004 and 996 more";
    assert_eq!(findings[0].message(), message);
    assert!(started.elapsed() < std::time::Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn sg_37_a_partners_block_beside_the_world_passes() {
    let findings = judged(NOTHING_ALLOWED, &["sg-1 tcp 22 0.0.0.0/0", "sg-1 tcp 22 52.94.0.0/20"]);
    assert_eq!(verdicts(&findings), "1 Fail, 2 Pass");
}

#[test]
fn sg_40_an_entry_with_group_names_applies_to_the_groups_of_that_name_alone() {
    let spec = "{allowedIngress: [{protocol: tcp, ports: [22], cidrs: [0.0.0.0/0], groupNames: ['bastion-*']}]}";
    let texts = ["sg-1 tcp 22 0.0.0.0/0", "sg-2 tcp 22 0.0.0.0/0", "sg-3 tcp 22 0.0.0.0/0"];
    let mut region = region(rules(&texts));
    let asked = needs(&desired(spec), &account(), &region);
    assert_eq!(asked.names.into_iter().collect::<Vec<_>>(), ["sg-1", "sg-2", "sg-3"]);
    let named = vec![group("sg-1", "bastion-eu"), group("sg-2", "Bastion-eu")];
    region.named_groups = Some(seen(named));
    let findings = judge(spec, region.clone());
    assert_eq!(verdicts(&findings), "1 Pass, 2 Fail, 3 Unknown", "a group that vanished has no name");
    region.named_groups = Some(denied("ec2:DescribeSecurityGroups"));
    assert_eq!(verdicts(&judge(spec, region)), "* Unknown");
}

#[test]
fn sg_40_names_are_needed_only_where_they_decide() {
    let spec = "{allowedIngress: [{protocol: tcp, ports: [22], cidrs: [0.0.0.0/0], groupNames: ['bastion-*']}, \
                                  {protocol: tcp, ports: [443], cidrs: [0.0.0.0/0]}]}";
    let texts = ["sg-1 tcp 443 0.0.0.0/0", "sg-2 tcp 23 0.0.0.0/0", "sg-3 tcp 22 10.0.0.0/8", "sg-4 tcp 22 ::/0"];
    let region = region(rules(&texts));
    let asked = needs(&desired(spec), &account(), &region);
    assert_eq!(asked.names.len(), 0);
    assert_eq!(asked.attachment.into_iter().collect::<Vec<_>>(), ["sg-2", "sg-4"]);
    assert_eq!(verdicts(&judge(spec, region)), "1 Pass, 2 Fail, 3 Pass, 4 Fail");
}

#[test]
fn a_list_is_needed_only_where_no_entry_names_it_for_all_that_is_open() {
    let region = region(rules(&["sg-1 tcp 22-23 pl-a", "sg-1 tcp 22 pl-b", "sg-1 icmp - pl-c"]));
    let spec = "{allowedIngress: [{protocol: tcp, ports: [22], prefixListIds: [pl-a, pl-b]}]}";
    let asked = needs(&desired(spec), &account(), &region);
    assert_eq!(asked.prefix_lists.into_iter().collect::<Vec<_>>(), ["pl-a"]);
}

#[test]
fn what_is_left_of_a_public_source_does_not_fail_where_it_is_private() {
    let spec = "{allowedIngress: [{protocol: tcp, ports: [22], cidrs: [0.0.0.0/5, 8.0.0.0/7, 11.0.0.0/8, 12.0.0.0/6, \
                 16.0.0.0/4, 32.0.0.0/3, 64.0.0.0/2, 128.0.0.0/1]}]}";
    assert_eq!(only(&judged(spec, &["sg-1 tcp 22 0.0.0.0/0"])).verdict(), Verdict::Pass);
    let all = spec.replace("{allowedIngress", "{scope: AllSources, allowedIngress");
    let findings = judged(&all, &["sg-1 tcp 22 0.0.0.0/0"]);
    assert_fails(&findings, Severity::Critical, "tcp 22 from 10.0.0.0/8 is not allowed");
}

#[test]
fn a_rule_that_makes_no_sense_is_unknown() {
    let findings = judged(NOTHING_ALLOWED, &["sg-1 tcp 25-20 0.0.0.0/0", "sg-1 ipx 1 0.0.0.0/0"]);
    assert_eq!(verdicts(&findings), "1 Unknown, 2 Unknown");
    assert_eq!(findings[0].cause().map(|cause| cause.class), Some(CauseClass::Malformed));
}
