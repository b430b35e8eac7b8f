//! AWS's own settings in the shapes in which `ChangeRecord`s keep them and the core compares them: data only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An account's own IAM password policy, as `iam:GetAccountPasswordPolicy` returns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the IAM API's own shape")]
pub struct PasswordPolicy {
    /// The least number of characters.
    pub minimum_password_length: i32,
    /// Whether a character that is neither letter nor digit is demanded.
    pub require_symbols: bool,
    /// Whether a digit is demanded.
    pub require_numbers: bool,
    /// Whether an uppercase letter is demanded.
    pub require_uppercase_characters: bool,
    /// Whether a lowercase letter is demanded.
    pub require_lowercase_characters: bool,
    /// Whether users may change their own password.
    pub allow_users_to_change_password: bool,
    /// The oldest that a password may be, in days; absent where passwords do not expire (AWS leaves it out, or says 0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_password_age: Option<i32>,
    /// How many earlier passwords may not be used again; absent where none is remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_reuse_prevention: Option<i32>,
    /// Whether an expired password can only be replaced by an administrator.
    pub hard_expiry: bool,
}

/// The default encryption of a bucket, as `s3:GetBucketEncryption` returns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BucketEncryption {
    /// `SSEAlgorithm` as AWS says it: `AES256`, `aws:kms`, `aws:kms:dsse`.
    #[schemars(length(max = 64))]
    pub algorithm: String,
    /// `KMSMasterKeyID`: a key id, key ARN, alias name or alias ARN; absent for the AWS-managed key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub kms_key_id: Option<String>,
    /// `BucketKeyEnabled`.
    #[serde(default)]
    pub bucket_key_enabled: bool,
    /// `BlockedEncryptionTypes`: empty where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 64)), extend("x-kubernetes-list-type" = "atomic"))]
    pub blocked_encryption_types: Vec<String>,
}

/// One rule of a security group, whole, so that it can be made again. Exactly one of the four kinds of peer is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecurityGroupRuleValue {
    /// `sgr-...`; absent for a rule that does not exist yet. A rule that is made again has a new id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub rule_id: Option<String>,
    /// Whether the rule lets traffic out of the group; else it lets traffic in.
    #[serde(default)]
    pub is_egress: bool,
    /// `-1`, `tcp`, `udp`, `icmp`, `icmpv6`, or a protocol number.
    #[schemars(length(max = 16))]
    pub ip_protocol: String,
    /// The lowest port; the type for ICMP; -1 or absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_port: Option<i32>,
    /// The highest port; the code for ICMP; -1 or absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_port: Option<i32>,
    /// The peer as an IPv4 block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cidr_ipv4: Option<String>,
    /// The peer as an IPv6 block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cidr_ipv6: Option<String>,
    /// The peer as a prefix list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub prefix_list_id: Option<String>,
    /// The peer as another security group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referenced_group: Option<ReferencedGroup>,
    /// The rule's description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub description: Option<String>,
    /// The rule's tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub tags: Vec<Tag>,
}

/// A security group that a rule names as its peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ReferencedGroup {
    /// The group's id, `sg-...`.
    #[schemars(length(max = 64))]
    pub group_id: String,
    /// The account that owns the group, where AWS says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub user_id: Option<String>,
    /// The VPC peering connection, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub vpc_peering_connection_id: Option<String>,
}

/// A tag of an AWS resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Tag {
    /// The key of the tag.
    #[schemars(length(max = 512))]
    pub key: String,
    /// The value of the tag.
    #[schemars(length(max = 512))]
    pub value: String,
}
