//! The server of one proxy: takes a request, files it, disturbs or corrects it, answers.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};

use super::account::{Identity, State};
use super::corrections::{self, Known, s3};
use super::fault::{Action, Disturbance, Rules};
use super::pages::{Asked, Paging};
use super::parking::lock;
use super::request::AwsRequest;
use super::shape::{self, Answer, error};
use super::trace::{Call, Recording, Trace};
use super::upstream::Upstream;

/// What a proxy's server and its owner share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) trace: Arc<Trace>,
    pub(crate) rules: Mutex<Rules>,
    pub(crate) state: Mutex<State>,
    pub(crate) upstream: Upstream,
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

type Body = BoxBody<Bytes, Cut>;

/// Serves connections until the task is dropped.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        // Accepting fails where a client is gone already, or files are short: the next one may succeed.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        tokio::spawn(connection(Arc::clone(&shared), stream));
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { shared.handle(request).await }
    });
    // An error here is a client that hung up, or a cut that a rule asked for.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// A call with everything that was found out about it.
struct Handling<'a> {
    shared: &'a Shared,
    request: &'a AwsRequest,
    caller: &'a Identity,
    paging: Option<(Paging, Result<Asked, Answer>)>,
    disturbance: Disturbance,
}

impl Shared {
    async fn handle(&self, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let request = match AwsRequest::new(&parts, body) {
            Ok(request) => request,
            Err(why) => return send(&Answer::new(400, "text/plain", why.to_string()), None),
        };
        let caller = lock(&self.state).identity(&request.access_key_id);
        let paging = Paging::of(&request).map(|paging| (paging, paging.asked(&request)));
        let page = paging.as_ref().map(|(_, asked)| asked.as_ref().map_or(1, |asked| asked.number));
        let mut recording = self.trace.arrived(arrival(&request, &caller, page));
        let disturbance = lock(&self.rules).decide(&request, &caller.account, page);
        if let Some(name) = name_of(&disturbance) {
            recording.fault(name);
        }
        if let Some(delay) = disturbance.delay {
            tokio::time::sleep(delay).await;
        }
        let handling = Handling { shared: self, request: &request, caller: &caller, paging, disturbance };
        handling.respond(&mut recording).await
    }

    /// The key towards the emulator: the caller's own, or, where the emulator does not know it, one of its account.
    async fn upstream_key(&self, request: &AwsRequest, caller: &Identity) -> anyhow::Result<String> {
        if !caller.registered {
            return Ok(request.access_key_id.clone());
        }
        let known = lock(&self.state).upstream_keys.get(&caller.account).cloned();
        if let Some(key) = known {
            return Ok(key);
        }
        let key = self.upstream.key_for(&caller.account).await?;
        lock(&self.state).upstream_keys.insert(caller.account.clone(), key.clone());
        Ok(key)
    }
}

fn arrival(request: &AwsRequest, caller: &Identity, page: Option<u32>) -> Call {
    Call {
        seq: 0,
        service: request.service.clone(),
        operation: request.operation.clone(),
        account: caller.account.clone(),
        region: request.region.clone(),
        resource: request.resource.clone(),
        status: None,
        mutating: request.is_mutating(),
        page,
        fault: None,
    }
}

fn name_of(disturbance: &Disturbance) -> Option<String> {
    let action = disturbance.action.as_ref().filter(|action| !matches!(action, Action::Pass));
    action.map(Action::name).or_else(|| disturbance.delay.map(|_| "Delay".to_owned()))
}

impl Handling<'_> {
    async fn respond(&self, recording: &mut Recording) -> Result<Response<Body>, Cut> {
        let (request, caller) = (self.request, self.caller);
        let answer = match self.disturbance.action.as_ref().unwrap_or(&Action::Pass) {
            Action::Throttle => shape::throttled(request),
            Action::AccessDenied { message: Some(message) } => shape::access_denied(request, message),
            Action::AccessDenied { message: None } => {
                shape::access_denied(request, &shape::not_allowed(request, &caller.arn, &caller.account))
            }
            Action::DeniedByOrganization => {
                shape::access_denied(request, &shape::denied_by_organization(request, &caller.arn, &caller.account))
            }
            Action::Status(status) => shape::failed(request, *status),
            Action::Error { status, code, message } => error(request, *status, code, message),
            Action::Html => shape::html(),
            Action::Reset => return Err(Cut),
            Action::Hang => std::future::pending().await,
            Action::HangAnswer => {
                self.act().await;
                recording.fault("HungAfterActing".to_owned());
                std::future::pending().await
            }
            Action::DropAnswer => {
                self.act().await;
                return Err(Cut);
            }
            Action::HalfBody => {
                let answer = self.act().await;
                recording.answered(answer.status);
                return send(&answer, Some(answer.body.len() / 2));
            }
            // The last four are not decisions and never stand here.
            Action::Pass | Action::Delay(_) | Action::Paginate { .. } | Action::RepeatToken | Action::Generate(_) => {
                self.act().await
            }
        };
        recording.answered(answer.status);
        send(&answer, None)
    }

    /// The answer that AWS would give.
    async fn act(&self) -> Answer {
        self.try_to_act().await.unwrap_or_else(|why| {
            error(self.request, 501, "EmulatorFailed", &format!("{}: {why:#}", self.request.operation))
        })
    }

    async fn try_to_act(&self) -> anyhow::Result<Answer> {
        let generator = self.disturbance.generator.as_ref();
        if let Some(answer) = generator.and_then(|g| g.answer(self.request, &self.caller.account, &self.disturbance)) {
            return Ok(answer);
        }
        let key = self.shared.upstream_key(self.request, self.caller).await?;
        if self.request.service == "s3" && self.request.operation != "CreateBucket" {
            self.locate(self.request.resource.iter().cloned().collect(), &key).await?;
        }
        let known = self.known(self.request);
        if let Some(answer) = corrections::before(known) {
            return Ok(answer);
        }
        let paging = match &self.paging {
            None => None,
            Some((_, Err(refusal))) => return Ok(refusal.clone()),
            Some((paging, Ok(asked))) => Some((*paging, asked)),
        };
        let whole = paging.map_or_else(|| self.request.clone(), |(paging, _)| paging.whole(self.request));
        let answer = self.shared.upstream.pass(&corrections::upstream(&whole), &key).await?;
        if self.request.is("s3", "ListBuckets") {
            self.locate(s3::without_known_region(known, &answer), &key).await?;
        }
        let answer = corrections::after(known, answer)?;
        match paging {
            Some((paging, asked)) if answer.is_success() => {
                let mut root = answer.parse()?;
                paging.cut(&mut root, asked, &self.disturbance);
                Ok(answer.with_xml(&root))
            }
            _ => Ok(answer),
        }
    }

    fn known<'a>(&'a self, request: &'a AwsRequest) -> Known<'a> {
        Known { request, caller: self.caller, state: &self.shared.state, now: Timestamp::now() }
    }

    /// Asks the emulator where these buckets are, those left out that are known.
    async fn locate(&self, buckets: Vec<String>, key: &str) -> anyhow::Result<()> {
        for bucket in buckets {
            if lock(&self.shared.state).bucket_regions.contains_key(&bucket) {
                continue;
            }
            let mut ask = self.request.clone();
            ask.method = hyper::Method::GET;
            ask.path = format!("/{bucket}");
            "location".clone_into(&mut ask.query);
            ask.body = Bytes::new();
            if let Some(region) = s3::located_in(&self.shared.upstream.pass(&ask, key).await?) {
                lock(&self.shared.state).bucket_regions.insert(bucket, region);
            }
        }
        Ok(())
    }
}

/// The answer on the wire; with `only` so many bytes of the body under the length of the whole, then the end.
fn send(answer: &Answer, only: Option<usize>) -> Result<Response<Body>, Cut> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    let body = match only {
        None => Full::new(answer.body.clone()).map_err(|never: Infallible| match never {}).boxed(),
        Some(bytes) => {
            response = response.header("content-length", answer.body.len());
            let half = answer.body.slice(..bytes.min(answer.body.len()));
            // The pause lets what was written go out before the connection ends.
            let end = stream::once(async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Err(Cut)
            });
            BoxBody::new(StreamBody::new(stream::iter([Ok(Frame::data(half))]).chain(end)))
        }
    };
    response.body(body).map_err(|_| Cut)
}
