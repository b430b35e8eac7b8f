//! The AWS emulator (moto) as a child process: installed once a machine, started on a free port, ended with its owner.
//!
//! What it gets wrong is put right by [`crate::aws_proxy`]: talk to moto through a proxy, never directly.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::supervisor::{Program, Supervised};

/// Longer than the slowest start measured (5 s beside a compiler on two cores).
const START_DEADLINE: Duration = Duration::from_mins(1);

/// A running emulator; it ends when this value is dropped or when this process ends.
#[derive(Debug)]
pub struct Moto {
    url: String,
    server: Supervised,
}

impl Moto {
    /// Installs moto where it is missing (about a minute), starts it on a free loopback port, waits until it answers.
    ///
    /// # Errors
    /// When the installation fails, or the server does not answer in time; its log is in the message.
    pub fn start() -> anyhow::Result<Self> {
        let environment = install()?;
        let address = free_address()?;
        let dir = tempfile::Builder::new().prefix("plumbline-moto-").tempdir()?.keep();
        let server = Program::new(environment.join("bin/moto_server"), dir.join("moto.log"))
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            // Without the first, every account and region costs 100 ms and megabytes.
            .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
            .env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
            .env("MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS", "false")
            .remove_after(dir)
            .start()
            .context("cannot start the AWS emulator")?;
        let mut moto = Self { url: format!("http://{address}"), server };
        moto.wait_until_ready(address)?;
        Ok(moto)
    }

    /// Where it listens, as `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    fn wait_until_ready(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        while Instant::now() < deadline {
            if answers(address) {
                return Ok(());
            }
            if let Some(status) = self.server.exited()? {
                bail!("the AWS emulator ended ({status}); its log:\n{}", self.server.log_tail());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the AWS emulator did not answer within {START_DEADLINE:?}; its log:\n{}", self.server.log_tail())
    }
}

/// Runs `tests/aws/install` and returns the folder of the virtual environment.
fn install() -> anyhow::Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../aws/install");
    let output = Command::new(&script)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", script.display()))?;
    ensure!(output.status.success(), "{} failed: {}", script.display(), output.status);
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim_end()))
}

fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?)
}

fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /moto-api/ HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        Ok(start.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_emulator_ends_with_its_owner() {
        let moto = Moto::start().unwrap();
        let address: SocketAddr = moto.url().trim_start_matches("http://").parse().unwrap();
        assert!(answers(address));
        drop(moto);
        assert!(!answers(address));
    }
}
