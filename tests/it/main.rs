//! Integration tests: black box, a module for each subject. One binary, so that linking happens once.

mod bad_manifests;
mod layout;
mod validate;
