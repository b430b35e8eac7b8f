//! From a record back to the action that it holds, if nothing in it contradicts its values. No IO.
//!
//! What an undo does follows from the values alone; what people read in a record before they undo it must follow from
//! them too.

use super::Action;
use crate::api::{BucketEncryptionChange, BucketPolicyChange, ChangeRecordSpec, RecordedChange, UserPolicyChange};

/// Why a record cannot be read as a change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// None or several of the values are set.
    #[error("the record names {0} values to change, where it must name one")]
    NotOne(usize),
    /// The operation, the resource, the meaning or another field that follows from the values does not.
    #[error("the record's {field} does not follow from its values: it was edited or forged")]
    Inconsistent {
        /// The field.
        field: &'static str,
    },
}

impl Action {
    /// The action that a record holds, if everything else that the record states of it follows from its values.
    ///
    /// # Errors
    ///
    /// Where the record does not hold exactly one, or states another operation or meaning than that one has.
    pub fn from_record(record: &ChangeRecordSpec) -> Result<Self, RecordError> {
        let RecordedChange { password_policy, user_policy, security_group_rule, bucket_encryption, bucket_policy } =
            record.change.clone();
        let mut actions: Vec<Self> = [
            password_policy.map(Self::PasswordPolicy),
            user_policy.map(Self::UserPolicy),
            security_group_rule.map(|change| Self::SecurityGroupRule(Box::new(change))),
            bucket_encryption.map(Self::BucketEncryption),
            bucket_policy.map(Self::BucketPolicy),
        ]
        .into_iter()
        .flatten()
        .collect();
        let found = actions.len();
        let action = actions.pop().filter(|_| found == 1).ok_or(RecordError::NotOne(found))?;
        match action.contradicted_by(record) {
            None => Ok(action),
            Some(field) => Err(RecordError::Inconsistent { field }),
        }
    }

    /// The first field of a record that does not follow from the values.
    fn contradicted_by(&self, record: &ChangeRecordSpec) -> Option<&'static str> {
        let account_id = record.account_id.as_str();
        let follows = [
            ("operation", self.operation().name() == record.operation),
            ("inverse", self.inverse().operation().name() == record.inverse),
            ("control", self.control().as_str() == record.control),
            ("region", self.region() == record.region.as_deref()),
            ("resource", self.is_of(&record.partition, account_id, &record.resource)),
            ("meaning", self.meaning(account_id, &record.resource) == record.meaning),
            ("target", self.target(account_id, &record.resource) == record.target),
        ];
        follows.into_iter().find(|(_, follows)| !follows).map(|(field, _)| field)
    }

    /// Whether an ARN is that of what the action changes: what is read and written goes by the values, what people see
    /// goes by the ARN. A policy of users must be the account's own, for AWS's own ones hold permissions.
    fn is_of(&self, partition: &str, account_id: &str, arn: &str) -> bool {
        let iam = format!("arn:{partition}:iam::{account_id}:");
        match self {
            Self::PasswordPolicy(_) => arn.strip_prefix(&iam) == Some("root"),
            Self::UserPolicy(UserPolicyChange { user_name, policy_arn, .. }) => {
                let named = arn.strip_prefix(&iam).and_then(|user| user.strip_prefix("user/"));
                named.is_some_and(|path| path.rsplit('/').next() == Some(user_name))
                    && policy_arn.strip_prefix(&iam).is_some_and(|policy| policy.starts_with("policy/"))
            }
            Self::SecurityGroupRule(change) => {
                // The group can belong to another account, whose VPC is shared.
                let group = arn.strip_prefix(&format!("arn:{partition}:ec2:{}:", change.region));
                group.is_some_and(|group| group.ends_with(&format!(":security-group/{}", change.group_id)))
            }
            Self::BucketEncryption(BucketEncryptionChange { bucket, .. })
            | Self::BucketPolicy(BucketPolicyChange { bucket, .. }) => {
                arn.strip_prefix(&format!("arn:{partition}:s3:::")) == Some(bucket)
            }
        }
    }
}
