//! From one attempt of the SDK to one HTTP exchange: waits for its turn, bounds the time, reads the whole answer. IO.
//!
//! This sits below the SDK's retries, so that retries wait for their turn as well: an account that throttles for ever
//! is asked no faster than its rate. And it refuses answers that were cut short, which the SDK's XML reader would take
//! for a shorter list: half a page must never become a complete one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

use super::attempt::Telling;
use super::limits::Limiter;
use crate::engine::calls::CallRecorder;

/// The largest answers are a credential report and a page of authorization details, both of a few MiB.
const MAX_ANSWER: usize = 64 << 20;

/// What can be wrong with an answer before it is looked into.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransportError {
    /// The attempt's time was used up.
    #[error("no complete answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// Empty, or without the end of its XML document.
    #[error("the answer was cut short")]
    CutShort,
    /// A success that the operation does not have.
    #[error("the answer is not the one that AWS gives to a change that was made")]
    NotAnAnswer,
    /// Over [`MAX_ANSWER`].
    #[error("the answer is larger than 64 MiB")]
    TooLarge,
    /// Something asked for a change to be sent again.
    #[error("a change is sent once")]
    SecondAttempt,
}

/// What a successful answer consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// Something, and the whole of it: the answer of a read.
    Something,
    /// A document whose root ends in `Response`: the SDK does not look into answers that have no fields.
    Response,
    /// Nothing.
    Nothing,
}

/// Lets one attempt through, and remembers whether it went.
#[derive(Clone, Debug, Default)]
pub(super) struct Once(Arc<AtomicBool>);

impl Once {
    /// Whether the attempt was handed to the network. Before, nothing can have been changed.
    pub(super) fn is_sent(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// The pool of connections that all clients share: rustls, proxies from the environment.
pub(super) fn connections(connect_timeout: Duration) -> SharedHttpConnector {
    let settings = HttpConnectorSettings::builder().connect_timeout(connect_timeout).build();
    let connector = Connector::builder()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
        .connector_settings(settings)
        .sleep_impl(TokioSleep::new())
        .proxy_config(ProxyConfig::from_env())
        .build();
    SharedHttpConnector::new(connector)
}

/// The HTTP client of one service in one region of one account.
#[derive(Clone)]
pub(super) struct Transport {
    pub(super) connections: SharedHttpConnector,
    pub(super) limiter: Arc<Limiter>,
    pub(super) attempt_timeout: Duration,
    pub(super) expected: Expected,
    /// For a change: the one attempt.
    pub(super) once: Option<Once>,
    /// Is told of each attempt.
    pub(super) recorder: Arc<dyn CallRecorder>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("attempt_timeout", &self.attempt_timeout).finish_non_exhaustive()
    }
}

impl HttpClient for Transport {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Transport {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { connections, limiter, attempt_timeout, expected, once, recorder } = self.clone();
        HttpConnectorFuture::new(async move {
            limiter.until_ready().await;
            if once.is_some_and(|once| once.0.swap(true, Ordering::SeqCst)) {
                return Err(ConnectorError::user(TransportError::SecondAttempt.into()));
            }
            let telling = Telling::begin(&recorder);
            let answer = match tokio::time::timeout(attempt_timeout, exchange(&connections, request, expected)).await {
                Ok(answer) => answer,
                Err(_) => Err(ConnectorError::timeout(TransportError::Timeout(attempt_timeout).into())),
            };
            telling.end(&answer);
            answer
        })
    }
}

/// Sends the request and reads the answer to its end.
async fn exchange(
    connections: &SharedHttpConnector,
    request: HttpRequest,
    expected: Expected,
) -> Result<HttpResponse, ConnectorError> {
    let mut response = connections.call(request).await?;
    let body = read(std::mem::replace(response.body_mut(), SdkBody::taken())).await?;
    if response.status().is_success() {
        expected.check(&body).map_err(|error| ConnectorError::io(error.into()))?;
    }
    *response.body_mut() = SdkBody::from(body);
    Ok(response)
}

async fn read(body: SdkBody) -> Result<Vec<u8>, ConnectorError> {
    let mut stream = ByteStream::new(body);
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| ConnectorError::io(error.into()))?;
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(ConnectorError::other(TransportError::TooLarge.into(), None));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

impl Expected {
    fn check(self, body: &[u8]) -> Result<(), TransportError> {
        match self {
            Self::Nothing if body.trim_ascii().is_empty() => Ok(()),
            Self::Nothing => Err(TransportError::NotAnAnswer),
            Self::Something | Self::Response if is_cut_short(body) => Err(TransportError::CutShort),
            Self::Response if !root(body).is_some_and(|(_, name)| name.ends_with(b"Response")) => {
                Err(TransportError::NotAnAnswer)
            }
            Self::Something | Self::Response => Ok(()),
        }
    }
}

/// Whether a successful answer lacks its end. Every read answers with a body, so an empty one was cut as well. What is
/// no XML is left to the SDK, whose JSON reader notices.
fn is_cut_short(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    if body.is_empty() {
        return true;
    }
    if !body.starts_with(b"<") {
        return false;
    }
    let Some((rest, name)) = root(body) else { return true };
    let closed =
        rest.strip_suffix(b">").and_then(|rest| rest.strip_suffix(name)).is_some_and(|rest| rest.ends_with(b"</"));
    let empty_element = rest.ends_with(b"/>") && !rest.get(1..).unwrap_or_default().contains(&b'<');
    !(closed || empty_element)
}

/// The document from its root element on, and the root's name.
fn root(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = body.trim_ascii();
    while rest.starts_with(b"<?") || rest.starts_with(b"<!") {
        let end = rest.iter().position(|byte| *byte == b'>')?;
        rest = rest.get(end + 1..).unwrap_or_default().trim_ascii_start();
    }
    let inside = rest.strip_prefix(b"<")?;
    let name = inside.split(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/')).next()?;
    Some((rest, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_only_with_the_end_of_its_root_element() {
        let whole = "<?xml version=\"1.0\"?>\n<A xmlns=\"urn:x\"><B>1</B></A>\n";
        assert!(!is_cut_short(whole.as_bytes()));
        for end in 0..whole.trim_end().len() {
            assert!(is_cut_short(&whole.as_bytes()[..end]), "{:?}", &whole[..end]);
        }
        assert!(!is_cut_short(b"<!DOCTYPE html><html lang='en'>busy</html>"));
        assert!(!is_cut_short(b"<A/>"));
        assert!(is_cut_short(b"<A><B/>"));
        assert!(!is_cut_short(b"{\"Statement\": []}"));
    }

    #[test]
    fn a_change_was_made_only_where_the_answer_is_one_of_aws() {
        let page = b"<!DOCTYPE html><html><body>Please sign in</body></html>";
        let done = b"<?xml version='1.0'?><AttachUserPolicyResponse xmlns='urn:x'></AttachUserPolicyResponse>";
        assert!(Expected::Response.check(done).is_ok());
        assert!(Expected::Response.check(page).is_err());
        assert!(Expected::Response.check(b"").is_err());
        assert!(Expected::Response.check(b"{}").is_err());
        assert!(Expected::Response.check(&done[..done.len() - 5]).is_err());
        assert!(Expected::Nothing.check(b"\n").is_ok());
        assert!(Expected::Nothing.check(page).is_err());
        assert!(Expected::Something.check(page).is_ok(), "a read's answer is left to the SDK");
    }
}
