//! The enforcement: a state machine for one change, one for a pass over many, and the thin shell that carries out what
//! they ask for.
//!
//! The machines do no IO and have no clock: each says which request comes next and is told the answer and the time.
//! Every request may be answered by every error, the process may end between any two, and a machine that is made from a
//! record goes on where the old one stopped: by reading, never by doing again.

use jiff::Timestamp;

use super::cloud::{Target, WriterProvider};
use super::ledger::{Entry, Intent, Leadership, Ledger, LedgerError, Settlement};
use crate::api::RecordedBaseline;
use crate::baseline::admit::{Admission, Block};
use crate::baseline::history::History;
use crate::baseline::plan::Plan;

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
    /// Each change that was claimed, with what became of it; `None` where even that could not be written.
    pub changes: Vec<(Entry, Option<Settlement>)>,
    /// Why it stopped before its end, where it did.
    pub block: Option<Block>,
}

/// Makes the changes that were admitted, one after the other, and stops at the first that does not end well.
pub async fn enforce(
    _plan: &Plan,
    _admission: &Admission,
    _claimant: &Claimant,
    _history: &History,
    _surroundings: &Surroundings<'_>,
) -> Made {
    Made::default()
}

/// Settles the records of an account that have no outcome, by reading AWS alone: nothing is done again.
///
/// # Errors
///
/// Where the records cannot be listed.
pub async fn settle(
    _account_id: &str,
    _claimant: &Claimant,
    _surroundings: &Surroundings<'_>,
) -> Result<Made, LedgerError> {
    Ok(Made::default())
}
