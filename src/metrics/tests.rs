use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::api::{
    AccountBaseline, AccountBaselineSpec, AccountBaselineStatus, AwsAccount, AwsAccountSpec, BaselineException,
    BaselineExceptionSpec, Condition, DriftEntry, PlanStatus,
};
use crate::engine::calls::{Attempt, CallRecorder};

/// Accounts by name, with the number of baselines of each.
struct Stage {
    accounts: Mutex<Vec<String>>,
    baselines: usize,
}

fn condition(r#type: &str) -> Condition {
    Condition {
        r#type: r#type.to_owned(),
        status: "True".to_owned(),
        observed_generation: 1,
        last_transition_time: Timestamp::UNIX_EPOCH,
        reason: "Evaluated".to_owned(),
        message: "the bucket arn:aws:s3:::secret of sg-0123 is not what it should be".to_owned(),
    }
}

fn account(name: &str) -> AwsAccount {
    let spec = AwsAccountSpec { account_id: "222222222222".into(), ..AwsAccountSpec::default() };
    let mut account = AwsAccount::new(name, spec);
    let conditions = vec![condition("Ready")];
    let last_verified_at = Some(Timestamp::UNIX_EPOCH);
    account.status = Some(crate::api::AwsAccountStatus { last_verified_at, conditions, ..Default::default() });
    account
}

fn baseline(name: &str, account: &str) -> AccountBaseline {
    let mut baseline = AccountBaseline::new(name, AccountBaselineSpec::default());
    baseline.spec.account_ref.name = account.to_owned();
    baseline.spec.interval = "90m".into();
    let drift = ["passwordPolicy", "mfa", "securityGroups", "s3Encryption"].iter().flat_map(|control| {
        ["Critical", "High", "Medium"].map(|severity| DriftEntry {
            control: (*control).to_owned(),
            severity: severity.to_owned(),
            resource: "arn:aws:s3:::secret".to_owned(),
            ..DriftEntry::default()
        })
    });
    baseline.status = Some(AccountBaselineStatus {
        last_evaluated_at: Some(Timestamp::from_second(1_800_000_000).unwrap()),
        drift: drift.collect(),
        plan: Some(PlanStatus { changes: 3, ..PlanStatus::default() }),
        conditions: vec![condition("Ready"), condition("Compliant"), condition("EnforcementBlocked")],
        ..AccountBaselineStatus::default()
    });
    baseline
}

impl Objects for Stage {
    fn show(&self, series: &mut Series) {
        for name in self.accounts.lock().unwrap().iter() {
            series.account(&account(name));
            for number in 0..self.baselines {
                series.baseline(&baseline(&format!("{name}-{number}"), name), None);
            }
            let mut exception = BaselineException::new(name, BaselineExceptionSpec::default());
            exception.status = Some(crate::api::BaselineExceptionStatus {
                conditions: vec![condition("Ready")],
                ..crate::api::BaselineExceptionStatus::default()
            });
            series.exception(&exception, Some(Timestamp::UNIX_EPOCH));
        }
    }
}

/// Metrics with at least one series of each.
fn filled() -> (Arc<Metrics>, Arc<Stage>, Showing) {
    let metrics = Arc::new(Metrics::new());
    let stage = Arc::new(Stage { accounts: Mutex::new(vec!["payments".to_owned()]), baselines: 1 });
    let showing = metrics.showing(stage.clone());
    metrics.pass(Controller::AccountBaseline).end(PassResult::Error);
    metrics.leads("plumbline", true);
    metrics.changed("payments", "mfa", "iam:AttachUserPolicy", Outcome::Failed);
    metrics.state.requests.add(&["200", "GET", "10.0.0.1:443"]);
    let attempt = Attempt {
        account_id: "222222222222",
        service: "iam",
        operation: "ListUsers",
        code: "Throttling",
        throttled: true,
        took: Duration::from_millis(20),
    };
    metrics.attempted(&attempt);
    metrics.assume_role_failed("222222222222");
    (metrics, stage, showing)
}

/// Name, labels, value.
type Sample = (String, Vec<(String, String)>, String);

/// The samples of a text.
fn samples(text: &str) -> Vec<Sample> {
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').unwrap();
        let pairs = labels.split("\",").filter(|pair| !pair.is_empty()).map(|pair| {
            let (label, value) = pair.split_once("=\"").unwrap();
            (label.to_owned(), value.trim_end_matches('"').to_owned())
        });
        (name.to_owned(), pairs.collect(), value.to_owned())
    };
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

fn values(text: &str, name: &str) -> Vec<String> {
    samples(text).into_iter().filter(|sample| sample.0 == name).map(|sample| sample.2).collect()
}

#[test]
fn the_table_is_what_is_written_both_ways() {
    let (metrics, _stage, _showing) = filled();
    let text = metrics.encoded().unwrap();
    let mut written = BTreeSet::new();
    for (name, labels, _) in samples(&text) {
        let of = |metric: &&Metric| {
            let parts = ["_bucket", "_sum", "_count"].map(|part| format!("{}{part}", metric.name));
            metric.name == name || metric.kind == Kind::Histogram && parts.contains(&name)
        };
        let metric = TABLE.iter().find(of).unwrap_or_else(|| panic!("{name} is in no table"));
        let mut names: Vec<_> = labels.iter().map(|(label, _)| label.as_str()).collect();
        names.retain(|label| metric.kind != Kind::Histogram || *label != "le");
        assert_eq!(names, metric.labels, "{name}");
        written.insert(metric.name);
        assert!(text.contains(&format!("# TYPE {} {}\n", metric.family(), metric.kind.as_str())), "{name}");
    }
    let documented: BTreeSet<_> = TABLE.iter().map(|metric| metric.name).collect();
    assert_eq!(written, documented);
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn p15_no_label_holds_an_arn_an_id_of_a_resource_or_a_sentence() {
    let (metrics, _stage, _showing) = filled();
    for (name, labels, _) in samples(&metrics.encoded().unwrap()) {
        for (label, value) in labels {
            let strange = ["arn:", "sg-", "sgr-", "secret", " "].iter().any(|part| value.contains(part));
            assert!(!strange && value.len() < 254, "{name} {label}={value}");
        }
    }
}

#[test]
fn series_vanish_with_their_object_and_all_of_them_with_the_leadership() {
    let (metrics, stage, showing) = filled();
    let before = metrics.encoded().unwrap();
    assert_eq!(values(&before, "plumbline_changes_total"), ["1"]);
    assert_eq!(values(&before, "plumbline_baseline_plan_changes"), ["3.0"]);
    assert_eq!(values(&before, "plumbline_baseline_interval_seconds"), ["5400.0"]);
    assert_eq!(values(&before, "plumbline_findings").len(), 12);
    let of_account = ["payments", "222222222222"];
    *stage.accounts.lock().unwrap() = vec!["another".to_owned()];
    let after = metrics.encoded().unwrap();
    assert!(!after.contains(of_account[0]), "{after}");
    assert_eq!(values(&after, "plumbline_changes_total"), [""; 0]);
    assert_eq!(values(&after, "plumbline_aws_throttled_total"), ["1"], "another account has the same id");
    drop(showing);
    let followed = metrics.encoded().unwrap();
    assert!(!followed.contains("another") && !followed.contains(of_account[1]), "{followed}");
    assert_eq!(values(&followed, "plumbline_aws_calls_total"), ["1"], "the process's own counts stay");
}

#[test]
fn the_older_format_has_the_same_samples_under_names_and_types_that_it_knows() {
    let (metrics, _stage, _showing) = filled();
    let (open, older) = (metrics.encoded().unwrap(), metrics.encoded_classic().unwrap());
    let names = |text: &str| samples(text).into_iter().map(|sample| (sample.0, sample.1)).collect::<Vec<_>>();
    assert_eq!(names(&open), names(&older));
    assert!(older.contains("# TYPE plumbline_changes_total counter\n"), "{older}");
    assert!(older.contains("# TYPE plumbline_account_info gauge\n") && !older.contains("# EOF"), "{older}");
}

#[test]
fn a_scrape_of_hundreds_of_baselines_writes_each_series_once() {
    let metrics = Arc::new(Metrics::new());
    let accounts = (0..300).map(|number| format!("account-{number}")).collect();
    let _showing = metrics.showing(Arc::new(Stage { accounts: Mutex::new(accounts), baselines: 1 }));
    let started = std::time::Instant::now();
    let text = metrics.encoded().unwrap();
    eprintln!("{} lines, {} bytes in {:?}", text.lines().count(), text.len(), started.elapsed());
    let samples = samples(&text);
    let series: BTreeSet<_> = samples.iter().map(|(name, labels, _)| (name, labels)).collect();
    assert_eq!(series.len(), samples.len());
    assert_eq!(values(&text, "plumbline_findings").len(), 300 * 12);
}
