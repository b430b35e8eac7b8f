//! What `plumbline undo` asks of a cluster. A trait alone.

use async_trait::async_trait;

use super::ledger::{Ledger, LedgerError};
use crate::api::ChangeRecord;
use crate::baseline::Control;

/// A cluster, with the rights of whoever undoes.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// The record of this name; `None` where there is none.
    async fn record(&self, name: &str) -> Result<Option<ChangeRecord>, LedgerError>;
    /// The names of the baselines that enforce a control in an account now, sorted: what is undone they do again.
    async fn enforcing(&self, account_id: &str, control: Control) -> Result<Vec<String>, LedgerError>;
    /// Where the undo's own record goes.
    fn ledger(&self) -> &dyn Ledger;
}
