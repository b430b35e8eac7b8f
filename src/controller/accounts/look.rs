//! From a declared account to what AWS says of it and, where AWS refuses its role, to what that role has to trust. IO
//! through the provider alone.

use super::details::details;
use super::external_id::{ExternalId, external_id};
use super::{Outcome, Verified};
use crate::api::AwsAccount;
use crate::baseline::permissions::trust_statement;
use crate::baseline::{AccountIdentity, Cause};
use crate::controller::context::{Context, now};
use crate::controller::entries::one_line;
use crate::controller::schedule::Trigger;
use crate::engine::cloud::{Cloud, Target};
use crate::engine::{AssessError, RegionSelection, verify};

/// The longest statement that status takes: an ARN of AWS's longest role and the longest external id fit twice.
const STATEMENT_BYTES: usize = 4096;

/// The action that AWS names where it refuses a role.
const ASSUME_ROLE: &str = "sts:AssumeRole";

pub(super) async fn look(account: &AwsAccount, trigger: &Trigger, context: &Context) -> Outcome {
    if account.spec.suspend {
        return Outcome::Suspended;
    }
    let target = Target::new(&account.spec, "account");
    let cloud = match context.provider.cloud(&target, context.settings.account_timeout).await {
        Ok(cloud) => cloud,
        Err(cause) => return unreachable(target, cause, context).await,
    };
    match verify(&target.account_id, &*cloud).await {
        Ok(identity) => {
            let external_id = external_id(account, context).await;
            Outcome::Verified(Box::new(describe(account, trigger, identity, &*cloud, external_id).await))
        }
        Err(AssessError::Unreachable { cause, .. }) => unreachable(target, cause, context).await,
        Err(error @ AssessError::Mismatch { .. }) => Outcome::Failed { error, trust_statement: None },
    }
}

/// Where the role was refused, the operator asks who it is itself: that is whom the role has to trust.
async fn unreachable(target: Target, cause: Cause, context: &Context) -> Outcome {
    let is_refused = target.role_name.is_some() && cause.missing_action.as_deref() == Some(ASSUME_ROLE);
    let caller = if is_refused { context.caller(&target).await.ok() } else { None };
    let trust_statement = caller.and_then(|caller| statement(&caller.caller_arn, target.external_id.as_deref()));
    let error = AssessError::Unreachable { account_id: target.account_id, cause };
    Outcome::Failed { error, trust_statement }
}

/// The statement as it is pasted into the trust policy.
fn statement(caller_arn: &str, external_id: Option<&str>) -> Option<String> {
    let text = serde_json::to_string_pretty(&trust_statement(caller_arn, external_id)).ok()?;
    (text.len() <= STATEMENT_BYTES).then_some(text)
}

async fn describe(
    account: &AwsAccount,
    trigger: &Trigger,
    identity: AccountIdentity,
    cloud: &dyn Cloud,
    external_id: ExternalId,
) -> Verified {
    let alias = cloud.account_alias().await;
    let regions = cloud.regions().await;
    let unread = [alias.read().err(), regions.read().err()];
    let notes: Vec<String> = unread.into_iter().flatten().map(|cause| one_line(&cause.message)).collect();
    let regions = regions.value().map(|regions| {
        let enabled = regions.iter().filter(|region| region.enabled).map(|region| region.name.clone());
        (enabled.collect::<Vec<_>>(), RegionSelection::from(&account.spec).of(regions))
    });
    let status = account.status.clone().unwrap_or_default();
    let details = match &regions {
        Some((enabled, scope)) => details(&status, trigger, enabled, scope, cloud, now()).await,
        None => super::Details::default(),
    };
    Verified {
        caller_arn: identity.caller_arn,
        alias: alias.value().cloned().flatten(),
        regions,
        note: (!notes.is_empty()).then(|| notes.join("; ")),
        external_id,
        details,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_statement_trusts_the_role_of_the_session_and_demands_the_external_id() {
        let caller = "arn:aws-cn:sts::111111111111:assumed-role/plumbline/i-0abc";
        let written: Value = serde_json::from_str(&statement(caller, Some("0f6c9a")).unwrap()).unwrap();
        let expected = json!({
            "Sid": "PlumblineOperator",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws-cn:iam::111111111111:role/plumbline"},
            "Action": ["sts:AssumeRole"],
            "Condition": {"StringEquals": {"sts:ExternalId": "0f6c9a"}},
        });
        assert_eq!(written, expected);
        let user = "arn:aws:iam::111111111111:user/operator";
        let written: Value = serde_json::from_str(&statement(user, None).unwrap()).unwrap();
        assert_eq!((&written["Principal"]["AWS"], &written["Condition"]), (&json!(user), &Value::Null));
    }

    #[test]
    fn p15_a_statement_out_of_all_proportion_is_left_out_and_any_other_stays_json() {
        let caller = |length| format!("arn:aws:iam::111111111111:user/{}", "x".repeat(length));
        assert_eq!(statement(&caller(STATEMENT_BYTES), None), None);
        let odd = statement("arn:aws:iam::111111111111:user/\u{1b}[31m\"", Some(&"x".repeat(1224))).unwrap();
        assert!(!odd.contains('\u{1b}'), "{odd}");
        assert!(serde_json::from_str::<Value>(&odd).is_ok());
    }
}
