//! What every pass shares: the stores of the watches, the cloud, the ledger, the memory of earlier passes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::mpsc;
use jiff::{Timestamp, ToSpan};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};
use tokio_util::sync::CancellationToken;

use super::Guarded;
use super::budget::Budget;
use super::events::Told;
use super::ledger::KubeLedger;
use super::listing::Listing;
use super::schedule::Attempt;
use super::scrape::Found;
use super::status::Outcome;
use super::unreadable::Withdrawn;
use super::usage::Usages;
use crate::api::{AccountBaseline, AwsAccount, BaselineException, FLUX_REQUESTED_AT, PlanApproval, REQUESTED_AT};
use crate::baseline::{AccountIdentity, Cause};
use crate::engine::cloud::{Provider, Target};
use crate::engine::ledger::Leadership;
use crate::metrics::Metrics;
use crate::settings::Settings;

/// Shared by all passes.
pub(super) struct Context {
    pub(super) client: Client,
    /// For what decides about changes: without retries, with short limits.
    pub(super) fresh: Client,
    pub(super) provider: Arc<dyn Provider>,
    pub(super) settings: Settings,
    pub(super) metrics: Arc<Metrics>,
    pub(super) accounts: Store<Guarded<AwsAccount>>,
    pub(super) baselines: Store<Guarded<AccountBaseline>>,
    /// Whether the store of baselines holds the first list. Its readiness is waited for by the controller alone.
    pub(super) baselines_listed: AtomicBool,
    pub(super) exceptions: Store<Guarded<BaselineException>>,
    pub(super) approvals: Store<Guarded<PlanApproval>>,
    /// What of the cluster was not listed yet.
    pub(super) listing: Listing,
    pub(super) stop: CancellationToken,
    pub(super) account_attempts: Attempts,
    pub(super) baseline_attempts: Attempts,
    pub(super) ledger: KubeLedger,
    pub(super) budget: Budget,
    pub(super) leadership: Arc<dyn Leadership>,
    /// What this process is called in Lease and records.
    pub(super) identity: String,
    /// Where Events go.
    pub(super) told: mpsc::UnboundedSender<Told>,
    /// The accounts in which an earlier process left a record without an outcome, until a pass looked at them.
    pub(super) unsettled: Mutex<BTreeSet<String>>,
    /// Who this process is for AWS.
    pub(super) caller: tokio::sync::OnceCell<AccountIdentity>,
    /// What evaluations counted of each account.
    pub(super) usages: Usages,
    /// What the evaluations of this process found, for `/metrics`.
    pub(super) found: Found,
    /// Whose verdict was withdrawn, because this version cannot read them.
    pub(super) withdrawn: Withdrawn,
}

/// The uids of the objects that are there, as far as this version can tell: what is remembered of others is forgotten.
pub(super) fn uids<K>(live: &Store<K>) -> HashSet<String>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    live.state().iter().filter_map(|object| object.uid()).collect()
}

/// The last pass of each object, by uid: an object that is deleted and made again is another one.
#[derive(Default)]
pub(super) struct Attempts(Mutex<HashMap<String, Attempt>>);

impl Attempts {
    fn map(&self) -> MutexGuard<'_, HashMap<String, Attempt>> {
        // A panic elsewhere cannot have left a half-written entry: inserts are whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, uid: &str) -> Option<Attempt> {
        self.map().get(uid).cloned()
    }

    /// Remembers a pass, and forgets objects that are gone.
    pub(super) fn set<K>(&self, uid: &str, attempt: Attempt, live: &Store<K>)
    where
        K: Resource<DynamicType = ()> + Clone + 'static,
    {
        let mut map = self.map();
        map.insert(uid.to_owned(), attempt);
        if map.len() > live.len() {
            let uids = uids(live);
            map.retain(|known, _| uids.contains(known) || known == uid);
        }
    }
}

impl Context {
    /// Whether an earlier process left something without an outcome in this account.
    pub(super) fn is_unsettled(&self, account_id: &str) -> bool {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner).contains(account_id)
    }

    /// A pass that judged the account has looked at its records.
    pub(super) fn settled(&self, account_id: &str, outcome: &Outcome) {
        if matches!(outcome, Outcome::Evaluated(_)) {
            self.unsettled.lock().unwrap_or_else(PoisonError::into_inner).remove(account_id);
        }
    }

    /// Who this process is for AWS, without any role of an account. Asked for once.
    pub(super) async fn caller(&self, target: &Target) -> Result<&AccountIdentity, Cause> {
        let ask = || async {
            let cloud = self.provider.cloud(&target.clone().as_caller(), self.settings.account_timeout).await?;
            cloud.identity().await
        };
        self.caller.get_or_try_init(ask).await
    }

    /// The IAM users through which this process comes: nothing may ever be denied to them.
    pub(super) async fn own_users(&self, target: &Target) -> Result<BTreeSet<String>, Cause> {
        let own = self.caller(target).await?.caller_arn.clone();
        Ok(Some(own).filter(|arn| arn.contains(":user/")).into_iter().collect())
    }

    /// The account as the watch last saw it; `None` if there is none, or one that cannot be read.
    pub(super) fn account(&self, name: &str) -> Option<AwsAccount> {
        self.accounts.get(&ObjectRef::new(name)).and_then(|account| account.0.as_ref().ok().cloned())
    }

    /// Why the account cannot be read; `None` if it can, or if there is none.
    pub(super) fn unreadable(&self, account: &str) -> Option<String> {
        self.accounts.get(&ObjectRef::new(account)).and_then(|account| Some(account.0.as_ref().err()?.error.clone()))
    }

    /// Whether the account is for this process, by its labels, which are there where the rest cannot be read. One that
    /// does not exist is for everybody.
    pub(super) fn selects(&self, account: &str) -> bool {
        let stored = self.accounts.get(&ObjectRef::new(account));
        stored.is_none_or(|account| self.settings.selector.matches(account.labels()))
    }

    /// The baseline as the watch last saw it.
    pub(super) fn baseline(&self, name: &str) -> Option<AccountBaseline> {
        self.baselines.get(&ObjectRef::new(name)).and_then(|baseline| baseline.0.as_ref().ok().cloned())
    }

    /// The baselines that name an account, or all of them.
    pub(super) fn baselines_of(&self, account: Option<&str>) -> Vec<ObjectRef<Guarded<AccountBaseline>>> {
        self.baselines_where(|baseline| account.is_none_or(|name| baseline.spec.account_ref.name == name))
    }

    /// The baselines that name one of these accounts; all where no accounts are given.
    pub(super) fn baselines_of_any(
        &self,
        accounts: Option<&BTreeSet<String>>,
    ) -> Vec<ObjectRef<Guarded<AccountBaseline>>> {
        self.baselines_where(|baseline| {
            accounts.is_none_or(|accounts| accounts.contains(&baseline.spec.account_ref.name))
        })
    }

    fn baselines_where(&self, is: impl Fn(&AccountBaseline) -> bool) -> Vec<ObjectRef<Guarded<AccountBaseline>>> {
        let baselines = self.baselines.state();
        let found = baselines.iter().filter(|baseline| baseline.0.as_ref().is_ok_and(&is));
        found.map(|baseline| ObjectRef::from_obj(&**baseline)).collect()
    }

    /// The exceptions that name an account, or all of them.
    pub(super) fn exceptions_of(&self, account: Option<&str>) -> Vec<ObjectRef<Guarded<BaselineException>>> {
        let names = |exception: &BaselineException| {
            account.is_none_or(|name| exception.spec.accounts.iter().any(|own| own.as_str() == name))
        };
        let exceptions = self.exceptions.state();
        let found = exceptions.iter().filter(|exception| exception.0.as_ref().is_ok_and(names));
        found.map(|exception| ObjectRef::from_obj(&**exception)).collect()
    }

    /// The approvals for a baseline, or all of them.
    pub(super) fn approvals_of(&self, baseline: Option<&str>) -> Vec<ObjectRef<Guarded<PlanApproval>>> {
        let names = |approval: &PlanApproval| baseline.is_none_or(|name| approval.spec.baseline_ref.name == name);
        let approvals = self.approvals.state();
        let found = approvals.iter().filter(|approval| approval.0.as_ref().is_ok_and(names));
        found.map(|approval| ObjectRef::from_obj(&**approval)).collect()
    }
}

/// The annotation that forces a pass: ours, or Flux's.
pub(super) fn requested_at(object: &impl ResourceExt) -> Option<String> {
    let annotations = object.annotations();
    let values = [REQUESTED_AT, FLUX_REQUESTED_AT].map(|key| annotations.get(key).map(String::as_str));
    match values {
        [None, None] => None,
        // Both together: a change of either forces a pass.
        [Some(own), Some(flux)] => Some(format!("{own} {flux}")),
        [own, flux] => own.or(flux).map(str::to_owned),
    }
}

/// The time as status has it: whole seconds.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    now.checked_sub(i64::from(now.subsec_nanosecond()).nanoseconds()).unwrap_or(now)
}

/// The time from now to a moment; none if it is past.
pub(super) fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now())).unwrap_or_default()
}
