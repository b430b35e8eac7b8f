//! Drives the machines over the fakes on a virtual clock, with something going wrong where a schedule says so, process
//! after process until everything is quiet; and says whether what is promised was kept.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::scenario::{ACCOUNT, Scenario, claimant};
use crate::api::RecordedChange;
use crate::baseline::admit::Admission;
use crate::baseline::change::{Action, Change, Position};
use crate::baseline::history::{History, Outcome};
use crate::baseline::plan::Plan;
use crate::baseline::{AccountIdentity, Cause, CauseClass, Observed};
use crate::engine::cloud::{Applied, DryRun};
use crate::engine::enforce::fake::{Event, FakeAws, FakeIntent, FakeLease, FakeLedger, Stage, World, thing};
use crate::engine::enforce::undo::{Undo, claimant as undoer, entry_of, plan_undo};
use crate::engine::enforce::{Answer, CALL_TIMEOUT, ChangeMachine, Claimant, Ended, Made, Next, Pass, Request};
use crate::engine::fake::at;
use crate::engine::ledger::{Claim, Entry, Leadership, LedgerError, Settlement, Wanted};

/// More requests than any process of these scenarios needs: a loop would pass it.
const HOT: usize = 400;

/// More processes than it takes to get quiet.
const LIVES: usize = 12;

/// What goes wrong at one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The process ends before the request took effect.
    CrashBefore,
    /// The process ends after the request took effect.
    CrashAfter,
    /// The process ends, and the call arrives only when another process may be there.
    CrashThenLands,
    /// The record is not written. Whether it may pass.
    NotWritten(bool),
    /// The record is written, and the answer is lost.
    WrittenUnanswered,
    /// The name is somebody else's.
    Theirs,
    /// The intent is withdrawn, or cannot be read.
    NotWanted,
    IntentUnreadable,
    /// The request is answered by an error: a session, an identity, a read.
    Error(CauseClass),
    /// The session is in another account, or in another partition.
    WrongAccount,
    WrongPartition,
    /// EC2 would not allow the call; it does not say.
    DryRunRefused(CauseClass),
    DryRunNotKnown(CauseClass),
    /// Another process leads.
    NotLeading,
    /// AWS refuses the call; the call is not sent.
    Refused(CauseClass),
    NotSent(CauseClass),
    /// The answer is lost: the call never arrived; it was made; it arrives while the machine reads.
    LostUnmade(CauseClass),
    LostMade(CauseClass),
    LostLands(CauseClass),
}

impl Fault {
    pub(super) fn ends_the_process(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter | Self::CrashThenLands)
    }
}

const CLASSES: [CauseClass; 12] = [
    CauseClass::AccessDenied,
    CauseClass::DeniedByOrganization,
    CauseClass::OtherOwner,
    CauseClass::Credentials,
    CauseClass::Throttled,
    CauseClass::Unreachable,
    CauseClass::ServiceError,
    CauseClass::Malformed,
    CauseClass::DeadlineExceeded,
    CauseClass::NotFound,
    CauseClass::NotAvailable,
    CauseClass::Refused,
];

/// One of each that the machine tells apart: what may pass, what is a missing permission, what is neither.
const TOLD_APART: [CauseClass; 3] = [CauseClass::AccessDenied, CauseClass::Throttled, CauseClass::Refused];

/// How many faults are tried: all, one of each that the machine tells apart, or fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    All,
    ToldApart,
    /// The end of the process, lost answers, and one error of each request.
    Few,
}

/// Everything that can go wrong at a request.
pub(super) fn faults(request: Request<'_>, choice: Choice) -> Vec<Fault> {
    let classes: &[CauseClass] = match choice {
        Choice::All => &CLASSES,
        Choice::ToldApart => &TOLD_APART,
        Choice::Few => &TOLD_APART[..1],
    };
    let each = |fault: fn(CauseClass) -> Fault| classes.iter().copied().map(fault).collect::<Vec<_>>();
    let mut faults = vec![Fault::CrashBefore, Fault::CrashAfter];
    match request {
        Request::Claim(_) => {
            faults.extend([Fault::NotWritten(true), Fault::NotWritten(false), Fault::WrittenUnanswered, Fault::Theirs]);
        }
        Request::Settle(..) => {
            faults.extend([Fault::NotWritten(true), Fault::NotWritten(false), Fault::WrittenUnanswered]);
        }
        Request::ReadIntent(..) => faults.extend([Fault::NotWanted, Fault::IntentUnreadable]),
        Request::OpenSession(_) | Request::Read(_) => faults.extend(each(Fault::Error)),
        Request::Identify => {
            faults.extend(each(Fault::Error));
            faults.extend([Fault::WrongAccount, Fault::WrongPartition]);
        }
        Request::DryRun(_) => {
            faults.extend(each(Fault::DryRunRefused));
            faults.extend(each(Fault::DryRunNotKnown));
        }
        Request::Lead(_) => faults.push(Fault::NotLeading),
        Request::Apply(_) => {
            faults.push(Fault::CrashThenLands);
            faults.extend(each(Fault::Refused));
            faults.extend(each(Fault::NotSent));
            // Why an answer was lost makes no difference to the machine.
            for lost in [Fault::LostUnmade, Fault::LostMade, Fault::LostLands] {
                match choice {
                    Choice::All => faults.extend(each(lost)),
                    Choice::ToldApart | Choice::Few => faults.push(lost(CauseClass::DeadlineExceeded)),
                }
            }
        }
        // To wait has no effect: before and after it are the same.
        Request::Wait(_) => faults.truncate(1),
    }
    if choice == Choice::Few {
        let spared = [Fault::NotWritten(true), Fault::IntentUnreadable, Fault::WrongAccount, Fault::WrongPartition];
        faults.retain(|fault| !spared.contains(fault));
    }
    faults
}

/// Which fault every request of a kind has.
pub(super) type Always = fn(Request<'_>) -> Option<Fault>;

/// What somebody else does meanwhile.
pub(super) type Meddling = fn(&Rig);

/// Which fault comes at which request, counted over all processes.
pub(super) type Schedule = BTreeMap<usize, Fault>;

/// The process ended on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crashed;

/// One account with its records, and the processes that work on it one after the other.
pub(super) struct Rig {
    pub(super) stage: Stage,
    pub(super) aws: FakeAws,
    pub(super) ledger: FakeLedger,
    pub(super) intent: FakeIntent,
    pub(super) lease: FakeLease,
    pub(super) claimant: Claimant,
    pub(super) start: World,
    pub(super) goal: Vec<Change>,
    pub(super) schedule: Schedule,
    pub(super) choice: Choice,
    /// For each request so far: what could have gone wrong.
    pub(super) seen: Vec<Vec<Fault>>,
    /// Is done before the request of this number.
    pub(super) before: Option<(usize, Meddling)>,
    /// Every request for which it names a fault has that fault.
    pub(super) always: Option<Always>,
}

fn cause(class: CauseClass) -> Cause {
    Cause::new(class, format!("the test says {class}"))
}

fn lost(may_pass: bool) -> LedgerError {
    LedgerError { message: "the test says that the API server did not answer".to_owned(), may_pass }
}

impl Rig {
    pub(super) fn new(scenario: &Scenario, delay: SignedDuration, schedule: Schedule, choice: Choice) -> Self {
        let stage = Stage::at(at());
        Self {
            aws: FakeAws::with_delay(&stage, scenario.world.clone(), delay),
            ledger: FakeLedger::new(&stage),
            intent: FakeIntent::new(&stage),
            lease: FakeLease { stage: stage.clone(), until: None },
            claimant: claimant(),
            start: scenario.world.clone(),
            goal: scenario.changes.clone(),
            schedule,
            choice,
            seen: Vec::new(),
            before: None,
            always: None,
            stage,
        }
    }

    /// What the request does when nothing goes wrong.
    fn does(&self, request: Request<'_>) -> Answer {
        match request {
            Request::Claim(entry) => Answer::Claimed(Ok(self.ledger.put(entry))),
            Request::ReadIntent(..) => Answer::Wanted(self.intent.read()),
            Request::OpenSession(_) => {
                self.aws.open();
                Answer::Opened(Ok(()))
            }
            Request::Identify => Answer::Identified(Ok(self.aws.identify())),
            Request::Read(action) => Answer::Read(self.aws.read(action)),
            Request::DryRun(action) => Answer::DryRun(self.aws.ask(action)),
            Request::Lead(span) => Answer::Leads(self.lease.holds_for(span)),
            Request::Apply(action) => Answer::Applied(self.aws.make(action)),
            Request::Settle(entry, settlement) => Answer::Settled(self.ledger.write(&entry.name, settlement)),
            Request::Wait(until) => {
                self.stage.advance_to(until);
                Answer::Waited
            }
        }
    }

    /// What the request does when this goes wrong.
    fn fails(&self, request: Request<'_>, fault: Fault) -> Result<Answer, Crashed> {
        let landing = |after| match request {
            Request::Apply(action) => self.aws.send_late(action, after),
            _ => panic!("{fault:?} is no fault of {request:?}"),
        };
        let written = |error| match request {
            Request::Claim(_) => Answer::Claimed(Err(error)),
            _ => Answer::Settled(Err(error)),
        };
        Ok(match fault {
            Fault::CrashBefore => return Err(Crashed),
            Fault::CrashAfter => {
                self.does(request);
                return Err(Crashed);
            }
            Fault::CrashThenLands => {
                landing(SignedDuration::try_from(CALL_TIMEOUT).unwrap());
                return Err(Crashed);
            }
            Fault::NotWritten(may_pass) => written(lost(may_pass)),
            Fault::WrittenUnanswered => {
                self.does(request);
                written(lost(true))
            }
            Fault::Theirs => Answer::Claimed(Ok(Claim::Theirs("another process".to_owned()))),
            Fault::NotWanted => Answer::Wanted(Wanted::No("the mode is Audit".to_owned())),
            Fault::IntentUnreadable => Answer::Wanted(Wanted::Unreadable("no answer".to_owned())),
            Fault::Error(class) => match request {
                Request::OpenSession(_) => Answer::Opened(Err(cause(class))),
                Request::Identify => Answer::Identified(Err(cause(class))),
                _ => Answer::Read(Observed::Unknown(cause(class))),
            },
            Fault::WrongAccount => {
                let identity = AccountIdentity { account_id: "333333333333".to_owned(), ..self.aws.identify() };
                Answer::Identified(Ok(identity))
            }
            Fault::WrongPartition => {
                let identity = AccountIdentity { partition: "aws-cn".to_owned(), ..self.aws.identify() };
                Answer::Identified(Ok(identity))
            }
            Fault::DryRunRefused(class) => Answer::DryRun(DryRun::Refused(cause(class))),
            Fault::DryRunNotKnown(class) => Answer::DryRun(DryRun::NotKnown(cause(class))),
            Fault::NotLeading => Answer::Leads(false),
            Fault::Refused(class) => Answer::Applied(Applied::Refused(cause(class))),
            Fault::NotSent(class) => Answer::Applied(Applied::NotSent(cause(class))),
            Fault::LostUnmade(class) => Answer::Applied(Applied::NotKnown(cause(class))),
            Fault::LostMade(class) => {
                self.does(request);
                Answer::Applied(Applied::NotKnown(cause(class)))
            }
            Fault::LostLands(class) => {
                landing(SignedDuration::from_secs(5));
                Answer::Applied(Applied::NotKnown(cause(class)))
            }
        })
    }

    /// One request, counted.
    pub(super) fn carry_out(&mut self, request: Request<'_>) -> Result<Answer, Crashed> {
        let step = self.seen.len();
        if let Some((_, act)) = self.before.filter(|(at, _)| *at == step) {
            act(self);
        }
        let always = self.always.and_then(|always| always(request));
        let fault = self.schedule.get(&step).copied().or(always);
        self.seen.push(faults(request, self.choice));
        // Every call takes its time.
        self.stage.advance(SignedDuration::from_millis(100));
        match fault {
            Some(fault) => self.fails(request, fault),
            None => Ok(self.does(request)),
        }
    }

    /// The machine to its end, or to the end of its process.
    pub(super) fn run(&mut self, mut machine: ChangeMachine) -> Result<(Entry, Ended), Crashed> {
        let first = self.seen.len();
        while let Next::Ask(request) = machine.next() {
            let answer = self.carry_out(request)?;
            assert!(self.seen.len() - first < HOT, "one change asks for more than {HOT} things");
            machine.answer(answer, self.stage.now());
        }
        Ok(machine.into_ended())
    }

    fn pass(&mut self, mut pass: Pass<'_>) -> Result<Made, Crashed> {
        while let Some(machine) = pass.next(self.stage.now()) {
            let (entry, ended) = self.run(machine)?;
            pass.ended(entry, ended);
        }
        Ok(pass.into_made())
    }

    /// The changes of the goal that AWS does not show yet.
    pub(super) fn plan(&self) -> Plan {
        let changes: Vec<Change> = self.goal.iter().filter(|change| self.aws.lacks(&change.action)).cloned().collect();
        let digest = (!changes.is_empty()).then(|| "3f2a".to_owned());
        Plan { changes, digest, ..Plan::default() }
    }

    /// One look of one process: records without outcome first, then, if there are none left, what is planned.
    pub(super) fn look(&mut self) -> Result<Made, Crashed> {
        let claimant = self.claimant.clone();
        let records = self.ledger.open_ones(ACCOUNT);
        let records = records.into_iter().map(|entry| (entry.clone(), Action::from_record(&entry.spec).unwrap()));
        let none = History::default();
        let made = self.pass(Pass::settling(records.collect(), &claimant, &none))?;
        if !self.ledger.open_ones(ACCOUNT).is_empty() {
            return Ok(made);
        }
        let plan = self.plan();
        let admission = Admission { start: (0..plan.changes.len()).collect(), ..Admission::default() };
        let history = self.ledger.summaries(ACCOUNT);
        self.pass(Pass::making(&plan, &admission, &claimant, &history))
    }

    /// Process after process, look after look, until two of them had nothing to do.
    pub(super) fn until_quiet(&mut self) {
        let mut quiet = 0;
        for life in 0.. {
            assert!(life < LIVES, "not quiet after {LIVES} looks: {:?}", self.schedule);
            let (steps, events) = (self.seen.len(), self.stage.len());
            let ended = self.look();
            let idle = self.seen.len() == steps && self.stage.len() == events && ended == Ok(Made::default());
            quiet = if idle { quiet + 1 } else { 0 };
            if quiet == 2 {
                return;
            }
            // The next process may come at once: while a call of the one before is still under way.
            self.stage.advance(SignedDuration::from_secs(if life == 0 { 2 } else { 25 }));
        }
    }

    /// P3: each call comes after its record, whose value from before is what AWS had at that moment.
    pub(super) fn assert_recorded(&self) {
        self.stage.trace(|events| {
            let mut open: BTreeMap<&str, &RecordedChange> = BTreeMap::new();
            for event in events {
                match event {
                    Event::Claimed { name, change } => {
                        open.insert(name, change);
                    }
                    Event::Settled { name, .. } => {
                        open.remove(name.as_str());
                    }
                    Event::Sent { action, position } => {
                        let schedule = &self.schedule;
                        let recorded = action.recorded();
                        assert!(
                            open.values().any(|change| **change == recorded),
                            "no record: {schedule:?}, {action:?}"
                        );
                        assert_eq!(*position, Position::Before, "AWS is not as recorded: {schedule:?}, {action:?}");
                        let planned = self.goal.iter().any(|change| change.action == *action);
                        assert!(planned, "outside the plan: {schedule:?}, {action:?}");
                    }
                    Event::IntentRead(_)
                    | Event::Opened
                    | Event::Identified
                    | Event::Read
                    | Event::DryRan
                    | Event::Changed(_) => {}
                }
            }
        });
    }

    /// How many calls that change AWS there were.
    pub(super) fn calls(&self) -> usize {
        self.stage.trace(|events| events.iter().filter(|event| matches!(event, Event::Sent { .. })).count())
    }

    /// The same end as without any fault, by the same number of changes, and nothing left open.
    pub(super) fn assert_same(&self, end: &World) {
        let schedule = &self.schedule;
        assert_eq!(self.aws.world().normal(), *end, "the end state: {schedule:?}");
        assert_eq!(self.aws.changes(), self.things(), "how often each thing was changed: {schedule:?}");
        assert_eq!(self.ledger.open_ones(ACCOUNT), Vec::new(), "a record without outcome: {schedule:?}");
    }

    /// P4: undoes everything from the records, the last one first.
    pub(super) fn undo_all(&mut self) {
        self.schedule.clear();
        let records = self.ledger.records();
        for (entry, settled) in records.iter().rev() {
            let outcome = settled.as_ref().map(|settlement: &Settlement| settlement.outcome);
            if outcome == Some(Outcome::NotApplied) {
                continue;
            }
            let undo = Undo {
                name: &entry.name,
                record: &entry.spec,
                outcome,
                claimed_by: "arn:aws:iam::222222222222:user/admin",
                session_name: "plumbline-undo",
            };
            let change = plan_undo(&undo).unwrap();
            let history = self.ledger.summaries(ACCOUNT);
            let own = entry_of(&undo, &change, &undoer(&undo), &history, self.stage.now());
            let (_, ended) = self.run(ChangeMachine::make(own, change.action)).unwrap();
            let done = matches!(&ended, Ended::Settled(settlement) if settlement.outcome == Outcome::Succeeded);
            assert!(done, "the undo of {} ended so: {ended:?}", entry.name);
        }
        assert_eq!(self.aws.world().normal(), self.start.normal(), "undone, AWS is not as it was");
    }

    /// The things that the goal changes.
    pub(super) fn things(&self) -> BTreeMap<String, usize> {
        self.goal.iter().map(|change| (thing(&change.action), 1)).collect()
    }
}
