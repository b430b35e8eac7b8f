//! From failing findings of the control to the changes that answer them, and why the others are held. No IO.

use super::Snapshot;
use crate::api::PasswordPolicyControl;
use crate::baseline::finding::Finding;
use crate::baseline::plan::{Circumstances, ControlPlan};

/// What is read beside the snapshot to plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {}

/// Plans the control.
#[must_use]
pub fn plan(
    _desired: &PasswordPolicyControl,
    _failing: &[&Finding],
    _snapshot: &Snapshot,
    _evidence: &Evidence,
    _circumstances: &Circumstances,
) -> ControlPlan {
    ControlPlan::default()
}
