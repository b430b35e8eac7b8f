//! What every [`CloudWriter`] and every [`Ledger`] does, the fakes and the real ones alike, as cases for any of them.
//!
//! The fakes pass them in the crate's own tests. `tests/it/conformance.rs` includes this file and runs the same
//! functions over an emulator and an API server; so they use nothing that is not public, and the program holds none of
//! them.

use crate::baseline::change::{Action, Change, Position};
use crate::baseline::history::{Outcome, SettledReason};
use crate::engine::cloud::{Applied, CloudWriter, DryRun, Target, WriterProvider};
use crate::engine::ledger::{Claim, Entry, Ledger, Settlement};

use std::time::Duration;

/// How long the real ones may take to show a change.
const PATIENCE: u32 = 60;

async fn position(writer: &dyn CloudWriter, action: &Action) -> Position {
    let state = writer.state(action).await;
    let (state, _) = state.read().unwrap_or_else(|cause| panic!("{} is not read: {cause}", action.operation().name()));
    action.position(state)
}

/// Reads until the position is there.
async fn becomes(writer: &dyn CloudWriter, action: &Action, wanted: &Position) {
    for _ in 0..PATIENCE {
        if position(writer, action).await == *wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(position(writer, action).await, *wanted, "{}", action.operation().name());
}

/// A change whose value from before is what the account has: it is made, made again without harm, and undone.
pub(crate) async fn a_writer_makes_and_undoes(provider: &dyn WriterProvider, target: &Target, change: &Change) {
    let action = &change.action;
    let name = action.operation().name();
    let writer = provider.writer(target, action).await.unwrap_or_else(|cause| panic!("{name}: {cause}"));
    let identity = writer.identity().await.unwrap_or_else(|cause| panic!("{name}: {cause}"));
    assert_eq!(identity.account_id, target.account_id, "{name}: the session is in the declared account");
    assert_eq!(position(writer.as_ref(), action).await, Position::Before, "{name}: the change is still to be made");
    if action.operation().has_dry_run() {
        assert_eq!(writer.dry_run(action).await, DryRun::Allowed, "{name}");
        assert_eq!(position(writer.as_ref(), action).await, Position::Before, "{name}: a dry run changes nothing");
    }
    assert_eq!(writer.apply(action).await, Applied::Done, "{name}");
    becomes(writer.as_ref(), action, &Position::After).await;
    // Whatever AWS says to a second call: everything is as if it had been made by that.
    assert_eq!(writer.apply(action).await, Applied::Done, "{name}: again");
    assert_eq!(position(writer.as_ref(), action).await, Position::After, "{name}: made twice is made");

    let inverse = action.inverse();
    let writer = provider.writer(target, &inverse).await.unwrap_or_else(|cause| panic!("undo of {name}: {cause}"));
    assert_eq!(position(writer.as_ref(), &inverse).await, Position::Before, "undo of {name}: still to be made");
    assert_eq!(writer.apply(&inverse).await, Applied::Done, "undo of {name}");
    becomes(writer.as_ref(), &inverse, &Position::After).await;
}

fn settlement(entry: &Entry, outcome: Outcome, reason: SettledReason) -> Settlement {
    let at = entry.spec.claimed_at;
    Settlement { outcome, reason, message: "as the case says".to_owned(), missing_action: None, at }
}

/// A record is claimed once, found again by its own claimant alone, settled once, and listed until then. The entries
/// are of one meaning: `second` is what the next claim of it looks like.
pub(crate) async fn a_ledger_keeps_its_records(ledger: &dyn Ledger, first: &Entry, second: &Entry) {
    let account_id = first.spec.account_id.as_str();
    assert_eq!(second.spec.ordinal, first.spec.ordinal + 1, "the second follows the first");
    let before = ledger.unsettled(account_id).await.unwrap();

    assert_eq!(ledger.claim(first).await, Ok(Claim::Ours));
    assert_eq!(ledger.claim(first).await, Ok(Claim::Ours), "to claim again after a lost answer is safe");
    let mut theirs = first.clone();
    "another process".clone_into(&mut theirs.spec.claimed_by);
    assert!(matches!(ledger.claim(&theirs).await, Ok(Claim::Theirs(_))), "a name is claimed by one");

    let listed = ledger.unsettled(account_id).await.unwrap();
    assert_eq!(listed.len(), before.len() + 1);
    let found = listed.iter().find(|entry| entry.name == first.name).expect("it is among the unsettled");
    assert_eq!(found.spec, first.spec, "it is read back as it was written");
    assert_eq!(Action::from_record(&found.spec), Action::from_record(&first.spec));
    let history = ledger.history(account_id).await.unwrap();
    assert_eq!(history.ordinal(&first.spec.meaning), first.spec.ordinal, "an open record keeps its number");
    let recent = ledger.recent_changes(first.spec.claimed_at).await.unwrap();
    assert!(recent.contains(&first.spec.claimed_at), "what may have been made counts: {recent:?}");

    let made = settlement(first, Outcome::NotApplied, SettledReason::Interrupted);
    assert_eq!(ledger.settle(&first.name, &made).await, Ok(()));
    assert_eq!(ledger.settle(&first.name, &made).await, Ok(()), "to settle again after a lost answer is safe");
    let other = settlement(first, Outcome::Succeeded, SettledReason::FoundApplied);
    let refused = ledger.settle(&first.name, &other).await.expect_err("an outcome is written once");
    assert!(!refused.may_pass, "{refused}");
    assert!(ledger.settle("no-such-record-0", &made).await.is_err());
    assert!(matches!(ledger.claim(first).await, Ok(Claim::Theirs(_))), "what is settled is nobody's to do");

    let left = ledger.unsettled(account_id).await.unwrap();
    assert!(left.iter().all(|entry| entry.name != first.name));
    let history = ledger.history(account_id).await.unwrap();
    assert_eq!(history.ordinal(&first.spec.meaning), second.spec.ordinal, "the next record has the next number");
    assert_eq!(ledger.claim(second).await, Ok(Claim::Ours));
    let settled = settlement(second, Outcome::Succeeded, SettledReason::Applied);
    assert_eq!(ledger.settle(&second.name, &settled).await, Ok(()));
    assert_eq!(ledger.unsettled(account_id).await.unwrap().len(), before.len());
}
