//! The server of one proxy: takes a request, files it, disturbs it or passes it on, answers chunk by chunk.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use futures::{Stream, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use kube::Client;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::Watches;
use super::fault::{Action, Rules};
use super::request::Call;
use crate::aws_proxy::parking::lock;
use crate::aws_proxy::{Recording, Trace};

/// What a proxy's server and its owner share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) trace: Arc<Trace<Call>>,
    pub(super) rules: Mutex<Rules>,
    /// The oldest list of each resource that was answered.
    pub(super) lists: Mutex<BTreeMap<String, Bytes>>,
    pub(super) watches: watch::Receiver<Watches>,
}

/// The connection is to end without (the rest of) an answer.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut by a rule")
    }
}

impl std::error::Error for Cut {}

type Body = UnsyncBoxBody<Bytes, Cut>;

/// Serves connections until the task is dropped.
pub(super) async fn serve(shared: Arc<Shared>, client: Client, listener: TcpListener) {
    loop {
        // Accepting fails where a client is gone already, or files are short: the next one may succeed.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        tokio::spawn(connection(Arc::clone(&shared), client.clone(), stream));
    }
}

async fn connection(shared: Arc<Shared>, client: Client, stream: TcpStream) {
    let service = service_fn(move |request| {
        let (shared, client) = (Arc::clone(&shared), client.clone());
        async move { shared.handle(&client, request).await }
    });
    // An error here is a client that hung up, or a cut that a rule asked for.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl Shared {
    async fn handle(&self, client: &Client, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let call = Call::new(&parts.method, parts.uri.path(), parts.uri.query().unwrap_or_default());
        let mut recording = self.trace.arrived(call.clone());
        let action = lock(&self.rules).decide(&call);
        if action != Action::Pass {
            recording.fault(action.name());
        }
        let request = Request::from_parts(parts, body);
        match action {
            Action::DropRequest => return Err(Cut),
            Action::Hang => std::future::pending().await,
            Action::Status(code) => return whole(recording, code, &status(code)),
            Action::Gone => return whole(recording, 200, &json!({"type": "ERROR", "object": status(410)})),
            Action::ReplayOldest => {
                let list = lock(&self.lists).get(&call.resource).cloned().ok_or(Cut)?;
                recording.answered(200);
                return answer(200, Full::new(list).map_err(|never| match never {}).boxed_unsync());
            }
            Action::Delay(delay) => tokio::time::sleep(delay).await,
            Action::Pass | Action::DropAnswer | Action::HangAnswer => {}
        }
        let response = pass(client, request).await;
        if action == Action::DropAnswer {
            return Err(Cut);
        }
        if action == Action::HangAnswer {
            // What the server did is done only with its whole answer.
            response.map_err(|_| Cut)?.into_body().collect().await.map_err(|_| Cut)?;
            recording.fault("HungAfterActing".to_owned());
            return std::future::pending().await;
        }
        match response {
            Ok(response) if call.verb == "watch" => Ok(self.watched(call.resource, response, recording)),
            Ok(response) => self.read(&call, response, recording).await,
            Err(why) => whole(recording, 502, &json!({"message": format!("no answer from the API server: {why}")})),
        }
    }

    /// An answer that ends by itself, whole.
    async fn read(
        &self,
        call: &Call,
        response: Response<kube::client::Body>,
        mut recording: Recording<Call>,
    ) -> Result<Response<Body>, Cut> {
        let (mut parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        if call.verb == "list" && parts.status.is_success() {
            lock(&self.lists).entry(call.resource.clone()).or_insert_with(|| body.clone());
        }
        recording.answered(parts.status.as_u16());
        for name in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
            parts.headers.remove(name);
        }
        Ok(Response::from_parts(parts, Full::new(body).map_err(|never| match never {}).boxed_unsync()))
    }

    /// The events of a watch as they come; the recording is open as long as they do.
    fn watched(
        &self,
        resource: String,
        response: Response<kube::client::Body>,
        mut recording: Recording<Call>,
    ) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        recording.answered(parts.status.as_u16());
        for name in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
            parts.headers.remove(name);
        }
        let watches = self.watches.clone();
        let cuts = watches.borrow().cuts_of(&resource);
        let events = Events { body, watches, resource, cuts, _recording: recording };
        Response::from_parts(parts, UnsyncBoxBody::new(StreamBody::new(events.stream())))
    }
}

/// A watch under way.
struct Events {
    body: kube::client::Body,
    watches: watch::Receiver<Watches>,
    resource: String,
    /// How often this resource's watches had been cut when this one began.
    cuts: u32,
    _recording: Recording<Call>,
}

impl Events {
    fn stream(self) -> impl Stream<Item = Result<Frame<Bytes>, Cut>> {
        stream::unfold(Some(self), |events| async {
            let mut events = events?;
            match events.next().await {
                Some(Ok(frame)) => Some((Ok(frame), Some(events))),
                Some(Err(cut)) => Some((Err(cut), None)),
                None => None,
            }
        })
    }

    /// The next chunk once it may go through. Who hangs up drops the future, and the chunk with it.
    async fn next(&mut self) -> Option<Result<Frame<Bytes>, Cut>> {
        let mut held = None;
        loop {
            let (cuts, frozen) = {
                let watches = self.watches.borrow_and_update();
                (watches.cuts_of(&self.resource), watches.frozen.contains(&self.resource))
            };
            if cuts != self.cuts {
                return Some(Err(Cut));
            }
            if !frozen && let Some(frame) = held.take() {
                return frame;
            }
            tokio::select! {
                frame = self.body.frame(), if held.is_none() => {
                    held = Some(frame.map(|frame| frame.map_err(|_| Cut)));
                }
                changed = self.watches.changed() => if changed.is_err() {
                    return Some(Err(Cut));
                }
            }
        }
    }
}

/// Passes a request on with the headers that are the caller's, the token among them.
async fn pass(client: &Client, request: Request<Bytes>) -> Result<Response<kube::client::Body>, kube::Error> {
    let (mut parts, body) = request.into_parts();
    for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
        parts.headers.remove(name);
    }
    client.send(Request::from_parts(parts, kube::client::Body::from(body))).await
}

fn whole(mut recording: Recording<Call>, code: u16, body: &Value) -> Result<Response<Body>, Cut> {
    recording.answered(code);
    let body = Full::new(Bytes::from(format!("{body}\n")));
    answer(code, body.map_err(|never| match never {}).boxed_unsync())
}

fn answer(code: u16, body: Body) -> Result<Response<Body>, Cut> {
    let response = Response::builder().status(code).header(CONTENT_TYPE, "application/json");
    response.body(body).map_err(|_| Cut)
}

/// A `Status` as the API server makes it.
fn status(code: u16) -> Value {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "Unknown",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "said by a rule of the test", "reason": reason, "code": code,
    })
}
