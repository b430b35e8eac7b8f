//! An AWS emulator as a child process: installed once a machine, started on a free port, ended with its owner.

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
pub(crate) struct Emulator {
    name: &'static str,
    address: SocketAddr,
    server: Supervised,
}

impl Emulator {
    /// Installs the emulator of this name where it is missing; starts a program of its environment on a free loopback
    /// port, and waits until it answers `health` well.
    pub(crate) fn start(
        name: &'static str,
        health: &str,
        program: impl FnOnce(&Path, PathBuf, SocketAddr) -> Program,
    ) -> anyhow::Result<Self> {
        let environment = install(name)?;
        let address = free_address()?;
        let dir = tempfile::Builder::new().prefix(&format!("plumbline-{name}-")).tempdir()?.keep();
        let program = program(&environment.join("bin"), dir.join(format!("{name}.log")), address);
        let server = program.remove_after(dir).start().with_context(|| format!("cannot start {name}"))?;
        let mut emulator = Self { name, address, server };
        emulator.wait_until_ready(health)?;
        Ok(emulator)
    }

    /// Where it listens, as `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn wait_until_ready(&mut self, health: &str) -> anyhow::Result<()> {
        let name = self.name;
        let deadline = Instant::now() + START_DEADLINE;
        while Instant::now() < deadline {
            if answers(self.address, health) {
                return Ok(());
            }
            if let Some(status) = self.server.exited()? {
                bail!("{name} ended ({status}); its log:\n{}", self.server.log_tail());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("{name} did not answer within {START_DEADLINE:?}; its log:\n{}", self.server.log_tail())
    }
}

/// The virtual environment of one of the Python programs in `tests/python`.
fn install(name: &str) -> anyhow::Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/install");
    let output = Command::new(&script)
        .arg(name)
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

/// Whether a path is answered with 200.
pub(crate) fn answers(address: SocketAddr, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes())?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        Ok(start.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}
