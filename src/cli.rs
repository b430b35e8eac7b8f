//! The command line: one file for each subcommand.
//!
//! Data goes to standard output, and nothing else does: progress, logs and what is wrong go to standard error. Exit
//! codes are a contract with pipelines, see [`Exit`]. `main` parses, wires and dispatches.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::manifests::ManifestError;
use crate::settings::{ProcessSettings, Settings};
use crate::telemetry::TelemetryArgs;
use crate::validate::SchemaError;

pub mod audit;
pub mod checks;
pub mod completion;
pub mod config;
mod console;
pub mod crd;
mod declared;
pub mod iam_policy;
pub mod plan;
pub mod preset;
mod progress;
pub mod reconcile;
pub mod report;
#[cfg(test)]
mod testing;
pub mod undo;
pub mod validate;
pub mod version;

pub use console::Console;

/// Holds AWS accounts to a declared security baseline.
#[derive(Debug, Parser)]
#[command(name = "plumbline", version, disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    /// Where logs go and how much of them.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Everything that the binary does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator: evaluate accounts continuously and report in the status of their baselines.
    Controller(Settings),
    /// Evaluate live AWS accounts against baselines, without a cluster; reads only, changes nothing.
    Audit(audit::AuditArgs),
    /// Show what enforcement would change in live AWS accounts, and why the rest is held; changes nothing.
    Plan(plan::PlanArgs),
    /// Undo one change that Plumbline made in an AWS account, from its ChangeRecord alone, with your own credentials.
    Undo(undo::UndoArgs),
    /// Ask the operator to look at baselines or accounts now, and wait until it has.
    Reconcile(reconcile::ReconcileArgs),
    /// What needs neither a cluster nor AWS.
    #[command(flatten)]
    Offline(Offline),
}

/// The subcommands that need neither a cluster nor AWS.
#[derive(Debug, Subcommand)]
pub enum Offline {
    /// Check manifests without a cluster: the schema and every rule, with file, line and what to change.
    Validate(validate::ValidateArgs),
    /// Print a baseline to begin with.
    Preset(preset::PresetArgs),
    /// Print what is checked: names, severities and the references of other frameworks.
    Checks(checks::ChecksArgs),
    /// Print the IAM policies of the roles that Plumbline assumes.
    IamPolicy(iam_policy::IamPolicyArgs),
    /// Print the CustomResourceDefinitions.
    Crd(crd::CrdArgs),
    /// Print a completion script for a shell.
    Completion(completion::CompletionArgs),
    /// Print the version.
    Version,
}

/// How a run ends. The numbers are a contract with pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything that was judged passes.
    Ok = 0,
    /// No report could be made: bad input, the only account not reachable.
    Error = 1,
    /// Something fails.
    Failed = 2,
    /// Nothing fails, but something could not be judged.
    Incomplete = 3,
    /// The command line itself is wrong.
    Usage = 64,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a subcommand came to no result. With its sources it is one sentence.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// No manifests could be loaded.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The manifests hold nothing to work on.
    #[error("{0} holds no AwsAccount, AccountBaseline or BaselineException: name the files that declare them")]
    NothingDeclared(String),
    /// The manifests hold nothing that asks for anything.
    #[error("{0} declares no AccountBaseline: name the files that do, or leave -f out for what any baseline can need")]
    NoBaseline(String),
    /// The baselines of the manifests change nothing.
    #[error(
        "{0} declares no control that enforces: set mode: Enforce, or leave -f out for what any baseline can change"
    )]
    NothingEnforced(String),
    /// The accounts of the manifests are reached without a role.
    #[error("{0} names no role of an AwsAccount: set auditRoleName or enforceRoleName")]
    NoRole(String),
    /// A built-in baseline, by a fault of this program.
    #[error("the preset `{0}` is no valid AccountBaseline")]
    Preset(&'static str),
    /// The derived schemas cannot be used.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A document could not be written as JSON or YAML.
    #[error("the output cannot be written as {0}")]
    Format(&'static str, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// A file could not be written.
    #[error("cannot write {0}")]
    Write(String, #[source] std::io::Error),
    /// Standard output could not be written.
    #[error("cannot write to standard output")]
    Output(#[from] std::io::Error),
}

/// Reads the command line, and the operator's file of settings where there is one. Help and version that were asked for
/// end well; everything else that cannot be read is [`Exit::Usage`], which no verdict has.
///
/// # Errors
///
/// The exit code, where there is nothing to run; what there was to say has been printed.
pub fn parse() -> Result<Cli, Exit> {
    let said = |error: clap::Error| {
        // Nothing is left to be said where even this fails.
        let _ = error.print();
        if error.use_stderr() { Exit::Usage } else { Exit::Ok }
    };
    let cli = Cli::try_parse().map_err(said)?;
    let Command::Controller(Settings { process: ProcessSettings { config: Some(file), .. }, .. }) = &cli.command else {
        return Ok(cli);
    };
    // The flags and variables are sound; with the file as defaults they are read once more.
    let command = config::with_file(Cli::command(), file).map_err(|error| {
        eprintln!("error: {:#}", anyhow::Error::from(error));
        Exit::Usage
    })?;
    command.try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)).map_err(said)
}

/// Runs a subcommand that needs neither a cluster nor AWS.
///
/// # Errors
///
/// Why it came to no result. A reader that went away, as `head` does, is no error.
pub fn offline(command: Offline) -> Result<Exit, CliError> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let result = match command {
        Offline::Validate(args) => validate::run(&args, &mut out),
        Offline::Preset(args) => preset::run(args, &mut out),
        Offline::Checks(args) => checks::run(args, &mut out),
        Offline::IamPolicy(args) => iam_policy::run(&args, &mut out),
        Offline::Crd(args) => crd::run(&args, &mut out),
        Offline::Completion(args) => completion::run(args, &mut out),
        Offline::Version => version::run(&mut out),
    };
    match result.and_then(|exit| out.flush().map(|()| exit).map_err(CliError::Output)) {
        Err(CliError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Ok),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_subcommand_and_argument_has_help() {
        let mut command = Cli::command();
        command.build();
        for sub in command.get_subcommands() {
            assert!(sub.get_about().is_some(), "{} has no help", sub.get_name());
            for arg in sub.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {} has no help", sub.get_name(), arg.get_id());
            }
        }
    }
}
