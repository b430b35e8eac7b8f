//! The run: observes an account over the trait [`cloud::Cloud`], has it judged and planned for by the pure core, and
//! makes the changes that were admitted.
//!
//! Knows neither Kubernetes nor an SDK. [`assess`] is the one way in for the controller and for the command line, so
//! that what a pipeline prints is what the operator says. [`enforce`] is the one way to a change, for the operator and
//! for `plumbline undo`.

mod assess;
pub mod calls;
pub mod cloud;
pub mod cluster;
pub mod enforce;
mod except;
#[cfg(test)]
pub(crate) mod fake;
mod gather;
pub mod ledger;
mod message;
mod observe;
pub mod requests;

pub use assess::{AssessError, Assessment, Coverage, Progress, RegionSelection, Silent, assess, verify};
pub use except::except;
pub use gather::gather;
pub use message::control_message;
pub use observe::{RegionsInScope, Scope, regions_in_scope};
