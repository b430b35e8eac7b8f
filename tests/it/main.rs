//! Integration tests: black box, a module for each subject. One binary, so that linking happens once.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics fails"
)]

mod admission;
mod audit;
mod bad_manifests;
mod crds;
mod exceptions;
mod layout;
mod operator;
mod support;
mod validate;
