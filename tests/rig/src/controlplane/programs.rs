//! Folders and ports into running programs, etcd and kube-apiserver. Does IO: runs scripts, makes folders, starts them.

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::supervisor::{Program, Supervised};

const ETCD_SOCKET: &str = "client:0";

/// Runs a script of `tests/` that prints the one folder it is about.
pub(crate) async fn script(name: &str) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    let output = tokio::process::Command::new(&path)
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::inherit())
        .output()
        .await
        .with_context(|| format!("could not run {}", path.display()))?;
    if !output.status.success() {
        bail!("{} failed ({}), see its messages above", path.display(), output.status);
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim_end()))
}

pub(super) fn start_etcd(programs: &Path, home: &Path) -> Result<Supervised> {
    fs::create_dir(home)?;
    // Sockets in our own folder, which, unlike ports, nobody else can take. etcd wants a host and a port in every URL
    // and makes of them the socket's name in its working directory.
    let client = format!("unix://{ETCD_SOCKET}");
    let peer = "unix://peer:0";
    Program::new(programs.join("etcd"), home.join("log"))
        .args(["--unsafe-no-fsync", "--log-level=warn", "--data-dir"])
        .args([home.join("data")])
        .args([format!("--listen-client-urls={client}"), format!("--advertise-client-urls={client}")])
        .args([format!("--listen-peer-urls={peer}"), format!("--initial-advertise-peer-urls={peer}")])
        .args([format!("--initial-cluster=default={peer}")])
        .current_dir(home)
        .clear_env()
        .grace(Duration::ZERO)
        .remove_after(home)
        .start()
}

pub(super) fn start_apiserver(programs: &Path, home: &Path, etcd: &Path, port: u16, token: &str) -> Result<Supervised> {
    fs::create_dir(home)?;
    let certs = home.join("certs");
    let tokens = home.join("tokens.csv");
    fs::write(&tokens, format!("{token},admin,admin,system:masters\n"))?;
    let file = |flag: &str, path: &Path| format!("{flag}={}", path.display());
    // The key that the API server makes for TLS signs the ServiceAccounts' tokens too: one generated file less.
    let key = certs.join("apiserver.key");
    Program::new(programs.join("kube-apiserver"), home.join("log"))
        .args([format!("--etcd-servers=unix://{}/{ETCD_SOCKET}", etcd.display()), format!("--secure-port={port}")])
        .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"])
        .args([file("--cert-dir", &certs), file("--token-auth-file", &tokens)])
        .args(["--service-account-issuer=https://kubernetes.default.svc"])
        .args([file("--service-account-key-file", &key), file("--service-account-signing-key-file", &key)])
        .args(["--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24,fd00:10::/112"])
        // Its controller, which would make each namespace's default account, does not run.
        .args(["--disable-admission-plugins=ServiceAccount"])
        .clear_env()
        .grace(Duration::ZERO)
        .remove_after(home)
        .start()
}

pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?.port())
}

pub(super) fn random_token() -> Result<String> {
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).context("no random numbers")?;
    bytes.iter().try_fold(String::new(), |mut token, byte| {
        write!(token, "{byte:02x}")?;
        Ok(token)
    })
}
