//! P2, P3, P4: the process ends at every step, before and after each request took effect, every request is answered by
//! every fault, alone and in pairs; the next processes bring it to the same end.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::drive::{Choice, Rig, Schedule};
use super::scenario::{self, Scenario};
use crate::engine::enforce::fake::World;

const AT_ONCE: SignedDuration = SignedDuration::ZERO;

/// Longer than the pause before the first read, shorter than any deadline.
const LATE: SignedDuration = SignedDuration::from_secs(7);

/// The run in which nothing goes wrong.
fn reference(scenario: &Scenario, delay: SignedDuration, choice: Choice) -> Rig {
    let mut rig = Rig::new(scenario, delay, Schedule::new(), choice);
    rig.until_quiet();
    assert_eq!(rig.aws.changes(), rig.things(), "{}: each thing is changed once", scenario.name);
    assert_ne!(rig.aws.world().normal(), rig.start.normal(), "{}: something is changed", scenario.name);
    rig.assert_recorded();
    rig
}

/// One run with these faults, to its end and back again.
fn run(scenario: &Scenario, end: &World, delay: SignedDuration, schedule: Schedule, choice: Choice) -> Rig {
    let mut rig = Rig::new(scenario, delay, schedule, choice);
    rig.until_quiet();
    rig.assert_same(end);
    rig.assert_recorded();
    rig
}

/// Every fault at every request. Returns how many runs that were.
fn singles(scenario: &Scenario, delay: SignedDuration, choice: Choice) -> usize {
    let reference = reference(scenario, delay, choice);
    let end = reference.aws.world().normal();
    let mut runs = 0;
    for (step, faults) in reference.seen.iter().enumerate() {
        for fault in faults {
            let mut rig = run(scenario, &end, delay, Schedule::from([(step, *fault)]), choice);
            rig.undo_all();
            runs += 1;
        }
    }
    runs
}

/// Every fault at every request, and then every fault at every request that comes after it.
fn pairs(scenario: &Scenario, choice: Choice) -> usize {
    let reference = reference(scenario, AT_ONCE, choice);
    let end = reference.aws.world().normal();
    let run = |schedule| run(scenario, &end, AT_ONCE, schedule, choice);
    let mut runs = 0;
    for (step, faults) in reference.seen.iter().enumerate() {
        for fault in faults {
            let once = run(Schedule::from([(step, *fault)]));
            for (later, faults) in once.seen.iter().enumerate().skip(step + 1) {
                // Of several changes, where pairs are most, the second thing to go wrong is the end of the process.
                let seconds = faults.iter().filter(|fault| choice != Choice::Few || fault.ends_the_process());
                for second in seconds {
                    let schedule = Schedule::from([(step, *fault), (later, *second)]);
                    let mut rig = run(schedule);
                    // To undo takes as long as the run itself: every seventh of so many is enough.
                    if runs % 7 == 0 {
                        rig.undo_all();
                    }
                    runs += 1;
                }
            }
        }
    }
    runs
}

fn report(runs: usize, least: usize) {
    println!("crash points run: {runs}");
    assert!(runs > least, "only {runs} crash points were run");
}

#[test]
fn the_scenarios_hold_every_operation_that_changes_aws() {
    let scenarios = [scenario::kinds(), scenario::undos()].concat();
    let changes = scenarios.iter().flat_map(|scenario| &scenario.changes);
    let operations: BTreeSet<&str> = changes.map(|change| change.action.operation().name()).collect();
    let all = BTreeSet::from([
        "ec2:AuthorizeSecurityGroupEgress",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:RevokeSecurityGroupEgress",
        "ec2:RevokeSecurityGroupIngress",
        "iam:AttachUserPolicy",
        "iam:DeleteAccountPasswordPolicy",
        "iam:DetachUserPolicy",
        "iam:UpdateAccountPasswordPolicy",
        "s3:DeleteBucketEncryption",
        "s3:DeleteBucketPolicy",
        "s3:PutBucketEncryption",
        "s3:PutBucketPolicy",
    ]);
    assert_eq!(operations, all);
}

#[test]
fn p2_p3_p4_every_kind_of_change_survives_every_fault_at_every_request() {
    report(scenario::kinds().iter().map(|scenario| singles(scenario, AT_ONCE, Choice::All)).sum(), 1500);
}

#[test]
fn p2_p3_p4_every_kind_of_undo_survives_every_fault_at_every_request() {
    report(scenario::undos().iter().map(|scenario| singles(scenario, AT_ONCE, Choice::All)).sum(), 1500);
}

#[test]
fn p2_p3_p4_plans_of_several_survive_every_fault_at_every_request() {
    report(scenario::plans().iter().map(|scenario| singles(scenario, AT_ONCE, Choice::All)).sum(), 1000);
}

#[test]
fn p2_p3_p4_changes_that_take_time_to_show_survive_every_fault() {
    let scenarios = [scenario::kinds(), scenario::plans()].concat();
    report(scenarios.iter().map(|scenario| singles(scenario, LATE, Choice::ToldApart)).sum(), 1000);
}

/// The kinds of one control or another, each with every pair of faults.
fn pairs_of(is_wanted: fn(&Scenario) -> bool) -> usize {
    let of = |scenario: &Scenario| match scenario.changes.len() {
        1 => pairs(scenario, Choice::ToldApart),
        // The number of pairs grows with the square of the length.
        _ => pairs(scenario, Choice::Few),
    };
    scenario::kinds().iter().filter(|scenario| is_wanted(scenario)).map(of).sum()
}

fn is_of_a_group(scenario: &Scenario) -> bool {
    scenario.changes[0].action.operation().has_dry_run()
}

#[test]
fn p2_p3_p4_changes_of_security_groups_survive_every_pair_of_faults() {
    report(pairs_of(is_of_a_group), 5000);
}

#[test]
fn p2_p3_p4_all_other_changes_survive_every_pair_of_faults() {
    // A first value and another value differ for the fakes alone.
    report(pairs_of(|scenario| !is_of_a_group(scenario) && !scenario.name.contains("first")), 5000);
}
