//! From the desired controls to the read actions that judging them takes, each with the resources that it can be scoped
//! to and the checks that need it. No IO.
//!
//! An action is here exactly if the observation of these controls can come to call it, in whatever state the account
//! is; where a control enforces, also if planning its changes can. Where observation and evaluation ask a function what
//! a spec needs, so does this page.

use std::collections::BTreeMap;

use self::asked::Asked;
use super::check::Check;
use super::plan::effective;
use super::s3_encryption::Demand;
use crate::api::{
    AccountBaselineSpec, Algorithm, AllowedIngress, Controls, DefaultGroupEnforcement, Enforcement, MfaControl, Mode,
    OwnerTag, PasswordPolicyControl, RootUser, S3Encryption, SecurityGroupsControl, UserMfa, UserScope,
};

mod asked;
mod document;
mod enforce;

pub use document::{
    PolicyDocument, Statement, audit_policy, enforce_policy, operator_policy, principal_of, trust_policy,
    trust_statement,
};
pub use enforce::{Grant, grants};

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
    /// The checks whose verdicts, or changes where the control enforces, may hang on it, in the order of reports. None:
    /// reports alone do, or the status of the account.
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
        let always = self.action == FOR_REPORTS || FOR_ACCOUNT_STATUS.contains(&self.action);
        (always || !checks.is_empty()).then(|| self.with(checks))
    }

    fn with(&self, checks: Vec<Check>) -> Permission {
        Permission { action: self.action, statement: self.statement, resources: self.resources, checks }
    }
}

/// The one action without which every verdict stays: reports lack the account's name.
pub const FOR_REPORTS: &str = "iam:ListAccountAliases";

/// What the status of the `AwsAccount` is made of, whatever baselines ask for: its regions, their zones, its quotas.
pub const FOR_ACCOUNT_STATUS: [&str; 3] =
    ["ec2:DescribeRegions", "ec2:DescribeAvailabilityZones", "servicequotas:GetServiceQuota"];

/// Every action, in the order of policies: those of one statement follow each other.
const READS: [Read; 34] = {
    use Resources::{Any, Buckets, Keys, Policies, PrefixLists, Users};
    [
        Read::new("Account", FOR_REPORTS, Any, |_| Vec::new()),
        Read::new("Regions", "ec2:DescribeRegions", Any, |asked| [asked.groups(|_| true), asked.s3(|_| true)].concat()),
        Read::new("Regions", "ec2:DescribeAvailabilityZones", Any, |_| Vec::new()),
        Read::new("Quotas", "servicequotas:GetServiceQuota", Any, |_| Vec::new()),
        Read::new("PasswordPolicy", "iam:GetAccountPasswordPolicy", Any, |asked| {
            union(asked.password_policy(), asked.users_to_deny())
        }),
        Read::new("Mfa", "iam:GetAccountSummary", Any, |asked| {
            union(asked.root(|check| check != Check::RootUserUnused), asked.users_to_deny())
        }),
        Read::new("Mfa", "iam:ListVirtualMFADevices", Any, |asked| {
            asked.root(|check| check == Check::RootUserHardwareMfa)
        }),
        Read::new("Mfa", "iam:GenerateCredentialReport", Any, Asked::report),
        Read::new("Mfa", "iam:GetCredentialReport", Any, Asked::report),
        Read::new("Mfa", "iam:ListUsers", Any, |asked| asked.users(|_| true)),
        Read::new("Mfa", "iam:GetAccountAuthorizationDetails", Any, |asked| {
            union(asked.users(|users| users.scope == UserScope::PrivilegedUsers), asked.users_to_deny())
        }),
        Read::new("MfaUsers", "iam:ListMFADevices", Users, |asked| asked.users(|_| true)),
        Read::new("MfaUsers", "iam:GetLoginProfile", Users, |asked| {
            union(asked.users(|users| users.scope == UserScope::ConsoleUsers), asked.users_to_deny())
        }),
        // What decides whether a user may be denied, and whether an expired password can be changed.
        Read::new("MfaUsers", "iam:ListAccessKeys", Users, Asked::users_to_deny),
        Read::new("MfaUsers", "iam:ListServiceSpecificCredentials", Users, Asked::users_to_deny),
        Read::new("MfaUsers", "iam:ListSigningCertificates", Users, Asked::users_to_deny),
        Read::new("MfaUsers", "iam:ListAttachedUserPolicies", Users, Asked::users_to_deny),
        Read::new("MfaUsers", "iam:SimulatePrincipalPolicy", Users, |asked| {
            union(asked.password_age_to_plan(), asked.users_to_deny())
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
            let judged = [asked.s3_by_log_delivery(), asked.s3(|check| check == Check::TlsRequired)].concat();
            union(judged, asked.s3_plans(|_, _| true))
        }),
        Read::new("S3EncryptionBuckets", "s3:GetBucketLogging", Buckets, Asked::s3_by_log_delivery),
        Read::new("S3EncryptionBuckets", "s3:GetBucketTagging", Buckets, |asked| {
            if asked.owned_elsewhere { asked.s3_plans(|_, _| true) } else { Vec::new() }
        }),
        Read::new("S3EncryptionBuckets", "s3:GetBucketWebsite", Buckets, |asked| {
            asked.s3_plans(|_, check| check == Check::TlsRequired)
        }),
        Read::new("S3EncryptionBuckets", "s3:GetBucketPublicAccessBlock", Buckets, |asked| {
            asked.s3_plans(|_, check| check == Check::TlsRequired)
        }),
        Read::new("S3EncryptionBuckets", "s3:GetReplicationConfiguration", Buckets, |asked| {
            asked.s3_plans(|desired, check| {
                let may_move = matches!(check, Check::EncryptionAlgorithm | Check::KmsKey);
                may_move && Demand(desired).may_move_to_kms()
            })
        }),
        Read::new("S3EncryptionKeys", "kms:DescribeKey", Keys, |asked| {
            asked.s3(|check| matches!(check, Check::KmsKey | Check::KmsKeyUsable))
        }),
    ]
};

/// The read actions that the audit of an account by these controls needs, in a stable order; none, where they ask for
/// nothing. What the operator's own identity needs (`sts:AssumeRole`) is not among them.
#[must_use]
pub fn needed(controls: &Controls, partition: &str) -> Vec<Permission> {
    permissions(&Asked::of(controls, partition))
}

/// The same for a whole baseline: where a control enforces, also what planning its changes needs.
#[must_use]
pub fn needed_by_baseline(baseline: &AccountBaselineSpec, partition: &str) -> Vec<Permission> {
    permissions(&Asked::of_baseline(baseline, partition))
}

fn permissions(asked: &Asked) -> Vec<Permission> {
    if asked.checks().is_empty() {
        return Vec::new();
    }
    READS.iter().filter_map(|read| read.permission(asked)).collect()
}

/// What any of several baselines needs.
#[must_use]
pub fn needed_by_any<'a>(
    baselines: impl IntoIterator<Item = &'a AccountBaselineSpec>,
    partition: &str,
) -> Vec<Permission> {
    let mut checks: BTreeMap<&'static str, Vec<Check>> = BTreeMap::new();
    for permission in baselines.into_iter().flat_map(|baseline| needed_by_baseline(baseline, partition)) {
        let known = checks.entry(permission.action).or_default();
        *known = union(std::mem::take(known), permission.checks);
    }
    let permission = |read: &Read| checks.remove(read.action).map(|checks| read.with(checks));
    READS.iter().filter_map(permission).collect()
}

/// In the order of reports, each once.
fn union(mut checks: Vec<Check>, others: Vec<Check>) -> Vec<Check> {
    checks.extend(others);
    checks.sort_unstable();
    checks.dedup();
    checks
}

/// What the audit can need, whatever baselines ask for.
#[must_use]
pub fn every_read(partition: &str) -> Vec<Permission> {
    let enforcing = |scope| AccountBaselineSpec {
        mode: Mode::Enforce,
        enforcement: Some(Enforcement { owned_elsewhere: Some(vec![OwnerTag::default()]), ..Enforcement::default() }),
        controls: everything(scope),
        ..AccountBaselineSpec::default()
    };
    needed_by_any(&[enforcing(UserScope::ConsoleUsers), enforcing(UserScope::PrivilegedUsers)], partition)
}

/// What the enforce role can need, whatever the controls ask for. The one policy that it may attach has to have a name.
#[must_use]
pub fn every_grant(partition: &str) -> Vec<Grant> {
    grants(&[effective(Mode::Enforce, &everything(UserScope::ConsoleUsers))], partition)
}

/// The name that the documentation gives to the policy that denies without MFA.
pub const USUAL_DENY_POLICY: &str = "PlumblineRequireMfa";

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
            deny_policy_name: Some(USUAL_DENY_POLICY.to_owned()),
            ..MfaControl::default()
        }),
        security_groups: Some(SecurityGroupsControl {
            allowed_ingress: Some(vec![AllowedIngress {
                group_names: Some(vec!["*".into()]),
                ..AllowedIngress::default()
            }]),
            require_empty_default_group: true,
            narrow: true,
            enforce_default_group: DefaultGroupEnforcement::InUseToo,
            ..SecurityGroupsControl::default()
        }),
        s3_encryption: Some(S3Encryption {
            minimum_algorithm: Some(Algorithm::SseKms),
            require_customer_managed_key: true,
            kms_keys: Some(vec!["alias/s3-default".into()]),
            require_bucket_key: true,
            forbid_sse_c: true,
            require_tls: true,
            allow_kms_migration: true,
            ..S3Encryption::default()
        }),
    }
}

#[cfg(test)]
mod tests;
