//! The control `passwordPolicy`: what is observed of an account's IAM password policy, and how it is judged. No IO.

mod evaluate;

pub use evaluate::{checks, evaluate};

use super::account::AccountIdentity;
use super::observed::Observed;

/// An account's own password policy, as `iam:GetAccountPasswordPolicy` returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the field names are those of the IAM API")]
#[expect(clippy::struct_excessive_bools, reason = "the IAM API's own shape")]
pub struct PasswordPolicy {
    pub minimum_password_length: i32,
    pub require_symbols: bool,
    pub require_numbers: bool,
    pub require_uppercase_characters: bool,
    pub require_lowercase_characters: bool,
    pub allow_users_to_change_password: bool,
    /// Days; `None` where passwords do not expire (AWS leaves it out, or says 0).
    pub max_password_age: Option<i32>,
    /// A number of passwords; `None` where none is remembered.
    pub password_reuse_prevention: Option<i32>,
    pub hard_expiry: bool,
}

/// Everything that the control is judged by.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Whose policy it is.
    pub account: AccountIdentity,
    /// The policy; `None` where the account has no policy of its own and AWS's default is in force.
    pub policy: Observed<Option<PasswordPolicy>>,
}
