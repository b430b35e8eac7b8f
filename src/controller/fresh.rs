//! Calls whose answer decides about a change: quorum reads without retries, each bounded in time. IO.
//!
//! An answer that does not come is an error, which every caller reads as "no".

use std::fmt::Debug;
use std::time::Duration;

use kube::api::ListParams;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::describe;

/// The API server answers within milliseconds, or is in trouble.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// How many objects come at once: the largest `ChangeRecord` holds two bucket policies of 20 KB.
const PAGE: u32 = 50;

/// The API server gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// It refused, could not be reached, or answered what this version cannot read.
    #[error("{}", said(.0))]
    Api(Box<kube::Error>),
    /// It took the call and said nothing.
    #[error("the API server did not answer within {}s", ANSWER_WITHIN.as_secs())]
    NoAnswer,
}

fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(answer) => answer.message.clone(),
        other => describe(other),
    }
}

impl CallError {
    /// What the API server answered, where it did.
    pub(super) fn answer(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Api(error) => match &**error {
                kube::Error::Api(answer) => Some(answer),
                _ => None,
            },
            Self::NoAnswer => None,
        }
    }

    /// Whether the same call may be answered otherwise later. Where it was not answered, it may have taken effect.
    pub(super) fn may_pass(&self) -> bool {
        self.answer().is_none_or(|answer| matches!(answer.code, 408..=410 | 429 | 500..))
    }
}

/// A client for such calls, beside the one that watches.
pub(super) fn client(config: kube::Config) -> Result<Client, kube::Error> {
    Client::try_from(configured(config))
}

/// What makes a client one for such calls.
pub(super) fn configured(mut config: kube::Config) -> kube::Config {
    config.connect_timeout = Some(Duration::from_secs(5));
    config.read_timeout = Some(Duration::from_secs(5));
    // Else the time that a connection was idle would count.
    config.reset_reader_on_write = true;
    config.default_retry = false;
    config
}

/// Waits for an answer, but not for ever.
pub(super) async fn answered<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
    match timeout(ANSWER_WITHIN, call).await {
        Ok(answer) => answer.map_err(|error| CallError::Api(Box::new(error))),
        Err(_) => Err(CallError::NoAnswer),
    }
}

/// Reads a list page by page; no more than one page is in memory.
pub(super) async fn each<K>(api: &Api<K>, params: ListParams, mut f: impl FnMut(K) + Send) -> Result<(), CallError>
where
    K: Clone + DeserializeOwned + Debug + Send,
{
    let mut params = params.limit(PAGE);
    loop {
        let page = answered(api.list(&params)).await?;
        let next = page.metadata.continue_.clone().filter(|token| !token.is_empty());
        page.items.into_iter().for_each(&mut f);
        match next {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(()),
        }
    }
}

/// A whole list of few and small objects.
pub(super) async fn all<K>(api: &Api<K>, params: ListParams) -> Result<Vec<K>, CallError>
where
    K: Clone + DeserializeOwned + Debug + Send,
{
    let mut found = Vec::new();
    each(api, params, |object| found.push(object)).await?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn error(code: u16) -> CallError {
        CallError::Api(Box::new(kube::Error::Api(Box::new(Status::failure("not today", "Reason").with_code(code)))))
    }

    #[test]
    fn a_refusal_is_final_and_silence_or_trouble_may_pass() {
        for (code, may_pass) in [(400, false), (403, false), (404, false), (409, true), (422, false), (429, true)] {
            assert_eq!(error(code).may_pass(), may_pass, "{code}");
        }
        assert!(error(500).may_pass() && error(503).may_pass() && CallError::NoAnswer.may_pass());
        assert_eq!(error(403).to_string(), "not today");
    }
}
