//! From what the operator does to `/metrics` in the `OpenMetrics` text format. IO: `/proc`, for the process's own.
//!
//! A label is a name that somebody declared (an object's name, an account id) or a word of a closed list: never an ARN,
//! an id of a resource, or the text of an error. [`TABLE`] has every metric; nothing else is written.

mod calls;
mod objects;
mod process;
mod reconciles;
mod requests;
mod table;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use self::calls::{Calls, OTHER};
pub use self::objects::{FindingCounts, Objects, Series};
use self::reconciles::Reconciles;
pub use self::reconciles::{Controller, Pass, PassResult};
pub use self::requests::{CountRequests, Counted};
pub use self::table::{Kind, Metric, TABLE};
use self::write::{Counts, samples_of};
use crate::baseline::Control;
use crate::baseline::change::WriteOperation;
use crate::baseline::history::Outcome;

/// The content type of [`Metrics::encoded`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The content type of [`Metrics::encoded_classic`].
pub const CLASSIC_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that this process counts.
pub struct Metrics {
    registry: Registry,
    state: Arc<State>,
}

/// What is written at a scrape.
struct State {
    reconciles: Reconciles,
    requests: Counts,
    leads: Mutex<BTreeMap<String, bool>>,
    changes: Counts,
    calls: Calls,
    objects: Mutex<Option<Arc<dyn Objects>>>,
}

impl Metrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        let state = Arc::new(State {
            reconciles: Reconciles::new(),
            requests: Counts::new(table::REQUESTS),
            leads: Mutex::default(),
            changes: Counts::new(table::CHANGES),
            calls: Calls::new(),
            objects: Mutex::default(),
        });
        let mut registry = Registry::default();
        registry.register_collector(Box::new(state.clone()));
        Self { registry, state }
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

    /// The same in Prometheus' older text format, for scrapers that do not read `OpenMetrics`.
    ///
    /// # Errors
    ///
    /// As [`Metrics::encoded`].
    pub fn encoded_classic(&self) -> Result<String, fmt::Error> {
        self.encoded().map(|text| classic(&text))
    }

    /// A pass of a controller begins.
    pub fn pass(self: &Arc<Self>, controller: Controller) -> Pass {
        Pass::begin(self.clone(), controller)
    }

    /// How many passes each controller may have under way.
    pub fn may_run_at_once(&self, passes: u16) {
        self.state.reconciles.may_run_at_once(passes);
    }

    /// Whether this process holds the Lease of this name.
    pub fn leads(&self, lease: &str, is: bool) {
        // A panic elsewhere cannot have left half an entry.
        self.state.leads.lock().unwrap_or_else(PoisonError::into_inner).insert(lease.to_owned(), is);
    }

    /// A change to AWS came to its end.
    pub fn changed(&self, account: &str, control: &str, operation: &str, outcome: Outcome) {
        // A record may be of another version, or of another hand: what is no word of ours is no label.
        let control = Control::ALL.into_iter().map(Control::as_str).find(|known| *known == control);
        let operation = WriteOperation::ALL.into_iter().map(WriteOperation::name).find(|known| *known == operation);
        let (control, operation) = (control.unwrap_or(OTHER), operation.unwrap_or(OTHER));
        self.state.changes.add(&[account, control, operation, outcome.as_str()]);
    }

    /// Shows these objects in each scrape, until the answer is dropped.
    #[must_use]
    pub fn showing(self: &Arc<Self>, objects: Arc<dyn Objects>) -> Showing {
        *self.state.objects() = Some(objects);
        Showing { metrics: self.clone() }
    }
}

/// Objects are shown for as long as this lives.
#[derive(Debug)]
pub struct Showing {
    metrics: Arc<Metrics>,
}

impl Drop for Showing {
    fn drop(&mut self) {
        *self.metrics.state.objects() = None;
    }
}

impl State {
    fn objects(&self) -> MutexGuard<'_, Option<Arc<dyn Objects>>> {
        // A panic elsewhere cannot have left half a pointer.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl Collector for State {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        samples_of(encoder, &table::BUILD, [([env!("CARGO_PKG_VERSION")], 1_u64)])?;
        self.reconciles.write(encoder)?;
        self.requests.write(encoder)?;
        let leads = self.leads.lock().unwrap_or_else(PoisonError::into_inner).clone();
        samples_of(encoder, &table::LEADS, leads.iter().map(|(name, is)| ([name], u64::from(*is))))?;
        let mut series = Series::default();
        let objects = self.objects().clone();
        let shown = objects.is_some();
        if let Some(objects) = objects {
            objects.show(&mut series);
        }
        series.write(encoder)?;
        // What is counted by an object goes with it. Where none are shown any more, the last counts are still seen.
        if shown {
            self.changes.keep(|account| series.accounts().contains(account));
        }
        self.changes.write(encoder)?;
        self.calls.keep_accounts(series.account_ids());
        self.calls.write(encoder)?;
        process::write(encoder)
    }
}

/// Families by their full names, no types that the older format lacks, and no end mark.
fn classic(text: &str) -> String {
    let mut lines = String::with_capacity(text.len());
    for line in text.lines().filter(|line| *line != "# EOF" && !line.starts_with("# UNIT ")) {
        let mut words = line.splitn(4, ' ');
        let comment = (words.next(), words.next(), words.next(), words.next());
        if let (Some("#"), Some(what @ ("HELP" | "TYPE")), Some(family), Some(rest)) = comment {
            let metric = TABLE.iter().find(|metric| metric.family() == family);
            let name = metric.map_or(family, |metric| metric.name);
            let rest = if what == "TYPE" && rest == "info" { "gauge" } else { rest };
            lines.extend(["# ", what, " ", name, " ", rest, "\n"]);
        } else {
            lines.push_str(line);
            lines.push('\n');
        }
    }
    lines
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

#[cfg(test)]
mod tests;
