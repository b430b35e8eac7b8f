//! What enforcement asks of its surroundings: records, intent, leadership. Traits alone.
//!
//! Whoever cannot answer says so, and an answer that is missing means no.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::api::ChangeRecordSpec;
use crate::baseline::Control;
use crate::baseline::history::{History, Outcome, SettledReason};

/// A record that is to be committed before its change is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Made of what the change means and its ordinal ([`record_name`]).
    pub name: String,
    /// What the record says.
    pub spec: ChangeRecordSpec,
}

/// The name of a record: account, meaning, ordinal. A change after a lost answer finds its own record under it.
#[must_use]
pub fn record_name(account_id: &str, meaning: &str, ordinal: i64) -> String {
    format!("{account_id}-{meaning}-{ordinal}")
}

/// How a claim ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The record is committed, by this claim or by an earlier one of ours whose answer was lost.
    Ours,
    /// A record of this name is there, and it is not ours, or it is settled already: nothing may be done.
    Theirs(String),
}

/// Why a record could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LedgerError {
    /// What happened, as a sentence without a period, with what to do.
    pub message: String,
    /// Whether it may pass by itself. Where the answer was lost, the record may be there.
    pub may_pass: bool,
}

/// What became of a change, as it is written into the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// What.
    pub outcome: Outcome,
    /// Why.
    pub reason: SettledReason,
    /// In a sentence without a period.
    pub message: String,
    /// The IAM action that was missing, where that is why.
    pub missing_action: Option<String>,
    /// When that was known.
    pub at: Timestamp,
}

/// The records. It survives a crash between any two calls.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Commits a record. To claim again after a lost answer is safe.
    async fn claim(&self, entry: &Entry) -> Result<Claim, LedgerError>;
    /// Writes what became of a change. To settle again in the same way is safe; another outcome is refused.
    async fn settle(&self, name: &str, settlement: &Settlement) -> Result<(), LedgerError>;
    /// The records of an account without an outcome, oldest first.
    async fn unsettled(&self, account_id: &str) -> Result<Vec<Entry>, LedgerError>;
    /// The records of an account, without their values.
    async fn history(&self, account_id: &str) -> Result<History, LedgerError>;
    /// When changes were made within the last hour, in all accounts, oldest first.
    async fn recent_changes(&self, now: Timestamp) -> Result<Vec<Timestamp>, LedgerError>;
}

/// Whether a change is still wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Everything stands as it stood when the change was planned.
    Yes,
    /// Something changed. What, as a sentence without a period.
    No(String),
    /// It could not be read, which means no.
    Unreadable(String),
}

/// The intent behind the changes of one pass: the baseline, the account, the exceptions and the approval as they stood.
#[async_trait]
pub trait Intent: Send + Sync {
    /// Reads all of them afresh and compares. `approval` names the approval that covers the change, where one does.
    async fn still_wanted(&self, control: Control, approval: Option<&str>) -> Wanted;
    /// Whether this process ends, or does not lead any more: then no further change is begun, and none recorded.
    fn ends(&self) -> bool {
        false
    }
}

/// Whether this process leads, by its own clock.
pub trait Leadership: Send + Sync {
    /// Whether it leads now and will for this long, whatever others do.
    fn holds_for(&self, span: Duration) -> bool;
}
