//! Counts the requests to the API server: a layer for the client. No IO of its own.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower::{Layer, Service};

use super::Metrics;

/// What client-go counts a request as that was not answered.
const NO_ANSWER: &str = "<error>";

/// Puts the count around a client's requests.
#[derive(Clone)]
pub struct CountRequests {
    metrics: Arc<Metrics>,
    host: Arc<str>,
}

impl CountRequests {
    /// Counts requests to this host, which a request does not name where the layer sees it.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, host: &str) -> Self {
        Self { metrics, host: host.into() }
    }
}

impl fmt::Debug for CountRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountRequests").field("host", &self.host).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for CountRequests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, count: self.clone() }
    }
}

/// A service whose requests are counted.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    count: CountRequests,
}

impl<S, B, C> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<C>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut counting = Counting { count: self.count.clone(), method: method(request.method()), code: None };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            counting.answered(answer.as_ref().ok().map(|answer| answer.status().as_u16()));
            answer
        })
    }
}

/// Counts when it is dropped, so that a request that nobody waits for any more counts as well.
struct Counting {
    count: CountRequests,
    method: &'static str,
    code: Option<u16>,
}

impl Counting {
    fn answered(&mut self, code: Option<u16>) {
        self.code = code;
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        let code = self.code.map_or_else(|| NO_ANSWER.to_owned(), |code| code.to_string());
        self.count.metrics.state.requests.add(&[&code, self.method, &self.count.host]);
    }
}

fn method(method: &http::Method) -> &'static str {
    ["GET", "POST", "PUT", "PATCH", "DELETE"].into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{Pending, Ready, ready};

    use super::*;

    struct Answers;

    impl Service<Request<()>> for Answers {
        type Response = Response<()>;
        type Error = Infallible;
        type Future = Ready<Result<Response<()>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            ready(Ok(Response::builder().status(409).body(()).unwrap()))
        }
    }

    struct Silent;

    impl Service<Request<()>> for Silent {
        type Response = Response<()>;
        type Error = Infallible;
        type Future = Pending<Result<Response<()>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            std::future::pending()
        }
    }

    #[tokio::test]
    async fn a_request_counts_by_its_answer_or_as_an_error_where_nobody_waited_for_one() {
        let metrics = Arc::new(Metrics::new());
        let layer = CountRequests::new(metrics.clone(), "10.0.0.1:443");
        let request = || Request::put("/apis").body(()).unwrap();
        drop(layer.layer(Answers).call(request()).await);
        drop(layer.layer(Silent).call(request()));
        let text = metrics.encoded().unwrap();
        for code in ["409", "<error>"] {
            let line =
                format!("rest_client_requests_total{{code=\"{code}\",method=\"PUT\",host=\"10.0.0.1:443\"}} 1\n");
            assert!(text.contains(&line), "{line}{text}");
        }
    }
}
