//! Every metric: its name, its type, its labels, what it means. Data only.
//!
//! The registry writes what stands here and nothing else, and `docs/metrics.md` is made from it.

use prometheus_client::metrics::MetricType;

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, and starts at 0 with the process.
    Counter,
    /// What is so now.
    Gauge,
    /// How many took how long; it is `_bucket`, `_sum` and `_count`.
    Histogram,
    /// Always 1: its labels are what it says.
    Info,
}

impl Kind {
    /// The word of the exposition format.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

impl From<Kind> for MetricType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter,
            Kind::Gauge => Self::Gauge,
            Kind::Histogram => Self::Histogram,
            Kind::Info => Self::Info,
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name as it is scraped.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means, in one line.
    pub help: &'static str,
}

impl Metric {
    const fn new(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind, labels, help }
    }

    /// The name of the family: `OpenMetrics` has the suffixes of counters and infos at the samples alone.
    #[must_use]
    pub fn family(&self) -> &'static str {
        let suffix = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        self.name.strip_suffix(suffix).unwrap_or(self.name)
    }
}

macro_rules! table {
    ($($id:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $id: Metric = Metric::new($name, Kind::$kind, &[$($label),*], $help);)*

        /// Every metric that `/metrics` can have, in its order.
        pub const TABLE: &[Metric] = &[$($id),*];
    };
}

table! {
    BUILD: Info "plumbline_build_info" ["version"] "The version that runs";
    RECONCILES: Counter "controller_runtime_reconcile_total" ["controller", "result"]
        "Passes over objects, each counted once, by what came of them";
    RECONCILE_ERRORS: Counter "controller_runtime_reconcile_errors_total" ["controller"]
        "Passes that failed on the side of Kubernetes";
    RECONCILE_TIME: Histogram "controller_runtime_reconcile_time_seconds" ["controller"] "How long passes took";
    ACTIVE: Gauge "controller_runtime_active_workers" ["controller"] "Passes that are under way";
    MAX_CONCURRENT: Gauge "controller_runtime_max_concurrent_reconciles" ["controller"]
        "How many passes may be under way at once";
    REQUESTS: Counter "rest_client_requests_total" ["code", "method", "host"]
        "Requests to the API server, by status, <error> where there was no answer";
    LEADS: Gauge "leader_election_master_status" ["name"] "1 while this process holds the Lease of that name, else 0";
    ACCOUNT: Info "plumbline_account_info" ["account", "account_id"] "An AwsAccount and the account that it names";
    ACCOUNT_CONDITION: Gauge "plumbline_account_condition" ["account", "type", "status", "reason"]
        "1 for each condition of an AwsAccount as it stands now";
    ACCOUNT_VERIFIED: Gauge "plumbline_account_last_verified_timestamp_seconds" ["account"]
        "When the account was last reached and its identity checked";
    ACCOUNT_SUSPENDED: Gauge "plumbline_account_suspended" ["account"] "1 where the AwsAccount is suspended, else 0";
    BASELINE: Info "plumbline_baseline_info" ["baseline", "account", "mode"]
        "An AccountBaseline, the AwsAccount that it is for, and its mode";
    BASELINE_CONDITION: Gauge "plumbline_baseline_condition" ["baseline", "account", "type", "status", "reason"]
        "1 for each condition of an AccountBaseline as it stands now";
    BASELINE_SUSPENDED: Gauge "plumbline_baseline_suspended" ["baseline", "account"]
        "1 where the AccountBaseline is suspended, else 0";
    BASELINE_INTERVAL: Gauge "plumbline_baseline_interval_seconds" ["baseline", "account"]
        "How often the account is to be evaluated";
    BASELINE_EVALUATED: Gauge "plumbline_baseline_last_evaluation_timestamp_seconds" ["baseline", "account"]
        "When the last complete evaluation ended";
    BASELINE_CHANGES: Gauge "plumbline_baseline_plan_changes" ["baseline", "account"]
        "How many changes the plan of the last evaluation has";
    EXCEPTION_CONDITION: Gauge "plumbline_exception_condition" ["exception", "type", "status", "reason"]
        "1 for each condition of a BaselineException as it stands now";
    EXCEPTION_EXPIRES: Gauge "plumbline_exception_expires_timestamp_seconds" ["exception"]
        "When the BaselineException ends";
    FINDINGS: Gauge "plumbline_findings" ["baseline", "account", "control", "severity", "result"]
        "Findings of the last complete evaluation; what there is none of has no series";
    CHANGES: Counter "plumbline_changes_total" ["account", "control", "operation", "outcome"]
        "Changes to AWS that came to an end, each with a ChangeRecord";
    CALLS: Counter "plumbline_aws_calls_total" ["aws_service", "operation", "code"]
        "Requests to AWS, retries too, by AWS's error code, OK where there was none";
    THROTTLED: Counter "plumbline_aws_throttled_total" ["account_id", "aws_service"]
        "Requests to AWS that it refused for being too many, those that were then retried too";
    ASSUME_ROLE_FAILURES: Counter "plumbline_assume_role_failures_total" ["account_id"]
        "Roles that could not be assumed, after all retries";
    CALL_TIME: Histogram "plumbline_aws_call_duration_seconds" ["aws_service"]
        "From sending a request to AWS to the end of its answer, without waiting for one's turn";
    CPU: Counter "process_cpu_seconds_total" [] "User and system time that the process used";
    MEMORY: Gauge "process_resident_memory_bytes" [] "Memory of the process that is resident";
    VIRTUAL: Gauge "process_virtual_memory_bytes" [] "Virtual memory of the process";
    OPEN_FDS: Gauge "process_open_fds" [] "Open file descriptors";
    MAX_FDS: Gauge "process_max_fds" [] "The most file descriptors that may be open";
    STARTED: Gauge "process_start_time_seconds" [] "When the process was started";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_end_as_their_type_demands() {
        let names: BTreeSet<_> = TABLE.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), TABLE.len());
        for metric in TABLE {
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert_eq!(metric.name.ends_with("_info"), metric.kind == Kind::Info, "{}", metric.name);
        }
    }
}
