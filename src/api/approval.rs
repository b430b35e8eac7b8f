//! The kind `PlanApproval`: consent to one plan. A kind of its own, so that RBAC parts those who edit from those who
//! approve.

#![expect(clippy::duplicated_attributes, reason = "two print columns may have one type")]

use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::names::ExpiryTime;

/// Consent to the changes of one plan of a baseline, until a time. It is used once: a new change needs a new one.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "plumbline.dev",
    version = "v1alpha1",
    kind = "PlanApproval",
    plural = "planapprovals",
    shortname = "planok",
    category = "plumbline",
    status = "PlanApprovalStatus",
    derive = "PartialEq",
    selectable = ".spec.baselineRef.name",
    doc = "Consent to the changes of one plan of a baseline, until a time. It is used once: a new change needs a new \
           one.",
    printcolumn(name = "Baseline", type_ = "string", json_path = ".spec.baselineRef.name"),
    printcolumn(name = "Digest", type_ = "string", json_path = ".spec.planDigest"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".spec.expiresAt"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Remaining", type_ = "integer", json_path = ".status.remaining"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self == oldSelf",
     "message": "an approval is immutable: delete it and create another one"},
]))]
pub struct PlanApprovalSpec {
    /// The AccountBaseline whose plan is approved.
    pub baseline_ref: BaselineRef,
    /// The digest of the plan, as the baseline's `status.plan.digest` shows it. Example: `8f14e45fceea167a`.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^[0-9a-f]{16}$')",
         "message": "must be the 16 hexadecimal digits of the baseline's status.plan.digest"},
    ]))]
    pub plan_digest: String,
    /// When the consent ends: nothing is started under it from then on. RFC 3339. Example: `2027-10-31T00:00:00Z`.
    pub expires_at: ExpiryTime,
    /// Why, for whoever reads it later. Example: `Agreed with the network team`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('\\\\S')", "message": "is blank: say why, or remove the field"},
    ]))]
    pub reason: Option<String>,
}

/// Names the `AccountBaseline`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BaselineRef {
    /// The name of the AccountBaseline. Example: `payments-prod`.
    #[schemars(length(min = 1, max = 253), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
         "message": "must be the name of an AccountBaseline: lower case letters, digits, '-' and '.', such as \
                     payments-prod"},
    ]))]
    pub name: String,
}

/// What became of the consent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PlanApprovalStatus {
    /// The generation of the spec that this status speaks of; -1 before the first one.
    pub observed_generation: i64,
    /// When the plan was first found to be the approved one. RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
    /// The meanings of the changes that it covers, as the plan had them at that time. At most 4,000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub changes: Vec<String>,
    /// How many of them are still to be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining: Option<i64>,
    /// Conditions: `Ready`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
