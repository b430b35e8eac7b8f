//! Puts the counts of `/metrics` around the operator's requests to the API server, and around its passes. No IO of its
//! own.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use futures::FutureExt;
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
            let outcome = survived(outcome).await;
            pass.end(match &outcome {
                Ok(next) if *next == Action::await_change() => PassResult::Success,
                Ok(_) => PassResult::RequeueAfter,
                Err(_) => PassResult::Error,
            });
            outcome
        })
    }
}

/// A pass that panics is one that failed, and no reason to end those of all other accounts.
async fn survived<T>(pass: impl Future<Output = Result<T, WriteError>>) -> Result<T, WriteError> {
    AssertUnwindSafe(pass).catch_unwind().await.unwrap_or(Err(WriteError::Panicked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn p13_a_pass_that_panics_has_failed_and_ends_nothing_else() {
        let good = survived(async { Ok(1) }).await;
        assert_eq!(good.unwrap(), 1);
        let bad: Result<(), _> = survived(async { panic!("as a bug would") }).await;
        assert!(matches!(bad, Err(WriteError::Panicked)), "{bad:?}");
    }
}
