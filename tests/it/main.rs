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

mod account;
mod admission;
mod alerts;
mod audit;
mod bad_days;
mod bad_manifests;
mod calls;
mod chart;
mod conformance;
mod crash;
mod crds;
mod docs;
mod edge_cases;
mod enforced;
mod enforcement;
mod events;
mod exceptions;
mod faults;
mod generated;
mod gitops;
mod image;
mod layout;
mod least_privilege;
mod lockout;
mod metrics;
mod onboarding;
mod operator;
mod process;
mod promises;
mod reconcile;
mod replicas;
mod robustness;
mod size;
mod support;
mod telemetry;
mod validate;
