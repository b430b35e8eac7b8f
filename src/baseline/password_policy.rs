//! The control `passwordPolicy`: what is observed of an account's IAM password policy, how it is judged, and the one
//! write that brings it to the baseline. No IO.

mod evaluate;
mod expiry;
mod plan;
#[cfg(test)]
mod testing;

pub use crate::api::PasswordPolicy;
pub use evaluate::{checks, evaluate};
pub use expiry::Needs;
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
