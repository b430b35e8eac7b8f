//! The pure core: from what was observed and what is desired to findings, to a plan ([`plan`]), and to what of it may
//! be started now ([`admit`]). No IO, no clock, no async.
//!
//! One folder per control, each with the units that are observed, the snapshot that is built of them, and
//! `evaluate(&Desired, &Snapshot) -> Vec<Finding>`: every judged resource has a row, passing ones too, and the same
//! input gives the same rows in the same order. Beside it the evidence that a plan needs, and `plan`, which answers
//! failing findings with changes or says why not.

mod account;
pub mod admit;
pub mod change;
mod check;
mod cidr;
mod finding;
pub mod history;
mod observed;
pub mod plan;
mod ports;
mod ranges;
mod references;
mod remediation;
mod summary;

pub mod exceptions;
pub mod mfa;
pub mod password_policy;
pub mod permissions;
pub mod policy_document;
pub mod quotas;
pub mod s3_encryption;
pub mod security_groups;

pub use account::AccountIdentity;
pub use check::{Check, Control, Severity};
pub use finding::{Exemption, Finding, Subject, Verdict, short_hash};
pub use observed::{Cause, CauseClass, Observed};
pub use references::{Actor, CisIds, References};
pub use remediation::{HoldReason, Remediation};
pub use summary::{Summary, result_of};
