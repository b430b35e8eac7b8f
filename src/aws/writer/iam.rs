//! The changes of IAM: the account's password policy, and the policy that is attached to a user. IO, one attempt each.

use super::Writer;
use crate::api::{PasswordPolicy, UserPolicyChange};
use crate::aws::error::Attempt;
use crate::aws::operation::Service;
use crate::baseline::change::WriteOperation;

impl Writer {
    /// Every field, since AWS resets what a call leaves out; no age and no memory are what it resets to.
    pub(super) async fn write_password_policy(&self, after: Option<&PasswordPolicy>) -> Attempt {
        let home = self.account.home();
        let Some(policy) = after else {
            let attempt = self.attempt(WriteOperation::DeleteAccountPasswordPolicy, Service::Iam, home);
            let iam = aws_sdk_iam::Client::new(&attempt.config);
            return self.send(&attempt, iam.delete_account_password_policy().send()).await;
        };
        let attempt = self.attempt(WriteOperation::UpdateAccountPasswordPolicy, Service::Iam, home);
        let iam = aws_sdk_iam::Client::new(&attempt.config);
        let request = iam
            .update_account_password_policy()
            .minimum_password_length(policy.minimum_password_length)
            .require_symbols(policy.require_symbols)
            .require_numbers(policy.require_numbers)
            .require_uppercase_characters(policy.require_uppercase_characters)
            .require_lowercase_characters(policy.require_lowercase_characters)
            .allow_users_to_change_password(policy.allow_users_to_change_password)
            .set_max_password_age(policy.max_password_age.filter(|days| *days > 0))
            .set_password_reuse_prevention(policy.password_reuse_prevention.filter(|number| *number > 0))
            .hard_expiry(policy.hard_expiry);
        self.send(&attempt, request.send()).await
    }

    pub(super) async fn write_user_policy(&self, change: &UserPolicyChange) -> Attempt {
        let UserPolicyChange { user_name, policy_arn, after, .. } = change;
        if *after {
            let attempt = self.attempt(WriteOperation::AttachUserPolicy, Service::Iam, self.account.home());
            let iam = aws_sdk_iam::Client::new(&attempt.config);
            let request = iam.attach_user_policy().user_name(user_name).policy_arn(policy_arn);
            self.send(&attempt, request.send()).await
        } else {
            let attempt = self.attempt(WriteOperation::DetachUserPolicy, Service::Iam, self.account.home());
            let iam = aws_sdk_iam::Client::new(&attempt.config);
            let request = iam.detach_user_policy().user_name(user_name).policy_arn(policy_arn);
            self.send(&attempt, request.send()).await
        }
    }
}
