//! P2 with a process that wakes up late, P3 against other actors, P5 and P6, and what stops a pass.

use jiff::SignedDuration;

use super::drive::{Choice, Fault, Rig, Schedule};
use super::scenario::{self, Scenario, attach, narrow, revoke, world};
use crate::baseline::CauseClass;
use crate::baseline::admit::BlockReason;
use crate::baseline::change::{Action, Change};
use crate::baseline::history::{History, Outcome, SettledReason};
use crate::engine::enforce::fake::{Event, World};
use crate::engine::enforce::{Answer, ChangeMachine, Ended, Next, Request, UNVERIFIABLE_AFTER, Warrant, entry};
use crate::engine::ledger::Wanted;

fn calm(scenario: &Scenario) -> Rig {
    Rig::new(scenario, SignedDuration::ZERO, Schedule::new(), Choice::All)
}

fn scenario_of(changes: Vec<Change>) -> Scenario {
    Scenario { name: "as the test says".to_owned(), world: world(), changes }
}

fn everything() -> Vec<Scenario> {
    [scenario::kinds(), scenario::undos(), scenario::plans()].concat()
}

/// How many requests the scenario takes when nothing goes wrong.
fn steps(scenario: &Scenario) -> usize {
    let mut rig = calm(scenario);
    rig.look().unwrap();
    rig.seen.len()
}

fn outcomes(rig: &Rig) -> Vec<(Outcome, SettledReason)> {
    rig.ledger.records().iter().filter_map(|(_, settled)| settled.as_ref().map(|is| (is.outcome, is.reason))).collect()
}

#[test]
fn p6_after_the_intent_is_withdrawn_at_most_the_call_in_flight_is_made() {
    let withdraw: [fn(&Rig); 2] = [
        |rig| rig.intent.set(Wanted::No("the mode is Audit".to_owned())),
        |rig| rig.intent.set(Wanted::Unreadable("no answer".to_owned())),
    ];
    let mut runs = 0;
    for scenario in everything() {
        for step in 0..steps(&scenario) {
            for withdraw in withdraw {
                let mut rig = calm(&scenario);
                rig.before = Some((step, withdraw));
                // Whoever goes on without the intent goes on without end.
                for _ in 0..3 {
                    rig.look().unwrap();
                    rig.stage.advance(SignedDuration::from_secs(60));
                }
                rig.stage.trace(|events| {
                    let told = |event: &Event| matches!(event, Event::IntentRead(wanted) if *wanted != Wanted::Yes);
                    let after = events.iter().skip_while(|event| !told(event));
                    let late = after.filter(|event| matches!(event, Event::Sent { .. })).count();
                    assert_eq!(late, 0, "{} at {step}: a call although the intent was read and gone", scenario.name);
                });
                let before = rig.calls();
                rig.look().unwrap();
                assert_eq!(rig.calls(), before, "{} at {step}", scenario.name);
                rig.assert_recorded();
                assert_eq!(rig.ledger.open_ones(scenario::ACCOUNT), Vec::new());
                runs += 1;
            }
        }
    }
    println!("crash points run: {runs}");
    assert!(runs > 500, "{runs}");
}

#[test]
fn p6_after_a_withdrawal_at_any_step_at_most_one_call_is_made() {
    for scenario in everything() {
        for step in 0..steps(&scenario) {
            // The calls up to the step are those of a process that ends there.
            let mut until = calm(&scenario);
            until.schedule = Schedule::from([(step, Fault::CrashBefore)]);
            until.look().unwrap_err();
            let mut rig = calm(&scenario);
            rig.before = Some((step, |rig| rig.intent.set(Wanted::No("suspended".to_owned()))));
            rig.look().unwrap();
            let later = rig.calls() - until.calls();
            assert!(later <= 1, "{} at {step}: {later} calls after the intent was withdrawn", scenario.name);
        }
    }
}

#[test]
fn p5_nothing_is_done_while_a_read_is_unanswered() {
    let doubts: [fn(Request<'_>) -> Option<Fault>; 6] = [
        |request| matches!(request, Request::Read(_)).then_some(Fault::Error(CauseClass::Throttled)),
        |request| matches!(request, Request::Read(_)).then_some(Fault::Error(CauseClass::AccessDenied)),
        |request| matches!(request, Request::Read(_)).then_some(Fault::Error(CauseClass::Malformed)),
        |request| matches!(request, Request::OpenSession(_)).then_some(Fault::Error(CauseClass::Unreachable)),
        |request| matches!(request, Request::Identify).then_some(Fault::Error(CauseClass::ServiceError)),
        |request| matches!(request, Request::Identify).then_some(Fault::WrongAccount),
    ];
    for scenario in everything() {
        for doubt in doubts {
            let mut rig = calm(&scenario);
            rig.always = Some(doubt);
            for _ in 0..3 {
                rig.look().unwrap();
                rig.stage.advance(SignedDuration::from_secs(60));
            }
            assert_eq!(rig.calls(), 0, "{}", scenario.name);
            assert!(rig.seen.len() < 250, "{}: {} requests for nothing", scenario.name, rig.seen.len());
            assert_eq!(rig.aws.world(), rig.start);
            rig.always = None;
            rig.until_quiet();
            assert_eq!(rig.aws.changes(), rig.things(), "{}: and then it is made, once", scenario.name);
        }
    }
}

#[test]
fn p5_a_dry_run_that_says_nothing_or_no_stops_the_call() {
    for fault in [Fault::DryRunNotKnown(CauseClass::Unreachable), Fault::DryRunRefused(CauseClass::AccessDenied)] {
        let mut rig = calm(&scenario_of(vec![revoke()]));
        rig.always = Some(match fault {
            Fault::DryRunRefused(_) => |request| {
                matches!(request, Request::DryRun(_)).then_some(Fault::DryRunRefused(CauseClass::AccessDenied))
            },
            _ => |request| {
                matches!(request, Request::DryRun(_)).then_some(Fault::DryRunNotKnown(CauseClass::Unreachable))
            },
        });
        rig.look().unwrap();
        assert_eq!(rig.calls(), 0, "{fault:?}");
        let reason = outcomes(&rig)[0].1;
        let meant =
            if matches!(fault, Fault::DryRunRefused(_)) { SettledReason::Denied } else { SettledReason::NotRead };
        assert_eq!(reason, meant);
    }
}

#[test]
fn p3_what_somebody_else_changed_meanwhile_is_not_overwritten() {
    let scenario = scenario_of(vec![attach("alice")]);
    // An access key appears: the user must not be denied any more.
    let meddle = |rig: &Rig| {
        rig.aws.meddle(|world| world.users.get_mut("alice").unwrap().has_active_access_key = true);
    };
    let mut rig = calm(&scenario);
    rig.before = Some((5, meddle));
    rig.look().unwrap();
    assert_eq!(rig.calls(), 0);
    assert_eq!(outcomes(&rig), [(Outcome::NotApplied, SettledReason::ResourceMoved)]);
}

#[test]
fn sg_30_sg_39_what_somebody_else_did_already_is_found_and_not_done_again() {
    for (changes, meddle) in [
        (vec![revoke()], (|rig: &Rig| rig.aws.meddle(remove_22)) as fn(&Rig)),
        (vec![narrow().remove(0)], |rig: &Rig| rig.aws.meddle(add_80)),
    ] {
        // Before the read, which finds it; and between the read and the call, to which AWS says that it is so already.
        let last = steps(&scenario_of(changes.clone())) - 3;
        for (step, reason) in [(5, SettledReason::FoundApplied), (last, SettledReason::Applied)] {
            let mut rig = calm(&scenario_of(changes.clone()));
            rig.before = Some((step, meddle));
            rig.look().unwrap();
            assert_eq!(outcomes(&rig), [(Outcome::Succeeded, reason)], "at {step}");
            assert_eq!(rig.aws.changes().len(), 0, "at {step}");
        }
    }
}

fn remove_22(world: &mut World) {
    world.groups.get_mut("sg-web").unwrap().retain(|rule| rule.rule_id.as_deref() != Some("sgr-22"));
}

fn add_80(world: &mut World) {
    world.apply(&narrow().remove(0).action).unwrap();
}

#[test]
fn sg_34_where_what_stays_allowed_cannot_be_added_nothing_is_revoked() {
    for class in [CauseClass::Refused, CauseClass::AccessDenied, CauseClass::Throttled] {
        for nth in 0..2 {
            let scenario = scenario_of(narrow());
            let applies: Vec<usize> = {
                let mut rig = calm(&scenario);
                rig.look().unwrap();
                let is_apply = |faults: &[Fault]| faults.contains(&Fault::CrashThenLands);
                rig.seen.iter().enumerate().filter(|(_, faults)| is_apply(faults)).map(|(step, _)| step).collect()
            };
            let mut rig = calm(&scenario);
            rig.schedule = Schedule::from([(applies[nth], Fault::Refused(class))]);
            let made = rig.look().unwrap();
            let wide = &rig.aws.world().groups["sg-web"][1];
            assert_eq!(wide.rule_id.as_deref(), Some("sgr-web"), "{class} at the {nth}. add");
            assert!(made.changes.len() <= 2, "the revoke is not even claimed: {}", made.changes.len());
        }
    }
}

#[test]
fn a_missing_permission_is_named_and_holds_back_its_own_operation_alone() {
    let mut rig = calm(&scenario_of(vec![attach("alice"), attach("bob"), revoke()]));
    rig.always = Some(|request| match request {
        Request::Apply(Action::UserPolicy(_)) => Some(Fault::Refused(CauseClass::AccessDenied)),
        _ => None,
    });
    let made = rig.look().unwrap();
    let block = made.block.unwrap();
    assert_eq!(block.reason, BlockReason::MissingPermission);
    assert!(block.message.contains("the role lacks iam:AttachUserPolicy"), "{}", block.message);
    let settled: Vec<_> =
        made.changes.iter().map(|(entry, settled)| (&*entry.spec.operation, settled.clone())).collect();
    assert_eq!(settled.len(), 2, "bob is not even tried: {settled:?}");
    assert_eq!(settled[0].1.as_ref().unwrap().missing_action.as_deref(), Some("iam:AttachUserPolicy"));
    assert_eq!(settled[1].0, "ec2:RevokeSecurityGroupIngress");
    assert_eq!(settled[1].1.as_ref().unwrap().outcome, Outcome::Succeeded);
}

#[test]
fn a_change_that_aws_does_not_show_stops_the_pass_and_one_that_cannot_be_recorded_too() {
    let scenario = scenario_of(vec![attach("alice"), attach("bob")]);
    for (fault, is_of, reason, claimed) in [
        (
            (|request| matches!(request, Request::Apply(_)).then_some(Fault::LostUnmade(CauseClass::Unreachable)))
                as fn(Request<'_>) -> Option<Fault>,
            Some(Outcome::Failed),
            BlockReason::TooManyFailures,
            1,
        ),
        (
            |request| matches!(request, Request::Claim(_)).then_some(Fault::NotWritten(false)),
            None,
            BlockReason::NotRecorded,
            0,
        ),
        (
            |request| matches!(request, Request::Settle(..)).then_some(Fault::NotWritten(true)),
            None,
            BlockReason::Unsettled,
            1,
        ),
    ] {
        let mut rig = calm(&scenario);
        rig.always = Some(fault);
        let made = rig.look().unwrap();
        assert_eq!(made.block.map(|block| block.reason), Some(reason));
        assert_eq!(made.changes.len(), claimed, "{reason:?}");
        let outcome = made.changes.first().and_then(|(_, settled)| settled.as_ref()).map(|settled| settled.outcome);
        assert_eq!(outcome, is_of, "{reason:?}");
        assert!(rig.calls() <= 1, "{reason:?}: bob is not touched");
    }
}

#[test]
fn p2_a_process_that_was_stopped_and_wakes_up_late_changes_nothing() {
    let mut runs = 0;
    for scenario in [scenario::kinds(), scenario::undos()].concat() {
        let whole = steps(&scenario);
        for stopped in 0..whole {
            let mut rig = calm(&scenario);
            let change = &rig.goal[0];
            let own = entry(change, &rig.claimant, Warrant::default(), &History::default(), rig.stage.now());
            let mut sleeper = ChangeMachine::make(own, change.action.clone());
            // It is stopped between two requests, and not at the call: no program can know that it slept there.
            let mut done = 0;
            while let Next::Ask(request) = sleeper.next() {
                if done >= stopped && !matches!(request, Request::Apply(_)) {
                    break;
                }
                let answer = rig.carry_out(request).unwrap();
                sleeper.answer(answer, rig.stage.now());
                done += 1;
            }
            rig.stage.advance(SignedDuration::from_secs(60));
            rig.until_quiet();
            let (world, calls) = (rig.aws.world(), rig.calls());
            let _ = rig.run(sleeper).unwrap();
            assert_eq!(rig.calls(), calls, "{} stopped at {stopped}: it calls although it slept", scenario.name);
            assert_eq!(rig.aws.world(), world);
            rig.assert_recorded();
            runs += 1;
        }
    }
    println!("crash points run: {runs}");
    assert!(runs > 200, "{runs}");
}

#[test]
fn a_process_whose_lease_does_not_outlast_the_call_makes_none() {
    let mut rig = calm(&scenario_of(vec![attach("alice"), attach("bob")]));
    rig.lease.until = Some(rig.stage.now() + SignedDuration::from_secs(9));
    let made = rig.look().unwrap();
    assert_eq!((rig.calls(), made.changes.len()), (0, 1));
    assert_eq!(outcomes(&rig), [(Outcome::NotApplied, SettledReason::NotLeading)]);
}

#[test]
fn a_record_that_cannot_be_read_for_a_day_is_unverifiable_and_until_then_it_blocks() {
    let mut rig = calm(&scenario_of(vec![attach("alice")]));
    rig.schedule = Schedule::from([(8, Fault::CrashAfter)]);
    rig.look().unwrap_err();
    rig.schedule.clear();
    rig.always =
        Some(|request| matches!(request, Request::OpenSession(_)).then_some(Fault::Error(CauseClass::Credentials)));
    let made = rig.look().unwrap();
    assert_eq!(made.block.unwrap().reason, BlockReason::Unsettled);
    assert_eq!(rig.ledger.open_ones(scenario::ACCOUNT).len(), 1);
    rig.stage.advance(UNVERIFIABLE_AFTER);
    rig.look().unwrap();
    assert_eq!(outcomes(&rig)[0], (Outcome::Unverifiable, SettledReason::Unreadable));
}

#[test]
fn a_record_restored_without_its_outcome_is_settled_by_reading_and_not_done_again() {
    let scenario = scenario_of(vec![attach("alice")]);
    let mut rig = calm(&scenario);
    rig.look().unwrap();
    let (old, _) = rig.ledger.records().remove(0);
    // The same account, and the record as a backup brings it back.
    let mut restored = calm(&Scenario { world: rig.aws.world(), ..scenario });
    restored.ledger.put(&old);
    restored.until_quiet();
    assert_eq!(restored.calls(), 0);
    assert_eq!(outcomes(&restored), [(Outcome::Succeeded, SettledReason::FoundApplied)]);
}

#[test]
fn an_answer_to_another_request_ends_the_machine_before_any_call() {
    let rig = calm(&scenario_of(vec![revoke()]));
    let own = entry(&rig.goal[0], &rig.claimant, Warrant::default(), &History::default(), rig.stage.now());
    let mut machine = ChangeMachine::make(own, rig.goal[0].action.clone());
    machine.answer(Answer::Leads(true), rig.stage.now());
    assert!(matches!(machine.next(), Next::End(Ended::NotRecorded(_))));
}
