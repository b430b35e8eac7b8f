//! The settings of the process: where it serves metrics and probes, whether it waits for a Lease. No IO.

use clap::Args;
use clap::builder::BoolishValueParser;

use crate::server::BindAddress;

/// How the process is seen from outside.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Process")]
pub struct ProcessSettings {
    /// Where /metrics is served: :PORT, ADDRESS:PORT, or 0 for nowhere
    #[arg(long, env = "PLUMBLINE_METRICS_BIND_ADDRESS", value_name = "ADDRESS", default_value = ":8080")]
    pub metrics_bind_address: BindAddress,
    /// Where /healthz and /readyz are served: :PORT, ADDRESS:PORT, or 0 for nowhere
    #[arg(long, env = "PLUMBLINE_HEALTH_PROBE_BIND_ADDRESS", value_name = "ADDRESS", default_value = ":8081")]
    pub health_probe_bind_address: BindAddress,
    /// Work only while this process holds the Lease, as one of several replicas; --enforce implies it
    #[arg(long, env = "PLUMBLINE_LEADER_ELECT", value_parser = BoolishValueParser::new())]
    pub leader_elect: bool,
}
