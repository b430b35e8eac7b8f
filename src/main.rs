//! The binary: parses the command line, sets up logs, wires, and turns the outcome into an exit code.

use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use plumbline::aws::{Aws, AwsSettings, Rate};
use plumbline::cli::audit::AuditArgs;
use plumbline::cli::plan::PlanArgs;
use plumbline::cli::reconcile::ReconcileArgs;
use plumbline::cli::undo::{Surface, UndoArgs};
use plumbline::cli::{self, Cli, Command, Console, Exit};
use plumbline::metrics::Metrics;
use plumbline::settings::{CallRates, Settings};
use plumbline::{controller, shutdown, telemetry};

fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            Exit::Error.into()
        }
    }
}

#[tokio::main]
async fn run(cli: Cli) -> anyhow::Result<Exit> {
    // A tool says its one sentence itself; of an operator one wants to know what it does, less what its library does.
    let is_operator = matches!(cli.command, Command::Controller(_));
    let level = if is_operator { "warn,plumbline=info" } else { "error" };
    let telemetry = telemetry::init(&cli.telemetry, level, is_operator)?;
    let exit = match cli.command {
        Command::Controller(settings) => operate(settings).await,
        Command::Audit(args) => audit(&args).await,
        Command::Plan(args) => plan(&args).await,
        Command::Undo(args) => undo(&args).await,
        Command::Reconcile(args) => reconcile(&args).await,
        Command::Offline(command) => Ok(cli::offline(command)?),
    };
    telemetry.flush().await;
    exit
}

async fn operate(settings: Settings) -> anyhow::Result<Exit> {
    // Before anything else: as the first process of a container it would not notice a signal that nobody waits for.
    let stop = shutdown::on_signals()?;
    let metrics = Arc::new(Metrics::new());
    let clients = controller::clients(&metrics).await.map_err(anyhow::Error::from_boxed);
    let clients = clients.context("no cluster: set KUBECONFIG, or run in a pod")?;
    let provider = Arc::new(Aws::recorded_by(metrics.clone(), calling(settings.rates)).await);
    controller::run(clients, provider, settings, metrics, stop).await?;
    Ok(Exit::Ok)
}

async fn audit(args: &AuditArgs) -> anyhow::Result<Exit> {
    let provider = Aws::new(calling(args.report.rates)).await;
    let (mut stdin, mut stdout) = (std::io::stdin(), std::io::stdout());
    Ok(cli::audit::run(args, &provider, Console::of_process(&mut stdin, &mut stdout)).await?)
}

async fn plan(args: &PlanArgs) -> anyhow::Result<Exit> {
    let provider = Aws::new(calling(args.report.rates)).await;
    let (mut stdin, mut stdout) = (std::io::stdin(), std::io::stdout());
    Ok(cli::plan::run(args, &provider, Console::of_process(&mut stdin, &mut stdout)).await?)
}

async fn undo(args: &UndoArgs) -> anyhow::Result<Exit> {
    let cluster = if args.filename.is_some() {
        None
    } else {
        let cluster = controller::cluster().await.map_err(anyhow::Error::from_boxed);
        Some(cluster.context("no cluster: set KUBECONFIG, or name a file with the record with -f")?)
    };
    let provider = Aws::new(calling(args.rates)).await;
    let surface = Surface {
        reads: &provider,
        writes: &provider,
        cluster: cluster.as_deref(),
        keep: &cli::undo::to_stdout,
        stdin: &mut std::io::stdin(),
        out: &mut std::io::stdout(),
        now: jiff::Timestamp::now,
    };
    Ok(cli::undo::run(args, surface).await?)
}

async fn reconcile(args: &ReconcileArgs) -> anyhow::Result<Exit> {
    let cluster = controller::requests().await.map_err(anyhow::Error::from_boxed);
    let cluster = cluster.context("no cluster: set KUBECONFIG, or run in a pod")?;
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let value = jiff::Timestamp::now().to_string();
    Ok(cli::reconcile::run(args, &*cluster, &value, &mut out, &mut err).await?)
}

/// The AWS edge's settings with the rates of the command line.
fn calling(rates: CallRates) -> AwsSettings {
    let defaults = AwsSettings::default();
    let or = |rate: Option<NonZeroU32>, default| rate.map_or(default, |calls| Rate { per_second: calls, burst: calls });
    AwsSettings {
        ec2: or(rates.ec2_calls_per_second, defaults.ec2),
        iam: or(rates.iam_calls_per_second, defaults.iam),
        s3: or(rates.s3_calls_per_second, defaults.s3),
        ..defaults
    }
}
