//! From policy documents to the users that may do everything. No IO.
//!
//! What takes away again (a deny, a permissions boundary, an organization's policy) is left out on purpose: a user
//! counts as an administrator if anything grants it, which asks for MFA rather once too often.

use std::collections::{BTreeMap, BTreeSet};

use super::Administration;
use crate::baseline::policy_document::{Among, Effect, PolicyDocument, Statement};

/// Who is granted what, collected page by page in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    users: BTreeMap<String, Holder>,
    groups: BTreeMap<String, Holder>,
    /// By ARN: those that people from outside the account can assume.
    roles: BTreeMap<String, Holder>,
    /// The ARNs of managed policies that grant everything.
    policies: BTreeSet<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Holder {
    by_itself: bool,
    attached: Vec<String>,
    groups: Vec<String>,
}

impl Grants {
    /// A user: whether an inline policy grants everything, the ARNs of its managed policies, the names of its groups.
    pub fn user(&mut self, name: String, by_itself: bool, attached: Vec<String>, groups: Vec<String>) {
        self.users.insert(name, Holder { by_itself, attached, groups });
    }

    /// A group: whether an inline policy grants everything, and the ARNs of its managed policies.
    pub fn group(&mut self, name: String, by_itself: bool, attached: Vec<String>) {
        self.groups.insert(name, Holder { by_itself, attached, groups: Vec::new() });
    }

    /// A role that people from outside the account can assume, by its ARN: whether an inline policy grants everything,
    /// and the ARNs of its managed policies.
    pub fn role(&mut self, arn: String, by_itself: bool, attached: Vec<String>) {
        self.roles.insert(arn, Holder { by_itself, attached, groups: Vec::new() });
    }

    /// A managed policy that grants everything.
    pub fn policy(&mut self, arn: String) {
        self.policies.insert(arn);
    }

    /// The names of the users that may do everything.
    #[must_use]
    pub fn administrators(&self) -> BTreeSet<String> {
        let by_group = |name: &String| self.groups.get(name).is_some_and(|group| self.holds(group));
        let may = |user: &Holder| self.holds(user) || user.groups.iter().any(by_group);
        self.users.iter().filter(|(_, user)| may(user)).map(|(name, _)| name.clone()).collect()
    }

    /// The same, with the roles by which administrators come from outside.
    #[must_use]
    pub fn administration(&self) -> Administration {
        let roles = self.roles.iter().filter(|(_, role)| self.holds(role)).map(|(arn, _)| arn.clone()).collect();
        Administration { users: self.administrators(), roles }
    }

    fn holds(&self, holder: &Holder) -> bool {
        holder.by_itself || holder.attached.iter().any(|arn| self.is_everything(arn))
    }

    fn is_everything(&self, arn: &str) -> bool {
        arn.ends_with(":iam::aws:policy/AdministratorAccess") || self.policies.contains(arn)
    }
}

/// Whether an IAM policy allows every action on every resource without a condition, in one statement.
#[must_use]
pub fn grants_everything(policy: &PolicyDocument) -> bool {
    policy.statements.iter().any(allows_everything)
}

fn allows_everything(statement: &Statement) -> bool {
    let Statement { sid: _, effect, principal: _, action, resource, conditions } = statement;
    // `*`, `**` and `*:*` are every action; `NotAction` and `NotResource` leave something out.
    let every_action = matches!(action, Among::These(actions) if actions.iter().any(|it| it.split(':').all(is_stars)));
    let every_resource = matches!(resource, Some(Among::These(resources)) if resources.iter().any(|it| is_stars(it)));
    *effect == Effect::Allow && conditions.is_empty() && every_action && every_resource
}

fn is_stars(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn statement(statement: &Value) -> bool {
        let document = json!({"Version": "2012-10-17", "Statement": statement});
        PolicyDocument::from_json(&document).is_ok_and(|policy| grants_everything(&policy))
    }

    #[test]
    fn mfa_17_every_way_to_write_everything_is_everything() {
        for action in [json!("*"), json!("*:*"), json!(["s3:Get*", "*"])] {
            for resource in [json!("*"), json!(["arn:aws:s3:::a", "*"])] {
                let all = json!({"Effect": "Allow", "Action": action, "Resource": resource});
                assert!(statement(&all), "{all}");
                assert!(statement(&json!([{"Effect": "Deny", "Action": "iam:*", "Resource": "*"}, all])), "{all}");
            }
        }
    }

    #[test]
    fn mfa_17_what_leaves_something_out_is_not_everything() {
        for part in [
            json!({"Effect": "Deny", "Action": "*", "Resource": "*"}),
            json!({"Effect": "Allow", "Action": "iam:*", "Resource": "*"}),
            json!({"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::*"}),
            json!({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),
            json!({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::a"}),
            json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:x": "true"}}}),
            json!({"Effect": "Allow", "Action": "", "Resource": "*"}),
            json!({"Effect": "Allow", "Action": [], "Resource": "*"}),
        ] {
            assert!(!statement(&part), "{part}");
        }
        let apart = json!([
            {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::a"},
            {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        ]);
        assert!(!statement(&apart));
    }

    #[test]
    fn mfa_17_administrators_come_by_policy_inline_policy_and_group() {
        let mut grants = Grants::default();
        let own = "arn:aws:iam::222222222222:policy/all".to_owned();
        let aws = "arn:aws-us-gov:iam::aws:policy/AdministratorAccess".to_owned();
        let amplify = "arn:aws:iam::aws:policy/AdministratorAccess-Amplify".to_owned();
        grants.user("inline".to_owned(), true, vec![], vec![]);
        grants.user("aws-managed".to_owned(), false, vec![aws.clone()], vec![]);
        grants.user("own-managed".to_owned(), false, vec![own.clone()], vec![]);
        grants.user("by-group".to_owned(), false, vec![], vec!["admins".to_owned()]);
        grants.user("by-inline-of-group".to_owned(), false, vec![], vec!["ops".to_owned()]);
        grants.user("amplify".to_owned(), false, vec![amplify], vec!["readers".to_owned(), "gone".to_owned()]);
        grants.group("admins".to_owned(), false, vec![aws]);
        grants.group("ops".to_owned(), true, vec![]);
        grants.group("readers".to_owned(), false, vec!["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()]);
        grants.policy(own);
        let names: Vec<String> = grants.administrators().into_iter().collect();
        assert_eq!(names, ["aws-managed", "by-group", "by-inline-of-group", "inline", "own-managed"]);
    }
}
