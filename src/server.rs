//! What the operator serves: `/metrics` on one address, `/healthz` and `/readyz` on another. IO.
//!
//! Ready says what is missing. A process that waits for the Lease is ready: it would take over at once.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::{self, Metrics};

/// Where a server listens: `:8080` is every address of the machine, `0` is nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindAddress {
    /// Nowhere.
    Off,
    /// On this port of every address, IPv6 and IPv4.
    Every(u16),
    /// On this one.
    One(SocketAddr),
}

impl FromStr for BindAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "0" {
            return Ok(Self::Off);
        }
        let port = text.strip_prefix(':').and_then(|port| port.parse().ok()).map(Self::Every);
        let one = || text.parse().ok().map(Self::One);
        port.or_else(one).ok_or_else(|| "must be :PORT, ADDRESS:PORT, or 0 for nowhere".to_owned())
    }
}

impl BindAddress {
    /// Listens there; `None` where that is nowhere.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub async fn listen(self) -> std::io::Result<Option<TcpListener>> {
        match self {
            Self::Off => Ok(None),
            Self::One(address) => TcpListener::bind(address).await.map(Some),
            // Takes IPv4 as well. Where the machine has no IPv6, IPv4 alone.
            Self::Every(port) => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
                Ok(listener) => Ok(Some(listener)),
                Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await.map(Some),
            },
        }
    }
}

/// What has to be there before the process is ready, each with what is missing.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, Option<String>>>>);

impl Readiness {
    /// Says of a thing that it is missing, and why.
    pub fn missing(&self, what: &'static str, why: impl Into<String>) {
        self.set(what, Some(why.into()));
    }

    /// Says of a thing that it is there.
    pub fn there(&self, what: &'static str) {
        self.set(what, None);
    }

    fn set(&self, what: &'static str, missing: Option<String>) {
        // A panic elsewhere cannot have left half an entry.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(what, missing);
    }

    /// Whether nothing is missing, and the lines that say so, as the API server's own `/readyz?verbose` has them.
    #[must_use]
    pub fn report(&self) -> (bool, String) {
        let things = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = !things.is_empty() && things.values().all(Option::is_none);
        let lines = things.iter().map(|(what, missing)| match missing {
            None => format!("[+]{what} ok\n"),
            Some(why) => format!("[-]{what} {why}\n"),
        });
        let end = if ready { "ready\n" } else { "not ready\n" };
        (ready, lines.chain([end.to_owned()]).collect())
    }
}

/// Serves `/metrics` until `stop` is cancelled.
///
/// # Errors
///
/// When the listener fails.
pub async fn serve_metrics(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new().route("/metrics", get(scrape)).with_state(metrics);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn scrape(State(metrics): State<Arc<Metrics>>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let (text, content_type) = if wants_classic(accept) {
        (metrics.encoded_classic(), metrics::CLASSIC_CONTENT_TYPE)
    } else {
        (metrics.encoded(), metrics::CONTENT_TYPE)
    };
    match text {
        Ok(text) => (StatusCode::OK, [(CONTENT_TYPE, content_type)], text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, "text/plain")], error.to_string()),
    }
}

/// Whether a scraper reads plain text and does not say that it reads OpenMetrics.
fn wants_classic(accept: &str) -> bool {
    accept.contains("text/plain") && !accept.contains("application/openmetrics-text")
}

/// Serves `/healthz` and `/readyz` until `stop` is cancelled.
///
/// # Errors
///
/// When the listener fails.
pub async fn serve_probes(listener: TcpListener, readiness: Readiness, stop: CancellationToken) -> std::io::Result<()> {
    let router =
        Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready)).with_state(readiness);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn ready(State(readiness): State<Readiness>) -> impl IntoResponse {
    let (ready, report) = readiness.report();
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_port_an_address_or_nowhere() {
        assert_eq!("0".parse(), Ok(BindAddress::Off));
        assert_eq!(":8080".parse(), Ok(BindAddress::Every(8080)));
        assert_eq!("[::1]:9000".parse(), Ok(BindAddress::One("[::1]:9000".parse().unwrap())));
        assert!("8080".parse::<BindAddress>().is_err() && "localhost".parse::<BindAddress>().is_err());
    }

    #[test]
    fn ready_says_what_is_missing() {
        let readiness = Readiness::default();
        assert!(!readiness.report().0, "nothing was found out yet");
        readiness.there("api-server");
        readiness.missing("crds", "accountbaselines.plumbline.dev is not there: apply the CRDs of this version");
        let (ready, report) = readiness.report();
        assert!(!ready && report.contains("[-]crds accountbaselines.plumbline.dev is not there"), "{report}");
        readiness.there("crds");
        assert_eq!(readiness.report(), (true, "[+]api-server ok\n[+]crds ok\nready\n".to_owned()));
    }
}
