//! What the status of an `AwsAccount` says beside its conditions: whether it was reached, its regions, its quotas.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether the account could be reached, and if not, why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AccountAccess {
    /// Whether AWS answered as the declared account.
    pub reachable: bool,
    /// The class of the cause: `Credentials` (the role could not be assumed, or there are no credentials),
    /// `DeniedByOrganization`, `Throttled`, `Unreachable`, ..., or `AccountMismatch` where another account answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What happened, with AWS's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The statement that the audit role's trust policy needs, as JSON: where AWS refused `sts:AssumeRole`. AWS does
    /// not tell whether this is missing, or the permission of the operator's own identity to assume the role, or the
    /// role. The operator's own role is named without its path, which AWS does not tell either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_statement: Option<String>,
}

/// A region that is enabled in the account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AccountRegion {
    /// The name. Example: `eu-west-1`.
    pub name: String,
    /// Whether the spec has it judged.
    pub judged: bool,
    /// The availability zones, sorted by name, without local and wavelength zones. Absent where they were not read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub zones: Vec<AvailabilityZone>,
    /// Why the zones could not be read, with the IAM action that is missing where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// An availability zone: one name is another place in another account, one id is the same place in all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AvailabilityZone {
    /// The name, as this account has it. Example: `eu-west-1a`.
    pub name: String,
    /// The id, as every account has it. Example: `euw1-az2`.
    pub id: String,
}

/// A quota, and the resource that is nearest to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AccountQuota {
    /// The quota in AWS's own words: `Inbound or outbound rules per security group`, `AttachedPoliciesPerUserQuota`.
    pub name: String,
    /// The region, for a quota that each region has its own of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// How many there can be.
    pub limit: i64,
    /// Where the limit is from: `ServiceQuotas`, `AccountSummary`, or `Default` for what AWS documents, where the
    /// account's own was not read.
    pub source: String,
    /// How many the resource has that is nearest to the limit. Absent where no evaluation has counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<i64>,
    /// That resource: a security group's id, or a user's ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// When that was first counted so. RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_since: Option<Timestamp>,
    /// Why the limit could not be read, with the IAM action that is missing where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
