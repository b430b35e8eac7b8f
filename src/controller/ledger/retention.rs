//! Which records are no longer kept: settled ones beyond a number per account, and settled ones that are too old.
//! [`expired`] is pure, [`sweep`] does IO. What has no outcome is never deleted.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::api::{DeleteParams, ListParams, Preconditions};
use kube::{Api, ResourceExt};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::KubeLedger;
use crate::api::ChangeRecord;
use crate::baseline::history::{History, RATE_PERIOD};
use crate::controller::fresh::{CallError, answered};

/// How often records are looked through that are too old.
const SWEEP_EVERY: Duration = Duration::from_hours(24);

/// The first time: a process that starts has better things to do.
const FIRST_SWEEP: Duration = Duration::from_mins(10);

/// At most so many are deleted of an account at once.
const AT_ONCE: usize = 200;

/// The settled records of an account beyond the number that is kept, oldest first. The rate is counted from those of
/// the last hour, so that they stay.
pub(in crate::controller) fn expired(history: &History, kept: usize, now: Timestamp) -> Vec<String> {
    let beyond = history.0.len().saturating_sub(kept).min(AT_ONCE);
    let mut settled: Vec<_> = history
        .0
        .iter()
        .filter(|record| record.settled.is_some() && record.claimed_at.duration_until(now) >= RATE_PERIOD)
        .collect();
    settled.sort_by_key(|record| record.claimed_at);
    settled.into_iter().take(beyond).map(|record| record.name.clone()).collect()
}

/// Deletes settled records that are older than `retention`, once a day, until `stop`.
pub(in crate::controller) async fn sweep(ledger: KubeLedger, retention: Duration, stop: CancellationToken) {
    let mut pause = FIRST_SWEEP;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        pause = SWEEP_EVERY;
        tokio::select! {
            swept = once(&ledger.api, retention) => match swept {
                Ok(deleted) => info!(deleted, "old change records deleted"),
                Err(error) => warn!(%error, "old change records were not deleted, will be tried again"),
            },
            () = stop.cancelled() => return,
        }
    }
}

async fn once(api: &Api<ChangeRecord>, retention: Duration) -> Result<usize, CallError> {
    let oldest = SignedDuration::try_from(retention).ok().and_then(|age| Timestamp::now().checked_sub(age).ok());
    let oldest = oldest.unwrap_or(Timestamp::MIN);
    let mut params = ListParams::default().fields("status.outcome!=").limit(500);
    let mut deleted = 0;
    loop {
        let page = answered(api.list_metadata(&params)).await?;
        for record in &page.items {
            let created = record.creation_timestamp().map(|time| time.0);
            if created.is_some_and(|created| created < oldest) {
                let preconditions = Preconditions { uid: record.uid(), resource_version: record.resource_version() };
                let params = DeleteParams::default().preconditions(preconditions);
                answered(api.delete(&record.name_any(), &params)).await?;
                deleted += 1;
            }
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(deleted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::RecordedBaseline;
    use crate::baseline::history::{Outcome, RecordSummary, Settled};

    const NOW: i64 = 100_000;

    fn record(name: &str, age: i64, is_settled: bool) -> RecordSummary {
        let at = Timestamp::from_second(NOW - age).unwrap();
        let settled = Settled {
            outcome: Outcome::Succeeded,
            reason: "Applied".to_owned(),
            missing_action: None,
            message: String::new(),
            at: Some(at),
        };
        RecordSummary {
            name: name.to_owned(),
            operation: "s3:PutBucketEncryption".to_owned(),
            meaning: name.to_owned(),
            target: name.to_owned(),
            ordinal: 0,
            baseline: RecordedBaseline::default(),
            approval: None,
            is_undo: false,
            claimed_at: at,
            settled: is_settled.then_some(settled),
        }
    }

    #[test]
    fn the_oldest_settled_records_go_first_and_what_has_no_outcome_never_goes() {
        let records = vec![
            record("new", 10, true),
            record("old", 9_000, true),
            record("older", 10_000, true),
            record("open", 90_000, false),
            record("lately", 4_000, true),
        ];
        let history = History(records);
        let now = Timestamp::from_second(NOW).unwrap();
        assert_eq!(expired(&history, 5, now), [""; 0]);
        assert_eq!(expired(&history, 4, now), ["older"]);
        assert_eq!(expired(&history, 3, now), ["older", "old"]);
        assert_eq!(expired(&history, 0, now), ["older", "old", "lately"], "the rate is counted from the last hour");
    }
}
