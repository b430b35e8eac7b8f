//! Consent in the cluster: a watch that has a baseline judged anew when a `PlanApproval` for it comes or goes, the
//! consents as fresh reads give them, and one pass over an approval that writes its status.
//!
//! An approval is marked as used before the first change under it is started: whoever looks later knows what it covers.

mod status;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc;
use futures::{StreamExt, future};
use jiff::Timestamp;
use kube::api::ListParams;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tracing::{info, warn};

pub(super) use self::status::Use;
use self::status::{CurrentPlan, Seen, next_status};
use super::context::{Context, now, until};
use super::events::tell_all;
use super::fresh::{CallError, all};
use super::transitions;
use super::write::{WithStatus, WriteError, write_status};
use super::{Guarded, describe};
use crate::api::{AccountBaseline, PlanApproval, PlanApprovalStatus};
use crate::baseline::admit::Consent;
use crate::baseline::exceptions::fingerprint;

/// How often an approval is looked at where nothing changes. A look reads memory alone.
const INTERVAL: Duration = Duration::from_hours(1);

impl WithStatus for PlanApproval {
    type Status = PlanApprovalStatus;

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }

    fn set_status(&mut self, status: Self::Status) {
        self.status = Some(status);
    }
}

/// The approvals for one baseline that have not expired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pending {
    /// The same as long as they are; `None` where there are none.
    pub(super) fingerprint: Option<String>,
    /// When the first of them ends.
    pub(super) next_end: Option<Timestamp>,
}

/// The approvals for a baseline, as the watch last saw them.
pub(super) fn pending(context: &Context, baseline: &str, now: Timestamp) -> Pending {
    let objects = context.approvals.state();
    pending_of(objects.iter().filter_map(|object| object.0.as_ref().ok()), baseline, now)
}

fn pending_of<'a>(objects: impl Iterator<Item = &'a PlanApproval>, baseline: &str, now: Timestamp) -> Pending {
    let mut versions = BTreeMap::new();
    let mut next_end: Option<Timestamp> = None;
    for object in objects.filter(|object| object.spec.baseline_ref.name == baseline) {
        let Some(end) = expiry(object).filter(|end| now < *end) else { continue };
        versions.insert(object.name_any(), object.uid().unwrap_or_default());
        next_end = Some(next_end.map_or(end, |first| first.min(end)));
    }
    Pending { fingerprint: fingerprint(versions.iter().map(|(name, uid)| (name.as_str(), uid.clone()))), next_end }
}

/// When an approval ends; `None` for a day that the calendar does not have: such an approval approves nothing.
pub(super) fn expiry(approval: &PlanApproval) -> Option<Timestamp> {
    approval.spec.expires_at.as_str().parse().ok()
}

/// The approvals for a baseline, read afresh.
pub(super) async fn fresh(client: &Client, baseline: &str) -> Result<Vec<PlanApproval>, CallError> {
    let api = Api::<Guarded<PlanApproval>>::all(client.clone());
    let params = ListParams::default().fields(&format!("spec.baselineRef.name={baseline}"));
    let objects = all(&api, params).await?;
    let live = |approval: &PlanApproval| approval.metadata.deletion_timestamp.is_none();
    Ok(objects.into_iter().filter_map(|object| object.0.ok()).filter(live).collect())
}

/// What an approval consents to; `None` where it can consent to nothing.
pub(super) fn consent(approval: &PlanApproval) -> Option<Consent> {
    let status = approval.status.clone().unwrap_or_default();
    Some(Consent {
        name: approval.name_any(),
        digest: approval.spec.plan_digest.clone(),
        expires_at: expiry(approval)?,
        used: status.used_at.map(|at| (at, status.changes.into_iter().collect())),
    })
}

/// Whether something was started under it.
pub(super) fn is_used(approval: &PlanApproval) -> bool {
    approval.status.as_ref().is_some_and(|status| status.used_at.is_some())
}

/// Writes down what an approval is used for. Where it was deleted meanwhile nothing is written: a fresh read before
/// each change looks for the mark.
pub(super) async fn mark(context: &Context, approval: &PlanApproval, used: &Use) -> Result<(), WriteError> {
    let (mut seen, at) = (seen(approval, context), now());
    seen.used = Some(used.clone());
    let written = write_status(&context.fresh, approval, |stored| {
        next_status(&stored.status.clone().unwrap_or_default(), &seen, at)
    })
    .await?;
    tell_all(&context.told, approval, written.as_ref(), transitions::of_approval);
    Ok(())
}

/// Keeps the store of approvals, and has a baseline reconciled once the store holds an approval that came or went. A
/// change of status alone is none.
pub(super) async fn watch(
    writer: Writer<Guarded<PlanApproval>>,
    context: Arc<Context>,
    overturned: mpsc::UnboundedSender<ObjectRef<Guarded<AccountBaseline>>>,
) {
    let stop = context.stop.clone().cancelled_owned();
    let mut known: BTreeMap<String, Option<String>> = BTreeMap::new();
    watcher::watcher(Api::<Guarded<PlanApproval>>::all(context.client.clone()), watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .inspect(|event| context.listing.saw(event))
        .take_until(stop)
        .for_each(|event| {
            let baselines = match event {
                Ok(watcher::Event::Apply(object)) => {
                    let before = known.insert(object.name_any(), object.uid());
                    if before == Some(object.uid()) { Vec::new() } else { baseline_of(&object) }
                }
                Ok(watcher::Event::Delete(object)) => {
                    known.remove(&object.name_any());
                    baseline_of(&object)
                }
                // A list anew: approvals may have vanished unseen.
                Ok(watcher::Event::InitDone) => context.baselines_of(None),
                Ok(watcher::Event::InitApply(object)) => {
                    known.insert(object.name_any(), object.uid());
                    Vec::new()
                }
                Ok(watcher::Event::Init) => Vec::new(),
                Err(error) => {
                    warn!(kind = "PlanApproval", error = describe(&error), "watch failed, will be tried again");
                    Vec::new()
                }
            };
            for baseline in baselines {
                // Fails only after the controller ended.
                let _ = overturned.unbounded_send(baseline);
            }
            future::ready(())
        })
        .await;
}

fn baseline_of(object: &Guarded<PlanApproval>) -> Vec<ObjectRef<Guarded<AccountBaseline>>> {
    object.0.iter().map(|approval| ObjectRef::new(&approval.spec.baseline_ref.name)).collect()
}

/// Says in status what became of the consent.
pub(super) async fn reconcile(
    approval: Arc<Guarded<PlanApproval>>,
    context: Arc<Context>,
) -> Result<Action, WriteError> {
    let approval = match &approval.0 {
        Ok(approval) => approval,
        Err(invalid) => {
            let name = invalid.metadata.name.as_deref().unwrap_or_default();
            warn!(approval = name, error = invalid.error, "this version cannot read the object: it approves nothing");
            return Ok(Action::await_change());
        }
    };
    // Where several operators share the accounts, the one that has the baseline's writes.
    let baseline = context.baseline(&approval.spec.baseline_ref.name);
    if baseline.is_some_and(|baseline| !context.selects(&baseline.spec.account_ref.name)) {
        return Ok(Action::requeue(INTERVAL));
    }
    let (seen, at) = (seen(approval, &context), now());
    let previous = approval.status.clone().unwrap_or_default();
    let next = next_status(&previous, &seen, at);
    let written = write_status(&context.client, approval, |stored| {
        next_status(&stored.status.clone().unwrap_or_default(), &seen, at)
    })
    .await?;
    tell_all(&context.told, approval, written.as_ref(), transitions::of_approval);
    if word(&previous) != word(&next) {
        info!(approval = approval.name_any(), state = word(&next).unwrap_or_default(), "approval");
    }
    let end = seen.expires_at.filter(|end| *end > at);
    Ok(Action::requeue(end.map_or(INTERVAL, |end| until(end).min(INTERVAL))))
}

fn seen(approval: &PlanApproval, context: &Context) -> Seen {
    let baseline = context.baseline(&approval.spec.baseline_ref.name);
    let plan = baseline.map(|baseline| baseline.status.and_then(|status| status.plan).and_then(|plan| plan.digest));
    let plan = plan.map_or(CurrentPlan::NoBaseline, |digest| digest.map_or(CurrentPlan::Empty, CurrentPlan::Digest));
    Seen {
        generation: approval.metadata.generation.unwrap_or_default(),
        baseline: approval.spec.baseline_ref.name.clone(),
        digest: approval.spec.plan_digest.clone(),
        expires_at: expiry(approval),
        plan,
        used: None,
    }
}

fn word(status: &PlanApprovalStatus) -> Option<&str> {
    status.conditions.first().map(|condition| condition.reason.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{BaselineRef, PlanApprovalSpec};

    fn approval(name: &str, baseline: &str, expires_at: &str) -> PlanApproval {
        let spec = PlanApprovalSpec {
            baseline_ref: BaselineRef { name: baseline.to_owned() },
            plan_digest: "8f14e45fceea167a".to_owned(),
            expires_at: expires_at.into(),
            reason: None,
        };
        let mut approval = PlanApproval::new(name, spec);
        approval.metadata.uid = Some(format!("uid of {name}"));
        approval
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn an_approval_that_comes_goes_or_ends_is_another_trigger_and_its_status_is_none() {
        let (noon, one) = ("2026-11-22T12:00:00Z", "2026-11-22T13:00:00Z");
        let mut approvals = vec![approval("a", "prod", noon), approval("b", "prod", one), approval("c", "test", one)];
        let at = |approvals: &[PlanApproval], now: &str| pending_of(approvals.iter(), "prod", time(now));
        let both = at(&approvals, "2026-11-22T11:00:00Z");
        assert_eq!(both.next_end, Some(time(noon)));
        let later = at(&approvals, noon);
        assert_eq!(later.next_end, Some(time(one)));
        assert_ne!(both.fingerprint, later.fingerprint);
        approvals[1].status = Some(PlanApprovalStatus { remaining: Some(3), ..PlanApprovalStatus::default() });
        assert_eq!(at(&approvals, noon), later);
        assert_eq!(at(&approvals, one), Pending::default());
        assert_eq!(at(&[approval("d", "prod", "2026-02-31T00:00:00Z")], noon), Pending::default(), "no such day");
    }

    #[test]
    fn an_approval_that_was_used_covers_what_its_status_lists() {
        let mut used = approval("a", "prod", "2026-11-22T12:00:00Z");
        assert_eq!(consent(&used).unwrap().used, None);
        let at = time("2026-11-22T11:00:00Z");
        let changes = vec!["m1".to_owned(), "m2".to_owned()];
        used.status = Some(PlanApprovalStatus { used_at: Some(at), changes: changes.clone(), ..Default::default() });
        assert_eq!(consent(&used).unwrap().used, Some((at, changes.into_iter().collect())));
    }
}
