//! One pass over an `AwsAccount`: is it reachable, is it the declared one, which regions does it have, and, once a day
//! where that is asked for, do its roles demand the external id. Writes status.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::runtime::controller::Action;
use tracing::{Instrument, error_span, info, warn};

use super::Guarded;
use super::conditions::Conditions;
use super::context::{Context, now, requested_at, until};
use super::entries::one_line;
use super::events::{reconcile_id, tell_all};
use super::schedule::{Ending, Handled, Trigger, after, due};
use super::status::count;
use super::transitions;
use super::write::{WithStatus, WriteError, write_status};
use crate::api::{AwsAccount, AwsAccountStatus, ConditionStatus, ConditionType, Reason};
use crate::engine::cloud::{Cloud, Target};
use crate::engine::{AssessError, RegionSelection, RegionsInScope, verify};

/// How often an account is looked at if nothing changes: its alias and its regions rarely do.
const INTERVAL: Duration = Duration::from_hours(1);

/// How often it is checked that the roles demand the external id: each check is an `AccessDenied` in the account's log.
const EXTERNAL_ID_EVERY: SignedDuration = SignedDuration::from_hours(24);

impl WithStatus for AwsAccount {
    type Status = AwsAccountStatus;

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }

    fn set_status(&mut self, status: Self::Status) {
        self.status = Some(status);
    }
}

/// What a look at an account came to.
enum Outcome {
    Verified(Verified),
    Failed(AssessError),
    Suspended,
}

/// What a reachable account said of itself.
struct Verified {
    caller_arn: String,
    alias: Option<String>,
    /// The enabled regions and those that are judged; `None` where they could not be listed.
    regions: Option<(Vec<String>, RegionsInScope)>,
    /// What could not be read, for people.
    note: Option<String>,
    external_id: ExternalId,
}

/// Whether the roles demand the external id.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ExternalId {
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

/// Decides whether the account is due, and looks at it if so.
pub(super) async fn reconcile(account: Arc<Guarded<AwsAccount>>, context: Arc<Context>) -> Result<Action, WriteError> {
    let account = match &account.0 {
        Ok(account) => account,
        Err(invalid) => {
            let name = invalid.metadata.name.as_deref().unwrap_or_default();
            warn!(account = name, error = invalid.error, "this version cannot read the object; the others go on");
            return Ok(Action::await_change());
        }
    };
    if !context.settings.selector.matches(account.labels()) {
        return Ok(Action::await_change());
    }
    let trigger = trigger(account);
    let uid = account.uid().unwrap_or_default();
    let memory = context.account_attempts.get(&uid);
    let due_at = due(&trigger, memory.as_ref(), handled(account).as_ref(), INTERVAL, now());
    if due_at > now() {
        return Ok(Action::requeue(until(due_at)));
    }
    let (account_id, reconcile_id) = (account.spec.account_id.as_str(), reconcile_id());
    let span = error_span!("account", account = account.name_any(), account_id, reconcile_id);
    let outcome = tokio::select! {
        outcome = look(account, &context).instrument(span.clone()) => outcome,
        () = context.stop.cancelled() => return Ok(Action::await_change()),
    };
    let ending = span.in_scope(|| tell(&outcome));
    let at = now();
    let written = write_status(&context.client, account, |stored| {
        next_status(&stored.status.clone().unwrap_or_default(), &trigger, &outcome, at)
    })
    .instrument(span.clone())
    .await;
    // Where status is refused for good, AWS must not be asked again and again for nothing.
    let ending = if written.is_ok() { ending } else { Ending::Failed };
    if let Ok(written) = &written {
        span.in_scope(|| tell_all(&context.told, account, written.as_ref(), transitions::of_account));
    }
    let attempt = after(trigger.clone(), memory.as_ref(), ending, INTERVAL, now(), fastrand::f64());
    let next = Action::requeue(until(attempt.next_at));
    context.account_attempts.set(&uid, attempt, &context.accounts);
    written.map(|_| next)
}

async fn look(account: &AwsAccount, context: &Context) -> Outcome {
    if account.spec.suspend {
        return Outcome::Suspended;
    }
    let target = Target::new(&account.spec, "account");
    let cloud = match context.provider.cloud(&target, context.settings.account_timeout).await {
        Ok(cloud) => cloud,
        Err(cause) => return Outcome::Failed(AssessError::Unreachable { account_id: target.account_id, cause }),
    };
    match verify(&target.account_id, &*cloud).await {
        Ok(identity) => {
            let external_id = external_id(account, context).await;
            Outcome::Verified(describe(account, identity.caller_arn, &*cloud, external_id).await)
        }
        Err(error) => Outcome::Failed(error),
    }
}

/// Tries to assume each role without the external id, where that is due.
async fn external_id(account: &AwsAccount, context: &Context) -> ExternalId {
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

fn external_id_is_due(account: &AwsAccount, now: Timestamp) -> bool {
    let status = account.status.clone().unwrap_or_default();
    let edited = account.metadata.generation != Some(status.observed_generation);
    let at = status.external_id_verified_at;
    edited || at.is_none_or(|at| at.duration_until(now) >= EXTERNAL_ID_EVERY)
}

async fn describe(account: &AwsAccount, caller_arn: String, cloud: &dyn Cloud, external_id: ExternalId) -> Verified {
    let alias = cloud.account_alias().await;
    let regions = cloud.regions().await;
    let unread = [alias.read().err(), regions.read().err()];
    let notes: Vec<String> = unread.into_iter().flatten().map(|cause| one_line(&cause.message)).collect();
    Verified {
        caller_arn,
        alias: alias.value().cloned().flatten(),
        regions: regions.value().map(|regions| {
            let enabled = regions.iter().filter(|region| region.enabled).map(|region| region.name.clone()).collect();
            (enabled, RegionSelection::from(&account.spec).of(regions))
        }),
        note: (!notes.is_empty()).then(|| notes.join("; ")),
        external_id,
    }
}

fn next_status(previous: &AwsAccountStatus, trigger: &Trigger, outcome: &Outcome, now: Timestamp) -> AwsAccountStatus {
    let mut next = previous.clone();
    let mut conditions = Conditions::new(&mut next.conditions, trigger.generation, now);
    match outcome {
        Outcome::Verified(verified) => {
            conditions.set(ConditionType::Ready, ConditionStatus::True, Reason::Verified, &verified.message());
            conditions.remove(ConditionType::Reconciling);
            conditions.remove(ConditionType::Stalled);
            let verified_at = &mut next.external_id_verified_at;
            set_external_id(&mut conditions, verified_at, &verified.external_id, now);
            next.last_verified_at = Some(now);
            next.caller_arn = Some(one_line(&verified.caller_arn));
            next.alias = verified.alias.as_deref().map(one_line);
            if let Some((enabled, scope)) = &verified.regions {
                next.enabled_regions.clone_from(enabled);
                next.region_count = Some(count(scope.judged.len()));
            }
        }
        Outcome::Failed(error @ AssessError::Unreachable { .. }) => {
            let message = one_line(&error.to_string());
            conditions.set(ConditionType::Ready, ConditionStatus::False, Reason::AccountUnreachable, &message);
            let (status, reason) = (ConditionStatus::True, Reason::ProgressingWithRetry);
            conditions.set(ConditionType::Reconciling, status, reason, &message);
            conditions.remove(ConditionType::Stalled);
            return next;
        }
        Outcome::Failed(error @ AssessError::Mismatch { .. }) => {
            let message = format!("{error}; correct accountId, or the credentials and the role");
            conditions.set(ConditionType::Ready, ConditionStatus::False, Reason::AccountMismatch, &message);
            conditions.set(ConditionType::Stalled, ConditionStatus::True, Reason::AccountMismatch, &message);
            conditions.remove(ConditionType::Reconciling);
        }
        Outcome::Suspended => {
            conditions.keep(ConditionType::Ready, Reason::Suspended, "suspended: status is what was last seen");
            conditions.remove(ConditionType::Reconciling);
            conditions.remove(ConditionType::Stalled);
        }
    }
    next.observed_generation = trigger.generation;
    next.last_handled_reconcile_at.clone_from(&trigger.requested_at);
    next
}

/// What is said of the external id; `verified_at` is when the roles were last asked.
fn set_external_id(
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

impl Verified {
    fn message(&self) -> String {
        let mut message = match &self.regions {
            Some((enabled, scope)) => format!("{} of {} enabled regions are judged", scope.judged.len(), enabled.len()),
            None => "the account answers, but its regions could not be listed".to_owned(),
        };
        if let Some((_, scope)) = &self.regions
            && !scope.not_enabled.is_empty()
        {
            message = format!("{message}; not enabled in the account: {}", scope.not_enabled.join(", "));
        }
        match &self.note {
            Some(note) => format!("{message}; {note}"),
            None => message,
        }
    }
}

fn trigger(account: &AwsAccount) -> Trigger {
    Trigger {
        generation: account.metadata.generation.unwrap_or_default(),
        account_generation: None,
        requested_at: requested_at(account),
        exceptions: None,
        approvals: None,
    }
}

fn handled(account: &AwsAccount) -> Option<Handled> {
    let status = account.status.as_ref()?;
    let trigger = Trigger {
        generation: status.observed_generation,
        account_generation: None,
        requested_at: status.last_handled_reconcile_at.clone(),
        exceptions: None,
        approvals: None,
    };
    Some(Handled { trigger, at: status.last_verified_at?, next_change_at: None })
}

fn tell(outcome: &Outcome) -> Ending {
    match outcome {
        Outcome::Verified(verified) => {
            info!(caller = verified.caller_arn, "verified");
            Ending::Complete
        }
        Outcome::Failed(error) => {
            warn!(%error, "not reachable");
            match error {
                AssessError::Unreachable { .. } => Ending::Failed,
                AssessError::Mismatch { .. } => Ending::Stalled,
            }
        }
        Outcome::Suspended => {
            info!("suspended");
            Ending::Stalled
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::AwsAccountSpec;

    const DAY: i64 = 86_400;

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn trigger() -> Trigger {
        Trigger { generation: 1, ..Trigger::default() }
    }

    fn looked(previous: &AwsAccountStatus, external_id: ExternalId, at: i64) -> AwsAccountStatus {
        let verified = Verified { caller_arn: String::new(), alias: None, regions: None, note: None, external_id };
        next_status(previous, &trigger(), &Outcome::Verified(verified), time(at))
    }

    fn said(status: &AwsAccountStatus) -> Option<(&str, &str)> {
        let condition = status.conditions.iter().find(|condition| condition.r#type == "ExternalIdEnforced");
        condition.map(|condition| (condition.status.as_str(), condition.reason.as_str()))
    }

    fn is_due(status: &AwsAccountStatus, generation: i64, now: i64) -> bool {
        let mut account = AwsAccount::new("payments", AwsAccountSpec::default());
        account.metadata.generation = Some(generation);
        account.status = Some(status.clone());
        external_id_is_due(&account, time(now))
    }

    #[test]
    fn roles_are_asked_once_a_day_and_after_an_edit() {
        let demanded = looked(&AwsAccountStatus::default(), ExternalId::Demanded, 10);
        assert_eq!(said(&demanded), Some(("True", "ExternalIdVerified")));
        assert!(!is_due(&demanded, 1, DAY) && is_due(&demanded, 1, DAY + 10) && is_due(&demanded, 2, 11));
        let later = looked(&demanded, ExternalId::AsBefore, 3_600);
        assert_eq!((said(&later), later.external_id_verified_at), (said(&demanded), Some(time(10))));
        let nobody = looked(&later, ExternalId::NotAsked, 7_200);
        assert_eq!((said(&nobody), nobody.external_id_verified_at), (None, None));
    }

    #[test]
    fn a_role_that_is_open_to_anybody_is_named_and_asked_again_with_the_next_look() {
        let before = looked(&AwsAccountStatus::default(), ExternalId::Demanded, 10);
        let open = looked(&before, ExternalId::NotDemanded("PlumblineEnforce".to_owned()), DAY);
        assert_eq!(said(&open), Some(("False", "ExternalIdNotEnforced")));
        let condition = open.conditions.iter().find(|condition| condition.r#type == "ExternalIdEnforced").unwrap();
        assert!(condition.message.contains("role PlumblineEnforce can be assumed"), "{condition:?}");
        assert!(is_due(&open, 1, DAY + 1));
        let unknown = looked(&before, ExternalId::NotKnown("no answer".to_owned()), DAY);
        assert_eq!(said(&unknown), Some(("Unknown", "ExternalIdNotEnforced")));
        assert!(is_due(&unknown, 1, DAY + 1));
    }
}
