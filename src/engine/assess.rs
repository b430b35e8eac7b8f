//! From a declared account, its controls and a cloud to findings for the whole account. IO through the cloud alone.

use jiff::Timestamp;
use tracing::{Instrument, error_span};

use super::cloud::Cloud;
use super::observe::{self, Scope, regions_in_scope};
use crate::api::{AwsAccountSpec, Controls, MfaControl, RegionName};
use crate::baseline::plan::Snapshots;
use crate::baseline::{
    AccountIdentity, Cause, Control, Finding, Observed, Summary, mfa, password_policy, s3_encryption, security_groups,
};

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

impl From<&AwsAccountSpec> for RegionSelection {
    fn from(account: &AwsAccountSpec) -> Self {
        let names = |regions: &[RegionName]| regions.iter().map(ToString::to_string).collect();
        match (&account.regions, &account.excluded_regions) {
            (Some(only), _) => Self::Only(names(only)),
            (None, Some(excluded)) => Self::Except(names(excluded)),
            (None, None) => Self::Enabled,
        }
    }
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
    /// How many IAM users there are, in scope or not, where users were judged and could be listed.
    pub users_listed: Option<usize>,
    /// How many buckets were judged, where buckets were judged and could be listed.
    pub buckets: Option<usize>,
    /// How many buckets lie in regions that are not judged, or belong to another account by now.
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
    /// What was observed, which plans are made from.
    pub snapshots: Snapshots,
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
    let Controls { password_policy, mfa, security_groups, s3_encryption } = controls;
    let regional = async {
        let scope = Scope { regions: regions_in_scope(regions, controls, cloud).await, account: identity.clone() };
        let (groups, buckets) = futures::join!(
            observing(Control::SecurityGroups, progress, security_groups.as_ref(), |desired| {
                observe::security_groups(&scope, desired, cloud, progress)
            }),
            observing(Control::S3Encryption, progress, s3_encryption.as_ref(), |desired| {
                observe::s3_encryption(&scope, desired, cloud, progress)
            }),
        );
        (scope, groups, buckets)
    };
    // Side by side, so that a service that hangs does not use up the time of what does not need it.
    let (alias, passwords, factors, (scope, groups, buckets)) = futures::join!(
        cloud.account_alias(),
        observing(Control::PasswordPolicy, progress, password_policy.as_ref(), |_| observe::password_policy(
            &identity, cloud
        )),
        observing(Control::Mfa, progress, mfa.as_ref(), |desired| observe::mfa(&identity, desired, cloud, progress)),
        regional,
    );
    let alias = alias.value().cloned().flatten();
    let mut assessment = Assessment {
        identity,
        alias,
        coverage: Coverage::default(),
        controls: Vec::new(),
        findings: Vec::new(),
        snapshots: Snapshots::default(),
    };
    if let Observed::Complete { value: regions, .. } = &scope.regions {
        assessment.coverage.regions.clone_from(&regions.judged);
        assessment.coverage.regions_not_enabled.clone_from(&regions.not_enabled);
    }
    if let (Some(desired), Some(snapshot)) = (password_policy, passwords) {
        assessment.add(Control::PasswordPolicy, password_policy::evaluate(desired, &snapshot));
        assessment.snapshots.password_policy = Some(snapshot);
    }
    if let (Some(desired), Some(snapshot)) = (mfa, factors) {
        assessment.coverage.cover_users(desired, &snapshot);
        assessment.add(Control::Mfa, mfa::evaluate(desired, &snapshot));
        assessment.snapshots.mfa = Some(snapshot);
    }
    if let (Some(desired), Some(snapshot)) = (security_groups, groups) {
        assessment.add(Control::SecurityGroups, security_groups::evaluate(desired, &snapshot));
        assessment.snapshots.security_groups = Some(snapshot);
    }
    if let (Some(desired), Some(snapshot)) = (s3_encryption, buckets) {
        assessment.coverage.cover_buckets(&snapshot);
        assessment.add(Control::S3Encryption, s3_encryption::evaluate(desired, &snapshot));
        assessment.snapshots.s3_encryption = Some(snapshot);
    }
    Ok(assessment)
}

/// Observes a control that the spec names, and tells when it starts and ends.
async fn observing<'a, D, F: Future>(
    control: Control,
    progress: &dyn Progress,
    desired: Option<&'a D>,
    observe: impl FnOnce(&'a D) -> F,
) -> Option<F::Output> {
    let observation = observe(desired?);
    // A span of this level is on at every level of logging.
    let observation = observation.instrument(error_span!("control", control = control.as_str()));
    progress.started(control);
    let snapshot = observation.await;
    progress.finished(control);
    Some(snapshot)
}

/// Asks AWS whose account it is before anything else is read.
///
/// # Errors
///
/// Where the account cannot be reached, or is not the declared one.
pub async fn verify(declared: &str, cloud: &dyn Cloud) -> Result<AccountIdentity, AssessError> {
    let identity =
        cloud.identity().await.map_err(|cause| AssessError::Unreachable { account_id: declared.to_owned(), cause })?;
    if identity.account_id == declared {
        Ok(identity)
    } else {
        Err(AssessError::Mismatch { declared: declared.to_owned(), actual: identity.account_id })
    }
}

impl Coverage {
    fn cover_users(&mut self, desired: &MfaControl, snapshot: &mfa::Snapshot) {
        let considered = desired.users.as_ref().and_then(|asked| mfa::users::considered(asked, snapshot));
        self.users = considered.map(|users| users.in_scope);
        self.users_listed = considered.map(|users| users.listed);
        self.credential_report_at = snapshot.report_at();
    }

    fn cover_buckets(&mut self, snapshot: &s3_encryption::Snapshot) {
        self.buckets = snapshot.buckets.value().map(|buckets| buckets.judged.len());
        self.buckets_skipped = snapshot.buckets.value().map(s3_encryption::Buckets::skipped);
    }
}

impl Assessment {
    /// The counts of one control.
    #[must_use]
    pub fn summary_of(&self, control: Control) -> Summary {
        Summary::of(self.findings.iter().filter(|finding| finding.subject().check.control() == control))
    }

    fn add(&mut self, control: Control, findings: Vec<Finding>) {
        self.controls.push(control);
        self.findings.extend(findings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_regions_of_a_spec_are_all_but_these_or_these_alone_or_all() {
        let mut spec = AwsAccountSpec::default();
        assert_eq!(RegionSelection::from(&spec), RegionSelection::Enabled);
        spec.excluded_regions = Some(vec!["me-south-1".into()]);
        assert_eq!(RegionSelection::from(&spec), RegionSelection::Except(vec!["me-south-1".to_owned()]));
        spec = AwsAccountSpec { regions: Some(vec!["eu-west-1".into()]), ..AwsAccountSpec::default() };
        assert_eq!(RegionSelection::from(&spec), RegionSelection::Only(vec!["eu-west-1".to_owned()]));
    }
}
