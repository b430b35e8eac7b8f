//! The records on the API server: `ChangeRecord`s. IO, through the client without retries.
//!
//! A claim is a create, which the API server grants once for a name. An outcome is written by PUT with the
//! resourceVersion that was read, so that of two writers one is refused. Values are dropped page by page: what is kept
//! of an account's records is small.

mod retention;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use tokio::time::sleep;
use tracing::{info, warn};

pub(super) use self::retention::{expired, sweep};
use super::Guarded;
use super::fresh::{CallError, all, answered, each};
use crate::api::{CLAIMED_HOUR, ChangeRecord, ChangeRecordStatus};
use crate::baseline::history::{History, RATE_PERIOD, RecordSummary};
use crate::engine::ledger::{Claim, Entry, Ledger, LedgerError, Settlement};

/// How often an outcome is tried to be written: what is written stays the same, and each try reads first.
const TRIES: u32 = 4;

/// The pause after the first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The records in a cluster.
#[derive(Clone)]
pub(super) struct KubeLedger {
    api: Api<ChangeRecord>,
    guarded: Api<Guarded<ChangeRecord>>,
}

impl KubeLedger {
    pub(super) fn new(client: Client) -> Self {
        Self { api: Api::all(client.clone()), guarded: Api::all(client) }
    }

    /// The accounts that have records without an outcome.
    pub(super) async fn accounts_with_unsettled(&self) -> Result<Vec<String>, LedgerError> {
        let mut accounts = std::collections::BTreeSet::new();
        let take = |record: Guarded<ChangeRecord>| {
            // One that cannot be read stands in the way of its account alone, and is told of there.
            if let Ok(record) = record.0 {
                accounts.insert(record.spec.account_id.to_string());
            }
        };
        each(&self.guarded, ListParams::default().fields("status.outcome="), take).await.map_err(|e| unread(&e))?;
        Ok(accounts.into_iter().collect())
    }

    /// Deletes records that are settled and no longer to be kept.
    pub(super) async fn delete(&self, names: &[String]) {
        for name in names {
            let gone = answered(self.api.delete(name, &DeleteParams::default())).await;
            if let Err(error) = gone
                .map(drop)
                .or_else(found)
                .inspect(|()| info!(record = name, "deleted: more records than --records-per-account"))
            {
                return warn!(record = name, %error, "not deleted, will be tried again");
            }
        }
    }

    /// Reads all records of a selection without their values.
    async fn summaries(&self, params: ListParams) -> Result<Vec<RecordSummary>, LedgerError> {
        let (mut found, mut unreadable) = (Vec::new(), None);
        let take = |record: Guarded<ChangeRecord>| match record.0 {
            Ok(record) => found.push(RecordSummary::of(&record.name_any(), &record.spec, record.status.as_ref())),
            Err(invalid) => unreadable = Some((invalid.metadata.name.unwrap_or_default(), invalid.error)),
        };
        each(&self.guarded, params, take).await.map_err(|error| unread(&error))?;
        match unreadable {
            None => Ok(found),
            Some((name, error)) => Err(unreadable_record(&name, &error)),
        }
    }

    async fn try_settle(&self, name: &str, status: &ChangeRecordStatus) -> Result<(), LedgerError> {
        let not_written = |error: CallError| unsettled(name, &error);
        let Some(mut record) = answered(self.api.get_opt(name)).await.map_err(not_written)? else {
            return Err(final_error(format!("ChangeRecord {name} was deleted before its outcome was written")));
        };
        let stored = record.status.as_ref().and_then(|status| status.outcome.clone());
        match (stored, &status.outcome) {
            (Some(stored), Some(ours)) if stored == *ours => return Ok(()),
            (Some(stored), ours) => {
                let ours = ours.as_deref().unwrap_or_default();
                return Err(final_error(format!("ChangeRecord {name} has the outcome {stored}, not {ours}")));
            }
            (None, _) => record.status = Some(status.clone()),
        }
        answered(self.api.replace_status(name, &PostParams::default(), &record)).await.map_err(not_written)?;
        tell(&record, "change record settled");
        Ok(())
    }
}

#[async_trait]
impl Ledger for KubeLedger {
    async fn claim(&self, entry: &Entry) -> Result<Claim, LedgerError> {
        let record = record(entry);
        match answered(self.api.create(&PostParams::default(), &record)).await {
            Ok(_) => {
                tell(&record, "change record committed");
                Ok(Claim::Ours)
            }
            Err(error) if error.answer().is_some_and(kube::core::Status::is_already_exists) => {
                let stored = answered(self.api.get(&entry.name)).await;
                let stored = stored.map_err(|error| not_claimed(&entry.name, &error))?;
                Ok(owner(entry, &stored))
            }
            Err(error) => Err(not_claimed(&entry.name, &error)),
        }
    }

    async fn settle(&self, name: &str, settlement: &Settlement) -> Result<(), LedgerError> {
        let status = status(settlement);
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.try_settle(name, &status).await {
                Err(error) if error.may_pass => {
                    sleep(pause).await;
                    pause *= 2;
                }
                done => return done,
            }
        }
        self.try_settle(name, &status).await
    }

    async fn unsettled(&self, account_id: &str) -> Result<Vec<Entry>, LedgerError> {
        let params = ListParams::default().fields(&format!("spec.accountId={account_id},status.outcome="));
        let records = all(&self.guarded, params).await.map_err(|error| unread(&error))?;
        let entry = |record: Guarded<ChangeRecord>| match record.0 {
            Ok(record) => Ok(Entry { name: record.name_any(), spec: record.spec }),
            Err(invalid) => Err(unreadable_record(&invalid.metadata.name.unwrap_or_default(), &invalid.error)),
        };
        let mut entries = records.into_iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        entries.sort_by(|a, b| (a.spec.claimed_at, &a.name).cmp(&(b.spec.claimed_at, &b.name)));
        Ok(entries)
    }

    async fn history(&self, account_id: &str) -> Result<History, LedgerError> {
        let params = ListParams::default().fields(&format!("spec.accountId={account_id}"));
        let mut records = self.summaries(params).await?;
        records.sort_by(|a, b| (a.claimed_at, &a.name).cmp(&(b.claimed_at, &b.name)));
        Ok(History(records))
    }

    async fn recent_changes(&self, now: Timestamp) -> Result<Vec<Timestamp>, LedgerError> {
        let params = ListParams::default().labels(&hours(now));
        Ok(History(self.summaries(params).await?).within_rate_period(now))
    }
}

fn record(entry: &Entry) -> ChangeRecord {
    let mut record = ChangeRecord::new(&entry.name, entry.spec.clone());
    record.labels_mut().insert(CLAIMED_HOUR.to_owned(), hour(entry.spec.claimed_at).to_string());
    record
}

fn hour(at: Timestamp) -> i64 {
    at.as_second().div_euclid(RATE_PERIOD.as_secs())
}

/// The hours in which what was claimed within the last hour may have been claimed; the next one too, because not all
/// clocks are the same.
fn hours(now: Timestamp) -> String {
    let hour = hour(now);
    format!("{CLAIMED_HOUR} in ({},{hour},{})", hour - 1, hour + 1)
}

/// Whose a record is that was there already: ours if it says the same and nothing became of it yet.
fn owner(entry: &Entry, stored: &ChangeRecord) -> Claim {
    if let Some(outcome) = stored.status.as_ref().and_then(|status| status.outcome.as_deref()) {
        return Claim::Theirs(format!("ChangeRecord {} is settled already: {outcome}", entry.name));
    }
    if stored.spec == entry.spec {
        return Claim::Ours;
    }
    let (by, at) = (&stored.spec.claimed_by, stored.spec.claimed_at);
    Claim::Theirs(format!("ChangeRecord {} was claimed at {at} by {by}", entry.name))
}

fn status(settlement: &Settlement) -> ChangeRecordStatus {
    ChangeRecordStatus {
        outcome: Some(settlement.outcome.as_str().to_owned()),
        reason: Some(settlement.reason.as_str().to_owned()),
        message: Some(super::entries::one_line(&settlement.message)),
        missing_action: settlement.missing_action.as_deref().map(super::entries::one_line),
        settled_at: Some(settlement.at),
    }
}

/// One line of the log has the whole record, so that a lost cluster does not lose it.
fn tell(record: &ChangeRecord, what: &str) {
    match serde_json::to_string(record) {
        Ok(json) => info!(record = json, "{what}"),
        Err(error) => warn!(name = record.name_any(), %error, "{what}, but it is no JSON"),
    }
}

fn not_claimed(name: &str, error: &CallError) -> LedgerError {
    let advice = match error.answer() {
        Some(answer) if answer.message.contains("quota") => "raise the quota of changerecords.plumbline.dev",
        Some(answer) if answer.is_forbidden() && answer.message.contains("cannot ") => {
            "grant create and get on changerecords.plumbline.dev to the operator's ServiceAccount"
        }
        Some(answer) if answer.is_forbidden() => "find out which admission policy denies it",
        Some(answer) if answer.is_not_found() => "install the CRDs of this version, which `plumbline crd` prints",
        Some(answer) if answer.is_invalid() => "install the CRD of this version, which `plumbline crd` prints",
        Some(_) | None if error.may_pass() => "it is tried again",
        Some(_) | None => "see what the API server said",
    };
    let message = format!("ChangeRecord {name} could not be written, so nothing was changed: {error}; {advice}");
    LedgerError { message, may_pass: error.may_pass() }
}

fn unsettled(name: &str, error: &CallError) -> LedgerError {
    let advice = match error.answer() {
        Some(answer) if answer.is_forbidden() => "; grant update on changerecords/status",
        Some(_) | None => "",
    };
    let message = format!("the outcome of ChangeRecord {name} could not be written: {error}{advice}");
    LedgerError { message, may_pass: error.may_pass() }
}

fn unread(error: &CallError) -> LedgerError {
    let advice = match error.answer() {
        Some(answer) if answer.is_forbidden() => "; grant get and list on changerecords.plumbline.dev",
        Some(answer) if answer.is_not_found() => "; install the CRDs of this version, which `plumbline crd` prints",
        Some(_) | None => "",
    };
    let message = format!("the ChangeRecords could not be read, so nothing is changed: {error}{advice}");
    LedgerError { message, may_pass: error.may_pass() }
}

fn unreadable_record(name: &str, error: &str) -> LedgerError {
    let error = super::entries::one_line(error);
    final_error(format!("this version cannot read ChangeRecord {name}, so nothing is changed: {error}"))
}

fn final_error(message: String) -> LedgerError {
    LedgerError { message, may_pass: false }
}

/// What was deleted by somebody else is gone, too.
fn found(error: CallError) -> Result<(), CallError> {
    if error.answer().is_some_and(kube::core::Status::is_not_found) { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;
    use crate::api::{ChangeRecordSpec, RecordedBaseline, RecordedChange};
    use crate::baseline::history::{Outcome, SettledReason};

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn entry(claimed_at: i64) -> Entry {
        let spec = ChangeRecordSpec {
            account_id: "222222222222".into(),
            partition: "aws".to_owned(),
            baseline: RecordedBaseline { name: "prod".to_owned(), ..RecordedBaseline::default() },
            control: "passwordPolicy".to_owned(),
            findings: Vec::new(),
            operation: "iam:UpdateAccountPasswordPolicy".to_owned(),
            inverse: "iam:DeleteAccountPasswordPolicy".to_owned(),
            not_undone: None,
            resource: "arn:aws:iam::222222222222:root".to_owned(),
            region: None,
            meaning: "0123456789abcdef".to_owned(),
            target: "0123456789abcdef".to_owned(),
            ordinal: 0,
            plan_digest: None,
            approval: None,
            undoes: None,
            claimed_at: time(claimed_at),
            claimed_by: "plumbline-0".to_owned(),
            change: RecordedChange::default(),
        };
        Entry { name: "222222222222-0123456789abcdef-0".to_owned(), spec }
    }

    #[test]
    fn p5_a_record_is_ours_only_if_it_says_the_same_and_nothing_became_of_it() {
        let (mine, stored) = (entry(7), record(&entry(7)));
        assert_eq!(owner(&mine, &stored), Claim::Ours);
        let Claim::Theirs(why) = owner(&mine, &record(&entry(8))) else { panic!("another moment, another claim") };
        assert!(why.contains("plumbline-0") && why.contains("1970-01-01T00:00:08Z"), "{why}");
        let settlement = Settlement {
            outcome: Outcome::NotApplied,
            reason: SettledReason::Denied,
            message: "no\u{1b}[31m".to_owned(),
            missing_action: Some("iam:UpdateAccountPasswordPolicy".to_owned()),
            at: time(9),
        };
        let settled = ChangeRecord { status: Some(status(&settlement)), ..stored };
        let Claim::Theirs(why) = owner(&mine, &settled) else { panic!("what is settled is nobody's") };
        assert!(why.contains("NotApplied"), "{why}");
        assert!(!settled.status.unwrap().message.unwrap().contains('\u{1b}'));
    }

    #[test]
    fn the_hour_of_a_claim_is_among_those_that_are_asked_for_within_the_hour_after_it() {
        for claimed in [0, 1, 3_599, 3_600, 500_000_123] {
            let label = record(&entry(claimed)).labels()[CLAIMED_HOUR].clone();
            for later in [-60, 0, 1, 1_800, 3_599] {
                let asked = hours(time(claimed + later));
                let values = asked.split(['(', ',', ')']).any(|value| value == label);
                assert!(values, "{label} is not in {asked}");
            }
        }
    }

    #[test]
    fn what_cannot_be_written_says_what_to_do() {
        let refused = |code: u16, reason: &str, message: &str| {
            let status = Status::failure(message, reason).with_code(code);
            not_claimed("r", &CallError::Api(Box::new(kube::Error::Api(Box::new(status)))))
        };
        let forbidden = "changerecords.plumbline.dev is forbidden: User \"plumbline\" cannot create resource";
        let table = [
            (refused(403, "Forbidden", forbidden), "grant create", false),
            (refused(403, "Forbidden", "exceeded quota: records, used: 100"), "raise the quota", false),
            (refused(403, "Forbidden", "denied by ValidatingAdmissionPolicy"), "which admission policy", false),
            (refused(404, "NotFound", "the server could not find the requested resource"), "install the CRDs", false),
            (refused(422, "Invalid", "spec.change: Invalid value"), "install the CRD ", false),
            (refused(500, "InternalError", "etcdserver: request timed out"), "tried again", true),
            (not_claimed("r", &CallError::NoAnswer), "tried again", true),
        ];
        for (error, says, may_pass) in table {
            assert!(error.message.contains(says) && error.message.contains("nothing was changed"), "{error}");
            assert_eq!(error.may_pass, may_pass, "{error}");
        }
    }
}
