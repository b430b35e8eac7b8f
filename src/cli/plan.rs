//! `plumbline plan`: from arguments to the changes that enforcement would make in live accounts. Reads files, and AWS
//! through the cloud that it is given; changes nothing.

use std::path::PathBuf;

use super::declared::{self, Declared};
use super::report::{ReportArgs, ReportError, judge_all, print, reached};
use super::{Console, Exit};
use crate::engine::cloud::CloudProvider;
use crate::render::AuditReport;

/// Show what enforcement would change in live AWS accounts, in order, and why the rest is held; changes nothing.
///
/// Each change comes with the operation that undoes it, each failing finding that no change answers with the reason.
/// The digest is the one that a PlanApproval names. There is no cluster, and so no history: what others keep undoing
/// (Contested), and what AWS refused a short time ago, is planned like everything else.
///
/// Exit codes: 0 everything judged passes; 2 something fails; 3 nothing fails, but something could not be judged;
/// 1 no report could be made.
#[derive(Clone, Debug, clap::Args)]
pub struct PlanArgs {
    /// Files or folders with manifests of accounts, baselines and exceptions, or - for standard input
    #[arg(short, long, value_name = "PATH", num_args = 1.., required = true)]
    pub filename: Vec<PathBuf>,
    /// Plan as if the mode of every control were Enforce
    #[arg(long)]
    pub if_enforced: bool,
    /// How the accounts are read and shown.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// Judges the accounts, plans, and prints both.
///
/// # Errors
///
/// If no report could be made: bad input, or none of the accounts can be reached. Where some of several can be, the
/// others are in the report as `Unknown`.
pub async fn run(args: &PlanArgs, provider: &dyn CloudProvider, console: Console<'_>) -> Result<Exit, ReportError> {
    let Console { stdin, out, screen, progress, now } = console;
    let mut declared = declared::load(&args.filename, stdin, now())?;
    if args.if_enforced {
        declared = declared.into_iter().map(Declared::enforced).collect();
    }
    let judged = judge_all(declared, &args.report, provider, progress, now).await;
    print(&AuditReport::of_plans(reached(judged)?), args.report.output, screen, out)
}

#[cfg(test)]
mod tests;
