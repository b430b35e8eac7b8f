//! From controls to what the enforce role needs: each control's changes in statements of their own, scoped as far as
//! AWS lets them be, and the reads that verify them. No IO.
//!
//! A control is here only where it enforces. What a statement allows is what the plan of these controls can come to
//! change, no more: the role never holds what would let it give itself other rights.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Resources;
use crate::api::{Controls, DefaultGroupEnforcement, Mode};
use crate::baseline::check::Check;
use crate::baseline::password_policy;
use crate::baseline::s3_encryption::Demand;

/// A statement of the enforce role's policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// The statement's name, which begins with the control's.
    pub statement: &'static str,
    /// Whether it allows; else it denies.
    pub allows: bool,
    /// The actions.
    pub actions: Vec<&'static str>,
    /// ARNs with wildcards.
    pub resources: Vec<String>,
    /// Operators, each with keys and values.
    pub condition: BTreeMap<&'static str, Value>,
    /// The checks whose failures are closed with it, in the order of reports.
    pub checks: Vec<Check>,
}

/// What tells whether a user may be denied, before and after.
const USER_READS: [&str; 6] = [
    "iam:GetLoginProfile",
    "iam:ListMFADevices",
    "iam:ListAccessKeys",
    "iam:ListServiceSpecificCredentials",
    "iam:ListSigningCertificates",
    "iam:ListAttachedUserPolicies",
];

/// What any of several controls can come to change, each already [`under`](super::under) the mode of its baseline.
#[must_use]
pub fn grants<'a>(controls: impl IntoIterator<Item = &'a Controls>, partition: &str) -> Vec<Grant> {
    let mut wanted = Wanted::default();
    for controls in controls {
        wanted.add(controls);
    }
    let groups = [wanted.password_policy(), wanted.mfa(partition), wanted.security_groups(partition)];
    groups.into_iter().flatten().chain(wanted.s3(partition)).collect()
}

/// What the controls together may change.
#[derive(Default)]
struct Wanted {
    password_policy: BTreeSet<Check>,
    users: BTreeSet<Check>,
    deny_policies: BTreeSet<String>,
    break_glass: BTreeSet<String>,
    ingress: BTreeSet<Check>,
    narrow: bool,
    default_groups: BTreeSet<Check>,
    encryption: BTreeSet<Check>,
    policies: BTreeSet<Check>,
}

impl Wanted {
    fn add(&mut self, controls: &Controls) {
        let enforces = |mode: Option<Mode>| mode == Some(Mode::Enforce);
        if let Some(desired) = controls.password_policy.as_ref().filter(|it| enforces(it.mode)) {
            self.password_policy.extend(password_policy::checks(desired));
        }
        if let Some(mfa) = controls.mfa.as_ref().filter(|it| enforces(it.mode))
            && let (Some(users), Some(policy)) = (&mfa.users, &mfa.deny_policy_name)
        {
            self.users.insert(Check::UserMfa);
            self.deny_policies.insert(policy.clone());
            self.break_glass.extend(users.break_glass_users.iter().flatten().map(ToString::to_string));
        }
        if let Some(groups) = controls.security_groups.as_ref().filter(|it| enforces(it.mode)) {
            if groups.allowed_ingress.is_some() {
                self.ingress.insert(Check::Ingress);
                self.narrow |= groups.narrow;
            }
            if groups.require_empty_default_group && groups.enforce_default_group != DefaultGroupEnforcement::None {
                self.default_groups.insert(Check::DefaultSecurityGroup);
            }
        }
        if let Some(desired) = controls.s3_encryption.as_ref().filter(|it| enforces(it.mode)) {
            for (check, _) in Demand(desired).checks() {
                match check {
                    Check::TlsRequired => self.policies.insert(check),
                    // People answer for a key that is not usable.
                    Check::KmsKeyUsable => false,
                    _ => self.encryption.insert(check),
                };
            }
        }
    }

    fn password_policy(&self) -> Vec<Grant> {
        let actions = ["iam:UpdateAccountPasswordPolicy", "iam:GetAccountPasswordPolicy"];
        some(&self.password_policy, "PasswordPolicy", &actions, ["*".to_owned()])
    }

    fn mfa(&self, partition: &str) -> Vec<Grant> {
        let policy = |account: &str, name: &String| format!("arn:{partition}:iam::{account}:policy/{name}");
        // AWS's own policies can have the name too: only the account's is meant.
        let exactly: Vec<_> = self.deny_policies.iter().map(|name| policy("${aws:PrincipalAccount}", name)).collect();
        let users = [Resources::Users.pattern(partition)];
        let mut attach = some(&self.users, "Mfa", &["iam:AttachUserPolicy"], users.clone());
        for grant in &mut attach {
            grant.condition.insert("ArnEquals", json!({"iam:PolicyARN": exactly}));
        }
        let path = |name: &String| {
            [format!("arn:{partition}:iam::*:user/{name}"), format!("arn:{partition}:iam::*:user/*/{name}")]
        };
        let never: Vec<String> = self.break_glass.iter().flat_map(path).collect();
        let mut deny = some(&self.users, "MfaBreakGlass", &["iam:AttachUserPolicy"], never);
        deny.retain_mut(|grant| {
            grant.allows = false;
            !grant.resources.is_empty()
        });
        let policies: Vec<_> = self.deny_policies.iter().map(|name| policy("*", name)).collect();
        let reads = some(&self.users, "MfaUsers", &USER_READS, users);
        let documents = some(&self.users, "MfaPolicies", &["iam:GetPolicy", "iam:GetPolicyVersion"], policies);
        [attach, deny, reads, documents].concat()
    }

    fn security_groups(&self, partition: &str) -> Vec<Grant> {
        let groups = || format!("arn:{partition}:ec2:*:*:security-group/*");
        let rules = || format!("arn:{partition}:ec2:*:*:security-group-rule/*");
        let both: BTreeSet<Check> = self.ingress.union(&self.default_groups).copied().collect();
        let narrow = if self.narrow { self.ingress.clone() } else { BTreeSet::new() };
        let mut tags = some(&narrow, "SecurityGroupsNarrowTags", &["ec2:CreateTags"], [rules()]);
        for grant in &mut tags {
            // Tags are set on the rule that is being made, on no other.
            let creates = json!({"ec2:CreateAction": "AuthorizeSecurityGroupIngress"});
            grant.condition.insert("StringEquals", creates);
        }
        [
            some(&both, "SecurityGroups", &["ec2:RevokeSecurityGroupIngress"], [groups()]),
            some(&self.default_groups, "SecurityGroupsDefault", &["ec2:RevokeSecurityGroupEgress"], [groups()]),
            some(&narrow, "SecurityGroupsNarrow", &["ec2:AuthorizeSecurityGroupIngress"], [groups(), rules()]),
            tags,
            some(
                &both,
                "SecurityGroupsReads",
                &["ec2:DescribeSecurityGroupRules", "ec2:DescribeSecurityGroups"],
                ["*".to_owned()],
            ),
        ]
        .concat()
    }

    fn s3(&self, partition: &str) -> Vec<Grant> {
        let buckets = || [Resources::Buckets.pattern(partition)];
        let encryption = ["s3:PutEncryptionConfiguration", "s3:GetEncryptionConfiguration"];
        let policies = ["s3:PutBucketPolicy", "s3:GetBucketPolicy"];
        let mut grants = [
            some(&self.encryption, "S3Encryption", &encryption, buckets()),
            some(&self.policies, "S3EncryptionTls", &policies, buckets()),
        ]
        .concat();
        for grant in &mut grants {
            grant.condition = Resources::Buckets.condition();
        }
        grants
    }
}

/// One statement that allows, where a check is closed with it.
fn some(
    checks: &BTreeSet<Check>,
    statement: &'static str,
    actions: &[&'static str],
    resources: impl IntoIterator<Item = String>,
) -> Vec<Grant> {
    if checks.is_empty() {
        return Vec::new();
    }
    vec![Grant {
        statement,
        allows: true,
        actions: actions.to_vec(),
        resources: resources.into_iter().collect(),
        condition: BTreeMap::new(),
        checks: checks.iter().copied().collect(),
    }]
}

#[cfg(test)]
mod tests;
