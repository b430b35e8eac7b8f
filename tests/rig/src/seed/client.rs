//! A plain client of the emulator in one account: no SDK, no signatures, no proxy between, so nothing is recorded.

use anyhow::{bail, ensure};
use hyper::Method;

use crate::aws_proxy::upstream::{Upstream, Wire, signed_headers};
use crate::aws_proxy::{Answer, Element, Parameters};

/// Calls the emulator with one account's credentials.
#[derive(Debug)]
pub(crate) struct Client {
    upstream: Upstream,
    key: String,
    pub(super) account: String,
}

impl Client {
    pub(crate) async fn new(url: &str, account: &str) -> anyhow::Result<Self> {
        let upstream = Upstream::new(url);
        let key = upstream.key_for(account).await?;
        Ok(Self { upstream, key, account: account.to_owned() })
    }

    /// With the credentials that ministack takes for an account's root.
    pub(crate) fn of_root(url: &str, account: &str) -> Self {
        Self { upstream: Upstream::new(url), key: account.to_owned(), account: account.to_owned() }
    }

    pub(crate) async fn iam(&self, action: &str, parameters: &[(&str, &str)]) -> anyhow::Result<Element> {
        self.query("iam", "us-east-1", "2010-05-08", action, parameters).await
    }

    pub(crate) async fn ec2(&self, region: &str, action: &str, parameters: &[(&str, &str)]) -> anyhow::Result<Element> {
        self.query("ec2", region, "2016-11-15", action, parameters).await
    }

    pub(super) async fn kms(
        &self,
        region: &str,
        action: &str,
        body: &serde_json::Value,
    ) -> anyhow::Result<serde_json::Value> {
        let mut headers = signed_headers(&self.key, region, "kms", "application/x-amz-json-1.1")?;
        headers.insert("x-amz-target", format!("TrentService.{action}").parse()?);
        let wire = Wire { method: Method::POST, target: "/", headers, body: body.to_string().into() };
        let answer = self.send(action, wire).await?;
        Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    /// Puts something at a bucket's path and query, with extra headers.
    pub(crate) async fn put(
        &self,
        region: &str,
        target: &str,
        content_type: &str,
        extra: &[(&'static str, &str)],
        body: String,
    ) -> anyhow::Result<()> {
        let mut headers = signed_headers(&self.key, region, "s3", content_type)?;
        for (name, value) in extra {
            headers.insert(*name, value.parse()?);
        }
        let wire = Wire { method: Method::PUT, target, headers, body: body.into() };
        self.send(&format!("PUT {target}"), wire).await.map(drop)
    }

    async fn query(
        &self,
        service: &str,
        region: &str,
        version: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> anyhow::Result<Element> {
        let mut all = vec![("Action".to_owned(), action.to_owned()), ("Version".to_owned(), version.to_owned())];
        all.extend(parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let headers = signed_headers(&self.key, region, service, "application/x-www-form-urlencoded")?;
        let body = Parameters(all).encode();
        let wire = Wire { method: Method::POST, target: "/", headers, body: body.into() };
        self.send(action, wire).await?.parse()
    }

    async fn send(&self, what: &str, wire: Wire<'_>) -> anyhow::Result<Answer> {
        let answer = self.upstream.exchange(wire).await?;
        ensure!(!answer.is_html(), "the emulator fell over {what}");
        if !answer.is_success() {
            bail!("{what} answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        Ok(answer)
    }
}
