//! What the proxy knows of accounts beside what the emulator holds: the state that moto has no place for.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Deserialize;

/// The account of whoever signs with a key that nobody registered; moto's own choice.
pub const DEFAULT_ACCOUNT: &str = "123456789012";

/// Two regions, so that tests that look at every region are quick.
pub const DEFAULT_REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];

/// An account's state that the emulator cannot hold.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// The regions that are enabled.
    pub regions: Vec<String>,
    /// How many rules a security group can have, in every region; 60 where it is not set.
    pub rules_per_group: Option<u32>,
    /// The roles that may be assumed.
    pub roles: Vec<Role>,
    /// The root user.
    pub root: Root,
    /// What is set of single users, by name.
    pub users: BTreeMap<String, UserState>,
}

impl Account {
    /// An account of which nobody said anything.
    #[must_use]
    pub fn unknown() -> Self {
        Self { regions: DEFAULT_REGIONS.map(ToOwned::to_owned).to_vec(), ..Self::default() }
    }
}

/// A role that may be assumed by whoever names its external id.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Role {
    /// Its name, with its path where it has one: `PlumblineAudit`, `team/PlumblineAudit`.
    pub name: String,
    /// The external id that its trust policy demands.
    #[serde(default)]
    pub external_id: Option<String>,
}

/// A kind of second factor of the root user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum RootMfa {
    /// A virtual device: `ListVirtualMFADevices` has it.
    Virtual,
    /// A key or a hardware token: only the account summary knows.
    Hardware,
}

/// The root user of an account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Root {
    /// Its second factors.
    pub mfa: Vec<RootMfa>,
    /// Whether it has a password.
    pub password: bool,
    /// How many access keys it has.
    pub access_keys: u8,
    /// How many signing certificates it has.
    pub signing_certificates: u8,
    /// When its password was last used.
    pub password_last_used: Option<Timestamp>,
}

impl Default for Root {
    /// A root user as AWS makes it: with a password and nothing else.
    fn default() -> Self {
        Self { mfa: Vec::new(), password: true, access_keys: 0, signing_certificates: 0, password_last_used: None }
    }
}

/// What the emulator cannot hold of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserState {
    /// When the user was created, where not now.
    pub created: Option<Timestamp>,
    /// When the password was last used.
    pub password_last_used: Option<Timestamp>,
    /// What the credential report says of MFA, where it is older than the truth.
    pub report_mfa_active: Option<bool>,
    /// What the credential report says of the password, where it is older than the truth.
    pub report_password_enabled: Option<bool>,
    /// Whether the credential report was made before the user was.
    pub missing_from_report: bool,
    /// When the password was last changed, where not at the user's creation.
    pub password_changed: Option<Timestamp>,
    /// Whether the password must be changed at the next sign-in.
    pub password_reset_required: bool,
    /// Whether the user has an active service-specific credential.
    pub service_specific_credential: bool,
    /// The actions that nothing allows the user; all others count as allowed.
    pub not_allowed: Vec<String>,
}

/// Who signs with an access key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub account: String,
    /// The ARN that `GetCallerIdentity` answers.
    pub arn: String,
    /// Whether the emulator does not know the key, so that another one is used towards it.
    pub registered: bool,
}

/// Everything that the proxy remembers.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) accounts: HashMap<String, Account>,
    /// By access key id.
    pub(crate) identities: HashMap<String, Identity>,
    /// Keys that make the emulator act in an account, by account.
    pub(crate) upstream_keys: HashMap<String, String>,
    /// When each account's credential report was generated.
    pub(crate) reports: HashMap<String, Timestamp>,
    pub(crate) bucket_regions: HashMap<String, String>,
    /// What `PutBucketEncryption` said of blocked encryption types, by bucket.
    pub(crate) blocked_encryption: HashMap<String, Vec<String>>,
}

impl State {
    /// The account as it was declared, or as one that nobody declared is.
    pub(crate) fn account(&self, id: &str) -> Account {
        self.accounts.get(id).cloned().unwrap_or_else(Account::unknown)
    }

    pub(crate) fn identity(&self, access_key_id: &str) -> Identity {
        self.identities.get(access_key_id).cloned().unwrap_or_else(|| Identity {
            account: DEFAULT_ACCOUNT.to_owned(),
            arn: format!("arn:aws:iam::{DEFAULT_ACCOUNT}:user/moto"),
            registered: false,
        })
    }
}
