//! What the operator serves: `/metrics` on one address, `/healthz` and `/readyz` on another. IO.
//!
//! Ready says what is missing. A process that waits for the Lease is ready: it would take over at once. Alive says that
//! the process itself is not stuck; whether the cluster answers is no question of a restart.

mod alive;

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::alive::{Alive, Heart, alive};
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

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("0"),
            Self::Every(port) => write!(f, ":{port}"),
            Self::One(address) => address.fmt(f),
        }
    }
}

/// Somebody else listens there, or nobody may.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve {what} on {address}: set {flag} to another address, or to 0 for none")]
pub struct ListenError {
    what: &'static str,
    flag: &'static str,
    address: BindAddress,
    #[source]
    source: std::io::Error,
}

impl BindAddress {
    async fn listen(self) -> std::io::Result<Option<TcpListener>> {
        match self {
            Self::Off => Ok(None),
            Self::One(address) => TcpListener::bind(address).await.map(Some),
            // Takes IPv4 as well. Where the machine has no IPv6, IPv4 alone.
            Self::Every(port) => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
                Err(error) if error.kind() != ErrorKind::AddrInUse => {
                    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await.map(Some)
                }
                listening => listening.map(Some),
            },
        }
    }
}

/// What the process serves, once both addresses are its own.
#[derive(Debug)]
pub struct Listeners {
    metrics: Option<TcpListener>,
    probes: Option<TcpListener>,
}

impl Listeners {
    /// Listens on both addresses.
    ///
    /// # Errors
    ///
    /// When one of them cannot be listened on.
    pub async fn open(metrics: BindAddress, probes: BindAddress) -> Result<Self, ListenError> {
        let open = async |what, flag, address: BindAddress| {
            let listener = address.listen().await;
            let listener = listener.map_err(|source| ListenError { what, flag, address, source })?;
            if let Some(address) = listener.as_ref().and_then(|listener| listener.local_addr().ok()) {
                info!(what, %address, "serves");
            }
            Ok(listener)
        };
        Ok(Self {
            metrics: open("metrics", "--metrics-bind-address", metrics).await?,
            probes: open("probes", "--health-probe-bind-address", probes).await?,
        })
    }

    /// Serves until `stop` is cancelled.
    pub async fn serve(self, metrics: Arc<Metrics>, readiness: Readiness, alive: Alive, stop: CancellationToken) {
        let scrapes = async {
            if let Some(listener) = self.metrics {
                let served = serve_metrics(listener, metrics, stop.clone()).await;
                served.unwrap_or_else(|error| warn!(%error, "/metrics is not served any more"));
            }
        };
        let probes = async {
            if let Some(listener) = self.probes {
                let served = serve_probes(listener, readiness, alive, stop.clone()).await;
                served.unwrap_or_else(|error| warn!(%error, "/healthz and /readyz are not served any more"));
            }
        };
        tokio::join!(scrapes, probes);
    }
}

/// What has to be there before the process is ready, each with what is missing.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Things>>);

type Things = BTreeMap<String, Option<String>>;

impl Readiness {
    /// Says of a thing that it is missing, and why.
    pub fn missing(&self, what: impl Into<String>, why: impl Into<String>) {
        self.things().insert(what.into(), Some(why.into()));
    }

    /// Says why a thing is missing, if it still is: what was there once has only to be there once.
    pub fn still_missing(&self, what: &str, why: impl Into<String>) {
        if let Some(Some(missing)) = self.things().get_mut(what) {
            *missing = why.into();
        }
    }

    /// Says of a thing that it is there.
    pub fn there(&self, what: impl Into<String>) {
        self.things().insert(what.into(), None);
    }

    /// Says of a thing that it does not count any more.
    pub fn forget(&self, what: &str) {
        self.things().remove(what);
    }

    fn things(&self) -> MutexGuard<'_, Things> {
        // A panic elsewhere cannot have left half an entry.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is missing, and the lines that say so, as the API server's own `/readyz?verbose` has them.
    #[must_use]
    pub fn report(&self) -> (bool, String) {
        let things = self.things();
        let ready = !things.is_empty() && things.values().all(Option::is_none);
        let lines = things.iter().map(|(what, missing)| match missing {
            None => format!("[+]{what} ok\n"),
            Some(why) => format!("[-]{what} {why}\n"),
        });
        let end = if ready { "ready\n" } else { "not ready\n" };
        (ready, lines.chain([end.to_owned()]).collect())
    }
}

async fn serve_metrics(listener: TcpListener, metrics: Arc<Metrics>, stop: CancellationToken) -> std::io::Result<()> {
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

/// Whether a scraper reads plain text and does not say that it reads `OpenMetrics`.
fn wants_classic(accept: &str) -> bool {
    accept.contains("text/plain") && !accept.contains("application/openmetrics-text")
}

async fn serve_probes(
    listener: TcpListener,
    readiness: Readiness,
    alive: Alive,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let health = Router::new().route("/healthz", get(healthy)).with_state(alive);
    let router = Router::new().route("/readyz", get(ready)).with_state(readiness).merge(health);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn healthy(State(alive): State<Alive>) -> impl IntoResponse {
    match alive.check().await {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(stuck) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{stuck}\n")),
    }
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

    #[test]
    fn what_was_there_once_or_does_not_count_is_not_missing() {
        let readiness = Readiness::default();
        readiness.there("api-server");
        readiness.missing("watch-awsaccounts", "not listed yet");
        readiness.still_missing("watch-awsaccounts", "forbidden");
        assert!(readiness.report().1.contains("[-]watch-awsaccounts forbidden"));
        readiness.there("watch-awsaccounts");
        readiness.still_missing("watch-awsaccounts", "cut");
        assert!(readiness.report().0);
        readiness.missing("watch-awsaccounts", "not listed yet");
        readiness.forget("watch-awsaccounts");
        assert!(readiness.report().0);
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_an_error_that_names_the_flag() {
        let taken = TcpListener::bind("[::]:0").await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = Listeners::open(BindAddress::Off, BindAddress::Every(port)).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot serve probes on :{port}: set --health-probe")));
        let nowhere = Listeners::open(BindAddress::Off, BindAddress::Off).await.unwrap();
        assert!(nowhere.metrics.is_none() && nowhere.probes.is_none());
    }
}
