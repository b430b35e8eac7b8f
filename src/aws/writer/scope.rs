//! From one change to the policy of its session: one action on one resource, and the reads that verify it. No IO.
//!
//! A session may do what both the role and this policy allow. STS takes 2,048 characters, so nothing is said twice.

use serde_json::{Value, json};

use crate::baseline::change::{Action, WriteOperation};

/// The reads that tell whether a user may be denied.
const USER_READS: [&str; 6] = [
    "iam:GetLoginProfile",
    "iam:ListMFADevices",
    "iam:ListAccessKeys",
    "iam:ListServiceSpecificCredentials",
    "iam:ListSigningCertificates",
    "iam:ListAttachedUserPolicies",
];

/// The policy of the session in which this change is made, in an account of the partition.
pub(super) fn session_policy(action: &Action, partition: &str, account_id: &str) -> String {
    let write = action.operation().action();
    let statements = match action {
        Action::PasswordPolicy(_) => vec![allow(&json!([write, "iam:GetAccountPasswordPolicy"]), &json!("*"))],
        Action::UserPolicy(change) => {
            // The user's path is not known; names are unique in an account, whatever the path.
            let user = format!("arn:{partition}:iam::{account_id}:user");
            let users = json!([format!("{user}/{}", change.user_name), format!("{user}/*/{}", change.user_name)]);
            let mut attach = allow(&json!(write), &users);
            insert_condition(&mut attach, json!({"ArnEquals": {"iam:PolicyARN": change.policy_arn}}));
            let policy = json!(["iam:GetPolicy", "iam:GetPolicyVersion"]);
            // The role's own policy has these reads for users alone; the names a second time could be too much for STS.
            vec![attach, allow(&json!(USER_READS), &json!("*")), allow(&policy, &json!(change.policy_arn))]
        }
        Action::SecurityGroupRule(change) => {
            let arn = format!("arn:{partition}:ec2:{}:{account_id}", change.region);
            let group = format!("{arn}:security-group/{}", change.group_id);
            let reads = json!(["ec2:DescribeSecurityGroupRules", "ec2:DescribeSecurityGroups"]);
            let mut statements = vec![allow(&reads, &json!("*"))];
            if is_authorize(action.operation()) {
                let rules = format!("{arn}:security-group-rule/*");
                statements.push(allow(&json!(write), &json!([group, rules])));
                // Tags are set on the rule that is being made, on no other.
                let mut tags = allow(&json!("ec2:CreateTags"), &json!(rules));
                let operation = write.trim_start_matches("ec2:");
                insert_condition(&mut tags, json!({"StringEquals": {"ec2:CreateAction": operation}}));
                statements.push(tags);
            } else {
                statements.push(allow(&json!(write), &json!(group)));
            }
            statements
        }
        Action::BucketEncryption(change) => {
            vec![of_bucket(&json!([write, "s3:GetEncryptionConfiguration"]), partition, &change.bucket, account_id)]
        }
        Action::BucketPolicy(change) => {
            vec![of_bucket(&json!([write, "s3:GetBucketPolicy"]), partition, &change.bucket, account_id)]
        }
    };
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn is_authorize(operation: WriteOperation) -> bool {
    matches!(operation, WriteOperation::AuthorizeSecurityGroupIngress | WriteOperation::AuthorizeSecurityGroupEgress)
}

fn allow(actions: &Value, resources: &Value) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": resources})
}

fn insert_condition(statement: &mut Value, condition: Value) {
    if let Some(fields) = statement.as_object_mut() {
        fields.insert("Condition".to_owned(), condition);
    }
}

/// An ARN of a bucket names no account, so the condition does.
fn of_bucket(actions: &Value, partition: &str, bucket: &str, account_id: &str) -> Value {
    let mut statement = allow(actions, &json!(format!("arn:{partition}:s3:::{bucket}")));
    insert_condition(&mut statement, json!({"StringEquals": {"s3:ResourceAccount": account_id}}));
    statement
}

#[cfg(test)]
mod tests;
