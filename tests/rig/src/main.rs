//! The rig as a program: what `make demo` and `make compare` keep running. Ends, and takes everything along, on SIGTERM
//! or an interrupt.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use plumbline_rig::aws_proxy::ProxyOptions;
use plumbline_rig::aws_rig::AwsRig;
use plumbline_rig::controlplane::{ControlPlane, tools};
use plumbline_rig::release::{Helm, Release};
use plumbline_rig::seed::{Seeded, seed};
use plumbline_rig::supervisor::{Program, Supervised};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

/// The account whose credentials the operator has; it assumes roles in the others.
const OPERATORS_ACCOUNT: &str = "111111111111";

#[derive(Parser)]
#[command(about = "The parts that Plumbline's tests and demo run on")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts a cluster, installs the chart into it, starts an AWS emulator with accounts, and the operator as the
    /// chart's Deployment says; writes `env` and `ready` into the folder when all of it is up.
    Up {
        /// The folder for kubeconfigs and logs.
        #[arg(long)]
        dir: PathBuf,
        /// The plumbline binary.
        #[arg(long)]
        operator: PathBuf,
        /// Values for the chart.
        #[arg(long)]
        values: PathBuf,
        /// Accounts to make, as YAML.
        accounts: Vec<PathBuf>,
    },
    /// Starts an AWS emulator with accounts and nothing else; writes `aws.json` into the folder when they are made.
    Aws {
        /// The folder for `aws.json` and the record of the calls.
        #[arg(long)]
        dir: PathBuf,
        /// Accounts to make, as YAML.
        accounts: Vec<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Up { dir, operator, values, accounts } => up(dir, operator, values, accounts).await,
        Command::Aws { dir, accounts } => aws(dir, accounts).await,
    }
}

async fn aws(dir: PathBuf, accounts: Vec<PathBuf>) -> Result<()> {
    let calls = dir.join("aws-calls.jsonl");
    let aws = AwsRig::with(ProxyOptions { trace_file: Some(calls.clone()), ..ProxyOptions::default() }).await?;
    let mut made = Vec::new();
    for account in &accounts {
        let seeded = make(&aws, account).await?;
        let environment = aws.environment(&seeded.account_id);
        made.push(json!({
            "accountId": seeded.account_id,
            "environment": environment.into_iter().collect::<BTreeMap<_, _>>(),
            "securityGroups": seeded.security_groups,
        }));
    }
    // Renamed into place, so that whoever waits for the file finds all of it.
    let whole = dir.join("aws.json.new");
    fs::write(&whole, json!({"calls": calls, "accounts": made}).to_string())?;
    fs::rename(whole, dir.join("aws.json"))?;
    until_terminated().await
}

async fn make(aws: &AwsRig, account: &Path) -> Result<Seeded> {
    let yaml = fs::read_to_string(account).with_context(|| format!("cannot read {}", account.display()))?;
    seed(aws.proxy(), &yaml).await.with_context(|| format!("cannot make {}", account.display()))
}

async fn up(dir: PathBuf, operator: PathBuf, values: PathBuf, accounts: Vec<PathBuf>) -> Result<()> {
    let aws = AwsRig::with(ProxyOptions { trace_file: Some(dir.join("aws-calls.jsonl")), ..ProxyOptions::default() });
    let (cluster, aws) = tokio::join!(ControlPlane::start(), aws);
    let (cluster, aws) = (cluster?, aws?);
    let mut owners = Vec::new();
    for account in &accounts {
        let seeded = make(&aws, account).await?;
        // Whoever owns an account can undo there: `payments-prod.yaml` is PAYMENTS_ACCESS_KEY_ID.
        let name = account.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let name = name.split('-').next().unwrap_or_default().to_uppercase();
        let key = aws.proxy().key_of(&seeded.account_id);
        owners.push(format!("export {name}_ACCESS_KEY_ID={key}\n"));
    }
    let kubeconfig = dir.join("kubeconfig");
    fs::copy(cluster.admin_kubeconfig(), &kubeconfig)?;
    let release = Release::installed(Helm::Four, &kubeconfig, &["--values", &values.display().to_string()]).await?;
    let (namespace, account) = release.service_account()?;
    let operators = cluster.service_account_kubeconfig(namespace, account).await?;
    let _operator = start_operator(release.program(&operator, &dir)?, &operators, &aws)?;

    let mut env = vec![format!("export KUBECONFIG={}\n", kubeconfig.display())];
    env.extend(aws.environment(OPERATORS_ACCOUNT).iter().map(|(name, value)| format!("export {name}={value}\n")));
    env.append(&mut owners);
    let binaries = operator.parent().unwrap_or(Path::new("."));
    env.push(format!("export PATH={}:{}:$PATH\n", binaries.display(), tools().await?.display()));
    fs::write(dir.join("env"), env.concat())?;
    fs::write(dir.join("ready"), "")?;
    until_terminated().await
}

async fn until_terminated() -> Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminated.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}

fn start_operator(program: Program, kubeconfig: &Path, aws: &AwsRig) -> Result<Supervised> {
    let environment = aws.environment(OPERATORS_ACCOUNT);
    let program = environment.into_iter().fold(program, |program, (name, value)| program.env(name, value));
    program.env("KUBECONFIG", kubeconfig).start()
}
