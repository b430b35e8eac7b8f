//! The status of an `AccountBaseline`: what was judged, with which result, and how the account differs.
//!
//! No patterns, lengths or enums here: one bad value would make the API server refuse the whole write. What is written
//! is bounded in code (`controller/status.rs`), and enums are plain strings, so that an older version can read it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;

/// How the real account differs from the baseline, as of `lastEvaluatedAt`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AccountBaselineStatus {
    /// The generation of the spec that this status speaks of; -1 before the first evaluation.
    pub observed_generation: i64,
    /// The generation of the AwsAccount that was evaluated: an edit of it starts an evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_account_generation: Option<i64>,
    /// The uid of that AwsAccount: one that was deleted and made again is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_account_uid: Option<String>,
    /// The value of the annotation that last forced an evaluation, as it was handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// When the last complete evaluation ended. RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_evaluated_at: Option<Timestamp>,
    /// How many findings have each verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<SummaryStatus>,
    /// What the evaluation covered: without it "0 users fail" could be read as "MFA is enforced".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<CoverageStatus>,
    /// One entry for each control that the spec names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub controls: Vec<ControlStatus>,
    /// What fails, worst first. Bounded: `driftTotal` has the true number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub drift: Vec<DriftEntry>,
    /// How many findings fail, listed in `drift` or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_total: Option<i64>,
    /// What could not be read, and why. Bounded: `unknownTotal` has the true number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub unknown: Vec<UnknownEntry>,
    /// How many findings are unknown, listed in `unknown` or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_total: Option<i64>,
    /// What fails and is excepted, worst first. Bounded: `summary.exempt` has the true number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub exempt: Vec<ExemptEntry>,
    /// The BaselineExceptions that covered something, by name. Bounded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub exceptions: Vec<ExceptionUse>,
    /// A hash of the BaselineExceptions that were in force for the account: a change of them starts an evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_exceptions: Option<String>,
    /// A hash of the PlanApprovals for this baseline that had not expired: a change of them starts an evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_approvals: Option<String>,
    /// What enforcement would change, where the mode of a control is `Enforce`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
    /// The version of the operator that evaluated last: a new one evaluates once before it changes anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluated_by: Option<String>,
    /// True if `drift`, `unknown` or `exempt` does not list everything.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// Conditions: `Ready`, `Compliant`, in `Enforce` `EnforcementBlocked`, and while they are true `Reconciling` and
    /// `Stalled`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// What enforcement would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PlanStatus {
    /// Names this set of changes: a PlanApproval names it. Absent where there is nothing to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// How many changes it has.
    pub changes: i64,
    /// How many failing findings are held out of it, each with its reason in `drift`.
    pub held: i64,
    /// The PlanApproval that covers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// When the next change may be started, where it waits for a time. RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_change_at: Option<Timestamp>,
    /// How many changes were made in the last evaluation.
    pub made: i64,
}

/// Counts per verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SummaryStatus {
    /// Findings that comply.
    pub pass: i64,
    /// Findings that do not.
    pub fail: i64,
    /// Findings that could not be judged.
    pub unknown: i64,
    /// Findings that make no sense for the resource.
    pub not_applicable: i64,
    /// Findings that an exception covers.
    pub exempt: i64,
}

/// What an evaluation covered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CoverageStatus {
    /// The regions that were judged, sorted.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub regions: Vec<String>,
    /// Regions that the account's spec names and that are not enabled in the account: nothing was judged there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub regions_not_enabled: Vec<String>,
    /// How many IAM users were in scope, where users are judged. People who come through federation or IAM Identity
    /// Center are not IAM users and not seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<i64>,
    /// How many IAM users the account has, in scope or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users_listed: Option<i64>,
    /// How many buckets were judged, where buckets are judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buckets: Option<i64>,
    /// How many buckets lie in regions that are not judged or not enabled, or belong to another account by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buckets_skipped: Option<i64>,
    /// When AWS made the credential report that was used. It can be up to four hours old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_report_at: Option<Timestamp>,
}

/// The result of one control.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ControlStatus {
    /// The control's name as in the spec: `passwordPolicy`, `mfa`, `securityGroups`, `s3Encryption`.
    pub name: String,
    /// What is done about its drift: `Audit` or `Enforce`.
    pub mode: String,
    /// `Fail` if anything fails; else `Unknown` if anything is unread; else `Pass`; `NotApplicable` if nothing applied.
    pub result: String,
    /// Counts per verdict.
    pub summary: SummaryStatus,
    /// A sentence for people.
    pub message: String,
}

/// One finding that fails.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DriftEntry {
    /// Made of check, resource and field: the same finding has the same id in every evaluation.
    pub id: String,
    /// The control's name as in the spec.
    pub control: String,
    /// The check's name.
    pub check: String,
    /// `Critical`, `High`, `Medium` or `Low`.
    pub severity: String,
    /// The ARN or id of what fails.
    pub resource: String,
    /// What the resource belongs to: a rule's security group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The region of the resource, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The field of the spec that asks for it.
    pub field: String,
    /// The desired value.
    pub desired: String,
    /// The value that was observed.
    pub observed: String,
    /// What is wrong, in a sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What is done about it: `Automatic`, `Held` or `Manual`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediation: Option<String>,
    /// One word for programs: why it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediation_reason: Option<String>,
    /// What would be changed, or why nothing is, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediation_message: Option<String>,
    /// Since when it fails, as far as Plumbline saw it. Absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// True if it could not be judged in the last evaluation and is listed as it was last seen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
}

/// One finding that fails and that an exception covers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExemptEntry {
    /// The control's name as in the spec.
    pub control: String,
    /// The check's name.
    pub check: String,
    /// The ARN or id of what is excepted.
    pub resource: String,
    /// The region, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The name of the BaselineException.
    pub exception: String,
    /// When the exception ends. RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// What the result is without the exception: `Fail`.
    pub actual: String,
    /// What is wrong, in a sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// How many findings an exception covered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExceptionUse {
    /// The name of the BaselineException.
    pub name: String,
    /// How many findings it covered.
    pub matched: i64,
}

/// One finding that could not be judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UnknownEntry {
    /// The control's name as in the spec.
    pub control: String,
    /// The check's name.
    pub check: String,
    /// The ARN or id of what could not be judged.
    pub resource: String,
    /// The region, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Why: `AccessDenied`, `Throttled`, ...
    pub cause: String,
    /// The IAM action that the role lacks, where that is the cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_action: Option<String>,
    /// What happened, in a sentence.
    pub message: String,
}
