//! The rig as a program: what `make demo` and `make compare` keep running. Ends, and takes everything along, on SIGTERM
//! or an interrupt.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use plumbline_rig::aws_proxy::ProxyOptions;
use plumbline_rig::aws_rig::AwsRig;
use plumbline_rig::controlplane::{ControlPlane, manifests, tools};
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
    /// Starts a cluster with Plumbline's CRDs, an AWS emulator with accounts, and the operator; writes `env` and
    /// `ready` into the folder when all of it is up.
    Up {
        /// The folder for kubeconfigs and logs.
        #[arg(long)]
        dir: PathBuf,
        /// The plumbline binary.
        #[arg(long)]
        operator: PathBuf,
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
        Command::Up { dir, operator, accounts } => up(dir, operator, accounts).await,
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

async fn up(dir: PathBuf, operator: PathBuf, accounts: Vec<PathBuf>) -> Result<()> {
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
    cluster.install_crds(&manifests(Path::new("crds"))?).await?;
    let kubeconfig = dir.join("kubeconfig");
    fs::copy(cluster.admin_kubeconfig(), &kubeconfig)?;
    let operators = cluster.service_account_kubeconfig("plumbline-system", "plumbline").await?;
    apply(&cluster.admin_client().await?, Path::new("tests/operator-rbac.yaml")).await?;
    let _operator = start_operator(&operator, &operators, &aws, &dir)?;

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

fn start_operator(operator: &Path, kubeconfig: &Path, aws: &AwsRig, dir: &Path) -> Result<Supervised> {
    let program = Program::new(operator, dir.join("operator.log")).args(["controller", "--enforce"]).clear_env();
    let program = program.args(["--metrics-bind-address", "127.0.0.1:0", "--health-probe-bind-address", "127.0.0.1:0"]);
    let environment = aws.environment(OPERATORS_ACCOUNT);
    let program = environment.into_iter().fold(program, |program, (name, value)| program.env(name, value));
    program.env("KUBECONFIG", kubeconfig).start()
}

/// Applies objects of kinds whose plural is the kind with an `s`.
async fn apply(client: &Client, path: &Path) -> Result<()> {
    for manifest in manifests(path)? {
        let object: DynamicObject = serde_json::from_value(manifest)?;
        let types = object.types.clone().context("a manifest without a kind")?;
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
        let name = object.metadata.name.clone().context("a manifest without a name")?;
        let api: Api<DynamicObject> = match object.metadata.namespace.as_deref() {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        api.patch(&name, &PatchParams::apply("plumbline-rig"), &Patch::Apply(&object)).await?;
    }
    Ok(())
}
