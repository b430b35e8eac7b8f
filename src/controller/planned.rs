//! What a pass planned and made, as status tells it: the plan, what holds it back, and when to look again. Pure.

use jiff::{SignedDuration, Timestamp};

use super::entries::one_line;
use super::status::count;
use crate::api::{PlanStatus, Reason};
use crate::baseline::admit::{Block, BlockReason};
use crate::baseline::history::History;
use crate::baseline::plan::Plan;
use crate::baseline::{HoldReason, Remediation};

/// The spec was looked at; the next look changes what it found.
const AFTER_FIRST_LOOK: SignedDuration = SignedDuration::from_secs(2);

/// More can be started at once: the account is judged anew first.
const AFTER_PROGRESS: SignedDuration = SignedDuration::from_secs(10);

/// Nothing of what could start was made, or something is in trouble.
const AFTER_TROUBLE: SignedDuration = SignedDuration::from_mins(5);

/// A rate that many accounts wait for must not have all of them judged for one free place.
const AT_MOST_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// A call of a process that ended may still be landing for so long; then it is settled.
const LANDING: SignedDuration = SignedDuration::from_mins(2);
const WHILE_LANDING: SignedDuration = SignedDuration::from_secs(30);

/// What a pass planned and made.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Planned {
    /// Whether a control enforces.
    pub(super) enforces: bool,
    /// What is still to be changed.
    pub(super) plan: Plan,
    /// What holds it back.
    pub(super) block: Option<Block>,
    /// The approval that covers it.
    pub(super) approval: Option<String>,
    /// How many changes were made in this pass.
    pub(super) made: usize,
    /// When to look again, where that is before the interval's end.
    pub(super) again: Option<Timestamp>,
}

impl Planned {
    /// The plan as status has it; `None` where nothing is enforced.
    pub(super) fn status(&self) -> Option<PlanStatus> {
        self.enforces.then(|| PlanStatus {
            digest: self.plan.digest.clone(),
            changes: count(self.plan.changes.len()),
            held: count(self.plan.remediations.values().filter(|done| done.reason().is_some()).count()),
            approval: self.approval.clone(),
            next_change_at: self.again.filter(|_| !self.plan.changes.is_empty()),
            made: count(self.made),
        })
    }

    /// Why not everything is made; `None` where nothing is held back that an operator or a user could free.
    pub(super) fn blocked(&self) -> Option<(Reason, String)> {
        if !self.enforces {
            return None;
        }
        if let Some(block) = &self.block {
            return Some((reason(block.reason), one_line(&block.message)));
        }
        let held = [HoldReason::Contested, HoldReason::MissingPermission];
        held.into_iter().find_map(|hold| {
            let mut messages = self.plan.remediations.values().filter_map(|done| match done {
                Remediation::Held { reason, message } if *reason == hold => Some(message),
                Remediation::Held { .. } | Remediation::None | Remediation::Automatic(_) | Remediation::Manual(_) => {
                    None
                }
            });
            let (first, others) = (messages.next()?, messages.count());
            let others = if others == 0 { String::new() } else { format!(", and {others} more") };
            let reason = match hold {
                HoldReason::Contested => Reason::Contested,
                _ => Reason::MissingPermission,
            };
            Some((reason, format!("{}{others}", one_line(first))))
        })
    }
}

fn reason(block: BlockReason) -> Reason {
    match block {
        BlockReason::NotEnabled => Reason::NotEnabled,
        BlockReason::NoEnforceRole => Reason::NoEnforceRole,
        BlockReason::ExternalIdNotEnforced => Reason::ExternalIdNotEnforced,
        BlockReason::InvalidSpec => Reason::InvalidSpec,
        BlockReason::Conflict => Reason::Conflict,
        BlockReason::Unsettled => Reason::Unsettled,
        BlockReason::EvaluatedOnly => Reason::EvaluatedOnly,
        BlockReason::TooManyFailures => Reason::TooManyFailures,
        BlockReason::ApprovalRequired => Reason::ApprovalRequired,
        BlockReason::OutsideWindow => Reason::OutsideWindow,
        BlockReason::ChangeBudgetExhausted => Reason::ChangeBudgetExhausted,
        BlockReason::MissingPermission => Reason::MissingPermission,
        BlockReason::Contested => Reason::Contested,
        BlockReason::NotRecorded => Reason::NotRecorded,
    }
}

/// When to look again. `startable` says that something of the plan could start at once, `made` how many changes were
/// made. Whatever happened, the next look is not at once.
pub(super) fn again(
    block: Option<&Block>,
    startable: bool,
    made: usize,
    history: &History,
    now: Timestamp,
) -> Option<Timestamp> {
    let after = |pause: SignedDuration| now.checked_add(pause).ok();
    let not_before = |until: Timestamp, pause| after(pause).map(|soonest| soonest.max(until));
    let Some(block) = block else {
        return if !startable {
            None
        } else if made > 0 {
            after(AFTER_PROGRESS)
        } else {
            after(AFTER_TROUBLE)
        };
    };
    match block.reason {
        BlockReason::EvaluatedOnly => after(AFTER_FIRST_LOOK),
        BlockReason::Unsettled if block.until.is_some() => {
            block.until.and_then(|until| not_before(until, AFTER_FIRST_LOOK))
        }
        BlockReason::Unsettled => {
            let landing = history.unsettled().any(|record| record.claimed_at.duration_until(now) < LANDING);
            after(if landing { WHILE_LANDING } else { AFTER_TROUBLE })
        }
        BlockReason::NotRecorded => after(AFTER_TROUBLE),
        BlockReason::ChangeBudgetExhausted => block.until.and_then(|until| not_before(until, AT_MOST_EVERY)),
        BlockReason::ExternalIdNotEnforced
        | BlockReason::OutsideWindow
        | BlockReason::MissingPermission
        | BlockReason::TooManyFailures => block.until.and_then(|until| not_before(until, AFTER_FIRST_LOOK)),
        // Somebody has to do something, and what they do starts an evaluation or is found with the next one.
        BlockReason::NotEnabled
        | BlockReason::NoEnforceRole
        | BlockReason::InvalidSpec
        | BlockReason::Conflict
        | BlockReason::ApprovalRequired
        | BlockReason::Contested => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn block(reason: BlockReason, until: Option<i64>) -> Block {
        Block { reason, message: "because".to_owned(), until: until.map(time) }
    }

    fn planned(held: &[HoldReason]) -> Planned {
        let held = held.iter().enumerate();
        let remediations = held.map(|(n, why)| (n.to_string(), Remediation::held(*why, format!("why {n}")))).collect();
        Planned { enforces: true, plan: Plan { remediations, ..Plan::default() }, ..Planned::default() }
    }

    #[test]
    fn where_nothing_is_enforced_there_is_no_plan_and_nothing_is_blocked() {
        let audited = Planned { enforces: false, ..planned(&[HoldReason::AuditMode]) };
        assert_eq!((audited.status(), audited.blocked()), (None, None));
    }

    #[test]
    fn what_stands_in_the_way_is_named_before_what_is_held() {
        let held = planned(&[HoldReason::NotRead, HoldReason::MissingPermission]);
        assert_eq!(held.blocked(), Some((Reason::MissingPermission, "why 1".to_owned())));
        let both = planned(&[HoldReason::MissingPermission, HoldReason::Contested, HoldReason::Contested]);
        assert_eq!(both.blocked(), Some((Reason::Contested, "why 1, and 1 more".to_owned())));
        let blocked = Planned { block: Some(block(BlockReason::OutsideWindow, None)), ..both };
        assert_eq!(blocked.blocked(), Some((Reason::OutsideWindow, "because".to_owned())));
        assert_eq!(planned(&[HoldReason::GracePeriod]).blocked(), None, "waiting is no fault");
        assert_eq!(planned(&[HoldReason::GracePeriod]).status().unwrap().held, 1);
    }

    #[test]
    fn the_next_look_is_as_early_as_it_helps_and_never_at_once() {
        let none = History::default();
        let at =
            |reason, until| again(Some(&block(reason, until)), true, 0, &none, time(1000)).map(Timestamp::as_second);
        assert_eq!(at(BlockReason::EvaluatedOnly, None), Some(1002));
        assert_eq!(at(BlockReason::NotRecorded, None), Some(1300));
        assert_eq!(at(BlockReason::ExternalIdNotEnforced, Some(1060)), Some(1060), "it was not found out yet");
        assert_eq!(at(BlockReason::Unsettled, None), Some(1300));
        assert_eq!(at(BlockReason::Unsettled, Some(1000)), Some(1002));
        assert_eq!(at(BlockReason::Unsettled, Some(1045)), Some(1045), "once its call can no longer land");
        assert_eq!(at(BlockReason::ChangeBudgetExhausted, Some(1001)), Some(1060), "many wait for one free place");
        assert_eq!(at(BlockReason::ChangeBudgetExhausted, Some(4000)), Some(4000));
        assert_eq!(at(BlockReason::OutsideWindow, Some(9000)), Some(9000));
        for waits_for_people in [BlockReason::ApprovalRequired, BlockReason::Conflict, BlockReason::MissingPermission] {
            assert_eq!(at(waits_for_people, None), None);
        }
        let free = |startable, made| again(None, startable, made, &none, time(1000)).map(Timestamp::as_second);
        assert_eq!(free(false, 3), None, "everything is made");
        assert_eq!(free(true, 3), Some(1010));
        assert_eq!(free(true, 0), Some(1300), "a refusal is no reason to hurry");
    }
}
