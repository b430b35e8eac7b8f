//! A real etcd and kube-apiserver into a cluster that tests talk to. Does IO: builds them once a machine, runs them.
//!
//! There is no kubelet, scheduler, garbage collector or namespace controller: what an object makes happen is what the
//! API server and the operator under test make happen. Everything lives in a temporary folder and in processes that
//! are gone when this process is, see [`crate::supervisor`].

mod crds;
mod kubeconfig;
mod programs;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};

pub use self::crds::manifests;
use self::kubeconfig::Cluster;
pub(crate) use self::programs::script;
use self::programs::{free_port, random_token, start_apiserver, start_etcd};
use crate::supervisor::Supervised;

/// Four seconds when the machine is idle; it shares two cores with a test run.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// Between finding a free port and listening on it somebody else may take it.
const ATTEMPTS: u32 = 5;

/// A running control plane; dropping it ends it and removes its files.
#[derive(Debug)]
pub struct ControlPlane {
    // In the order in which they end: an API server without its etcd would fill its log with complaints.
    apiserver: Supervised,
    etcd: Supervised,
    cluster: Cluster,
    admin_kubeconfig: PathBuf,
    kubeconfigs: PathBuf,
    // Last, and only for what the supervisors of the two may have left.
    dir: tempfile::TempDir,
}

impl ControlPlane {
    /// Starts etcd and an API server of its own on free loopback ports and waits until it is ready.
    ///
    /// The first start on a machine builds both and takes minutes, which `tests/controlplane/build` says on standard
    /// error.
    ///
    /// # Errors
    /// When they cannot be built, or end or are not ready in time; the error holds the end of their logs.
    pub async fn start() -> Result<Self> {
        let programs = script("controlplane/build").await.context("could not build the control plane")?;
        let mut attempt = 1;
        loop {
            match Self::launch(&programs, free_port()?).await {
                Err(error) if attempt < ATTEMPTS && error.is::<PortTaken>() => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    /// The control plane that all tests of this process share, started by the first who asks.
    ///
    /// Tests that share it keep apart by names of their own.
    ///
    /// # Errors
    /// As [`ControlPlane::start`]; the next to ask tries again.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    async fn launch(programs: &Path, port: u16) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("plumbline-").tempdir().context("no temporary folder")?;
        let etcd = start_etcd(programs, &dir.path().join("etcd"))?;
        let home = dir.path().join("kube-apiserver");
        let token = random_token()?;
        let apiserver = start_apiserver(programs, &home, &dir.path().join("etcd"), port, &token)?;
        let mut control_plane = Self {
            apiserver,
            etcd,
            cluster: Cluster {
                url: format!("https://127.0.0.1:{port}"),
                certificate: home.join("certs/apiserver.crt"),
            },
            admin_kubeconfig: home.join("admin.kubeconfig"),
            kubeconfigs: home,
            dir,
        };
        control_plane.wait_until_ready(&token).await?;
        Ok(control_plane)
    }

    async fn wait_until_ready(&mut self, token: &str) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let Err(not_yet) = self.ready_in_time(token).await else {
                // A stranger on the port would not know our token, so what answered is what we started.
                return self.cluster.write(&self.admin_kubeconfig, token);
            };
            self.notice_an_early_end()?;
            if Instant::now() >= deadline {
                let tail = self.apiserver.log_tail();
                let limit = READY_WITHIN.as_secs();
                return Err(
                    not_yet.context(format!("the API server is not ready after {limit} s; its log ends:\n{tail}"))
                );
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn notice_an_early_end(&mut self) -> Result<()> {
        for program in [&mut self.etcd, &mut self.apiserver] {
            let Some(status) = program.exited()? else {
                continue;
            };
            let tail = program.log_tail();
            let error = anyhow!("{}: {status}; its log ends:\n{tail}", program.log().display());
            let lost_port = tail.contains("address already in use");
            return Err(if lost_port { error.context(PortTaken) } else { error });
        }
        Ok(())
    }

    /// Something else that has the port may take the connection and never answer.
    async fn ready_in_time(&self, token: &str) -> Result<()> {
        timeout(Duration::from_secs(2), self.ready(token)).await.context("no answer within 2 s")?
    }

    async fn ready(&self, token: &str) -> Result<()> {
        let client = self.cluster.client(token).await?;
        client.request_text(get("/readyz")?).await?;
        // Made soon after, by a loop that readiness does not wait for; kubectl's first command wants it.
        Api::<Namespace>::all(client).get("default").await?;
        Ok(())
    }

    /// The folder that holds all of it and is gone when it ends.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where the API server listens, `https://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.cluster.url
    }

    /// The file of an administrator's kubeconfig (group `system:masters`).
    #[must_use]
    pub fn admin_kubeconfig(&self) -> &Path {
        &self.admin_kubeconfig
    }

    /// A new client with an administrator's rights; a client lives no longer than the runtime that made it.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn admin_client(&self) -> Result<Client> {
        client_of(&self.admin_kubeconfig).await
    }

    /// The file of a kubeconfig for a `ServiceAccount`, which is created, with its namespace, where there is none.
    ///
    /// Its token is good for thirty days and carries no rights but those that RBAC gives the account.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let client = self.admin_client().await?;
        create(&Api::all(client.clone()), &named::<Namespace>(namespace)?).await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(client, namespace);
        create(&accounts, &named::<ServiceAccount>(name)?).await?;
        let request = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(30 * 24 * 60 * 60), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let token = accounts.create_token_request(name, &PostParams::default(), &request).await?;
        let token = token.status.context("the API server issued no token")?.token;
        let path = self.kubeconfigs.join(format!("{namespace}.{name}.kubeconfig"));
        self.cluster.write(&path, &token)?;
        Ok(path)
    }

    /// Creates or updates CRDs, waits until the API server serves them, and returns its warnings.
    ///
    /// # Errors
    /// When the API server refuses one, or does not establish it in time.
    pub async fn install_crds(&self, crds: &[serde_json::Value]) -> Result<Vec<String>> {
        crds::install(&self.admin_client().await?, crds).await
    }
}

/// A client with the rights of a kubeconfig file.
///
/// # Errors
/// When the file cannot be read or is none.
pub async fn client_of(kubeconfig: &Path) -> Result<Client> {
    let read = kube::config::Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("could not read {}", kubeconfig.display()))?;
    kubeconfig::client(read).await
}

/// The folder that holds `kubectl`, and `helm` where we fetched it ourselves.
///
/// # Errors
/// When there is none and none can be fetched.
pub async fn tools() -> Result<PathBuf> {
    script("controlplane/tools").await.context("could not get kubectl")
}

/// The port was somebody else's by the time the program listened on it.
#[derive(Debug)]
struct PortTaken;

impl std::fmt::Display for PortTaken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the port was taken")
    }
}

fn get(path: &str) -> Result<hyper::Request<Vec<u8>>> {
    hyper::Request::get(path).body(Vec::new()).with_context(|| format!("no request for {path}"))
}

fn named<K: DeserializeOwned>(name: &str) -> Result<K> {
    Ok(serde_json::from_value(serde_json::json!({"metadata": {"name": name}}))?)
}

async fn create<K>(api: &Api<K>, object: &K) -> Result<()>
where
    K: Clone + std::fmt::Debug + DeserializeOwned + serde::Serialize,
{
    match api.create(&PostParams::default(), object).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        outcome => outcome.map(|_| ()).context("could not create an object"),
    }
}

#[cfg(test)]
mod tests;
