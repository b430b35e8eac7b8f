//! The chart into what runs: its objects, and the operator with the arguments and the environment that its Deployment
//! says. Does IO: runs helm, writes the config file.
//!
//! There is no kubelet: what it would make of the Deployment is made here, from the rendered objects and nothing else.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::controlplane::tools;
use crate::supervisor::Program;

/// The release's name.
pub const NAME: &str = "plumbline";

/// The namespace that it is installed in.
pub const NAMESPACE: &str = "plumbline-system";

/// A version of Helm that the chart works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helm {
    /// Helm 3.
    Three,
    /// Helm 4.
    Four,
}

impl Helm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Three, Self::Four];

    /// Its name among the fetched tools.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Three => "helm3",
            Self::Four => "helm",
        }
    }

    /// What a command prints.
    ///
    /// # Errors
    /// When there is no such Helm, or the command fails: with what it said.
    pub async fn run<S: AsRef<OsStr>>(self, args: &[S]) -> Result<String> {
        let home = tempfile::tempdir().context("no temporary folder")?;
        let program = tools().await?.join(self.program());
        let mut command = tokio::process::Command::new(&program);
        // The user's own repositories, plugins and HELM_NAMESPACE are not to decide.
        command.args(args).env_clear().env("HOME", home.path()).stdin(std::process::Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        let output = command.output().await.with_context(|| format!("could not run {}", program.display()))?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// The folder of the chart.
#[must_use]
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/plumbline")
}

/// The objects of a release.
#[derive(Clone, Debug)]
pub struct Release {
    objects: Vec<Value>,
}

impl Release {
    /// Renders the chart without a cluster; `more` is what follows on the command line, such as `--set`.
    ///
    /// # Errors
    /// When Helm refuses.
    pub async fn rendered(helm: Helm, more: &[&str]) -> Result<Self> {
        let chart = chart().display().to_string();
        let args = ["template", NAME, chart.as_str(), "--namespace", NAMESPACE];
        Self::read(&helm.run(&[&args, more].concat()).await?)
    }

    /// Installs the chart, or upgrades to it. Nothing is waited for: no pod will ever run.
    ///
    /// # Errors
    /// When Helm or the API server refuses.
    pub async fn installed(helm: Helm, kubeconfig: &Path, more: &[&str]) -> Result<Self> {
        Self::installed_from(helm, &chart(), NAME, kubeconfig, more).await
    }

    /// The same from another folder, or under another name.
    ///
    /// # Errors
    /// When Helm or the API server refuses.
    pub async fn installed_from(
        helm: Helm,
        chart: &Path,
        name: &str,
        kubeconfig: &Path,
        more: &[&str],
    ) -> Result<Self> {
        let (chart, kubeconfig) = (chart.display().to_string(), kubeconfig.display().to_string());
        let to = ["--namespace", NAMESPACE, "--kubeconfig", kubeconfig.as_str()];
        let install = ["upgrade", "--install", "--create-namespace", name, chart.as_str()];
        helm.run(&[&install, &to[..], more].concat()).await?;
        Self::read(&helm.run(&[&["get", "manifest", name], &to[..]].concat()).await?)
    }

    /// Reads what Helm rendered.
    ///
    /// # Errors
    /// When it is no YAML.
    pub fn read(manifest: &str) -> Result<Self> {
        let objects: Vec<Value> = serde_saphyr::from_multiple(manifest).context("what Helm rendered is no YAML")?;
        Ok(Self { objects: objects.into_iter().filter(|object| !object.is_null()).collect() })
    }

    /// A release of these objects, as a cluster has them.
    pub fn of(objects: impl IntoIterator<Item = Value>) -> Self {
        Self { objects: objects.into_iter().collect() }
    }

    /// All objects.
    #[must_use]
    pub fn objects(&self) -> &[Value] {
        &self.objects
    }

    /// The objects of a kind.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |object| text(object, "/kind") == Some(kind))
    }

    /// What the operator's container is given.
    ///
    /// # Errors
    /// When there is no Deployment with arguments.
    pub fn args(&self) -> Result<Vec<String>> {
        let args = self.container()?.get("args").and_then(Value::as_array).context("a container without arguments")?;
        args.iter().map(|arg| arg.as_str().map(str::to_owned).context("an argument that is no text")).collect()
    }

    /// The variables of its environment, those included that the kubelet fills in.
    ///
    /// # Errors
    /// When one is taken from where only a kubelet could take it.
    pub fn env(&self) -> Result<Vec<(String, String)>> {
        let env = self.container()?.get("env").and_then(Value::as_array).cloned().unwrap_or_default();
        env.iter().map(|variable| self.variable(variable)).collect()
    }

    fn variable(&self, variable: &Value) -> Result<(String, String)> {
        let name = text(variable, "/name").context("a variable without a name")?;
        let value = match (text(variable, "/value"), text(variable, "/valueFrom/fieldRef/fieldPath")) {
            (Some(value), _) => value,
            (None, Some("metadata.namespace")) => text(self.deployment()?, "/metadata/namespace").unwrap_or(NAMESPACE),
            (None, from) => bail!("{name} comes from {from:?}, which only a kubelet knows"),
        };
        Ok((name.to_owned(), value.to_owned()))
    }

    /// Namespace and name of the `ServiceAccount` that the operator runs as.
    ///
    /// # Errors
    /// When there is no Deployment that names one.
    pub fn service_account(&self) -> Result<(&str, &str)> {
        let deployment = self.deployment()?;
        let name = text(deployment, "/spec/template/spec/serviceAccountName").context("no serviceAccountName")?;
        Ok((text(deployment, "/metadata/namespace").unwrap_or(NAMESPACE), name))
    }

    /// The operator as its pod would run it. `dir` takes the log, `operator.log`, and the config file; the servers
    /// listen on free ports of the loopback address. Credentials and `KUBECONFIG` are for the caller to add.
    ///
    /// # Errors
    /// When the objects do not say it, or the config file cannot be written.
    pub fn program(&self, operator: &Path, dir: &Path) -> Result<Program> {
        let args: Vec<String> = self.args()?.iter().map(|arg| self.here(arg, dir)).collect::<Result<_>>()?;
        let program = Program::new(operator, dir.join("operator.log")).args(args).clear_env();
        Ok(self.env()?.into_iter().fold(program, |program, (name, value)| program.env(name, value)))
    }

    /// An argument as it holds outside a pod.
    fn here(&self, arg: &str, dir: &Path) -> Result<String> {
        let Some((flag, value)) = arg.split_once('=') else { return Ok(arg.to_owned()) };
        Ok(match flag {
            "--metrics-bind-address" | "--health-probe-bind-address" if value != "0" => format!("{flag}=127.0.0.1:0"),
            "--config" => {
                let file = Path::new(value).file_name().context("--config names no file")?;
                let key = file.to_str().context("--config names no text")?;
                let contents = self.of_kind("ConfigMap").find_map(|map| map.get("data")?.get(key)?.as_str());
                let path = dir.join(file);
                std::fs::write(&path, contents.with_context(|| format!("no ConfigMap has {key}"))?)?;
                format!("{flag}={}", path.display())
            }
            _ => arg.to_owned(),
        })
    }

    fn deployment(&self) -> Result<&Value> {
        self.of_kind("Deployment").next().context("the release has no Deployment")
    }

    fn container(&self) -> Result<&Value> {
        let containers = self.deployment()?.pointer("/spec/template/spec/containers").and_then(Value::as_array);
        let mut containers = containers.context("a Deployment without containers")?.iter();
        containers.find(|container| text(container, "/name") == Some("plumbline")).context("no container plumbline")
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer).and_then(Value::as_str)
}
