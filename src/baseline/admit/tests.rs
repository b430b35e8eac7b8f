use proptest::prelude::*;

use super::*;
use crate::api::{PasswordPolicyChange, Window};
use crate::baseline::change::{Action, Change};
use crate::baseline::history::{Outcome, RecordSummary, Settled, SettledReason};

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn minutes(number: i64) -> jiff::SignedDuration {
    jiff::SignedDuration::from_mins(number)
}

/// A plan of changes with these meanings.
fn plan(meanings: &[String]) -> Plan {
    let change = Change {
        action: Action::PasswordPolicy(PasswordPolicyChange { before: None, after: None }),
        resource: String::new(),
        answers: Vec::new(),
    };
    Plan {
        changes: vec![change; meanings.len()],
        digest: (!meanings.is_empty()).then(|| meanings.concat()),
        meanings: meanings.to_vec(),
        ..Plan::default()
    }
}

fn of_size(size: usize) -> Plan {
    plan(&(0..size).map(|n| format!("m{n};")).collect::<Vec<_>>())
}

fn record(meaning: &str, claimed_at: Timestamp, settled: Option<(Outcome, SettledReason)>) -> RecordSummary {
    RecordSummary {
        name: format!("record-{meaning}"),
        operation: "s3:PutBucketPolicy".to_owned(),
        meaning: meaning.to_owned(),
        target: meaning.to_owned(),
        ordinal: 0,
        baseline: RecordedBaseline::default(),
        approval: None,
        is_undo: false,
        claimed_at,
        settled: settled.map(|(outcome, reason)| Settled {
            outcome,
            reason: reason.as_str().to_owned(),
            missing_action: None,
            message: "AWS said no".to_owned(),
            at: None,
        }),
    }
}

fn made(meaning: &str, claimed_at: Timestamp) -> RecordSummary {
    record(meaning, claimed_at, Some((Outcome::Succeeded, SettledReason::Applied)))
}

/// Puts something in the way.
type Obstacle = Box<dyn Fn(&mut World)>;

/// What the terms are made of, so that a test can change a part.
#[derive(Clone)]
struct World {
    now: Timestamp,
    enforcement: Enforcement,
    baseline: RecordedBaseline,
    history: History,
    operator_changes_per_hour: usize,
    operator_changes: Vec<Timestamp>,
    consents: Vec<Consent>,
    conflict: Option<String>,
    enabled: bool,
    has_enforce_role: bool,
    external_id_not_enforced: Option<String>,
    unreadable_exception: Option<String>,
    evaluated_before: bool,
}

impl Default for World {
    fn default() -> Self {
        Self {
            now: now(),
            enforcement: Enforcement::default(),
            baseline: RecordedBaseline::default(),
            history: History::default(),
            operator_changes_per_hour: 1000,
            operator_changes: Vec::new(),
            consents: Vec::new(),
            conflict: None,
            enabled: true,
            has_enforce_role: true,
            external_id_not_enforced: None,
            unreadable_exception: None,
            evaluated_before: true,
        }
    }
}

impl World {
    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut world = Self::default();
        change(&mut world);
        world
    }

    fn admit(&self, plan: &Plan) -> Admission {
        let terms = Terms {
            now: self.now,
            enforcement: &self.enforcement,
            baseline: &self.baseline,
            history: &self.history,
            operator_changes_per_hour: self.operator_changes_per_hour,
            operator_changes: &self.operator_changes,
            consents: &self.consents,
            conflict: self.conflict.as_deref(),
            enabled: self.enabled,
            has_enforce_role: self.has_enforce_role,
            external_id_not_enforced: self.external_id_not_enforced.as_deref().map(|why| (why, None)),
            unreadable_exception: self.unreadable_exception.as_deref(),
            evaluated_before: self.evaluated_before,
        };
        admit(plan, &terms)
    }

    fn reason(&self, plan: &Plan) -> Option<BlockReason> {
        self.admit(plan).block.map(|block| block.reason)
    }
}

fn consent(plan: &Plan) -> Consent {
    Consent {
        name: "agreed".to_owned(),
        digest: plan.digest.clone().unwrap(),
        expires_at: now() + minutes(60),
        used: None,
    }
}

#[test]
fn a_small_plan_starts_whole() {
    let admission = World::default().admit(&of_size(3));
    assert_eq!(admission, Admission { start: vec![0, 1, 2], block: None, approval: None });
    assert_eq!(World::default().admit(&of_size(0)), Admission::default());
}

#[test]
fn the_first_thing_in_the_way_is_the_one_that_is_named() {
    let failed = || record("f", now(), Some((Outcome::Failed, SettledReason::NotShown)));
    let closed: Window = serde_saphyr::from_str("{days: [Mon], start: '00:00', duration: 1h, timeZone: UTC}").unwrap();
    // From the last that is looked at to the first: each is set beside those before it.
    let obstacles: [(BlockReason, Obstacle); 11] = [
        (BlockReason::ChangeBudgetExhausted, Box::new(|world| world.operator_changes_per_hour = 0)),
        (BlockReason::OutsideWindow, Box::new(move |world| world.enforcement.windows = Some(vec![closed.clone()]))),
        (BlockReason::ApprovalRequired, Box::new(|world| world.enforcement.approval = ApprovalMode::Always)),
        (BlockReason::EvaluatedOnly, Box::new(|world| world.evaluated_before = false)),
        (BlockReason::TooManyFailures, Box::new(move |world| world.history.0.push(failed()))),
        (BlockReason::Unsettled, Box::new(|world| world.history.0.push(record("u", now(), None)))),
        (BlockReason::Conflict, Box::new(|world| world.conflict = Some("other".to_owned()))),
        (
            BlockReason::InvalidSpec,
            Box::new(|world| world.unreadable_exception = Some("of-a-later-version".to_owned())),
        ),
        (
            BlockReason::ExternalIdNotEnforced,
            Box::new(|world| world.external_id_not_enforced = Some("the role can be assumed without it".to_owned())),
        ),
        (BlockReason::NoEnforceRole, Box::new(|world| world.has_enforce_role = false)),
        (BlockReason::NotEnabled, Box::new(|world| world.enabled = false)),
    ];
    let mut world = World::default();
    for (reason, set) in obstacles {
        set(&mut world);
        let admission = world.admit(&of_size(1));
        let block = admission.block.unwrap();
        assert_eq!((block.reason, admission.start), (reason, Vec::new()));
        assert!(!block.message.is_empty() && !block.message.ends_with('.'), "{}", block.message);
    }
}

#[test]
fn what_stands_in_the_way_is_named_without_a_plan_too_and_what_needs_a_plan_is_not() {
    let none = of_size(0);
    assert_eq!(World::with(|world| world.enabled = false).reason(&none), Some(BlockReason::NotEnabled));
    assert_eq!(World::with(|world| world.evaluated_before = false).reason(&none), None);
    assert_eq!(World::with(|world| world.enforcement.approval = ApprovalMode::Always).reason(&none), None);
}

#[test]
fn p7_three_failures_or_one_failed_read_back_stop_until_the_spec_changes() {
    let refused = |n: i64| record("r", now() - minutes(n), Some((Outcome::NotApplied, SettledReason::Refused)));
    let stopped = |records: Vec<RecordSummary>| World::with(|world| world.history.0 = records).admit(&of_size(1)).block;
    assert_eq!(stopped(vec![refused(1), refused(2)]), None);
    let block = stopped(vec![refused(1), refused(2), refused(3)]).unwrap();
    assert_eq!(block.reason, BlockReason::TooManyFailures);
    assert!(block.message.starts_with("3 changes failed, the last one because AWS said no"), "{}", block.message);
    let read_back = record("r", now(), Some((Outcome::Failed, SettledReason::NotShown)));
    let block = stopped(vec![read_back.clone()]).unwrap();
    assert!(block.message.starts_with("1 change failed"), "{}", block.message);
    let edited = World::with(|world| {
        world.history.0 = vec![read_back, refused(1), refused(2)];
        world.baseline.generation = 2;
    });
    assert_eq!(edited.reason(&of_size(1)), None);
}

#[test]
fn p7_a_plan_over_its_largest_size_starts_nothing_without_consent() {
    let world = World::with(|world| world.enforcement.max_changes_per_hour = 1000);
    assert_eq!(world.admit(&of_size(50)).start.len(), 50);
    let admission = world.admit(&of_size(51));
    assert_eq!((admission.start, admission.block.as_ref().unwrap().reason), (vec![], BlockReason::ApprovalRequired));
    let message = admission.block.unwrap().message;
    assert!(message.contains("it has 51 changes and maxPlanSize is 50"), "{message}");
    let none = World::with(|world| world.enforcement.max_plan_size = 0);
    assert_eq!(none.reason(&of_size(1)), Some(BlockReason::ApprovalRequired));
}

#[test]
fn an_approval_covers_its_plan_while_it_lasts_and_no_other() {
    let plan = of_size(51);
    let mut world = World::with(|world| world.consents = vec![consent(&of_size(51))]);
    let admission = world.admit(&plan);
    assert_eq!((admission.start.len(), admission.approval.as_deref()), (10, Some("agreed")));
    assert_eq!(admission.block.unwrap().reason, BlockReason::ChangeBudgetExhausted);
    assert_eq!(world.reason(&of_size(52)), Some(BlockReason::ApprovalRequired));
    world.now = now() + minutes(60);
    assert_eq!(world.reason(&plan), Some(BlockReason::ApprovalRequired), "it expired");
}

#[test]
fn an_approval_covers_what_is_left_of_its_plan_once_each_and_nothing_new() {
    let used = (now() - minutes(30), of_size(3).meanings.into_iter().collect());
    let mut world = World::with(|world| {
        world.enforcement.approval = ApprovalMode::Always;
        world.consents = vec![Consent { used: Some(used), ..consent(&of_size(3)) }];
        world.history.0 = vec![made("m0;", now() - minutes(20))];
    });
    // The first was made, and something new is found.
    let rest = plan(&["m1;", "m2;", "new"].map(str::to_owned));
    let admission = world.admit(&rest);
    assert_eq!((admission.start, admission.approval.as_deref()), (vec![0, 1], Some("agreed")));
    let block = admission.block.unwrap();
    assert_eq!(block.reason, BlockReason::ApprovalRequired);
    assert!(block.message.contains("all but 1"), "{}", block.message);
    // What was made under it is not made under it again, though it is drift again and the digest the same.
    assert_eq!(world.admit(&of_size(3)).start, [1, 2]);
    world.history.0.extend(["m1;", "m2;"].map(|meaning| made(meaning, now())));
    assert_eq!(world.reason(&of_size(3)), Some(BlockReason::ApprovalRequired));
    // What came to nothing is still covered.
    let nothing = Some((Outcome::NotApplied, SettledReason::Interrupted));
    world.history.0 = vec![record("m0;", now() - minutes(20), nothing)];
    assert_eq!(world.admit(&of_size(3)).start, [0, 1, 2]);
    // What was made before it was used is nothing to it.
    world.history.0 = vec![made("m0;", now() - minutes(40))];
    assert_eq!(world.admit(&of_size(3)).start, [0, 1, 2]);
}

#[test]
fn an_approval_does_not_hold_back_a_plan_that_needs_none() {
    let used = (now() - minutes(30), BTreeSet::from(["m1;".to_owned()]));
    let world = World::with(|world| world.consents = vec![Consent { used: Some(used), ..consent(&of_size(9)) }]);
    let admission = world.admit(&of_size(3));
    assert_eq!(admission, Admission { start: vec![0, 1, 2], block: None, approval: None });
    // The last changes of a large plan are still its own.
    let used = (now() - minutes(30), of_size(60).meanings.into_iter().collect());
    let world = World::with(|world| world.consents = vec![Consent { used: Some(used), ..consent(&of_size(60)) }]);
    assert_eq!(world.admit(&of_size(3)).approval.as_deref(), Some("agreed"));
}

#[test]
fn of_several_approvals_the_one_that_covers_most_counts() {
    let world = World::with(|world| {
        world.enforcement.approval = ApprovalMode::Always;
        let part = Consent {
            name: "part".to_owned(),
            used: Some((now(), BTreeSet::from(["m0;".to_owned()]))),
            ..consent(&of_size(2))
        };
        world.consents = vec![consent(&of_size(3)), part, consent(&of_size(9))];
    });
    let admission = world.admit(&of_size(3));
    assert_eq!((admission.start.len(), admission.approval.as_deref()), (3, Some("agreed")));
}

#[test]
fn p7_the_budget_says_how_many_wait_and_until_when() {
    let world = World::with(|world| {
        world.enforcement.max_changes_per_hour = 3;
        world.history.0 = vec![made("a", now() - minutes(50)), made("b", now() - minutes(20))];
    });
    let admission = world.admit(&of_size(3));
    assert_eq!(admission.start, [0]);
    let block = admission.block.unwrap();
    assert_eq!((block.reason, block.until), (BlockReason::ChangeBudgetExhausted, Some(now() + minutes(10))));
    assert_eq!(block.message, "2 changes wait until 2026-11-20T12:10:00Z: maxChangesPerHour is 3");
    // Nothing was made yet: the next one comes an hour after those that start now.
    let fresh = World::with(|world| world.enforcement.max_changes_per_hour = 2).admit(&of_size(3));
    assert_eq!((fresh.start.len(), fresh.block.unwrap().until), (2, Some(now() + minutes(60))));
    // The rate was lowered: so many must leave the hour that one less than the rate is left.
    let lowered = World::with(|world| {
        world.enforcement.max_changes_per_hour = 2;
        world.history.0 = [50, 40, 30, 20].map(|ago| made("a", now() - minutes(ago))).into();
    });
    let admission = lowered.admit(&of_size(1));
    assert_eq!((admission.start.len(), admission.block.unwrap().until), (0, Some(now() + minutes(30))));
}

#[test]
fn p7_the_whole_operator_has_a_rate_of_its_own() {
    let world = World::with(|world| {
        world.operator_changes_per_hour = 4;
        world.operator_changes = [30, 20, 10].map(|ago| now() - minutes(ago)).into();
    });
    let admission = world.admit(&of_size(3));
    let block = admission.block.unwrap();
    assert_eq!((admission.start, block.until), (vec![0], Some(now() + minutes(30))));
    assert!(block.message.contains("the operator makes 4 changes an hour at most"), "{}", block.message);
    // Where both are used up, the later one tells when.
    let both = World::with(|world| {
        world.enforcement.max_changes_per_hour = 1;
        world.history.0 = vec![made("a", now() - minutes(50))];
        world.operator_changes_per_hour = 1;
        world.operator_changes = vec![now() - minutes(10)];
    });
    assert_eq!(both.admit(&of_size(1)).block.unwrap().until, Some(now() + minutes(50)));
    let never = World::with(|world| world.operator_changes_per_hour = 0).admit(&of_size(1)).block.unwrap();
    assert_eq!((never.until, never.message.contains("until")), (None, false), "{}", never.message);
}

#[test]
fn a_closed_window_says_when_it_opens_and_one_that_cannot_be_read_is_closed() {
    let window = |yaml: &str| -> Window { serde_saphyr::from_str(yaml).unwrap() };
    let monday = window("{days: [Mon], start: '06:00', duration: 1h, timeZone: UTC}");
    let block = World::with(|world| world.enforcement.windows = Some(vec![monday.clone()])).admit(&of_size(1)).block;
    let block = block.unwrap();
    let opens: Timestamp = "2026-11-23T06:00:00Z".parse().unwrap();
    assert_eq!((block.reason, block.until), (BlockReason::OutsideWindow, Some(opens)));
    assert_eq!(block.message, "no window is open, the next one opens at 2026-11-23T06:00:00Z");
    let bad = window("{days: [Fri], start: '00:00', duration: 24h, timeZone: Europe/Atlantis}");
    let block = World::with(|world| world.enforcement.windows = Some(vec![bad])).admit(&of_size(1)).block.unwrap();
    assert_eq!((block.reason, block.until), (BlockReason::OutsideWindow, None));
    let mut open = World::with(|world| world.enforcement.windows = Some(vec![monday]));
    open.now = opens;
    assert_eq!(open.admit(&of_size(1)).start, [0]);
}

proptest! {
    #[test]
    fn p7_never_more_changes_in_any_hour_than_the_rate(
        rate in 1_i32..6,
        operator_rate in 1_usize..8,
        looks in prop::collection::vec((0_i64..40, 0_usize..12, 0_usize..4), 1..40),
    ) {
        let mut world = World::default();
        world.enforcement.max_changes_per_hour = rate;
        world.operator_changes_per_hour = operator_rate;
        let mut all: Vec<Timestamp> = Vec::new();
        for (pause, size, elsewhere) in looks {
            world.now += minutes(pause);
            // Other accounts are changed too, within the operator's rate.
            let recent = |made: &[Timestamp], now: Timestamp| -> Vec<Timestamp> {
                made.iter().copied().filter(|at| at.duration_until(now) < RATE_PERIOD).collect()
            };
            let room = operator_rate - recent(&all, world.now).len();
            all.extend(std::iter::repeat_n(world.now, elsewhere.min(room)));
            world.operator_changes = recent(&all, world.now);
            let admission = world.admit(&of_size(size));
            prop_assert_eq!(admission.start.len() < size, admission.block.is_some());
            if let Some(until) = admission.block.and_then(|block| block.until) {
                // Then, and not before, one more can start.
                let mut later = world.clone();
                for (n, at) in [(0, until - jiff::SignedDuration::from_nanos(1)), (1, until)] {
                    later.now = at;
                    later.history.0 = world.history.0.clone();
                    later.history.0.extend(admission.start.iter().map(|_| made("x", world.now)));
                    let mut others = all.clone();
                    others.extend(admission.start.iter().map(|_| world.now));
                    later.operator_changes = recent(&others, at);
                    prop_assert_eq!(later.admit(&of_size(1)).start.len(), n);
                }
            }
            world.history.0.extend(admission.start.iter().map(|_| made("x", world.now)));
            all.extend(admission.start.iter().map(|_| world.now));
        }
        let of_account: Vec<Timestamp> = world.history.0.iter().map(|record| record.claimed_at).collect();
        for (times, most) in [(&of_account, usize::try_from(rate).unwrap()), (&all, operator_rate)] {
            for start in times {
                let within = times.iter().filter(|at| *at >= start && start.duration_until(**at) < RATE_PERIOD);
                prop_assert!(within.count() <= most);
            }
        }
    }

    #[test]
    fn p7_a_finding_that_becomes_many_starts_nothing(size in 51_usize..500, largest in 0_i32..51) {
        let world = World::with(|world| world.enforcement.max_plan_size = largest);
        let admission = world.admit(&of_size(size));
        prop_assert_eq!(admission.start, Vec::<usize>::new());
        prop_assert_eq!(admission.block.map(|block| block.reason), Some(BlockReason::ApprovalRequired));
    }
}
