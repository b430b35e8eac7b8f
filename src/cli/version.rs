//! `plumbline version`: which build this is. Prints.

use std::io::Write;

use super::{CliError, Exit};
use crate::api::{GROUP, VERSION};

/// Runs the subcommand.
///
/// # Errors
///
/// If the output cannot be written.
pub fn run(out: &mut impl Write) -> Result<Exit, CliError> {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    writeln!(out, "plumbline {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "build: {profile}, {} {}", std::env::consts::OS, std::env::consts::ARCH)?;
    writeln!(out, "kinds: {GROUP}/{VERSION}")?;
    Ok(Exit::Ok)
}
