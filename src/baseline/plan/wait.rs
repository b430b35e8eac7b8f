//! From the changes of a plan to those that wait for others of it, because the others decide whether they are safe. No IO.

use std::collections::BTreeMap;

use crate::api::PasswordPolicy;
use crate::baseline::change::{Action, Change};
use crate::baseline::remediation::{HoldReason, Remediation};

/// A lower age expires passwords, and whose password has expired must not be denied: who that is can be told only after
/// the age is in force. So users wait until the account was judged again under it.
pub(super) fn for_password_age(changes: &mut Vec<Change>, remediations: &mut BTreeMap<String, Remediation>) {
    let lowers_age = |change: &Change| match &change.action {
        Action::PasswordPolicy(policy) => {
            let age = |policy: &Option<PasswordPolicy>| policy.as_ref().and_then(|policy| policy.max_password_age);
            age(&policy.after).is_some() && age(&policy.before) != age(&policy.after)
        }
        Action::UserPolicy(_)
        | Action::SecurityGroupRule(_)
        | Action::BucketEncryption(_)
        | Action::BucketPolicy(_) => false,
    };
    if !changes.iter().any(lowers_age) {
        return;
    }
    let is_user = |change: &Change| matches!(change.action, Action::UserPolicy(_));
    for answered in changes.iter().filter(|change| is_user(change)).flat_map(|change| &change.answers) {
        let message = "the age of passwords is set first: whose password it expires must not be denied";
        remediations.insert(answered.id.clone(), Remediation::held(HoldReason::PasswordMustChange, message));
    }
    changes.retain(|change| !is_user(change));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{PasswordPolicyChange, UserPolicyChange};
    use crate::baseline::change::Answered;
    use crate::baseline::check::Check;

    fn change(action: Action, id: &str) -> Change {
        let answered = Answered { id: id.to_owned(), check: Check::UserMfa, message: String::new(), observed_at: None };
        Change { action, resource: id.to_owned(), answers: vec![answered] }
    }

    fn ages(before: Option<i32>, after: Option<i32>) -> Action {
        let policy = |max_password_age| {
            Some(PasswordPolicy {
                minimum_password_length: 14,
                require_symbols: false,
                require_numbers: false,
                require_uppercase_characters: false,
                require_lowercase_characters: false,
                allow_users_to_change_password: true,
                max_password_age,
                password_reuse_prevention: None,
                hard_expiry: false,
            })
        };
        Action::PasswordPolicy(PasswordPolicyChange { before: policy(before), after: policy(after) })
    }

    fn attach() -> Action {
        Action::UserPolicy(UserPolicyChange {
            user_name: "ada".to_owned(),
            policy_arn: "arn:aws:iam::222222222222:policy/Deny".to_owned(),
            policy_version: "v1".to_owned(),
            policy_hash: String::new(),
            before: false,
            after: true,
        })
    }

    #[test]
    fn mfa_30_no_user_is_denied_in_a_plan_that_lets_passwords_expire() {
        for (before, after, waits) in
            [(None, Some(90), true), (Some(180), Some(90), true), (Some(90), Some(90), false), (None, None, false)]
        {
            let mut changes = vec![change(ages(before, after), "policy"), change(attach(), "user")];
            let mut remediations = BTreeMap::from([
                ("policy".to_owned(), Remediation::Automatic("sets".to_owned())),
                ("user".to_owned(), Remediation::Automatic("attaches".to_owned())),
            ]);
            for_password_age(&mut changes, &mut remediations);
            assert_eq!(changes.len(), if waits { 1 } else { 2 }, "{before:?} {after:?}");
            assert_eq!(remediations["user"].reason(), waits.then_some(HoldReason::PasswordMustChange));
            assert_eq!(remediations["policy"].reason(), None);
        }
    }
}
