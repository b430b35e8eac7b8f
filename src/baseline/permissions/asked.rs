//! From the desired controls to the checks that they ask for, and which of these need a read. No IO.

use crate::api::{Controls, MfaControl, Mode, RootUser, SecurityGroupsControl, UserMfa};
use crate::baseline::account::AccountIdentity;
use crate::baseline::check::{Check, Control};
use crate::baseline::mfa::Needs;
use crate::baseline::password_policy;
use crate::baseline::plan::mode_of;
use crate::baseline::s3_encryption::Demand;

/// What controls ask for, as checks.
pub(super) struct Asked {
    controls: Controls,
    /// The mode of the baseline.
    ceiling: Mode,
    /// An account in the partition: observation asks by its identity too.
    account: AccountIdentity,
}

impl Asked {
    pub(super) fn of(ceiling: Mode, controls: &Controls, partition: &str) -> Self {
        let (account_id, caller_arn) = (String::new(), String::new());
        Self {
            controls: controls.clone(),
            ceiling,
            account: AccountIdentity { account_id, partition: partition.to_owned(), caller_arn },
        }
    }

    pub(super) fn checks(&self) -> Vec<Check> {
        [self.password_policy(), self.root(|_| true), self.users(|_| true), self.groups(|_| true), self.s3(|_| true)]
            .concat()
    }

    pub(super) fn password_policy(&self) -> Vec<Check> {
        self.controls.password_policy.as_ref().map(password_policy::checks).unwrap_or_default()
    }

    /// The age of passwords, where it is asked for and enforced: who would be stranded is read first.
    pub(super) fn password_age_to_plan(&self) -> Vec<Check> {
        if mode_of(Control::PasswordPolicy, self.ceiling, &self.controls) == Mode::Audit {
            return Vec::new();
        }
        self.password_policy().into_iter().filter(|check| *check == Check::MaxPasswordAge).collect()
    }

    pub(super) fn root(&self, needs_it: impl Fn(Check) -> bool) -> Vec<Check> {
        let Some(root) = self.controls.mfa.as_ref().and_then(|mfa| mfa.root_user.as_ref()) else { return Vec::new() };
        let RootUser { require_mfa, require_hardware_mfa, forbid_access_keys, require_unused_for } = root;
        some([
            (*require_mfa, Check::RootUserMfa),
            (*require_hardware_mfa, Check::RootUserHardwareMfa),
            (*forbid_access_keys, Check::RootUserAccessKeys),
            (require_unused_for.is_some(), Check::RootUserUnused),
        ])
        .into_iter()
        .filter(|check| needs_it(*check))
        .collect()
    }

    /// The checks of users, where the spec of the users needs something: for all of them alike.
    pub(super) fn users(&self, needs_it: impl Fn(&UserMfa) -> bool) -> Vec<Check> {
        let users = self.controls.mfa.as_ref().and_then(|mfa| mfa.users.as_ref()).filter(|users| needs_it(users));
        let Some(users) = users else { return Vec::new() };
        some([(true, Check::UserMfa), (users.require_phishing_resistant, Check::UserPhishingResistantMfa)])
    }

    /// The check of users that enforcement answers by denying them, where it does.
    pub(super) fn users_to_deny(&self) -> Vec<Check> {
        let enforces = mode_of(Control::Mfa, self.ceiling, &self.controls) == Mode::Enforce;
        let names_policy = self.controls.mfa.as_ref().is_some_and(|mfa| mfa.deny_policy_name.is_some());
        self.users(|_| enforces && names_policy).into_iter().filter(|check| *check == Check::UserMfa).collect()
    }

    /// What the part of the MFA control that concerns root, or users, needs alone.
    fn mfa_needs(&self, root_user: Option<&RootUser>, users: Option<&UserMfa>) -> Needs {
        let control = MfaControl { root_user: root_user.cloned(), users: users.cloned(), ..MfaControl::default() };
        Needs::of(&control, &self.account)
    }

    /// The checks of root for which the report is read: each is asked about alone.
    fn root_by_report(&self) -> Vec<Check> {
        let root = self.controls.mfa.as_ref().and_then(|mfa| mfa.root_user.as_ref());
        self.root(|check| {
            let alone = root.map(|root| RootUser {
                require_mfa: check == Check::RootUserMfa,
                require_hardware_mfa: check == Check::RootUserHardwareMfa,
                forbid_access_keys: check == Check::RootUserAccessKeys,
                require_unused_for: root.require_unused_for.clone().filter(|_| check == Check::RootUserUnused),
            });
            self.mfa_needs(alone.as_ref(), None).report
        })
    }

    pub(super) fn report(&self) -> Vec<Check> {
        let users = self.users(|users| self.mfa_needs(None, Some(users)).report);
        let to_deny = self.users_to_deny().into_iter().filter(|check| !users.contains(check)).collect();
        [self.password_age_to_plan(), self.root_by_report(), users.clone(), to_deny].concat()
    }

    pub(super) fn groups(&self, needs_it: impl Fn(&SecurityGroupsControl) -> bool) -> Vec<Check> {
        let Some(groups) = self.controls.security_groups.as_ref().filter(|groups| needs_it(groups)) else {
            return Vec::new();
        };
        some([
            (groups.allowed_ingress.is_some(), Check::Ingress),
            (groups.require_empty_default_group, Check::DefaultSecurityGroup),
        ])
    }

    pub(super) fn ingress(&self) -> Vec<Check> {
        self.groups(|_| true).into_iter().filter(|check| *check == Check::Ingress).collect()
    }

    /// The checks for which groups are described: default ones, and those whose names decide what they may open.
    pub(super) fn groups_by_name(&self) -> Vec<Check> {
        let names_decide = |groups: &SecurityGroupsControl| {
            groups.allowed_ingress.iter().flatten().any(|entry| entry.group_names.is_some())
        };
        let by_name = self.groups(names_decide).into_iter().filter(|check| *check == Check::Ingress);
        by_name.chain(self.groups(|_| true).into_iter().filter(|check| *check == Check::DefaultSecurityGroup)).collect()
    }

    pub(super) fn s3(&self, needs_it: impl Fn(Check) -> bool) -> Vec<Check> {
        let demand = self.controls.s3_encryption.as_ref().map(|desired| Demand(desired).checks()).unwrap_or_default();
        demand.into_iter().map(|(check, _)| check).filter(|check| needs_it(*check)).collect()
    }

    /// The checks that a bucket for logs is exempt from, where KMS is asked for.
    pub(super) fn s3_by_log_delivery(&self) -> Vec<Check> {
        let kms = self.controls.s3_encryption.as_ref().is_some_and(|desired| Demand(desired).asks_for_kms());
        self.s3(|check| kms && matches!(check, Check::EncryptionAlgorithm | Check::KmsKey))
    }
}

fn some<const N: usize>(asked: [(bool, Check); N]) -> Vec<Check> {
    asked.into_iter().filter_map(|(asked, check)| asked.then_some(check)).collect()
}
