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
mod transitions;
mod usage;
mod watches;
mod witness;
mod write;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::channel::mpsc;
use futures::{Stream, StreamExt};
use kube::core::{ClusterResourceScope, DeserializeGuard};
use kube::runtime::controller::{Action, Config, Controller, Error as ControllerError};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::cluster::{cluster, cluster_of};
use self::context::Context;
use self::counted::passes;
use self::leader::Candidate;
use self::ledger::KubeLedger;
use self::listing::Listing;
pub use self::requests::requests;
use crate::api::AccountBaseline;
use crate::engine::cloud::Provider;
use crate::engine::ledger::Leadership;
use crate::metrics::{self, Metrics};
use crate::server::{self, ListenError, Listeners, Readiness};
use crate::settings::Settings;

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

/// Works until `stop` is cancelled and what was under way has ended.
async fn operate(process: Process, leadership: Arc<dyn Leadership>, stop: CancellationToken) {
    let Process { clients, provider, settings, metrics, readiness, identity } = process;
    let client = clients.watching.clone();
    let (accounts, accounts_writer) = reflector::store();
    let (baselines, baselines_writer) = reflector::store();
    let (exceptions, exceptions_writer) = reflector::store();
    let (approvals, approvals_writer) = reflector::store();
    let (told, untold) = mpsc::unbounded();
    let listing = Listing::begin(readiness);
    let (usages, recounted) = usage::Usages::new();
    let ledger = KubeLedger::new(clients.fresh.clone());
    let unsettled = unsettled(&ledger, &settings).await;
    let context = Arc::new(Context {
        client: client.clone(),
        fresh: clients.fresh.clone(),
        provider,
        settings,
        metrics,
        accounts,
        baselines,
        baselines_listed: AtomicBool::new(false),
        exceptions,
        approvals,
        listing,
        stop,
        account_attempts: context::Attempts::default(),
        baseline_attempts: context::Attempts::default(),
        ledger,
        budget: budget::Budget::default(),
        leadership,
        identity: identity.clone(),
        told,
        unsettled: Mutex::new(unsettled),
        caller: tokio::sync::OnceCell::new(),
        usages,
        found: scrape::Found::default(),
    });
    context.metrics.may_run_at_once(context.settings.concurrency);
    let _showing = context.metrics.showing(context.clone());
    let (enforce, concurrency) = (context.settings.enforcement.enforce, context.settings.concurrency);
    info!(selector = %context.settings.selector, concurrency, enforce, "watching accounts and baselines");
    let (overturned, overturned_baselines) = mpsc::unbounded();
    let work = async {
        tokio::join!(
            watches::accounts(client, accounts_writer, context.clone(), overturned.clone()),
            exceptions::watch(exceptions_writer, context.clone(), overturned.clone()),
            approvals::watch(approvals_writer, context.clone(), overturned),
            report(controller_of(&context).reconcile_on(recounted).run(
                passes(metrics::Controller::AwsAccount, accounts::reconcile),
                retry,
                context.clone()
            )),
            evaluate(context.clone(), baselines_writer, overturned_baselines),
            keep_records(&context),
        );
        // Nothing is told from now on.
        context.told.close_channel();
    };
    tokio::join!(work, events::publish(clients.fresh.clone(), identity, untold));
}

/// A controller of one kind with the operator's settings.
fn controller_of<K>(context: &Context) -> Controller<Guarded<K>>
where
    K: Resource<DynamicType = (), Scope = ClusterResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
{
    Controller::new(Api::all(context.client.clone()), watcher::Config::default())
        .with_config(Config::default().concurrency(context.settings.concurrency))
        .graceful_shutdown_on(context.stop.clone().cancelled_owned())
}

/// Runs the controllers that need the stores of accounts, exceptions and approvals.
async fn evaluate(
    context: Arc<Context>,
    writer: Writer<Guarded<AccountBaseline>>,
    overturned: mpsc::UnboundedReceiver<ObjectRef<Guarded<AccountBaseline>>>,
) {
    let (used, used_exceptions) = mpsc::unbounded();
    let (planned, planned_approvals) = mpsc::unbounded();
    let watched = watches::baselines(writer, context.clone(), used, planned);
    let baselines = Controller::for_stream(watched, context.baselines.clone())
        .with_config(Config::default().concurrency(context.settings.concurrency))
        .reconcile_on(overturned)
        .graceful_shutdown_on(context.stop.clone().cancelled_owned());
    let exceptions = controller_of(&context).reconcile_on(used_exceptions);
    let approvals = controller_of(&context).reconcile_on(planned_approvals);
    // Else the first passes would find no accounts, or nothing excepted. Waited for here and by nobody else: a store
    // wakes only the last of several that wait for it. Its writer is gone only when this process stops.
    if context.accounts.wait_until_ready().await.is_ok()
        && context.exceptions.wait_until_ready().await.is_ok()
        && context.approvals.wait_until_ready().await.is_ok()
    {
        tokio::join!(
            report(baselines.run(
                passes(metrics::Controller::AccountBaseline, baselines::reconcile),
                retry,
                context.clone()
            )),
            report(exceptions.run(
                passes(metrics::Controller::BaselineException, exceptions::reconcile),
                retry,
                context.clone()
            )),
            report(approvals.run(
                passes(metrics::Controller::PlanApproval, approvals::reconcile),
                retry,
                context.clone()
            )),
        );
    }
}

/// Deletes old records where this process is the one that makes them.
async fn keep_records(context: &Context) {
    let settings = &context.settings.enforcement;
    if settings.enforce {
        ledger::sweep(context.ledger.clone(), settings.record_retention, context.stop.clone()).await;
    }
}

/// The accounts in which an earlier process left a record without an outcome: they are looked at first.
async fn unsettled(ledger: &KubeLedger, settings: &Settings) -> BTreeSet<String> {
    if !settings.enforcement.enforce {
        return BTreeSet::new();
    }
    match ledger.accounts_with_unsettled().await {
        Ok(accounts) => accounts.into_iter().collect(),
        Err(error) => {
            warn!(%error, "what an earlier process left is found with each account's next evaluation");
            BTreeSet::new()
        }
    }
}

/// Reconciling an object failed on the Kubernetes side: the API server did not answer, or refused the status.
fn retry<K>(_: Arc<K>, _: &write::WriteError, _: Arc<Context>) -> Action {
    Action::requeue(Duration::from_secs(10))
}

/// Says what went wrong with a watch or a pass. None of it ends the operator: watches are restarted, passes repeated.
async fn report<K: kube::Resource<DynamicType = ()>>(
    passes: impl Stream<Item = Result<(ObjectRef<K>, Action), ControllerError<write::WriteError, watcher::Error>>>,
) {
    passes
        .for_each(|pass| async move {
            match pass {
                // Not found is an object that was deleted while it waited for its turn.
                Ok(_) | Err(ControllerError::ObjectNotFound(_)) => {}
                Err(error) => warn!(kind = %K::kind(&()), error = describe(&error), "will be tried again"),
            }
        })
        .await;
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
