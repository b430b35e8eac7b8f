//! What the control is judged by, and which of it a spec needs. No IO.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::{AccountSummary, CredentialReport, IamUser, MfaDevice};
use crate::api::{MfaControl, UserScope};
use crate::baseline::account::AccountIdentity;
use crate::baseline::observed::{Cause, CauseClass, Observed};

/// Everything that the control is judged by. A unit is `None` where nothing asks for it; were it asked for after all,
/// it would count as unread.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Whose root and users they are.
    pub account: AccountIdentity,
    /// What AWS says of root.
    pub summary: Option<Observed<AccountSummary>>,
    /// Whether a virtual device belongs to root.
    pub root_has_virtual_mfa: Option<Observed<bool>>,
    /// The credential report.
    pub report: Option<Observed<Arc<CredentialReport>>>,
    /// The users that exist now.
    pub users: Option<Observed<Vec<IamUser>>>,
    /// The names of the users that may do everything.
    pub administrators: Option<Observed<BTreeSet<String>>>,
    /// What was read of single users, by name.
    pub live: BTreeMap<String, LiveUser>,
}

/// What was read of one user. A unit is `None` where the verdict does not depend on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveUser {
    /// Whether the user has a console password.
    pub login_profile: Option<Observed<bool>>,
    /// The user's MFA devices.
    pub devices: Option<Observed<Vec<MfaDevice>>>,
}

/// Which units of the account a spec needs, before anything is known of the account but its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one flag for each read")]
pub struct Needs {
    /// `iam:GetAccountSummary`
    pub summary: bool,
    /// `iam:GenerateCredentialReport` and `iam:GetCredentialReport`
    pub report: bool,
    /// `iam:ListUsers`
    pub users: bool,
    /// `iam:GetAccountAuthorizationDetails`
    pub administrators: bool,
}

impl Needs {
    /// The fewest units that can answer.
    ///
    /// Where devices must withstand phishing, those of everyone in scope are listed, because the report does not tell
    /// their kinds: then it is needed only to tell who has a password.
    #[must_use]
    pub fn of(desired: &MfaControl, account: &AccountIdentity) -> Self {
        let root = desired.root_user.as_ref();
        let users = desired.users.as_ref();
        let judges_root_mfa = root.is_some_and(|root| root.require_mfa || root.require_hardware_mfa);
        let root_needs_report =
            root.is_some_and(|root| root.require_unused_for.is_some()) || (judges_root_mfa && in_gov_cloud(account));
        let users_need_report =
            users.is_some_and(|users| !users.require_phishing_resistant || users.scope == UserScope::ConsoleUsers);
        Self {
            summary: judges_root_mfa || root.is_some_and(|root| root.forbid_access_keys),
            report: root_needs_report || users_need_report,
            users: users.is_some(),
            administrators: users.is_some_and(|users| users.scope == UserScope::PrivilegedUsers),
        }
    }
}

impl Snapshot {
    /// Whether `iam:ListVirtualMFADevices` can change a verdict: only where root's MFA must be hardware, and root has
    /// credentials and MFA.
    #[must_use]
    pub fn needs_root_devices(&self, desired: &MfaControl) -> bool {
        desired.root_user.as_ref().is_some_and(|root| root.require_hardware_mfa)
            && read(self.summary.as_ref())
                .is_ok_and(|(summary, _)| summary.root_mfa_enabled && summary.root_has_credentials())
    }

    /// When AWS made the credential report that was used.
    #[must_use]
    pub fn report_at(&self) -> Option<Timestamp> {
        read(self.report.as_ref()).ok().map(|(_, at)| at)
    }
}

impl AccountSummary {
    /// Whether root has anything to sign in or to sign requests with. Where AWS does not say whether there is a
    /// password, there is one.
    #[must_use]
    pub fn root_has_credentials(&self) -> bool {
        self.root_password_present.unwrap_or(true)
            || self.root_access_keys_present
            || self.root_signing_certificates_present
    }
}

/// Whether the account lies in the partition where root has no console.
pub(super) fn in_gov_cloud(account: &AccountIdentity) -> bool {
    account.partition == "aws-us-gov"
}

/// A unit that is needed now.
pub(super) fn read<T>(unit: Option<&Observed<T>>) -> Result<(&T, Timestamp), Cause> {
    unit.map_or_else(|| Err(not_read()), |unit| unit.read().map_err(Clone::clone))
}

/// Why a unit is unknown that the observation left out. No path leads here while observation and evaluation go by the
/// same functions; if one ever does, it must not end in a verdict.
pub(super) fn not_read() -> Cause {
    Cause::new(CauseClass::Malformed, "a read that the verdict depends on was not made")
}
