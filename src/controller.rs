//! The operator: watches `AwsAccount`s, `AccountBaseline`s, `BaselineException`s and `PlanApproval`s, has accounts
//! judged and, where that is wanted, changed by the engine, writes status.
//!
//! It writes nothing but `/status`, `ChangeRecord`s, Events and its Lease. It begins once the API server serves every
//! kind; with `--leader-elect` or `--enforce` it works only while it holds the Lease. It ends when its token is
//! cancelled: nothing new is started then, and what is under way is given up.

mod accounts;
mod approvals;
mod baselines;
mod budget;
mod cluster;
mod conditions;
mod context;
mod counted;
mod enforcement;
mod entries;
mod events;
mod exceptions;
mod fresh;
mod intent;
mod kinds;
mod leader;
mod ledger;
mod listing;
mod outcome;
mod planned;
mod requests;
mod schedule;
mod scrape;
mod status;
mod term;
mod transitions;
mod unreadable;
mod usage;
mod watches;
mod witness;
mod write;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use kube::core::{ClusterResourceScope, DeserializeGuard};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use self::cluster::{cluster, cluster_of};
use self::leader::Candidate;
pub use self::requests::requests;
use self::term::operate;
use crate::api::{AccountBaseline, AwsAccount, BaselineException, PlanApproval};
use crate::engine::cloud::Provider;
use crate::engine::ledger::Leadership;
use crate::metrics::Metrics;
use crate::server::{self, ListenError, Listeners, Readiness};
use crate::settings::Settings;

/// A kind that people declare, and that the operator watches.
trait Declared:
    Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
}

impl Declared for AwsAccount {}
impl Declared for AccountBaseline {}
impl Declared for BaselineException {}
impl Declared for PlanApproval {}

/// An object that may be malformed: one bad object must not stop the watch of the others.
type Guarded<K> = DeserializeGuard<K>;

/// The operator's ways to the cluster.
#[derive(Clone)]
pub struct Clients {
    /// For watches and status.
    watching: Client,
    /// For Lease, records, and reads that decide about changes: no retries, short limits.
    fresh: Client,
}

/// The operator's clients, from `KUBECONFIG` or the pod that it runs in.
///
/// # Errors
///
/// When neither can be used.
pub async fn clients(metrics: &Arc<Metrics>) -> Result<Clients, Box<dyn std::error::Error + Send + Sync>> {
    let mut config = kube::Config::infer().await?;
    let fresh = counted::client(fresh::configured(config.clone()), metrics)?;
    // Longer than a watch may be silent: the API server ends one after 290 s. Without it, a list that nobody answers
    // would leave the operator blind for good.
    config.read_timeout = Some(Duration::from_mins(5));
    config.reset_reader_on_write = true;
    // Watches and writes have retries of their own, which know what may be repeated and when to stop.
    config.default_retry = false;
    Ok(Clients { watching: counted::client(config, metrics)?, fresh })
}

/// Leads nothing: without `--enforce` nothing is changed, and any number of processes may look.
struct Nobody;

impl Leadership for Nobody {
    fn holds_for(&self, _: Duration) -> bool {
        false
    }
}

/// What the process works with, from its start to its end; a term of leadership comes and goes.
#[derive(Clone)]
struct Process {
    clients: Clients,
    provider: Arc<dyn Provider>,
    settings: Settings,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    /// What this process is called in Lease and records.
    identity: String,
}

/// Runs until `stop` is cancelled and what was under way has ended.
///
/// # Errors
///
/// When an address that it is to serve cannot be listened on.
pub async fn run(
    clients: Clients,
    provider: Arc<dyn Provider>,
    settings: Settings,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> Result<(), ListenError> {
    let addresses = &settings.process;
    let listeners = Listeners::open(addresses.metrics_bind_address, addresses.health_probe_bind_address).await?;
    let (readiness, identity) = (Readiness::default(), leader::identity());
    let process = Process { clients, provider, settings, metrics, readiness, identity };
    process.is_not_ready_yet();
    let (alive, heart) = server::alive();
    // The last scrape and the last probe come when everything else has ended.
    let ended = CancellationToken::new();
    let serving = listeners.serve(process.metrics.clone(), process.readiness.clone(), alive, ended.clone());
    let serving = tokio::spawn(serving);
    heart.beats_while(process.work(&stop)).await;
    ended.cancel();
    serving.abort();
    info!("stopped");
    Ok(())
}

impl Process {
    fn is_not_ready_yet(&self) {
        kinds::unknown(&self.readiness);
        if self.settings.elects() {
            leader::unknown(&self.readiness);
        } else {
            listing::unknown(&self.readiness);
        }
    }

    /// Waits for what it needs, and works until `stop` is cancelled.
    async fn work(&self, stop: &CancellationToken) {
        let (all, served) = watch::channel(false);
        let ending = async {
            stop.cancelled().await;
            self.readiness.missing("process", "is ending");
            std::future::pending::<()>().await;
        };
        let work = async {
            if kinds::come(served, stop).await {
                self.lead(stop).await;
            }
        };
        tokio::select! {
            () = kinds::look_out(self.clients.fresh.clone(), self.readiness.clone(), all) => {}
            () = ending => {}
            () = work => {}
        }
    }

    /// Works whenever it is this process's turn.
    async fn lead(&self, stop: &CancellationToken) {
        let operate = |leadership, term| operate(self.clone(), leadership, term);
        if self.settings.elects() {
            let client = self.clients.fresh.clone();
            let (me, readiness, metrics) = (self.identity.clone(), self.readiness.clone(), self.metrics.clone());
            let candidate = Candidate::new(client, &self.settings, me, readiness, metrics).await;
            Box::pin(candidate.lead(stop, operate)).await;
        } else {
            Box::pin(operate(Arc::new(Nobody), stop.clone())).await;
        }
    }
}

/// An error with its sources, until one that prints its own.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    text
}
