//! The emulator as the proxy and the seeding call it: requests in, whole answers out.

use anyhow::Context;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, DATE, EXPECT, HOST, SERVER, TRANSFER_ENCODING};
use hyper::{HeaderMap, Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::request::AwsRequest;
use super::shape::Answer;

/// A client of the emulator, for one runtime.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A request as it goes over the wire, without what concerns the connection.
#[derive(Debug, Default)]
pub(crate) struct Wire<'a> {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: &'a str,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Upstream {
    pub(crate) fn new(url: &str) -> Self {
        // The emulator closes every connection after its answer.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Self { url: url.trim_end_matches('/').to_owned(), client }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Sends a request and waits for the whole answer.
    pub(crate) async fn exchange(&self, wire: Wire<'_>) -> anyhow::Result<Answer> {
        let mut request = Request::builder()
            .method(wire.method)
            .uri(format!("{}{}", self.url, wire.target))
            .body(Full::new(wire.body))
            .context("not a request that can be sent")?;
        *request.headers_mut() = wire.headers;
        let response = self.client.request(request).await.context("the AWS emulator does not answer")?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.context("the AWS emulator's answer breaks off")?.to_bytes();
        let headers = parts
            .headers
            .iter()
            .filter(|(name, _)| ![CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, DATE, SERVER].contains(name))
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
            .collect();
        Ok(Answer { status: parts.status.as_u16(), headers, body })
    }

    /// Passes a call on, signed as by this access key. The emulator reads the key's id and checks no signature.
    pub(crate) async fn pass(&self, request: &AwsRequest, access_key_id: &str) -> anyhow::Result<Answer> {
        let mut headers = request.headers.clone();
        for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, EXPECT] {
            headers.remove(name);
        }
        if let Some(authorization) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) {
            let signed = authorization
                .replace(&format!("Credential={}/", request.access_key_id), &format!("Credential={access_key_id}/"));
            headers.insert(AUTHORIZATION, signed.parse()?);
        }
        let question = if request.query.is_empty() { "" } else { "?" };
        let target = format!("{}{question}{}", request.path, request.query);
        let wire = Wire { method: request.method.clone(), target: &target, headers, body: request.body.clone() };
        self.exchange(wire).await
    }

    /// A key that makes the emulator act in this account, whose roles it does not check.
    pub(crate) async fn key_for(&self, account: &str) -> anyhow::Result<String> {
        let body =
            format!("Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::{account}:role/rig&RoleSessionName=rig");
        let headers = signed_headers("AKIARIG", "us-east-1", "sts", "application/x-www-form-urlencoded")?;
        let answer = self.exchange(Wire { method: Method::POST, target: "/", headers, body: body.into() }).await?;
        let root = answer.parse()?;
        let key = root.find("AccessKeyId").context("the AWS emulator answered no key")?;
        Ok(key.text.clone())
    }
}

/// The headers of a request that looks signed; the emulator reads the scope and nothing else.
pub(crate) fn signed_headers(key: &str, region: &str, service: &str, content_type: &str) -> anyhow::Result<HeaderMap> {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={key}/20260101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, authorization.parse()?);
    headers.insert("content-type", content_type.parse()?);
    Ok(headers)
}
