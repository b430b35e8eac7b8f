//! From `iam:SimulatePrincipalPolicy` to what a user may do. IO through the account's clients.
//!
//! Every action is asked about on the resource that it works on and that is the user's own: a policy that allows no
//! more than `user/${aws:username}` allows nothing on `*`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use aws_sdk_iam::types::{
    ContextEntry, ContextKeyTypeEnum, EvaluationResult, OrganizationsDecisionDetail, PermissionsBoundaryDecisionDetail,
    PolicyEvaluationDecisionType,
};

use super::Read;
use crate::aws::account::Account;
use crate::aws::error::malformed;
use crate::aws::operation::SIMULATE_PRINCIPAL_POLICY;
use crate::aws::paging::{marker, now, pages};
use crate::baseline::Cause;

/// What the change of an own password in the console takes.
const CHANGE_PASSWORD: [&str; 2] = ["iam:ChangePassword", "iam:GetAccountPasswordPolicy"];

/// What `AllowUsersToChangePassword` grants every user of the account, by no policy that a simulation would find.
///
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_PasswordPolicy.html>
const GRANTED_BY_THE_ACCOUNT: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
    "Action": ["iam:ChangePassword", "iam:GetAccountPasswordPolicy"], "Resource": "*"}]}"#;

/// Who asks, and under which circumstances.
struct Question<'a> {
    user_arn: &'a str,
    /// `aws:MultiFactorAuthPresent`; `None` leaves the key out.
    mfa_present: Option<bool>,
    /// A policy beside those of the user.
    granted: Option<&'a str>,
}

impl Account {
    pub(in crate::aws) async fn read_simulation(
        &self,
        user_arn: &str,
        actions: &[&str],
        mfa_present: Option<bool>,
    ) -> Read<BTreeMap<String, bool>> {
        self.simulate_each(&Question { user_arn, mfa_present, granted: None }, actions).await
    }

    /// Whether a user without MFA could change the own password, were it granted by the account: denies of the user's
    /// policies, permissions boundary and organization are what is left.
    pub(in crate::aws) async fn simulate_password_change(&self, user_arn: &str) -> Read<bool> {
        let question = Question { user_arn, mfa_present: Some(false), granted: Some(GRANTED_BY_THE_ACCOUNT) };
        let (answers, at) = self.simulate_each(&question, &CHANGE_PASSWORD).await?;
        Ok((answers.values().all(|allowed| *allowed), at))
    }

    /// Every action has an answer.
    async fn simulate_each(&self, question: &Question<'_>, actions: &[&str]) -> Read<BTreeMap<String, bool>> {
        let mut by_resource: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for action in actions {
            by_resource.entry(own_resource(question.user_arn, action)).or_default().push((*action).to_owned());
        }
        let mut answers = BTreeMap::new();
        let mut at = now();
        for (resource, asked) in by_resource {
            at = self.simulate_on(question, &resource, &asked, &mut answers).await?;
        }
        match actions.iter().find(|action| !answers.contains_key(**action)) {
            Some(left_out) => Err(malformed(SIMULATE_PRINCIPAL_POLICY, format!("the answer leaves {left_out} out"))),
            None => Ok((answers, at)),
        }
    }

    async fn simulate_on(
        &self,
        question: &Question<'_>,
        resource: &str,
        actions: &[String],
        answers: &mut BTreeMap<String, bool>,
    ) -> Result<Timestamp, Cause> {
        let granted = question.granted.map(|policy| vec![policy.to_owned()]);
        pages(
            SIMULATE_PRINCIPAL_POLICY,
            |token| {
                let request = self
                    .iam()
                    .simulate_principal_policy()
                    .policy_source_arn(question.user_arn)
                    .set_policy_input_list(granted.clone())
                    .set_action_names(Some(actions.to_vec()))
                    .resource_arns(resource)
                    .set_context_entries(Some(context(question.user_arn, question.mfa_present)))
                    .set_marker(token)
                    .send();
                self.call(SIMULATE_PRINCIPAL_POLICY, self.home(), request)
            },
            |page| {
                for result in page.evaluation_results() {
                    let asked = actions.iter().find(|action| action.eq_ignore_ascii_case(result.eval_action_name()));
                    if let Some(action) = asked {
                        // Should an action come twice, both must be allowed.
                        let allowed = answers.entry(action.clone()).or_insert(true);
                        *allowed &= is_allowed(result);
                    }
                }
                marker(SIMULATE_PRINCIPAL_POLICY, page.is_truncated(), page.marker())
            },
        )
        .await
    }
}

/// What an action works on. `iam:CreateVirtualMFADevice` works on a device that does not exist yet and whose name the
/// user chooses: the user's own name is what policies ask for that ask for any.
///
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html>
fn own_resource(user_arn: &str, action: &str) -> String {
    match action {
        "iam:CreateVirtualMFADevice" => {
            let account = user_arn.split(":user/").next().unwrap_or_default();
            format!("{account}:mfa/{}", name(user_arn))
        }
        "iam:ListVirtualMFADevices" | "iam:GetAccountPasswordPolicy" | "sts:GetSessionToken" => "*".to_owned(),
        _ => user_arn.to_owned(),
    }
}

fn name(user_arn: &str) -> &str {
    user_arn.rsplit('/').next().unwrap_or_default()
}

/// The keys that decide about MFA, and the one that policies name users by.
fn context(user_arn: &str, mfa_present: Option<bool>) -> Vec<ContextEntry> {
    let entry = |key: &str, kind: ContextKeyTypeEnum, value: String| {
        ContextEntry::builder().context_key_name(key).context_key_type(kind).context_key_values(value).build()
    };
    let username = entry("aws:username", ContextKeyTypeEnum::String, name(user_arn).to_owned());
    let directly = entry("aws:ViaAWSService", ContextKeyTypeEnum::Boolean, false.to_string());
    let mfa = mfa_present
        .map(|present| entry("aws:MultiFactorAuthPresent", ContextKeyTypeEnum::Boolean, present.to_string()));
    [username, directly].into_iter().chain(mfa).collect()
}

/// Whether everything that takes part in the decision allows it: policies, boundary, organization.
fn is_allowed(result: &EvaluationResult) -> bool {
    let boundary = result.permissions_boundary_decision_detail();
    let organization = result.organizations_decision_detail();
    *result.eval_decision() == PolicyEvaluationDecisionType::Allowed
        && boundary.is_none_or(PermissionsBoundaryDecisionDetail::allowed_by_permissions_boundary)
        && organization.is_none_or(OrganizationsDecisionDetail::allowed_by_organizations)
        && result
            .resource_specific_results()
            .iter()
            .all(|specific| *specific.eval_resource_decision() == PolicyEvaluationDecisionType::Allowed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::aws::testing::{Answer, Request, complete, fast, iam, query_error, serve, unknown};
    use crate::baseline::CauseClass;
    use crate::engine::cloud::Cloud;

    const ADA: &str = "arn:aws:iam::222222222222:user/staff/ada";
    const ACTIONS: [&str; 4] =
        ["iam:CreateVirtualMFADevice", "iam:EnableMFADevice", "iam:ListMFADevices", "iam:ListVirtualMFADevices"];

    fn actions(request: &Request) -> Vec<String> {
        (1..9)
            .map(|n| request.param(&format!("ActionNames.member.{n}")).to_owned())
            .filter(|action| !action.is_empty())
            .collect()
    }

    fn mfa_present(request: &Request) -> Option<&str> {
        let key = |n: &i32| request.param(&format!("ContextEntries.member.{n}.ContextKeyName"));
        let n = (1..9).find(|n| key(n) == "aws:MultiFactorAuthPresent")?;
        Some(request.param(&format!("ContextEntries.member.{n}.ContextKeyValues.member.1")))
    }

    fn results(results: &[(String, &str)], more: &str) -> Answer {
        let members: Vec<String> = results
            .iter()
            .map(|(action, decision)| {
                format!(
                    "<member><EvalActionName>{action}</EvalActionName><EvalDecision>{decision}</EvalDecision>{more}\
                     </member>"
                )
            })
            .collect();
        let members = members.concat();
        iam("SimulatePrincipalPolicy", &format!("<EvaluationResults>{members}</EvaluationResults>"))
    }

    #[tokio::test]
    async fn mfa_20_each_action_is_asked_about_on_what_is_the_users_own() {
        let server = serve(fast(), |request, _| {
            let denied = |action: &String| if action.ends_with("ListMFADevices") { "explicitDeny" } else { "allowed" };
            let answers: Vec<_> =
                actions(request).into_iter().map(|action| (action.clone(), denied(&action))).collect();
            results(&answers, "")
        })
        .await;
        let answers = complete(server.account().simulate(ADA, &ACTIONS, Some(false)).await);
        assert_eq!(answers.values().filter(|allowed| !**allowed).count(), 1);
        assert!(!answers["iam:ListMFADevices"]);
        let mut asked: Vec<_> = server
            .requests()
            .iter()
            .map(|request| (request.param("ResourceArns.member.1").to_owned(), actions(request)))
            .collect();
        asked.sort();
        let [device, user, any] = [&ACTIONS[..1], &ACTIONS[1..3], &ACTIONS[3..]].map(<[&str]>::to_vec);
        assert_eq!(asked[0], ("*".to_owned(), any.iter().map(ToString::to_string).collect()));
        let device = device.iter().map(ToString::to_string).collect();
        assert_eq!(asked[1], ("arn:aws:iam::222222222222:mfa/ada".to_owned(), device));
        assert_eq!(asked[2], (ADA.to_owned(), user.iter().map(ToString::to_string).collect()));
    }

    #[tokio::test]
    async fn the_key_of_mfa_is_left_out_where_it_is_absent() {
        for (present, expected) in [(None, None), (Some(false), Some("false")), (Some(true), Some("true"))] {
            let server = serve(fast(), |request, _| {
                results(&actions(request).into_iter().map(|action| (action, "allowed")).collect::<Vec<_>>(), "")
            })
            .await;
            complete(server.account().simulate(ADA, &["iam:ChangePassword"], present).await);
            let request = &server.requests()[0];
            assert_eq!(mfa_present(request), expected);
            assert_eq!(request.param("PolicySourceArn"), ADA);
            assert_eq!(request.param("PolicyInputList.member.1"), "", "the user's own policies alone are asked about");
        }
    }

    #[tokio::test]
    async fn a_boundary_and_an_organization_take_away_too() {
        let boundary = "<PermissionsBoundaryDecisionDetail><AllowedByPermissionsBoundary>false\
                        </AllowedByPermissionsBoundary></PermissionsBoundaryDecisionDetail>";
        let organization = "<OrganizationsDecisionDetail><AllowedByOrganizations>false</AllowedByOrganizations>\
                            </OrganizationsDecisionDetail>";
        for (more, allowed) in [("", true), (boundary, false), (organization, false)] {
            let server = serve(fast(), move |request, _| {
                results(&actions(request).into_iter().map(|action| (action, "allowed")).collect::<Vec<_>>(), more)
            })
            .await;
            let answers = complete(server.account().simulate(ADA, &["iam:EnableMFADevice"], Some(false)).await);
            assert_eq!(answers["iam:EnableMFADevice"], allowed, "{more}");
        }
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
            let server = serve(fast(), move |request, _| {
                let decision = |action: &String| decisions.iter().find(|(of, _)| of == action).unwrap().1;
                let answers: Vec<_> =
                    actions(request).into_iter().map(|action| (action.clone(), decision(&action))).collect();
                results(&answers, "")
            })
            .await;
            assert_eq!(complete(server.account().may_change_password(ADA).await), expected, "{decisions:?}");
            let requests = server.requests();
            let asked: BTreeMap<_, _> = requests
                .iter()
                .map(|request| (actions(request), request.param("ResourceArns.member.1").to_owned()))
                .collect();
            let on = |action: &str, resource: &str| (vec![action.to_owned()], resource.to_owned());
            assert_eq!(asked, BTreeMap::from([on(change, ADA), on(read, "*")]));
            for request in &requests {
                let granted: serde_json::Value =
                    serde_json::from_str(request.param("PolicyInputList.member.1")).unwrap();
                assert_eq!(granted["Statement"][0]["Action"], serde_json::json!([change, read]));
                assert_eq!(mfa_present(request), Some("false"));
            }
        }
    }

    #[tokio::test]
    async fn pw_20_half_an_answer_and_a_refusal_are_unknown() {
        let half = |_: &Request, _| results(&[("iam:ChangePassword".to_owned(), "allowed")], "");
        let server = serve(fast(), half).await;
        let cause = unknown(server.account().may_change_password(ADA).await);
        assert_eq!(cause.class, CauseClass::Malformed);
        let server = serve(fast(), |_, _| query_error(403, "AccessDenied", "no")).await;
        let cause = unknown(server.account().may_change_password(ADA).await);
        assert_eq!(cause.missing_action.as_deref(), Some("iam:SimulatePrincipalPolicy"));
    }

    #[tokio::test]
    async fn an_action_without_an_answer_leaves_all_unknown() {
        let server = serve(fast(), |_, _| results(&[("iam:EnableMFADevice".to_owned(), "allowed")], "")).await;
        let cause = unknown(server.account().simulate(ADA, &ACTIONS, Some(false)).await);
        assert_eq!(cause.class, CauseClass::Malformed);
        let server = serve(fast(), |_, _| query_error(403, "AccessDenied", "not authorized")).await;
        let cause = unknown(server.account().simulate(ADA, &ACTIONS, Some(false)).await);
        assert_eq!(cause.missing_action.as_deref(), Some("iam:SimulatePrincipalPolicy"));
    }
}
