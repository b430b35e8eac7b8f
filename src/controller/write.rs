//! Writes `/status`, once, by PUT with the resourceVersion that was read. Does IO.
//!
//! PUT, because server-side apply fails on a field that an older CRD lacks, and because only PUT refuses an object that
//! was deleted and made again under the same name. A write whose answer was lost may have taken effect: every further
//! try reads what is stored, and where that is what was to be written nothing is written again.

use std::fmt::Debug;
use std::time::Duration;

use kube::api::PostParams;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};

/// How often a write is tried before the pass is started over. Repeating a write is cheap, a pass reads an account.
const TRIES: u32 = 5;

/// The pause after the first failure; each further one doubles it, so that all tries take some 4 s of pauses.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The API server answers within milliseconds, or is in trouble. Without a limit a connection that nobody answers would
/// hold the object, and its share of the concurrency, for good.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The status could not be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// The API server could not be reached, or refused.
    #[error("status of {name} could not be written")]
    Api {
        /// The object.
        name: String,
        /// What the API server said.
        #[source]
        source: Box<kube::Error>,
    },
    /// What status is to be made of could not be read.
    #[error("{name} could not be read: {why}")]
    Unread {
        /// The object.
        name: String,
        /// What the API server said.
        why: String,
    },
    /// The pass ended before its status was written.
    #[error("the pass panicked: this is a defect of Plumbline, please report it")]
    Panicked,
    /// The API server took the call and said nothing.
    #[error("status of {name} could not be written: the API server did not answer within {}s", ANSWER_WITHIN.as_secs())]
    NoAnswer {
        /// The object.
        name: String,
    },
}

impl WriteError {
    /// Whether the next try may find it otherwise: somebody else's write, a server in trouble, a lost connection.
    fn may_pass(&self) -> bool {
        self.answer().is_none_or(|answer| matches!(answer.code, 408 | 409 | 429 | 500..))
    }

    /// What the API server answered, where it did.
    fn answer(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Api { source, .. } => match &**source {
                kube::Error::Api(answer) => Some(answer),
                _ => None,
            },
            Self::Unread { .. } | Self::NoAnswer { .. } | Self::Panicked => None,
        }
    }
}

/// A status that was written, and the one that it took the place of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Written<S> {
    pub(super) before: Option<S>,
    pub(super) after: S,
}

/// An object whose status this module can replace.
pub(super) trait WithStatus: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize {
    type Status: PartialEq + Clone;
    fn status(&self) -> Option<&Self::Status>;
    fn set_status(&mut self, status: Self::Status);
}

/// Writes what `next` makes of the stored status, if that differs. An object that was deleted, made again or edited
/// meanwhile is left alone: its own event starts a pass. Says what was written, once; `None` where nothing was.
pub(super) async fn write_status<K: WithStatus>(
    client: &Client,
    object: &K,
    next: impl Fn(&K) -> K::Status,
) -> Result<Option<Written<K::Status>>, WriteError> {
    let api = Api::<K>::all(client.clone());
    let mut seen = Some(object.clone());
    let mut sent = None;
    let mut pause = FIRST_PAUSE;
    let mut tries = 1;
    loop {
        match write(&api, object, seen.take(), &mut sent, &next).await {
            Err(error) if tries < TRIES && error.may_pass() => {
                if !error.answer().is_some_and(kube::core::Status::is_conflict) {
                    sleep(pause).await;
                    pause *= 2;
                }
                tries += 1;
            }
            outcome => return outcome,
        }
    }
}

/// One try, on what was `seen` or else is stored. `sent` is what the try before sent.
async fn write<K: WithStatus>(
    api: &Api<K>,
    object: &K,
    seen: Option<K>,
    sent: &mut Option<Written<K::Status>>,
    next: impl Fn(&K) -> K::Status,
) -> Result<Option<Written<K::Status>>, WriteError> {
    let name = object.name_any();
    let mut stored = match seen {
        Some(seen) => seen,
        None => match answered(&name, api.get_opt(&name)).await? {
            Some(fresh) if fresh.uid() == object.uid() && fresh.meta().generation == object.meta().generation => fresh,
            _ => return Ok(None),
        },
    };
    let status = next(&stored);
    if stored.status() == Some(&status) {
        // What was sent before took effect, and its answer was lost.
        return Ok(sent.take().filter(|sent| sent.after == status));
    }
    let written = Written { before: stored.status().cloned(), after: status.clone() };
    *sent = Some(written.clone());
    stored.set_status(status);
    match answered(&name, api.replace_status(&name, &PostParams::default(), &stored)).await {
        // Gone meanwhile.
        Err(error) if error.answer().is_some_and(kube::core::Status::is_not_found) => Ok(None),
        outcome => outcome.map(|_| Some(written)),
    }
}

/// Waits for an answer, but not for ever.
async fn answered<T>(name: &str, call: impl Future<Output = kube::Result<T>>) -> Result<T, WriteError> {
    match timeout(ANSWER_WITHIN, call).await {
        Ok(answer) => answer.map_err(|source| WriteError::Api { name: name.to_owned(), source: Box::new(source) }),
        Err(_) => Err(WriteError::NoAnswer { name: name.to_owned() }),
    }
}
