//! The kind `AwsAccount`: an account that the operator can reach.

#![expect(clippy::duplicated_attributes, reason = "two print columns may have one type")]

mod status;

use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::status::{AccountAccess, AccountQuota, AccountRegion, AvailabilityZone};
use super::condition::Condition;
use super::names::{AccountId, RegionName};

/// An AWS account that Plumbline may read: its id, the role to assume, and the regions that count.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "plumbline.dev",
    version = "v1alpha1",
    kind = "AwsAccount",
    plural = "awsaccounts",
    shortname = "awsacct",
    category = "plumbline",
    status = "AwsAccountStatus",
    derive = "PartialEq",
    doc = "An AWS account that Plumbline may read: its id, the role to assume, and the regions that count.",
    printcolumn(name = "Account ID", type_ = "string", json_path = ".spec.accountId"),
    printcolumn(name = "Alias", type_ = "string", json_path = ".status.alias"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Regions", type_ = "integer", json_path = ".status.regionCount"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.accountId == oldSelf.accountId", "fieldPath": ".accountId",
     "message": "accountId is immutable: delete this AwsAccount and create another one"},
    {"rule": "!(has(self.regions) && has(self.excludedRegions))",
     "message": "set regions or excludedRegions, not both: regions names the only ones that count, \
                 excludedRegions the ones that do not"},
    {"rule": "!has(self.externalId) || has(self.auditRoleName) || has(self.enforceRoleName)",
     "message": "externalId is used to assume a role: set auditRoleName too, or remove externalId"},
    {"rule": "!has(self.verifyExternalId) || !self.verifyExternalId || has(self.externalId)",
     "message": "verifyExternalId needs an externalId: set it, or remove verifyExternalId"},
]))]
pub struct AwsAccountSpec {
    /// The account's id, twelve digits in quotes. Immutable: another account is another AwsAccount.
    /// Example: `"222222222222"`.
    pub account_id: AccountId,

    /// The name of the IAM role in the account that Plumbline assumes to read it, with its path if it has one. Omitted:
    /// the operator's own identity is used. Example: `PlumblineAudit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64}$')",
         "message": "must be the name of an IAM role, such as PlumblineAudit, with its path where it has one, such as \
                     security/PlumblineAudit; no ARN"},
    ]))]
    pub audit_role_name: Option<String>,

    /// The name of the IAM role in the account that Plumbline assumes to change it, with its path if it has one.
    /// Omitted: nothing in the account is ever changed. Example: `PlumblineEnforce`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64}$')",
         "message": "must be the name of an IAM role, such as PlumblineEnforce, with its path where it has one, such \
                     as security/PlumblineEnforce; no ARN"},
    ]))]
    pub enforce_role_name: Option<String>,

    /// The external id that the role's trust policy demands. Not a secret: it stands in the trust policy too.
    /// Example: `0f6c9a`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1224), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^[A-Za-z0-9_+=,.@:/-]{2,}$')",
         "message": "must be an external id as AWS allows it: at least two letters, digits or characters of _+=,.@:/-"},
    ]))]
    pub external_id: Option<String>,

    /// True has Plumbline check once a day that its roles can not be assumed without the external id; if one can, the
    /// account says so, and nothing in it is changed. Each check is an `AccessDenied` in the account's CloudTrail.
    /// Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verify_external_id: bool,

    /// The only regions that are judged. Omitted: every region that is enabled in the account. Example:
    /// `[eu-west-1, us-east-1]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub regions: Option<Vec<RegionName>>,

    /// Regions that are not judged although they are enabled. Example: `[me-south-1]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub excluded_regions: Option<Vec<RegionName>>,

    /// True stops every evaluation of this account; status keeps what was last seen. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// What was last learned about the account itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AwsAccountStatus {
    /// The generation of the spec that this status speaks of; -1 before the first one.
    pub observed_generation: i64,
    /// The value of the annotation that last forced a look, as it was handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// When the account was last reached and its identity checked. RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_verified_at: Option<Timestamp>,
    /// Whether the account could be reached when that was last tried, and why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<AccountAccess>,
    /// The identity that AWS said Plumbline has in the account (`sts:GetCallerIdentity`), an ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_arn: Option<String>,
    /// The account's alias, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The regions that are enabled in the account, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub enabled_regions: Vec<String>,
    /// How many regions are judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region_count: Option<i64>,
    /// The regions that are enabled in the account, with their zones, sorted by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub regions: Vec<AccountRegion>,
    /// The quotas of AWS that a change by Plumbline can meet, and how near to them the account is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub quotas: Vec<AccountQuota>,
    /// When zones and quotas were last read of all regions; absent where some are to be read again soon. RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details_read_at: Option<Timestamp>,
    /// When it was last checked that the roles can not be assumed without the external id. RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id_verified_at: Option<Timestamp>,
    /// Conditions: `Ready`, where asked for `ExternalIdEnforced`, and while they are true `Reconciling` and `Stalled`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
