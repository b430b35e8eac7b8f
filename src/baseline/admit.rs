//! From a plan to the changes that may be started now, and what holds the others back. No IO, no clock.
//!
//! The plan says what is right, this says when: sizes, consent, windows, rates, failures. Nothing here changes what a
//! plan contains.

mod window;

use std::cmp::Ordering;
use std::collections::BTreeSet;

use jiff::Timestamp;

use super::history::{FAILURES, History, RATE_PERIOD};
use super::plan::Plan;
use crate::api::{ApprovalMode, Enforcement, RecordedBaseline};

/// Why nothing, or not everything, may be started now. The words are reasons of the condition `EnforcementBlocked`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "documented where conditions have their reasons")]
pub enum BlockReason {
    NotEnabled,
    NoEnforceRole,
    ExternalIdNotEnforced,
    InvalidSpec,
    Conflict,
    Unsettled,
    EvaluatedOnly,
    TooManyFailures,
    ApprovalRequired,
    OutsideWindow,
    ChangeBudgetExhausted,
    MissingPermission,
    Contested,
    NotRecorded,
}

/// What holds changes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// In one word.
    pub reason: BlockReason,
    /// In a sentence without a period, with what to do.
    pub message: String,
    /// When it passes by itself, where it does.
    pub until: Option<Timestamp>,
}

/// Consent that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// The name of the `PlanApproval`.
    pub name: String,
    /// The digest that it names.
    pub digest: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was first used, and the meanings that it covers since then.
    pub used: Option<(Timestamp, BTreeSet<String>)>,
}

/// What decides when changes may be started.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms<'a> {
    /// The moment.
    pub now: Timestamp,
    /// The baseline's settings.
    pub enforcement: &'a Enforcement,
    /// The baseline as it stands.
    pub baseline: &'a RecordedBaseline,
    /// The account's records, of all baselines.
    pub history: &'a History,
    /// How many changes the whole operator may make within an hour.
    pub operator_changes_per_hour: usize,
    /// When changes were made within the last hour, in all accounts, oldest first.
    pub operator_changes: &'a [Timestamp],
    /// Consent for this baseline.
    pub consents: &'a [Consent],
    /// Another baseline for the same account, where one of them would enforce.
    pub conflict: Option<&'a str>,
    /// `--enforce`
    pub enabled: bool,
    /// Whether the account names a role for it.
    pub has_enforce_role: bool,
    /// Why the account's roles are not safe to use, where that is checked and found, and until when it is known where
    /// it was not found yet.
    pub external_id_not_enforced: Option<(&'a str, Option<Timestamp>)>,
    /// The name of an exception that this version cannot read, so that nobody knows what it excepts.
    pub unreadable_exception: Option<&'a str>,
    /// Whether this spec was evaluated by this version before.
    pub evaluated_before: bool,
}

/// What may be started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// Indexes into the plan's changes, in order.
    pub start: Vec<usize>,
    /// What holds back the others, or all.
    pub block: Option<Block>,
    /// The consent that covers what is started, where one was needed.
    pub approval: Option<String>,
}

impl BlockReason {
    /// The word as it stands in the condition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotEnabled => "NotEnabled",
            Self::NoEnforceRole => "NoEnforceRole",
            Self::ExternalIdNotEnforced => "ExternalIdNotEnforced",
            Self::InvalidSpec => "InvalidSpec",
            Self::Conflict => "Conflict",
            Self::Unsettled => "Unsettled",
            Self::EvaluatedOnly => "EvaluatedOnly",
            Self::TooManyFailures => "TooManyFailures",
            Self::ApprovalRequired => "ApprovalRequired",
            Self::OutsideWindow => "OutsideWindow",
            Self::ChangeBudgetExhausted => "ChangeBudgetExhausted",
            Self::MissingPermission => "MissingPermission",
            Self::Contested => "Contested",
            Self::NotRecorded => "NotRecorded",
        }
    }
}

fn block(reason: BlockReason, message: impl Into<String>, until: Option<Timestamp>) -> Block {
    Block { reason, message: message.into(), until }
}

/// Decides what of a plan may be started now. The first thing in the way is the one that is named.
#[must_use]
pub fn admit(plan: &Plan, terms: &Terms<'_>) -> Admission {
    let blocked = |block| Admission { block: Some(block), ..Admission::default() };
    if let Some(block) = standing_block(terms) {
        return blocked(block);
    }
    let Some(digest) = &plan.digest else { return Admission::default() };
    if !terms.evaluated_before {
        let message = "this spec is evaluated by this version for the first time: changes start with the next look";
        return blocked(block(BlockReason::EvaluatedOnly, message, None));
    }
    let (covered, approval) = match consent(plan, digest, terms) {
        Ok(covered) => covered,
        Err(block) => return blocked(block),
    };
    if let Some(windows) = &terms.enforcement.windows {
        match window::open(windows, terms.now) {
            Ok(true) => {}
            Ok(false) => {
                let next = window::next_opening(windows, terms.now);
                let when = next.map_or_else(String::new, |at| format!(", the next one opens at {at}"));
                return blocked(block(BlockReason::OutsideWindow, format!("no window is open{when}"), next));
            }
            Err(error) => return blocked(block(BlockReason::OutsideWindow, error, None)),
        }
    }
    let allowance = allowance(terms);
    let uncovered = plan.changes.len().saturating_sub(covered.len());
    let waiting = covered.len().saturating_sub(allowance.now);
    let start = covered.into_iter().take(allowance.now).collect();
    let block = if waiting > 0 {
        let until = allowance.next.map_or_else(String::new, |at| format!(" until {at}"));
        let waiting = if waiting == 1 { "1 change waits".to_owned() } else { format!("{waiting} changes wait") };
        let message = format!("{waiting}{until}: {}", allowance.why);
        Some(block(BlockReason::ChangeBudgetExhausted, message, allowance.next))
    } else {
        (uncovered > 0).then(|| unapproved(digest, &format!("the approval covers all but {uncovered} of its changes")))
    };
    Admission { start, block, approval }
}

/// What is in the way whatever the plan is.
fn standing_block(terms: &Terms<'_>) -> Option<Block> {
    let failures = terms.history.failures(terms.baseline);
    if !terms.enabled {
        let message = "this operator runs without --enforce: nothing is changed";
        Some(block(BlockReason::NotEnabled, message, None))
    } else if !terms.has_enforce_role {
        let message = "the AwsAccount names no enforceRoleName: nothing in the account is changed";
        Some(block(BlockReason::NoEnforceRole, message, None))
    } else if let Some((why, until)) = terms.external_id_not_enforced {
        Some(block(BlockReason::ExternalIdNotEnforced, why, until))
    } else if let Some(name) = terms.unreadable_exception {
        let message = format!(
            "this version cannot read BaselineException {name}, which may except what would be changed: correct or \
             delete it, or run the version that it was written for"
        );
        Some(block(BlockReason::InvalidSpec, message, None))
    } else if let Some(other) = terms.conflict {
        let message = format!("AccountBaseline {other} is for the same account: neither enforces, remove one");
        Some(block(BlockReason::Conflict, message, None))
    } else if let Some(record) = terms.history.unsettled().next() {
        let message = format!("what became of ChangeRecord {} is not known yet: it is settled first", record.name);
        Some(block(BlockReason::Unsettled, message, None))
    } else if failures.len() >= FAILURES || failures.iter().any(|record| record.read_back_failed()) {
        let last = failures.iter().max_by_key(|record| record.claimed_at);
        let why = last.and_then(|record| record.settled.as_ref()).map_or("", |settled| settled.message.as_str());
        let failed = if failures.len() == 1 { "1 change" } else { &format!("{} changes", failures.len()) };
        let message = format!(
            "{failed} failed, the last one because {why}; edit the spec, or set the annotation \
             plumbline.dev/requestedAt, to go on"
        );
        Some(block(BlockReason::TooManyFailures, message, None))
    } else {
        None
    }
}

/// Which changes need no consent or have it, and whose.
fn consent(plan: &Plan, digest: &str, terms: &Terms<'_>) -> Result<(Vec<usize>, Option<String>), Block> {
    let size = plan.changes.len();
    let Enforcement { approval, max_plan_size, .. } = terms.enforcement;
    let why = terms.enforcement.needs_approval(size).then(|| match approval {
        ApprovalMode::Always => "every plan needs consent".to_owned(),
        ApprovalMode::WhenOverSize => format!("it has {size} changes and maxPlanSize is {max_plan_size}"),
    });
    let valid = terms.consents.iter().filter(|consent| terms.now < consent.expires_at);
    let best = valid.map(|consent| (covers(consent, plan, digest, terms), consent));
    let best = best.max_by_key(|(covered, _)| covered.len()).filter(|(covered, _)| !covered.is_empty());
    match (best, why) {
        // Where none is needed, one that covers the whole is named all the same.
        (Some((covered, consent)), Some(_)) => Ok((covered, Some(consent.name.clone()))),
        (best, None) => {
            let whole = best.filter(|(covered, _)| covered.len() == size);
            Ok(((0..size).collect(), whole.map(|(_, consent)| consent.name.clone())))
        }
        (None, Some(why)) => Err(unapproved(digest, &why)),
    }
}

/// The changes that a consent covers. Once it is used: those of the plan that it was used for, each once.
fn covers(consent: &Consent, plan: &Plan, digest: &str, terms: &Terms<'_>) -> Vec<usize> {
    let indexes = plan.meanings.iter().enumerate();
    match &consent.used {
        Some((since, meanings)) => indexes
            .filter(|(_, meaning)| meanings.contains(*meaning) && !made_since(terms.history, meaning, *since))
            .map(|(index, _)| index)
            .collect(),
        None if consent.digest == digest => indexes.map(|(index, _)| index).collect(),
        None => Vec::new(),
    }
}

fn unapproved(digest: &str, why: &str) -> Block {
    block(BlockReason::ApprovalRequired, format!("plan {digest} waits for a PlanApproval: {why}"), None)
}

fn made_since(history: &History, meaning: &str, since: Timestamp) -> bool {
    history.0.iter().any(|record| record.meaning == meaning && record.counts() && record.claimed_at >= since)
}

/// How many changes may be started now.
struct Allowance {
    now: usize,
    next: Option<Timestamp>,
    why: String,
}

fn allowance(terms: &Terms<'_>) -> Allowance {
    let rate = usize::try_from(terms.enforcement.max_changes_per_hour).unwrap_or_default();
    let made = terms.history.within_rate_period(terms.now);
    let (of_account, next_of_account) = left(rate, &made, terms.now);
    let (of_operator, next_of_operator) = left(terms.operator_changes_per_hour, terms.operator_changes, terms.now);
    let by_account = format!("maxChangesPerHour is {rate}");
    let by_operator = format!("the operator makes {} changes an hour at most", terms.operator_changes_per_hour);
    let by_the_operator = match of_account.cmp(&of_operator) {
        Ordering::Less => false,
        Ordering::Greater => true,
        // Both must let the next one through.
        Ordering::Equal => next_of_operator > next_of_account,
    };
    let (next, why) = if by_the_operator { (next_of_operator, by_operator) } else { (next_of_account, by_account) };
    Allowance { now: of_account.min(of_operator), next, why }
}

/// How many of a rate are left, and when the next one will be, after those that are left were used now.
fn left(rate: usize, made: &[Timestamp], now: Timestamp) -> (usize, Option<Timestamp>) {
    // So many may be within an hour: of those that are, the one whose end makes room for another.
    let makes_room = made.iter().rev().nth(rate.saturating_sub(1)).or(made.first()).copied().unwrap_or(now);
    let next = makes_room.checked_add(RATE_PERIOD).ok().filter(|_| rate > 0);
    (rate.saturating_sub(made.len()), next)
}

#[cfg(test)]
mod tests;
