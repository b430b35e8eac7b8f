//! The operator's settings: flags, each also an environment variable and a key of a file (`cli/config.rs`). No IO.

mod enforcement;
mod lease;
mod process;
mod selector;

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;

pub use self::enforcement::EnforcementSettings;
pub use self::lease::LeaseSettings;
#[cfg(test)]
pub(crate) use self::lease::SHORTEST_LEASE;
pub use self::process::ProcessSettings;
pub use self::selector::{LabelSelector, SelectorError};
use crate::api::BaselineDuration;

/// How the operator works.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// Handle only the `AwsAccounts` with these labels, and the baselines that name them
    #[arg(long, env = "PLUMBLINE_SELECTOR", default_value = "", hide_default_value = true)]
    pub selector: LabelSelector,
    /// How many accounts are evaluated at the same time
    #[arg(long, env = "PLUMBLINE_CONCURRENCY", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,
    /// Give up on an account after this time; what was not read by then is Unknown
    #[arg(long, env = "PLUMBLINE_ACCOUNT_TIMEOUT", value_name = "DURATION", default_value = "10m",
        value_parser = duration)]
    pub account_timeout: Duration,
    /// How fast AWS is asked.
    #[command(flatten)]
    pub rates: CallRates,
    /// Whether and how accounts are changed.
    #[command(flatten)]
    pub enforcement: EnforcementSettings,
    /// Which of several replicas works.
    #[command(flatten)]
    pub lease: LeaseSettings,
    /// How the process is set up, and seen from outside.
    #[command(flatten)]
    pub process: ProcessSettings,
}

impl Settings {
    /// Whether this process works only while it holds the Lease. Whoever may change accounts always does.
    #[must_use]
    pub fn elects(&self) -> bool {
        self.lease.leader_elect || self.enforcement.enforce
    }
}

/// How many calls a second AWS gets at most, retries included; as many at once after a pause. The defaults leave most
/// of AWS's own limits to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Call rates")]
pub struct CallRates {
    /// EC2 calls a second, per account and region [default: 4]
    #[arg(long, env = "PLUMBLINE_EC2_CALLS_PER_SECOND", value_name = "CALLS")]
    pub ec2_calls_per_second: Option<NonZeroU32>,
    /// IAM calls a second, per account [default: 5, and 50 at once]
    #[arg(long, env = "PLUMBLINE_IAM_CALLS_PER_SECOND", value_name = "CALLS")]
    pub iam_calls_per_second: Option<NonZeroU32>,
    /// S3 calls a second, per account and region [default: 50]
    #[arg(long, env = "PLUMBLINE_S3_CALLS_PER_SECOND", value_name = "CALLS")]
    pub s3_calls_per_second: Option<NonZeroU32>,
}

/// Reads a duration of hours, minutes and seconds from the command line.
///
/// # Errors
///
/// A sentence that says what a duration looks like.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed = BaselineDuration::from(text).to_duration();
    parsed.ok_or_else(|| "must be hours, minutes and seconds, such as 90s, 10m or 1h30m".to_owned())
}

#[cfg(test)]
mod testing {
    use clap::Parser;

    use super::Settings;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    /// The settings of a command line, or what clap says of it.
    pub(super) fn read(args: &[&str]) -> Result<Settings, String> {
        let line = Line::try_parse_from(std::iter::once(&"plumbline").chain(args));
        line.map(|line| line.settings).map_err(|error| error.to_string())
    }
}
