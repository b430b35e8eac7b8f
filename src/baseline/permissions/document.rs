//! From permissions to the documents that AWS takes: the policy of a role, and who may assume it. No IO.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::enforce::Grant;
use super::{Permission, Resources};

/// The version of the policy language, which is not a date to keep current.
const VERSION: &str = "2012-10-17";

/// A policy as IAM takes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyDocument {
    version: &'static str,
    /// What is allowed, and what is denied whatever else is allowed.
    pub statement: Vec<Statement>,
}

/// One statement.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    /// What it is for: letters and digits, unique in the document.
    pub sid: &'static str,
    effect: &'static str,
    /// Who is allowed, in the policy of a role's trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<Value>,
    /// The actions.
    pub action: Vec<&'static str>,
    /// ARNs with wildcards: one, or a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<Value>,
    /// Operators, each with keys and values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub condition: BTreeMap<&'static str, Value>,
}

/// The policy of an audit role: one statement for each purpose and scope, in the order of the permissions.
///
/// The scopes are those of AWS's Service Authorization Reference.
#[must_use]
pub fn audit_policy(permissions: &[Permission], partition: &str) -> PolicyDocument {
    let mut statements: Vec<Statement> = Vec::new();
    for Permission { action, statement, resources, checks: _ } in permissions {
        match statements.iter_mut().find(|known| known.sid == *statement) {
            Some(known) => known.action.push(action),
            None => statements.push(Statement {
                sid: statement,
                effect: "Allow",
                action: vec![action],
                resource: Some(resources.pattern(partition).into()),
                condition: resources.condition(),
                ..Statement::default()
            }),
        }
    }
    PolicyDocument { version: VERSION, statement: statements }
}

/// The policy of an enforce role.
#[must_use]
pub fn enforce_policy(grants: &[Grant]) -> PolicyDocument {
    let statement = |grant: &Grant| Statement {
        sid: grant.statement,
        effect: if grant.allows { "Allow" } else { "Deny" },
        action: grant.actions.clone(),
        resource: Some(one_or_all(&grant.resources)),
        condition: grant.condition.clone(),
        ..Statement::default()
    };
    PolicyDocument { version: VERSION, statement: grants.iter().map(statement).collect() }
}

/// The policy of the operator's own identity: to assume these roles, and nothing else.
#[must_use]
pub fn operator_policy(role_arns: &[String]) -> PolicyDocument {
    let statement = Statement {
        sid: "AssumeRoles",
        effect: "Allow",
        action: vec!["sts:AssumeRole"],
        resource: Some(one_or_all(role_arns)),
        ..Statement::default()
    };
    PolicyDocument { version: VERSION, statement: vec![statement] }
}

fn one_or_all(arns: &[String]) -> Value {
    match arns {
        [one] => json!(one),
        all => json!(all),
    }
}

/// The trust policy of a role: the operator's identity alone may assume it, with the external id if there is one.
#[must_use]
pub fn trust_policy(operator_arn: &str, external_id: Option<&str>) -> PolicyDocument {
    PolicyDocument { version: VERSION, statement: vec![trust_statement(operator_arn, external_id)] }
}

/// The one statement of it.
#[must_use]
pub fn trust_statement(operator_arn: &str, external_id: Option<&str>) -> Statement {
    let equals = |id: &str| ("StringEquals", json!({"sts:ExternalId": id}));
    Statement {
        sid: "PlumblineOperator",
        effect: "Allow",
        principal: Some(json!({"AWS": principal_of(operator_arn)})),
        action: vec!["sts:AssumeRole"],
        condition: external_id.map(equals).into_iter().collect(),
        ..Statement::default()
    }
}

/// Who is trusted so that a caller of this ARN is: of a role's session the role, since the next session has another
/// name. The path of the role, where it has one, is not in the ARN of a session.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>
#[must_use]
pub fn principal_of(caller_arn: &str) -> String {
    let role = || {
        let (head, session) = caller_arn.split_once(":assumed-role/")?;
        let (partition, account) = head.strip_prefix("arn:")?.split_once(":sts::")?;
        let (role, _) = session.split_once('/')?;
        Some(format!("arn:{partition}:iam::{account}:role/{role}"))
    };
    role().unwrap_or_else(|| caller_arn.to_owned())
}

impl Resources {
    /// The ARNs, in every account and region: whose they are, the role and the owner's own policy decide.
    #[must_use]
    pub fn pattern(self, partition: &str) -> String {
        match self {
            Self::Any => "*".to_owned(),
            Self::Users => format!("arn:{partition}:iam::*:user/*"),
            Self::Policies => format!("arn:{partition}:iam::*:policy/*"),
            Self::PrefixLists => format!("arn:{partition}:ec2:*:*:prefix-list/*"),
            Self::Buckets => format!("arn:{partition}:s3:::*"),
            Self::Keys => format!("arn:{partition}:kms:*:*:key/*"),
        }
    }

    /// An ARN of a bucket names no account, so the condition does; the variable keeps the text the same for all.
    pub(super) fn condition(self) -> BTreeMap<&'static str, Value> {
        match self {
            Self::Buckets => {
                BTreeMap::from([("StringEquals", json!({"s3:ResourceAccount": "${aws:PrincipalAccount}"}))])
            }
            Self::Any | Self::Users | Self::Policies | Self::PrefixLists | Self::Keys => BTreeMap::new(),
        }
    }
}
