//! What one change to AWS replaces, and by what: the typed values of a `ChangeRecord`. Data only.
//!
//! The inverse of each has the same type with before and after exchanged, so that a record can be undone from itself
//! alone, and a forged record cannot turn an undo into any call that its author likes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{BucketEncryption, PasswordPolicy, SecurityGroupRuleValue};

/// The account's password policy is replaced. An absent value: the account has none of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct PasswordPolicyChange {
    /// The policy that was in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<PasswordPolicy>,
    /// The policy that is meant to be in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<PasswordPolicy>,
}

/// A managed policy is attached to a user, or detached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct UserPolicyChange {
    /// The user's name.
    #[schemars(length(min = 1, max = 128))]
    pub user_name: String,
    /// The managed policy's ARN.
    #[schemars(length(min = 1, max = 2048))]
    pub policy_arn: String,
    /// The policy's default version when this was planned: another default version is another policy.
    #[schemars(length(max = 16))]
    pub policy_version: String,
    /// SHA-256 of that version's document, in hexadecimal.
    #[schemars(length(max = 64))]
    pub policy_hash: String,
    /// Whether the policy was attached.
    pub before: bool,
    /// Whether the policy is meant to be attached.
    pub after: bool,
}

/// A rule of a security group is revoked (no after), or authorized (no before).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SecurityGroupRuleChange {
    /// The region of the resource.
    #[schemars(length(max = 32))]
    pub region: String,
    /// The group's id.
    #[schemars(length(max = 64))]
    pub group_id: String,
    /// The group's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub group_name: Option<String>,
    /// The group's VPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub vpc_id: Option<String>,
    /// Network interfaces that the group was attached to, as far as they were read; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 64)), extend("x-kubernetes-list-type" = "atomic"))]
    pub attached_interfaces: Vec<String>,
    /// The rule that was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<SecurityGroupRuleValue>,
    /// The rule that is meant to be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<SecurityGroupRuleValue>,
    /// Rules that must be in the group before this one may be revoked: what of it stays allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub requires: Vec<SecurityGroupRuleValue>,
}

/// A bucket's default encryption is replaced. An absent value: AWS said that there is none, and S3 uses AES256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct BucketEncryptionChange {
    /// The bucket's name.
    #[schemars(length(max = 64))]
    pub bucket: String,
    /// The bucket's region.
    #[schemars(length(max = 32))]
    pub region: String,
    /// The encryption that was in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<BucketEncryption>,
    /// The encryption that is meant to be in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<BucketEncryption>,
}

/// A bucket's policy is replaced. An absent value: no policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct BucketPolicyChange {
    /// The bucket's name.
    #[schemars(length(max = 64))]
    pub bucket: String,
    /// The bucket's region.
    #[schemars(length(max = 32))]
    pub region: String,
    /// The text of the policy that was in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24576))]
    pub before: Option<String>,
    /// The text of the policy that is meant to be in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24576))]
    pub after: Option<String>,
}
