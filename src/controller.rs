//! The operator: watches `AwsAccount`s, `AccountBaseline`s, `BaselineException`s and `PlanApproval`s, has accounts
//! judged and, where that is wanted, changed by the engine, writes status.
//!
//! It writes nothing but `/status`, `ChangeRecord`s, Events and its Lease. With `--enforce` it works only while it
//! holds the Lease. It ends when its token is cancelled: nothing new is started then, and what is under way is given
//! up.

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
mod exceptions;
mod fresh;
mod intent;
mod leader;
mod ledger;
mod outcome;
mod planned;
mod schedule;
mod scrape;
mod status;
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
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::cluster::{cluster, cluster_of};
use self::context::Context;
use self::counted::passes;
use self::leader::Candidate;
use self::ledger::KubeLedger;
use crate::api::AccountBaseline;
use crate::engine::cloud::Provider;
use crate::engine::ledger::Leadership;
use crate::metrics::{self, Metrics};
use crate::server::{self, BindAddress, Readiness};
use crate::settings::{ProcessSettings, Settings};

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

/// Runs until `stop` is cancelled and what was under way has ended.
pub async fn run(
    clients: Clients,
    provider: Arc<dyn Provider>,
    settings: Settings,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let identity = leader::identity();
    let serving = tokio::spawn(serve(settings.process.clone(), metrics.clone(), Readiness::default(), stop.clone()));
    let work = |leadership: Arc<dyn Leadership>, term: CancellationToken| {
        let (clients, provider, settings) = (clients.clone(), provider.clone(), settings.clone());
        operate(clients, provider, settings, metrics.clone(), identity.clone(), leadership, term)
    };
    if settings.enforcement.enforce {
        let candidate = Candidate::new(clients.fresh.clone(), &settings, identity.clone(), metrics.clone()).await;
        Box::pin(candidate.lead(&stop, work)).await;
    } else {
        Box::pin(work(Arc::new(Nobody), stop)).await;
    }
    serving.abort();
    info!("stopped");
}

/// Serves metrics and probes until the process ends.
async fn serve(settings: ProcessSettings, metrics: Arc<Metrics>, readiness: Readiness, stop: CancellationToken) {
    let scrapes = async {
        if let Some(listener) = listening("metrics", settings.metrics_bind_address).await {
            let served = server::serve_metrics(listener, metrics, stop.clone()).await;
            served.unwrap_or_else(|error| warn!(%error, "/metrics is not served any more"));
        }
    };
    let probes = async {
        if let Some(listener) = listening("probes", settings.health_probe_bind_address).await {
            let served = server::serve_probes(listener, readiness, stop.clone()).await;
            served.unwrap_or_else(|error| warn!(%error, "/healthz and /readyz are not served any more"));
        }
    };
    tokio::join!(scrapes, probes);
}

async fn listening(what: &str, address: BindAddress) -> Option<TcpListener> {
    match address.listen().await {
        Ok(listener) => {
            let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
            if let Some(address) = address {
                info!(what, %address, "serves");
            }
            listener
        }
        Err(error) => {
            warn!(what, ?address, %error, "cannot listen");
            None
        }
    }
}

/// Works until `stop` is cancelled and what was under way has ended.
async fn operate(
    clients: Clients,
    provider: Arc<dyn Provider>,
    settings: Settings,
    metrics: Arc<Metrics>,
    identity: String,
    leadership: Arc<dyn Leadership>,
    stop: CancellationToken,
) {
    let client = clients.watching.clone();
    let (accounts, accounts_writer) = reflector::store();
    let (baselines, baselines_writer) = reflector::store();
    let (exceptions, exceptions_writer) = reflector::store();
    let (approvals, approvals_writer) = reflector::store();
    let (told, events) = mpsc::unbounded();
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
        stop,
        account_attempts: context::Attempts::default(),
        baseline_attempts: context::Attempts::default(),
        ledger,
        budget: budget::Budget::default(),
        leadership,
        identity: identity.clone(),
        told,
        unsettled: Mutex::new(unsettled),
        own_users: tokio::sync::OnceCell::new(),
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
            report(controller_of(&context).run(
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
    tokio::join!(work, witness::publish(clients.fresh.clone(), identity, events));
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
