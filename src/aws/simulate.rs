//! From IAM's simulation of a user's policies to what the user may do. IO through the account's clients.

use jiff::Timestamp;

use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType};

use super::account::Account;
use super::error::malformed;
use super::operation::SIMULATE_PRINCIPAL_POLICY;
use super::paging::now;
use crate::baseline::Cause;

/// What the change of an own password in the console takes.
const CHANGE_PASSWORD: [&str; 2] = ["iam:ChangePassword", "iam:GetAccountPasswordPolicy"];

/// What `AllowUsersToChangePassword` grants every user of the account, by no policy that a simulation would find.
///
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_PasswordPolicy.html>
const GRANTED_BY_THE_ACCOUNT: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
    "Action": ["iam:ChangePassword", "iam:GetAccountPasswordPolicy"], "Resource": "*"}]}"#;

impl Account {
    /// Whether a user without MFA could change the own password, were it granted by the account: denies of the user's
    /// policies, permissions boundary and organization are what is left.
    pub(super) async fn simulate_password_change(&self, user_arn: &str) -> Result<(bool, Timestamp), Cause> {
        let without_mfa = ContextEntry::builder()
            .context_key_name("aws:MultiFactorAuthPresent")
            .context_key_type(ContextKeyTypeEnum::Boolean)
            .context_key_values("false")
            .build();
        let request = self
            .iam()
            .simulate_principal_policy()
            .policy_source_arn(user_arn)
            .set_action_names(Some(CHANGE_PASSWORD.map(str::to_owned).into()))
            .resource_arns(user_arn)
            .policy_input_list(GRANTED_BY_THE_ACCOUNT)
            .context_entries(without_mfa)
            .send();
        let answer = self.call(SIMULATE_PRINCIPAL_POLICY, self.home(), request).await?;
        let results = answer.evaluation_results();
        let complete = CHANGE_PASSWORD
            .iter()
            .all(|action| results.iter().any(|result| result.eval_action_name().eq_ignore_ascii_case(action)));
        if !complete || answer.is_truncated() {
            return Err(malformed(SIMULATE_PRINCIPAL_POLICY, "the answer does not speak of every action"));
        }
        let allowed = results.iter().all(|result| *result.eval_decision() == PolicyEvaluationDecisionType::Allowed);
        Ok((allowed, now()))
    }
}

#[cfg(test)]
mod tests {
    use crate::aws::testing::{Answer, complete, fast, iam, query_error, serve, unknown};
    use crate::baseline::CauseClass;
    use crate::engine::cloud::Cloud;

    const ADA: &str = "arn:aws:iam::222222222222:user/ada";

    fn answer(decisions: &[(&str, &str)]) -> Answer {
        let results: Vec<String> = decisions
            .iter()
            .map(|(action, decision)| {
                format!(
                    "<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{ADA}</EvalResourceName>\
                     <EvalDecision>{decision}</EvalDecision></member>"
                )
            })
            .collect();
        let results = results.concat();
        iam(
            "SimulatePrincipalPolicy",
            &format!("<IsTruncated>false</IsTruncated><EvaluationResults>{results}</EvaluationResults>"),
        )
    }

    #[tokio::test]
    async fn pw_20_a_user_may_change_the_password_if_nothing_denies_either_action() {
        let (change, read) = ("iam:ChangePassword", "iam:GetAccountPasswordPolicy");
        for (decisions, expected) in [
            ([(change, "allowed"), (read, "allowed")], true),
            ([(change, "explicitDeny"), (read, "allowed")], false),
            ([(change, "allowed"), (read, "explicitDeny")], false),
            ([(change, "implicitDeny"), (read, "allowed")], false),
        ] {
            let server = serve(fast(), move |_, _| answer(&decisions)).await;
            assert_eq!(complete(server.account().may_change_password(ADA).await), expected, "{decisions:?}");
            let requests = server.requests();
            let param = |name| requests[0].param(name).to_owned();
            assert_eq!((param("PolicySourceArn"), param("ResourceArns.member.1")), (ADA.to_owned(), ADA.to_owned()));
            assert_eq!(param("ContextEntries.member.1.ContextKeyName"), "aws:MultiFactorAuthPresent");
            assert_eq!(param("ContextEntries.member.1.ContextKeyValues.member.1"), "false");
            let granted: serde_json::Value = serde_json::from_str(&param("PolicyInputList.member.1")).unwrap();
            assert_eq!(granted["Statement"][0]["Action"], serde_json::json!([change, read]));
        }
    }

    #[tokio::test]
    async fn pw_20_half_an_answer_and_a_refusal_are_unknown() {
        let server = serve(fast(), |_, _| answer(&[("iam:ChangePassword", "allowed")])).await;
        let cause = unknown(server.account().may_change_password(ADA).await);
        assert_eq!(cause.class, CauseClass::Malformed);
        let server = serve(fast(), |_, _| query_error(403, "AccessDenied", "no")).await;
        let cause = unknown(server.account().may_change_password(ADA).await);
        assert_eq!(cause.missing_action.as_deref(), Some("iam:SimulatePrincipalPolicy"));
    }
}
