//! What every pass shares: the stores of the watches, the cloud, the memory of earlier passes.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};
use tokio_util::sync::CancellationToken;

use super::Guarded;
use super::schedule::Attempt;
use crate::api::{AccountBaseline, AwsAccount, BaselineException, FLUX_REQUESTED_AT, REQUESTED_AT};
use crate::engine::cloud::CloudProvider;
use crate::settings::Settings;

/// Shared by all passes.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) provider: Arc<dyn CloudProvider>,
    pub(super) settings: Settings,
    pub(super) accounts: Store<Guarded<AwsAccount>>,
    pub(super) baselines: Store<Guarded<AccountBaseline>>,
    /// Whether the store of baselines holds the first list. Its readiness is waited for by the controller alone.
    pub(super) baselines_listed: AtomicBool,
    pub(super) exceptions: Store<Guarded<BaselineException>>,
    pub(super) stop: CancellationToken,
    pub(super) account_attempts: Attempts,
    pub(super) baseline_attempts: Attempts,
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
            let uids: std::collections::HashSet<String> =
                live.state().iter().filter_map(|object| object.uid()).collect();
            map.retain(|known, _| uids.contains(known) || known == uid);
        }
    }
}

impl Context {
    pub(super) fn new(
        client: Client,
        provider: Arc<dyn CloudProvider>,
        settings: Settings,
        accounts: Store<Guarded<AwsAccount>>,
        baselines: Store<Guarded<AccountBaseline>>,
        exceptions: Store<Guarded<BaselineException>>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            client,
            provider,
            settings,
            accounts,
            baselines,
            baselines_listed: AtomicBool::new(false),
            exceptions,
            stop,
            account_attempts: Attempts::default(),
            baseline_attempts: Attempts::default(),
        }
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

    /// The baselines that name one of these accounts.
    pub(super) fn baselines_of_any(&self, accounts: &BTreeSet<String>) -> Vec<ObjectRef<Guarded<AccountBaseline>>> {
        self.baselines_where(|baseline| accounts.contains(&baseline.spec.account_ref.name))
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
