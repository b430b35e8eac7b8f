//! The settings of enforcement: the switch, the rate, what is kept of records, the Lease. No IO.

use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::duration;
use crate::api::Days;

/// What others undo is counted for so long: records that are gone earlier would hide it.
const SHORTEST_RETENTION_DAYS: u16 = 14;

/// A change is started only where what is left of the Lease outlasts its call: under a shorter Lease none would ever
/// start. A test of `controller/leader.rs` holds this against the time that a call may take.
pub(crate) const SHORTEST_LEASE: Duration = Duration::from_secs(15);

/// Whether and how accounts are changed.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Enforcement")]
pub struct EnforcementSettings {
    /// Close drift where an `AwsAccount` names an `enforceRoleName` and a baseline's mode is Enforce. Without it
    /// nothing in AWS is ever changed
    #[arg(long, env = "PLUMBLINE_ENFORCE", value_parser = BoolishValueParser::new())]
    pub enforce: bool,
    /// How many changes are made within an hour at most, in all accounts together
    #[arg(long, env = "PLUMBLINE_MAX_CHANGES_PER_HOUR", value_name = "CHANGES", default_value_t = 100)]
    pub max_changes_per_hour: u32,
    /// How long `ChangeRecords` are kept, in days; those without outcome are kept for ever
    #[arg(long, env = "PLUMBLINE_RECORD_RETENTION", value_name = "DAYS", default_value = "90d",
        value_parser = retention)]
    pub record_retention: Duration,
    /// How many `ChangeRecords` are kept for an account, the latest ones and those without outcome
    #[arg(long, env = "PLUMBLINE_RECORDS_PER_ACCOUNT", value_name = "RECORDS", default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(100..))]
    pub records_per_account: u32,
    /// The namespace of the Lease that one process holds while it works with --enforce [default: the pod's]
    #[arg(long, env = "PLUMBLINE_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// The name of that Lease; a hash of the selector is added where there is one
    #[arg(long, env = "PLUMBLINE_LEASE_NAME", value_name = "NAME", default_value = "plumbline")]
    pub lease_name: String,
    /// How long the Lease lasts without being renewed
    #[arg(long, env = "PLUMBLINE_LEASE_DURATION", value_name = "DURATION", default_value = "15s",
        value_parser = lease)]
    pub lease_duration: Duration,
}

fn retention(text: &str) -> Result<Duration, String> {
    match Days::from(text).to_days() {
        None => Err("must be a number of days, such as 90d".to_owned()),
        Some(days) if days < SHORTEST_RETENTION_DAYS => {
            let why = "what others undo within that time is counted from the records";
            Err(format!("must be at least {SHORTEST_RETENTION_DAYS}d: {why}"))
        }
        Some(days) => Ok(Duration::from_hours(u64::from(days) * 24)),
    }
}

fn lease(text: &str) -> Result<Duration, String> {
    let parsed = duration(text)?;
    if parsed < SHORTEST_LEASE {
        let why = "a change is started only where the Lease outlasts its call";
        return Err(format!("must be at least {}s: {why}", SHORTEST_LEASE.as_secs()));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::settings::Settings;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    fn read(args: &[&str]) -> Result<EnforcementSettings, String> {
        let line = Line::try_parse_from(std::iter::once(&"plumbline").chain(args));
        line.map(|line| line.settings.enforcement).map_err(|error| error.to_string())
    }

    #[test]
    fn enforcement_is_off_unless_it_is_asked_for() {
        let settings = read(&[]).unwrap();
        assert!(!settings.enforce);
        assert_eq!((settings.max_changes_per_hour, settings.records_per_account), (100, 1000));
        assert_eq!(settings.record_retention, Duration::from_hours(90 * 24));
        assert_eq!((settings.lease_name.as_str(), settings.lease_duration), ("plumbline", Duration::from_secs(15)));
        assert!(read(&["--enforce"]).unwrap().enforce);
    }

    #[test]
    fn records_are_kept_as_long_as_they_are_counted() {
        assert_eq!(read(&["--record-retention", "14d"]).unwrap().record_retention, Duration::from_hours(14 * 24));
        for (bad, says) in [("13d", "at least 14d"), ("90", "number of days"), ("12h", "number of days")] {
            let error = read(&["--record-retention", bad]).unwrap_err();
            assert!(error.contains(says), "{bad}: {error}");
        }
        assert!(read(&["--records-per-account", "99"]).is_err());
        assert!(read(&["--lease-duration", "14s"]).unwrap_err().contains("at least 15s"));
    }
}
