//! Whose account is judged, as AWS itself said, and the ARNs that follow from it.

/// The verified identity of an account. The partition comes from the caller's ARN, never from a custom resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountIdentity {
    /// Twelve digits.
    pub account_id: String,
    /// `aws`, `aws-us-gov`, `aws-cn`, `aws-eusc`, ...
    pub partition: String,
    /// The ARN of the identity that Plumbline has in the account (`sts:GetCallerIdentity`).
    pub caller_arn: String,
}

impl AccountIdentity {
    /// Reads account and partition from what `sts:GetCallerIdentity` returned; `None` if the ARN has no partition.
    #[must_use]
    pub fn from_caller(account_id: &str, caller_arn: &str) -> Option<Self> {
        let partition = caller_arn.strip_prefix("arn:")?.split(':').next().filter(|partition| !partition.is_empty())?;
        Some(Self {
            account_id: account_id.to_owned(),
            partition: partition.to_owned(),
            caller_arn: caller_arn.to_owned(),
        })
    }

    /// The name of the account as a resource, which account-level checks judge: `arn:PARTITION:iam::ACCOUNT:root`.
    #[must_use]
    pub fn root_arn(&self) -> String {
        self.arn("iam", "", "root")
    }

    /// The ARN of a resource of this account.
    #[must_use]
    pub fn arn(&self, service: &str, region: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{region}:{}:{resource}", self.partition, self.account_id)
    }

    /// The ARN of a bucket, which names neither region nor account.
    #[must_use]
    pub fn bucket_arn(&self, bucket: &str) -> String {
        format!("arn:{}:s3:::{bucket}", self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pw_17_arns_have_the_partition_of_the_caller() {
        let caller = "arn:aws-us-gov:sts::222222222222:assumed-role/PlumblineAudit/plumbline";
        let account = AccountIdentity::from_caller("222222222222", caller).unwrap();
        assert_eq!(account.root_arn(), "arn:aws-us-gov:iam::222222222222:root");
        assert_eq!(account.bucket_arn("logs"), "arn:aws-us-gov:s3:::logs");
    }

    #[test]
    fn a_caller_without_a_partition_is_no_identity() {
        assert_eq!(AccountIdentity::from_caller("222222222222", "root"), None);
        assert_eq!(AccountIdentity::from_caller("222222222222", "arn::iam::222222222222:root"), None);
    }
}
