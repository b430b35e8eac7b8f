//! The operator: watches `AwsAccount`s, `AccountBaseline`s and `BaselineException`s, has accounts judged by the engine,
//! writes status.
//!
//! It writes nothing but `/status`, and nothing to AWS: what it holds is a [`CloudProvider`], which can only read. It
//! ends when its token is cancelled: nothing new is started then, and what is under way is given up.

mod accounts;
mod baselines;
mod cluster;
mod conditions;
mod context;
mod entries;
mod exceptions;
mod fresh;
mod ledger;
mod schedule;
mod status;
mod write;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::channel::mpsc;
use futures::{Stream, StreamExt, future};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Action, Config, Controller, Error as ControllerError};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::cluster::cluster;
use self::context::Context;
use crate::api::{AccountBaseline, AwsAccount, BaselineException};
use crate::engine::cloud::CloudProvider;
use crate::settings::Settings;

/// An object that may be malformed: one bad object must not stop the watch of the others.
type Guarded<K> = DeserializeGuard<K>;

/// A client for the operator, from `KUBECONFIG` or the pod that it runs in.
///
/// # Errors
///
/// When neither can be used.
pub async fn client() -> Result<Client, Box<dyn std::error::Error + Send + Sync>> {
    let mut config = kube::Config::infer().await?;
    // Longer than a watch may be silent: the API server ends one after 290 s. Without it, a list that nobody answers
    // would leave the operator blind for good.
    config.read_timeout = Some(Duration::from_mins(5));
    config.reset_reader_on_write = true;
    // Watches and writes have retries of their own, which know what may be repeated and when to stop.
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// Runs until `stop` is cancelled and what was under way has ended.
pub async fn run(client: Client, provider: Arc<dyn CloudProvider>, settings: Settings, stop: CancellationToken) {
    let config = || Config::default().concurrency(settings.concurrency);
    let (accounts, accounts_writer) = reflector::store();
    let (baselines, baselines_writer) = reflector::store();
    let (exceptions, exceptions_writer) = reflector::store();
    let context = Arc::new(Context::new(
        client.clone(),
        provider,
        settings.clone(),
        accounts,
        baselines.clone(),
        exceptions,
        stop.clone(),
    ));
    let account_controller = Controller::new(Api::all(client.clone()), watcher::Config::default())
        .with_config(config())
        .graceful_shutdown_on(stop.clone().cancelled_owned());
    let (overturned, overturned_baselines) = mpsc::unbounded();
    let (used, used_exceptions) = mpsc::unbounded();
    let baseline_controller =
        Controller::for_stream(watch_baselines(baselines_writer, context.clone(), used), baselines)
            .with_config(config())
            .reconcile_on(overturned_baselines)
            .graceful_shutdown_on(stop.clone().cancelled_owned());
    let exception_controller = Controller::new(Api::all(client.clone()), watcher::Config::default())
        .with_config(config())
        .reconcile_on(used_exceptions)
        .graceful_shutdown_on(stop.clone().cancelled_owned());
    info!(selector = %settings.selector, concurrency = settings.concurrency, "watching accounts and baselines");
    let evaluate = async {
        // Else the first passes would find no accounts, or nothing excepted. Waited for here and by nobody else: a
        // store wakes only the last of several that wait for it. Its writer is gone only when this process stops.
        if context.accounts.wait_until_ready().await.is_ok() && context.exceptions.wait_until_ready().await.is_ok() {
            tokio::join!(
                report(baseline_controller.run(baselines::reconcile, retry, context.clone())),
                report(exception_controller.run(exceptions::reconcile, retry, context.clone())),
            );
        }
    };
    tokio::join!(
        watch_accounts(client, accounts_writer, context.clone(), overturned.clone()),
        exceptions::watch(exceptions_writer, context.clone(), overturned),
        report(account_controller.run(accounts::reconcile, retry, context.clone())),
        evaluate,
    );
    info!("stopped");
}

/// Keeps the store of accounts, and has the baselines of an account reconciled once the store holds its change.
///
/// A watch of its own in place of `Controller::watches`: that one may call before the store has the change, and the
/// baseline would be found not due.
async fn watch_accounts(
    client: Client,
    writer: Writer<Guarded<AwsAccount>>,
    context: Arc<Context>,
    overturned: mpsc::UnboundedSender<ObjectRef<Guarded<AccountBaseline>>>,
) {
    let stop = context.stop.clone().cancelled_owned();
    watcher::watcher(Api::<Guarded<AwsAccount>>::all(client), watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .take_until(stop)
        .for_each(|event| {
            let baselines = match event {
                Ok(watcher::Event::Apply(account) | watcher::Event::Delete(account)) => {
                    context.baselines_of(Some(&account.name_any()))
                }
                // A list anew: accounts may have vanished unseen.
                Ok(watcher::Event::InitDone) => context.baselines_of(None),
                Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => Vec::new(),
                Err(error) => {
                    warn!(kind = "AwsAccount", error = describe(&error), "watch failed, will be tried again");
                    Vec::new()
                }
            };
            for baseline in baselines {
                // Fails only after the controller ended.
                let _ = overturned.unbounded_send(baseline);
            }
            future::ready(())
        })
        .await;
}

/// The stream that the controller of baselines runs on. Once the store holds a change, the exceptions of the baseline's
/// account are looked at: the baseline's status says what they covered.
fn watch_baselines(
    writer: Writer<Guarded<AccountBaseline>>,
    context: Arc<Context>,
    used: mpsc::UnboundedSender<ObjectRef<Guarded<BaselineException>>>,
) -> impl Stream<Item = Result<Guarded<AccountBaseline>, watcher::Error>> {
    let api = Api::<Guarded<AccountBaseline>>::all(context.client.clone());
    let look = move |event: &Result<watcher::Event<Guarded<AccountBaseline>>, watcher::Error>| {
        let exceptions = match event {
            Ok(watcher::Event::Apply(baseline) | watcher::Event::Delete(baseline)) => match &baseline.0 {
                Ok(baseline) => context.exceptions_of(Some(&baseline.spec.account_ref.name)),
                Err(_) => Vec::new(),
            },
            Ok(watcher::Event::InitDone) => {
                context.baselines_listed.store(true, Ordering::Release);
                context.exceptions_of(None)
            }
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) | Err(_) => Vec::new(),
        };
        for exception in exceptions {
            // Fails only after the controller ended.
            let _ = used.unbounded_send(exception);
        }
    };
    watcher::watcher(api, watcher::Config::default()).reflect(writer).inspect(look).applied_objects()
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
