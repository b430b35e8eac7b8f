//! The settings of `plumbline controller`, and a file of them that becomes the defaults of the command line. Reads that
//! file.
//!
//! clap reads every value, wherever it comes from: a flag, a variable and a key mean the same, and are refused for the
//! same reason. What a flag or a variable says goes before the file, as before any default.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, CommandFactory};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::Cli;

/// The subcommand whose settings these are.
const CONTROLLER: &str = "controller";

/// Where the file itself is named: not in the file.
const CONFIG: &str = "config";

/// One setting of the operator, for its documentation.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Under which settings it is shown.
    pub heading: Option<String>,
    /// The flag without its dashes.
    pub flag: String,
    /// What its value is called.
    pub value: Option<String>,
    /// The environment variable.
    pub variable: Option<String>,
    /// The key in the file; none for the file's own name.
    pub key: Option<String>,
    /// What it is where nobody sets it.
    pub default: Option<String>,
    /// What it does.
    pub help: String,
}

/// Why a file of settings cannot be used. With its sources it is one sentence.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {0}, which --config or PLUMBLINE_CONFIG names")]
    Read(PathBuf, #[source] std::io::Error),
    /// It is no map of keys and values, or a key is there twice.
    #[error("{}: {message}", at(file, *line))]
    Syntax {
        /// The file.
        file: PathBuf,
        /// 1 is its first line.
        line: u64,
        /// What is wrong with it.
        message: String,
    },
    /// There is no setting of this name.
    #[error("{}: there is no setting `{key}`; {hint}", at(file, *line))]
    UnknownKey {
        /// The file.
        file: PathBuf,
        /// 1 is its first line.
        line: u64,
        /// What was written.
        key: String,
        /// What may have been meant.
        hint: String,
    },
    /// The setting does not take this value.
    #[error("{}: {key}: `{value}` {reason}", at(file, *line))]
    Value {
        /// The file.
        file: PathBuf,
        /// 1 is its first line.
        line: u64,
        /// The setting.
        key: String,
        /// What was written.
        value: String,
        /// Why it is none.
        reason: String,
    },
}

fn at(file: &Path, line: u64) -> String {
    format!("{}:{}", file.display(), line.max(1))
}

/// Every setting of the operator, in the order of its help.
#[must_use]
pub fn settings() -> Vec<Setting> {
    arguments(&Cli::command()).into_iter().map(described).collect()
}

/// The command line with the values of a file as its defaults.
///
/// # Errors
///
/// When the file cannot be read, or says what no setting takes.
pub fn with_file(command: Command, file: &Path) -> Result<Command, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|error| ConfigError::Read(file.to_owned(), error))?;
    let defaults = defaults(&command, file, &text)?;
    let set = |arg: Arg| match defaults.get(arg.get_id().as_str()) {
        Some(value) => arg.default_value(value.clone()),
        None => arg,
    };
    Ok(command.mut_args(set).mut_subcommand(CONTROLLER, |controller| controller.mut_args(set)))
}

/// The values of a file by the ids of their arguments.
fn defaults(command: &Command, file: &Path, text: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    let options = serde_saphyr::options! { with_snippet: false };
    let values: Option<BTreeMap<String, Spanned<Value>>> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| ConfigError::Syntax {
            file: file.to_owned(),
            line: error.location().map_or(1, |location| location.line()),
            message: without_place(&first_line(&error.to_string())),
        })?;
    let arguments: BTreeMap<String, &Arg> =
        arguments(command).into_iter().filter_map(|arg| Some((key(arg)?, arg))).collect();
    let mut defaults = BTreeMap::new();
    for (key, value) in values.unwrap_or_default() {
        let (file, line) = (file.to_owned(), value.referenced.line());
        let Some(arg) = arguments.get(&key) else {
            let hint = hint(&key, arguments.keys());
            return Err(ConfigError::UnknownKey { file, line, key, hint });
        };
        let value =
            written(&value.value).and_then(|text| taken(arg, &text).map(|()| text.clone()).map_err(|r| (text, r)));
        match value {
            Ok(value) => drop(defaults.insert(arg.get_id().to_string(), value)),
            Err((value, reason)) => return Err(ConfigError::Value { file, line, key, value, reason }),
        }
    }
    Ok(defaults)
}

/// The arguments of the operator and those of every subcommand, which are the settings of the log.
fn arguments(command: &Command) -> Vec<&Arg> {
    let controller = command.find_subcommand(CONTROLLER).into_iter().flat_map(Command::get_arguments);
    controller.chain(command.get_arguments()).filter(|arg| arg.get_long().is_some()).collect()
}

/// The name of an argument in the file: its flag in camelCase.
fn key(arg: &Arg) -> Option<String> {
    let flag = arg.get_long().filter(|_| arg.get_id() != CONFIG)?;
    let mut words = flag.split('-');
    let first = words.next()?.to_owned();
    Some(words.fold(first, |name, word| {
        let mut letters = word.chars();
        let initial = letters.next().map(|letter| letter.to_ascii_uppercase());
        name.chars().chain(initial).chain(letters).collect()
    }))
}

fn described(arg: &Arg) -> Setting {
    let text = |text: Option<&std::ffi::OsStr>| text.and_then(|text| text.to_str()).map(str::to_owned);
    Setting {
        heading: arg.get_help_heading().map(str::to_owned),
        flag: arg.get_long().unwrap_or_default().to_owned(),
        value: arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string),
        variable: text(arg.get_env()),
        key: key(arg),
        default: text(arg.get_default_values().first().map(AsRef::as_ref)).filter(|default| !default.is_empty()),
        help: arg.get_help().map(ToString::to_string).unwrap_or_default(),
    }
}

/// A value of the file as it would be written behind a flag.
fn written(value: &Value) -> Result<String, (String, String)> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err((value.to_string(), "must be a text, a number, true or false".to_owned()))
        }
    }
}

/// Whether the argument takes this value: clap is asked about this one alone, so that its answer is about the file.
fn taken(arg: &Arg, value: &str) -> Result<(), String> {
    let flag = format!("--{}={value}", arg.get_long().unwrap_or_default());
    let asked = Command::new(CONTROLLER).no_binary_name(true).arg(arg.clone()).try_get_matches_from([flag]);
    asked.map(drop).map_err(|error| match (error.get(ContextKind::ValidValue), error.source()) {
        (Some(ContextValue::Strings(values)), _) if !values.is_empty() => {
            format!("must be one of {}", values.join(", "))
        }
        // Some of clap's own parsers repeat the value.
        (_, Some(source)) => source.to_string().trim_start_matches(value).trim_start().to_owned(),
        _ => first_line(&error.to_string()),
    })
}

/// The nearest of the names, as clap finds it for a flag that was misspelt.
fn hint<'a>(key: &str, names: impl Iterator<Item = &'a String>) -> String {
    let flags = names.map(|name| Arg::new(name.clone()).long(name.clone()));
    let asked = Command::new(CONTROLLER).no_binary_name(true).args(flags).try_get_matches_from([format!("--{key}=")]);
    let near = asked.err().and_then(|error| match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(flag)) => Some(flag.trim_start_matches('-').to_owned()),
        _ => None,
    });
    match near {
        Some(name) => format!("did you mean `{name}`?"),
        None => "docs/settings.md lists all of them".to_owned(),
    }
}

fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// The parser says where in its own words, which would be said twice, and to whoever programs it what else it can do.
fn without_place(message: &str) -> String {
    let end = [" at line ", ", set "].iter().filter_map(|mark| message.find(mark)).min();
    message.get(..end.unwrap_or(message.len())).unwrap_or(message).to_owned()
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;
    use crate::cli;
    use crate::settings::Settings;
    use crate::telemetry::LogFormat;

    fn read(yaml: &str, args: &[&str]) -> Result<(Settings, Cli), String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), yaml).unwrap();
        let line = ["plumbline", CONTROLLER].iter().chain(args);
        let command = with_file(Cli::command(), file.path()).map_err(|error| {
            let name = file.path().display().to_string();
            error.to_string().replace(&name, "FILE")
        })?;
        let cli = Cli::from_arg_matches(&command.try_get_matches_from(line).unwrap()).unwrap();
        let cli::Command::Controller(settings) = &cli.command else { panic!("another subcommand") };
        Ok((settings.clone(), cli))
    }

    #[test]
    fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
        let yaml = "maxChangesPerHour: 50\nenforce: true\nselector: tier=prod\niamCallsPerSecond: 3\n\
                    metricsBindAddress: 0\nlogFormat: json\nlogLevel: debug";
        let (settings, cli) = read(yaml, &[]).unwrap();
        assert_eq!((settings.enforcement.max_changes_per_hour, settings.enforcement.records_per_account), (50, 1000));
        assert!(settings.enforcement.enforce && settings.process.metrics_bind_address.to_string() == "0");
        assert_eq!(settings.rates.iam_calls_per_second.map(u32::from), Some(3));
        assert_eq!(settings.selector.to_string(), "tier=prod");
        assert_eq!((cli.telemetry.log_format, cli.telemetry.log_level.as_deref()), (LogFormat::Json, Some("debug")));
        let flags = ["--max-changes-per-hour", "7", "--enforce=false", "--log-format", "text", "--selector", ""];
        let (settings, cli) = read(yaml, &flags).unwrap();
        assert_eq!(settings.enforcement.max_changes_per_hour, 7);
        assert!(!settings.enforcement.enforce && settings.selector.to_string().is_empty());
        assert_eq!(cli.telemetry.log_format, LogFormat::Text);
    }

    #[test]
    fn an_empty_file_sets_nothing() {
        for yaml in ["", "# nothing yet\n", "{}"] {
            assert_eq!(read(yaml, &[]).unwrap().0.concurrency, 8, "{yaml:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (yaml, says) in [
            (
                "concurrency: 4\nmaxChangePerHour: 5",
                "FILE:2: there is no setting `maxChangePerHour`; did you mean `maxC",
            ),
            ("zzz: 5", "FILE:1: there is no setting `zzz`; docs/settings.md lists all of them"),
            ("config: other.yaml", "there is no setting `config`"),
            ("help: true", "there is no setting `help`"),
            ("\nmaxChangesPerHour: fifty", "FILE:2: maxChangesPerHour: `fifty` invalid digit"),
            ("leaseDuration: 3s", "FILE:1: leaseDuration: `3s` must be at least 15s"),
            ("logFormat: xml", "FILE:1: logFormat: `xml` must be one of text, json"),
            ("concurrency: 0", "FILE:1: concurrency: `0` is not in 1..=65535"),
            ("enforce: perhaps", "FILE:1: enforce: `perhaps` "),
            ("selector: [a, b]", "FILE:1: selector: `[\"a\",\"b\"]` must be a text"),
            ("selector:", "FILE:1: selector: `null` must be a text"),
            ("enforce: true\nenforce: false", "FILE:2: duplicate mapping key: enforce"),
            ("- enforce", "FILE:1: "),
            ("a: b: c", "FILE:1: "),
        ] {
            let error = read(yaml, &[]).unwrap_err();
            assert!(error.contains(says), "{yaml:?}: {error}");
        }
        let missing = with_file(Cli::command(), Path::new("/nowhere/plumbline.yaml")).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read /nowhere/plumbline.yaml"), "{missing}");
    }

    #[test]
    fn every_setting_is_a_flag_a_variable_and_a_key() {
        let settings = settings();
        assert!(settings.len() > 15, "{settings:?}");
        let mut keys = std::collections::BTreeSet::new();
        for setting in settings {
            assert!(setting.variable.as_ref().is_some_and(|name| name.starts_with("PLUMBLINE_")), "{setting:?}");
            assert_eq!(setting.key.is_none(), setting.flag == CONFIG, "{setting:?}");
            assert!(keys.insert(setting.key.clone()), "{setting:?}");
        }
    }
}
