//! A server, its certificate and a token into kubeconfig files and clients. Does IO: reads and writes files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

/// An API server as its clients see it.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) url: String,
    /// The file that the API server keeps its certificate in, with the one that signed it.
    pub(super) certificate: PathBuf,
}

impl Cluster {
    /// Writes a kubeconfig that stands for itself: the certificate is copied, not referred to. Whoever reads it at the
    /// same time finds the old one or the new one: tests that share a `ServiceAccount` share its file.
    pub(super) fn write(&self, path: &Path, token: &str) -> Result<()> {
        let text = serde_json::to_vec_pretty(&self.kubeconfig(token)?)?;
        // Only its owner may read what is made so.
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
            file.write_all(&text)?;
            file.persist(path).map_err(|error| error.error)
        };
        write().map(drop).with_context(|| format!("could not write {}", path.display()))
    }

    pub(super) async fn client(&self, token: &str) -> Result<Client> {
        client(serde_json::from_value(self.kubeconfig(token)?)?).await
    }

    fn kubeconfig(&self, token: &str) -> Result<Value> {
        let certificate =
            fs::read(&self.certificate).with_context(|| format!("could not read {}", self.certificate.display()))?;
        // JSON is YAML, and `ByteString` is how Kubernetes writes bytes: base64.
        let certificate = serde_json::to_value(k8s_openapi::ByteString(certificate))?;
        Ok(json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{
                "name": "plumbline-rig",
                "cluster": {"server": self.url, "certificate-authority-data": certificate},
            }],
            "users": [{"name": "plumbline-rig", "user": {"token": token}}],
            "contexts": [{"name": "plumbline-rig", "context": {"cluster": "plumbline-rig", "user": "plumbline-rig"}}],
            "current-context": "plumbline-rig",
        }))
    }
}

/// A client that fails at once: a test is to see the first answer, not the one that a retry got.
pub(super) async fn client(kubeconfig: Kubeconfig) -> Result<Client> {
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}
