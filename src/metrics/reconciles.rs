//! Counts the passes of the controllers by the names that controller-runtime has for them. No IO; the clock alone.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::histogram::Histogram;

use super::Metrics;
use super::table::{ACTIVE, MAX_CONCURRENT, RECONCILE_ERRORS, RECONCILE_TIME, RECONCILES};
use super::write::{Counts, histograms, samples_of};

/// The controllers, by the kinds that they look after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// `AwsAccount`
    AwsAccount,
    /// `AccountBaseline`
    AccountBaseline,
    /// `BaselineException`
    BaselineException,
    /// `PlanApproval`
    PlanApproval,
}

impl Controller {
    /// All of them, in the order of the exposition.
    const ALL: [Self; 4] = [Self::AwsAccount, Self::AccountBaseline, Self::BaselineException, Self::PlanApproval];

    fn as_str(self) -> &'static str {
        match self {
            Self::AwsAccount => "awsaccount",
            Self::AccountBaseline => "accountbaseline",
            Self::BaselineException => "baselineexception",
            Self::PlanApproval => "planapproval",
        }
    }
}

/// What came of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassResult {
    /// Nothing more until the object changes.
    Success,
    /// It is looked at again after a time.
    RequeueAfter,
    /// Kubernetes refused something, or did not answer.
    Error,
}

impl PassResult {
    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::RequeueAfter => "requeue_after",
            Self::Error => "error",
        }
    }
}

/// What controller-runtime's dashboards ask for; `requeue` never happens here and is 0.
const RESULTS: [&str; 4] = ["error", "requeue", "requeue_after", "success"];

/// Passes that find nothing due take microseconds, an evaluation seconds to minutes: `--account-timeout` is 10 minutes.
const PASS_BUCKETS: [f64; 13] = [0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// All passes of this process.
pub(super) struct Reconciles {
    results: Counts,
    errors: Counts,
    by_controller: [ByController; 4],
    max_concurrent: AtomicU64,
}

struct ByController {
    active: AtomicI64,
    time: Histogram,
}

impl Reconciles {
    pub(super) fn new() -> Self {
        let (results, errors) = (Counts::new(RECONCILES), Counts::new(RECONCILE_ERRORS));
        for controller in Controller::ALL.map(Controller::as_str) {
            errors.add_all(&[controller], 0);
            for result in RESULTS {
                results.add_all(&[controller, result], 0);
            }
        }
        let by_controller =
            std::array::from_fn(|_| ByController { active: AtomicI64::new(0), time: Histogram::new(PASS_BUCKETS) });
        Self { results, errors, by_controller, max_concurrent: AtomicU64::new(0) }
    }

    /// How many passes each controller may have under way.
    pub(super) fn may_run_at_once(&self, passes: u16) {
        self.max_concurrent.store(passes.into(), Ordering::Relaxed);
    }

    fn of(&self, controller: Controller) -> &ByController {
        let [accounts, baselines, exceptions, approvals] = &self.by_controller;
        match controller {
            Controller::AwsAccount => accounts,
            Controller::AccountBaseline => baselines,
            Controller::BaselineException => exceptions,
            Controller::PlanApproval => approvals,
        }
    }

    fn each(&self) -> impl Iterator<Item = (&'static str, &ByController)> {
        Controller::ALL.into_iter().map(|controller| (controller.as_str(), self.of(controller)))
    }

    pub(super) fn write(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.results.write(encoder)?;
        self.errors.write(encoder)?;
        histograms(encoder, &RECONCILE_TIME, self.each().map(|(name, controller)| (name, &controller.time)))?;
        let active = self.each().map(|(name, controller)| ([name], controller.active.load(Ordering::Relaxed)));
        samples_of(encoder, &ACTIVE, active.map(|(name, count)| (name, u64::try_from(count).unwrap_or_default())))?;
        let most = self.max_concurrent.load(Ordering::Relaxed);
        samples_of(encoder, &MAX_CONCURRENT, self.each().map(|(name, _)| ([name], most)))
    }
}

/// A pass that is under way. Dropped before its end, it is no worker any more; where that is a panic, it failed.
#[must_use = "a pass lasts as long as this"]
pub struct Pass {
    metrics: Arc<Metrics>,
    controller: Controller,
    since: Instant,
    result: Option<PassResult>,
}

impl Pass {
    pub(super) fn begin(metrics: Arc<Metrics>, controller: Controller) -> Self {
        metrics.state.reconciles.of(controller).active.fetch_add(1, Ordering::Relaxed);
        Self { metrics, controller, since: Instant::now(), result: None }
    }

    /// The pass has come to its end.
    pub fn end(mut self, result: PassResult) {
        self.result = Some(result);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let reconciles = &self.metrics.state.reconciles;
        let (name, of) = (self.controller.as_str(), reconciles.of(self.controller));
        of.active.fetch_sub(1, Ordering::Relaxed);
        let Some(result) = self.result.or_else(|| std::thread::panicking().then_some(PassResult::Error)) else {
            return;
        };
        of.time.observe(self.since.elapsed().as_secs_f64());
        reconciles.results.add(&[name, result.as_str()]);
        if result == PassResult::Error {
            reconciles.errors.add(&[name]);
        }
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").field("controller", &self.controller).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(metrics: &Metrics, beginning: &str) -> Vec<String> {
        let text = metrics.encoded().unwrap();
        text.lines().filter(|line| line.starts_with(beginning)).map(str::to_owned).collect()
    }

    #[test]
    fn a_pass_counts_once_and_is_a_worker_while_it_lasts() {
        let metrics = Arc::new(Metrics::new());
        let active = |count| vec![format!("controller_runtime_active_workers{{controller=\"awsaccount\"}} {count}")];
        let of_accounts = "controller_runtime_active_workers{controller=\"awsaccount\"";
        let pass = metrics.pass(Controller::AwsAccount);
        assert_eq!(lines(&metrics, of_accounts), active(1));
        pass.end(PassResult::RequeueAfter);
        assert_eq!(lines(&metrics, of_accounts), active(0));
        let results = "controller_runtime_reconcile_total{controller=\"awsaccount\",result=";
        let expected = ["error", "requeue", "requeue_after", "success"]
            .map(|result| format!("{results}\"{result}\"}} {}", u8::from(result == "requeue_after")));
        assert_eq!(lines(&metrics, results), expected);
    }

    #[test]
    fn a_pass_that_is_dropped_is_no_worker_and_one_that_panics_has_failed() {
        let metrics = Arc::new(Metrics::new());
        drop(metrics.pass(Controller::PlanApproval));
        let errors = "controller_runtime_reconcile_errors_total{controller=\"planapproval\"}";
        assert_eq!(lines(&metrics, errors), [format!("{errors} 0")]);
        let inside = metrics.clone();
        let panicked = std::thread::spawn(move || {
            let _pass = inside.pass(Controller::PlanApproval);
            panic!("as a bug would");
        });
        assert!(panicked.join().is_err());
        assert_eq!(lines(&metrics, errors), [format!("{errors} 1")]);
        let active = "controller_runtime_active_workers{controller=\"planapproval\"}";
        assert_eq!(lines(&metrics, active), [format!("{active} 0")]);
    }
}
