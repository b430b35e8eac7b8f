//! One pass over an `AccountBaseline`: is it due, judge the account, close drift where that is wanted, write status
//! once.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::runtime::controller::Action;
use tracing::{Instrument, Span, error_span, info, warn};

use super::Guarded;
use super::approvals::{Pending, pending};
use super::conditions::is_to_be_retried;
use super::context::{Context, now, requested_at, until};
use super::enforcement::{VERSION, enforced};
use super::events::{reconcile_id, tell_all};
use super::exceptions::{InForce, in_force};
use super::outcome::{ending, tell};
use super::schedule::{Ending, Handled, Trigger, after, due, looked_since};
use super::status::{Outcome, Seen, next_status};
use super::transitions;
use super::unreadable::withdraw;
use super::usage::AccountUsage;
use super::write::{WithStatus, WriteError, write_status};
use crate::api::{AccountBaseline, AccountBaselineStatus, AwsAccount};
use crate::baseline::{Cause, CauseClass};
use crate::engine::cloud::{Cloud, Target};
use crate::engine::{AssessError, Assessment, RegionSelection, Silent, assess, except};

/// How often a running pass looks whether it was overtaken by an edit. A look reads memory alone.
const OVERTAKEN_EVERY: Duration = Duration::from_millis(200);

/// An interval that the API server's rules would have refused.
const DEFAULT_INTERVAL: Duration = Duration::from_hours(1);

impl WithStatus for AccountBaseline {
    type Status = AccountBaselineStatus;

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }

    fn set_status(&mut self, status: Self::Status) {
        self.status = Some(status);
    }
}

/// What a pass is about: the baseline, its account, and what the pass answers to.
pub(super) struct Pass {
    pub(super) baseline: AccountBaseline,
    account: Option<AwsAccount>,
    pub(super) in_force: InForce,
    pending: Pending,
    pub(super) trigger: Trigger,
    interval: Duration,
    /// When the pass began: nothing that it reads is older.
    began: Timestamp,
}

/// A judged account, and the cloud that it was read from.
pub(super) struct Assessed {
    pub(super) assessment: Assessment,
    pub(super) cloud: Arc<dyn Cloud>,
}

/// Decides whether the baseline is due, and evaluates it if so.
pub(super) async fn reconcile(
    baseline: Arc<Guarded<AccountBaseline>>,
    context: Arc<Context>,
) -> Result<Action, WriteError> {
    let baseline = match &baseline.0 {
        Ok(baseline) => baseline.clone(),
        Err(invalid) => {
            let name = invalid.metadata.name.as_deref().unwrap_or_default();
            warn!(baseline = name, error = invalid.error, "this version cannot read the object; the others go on");
            return withdraw(&context, invalid).await.map(|()| Action::await_change());
        }
    };
    if !context.selects(&baseline.spec.account_ref.name) {
        return Ok(Action::await_change());
    }
    let account = context.account(&baseline.spec.account_ref.name);
    let in_force = in_force(&context, &baseline.spec.account_ref.name, now());
    let pending = pending(&context, &baseline.name_any(), now());
    let pass = Pass::new(baseline, account, in_force, pending);
    let uid = pass.baseline.uid().unwrap_or_default();
    let memory = context.baseline_attempts.get(&uid);
    // What an earlier process left without an outcome is settled first of all.
    let handled = pass.handled().filter(|_| !context.is_unsettled(pass.account_id()));
    let due_at = due(&pass.trigger, memory.as_ref(), handled.as_ref(), pass.interval, now());
    if due_at > now() {
        return Ok(Action::requeue(pass.until(due_at)));
    }
    let span = pass.span();
    let Some(outcome) = Box::pin(pass.run(&context)).instrument(span.clone()).await else {
        return Ok(Action::requeue(OVERTAKEN_EVERY));
    };
    let written = pass.write(&context, &outcome).instrument(span).await;
    // Where status is refused for good, AWS must not be read again and again for nothing.
    let ending = if written.is_ok() { ending(&outcome) } else { Ending::Failed };
    let mut attempt = after(pass.trigger.clone(), memory.as_ref(), ending, pass.interval, now(), fastrand::f64());
    if let (Ok(()), Some(again)) = (&written, outcome.again()) {
        attempt.next_at = attempt.next_at.min(again);
    }
    let next = Action::requeue(pass.until(attempt.next_at));
    context.baseline_attempts.set(&uid, attempt, &context.baselines);
    written.map(|()| next)
}

impl Pass {
    fn new(baseline: AccountBaseline, account: Option<AwsAccount>, in_force: InForce, pending: Pending) -> Self {
        let trigger = trigger(&baseline, account.as_ref(), &in_force, &pending);
        let interval = baseline.spec.interval.to_duration().unwrap_or(DEFAULT_INTERVAL);
        Self { baseline, account, in_force, pending, trigger, interval, began: now() }
    }

    /// The time until a moment, or until the first exception or approval ends: then the trigger is another one.
    fn until(&self, at: Timestamp) -> Duration {
        let ends = [self.in_force.next_end, self.pending.next_end];
        until(ends.into_iter().flatten().fold(at, Timestamp::min))
    }

    /// How the account is reached to be read.
    pub(super) fn target(&self, account: &AwsAccount) -> Target {
        Target::new(&account.spec, &self.baseline.name_any())
    }

    /// Whether this spec, with this account, was evaluated by this version before.
    pub(super) fn evaluated_before(&self) -> bool {
        self.baseline.status.as_ref().is_some_and(|status| {
            status.observed_generation == self.trigger.generation
                && status.observed_account_generation == self.trigger.account_generation
                && status.observed_account_uid == self.trigger.account_uid
                && status.evaluated_by.as_deref() == Some(VERSION)
                && status.plan.is_some()
        })
    }

    /// The longest that reading the account may take.
    pub(super) fn limit(context: &Context) -> Duration {
        // The cloud gives up its reads at the deadline, which leaves partial results. This is the belt to that brace.
        context.settings.account_timeout.saturating_add(Duration::from_secs(30))
    }

    /// What each log line and each trace of the pass carries. A span of this level is on at every level of logging.
    fn span(&self) -> Span {
        let account = &self.baseline.spec.account_ref.name;
        let (baseline, account_id, reconcile_id) = (self.baseline.name_any(), self.account_id(), reconcile_id());
        error_span!("baseline", baseline, account, account_id, reconcile_id)
    }

    fn account_id(&self) -> &str {
        self.account.as_ref().map_or("", |account| account.spec.account_id.as_str())
    }

    /// What status tells of the last complete evaluation; nothing where a later one failed.
    fn handled(&self) -> Option<Handled> {
        let status = self.baseline.status.as_ref().filter(|status| !is_to_be_retried(&status.conditions))?;
        let trigger = Trigger {
            generation: status.observed_generation,
            account_generation: status.observed_account_generation,
            account_uid: status.observed_account_uid.clone(),
            requested_at: status.last_handled_reconcile_at.clone(),
            exceptions: status.observed_exceptions.clone(),
            approvals: status.observed_approvals.clone(),
        };
        let next_change_at = status.plan.as_ref().and_then(|plan| plan.next_change_at);
        Some(Handled { trigger, at: status.last_evaluated_at?, next_change_at })
    }

    /// Judges the account; `None` if an edit or the end of the process overtook it.
    async fn run(&self, context: &Context) -> Option<Outcome> {
        let Some(account) = &self.account else {
            let name = self.baseline.spec.account_ref.name.clone();
            return Some(match context.unreadable(&name) {
                Some(error) => Outcome::AccountUnreadable { name, error },
                None => Outcome::AccountNotFound { name },
            });
        };
        if self.baseline.spec.suspend {
            return Some(Outcome::Suspended { what: "baseline" });
        }
        if account.spec.suspend {
            return Some(Outcome::Suspended { what: "account" });
        }
        // In this order: a process that ends does not even begin to look.
        let assessed = tokio::select! {
            biased;
            () = self.halted(context) => return None,
            assessed = self.assess(account, context) => assessed,
        };
        let evaluated = match assessed {
            Ok(assessed) => Box::pin(enforced(self, account, assessed, context)).await,
            Err(error) => Err(error),
        };
        match evaluated {
            Ok(evaluated) => evaluated.map(|evaluated| Outcome::Evaluated(Box::new(evaluated))),
            Err(error) => Some(Outcome::Failed(error)),
        }
    }

    /// Judges the account, and what is excepted in it.
    pub(super) async fn assess(&self, account: &AwsAccount, context: &Context) -> Result<Assessed, AssessError> {
        let target = self.target(account);
        let unreachable = |cause| AssessError::Unreachable { account_id: target.account_id.clone(), cause };
        let cloud = context.provider.cloud(&target, context.settings.account_timeout).await.map_err(unreachable)?;
        let regions = RegionSelection::from(&account.spec);
        let controls = &self.baseline.spec.controls;
        let limit = Self::limit(context);
        let assessed = async {
            let assessment = assess(&target.account_id, &regions, controls, &*cloud, &Silent).await?;
            Ok(except(assessment, &self.in_force.exceptions, &*cloud).await)
        };
        let Ok(assessment) = tokio::time::timeout(limit, assessed).await else {
            let message = format!("the evaluation took longer than {}s", limit.as_secs());
            return Err(unreachable(Cause::new(CauseClass::DeadlineExceeded, message)));
        };
        let assessment = assessment?;
        context.usages.note(account, AccountUsage::of_snapshots(&assessment.snapshots), &context.accounts);
        Ok(Assessed { assessment, cloud })
    }

    /// Returns once this pass is to be given up: an edit overtook it, or the process ends.
    pub(super) async fn halted(&self, context: &Context) {
        tokio::select! {
            biased;
            () = context.stop.cancelled() => {}
            () = self.overtaken(context) => {
                info!("given up: the spec, the account, an exception or an approval changed");
            }
        }
    }

    /// Returns once the watch has seen something that this pass does not answer to.
    async fn overtaken(&self, context: &Context) {
        let mut every = tokio::time::interval(OVERTAKEN_EVERY);
        loop {
            every.tick().await;
            let name = &self.baseline.spec.account_ref.name;
            let (account, in_force) = (context.account(name), in_force(context, name, now()));
            let pending = pending(context, &self.baseline.name_any(), now());
            match context.baseline(&self.baseline.name_any()) {
                Some(baseline) if baseline.uid() == self.baseline.uid() => {
                    // A request waits for the end: many of them would never let a large account come to one.
                    let requested_at = self.trigger.requested_at.clone();
                    let asks = trigger(&baseline, account.as_ref(), &in_force, &pending);
                    if (Trigger { requested_at, ..asks }) != self.trigger {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    async fn write(&self, context: &Context, outcome: &Outcome) -> Result<(), WriteError> {
        let (seen, at) = (self.seen(), now());
        tell(outcome);
        let written = write_status(&context.client, &self.baseline, |stored| {
            let before = stored.status.clone().unwrap_or_default();
            if looked_since(before.last_evaluated_at, self.began, at) {
                before
            } else {
                next_status(&before, &seen, outcome, at)
            }
        })
        .await?;
        context.settled(self.account_id(), outcome);
        if let Outcome::Evaluated(evaluated) = outcome {
            context.found.set(&self.baseline, &evaluated.assessment.findings, at, &context.baselines);
        }
        tell_all(&context.told, &self.baseline, written.as_ref(), transitions::of_baseline);
        Ok(())
    }

    fn seen(&self) -> Seen {
        Seen {
            generation: self.trigger.generation,
            account_generation: self.trigger.account_generation,
            account_uid: self.trigger.account_uid.clone(),
            requested_at: self.trigger.requested_at.clone(),
            exceptions: self.trigger.exceptions.clone(),
            approvals: self.trigger.approvals.clone(),
            mode: self.baseline.spec.mode,
            controls: self.baseline.spec.controls.clone(),
            // One evaluation may fail and be repeated; two missed ones are silence.
            stale_after: SignedDuration::try_from(self.interval.saturating_mul(2)).unwrap_or(SignedDuration::MAX),
        }
    }
}

fn trigger(baseline: &AccountBaseline, account: Option<&AwsAccount>, in_force: &InForce, pending: &Pending) -> Trigger {
    Trigger {
        generation: baseline.metadata.generation.unwrap_or_default(),
        account_generation: account.and_then(|account| account.metadata.generation),
        account_uid: account.and_then(ResourceExt::uid),
        requested_at: requested_at(baseline),
        exceptions: in_force.fingerprint.clone(),
        approvals: pending.fingerprint.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{AccountBaselineSpec, AwsAccountSpec, PlanStatus};

    fn pass(observed_uid: Option<&str>) -> Pass {
        let mut account = AwsAccount::new("prod", AwsAccountSpec::default());
        account.metadata.uid = Some("of-now".to_owned());
        account.metadata.generation = Some(1);
        let mut baseline = AccountBaseline::new("prod", AccountBaselineSpec::default());
        baseline.metadata.generation = Some(1);
        baseline.status = Some(AccountBaselineStatus {
            observed_generation: 1,
            observed_account_generation: Some(1),
            observed_account_uid: observed_uid.map(str::to_owned),
            evaluated_by: Some(VERSION.to_owned()),
            last_evaluated_at: Some(Timestamp::UNIX_EPOCH),
            plan: Some(PlanStatus::default()),
            ..AccountBaselineStatus::default()
        });
        Pass::new(baseline, Some(account), InForce::default(), Pending::default())
    }

    #[test]
    fn an_account_that_was_made_anew_under_its_old_name_was_not_evaluated_before() {
        let same = pass(Some("of-now"));
        assert!(same.evaluated_before());
        assert_eq!(same.handled().unwrap().trigger, same.trigger, "not due before the interval ends");
        for other in [Some("of-before"), None] {
            let other = pass(other);
            assert!(!other.evaluated_before(), "nothing is changed in it before it was evaluated once");
            assert_ne!(other.handled().unwrap().trigger, other.trigger, "due at once");
        }
    }
}
