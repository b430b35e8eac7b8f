//! Writes `/status`, once, by PUT with the resourceVersion that was read.
//!
//! PUT, because server-side apply fails on a field that an older CRD lacks, and because only PUT refuses an object that
//! was deleted and made again under the same name.

use std::fmt::Debug;

use kube::api::PostParams;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How often a conflict is met by reading again, before the pass is started over.
const CONFLICTS: usize = 5;

/// The status could not be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// The API server did not answer, or refused.
    #[error("status of {name} could not be written")]
    Api {
        /// The object.
        name: String,
        /// What the API server said.
        #[source]
        source: Box<kube::Error>,
    },
}

/// An object whose status this module can replace.
pub(super) trait WithStatus: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize {
    type Status: PartialEq + Clone;
    fn status(&self) -> Option<&Self::Status>;
    fn set_status(&mut self, status: Self::Status);
}

/// Writes what `next` makes of the stored status, if that differs. An object that was deleted, made again or edited
/// meanwhile is left alone: its own event starts a pass.
pub(super) async fn write_status<K: WithStatus>(
    client: &Client,
    object: &K,
    next: impl Fn(&K) -> K::Status,
) -> Result<(), WriteError> {
    let (api, name) = (Api::<K>::all(client.clone()), object.name_any());
    let failed = |source| WriteError::Api { name: name.clone(), source: Box::new(source) };
    let mut stored = object.clone();
    for _ in 0..CONFLICTS {
        let status = next(&stored);
        if stored.status() == Some(&status) {
            return Ok(());
        }
        stored.set_status(status);
        match api.replace_status(&name, &PostParams::default(), &stored).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(answer)) if answer.is_not_found() => return Ok(()),
            Err(kube::Error::Api(answer)) if answer.is_conflict() => {}
            Err(error) => return Err(failed(error)),
        }
        match api.get_opt(&name).await.map_err(failed)? {
            Some(fresh) if fresh.uid() == object.uid() && fresh.meta().generation == object.meta().generation => {
                stored = fresh;
            }
            _ => return Ok(()),
        }
    }
    Ok(())
}
