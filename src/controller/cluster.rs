//! What `plumbline undo` asks of a cluster, on the API server. IO, through the client without retries.

use async_trait::async_trait;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::Guarded;
use super::fresh::{self, CallError, all, answered};
use super::ledger::KubeLedger;
use crate::api::{AccountBaseline, AccountBaselineSpec, AwsAccount, ChangeRecord, Controls, Mode};
use crate::baseline::Control;
use crate::baseline::plan::mode_of;
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
            .filter(|baseline| !baseline.spec.suspend && enforces(&baseline.spec, control))
            .map(|baseline| baseline.name_any())
            .collect();
        names.sort();
        Ok(names)
    }

    fn ledger(&self) -> &dyn Ledger {
        &self.ledger
    }
}

fn enforces(spec: &AccountBaselineSpec, control: Control) -> bool {
    let Controls { password_policy, mfa, security_groups, s3_encryption } = &spec.controls;
    let is_named = match control {
        Control::PasswordPolicy => password_policy.is_some(),
        Control::Mfa => mfa.is_some(),
        Control::SecurityGroups => security_groups.is_some(),
        Control::S3Encryption => s3_encryption.is_some(),
    };
    is_named && mode_of(control, spec.mode, &spec.controls) == Mode::Enforce
}

fn unread(what: &str, error: &CallError) -> LedgerError {
    LedgerError { message: format!("{what} cannot be read: {error}"), may_pass: error.may_pass() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{MfaControl, PasswordPolicyControl};

    #[test]
    fn a_baseline_enforces_what_it_names_unless_its_mode_or_the_controls_own_is_audit() {
        let mut spec = AccountBaselineSpec { mode: Mode::Enforce, ..AccountBaselineSpec::default() };
        spec.controls.password_policy = Some(PasswordPolicyControl::default());
        spec.controls.mfa = Some(MfaControl { mode: Some(Mode::Audit), ..MfaControl::default() });
        assert_eq!(Control::ALL.map(|control| enforces(&spec, control)), [true, false, false, false]);
        spec.mode = Mode::Audit;
        assert_eq!(Control::ALL.map(|control| enforces(&spec, control)), [false; 4]);
    }
}
