//! From the stores of the watches to what `/metrics` shows of the objects, at the moment of a scrape. No IO.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::ObjectMeta;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::reflector::Store;

use super::Guarded;
use super::context::{Context, uids};
use super::exceptions;
use crate::api::AccountBaseline;
use crate::baseline::Finding;
use crate::metrics::{FindingCounts, Objects, Series};

/// What the last evaluation of each baseline found, by uid. Status has no count by severity of what does not fail.
#[derive(Default)]
pub(super) struct Found(Mutex<HashMap<String, (Timestamp, FindingCounts)>>);

impl Found {
    fn map(&self) -> MutexGuard<'_, HashMap<String, (Timestamp, FindingCounts)>> {
        // A panic elsewhere cannot have left a half-written entry: inserts are whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers an evaluation, and forgets baselines that are gone.
    pub(super) fn set(
        &self,
        baseline: &AccountBaseline,
        findings: &[Finding],
        at: Timestamp,
        live: &Store<Guarded<AccountBaseline>>,
    ) {
        let uid = baseline.uid().unwrap_or_default();
        let mut map = self.map();
        if map.len() >= live.len() {
            let uids = uids(live);
            map.retain(|known, _| uids.contains(known));
        }
        map.insert(uid, (at, FindingCounts::of(findings)));
    }

    /// What was found, unless another process has evaluated the baseline since.
    fn get(&self, baseline: &AccountBaseline) -> Option<FindingCounts> {
        let evaluated_at = baseline.status.as_ref()?.last_evaluated_at?;
        let (at, found) = self.map().get(baseline.uid()?.as_str())?.clone();
        (evaluated_at <= at).then_some(found)
    }
}

impl Objects for Context {
    fn show(&self, series: &mut Series) {
        for account in self.accounts.state() {
            if let Ok(account) = &account.0
                && self.settings.selector.matches(account.labels())
            {
                series.account(account);
            }
        }
        for baseline in self.baselines.state() {
            match &baseline.0 {
                Ok(baseline) if self.selects(&baseline.spec.account_ref.name) => {
                    series.baseline(baseline, self.found.get(baseline).as_ref());
                }
                Ok(_) => {}
                Err(InvalidObject { metadata: ObjectMeta { name, uid, .. }, .. }) => {
                    if let Some(account) = uid.as_deref().and_then(|uid| self.withdrawn.account(uid)) {
                        series.unreadable_baseline(name.as_deref().unwrap_or_default(), &account);
                    }
                }
            }
        }
        for exception in self.exceptions.state() {
            if let Ok(exception) = &exception.0
                && exceptions::is_ours(exception, self)
            {
                series.exception(exception, exceptions::expires_at(exception));
            }
        }
    }
}
