//! The kind `BaselineException`: a waiver that ends by itself.
//!
//! What it covers stays visible, as `Exempt` and with its true result. Whether `expiresAt` is near enough needs the
//! time of creation, which no rule of a CRD can see: [`BaselineExceptionSpec::expiry`] says it, for the controller and
//! for offline validation alike.

#![expect(clippy::duplicated_attributes, reason = "two print columns may have one type")]

use jiff::{SignedDuration, Timestamp};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::condition::Condition;
use super::names::{AwsAccountName, ExpiryTime, ResourcePattern};

/// The longest time from an exception's creation to its end.
pub const LONGEST_EXCEPTION: SignedDuration = SignedDuration::from_hours(366 * 24);

/// The checks of each control, as rules and messages name them: a test holds them to the catalogue.
pub const CHECKS_BY_CONTROL: [(&str, &[&str]); 4] = [
    (
        "passwordPolicy",
        &[
            "MinimumPasswordLength",
            "RequireUppercaseCharacters",
            "RequireLowercaseCharacters",
            "RequireNumbers",
            "RequireSymbols",
            "PasswordReusePrevention",
            "MaxPasswordAge",
            "AllowUsersToChangePassword",
        ],
    ),
    (
        "mfa",
        &[
            "RootUserMfa",
            "RootUserHardwareMfa",
            "RootUserAccessKeys",
            "RootUserUnused",
            "UserMfa",
            "UserPhishingResistantMfa",
        ],
    ),
    ("securityGroups", &["Ingress", "DefaultSecurityGroup"]),
    ("s3Encryption", &["EncryptionAlgorithm", "KmsKey", "KmsKeyUsable", "BucketKey", "SseCForbidden", "TlsRequired"]),
];

/// A waiver of findings in named accounts, for a reason, by an owner, until a time. What it covers is reported as
/// `Exempt`, with its true result.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "plumbline.dev",
    version = "v1alpha1",
    kind = "BaselineException",
    plural = "baselineexceptions",
    shortname = "blexception",
    category = "plumbline",
    status = "BaselineExceptionStatus",
    derive = "PartialEq",
    doc = "A waiver of findings in named accounts, for a reason, by an owner, until a time. What it covers is \
           reported as `Exempt`, with its true result.",
    printcolumn(name = "Control", type_ = "string", json_path = ".spec.control"),
    printcolumn(name = "Check", type_ = "string", json_path = ".spec.check"),
    printcolumn(name = "Owner", type_ = "string", json_path = ".spec.owner"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".spec.expiresAt"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Matched", type_ = "integer", json_path = ".status.matched"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = spec_rules()))]
pub struct BaselineExceptionSpec {
    /// The names of the AwsAccounts in which it holds; nowhere else. Example: `[payments-prod]`.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub accounts: Vec<AwsAccountName>,

    /// The control whose findings it covers: `passwordPolicy`, `mfa`, `securityGroups` or `s3Encryption`. Without a
    /// check it covers all checks of the control; with one it only says again which control the check belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlName>,

    /// The check whose findings it covers; `plumbline checks` prints them all. Omitted: all checks of the control.
    /// Example: `Ingress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-validations" = check_rules()))]
    pub check: Option<String>,

    /// Which resources it covers. The pattern is compared with the whole ARN and with the name (what follows the last
    /// `/` or `:` of the ARN; a security group's own name too) of the resource and of what it belongs to: an exception
    /// for a security group outlives its rules. Example: `reporting-*`.
    pub resource_pattern: ResourcePattern,

    /// Why the finding is accepted, for whoever reads it later. Example: `The migration needs it until
    /// the autumn`.
    #[schemars(length(min = 1, max = 1024), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^\\\\s*\\\\S(.|\\\\s){8,}\\\\S\\\\s*$')",
         "message": "say why, in at least 10 characters: somebody will read it when the finding comes back"},
    ]))]
    pub reason: String,

    /// Who answers for it: a team or a person. Example: `team-data`.
    #[schemars(length(min = 1, max = 253), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^\\\\S(.*\\\\S)?$')",
         "message": "must name a team or a person in one line, such as team-data, without spaces around it"},
    ]))]
    pub owner: String,

    /// When it ends; from then on what it covered fails again. At most 366 days after the exception was created: to
    /// prolong it further, make a new one. RFC 3339. Example: `2027-10-31T00:00:00Z`.
    pub expires_at: ExpiryTime,
}

/// The names of the controls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
#[expect(missing_docs, reason = "documented on the field")]
pub enum ControlName {
    PasswordPolicy,
    Mfa,
    SecurityGroups,
    S3Encryption,
}

/// Whether the exception is in force, and what it covered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BaselineExceptionStatus {
    /// The generation of the spec that this status speaks of; -1 before the first one.
    pub observed_generation: i64,
    /// How many findings it covered in the last evaluations of its accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched: Option<i64>,
    /// When an evaluation last found something that it covers, to the day. RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_matched_at: Option<Timestamp>,
    /// Conditions: `Ready`, true while it is in force, with the reason `Active`, or `Unused` after a week without a
    /// match; false with `Expired` or `Invalid`. And `Stalled` while it is invalid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Why an exception's end cannot be honoured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpiryError {
    /// A day that the calendar does not have.
    #[error("expiresAt {0} is no time that exists: write one such as 2027-10-31T00:00:00Z")]
    NoTime(String),
    /// Longer than anybody should be trusted to remember.
    #[error(
        "expiresAt {expires_at} is more than 366 days after {created_at}: choose an earlier time; to prolong an \
         exception beyond that, make a new one"
    )]
    TooFar {
        /// The end that the spec asks for.
        expires_at: Timestamp,
        /// When the exception was created.
        created_at: Timestamp,
    },
}

impl BaselineExceptionSpec {
    /// When the exception ends.
    ///
    /// # Errors
    ///
    /// If there is no such time, or it is more than 366 days after `created_at`: then the exception is not applied.
    pub fn expiry(&self, created_at: Timestamp) -> Result<Timestamp, ExpiryError> {
        let text = self.expires_at.as_str();
        let expires_at: Timestamp = text.parse().map_err(|_| ExpiryError::NoTime(text.to_owned()))?;
        if expires_at.duration_since(created_at) > LONGEST_EXCEPTION {
            return Err(ExpiryError::TooFar { expires_at, created_at });
        }
        Ok(expires_at)
    }
}

impl ControlName {
    /// The name as in the spec.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PasswordPolicy => "passwordPolicy",
            Self::Mfa => "mfa",
            Self::SecurityGroups => "securityGroups",
            Self::S3Encryption => "s3Encryption",
        }
    }
}

fn spec_rules() -> Value {
    let of_control = |(control, checks): &(&str, &[&str])| {
        json!({
            "rule": format!(
                "!has(self.control) || self.control != '{control}' || !has(self.check) || self.check in {}",
                list(checks)
            ),
            "message": format!(
                "check is not one of the control {control}: remove control, or name one of its checks, {}",
                checks.join(", ")
            ),
        })
    };
    let named = json!({
        "rule": "has(self.control) || has(self.check)",
        "message": "say what is excepted: name a check, or a control for all of its checks",
    });
    std::iter::once(named).chain(CHECKS_BY_CONTROL.iter().map(of_control)).collect()
}

fn check_rules() -> Value {
    let checks: Vec<&str> = CHECKS_BY_CONTROL.iter().flat_map(|(_, checks)| checks.iter().copied()).collect();
    json!([{
        "rule": format!("self in {}", list(&checks)),
        "message": "must be the name of a check, such as Ingress or UserMfa: `plumbline checks` prints them",
    }])
}

/// A list of CEL strings.
fn list(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    format!("[{}]", quoted.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(expires_at: &str) -> BaselineExceptionSpec {
        BaselineExceptionSpec { expires_at: expires_at.into(), ..BaselineExceptionSpec::default() }
    }

    #[test]
    fn an_exception_lasts_at_most_366_days_from_its_creation() {
        let created: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let day = |text: &str| spec(text).expiry(created);
        assert_eq!(day("2027-11-22T12:00:00Z").unwrap().to_string(), "2027-11-22T12:00:00Z");
        assert_eq!(day("2027-11-22T13:00:00+01:00").unwrap().to_string(), "2027-11-22T12:00:00Z");
        assert!(matches!(day("2027-11-22T12:00:01Z"), Err(ExpiryError::TooFar { .. })));
        assert!(day("2020-01-01T00:00:00Z").is_ok(), "expired is not invalid");
    }

    #[test]
    fn a_day_that_does_not_exist_is_no_end() {
        let error = spec("2027-02-31T00:00:00Z").expiry(Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(error.to_string().contains("2027-02-31"), "{error}");
    }
}
