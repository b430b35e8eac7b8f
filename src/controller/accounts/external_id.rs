//! Whether the roles of an account demand its external id: asked of AWS once a day, said as a condition. IO through the
//! provider alone.

use jiff::{SignedDuration, Timestamp};

use crate::api::{AwsAccount, ConditionStatus, ConditionType, Reason};
use crate::controller::conditions::Conditions;
use crate::controller::context::{Context, now};
use crate::controller::entries::one_line;
use crate::engine::cloud::Target;

/// How often it is checked that the roles demand the external id: each check is an `AccessDenied` in the account's log.
const EXTERNAL_ID_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// Whether the roles demand the external id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ExternalId {
    /// Nobody asked.
    NotAsked,
    /// It was checked within a day.
    AsBefore,
    /// They do.
    Demanded,
    /// This one does not.
    NotDemanded(String),
    /// It could not be found out.
    NotKnown(String),
}

/// Tries to assume each role without the external id, where that is due.
pub(super) async fn external_id(account: &AwsAccount, context: &Context) -> ExternalId {
    if !account.spec.verify_external_id {
        return ExternalId::NotAsked;
    }
    if !external_id_is_due(account, now()) {
        return ExternalId::AsBefore;
    }
    let audit = Target::new(&account.spec, "account");
    let targets =
        [Some(audit).filter(|target| target.role_name.is_some()), Target::to_enforce(&account.spec, "account")];
    for target in targets.into_iter().flatten() {
        let role = target.role_name.clone().unwrap_or_default();
        match context.provider.assumable_without(&target).await {
            Ok(false) => {}
            Ok(true) => return ExternalId::NotDemanded(role),
            Err(cause) => return ExternalId::NotKnown(format!("{role}: {}", cause.message)),
        }
    }
    ExternalId::Demanded
}

pub(super) fn external_id_is_due(account: &AwsAccount, now: Timestamp) -> bool {
    let status = account.status.clone().unwrap_or_default();
    let edited = account.metadata.generation != Some(status.observed_generation);
    let at = status.external_id_verified_at;
    edited || at.is_none_or(|at| at.duration_until(now) >= EXTERNAL_ID_EVERY)
}

/// What is said of the external id; `verified_at` is when the roles were last asked.
pub(super) fn set_external_id(
    conditions: &mut Conditions<'_>,
    verified_at: &mut Option<Timestamp>,
    external_id: &ExternalId,
    now: Timestamp,
) {
    let kind = ConditionType::ExternalIdEnforced;
    match external_id {
        ExternalId::NotAsked => {
            conditions.remove(kind);
            *verified_at = None;
        }
        ExternalId::AsBefore => {}
        ExternalId::Demanded => {
            let message = "no role of the account can be assumed without its external id";
            conditions.set(kind, ConditionStatus::True, Reason::ExternalIdVerified, message);
            *verified_at = Some(now);
        }
        ExternalId::NotDemanded(role) => {
            let advice = "demand sts:ExternalId in its trust policy; nothing in the account is changed until then";
            let message = one_line(&format!("role {role} can be assumed without the external id: {advice}"));
            conditions.set(kind, ConditionStatus::False, Reason::ExternalIdNotEnforced, &message);
            // Asked again with the next look: it may have been corrected.
            *verified_at = None;
        }
        ExternalId::NotKnown(why) => {
            let message = one_line(&format!("whether the roles demand the external id could not be checked: {why}"));
            conditions.set(kind, ConditionStatus::Unknown, Reason::ExternalIdNotEnforced, &message);
            *verified_at = None;
        }
    }
}
