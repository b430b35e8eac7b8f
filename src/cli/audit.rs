//! `plumbline audit`: from arguments to a report about live accounts on standard output. Reads files, and AWS through
//! the cloud that it is given; changes nothing.

use std::path::PathBuf;

use super::declared::{self, Declared};
use super::preset::Preset;
use super::report::{Reached, ReportArgs, ReportError, judge_all, print, reached};
use super::{Console, Exit};
use crate::api::{AwsAccountSpec, Enforcement};
use crate::engine::cloud::{CloudProvider, Target};
use crate::render::AuditReport;

/// Evaluate live AWS accounts against baselines; reads only, changes nothing.
///
/// Without -f: your own account, with your own credentials, against a built-in baseline.
///
/// Exit codes: 0 everything judged passes; 2 something fails; 3 nothing fails, but something could not be judged;
/// 1 no report could be made.
#[derive(Clone, Debug, clap::Args)]
pub struct AuditArgs {
    /// Files or folders with manifests of accounts, baselines and exceptions, or - for standard input
    #[arg(short, long, value_name = "PATH", num_args = 1..)]
    pub filename: Vec<PathBuf>,
    /// The built-in baseline to judge your own account by; `plumbline preset NAME` prints it
    #[arg(long, value_name = "NAME", value_enum, default_value_t, conflicts_with = "filename")]
    pub preset: Preset,
    /// Judge only this region of your own account; may be repeated [default: every enabled region]
    #[arg(long, value_name = "REGION", conflicts_with = "filename")]
    pub region: Vec<String>,
    /// How the accounts are read and shown.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// Judges the accounts and prints the report.
///
/// # Errors
///
/// If no report could be made: bad input, or none of the accounts can be reached. Where some of several can be, the
/// others are in the report as `Unknown`.
pub async fn run(args: &AuditArgs, provider: &dyn CloudProvider, console: Console<'_>) -> Result<Exit, ReportError> {
    let Console { stdin, out, screen, progress, now } = console;
    let declared = if args.filename.is_empty() {
        vec![own_account(args, provider).await?]
    } else {
        declared::load(&args.filename, stdin, now())?
    };
    let judged = judge_all(declared, &args.report, provider, progress, now).await;
    if !args.region.is_empty() {
        all_enabled(&judged)?;
    }
    print(&AuditReport::new(reached(judged)?), args.report.output, screen, out)
}

/// The account that the caller's credentials lead to, against the preset.
async fn own_account(args: &AuditArgs, provider: &dyn CloudProvider) -> Result<Declared, ReportError> {
    let preset = args.preset.name();
    let spec = args.preset.baseline()?.ok_or(ReportError::Preset(preset))?.spec;
    let nobody_knows_yet = Target::new(&AwsAccountSpec::default(), preset);
    let identity = match provider.cloud(&nobody_knows_yet, args.report.timeout).await {
        Ok(cloud) => cloud.identity().await,
        Err(cause) => Err(cause),
    };
    let identity = identity.map_err(|cause| ReportError::NoIdentity { cause })?;
    let regions = args.region.iter().map(|region| region.as_str().into()).collect();
    let account = AwsAccountSpec {
        account_id: identity.account_id.as_str().into(),
        regions: (!args.region.is_empty()).then_some(regions),
        ..AwsAccountSpec::default()
    };
    Ok(Declared {
        baseline: preset.to_owned(),
        account_name: None,
        account,
        controls: spec.controls,
        mode: spec.mode,
        enforcement: Enforcement::default(),
        exceptions: Vec::new(),
    })
}

/// To leave a region of `--region` out in silence would look like a pass.
fn all_enabled(judged: &[Reached]) -> Result<(), ReportError> {
    for (judged, _) in judged {
        if let Ok(assessment) = &judged.outcome
            && !assessment.coverage.regions_not_enabled.is_empty()
        {
            return Err(ReportError::RegionNotEnabled {
                regions: assessment.coverage.regions_not_enabled.clone(),
                account_id: judged.account_id.clone(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
