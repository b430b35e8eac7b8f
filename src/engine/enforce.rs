//! The enforcement: a state machine for one change, one for a pass over many, and the thin shell that carries out what
//! they ask for.
//!
//! The machines do no IO and have no clock: each says which request comes next and is told the answer and the time.
//! Every request may be answered by every error, the process may end between any two, and a machine that is made from a
//! record goes on where the old one stopped: by reading, never by doing again.

mod change;
#[cfg(test)]
pub(crate) mod conformance;
mod entry;
#[cfg(test)]
pub(crate) mod fake;
mod pass;
#[cfg(test)]
mod tests;
mod undo;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tracing::{Instrument, Span, error_span};

pub use self::change::{
    Answer, CALL_TIMEOUT, ChangeMachine, Ended, GRACE, Next, Request, START_WITHIN, UNVERIFIABLE_AFTER,
};
pub use self::entry::{Warrant, entry};
pub use self::pass::Pass;
pub use self::undo::{Undo, UndoError, Undone, plan_undo, undo};
use super::cloud::{Applied, CloudWriter, DryRun, Target, WriterProvider};
use super::ledger::{Claim, Entry, Intent, Leadership, Ledger, LedgerError, Settlement};
use crate::api::RecordedBaseline;
use crate::baseline::admit::{Admission, Block, BlockReason};
use crate::baseline::change::Action;
use crate::baseline::history::{History, Outcome, SettledReason};
use crate::baseline::plan::Plan;
use crate::baseline::{Cause, CauseClass, Observed};

/// The longest that one read, or the opening of a session, may take: then it counts as unanswered.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// What a pass of enforcement stands on.
pub struct Surroundings<'a> {
    /// The records.
    pub ledger: &'a dyn Ledger,
    /// Whether a change is still wanted.
    pub intent: &'a dyn Intent,
    /// Whether this process leads.
    pub leadership: &'a dyn Leadership,
    /// Sessions for changes.
    pub provider: &'a dyn WriterProvider,
    /// Is told of every change before and after.
    pub witness: &'a dyn Witness,
    /// The clock.
    pub now: fn() -> Timestamp,
}

/// Is told of every change: for events, log lines and metrics.
pub trait Witness: Send + Sync {
    /// The record is committed; the change is about to be made.
    fn claimed(&self, entry: &Entry);
    /// The outcome is known and written.
    fn settled(&self, entry: &Entry, settlement: &Settlement);
}

/// What the records of a pass say beside the change itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimant {
    /// The account's enforce role.
    pub target: Target,
    /// The account's partition.
    pub partition: String,
    /// The baseline as it stands.
    pub baseline: RecordedBaseline,
    /// This process.
    pub claimed_by: String,
}

/// What a pass made of its changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Made {
    /// Each change that was claimed, with what became of it; `None` where that is not known, or could not be written.
    pub changes: Vec<(Entry, Option<Settlement>)>,
    /// Why it stopped before its end, or what it left out, where it did.
    pub block: Option<Block>,
}

/// Makes the changes that were admitted, one after the other.
pub async fn enforce(
    plan: &Plan,
    admission: &Admission,
    claimant: &Claimant,
    history: &History,
    surroundings: &Surroundings<'_>,
) -> Made {
    carry(Pass::making(plan, admission, claimant, history), &claimant.target, surroundings).await
}

/// Settles the records of an account that have no outcome, by reading AWS alone: nothing is done again.
///
/// # Errors
///
/// Where the records cannot be listed.
pub async fn settle(
    account_id: &str,
    claimant: &Claimant,
    surroundings: &Surroundings<'_>,
) -> Result<Made, LedgerError> {
    let mut records = Vec::new();
    let mut unreadable = Made::default();
    for entry in surroundings.ledger.unsettled(account_id).await? {
        match Action::from_record(&entry.spec) {
            Ok(action) => records.push((entry, action)),
            Err(error) => give_up(entry, &error.to_string(), surroundings, &mut unreadable).await,
        }
    }
    let history = History::default();
    let made = carry(Pass::settling(records, claimant, &history), &claimant.target, surroundings).await;
    unreadable.changes.extend(made.changes);
    Ok(Made { changes: unreadable.changes, block: made.block.or(unreadable.block) })
}

/// A record that is no change says nothing that could be read in AWS. A newer version may understand it, so it is given
/// up only after the time that unreadable resources have too.
async fn give_up(entry: Entry, why: &str, surroundings: &Surroundings<'_>, made: &mut Made) {
    let now = (surroundings.now)();
    let settlement = Settlement {
        outcome: Outcome::Unverifiable,
        reason: SettledReason::Unreadable,
        message: why.to_owned(),
        missing_action: None,
        at: now,
    };
    let old = entry.spec.claimed_at.duration_until(now) >= UNVERIFIABLE_AFTER;
    if old && surroundings.ledger.settle(&entry.name, &settlement).await.is_ok() {
        surroundings.witness.settled(&entry, &settlement);
        made.changes.push((entry, Some(settlement)));
        return;
    }
    let message = format!("what became of ChangeRecord {} cannot be read: {why}", entry.name);
    made.block.get_or_insert(Block { reason: BlockReason::Unsettled, message, until: None });
    made.changes.push((entry, None));
}

async fn carry(mut pass: Pass<'_>, target: &Target, surroundings: &Surroundings<'_>) -> Made {
    while let Some(machine) = pass.next((surroundings.now)()).filter(|_| !surroundings.intent.ends()) {
        let span = span_of(machine.entry());
        let (entry, ended) = run(machine, target, surroundings).instrument(span).await;
        pass.ended(entry, ended);
    }
    pass.into_made()
}

/// What each log line and the trace of a change carry. A span of this level is on at every level of logging.
fn span_of(entry: &Entry) -> Span {
    let Entry { name, spec } = entry;
    error_span!("change", control = spec.control, region = spec.region, operation = spec.operation, record = name)
}

/// Carries out what the machine of one change asks for, until it ends.
async fn run(mut machine: ChangeMachine, target: &Target, surroundings: &Surroundings<'_>) -> (Entry, Ended) {
    let mut session = None;
    while let Next::Ask(request) = machine.next() {
        let answer = carry_out(request, &mut session, target, surroundings).await;
        match (request, &answer) {
            (Request::Claim(entry), Answer::Claimed(Ok(Claim::Ours))) => surroundings.witness.claimed(entry),
            (Request::Settle(entry, settlement), Answer::Settled(Ok(()))) => {
                surroundings.witness.settled(entry, settlement);
            }
            _ => {}
        }
        machine.answer(answer, (surroundings.now)());
    }
    machine.into_ended()
}

async fn carry_out(
    request: Request<'_>,
    session: &mut Option<Arc<dyn CloudWriter>>,
    target: &Target,
    surroundings: &Surroundings<'_>,
) -> Answer {
    let Surroundings { ledger, intent, leadership, provider, witness: _, now } = surroundings;
    match request {
        Request::Claim(entry) => Answer::Claimed(ledger.claim(entry).await),
        Request::ReadIntent(control, approval) => Answer::Wanted(intent.still_wanted(control, approval).await),
        Request::OpenSession(action) => {
            let opened = within(READ_TIMEOUT, provider.writer(target, action), Err).await;
            Answer::Opened(opened.map(|writer| *session = Some(writer)))
        }
        // A process that was told to end starts nothing, even where the Lease is its own for a while.
        Request::Lead(span) => Answer::Leads(!intent.ends() && leadership.holds_for(span)),
        Request::Settle(entry, settlement) => Answer::Settled(ledger.settle(&entry.name, settlement).await),
        Request::Wait(until) => {
            let pause = now().duration_until(until).max(SignedDuration::ZERO);
            tokio::time::sleep(pause.unsigned_abs()).await;
            Answer::Waited
        }
        Request::Identify => match session {
            Some(writer) => Answer::Identified(within(READ_TIMEOUT, writer.identity(), Err).await),
            None => Answer::Identified(Err(no_session())),
        },
        Request::Read(action) => match session {
            Some(writer) => Answer::Read(within(READ_TIMEOUT, writer.state(action), Observed::Unknown).await),
            None => Answer::Read(Observed::Unknown(no_session())),
        },
        Request::DryRun(action) => match session {
            Some(writer) => Answer::DryRun(within(READ_TIMEOUT, writer.dry_run(action), DryRun::NotKnown).await),
            None => Answer::DryRun(DryRun::NotKnown(no_session())),
        },
        Request::Apply(action) => match session {
            Some(writer) => Answer::Applied(within(CALL_TIMEOUT, writer.apply(action), Applied::NotKnown).await),
            None => Answer::Applied(Applied::NotSent(no_session())),
        },
    }
}

/// The answer, or what stands for one that did not come in time.
async fn within<T>(limit: Duration, answer: impl Future<Output = T>, late: impl FnOnce(Cause) -> T) -> T {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
        let message = format!("AWS did not answer within {} s", limit.as_secs());
        late(Cause::new(CauseClass::DeadlineExceeded, message))
    })
}

fn no_session() -> Cause {
    Cause::new(CauseClass::Credentials, "no session is open")
}
