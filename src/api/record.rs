//! The kind `ChangeRecord`: one change to AWS, written before it is made, and what became of it.

#![expect(clippy::duplicated_attributes, reason = "two print columns may have one type")]

use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::change::{
    BucketEncryptionChange, BucketPolicyChange, PasswordPolicyChange, SecurityGroupRuleChange, UserPolicyChange,
};
use super::names::AccountId;

/// One change to AWS: committed before the change is made, with the value from before. Written by the operator, and by
/// `plumbline undo`. It has no owner, so that it outlives its baseline.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "plumbline.dev",
    version = "v1alpha1",
    kind = "ChangeRecord",
    plural = "changerecords",
    shortname = "changerec",
    category = "plumbline",
    status = "ChangeRecordStatus",
    derive = "PartialEq",
    doc = "One change to AWS: committed before the change is made, with the value from before. Written by the \
           operator, and by `plumbline undo`. It has no owner, so that it outlives its baseline.",
    selectable = ".spec.accountId",
    selectable = ".spec.baseline.name",
    selectable = ".status.outcome",
    printcolumn(name = "Account ID", type_ = "string", json_path = ".spec.accountId"),
    printcolumn(name = "Operation", type_ = "string", json_path = ".spec.operation"),
    printcolumn(name = "Resource", type_ = "string", json_path = ".spec.resource"),
    printcolumn(name = "Outcome", type_ = "string", json_path = ".status.outcome"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self == oldSelf",
     "message": "a ChangeRecord is immutable: it says what was done, and undo rests on it"},
]))]
pub struct ChangeRecordSpec {
    /// The account that is changed.
    pub account_id: AccountId,
    /// The partition of the account: `aws`, `aws-us-gov`, `aws-cn`, ...
    #[schemars(length(max = 32))]
    pub partition: String,
    /// The baseline that asks for the change, as it stood.
    pub baseline: RecordedBaseline,
    /// The control that asks for the change.
    #[schemars(length(max = 32))]
    pub control: String,
    /// The findings that the change answers.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub findings: Vec<RecordedFinding>,
    /// The operation of AWS's API. Example: `iam:UpdateAccountPasswordPolicy`.
    #[schemars(length(max = 64))]
    pub operation: String,
    /// The operation that undoes it.
    #[schemars(length(max = 64))]
    pub inverse: String,
    /// What an undo cannot bring back, where there is something: then the change is partly reversible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub not_undone: Option<String>,
    /// The ARN of what is changed.
    #[schemars(length(max = 2048))]
    pub resource: String,
    /// The region of what is changed, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub region: Option<String>,
    /// A hash of account, operation, resource, before and after: the same change has the same meaning.
    #[schemars(length(max = 64))]
    pub meaning: String,
    /// A hash of account and of what is fought about if others undo it: for a rule its group and what it opens.
    #[schemars(length(max = 64))]
    pub target: String,
    /// How many changes of the same meaning came before.
    pub ordinal: i64,
    /// The digest of the plan that the change belongs to; absent for an undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub plan_digest: Option<String>,
    /// The PlanApproval that covers the change, where one was needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub approval: Option<String>,
    /// The ChangeRecord that this change undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub undoes: Option<String>,
    /// When the change was decided. RFC 3339, UTC.
    pub claimed_at: Timestamp,
    /// Who is to make it: a process of the operator, or the identity of who undoes.
    #[schemars(length(max = 512))]
    pub claimed_by: String,
    /// What is replaced, and by what: exactly one is set.
    pub change: RecordedChange,
}

/// The baseline that asks for a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct RecordedBaseline {
    /// The name of the AccountBaseline.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The uid of the AccountBaseline: a baseline that is deleted and made again is another one.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The generation of its spec, as it was planned from.
    pub generation: i64,
    /// The value of the annotation that last forced an evaluation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub requested_at: Option<String>,
}

/// A finding that a change answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct RecordedFinding {
    /// The finding's id.
    #[schemars(length(max = 64))]
    pub id: String,
    /// The check that failed.
    #[schemars(length(max = 64))]
    pub check: String,
    /// What is wrong, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// What is replaced, and by what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, extend("x-kubernetes-validations" = [
    {"rule": "[has(self.passwordPolicy), has(self.userPolicy), has(self.securityGroupRule), \
              has(self.bucketEncryption), has(self.bucketPolicy)].filter(named, named).size() == 1",
     "message": "a ChangeRecord names exactly one change"},
]))]
pub struct RecordedChange {
    /// The account's password policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_policy: Option<PasswordPolicyChange>,
    /// A managed policy of a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_policy: Option<UserPolicyChange>,
    /// A rule of a security group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_group_rule: Option<SecurityGroupRuleChange>,
    /// The default encryption of a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_encryption: Option<BucketEncryptionChange>,
    /// The policy of a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_policy: Option<BucketPolicyChange>,
}

/// What became of a change. Written once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ChangeRecordStatus {
    /// `Succeeded`: AWS was read back and shows the new value. `NotApplied`: AWS was not changed. `Failed`: it was
    /// attempted, and AWS does not show the new value. `Unverifiable`: AWS could not be read any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// One word for programs: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The IAM action that was missing, where that is the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_action: Option<String>,
    /// When the outcome was known. RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
}
