//! Stateful fakes of everything that enforcement stands on: AWS, the records, the intent, the lease, the witness.
//!
//! They share one clock and one trace, so that the order of a call to AWS and a write of a record can be told. Each
//! behaves as the real thing does when nothing goes wrong; what goes wrong is done to them by the tests. The cases in
//! [`conformance`](super::conformance) hold them to what the real ones do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::Witness;
use crate::api::{
    BucketEncryption, ChangeRecordSpec, ChangeRecordStatus, PasswordPolicy, RecordedChange, SecurityGroupRuleChange,
    SecurityGroupRuleValue, UserPolicyChange,
};
use crate::baseline::change::{Action, Position, ResourceState, UserState};
use crate::baseline::history::{History, Outcome, RATE_PERIOD, RecordSummary};
use crate::baseline::mfa::UserFacts;
use crate::baseline::{AccountIdentity, Cause, CauseClass, Control, Observed};
use crate::engine::cloud::{Applied, CloudWriter, DryRun, Target, WriterProvider};
use crate::engine::fake::account;
use crate::engine::ledger::{Claim, Entry, Intent, Leadership, Ledger, LedgerError, Settlement, Wanted};

/// What happened, in the order in which it happened, at AWS and at the records.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// A record was committed.
    Claimed { name: String, change: Box<RecordedChange> },
    /// The intent was read.
    IntentRead(Wanted),
    /// A session was opened.
    Opened,
    /// The session was asked who it is.
    Identified,
    /// The resource was read.
    Read,
    /// EC2 was asked beforehand.
    DryRan,
    /// A call that changes AWS arrived, while AWS stood so.
    Sent { action: Action, position: Position },
    /// It had an effect.
    Changed(String),
    /// An outcome was written.
    Settled { name: String, outcome: Outcome },
}

/// The clock and the trace of one test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stage(Arc<Mutex<(Option<Timestamp>, Vec<Event>)>>);

impl Stage {
    /// Its clock stands still until it is moved.
    pub(crate) fn at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new((Some(now), Vec::new()))))
    }

    /// The virtual time; the real one where none was set.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.lock().unwrap().0.unwrap_or_else(Timestamp::now)
    }

    pub(crate) fn advance(&self, by: SignedDuration) {
        let mut stage = self.0.lock().unwrap();
        stage.0 = stage.0.map(|now| now + by);
    }

    /// To a moment that is not before the present one.
    pub(crate) fn advance_to(&self, moment: Timestamp) {
        let mut stage = self.0.lock().unwrap();
        stage.0 = stage.0.map(|now| now.max(moment));
    }

    fn push(&self, event: Event) {
        self.0.lock().unwrap().1.push(event);
    }

    /// Looks at everything so far, in order.
    pub(crate) fn trace<T>(&self, look: impl FnOnce(&[Event]) -> T) -> T {
        look(&self.0.lock().unwrap().1)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }
}

/// The state of an account, as far as enforcement changes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct World {
    pub(crate) password_policy: Option<PasswordPolicy>,
    /// By name.
    pub(crate) users: BTreeMap<String, UserFacts>,
    /// By ARN: the default version, the hash of its document.
    pub(crate) managed_policies: BTreeMap<String, (String, String)>,
    /// By group id.
    pub(crate) groups: BTreeMap<String, Vec<SecurityGroupRuleValue>>,
    /// By bucket.
    pub(crate) encryption: BTreeMap<String, Option<BucketEncryption>>,
    /// By bucket.
    pub(crate) bucket_policies: BTreeMap<String, Option<String>>,
    /// The number of the next rule.
    pub(crate) next_rule: u32,
}

/// What a rule is, whatever its id.
fn without_id(rule: &SecurityGroupRuleValue) -> SecurityGroupRuleValue {
    SecurityGroupRuleValue { rule_id: None, ..rule.clone() }
}

/// What a rule opens.
fn opening(rule: &SecurityGroupRuleValue) -> SecurityGroupRuleValue {
    SecurityGroupRuleValue { description: None, tags: Vec::new(), ..without_id(rule) }
}

fn not_found(what: &str) -> Cause {
    Cause::new(CauseClass::NotFound, format!("{what} does not exist"))
}

impl World {
    /// The same world whatever ids rules got, in whatever order they and the policies of users stand, and however it
    /// says that nothing is blocked.
    pub(crate) fn normal(&self) -> Self {
        let mut world = self.clone();
        for rules in world.groups.values_mut() {
            *rules = rules.iter().map(without_id).collect();
            rules.sort_by_key(|rule| (rule.is_egress, rule.from_port, rule.to_port, rule.cidr_ipv4.clone()));
        }
        for facts in world.users.values_mut() {
            facts.attached_policies.sort();
        }
        for encryption in world.encryption.values_mut().flatten() {
            encryption.blocked_encryption_types.retain(|blocked| blocked != "NONE");
        }
        world.next_rule = 0;
        world
    }

    /// What AWS would show of the one thing that the action changes.
    pub(crate) fn state(&self, action: &Action) -> ResourceState {
        match action {
            Action::PasswordPolicy(_) => ResourceState::PasswordPolicy(self.password_policy.clone()),
            Action::UserPolicy(change) => match self.users.get(&change.user_name) {
                None => ResourceState::Gone,
                Some(facts) => ResourceState::User(Box::new(UserState {
                    attached: facts.attached_policies.contains(&change.policy_arn),
                    policy: self.managed_policies.get(&change.policy_arn).cloned(),
                    facts: facts.clone(),
                })),
            },
            Action::SecurityGroupRule(change) => match self.groups.get(&change.group_id) {
                None => ResourceState::Gone,
                Some(rules) => ResourceState::SecurityGroup(rules.clone()),
            },
            Action::BucketEncryption(change) => match self.encryption.get(&change.bucket) {
                None => ResourceState::Gone,
                Some(encryption) => ResourceState::BucketEncryption(encryption.clone()),
            },
            Action::BucketPolicy(change) => match self.bucket_policies.get(&change.bucket) {
                None => ResourceState::Gone,
                Some(policy) => ResourceState::BucketPolicy(policy.clone()),
            },
        }
    }

    /// Does what AWS does with the call, whatever the value from before was meant to be. Whether anything changed: what
    /// is so already counts as made, as it does with the real writer.
    pub(crate) fn apply(&mut self, action: &Action) -> Result<bool, Cause> {
        let before = self.clone();
        match action {
            Action::PasswordPolicy(change) => {
                self.password_policy.clone_from(&change.after);
            }
            Action::UserPolicy(change) => self.attach(change)?,
            Action::SecurityGroupRule(change) => self.open_or_close(change)?,
            Action::BucketEncryption(change) => {
                let live = self.encryption.get_mut(&change.bucket).ok_or_else(|| not_found("the bucket"))?;
                live.clone_from(&change.after);
                // What is written blocks something, or says that it does not.
                if let Some(live) = live
                    && live.blocked_encryption_types.is_empty()
                {
                    live.blocked_encryption_types.push("NONE".to_owned());
                }
            }
            Action::BucketPolicy(change) => {
                let live = self.bucket_policies.get_mut(&change.bucket).ok_or_else(|| not_found("the bucket"))?;
                live.clone_from(&change.after);
            }
        }
        Ok(*self != before)
    }

    fn attach(&mut self, change: &UserPolicyChange) -> Result<(), Cause> {
        let UserPolicyChange { policy_arn, .. } = change;
        let facts = self.users.get_mut(&change.user_name).ok_or_else(|| not_found("the user"))?;
        let attached = facts.attached_policies.contains(policy_arn);
        match (change.after, attached) {
            (true, true) => {}
            (true, false) if !self.managed_policies.contains_key(policy_arn) => return Err(not_found("the policy")),
            (true, false) => facts.attached_policies.push(policy_arn.clone()),
            (false, _) => facts.attached_policies.retain(|attached| attached != policy_arn),
        }
        Ok(())
    }

    fn open_or_close(&mut self, change: &SecurityGroupRuleChange) -> Result<(), Cause> {
        let Some(rules) = self.groups.get_mut(&change.group_id) else {
            return if change.before.is_some() { Ok(()) } else { Err(not_found("the group")) };
        };
        let of = |wanted: &SecurityGroupRuleValue| {
            let wanted = wanted.clone();
            move |rule: &SecurityGroupRuleValue| match &wanted.rule_id {
                Some(_) => rule.rule_id == wanted.rule_id,
                None => opening(rule) == opening(&wanted),
            }
        };
        match (&change.before, &change.after) {
            (Some(gone), _) => {
                if let Some(index) = rules.iter().position(of(gone)) {
                    rules.remove(index);
                }
            }
            (None, Some(new)) if rules.iter().any(|rule| opening(rule) == opening(new)) => {}
            (None, Some(new)) => {
                self.next_rule += 1;
                let rule_id = Some(format!("sgr-new{}", self.next_rule));
                rules.push(SecurityGroupRuleValue { rule_id, ..new.clone() });
            }
            (None, None) => return Err(Cause::new(CauseClass::Refused, "nothing to do")),
        }
        Ok(())
    }
}

/// What an action changes, as one name.
pub(crate) fn thing(action: &Action) -> String {
    match action {
        Action::PasswordPolicy(_) => "password policy".to_owned(),
        Action::UserPolicy(change) => format!("user {}", change.user_name),
        Action::SecurityGroupRule(change) => {
            let rule = change.before.as_ref().or(change.after.as_ref()).cloned().unwrap_or_default();
            let SecurityGroupRuleValue { is_egress, from_port, to_port, .. } = rule;
            format!("group {} {is_egress} {from_port:?} {to_port:?}", change.group_id)
        }
        Action::BucketEncryption(change) => format!("encryption of {}", change.bucket),
        Action::BucketPolicy(change) => format!("policy of {}", change.bucket),
    }
}

/// AWS, with one account.
#[derive(Clone, Debug)]
pub(crate) struct FakeAws(Arc<Mutex<Account>>);

#[derive(Debug)]
struct Account {
    stage: Stage,
    world: World,
    /// How long a change takes to show.
    delay: SignedDuration,
    /// What reads show until then, oldest first: the moment until which, and the world.
    old: Vec<(Timestamp, World)>,
    /// Calls that are under way, and when they arrive.
    landing: Vec<(Timestamp, Action)>,
    changes: BTreeMap<String, usize>,
}

impl Account {
    /// What was to arrive by now has arrived.
    fn catch_up(&mut self) {
        let now = self.stage.now();
        let (due, later) = std::mem::take(&mut self.landing).into_iter().partition(|(at, _)| *at <= now);
        self.landing = later;
        let due: Vec<(Timestamp, Action)> = due;
        for (at, action) in due {
            // Its sender has given up on the answer.
            let _ = self.make(&action, at);
        }
        self.old.retain(|(until, _)| *until > now);
    }

    fn make(&mut self, action: &Action, at: Timestamp) -> Result<(), Cause> {
        let old = self.world.clone();
        if self.world.apply(action)? {
            *self.changes.entry(thing(action)).or_default() += 1;
            self.stage.push(Event::Changed(thing(action)));
            if self.delay > SignedDuration::ZERO {
                self.old.push((at + self.delay, old));
            }
        }
        Ok(())
    }

    fn shown(&self) -> &World {
        self.old.first().map_or(&self.world, |(_, old)| old)
    }
}

impl FakeAws {
    pub(crate) fn new(stage: &Stage, world: World) -> Self {
        Self::with_delay(stage, world, SignedDuration::ZERO)
    }

    /// Changes take so long to show.
    pub(crate) fn with_delay(stage: &Stage, world: World, delay: SignedDuration) -> Self {
        let account = Account {
            stage: stage.clone(),
            world,
            delay,
            old: Vec::new(),
            landing: Vec::new(),
            changes: BTreeMap::new(),
        };
        Self(Arc::new(Mutex::new(account)))
    }

    /// The true state, whatever reads show.
    pub(crate) fn world(&self) -> World {
        let mut account = self.0.lock().unwrap();
        account.catch_up();
        account.world.clone()
    }

    /// Whether the change is still to be made, by the true state.
    pub(crate) fn lacks(&self, action: &Action) -> bool {
        let mut account = self.0.lock().unwrap();
        account.catch_up();
        action.position(&account.world.state(action)) != Position::After
    }

    /// How often each thing was changed in effect.
    pub(crate) fn changes(&self) -> BTreeMap<String, usize> {
        let mut account = self.0.lock().unwrap();
        account.catch_up();
        account.changes.clone()
    }

    /// Somebody else changes something.
    pub(crate) fn meddle(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.0.lock().unwrap().world);
    }

    /// The call is sent, and arrives later.
    pub(crate) fn send_late(&self, action: &Action, after: SignedDuration) {
        let mut account = self.0.lock().unwrap();
        account.catch_up();
        let position = action.position(&account.world.state(action));
        account.stage.push(Event::Sent { action: action.clone(), position });
        let at = account.stage.now() + after;
        account.landing.push((at, action.clone()));
    }

    pub(crate) fn open(&self) {
        self.0.lock().unwrap().stage.push(Event::Opened);
    }

    pub(crate) fn identify(&self) -> AccountIdentity {
        self.0.lock().unwrap().stage.push(Event::Identified);
        account()
    }

    pub(crate) fn read(&self, action: &Action) -> Observed<ResourceState> {
        let mut account = self.0.lock().unwrap();
        account.catch_up();
        account.stage.push(Event::Read);
        Observed::complete(account.shown().state(action), account.stage.now())
    }

    /// EC2 says whether the caller may, and not whether the call makes sense.
    pub(crate) fn ask(&self, action: &Action) -> DryRun {
        self.0.lock().unwrap().stage.push(Event::DryRan);
        if action.operation().has_dry_run() {
            DryRun::Allowed
        } else {
            DryRun::Refused(Cause::new(CauseClass::NotAvailable, "the operation has no dry run"))
        }
    }

    pub(crate) fn make(&self, action: &Action) -> Applied {
        let mut account = self.0.lock().unwrap();
        account.catch_up();
        let position = action.position(&account.world.state(action));
        account.stage.push(Event::Sent { action: action.clone(), position });
        let now = account.stage.now();
        match account.make(action, now) {
            Ok(()) => Applied::Done,
            Err(cause) => Applied::Refused(cause),
        }
    }
}

#[async_trait]
impl CloudWriter for FakeAws {
    async fn identity(&self) -> Result<AccountIdentity, Cause> {
        Ok(self.identify())
    }

    async fn state(&self, action: &Action) -> Observed<ResourceState> {
        self.read(action)
    }

    async fn dry_run(&self, action: &Action) -> DryRun {
        self.ask(action)
    }

    async fn apply(&self, action: &Action) -> Applied {
        self.make(action)
    }
}

#[async_trait]
impl WriterProvider for FakeAws {
    async fn writer(&self, _target: &Target, _action: &Action) -> Result<Arc<dyn CloudWriter>, Cause> {
        self.open();
        Ok(Arc::new(self.clone()))
    }
}

/// The records.
#[derive(Clone, Debug)]
pub(crate) struct FakeLedger(Arc<Mutex<Records>>);

#[derive(Debug)]
struct Records {
    stage: Stage,
    /// In the order in which they were committed.
    records: Vec<(Entry, Option<Settlement>)>,
}

impl FakeLedger {
    pub(crate) fn new(stage: &Stage) -> Self {
        Self(Arc::new(Mutex::new(Records { stage: stage.clone(), records: Vec::new() })))
    }

    /// Every record with its outcome, oldest first.
    pub(crate) fn records(&self) -> Vec<(Entry, Option<Settlement>)> {
        self.0.lock().unwrap().records.clone()
    }

    pub(crate) fn put(&self, entry: &Entry) -> Claim {
        let mut ledger = self.0.lock().unwrap();
        match ledger.records.iter().find(|(known, _)| known.name == entry.name) {
            None => {
                let Entry { name, spec } = entry;
                ledger.stage.push(Event::Claimed { name: name.clone(), change: Box::new(spec.change.clone()) });
                ledger.records.push((entry.clone(), None));
                Claim::Ours
            }
            Some((known, None)) if known.spec == entry.spec => Claim::Ours,
            Some((known, None)) => Claim::Theirs(format!("{} has claimed it", known.spec.claimed_by)),
            Some((_, Some(_))) => Claim::Theirs("it has an outcome already".to_owned()),
        }
    }

    pub(crate) fn write(&self, name: &str, settlement: &Settlement) -> Result<(), LedgerError> {
        let refused = |message: String| LedgerError { message, may_pass: false };
        let mut ledger = self.0.lock().unwrap();
        let Records { stage, records } = &mut *ledger;
        let found = records.iter_mut().find(|(known, _)| known.name == name);
        let (_, settled) = found.ok_or_else(|| refused(format!("ChangeRecord {name} does not exist")))?;
        match settled {
            Some(known) if known.outcome == settlement.outcome => Ok(()),
            Some(known) => Err(refused(format!("its outcome is {} already", known.outcome.as_str()))),
            None => {
                stage.push(Event::Settled { name: name.to_owned(), outcome: settlement.outcome });
                *settled = Some(settlement.clone());
                Ok(())
            }
        }
    }

    pub(crate) fn open_ones(&self, account_id: &str) -> Vec<Entry> {
        let ledger = self.0.lock().unwrap();
        let open = |(entry, settled): &&(Entry, Option<Settlement>)| {
            settled.is_none() && entry.spec.account_id.as_str() == account_id
        };
        ledger.records.iter().filter(open).map(|(entry, _)| entry.clone()).collect()
    }

    pub(crate) fn summaries(&self, account_id: &str) -> History {
        let ledger = self.0.lock().unwrap();
        let of_account = ledger.records.iter().filter(|(entry, _)| entry.spec.account_id.as_str() == account_id);
        History(of_account.map(|(entry, settled)| summary(&entry.name, &entry.spec, settled.as_ref())).collect())
    }
}

fn summary(name: &str, spec: &ChangeRecordSpec, settled: Option<&Settlement>) -> RecordSummary {
    let status = settled.map(|settlement| ChangeRecordStatus {
        outcome: Some(settlement.outcome.as_str().to_owned()),
        reason: Some(settlement.reason.as_str().to_owned()),
        message: Some(settlement.message.clone()),
        missing_action: settlement.missing_action.clone(),
        settled_at: Some(settlement.at),
    });
    RecordSummary::of(name, spec, status.as_ref())
}

#[async_trait]
impl Ledger for FakeLedger {
    async fn claim(&self, entry: &Entry) -> Result<Claim, LedgerError> {
        Ok(self.put(entry))
    }

    async fn settle(&self, name: &str, settlement: &Settlement) -> Result<(), LedgerError> {
        self.write(name, settlement)
    }

    async fn unsettled(&self, account_id: &str) -> Result<Vec<Entry>, LedgerError> {
        Ok(self.open_ones(account_id))
    }

    async fn history(&self, account_id: &str) -> Result<History, LedgerError> {
        Ok(self.summaries(account_id))
    }

    async fn recent_changes(&self, now: Timestamp) -> Result<Vec<Timestamp>, LedgerError> {
        let records = self.records();
        let summaries = records.iter().map(|(entry, settled)| summary(&entry.name, &entry.spec, settled.as_ref()));
        let recent = |record: &RecordSummary| {
            record.counts() && !record.is_undo && record.claimed_at.duration_until(now) < RATE_PERIOD
        };
        let mut times: Vec<_> = summaries.filter(recent).map(|record| record.claimed_at).collect();
        times.sort();
        Ok(times)
    }
}

/// The intent behind a pass: stands until it is withdrawn.
#[derive(Clone, Debug)]
pub(crate) struct FakeIntent(Stage, Arc<Mutex<Wanted>>);

impl FakeIntent {
    pub(crate) fn new(stage: &Stage) -> Self {
        Self(stage.clone(), Arc::new(Mutex::new(Wanted::Yes)))
    }

    pub(crate) fn set(&self, wanted: Wanted) {
        *self.1.lock().unwrap() = wanted;
    }

    pub(crate) fn read(&self) -> Wanted {
        let wanted = self.1.lock().unwrap().clone();
        self.0.push(Event::IntentRead(wanted.clone()));
        wanted
    }
}

#[async_trait]
impl Intent for FakeIntent {
    async fn still_wanted(&self, _control: Control, _approval: Option<&str>) -> Wanted {
        self.read()
    }
}

/// A lease that ends at some moment.
#[derive(Clone, Debug)]
pub(crate) struct FakeLease {
    pub(crate) stage: Stage,
    /// `None`: never.
    pub(crate) until: Option<Timestamp>,
}

impl Leadership for FakeLease {
    fn holds_for(&self, span: Duration) -> bool {
        let span = SignedDuration::try_from(span).unwrap();
        self.until.is_none_or(|until| self.stage.now() + span <= until)
    }
}

/// Remembers what it was told, as lines.
#[derive(Debug, Default)]
pub(crate) struct FakeWitness(pub(crate) Mutex<Vec<String>>);

impl Witness for FakeWitness {
    fn claimed(&self, entry: &Entry) {
        self.0.lock().unwrap().push(format!("claimed {}", entry.name));
    }

    fn settled(&self, entry: &Entry, settlement: &Settlement) {
        let Settlement { outcome, reason, .. } = settlement;
        let line = format!("settled {} {} {}", entry.name, outcome.as_str(), reason.as_str());
        self.0.lock().unwrap().push(line);
    }
}
