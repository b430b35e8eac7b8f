//! From a change to the record that is committed before it is made. No IO, no clock.
//!
//! Whatever AWS's names and messages hold, the record fits the bounds of its kind: texts for people are cut by bytes,
//! at a character, and have no control characters. Values are never cut: they are what an undo restores.

use jiff::Timestamp;

use super::Claimant;
use crate::api::{ChangeRecordSpec, RecordedBaseline, RecordedChange, RecordedFinding};
use crate::baseline::change::Change;
use crate::baseline::history::History;
use crate::engine::ledger::{Entry, record_name};

/// The bounds of [`ChangeRecordSpec`], in bytes, which are at least as many as characters.
const MESSAGE_MAX: usize = 1024;
const NOTE_MAX: usize = 512;
const WORD_MAX: usize = 64;
const FINDINGS_MAX: usize = 64;
const INTERFACES_MAX: usize = 16;

/// Why a change is made, beside the finding that it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Warrant<'a> {
    /// The digest of the plan that it belongs to.
    pub plan_digest: Option<&'a str>,
    /// The `PlanApproval` that covers it.
    pub approval: Option<&'a str>,
    /// The record that it undoes.
    pub undoes: Option<&'a str>,
}

/// The record of a change that is claimed now.
#[must_use]
pub fn entry(change: &Change, claimant: &Claimant, warrant: Warrant<'_>, history: &History, now: Timestamp) -> Entry {
    let Change { action, resource, answers } = change;
    let account_id = claimant.target.account_id.as_str();
    let meaning = change.meaning(account_id);
    let ordinal = history.ordinal(&meaning);
    let finding = |answered: &crate::baseline::change::Answered| RecordedFinding {
        id: line(&answered.id, WORD_MAX),
        check: line(answered.check.as_str(), WORD_MAX),
        message: line(&answered.message, MESSAGE_MAX),
    };
    let baseline = &claimant.baseline;
    let spec = ChangeRecordSpec {
        account_id: account_id.into(),
        partition: claimant.partition.clone(),
        baseline: RecordedBaseline {
            requested_at: baseline.requested_at.as_deref().map(|value| line(value, NOTE_MAX)),
            ..baseline.clone()
        },
        control: action.control().as_str().to_owned(),
        findings: answers.iter().take(FINDINGS_MAX).map(finding).collect(),
        operation: action.operation().name().to_owned(),
        inverse: action.inverse().operation().name().to_owned(),
        not_undone: action.not_undone().map(|what| line(what, NOTE_MAX)),
        resource: resource.clone(),
        region: action.region().map(ToOwned::to_owned),
        target: change.target(account_id),
        ordinal,
        plan_digest: warrant.plan_digest.map(ToOwned::to_owned),
        approval: warrant.approval.map(ToOwned::to_owned),
        undoes: warrant.undoes.map(ToOwned::to_owned),
        claimed_at: now,
        claimed_by: line(&claimant.claimed_by, NOTE_MAX),
        change: bounded(action.recorded()),
        meaning,
    };
    Entry { name: record_name(account_id, &spec.meaning, ordinal), spec }
}

/// What was read only to inform people has bounds, and no part in the change's meaning.
fn bounded(mut recorded: RecordedChange) -> RecordedChange {
    if let Some(rule) = &mut recorded.security_group_rule {
        rule.group_name = rule.group_name.as_deref().map(|name| line(name, NOTE_MAX));
        rule.attached_interfaces.truncate(INTERFACES_MAX);
    }
    recorded
}

/// One line of at most so many bytes: control characters are spaces, what is too long ends in an ellipsis.
pub(super) fn line(text: &str, max: usize) -> String {
    const ELLIPSIS: &str = "...";
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.len() <= max {
        return clean;
    }
    let room = max.saturating_sub(ELLIPSIS.len());
    let mut kept = String::with_capacity(max);
    for character in clean.chars() {
        if kept.len() + character.len_utf8() > room {
            break;
        }
        kept.push(character);
    }
    kept + ELLIPSIS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::change::{Action, Answered};
    use crate::engine::enforce::tests::scenario::{claimant, kinds};
    use crate::engine::fake::at;

    #[test]
    fn a_text_for_people_is_one_line_and_no_longer_than_its_bound() {
        assert_eq!(line("a\nb\u{1b}[31mc", 64), "a b [31mc");
        assert_eq!(line(&"ä".repeat(40), 64).len(), 63, "it is cut at a character");
        assert!(line(&"ä".repeat(40), 64).ends_with("..."));
        assert_eq!(line("short", 5), "short");
    }

    #[test]
    fn p15_whatever_names_and_messages_hold_the_record_fits_and_means_the_same() {
        for scenario in kinds() {
            let mut change = scenario.changes[0].clone();
            let answered = Answered { message: "\u{0}x".repeat(5000), ..change.answers[0].clone() };
            change.answers = vec![answered; 100];
            let claimant = Claimant { claimed_by: "p\n".repeat(1000), ..claimant() };
            if let Action::SecurityGroupRule(rule) = &mut change.action {
                rule.group_name = Some("n\t".repeat(1000));
                rule.attached_interfaces = vec!["eni-1".to_owned(); 40];
            }
            let Entry { name, spec } = entry(&change, &claimant, Warrant::default(), &History::default(), at());
            assert_eq!(spec.findings.len(), 64);
            assert!(spec.findings.iter().all(|finding| finding.message.len() <= 1024));
            assert_eq!((spec.claimed_by.len(), spec.claimed_by.contains('\n')), (512, false));
            assert!(name.len() <= 253 && name.starts_with("222222222222-"), "{name}");
            let read = Action::from_record(&spec).unwrap();
            assert_eq!(read.meaning("222222222222", &spec.resource), change.meaning("222222222222"));
            if let Some(rule) = spec.change.security_group_rule {
                assert_eq!((rule.group_name.unwrap().len(), rule.attached_interfaces.len()), (512, 16));
            }
        }
    }
}
