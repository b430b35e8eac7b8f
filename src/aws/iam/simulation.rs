//! From `iam:SimulatePrincipalPolicy` to what a user may do. IO through the account's clients.
//!
//! Every action is asked about on the resource that it works on and that is the user's own: a policy that allows no
//! more than `user/${aws:username}` allows nothing on `*`.

use std::collections::BTreeMap;

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

impl Account {
    pub(in crate::aws) async fn read_simulation(
        &self,
        user_arn: &str,
        actions: &[&str],
        mfa_present: Option<bool>,
    ) -> Read<BTreeMap<String, bool>> {
        let mut by_resource: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for action in actions {
            by_resource.entry(own_resource(user_arn, action)).or_default().push((*action).to_owned());
        }
        let mut answers = BTreeMap::new();
        let mut at = now();
        for (resource, asked) in by_resource {
            at = self.simulate_on(user_arn, &resource, &asked, mfa_present, &mut answers).await?;
        }
        match actions.iter().find(|action| !answers.contains_key(**action)) {
            Some(left_out) => Err(malformed(SIMULATE_PRINCIPAL_POLICY, format!("the answer leaves {left_out} out"))),
            None => Ok((answers, at)),
        }
    }

    async fn simulate_on(
        &self,
        user_arn: &str,
        resource: &str,
        actions: &[String],
        mfa_present: Option<bool>,
        answers: &mut BTreeMap<String, bool>,
    ) -> Result<jiff::Timestamp, Cause> {
        pages(
            SIMULATE_PRINCIPAL_POLICY,
            |token| {
                let request = self
                    .iam()
                    .simulate_principal_policy()
                    .policy_source_arn(user_arn)
                    .set_action_names(Some(actions.to_vec()))
                    .resource_arns(resource)
                    .set_context_entries(Some(context(user_arn, mfa_present)))
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
        let [device, user, any] = [&ACTIONS[..1], &ACTIONS[1..3], &ACTIONS[3..]].map(|part| part.to_vec());
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
            let entry = (1..9).find(|n| {
                request.param(&format!("ContextEntries.member.{n}.ContextKeyName")) == "aws:MultiFactorAuthPresent"
            });
            let value = entry.map(|n| request.param(&format!("ContextEntries.member.{n}.ContextKeyValues.member.1")));
            assert_eq!(value, expected);
            assert_eq!(request.param("PolicySourceArn"), ADA);
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
    async fn an_action_without_an_answer_leaves_all_unknown() {
        let server = serve(fast(), |_, _| results(&[("iam:EnableMFADevice".to_owned(), "allowed")], "")).await;
        let cause = unknown(server.account().simulate(ADA, &ACTIONS, Some(false)).await);
        assert_eq!(cause.class, CauseClass::Malformed);
        let server = serve(fast(), |_, _| query_error(403, "AccessDenied", "not authorized")).await;
        let cause = unknown(server.account().simulate(ADA, &ACTIONS, Some(false)).await);
        assert_eq!(cause.missing_action.as_deref(), Some("iam:SimulatePrincipalPolicy"));
    }
}
