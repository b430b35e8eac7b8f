//! From what ended a change to what its record says about it. No IO, no clock.

use jiff::Timestamp;

use super::super::entry::line;
use crate::baseline::change::WriteOperation;
use crate::baseline::history::{Outcome, SettledReason};
use crate::baseline::{Cause, CauseClass};
use crate::engine::ledger::Settlement;

/// The most bytes of a settlement's message.
const MESSAGE_MAX: usize = 1024;

/// What was refused.
pub(super) enum Refusal<'a> {
    /// A session, a read, a dry run that said nothing, a call that never left.
    BeforeCall(&'a Cause),
    /// The call itself, or its dry run.
    ByCall(&'a Cause),
}

fn settlement(outcome: Outcome, reason: SettledReason, message: &str, now: Timestamp) -> Settlement {
    Settlement { outcome, reason, message: line(message, MESSAGE_MAX), missing_action: None, at: now }
}

pub(super) fn not_applied(reason: SettledReason, why: &str, now: Timestamp) -> Settlement {
    settlement(Outcome::NotApplied, reason, why, now)
}

pub(super) fn applied(answered: bool, now: Timestamp) -> Settlement {
    let message = if answered {
        "AWS shows the new value"
    } else {
        "the answer to the call was lost, and AWS shows the new value"
    };
    settlement(Outcome::Succeeded, SettledReason::Applied, message, now)
}

pub(super) fn found_applied(now: Timestamp) -> Settlement {
    let message = "AWS shows the new value, and no call of this process is known to have made it";
    settlement(Outcome::Succeeded, SettledReason::FoundApplied, message, now)
}

pub(super) fn not_shown(answered: bool, why: &str, now: Timestamp) -> Settlement {
    let call = if answered { "AWS said that the call was made" } else { "the answer to the call was lost" };
    settlement(Outcome::Failed, SettledReason::NotShown, &format!("{call}, but {why}"), now)
}

pub(super) fn interrupted(now: Timestamp) -> Settlement {
    let message = "the process ended before the call took effect: AWS shows the value from before";
    settlement(Outcome::NotApplied, SettledReason::Interrupted, message, now)
}

/// Whether it was made and then changed by others cannot be told: only that neither value is there.
pub(super) fn moved_since(why: &str, now: Timestamp) -> Settlement {
    let message = format!("the process ended before it read the change back, and meanwhile {why}");
    settlement(Outcome::NotApplied, SettledReason::ResourceMoved, &message, now)
}

pub(super) fn unverifiable(why: &str, now: Timestamp) -> Settlement {
    let message = format!("what became of it could not be read for a day: {why}");
    settlement(Outcome::Unverifiable, SettledReason::Unreadable, &message, now)
}

/// Nothing was changed, because something was refused.
pub(super) fn refused(refusal: &Refusal<'_>, operation: WriteOperation, now: Timestamp) -> Settlement {
    let (Refusal::BeforeCall(cause) | Refusal::ByCall(cause)) = refusal;
    let reason = match (cause.class, refusal) {
        (CauseClass::AccessDenied | CauseClass::DeniedByOrganization | CauseClass::Credentials, _) => {
            SettledReason::Denied
        }
        // What may pass by itself is no fault of the change: it is tried again, and not counted as a failure.
        (_, Refusal::BeforeCall(_)) => SettledReason::NotRead,
        (class, Refusal::ByCall(_)) if class.may_pass() => SettledReason::NotRead,
        (_, Refusal::ByCall(_)) => SettledReason::Refused,
    };
    let missing = match (cause.class, refusal) {
        (CauseClass::AccessDenied, Refusal::ByCall(cause)) => {
            Some(cause.missing_action.clone().unwrap_or_else(|| operation.action().to_owned()))
        }
        (CauseClass::AccessDenied, Refusal::BeforeCall(cause)) => cause.missing_action.clone(),
        _ => None,
    };
    let message = match (cause.class, &missing) {
        (CauseClass::AccessDenied, Some(action)) => format!("the role lacks {action}: {}", cause.message),
        (CauseClass::DeniedByOrganization, _) => {
            format!("a policy of the organization denies it, whatever the role allows: {}", cause.message)
        }
        (CauseClass::Credentials, _) => format!("no session could be had: {}", cause.message),
        _ => cause.message.clone(),
    };
    Settlement { missing_action: missing, ..settlement(Outcome::NotApplied, reason, &message, now) }
}
