//! Logs to standard error, as text for people or as JSON for collectors. Sets the process's one subscriber.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// Where logs go and how much of them.
#[derive(Clone, Debug, Args)]
pub struct TelemetryArgs {
    /// How logs are written to standard error
    #[arg(long, global = true, value_enum, default_value_t, env = "PLUMBLINE_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// How much is logged: error, warn, info, debug, trace, or filters such as `plumbline=debug,kube=info`
    #[arg(long, global = true, env = "PLUMBLINE_LOG", value_name = "LEVEL", value_parser = filter)]
    pub log_level: Option<String>,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Why there can be no logs.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up logging")]
pub struct TelemetryError(#[source] Box<dyn std::error::Error + Send + Sync>);

fn filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Sets up logging; `default` is the level where none was asked for: quiet for a tool, `info` for an operator.
///
/// # Errors
///
/// If it was set up before, or the filter cannot be read.
pub fn init(args: &TelemetryArgs, default: &str) -> Result<(), TelemetryError> {
    let level = args.log_level.as_deref().unwrap_or(default);
    let filter = EnvFilter::try_new(level).map_err(|error| TelemetryError(error.into()))?;
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && !no_color);
    match args.log_format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    }
    .map_err(TelemetryError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_filters_are_read_and_nonsense_is_refused() {
        assert!(["info", "plumbline=debug,kube=info", "off"].iter().all(|text| filter(text).is_ok()));
        assert!(filter("plumbline=loud").is_err());
    }
}
