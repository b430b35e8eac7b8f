//! From what the operator does to `/metrics` in the OpenMetrics text format. No IO, no clock.
//!
//! A label is a name that somebody declared (an object's name, an account id) or a word of a closed list: never an ARN,
//! an id of a resource, or the text of an error. `docs/metrics.md` lists every metric; a test holds the two together.

use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// The content type of [`Metrics::encoded`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that this process counts.
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("plumbline_build", "The version that runs", build);
        Self { registry }
    }

    /// The metrics as a scrape gets them.
    ///
    /// # Errors
    ///
    /// When a metric cannot be written as text, which is a fault of this program.
    pub fn encoded(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
