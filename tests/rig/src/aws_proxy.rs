//! The proxy between Plumbline and the AWS emulator: every call recorded, disturbed where a rule says so, and answered
//! as AWS would have answered where the emulator does not.
//!
//! ```text
//! plumbline --AWS_ENDPOINT_URL--> AwsProxy --> moto
//! ```
//!
//! Each test has a proxy of its own in front of one shared emulator. A proxy runs on a thread of its own, so it
//! outlives the runtime of the test that started it, and ends when it is dropped.

mod account;
mod corrections;
mod fault;
mod generator;
mod pages;
pub(crate) mod parking;
mod request;
mod serve;
mod shape;
mod trace;
pub(crate) mod upstream;
pub(crate) mod xml;

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;

pub use self::account::{Account, DEFAULT_ACCOUNT, DEFAULT_REGIONS, Identity, Role, Root, RootMfa, UserState};
pub use self::fault::{Action, Matcher};
pub use self::generator::{Custom, Generator};
use self::parking::lock;
pub use self::request::{AwsRequest, NotUnderstood, Parameters};
use self::serve::{Shared, serve};
pub use self::shape::Answer;
pub use self::trace::Call;
pub(crate) use self::trace::{Numbered, Recording, Trace};
use self::upstream::Upstream;
pub use self::xml::Element;
use crate::background::Background;

/// How a proxy is set up.
#[derive(Debug, Default)]
pub struct ProxyOptions {
    /// Where the numbers of calls come from; shared with other proxies for one order across them.
    pub sequence: Option<Arc<AtomicU64>>,
    /// A file that gets a line of JSON for each call when it ends.
    pub trace_file: Option<PathBuf>,
    /// Where to listen; a free loopback port where none is given.
    pub address: Option<SocketAddr>,
}

impl ProxyOptions {
    /// The record that these options ask for.
    pub(crate) fn trace<C: Numbered>(self) -> anyhow::Result<Trace<C>> {
        let open = |path: &PathBuf| {
            let file = File::options().create(true).append(true).open(path);
            file.with_context(|| format!("cannot write {}", path.display()))
        };
        let file = self.trace_file.as_ref().map(open).transpose()?;
        Ok(Trace::new(self.sequence.unwrap_or_default(), file))
    }
}

/// A running proxy.
#[derive(Debug)]
pub struct AwsProxy {
    shared: Arc<Shared>,
    server: Background,
}

impl AwsProxy {
    /// Starts a proxy in front of the emulator at `upstream`, an `http://` address.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the file not be written.
    pub fn start(upstream: &str, options: ProxyOptions) -> anyhow::Result<Self> {
        let address = options.address;
        let shared = Arc::new(Shared {
            trace: Arc::new(options.trace()?),
            rules: std::sync::Mutex::default(),
            state: std::sync::Mutex::default(),
            upstream: Upstream::new(upstream),
        });
        let serving = Arc::clone(&shared);
        let server = Background::start("aws-proxy", address, |listener| Ok(serve(serving, listener)))?;
        Ok(Self { shared, server })
    }

    /// Where it listens, for `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// All calls in the order of their arrival.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.trace.calls()
    }

    /// How many calls of this operation arrived, such as `("iam", "ListUsers")`.
    #[must_use]
    pub fn count(&self, service: &str, operation: &str) -> usize {
        let calls = self.calls();
        calls.iter().filter(|call| call.service == service && call.operation == operation).count()
    }

    /// Forgets the calls in memory; the file and the numbers go on.
    pub fn clear(&self) {
        self.shared.trace.clear();
    }

    /// Disturbs the calls that match, from now on; with `times` only so many of them. Newer rules go before older ones.
    pub fn rule(&self, matcher: Matcher, action: Action, times: Option<u32>) {
        lock(&self.shared.rules).add(matcher, action, times);
    }

    /// Forgets all rules.
    pub fn clear_rules(&self) {
        lock(&self.shared.rules).clear();
    }

    /// Declares what the emulator cannot hold of an account; replaces what was declared before.
    pub fn declare(&self, account_id: &str, account: Account) {
        lock(&self.shared.state).accounts.insert(account_id.to_owned(), account);
    }

    /// Changes what was declared of an account, while calls come in.
    pub fn change(&self, account_id: &str, change: impl FnOnce(&mut Account)) {
        let mut state = lock(&self.shared.state);
        change(state.accounts.entry(account_id.to_owned()).or_insert_with(Account::unknown));
    }

    /// Whether an account was declared.
    #[must_use]
    pub fn is_declared(&self, account_id: &str) -> bool {
        lock(&self.shared.state).accounts.contains_key(account_id)
    }

    /// Makes an access key the one of this account and ARN.
    pub fn register_key(&self, access_key_id: &str, account_id: &str, arn: &str) {
        let identity = Identity { account: account_id.to_owned(), arn: arn.to_owned(), registered: true };
        lock(&self.shared.state).identities.insert(access_key_id.to_owned(), identity);
    }

    /// A new access key of the user `operator` of this account, for what runs with the account's own credentials.
    #[must_use]
    pub fn key_of(&self, account_id: &str) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let key = format!("AKIARIG{:013}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.register_key(&key, account_id, &format!("arn:aws:iam::{account_id}:user/operator"));
        key
    }

    /// Remembers what seeding told the emulator of a bucket and the emulator does not keep.
    pub(crate) fn remember_bucket(&self, bucket: &str, region: &str, blocked_encryption: Vec<String>) {
        let mut state = lock(&self.shared.state);
        state.bucket_regions.insert(bucket.to_owned(), region.to_owned());
        state.blocked_encryption.insert(bucket.to_owned(), blocked_encryption);
    }

    pub(crate) fn upstream_url(&self) -> &str {
        self.shared.upstream.url()
    }
}

#[cfg(test)]
pub(crate) mod tests;
