//! From permissions to the documents that AWS takes: the policy of a role, and who may assume it. No IO.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Permission, Resources};

/// The version of the policy language, which is not a date to keep current.
const VERSION: &str = "2012-10-17";

/// A policy as IAM takes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyDocument {
    version: &'static str,
    /// What is allowed.
    pub statement: Vec<Statement>,
}

/// One statement, which allows.
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
    /// ARNs with wildcards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
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
                resource: Some(resources.pattern(partition)),
                condition: resources.condition(),
                ..Statement::default()
            }),
        }
    }
    PolicyDocument { version: VERSION, statement: statements }
}

/// The trust policy of a role: the operator's identity alone may assume it, with the external id if there is one.
#[must_use]
pub fn trust_policy(operator_arn: &str, external_id: Option<&str>) -> PolicyDocument {
    let equals = |id: &str| ("StringEquals", json!({"sts:ExternalId": id}));
    let statement = Statement {
        sid: "PlumblineOperator",
        effect: "Allow",
        principal: Some(json!({"AWS": operator_arn})),
        action: vec!["sts:AssumeRole"],
        condition: external_id.map(equals).into_iter().collect(),
        ..Statement::default()
    };
    PolicyDocument { version: VERSION, statement: vec![statement] }
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
    fn condition(self) -> BTreeMap<&'static str, Value> {
        match self {
            Self::Buckets => {
                BTreeMap::from([("StringEquals", json!({"s3:ResourceAccount": "${aws:PrincipalAccount}"}))])
            }
            Self::Any | Self::Users | Self::Policies | Self::PrefixLists | Self::Keys => BTreeMap::new(),
        }
    }
}
