//! The run: observes an account over the trait [`cloud::Cloud`] and has it judged by the pure core.
//!
//! Knows neither Kubernetes nor an SDK. [`assess`] is the one way in for the controller and for the command line, so
//! that what a pipeline prints is what the operator says.

mod assess;
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

pub use assess::{AssessError, Assessment, Coverage, Progress, RegionSelection, Silent, assess, verify};
pub use except::except;
pub use gather::gather;
pub use message::control_message;
pub use observe::{RegionsInScope, Scope, regions_in_scope};
