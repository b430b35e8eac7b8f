//! The settings of the Lease: which of several replicas works. No IO.

use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};

use super::duration;

/// A change is started only where what is left of the Lease outlasts its call: under a shorter Lease none would ever
/// start. A test of `controller/leader.rs` holds this against the time that a call may take.
pub(crate) const SHORTEST_LEASE: Duration = Duration::from_secs(15);

/// Which of several replicas works.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Leader election")]
pub struct LeaseSettings {
    /// Work only while this process holds the Lease, as one of several replicas; --enforce implies it
    #[arg(long, env = "PLUMBLINE_LEADER_ELECT", value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_value_t = false, default_missing_value = "true",
        value_parser = BoolishValueParser::new())]
    pub leader_elect: bool,
    /// The namespace of the Lease [default: the pod's, which `POD_NAMESPACE` names]
    #[arg(long, env = "PLUMBLINE_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// The name of the Lease; a hash of the selector is added where there is one
    #[arg(long, env = "PLUMBLINE_LEASE_NAME", value_name = "NAME", default_value = "plumbline")]
    pub lease_name: String,
    /// How long the Lease lasts without being renewed
    #[arg(long, env = "PLUMBLINE_LEASE_DURATION", value_name = "DURATION", default_value = "15s",
        value_parser = lease)]
    pub lease_duration: Duration,
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
    use super::*;
    use crate::settings::testing::read;

    #[test]
    fn who_enforces_works_under_a_lease_and_who_only_looks_where_it_is_asked_for() {
        let settings = read(&[]).unwrap();
        assert!(!settings.elects());
        let lease = settings.lease;
        assert_eq!((lease.lease_name.as_str(), lease.lease_duration), ("plumbline", Duration::from_secs(15)));
        assert!(read(&["--leader-elect"]).unwrap().elects());
        assert!(read(&["--enforce"]).unwrap().elects());
        assert!(read(&["--enforce", "--leader-elect=false"]).unwrap().elects(), "two must never change one account");
        assert!(!read(&["--leader-elect=no"]).unwrap().elects());
    }

    #[test]
    fn a_lease_outlasts_a_call() {
        assert!(read(&["--lease-duration", "14s"]).unwrap_err().contains("at least 15s"));
    }
}
