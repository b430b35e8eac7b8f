//! Plumbline holds AWS accounts to a declared security baseline.
//!
//! ```text
//! observe -> evaluate -> except -> plan -> admit -> enforce -> report
//! AWS, IO    pure        pure      pure    pure     IO         one status write
//! ```
//!
//! Between `except` and `plan` what decides whether a change is safe is read, and where something was changed all of it
//! is done once more. Without `--enforce`, and where no control enforces, nothing is admitted, so nothing is changed.
//!
//! [`api`] is the custom resources, data only. [`baseline`] is the pure core: from what was observed and what is
//! desired to findings, from those to a plan, and from the plan to what may be started now. [`engine`] runs assessment
//! and enforcement over the traits of [`engine::cloud`] and [`engine::ledger`], and knows neither Kubernetes nor an
//! SDK. [`aws`] implements those of the cloud, [`controller`] is the operator, [`cli`] the command line and [`render`]
//! its formats; [`manifests`] and [`validate`] read the resources from files. Dependencies point from the
//! edges to the core; `tests/it/layout.rs` fails on any other arrow.

pub mod api;
pub mod aws;
pub mod baseline;
pub mod cli;
pub mod controller;
pub mod engine;
pub mod manifests;
pub mod metrics;
pub mod render;
pub mod server;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
pub mod validate;
