//! What `plumbline reconcile` asks of a cluster, on the API server. IO, through the client without retries.

use async_trait::async_trait;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::conditions::find;
use super::context::requested_at;
use super::entries::one_line;
use super::fresh::{self, CallError, answered};
use super::{Declared, Guarded};
use crate::api::{AccountBaseline, AwsAccount, Condition, ConditionType, REQUESTED_AT, Reason};
use crate::engine::ledger::LedgerError;
use crate::engine::requests::{RequestKind, Requests, Standing};

/// Who wrote the annotation.
const FIELD_MANAGER: &str = "plumbline-reconcile";

/// The cluster of `KUBECONFIG`, with the rights that it gives.
struct KubeRequests {
    client: Client,
}

/// The cluster of `KUBECONFIG`, or the one that this process runs in.
///
/// # Errors
///
/// When neither can be used.
pub async fn requests() -> Result<Box<dyn Requests>, Box<dyn std::error::Error + Send + Sync>> {
    let client = fresh::client(kube::Config::infer().await?)?;
    Ok(Box::new(KubeRequests { client }))
}

#[async_trait]
impl Requests for KubeRequests {
    async fn names(&self, kind: RequestKind) -> Result<Vec<String>, LedgerError> {
        match kind {
            RequestKind::Baseline => self.names_of::<AccountBaseline>().await,
            RequestKind::Account => self.names_of::<AwsAccount>().await,
        }
    }

    async fn standing(&self, kind: RequestKind, name: &str) -> Result<Option<Standing>, LedgerError> {
        match kind {
            RequestKind::Baseline => {
                let api = Api::<Guarded<AccountBaseline>>::all(self.client.clone());
                let found = answered(api.get_opt(name)).await.map_err(|error| failed(kind, name, "read", &error))?;
                Ok(found.map(|found| found.0.map_or_else(|bad| unreadable(&bad.error), |found| of_baseline(&found))))
            }
            RequestKind::Account => {
                let api = Api::<Guarded<AwsAccount>>::all(self.client.clone());
                let found = answered(api.get_opt(name)).await.map_err(|error| failed(kind, name, "read", &error))?;
                Ok(found.map(|found| found.0.map_or_else(|bad| unreadable(&bad.error), |found| of_account(&found))))
            }
        }
    }

    async fn request(&self, kind: RequestKind, name: &str, value: &str) -> Result<(), LedgerError> {
        match kind {
            RequestKind::Baseline => self.annotate::<AccountBaseline>(kind, name, value).await,
            RequestKind::Account => self.annotate::<AwsAccount>(kind, name, value).await,
        }
    }
}

impl KubeRequests {
    async fn names_of<K: Declared>(&self) -> Result<Vec<String>, LedgerError> {
        let api = Api::<K>::all(self.client.clone());
        let found = answered(api.list_metadata(&ListParams::default())).await.map_err(|error| LedgerError {
            message: format!("the objects of kind {} cannot be listed: {error}", K::kind(&())),
            may_pass: error.may_pass(),
        })?;
        let mut names: Vec<String> = found.iter().map(ResourceExt::name_any).collect();
        names.sort();
        Ok(names)
    }

    async fn annotate<K: Declared>(&self, kind: RequestKind, name: &str, value: &str) -> Result<(), LedgerError> {
        let api = Api::<K>::all(self.client.clone());
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({"metadata": {"annotations": {REQUESTED_AT: value}}}));
        let asked = answered(api.patch_metadata(name, &params, &patch)).await;
        asked.map(drop).map_err(|error| failed(kind, name, "annotated", &error))
    }
}

fn of_baseline(baseline: &AccountBaseline) -> Standing {
    let status = baseline.status.clone().unwrap_or_default();
    let ready = ready(&status.conditions);
    let own = baseline.spec.suspend.then(|| "the baseline is suspended: set its suspend to false".to_owned());
    let compliant = find(&status.conditions, ConditionType::Compliant);
    let (drift, unknown) = (status.drift_total.unwrap_or_default(), status.unknown_total.unwrap_or_default());
    let judged = compliant.map_or_else(
        || "not evaluated".to_owned(),
        |compliant| format!("Compliant={} ({}), {drift} drift, {unknown} unknown", compliant.status, compliant.reason),
    );
    Standing {
        handled: is_handled(baseline, status.last_handled_reconcile_at.as_deref()),
        suspended: own.or_else(|| suspended(baseline, &status.conditions)),
        verdict: judged,
        ready,
    }
}

fn of_account(account: &AwsAccount) -> Standing {
    let status = account.status.clone().unwrap_or_default();
    let own = account.spec.suspend.then(|| "the account is suspended: set its suspend to false".to_owned());
    let ready = ready(&status.conditions);
    let said = ready.clone().map_or_else(|| "not looked at".to_owned(), |(ready, why)| format!("Ready={ready}: {why}"));
    Standing {
        handled: is_handled(account, status.last_handled_reconcile_at.as_deref()),
        suspended: own,
        ready,
        verdict: said,
    }
}

/// What this version cannot read nobody of this version answers to.
fn unreadable(error: &str) -> Standing {
    let why = format!("this version cannot read it: {}", one_line(error));
    Standing { ready: Some(("Unknown".to_owned(), why)), ..Standing::default() }
}

/// Whether status echoes what the object asks for now. The annotation of Flux counts with our own.
fn is_handled(object: &impl ResourceExt, echo: Option<&str>) -> bool {
    let asked = requested_at(object);
    asked.is_some() && asked.as_deref() == echo
}

/// The account of a baseline is suspended, as of this generation of the baseline.
fn suspended(baseline: &AccountBaseline, conditions: &[Condition]) -> Option<String> {
    let ready = find(conditions, ConditionType::Ready)?;
    let is =
        ready.reason == Reason::Suspended.as_str() && Some(ready.observed_generation) == baseline.metadata.generation;
    is.then(|| format!("{}: set suspend to false", ready.message))
}

fn ready(conditions: &[Condition]) -> Option<(String, String)> {
    let ready = find(conditions, ConditionType::Ready)?;
    Some((format!("{} ({})", ready.status, ready.reason), ready.message.clone()))
}

fn failed(kind: RequestKind, name: &str, what: &str, error: &CallError) -> LedgerError {
    LedgerError { message: format!("{kind}/{name} cannot be {what}: {error}"), may_pass: error.may_pass() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{AccountBaselineSpec, AccountBaselineStatus, FLUX_REQUESTED_AT};

    fn baseline(annotations: &[(&str, &str)], echo: Option<&str>) -> AccountBaseline {
        let mut baseline = AccountBaseline::new("prod", AccountBaselineSpec::default());
        let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        baseline.metadata.annotations = Some(annotations.collect());
        baseline.metadata.generation = Some(1);
        let last_handled_reconcile_at = echo.map(str::to_owned);
        baseline.status = Some(AccountBaselineStatus { last_handled_reconcile_at, ..Default::default() });
        baseline
    }

    #[test]
    fn a_request_is_handled_when_status_echoes_what_the_object_asks_for_now() {
        let (own, flux) = ((REQUESTED_AT, "two"), (FLUX_REQUESTED_AT, "flux"));
        for (annotations, echo, handled) in [
            (vec![own], Some("two"), true),
            (vec![own], Some("one"), false),
            (vec![own], None, false),
            (vec![], None, false),
            (vec![own, flux], Some("two flux"), true),
            (vec![own, flux], Some("one flux"), false),
        ] {
            assert_eq!(of_baseline(&baseline(&annotations, echo)).handled, handled, "{annotations:?} {echo:?}");
        }
    }

    #[test]
    fn what_is_suspended_says_which_of_the_two_is() {
        let mut own = baseline(&[], None);
        own.spec.suspend = true;
        assert!(of_baseline(&own).suspended.unwrap().contains("the baseline is suspended"));
        let mut by_account = baseline(&[], None);
        let mut conditions = Vec::new();
        let mut edited = super::super::conditions::Conditions::new(&mut conditions, 1, jiff::Timestamp::UNIX_EPOCH);
        edited.keep(ConditionType::Ready, Reason::Suspended, "the account is suspended");
        by_account.status.as_mut().unwrap().conditions = conditions;
        assert!(of_baseline(&by_account).suspended.unwrap().starts_with("the account is suspended"));
        by_account.metadata.generation = Some(2);
        assert_eq!(of_baseline(&by_account).suspended, None, "the edit was not seen yet");
    }
}
