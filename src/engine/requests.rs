//! What `plumbline reconcile` asks of a cluster. A trait and its words alone.

use std::fmt;

use async_trait::async_trait;

use super::ledger::LedgerError;

/// What can be asked to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// An `AccountBaseline`.
    Baseline,
    /// An `AwsAccount`.
    Account,
}

impl fmt::Display for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Baseline => "accountbaseline",
            Self::Account => "awsaccount",
        })
    }
}

/// How an object stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether the operator has answered to the request that the object carries now.
    pub handled: bool,
    /// What is suspended, where something is: then nobody looks.
    pub suspended: Option<String>,
    /// `Ready` as `status (reason)` with its message; `None` before the first look.
    pub ready: Option<(String, String)>,
    /// What was found, in a line.
    pub verdict: String,
}

/// A cluster, with the rights of whoever asks.
#[async_trait]
pub trait Requests: Send + Sync {
    /// The names of all objects of a kind, sorted.
    async fn names(&self, kind: RequestKind) -> Result<Vec<String>, LedgerError>;
    /// How an object stands; `None` where there is none.
    async fn standing(&self, kind: RequestKind, name: &str) -> Result<Option<Standing>, LedgerError>;
    /// Asks the operator to look at an object again, by an annotation of this value.
    async fn request(&self, kind: RequestKind, name: &str, value: &str) -> Result<(), LedgerError>;
}
