//! `plumbline audit`: from arguments to a report about live accounts on standard output. Reads files, and AWS through
//! the cloud that it is given; changes nothing.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;

use super::declared::{self, Declared};
use super::preset::Preset;
use super::progress::Lines;
use super::{Console, Exit};
use crate::api::AwsAccountSpec;
use crate::baseline::{Cause, CauseClass, Verdict};
use crate::engine::cloud::{CloudProvider, Target};
use crate::engine::{self, AssessError, Assessment, Progress, RegionSelection};
use crate::manifests::{ManifestError, Problem};
use crate::render::{self, AuditReport, Format, Judged, RenderError, named_controls};
use crate::settings::{CallRates, duration};
use crate::validate::SchemaError;

/// How many accounts are judged at the same time: each reads up to 16 units at once.
const CONCURRENT_ACCOUNTS: usize = 8;

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
    /// Use your own credentials in place of the roles that the manifests name
    #[arg(long, requires = "filename")]
    pub as_caller: bool,
    /// The format of the report
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// Give up on an account after this time; what was not read by then is Unknown
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub timeout: Duration,
    /// Show no progress on standard error
    #[arg(long)]
    pub no_progress: bool,
    /// How fast AWS is asked.
    #[command(flatten)]
    pub rates: CallRates,
}

/// Why there is no report. Each message is what standard error shows, and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The paths of `-f` cannot be read.
    #[error(transparent)]
    Manifests(#[from] ManifestError),
    /// What they hold is not valid; one line a problem.
    #[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid {
        /// What is wrong, and where.
        problems: Vec<Problem>,
    },
    /// The schemas of this binary.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// They hold nothing to judge by.
    #[error("the files declare no AccountBaseline: add one with -f, or leave -f out to audit your own account")]
    NoBaseline,
    /// The built-in baseline, by a fault of this program.
    #[error("the preset `{0}` is no valid AccountBaseline: write a file of your own and name it with -f")]
    Preset(&'static str),
    /// The caller's own account.
    #[error("AWS cannot be asked whose credentials these are: {cause}; {}", advice(cause.class, None))]
    NoIdentity {
        /// What happened.
        cause: Cause,
    },
    /// None of the accounts of the files.
    #[error("{}", unreached(accounts))]
    Unreached {
        /// Each account's error, and the role that was to be assumed.
        accounts: Vec<(AssessError, Option<String>)>,
    },
    /// A region of `--region`, where to leave it out in silence would look like a pass.
    #[error("account {account_id} has no enabled region {}: correct --region", regions.join(", "))]
    RegionNotEnabled {
        /// The regions.
        regions: Vec<String>,
        /// The account.
        account_id: String,
    },
    /// The format.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// Standard output.
    #[error("the report cannot be written to standard output")]
    Write(#[source] std::io::Error),
}

/// Judges the accounts and prints the report.
///
/// # Errors
///
/// If no report could be made: bad input, or none of the accounts can be reached. Where some of several can be, the
/// others are in the report as `Unknown`.
pub async fn run(args: &AuditArgs, provider: &dyn CloudProvider, console: Console<'_>) -> Result<Exit, AuditError> {
    let Console { stdin, out, screen, progress, now } = console;
    let declared = if args.filename.is_empty() {
        vec![own_account(args, provider).await?]
    } else {
        declared::load(&args.filename, stdin, now())?
    };
    let lines = Lines::new(progress && !args.no_progress);
    let judged: Vec<_> = stream::iter(declared)
        .map(|declared| judge(declared, args, provider, &lines, now))
        .buffered(CONCURRENT_ACCOUNTS)
        .collect()
        .await;
    let report = AuditReport::new(reached(judged, args)?);
    write(out, &render::render(&report, args.output, screen)?)?;
    Ok(match report.result() {
        Verdict::Fail => Exit::Failed,
        Verdict::Unknown => Exit::Incomplete,
        Verdict::Pass | Verdict::Exempt | Verdict::NotApplicable => Exit::Ok,
    })
}

/// The account that the caller's credentials lead to, against the preset.
async fn own_account(args: &AuditArgs, provider: &dyn CloudProvider) -> Result<Declared, AuditError> {
    let preset = args.preset.name();
    let controls = args.preset.baseline()?.ok_or(AuditError::Preset(preset))?.spec.controls;
    let nobody_knows_yet = Target::new(&AwsAccountSpec::default(), preset);
    let identity = match provider.cloud(&nobody_knows_yet, args.timeout).await {
        Ok(cloud) => cloud.identity().await,
        Err(cause) => Err(cause),
    };
    let identity = identity.map_err(|cause| AuditError::NoIdentity { cause })?;
    let regions = args.region.iter().map(|region| region.as_str().into()).collect();
    let account = AwsAccountSpec {
        account_id: identity.account_id.as_str().into(),
        regions: (!args.region.is_empty()).then_some(regions),
        ..AwsAccountSpec::default()
    };
    let exceptions = Vec::new();
    Ok(Declared { baseline: preset.to_owned(), account_name: None, account, controls, exceptions })
}

/// One account, and the role in it that was to be assumed.
async fn judge(
    declared: Declared,
    args: &AuditArgs,
    provider: &dyn CloudProvider,
    lines: &Lines,
    now: fn() -> Timestamp,
) -> (Judged, Option<String>) {
    let line = lines.start(declared.account_name.as_deref().unwrap_or(declared.account.account_id.as_str()));
    let target = Target::new(&declared.account, &declared.baseline);
    let target = if args.as_caller { target.as_caller() } else { target };
    let outcome = assess(&declared, &target, args.timeout, provider, &line).await;
    let judged = Judged {
        controls: named_controls(&declared.controls),
        baseline: declared.baseline,
        account_name: declared.account_name,
        account_id: target.account_id,
        evaluated_at: now(),
        outcome,
    };
    (judged, target.role_name)
}

async fn assess(
    declared: &Declared,
    target: &Target,
    timeout: Duration,
    provider: &dyn CloudProvider,
    progress: &dyn Progress,
) -> Result<Assessment, AssessError> {
    let Target { account_id, .. } = target;
    let cloud = provider.cloud(target, timeout).await;
    let cloud = cloud.map_err(|cause| AssessError::Unreachable { account_id: account_id.clone(), cause })?;
    let regions = RegionSelection::from(&declared.account);
    let cloud = Arc::as_ref(&cloud);
    let assessment = engine::assess(account_id, &regions, &declared.controls, cloud, progress).await?;
    Ok(engine::except(assessment, &declared.exceptions, cloud).await)
}

/// What is worth a report: something was reached, and every region of `--region` exists.
fn reached(judged: Vec<(Judged, Option<String>)>, args: &AuditArgs) -> Result<Vec<Judged>, AuditError> {
    if judged.iter().all(|(judged, _)| judged.outcome.is_err()) {
        let error = |(judged, role): (Judged, _)| judged.outcome.err().map(|error| (error, role));
        return Err(AuditError::Unreached { accounts: judged.into_iter().filter_map(error).collect() });
    }
    for (judged, _) in &judged {
        if let (Ok(assessment), false) = (&judged.outcome, args.region.is_empty())
            && !assessment.coverage.regions_not_enabled.is_empty()
        {
            return Err(AuditError::RegionNotEnabled {
                regions: assessment.coverage.regions_not_enabled.clone(),
                account_id: judged.account_id.clone(),
            });
        }
    }
    Ok(judged.into_iter().map(|(judged, _)| judged).collect())
}

/// A reader that has seen enough (`| head`) is no failure: the verdict still counts.
fn write(out: &mut dyn Write, text: &str) -> Result<(), AuditError> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(AuditError::Write(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// One sentence an account, each of them once.
fn unreached(accounts: &[(AssessError, Option<String>)]) -> String {
    let mut sentences: Vec<String> = Vec::new();
    for (error, role) in accounts {
        let what_to_do = match error {
            AssessError::Unreachable { cause, .. } => advice(cause.class, role.as_deref()).to_owned(),
            AssessError::Mismatch { declared, .. } => {
                format!("correct accountId, or use credentials or a role of account {declared}")
            }
        };
        let sentence = format!("{error}; {what_to_do}");
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    sentences.join("\n")
}

/// What somebody can do about an account that does not answer.
fn advice(class: CauseClass, role: Option<&str>) -> &'static str {
    match (class, role) {
        (CauseClass::Credentials, None) => {
            "sign in (such as with `aws sso login`), or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        }
        (CauseClass::Credentials | CauseClass::AccessDenied | CauseClass::Refused, Some(_)) => {
            "check that your own credentials work and that the role's trust policy lets them assume it, \
             or pass --as-caller to use them as they are"
        }
        (CauseClass::AccessDenied | CauseClass::OtherOwner | CauseClass::Refused | CauseClass::NotFound, _) => {
            "check that these are the credentials that you mean"
        }
        (CauseClass::DeniedByOrganization, _) => "ask the organization's administrator",
        (CauseClass::Unreachable | CauseClass::Malformed | CauseClass::NotAvailable, _) => {
            "check the network and the proxy, AWS_REGION, and AWS_ENDPOINT_URL if it is set"
        }
        (CauseClass::DeadlineExceeded, _) => "try again, or give it more time with --timeout",
        (CauseClass::Throttled | CauseClass::ServiceError, _) => "try again in a few minutes",
    }
}

#[cfg(test)]
mod tests;
