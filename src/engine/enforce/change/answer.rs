//! From a state and an answer to the next state. No IO, no clock.
//!
//! Whatever the answer is, the machine ends after a bounded number of requests.

use jiff::{SignedDuration, Timestamp};

use super::settlement::{self, Refusal};
use super::{
    Answer, CLAIM_TRIES, Call, ChangeMachine, Ended, GRACE, LOST_SHOWS_WITHIN, READ_AGAIN_AFTER, READ_TRIES,
    SETTLE_TRIES, START_WITHIN, State, Task, UNVERIFIABLE_AFTER,
};
use crate::baseline::change::{Position, ResourceState};
use crate::baseline::history::SettledReason;
use crate::baseline::{AccountIdentity, Cause, Observed};
use crate::engine::cloud::{Applied, DryRun};
use crate::engine::ledger::{Claim, LedgerError, Settlement, Wanted};

impl ChangeMachine {
    /// Takes the answer to the request that [`next`](Self::next) named. An answer to another one ends the machine: who
    /// answers like that cannot be trusted with a change.
    pub fn answer(&mut self, answer: Answer, now: Timestamp) {
        let misled = match &self.state {
            State::Claiming => Ended::NotRecorded("the answer was to another request".to_owned()),
            _ => Ended::Unsettled { message: "the answer was to another request".to_owned(), until: None },
        };
        let state = std::mem::replace(&mut self.state, State::Ended(misled));
        if let Some(state) = self.after(state, answer, now) {
            self.state = state;
        }
    }

    /// `None` where the answer is to another request.
    fn after(&mut self, state: State, answer: Answer, now: Timestamp) -> Option<State> {
        Some(match (state, answer) {
            (State::Claiming, Answer::Claimed(claim)) => self.claimed(claim, now),
            (State::ReadingIntent, Answer::Wanted(wanted)) => self.wanted(wanted, State::Opening, now),
            (State::Opening, Answer::Opened(Ok(()))) => self.enter(State::Identifying),
            (State::Opening, Answer::Opened(Err(cause))) => self.not_ready(State::Opening, &cause, now),
            (State::Identifying, Answer::Identified(identity)) => self.identified(identity, now),
            (State::ConfirmingIntent, Answer::Wanted(wanted)) => self.wanted(wanted, State::Reading, now),
            (State::Reading, Answer::Read(read)) => self.read(&read, now),
            (State::DryRunning, Answer::DryRun(said)) => self.dry_run(said, now),
            (State::Leading, Answer::Leads(leads)) => self.leads(leads, now),
            (State::Applying, Answer::Applied(applied)) => self.applied(applied, now),
            (State::ReadingBack(call), Answer::Read(read)) => self.read_back(call, &read, now),
            (State::ReadingAfterRefusal(cause), Answer::Read(read)) => self.refused(&cause, &read, now),
            (State::Settling(settlement), Answer::Settled(written)) => self.settled(settlement, written, now),
            (State::Waiting { then, .. }, Answer::Waited) => *then,
            (State::Ended(ended), _) => State::Ended(ended),
            _ => return None,
        })
    }

    fn enter(&mut self, state: State) -> State {
        self.tries = 0;
        state
    }

    /// The same request once more, after a pause.
    fn again(&mut self, state: State, pause: SignedDuration, now: Timestamp) -> State {
        self.tries += 1;
        State::Waiting { until: now.saturating_add(pause).unwrap_or(now), then: Box::new(state) }
    }

    fn settle(&mut self, settlement: Settlement) -> State {
        match self.task {
            Task::Rehearse => State::Ended(Ended::Rehearsed(Some(settlement))),
            Task::Make | Task::Resume => self.enter(State::Settling(settlement)),
        }
    }

    fn claimed(&mut self, claim: Result<Claim, LedgerError>, now: Timestamp) -> State {
        match claim {
            Ok(Claim::Ours) => self.enter(State::ReadingIntent),
            Ok(Claim::Theirs(who)) => State::Ended(Ended::NotRecorded(who)),
            Err(error) if error.may_pass && self.tries + 1 < CLAIM_TRIES => {
                self.again(State::Claiming, SignedDuration::from_secs(1), now)
            }
            Err(error) => State::Ended(Ended::NotRecorded(error.message)),
        }
    }

    fn wanted(&mut self, wanted: Wanted, then: State, now: Timestamp) -> State {
        match wanted {
            // The number of tries stays: the intent is confirmed between two tries of the read.
            Wanted::Yes => then,
            Wanted::No(why) => self.settle(settlement::not_applied(SettledReason::NotWanted, &why, now)),
            Wanted::Unreadable(why) => {
                let why = format!("whether it is still wanted could not be read: {why}");
                self.settle(settlement::not_applied(SettledReason::NotWanted, &why, now))
            }
        }
    }

    fn identified(&mut self, identity: Result<AccountIdentity, Cause>, now: Timestamp) -> State {
        let identity = match identity {
            Ok(identity) => identity,
            Err(cause) => return self.not_ready(State::Identifying, &cause, now),
        };
        let spec = &self.entry.spec;
        if identity.account_id == spec.account_id.as_str() && identity.partition == spec.partition {
            let then = if self.task == Task::Make { State::ConfirmingIntent } else { State::Reading };
            return self.enter(then);
        }
        let (is, meant) = (&identity.account_id, &spec.account_id);
        let why =
            format!("the session is in account {is} ({}), not in {meant} ({})", identity.partition, spec.partition);
        match self.task {
            Task::Resume => self.unreadable(&why, now),
            Task::Make | Task::Rehearse => self.settle(settlement::not_applied(SettledReason::NotWanted, &why, now)),
        }
    }

    fn read(&mut self, read: &Observed<ResourceState>, now: Timestamp) -> State {
        let position = match self.position(read) {
            Ok(position) => position,
            Err(cause) => {
                let again = if self.task == Task::Make { State::ConfirmingIntent } else { State::Reading };
                return self.not_ready(again, &cause, now);
            }
        };
        match (position, self.task) {
            (Position::After, _) => self.settle(settlement::found_applied(now)),
            (Position::Before, Task::Make | Task::Rehearse) if self.action.operation().has_dry_run() => {
                self.enter(State::DryRunning)
            }
            (Position::Before, Task::Make | Task::Rehearse) => self.ready(),
            (Position::Moved(why), Task::Make | Task::Rehearse) => {
                self.settle(settlement::not_applied(SettledReason::ResourceMoved, &why, now))
            }
            (Position::Before | Position::Moved(_), Task::Resume) if self.age(now) < GRACE => {
                let until = self.entry.spec.claimed_at.saturating_add(GRACE).ok();
                let message = "its call may still be landing".to_owned();
                State::Ended(Ended::Unsettled { message, until })
            }
            (Position::Before, Task::Resume) => self.settle(settlement::interrupted(now)),
            (Position::Moved(why), Task::Resume) => self.settle(settlement::moved_since(&why, now)),
        }
    }

    /// Everything that can be known beforehand allows the call.
    fn ready(&mut self) -> State {
        match self.task {
            Task::Rehearse => State::Ended(Ended::Rehearsed(None)),
            Task::Make | Task::Resume => self.enter(State::Leading),
        }
    }

    /// Something before the call could not be had: once more, where that may help; else that is the outcome.
    fn not_ready(&mut self, again: State, cause: &Cause, now: Timestamp) -> State {
        if cause.class.may_pass() && self.tries + 1 < READ_TRIES {
            return self.again(again, READ_AGAIN_AFTER, now);
        }
        match self.task {
            Task::Resume => self.unreadable(&cause.message, now),
            Task::Make | Task::Rehearse => {
                self.settle(settlement::refused(&Refusal::BeforeCall(cause), self.action.operation(), now))
            }
        }
    }

    /// What became of a record cannot be read.
    fn unreadable(&mut self, why: &str, now: Timestamp) -> State {
        if self.age(now) < UNVERIFIABLE_AFTER {
            return State::Ended(Ended::Unsettled { message: why.to_owned(), until: None });
        }
        self.settle(settlement::unverifiable(why, now))
    }

    fn dry_run(&mut self, said: DryRun, now: Timestamp) -> State {
        match said {
            DryRun::Allowed => self.ready(),
            DryRun::Refused(cause) => self.enter(State::ReadingAfterRefusal(cause)),
            DryRun::NotKnown(cause) => self.not_ready(State::DryRunning, &cause, now),
        }
    }

    fn leads(&mut self, leads: bool, now: Timestamp) -> State {
        if !leads {
            let why = "another process leads, or this one ends";
            return self.settle(settlement::not_applied(SettledReason::NotLeading, why, now));
        }
        if self.age(now) > START_WITHIN {
            let why = format!("it took longer than {} s to get ready for the call", START_WITHIN.as_secs());
            return self.settle(settlement::not_applied(SettledReason::NotRead, &why, now));
        }
        self.enter(State::Applying)
    }

    fn applied(&mut self, applied: Applied, now: Timestamp) -> State {
        let (answered, span) = match applied {
            Applied::Done => (true, self.shows_within()),
            Applied::NotKnown(_) => (false, LOST_SHOWS_WITHIN),
            Applied::Refused(cause) => return self.enter(State::ReadingAfterRefusal(cause)),
            Applied::NotSent(cause) => {
                return self.settle(settlement::refused(&Refusal::BeforeCall(&cause), self.action.operation(), now));
            }
        };
        self.enter(State::ReadingBack(Call { answered, deadline: now.saturating_add(span).unwrap_or(now) }))
    }

    fn read_back(&mut self, call: Call, read: &Observed<ResourceState>, now: Timestamp) -> State {
        let position = self.position(read);
        if position == Ok(Position::After) {
            return self.settle(settlement::applied(call.answered, now));
        }
        if now < call.deadline {
            let until = now.saturating_add(READ_AGAIN_AFTER).unwrap_or(now).min(call.deadline);
            return State::Waiting { until, then: Box::new(State::ReadingBack(call)) };
        }
        match position {
            Ok(Position::Moved(why)) => self.settle(settlement::not_shown(call.answered, &why, now)),
            Ok(Position::Before | Position::After) => {
                self.settle(settlement::not_shown(call.answered, "AWS still shows the value from before", now))
            }
            // It may have been made: only a read can tell.
            Err(cause) => {
                let message = format!("the call was made, and AWS could not be read back: {cause}");
                State::Ended(Ended::Unsettled { message, until: None })
            }
        }
    }

    fn refused(&mut self, cause: &Cause, read: &Observed<ResourceState>, now: Timestamp) -> State {
        if self.position(read) == Ok(Position::After) {
            return self.settle(settlement::found_applied(now));
        }
        self.settle(settlement::refused(&Refusal::ByCall(cause), self.action.operation(), now))
    }

    fn settled(&mut self, settlement: Settlement, written: Result<(), LedgerError>, now: Timestamp) -> State {
        match written {
            Ok(()) => State::Ended(Ended::Settled(settlement)),
            Err(error) if error.may_pass && self.tries + 1 < SETTLE_TRIES => {
                let pause = SignedDuration::from_secs(1 << self.tries);
                self.again(State::Settling(settlement), pause, now)
            }
            Err(error) => {
                let message = format!(
                    "its outcome, {} ({}), could not be written: {}",
                    settlement.outcome.as_str(),
                    settlement.reason.as_str(),
                    error.message
                );
                State::Ended(Ended::Unsettled { message, until: None })
            }
        }
    }
}
