//! STS: who may assume a role, and who a caller is.

use anyhow::Context;

use super::super::account::{Identity, Role};
use super::super::parking::lock;
use super::super::shape::{Answer, error};
use super::super::xml::Element;
use super::Known;

/// A role that was not declared, or another external id, is refused: "`AssumeRole`" in the STS API reference, and "The
/// confused deputy problem" in the IAM user guide. moto lets everybody assume anything.
pub(super) fn refuse_unless_trusted(known: Known<'_>) -> Option<Answer> {
    let arn = known.parameter("RoleArn").unwrap_or_default();
    let trusted = split_role_arn(arn).is_some_and(|(account, name)| {
        let state = lock(known.state);
        let roles = state.accounts.get(account).map(|account| account.roles.as_slice()).unwrap_or_default();
        roles.iter().any(|role| trusts(role, name, known.parameter("ExternalId")))
    });
    if trusted {
        return None;
    }
    let message = format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}", known.caller.arn);
    Some(error(known.request, 403, "AccessDenied", &message))
}

fn trusts(role: &Role, name: &str, external_id: Option<&str>) -> bool {
    role.name.trim_start_matches('/') == name
        && role.external_id.as_deref().is_none_or(|wanted| external_id == Some(wanted))
}

/// `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME` into the account and the name with its path.
fn split_role_arn(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.splitn(6, ':');
    let account = parts.nth(4)?;
    Some((account, parts.next()?.strip_prefix("role/")?))
}

/// Remembers whose the new session's key is.
pub(super) fn remember_session(known: Known<'_>, answer: &Answer) -> anyhow::Result<()> {
    let root = answer.parse()?;
    let text = |name: &str| root.find(name).map(|element| element.text.clone());
    let key = text("AccessKeyId").context("AssumeRole answered no key")?;
    let arn = text("Arn").context("AssumeRole answered no ARN")?;
    let account = arn.split(':').nth(4).context("AssumeRole answered no account")?.to_owned();
    lock(known.state).identities.insert(key, Identity { account, arn, registered: false });
    Ok(())
}

/// A registered key's owner: "`GetCallerIdentity`" in the STS API reference. moto does not know the key.
pub(super) fn identity_of_registered_key(known: Known<'_>) -> Option<Answer> {
    if !known.caller.registered {
        return None;
    }
    let result = Element::with_children(
        "GetCallerIdentityResult",
        vec![
            Element::with_text("Arn", &known.caller.arn),
            Element::with_text("UserId", &known.request.access_key_id),
            Element::with_text("Account", &known.caller.account),
        ],
    );
    Some(Answer::xml(200, &Element::with_children("GetCallerIdentityResponse", vec![result])))
}

/// A user's ARN is one of IAM: "IAM identifiers" in the IAM user guide. moto says `arn:aws:sts::...:user/moto`.
pub(super) fn correct_identity(answer: &Answer) -> anyhow::Result<Answer> {
    let mut root = answer.parse()?;
    if let Some(arn) = root.find_mut("Arn")
        && arn.text.contains(":user/")
    {
        arn.text = arn.text.replace(":sts::", ":iam::");
    }
    Ok(answer.with_xml(&root))
}
