//! P2, P3, P4: the process ends at every step, before and after each request took effect, every request is answered by
//! every fault, alone and in pairs; the next processes bring it to the same end.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::drive::{Choice, Rig, Schedule};
use super::scenario::{self, Scenario};

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
fn run(scenario: &Scenario, reference: &Rig, delay: SignedDuration, schedule: Schedule) -> Rig {
    let mut rig = Rig::new(scenario, delay, schedule, reference.choice);
    rig.until_quiet();
    rig.assert_same(reference);
    rig.assert_recorded();
    rig
}

/// Every fault at every request. Returns how many runs that were.
fn singles(scenario: &Scenario, delay: SignedDuration) -> usize {
    let reference = reference(scenario, delay, Choice::All);
    let mut runs = 0;
    for (step, faults) in reference.seen.iter().enumerate() {
        for fault in faults {
            let mut rig = run(scenario, &reference, delay, Schedule::from([(step, *fault)]));
            rig.undo_all();
            runs += 1;
        }
    }
    runs
}

/// Every fault at every request, and then every fault at every request that comes after it.
fn pairs(scenario: &Scenario) -> usize {
    let reference = reference(scenario, AT_ONCE, Choice::ToldApart);
    let mut runs = 0;
    for (step, faults) in reference.seen.iter().enumerate() {
        for fault in faults {
            let once = run(scenario, &reference, AT_ONCE, Schedule::from([(step, *fault)]));
            for (later, faults) in once.seen.iter().enumerate().skip(step + 1) {
                for second in faults {
                    let schedule = Schedule::from([(step, *fault), (later, *second)]);
                    let mut rig = run(scenario, &reference, AT_ONCE, schedule);
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
    report(scenario::kinds().iter().map(|scenario| singles(scenario, AT_ONCE)).sum(), 1500);
}

#[test]
fn p2_p3_p4_every_kind_of_undo_survives_every_fault_at_every_request() {
    report(scenario::undos().iter().map(|scenario| singles(scenario, AT_ONCE)).sum(), 1500);
}

#[test]
fn p2_p3_p4_plans_of_several_survive_every_fault_at_every_request() {
    report(scenario::plans().iter().map(|scenario| singles(scenario, AT_ONCE)).sum(), 500);
}

#[test]
fn p2_p3_p4_changes_that_take_time_to_show_survive_every_fault() {
    let scenarios = [scenario::kinds(), scenario::plans()].concat();
    report(scenarios.iter().map(|scenario| singles(scenario, LATE)).sum(), 1500);
}

#[test]
fn p2_p3_p4_every_kind_of_change_survives_every_pair_of_faults() {
    report(scenario::kinds().iter().map(pairs).sum(), 10_000);
}
