//! What of an account changes rarely: the zones of its regions, and how many rules a security group can have in each.
//! Read once a day, after an edit, when somebody asks, and of a region that is new. IO through the cloud alone.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout_at};

use crate::api::{AvailabilityZone, AwsAccountStatus};
use crate::baseline::{Cause, CauseClass, Observed};
use crate::controller::conditions::is_to_be_retried;
use crate::controller::schedule::Trigger;
use crate::engine::RegionsInScope;
use crate::engine::cloud::Cloud;

/// How often all of it is read.
const EVERY: SignedDuration = SignedDuration::from_hours(24);

/// The longest that it may take. No verdict hangs on it, and a region that does not answer must not keep the account
/// from being called reachable.
const WITHIN: Duration = Duration::from_mins(1);

/// How many regions are asked at the same time.
const AT_ONCE: usize = 16;

/// What was read of each region, or why not. A region that was not due has no entry.
#[derive(Default)]
pub(super) struct Details {
    /// Of the enabled regions.
    pub(super) zones: BTreeMap<String, Result<Vec<AvailabilityZone>, Cause>>,
    /// Of the judged ones.
    pub(super) rules_per_group: BTreeMap<String, Result<i64, Cause>>,
    /// Whether every region was due.
    whole: bool,
}

impl Details {
    /// When all of it counts as last read: never, where something failed that may pass by itself.
    pub(super) fn read_at(&self, before: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let zones = self.zones.values().filter_map(|read| read.as_ref().err());
        let quotas = self.rules_per_group.values().filter_map(|read| read.as_ref().err());
        if zones.chain(quotas).any(|cause| cause.class.may_pass()) {
            None
        } else if self.whole {
            Some(now)
        } else {
            before
        }
    }
}

/// Reads what is due.
pub(super) async fn details(
    status: &AwsAccountStatus,
    trigger: &Trigger,
    enabled: &[String],
    scope: &RegionsInScope,
    cloud: &dyn Cloud,
    now: Timestamp,
) -> Details {
    let whole = is_due(status, trigger, now);
    let is_new = |region: &str| {
        let known = status.regions.iter().find(|known| known.name == region);
        known.is_none_or(|known| scope.includes(region) && !known.judged)
    };
    let due: Vec<&String> = enabled.iter().filter(|region| whole || is_new(region)).collect();
    let end = Instant::now() + WITHIN;
    let reads: Vec<_> = due
        .into_iter()
        .map(|region| async move {
            let zones = within(end, cloud.availability_zones(region));
            let quota = async {
                if scope.includes(region) { Some(within(end, cloud.rules_per_group_quota(region)).await) } else { None }
            };
            let (zones, quota) = futures::join!(zones, quota);
            (region.clone(), zones, quota)
        })
        .collect();
    let mut details = Details { whole, ..Details::default() };
    let mut reads = stream::iter(reads).buffer_unordered(AT_ONCE);
    while let Some((region, zones, quota)) = reads.next().await {
        if let Some(quota) = quota {
            details.rules_per_group.insert(region.clone(), quota);
        }
        details.zones.insert(region, zones);
    }
    details
}

async fn within<T>(end: Instant, read: impl Future<Output = Observed<T>>) -> Result<T, Cause> {
    match timeout_at(end, read).await {
        Ok(Observed::Complete { value, .. }) => Ok(value),
        Ok(Observed::Unknown(cause)) => Err(cause),
        Err(_) => {
            let message = format!("AWS did not answer within {}s", WITHIN.as_secs());
            Err(Cause::new(CauseClass::DeadlineExceeded, message))
        }
    }
}

/// Whether all of it is read: an edit and a request are the ways to say that rights were added, also where the look
/// that answered to them failed.
fn is_due(status: &AwsAccountStatus, trigger: &Trigger, now: Timestamp) -> bool {
    is_to_be_retried(&status.conditions)
        || status.observed_generation != trigger.generation
        || status.last_handled_reconcile_at != trigger.requested_at
        || status.details_read_at.is_none_or(|at| at.duration_until(now) >= EVERY)
}

#[cfg(test)]
mod tests;
