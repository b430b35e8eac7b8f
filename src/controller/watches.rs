//! The watches of accounts and baselines: each keeps its store, and has whatever depends on a change looked at once the
//! store holds it. Those of exceptions and approvals stand with their kinds.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::channel::mpsc;
use futures::{Stream, StreamExt, future};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tracing::warn;

use super::context::Context;
use super::{Guarded, describe};
use crate::api::{AccountBaseline, AwsAccount, BaselineException, PlanApproval};

/// Keeps the store of accounts, and has the baselines of an account reconciled once the store holds its change.
///
/// A watch of its own in place of `Controller::watches`: that one may call before the store has the change, and the
/// baseline would be found not due.
pub(super) async fn accounts(
    client: Client,
    writer: Writer<Guarded<AwsAccount>>,
    context: Arc<Context>,
    overturned: mpsc::UnboundedSender<ObjectRef<Guarded<AccountBaseline>>>,
) {
    let stop = context.stop.clone().cancelled_owned();
    watcher::watcher(Api::<Guarded<AwsAccount>>::all(client), watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .inspect(|event| context.listing.saw(event))
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
/// account and the approvals for it are looked at: the baseline's status says what they covered.
pub(super) fn baselines(
    writer: Writer<Guarded<AccountBaseline>>,
    context: Arc<Context>,
    used: mpsc::UnboundedSender<ObjectRef<Guarded<BaselineException>>>,
    planned: mpsc::UnboundedSender<ObjectRef<Guarded<PlanApproval>>>,
) -> impl Stream<Item = Result<Guarded<AccountBaseline>, watcher::Error>> {
    let api = Api::<Guarded<AccountBaseline>>::all(context.client.clone());
    let look = move |event: &Result<watcher::Event<Guarded<AccountBaseline>>, watcher::Error>| {
        context.listing.saw(event);
        let (exceptions, approvals) = match event {
            Ok(watcher::Event::Apply(baseline) | watcher::Event::Delete(baseline)) => match &baseline.0 {
                Ok(stored) => {
                    let account = &stored.spec.account_ref.name;
                    (context.exceptions_of(Some(account)), context.approvals_of(Some(&stored.name_any())))
                }
                Err(_) => (Vec::new(), Vec::new()),
            },
            Ok(watcher::Event::InitDone) => {
                context.baselines_listed.store(true, Ordering::Release);
                (context.exceptions_of(None), context.approvals_of(None))
            }
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) | Err(_) => (Vec::new(), Vec::new()),
        };
        for approval in approvals {
            // Fails only after the controller ended.
            let _ = planned.unbounded_send(approval);
        }
        for exception in exceptions {
            // Fails only after the controller ended.
            let _ = used.unbounded_send(exception);
        }
    };
    watcher::watcher(api, watcher::Config::default()).reflect(writer).inspect(look).applied_objects()
}
