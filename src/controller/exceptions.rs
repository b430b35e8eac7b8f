//! Exceptions in the cluster: which ones hold in an account, a watch that has its baselines judged anew when one comes
//! or goes, and one pass over a `BaselineException` that writes its status.
//!
//! What an exception matched is read from the statuses of the baselines: nothing of it has to survive in memory.

mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::channel::mpsc;
use futures::{StreamExt, future};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use tracing::{info, warn};

use self::status::{Seen, next_status};
use super::context::{Context, now, until};
use super::entries::one_line;
use super::events::tell_all;
use super::transitions;
use super::write::{WithStatus, WriteError, write_status};
use super::{Guarded, describe};
use crate::api::{AccountBaseline, BaselineException, BaselineExceptionStatus};
use crate::baseline::exceptions::{Exception, InvalidException, fingerprint};

/// How often an exception is looked at where nothing changes. A look reads memory alone.
const INTERVAL: Duration = Duration::from_hours(1);

/// How long is waited for the first list of baselines.
const NOT_LISTED_YET: Duration = Duration::from_millis(200);

impl WithStatus for BaselineException {
    type Status = BaselineExceptionStatus;

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }

    fn set_status(&mut self, status: Self::Status) {
        self.status = Some(status);
    }
}

/// The exceptions that hold in one account at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct InForce {
    pub(super) exceptions: Vec<Exception>,
    /// The same as long as they are; `None` where there are none.
    pub(super) fingerprint: Option<String>,
    /// When the first of them ends.
    pub(super) next_end: Option<Timestamp>,
    /// One that this version cannot read, as a later one may have written it. It excepts nothing, and as nobody knows
    /// what it is to except, nothing is changed either.
    pub(super) unreadable: Option<String>,
}

/// What holds in an account, as the watch last saw it. What must not be honoured does not.
pub(super) fn in_force(context: &Context, account: &str, now: Timestamp) -> InForce {
    in_force_of(context.exceptions.state().iter().map(|object| &**object), account, now)
}

/// What of these objects holds in an account.
pub(super) fn in_force_of<'a>(
    objects: impl Iterator<Item = &'a Guarded<BaselineException>>,
    account: &str,
    now: Timestamp,
) -> InForce {
    let mut versions = Vec::new();
    let mut found = InForce::default();
    for object in objects {
        let object = match &object.0 {
            Ok(object) => object,
            Err(invalid) => {
                let ObjectMeta { name, uid, generation, .. } = invalid.metadata.clone();
                let name = name.unwrap_or_default();
                let version = format!("{}/{}", uid.unwrap_or_default(), generation.unwrap_or_default());
                versions.push((name.clone(), version));
                found.unreadable.get_or_insert(name);
                continue;
            }
        };
        let Ok(exception) = read(object) else { continue };
        if !exception.in_force(account, now) {
            continue;
        }
        let (uid, generation) = (object.uid().unwrap_or_default(), object.metadata.generation.unwrap_or_default());
        versions.push((exception.name.clone(), format!("{uid}/{generation}")));
        found.next_end = Some(found.next_end.map_or(exception.expires_at, |end| end.min(exception.expires_at)));
        found.exceptions.push(exception);
    }
    found.fingerprint = fingerprint(versions.iter().map(|(name, version)| (name.as_str(), version.clone())));
    found
}

fn read(object: &BaselineException) -> Result<Exception, InvalidException> {
    Exception::new(&object.name_any(), &object.spec, created_at(object))
}

/// When an exception ends; `None` where it is none that could be honoured.
pub(super) fn expires_at(object: &BaselineException) -> Option<Timestamp> {
    read(object).ok().map(|exception| exception.expires_at)
}

/// An object in the cluster has a time of creation; without one nothing could end within 366 days of it.
fn created_at(object: &BaselineException) -> Timestamp {
    object.metadata.creation_timestamp.as_ref().map_or(Timestamp::MIN, |time| time.0)
}

/// Keeps the store of exceptions, and has the baselines of their accounts reconciled once the store holds a change.
/// A change of status alone is none.
pub(super) async fn watch(
    writer: Writer<Guarded<BaselineException>>,
    context: Arc<Context>,
    overturned: mpsc::UnboundedSender<ObjectRef<Guarded<AccountBaseline>>>,
) {
    let stop = context.stop.clone().cancelled_owned();
    let mut known = Known::default();
    watcher::watcher(Api::<Guarded<BaselineException>>::all(context.client.clone()), watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .inspect(|event| context.listing.saw(event))
        .take_until(stop)
        .for_each(|event| {
            let baselines = match event {
                Ok(watcher::Event::Apply(object)) => context.baselines_of_any(known.changed(&object).as_ref()),
                Ok(watcher::Event::Delete(object)) => context.baselines_of_any(known.gone(&object).as_ref()),
                // A list anew: exceptions may have vanished unseen.
                Ok(watcher::Event::InitDone) => context.baselines_of(None),
                Ok(watcher::Event::InitApply(object)) => {
                    known.changed(&object);
                    Vec::new()
                }
                Ok(watcher::Event::Init) => Vec::new(),
                Err(error) => {
                    warn!(kind = "BaselineException", error = describe(&error), "watch failed, will be tried again");
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

/// The version and the accounts of each exception, as the watch last saw them.
#[derive(Default)]
struct Known(BTreeMap<String, (Version, Accounts)>);

/// Uid and generation.
type Version = (Option<String>, Option<i64>);

/// The accounts that an exception concerns; `None` for all, where it cannot be read.
type Accounts = Option<BTreeSet<String>>;

impl Known {
    /// The accounts whose verdicts may change: those of before and those of now; none where the spec is the same.
    fn changed(&mut self, object: &Guarded<BaselineException>) -> Accounts {
        let version = (object.uid(), object.meta().generation);
        let accounts = object.0.as_ref().ok().map(accounts_of);
        let before = self.0.insert(object.name_any(), (version.clone(), accounts.clone()));
        match before {
            Some((known, _)) if known == version => Some(BTreeSet::new()),
            Some((_, before)) => Some(before?.into_iter().chain(accounts?).collect()),
            None => accounts,
        }
    }

    fn gone(&mut self, object: &Guarded<BaselineException>) -> Accounts {
        self.0.remove(&object.name_any()).map_or_else(|| Some(BTreeSet::new()), |(_, accounts)| accounts)
    }
}

fn accounts_of(object: &BaselineException) -> BTreeSet<String> {
    object.spec.accounts.iter().map(ToString::to_string).collect()
}

/// Says in status whether the exception is in force, and what it covered.
pub(super) async fn reconcile(
    exception: Arc<Guarded<BaselineException>>,
    context: Arc<Context>,
) -> Result<Action, WriteError> {
    let exception = match &exception.0 {
        Ok(exception) => exception,
        Err(invalid) => {
            let name = invalid.metadata.name.as_deref().unwrap_or_default();
            warn!(exception = name, error = invalid.error, "this version cannot read the object: it is not applied");
            return Ok(Action::await_change());
        }
    };
    if !context.baselines_listed.load(Ordering::Acquire) {
        return Ok(Action::requeue(NOT_LISTED_YET));
    }
    if !is_ours(exception, &context) {
        return Ok(Action::requeue(INTERVAL));
    }
    let (seen, at) = (seen(exception, &context), now());
    let previous = exception.status.clone().unwrap_or_default();
    let next = next_status(&previous, &seen, at);
    let written = write_status(&context.client, exception, |stored| {
        next_status(&stored.status.clone().unwrap_or_default(), &seen, at)
    })
    .await?;
    tell_all(&context.told, exception, written.as_ref(), transitions::of_exception);
    if word(&previous) != word(&next) {
        info!(exception = exception.name_any(), state = word(&next).unwrap_or_default(), "exception");
    }
    let again = seen.next_change(&next, at).map_or(INTERVAL, |change| until(change).min(INTERVAL));
    Ok(Action::requeue(again))
}

/// Where several operators share the accounts, the one that has the first account of an exception writes its status.
pub(super) fn is_ours(exception: &BaselineException, context: &Context) -> bool {
    let account = exception.spec.accounts.iter().find_map(|name| context.account(name.as_str()));
    account.is_none_or(|account| context.settings.selector.matches(account.labels()))
}

fn seen(exception: &BaselineException, context: &Context) -> Seen {
    let (name, accounts) = (exception.name_any(), accounts_of(exception));
    let mut seen = Seen {
        generation: exception.metadata.generation.unwrap_or_default(),
        created_at: created_at(exception),
        expires_at: read(exception).map(|exception| exception.expires_at).map_err(|error| one_line(&error.to_string())),
        matched: 0,
        matched_at: None,
        uncounted: false,
        missing: accounts.iter().filter(|name| context.account(name).is_none()).cloned().collect(),
    };
    for baseline in context.baselines.state() {
        let Ok(AccountBaseline { spec, status: Some(status), .. }) = &baseline.0 else { continue };
        if !accounts.contains(&spec.account_ref.name) {
            continue;
        }
        if let Some(used) = status.exceptions.iter().find(|used| used.name == name) {
            seen.matched = seen.matched.saturating_add(used.matched);
            seen.matched_at = seen.matched_at.max(status.last_evaluated_at);
        } else {
            // The list is bounded: what is exempt and in no entry was covered by one that it had no room for.
            let listed = status.exceptions.iter().fold(0, |sum: i64, used| sum.saturating_add(used.matched));
            seen.uncounted |= status.summary.is_some_and(|summary| summary.exempt > listed);
        }
    }
    seen
}

fn word(status: &BaselineExceptionStatus) -> Option<&str> {
    status.conditions.first().map(|condition| condition.reason.as_str())
}

#[cfg(test)]
mod tests {
    use kube::core::error_boundary::InvalidObject;

    use super::*;

    fn object(generation: i64, accounts: &[&str]) -> Guarded<BaselineException> {
        let mut object = BaselineException::new("e", crate::api::BaselineExceptionSpec::default());
        object.metadata.generation = Some(generation);
        object.metadata.uid = Some("u".to_owned());
        object.spec.accounts = accounts.iter().map(|name| (*name).into()).collect();
        kube::core::DeserializeGuard(Ok(object))
    }

    #[test]
    fn an_edit_concerns_the_accounts_of_before_and_of_now_and_a_status_concerns_none() {
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>());
        let mut known = Known::default();
        assert_eq!(known.changed(&object(1, &["a"])), names(&["a"]));
        assert_eq!(known.changed(&object(1, &["a"])), names(&[]));
        assert_eq!(known.changed(&object(2, &["b"])), names(&["a", "b"]));
        assert_eq!(known.gone(&object(2, &["b"])), names(&["b"]));
        assert_eq!(known.gone(&object(2, &["b"])), names(&[]));
    }

    fn unreadable(generation: i64) -> Guarded<BaselineException> {
        let metadata = ObjectMeta {
            name: Some("e".to_owned()),
            uid: Some("u".to_owned()),
            generation: Some(generation),
            ..ObjectMeta::default()
        };
        kube::core::DeserializeGuard(Err(InvalidObject { error: "unknown field".to_owned(), metadata }))
    }

    #[test]
    fn one_that_cannot_be_read_concerns_every_account_until_it_can_be_read_or_is_gone() {
        let mut known = Known::default();
        assert_eq!(known.changed(&unreadable(1)), None);
        assert_eq!(known.changed(&unreadable(1)), Some(BTreeSet::new()), "its status alone");
        assert_eq!(known.changed(&object(2, &["a"])), None);
        assert_eq!(known.changed(&unreadable(3)), None);
        assert_eq!(known.gone(&unreadable(3)), None);

        let now = Timestamp::UNIX_EPOCH;
        let none = in_force_of([object(1, &["b"])].iter(), "a", now);
        let some = in_force_of([object(1, &["b"]), unreadable(1)].iter(), "a", now);
        assert_eq!((none.unreadable, none.fingerprint.is_some()), (None, false));
        assert_eq!((some.unreadable.as_deref(), some.exceptions.len()), (Some("e"), 0), "it excepts nothing");
        let edited = in_force_of([unreadable(2)].iter(), "a", now);
        assert!(some.fingerprint.is_some() && some.fingerprint != edited.fingerprint, "each is evaluated anew");
    }
}
