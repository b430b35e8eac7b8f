//! From each request and its answer to what is told of it. No IO.
//!
//! [`transport`](super::transport) sends requests and does not know of which operation they are; whoever begins a call
//! says so, and everything that is sent within the call is told under its name.

use std::sync::Arc;
use std::time::Instant;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::error::{is_throttle, plain};
use super::operation::Operation;
use super::text::layers;
use super::transport::TransportError;
use crate::engine::calls::{Attempt, CallRecorder};

tokio::task_local! {
    static CALL: Call;
}

/// The call that is under way in a task.
#[derive(Clone)]
struct Call {
    operation: Operation,
    account_id: String,
}

/// Makes a call about an account; empty where it is about none. A call within a call, such as the one for the
/// credentials, has its own name.
pub(super) async fn of<F: Future>(operation: Operation, account_id: &str, call: F) -> F::Output {
    CALL.scope(Call { operation, account_id: account_id.to_owned() }, call).await
}

/// A request that is under way. Where nobody waits for its end, it is told as given up.
pub(super) struct Telling {
    recorder: Arc<dyn CallRecorder>,
    call: Option<Call>,
    since: Instant,
}

impl Telling {
    pub(super) fn begin(recorder: &Arc<dyn CallRecorder>) -> Self {
        Self { recorder: Arc::clone(recorder), call: CALL.try_with(Clone::clone).ok(), since: Instant::now() }
    }

    pub(super) fn end(mut self, answer: &Result<HttpResponse, ConnectorError>) {
        match answer {
            Ok(answer) => {
                let status = answer.status();
                let body = answer.body().bytes().unwrap_or_default();
                let code = if status.is_success() { Some("OK".to_owned()) } else { code(body) };
                let throttled = !status.is_success() && is_throttle(code.as_deref(), status.as_u16());
                self.tell(&code.unwrap_or_else(|| format!("HTTP{}", status.as_u16())), throttled);
            }
            Err(error) if error.is_timeout() => self.tell("Timeout", false),
            Err(error) if layers(error).any(<dyn std::error::Error>::is::<TransportError>) => {
                self.tell("Malformed", false);
            }
            Err(_) => self.tell("NoAnswer", false),
        }
    }

    fn tell(&mut self, code: &str, throttled: bool) {
        let Some(Call { operation, account_id }) = self.call.take() else { return };
        let (service, operation) = operation.name.split_once(':').unwrap_or(("", operation.name));
        let took = self.since.elapsed();
        let attempt = Attempt { account_id: &account_id, service, operation, code, throttled, took };
        self.recorder.attempted(&attempt);
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.tell("GivenUp", false);
    }
}

/// The error code in an answer: `<Code>` of the XML services, `__type` of the JSON ones, where a namespace may precede.
fn code(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let code = if let Some((_, rest)) = text.split_once("<Code>") {
        rest.split_once("</Code>")?.0
    } else {
        let (_, rest) = text.split_once("\"__type\"")?;
        let value = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?.split_once('"')?.0;
        value.rsplit_once('#').map_or(value, |(_, code)| code)
    };
    Some(plain(code.trim()).to_owned()).filter(|code| !code.is_empty())
}

#[cfg(test)]
mod tests;
