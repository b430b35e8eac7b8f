//! From `iam:GetAccountAuthorizationDetails` to the users and roles by which an administrator comes in. IO through the
//! account's clients.

use aws_sdk_iam::operation::get_account_authorization_details::GetAccountAuthorizationDetailsOutput;
use aws_sdk_iam::types::EntityType;

use super::{Read, any_grants_everything, collect_grants, decoded};
use crate::aws::account::Account;
use crate::aws::error::malformed;
use crate::aws::operation::GET_ACCOUNT_AUTHORIZATION_DETAILS;
use crate::baseline::Cause;
use crate::baseline::mfa::{Administration, Grants, is_assumable_from_outside};

impl Account {
    pub(in crate::aws) async fn read_administration(&self) -> Read<Administration> {
        let mut grants = Grants::default();
        let collect = |page: &GetAccountAuthorizationDetailsOutput| {
            collect_grants(&mut grants, page)?;
            collect_roles(&mut grants, page, &self.id)
        };
        let at = self.each_authorization_page(&[EntityType::Role], collect).await?;
        Ok((grants.administration(), at))
    }
}

/// Of a page, the roles that people from outside can assume. What cannot be read, or may take away what the role's
/// policies allow, makes a role no way in.
fn collect_roles(
    grants: &mut Grants,
    page: &GetAccountAuthorizationDetailsOutput,
    account_id: &str,
) -> Result<(), Cause> {
    for role in page.role_detail_list() {
        let trust = decoded(role.assume_role_policy_document()).ok();
        let comes_in = trust.is_some_and(|trust| is_assumable_from_outside(&trust, account_id));
        if !comes_in || role.permissions_boundary().is_some() {
            continue;
        }
        let arn = role.arn().ok_or_else(|| malformed(GET_ACCOUNT_AUTHORIZATION_DETAILS, "a role has no ARN"))?;
        let by_itself = any_grants_everything(role.role_policy_list())?;
        let attached = role.attached_managed_policies().iter().filter_map(|policy| policy.policy_arn());
        grants.role(arn.to_owned(), by_itself, attached.map(str::to_owned).collect());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::aws::testing::{complete, fast, iam, serve};
    use crate::engine::cloud::Cloud;

    const SAML: &str = "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Federated%22%3A\
        %22arn%3Aaws%3Aiam%3A%3A222222222222%3Asaml-provider%2FOkta%22%7D%2C%22Action%22%3A\
        %22sts%3AAssumeRoleWithSAML%22%7D%7D";
    const SERVICE: &str = "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A\
        %22ec2.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%7D";

    fn role(name: &str, trust: &str, policy: &str, more: &str) -> String {
        format!(
            "<member><RoleName>{name}</RoleName><Arn>arn:aws:iam::222222222222:role/{name}</Arn>\
             <AssumeRolePolicyDocument>{trust}</AssumeRolePolicyDocument><AttachedManagedPolicies><member>\
             <PolicyArn>arn:aws:iam::aws:policy/{policy}</PolicyArn></member></AttachedManagedPolicies>{more}</member>"
        )
    }

    #[tokio::test]
    async fn mfa_31_administrator_roles_are_those_that_people_from_outside_assume() {
        let boundary = "<PermissionsBoundary><PermissionsBoundaryArn>arn:aws:iam::aws:policy/ReadOnlyAccess\
                        </PermissionsBoundaryArn></PermissionsBoundary>";
        let roles = [
            role("federated", SAML, "AdministratorAccess", ""),
            role("reader", SAML, "ReadOnlyAccess", ""),
            role("machine", SERVICE, "AdministratorAccess", ""),
            role("bounded", SAML, "AdministratorAccess", boundary),
            role("odd", "%FF", "AdministratorAccess", ""),
        ]
        .concat();
        let server = serve(fast(), move |_, _| {
            let user = "<member><UserName>ada</UserName><AttachedManagedPolicies><member><PolicyArn>\
                        arn:aws:iam::aws:policy/AdministratorAccess</PolicyArn></member></AttachedManagedPolicies>\
                        </member>";
            let lists = format!("<UserDetailList>{user}</UserDetailList><RoleDetailList>{roles}</RoleDetailList>");
            iam("GetAccountAuthorizationDetails", &lists)
        })
        .await;
        let found = complete(server.account().administration().await);
        assert_eq!(found.users.into_iter().collect::<Vec<_>>(), ["ada"]);
        assert_eq!(found.roles.into_iter().collect::<Vec<_>>(), ["arn:aws:iam::222222222222:role/federated"]);
        assert!(server.requests()[0].form.values().any(|value| value == "Role"));
    }
}
