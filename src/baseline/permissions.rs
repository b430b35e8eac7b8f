//! From the desired controls to the read actions that judging them takes, and planning where they enforce, each with the
//! resources that it can be scoped to and the checks that need it. No IO.
//!
//! An action is here exactly if the observation of these controls can come to call it, in whatever state the account
//! is. Where observation and evaluation ask a function what a spec needs, so does this page.

use std::collections::BTreeMap;

use self::asked::Asked;
use super::check::Check;
use crate::api::{
    Algorithm, AllowedIngress, Controls, MfaControl, Mode, PasswordPolicyControl, RootUser, S3Encryption,
    SecurityGroupsControl, UserMfa, UserScope,
};

mod asked;
mod document;

pub use document::{PolicyDocument, Statement, audit_policy, trust_policy};

/// What an action is allowed on: as little as AWS lets it be scoped to, naming no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resources {
    /// Everything: AWS scopes the action to nothing.
    Any,
    /// IAM users.
    Users,
    /// Managed policies of the account.
    Policies,
    /// Managed prefix lists: of other accounts too, which share them.
    PrefixLists,
    /// The account's own buckets.
    Buckets,
    /// KMS keys: of other accounts too, where a bucket uses one.
    Keys,
}

/// An IAM action that the audit needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Example: `iam:ListUsers`.
    pub action: &'static str,
    /// The statement of the policy that it belongs to, which says the control.
    pub statement: &'static str,
    /// What it is allowed on.
    pub resources: Resources,
    /// The checks whose verdicts or remediations may hang on it, in the order of reports. None: no verdict does, reports alone do.
    pub checks: Vec<Check>,
}

/// One row of the table of actions.
struct Read {
    action: &'static str,
    statement: &'static str,
    resources: Resources,
    /// The checks that need it.
    needed_by: fn(&Asked) -> Vec<Check>,
}

impl Read {
    const fn new(
        statement: &'static str,
        action: &'static str,
        resources: Resources,
        needed_by: fn(&Asked) -> Vec<Check>,
    ) -> Self {
        Self { action, statement, resources, needed_by }
    }

    fn permission(&self, asked: &Asked) -> Option<Permission> {
        let checks = (self.needed_by)(asked);
        (self.action == FOR_REPORTS || !checks.is_empty()).then(|| self.with(checks))
    }

    fn with(&self, checks: Vec<Check>) -> Permission {
        Permission { action: self.action, statement: self.statement, resources: self.resources, checks }
    }
}

/// The one action without which every verdict stays: reports lack the account's name.
pub const FOR_REPORTS: &str = "iam:ListAccountAliases";

/// Every action, in the order of policies: those of one statement follow each other.
const READS: [Read; 28] = {
    use Resources::{Any, Buckets, Keys, Policies, PrefixLists, Users};
    [
        Read::new("Account", FOR_REPORTS, Any, |_| Vec::new()),
        Read::new("Regions", "ec2:DescribeRegions", Any, |asked| [asked.groups(|_| true), asked.s3(|_| true)].concat()),
        Read::new("PasswordPolicy", "iam:GetAccountPasswordPolicy", Any, |asked| {
            [asked.password_policy(), asked.users_to_deny()].concat()
        }),
        Read::new("Mfa", "iam:GetAccountSummary", Any, |asked| {
            [asked.root(|check| check != Check::RootUserUnused), asked.users_to_deny()].concat()
        }),
        Read::new("Mfa", "iam:ListVirtualMFADevices", Any, |asked| {
            asked.root(|check| check == Check::RootUserHardwareMfa)
        }),
        Read::new("Mfa", "iam:GenerateCredentialReport", Any, Asked::report),
        Read::new("Mfa", "iam:GetCredentialReport", Any, Asked::report),
        Read::new("Mfa", "iam:ListUsers", Any, |asked| asked.users(|_| true)),
        Read::new("Mfa", "iam:GetAccountAuthorizationDetails", Any, |asked| {
            distinct([asked.users(|users| users.scope == UserScope::PrivilegedUsers), asked.users_to_deny()].concat())
        }),
        Read::new("MfaUsers", "iam:ListMFADevices", Users, |asked| asked.users(|_| true)),
        Read::new("MfaUsers", "iam:GetLoginProfile", Users, |asked| {
            distinct([asked.users(|users| users.scope == UserScope::ConsoleUsers), asked.users_to_deny()].concat())
        }),
        // What decides whether a user may be denied.
        Read::new("MfaUsers", "iam:ListAccessKeys", Users, Asked::users_to_deny),
        Read::new("MfaUsers", "iam:ListServiceSpecificCredentials", Users, Asked::users_to_deny),
        Read::new("MfaUsers", "iam:ListSigningCertificates", Users, Asked::users_to_deny),
        Read::new("MfaUsers", "iam:ListAttachedUserPolicies", Users, Asked::users_to_deny),
        Read::new("MfaUsers", "iam:SimulatePrincipalPolicy", Users, |asked| {
            [asked.password_age_to_plan(), asked.users_to_deny()].concat()
        }),
        Read::new("MfaPolicies", "iam:GetPolicy", Policies, Asked::users_to_deny),
        Read::new("MfaPolicies", "iam:GetPolicyVersion", Policies, Asked::users_to_deny),
        Read::new("SecurityGroups", "ec2:DescribeSecurityGroupRules", Any, |asked| asked.groups(|_| true)),
        Read::new("SecurityGroups", "ec2:DescribeSecurityGroups", Any, Asked::groups_by_name),
        // How bad a failure is hangs on it.
        Read::new("SecurityGroups", "ec2:DescribeNetworkInterfaces", Any, |asked| asked.groups(|_| true)),
        Read::new("SecurityGroups", "ec2:DescribeManagedPrefixLists", Any, Asked::ingress),
        Read::new("SecurityGroupsPrefixLists", "ec2:GetManagedPrefixListEntries", PrefixLists, Asked::ingress),
        Read::new("S3Encryption", "s3:ListAllMyBuckets", Any, |asked| asked.s3(|_| true)),
        Read::new("S3EncryptionBuckets", "s3:GetEncryptionConfiguration", Buckets, |asked| {
            asked.s3(|check| check != Check::TlsRequired)
        }),
        Read::new("S3EncryptionBuckets", "s3:GetBucketPolicy", Buckets, |asked| {
            [asked.s3_by_log_delivery(), asked.s3(|check| check == Check::TlsRequired)].concat()
        }),
        Read::new("S3EncryptionBuckets", "s3:GetBucketLogging", Buckets, Asked::s3_by_log_delivery),
        Read::new("S3EncryptionKeys", "kms:DescribeKey", Keys, |asked| {
            asked.s3(|check| matches!(check, Check::KmsKey | Check::KmsKeyUsable))
        }),
    ]
};

/// Each check once, in the order of reports.
fn distinct(mut checks: Vec<Check>) -> Vec<Check> {
    checks.sort_unstable();
    checks.dedup();
    checks
}

/// The read actions that the audit of an account by these controls needs, in a stable order; none, where they ask for
/// nothing. What the operator's own identity needs (`sts:AssumeRole`) is not among them.
#[must_use]
pub fn needed(controls: &Controls, partition: &str) -> Vec<Permission> {
    needed_in(Mode::Audit, controls, partition)
}

/// The same in a baseline of this mode: controls that enforce need more reads, to plan.
#[must_use]
pub fn needed_in(ceiling: Mode, controls: &Controls, partition: &str) -> Vec<Permission> {
    let asked = Asked::of(ceiling, controls, partition);
    if asked.checks().is_empty() {
        return Vec::new();
    }
    READS.iter().filter_map(|read| read.permission(&asked)).collect()
}

/// What any of several baselines needs, each given by its mode and its controls.
#[must_use]
pub fn needed_by_any<'a>(
    baselines: impl IntoIterator<Item = (Mode, &'a Controls)>,
    partition: &str,
) -> Vec<Permission> {
    let mut checks: BTreeMap<&'static str, Vec<Check>> = BTreeMap::new();
    let each = baselines.into_iter().flat_map(|(ceiling, controls)| needed_in(ceiling, controls, partition));
    for permission in each {
        let known = checks.entry(permission.action).or_default();
        known.extend(permission.checks);
        known.sort_unstable();
        known.dedup();
    }
    let permission = |read: &Read| checks.remove(read.action).map(|checks| read.with(checks));
    READS.iter().filter_map(permission).collect()
}

/// What audit and plan can need, whatever the controls ask for.
#[must_use]
pub fn every_read(partition: &str) -> Vec<Permission> {
    let scopes = [UserScope::ConsoleUsers, UserScope::PrivilegedUsers].map(everything);
    needed_by_any(scopes.iter().map(|controls| (Mode::Enforce, controls)), partition)
}

/// Controls that ask for everything that there is to ask for, of these users.
fn everything(scope: UserScope) -> Controls {
    Controls {
        password_policy: Some(PasswordPolicyControl {
            minimum_password_length: Some(14),
            require_uppercase_characters: true,
            require_lowercase_characters: true,
            require_numbers: true,
            require_symbols: true,
            password_reuse_prevention: Some(24),
            max_password_age: Some(90),
            allow_users_to_change_password: true,
            ..PasswordPolicyControl::default()
        }),
        mfa: Some(MfaControl {
            root_user: Some(RootUser {
                require_mfa: true,
                require_hardware_mfa: true,
                forbid_access_keys: true,
                require_unused_for: Some("90d".into()),
            }),
            users: Some(UserMfa { scope, require_phishing_resistant: true, ..UserMfa::default() }),
            deny_policy_name: Some("PlumblineRequireMfa".to_owned()),
            ..MfaControl::default()
        }),
        security_groups: Some(SecurityGroupsControl {
            allowed_ingress: Some(vec![AllowedIngress {
                group_names: Some(vec!["*".into()]),
                ..AllowedIngress::default()
            }]),
            require_empty_default_group: true,
            ..SecurityGroupsControl::default()
        }),
        s3_encryption: Some(S3Encryption {
            minimum_algorithm: Some(Algorithm::SseKms),
            require_customer_managed_key: true,
            kms_keys: None,
            require_bucket_key: true,
            forbid_sse_c: true,
            require_tls: true,
            ..S3Encryption::default()
        }),
    }
}

#[cfg(test)]
mod tests;
