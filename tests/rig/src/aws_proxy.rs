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
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::Context;
use tokio::sync::oneshot;

pub use self::account::{Account, DEFAULT_ACCOUNT, DEFAULT_REGIONS, Identity, Role, Root, RootMfa, UserState};
pub use self::fault::{Action, Matcher};
pub use self::generator::{Custom, Generator};
use self::parking::lock;
pub use self::request::{AwsRequest, NotUnderstood, Parameters};
use self::serve::{Shared, serve};
pub use self::shape::Answer;
pub use self::trace::Call;
use self::trace::Trace;
use self::upstream::Upstream;
pub use self::xml::Element;

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

/// A running proxy.
#[derive(Debug)]
pub struct AwsProxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl AwsProxy {
    /// Starts a proxy in front of the emulator at `upstream`, an `http://` address.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the file not be written.
    pub fn start(upstream: &str, options: ProxyOptions) -> anyhow::Result<Self> {
        let file = options.trace_file.map(|path| {
            File::options()
                .create(true)
                .append(true)
                .open(&path)
                .with_context(|| format!("cannot write {}", path.display()))
        });
        let listener = TcpListener::bind(options.address.unwrap_or((Ipv4Addr::LOCALHOST, 0).into()))
            .context("the AWS proxy cannot listen")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            trace: Arc::new(Trace::new(options.sequence.unwrap_or_default(), file.transpose()?)),
            rules: std::sync::Mutex::default(),
            state: std::sync::Mutex::default(),
            upstream: Upstream::new(upstream),
        });
        let (stop, stopped) = oneshot::channel();
        let (tell, started) = mpsc::channel();
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("aws-proxy".to_owned())
            .spawn(move || run(serving, listener, stopped, &tell))
            .context("no thread for the AWS proxy")?;
        started.recv().context("the AWS proxy's thread ended")??;
        Ok(Self { shared, address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens, for `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
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

impl Drop for AwsProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the proxy has shown itself in the answers already.
            let _ = thread.join();
        }
    }
}

/// The proxy's thread: serves until the other end of `stopped` goes.
fn run(
    shared: Arc<Shared>,
    listener: TcpListener,
    stopped: oneshot::Receiver<()>,
    tell: &mpsc::Sender<anyhow::Result<()>>,
) {
    let start = || -> anyhow::Result<_> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(async { tokio::net::TcpListener::from_std(listener) })?;
        Ok((runtime, listener))
    };
    // The receiver waits for exactly this one message.
    match start() {
        Err(error) => drop(tell.send(Err(error))),
        Ok((runtime, listener)) => {
            drop(tell.send(Ok(())));
            runtime.block_on(async {
                tokio::select! {
                    () = serve(shared, listener) => {}
                    _ = stopped => {}
                }
            });
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
