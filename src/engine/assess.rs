//! From a declared account, its controls and a cloud to findings for the whole account. IO through the cloud alone.

use jiff::Timestamp;

use super::cloud::Cloud;
use super::observe::{self, Scope, regions_in_scope};
use crate::api::Controls;
use crate::baseline::{AccountIdentity, Cause, Control, Finding, Observed, password_policy, security_groups};

/// Which regions of an account are judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RegionSelection {
    /// Every region that is enabled in the account.
    #[default]
    Enabled,
    /// These alone.
    Only(Vec<String>),
    /// Every enabled region but these.
    Except(Vec<String>),
}

/// What an assessment covered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The regions that were judged, sorted.
    pub regions: Vec<String>,
    /// Regions that the account's spec names and that are not enabled there.
    pub regions_not_enabled: Vec<String>,
    /// How many IAM users were in scope, where users were judged and could be listed.
    pub users: Option<usize>,
    /// How many buckets were judged, where buckets were judged and could be listed.
    pub buckets: Option<usize>,
    /// How many buckets lie in regions that are not judged.
    pub buckets_skipped: Option<usize>,
    /// When AWS made the credential report that was used.
    pub credential_report_at: Option<Timestamp>,
}

/// A judged account.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// Who the account is, as AWS said.
    pub identity: AccountIdentity,
    /// The account's alias, where it has one and it could be read.
    pub alias: Option<String>,
    /// What was covered.
    pub coverage: Coverage,
    /// The controls that were judged, in the order of reports.
    pub controls: Vec<Control>,
    /// Every judged check, in a stable order.
    pub findings: Vec<Finding>,
}

/// Why nothing could be judged.
#[derive(Debug, thiserror::Error)]
pub enum AssessError {
    /// The account does not answer: no credentials, no role, no network.
    #[error("account {account_id} cannot be reached: {cause}")]
    Unreachable {
        /// The declared account.
        account_id: String,
        /// What happened.
        cause: Cause,
    },
    /// The credentials lead elsewhere: nothing more was read.
    #[error("the credentials lead to account {actual}, but {declared} is declared: nothing was read")]
    Mismatch {
        /// The declared account.
        declared: String,
        /// The account that answered.
        actual: String,
    },
}

/// Is told what is under way, for people who wait.
pub trait Progress: Send + Sync {
    /// A control is being observed.
    fn started(&self, control: Control);
    /// `done` of `total` units of a control were observed.
    fn advanced(&self, control: Control, done: usize, total: usize);
    /// A control was observed and judged.
    fn finished(&self, control: Control);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn started(&self, _: Control) {}
    fn advanced(&self, _: Control, _: usize, _: usize) {}
    fn finished(&self, _: Control) {}
}

/// Observes and judges an account. Reads alone; what cannot be read becomes `Unknown` findings, everything else is
/// still judged.
///
/// # Errors
///
/// Where the account cannot be reached at all, or is not the declared one.
pub async fn assess(
    account_id: &str,
    regions: &RegionSelection,
    controls: &Controls,
    cloud: &dyn Cloud,
    progress: &dyn Progress,
) -> Result<Assessment, AssessError> {
    let identity = verify(account_id, cloud).await?;
    let alias = cloud.account_alias().await.value().cloned().flatten();
    let scope = Scope { regions: regions_in_scope(regions, controls, cloud).await, account: identity.clone() };
    let mut assessment =
        Assessment { identity, alias, coverage: Coverage::default(), controls: Vec::new(), findings: Vec::new() };
    if let Observed::Complete { value: regions, .. } = &scope.regions {
        assessment.coverage.regions.clone_from(&regions.judged);
        assessment.coverage.regions_not_enabled.clone_from(&regions.not_enabled);
    }
    if let Some(desired) = &controls.password_policy {
        progress.started(Control::PasswordPolicy);
        let snapshot = observe::password_policy(&scope, cloud).await;
        assessment.add(Control::PasswordPolicy, password_policy::evaluate(desired, &snapshot));
        progress.finished(Control::PasswordPolicy);
    }
    if let Some(desired) = &controls.security_groups {
        progress.started(Control::SecurityGroups);
        let snapshot = observe::security_groups(&scope, desired, cloud, progress).await;
        assessment.add(Control::SecurityGroups, security_groups::evaluate(desired, &snapshot));
        progress.finished(Control::SecurityGroups);
    }
    Ok(assessment)
}

/// Asks AWS whose account it is before anything else is read.
async fn verify(declared: &str, cloud: &dyn Cloud) -> Result<AccountIdentity, AssessError> {
    let identity =
        cloud.identity().await.map_err(|cause| AssessError::Unreachable { account_id: declared.to_owned(), cause })?;
    if identity.account_id == declared {
        Ok(identity)
    } else {
        Err(AssessError::Mismatch { declared: declared.to_owned(), actual: identity.account_id })
    }
}

impl Assessment {
    fn add(&mut self, control: Control, findings: Vec<Finding>) {
        self.controls.push(control);
        self.findings.extend(findings);
    }
}
