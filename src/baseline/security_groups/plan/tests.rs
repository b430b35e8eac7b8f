//! One test per acceptance case that planning decides, and properties over plans that are carried out.

mod properties;
mod world;

use std::collections::BTreeSet;

use self::world::{World, revoked};
use crate::api::{OwnerTag, Tag};
use crate::baseline::change::{Action, Position, ResourceState, WriteOperation};
use crate::baseline::security_groups::evaluate::tests::{denied, egress, list, rules};
use crate::baseline::{CauseClass, Check, HoldReason, Observed};

const NOTHING_ALLOWED: &str = "{allowedIngress: []}";
const WEB_ALLOWED: &str = "{allowedIngress: [{protocol: tcp, ports: [80, 443], cidrs: [0.0.0.0/0, '::/0']}]}";
const WEB_NARROWED: &str =
    "{narrow: true, allowedIngress: [{protocol: tcp, ports: [80, 443], cidrs: [0.0.0.0/0, '::/0']}]}";

#[test]
fn sg_01_02_03_04_06_what_is_wholly_outside_is_revoked_by_its_id_with_the_whole_rule_written_down() {
    let texts = ["sg-1 tcp 22 0.0.0.0/0", "sg-1 udp 443 0.0.0.0/0", "sg-1 47 - 0.0.0.0/0", "sg-1 tcp 443 0.0.0.0/0"];
    let mut world = World::new(&texts);
    world.interfaces.insert("sg-1".to_owned(), (0..20).map(|n| format!("eni-{n:02}")).collect());
    let planned = world.plan(WEB_ALLOWED);
    assert_eq!(planned.changes(), ["revoke sgr-00001", "revoke sgr-00002", "revoke sgr-00003"]);
    let change = &planned.plan.changes[0];
    assert_eq!(change.resource, "arn:aws:ec2:eu-west-1:222222222222:security-group/sg-1");
    assert_eq!(change.answers.len(), 1);
    assert_eq!(change.answers[0].message, "tcp 22 from 0.0.0.0/0 is not allowed");
    assert_eq!(change.action.operation(), WriteOperation::RevokeSecurityGroupIngress);
    let rule = world::of(&change.action);
    assert_eq!((rule.group_name.as_deref(), rule.vpc_id.as_deref()), (Some("web"), Some("vpc-1")));
    assert_eq!(rule.attached_interfaces.len(), 16);
    assert_eq!(rule.before, Some(world.rules["sg-1"][0].clone()));
    let before = rule.before.as_ref().unwrap();
    assert_eq!(before.description.as_deref(), Some("why sgr-00001"));
    assert_eq!(before.tags, [Tag { key: "team".to_owned(), value: "a".to_owned() }]);
    assert!(rule.after.is_none() && rule.requires.is_empty());
    assert_eq!(planned.done("sgr-00001"), "revoke sgr-00001 (tcp 22 from 0.0.0.0/0)");
    assert_eq!(planned.done("sgr-00003"), "revoke sgr-00003 (gre from 0.0.0.0/0)");
    // What nobody asked about (ICMP) is not what is allowed.
    assert_eq!(World::new(&["sg-1 -1 - ::/0"]).plan(NOTHING_ALLOWED).changes(), ["revoke sgr-00001"]);
}

#[test]
fn sg_07_each_rule_of_a_public_union_is_revoked_on_its_own() {
    let world = World::new(&["sg-1 tcp 22 52.0.0.0/9", "sg-1 tcp 22 52.128.0.0/9", "sg-1 tcp 23 54.0.0.0/20"]);
    let planned = world.plan(NOTHING_ALLOWED);
    assert_eq!(planned.changes(), ["revoke sgr-00001", "revoke sgr-00002"]);
    assert!(planned.plan.changes[0].answers[0].message.ends_with("public together with sgr-00002"));
    // Whoever stops between the two finds that the other one alone is not public.
    let mut half = world.clone();
    half.apply(&planned.plan.changes[0].action);
    assert_eq!(half.plan(NOTHING_ALLOWED).changes(), [""; 0]);
}

#[test]
fn sg_09_a_reference_to_a_prefix_list_is_revoked_whole_or_left() {
    let mut world = World::new(&["sg-1 tcp 22 pl-wide", "sg-1 tcp 80-443 pl-wide", "sg-1 tcp 80-90 pl-named"]);
    world.lists =
        vec![list("pl-wide", "222222222222", &["0.0.0.0/0"]), list("pl-named", "222222222222", &["52.0.0.0/8"])];
    let spec = "{narrow: true, allowedIngress: [{protocol: tcp, ports: [443], cidrs: [52.0.0.0/8]}, \
                                                {protocol: tcp, ports: [80], prefixListIds: [pl-named]}]}";
    let planned = world.plan(spec);
    assert_eq!(planned.changes(), ["revoke sgr-00001"]);
    assert_eq!(planned.held(), ["sgr-00002 ClosesAllowed", "sgr-00003 ClosesAllowed"]);
    let message = "to revoke the rule would close what is allowed (tcp 443 from 52.0.0.0/8): a reference to a prefix \
                   list is never narrowed, so split the rule";
    assert_eq!(planned.done("sgr-00002"), message);
    let everything = "{allowedIngress: []}";
    assert_eq!(world.plan(everything).changes(), ["revoke sgr-00001", "revoke sgr-00002", "revoke sgr-00003"]);
}

#[test]
fn sg_10_what_a_list_of_awss_own_holds_is_not_known_so_nothing_of_it_is_closed_that_may_be_allowed() {
    let mut world = World::new(&["sg-1 tcp 443 pl-aws", "sg-1 tcp 22 pl-aws"]);
    world.lists = vec![list("pl-aws", "AWS", &[])];
    let spec = "{scope: AllSources, allowedIngress: [{protocol: tcp, ports: [443], cidrs: [10.0.0.0/8]}]}";
    let planned = world.plan(spec);
    assert_eq!(planned.changes(), ["revoke sgr-00002"]);
    assert_eq!(planned.held(), ["sgr-00001 ClosesAllowed"]);
}

#[test]
fn sg_12_13_18_37_only_the_rule_that_fails_is_revoked_whatever_stands_beside_it() {
    let mut world = World::new(&[
        "sg-1 tcp 22 0.0.0.0/0",
        "sg-1 tcp 22 10.0.0.0/8",
        "sg-1 tcp 22 sg-2",
        "sg-1 tcp 22 52.0.0.0/20",
        "sg-2 -1 - sg-1",
    ]);
    world.add(egress(rules(&["sg-1 -1 - 0.0.0.0/0"]).remove(0)));
    let planned = world.plan("{allowedIngress: []}");
    assert_eq!(planned.changes(), ["revoke sgr-00001"]);
    assert_eq!(planned.held(), [""; 0]);
}

#[test]
fn sg_14_a_rule_that_is_partly_allowed_is_held() {
    let planned = World::new(&["sg-1 tcp 80-443 0.0.0.0/0"]).plan(WEB_ALLOWED);
    assert_eq!(planned.changes(), [""; 0]);
    assert_eq!(planned.held(), ["sgr-00001 ClosesAllowed"]);
    let message = "to revoke the rule would close what is allowed (tcp 80, 443 from 0.0.0.0/0): set narrow: true, or \
                   split the rule";
    assert_eq!(planned.done("sgr-00001"), message);
    assert_eq!(planned.plan.digest, None);
}

#[test]
fn sg_14_narrowing_adds_what_is_allowed_with_the_rules_own_description_and_tags_and_then_revokes() {
    let mut world = World::new(&["sg-1 tcp 80-443 0.0.0.0/0"]);
    let reserved = Tag { key: "aws:made-by".to_owned(), value: "x".to_owned() };
    world.rules.get_mut("sg-1").unwrap()[0].tags.push(reserved);
    let planned = world.plan(WEB_NARROWED);
    let expected = ["add tcp 80 from 0.0.0.0/0", "add tcp 443 from 0.0.0.0/0", "revoke sgr-00001"];
    assert_eq!(planned.changes(), expected);
    let message = "keep tcp 80 from 0.0.0.0/0, tcp 443 from 0.0.0.0/0 open, then revoke sgr-00001 (tcp 80-443 from \
                   0.0.0.0/0)";
    assert_eq!(planned.done("sgr-00001"), message);
    let added = world::of(&planned.plan.changes[0].action).after.clone().unwrap();
    assert_eq!((added.rule_id, added.description.as_deref()), (None, Some("why sgr-00001")));
    assert_eq!(added.tags, [Tag { key: "team".to_owned(), value: "a".to_owned() }], "AWS keeps aws: to itself");
    let requires = &world::of(&planned.plan.changes[2].action).requires;
    assert_eq!(
        requires.iter().map(|rule| (rule.from_port, rule.to_port)).collect::<Vec<_>>(),
        [(Some(80), Some(80)), (Some(443), Some(443))]
    );
    let answers: BTreeSet<&str> =
        planned.plan.changes.iter().flat_map(|change| &change.answers).map(|answered| answered.id.as_str()).collect();
    assert_eq!(answers.len(), 1, "the three answer one finding together");
}

#[test]
fn sg_14_as_few_rules_as_possible_take_the_place_of_one() {
    let narrowed = |rule: &str, entries: &str| {
        let spec = format!("{{narrow: true, scope: AllSources, judgeIcmp: true, allowedIngress: [{entries}]}}");
        let planned = World::new(&[rule]).plan(&spec);
        if planned.held().is_empty() { planned.changes().join("; ") } else { planned.held().join("; ") }
    };
    let ssh = "{protocol: tcp, ports: [22], cidrs: [10.0.0.0/8]}";
    assert_eq!(narrowed("sg-1 tcp 22 0.0.0.0/0", ssh), "add tcp 22 from 10.0.0.0/8; revoke sgr-00001");
    assert_eq!(narrowed("sg-1 -1 - 0.0.0.0/0", ssh), "add tcp 22 from 10.0.0.0/8; revoke sgr-00001");
    let all =
        format!("{ssh}, {{protocol: all, cidrs: [10.0.0.0/8]}}, {{protocol: tcp, ports: [443], cidrs: [0.0.0.0/0]}}");
    let expected = "add all traffic from 10.0.0.0/8; add tcp 443 from 0.0.0.0/0; revoke sgr-00001";
    assert_eq!(narrowed("sg-1 -1 - 0.0.0.0/0", &all), expected);
    // Rules may overlap where that makes fewer of them.
    let overlapping = "{protocol: tcp, ports: [80-90], cidrs: [10.0.0.0/9]}, \
                       {protocol: tcp, ports: [85], cidrs: [10.128.0.0/9]}";
    let expected = "add tcp 80-90 from 10.0.0.0/9; add tcp 85 from 10.0.0.0/8; revoke sgr-00001";
    assert_eq!(narrowed("sg-1 tcp 0-100 10.0.0.0/8", overlapping), expected);
    let beside =
        "{protocol: tcp, ports: [80-81], cidrs: [10.0.0.0/16]}, {protocol: tcp, ports: [81], cidrs: [10.9.0.0/16]}";
    let expected = "add tcp 80-81 from 10.0.0.0/16; add tcp 81 from 10.9.0.0/16; revoke sgr-00001";
    assert_eq!(narrowed("sg-1 tcp 0-100 10.0.0.0/8", beside), expected);
    // The middle, which is allowed to both halves, is open by two rules together.
    let crossing = "{protocol: tcp, ports: [1-5], cidrs: [10.0.0.0/9]}, \
                    {protocol: tcp, ports: [3-7], cidrs: [10.128.0.0/9]}";
    let expected = "add tcp 1-5 from 10.0.0.0/9; add tcp 3-7 from 10.128.0.0/9; revoke sgr-00001";
    assert_eq!(narrowed("sg-1 tcp 0-100 10.0.0.0/8", crossing), expected);
    let both = "{protocol: tcp, ports: [53], cidrs: [10.0.0.0/8]}, {protocol: udp, ports: [53], cidrs: [10.0.0.0/8]}";
    let expected = "add tcp 53 from 10.0.0.0/8; add udp 53 from 10.0.0.0/8; revoke sgr-00001";
    assert_eq!(narrowed("sg-1 -1 - 0.0.0.0/0", both), expected);
    let six = "{protocol: tcp, ports: [22], cidrs: ['2a00:1::/32']}";
    assert_eq!(narrowed("sg-1 tcp 22 ::/0", six), "add tcp 22 from 2a00:1::/32; revoke sgr-00001");
    let gre = "{protocol: gre, cidrs: [10.0.0.0/8]}";
    assert_eq!(narrowed("sg-1 47 - 0.0.0.0/0", gre), "add gre from 10.0.0.0/8; revoke sgr-00001");
    let ports: Vec<String> = (0..17).map(|port| (port * 2).to_string()).collect();
    let scattered =
        |count: usize| format!("{{protocol: tcp, ports: [{}], cidrs: [0.0.0.0/0]}}", ports[..count].join(", "));
    assert_eq!(narrowed("sg-1 tcp 0-100 0.0.0.0/0", &scattered(17)), "sgr-00001 ClosesAllowed");
    assert_eq!(narrowed("sg-1 tcp 0-100 0.0.0.0/0", &scattered(16)).split("; ").count(), 17);
    let blocks: Vec<String> = (0..17).map(|block| format!("10.{}.0.0/16", block * 2)).collect();
    let sources = format!("{{protocol: tcp, ports: [22], cidrs: [{}]}}", blocks.join(", "));
    assert_eq!(narrowed("sg-1 tcp 22 0.0.0.0/0", &sources), "sgr-00001 ClosesAllowed");
}

#[test]
fn sg_05_14_a_type_of_icmp_stays_the_one_that_it_is() {
    let spec =
        "{narrow: true, judgeIcmp: true, scope: AllSources, allowedIngress: [{protocol: icmp, cidrs: [10.0.0.0/8]}]}";
    let mut world = World::new(&["sg-1 icmp 8 0.0.0.0/0"]);
    world.rules.get_mut("sg-1").unwrap()[0].to_port = Some(-1);
    let planned = world.plan(spec);
    assert_eq!(planned.changes(), ["add icmp from 10.0.0.0/8", "revoke sgr-00001"]);
    let added = world::of(&planned.plan.changes[0].action).after.clone().unwrap();
    assert_eq!((added.from_port, added.to_port), (Some(8), Some(-1)));
    // Another type that stays does not keep this one open.
    let mut world = World::new(&["sg-1 icmp - 0.0.0.0/0", "sg-1 icmp 8 10.0.0.0/8"]);
    assert_eq!(world.plan(spec).changes(), ["add icmp from 10.0.0.0/8", "revoke sgr-00001"]);
    world.rules.get_mut("sg-1").unwrap()[1].from_port = Some(-1);
    world.rules.get_mut("sg-1").unwrap()[1].to_port = Some(-1);
    assert_eq!(world.plan(spec).changes(), ["revoke sgr-00001"]);
}

#[test]
fn sg_40_a_groups_name_decides_what_of_its_rules_stays() {
    let spec = "{narrow: true, allowedIngress: [{protocol: tcp, ports: [443], cidrs: [0.0.0.0/0]}, \
                 {protocol: tcp, ports: [22], cidrs: [0.0.0.0/0], groupNames: ['bastion-*']}]}";
    let mut world = World::new(&["sg-1 tcp 22-443 0.0.0.0/0", "sg-2 tcp 22-443 0.0.0.0/0", "sg-2 tcp 22 0.0.0.0/0"]);
    world.groups[0].name = "bastion-1".to_owned();
    let expected = [
        "add tcp 22 from 0.0.0.0/0",
        "add tcp 443 from 0.0.0.0/0",
        "revoke sgr-00001",
        "revoke sgr-00003",
        "add tcp 443 from 0.0.0.0/0",
        "revoke sgr-00002",
    ];
    assert_eq!(world.plan(spec).changes(), expected);
}

#[test]
fn sg_39_what_the_group_has_already_is_not_added_again() {
    let world = World::new(&["sg-1 tcp 80-443 0.0.0.0/0", "sg-1 tcp 443 0.0.0.0/0"]);
    let planned = world.plan(WEB_NARROWED);
    assert_eq!(planned.changes(), ["add tcp 80 from 0.0.0.0/0", "revoke sgr-00001"]);
    let requires = &world::of(&planned.plan.changes[1].action).requires;
    assert_eq!(requires.len(), 2, "what was there already must be there still: {requires:?}");
    // A wider one that stays keeps it open too.
    let spec =
        "{narrow: true, scope: AllSources, allowedIngress: [{protocol: tcp, ports: [80-90], cidrs: [10.0.0.0/8]}]}";
    let world = World::new(&["sg-1 tcp 85-99 10.1.0.0/16", "sg-1 tcp 80-90 10.0.0.0/8"]);
    let planned = world.plan(spec);
    assert_eq!(planned.changes(), ["revoke sgr-00001"]);
    let requires = &world::of(&planned.plan.changes[0].action).requires;
    assert_eq!(requires[0].cidr_ipv4.as_deref(), Some("10.0.0.0/8"));
}

#[test]
fn sg_39_two_rules_that_need_the_same_narrower_one_get_it_once() {
    let world = World::new(&["sg-1 tcp 80-443 0.0.0.0/0", "sg-1 tcp 1-100 0.0.0.0/0"]);
    let planned = world.plan(WEB_NARROWED);
    let expected = ["add tcp 80 from 0.0.0.0/0", "add tcp 443 from 0.0.0.0/0", "revoke sgr-00001", "revoke sgr-00002"];
    assert_eq!(planned.changes(), expected);
    assert_eq!(planned.plan.changes[0].answers.len(), 2, "what holds one of them holds both");
    assert_eq!(world::of(&planned.plan.changes[3].action).requires.len(), 1);
}

#[test]
fn sg_39_a_rule_that_somebody_else_added_meanwhile_is_after_the_change() {
    let world = World::new(&["sg-1 tcp 80-443 0.0.0.0/0", "sg-1 tcp 80 0.0.0.0/0"]);
    let without = World::new(&["sg-1 tcp 80-443 0.0.0.0/0"]);
    let add = without.plan(WEB_NARROWED).plan.changes[0].action.clone();
    assert_eq!(add.position(&without.state("sg-1")), Position::Before);
    assert_eq!(add.position(&world.state("sg-1")), Position::After, "whatever its description");
}

#[test]
fn sg_34_where_a_narrower_rule_is_not_there_the_wide_one_is_not_revoked() {
    let mut world = World::new(&["sg-1 tcp 80-443 0.0.0.0/0"]);
    let changes = world.plan(WEB_NARROWED).plan.changes;
    let revoke = &changes[2].action;
    world.apply(&changes[0].action);
    // The second was refused: the group has as many rules as it may have.
    let Position::Moved(why) = revoke.position(&world.state("sg-1")) else { panic!("half of it is open") };
    assert_eq!(why, "a narrower rule that must stay is not there");
    world.apply(&changes[1].action);
    assert_eq!(revoke.position(&world.state("sg-1")), Position::Before);
}

#[test]
fn sg_30_a_rule_that_is_gone_when_it_is_to_be_revoked_is_a_success() {
    let mut world = World::new(&["sg-1 tcp 22 0.0.0.0/0"]);
    let revoke = world.plan(NOTHING_ALLOWED).plan.changes[0].action.clone();
    assert_eq!(revoke.position(&world.state("sg-1")), Position::Before);
    world.rules.clear();
    assert_eq!(revoke.position(&world.state("sg-1")), Position::After);
    assert_eq!(revoke.position(&ResourceState::Gone), Position::After, "so is a group that is gone");
}

#[test]
fn sg_20_21_22_a_group_that_somebody_else_manages_is_held_and_the_mark_named() {
    let names = [
        "eks-cluster-sg-prod-123",
        "FMManagedSecurityGroup53ece283-sg-0dd3-vpc-1",
        "GuardDutyManagedSecurityGroup-vpc-1",
        "rds-ec2-1",
        "ec2-rds-2",
        "lambda-rds-1",
        "rds-lambda-1",
        "rdsproxy-lambda-1",
        "d-9367123456_controllers",
        "aws-controltower-VPC",
        "ElasticMapReduce-master",
        "ElasticMapReduce-Slave-Private",
        "security-group-for-inbound-nfs-d-ujcvqjdoyu70",
    ];
    for name in names {
        let mut world = World::new(&["sg-1 tcp 22 0.0.0.0/0"]);
        world.groups[0].name = name.to_owned();
        let planned = world.plan(NOTHING_ALLOWED);
        assert_eq!(
            (planned.changes(), planned.held()),
            (vec![], vec!["sgr-00001 ManagedElsewhere".to_owned()]),
            "{name}"
        );
        assert!(planned.done("sgr-00001").starts_with(&format!("its name {name} says that A")), "{name}");
    }
    let tags = [
        "elbv2.k8s.aws/cluster",
        "kubernetes.io/cluster/prod",
        "aws:cloudformation:stack-name",
        "aws:eks:cluster-name",
        "ingress.k8s.aws/stack",
        "sigs.k8s.io/cluster-api-provider-aws/cluster/prod",
    ];
    for tag in tags {
        let mut world = World::new(&["sg-1 tcp 22 0.0.0.0/0"]);
        world.groups[0].tags = vec![("a".to_owned(), "b".to_owned()), (tag.to_owned(), "owned".to_owned())];
        let planned = world.plan(NOTHING_ALLOWED);
        assert_eq!(planned.held(), ["sgr-00001 ManagedElsewhere"], "{tag}");
        assert!(planned.done("sgr-00001").starts_with(&format!("its tag {tag} says that ")), "{tag}");
        assert_eq!(planned.changes(), [""; 0]);
    }
}

#[test]
fn sg_21_tags_that_the_spec_names_hold_a_group_or_a_rule() {
    let owner = |value: Option<&str>| OwnerTag { key: "ManagedBy".to_owned(), value: value.map(str::to_owned) };
    let held = |owner: OwnerTag, tag: (&str, &str)| {
        let mut world = World::new(&["sg-1 tcp 22 0.0.0.0/0"]);
        world.owned_elsewhere = vec![owner];
        world.groups[0].tags = vec![(tag.0.to_owned(), tag.1.to_owned())];
        let planned = world.plan(NOTHING_ALLOWED);
        (planned.changes().is_empty(), planned.done("sgr-00001"))
    };
    let message = "its tag ManagedBy=terraform, which ownedElsewhere names, says that somebody else manages the group";
    assert_eq!(held(owner(Some("terraform")), ("ManagedBy", "terraform")), (true, message.to_owned()));
    assert!(held(owner(None), ("ManagedBy", "anything")).0, "no value is any value");
    assert!(!held(owner(Some("terraform")), ("ManagedBy", "Terraform")).0, "letter case counts");
    assert!(!held(owner(Some("terraform")), ("managedby", "terraform")).0);

    let mut world = World::new(&["sg-1 tcp 22 0.0.0.0/0", "sg-1 tcp 23 0.0.0.0/0"]);
    world.owned_elsewhere = vec![owner(None)];
    world.rules.get_mut("sg-1").unwrap()[0].tags[0].key = "ManagedBy".to_owned();
    let planned = world.plan(NOTHING_ALLOWED);
    assert_eq!(
        (planned.changes(), planned.held()),
        (vec!["revoke sgr-00002".to_owned()], vec!["sgr-00001 ManagedElsewhere".to_owned()])
    );
    let message =
        "its tag ManagedBy, which ownedElsewhere names, of sgr-00001 says that somebody else manages the rule";
    assert_eq!(planned.done("sgr-00001"), message);
}

#[test]
fn sg_20_a_customers_own_group_on_a_services_interface_is_not_held() {
    for name in ["web", "rds", "my-rds-ec2-1", "eks-workers", "launch-wizard-1", "d-team_web", "elasticmapreduce"] {
        let mut world = World::new(&["sg-1 tcp 22 0.0.0.0/0"]);
        world.groups[0].name = name.to_owned();
        world.groups[0].tags = vec![("Name".to_owned(), "kubernetes.io/cluster/x".to_owned())];
        world.interfaces.insert("sg-1".to_owned(), ["eni-of-rds".to_owned()].into());
        assert_eq!(world.plan(NOTHING_ALLOWED).changes(), ["revoke sgr-00001"], "{name}");
    }
}

/// A default group with a rule from itself, one from the world, and one out.
fn default_group() -> World {
    let mut world = World::new(&["sg-1 -1 - sg-1", "sg-1 tcp 22 0.0.0.0/0"]);
    world.add(egress(rules(&["sg-1 -1 - 0.0.0.0/0"]).remove(0)));
    world.groups[0].name = "default".to_owned();
    world
}

#[test]
fn sg_25_26_a_default_group_is_emptied_only_as_far_as_the_spec_lets_it() {
    let spec = |setting: &str| format!("{{requireEmptyDefaultGroup: true{setting}}}");
    let mut used = default_group();
    used.interfaces.insert("sg-1".to_owned(), ["eni-1".to_owned()].into());
    let unused = default_group();
    let rows = [
        ("", &unused, false, "enforceDefaultGroup is None: launch templates"),
        (", enforceDefaultGroup: Unattached", &unused, true, "empty the default group sg-1: revoke its rules"),
        (
            ", enforceDefaultGroup: Unattached",
            &used,
            false,
            "eni-1 use the group, and enforceDefaultGroup is Unattached",
        ),
        (", enforceDefaultGroup: InUseToo", &used, true, "empty the default group sg-1: revoke its rules"),
        ("", &used, false, "enforceDefaultGroup is None"),
    ];
    for (setting, world, emptied, message) in rows {
        let planned = world.plan(&spec(setting));
        assert!(planned.done("sg-1").starts_with(message), "{setting}: {}", planned.done("sg-1"));
        if emptied {
            let expected = ["revoke sgr-00001", "revoke sgr-00002", "revoke egress sgr-00003"];
            assert_eq!(planned.changes(), expected, "{setting}");
            assert!(planned.plan.changes.iter().all(|change| change.answers.len() == 1));
            assert!(planned.plan.changes.iter().all(|change| change.resource.ends_with("security-group/sg-1")));
        } else {
            assert_eq!(
                (planned.changes(), planned.held()),
                (vec![], vec!["sg-1 DefaultGroup".to_owned()]),
                "{setting}"
            );
        }
    }
}

#[test]
fn sg_12_18_26_a_rule_that_fails_both_checks_is_revoked_once_and_answers_both() {
    let spec = "{allowedIngress: [], requireEmptyDefaultGroup: true, enforceDefaultGroup: InUseToo}";
    let planned = default_group().plan(spec);
    assert_eq!(planned.changes(), ["revoke sgr-00001", "revoke sgr-00002", "revoke egress sgr-00003"]);
    let checks: Vec<Vec<Check>> = planned
        .plan
        .changes
        .iter()
        .map(|change| change.answers.iter().map(|answered| answered.check).collect())
        .collect();
    let group = Check::DefaultSecurityGroup;
    assert_eq!(checks, [vec![group], vec![group, Check::Ingress], vec![group]]);
    // Where the group is not to be emptied, what is public is closed all the same, and nothing else.
    let planned = default_group().plan("{allowedIngress: [], requireEmptyDefaultGroup: true}");
    assert_eq!(planned.changes(), ["revoke sgr-00002"]);
    assert_eq!(planned.held(), ["sg-1 DefaultGroup"]);
    // What is partly allowed goes with the group that must be empty.
    let spec = "{allowedIngress: [{protocol: tcp, ports: [22], cidrs: [52.0.0.0/8]}], requireEmptyDefaultGroup: true, \
                 enforceDefaultGroup: InUseToo, narrow: true}";
    assert_eq!(default_group().plan(spec).changes().len(), 3);
}

#[test]
fn what_an_exception_covers_is_never_revoked_not_even_with_its_default_group() {
    let spec = "{allowedIngress: [], requireEmptyDefaultGroup: true, enforceDefaultGroup: InUseToo}";
    let mut world = default_group();
    world.exempt.insert("sgr-00002".to_owned());
    let planned = world.plan(spec);
    assert_eq!((planned.changes(), planned.held()), (vec![], vec!["sg-1 DefaultGroup".to_owned()]));
    assert_eq!(planned.done("sg-1"), "an exception covers sgr-00002, and to empty the group would revoke it");
    // An exception for the group leaves its public rules to be closed.
    let mut world = default_group();
    world.exempt.insert("sg-1".to_owned());
    assert_eq!(world.plan(spec).changes(), ["revoke sgr-00002"]);

    let mut world = World::new(&["sg-1 tcp 22 0.0.0.0/0", "sg-1 tcp 23 0.0.0.0/0"]);
    world.exempt.insert("sgr-00001".to_owned());
    assert_eq!(world.plan(NOTHING_ALLOWED).changes(), ["revoke sgr-00002"]);
}

#[test]
fn sg_11_a_default_group_with_a_rule_that_could_not_be_judged_is_held() {
    let mut world = World::new(&["sg-1 tcp 22 pl-1"]);
    world.groups[0].name = "default".to_owned();
    world.unread_list = Some(("pl-1".to_owned(), "ec2:GetManagedPrefixListEntries".to_owned()));
    let spec = "{allowedIngress: [], requireEmptyDefaultGroup: true, enforceDefaultGroup: InUseToo}";
    let planned = world.plan(spec);
    assert_eq!((planned.changes(), planned.held()), (vec![], vec!["sg-1 NotRead".to_owned()]));
    assert!(planned.done("sg-1").contains("(ec2:GetManagedPrefixListEntries)"), "{}", planned.done("sg-1"));
    // Where nobody asks about ingress, nothing of it is to be judged.
    let spec = "{requireEmptyDefaultGroup: true, enforceDefaultGroup: InUseToo}";
    assert_eq!(world.plan(spec).changes(), ["revoke sgr-00001"]);
}

#[test]
fn sg_28_a_group_of_another_account_is_left_to_its_owner() {
    let mut world = default_group();
    world.owner = "333333333333".to_owned();
    let spec = "{allowedIngress: [], requireEmptyDefaultGroup: true, enforceDefaultGroup: InUseToo}";
    let planned = world.plan(spec);
    assert_eq!((planned.changes(), planned.held()), (vec![], vec![]));
}

#[test]
fn sg_36_three_hundred_rules_are_three_hundred_changes_in_an_order_that_stays() {
    let texts: Vec<String> = (0..300).map(|n| format!("sg-{:03} tcp {n} 0.0.0.0/0", n % 7)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let world = World::new(&texts);
    let planned = world.plan(NOTHING_ALLOWED);
    assert_eq!(planned.plan.changes.len(), 300);
    assert!(planned.held().is_empty());
    let once: BTreeSet<String> = planned.plan.meanings.iter().cloned().collect();
    assert_eq!(once.len(), 300);
    let mut turned = world.clone();
    turned.rules.values_mut().for_each(|rules| rules.reverse());
    turned.groups.reverse();
    let again = turned.plan(NOTHING_ALLOWED);
    assert_eq!(again.plan.meanings, planned.plan.meanings);
    assert_eq!(again.plan.digest, planned.plan.digest);
    let resources: Vec<&str> = planned.plan.changes.iter().map(|change| change.resource.as_str()).collect();
    assert!(resources.is_sorted(), "group by group");
}

#[test]
fn p5_what_could_not_be_read_holds_its_region_and_names_the_action() {
    let mut world = World::new(&["sg-1 tcp 22 0.0.0.0/0"]);
    world.unread = Some(denied("ec2:DescribeNetworkInterfaces"));
    let planned = world.plan(NOTHING_ALLOWED);
    assert_eq!((planned.changes(), planned.held()), (vec![], vec!["sgr-00001 NotRead".to_owned()]));
    let message = "what decides whether a change is safe could not be read (ec2:DescribeNetworkInterfaces): \
                   ec2:DescribeNetworkInterfaces is denied";
    assert_eq!(planned.done("sgr-00001"), message);
    let slow = crate::baseline::Cause::new(CauseClass::Throttled, "slow down");
    world.unread = Some(Observed::Unknown(slow));
    let message = "what decides whether a change is safe could not be read (Throttled): slow down";
    assert_eq!(world.plan(NOTHING_ALLOWED).done("sgr-00001"), message);
}

#[test]
fn p5_a_rule_that_changed_while_it_was_read_is_left_alone_and_the_others_are_not() {
    let texts = ["sg-1 tcp 22 0.0.0.0/0", "sg-1 tcp 23 0.0.0.0/0"];
    let moved: [fn(&mut World); 5] = [
        |world| world.moved("sgr-00001", |rule| rule.to_port = Some(24)),
        |world| world.moved("sgr-00001", |rule| rule.cidr_ipv4 = Some("10.0.0.0/8".to_owned())),
        |world| world.moved("sgr-00001", |rule| rule.ip_protocol = "udp".to_owned()),
        |world| world.moved("sgr-00001", |rule| rule.is_egress = true),
        |world| world.moved("sgr-00001", |rule| rule.rule_id = Some("sgr-new".to_owned())),
    ];
    for moved in moved {
        let mut world = World::new(&texts);
        moved(&mut world);
        let planned = world.plan(NOTHING_ALLOWED);
        assert_eq!(planned.changes(), ["revoke sgr-00002"]);
        assert_eq!(planned.held(), ["sgr-00001 NotRead"]);
        assert!(planned.done("sgr-00001").starts_with("it changed while it was read"));
    }
    let mut world = World::new(&texts);
    world.moved("sgr-00001", |rule| rule.description = None);
    assert_eq!(world.plan(NOTHING_ALLOWED).changes().len(), 2, "a description opens nothing");
    world.gone = true;
    assert_eq!(world.plan(NOTHING_ALLOWED).held(), ["sgr-00001 NotRead", "sgr-00002 NotRead"]);

    let spec = "{requireEmptyDefaultGroup: true, enforceDefaultGroup: InUseToo}";
    let mut world = default_group();
    world.moved("sgr-00003", |rule| rule.cidr_ipv4 = Some("10.0.0.0/8".to_owned()));
    assert_eq!(world.plan(spec).held(), ["sg-1 NotRead"]);
    let mut world = default_group();
    world.added_since.push(world.rules["sg-1"][1].clone());
    assert_eq!(world.plan(spec).held(), ["sg-1 NotRead"], "a rule more is a group that nobody judged");
}

#[test]
fn p4_the_inverse_of_a_revoke_adds_the_whole_rule_again() {
    let mut world = World::new(&["sg-1 tcp 22 0.0.0.0/0"]);
    let before = world.rules["sg-1"][0].clone();
    let action = world.plan(NOTHING_ALLOWED).plan.changes[0].action.clone();
    world.apply(&action);
    let undo = action.inverse();
    assert_eq!(undo.operation(), WriteOperation::AuthorizeSecurityGroupIngress);
    assert_eq!(undo.position(&world.state("sg-1")), Position::Before);
    world.apply(&undo);
    assert_eq!(undo.position(&world.state("sg-1")), Position::After);
    let after = &world.rules["sg-1"][0];
    assert_ne!(after.rule_id, before.rule_id, "it comes back under a new id");
    assert_eq!((&after.description, &after.tags), (&before.description, &before.tags));
    assert_eq!(action.not_undone(), Some("the rule comes back under a new id"));
    let revoke_again = undo.inverse();
    assert_eq!(revoke_again, action);
}

#[test]
fn a_rule_is_the_same_however_aws_writes_its_block_and_the_ports_that_it_does_not_have() {
    let add = |rule: &str, spec: &str| World::new(&[rule]).plan(spec).plan.changes[0].action.clone();
    let spec = "{narrow: true, scope: AllSources, allowedIngress: [{protocol: gre, cidrs: ['2a00:1::/32']}]}";
    let action = add("sg-1 47 - ::/0", spec);
    let Action::SecurityGroupRule(change) = &action else { panic!("{action:?}") };
    let mut shown = change.after.clone().unwrap();
    shown.cidr_ipv6 = Some("2a00:0001:0:0:0:0:0:0/32".to_owned());
    (shown.from_port, shown.to_port) = (Some(0), Some(65535));
    assert_eq!(action.position(&ResourceState::SecurityGroup(vec![shown.clone()])), Position::After);
    shown.ip_protocol = "50".to_owned();
    assert_eq!(action.position(&ResourceState::SecurityGroup(vec![shown])), Position::Before);
}

#[test]
fn sg_17_a_change_says_nothing_of_rules_that_pass() {
    let world = World::new(&["sg-1 tcp 22 52.0.0.1/32", "sg-2 tcp 22 10.0.0.0/8"]);
    assert_eq!(revoked(&world.plan(NOTHING_ALLOWED)), [""; 0]);
    let all = "{scope: AllSources, allowedIngress: [{protocol: tcp, ports: [22], cidrs: [10.0.0.0/8]}]}";
    assert_eq!(revoked(&world.plan(all)), ["sgr-00001"]);
    assert_eq!(world.plan(all).reason("sgr-00001"), None::<HoldReason>);
}
