//! From IAM's answers to what is observed of an account, its users and root. IO through the account's clients.

use jiff::Timestamp;

use aws_sdk_iam::operation::get_account_authorization_details::GetAccountAuthorizationDetailsOutput;
use aws_sdk_iam::types::{AssignmentStatusType, EntityType, PolicyDetail, SummaryKeyType};
use aws_smithy_types::DateTime;

mod administration;
mod simulation;

use super::account::Account;
use super::error::{Failure, malformed};
use super::operation::{
    GET_ACCOUNT_AUTHORIZATION_DETAILS, GET_ACCOUNT_PASSWORD_POLICY, GET_ACCOUNT_SUMMARY, GET_LOGIN_PROFILE,
    LIST_ACCOUNT_ALIASES, LIST_MFA_DEVICES, LIST_USERS, LIST_VIRTUAL_MFA_DEVICES, Operation,
};
use super::paging::{marker, now, pages};
use crate::baseline::Cause;
use crate::baseline::mfa::{AccountSummary, Grants, IamUser, MfaDevice, grants_everything};
use crate::baseline::password_policy::PasswordPolicy;
use crate::baseline::policy_document::PolicyDocument;
use std::collections::BTreeSet;

/// The largest page of every IAM list.
const PAGE: i32 = 1000;

type Read<T> = Result<(T, Timestamp), Cause>;

impl Account {
    pub(super) async fn read_password_policy(&self) -> Read<Option<PasswordPolicy>> {
        let request = self.iam().get_account_password_policy().send();
        let answer = self.call(GET_ACCOUNT_PASSWORD_POLICY, self.home(), request).await;
        let Some(answer) = Failure::or_absent(answer)? else { return Ok((None, now())) };
        let missing = |field| malformed(GET_ACCOUNT_PASSWORD_POLICY, format!("the answer has no {field}"));
        let policy = answer.password_policy().ok_or_else(|| missing("PasswordPolicy"))?;
        // 0 is how some answers say "none"; AWS accepts it in no write.
        let positive = |number: Option<i32>| number.filter(|number| *number > 0);
        let policy = PasswordPolicy {
            minimum_password_length: policy
                .minimum_password_length()
                .ok_or_else(|| missing("MinimumPasswordLength"))?,
            require_symbols: policy.require_symbols(),
            require_numbers: policy.require_numbers(),
            require_uppercase_characters: policy.require_uppercase_characters(),
            require_lowercase_characters: policy.require_lowercase_characters(),
            allow_users_to_change_password: policy.allow_users_to_change_password(),
            max_password_age: positive(policy.max_password_age()),
            password_reuse_prevention: positive(policy.password_reuse_prevention()),
            hard_expiry: policy.hard_expiry().unwrap_or(false),
        };
        Ok((Some(policy), now()))
    }

    pub(super) async fn read_account_summary(&self) -> Read<AccountSummary> {
        let answer = self.call(GET_ACCOUNT_SUMMARY, self.home(), self.iam().get_account_summary().send()).await?;
        let value = |key: SummaryKeyType| answer.summary_map().and_then(|map| map.get(&key)).map(|count| *count > 0);
        let needed = |key: SummaryKeyType| {
            let name = key.as_str().to_owned();
            value(key).ok_or_else(|| malformed(GET_ACCOUNT_SUMMARY, format!("the answer has no {name}")))
        };
        let summary = AccountSummary {
            root_mfa_enabled: needed(SummaryKeyType::AccountMfaEnabled)?,
            root_password_present: value(SummaryKeyType::AccountPasswordPresent),
            root_access_keys_present: needed(SummaryKeyType::AccountAccessKeysPresent)?,
            root_signing_certificates_present: needed(SummaryKeyType::AccountSigningCertificatesPresent)?,
            attached_policies_per_user_quota: answer
                .summary_map()
                .and_then(|map| map.get(&SummaryKeyType::AttachedPoliciesPerUserQuota))
                .and_then(|quota| usize::try_from(*quota).ok()),
        };
        Ok((summary, now()))
    }

    pub(super) async fn read_account_alias(&self) -> Read<Option<String>> {
        let mut alias = None;
        let at = pages(
            LIST_ACCOUNT_ALIASES,
            |token| {
                let request = self.iam().list_account_aliases().max_items(PAGE).set_marker(token).send();
                self.call(LIST_ACCOUNT_ALIASES, self.home(), request)
            },
            |page| {
                alias = alias.take().or_else(|| page.account_aliases().first().cloned());
                marker(LIST_ACCOUNT_ALIASES, page.is_truncated(), page.marker())
            },
        )
        .await?;
        Ok((alias, at))
    }

    pub(super) async fn read_users(&self) -> Read<Vec<IamUser>> {
        let mut users = Vec::new();
        let at = pages(
            LIST_USERS,
            |token| {
                let request = self.iam().list_users().max_items(PAGE).set_marker(token).send();
                self.call(LIST_USERS, self.home(), request)
            },
            |page| {
                for user in page.users() {
                    users.push(IamUser {
                        name: user.user_name().to_owned(),
                        arn: user.arn().to_owned(),
                        created_at: timestamp(LIST_USERS, user.create_date())?,
                        password_last_used: user
                            .password_last_used()
                            .map(|time| timestamp(LIST_USERS, time))
                            .transpose()?,
                    });
                }
                marker(LIST_USERS, page.is_truncated(), page.marker())
            },
        )
        .await?;
        Ok((users, at))
    }

    pub(super) async fn read_login_profile(&self, user: &str) -> Read<bool> {
        let request = self.iam().get_login_profile().user_name(user).send();
        let answer = Failure::or_absent(self.call(GET_LOGIN_PROFILE, self.home(), request).await)?;
        Ok((answer.is_some(), now()))
    }

    pub(super) async fn read_mfa_devices(&self, user: &str) -> Read<Vec<MfaDevice>> {
        let mut devices = Vec::new();
        let at = pages(
            LIST_MFA_DEVICES,
            |token| {
                let request = self.iam().list_mfa_devices().user_name(user).max_items(PAGE).set_marker(token).send();
                self.call(LIST_MFA_DEVICES, self.home(), request)
            },
            |page| {
                for device in page.mfa_devices() {
                    devices.push(MfaDevice::from_serial(device.serial_number()));
                }
                marker(LIST_MFA_DEVICES, page.is_truncated(), page.marker())
            },
        )
        .await?;
        Ok((devices, at))
    }

    pub(super) async fn read_root_virtual_mfa(&self) -> Read<bool> {
        let mut of_root = false;
        let at = pages(
            LIST_VIRTUAL_MFA_DEVICES,
            |token| {
                let request = self
                    .iam()
                    .list_virtual_mfa_devices()
                    .assignment_status(AssignmentStatusType::Assigned)
                    .max_items(PAGE)
                    .set_marker(token)
                    .send();
                self.call(LIST_VIRTUAL_MFA_DEVICES, self.home(), request)
            },
            |page| {
                of_root |= page.virtual_mfa_devices().iter().any(|device| {
                    // The device's name is a convention of the console, its user is not.
                    device.user().is_some_and(|user| user.arn().ends_with(":root"))
                        || device.serial_number().ends_with(":mfa/root-account-mfa-device")
                });
                marker(LIST_VIRTUAL_MFA_DEVICES, page.is_truncated(), page.marker())
            },
        )
        .await?;
        Ok((of_root, at))
    }

    pub(super) async fn read_administrators(&self) -> Read<BTreeSet<String>> {
        let mut grants = Grants::default();
        let at = self.each_authorization_page(&[], |page| collect_grants(&mut grants, page)).await?;
        Ok((grants.administrators(), at))
    }

    /// Reads who is granted what, page by page: users, groups and policies, and what else is asked for.
    async fn each_authorization_page(
        &self,
        also: &[EntityType],
        mut collect: impl FnMut(&GetAccountAuthorizationDetailsOutput) -> Result<(), Cause> + Send,
    ) -> Result<Timestamp, Cause> {
        let mut entities =
            vec![EntityType::User, EntityType::Group, EntityType::LocalManagedPolicy, EntityType::AwsManagedPolicy];
        entities.extend_from_slice(also);
        pages(
            GET_ACCOUNT_AUTHORIZATION_DETAILS,
            |token| {
                let request = self
                    .iam()
                    .get_account_authorization_details()
                    .set_filter(Some(entities.clone()))
                    .max_items(PAGE)
                    .set_marker(token)
                    .send();
                self.call(GET_ACCOUNT_AUTHORIZATION_DETAILS, self.home(), request)
            },
            |page| {
                collect(&page)?;
                marker(GET_ACCOUNT_AUTHORIZATION_DETAILS, page.is_truncated(), page.marker())
            },
        )
        .await
    }
}

/// Of a page, what decides who may do everything: the documents themselves are not kept.
fn collect_grants(grants: &mut Grants, page: &GetAccountAuthorizationDetailsOutput) -> Result<(), Cause> {
    let named = |name: Option<&str>| {
        name.map(str::to_owned)
            .ok_or_else(|| malformed(GET_ACCOUNT_AUTHORIZATION_DETAILS, "the answer leaves a name out"))
    };
    let arns = |attached: &[aws_sdk_iam::types::AttachedPolicy]| {
        attached.iter().map(|policy| named(policy.policy_arn())).collect::<Result<Vec<_>, _>>()
    };
    for user in page.user_detail_list() {
        let by_itself = any_grants_everything(user.user_policy_list())?;
        let attached = arns(user.attached_managed_policies())?;
        grants.user(named(user.user_name())?, by_itself, attached, user.group_list().to_vec());
    }
    for group in page.group_detail_list() {
        let by_itself = any_grants_everything(group.group_policy_list())?;
        grants.group(named(group.group_name())?, by_itself, arns(group.attached_managed_policies())?);
    }
    for policy in page.policies() {
        let versions = policy.policy_version_list();
        let in_force = versions.iter().find(|version| version.is_default_version());
        if document_grants_everything(in_force.and_then(|version| version.document()))? {
            grants.policy(named(policy.arn())?);
        }
    }
    Ok(())
}

fn any_grants_everything(policies: &[PolicyDetail]) -> Result<bool, Cause> {
    for policy in policies {
        if document_grants_everything(policy.policy_document())? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn document_grants_everything(document: Option<&str>) -> Result<bool, Cause> {
    Ok(grants_everything(&decoded(document)?))
}

/// IAM returns documents percent-encoded (RFC 3986).
fn decoded(document: Option<&str>) -> Result<PolicyDocument, Cause> {
    let unreadable = || malformed(GET_ACCOUNT_AUTHORIZATION_DETAILS, "a policy has no document that can be read");
    let text = percent_encoding::percent_decode_str(document.ok_or_else(unreadable)?);
    let text = text.decode_utf8().map_err(|_| unreadable())?;
    PolicyDocument::parse(&text).map_err(|_| unreadable())
}

/// AWS's time as ours.
pub(super) fn timestamp(operation: Operation, time: &DateTime) -> Result<Timestamp, Cause> {
    Timestamp::from_second(time.secs()).map_err(|_| malformed(operation, "the answer has a time out of range"))
}

#[cfg(test)]
mod tests;
