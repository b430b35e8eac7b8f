//! What `plumbline undo` asks of a cluster, on the API server. IO, through the client without retries.

use async_trait::async_trait;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::Guarded;
use super::fresh::{self, CallError, all, answered};
use super::ledger::KubeLedger;
use crate::api::{AccountBaseline, AwsAccount, ChangeRecord};
use crate::baseline::Control;
use crate::baseline::plan::control_enforces;
use crate::engine::cluster::Cluster;
use crate::engine::ledger::{Ledger, LedgerError};

/// The cluster of `KUBECONFIG`, with the rights that it gives.
struct KubeCluster {
    client: Client,
    ledger: KubeLedger,
}

/// The cluster of `KUBECONFIG`, or the one that this process runs in.
///
/// # Errors
///
/// When neither can be used.
pub async fn cluster() -> Result<Box<dyn Cluster>, Box<dyn std::error::Error + Send + Sync>> {
    Ok(cluster_of(kube::Config::infer().await?)?)
}

/// The cluster of a configuration that was read already.
///
/// # Errors
///
/// When it holds no address, certificate or credentials that can be used.
pub fn cluster_of(config: kube::Config) -> Result<Box<dyn Cluster>, kube::Error> {
    let client = fresh::client(config)?;
    Ok(Box::new(KubeCluster { ledger: KubeLedger::new(client.clone()), client }))
}

#[async_trait]
impl Cluster for KubeCluster {
    async fn record(&self, name: &str) -> Result<Option<ChangeRecord>, LedgerError> {
        let api = Api::<ChangeRecord>::all(self.client.clone());
        answered(api.get_opt(name)).await.map_err(|error| unread(&format!("ChangeRecord {name}"), &error))
    }

    async fn enforcing(&self, account_id: &str, control: Control) -> Result<Vec<String>, LedgerError> {
        let accounts = Api::<Guarded<AwsAccount>>::all(self.client.clone());
        let accounts = all(&accounts, ListParams::default()).await.map_err(|error| unread("the accounts", &error))?;
        // What cannot be read enforces nothing, either.
        let of_account: Vec<String> = accounts
            .into_iter()
            .filter_map(|account| account.0.ok())
            .filter(|account| account.spec.account_id.as_str() == account_id && !account.spec.suspend)
            .map(|account| account.name_any())
            .collect();
        let baselines = Api::<Guarded<AccountBaseline>>::all(self.client.clone());
        let baselines =
            all(&baselines, ListParams::default()).await.map_err(|error| unread("the baselines", &error))?;
        let mut names: Vec<String> = baselines
            .into_iter()
            .filter_map(|baseline| baseline.0.ok())
            .filter(|baseline| of_account.contains(&baseline.spec.account_ref.name))
            .filter(|baseline| !baseline.spec.suspend)
            .filter(|baseline| control_enforces(control, baseline.spec.mode, &baseline.spec.controls))
            .map(|baseline| baseline.name_any())
            .collect();
        names.sort();
        Ok(names)
    }

    fn ledger(&self) -> &dyn Ledger {
        &self.ledger
    }
}

fn unread(what: &str, error: &CallError) -> LedgerError {
    LedgerError { message: format!("{what} cannot be read: {error}"), may_pass: error.may_pass() }
}
