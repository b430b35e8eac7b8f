//! moto, the AWS emulator of most tests and of the demo, as a child process.
//!
//! What it gets wrong is put right by [`crate::aws_proxy`]: talk to moto through a proxy, never directly.

use crate::emulator::Emulator;
use crate::supervisor::Program;

const HEALTH: &str = "/moto-api/";

/// A running emulator; it ends when this value is dropped or when this process ends.
#[derive(Debug)]
pub struct Moto {
    url: String,
    _emulator: Emulator,
}

impl Moto {
    /// Installs moto where it is missing (about a minute), starts it on a free loopback port, waits until it answers.
    ///
    /// # Errors
    /// When the installation fails, or the server does not answer in time; its log is in the message.
    pub fn start() -> anyhow::Result<Self> {
        let emulator = Emulator::start("moto", HEALTH, |programs, log, address| {
            Program::new(programs.join("moto_server"), log)
                .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
                // Without the first, every account and region costs 100 ms and megabytes.
                .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
                .env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
                .env("MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS", "false")
        })?;
        Ok(Self { url: emulator.url(), _emulator: emulator })
    }

    /// Where it listens, as `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::emulator::answers;

    #[test]
    fn the_emulator_ends_with_its_owner() {
        let moto = Moto::start().unwrap();
        let address: SocketAddr = moto.url().trim_start_matches("http://").parse().unwrap();
        assert!(answers(address, HEALTH));
        drop(moto);
        assert!(!answers(address, HEALTH));
    }
}
