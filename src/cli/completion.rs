//! `plumbline completion SHELL`: a script that makes a shell complete the command line. Prints.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, CliError, Exit};

/// Arguments of `plumbline completion`.
#[derive(Clone, Copy, Debug, Args)]
pub struct CompletionArgs {
    /// The shell. For bash: `source <(plumbline completion bash)`
    pub shell: Shell,
}

/// Runs the subcommand.
///
/// # Errors
///
/// If the output cannot be written.
pub fn run(args: CompletionArgs, out: &mut impl Write) -> Result<Exit, CliError> {
    // The generator panics where it cannot write; memory can always be written.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "plumbline", &mut script);
    out.write_all(&script)?;
    Ok(Exit::Ok)
}
