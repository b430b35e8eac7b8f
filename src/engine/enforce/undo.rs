//! Undoes one change from its record alone, with the caller's own credentials. IO through the engine's traits alone.
//!
//! An undo is a change like any other: the same machine makes it, under a record of its own that names the one which it
//! undoes, and only while AWS still shows what that one left.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::change::{ChangeMachine, Ended};
use super::entry::{Warrant, entry};
use super::{Claimant, Surroundings, Witness, run};
use crate::api::ChangeRecordSpec;
use crate::baseline::Control;
use crate::baseline::change::{Action, Change, RecordError};
use crate::baseline::history::{History, Outcome};
use crate::engine::cloud::{Target, WriterProvider};
use crate::engine::ledger::{Entry, Intent, Leadership, Ledger, LedgerError, Wanted, record_name};

/// A change that is to be undone, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Undo<'a> {
    /// The name of the record.
    pub name: &'a str,
    /// What the record says.
    pub record: &'a ChangeRecordSpec,
    /// What became of the change; `None` where the record does not say.
    pub outcome: Option<Outcome>,
    /// The identity of who undoes: an ARN, or a name.
    pub claimed_by: &'a str,
    /// The name of the session, which `CloudTrail` shows.
    pub session_name: &'a str,
}

/// What an undo did.
#[derive(Clone, Debug, PartialEq)]
pub struct Undone {
    /// The undo's own record.
    pub entry: Entry,
    /// The change that it makes.
    pub change: Change,
    /// How it ended: [`Ended::Rehearsed`] for a dry run.
    pub ended: Ended,
}

/// Why a record is not undone: nothing was asked of AWS.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UndoError {
    /// The record is no change.
    #[error("ChangeRecord {name} cannot be undone")]
    Record {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: RecordError,
    },
    /// The name is not the one that follows from what the record says.
    #[error("ChangeRecord {name} does not have the name that follows from its values: it was edited or forged")]
    Name {
        /// Its name.
        name: String,
    },
    /// Nothing was changed.
    #[error("ChangeRecord {name} says that AWS was not changed: there is nothing to undo")]
    NotApplied {
        /// Its name.
        name: String,
    },
    /// The records cannot be read.
    #[error("the account's records cannot be read: {message}")]
    History {
        /// Why.
        message: String,
    },
}

/// Plans the undo of a record: the change that restores what it replaced.
///
/// # Errors
///
/// Where the record is forged, or says that nothing was changed.
pub fn plan_undo(undo: &Undo<'_>) -> Result<Change, UndoError> {
    let Undo { name, record, outcome, .. } = undo;
    let name = (*name).to_owned();
    let action = match Action::from_record(record) {
        Ok(action) => action,
        Err(source) => return Err(UndoError::Record { name, source }),
    };
    if name != record_name(record.account_id.as_str(), &record.meaning, record.ordinal) {
        return Err(UndoError::Name { name });
    }
    match outcome {
        Some(Outcome::NotApplied) => Err(UndoError::NotApplied { name }),
        // What AWS shows decides: where it does not show what the change left, nothing is done.
        Some(Outcome::Succeeded | Outcome::Failed | Outcome::Unverifiable) | None => {
            Ok(Change { action: restoring(&action), resource: record.resource.clone(), answers: Vec::new() })
        }
    }
}

/// The inverse, as a change of its own: AWS gives a rule that is made again a new id, so that the old one must not
/// stand in the undo's record, where an undo of the undo would look for it.
pub(super) fn restoring(action: &Action) -> Action {
    let mut inverse = action.inverse();
    if let Action::SecurityGroupRule(change) = &mut inverse
        && let Some(made) = &mut change.after
    {
        made.rule_id = None;
    }
    inverse
}

/// Undoes a change: claims a record, reads, makes the inverse once, reads back, settles. With `rehearse` it stops
/// before the claim and before the call, and says what would become of it.
///
/// # Errors
///
/// Where the record is forged or says that nothing was changed, or where the account's records cannot be read.
pub async fn undo(
    undo: &Undo<'_>,
    ledger: &dyn Ledger,
    provider: &dyn WriterProvider,
    witness: &dyn Witness,
    now: fn() -> Timestamp,
    rehearse: bool,
) -> Result<Undone, UndoError> {
    let change = plan_undo(undo)?;
    let account_id = undo.record.account_id.as_str();
    let history = match ledger.history(account_id).await {
        Ok(history) => history,
        // A rehearsal commits nothing, so it needs no number.
        Err(_) if rehearse => History::default(),
        Err(LedgerError { message, .. }) => return Err(UndoError::History { message }),
    };
    let claimant = claimant(undo);
    let entry = entry_of(undo, &change, &claimant, &history, now());
    let machine = if rehearse {
        ChangeMachine::rehearse(entry, change.action.clone())
    } else {
        ChangeMachine::make(entry, change.action.clone())
    };
    let surroundings = Surroundings { ledger, intent: &Asked, leadership: &Asked, provider, witness, now };
    let (entry, ended) = run(machine, &claimant.target, &surroundings).await;
    Ok(Undone { entry, change, ended })
}

/// The caller's own credentials, the account and the baseline of the record.
pub(super) fn claimant(undo: &Undo<'_>) -> Claimant {
    let record = undo.record;
    Claimant {
        target: Target {
            account_id: record.account_id.to_string(),
            role_name: None,
            external_id: None,
            session_name: undo.session_name.to_owned(),
        },
        partition: record.partition.clone(),
        baseline: record.baseline.clone(),
        claimed_by: undo.claimed_by.to_owned(),
    }
}

pub(super) fn entry_of(
    undo: &Undo<'_>,
    change: &Change,
    claimant: &Claimant,
    history: &History,
    now: Timestamp,
) -> Entry {
    let warrant = Warrant { undoes: Some(undo.name), ..Warrant::default() };
    entry(change, claimant, warrant, history, now)
}

/// A person asked for it, at this moment, in this process: that is the intent, and nobody else leads.
struct Asked;

#[async_trait]
impl Intent for Asked {
    async fn still_wanted(&self, _control: Control, _approval: Option<&str>) -> Wanted {
        Wanted::Yes
    }
}

impl Leadership for Asked {
    fn holds_for(&self, _span: Duration) -> bool {
        true
    }
}
