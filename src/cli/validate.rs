//! `plumbline validate -f PATH...`: manifests against the schema and every rule, without a cluster. Reads files and
//! prints.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use super::{CliError, Exit};
use crate::manifests::{Manifests, Problem, load};
use crate::validate::{Objects, Validation};

/// Arguments of `plumbline validate`.
#[derive(Clone, Debug, Args)]
pub struct ValidateArgs {
    /// Files and folders with manifests, `-` for standard input. What is not Plumbline's in them is left out
    #[arg(short, long = "file", value_name = "PATH", required = true, num_args = 1..)]
    pub files: Vec<PathBuf>,
}

/// Runs the subcommand.
///
/// # Errors
///
/// If no manifest could be read.
pub fn run(args: &ValidateArgs, out: &mut impl Write) -> Result<Exit, CliError> {
    let manifests = load(&args.files, &mut std::io::stdin().lock())?;
    if manifests.documents.is_empty() && manifests.problems.is_empty() {
        return Err(CliError::NothingDeclared(names(&args.files)));
    }
    tell_ignored(&manifests);
    match Validation::new()?.at(Timestamp::now()).objects(&manifests) {
        Ok(objects) => {
            for warning in &objects.warnings {
                eprintln!("warning: {warning}");
            }
            writeln!(out, "valid: {}", found(&objects))?;
            Ok(Exit::Ok)
        }
        Err(problems) => {
            report(&problems);
            Ok(Exit::Error)
        }
    }
}

/// `1 AwsAccount, 2 AccountBaselines and 0 BaselineExceptions`: approvals and records only where there are some.
fn found(objects: &Objects) -> String {
    let Objects { accounts, baselines, exceptions, approvals, records, warnings: _ } = objects;
    let mut parts = vec![
        count(accounts.len(), "AwsAccount"),
        count(baselines.len(), "AccountBaseline"),
        count(exceptions.len(), "BaselineException"),
    ];
    let rare = [(approvals.len(), "PlanApproval"), (records.len(), "ChangeRecord")];
    parts.extend(rare.into_iter().filter(|(number, _)| *number > 0).map(|(number, what)| count(number, what)));
    let last = parts.pop().unwrap_or_default();
    format!("{} and {last}", parts.join(", "))
}

/// Writes problems to standard error, one a line, and how many there are.
pub fn report(problems: &[Problem]) {
    for problem in problems {
        eprintln!("{problem}");
    }
    let files = problems.iter().map(|problem| &problem.file).collect::<BTreeSet<_>>().len();
    eprintln!("error: {} in {}", count(problems.len(), "problem"), count(files, "file"));
}

/// Says what was left out, so that a misspelt group does not read as "valid".
pub fn tell_ignored(manifests: &Manifests) {
    if !manifests.ignored.is_empty() {
        let kinds: Vec<_> = manifests.ignored.iter().map(|(kind, number)| format!("{kind} ({number})")).collect();
        eprintln!("note: left out what is not of plumbline.dev: {}", kinds.join(", "));
    }
}

/// Paths as one text for a message.
#[must_use]
pub fn names(paths: &[PathBuf]) -> String {
    let name = |path: &PathBuf| match path.to_str() {
        Some("-") => "standard input".to_owned(),
        _ => path.display().to_string(),
    };
    paths.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
