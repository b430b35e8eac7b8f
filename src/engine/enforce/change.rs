//! The machine for one change: from the answers so far to what is asked next. No IO, no clock.
//!
//! The call that changes AWS is asked for once at most, only after the record is committed, the intent was read afresh,
//! the session is in the declared account, AWS shows the value from before and this process leads for as long as the
//! call may take; never by a machine that was made from a record, and never later than [`START_WITHIN`] after the
//! claim, so that whoever settles the record after [`GRACE`] finds nothing in flight.

mod answer;
mod settlement;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::baseline::change::{Action, Position, ResourceState, WriteOperation};
use crate::baseline::{AccountIdentity, Cause, Control, Observed};
use crate::engine::cloud::{Applied, CHANGE_TIMEOUT, DryRun};
use crate::engine::ledger::{Claim, Entry, LedgerError, Settlement, Wanted};

/// The longest that the call which changes AWS may take: then its answer counts as lost. Leadership must hold for as
/// long. The writer gives up a little earlier by itself, since it alone knows whether the call was sent.
pub const CALL_TIMEOUT: Duration = CHANGE_TIMEOUT.saturating_add(Duration::from_secs(1));

/// A record that is older is not begun any more.
pub const START_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// A record of an earlier process is settled as not applied only when it is older than this: until then its call may
/// still be landing. [`START_WITHIN`] and [`CALL_TIMEOUT`], and as much again as half of both for clocks that differ.
pub const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// A record whose resource could not be read for so long will not be known.
pub const UNVERIFIABLE_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// IAM is eventually consistent: changes show within seconds, rarely later.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency>
const IAM_SHOWS_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// EC2 is eventually consistent too, within less; S3 shows a bucket's configuration at once or a little later.
const OTHERS_SHOW_WITHIN: SignedDuration = SignedDuration::from_secs(15);

/// How long a call whose answer was lost may take to land and to show.
const LOST_SHOWS_WITHIN: SignedDuration = SignedDuration::from_secs(45);

/// Between two reads of the same thing.
const READ_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(2);

/// How often a read before the call is asked for.
const READ_TRIES: u32 = 3;

/// How often a claim is asked for.
const CLAIM_TRIES: u32 = 3;

/// How often a settlement is asked for: after 1, 2, 4 and 8 seconds again.
const SETTLE_TRIES: u32 = 5;

/// What a machine asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Request<'a> {
    /// Commit the record.
    Claim(&'a Entry),
    /// Read afresh whether the change is still wanted, under the approval that covers it.
    ReadIntent(Control, Option<&'a str>),
    /// Open the session for this one change.
    OpenSession(&'a Action),
    /// Ask the session who it is.
    Identify,
    /// Read the resource.
    Read(&'a Action),
    /// Ask EC2 whether it would allow the call.
    DryRun(&'a Action),
    /// Whether this process leads for so long.
    Lead(Duration),
    /// Make the change, with one attempt.
    Apply(&'a Action),
    /// Write the outcome into the record.
    Settle(&'a Entry, &'a Settlement),
    /// Wait until then.
    Wait(Timestamp),
}

/// What a machine is told. Each belongs to the request of its name.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To [`Request::Claim`].
    Claimed(Result<Claim, LedgerError>),
    /// To [`Request::ReadIntent`].
    Wanted(Wanted),
    /// To [`Request::OpenSession`].
    Opened(Result<(), Cause>),
    /// To [`Request::Identify`].
    Identified(Result<AccountIdentity, Cause>),
    /// To [`Request::Read`].
    Read(Observed<ResourceState>),
    /// To [`Request::DryRun`].
    DryRun(DryRun),
    /// To [`Request::Lead`].
    Leads(bool),
    /// To [`Request::Apply`].
    Applied(Applied),
    /// To [`Request::Settle`].
    Settled(Result<(), LedgerError>),
    /// To [`Request::Wait`].
    Waited,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next<'a> {
    /// A request, whose answer the machine waits for.
    Ask(Request<'a>),
    /// Nothing: it is over.
    End(&'a Ended),
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The outcome is known and written.
    Settled(Settlement),
    /// The record is committed and has no outcome.
    Unsettled {
        /// Why, as a sentence without a period.
        message: String,
        /// When to look again, where time alone decides.
        until: Option<Timestamp>,
    },
    /// The record is not known to be committed, as ours: nothing was done. Why, as a sentence without a period.
    NotRecorded(String),
    /// A rehearsal: nothing was recorded and nothing changed. `None` where the change would be made now; else what
    /// would become of it.
    Rehearsed(Option<Settlement>),
}

/// What a machine is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// To make the change.
    Make,
    /// To find out whether it would be made.
    Rehearse,
    /// To find out what became of a record without outcome.
    Resume,
}

/// What the machine waits for.
#[derive(Clone, Debug, PartialEq)]
enum State {
    Claiming,
    /// Before anything is asked of AWS.
    ReadingIntent,
    Opening,
    Identifying,
    /// Once more, directly before the resource is read: to open a session takes time.
    ConfirmingIntent,
    Reading,
    DryRunning,
    Leading,
    Applying,
    ReadingBack(Call),
    /// AWS refused: one read tells whether there is anything left to do.
    ReadingAfterRefusal(Cause),
    Settling(Settlement),
    Waiting {
        until: Timestamp,
        then: Box<State>,
    },
    Ended(Ended),
}

/// The call that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Call {
    /// Whether AWS said that it was made.
    answered: bool,
    /// Until when AWS may take to show it.
    deadline: Timestamp,
}

/// One change on its way from the claim to the outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeMachine {
    entry: Entry,
    action: Action,
    task: Task,
    state: State,
    /// How often the present request was answered by nothing of use.
    tries: u32,
}

impl ChangeMachine {
    /// Makes the change of an entry that is not committed yet.
    #[must_use]
    pub fn make(entry: Entry, action: Action) -> Self {
        Self { entry, action, task: Task::Make, state: State::Claiming, tries: 0 }
    }

    /// Goes as far as that, without a record and without the call.
    #[must_use]
    pub fn rehearse(entry: Entry, action: Action) -> Self {
        Self { entry, action, task: Task::Rehearse, state: State::Opening, tries: 0 }
    }

    /// Finds out what became of a committed record: it reads and settles, and never asks for the call.
    #[must_use]
    pub fn resume(entry: Entry, action: Action) -> Self {
        Self { entry, action, task: Task::Resume, state: State::Opening, tries: 0 }
    }

    /// The record.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// What comes next. It stays the same until it is answered.
    #[must_use]
    pub fn next(&self) -> Next<'_> {
        let action = &self.action;
        Next::Ask(match &self.state {
            State::Claiming => Request::Claim(&self.entry),
            State::ReadingIntent | State::ConfirmingIntent => {
                Request::ReadIntent(action.control(), self.entry.spec.approval.as_deref())
            }
            State::Opening => Request::OpenSession(action),
            State::Identifying => Request::Identify,
            State::Reading | State::ReadingBack(_) | State::ReadingAfterRefusal(_) => Request::Read(action),
            State::DryRunning => Request::DryRun(action),
            State::Leading => Request::Lead(CALL_TIMEOUT),
            State::Applying => Request::Apply(action),
            State::Settling(settlement) => Request::Settle(&self.entry, settlement),
            State::Waiting { until, .. } => Request::Wait(*until),
            State::Ended(ended) => return Next::End(ended),
        })
    }

    /// How it ended; a machine that is dropped on the way leaves its record unsettled.
    #[must_use]
    pub fn into_ended(self) -> (Entry, Ended) {
        let ended = match self.state {
            State::Ended(ended) => ended,
            State::Claiming => Ended::NotRecorded("it was not begun".to_owned()),
            _ => Ended::Unsettled { message: "it was abandoned on the way".to_owned(), until: None },
        };
        (self.entry, ended)
    }

    /// How long AWS may take to show the change.
    fn shows_within(&self) -> SignedDuration {
        match self.action.operation() {
            WriteOperation::UpdateAccountPasswordPolicy
            | WriteOperation::DeleteAccountPasswordPolicy
            | WriteOperation::AttachUserPolicy
            | WriteOperation::DetachUserPolicy => IAM_SHOWS_WITHIN,
            WriteOperation::RevokeSecurityGroupIngress
            | WriteOperation::RevokeSecurityGroupEgress
            | WriteOperation::AuthorizeSecurityGroupIngress
            | WriteOperation::AuthorizeSecurityGroupEgress
            | WriteOperation::PutBucketEncryption
            | WriteOperation::DeleteBucketEncryption
            | WriteOperation::PutBucketPolicy
            | WriteOperation::DeleteBucketPolicy => OTHERS_SHOW_WITHIN,
        }
    }

    /// Where AWS stands, or why that is not known.
    fn position(&self, read: &Observed<ResourceState>) -> Result<Position, Cause> {
        read.read().map(|(state, _)| self.action.position(state)).map_err(Cause::clone)
    }

    /// How old the record is.
    fn age(&self, now: Timestamp) -> SignedDuration {
        self.entry.spec.claimed_at.duration_until(now)
    }
}
