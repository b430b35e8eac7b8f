//! From a request of the exporter to an HTTP exchange, on the HTTP and TLS that the process has anyway. IO.
//!
//! The exporter has a thread of its own, outside of the runtime; the exchange takes place within it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Handle;
use tracing::{info, warn};

/// The longest that one exchange may take. The exporter tries again by itself for as long as
/// `OTEL_EXPORTER_OTLP_TIMEOUT` says.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A collector answers with a few bytes.
const LARGEST_ANSWER: usize = 1 << 20;

/// Sends what the exporter has to send.
#[derive(Clone, Debug)]
pub(super) struct Poster {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
    failing: Arc<AtomicBool>,
}

impl Poster {
    /// With the certificates that the system trusts. Must be called within the runtime.
    pub(super) fn new() -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        // Without any, only a collector without TLS can be reached: then each exchange says why not.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, runtime: Handle::current(), failing: Arc::default() })
    }

    async fn exchange(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.client.request(request.map(Full::new)).await?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().await?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }

    /// Says once that nobody takes the traces, and once that somebody does again.
    fn tell(&self, answer: &Result<Response<Bytes>, HttpError>) {
        let why = match answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the collector answered {}", answer.status())),
            Err(error) => Some(describe(&**error)),
        };
        let was_failing = self.failing.swap(why.is_some(), Ordering::Relaxed);
        match why {
            Some(error) if !was_failing => warn!(error, "traces are not taken, and are lost until they are"),
            None if was_failing => info!("traces are taken again"),
            Some(_) | None => {}
        }
    }
}

fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let source = error.source().map(|source| format!(": {}", describe(source))).unwrap_or_default();
    format!("{error}{source}")
}

#[async_trait]
impl HttpClient for Poster {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let poster = self.clone();
        let exchange = self.runtime.spawn(async move {
            let answer = match tokio::time::timeout(ANSWER_WITHIN, poster.clone().exchange(request)).await {
                Ok(answer) => answer,
                Err(_) => Err(format!("the collector did not answer within {}s", ANSWER_WITHIN.as_secs()).into()),
            };
            poster.tell(&answer);
            answer
        });
        exchange.await?
    }
}
