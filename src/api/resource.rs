//! The kind `AccountBaseline`: the desired baseline of one account.

#![expect(clippy::duplicated_attributes, reason = "two print columns may have one type")]

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::controls::Controls;
use super::enforcement::Enforcement;
use super::names::BaselineDuration;
use super::status::AccountBaselineStatus;

/// The desired security baseline of one AWS account, and in status how the account differs from it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "plumbline.dev",
    version = "v1alpha1",
    kind = "AccountBaseline",
    plural = "accountbaselines",
    shortname = "acctbaseline",
    category = "plumbline",
    status = "AccountBaselineStatus",
    derive = "PartialEq",
    selectable = ".spec.accountRef.name",
    doc = "The desired security baseline of one AWS account, and in status how the account differs from it.",
    printcolumn(name = "Account", type_ = "string", json_path = ".spec.accountRef.name"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(
        name = "Compliant",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Compliant\")].status"
    ),
    printcolumn(name = "Drift", type_ = "integer", json_path = ".status.summary.fail"),
    printcolumn(name = "Unknown", type_ = "integer", json_path = ".status.summary.unknown"),
    printcolumn(
        name = "Blocked",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"EnforcementBlocked\")].reason"
    ),
    printcolumn(name = "Plan", type_ = "string", json_path = ".status.plan.digest", priority = 1),
    printcolumn(name = "Checked", type_ = "date", json_path = ".status.lastEvaluatedAt"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountBaselineSpec {
    /// The AwsAccount that is judged. Immutable: another account is another AccountBaseline.
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self == oldSelf",
         "message": "accountRef is immutable: delete this AccountBaseline and create another one"},
    ]))]
    pub account_ref: AccountRef,
    /// What Plumbline does about drift: `Audit` (default) reports it and changes nothing in AWS, `Enforce` closes it.
    /// This is the ceiling: a control's own mode can only lower it.
    #[serde(default)]
    pub mode: Mode,
    /// The time between two evaluations, in hours, minutes and seconds, at least `1m`. Default: `1h`. Example: `30m`.
    #[serde(default = "default_interval")]
    pub interval: BaselineDuration,
    /// True stops the evaluations of this baseline; status keeps what was last seen. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// How drift may be closed, where the mode is `Enforce`: sizes, rates, consent, windows. Omitted: the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforcement: Option<Enforcement>,
    /// The desired state, control by control. A control that is absent is not judged.
    pub controls: Controls,
}

/// Names the `AwsAccount`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountRef {
    /// The name of the AwsAccount. Example: `payments-prod`.
    #[schemars(length(min = 1, max = 253), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
         "message": "must be the name of an AwsAccount: lower case letters, digits, '-' and '.', such as \
                     payments-prod"},
    ]))]
    pub name: String,
}

/// What is done about drift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Mode {
    #[default]
    #[expect(missing_docs, reason = "documented on the field")]
    Audit,
    #[expect(missing_docs, reason = "documented on the field")]
    Enforce,
}

impl Mode {
    /// The word as it stands in spec and status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "Audit",
            Self::Enforce => "Enforce",
        }
    }

    /// What a control does that has a mode of its own under this ceiling.
    #[must_use]
    pub fn under(self, own: Option<Self>) -> Self {
        match (self, own) {
            (Self::Enforce, None | Some(Self::Enforce)) => Self::Enforce,
            (Self::Audit, _) | (Self::Enforce, Some(Self::Audit)) => Self::Audit,
        }
    }
}

fn default_interval() -> BaselineDuration {
    BaselineDuration::from("1h")
}
