//! From trust policies to the roles by which people come into an account as its administrators. No IO.
//!
//! Where [`Grants`](super::Grants) counts rather too many (whoever may do everything should have MFA), this counts
//! rather too few: a role that is taken for a way in and is none would let the last administrator be denied.

use std::collections::BTreeSet;

use crate::baseline::policy_document::{Among, Effect, PolicyDocument, Principals, Statement};

/// Who administers an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Administration {
    /// The names of the users that may do everything.
    pub users: BTreeSet<String>,
    /// The ARNs of the roles that may do everything and that people from outside the account can assume.
    pub roles: BTreeSet<String>,
}

/// Whether a role's trust policy lets people in who are no users of this account: by SAML federation (IAM Identity
/// Center's roles are such ones), or from another account.
///
/// Services are no people, and identities of the web (OIDC) are mostly those of pipelines and workloads. A policy that
/// denies anybody anything is taken for closed.
#[must_use]
pub fn is_assumable_from_outside(trust: &PolicyDocument, account_id: &str) -> bool {
    let denies = trust.statements.iter().any(|statement| statement.effect == Effect::Deny);
    !denies && trust.statements.iter().any(|statement| lets_in(statement, account_id))
}

fn lets_in(statement: &Statement, account_id: &str) -> bool {
    let Some(Among::These(Principals { everyone, aws, services: _, others })) = &statement.principal else {
        return false;
    };
    let is_saml = |provider: &String| provider.contains(":saml-provider/");
    let is_foreign = |principal: &String| account_of(principal).is_some_and(|account| account != account_id);
    let federated = others.iter().any(is_saml) && statement.includes_action("sts:AssumeRoleWithSAML");
    let foreign = (*everyone || aws.iter().any(is_foreign)) && statement.includes_action("sts:AssumeRole");
    federated || foreign
}

/// The account of a principal; `None` for the id that AWS shows in place of a principal that is gone.
fn account_of(principal: &str) -> Option<&str> {
    let account = if principal.starts_with("arn:") { principal.split(':').nth(4)? } else { principal };
    (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some(account)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn comes_in(principal: &Value, action: &str) -> bool {
        let statement = json!({"Effect": "Allow", "Principal": principal, "Action": action});
        let trust = PolicyDocument::from_json(&json!({"Statement": [statement]})).unwrap();
        is_assumable_from_outside(&trust, "222222222222")
    }

    #[test]
    fn mfa_31_federation_and_other_accounts_come_in_and_services_do_not() {
        let assume = "sts:AssumeRole";
        for (principal, action, expected) in [
            (json!({"Federated": "arn:aws:iam::222222222222:saml-provider/Okta"}), "sts:AssumeRoleWithSAML", true),
            (json!({"Federated": "arn:aws:iam::222222222222:saml-provider/Okta"}), assume, false),
            (
                json!({"Federated": "arn:aws:iam::222222222222:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/A"}),
                "sts:AssumeRoleWithWebIdentity",
                false,
            ),
            (json!({"AWS": "111111111111"}), assume, true),
            (json!({"AWS": "arn:aws:iam::111111111111:root"}), assume, true),
            (json!({"AWS": ["arn:aws-cn:iam::111111111111:role/Admin"]}), "sts:*", true),
            (json!({"AWS": "arn:aws:iam::222222222222:root"}), assume, false),
            (json!({"AWS": "222222222222"}), assume, false),
            (json!({"AWS": "AROADBQP57FF2AEXAMPLE"}), assume, false),
            (json!({"Service": "ec2.amazonaws.com"}), assume, false),
            (json!("*"), assume, true),
            (json!("*"), "sts:TagSession", false),
        ] {
            assert_eq!(comes_in(&principal, action), expected, "{principal} {action}");
        }
    }

    #[test]
    fn mfa_31_a_trust_policy_that_denies_is_no_way_in() {
        let allow = json!({"Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "sts:AssumeRole"});
        let deny = json!({"Effect": "Deny", "Principal": {"AWS": "333333333333"}, "Action": "sts:AssumeRole"});
        let trust = PolicyDocument::from_json(&json!({"Statement": [allow, deny]})).unwrap();
        assert!(!is_assumable_from_outside(&trust, "222222222222"));
        let others = json!({"Effect": "Allow", "NotPrincipal": {"AWS": "333333333333"}, "Action": "sts:AssumeRole"});
        let trust = PolicyDocument::from_json(&json!({"Statement": others})).unwrap();
        assert!(!is_assumable_from_outside(&trust, "222222222222"));
    }
}
