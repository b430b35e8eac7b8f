//! The shape of an account's state in YAML. No IO.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::aws_proxy::{DEFAULT_REGIONS, Role, Root};

/// An account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Document {
    pub(super) account_id: String,
    pub(super) alias: Option<String>,
    #[serde(default = "default_regions")]
    pub(super) regions: Vec<String>,
    /// The quota of rules of a security group, in every region.
    pub(super) rules_per_group: Option<u32>,
    #[serde(default)]
    pub(super) roles: Vec<Role>,
    #[serde(default)]
    pub(super) root: Root,
    pub(super) password_policy: Option<PasswordPolicy>,
    /// Names of virtual devices that belong to nobody.
    #[serde(default)]
    pub(super) unassigned_virtual_devices: Vec<String>,
    #[serde(default)]
    pub(super) policies: Vec<Policy>,
    #[serde(default)]
    pub(super) groups: Vec<Group>,
    #[serde(default)]
    pub(super) users: Vec<User>,
    /// By region.
    #[serde(default)]
    pub(super) prefix_lists: BTreeMap<String, Vec<PrefixList>>,
    /// By region.
    #[serde(default)]
    pub(super) security_groups: BTreeMap<String, Vec<SecurityGroup>>,
    /// By region.
    #[serde(default)]
    pub(super) keys: BTreeMap<String, Vec<Key>>,
    #[serde(default)]
    pub(super) buckets: Vec<Bucket>,
}

fn default_regions() -> Vec<String> {
    DEFAULT_REGIONS.map(ToOwned::to_owned).to_vec()
}

/// Sent as it stands: what is left out falls back to AWS's values for a policy of one's own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct PasswordPolicy {
    pub(super) minimum_password_length: Option<u32>,
    pub(super) require_uppercase_characters: Option<bool>,
    pub(super) require_lowercase_characters: Option<bool>,
    pub(super) require_numbers: Option<bool>,
    pub(super) require_symbols: Option<bool>,
    pub(super) password_reuse_prevention: Option<u32>,
    pub(super) max_password_age: Option<u32>,
    pub(super) hard_expiry: Option<bool>,
    pub(super) allow_users_to_change_password: Option<bool>,
}

/// A policy of the customer's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) document: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) policies: Vec<String>,
    pub(super) inline_policies: BTreeMap<String, Value>,
}

/// A kind of second factor of a user.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) enum Mfa {
    Virtual,
    Fido,
    HardwareTotp,
    Sms,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "a document: each is a line that a scenario writes or leaves out")]
pub(super) struct User {
    pub(super) name: String,
    pub(super) path: Option<String>,
    pub(super) password: bool,
    pub(super) mfa: Vec<Mfa>,
    pub(super) access_keys: u8,
    pub(super) inactive_access_keys: u8,
    pub(super) groups: Vec<String>,
    pub(super) policies: Vec<String>,
    pub(super) inline_policies: BTreeMap<String, Value>,
    pub(super) password_last_used: Option<Timestamp>,
    pub(super) created_days_ago: Option<u32>,
    pub(super) report_mfa_active: Option<bool>,
    pub(super) report_password_enabled: Option<bool>,
    pub(super) missing_from_report: bool,
    pub(super) password_changed_days_ago: Option<u32>,
    pub(super) password_reset_required: bool,
    pub(super) service_specific_credential: bool,
    pub(super) not_allowed: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct PrefixList {
    pub(super) name: String,
    pub(super) cidrs: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct SecurityGroup {
    pub(super) name: String,
    pub(super) default: bool,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) ingress: Vec<Rule>,
    pub(super) egress: Vec<Rule>,
    pub(super) no_default_egress: bool,
    pub(super) attached: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct Rule {
    pub(super) protocol: String,
    pub(super) ports: Option<Ports>,
    pub(super) cidrs: Vec<String>,
    pub(super) prefix_lists: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) description: Option<String>,
}

/// `443` or `"8000-8080"`; of ICMP the type and the code.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Ports {
    One(i32),
    Range(String),
}

impl Ports {
    /// The first and the last.
    pub(super) fn bounds(&self) -> (String, String) {
        match self {
            Self::One(port) => (port.to_string(), port.to_string()),
            Self::Range(text) => {
                let (from, to) = text.split_once('-').unwrap_or((text, text));
                (from.trim().to_owned(), to.trim().to_owned())
            }
        }
    }
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) enum KeyState {
    #[default]
    Enabled,
    Disabled,
    PendingDeletion,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Key {
    pub(super) alias: String,
    #[serde(default)]
    pub(super) state: KeyState,
    /// As KMS names it: `RSA_2048`, `HMAC_256`; symmetric where none is given.
    pub(super) spec: Option<String>,
    /// As KMS names it: `SIGN_VERIFY`, `GENERATE_VERIFY_MAC`; for encryption where none is given.
    pub(super) usage: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Bucket {
    pub(super) name: String,
    pub(super) region: String,
    pub(super) encryption: Option<Encryption>,
    pub(super) policy: Option<Value>,
    #[serde(default)]
    pub(super) website: bool,
    pub(super) public_access_block: Option<bool>,
    /// The bucket that gets this one's server access logs.
    pub(super) logs_to: Option<String>,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) replicates: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Encryption {
    pub(super) algorithm: String,
    /// An alias or an ARN, stored as it stands; `key:REGION/ALIAS` is the ARN of a key of this document.
    pub(super) key: Option<String>,
    pub(super) bucket_key: Option<bool>,
    #[serde(default)]
    pub(super) blocked_encryption_types: Vec<String>,
}
