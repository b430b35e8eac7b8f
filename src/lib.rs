//! Plumbline holds AWS accounts to a declared security baseline.
//!
//! ```text
//! observe  ->  evaluate  ->  report
//!  AWS, IO      pure          one status write
//! ```
//!
//! [`api`] is the custom resources, data only. [`baseline`] is the pure core: from what was observed and what is
//! desired to findings. [`engine`] runs an assessment over the trait [`engine::cloud::Cloud`] and knows neither
//! Kubernetes nor an SDK. [`aws`] implements that trait, [`controller`] is the operator, [`cli`] the command line and
//! [`render`] its formats; [`manifests`] and [`validate`] read the resources from files. Dependencies point from the
//! edges to the core; `tests/it/layout.rs` fails on any other arrow.

pub mod api;
pub mod aws;
pub mod baseline;
pub mod cli;
pub mod controller;
pub mod engine;
pub mod manifests;
pub mod render;
pub mod settings;
pub mod telemetry;
pub mod validate;
