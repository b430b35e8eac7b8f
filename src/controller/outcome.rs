//! What a pass over a baseline came to, for the schedule and for the log. Writes log lines alone.

use tracing::{info, warn};

use super::schedule::Ending;
use super::status::Outcome;
use crate::baseline::{Finding, Summary};
use crate::engine::AssessError;

/// How it ended, as far as the next pass depends on it.
pub(super) fn ending(outcome: &Outcome) -> Ending {
    match outcome {
        Outcome::Evaluated(evaluated) => {
            let may_pass = |finding: &Finding| finding.cause().is_some_and(|cause| cause.class.may_pass());
            if evaluated.assessment.findings.iter().any(may_pass) { Ending::Partial } else { Ending::Complete }
        }
        Outcome::Failed(AssessError::Unreachable { .. }) => Ending::Failed,
        Outcome::Failed(AssessError::Mismatch { .. })
        | Outcome::AccountNotFound { .. }
        | Outcome::AccountUnreadable { .. }
        | Outcome::Suspended { .. } => Ending::Stalled,
    }
}

/// One line per pass.
pub(super) fn tell(outcome: &Outcome) {
    match outcome {
        Outcome::Evaluated(evaluated) => {
            let Summary { pass, fail, unknown, exempt, .. } = Summary::of(&evaluated.assessment.findings);
            let planned = &evaluated.planned;
            if planned.enforces {
                let (changes, made) = (planned.plan.changes.len(), planned.made);
                let blocked = planned.blocked().map(|(reason, _)| reason.as_str());
                info!(pass, fail, unknown, exempt, made, changes, blocked, "evaluated and enforced");
            } else {
                info!(pass, fail, unknown, exempt, "evaluated");
            }
        }
        Outcome::AccountNotFound { name } => info!(name, "waiting for an AwsAccount that does not exist"),
        Outcome::AccountUnreadable { name, error } => warn!(name, error, "the AwsAccount cannot be read"),
        Outcome::Failed(error) => warn!(%error, "not evaluated"),
        Outcome::Suspended { what } => info!(what, "suspended"),
    }
}
