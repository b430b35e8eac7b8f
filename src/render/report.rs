//! From judged accounts to the documents `AuditReport` and `PlanReport`. No IO, no clock.
//!
//! Other programs build on the document: its fields change only by addition, and every list is in a stable order. A
//! field without a value is `null`, never left out.

use std::fmt::Display;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::api::{Controls, Enforcement, GROUP, VERSION};
use crate::baseline::plan::Plan;

use crate::baseline::{Check, Control, Severity, Summary, Verdict, result_of};
use crate::engine::{AssessError, Assessment};

mod build;
mod plan;

pub use plan::{AnsweredReport, ChangeReport, PlanReport, RemediationReport};

/// One baseline, as it came out of the engine.
#[derive(Debug)]
pub struct Judged {
    /// The name of the baseline.
    pub baseline: String,
    /// The name of the `AwsAccount`; `None` where no manifest declares the account.
    pub account_name: Option<String>,
    /// The declared account, twelve digits.
    pub account_id: String,
    /// The controls that the baseline names.
    pub controls: Vec<Control>,
    /// When the evaluation ended.
    pub evaluated_at: Timestamp,
    /// What was found, or why nothing was.
    pub outcome: Result<Assessment, AssessError>,
    /// What enforcement would do about it; empty where nothing was found out.
    pub plan: Plan,
    /// How the baseline lets drift be closed.
    pub enforcement: Enforcement,
}

/// The document of `plumbline audit -o json`, and, with a plan for each baseline, of `plumbline plan -o json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditReport {
    /// `plumbline.dev/v1alpha1`
    pub api_version: String,
    /// `AuditReport` or `PlanReport`
    pub kind: &'static str,
    /// One entry a baseline, sorted by name.
    pub baselines: Vec<BaselineReport>,
}

/// One baseline.
///
/// Where the account could not be reached, or is not the declared one, the result is `Unknown`, every control is, no
/// finding is there, and `unknown` has one entry without control and check that says why; it is what `summary` counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BaselineReport {
    /// The name of the baseline.
    pub baseline: String,
    /// The account that was judged.
    pub account: AccountReport,
    /// What all its controls come to.
    #[serde(serialize_with = "text")]
    pub result: Verdict,
    /// When the evaluation ended.
    pub evaluated_at: Timestamp,
    /// Counts of all findings.
    pub summary: SummaryReport,
    /// What was looked at.
    pub coverage: CoverageReport,
    /// One entry for each control that the baseline names, in the order of the catalogue.
    pub controls: Vec<ControlReport>,
    /// Every judged check, passing ones too, sorted by check, region, parent, resource and field.
    pub findings: Vec<FindingReport>,
    /// What could not be judged, and why, in the order of the findings.
    pub unknown: Vec<UnknownReport>,
    /// What enforcement would change; in a `PlanReport` alone, and there always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanReport>,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountReport {
    /// The name of the `AwsAccount`, where a manifest declares it.
    pub name: Option<String>,
    /// Twelve digits.
    pub account_id: String,
    /// The alias, where it has one and it could be read.
    pub alias: Option<String>,
}

/// Counts per verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "one count for each verdict")]
pub struct SummaryReport {
    pub pass: usize,
    pub fail: usize,
    pub unknown: usize,
    pub not_applicable: usize,
    pub exempt: usize,
}

/// What was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CoverageReport {
    /// The regions that were judged.
    pub regions: Vec<String>,
    /// Regions that were named and are not enabled in the account.
    pub regions_not_enabled: Vec<String>,
    /// How many IAM users were in scope, where users were judged.
    pub users: Option<usize>,
    /// How many IAM users the account has, in scope or not.
    pub users_listed: Option<usize>,
    /// How many buckets were judged, where buckets were judged.
    pub buckets: Option<usize>,
    /// How many buckets lie in regions that were not judged.
    pub buckets_skipped: Option<usize>,
    /// When AWS made the credential report that was used.
    pub credential_report_at: Option<Timestamp>,
}

/// One control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlReport {
    /// The name as in the spec.
    #[serde(serialize_with = "text")]
    pub name: Control,
    /// What its findings come to.
    #[serde(serialize_with = "text")]
    pub result: Verdict,
    /// Counts of its findings.
    pub summary: SummaryReport,
    /// A sentence for people.
    pub message: String,
}

/// One judged check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FindingReport {
    /// The same in every evaluation.
    pub id: String,
    /// The control as in the spec.
    #[serde(serialize_with = "text")]
    pub control: Control,
    /// The check.
    #[serde(serialize_with = "text")]
    pub check: Check,
    /// The verdict.
    #[serde(serialize_with = "text")]
    pub result: Verdict,
    /// How bad it is, or would be, if it fails.
    #[serde(serialize_with = "text")]
    pub severity: Severity,
    /// The ARN or id.
    pub resource: String,
    /// What the resource belongs to.
    pub parent: Option<String>,
    /// The region, where the resource has one.
    pub region: Option<String>,
    /// The field of the spec that asks for it.
    pub field: &'static str,
    /// The desired value.
    pub desired: String,
    /// The observed value; empty where nothing was observed.
    pub observed: String,
    /// A sentence for people; may be empty.
    pub message: String,
    /// The time of the observation; `None` where there was none.
    pub observed_at: Option<Timestamp>,
    /// The exception that covers the finding; there exactly where the result is `Exempt`.
    pub exception: Option<ExceptionReport>,
    /// What is done about it.
    pub remediation: RemediationReport,
}

/// The exception of an exempt finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExceptionReport {
    /// Its name.
    pub name: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The verdict without it: `Fail`.
    #[serde(serialize_with = "text")]
    pub actual: Verdict,
}

/// One thing that could not be judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnknownReport {
    /// The control as in the spec; `None` where the whole account could not be judged.
    #[serde(serialize_with = "optional_text")]
    pub control: Option<Control>,
    /// The check; `None` where the whole account could not be judged.
    #[serde(serialize_with = "optional_text")]
    pub check: Option<Check>,
    /// The ARN or id; the account's id where the whole account could not be judged.
    pub resource: String,
    /// The region, where there is one.
    pub region: Option<String>,
    /// The class of the cause, such as `AccessDenied`; `AccountMismatch` where the credentials lead elsewhere.
    pub cause: String,
    /// The IAM action that the identity lacks, where that is the cause.
    pub missing_action: Option<String>,
    /// What happened.
    pub message: String,
}

impl AuditReport {
    /// The document about these baselines, whatever their order.
    #[must_use]
    pub fn new(judged: Vec<Judged>) -> Self {
        Self::of("AuditReport", judged.into_iter().map(BaselineReport::new).collect())
    }

    /// The same with the plan of each baseline: the document `PlanReport`.
    #[must_use]
    pub fn of_plans(judged: Vec<Judged>) -> Self {
        Self::of("PlanReport", judged.into_iter().map(BaselineReport::planned).collect())
    }

    fn of(kind: &'static str, mut baselines: Vec<BaselineReport>) -> Self {
        baselines.sort_by(|a, b| a.baseline.cmp(&b.baseline));
        Self { api_version: format!("{GROUP}/{VERSION}"), kind, baselines }
    }

    /// What all baselines come to, as one baseline's result is made of its findings.
    #[must_use]
    pub fn result(&self) -> Verdict {
        result_of(self.results())
    }

    /// How many baselines have each result.
    #[must_use]
    pub fn results(&self) -> Summary {
        count(self.baselines.iter().map(|baseline| baseline.result))
    }
}

/// The controls that a spec names, in the order of reports.
#[must_use]
pub fn named_controls(controls: &Controls) -> Vec<Control> {
    let Controls { password_policy, mfa, security_groups, s3_encryption } = controls;
    let named = |control: &Control| match control {
        Control::PasswordPolicy => password_policy.is_some(),
        Control::Mfa => mfa.is_some(),
        Control::SecurityGroups => security_groups.is_some(),
        Control::S3Encryption => s3_encryption.is_some(),
    };
    Control::ALL.into_iter().filter(named).collect()
}

fn count(verdicts: impl Iterator<Item = Verdict>) -> Summary {
    let mut summary = Summary::default();
    for verdict in verdicts {
        summary.add(verdict);
    }
    summary
}

fn text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[expect(clippy::ref_option, reason = "the shape that serde asks for")]
fn optional_text<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}
