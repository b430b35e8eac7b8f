//! Logs to standard error, as text for people or as JSON for collectors; traces to an OpenTelemetry collector, where
//! the `OTEL_` variables name one. Sets the process's one subscriber.

mod json;
mod post;
mod traces;

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing::warn;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use self::json::Flat;
use self::traces::Traces;

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

/// What a process tells of itself, until it ends.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<Traces>,
}

/// Sets up logging; `default` is the level where none was asked for: quiet for a tool, `info` for an operator. With
/// `traced`, also traces, where they are asked for; must be called within the runtime then.
///
/// # Errors
///
/// If it was set up before, or the filter cannot be read. Traces that cannot be set up are a warning in the log.
pub fn init(args: &TelemetryArgs, default: &str, traced: bool) -> Result<Telemetry, TelemetryError> {
    let level = args.log_level.as_deref().unwrap_or(default);
    let filter = EnvFilter::try_new(level).map_err(|error| TelemetryError(error.into()))?;
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match args.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal() && !no_color).boxed(),
        LogFormat::Json => lines.with_ansi(false).fmt_fields(JsonFields::new()).event_format(Flat).boxed(),
    };
    let asked = if traced { Traces::from_env() } else { Ok(None) };
    let (exported, failure) = asked.map_or_else(|error| (None, Some(error)), |traces| (traces, None));
    let spans = exported.as_ref().map(|traces| {
        // Of our own code alone: what carries the traces has spans too, which would be carried by spans, and so on.
        let own = Targets::new().with_target("plumbline", LevelFilter::INFO);
        let layer = tracing_opentelemetry::layer().with_tracer(traces.tracer());
        layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_filter(own)
    });
    let subscriber = tracing_subscriber::registry().with(spans).with(lines.with_filter(filter));
    subscriber.try_init().map_err(|error| TelemetryError(error.into()))?;
    if let Some(error) = failure {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        warn!(%error, source, "there are no traces");
    }
    Ok(Telemetry { traces: exported })
}

impl Telemetry {
    /// Hands over what has not been handed over yet, for a few seconds at most.
    pub async fn flush(self) {
        if let Some(traces) = self.traces {
            // Fails only where the process ends anyway.
            let _ = tokio::task::spawn_blocking(move || traces.flush()).await;
        }
    }
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
