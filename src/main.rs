//! The binary: parses the command line, sets up logs, wires, and turns the outcome into an exit code.

use std::process::ExitCode;

use plumbline::cli::{self, Cli, Command, Exit};
use plumbline::telemetry;

fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            Exit::Error.into()
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<Exit> {
    telemetry::init(&cli.telemetry, "warn")?;
    match cli.command {
        Command::Offline(command) => Ok(cli::offline(command)?),
    }
}
