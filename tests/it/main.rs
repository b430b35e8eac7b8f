//! Integration tests: black box, a module for each subject. One binary, so that linking happens once.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics fails"
)]

// The cases of `conformance` are a file of the crate: `crate::baseline` and `crate::engine` are to be found here too.
use plumbline::{baseline, engine};

mod admission;
mod audit;
mod bad_days;
mod bad_manifests;
mod calls;
mod conformance;
mod crash;
mod crds;
mod docs;
mod edge_cases;
mod enforced;
mod enforcement;
mod exceptions;
mod faults;
mod generated;
mod layout;
mod least_privilege;
mod lockout;
mod onboarding;
mod operator;
mod promises;
mod robustness;
mod size;
mod support;
mod validate;
