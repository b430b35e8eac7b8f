//! One change to AWS: what is replaced, by what, and how it is told whether it was made. No IO.
//!
//! An [`Action`] holds the value from before and the value that is meant to be there: its inverse is the same with the
//! two exchanged. [`Action::position`] compares what AWS shows with both, and is the only judge of whether a change is
//! still to be made, was made, or is nobody's business any more because something moved.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::check::{Check, Control};
use super::finding::Finding;
use super::mfa::UserFacts;
use crate::api::{
    BucketEncryption, BucketEncryptionChange, BucketPolicyChange, PasswordPolicy, PasswordPolicyChange, RecordedChange,
    SecurityGroupRuleChange, SecurityGroupRuleValue, UserPolicyChange,
};

mod compare;
mod record;

pub use record::RecordError;

/// What is done to AWS: one call of its API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// `iam:UpdateAccountPasswordPolicy`; without an after-value `iam:DeleteAccountPasswordPolicy`.
    PasswordPolicy(PasswordPolicyChange),
    /// `iam:AttachUserPolicy`, or `iam:DetachUserPolicy`.
    UserPolicy(UserPolicyChange),
    /// `ec2:RevokeSecurityGroupIngress` or `...Egress`; without a before-value `ec2:AuthorizeSecurityGroupIngress` or
    /// `...Egress`.
    SecurityGroupRule(Box<SecurityGroupRuleChange>),
    /// `s3:PutBucketEncryption`; without an after-value `s3:DeleteBucketEncryption`.
    BucketEncryption(BucketEncryptionChange),
    /// `s3:PutBucketPolicy`; without an after-value `s3:DeleteBucketPolicy`.
    BucketPolicy(BucketPolicyChange),
}

/// The operations that change AWS. No other exists in this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "AWS's own names")]
pub enum WriteOperation {
    UpdateAccountPasswordPolicy,
    DeleteAccountPasswordPolicy,
    AttachUserPolicy,
    DetachUserPolicy,
    RevokeSecurityGroupIngress,
    RevokeSecurityGroupEgress,
    AuthorizeSecurityGroupIngress,
    AuthorizeSecurityGroupEgress,
    PutBucketEncryption,
    DeleteBucketEncryption,
    PutBucketPolicy,
    DeleteBucketPolicy,
}

/// What AWS shows of the one thing that an action changes.
#[derive(Clone, Debug, PartialEq)]
pub enum ResourceState {
    /// The account's own password policy; `None` where it has none.
    PasswordPolicy(Option<PasswordPolicy>),
    /// The user of a [`UserPolicyChange`].
    User(Box<UserState>),
    /// Every rule of the group.
    SecurityGroup(Vec<SecurityGroupRuleValue>),
    /// The bucket's default encryption; `None` where AWS says that there is none.
    BucketEncryption(Option<BucketEncryption>),
    /// The bucket's policy; `None` where it has none.
    BucketPolicy(Option<String>),
    /// The user, group or bucket does not exist any more.
    Gone,
}

/// What AWS shows of a user and of the policy that is attached to users without MFA.
#[derive(Clone, Debug, PartialEq)]
pub struct UserState {
    /// Whether the policy is attached to the user.
    pub attached: bool,
    /// The policy's default version and the SHA-256 of its document; `None` where the policy does not exist.
    pub policy: Option<(String, String)>,
    /// What decides whether the user may be denied, from direct reads.
    pub facts: UserFacts,
}

/// Where AWS stands between before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// As it was: the change is still to be made.
    Before,
    /// As it is meant to be.
    After,
    /// Neither: somebody else changed it. What they did, as a sentence without a period.
    Moved(String),
}

/// One change of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What is done.
    pub action: Action,
    /// The ARN of what is changed: the account's root, a user, a security group, a bucket.
    pub resource: String,
    /// The findings that it answers, by id, with check and message; never empty but for an undo.
    pub answers: Vec<Answered>,
}

/// A finding that a change answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The finding's id.
    pub id: String,
    /// The check.
    pub check: Check,
    /// What is wrong, in a sentence.
    pub message: String,
    /// When it was observed.
    pub observed_at: Option<Timestamp>,
}

impl From<&Finding> for Answered {
    fn from(finding: &Finding) -> Self {
        Self {
            id: finding.subject().id(),
            check: finding.subject().check,
            message: finding.message().to_owned(),
            observed_at: finding.observed_at(),
        }
    }
}

impl WriteOperation {
    /// The IAM action that permits it, which is also how records name it. Example: `iam:AttachUserPolicy`.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Self::UpdateAccountPasswordPolicy => "iam:UpdateAccountPasswordPolicy",
            Self::DeleteAccountPasswordPolicy => "iam:DeleteAccountPasswordPolicy",
            Self::AttachUserPolicy => "iam:AttachUserPolicy",
            Self::DetachUserPolicy => "iam:DetachUserPolicy",
            Self::RevokeSecurityGroupIngress => "ec2:RevokeSecurityGroupIngress",
            Self::RevokeSecurityGroupEgress => "ec2:RevokeSecurityGroupEgress",
            Self::AuthorizeSecurityGroupIngress => "ec2:AuthorizeSecurityGroupIngress",
            Self::AuthorizeSecurityGroupEgress => "ec2:AuthorizeSecurityGroupEgress",
            // S3 names the permission of both differently from the call.
            Self::PutBucketEncryption | Self::DeleteBucketEncryption => "s3:PutEncryptionConfiguration",
            Self::PutBucketPolicy => "s3:PutBucketPolicy",
            Self::DeleteBucketPolicy => "s3:DeleteBucketPolicy",
        }
    }

    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::UpdateAccountPasswordPolicy,
        Self::DeleteAccountPasswordPolicy,
        Self::AttachUserPolicy,
        Self::DetachUserPolicy,
        Self::RevokeSecurityGroupIngress,
        Self::RevokeSecurityGroupEgress,
        Self::AuthorizeSecurityGroupIngress,
        Self::AuthorizeSecurityGroupEgress,
        Self::PutBucketEncryption,
        Self::DeleteBucketEncryption,
        Self::PutBucketPolicy,
        Self::DeleteBucketPolicy,
    ];

    /// The operation as AWS's API names it, with its service. Example: `s3:PutBucketEncryption`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PutBucketEncryption => "s3:PutBucketEncryption",
            Self::DeleteBucketEncryption => "s3:DeleteBucketEncryption",
            other => other.action(),
        }
    }

    /// Whether EC2 can be asked beforehand whether it would allow the call (`DryRun`).
    #[must_use]
    pub fn has_dry_run(self) -> bool {
        matches!(
            self,
            Self::RevokeSecurityGroupIngress
                | Self::RevokeSecurityGroupEgress
                | Self::AuthorizeSecurityGroupIngress
                | Self::AuthorizeSecurityGroupEgress
        )
    }
}

impl Action {
    /// The call that makes the change.
    #[must_use]
    pub fn operation(&self) -> WriteOperation {
        match self {
            Self::PasswordPolicy(change) if change.after.is_some() => WriteOperation::UpdateAccountPasswordPolicy,
            Self::PasswordPolicy(_) => WriteOperation::DeleteAccountPasswordPolicy,
            Self::UserPolicy(change) if change.after => WriteOperation::AttachUserPolicy,
            Self::UserPolicy(_) => WriteOperation::DetachUserPolicy,
            Self::SecurityGroupRule(change) => match (&change.before, &change.after) {
                (Some(rule), _) if rule.is_egress => WriteOperation::RevokeSecurityGroupEgress,
                (Some(_), _) => WriteOperation::RevokeSecurityGroupIngress,
                (None, Some(rule)) if rule.is_egress => WriteOperation::AuthorizeSecurityGroupEgress,
                (None, _) => WriteOperation::AuthorizeSecurityGroupIngress,
            },
            Self::BucketEncryption(change) if change.after.is_some() => WriteOperation::PutBucketEncryption,
            Self::BucketEncryption(_) => WriteOperation::DeleteBucketEncryption,
            Self::BucketPolicy(change) if change.after.is_some() => WriteOperation::PutBucketPolicy,
            Self::BucketPolicy(_) => WriteOperation::DeleteBucketPolicy,
        }
    }

    /// The change that restores what this one replaced. The inverse of the inverse is the change itself.
    #[must_use]
    pub fn inverse(&self) -> Self {
        match self.clone() {
            Self::PasswordPolicy(PasswordPolicyChange { before, after }) => {
                Self::PasswordPolicy(PasswordPolicyChange { before: after, after: before })
            }
            Self::UserPolicy(change) => {
                Self::UserPolicy(UserPolicyChange { before: change.after, after: change.before, ..change })
            }
            Self::SecurityGroupRule(change) => {
                let SecurityGroupRuleChange { before, after, .. } = (*change).clone();
                Self::SecurityGroupRule(Box::new(SecurityGroupRuleChange { before: after, after: before, ..*change }))
            }
            Self::BucketEncryption(change) => {
                Self::BucketEncryption(BucketEncryptionChange { before: change.after, after: change.before, ..change })
            }
            Self::BucketPolicy(change) => {
                Self::BucketPolicy(BucketPolicyChange { before: change.after, after: change.before, ..change })
            }
        }
    }

    /// What the inverse does not bring back, where there is something.
    #[must_use]
    pub fn not_undone(&self) -> Option<&'static str> {
        match self {
            Self::SecurityGroupRule(change) if change.after.is_none() => Some("the rule comes back under a new id"),
            Self::BucketEncryption(_) => Some("objects that were written meanwhile keep their encryption"),
            Self::PasswordPolicy(_) | Self::UserPolicy(_) | Self::SecurityGroupRule(_) | Self::BucketPolicy(_) => None,
        }
    }

    /// The control whose drift it answers.
    #[must_use]
    pub fn control(&self) -> Control {
        match self {
            Self::PasswordPolicy(_) => Control::PasswordPolicy,
            Self::UserPolicy(_) => Control::Mfa,
            Self::SecurityGroupRule(_) => Control::SecurityGroups,
            Self::BucketEncryption(_) | Self::BucketPolicy(_) => Control::S3Encryption,
        }
    }

    /// The region of what is changed, where it has one.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        match self {
            Self::PasswordPolicy(_) | Self::UserPolicy(_) => None,
            Self::SecurityGroupRule(change) => Some(&change.region),
            Self::BucketEncryption(change) => Some(&change.region),
            Self::BucketPolicy(change) => Some(&change.region),
        }
    }

    /// The values as a record keeps them.
    #[must_use]
    pub fn recorded(&self) -> RecordedChange {
        let mut recorded = RecordedChange::default();
        match self.clone() {
            Self::PasswordPolicy(change) => recorded.password_policy = Some(change),
            Self::UserPolicy(change) => recorded.user_policy = Some(change),
            Self::SecurityGroupRule(change) => recorded.security_group_rule = Some(*change),
            Self::BucketEncryption(change) => recorded.bucket_encryption = Some(change),
            Self::BucketPolicy(change) => recorded.bucket_policy = Some(change),
        }
        recorded
    }
}

#[cfg(test)]
mod tests;
