//! What is told of the requests to a cloud, to whoever counts them. A trait alone.

use std::time::Duration;

/// One request that was sent, with what came of it. A call that is retried is several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// The account that it was about, twelve digits; empty where it was about none.
    pub account_id: &'a str,
    /// `iam`
    pub service: &'static str,
    /// `ListUsers`
    pub operation: &'static str,
    /// `OK`, or AWS's own code for the error. Where AWS gave none: `Timeout`; `NoAnswer` where the connection failed;
    /// `Malformed` where the answer is none of AWS; `GivenUp` where nobody waited any more; `HTTP` and the status.
    pub code: &'a str,
    /// AWS refused it for being one too many.
    pub throttled: bool,
    /// From its sending to the end of the answer.
    pub took: Duration,
}

/// Counts requests. Called from within calls: it must not wait for anything.
pub trait CallRecorder: Send + Sync {
    /// A request was sent, and this came of it.
    fn attempted(&self, attempt: &Attempt<'_>);
    /// A role of the account could not be assumed, after all retries.
    fn assume_role_failed(&self, account_id: &str);
}

/// Nobody counts.
#[derive(Clone, Copy, Debug)]
pub struct Unrecorded;

impl CallRecorder for Unrecorded {
    fn attempted(&self, _: &Attempt<'_>) {}
    fn assume_role_failed(&self, _: &str) {}
}
