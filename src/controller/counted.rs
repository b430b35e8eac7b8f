//! Puts the counts of `/metrics` around the operator's requests to the API server, and around its passes. No IO of its
//! own.

use std::pin::Pin;
use std::sync::Arc;

use kube::Client;
use kube::client::ClientBuilder;
use kube::runtime::controller::Action;

use super::context::Context;
use super::write::WriteError;
use crate::metrics::{Controller as PassesOf, CountRequests, Metrics, PassResult};

/// A client whose requests are counted.
pub(super) fn client(config: kube::Config, metrics: &Arc<Metrics>) -> Result<Client, kube::Error> {
    let host = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
    Ok(ClientBuilder::try_from(config)?.with_layer(&CountRequests::new(metrics.clone(), &host)).build())
}

/// A pass that is under way.
type UnderWay = Pin<Box<dyn Future<Output = Result<Action, WriteError>> + Send>>;

/// The same passes, each of them counted, whether it finds anything due or not.
pub(super) fn passes<K, F>(
    controller: PassesOf,
    mut reconcile: impl FnMut(Arc<K>, Arc<Context>) -> F,
) -> impl FnMut(Arc<K>, Arc<Context>) -> UnderWay
where
    F: Future<Output = Result<Action, WriteError>> + Send + 'static,
{
    move |object, context| {
        let pass = context.metrics.pass(controller);
        let outcome = reconcile(object, context);
        Box::pin(async move {
            let outcome = outcome.await;
            pass.end(match &outcome {
                Ok(next) if *next == Action::await_change() => PassResult::Success,
                Ok(_) => PassResult::RequeueAfter,
                Err(_) => PassResult::Error,
            });
            outcome
        })
    }
}
