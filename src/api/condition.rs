//! Conditions and their reasons: the words that status, events, alerts and `kubectl wait` share.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A condition in the shape of `metav1.Condition`, with its own `observedGeneration`, which `kubectl wait` honours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The name of the condition: `Ready`, `Compliant`, `Reconciling`, `Stalled`.
    pub r#type: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The generation of the spec that the condition speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// When the status last changed. RFC 3339, UTC.
    pub last_transition_time: Timestamp,
    /// One word for programs: why the status is what it is.
    pub reason: String,
    /// A sentence for people.
    #[serde(default)]
    pub message: String,
}

/// The conditions that exist. `Ready` and `Compliant` are good when true; `Reconciling` and `Stalled` are present only
/// while true, as kstatus expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionType {
    /// This generation was evaluated to the end. Drift never makes it false.
    Ready,
    /// Nothing fails and nothing is unread.
    Compliant,
    /// Enforcement is wanted and held back; present only in `Enforce`.
    EnforcementBlocked,
    /// The roles of an account can not be assumed without its external id; present only where that is checked.
    ExternalIdEnforced,
    /// Work is under way, or will be tried again by itself.
    Reconciling,
    /// Nothing will get better without an edit.
    Stalled,
}

impl ConditionType {
    /// The name as it stands in status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Compliant => "Compliant",
            Self::EnforcementBlocked => "EnforcementBlocked",
            Self::ExternalIdEnforced => "ExternalIdEnforced",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

/// The three values of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionStatus {
    /// `True`
    True,
    /// `False`
    False,
    /// `Unknown`
    Unknown,
}

impl ConditionStatus {
    /// The value as it stands in status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// Every reason that a condition can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `Ready`: the account was evaluated; parts of it may be `Unknown`.
    Evaluated,
    /// `Ready` in `Enforce`: the account was evaluated, and what could start has been made.
    Enforced,
    /// `Ready` of an `AwsAccount`: the account answered, and it is the declared one.
    Verified,
    /// `Ready` that was never set before the object was suspended.
    Suspended,
    /// `Ready`, `Reconciling`: the baseline names an `AwsAccount` that does not exist (yet).
    AccountNotFound,
    /// `Ready`: no credentials, a role that cannot be assumed, AWS not answering.
    AccountUnreachable,
    /// `Ready`, `Stalled`: the credentials lead to another account than the declared one.
    AccountMismatch,
    /// `Ready`, `Stalled`: the spec asks for what cannot be; the API server's rules usually refuse it before.
    InvalidSpec,
    /// `Ready` of a `BaselineException`: it is in force.
    Active,
    /// `Ready` of a `BaselineException`: it is in force and has matched nothing for a week.
    Unused,
    /// `Ready` of a `BaselineException`: its time is over.
    Expired,
    /// `Ready`, `Stalled` of a `BaselineException`: it cannot be honoured as it stands.
    Invalid,
    /// `EnforcementBlocked`: this operator runs without `--enforce`.
    NotEnabled,
    /// `EnforcementBlocked`: the `AwsAccount` names no `enforceRoleName`.
    NoEnforceRole,
    /// `EnforcementBlocked`: the rate of changes is used up; the message says until when.
    ChangeBudgetExhausted,
    /// `EnforcementBlocked`: the plan needs a `PlanApproval`.
    ApprovalRequired,
    /// `EnforcementBlocked`: no window is open; the message says when the next one opens.
    OutsideWindow,
    /// `EnforcementBlocked`: somebody undoes the changes again and again.
    Contested,
    /// `EnforcementBlocked`: another baseline is for the same account.
    Conflict,
    /// `EnforcementBlocked`: AWS refused a change, or the role that makes it.
    MissingPermission,
    /// `EnforcementBlocked`: three changes failed; an edit of the spec or a person starts it again.
    TooManyFailures,
    /// `EnforcementBlocked`: a `ChangeRecord` could not be written, so nothing was changed.
    NotRecorded,
    /// `EnforcementBlocked`: what became of an earlier change is not known yet.
    Unsettled,
    /// `EnforcementBlocked`: a changed spec or a new version is evaluated once before it changes anything.
    EvaluatedOnly,
    /// `EnforcementBlocked`, `ExternalIdEnforced`: a role can be assumed without its external id.
    ExternalIdNotEnforced,
    /// `ExternalIdEnforced`: no role can be assumed without the external id.
    ExternalIdVerified,
    /// `Ready` of a `PlanApproval`: the plan is not the approved one (yet).
    Pending,
    /// `Ready` of a `PlanApproval`: the changes of the plan are being made.
    InUse,
    /// `Ready` of a `PlanApproval`: all changes that it covers have been made.
    Used,
    /// `Compliant`: nothing fails, nothing is unread.
    AllPassing,
    /// `Compliant`: something fails.
    DriftDetected,
    /// `Compliant`: nothing fails, but something could not be read.
    PartiallyEvaluated,
    /// `Compliant`: what was last seen is too old to be trusted.
    Stale,
    /// `Reconciling`: the first evaluation, or one of a new generation, has not ended yet.
    Progressing,
    /// `Reconciling`: the last try failed in a way that may pass by itself.
    ProgressingWithRetry,
}

impl Reason {
    /// The word as it stands in status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Evaluated => "Evaluated",
            Self::Enforced => "Enforced",
            Self::Verified => "Verified",
            Self::Suspended => "Suspended",
            Self::AccountNotFound => "AccountNotFound",
            Self::AccountUnreachable => "AccountUnreachable",
            Self::AccountMismatch => "AccountMismatch",
            Self::InvalidSpec => "InvalidSpec",
            Self::Active => "Active",
            Self::Unused => "Unused",
            Self::Expired => "Expired",
            Self::Invalid => "Invalid",
            Self::NotEnabled => "NotEnabled",
            Self::NoEnforceRole => "NoEnforceRole",
            Self::ChangeBudgetExhausted => "ChangeBudgetExhausted",
            Self::ApprovalRequired => "ApprovalRequired",
            Self::OutsideWindow => "OutsideWindow",
            Self::Contested => "Contested",
            Self::Conflict => "Conflict",
            Self::MissingPermission => "MissingPermission",
            Self::TooManyFailures => "TooManyFailures",
            Self::NotRecorded => "NotRecorded",
            Self::Unsettled => "Unsettled",
            Self::EvaluatedOnly => "EvaluatedOnly",
            Self::ExternalIdNotEnforced => "ExternalIdNotEnforced",
            Self::ExternalIdVerified => "ExternalIdVerified",
            Self::Pending => "Pending",
            Self::InUse => "InUse",
            Self::Used => "Used",
            Self::AllPassing => "AllPassing",
            Self::DriftDetected => "DriftDetected",
            Self::PartiallyEvaluated => "PartiallyEvaluated",
            Self::Stale => "Stale",
            Self::Progressing => "Progressing",
            Self::ProgressingWithRetry => "ProgressingWithRetry",
        }
    }
}
