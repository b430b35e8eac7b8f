//! From IAM's answers to what decides whether one user may be denied, and to the policy that denies. IO through the
//! account's clients.
//!
//! All facts of a user or none: half of them would clear somebody whom a deny locks out.

use aws_sdk_iam::types::StatusType;
use jiff::Timestamp;

use super::account::Account;
use super::error::{Failure, malformed};
use super::operation::{
    GET_LOGIN_PROFILE, GET_POLICY, GET_POLICY_VERSION, LIST_ACCESS_KEYS, LIST_ATTACHED_USER_POLICIES,
    LIST_SERVICE_SPECIFIC_CREDENTIALS, LIST_SIGNING_CERTIFICATES,
};
use super::paging::{marker, now, pages};
use crate::baseline::mfa::{ManagedPolicy, UserFacts};
use crate::baseline::{Cause, CauseClass};

/// The largest page of every IAM list.
const PAGE: i32 = 1000;

type Read<T> = Result<(T, Timestamp), Cause>;

impl Account {
    /// `None` where one of the answers is that there is no such user.
    pub(super) async fn read_user_facts(&self, user: &str, arn: &str) -> Read<Option<UserFacts>> {
        let (profile, devices, keys, credentials, certificates, attached) = futures::join!(
            self.read_password(user),
            self.read_mfa_devices(user),
            self.read_active_access_key(user),
            self.read_active_service_credential(user),
            self.read_active_certificate(user),
            self.read_attached_policies(user),
        );
        let is_gone = |cause: Option<&Cause>| cause.is_some_and(|cause| cause.class == CauseClass::NotFound);
        let gone = [
            profile.as_ref().err(),
            devices.as_ref().err(),
            keys.as_ref().err(),
            credentials.as_ref().err(),
            certificates.as_ref().err(),
            attached.as_ref().err(),
        ];
        if gone.into_iter().any(is_gone) {
            return Ok((None, now()));
        }
        let ((profile, first), (devices, second), (keys, third)) = (profile?, devices?, keys?);
        let ((credentials, fourth), (certificates, fifth), (attached, sixth)) =
            (credentials?, certificates?, attached?);
        let facts = UserFacts {
            arn: arn.to_owned(),
            has_login_profile: profile.is_some(),
            password_reset_required: profile.unwrap_or(false),
            has_mfa_device: !devices.is_empty(),
            has_active_access_key: keys,
            has_other_credential: credentials || certificates,
            attached_policies: attached,
        };
        Ok((Some(facts), first.min(second).min(third).min(fourth).min(fifth).min(sixth)))
    }

    /// Whether the password must be changed at the next sign-in; `None` where there is no password.
    async fn read_password(&self, user: &str) -> Read<Option<bool>> {
        let request = self.iam().get_login_profile().user_name(user).send();
        let answer = Failure::or_absent(self.call(GET_LOGIN_PROFILE, self.home(), request).await)?;
        let Some(answer) = answer else { return Ok((None, now())) };
        let profile = answer.login_profile();
        let profile = profile.ok_or_else(|| malformed(GET_LOGIN_PROFILE, "the answer has no LoginProfile"))?;
        Ok((Some(profile.password_reset_required()), now()))
    }

    async fn read_active_access_key(&self, user: &str) -> Read<bool> {
        let mut active = false;
        let at = pages(
            LIST_ACCESS_KEYS,
            |token| {
                let request = self.iam().list_access_keys().user_name(user).max_items(PAGE).set_marker(token).send();
                self.call(LIST_ACCESS_KEYS, self.home(), request)
            },
            |page| {
                active |= page.access_key_metadata().iter().any(|key| is_active(key.status()));
                marker(LIST_ACCESS_KEYS, page.is_truncated(), page.marker())
            },
        )
        .await?;
        Ok((active, at))
    }

    async fn read_active_service_credential(&self, user: &str) -> Read<bool> {
        let mut active = false;
        let at = pages(
            LIST_SERVICE_SPECIFIC_CREDENTIALS,
            |token| {
                let request = self.iam().list_service_specific_credentials().user_name(user).max_items(PAGE);
                self.call(LIST_SERVICE_SPECIFIC_CREDENTIALS, self.home(), request.set_marker(token).send())
            },
            |page| {
                let credentials = page.service_specific_credentials();
                active |= credentials.iter().any(|credential| is_active(Some(credential.status())));
                marker(LIST_SERVICE_SPECIFIC_CREDENTIALS, page.is_truncated(), page.marker())
            },
        )
        .await?;
        Ok((active, at))
    }

    async fn read_active_certificate(&self, user: &str) -> Read<bool> {
        let mut active = false;
        let at = pages(
            LIST_SIGNING_CERTIFICATES,
            |token| {
                let request = self.iam().list_signing_certificates().user_name(user).max_items(PAGE);
                self.call(LIST_SIGNING_CERTIFICATES, self.home(), request.set_marker(token).send())
            },
            |page| {
                active |= page.certificates().iter().any(|certificate| is_active(Some(certificate.status())));
                marker(LIST_SIGNING_CERTIFICATES, page.is_truncated(), page.marker())
            },
        )
        .await?;
        Ok((active, at))
    }

    async fn read_attached_policies(&self, user: &str) -> Read<Vec<String>> {
        let mut attached = Vec::new();
        let at = pages(
            LIST_ATTACHED_USER_POLICIES,
            |token| {
                let request = self.iam().list_attached_user_policies().user_name(user).max_items(PAGE);
                self.call(LIST_ATTACHED_USER_POLICIES, self.home(), request.set_marker(token).send())
            },
            |page| {
                for policy in page.attached_policies() {
                    let arn = policy.policy_arn().map(str::to_owned);
                    let missing = || malformed(LIST_ATTACHED_USER_POLICIES, "a policy has no ARN");
                    attached.push(arn.ok_or_else(missing)?);
                }
                marker(LIST_ATTACHED_USER_POLICIES, page.is_truncated(), page.marker())
            },
        )
        .await?;
        Ok((attached, at))
    }

    pub(super) async fn read_managed_policy(&self, arn: &str) -> Read<Option<ManagedPolicy>> {
        let request = self.iam().get_policy().policy_arn(arn).send();
        let answer = Failure::or_absent(self.call(GET_POLICY, self.home(), request).await)?;
        let Some(answer) = answer else { return Ok((None, now())) };
        let version_id = answer.policy().and_then(|policy| policy.default_version_id()).map(str::to_owned);
        let version_id = version_id.ok_or_else(|| malformed(GET_POLICY, "the answer has no DefaultVersionId"))?;
        let request = self.iam().get_policy_version().policy_arn(arn).version_id(&version_id).send();
        let answer = self.call(GET_POLICY_VERSION, self.home(), request).await?;
        // Another version can have become the default one between the two answers.
        let version = answer.policy_version().filter(|version| version.is_default_version());
        let document = version.and_then(|version| version.document());
        let document = document.ok_or_else(|| malformed(GET_POLICY_VERSION, "the answer has no default version"))?;
        // IAM returns documents percent-encoded (RFC 3986).
        let document = percent_encoding::percent_decode_str(document).decode_utf8();
        let document = document.map_err(|_| malformed(GET_POLICY_VERSION, "the document is no text"))?.into_owned();
        Ok((Some(ManagedPolicy { arn: arn.to_owned(), version_id, document }), now()))
    }
}

/// What AWS does not call inactive or expired can be used.
fn is_active(status: Option<&StatusType>) -> bool {
    !matches!(status, Some(StatusType::Inactive | StatusType::Expired))
}

#[cfg(test)]
pub(super) mod tests;
