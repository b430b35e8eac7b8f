//! The proxy between Plumbline and the API server: every call recorded, disturbed where a rule says so, and watches
//! that can be cut, frozen and answered from an older view.
//!
//! ```text
//! plumbline --KUBECONFIG, http--> KubeProxy --TLS--> kube-apiserver
//! ```
//!
//! It passes the caller's token on, so that the API server's answers are those to the caller. It runs on a thread of
//! its own and ends when it is dropped.

mod fault;
mod request;
mod serve;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;
use tokio::sync::watch;

pub use self::fault::{Action, Matcher};
pub use self::request::Call;
use self::serve::{Shared, serve};
use crate::aws_proxy::ProxyOptions;
use crate::aws_proxy::parking::lock;
use crate::background::Background;

/// What was said about watches that are open or will be.
#[derive(Debug, Clone, Default)]
struct Watches {
    /// Whose events are held back.
    frozen: BTreeSet<String>,
    /// How often the watches of a resource were cut.
    cuts: BTreeMap<String, u32>,
}

impl Watches {
    fn cuts_of(&self, resource: &str) -> u32 {
        self.cuts.get(resource).copied().unwrap_or_default()
    }
}

/// A running proxy.
#[derive(Debug)]
pub struct KubeProxy {
    shared: Arc<Shared>,
    watches: watch::Sender<Watches>,
    server: Background,
    // Holds kubeconfigs with tokens.
    dir: tempfile::TempDir,
}

impl KubeProxy {
    /// Starts a proxy in front of the API server that a kubeconfig file names. The user in it is not used: each caller
    /// brings a token.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used, the address not be listened on, or the trace file not be written.
    pub async fn start(kubeconfig: &Path, options: ProxyOptions) -> anyhow::Result<Self> {
        let read =
            Kubeconfig::read_from(kubeconfig).with_context(|| format!("could not read {}", kubeconfig.display()))?;
        let mut config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
        config.auth_info = AuthInfo::default();
        // What the API server answers is to be seen by the caller, not by a retry in between.
        config.default_retry = false;
        let (watches, told) = watch::channel(Watches::default());
        let address = options.address;
        let shared = Arc::new(Shared {
            trace: Arc::new(options.trace()?),
            rules: std::sync::Mutex::default(),
            lists: std::sync::Mutex::default(),
            watches: told,
        });
        let serving = Arc::clone(&shared);
        let server = Background::start("kube-proxy", address, move |listener| {
            Ok(serve(serving, Client::try_from(config)?, listener))
        })?;
        let dir = tempfile::tempdir().context("no temporary folder")?;
        Ok(Self { shared, watches, server, dir })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// A copy of a kubeconfig file that leads through this proxy, with the same user.
    ///
    /// # Errors
    /// When the file cannot be read or the copy not be written.
    pub fn kubeconfig(&self, of: &Path) -> anyhow::Result<PathBuf> {
        let text = fs::read_to_string(of).with_context(|| format!("could not read {}", of.display()))?;
        let mut config: Value = serde_saphyr::from_str(&text)?;
        let clusters = config.pointer_mut("/clusters").and_then(Value::as_array_mut);
        for cluster in clusters.context("a kubeconfig without clusters")? {
            *cluster.pointer_mut("/cluster").context("a cluster without an address")? =
                serde_json::json!({"server": self.url()});
        }
        let path = self.dir.path().join(of.file_name().context("not a file")?);
        let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(config.to_string().as_bytes()))
            .with_context(|| format!("could not write {}", path.display()))?;
        Ok(path)
    }

    /// All calls in the order of their arrival.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.trace.calls()
    }

    /// The calls with this verb to this resource, such as `("update-status", "accountbaselines")`.
    #[must_use]
    pub fn calls_of(&self, verb: &str, resource: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.verb == verb && call.resource == resource).collect()
    }

    /// Forgets the calls in memory; the file and the numbers go on.
    pub fn clear(&self) {
        self.shared.trace.clear();
    }

    /// Disturbs the calls that match, from now on; with `times` only so many of them. Newer rules go before older ones.
    pub fn rule(&self, matcher: Matcher, action: Action, times: Option<u32>) {
        lock(&self.shared.rules).add(matcher, action, times);
    }

    /// Forgets all rules. What is frozen stays frozen.
    pub fn clear_rules(&self) {
        lock(&self.shared.rules).clear();
    }

    /// Holds back the events of all watches of a resource, open ones and new ones; their connections stay open.
    pub fn freeze(&self, resource: &str) {
        self.watches.send_modify(|watches| {
            watches.frozen.insert(resource.to_owned());
        });
    }

    /// Lets the events of a resource through, first those that were held back.
    pub fn thaw(&self, resource: &str) {
        self.watches.send_modify(|watches| {
            watches.frozen.remove(resource);
        });
    }

    /// Breaks the connections of all open watches of a resource.
    pub fn cut(&self, resource: &str) {
        self.watches.send_modify(|watches| *watches.cuts.entry(resource.to_owned()).or_default() += 1);
    }
}

#[cfg(test)]
mod tests;
