//! The machine for a pass: from the admitted changes, and what became of each, to the next one. No IO, no clock.
//!
//! One change at a time, in order. What shows that something is wrong with the whole (a change that AWS does not show,
//! a record that cannot be written, intent or leadership that is gone) stops the pass; what concerns one resource or
//! one permission does not. Half of a change is none: where one of several changes for a finding was not made, the
//! later ones are left out.

use std::collections::{BTreeSet, VecDeque};

use jiff::Timestamp;

use super::change::{ChangeMachine, Ended};
use super::entry::{Warrant, entry};
use super::{Claimant, Made};
use crate::baseline::admit::{Admission, Block, BlockReason};
use crate::baseline::change::{Action, Change};
use crate::baseline::history::{FAILURES, History, Outcome, SettledReason};
use crate::baseline::plan::Plan;
use crate::engine::ledger::{Entry, Settlement};

/// What is still to be done.
#[derive(Clone, Debug)]
enum Work {
    Make(Box<Change>),
    Resume(Box<(Entry, Action)>),
}

/// What the machine needs to know of a change when it has ended.
#[derive(Clone, Debug)]
struct Current {
    operation: &'static str,
    answers: BTreeSet<String>,
    resumes: bool,
}

/// A pass over changes that were admitted, or over records without outcome.
#[derive(Clone, Debug)]
pub struct Pass<'a> {
    work: VecDeque<Work>,
    claimant: &'a Claimant,
    history: &'a History,
    plan_digest: Option<&'a str>,
    approval: Option<&'a str>,
    current: Option<Current>,
    /// The operations for which a permission is missing.
    denied: BTreeSet<&'static str>,
    /// The findings of which a change was not made.
    broken: BTreeSet<String>,
    failures: usize,
    made: Made,
}

impl<'a> Pass<'a> {
    /// Makes what was admitted of a plan.
    #[must_use]
    pub fn making(plan: &'a Plan, admission: &'a Admission, claimant: &'a Claimant, history: &'a History) -> Self {
        let changes = admission.start.iter().filter_map(|index| plan.changes.get(*index));
        Self {
            work: changes.cloned().map(|change| Work::Make(Box::new(change))).collect(),
            plan_digest: plan.digest.as_deref(),
            approval: admission.approval.as_deref(),
            failures: history.failures(&claimant.baseline).len(),
            ..Self::empty(claimant, history)
        }
    }

    /// Settles records, oldest first.
    #[must_use]
    pub fn settling(records: Vec<(Entry, Action)>, claimant: &'a Claimant, history: &'a History) -> Self {
        let work = records.into_iter().map(|record| Work::Resume(Box::new(record))).collect();
        Self { work, ..Self::empty(claimant, history) }
    }

    fn empty(claimant: &'a Claimant, history: &'a History) -> Self {
        Self {
            work: VecDeque::new(),
            claimant,
            history,
            plan_digest: None,
            approval: None,
            current: None,
            denied: BTreeSet::new(),
            broken: BTreeSet::new(),
            failures: 0,
            made: Made::default(),
        }
    }

    /// The next change, whose record is claimed now; `None` at the end.
    pub fn next(&mut self, now: Timestamp) -> Option<ChangeMachine> {
        loop {
            match self.work.pop_front()? {
                Work::Resume(record) => {
                    let (entry, action) = *record;
                    let operation = action.operation().name();
                    self.current = Some(Current { operation, answers: BTreeSet::new(), resumes: true });
                    return Some(ChangeMachine::resume(entry, action));
                }
                Work::Make(change) => {
                    let operation = change.action.operation().name();
                    let answers: BTreeSet<String> = change.answers.iter().map(|finding| finding.id.clone()).collect();
                    if self.denied.contains(operation) || !answers.is_disjoint(&self.broken) {
                        self.broken.extend(answers);
                        continue;
                    }
                    self.current = Some(Current { operation, answers, resumes: false });
                    let warrant = Warrant { plan_digest: self.plan_digest, approval: self.approval, undoes: None };
                    let entry = entry(&change, self.claimant, warrant, self.history, now);
                    return Some(ChangeMachine::make(entry, change.action));
                }
            }
        }
    }

    /// Takes what became of the change that [`next`](Self::next) gave.
    pub fn ended(&mut self, entry: Entry, ended: Ended) {
        let Some(current) = self.current.take() else { return };
        match ended {
            Ended::Settled(settlement) => {
                if !current.resumes {
                    self.judge(&current, &entry, &settlement);
                }
                self.made.changes.push((entry, Some(settlement)));
            }
            Ended::Unsettled { message, until } => {
                let name = &entry.name;
                let message =
                    format!("what became of ChangeRecord {name} is not known: {message}; it is settled first");
                self.block(BlockReason::Unsettled, message, until);
                self.made.changes.push((entry, None));
                // Records are settled by reading alone: one that cannot be does not hinder the next.
                if !current.resumes {
                    self.work.clear();
                }
            }
            Ended::NotRecorded(message) => {
                let message =
                    format!("ChangeRecord {} could not be made, so nothing was changed: {message}", entry.name);
                self.stop(BlockReason::NotRecorded, message);
            }
            Ended::Rehearsed(_) => {}
        }
    }

    /// What the pass made.
    #[must_use]
    pub fn into_made(self) -> Made {
        self.made
    }

    fn judge(&mut self, current: &Current, entry: &Entry, settlement: &Settlement) {
        let message = || format!("ChangeRecord {}: {}", entry.name, settlement.message);
        match (settlement.outcome, settlement.reason) {
            (Outcome::Succeeded, _) => return,
            (Outcome::Failed | Outcome::Unverifiable, _) => self.stop(BlockReason::TooManyFailures, message()),
            // The intent that stands now is planned for, or the process that leads now goes on: nothing blocks.
            (Outcome::NotApplied, SettledReason::NotWanted | SettledReason::NotLeading) => self.work.clear(),
            (Outcome::NotApplied, SettledReason::Denied) => {
                self.denied.insert(current.operation);
                self.block(BlockReason::MissingPermission, message(), None);
            }
            (Outcome::NotApplied, SettledReason::Refused) => {
                self.failures += 1;
                if self.failures >= FAILURES {
                    self.stop(BlockReason::TooManyFailures, message());
                }
            }
            (
                Outcome::NotApplied,
                SettledReason::ResourceMoved
                | SettledReason::NotRead
                | SettledReason::Interrupted
                | SettledReason::Applied
                | SettledReason::FoundApplied
                | SettledReason::NotShown
                | SettledReason::Unreadable,
            ) => {}
        }
        self.broken.extend(current.answers.iter().cloned());
    }

    /// Nothing more is started.
    fn stop(&mut self, reason: BlockReason, message: String) {
        self.made.block = Some(Block { reason, message, until: None });
        self.work.clear();
    }

    /// The first block is the one that is named.
    fn block(&mut self, reason: BlockReason, message: String, until: Option<Timestamp>) {
        self.made.block.get_or_insert(Block { reason, message, until });
    }
}
