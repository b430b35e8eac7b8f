//! The settings of the process: its file of settings, and where it serves metrics and probes. No IO.

use std::path::PathBuf;

use clap::Args;

use crate::server::BindAddress;

/// How the process is set up, and seen from outside.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Process")]
pub struct ProcessSettings {
    /// A YAML file with settings: each flag without its dashes in camelCase, such as maxChangesPerHour. Flags and
    /// environment variables go before it
    #[arg(long, env = "PLUMBLINE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where /metrics is served: :PORT, ADDRESS:PORT, or 0 for nowhere
    #[arg(long, env = "PLUMBLINE_METRICS_BIND_ADDRESS", value_name = "ADDRESS", default_value = ":8080")]
    pub metrics_bind_address: BindAddress,
    /// Where /healthz and /readyz are served: :PORT, ADDRESS:PORT, or 0 for nowhere
    #[arg(long, env = "PLUMBLINE_HEALTH_PROBE_BIND_ADDRESS", value_name = "ADDRESS", default_value = ":8081")]
    pub health_probe_bind_address: BindAddress,
}
