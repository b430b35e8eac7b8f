//! The shell carries out what the machines ask for, in their order, and tells the witness; the fakes do what the real
//! ones do.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::scenario::{self, ACCOUNT, Scenario, attach, claimant, revoke};
use crate::baseline::Control;
use crate::baseline::admit::{Admission, BlockReason};
use crate::baseline::history::{History, Outcome, SettledReason};
use crate::baseline::plan::Plan;
use crate::engine::enforce::conformance::{a_ledger_keeps_its_records, a_writer_makes_and_undoes};
use crate::engine::enforce::fake::{Event, FakeAws, FakeIntent, FakeLease, FakeLedger, FakeWitness, Stage};
use crate::engine::enforce::{
    Ended, Made, Surroundings, UNVERIFIABLE_AFTER, Undo, UndoError, Warrant, enforce, entry, settle, undo,
};
use crate::engine::ledger::{Intent, Ledger, Wanted};

/// Everything that a pass stands on, in real time.
struct House {
    stage: Stage,
    aws: FakeAws,
    ledger: FakeLedger,
    intent: FakeIntent,
    lease: FakeLease,
    witness: FakeWitness,
}

impl House {
    fn of(scenario: &Scenario) -> Self {
        let stage = Stage::default();
        Self {
            aws: FakeAws::new(&stage, scenario.world.clone()),
            ledger: FakeLedger::new(&stage),
            intent: FakeIntent::new(&stage),
            lease: FakeLease { stage: stage.clone(), until: None },
            witness: FakeWitness::default(),
            stage,
        }
    }

    fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            ledger: &self.ledger,
            intent: &self.intent,
            leadership: &self.lease,
            provider: &self.aws,
            witness: &self.witness,
            now: Timestamp::now,
        }
    }

    async fn enforce(&self, scenario: &Scenario) -> Made {
        let plan = Plan { changes: scenario.changes.clone(), digest: Some("3f2a".to_owned()), ..Plan::default() };
        let admission = Admission { start: (0..plan.changes.len()).collect(), ..Admission::default() };
        let history = self.ledger.history(ACCOUNT).await.unwrap();
        enforce(&plan, &admission, &claimant(), &history, &self.surroundings()).await
    }

    /// The kinds of events, in order.
    fn told(&self) -> Vec<&'static str> {
        let word = |event: &Event| match event {
            Event::Claimed { .. } => "claim",
            Event::IntentRead(_) => "intent",
            Event::Opened => "open",
            Event::Identified => "identify",
            Event::Read => "read",
            Event::DryRan => "dry run",
            Event::Sent { .. } => "call",
            Event::Changed(_) => "change",
            Event::Settled { .. } => "settle",
        };
        self.stage.trace(|events| events.iter().map(word).collect())
    }
}

#[tokio::test]
async fn p3_one_change_goes_from_its_record_over_one_call_to_its_outcome() {
    let scenario = Scenario { name: String::new(), world: scenario::world(), changes: vec![revoke()] };
    let house = House::of(&scenario);
    let made = house.enforce(&scenario).await;
    let order =
        ["claim", "intent", "open", "identify", "intent", "read", "dry run", "call", "change", "read", "settle"];
    assert_eq!(house.told(), order);
    let (entry, settled) = &made.changes[0];
    assert_eq!(made.block, None);
    assert_eq!(settled.as_ref().unwrap().reason, SettledReason::Applied);
    let name = &entry.name;
    let told = [format!("claimed {name}"), format!("settled {name} Succeeded Applied")];
    assert_eq!(*house.witness.0.lock().unwrap(), told);
    assert_eq!(entry.spec.inverse, "ec2:AuthorizeSecurityGroupIngress");
    assert_eq!(entry.spec.not_undone.as_deref(), Some("the rule comes back under a new id"));
    assert_eq!(entry.spec.plan_digest.as_deref(), Some("3f2a"));
}

/// A process that is told to end while a change is under way: what is asked first, before it begins, was too early.
struct EndsMeanwhile<'a> {
    intent: &'a FakeIntent,
    asked: AtomicBool,
}

#[async_trait]
impl Intent for EndsMeanwhile<'_> {
    async fn still_wanted(&self, control: Control, approval: Option<&str>) -> Wanted {
        self.intent.still_wanted(control, approval).await
    }

    fn ends(&self) -> bool {
        self.asked.swap(true, Ordering::Relaxed)
    }
}

#[tokio::test]
async fn p6_a_process_that_is_told_to_end_makes_no_call_although_the_lease_is_its_own() {
    let scenario = Scenario { name: String::new(), world: scenario::world(), changes: vec![revoke()] };
    let house = House::of(&scenario);
    let intent = EndsMeanwhile { intent: &house.intent, asked: AtomicBool::new(false) };
    let surroundings = Surroundings { intent: &intent, ..house.surroundings() };
    let plan = Plan { changes: scenario.changes.clone(), digest: Some("3f2a".to_owned()), ..Plan::default() };
    let admission = Admission { start: vec![0], ..Admission::default() };
    let made = enforce(&plan, &admission, &claimant(), &History::default(), &surroundings).await;
    let settled = made.changes[0].1.as_ref().unwrap();
    assert_eq!((settled.outcome, settled.reason), (Outcome::NotApplied, SettledReason::NotLeading));
    assert!(!house.told().contains(&"call"), "{:?}", house.told());
}

#[tokio::test]
async fn p4_every_plan_is_made_and_undone_from_its_records_alone() {
    for scenario in [scenario::kinds(), scenario::plans()].concat() {
        let house = House::of(&scenario);
        let made = house.enforce(&scenario).await;
        assert_eq!((made.block, made.changes.len()), (None, scenario.changes.len()), "{}", scenario.name);
        let after = house.aws.world();
        for (entry, settled) in house.ledger.records().iter().rev() {
            let asked = Undo {
                name: &entry.name,
                record: &entry.spec,
                outcome: settled.as_ref().map(|settled| settled.outcome),
                claimed_by: "arn:aws:iam::222222222222:user/admin",
                session_name: "plumbline-undo",
            };
            let calls = house.aws.changes();
            let rehearsed =
                undo(&asked, &house.ledger, &house.aws, &house.witness, Timestamp::now, true).await.unwrap();
            assert_eq!(rehearsed.ended, Ended::Rehearsed(None), "{}", scenario.name);
            assert_eq!(house.aws.changes(), calls, "a dry run changes nothing");
            let undone = undo(&asked, &house.ledger, &house.aws, &house.witness, Timestamp::now, false).await.unwrap();
            assert_eq!(undone.entry.spec.undoes.as_deref(), Some(&*entry.name));
            assert_eq!(undone.entry.spec.claimed_by, "arn:aws:iam::222222222222:user/admin");
            let done = matches!(&undone.ended, Ended::Settled(is) if is.reason == SettledReason::Applied);
            assert!(done, "{}: {:?}", scenario.name, undone.ended);
        }
        assert_ne!(house.aws.world().normal(), after.normal());
        assert_eq!(house.aws.world().normal(), scenario.world.normal(), "{}", scenario.name);
    }
}

#[tokio::test]
async fn p4_a_record_that_moved_or_was_forged_is_not_undone() {
    let scenario = Scenario { name: String::new(), world: scenario::world(), changes: vec![attach("alice")] };
    let house = House::of(&scenario);
    house.enforce(&scenario).await;
    let (entry, _) = house.ledger.records().remove(0);
    let ask = async |name: &str, record: &crate::api::ChangeRecordSpec, outcome| {
        let asked = Undo { name, record, outcome, claimed_by: "admin", session_name: "plumbline-undo" };
        undo(&asked, &house.ledger, &house.aws, &house.witness, Timestamp::now, false).await
    };
    let made = Some(Outcome::Succeeded);
    let before = house.aws.changes();
    let mut forged = entry.spec.clone();
    forged.change.user_policy.as_mut().unwrap().user_name = "bob".to_owned();
    // The resource's name still says alice, so the meaning is another one only where the values say so: the record's
    // own operation and values are checked, and its name.
    forged.change.user_policy.as_mut().unwrap().policy_arn = "arn:aws:iam::aws:policy/AdministratorAccess".to_owned();
    assert!(matches!(ask(&entry.name, &forged, made).await, Err(UndoError::Record { .. })));
    let renamed = ask("222222222222-0000000000000000-0", &entry.spec, made).await;
    assert!(matches!(renamed, Err(UndoError::Name { .. })));
    let unmade = ask(&entry.name, &entry.spec, Some(Outcome::NotApplied)).await;
    assert!(matches!(unmade, Err(UndoError::NotApplied { .. })));
    assert_eq!(house.aws.changes(), before);
    // Somebody deletes the user.
    house.aws.meddle(|world| {
        world.users.remove("alice");
    });
    let moved = ask(&entry.name, &entry.spec, made).await.unwrap();
    assert!(matches!(moved.ended, Ended::Settled(is) if is.reason == SettledReason::ResourceMoved));
    assert_eq!(house.aws.changes(), before);
}

#[tokio::test]
async fn a_record_without_outcome_is_settled_by_reading_and_one_that_is_no_change_blocks_for_a_day() {
    let scenario = Scenario { name: String::new(), world: scenario::world(), changes: vec![attach("alice")] };
    let house = House::of(&scenario);
    let long_ago = Timestamp::now() - SignedDuration::from_mins(5);
    let own = entry(&scenario.changes[0], &claimant(), Warrant::default(), &History::default(), long_ago);
    house.ledger.put(&own);
    let made = settle(ACCOUNT, &claimant(), &house.surroundings()).await.unwrap();
    assert_eq!(made.changes[0].1.as_ref().unwrap().reason, SettledReason::Interrupted);
    assert!(!house.told().contains(&"call"));

    for (age, blocks) in [(SignedDuration::from_hours(1), true), (UNVERIFIABLE_AFTER, false)] {
        let house = House::of(&scenario);
        let mut strange = own.clone();
        strange.spec.change = crate::api::RecordedChange::default();
        strange.spec.claimed_at = Timestamp::now() - age;
        house.ledger.put(&strange);
        let made = settle(ACCOUNT, &claimant(), &house.surroundings()).await.unwrap();
        assert_eq!(made.block.map(|block| block.reason), blocks.then_some(BlockReason::Unsettled));
        assert_eq!(house.ledger.open_ones(ACCOUNT).is_empty(), !blocks);
    }
}

#[tokio::test]
async fn the_fake_account_conforms() {
    for scenario in [scenario::kinds(), scenario::undos()].concat() {
        // One change of each is enough, where one does not rest on another.
        let house = House::of(&scenario);
        a_writer_makes_and_undoes(&house.aws, &claimant().target, &scenario.changes[0]).await;
        assert_eq!(house.aws.world().normal(), scenario.world.normal(), "{}", scenario.name);
    }
}

#[tokio::test]
async fn the_fake_ledger_conforms() {
    let house = House::of(&scenario::kinds()[0]);
    let change = attach("alice");
    let first = entry(&change, &claimant(), Warrant::default(), &History::default(), Timestamp::now());
    let mut second = first.clone();
    second.spec.ordinal = 1;
    second.name = crate::engine::ledger::record_name(ACCOUNT, &first.spec.meaning, 1);
    a_ledger_keeps_its_records(&house.ledger, &first, &second).await;
}
