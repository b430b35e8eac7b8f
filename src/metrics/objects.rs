//! From the objects in the cluster, as they stand at the moment of a scrape, to their series. Pure.
//!
//! Nothing is remembered between two scrapes: a series is there for as long as its object is, and says what its status
//! says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use kube::ResourceExt;
use prometheus_client::encoding::DescriptorEncoder;

use super::table::{
    ACCOUNT, ACCOUNT_CONDITION, ACCOUNT_SUSPENDED, ACCOUNT_VERIFIED, BASELINE, BASELINE_CHANGES, BASELINE_CONDITION,
    BASELINE_EVALUATED, BASELINE_INTERVAL, BASELINE_SUSPENDED, EXCEPTION_CONDITION, EXCEPTION_EXPIRES, FINDINGS,
    Metric,
};
use super::write::samples_of;
use crate::api::{AccountBaseline, AccountBaselineStatus, AwsAccount, BaselineException, Condition, Reason};
use crate::baseline::{Check, Control, Finding, Severity, Verdict};

/// The metrics of objects, in the order of the exposition.
const OF_OBJECTS: [Metric; 13] = [
    ACCOUNT,
    ACCOUNT_CONDITION,
    ACCOUNT_VERIFIED,
    ACCOUNT_SUSPENDED,
    BASELINE,
    BASELINE_CONDITION,
    BASELINE_SUSPENDED,
    BASELINE_INTERVAL,
    BASELINE_EVALUATED,
    BASELINE_CHANGES,
    EXCEPTION_CONDITION,
    EXCEPTION_EXPIRES,
    FINDINGS,
];

/// The severities and verdicts that a status can hold, by their words.
const SEVERITIES: [Severity; 4] = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low];

/// The objects that this process looks after.
pub trait Objects: Send + Sync {
    /// Shows each of them, as it stands now.
    fn show(&self, series: &mut Series);
}

/// How many findings there are of each control, severity and verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingCounts(BTreeMap<[&'static str; 3], u64>);

impl FindingCounts {
    /// Counts the findings of an evaluation.
    #[must_use]
    pub fn of<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Self {
        let mut counts = Self::default();
        for finding in findings {
            counts.add(finding.subject().check.control(), finding.severity(), finding.verdict());
        }
        counts
    }

    /// What a status still tells of an evaluation that an earlier process made: the findings that fail, and those that
    /// are unknown. Those that pass it does not list. A status that was cut short has the worst.
    #[must_use]
    pub fn told_by(status: &AccountBaselineStatus) -> Self {
        let mut counts = Self::default();
        // What is stale was not judged, and is listed as it was before.
        for entry in status.drift.iter().filter(|entry| !entry.stale) {
            let control = Control::ALL.into_iter().find(|control| control.as_str() == entry.control);
            let severity = SEVERITIES.into_iter().find(|severity| severity.as_str() == entry.severity);
            if let Some((control, severity)) = control.zip(severity) {
                counts.add(control, severity, Verdict::Fail);
            }
        }
        for entry in &status.unknown {
            let check = Check::ALL.into_iter().find(|check| check.as_str() == entry.check);
            if let Some(check) = check {
                counts.add(check.control(), check.severity(), Verdict::Unknown);
            }
        }
        counts
    }

    fn add(&mut self, control: Control, severity: Severity, verdict: Verdict) {
        let count = self.0.entry([control.as_str(), severity.as_str(), verdict.as_str()]).or_default();
        *count = count.saturating_add(1);
    }
}

/// The series of the objects of one scrape.
#[derive(Debug, Default)]
pub struct Series {
    /// Sorted, and no set of labels twice: Prometheus would refuse the whole scrape.
    samples: BTreeMap<&'static str, BTreeMap<Vec<String>, f64>>,
    accounts: BTreeSet<String>,
    account_ids: BTreeSet<String>,
}

impl Series {
    /// An account that is looked after.
    pub fn account(&mut self, account: &AwsAccount) {
        let name = account.name_any();
        let id = account.spec.account_id.to_string();
        let status = account.status.as_ref();
        self.sample(&ACCOUNT, &[&name, &id], 1.0);
        self.conditions(&ACCOUNT_CONDITION, &[&name], status.map_or(&[], |status| &status.conditions));
        if let Some(at) = status.and_then(|status| status.last_verified_at) {
            self.sample(&ACCOUNT_VERIFIED, &[&name], seconds(at));
        }
        self.sample(&ACCOUNT_SUSPENDED, &[&name], truth(account.spec.suspend));
        self.accounts.insert(name);
        self.account_ids.insert(id);
    }

    /// A baseline that is looked after, and what the last evaluation found where that is known.
    pub fn baseline(&mut self, baseline: &AccountBaseline, found: Option<&FindingCounts>) {
        let (name, account, spec) = (baseline.name_any(), &baseline.spec.account_ref.name, &baseline.spec);
        self.sample(&BASELINE, &[&name, account, spec.mode.as_str()], 1.0);
        self.sample(&BASELINE_SUSPENDED, &[&name, account], truth(spec.suspend));
        if let Some(interval) = spec.interval.to_duration() {
            self.sample(&BASELINE_INTERVAL, &[&name, account], interval.as_secs_f64());
        }
        let Some(status) = &baseline.status else { return };
        self.conditions(&BASELINE_CONDITION, &[&name, account], &status.conditions);
        if let Some(plan) = &status.plan {
            let changes = u32::try_from(plan.changes).unwrap_or_default();
            self.sample(&BASELINE_CHANGES, &[&name, account], changes.into());
        }
        let Some(at) = status.last_evaluated_at else { return };
        self.sample(&BASELINE_EVALUATED, &[&name, account], seconds(at));
        let told = found.is_none().then(|| FindingCounts::told_by(status));
        for ([control, severity, verdict], count) in found.or(told.as_ref()).into_iter().flat_map(|found| &found.0) {
            let count = u32::try_from(*count).unwrap_or(u32::MAX);
            self.sample(&FINDINGS, &[&name, account, control, severity, verdict], count.into());
        }
    }

    /// A baseline that this version cannot read: it is there, its mode is not known, and it was never evaluated.
    pub fn unreadable_baseline(&mut self, name: &str, account: &str) {
        self.sample(&BASELINE, &[name, account, "Unknown"], 1.0);
        self.sample(&BASELINE_CONDITION, &[name, account, "Ready", "False", Reason::InvalidSpec.as_str()], 1.0);
    }

    /// An exception that is looked after, and when it ends where that can be told.
    pub fn exception(&mut self, exception: &BaselineException, expires_at: Option<Timestamp>) {
        let name = exception.name_any();
        let status = exception.status.as_ref();
        self.conditions(&EXCEPTION_CONDITION, &[&name], status.map_or(&[], |status| &status.conditions));
        if let Some(at) = expires_at {
            self.sample(&EXCEPTION_EXPIRES, &[&name], seconds(at));
        }
    }

    /// The names of the accounts that are looked after.
    pub(super) fn accounts(&self) -> &BTreeSet<String> {
        &self.accounts
    }

    /// Their ids.
    pub(super) fn account_ids(&self) -> &BTreeSet<String> {
        &self.account_ids
    }

    pub(super) fn write(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for metric in &OF_OBJECTS {
            let samples = self.samples.get(metric.name).into_iter().flatten();
            samples_of(encoder, metric, samples.map(|(values, number)| (values, *number)))?;
        }
        Ok(())
    }

    fn conditions(&mut self, metric: &Metric, of: &[&str], conditions: &[Condition]) {
        for Condition { r#type, status, reason, .. } in conditions {
            let values: Vec<&str> = of.iter().copied().chain([r#type, status, reason].map(|text| word(text))).collect();
            self.sample(metric, &values, 1.0);
        }
    }

    fn sample(&mut self, metric: &Metric, values: &[&str], number: f64) {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.samples.entry(metric.name).or_default().insert(values, number);
    }
}

/// Types, states and reasons are single words. Nobody but the operator writes them; whoever else did says nothing here.
fn word(text: &str) -> &str {
    let is_word = !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_word { text } else { "Other" }
}

fn truth(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{AccountBaselineSpec, DriftEntry};
    use crate::baseline::{Check, Subject};

    fn drift(control: &str, severity: &str, stale: bool) -> DriftEntry {
        let (control, severity) = (control.to_owned(), severity.to_owned());
        DriftEntry { control, severity, stale, ..DriftEntry::default() }
    }

    #[test]
    fn after_a_restart_the_status_tells_what_fails() {
        let drift = vec![
            drift("mfa", "Critical", false),
            drift("mfa", "Critical", false),
            drift("mfa", "Critical", true),
            drift("invented", "Critical", false),
        ];
        let status = AccountBaselineStatus { drift, ..AccountBaselineStatus::default() };
        let told = FindingCounts::told_by(&status);
        assert_eq!(told.0, BTreeMap::from([(["mfa", "Critical", "Fail"], 2)]));
    }

    #[test]
    fn findings_are_counted_by_control_severity_and_verdict() {
        let subject = |resource: &str| Subject::new(Check::Ingress, resource, "allowedIngress");
        let at = Timestamp::UNIX_EPOCH;
        let findings = [
            Finding::fail(subject("sgr-1"), "", "", at),
            Finding::fail(subject("sgr-2"), "", "", at).with_severity(Severity::Critical),
            Finding::fail(subject("sgr-3"), "", "", at).with_severity(Severity::Critical),
            Finding::pass(subject("sgr-4"), "", "", at).with_severity(Severity::Low),
        ];
        let counts = FindingCounts::of(&findings);
        assert_eq!(counts.0.get(&["securityGroups", "Critical", "Fail"]), Some(&2));
        assert_eq!(counts.0.get(&["securityGroups", "Low", "Pass"]), Some(&1));
    }

    #[test]
    fn a_condition_that_nobody_of_us_wrote_cannot_bring_its_text() {
        let mut baseline = AccountBaseline::new("b", AccountBaselineSpec::default());
        let condition = |reason: &str| Condition {
            r#type: "Ready".to_owned(),
            status: "True".to_owned(),
            observed_generation: 1,
            last_transition_time: Timestamp::UNIX_EPOCH,
            reason: reason.to_owned(),
            message: "arn:aws:s3:::secret".to_owned(),
        };
        let conditions = vec![condition("Evaluated"), condition("arn:aws:s3:::secret"), condition("two words")];
        baseline.status = Some(AccountBaselineStatus { conditions, ..AccountBaselineStatus::default() });
        let mut series = Series::default();
        series.baseline(&baseline, None);
        let reasons: Vec<_> = series.samples[BASELINE_CONDITION.name].keys().map(|values| values[4].as_str()).collect();
        assert_eq!(reasons, ["Evaluated", "Other"]);
    }
}
