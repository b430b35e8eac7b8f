//! Whether the API server answers and serves our kinds, from its own list of what it serves. IO.
//!
//! The list is open to every authenticated client (`system:discovery`), so that the operator needs no right to read
//! `CustomResourceDefinitions`. <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api>

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kube::{Client, Resource};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::fresh::{CallError, answered};
use crate::api::{AccountBaseline, AwsAccount, BaselineException, ChangeRecord, PlanApproval};
use crate::server::Readiness;

/// While something is missing, somebody waits for it.
const MISSING_EVERY: Duration = Duration::from_secs(2);

/// A probe asks every ten seconds.
const SERVED_EVERY: Duration = Duration::from_secs(10);

const API_SERVER: &str = "api-server";
const CRDS: &str = "crds";

/// What a look at the API server found.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Look {
    /// It does not answer, or not to us.
    Away(String),
    /// It does not serve these of our kinds.
    Missing(Vec<String>),
    /// It serves all of them.
    Served,
}

/// Says that nothing is known yet.
pub(super) fn unknown(readiness: &Readiness) {
    readiness.missing(API_SERVER, "was not asked yet");
    readiness.missing(CRDS, "the API server was not asked yet");
}

/// Waits until all kinds were there once; `false` if `stop` came first.
pub(super) async fn come(mut served: watch::Receiver<bool>, stop: &CancellationToken) -> bool {
    tokio::select! {
        come = served.wait_for(|served| *served) => come.is_ok(),
        () = stop.cancelled() => false,
    }
}

/// Looks again and again, for as long as it is polled, and says what it found: `readiness` always, the log on change,
/// `served` once all kinds were there.
pub(super) async fn look_out(client: Client, readiness: Readiness, served: watch::Sender<bool>) {
    let mut before = None;
    loop {
        let look = look(&client).await;
        if before.as_ref() != Some(&look) {
            say(&look, before.is_some(), &readiness);
        }
        let all = look == Look::Served;
        if all {
            served.send_replace(true);
        }
        before = Some(look);
        tokio::time::sleep(if all { SERVED_EVERY } else { MISSING_EVERY }).await;
    }
}

fn say(look: &Look, changed: bool, readiness: &Readiness) {
    match look {
        Look::Away(error) => {
            warn!(error, "the API server does not answer: waits for it");
            readiness.missing(API_SERVER, error);
        }
        Look::Missing(kinds) => {
            let missing = advice(kinds);
            warn!(missing, "waits for the kinds");
            readiness.there(API_SERVER);
            readiness.missing(CRDS, missing);
        }
        Look::Served => {
            if changed {
                info!("the API server answers and serves every kind");
            }
            readiness.there(API_SERVER);
            readiness.there(CRDS);
        }
    }
}

async fn look(client: &Client) -> Look {
    let version = AwsAccount::api_version(&());
    match answered(client.list_api_group_resources(&version)).await {
        Ok(list) => found(&list),
        Err(error) if error.answer().is_some_and(|answer| answer.code == 404) => found(&APIResourceList::default()),
        Err(error) => Look::Away(said(&error)),
    }
}

fn said(error: &CallError) -> String {
    match error.answer() {
        Some(answer) if answer.code == 403 => format!("{error}; bind the ClusterRole system:discovery"),
        Some(answer) if answer.code == 401 => format!("{error}; the token or certificate is not accepted"),
        _ => error.to_string(),
    }
}

fn found(list: &APIResourceList) -> Look {
    let served: BTreeSet<&str> = list.resources.iter().map(|resource| resource.name.as_str()).collect();
    let group = AwsAccount::group(&());
    let missing: Vec<String> = needed()
        .into_iter()
        .filter(|kind| !served.contains(kind.as_str()))
        .map(|kind| format!("{kind}.{group}"))
        .collect();
    if missing.is_empty() { Look::Served } else { Look::Missing(missing) }
}

fn advice(kinds: &[String]) -> String {
    let are = if kinds.len() == 1 { "is" } else { "are" };
    format!("{} {are} not served: apply the CRDs of this version", kinds.join(", "))
}

/// All kinds, whatever this process does with them: the CRDs of one version come together.
fn needed() -> [String; 5] {
    [
        AwsAccount::plural(&()).into_owned(),
        AccountBaseline::plural(&()).into_owned(),
        BaselineException::plural(&()).into_owned(),
        PlanApproval::plural(&()).into_owned(),
        ChangeRecord::plural(&()).into_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource;

    use super::*;

    fn list(names: &[&str]) -> APIResourceList {
        let resource = |name: &&str| APIResource { name: (*name).to_owned(), ..APIResource::default() };
        APIResourceList { resources: names.iter().map(resource).collect(), ..APIResourceList::default() }
    }

    #[test]
    fn what_is_missing_is_named() {
        let (all, readiness) = (needed(), Readiness::default());
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        assert_eq!(found(&list(&all)), Look::Served);
        let some = found(&list(&["awsaccounts", "awsaccounts/status", "baselineexceptions", "planapprovals"]));
        say(&some, false, &readiness);
        let says = "[-]crds accountbaselines.plumbline.dev, changerecords.plumbline.dev are not served: apply the CRDs";
        assert!(readiness.report().1.contains(says), "{:?}", readiness.report());
        say(&Look::Away("connection refused".to_owned()), true, &readiness);
        assert!(readiness.report().1.contains("[-]api-server connection refused\n[-]crds accountbaselines"));
        say(&Look::Served, true, &readiness);
        assert!(readiness.report().0);
    }
}
