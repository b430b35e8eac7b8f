//! From SIGTERM and SIGINT to the end of the process: first in order, then in any case. IO.
//!
//! In order means that nothing new is started, what is under way is settled, and the Lease is given back. Whatever is
//! cut off is found by the next process: a record without an outcome is settled by reading, and a Lease ends by itself.

use std::process::exit;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// Kubernetes kills a pod 30 s after it asked it to end, unless told otherwise:
/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>. Two seconds earlier the log
/// still says why.
const IN_ORDER_WITHIN: Duration = Duration::from_secs(28);

/// A token that the first signal cancels. The process ends with the second one, or when its time is over.
///
/// # Errors
///
/// When signals cannot be received.
pub fn on_signals() -> std::io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        asked(&mut terminate, &mut interrupt).await;
        info!("ends: starts nothing new, and settles what is under way");
        told.cancel();
        let late = tokio::time::timeout(IN_ORDER_WITHIN, asked(&mut terminate, &mut interrupt)).await.is_err();
        let why = if late { "the time to end in order is over" } else { "asked a second time" };
        error!("{why}: what is under way is cut off, and settled by the next process");
        exit(1);
    });
    Ok(stop)
}

async fn asked(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
