//! `plumbline undo`: from one `ChangeRecord` to the account as it was before, with the caller's own credentials. Reads
//! a cluster or a file, and changes AWS through the engine.
//!
//! What is done follows from the record's values alone and is checked against everything else that the record says: a
//! forged one is refused. The undo is a change with a record of its own, committed before it is made: in the cluster,
//! or, where there is none, as a line of JSON on standard output, which `undo -f` reads again.

mod input;
mod printed;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::Exit;
use crate::api::ChangeRecord;
use crate::baseline::Cause;
use crate::baseline::change::Change;
use crate::baseline::history::{Outcome, RecordSummary};
use crate::engine::cloud::{CloudProvider, Target, WriterProvider, session_name};
use crate::engine::cluster::Cluster;
use crate::engine::enforce::{self, Ended, Undo, Witness};
use crate::engine::ledger::{Entry, Ledger, LedgerError, Settlement};
use crate::engine::{self, AssessError};
use crate::render::before_and_after;
use crate::settings::CallRates;

pub use self::input::InputError;
pub use self::printed::Keep;
use self::printed::Printed;

/// Undo one change that Plumbline made in an AWS account, from its ChangeRecord alone, with your own credentials.
///
/// Nothing is done where AWS does not show any more what the change left. No role is assumed: your credentials must be
/// of the record's account, and allow the operation that restores the value from before. The undo has a ChangeRecord of
/// its own: with RECORD it is written to the cluster of KUBECONFIG; with -f no cluster is asked, and it is printed as a
/// line of JSON before and after the change, which `plumbline undo -f` can read.
///
/// Exit codes: 0 undone, or with --dry-run: it can be; 1 nothing was undone, or it is not known.
#[derive(Clone, Debug, clap::Args)]
pub struct UndoArgs {
    /// The name of the ChangeRecord
    #[arg(value_name = "RECORD", required_unless_present = "filename")]
    pub record: Option<String>,
    /// Read the record from this file, a manifest or a log of the operator, or - for standard input; asks no cluster
    #[arg(short, long, value_name = "FILE")]
    pub filename: Option<PathBuf>,
    /// Say what would be done, ask AWS whether it can be, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How fast AWS is asked.
    #[command(flatten)]
    pub rates: CallRates,
}

/// What an undo works with.
pub struct Surface<'a> {
    /// Who the caller is.
    pub reads: &'a dyn CloudProvider,
    /// Sessions with the caller's credentials.
    pub writes: &'a dyn WriterProvider,
    /// The cluster; `None` with `-f`.
    pub cluster: Option<&'a dyn Cluster>,
    /// Keeps the undo's own record where there is no cluster, before the change is made.
    pub keep: &'a Keep,
    /// What `-f -` reads.
    pub stdin: &'a mut dyn Read,
    /// What people read.
    pub out: &'a mut dyn Write,
    /// The clock.
    pub now: fn() -> Timestamp,
}

/// Why nothing was undone. With its sources each is a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// The file.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] LedgerError),
    /// There is no such record.
    #[error("there is no ChangeRecord {0}: `kubectl get changerecords` lists them, and -f reads one from a file")]
    NotFound(String),
    /// The record is forged, or nothing is to be undone.
    #[error(transparent)]
    Record(#[from] enforce::UndoError),
    /// The caller.
    #[error("AWS cannot be asked whose credentials these are: {0}")]
    NoIdentity(Cause),
    /// The caller's account.
    #[error("{0}; use credentials of the record's account")]
    OtherAccount(AssessError),
    /// It was tried, or would have been.
    #[error("nothing was undone: {0}")]
    NotDone(String),
    /// It is not known what became of it.
    #[error("it is not known whether it was undone: {0}; look at the resource, then run it again")]
    NotKnown(String),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] std::io::Error),
}

/// Undoes one change, and says what it does.
///
/// # Errors
///
/// Where nothing was undone, or it is not known.
pub async fn run(args: &UndoArgs, surface: Surface<'_>) -> Result<Exit, UndoError> {
    let Surface { reads, writes, cluster, keep, stdin, out, now } = surface;
    let record = match (&args.filename, cluster, &args.record) {
        (Some(path), _, wanted) => input::read(path, wanted.as_deref(), stdin)?,
        (None, Some(cluster), Some(name)) => {
            cluster.record(name).await?.ok_or_else(|| UndoError::NotFound(name.clone()))?
        }
        (None, _, wanted) => return Err(UndoError::NotFound(wanted.clone().unwrap_or_default())),
    };
    let name = record.metadata.name.clone().unwrap_or_default();
    let outcome = outcome(&name, &record);
    let session_name = session_name("undo");
    let mut undo =
        Undo { name: &name, record: &record.spec, outcome, claimed_by: "plumbline undo", session_name: &session_name };
    let change = enforce::plan_undo(&undo)?;
    describe(&name, &record, outcome, &change, out)?;
    warn_of_enforcing(cluster, &record, &change, out).await?;
    out.flush()?;
    let caller = caller(reads, &record, &session_name).await?;
    undo.claimed_by = &caller;
    let printed = Printed::new(keep);
    let ledger: &dyn Ledger = cluster.map_or(&printed, Cluster::ledger);
    let undone = enforce::undo(&undo, ledger, writes, &Log, now, args.dry_run).await?;
    ending(&undone.entry, undone.ended, out)
}

/// Writes a line to standard output at once.
///
/// # Errors
///
/// If it cannot be written.
pub fn to_stdout(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn outcome(name: &str, record: &ChangeRecord) -> Option<Outcome> {
    let summary = RecordSummary::of(name, &record.spec, record.status.as_ref());
    summary.settled.map(|settled| settled.outcome)
}

/// The ARN of the caller, who must be in the record's account.
async fn caller(provider: &dyn CloudProvider, record: &ChangeRecord, session_name: &str) -> Result<String, UndoError> {
    let account_id = record.spec.account_id.to_string();
    let session_name = session_name.to_owned();
    let target = Target { account_id, role_name: None, external_id: None, session_name };
    let cloud = provider.cloud(&target, Duration::from_mins(1)).await.map_err(UndoError::NoIdentity)?;
    match engine::verify(&target.account_id, &*cloud).await {
        Ok(identity) => Ok(identity.caller_arn),
        Err(AssessError::Unreachable { cause, .. }) => Err(UndoError::NoIdentity(cause)),
        Err(error @ AssessError::Mismatch { .. }) => Err(UndoError::OtherAccount(error)),
    }
}

fn describe(
    name: &str,
    record: &ChangeRecord,
    outcome: Option<Outcome>,
    change: &Change,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let spec = &record.spec;
    let became = outcome.map_or("outcome not known", Outcome::as_str);
    let (before, after) = before_and_after(&change.action);
    writeln!(out, "record     {name}, {} at {}, {became}", line(&spec.operation), spec.claimed_at)?;
    writeln!(out, "baseline   {}, account {}", line(&spec.baseline.name), line(spec.account_id.as_str()))?;
    let region = change.action.region().map(|region| format!(", {}", line(region))).unwrap_or_default();
    writeln!(out, "resource   {}{region}", line(&change.resource))?;
    writeln!(out, "undone by  {}", change.action.operation().name())?;
    writeln!(out, "change     {} -> {}", line(&before), line(&after))?;
    if let Some(lost) = change.action.inverse().not_undone() {
        writeln!(out, "note       {lost}")?;
    }
    Ok(())
}

/// A baseline that enforces makes the change again at its next look.
async fn warn_of_enforcing(
    cluster: Option<&dyn Cluster>,
    record: &ChangeRecord,
    change: &Change,
    out: &mut dyn Write,
) -> Result<(), UndoError> {
    let control = change.action.control();
    let Some(cluster) = cluster else { return Ok(()) };
    match cluster.enforcing(record.spec.account_id.as_str(), control).await {
        Ok(names) => {
            for name in names {
                writeln!(
                    out,
                    "warning    AccountBaseline {name} enforces {control} and will make the change again: set its \
                     suspend: true, or controls.{control}.mode: Audit, or add a BaselineException for the resource"
                )?;
            }
        }
        Err(error) => writeln!(
            out,
            "warning    it is not known whether a baseline enforces {control} in the account and will make the change \
             again: {error}"
        )?,
    }
    Ok(())
}

fn ending(entry: &Entry, ended: Ended, out: &mut dyn Write) -> Result<Exit, UndoError> {
    let name = &entry.name;
    match ended {
        Ended::Settled(Settlement { outcome: Outcome::Succeeded, message, .. }) => {
            writeln!(out, "undone     {}; recorded as {name}", line(&message))?;
            Ok(Exit::Ok)
        }
        Ended::Settled(Settlement { outcome: Outcome::NotApplied, message, .. }) | Ended::NotRecorded(message) => {
            Err(UndoError::NotDone(message))
        }
        Ended::Settled(Settlement { outcome: Outcome::Failed | Outcome::Unverifiable, message, .. })
        | Ended::Unsettled { message, .. } => Err(UndoError::NotKnown(format!("{message} (ChangeRecord {name})"))),
        Ended::Rehearsed(None) => {
            writeln!(out, "dry run    nothing was changed; without --dry-run it would be undone now")?;
            Ok(Exit::Ok)
        }
        Ended::Rehearsed(Some(Settlement { outcome: Outcome::Succeeded, message, .. })) => {
            writeln!(out, "dry run    nothing is to be done: {}", line(&message))?;
            Ok(Exit::Ok)
        }
        Ended::Rehearsed(Some(Settlement { message, .. })) => Err(UndoError::NotDone(message)),
    }
}

/// Nothing of a record may rewrite somebody's terminal.
fn line(text: &str) -> std::borrow::Cow<'_, str> {
    crate::render::clean(text)
}

/// Each change is a log line, here as in the operator.
struct Log;

impl Witness for Log {
    fn claimed(&self, entry: &Entry) {
        tracing::info!(record = entry.name, operation = entry.spec.operation, "undo recorded");
    }

    fn settled(&self, entry: &Entry, settlement: &Settlement) {
        tracing::info!(record = entry.name, outcome = settlement.outcome.as_str(), "undo settled");
    }
}

#[cfg(test)]
mod tests;
