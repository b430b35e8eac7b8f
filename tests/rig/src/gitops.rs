//! Flux's own kustomize-controller, a Git repository for it, and the Lua interpreter of Argo CD. Does IO: builds them
//! once a machine, runs them.
//!
//! There is no source-controller: what it would say of a repository is written by [`Repository::push`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail, ensure};
use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use crate::aws_proxy::parking::lock;
use crate::background::Background;
use crate::controlplane::script;
use crate::supervisor::{Program, Supervised};

/// The folder that holds `kustomize-controller`, `lua` and `crds/`.
///
/// # Errors
/// When they cannot be built.
pub async fn programs() -> Result<PathBuf> {
    script("gitops/build").await.context("could not build what GitOps is tested with")
}

/// Starts kustomize-controller for the Kustomizations of all namespaces, with the rights of a kubeconfig file.
///
/// # Errors
/// As [`programs`], and when the log cannot be written.
pub async fn kustomize_controller(kubeconfig: &Path, log: &Path) -> Result<Supervised> {
    Program::new(programs().await?.join("kustomize-controller"), log)
        .args(["--watch-all-namespaces", "--metrics-addr=0", "--health-addr=127.0.0.1:0"])
        // A dependency that becomes ready is seen at once, not half a minute later.
        .args(["--requeue-dependency=1s", "--min-retry-delay=500ms", "--max-retry-delay=2s"])
        .clear_env()
        .env("KUBECONFIG", kubeconfig)
        .env("RUNTIME_NAMESPACE", "flux-system")
        .start()
}

/// Runs a script as Argo CD would, and returns what it returns.
///
/// # Errors
/// As [`programs`], and with the interpreter's message when the script fails.
pub async fn lua(script: &str, object: &Value) -> Result<Value> {
    let mut child = tokio::process::Command::new(programs().await?.join("lua"))
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("could not start the Lua runner")?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    stdin.write_all(object.to_string().as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

type Archives = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A repository as Flux sees it: archives of its revisions on a local HTTP server.
#[derive(Debug)]
pub struct Repository {
    archives: Archives,
    server: Background,
}

impl Repository {
    /// Starts the server.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start() -> Result<Self> {
        let archives = Archives::default();
        let router = Router::new().route("/{name}", axum::routing::get(serve)).with_state(Arc::clone(&archives));
        let server = Background::start("repository", None, move |listener| {
            Ok(async move {
                let _ = axum::serve(listener, router).await;
            })
        })?;
        Ok(Self { archives, server })
    }

    /// Makes a folder the newest revision, and returns the status of a `GitRepository` that says so.
    ///
    /// # Errors
    /// When there is no `tar`, or the folder cannot be read.
    pub async fn push(&self, folder: &Path, now: &str) -> Result<Value> {
        let tar = tokio::process::Command::new("tar")
            .args(["--create", "--gzip", "--directory"])
            .arg(folder)
            .args(["--", "."])
            .output()
            .await
            .context("could not run tar")?;
        ensure!(tar.status.success(), "tar failed: {}", String::from_utf8_lossy(&tar.stderr));
        let digest = Sha256::digest(&tar.stdout)
            .iter()
            .try_fold(String::new(), |mut text, byte| write!(text, "{byte:02x}").map(|()| text))?;
        let (name, size) = (format!("{digest}.tar.gz"), tar.stdout.len());
        lock(&self.archives).insert(name.clone(), tar.stdout);
        let commit: String = digest.chars().take(40).collect();
        let message = format!("stored artifact for revision 'main@sha1:{commit}'");
        Ok(json!({
            "observedGeneration": 1,
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Succeeded", "message": message,
                "observedGeneration": 1, "lastTransitionTime": now,
            }],
            "artifact": {
                "path": name, "url": format!("http://{}/{name}", self.server.address()), "size": size,
                "revision": format!("main@sha1:{commit}"), "digest": format!("sha256:{digest}"), "lastUpdateTime": now,
            },
        }))
    }
}

async fn serve(State(archives): State<Archives>, UrlPath(name): UrlPath<String>) -> Result<Vec<u8>, StatusCode> {
    lock(&archives).get(&name).cloned().ok_or(StatusCode::NOT_FOUND)
}
