//! From declared baselines to judged accounts, their plans, and a report on standard output: what `audit` and `plan`
//! share. Reads AWS through the cloud that it is given; changes nothing.
//!
//! The engine is asked in the order in which the operator asks it, so that what is printed is what it does.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;

use super::Exit;
use super::declared::Declared;
use super::progress::Lines;
use crate::api::RecordedBaseline;
use crate::baseline::history::History;
use crate::baseline::plan::{Circumstances, Plan, plan};
use crate::baseline::{AccountIdentity, Cause, CauseClass, Verdict};
use crate::engine::cloud::{CloudProvider, Target};
use crate::engine::{self, AssessError, Assessment, Progress, RegionSelection};
use crate::manifests::{ManifestError, Problem};
use crate::render::{self, AuditReport, Format, Judged, RenderError, Screen, named_controls};
use crate::settings::{CallRates, duration};
use crate::validate::SchemaError;

/// How many accounts are judged at the same time: each reads up to 16 units at once.
const CONCURRENT_ACCOUNTS: usize = 8;

/// The arguments of every subcommand that judges live accounts.
#[derive(Clone, Debug, clap::Args)]
pub struct ReportArgs {
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
pub enum ReportError {
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
    #[error(
        "the files declare no AccountBaseline: add one with -f; `plumbline audit` judges your own account if you leave \
         -f out"
    )]
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

/// A judged account, and the role in it that was to be assumed.
pub(super) type Reached = (Judged, Option<String>);

/// Judges the accounts, several at a time, and plans what enforcement would change.
pub(super) async fn judge_all(
    declared: Vec<Declared>,
    args: &ReportArgs,
    provider: &dyn CloudProvider,
    progress: bool,
    now: fn() -> Timestamp,
) -> Vec<Reached> {
    let lines = Lines::new(progress && !args.no_progress);
    stream::iter(declared)
        .map(|declared| judge(declared, args, provider, &lines, now))
        .buffered(CONCURRENT_ACCOUNTS)
        .collect()
        .await
}

async fn judge(
    declared: Declared,
    args: &ReportArgs,
    provider: &dyn CloudProvider,
    lines: &Lines,
    now: fn() -> Timestamp,
) -> Reached {
    let line = lines.start(declared.account_name.as_deref().unwrap_or(declared.account.account_id.as_str()));
    let target = Target::new(&declared.account, &declared.baseline);
    let target = if args.as_caller { target.as_caller() } else { target };
    let (outcome, plan) = match look(&declared, &target, args.timeout, provider, &line, now).await {
        Ok((assessment, plan)) => (Ok(assessment), plan),
        Err(error) => (Err(error), Plan::default()),
    };
    let judged = Judged {
        controls: named_controls(&declared.controls),
        baseline: declared.baseline,
        account_name: declared.account_name,
        account_id: target.account_id,
        evaluated_at: now(),
        outcome,
        plan,
        enforcement: declared.enforcement,
    };
    (judged, target.role_name)
}

/// As the operator does it: assess, except, gather, plan. Gathering reads nothing for a control in `Audit`.
async fn look(
    declared: &Declared,
    target: &Target,
    timeout: Duration,
    provider: &dyn CloudProvider,
    progress: &dyn Progress,
    now: fn() -> Timestamp,
) -> Result<(Assessment, Plan), AssessError> {
    let Target { account_id, .. } = target;
    let cloud = provider.cloud(target, timeout).await;
    let cloud = cloud.map_err(|cause| AssessError::Unreachable { account_id: account_id.clone(), cause })?;
    let regions = RegionSelection::from(&declared.account);
    let cloud = Arc::as_ref(&cloud);
    let Declared { controls, mode, .. } = declared;
    let assessment = engine::assess(account_id, &regions, controls, cloud, progress).await?;
    let assessment = engine::except(assessment, &declared.exceptions, cloud).await;
    let circumstances = circumstances(declared, &assessment.identity, now());
    let evidence = engine::gather(&assessment, *mode, controls, &circumstances.owned_elsewhere, cloud).await;
    let plan = plan(&assessment.findings, &assessment.snapshots, &evidence, controls, &circumstances);
    Ok((assessment, plan))
}

/// Without a cluster there are no records: nothing is contested, and nothing was refused before.
fn circumstances(declared: &Declared, identity: &AccountIdentity, now: Timestamp) -> Circumstances {
    let caller = Some(identity.caller_arn.clone()).filter(|arn| arn.contains(":user/"));
    Circumstances {
        now,
        account: identity.clone(),
        mode: declared.mode,
        owned_elsewhere: declared.enforcement.owned_elsewhere.clone().unwrap_or_default(),
        own_users: caller.into_iter().collect::<BTreeSet<_>>(),
        baseline: RecordedBaseline { name: declared.baseline.clone(), ..RecordedBaseline::default() },
        history: History::default(),
    }
}

/// What is worth a report: something was reached.
///
/// # Errors
///
/// Where nothing was.
pub(super) fn reached(judged: Vec<Reached>) -> Result<Vec<Judged>, ReportError> {
    if judged.iter().all(|(judged, _)| judged.outcome.is_err()) {
        let error = |(judged, role): Reached| judged.outcome.err().map(|error| (error, role));
        return Err(ReportError::Unreached { accounts: judged.into_iter().filter_map(error).collect() });
    }
    Ok(judged.into_iter().map(|(judged, _)| judged).collect())
}

/// Prints the report, and says how the run ends.
///
/// # Errors
///
/// If it cannot be written.
pub(super) fn print(
    report: &AuditReport,
    format: Format,
    screen: Screen,
    out: &mut dyn Write,
) -> Result<Exit, ReportError> {
    write(out, &render::render(report, format, screen)?)?;
    Ok(match report.result() {
        Verdict::Fail => Exit::Failed,
        Verdict::Unknown => Exit::Incomplete,
        Verdict::Pass | Verdict::Exempt | Verdict::NotApplicable => Exit::Ok,
    })
}

/// A reader that has seen enough (`| head`) is no failure: the verdict still counts.
fn write(out: &mut dyn Write, text: &str) -> Result<(), ReportError> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(ReportError::Write(error)),
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
