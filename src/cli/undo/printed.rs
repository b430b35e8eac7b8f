//! The records of an undo without a cluster: each is kept as a line of JSON, before the change and when its outcome is
//! known. IO through the function that it is given.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::api::{ChangeRecord, ChangeRecordStatus};
use crate::baseline::history::History;
use crate::engine::ledger::{Claim, Entry, Ledger, LedgerError, Settlement};

/// Keeps one line for good, or says that it cannot.
pub type Keep = dyn Fn(&str) -> std::io::Result<()> + Send + Sync;

/// Remembers the record between claim and outcome.
pub(super) struct Printed<'a> {
    keep: &'a Keep,
    claimed: Mutex<Vec<Entry>>,
}

impl<'a> Printed<'a> {
    pub(super) fn new(keep: &'a Keep) -> Self {
        Self { keep, claimed: Mutex::default() }
    }

    fn print(&self, entry: &Entry, status: Option<ChangeRecordStatus>) -> Result<(), LedgerError> {
        let mut record = ChangeRecord::new(&entry.name, entry.spec.clone());
        record.status = status;
        let refused =
            |why: String| LedgerError { message: format!("the record cannot be kept: {why}"), may_pass: false };
        let line = serde_json::to_string(&record).map_err(|error| refused(error.to_string()))?;
        (self.keep)(&line).map_err(|error| refused(error.to_string()))
    }
}

#[async_trait]
impl Ledger for Printed<'_> {
    async fn claim(&self, entry: &Entry) -> Result<Claim, LedgerError> {
        self.print(entry, None)?;
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner).push(entry.clone());
        Ok(Claim::Ours)
    }

    async fn settle(&self, name: &str, settlement: &Settlement) -> Result<(), LedgerError> {
        let claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = claimed.iter().find(|entry| entry.name == name).cloned() else { return Ok(()) };
        let Settlement { outcome, reason, message, missing_action, at } = settlement.clone();
        let status = ChangeRecordStatus {
            outcome: Some(outcome.as_str().to_owned()),
            reason: Some(reason.as_str().to_owned()),
            message: Some(message),
            missing_action,
            settled_at: Some(at),
        };
        self.print(&entry, Some(status))
    }

    async fn unsettled(&self, _account_id: &str) -> Result<Vec<Entry>, LedgerError> {
        Ok(Vec::new())
    }

    async fn history(&self, _account_id: &str) -> Result<History, LedgerError> {
        Ok(History::default())
    }

    async fn recent_changes(&self, _now: Timestamp) -> Result<Vec<Timestamp>, LedgerError> {
        Ok(Vec::new())
    }
}
