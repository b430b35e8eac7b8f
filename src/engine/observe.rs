//! From a cloud to the snapshots that are judged, one module per control, with the fewest calls that can answer.
//! IO through the cloud alone.

mod mfa;
mod s3_encryption;
mod security_groups;

pub(super) use mfa::mfa;
pub(super) use s3_encryption::s3_encryption;
pub(super) use security_groups::observe as security_groups;

use super::assess::RegionSelection;
use super::cloud::{Cloud, Region};
use crate::api::Controls;
use crate::baseline::{AccountIdentity, Observed, password_policy};

/// How many units of one control are read at the same time. The cloud's own rate limits do the rest.
pub(crate) const CONCURRENCY: usize = 16;

/// What of an account is judged.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The verified account.
    pub account: AccountIdentity,
    /// The regions; unknown where AWS did not list them.
    pub regions: Observed<RegionsInScope>,
}

/// The regions that are judged, and those that cannot be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegionsInScope {
    /// Enabled and selected, sorted.
    pub judged: Vec<String>,
    /// Named by the spec, but not enabled in the account.
    pub not_enabled: Vec<String>,
}

impl RegionsInScope {
    /// Whether a region is judged.
    #[must_use]
    pub fn includes(&self, region: &str) -> bool {
        self.judged.iter().any(|judged| judged == region)
    }
}

impl RegionSelection {
    /// The judged ones of an account's regions.
    #[must_use]
    pub fn of(&self, regions: &[Region]) -> RegionsInScope {
        let enabled = || regions.iter().filter(|region| region.enabled).map(|region| region.name.clone());
        let mut scope = RegionsInScope::default();
        match self {
            Self::Enabled => scope.judged = enabled().collect(),
            Self::Except(out) => scope.judged = enabled().filter(|name| !out.contains(name)).collect(),
            Self::Only(names) => {
                (scope.judged, scope.not_enabled) =
                    names.iter().cloned().partition(|name| enabled().any(|other| other == *name));
            }
        }
        scope.judged.sort();
        scope.not_enabled.sort();
        scope
    }
}

/// Lists the regions, where a control needs them: password policy and MFA are global.
pub async fn regions_in_scope(
    selection: &RegionSelection,
    controls: &Controls,
    cloud: &dyn Cloud,
) -> Observed<RegionsInScope> {
    if controls.security_groups.is_none() && controls.s3_encryption.is_none() {
        return Observed::complete(RegionsInScope::default(), jiff::Timestamp::UNIX_EPOCH);
    }
    cloud.regions().await.map(|regions| selection.of(&regions))
}

/// One call: `iam:GetAccountPasswordPolicy`.
pub(super) async fn password_policy(account: &AccountIdentity, cloud: &dyn Cloud) -> password_policy::Snapshot {
    password_policy::Snapshot { account: account.clone(), policy: cloud.password_policy().await }
}
