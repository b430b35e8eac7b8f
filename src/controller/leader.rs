//! Who of several processes works: a Lease in the cluster, replaced with its resourceVersion, never forced. IO.
//!
//! What leads, leads by its own clock: [`Held`] ends by itself, whatever the API server says or does not say.

mod decide;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, ResourceExt};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::decide::{Observation, Seen, Step, decide, leads_until};
use super::fresh::{CallError, answered};
use crate::baseline::short_hash;
use crate::engine::ledger::Leadership;
use crate::metrics::Metrics;
use crate::server::Readiness;
use crate::settings::Settings;

/// A Lease that somebody else holds is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A Lease is renewed so often within its duration that what is left of it always outlasts one call to AWS.
const RENEWALS: u32 = 8;

/// What it is called by `/readyz`.
const LEASE: &str = "lease";

/// Where a pod finds the name of its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Until when this process leads, by its own monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<Option<Instant>>);

impl Held {
    fn set(&self, until: Option<Instant>) {
        // A panic elsewhere cannot have left half a value.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    fn until(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leadership for Held {
    fn holds_for(&self, span: Duration) -> bool {
        self.until().is_some_and(|until| Instant::now().checked_add(span).is_some_and(|end| end <= until))
    }
}

/// One process's side of a Lease.
pub(super) struct Candidate {
    api: Api<Lease>,
    name: String,
    namespace: String,
    me: String,
    duration: Duration,
    observation: Observation,
    held: Arc<Held>,
    readiness: Readiness,
    metrics: Arc<Metrics>,
}

/// How a look at the Lease ended.
enum Look {
    /// It is ours.
    Leads,
    /// It is somebody else's, or somebody else was faster.
    Follows(String),
}

/// A name for this process that no other has, and none had before it.
pub(super) fn identity() -> String {
    let host = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    format!("{}-{:016x}", host.as_deref().unwrap_or("plumbline"), fastrand::u64(..))
}

/// Says that the Lease was not looked at yet.
pub(super) fn unknown(readiness: &Readiness) {
    readiness.missing(LEASE, "was not read yet");
}

impl Candidate {
    pub(super) async fn new(
        client: Client,
        settings: &Settings,
        me: String,
        readiness: Readiness,
        metrics: Arc<Metrics>,
    ) -> Self {
        let lease = &settings.lease;
        let namespace = match &lease.lease_namespace {
            Some(namespace) => namespace.clone(),
            None => own_namespace().await,
        };
        let name = lease_name(&lease.lease_name, &settings.selector.to_string());
        metrics.leads(&name, false);
        Self {
            api: Api::namespaced(client, &namespace),
            name,
            namespace,
            me,
            duration: lease.lease_duration,
            observation: Observation::default(),
            held: Arc::default(),
            readiness,
            metrics,
        }
    }

    /// Has `work` done whenever this process leads, until `stop` is cancelled. The token that `work` is given is
    /// cancelled when the Lease is lost; it is waited for until it has ended, and then the Lease is tried for anew.
    pub(super) async fn lead<F: Future<Output = ()>>(
        mut self,
        stop: &CancellationToken,
        work: impl Fn(Arc<dyn Leadership>, CancellationToken) -> F,
    ) {
        while self.acquire(stop).await {
            if stop.is_cancelled() {
                // Taken by a call that was already on its way.
                return self.release().await;
            }
            info!(lease = self.name, namespace = self.namespace, identity = self.me, "leads");
            self.metrics.leads(&self.name, true);
            let term = stop.child_token();
            let mut work = std::pin::pin!(work(self.held.clone(), term.clone()));
            tokio::select! {
                () = &mut work => {}
                () = self.keep() => {
                    warn!(lease = self.name, "the Lease is lost: what is under way is given up");
                    self.metrics.leads(&self.name, false);
                    term.cancel();
                    work.await;
                }
            }
            self.metrics.leads(&self.name, false);
            self.release().await;
        }
    }

    /// Waits for the Lease; `false` if `stop` came first.
    async fn acquire(&mut self, stop: &CancellationToken) -> bool {
        let mut follows: Option<String> = None;
        while !stop.is_cancelled() {
            match self.look().await {
                Ok(Look::Leads) => return true,
                Ok(Look::Follows(holder)) => {
                    if follows.as_ref() != Some(&holder) {
                        info!(lease = self.name, namespace = self.namespace, holder, "waits for the Lease");
                        follows = Some(holder);
                    }
                }
                Err(error) => warn!(lease = self.name, namespace = self.namespace, error = advice(&error), "no Lease"),
            }
            tokio::select! {
                () = sleep(LOOK_EVERY.mul_f64(0.8 + 0.4 * fastrand::f64())) => {}
                () = stop.cancelled() => {}
            }
        }
        false
    }

    /// Renews the Lease for as long as that works, and returns once this process does not lead any more.
    async fn keep(&mut self) {
        let every = self.duration / RENEWALS;
        while let Some(left) = self.held.until().and_then(|until| until.checked_duration_since(Instant::now())) {
            sleep(every.min(left)).await;
            let left = self.held.until().and_then(|until| until.checked_duration_since(Instant::now()));
            match timeout(left.unwrap_or_default(), self.look()).await {
                // Somebody holds it whom nobody would have let: an administrator may have edited it.
                Ok(Ok(Look::Follows(holder))) if holder != self.me => break,
                Ok(Ok(Look::Leads | Look::Follows(_))) => {}
                Ok(Err(error)) => warn!(lease = self.name, error = advice(&error), "the Lease was not renewed"),
                Err(_) => warn!(lease = self.name, "the API server did not answer while the Lease lasted"),
            }
        }
        self.held.set(None);
    }

    /// Looks at the Lease, and takes or renews it where that is due. Whoever can do so is ready, leading or not.
    async fn look(&mut self) -> Result<Look, CallError> {
        let look = self.try_look().await;
        match &look {
            Ok(_) => self.readiness.there(LEASE),
            Err(error) => self.readiness.missing(LEASE, advice(error)),
        }
        look
    }

    async fn try_look(&mut self) -> Result<Look, CallError> {
        let stored = answered(self.api.get_opt(&self.name)).await?;
        let read = stored.as_ref().map(|lease| seen(lease, self.duration));
        let (seen, unchanged) = self.observation.of(read, Instant::now());
        let step = decide(seen, &self.me, self.duration, unchanged);
        let holder = seen.and_then(|seen| seen.holder.clone()).unwrap_or_default();
        let sent = Instant::now();
        let written = match (step, &stored) {
            (Step::Wait(_), _) => return Ok(Look::Follows(holder)),
            (Step::Create | Step::Take | Step::Renew, None) => {
                let lease = Lease {
                    metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                    spec: Some(self.taken(None)),
                };
                answered(self.api.create(&PostParams::default(), &lease)).await
            }
            (Step::Create | Step::Take | Step::Renew, Some(stored)) => {
                let lease = Lease { spec: Some(self.taken(stored.spec.as_ref())), ..stored.clone() };
                answered(self.api.replace(&self.name, &PostParams::default(), &lease)).await
            }
        };
        match written {
            Ok(_) => {
                self.held.set(Some(leads_until(sent, self.duration)));
                Ok(Look::Leads)
            }
            // Somebody was faster: what they wrote is read with the next look.
            Err(error) if error.answer().is_some_and(|answer| answer.code == 409) => Ok(Look::Follows(holder)),
            Err(error) => Err(error),
        }
    }

    /// The spec with this process as the holder.
    fn taken(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let ours = before.and_then(|spec| spec.holder_identity.as_deref()) == Some(self.me.as_str());
        let before = before.cloned().unwrap_or_default();
        let transitions = before.lease_transitions.unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: i32::try_from(self.duration.as_secs()).ok(),
            acquire_time: before.acquire_time.filter(|_| ours).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if ours { transitions } else { transitions.saturating_add(1) }),
            ..before
        }
    }

    /// Gives the Lease back, so that the next process need not wait. Called once nothing is under way any more.
    async fn release(&mut self) {
        self.held.set(None);
        let stored = match answered(self.api.get_opt(&self.name)).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return,
            Err(error) => return warn!(lease = self.name, error = %error, "the Lease was not released: it will end"),
        };
        let spec = stored.spec.clone().unwrap_or_default();
        if spec.holder_identity.as_deref() != Some(self.me.as_str()) {
            return;
        }
        let released = Lease { spec: Some(LeaseSpec { holder_identity: None, ..spec }), ..stored };
        match answered(self.api.replace(&self.name, &PostParams::default(), &released)).await {
            Ok(_) => info!(lease = self.name, "released"),
            Err(error) => warn!(lease = self.name, error = %error, "the Lease was not released: it will end"),
        }
    }
}

fn seen(lease: &Lease, own: Duration) -> Seen {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Seen {
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        resource_version: lease.resource_version().unwrap_or_default(),
        duration: seconds.map_or(own, Duration::from_secs),
    }
}

fn advice(error: &CallError) -> String {
    match error.answer() {
        Some(answer) if answer.is_forbidden() => {
            format!("{error}; grant get, create and update on leases.coordination.k8s.io in that namespace")
        }
        Some(answer) if answer.is_not_found() => format!("{error}; create the namespace, or set --lease-namespace"),
        _ => error.to_string(),
    }
}

/// Operators for different accounts lead side by side.
fn lease_name(name: &str, selector: &str) -> String {
    if selector.is_empty() { name.to_owned() } else { format!("{name}-{}", short_hash([selector])) }
}

async fn own_namespace() -> String {
    if let Some(namespace) = std::env::var("POD_NAMESPACE").ok().filter(|name| !name.is_empty()) {
        return namespace;
    }
    let file = tokio::fs::read_to_string(NAMESPACE_FILE).await.unwrap_or_default();
    if file.trim().is_empty() { "plumbline-system".to_owned() } else { file.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::enforce::CALL_TIMEOUT;
    use crate::settings::SHORTEST_LEASE;

    #[test]
    fn p6_leadership_ends_by_its_own_clock_and_covers_no_call_that_would_outlast_it() {
        let held = Held::default();
        assert!(!held.holds_for(Duration::ZERO), "nobody leads before the Lease is held");
        held.set(Some(Instant::now() + Duration::from_secs(10)));
        assert!(held.holds_for(Duration::from_secs(5)));
        assert!(!held.holds_for(Duration::from_secs(11)));
        assert!(!held.holds_for(Duration::MAX));
        held.set(Instant::now().checked_sub(Duration::from_millis(1)));
        assert!(!held.holds_for(Duration::ZERO));
    }

    #[test]
    fn p6_what_is_left_of_the_shortest_lease_outlasts_a_call_even_before_a_renewal() {
        let (duration, sent) = (SHORTEST_LEASE, Instant::now());
        let slow_answer = Duration::from_secs(1);
        let before_renewal = sent + duration / RENEWALS + slow_answer;
        let left = leads_until(sent, duration).checked_duration_since(before_renewal).unwrap();
        assert!(left >= CALL_TIMEOUT, "{left:?}");
    }

    #[test]
    fn operators_for_different_accounts_have_leases_of_their_own() {
        assert_eq!(lease_name("plumbline", ""), "plumbline");
        let (one, two) = (lease_name("plumbline", "tier=prod"), lease_name("plumbline", "tier=test"));
        assert!(one.starts_with("plumbline-") && one != two, "{one} {two}");
    }

    #[test]
    fn no_two_processes_have_one_name() {
        assert_ne!(identity(), identity());
    }
}
