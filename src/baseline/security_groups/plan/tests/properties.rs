//! Properties of plans that are carried out, over the universe of the properties of evaluation.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use proptest::prelude::*;

use super::world::{Planned, World, of};
use crate::api::{Controls, DefaultGroupEnforcement, SecurityGroupsControl};
use crate::baseline::change::Position;
use crate::baseline::security_groups::SecurityGroupRule;
use crate::baseline::security_groups::evaluate::tests::list;
use crate::baseline::security_groups::evaluate::tests::properties::{
    BruteForce, LIST, LIST_BLOCKS, Service, any_desired, any_rules, services,
};
use crate::baseline::{Check, HoldReason, Verdict};

/// The group that is a default group in some cases.
const DEFAULT: &str = "sg-b";

type Points = BTreeSet<(String, Service, IpAddr)>;

fn world(rules: &[SecurityGroupRule], exempt: &[bool], with_default: bool) -> World {
    let mut world = World::of(rules.to_vec());
    world.lists = vec![list(LIST, "222222222222", &LIST_BLOCKS)];
    for group in &mut world.groups {
        let other = if with_default { "default" } else { "bb" };
        (if group.id == DEFAULT { other } else { "a" }).clone_into(&mut group.name);
    }
    let excepted = rules.iter().zip(exempt).filter(|(_, exempt)| **exempt);
    world.exempt = excepted.map(|(rule, _)| rule.id.clone()).collect();
    world
}

fn controls(desired: SecurityGroupsControl, narrow: bool, with_default: bool) -> Controls {
    let desired = SecurityGroupsControl {
        narrow,
        require_empty_default_group: with_default,
        enforce_default_group: DefaultGroupEnforcement::InUseToo,
        ..desired
    };
    Controls { security_groups: Some(desired), ..Controls::default() }
}

/// What the rules of each group open, of the universe.
fn opened(rules: &[SecurityGroupRule], counts: impl Fn(&SecurityGroupRule, Service, IpAddr) -> bool) -> Points {
    let mut points = Points::new();
    for rule in rules {
        let sources = BruteForce::sources(rule);
        for service in services().into_iter().filter(|service| BruteForce::opens(rule, *service)) {
            let counted = sources.iter().filter(|address| counts(rule, service, **address));
            points.extend(counted.map(|address| (rule.group_id.clone(), service, *address)));
        }
    }
    points
}

/// The rules without their ids: what must be as it was after everything is undone.
fn openings(world: &World) -> BTreeMap<String, Vec<String>> {
    let groups = world.rules.iter().filter(|(_, rules)| !rules.is_empty());
    groups
        .map(|(group, rules)| {
            let mut texts: Vec<String> = rules
                .iter()
                .map(|rule| format!("{:?}", crate::api::SecurityGroupRuleValue { rule_id: None, ..rule.clone() }))
                .collect();
            texts.sort();
            (group.clone(), texts)
        })
        .collect()
}

fn failing(planned: &Planned) -> BTreeSet<String> {
    let fails = planned.findings.iter().filter(|finding| finding.verdict() == Verdict::Fail);
    fails.map(|finding| finding.subject().id()).collect()
}

/// What fails and will be judged as now as long as the rules are there.
fn decided(planned: &Planned) -> BTreeSet<String> {
    let waits = |id: &String| planned.plan.remediations[id].reason() == Some(HoldReason::DefaultGroup);
    failing(planned).into_iter().filter(|id| !waits(id)).collect()
}

fn answered(planned: &Planned) -> BTreeSet<String> {
    planned.plan.changes.iter().flat_map(|change| &change.answers).map(|answered| answered.id.clone()).collect()
}

/// Carries a plan out; each change is still to be made when its turn comes, and made afterwards.
fn carry_out(world: &mut World, planned: &Planned) {
    for change in &planned.plan.changes {
        let group = &of(&change.action).group_id;
        assert_eq!(change.action.position(&world.state(group)), Position::Before, "{change:?}");
        let before = opened(&world.observed(), |_, _, _| true);
        world.apply(&change.action);
        assert_eq!(change.action.position(&world.state(group)), Position::After, "{change:?}");
        assert!(opened(&world.observed(), |_, _, _| true).is_subset(&before), "opens something: {change:?}");
    }
}

proptest! {
    #[test]
    fn p10_a_plan_closes_what_fails_and_nothing_that_is_allowed(
        desired in any_desired(),
        rules in any_rules(),
        exempt in prop::collection::vec(prop::bool::weighted(0.1), 12),
        narrow: bool,
        with_default: bool,
    ) {
        let controls = controls(desired, narrow, with_default);
        let mut world = world(&rules, &exempt, with_default);
        let planned = world.plan_for(&controls);
        for id in failing(&planned) {
            let held = planned.plan.remediations[&id].reason();
            let known = [None, Some(HoldReason::ClosesAllowed), Some(HoldReason::DefaultGroup)];
            prop_assert!(known.contains(&held), "{:?}", held);
            prop_assert_eq!(held.is_none(), answered(&planned).contains(&id));
        }
        let brute = BruteForce { desired: controls.security_groups.as_ref().unwrap(), rules: &rules };
        // A default group that is emptied loses what is allowed too, and so it is not asked about here.
        let allowed = opened(&world.observed(), |rule, service, address| {
            brute.is_allowed(rule, service, address) && !(with_default && rule.group_id == DEFAULT)
        });
        carry_out(&mut world, &planned);
        let left = world.observed();
        prop_assert!(opened(&left, |_, _, _| true).is_superset(&allowed), "closes what is allowed");
        for id in &world.exempt {
            let stays = left.iter().any(|rule| rule.id == *id);
            prop_assert!(stays || answered_by_group(&planned, id), "{} was revoked under an exception", id);
        }

        // What a plan answered does not fail any more. Narrower rules may make others public, together with them: these
        // did not fail before, and come next; and a default group comes once nothing of it needs its exception.
        // Then it is quiet.
        let mut seen = decided(&planned);
        let mut last = planned;
        for _ in 0..4 {
            let next = world.plan_for(&controls);
            prop_assert!(failing(&next).is_disjoint(&answered(&last)));
            prop_assert!(answered(&next).is_disjoint(&seen));
            seen.extend(decided(&next));
            carry_out(&mut world, &next);
            last = next;
        }
        prop_assert_eq!(last.changes(), [""; 0]);
    }

    #[test]
    fn p4_undoing_every_change_of_a_plan_restores_every_rule(
        desired in any_desired(),
        rules in any_rules(),
        narrow: bool,
        with_default: bool,
    ) {
        let mut world = world(&rules, &[], with_default);
        let before = openings(&world);
        let planned = world.plan_for(&controls(desired, narrow, with_default));
        carry_out(&mut world, &planned);
        for change in planned.plan.changes.iter().rev() {
            world.apply(&change.action.inverse());
        }
        prop_assert_eq!(openings(&world), before);
    }

    #[test]
    fn p1_a_plan_is_the_same_whatever_the_order_in_which_the_rules_were_read(
        desired in any_desired(),
        (rules, shuffled) in any_rules().prop_flat_map(|rules| (Just(rules.clone()), Just(rules).prop_shuffle())),
        narrow: bool,
    ) {
        let controls = controls(desired, narrow, true);
        let (one, other) = (world(&rules, &[], true), world(&shuffled, &[], true));
        prop_assert_eq!(one.plan_for(&controls).plan, other.plan_for(&controls).plan);
    }
}

/// Whether a rule went with its default group, which is only where its own finding did not fail.
fn answered_by_group(planned: &Planned, rule: &str) -> bool {
    let of_rule = |change: &&crate::baseline::change::Change| {
        of(&change.action).before.as_ref().and_then(|before| before.rule_id.as_deref()) == Some(rule)
    };
    let exempt = planned.findings.iter().any(|finding| {
        finding.verdict() == Verdict::Exempt && finding.subject().resource.ends_with(&format!("/{rule}"))
    });
    let mut changes = planned.plan.changes.iter().filter(of_rule);
    !exempt && changes.all(|change| change.answers.iter().all(|answered| answered.check == Check::DefaultSecurityGroup))
}
