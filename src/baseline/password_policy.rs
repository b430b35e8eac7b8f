//! The control `passwordPolicy`: what is observed of an account's IAM password policy, and how it is judged. No IO.

mod evaluate;
mod plan;

pub use crate::api::PasswordPolicy;
pub use evaluate::{checks, evaluate};
pub use plan::{Evidence, plan};

use super::account::AccountIdentity;
use super::observed::Observed;

/// Everything that the control is judged by.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Whose policy it is.
    pub account: AccountIdentity,
    /// The policy; `None` where the account has no policy of its own and AWS's default is in force.
    pub policy: Observed<Option<PasswordPolicy>>,
}
