//! The settings of enforcement: the switch, the rate, what is kept of records. No IO.

use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};

use crate::api::Days;

/// What others undo is counted for so long: records that are gone earlier would hide it.
const SHORTEST_RETENTION_DAYS: u16 = 14;

/// Whether and how accounts are changed.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Enforcement")]
pub struct EnforcementSettings {
    /// Close drift where an `AwsAccount` names an `enforceRoleName` and a baseline's mode is Enforce. Without it
    /// nothing in AWS is ever changed
    #[arg(long, env = "PLUMBLINE_ENFORCE", value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_value_t = false, default_missing_value = "true",
        value_parser = BoolishValueParser::new())]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::testing;

    fn read(args: &[&str]) -> Result<EnforcementSettings, String> {
        testing::read(args).map(|settings| settings.enforcement)
    }

    #[test]
    fn enforcement_is_off_unless_it_is_asked_for() {
        let settings = read(&[]).unwrap();
        assert!(!settings.enforce);
        assert_eq!((settings.max_changes_per_hour, settings.records_per_account), (100, 1000));
        assert_eq!(settings.record_retention, Duration::from_hours(90 * 24));
        assert!(read(&["--enforce"]).unwrap().enforce && !read(&["--enforce=false"]).unwrap().enforce);
    }

    #[test]
    fn records_are_kept_as_long_as_they_are_counted() {
        assert_eq!(read(&["--record-retention", "14d"]).unwrap().record_retention, Duration::from_hours(14 * 24));
        for (bad, says) in [("13d", "at least 14d"), ("90", "number of days"), ("12h", "number of days")] {
            let error = read(&["--record-retention", bad]).unwrap_err();
            assert!(error.contains(says), "{bad}: {error}");
        }
        assert!(read(&["--records-per-account", "99"]).is_err());
    }
}
