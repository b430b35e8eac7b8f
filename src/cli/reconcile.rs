//! `plumbline reconcile`: asks the operator to look now, waits until it has, and says what it found. Writes one
//! annotation on each object, and nothing else.

use std::io::Write;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::Exit;
use crate::engine::ledger::LedgerError;
use crate::engine::requests::{RequestKind, Requests, Standing};
use crate::render::clean;
use crate::settings::duration;

/// Between two looks at ten objects.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long the looks may take that are made when the time is over, to say why.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// Ask the operator to look at baselines or accounts now, and wait until it has.
///
/// Sets the annotation plumbline.dev/requestedAt, and waits until status echoes it: the right to patch and to get the
/// objects is needed. What changes AWS stays what it is: an evaluation that was asked for obeys the same budgets,
/// windows and approvals.
///
/// Exit codes: 0 the operator has looked, whatever it found; 1 it has not or could not, or there is no such object.
#[derive(Clone, Debug, clap::Args)]
pub struct ReconcileArgs {
    /// The names of `AccountBaselines`, or with --account of `AwsAccounts`
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    pub names: Vec<String>,
    /// Look at `AwsAccounts`: whether they can be reached, their regions and quotas
    #[arg(long)]
    pub account: bool,
    /// Look at all `AccountBaselines`, or with --account at all `AwsAccounts`
    #[arg(long)]
    pub all: bool,
    /// Ask, and do not wait
    #[arg(long)]
    pub no_wait: bool,
    /// Give up waiting after this time
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
}

/// Why nothing could be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] LedgerError),
    /// There is nothing to be asked.
    #[error("there are no objects of kind {0}")]
    Nothing(RequestKind),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] std::io::Error),
}

/// Asks, waits, and prints one line for each object to `out`; what is under way, and what went wrong, to `err`.
///
/// # Errors
///
/// Where nothing could be asked. An object that was not looked at is [`Exit::Error`].
pub async fn run(
    args: &ReconcileArgs,
    cluster: &dyn Requests,
    value: &str,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<Exit, ReconcileError> {
    let kind = if args.account { RequestKind::Account } else { RequestKind::Baseline };
    let mut names = args.names.clone();
    if args.all {
        names = cluster.names(kind).await?;
    }
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Err(ReconcileError::Nothing(kind));
    }
    let deadline = Instant::now() + args.timeout;
    let mut exit = Exit::Ok;
    let mut waiting = Vec::new();
    for name in &names {
        let asked = timeout_at(deadline, ask(cluster, kind, name, value)).await;
        match asked.unwrap_or_else(|_| Err(format!("{kind}/{name} was not asked: the time is over"))) {
            Ok(()) if args.no_wait => writeln!(out, "{kind}/{name}  asked for")?,
            Ok(()) => {
                writeln!(err, "waiting for {kind}/{name}")?;
                waiting.push(name);
            }
            Err(why) => {
                exit = Exit::Error;
                writeln!(err, "error: {}", clean(&why))?;
            }
        }
    }
    // All of them in turn: one that is never answered keeps no other from being told.
    while !waiting.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut not_yet = Vec::new();
        for name in waiting {
            let answer = timeout_at(deadline + LAST_LOOK, answer(cluster, kind, name)).await;
            let silence = || Answer::NotYet(format!("{kind}/{name} could not be read: the API server does not answer"));
            match answer.unwrap_or_else(|_| silence()) {
                Answer::Looked(verdict) => writeln!(out, "{kind}/{name}  {}", clean(&verdict))?,
                Answer::NotYet(_) if !left.is_zero() => not_yet.push(name),
                Answer::NotYet(why) | Answer::Never(why) => {
                    exit = Exit::Error;
                    writeln!(err, "error: {}", clean(&why))?;
                }
            }
        }
        out.flush()?;
        waiting = not_yet;
        if !waiting.is_empty() {
            // For hundreds of objects no more looks a second than for ten.
            let tens = u32::try_from(waiting.len().div_ceil(10)).unwrap_or(u32::MAX);
            sleep(LOOK_EVERY.saturating_mul(tens).min(left)).await;
        }
    }
    Ok(exit)
}

/// Asks for one object, where that is of any use.
async fn ask(cluster: &dyn Requests, kind: RequestKind, name: &str, value: &str) -> Result<(), String> {
    match cluster.standing(kind, name).await.map_err(|error| error.message)? {
        None => Err(format!("there is no {kind}/{name}")),
        Some(Standing { suspended: Some(why), .. }) => Err(format!("{kind}/{name} is not looked at: {why}")),
        Some(_) => cluster.request(kind, name, value).await.map_err(|error| error.message),
    }
}

/// What became of a request.
enum Answer {
    /// The operator has looked, and this is what it found.
    Looked(String),
    /// It has not looked so far, and this may be why.
    NotYet(String),
    /// It could not look, or never will.
    Never(String),
}

async fn answer(cluster: &dyn Requests, kind: RequestKind, name: &str) -> Answer {
    match cluster.standing(kind, name).await {
        Ok(Some(Standing { suspended: Some(why), .. })) => {
            Answer::Never(format!("{kind}/{name} is not looked at: {why}"))
        }
        Ok(Some(standing)) if standing.handled => match standing.ready {
            Some((ready, why)) if ready.starts_with("False") => {
                Answer::Never(format!("{kind}/{name} could not be looked at: Ready is {ready}: {why}"))
            }
            Some(_) | None => Answer::Looked(standing.verdict),
        },
        Ok(Some(standing)) => Answer::NotYet(not_handled(kind, name, &standing)),
        Ok(None) => Answer::Never(format!("{kind}/{name} was deleted meanwhile")),
        Err(error) if error.may_pass => Answer::NotYet(error.message),
        Err(error) => Answer::Never(error.message),
    }
}

fn not_handled(kind: RequestKind, name: &str, standing: &Standing) -> String {
    let advice = "is the operator running, and does its --selector choose this account?";
    match &standing.ready {
        Some((ready, message)) if !ready.starts_with("True") => {
            format!("{kind}/{name} was not looked at in time: Ready is {ready}: {message}")
        }
        Some(_) => format!("{kind}/{name} was not looked at in time: {advice}"),
        None => format!("{kind}/{name} was not looked at in time, and never before: {advice}"),
    }
}

#[cfg(test)]
mod tests;
