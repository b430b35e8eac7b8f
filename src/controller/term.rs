//! One term of work, from taking it up to giving it up: the stores, the watches, the four controllers, and whatever
//! else runs beside them. IO.
//!
//! Ends once its token is cancelled and what was under way has ended, whatever was not listed by then.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::channel::mpsc;
use futures::{FutureExt, Stream, StreamExt};
use kube::Api;
use kube::runtime::controller::{Action, Config, Controller, Error as ControllerError};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::watcher;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::context::{self, Context};
use super::counted::passes;
use super::ledger::{self, KubeLedger};
use super::listing::Listing;
use super::unreadable::Withdrawn;
use super::write::WriteError;
use super::{
    Declared, Guarded, Process, accounts, approvals, baselines, budget, describe, events, exceptions, scrape, usage,
    watches,
};
use crate::api::AccountBaseline;
use crate::engine::ledger::Leadership;
use crate::metrics;
use crate::settings::Settings;

/// How long the Events of the last passes are waited for.
const LAST_EVENTS: Duration = Duration::from_secs(3);

/// Works until `stop` is cancelled and what was under way has ended.
pub(super) async fn operate(process: Process, leadership: Arc<dyn Leadership>, stop: CancellationToken) {
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
    let unsettled = tokio::select! {
        unsettled = unsettled(&ledger, &settings) => unsettled,
        () = stop.cancelled() => return,
    };
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
        withdrawn: Withdrawn::default(),
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
            run(
                controller_of(&context).reconcile_on(recounted),
                passes(metrics::Controller::AwsAccount, accounts::reconcile),
                &context
            ),
            evaluate(context.clone(), baselines_writer, overturned_baselines),
            keep_records(&context),
        );
        // Nothing is told from now on.
        context.told.close_channel();
    };
    let mut publishing = std::pin::pin!(events::publish(clients.fresh.clone(), identity, untold));
    tokio::select! {
        () = &mut publishing => {}
        // Events that are not taken in time must not hold the Lease.
        () = work => drop(tokio::time::timeout(LAST_EVENTS, publishing).await),
    }
}

/// Runs a controller to its end. kube's runner waits for the first list of its store even after it was told to stop;
/// but before that list nothing has begun.
async fn run<K: Declared, F>(
    controller: Controller<Guarded<K>>,
    passes: impl FnMut(Arc<Guarded<K>>, Arc<Context>) -> F,
    context: &Arc<Context>,
) where
    F: Future<Output = Result<Action, WriteError>> + Send + 'static,
{
    let store = controller.store();
    let never_listed = async {
        context.stop.cancelled().await;
        if store.wait_until_ready().now_or_never().is_some() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = never_listed => {}
        () = report(controller.run(passes, retry, context.clone())) => {}
    }
}

/// A controller of one kind with the operator's settings.
fn controller_of<K: Declared>(context: &Context) -> Controller<Guarded<K>> {
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
            run(baselines, passes(metrics::Controller::AccountBaseline, baselines::reconcile), &context),
            run(exceptions, passes(metrics::Controller::BaselineException, exceptions::reconcile), &context),
            run(approvals, passes(metrics::Controller::PlanApproval, approvals::reconcile), &context),
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
fn retry<K>(_: Arc<K>, _: &WriteError, _: Arc<Context>) -> Action {
    Action::requeue(Duration::from_secs(10))
}

/// Says what went wrong with a watch or a pass. None of it ends the operator: watches are restarted, passes repeated.
async fn report<K: kube::Resource<DynamicType = ()>>(
    passes: impl Stream<Item = Result<(ObjectRef<K>, Action), ControllerError<WriteError, watcher::Error>>>,
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
