//! One pass over an `AwsAccount`: is it reachable, is it the declared one, which regions does it have, and, once a day
//! where that is asked for, do its roles demand the external id. Once a day too: the zones of its regions, and quotas.
//! Writes status.
//!
//! Between two looks status is written only where an evaluation counted something anew, and nothing is read for that.

mod details;
mod external_id;
mod look;
mod quotas;
mod regions;
mod status;

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use kube::runtime::controller::Action;
use tracing::{Instrument, error_span, info, warn};

use self::details::Details;
use self::external_id::ExternalId;
use self::look::look;
use self::status::{next_status, recounted};
use super::Guarded;
use super::conditions::is_to_be_retried;
use super::context::{Context, now, requested_at, until};
use super::events::{reconcile_id, tell_all};
use super::schedule::{Ending, Handled, Trigger, after, due, looked_since};
use super::transitions;
use super::write::{WithStatus, WriteError, write_status};
use crate::api::{AwsAccount, AwsAccountStatus};
use crate::engine::{AssessError, RegionsInScope};

/// How often an account is looked at if nothing changes: its alias and its regions rarely do.
const INTERVAL: Duration = Duration::from_hours(1);

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
    Verified(Box<Verified>),
    Failed {
        error: AssessError,
        /// The statement that the role's trust policy needs, where AWS refused that the role is assumed.
        trust_statement: Option<String>,
    },
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
    details: Details,
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
        write_counts(account, &uid, &context).await?;
        return Ok(Action::requeue(until(due_at)));
    }
    let (account_id, reconcile_id) = (account.spec.account_id.as_str(), reconcile_id());
    let began = now();
    let span = error_span!("account", account = account.name_any(), account_id, reconcile_id);
    let outcome = tokio::select! {
        biased;
        () = context.stop.cancelled() => return Ok(Action::await_change()),
        outcome = look(account, &trigger, &context).instrument(span.clone()) => outcome,
    };
    let ending = span.in_scope(|| tell(&outcome));
    let (at, usage) = (now(), context.usages.get(&uid));
    let written = write_status(&context.client, account, |stored| {
        let before = stored.status.clone().unwrap_or_default();
        if looked_since(before.last_verified_at, began, at) {
            before
        } else {
            next_status(&before, &trigger, &outcome, &usage, at)
        }
    })
    .instrument(span.clone())
    .await;
    // Where status is refused for good, AWS must not be asked again and again for nothing.
    let ending = if written.is_ok() { ending } else { Ending::Failed };
    if let Ok(written) = &written {
        context.usages.written(&uid, &usage);
        span.in_scope(|| tell_all(&context.told, account, written.as_ref(), transitions::of_account));
    }
    let attempt = after(trigger.clone(), memory.as_ref(), ending, INTERVAL, now(), fastrand::f64());
    let next = Action::requeue(until(attempt.next_at));
    context.account_attempts.set(&uid, attempt, &context.accounts);
    written.map(|_| next)
}

/// Writes what evaluations of this process counted since the last look, once.
async fn write_counts(account: &AwsAccount, uid: &str, context: &Context) -> Result<(), WriteError> {
    let Some(usage) = context.usages.unwritten(uid) else { return Ok(()) };
    let at = now();
    write_status(&context.client, account, |stored| recounted(&stored.status.clone().unwrap_or_default(), &usage, at))
        .await?;
    context.usages.written(uid, &usage);
    Ok(())
}

fn trigger(account: &AwsAccount) -> Trigger {
    Trigger {
        generation: account.metadata.generation.unwrap_or_default(),
        account_generation: None,
        account_uid: None,
        requested_at: requested_at(account),
        exceptions: None,
        approvals: None,
    }
}

fn handled(account: &AwsAccount) -> Option<Handled> {
    let status = account.status.as_ref().filter(|status| !is_to_be_retried(&status.conditions))?;
    let trigger = Trigger {
        generation: status.observed_generation,
        account_generation: None,
        account_uid: None,
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
            let is_known = !matches!(verified.external_id, ExternalId::NotKnown(_));
            if is_known { Ending::Complete } else { Ending::Partial }
        }
        Outcome::Failed { error, trust_statement: _ } => {
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
