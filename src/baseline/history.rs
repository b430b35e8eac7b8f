//! From the records of an account to what they mean for the next plan: what is contested, what AWS refused, how much
//! was changed, which number a new record gets. No IO, no clock: `now` is an argument.

use jiff::{SignedDuration, Timestamp};

use crate::api::{ChangeRecordSpec, ChangeRecordStatus, RecordedBaseline};

/// What others undo so often within [`CONTESTED_WITHIN`] is contested.
pub const CONTESTED_AFTER: usize = 3;

/// 14 days.
pub const CONTESTED_WITHIN: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The time in which changes count against a rate.
pub const RATE_PERIOD: SignedDuration = SignedDuration::from_hours(1);

/// How long a refusal by AWS holds changes of its kind back: people give permissions, nobody else does.
pub const REFUSED_FOR: SignedDuration = SignedDuration::from_hours(6);

/// So many failed changes stop an account.
pub const FAILURES: usize = 3;

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// AWS was read back and shows the new value.
    Succeeded,
    /// AWS was not changed.
    NotApplied,
    /// It was attempted, and AWS does not show the new value.
    Failed,
    /// AWS could not be read any more.
    Unverifiable,
}

impl Outcome {
    /// The word as it stands in a record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::NotApplied => "NotApplied",
            Self::Failed => "Failed",
            Self::Unverifiable => "Unverifiable",
        }
    }

    /// Reads the word; an outcome that a newer version wrote counts as unverifiable.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        [Self::Succeeded, Self::NotApplied, Self::Failed]
            .into_iter()
            .find(|known| known.as_str() == word)
            .unwrap_or(Self::Unverifiable)
    }
}

/// Why a change came to its outcome. The words stand in records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SettledReason {
    /// AWS shows the new value after the call.
    Applied,
    /// AWS shows the new value although no call of ours is known to have made it.
    FoundApplied,
    /// AWS refused the call: a permission is missing, or a policy of the organization denies it.
    Denied,
    /// AWS refused the call for another reason.
    Refused,
    /// The spec, the account, an exception or the approval changed, or could not be read.
    NotWanted,
    /// Somebody changed the resource meanwhile.
    ResourceMoved,
    /// The resource or its session could not be read before the call.
    NotRead,
    /// This process may not change anything any more: another one leads, or it ends.
    NotLeading,
    /// The process ended between record and call; AWS still shows the value from before.
    Interrupted,
    /// After the call AWS shows neither value, or still the one from before.
    NotShown,
    /// The account or the resource cannot be read for so long that the outcome will not be known.
    Unreadable,
}

impl SettledReason {
    /// The word as it stands in a record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "Applied",
            Self::FoundApplied => "FoundApplied",
            Self::Denied => "Denied",
            Self::Refused => "Refused",
            Self::NotWanted => "NotWanted",
            Self::ResourceMoved => "ResourceMoved",
            Self::NotRead => "NotRead",
            Self::NotLeading => "NotLeading",
            Self::Interrupted => "Interrupted",
            Self::NotShown => "NotShown",
            Self::Unreadable => "Unreadable",
        }
    }
}

/// What is kept of a record: all but its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSummary {
    /// The record's name.
    pub name: String,
    /// The operation, as AWS names it.
    pub operation: String,
    /// What the change means.
    pub meaning: String,
    /// What is fought about.
    pub target: String,
    /// The record's number among those of its meaning.
    pub ordinal: i64,
    /// The baseline that asked for it.
    pub baseline: RecordedBaseline,
    /// The approval that covered it.
    pub approval: Option<String>,
    /// Whether it undoes another one.
    pub is_undo: bool,
    /// When it was decided.
    pub claimed_at: Timestamp,
    /// What became of it, and why; `None` while that is not known.
    pub settled: Option<Settled>,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What.
    pub outcome: Outcome,
    /// Why, in one word.
    pub reason: String,
    /// The IAM action that was missing.
    pub missing_action: Option<String>,
    /// In a sentence.
    pub message: String,
    /// When that was known.
    pub at: Option<Timestamp>,
}

impl RecordSummary {
    /// Reads a record.
    #[must_use]
    pub fn of(name: &str, spec: &ChangeRecordSpec, status: Option<&ChangeRecordStatus>) -> Self {
        let settled = status.and_then(|status| {
            Some(Settled {
                outcome: Outcome::parse(status.outcome.as_deref()?),
                reason: status.reason.clone().unwrap_or_default(),
                missing_action: status.missing_action.clone(),
                message: status.message.clone().unwrap_or_default(),
                at: status.settled_at,
            })
        });
        Self {
            name: name.to_owned(),
            operation: spec.operation.clone(),
            meaning: spec.meaning.clone(),
            target: spec.target.clone(),
            ordinal: spec.ordinal,
            baseline: spec.baseline.clone(),
            approval: spec.approval.clone(),
            is_undo: spec.undoes.is_some(),
            claimed_at: spec.claimed_at,
            settled,
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        self.settled.as_ref().map(|settled| settled.outcome)
    }

    /// Whether AWS, read back after the call, did not show the new value: nobody knows what it is doing.
    #[must_use]
    pub fn read_back_failed(&self) -> bool {
        self.outcome() == Some(Outcome::Failed)
    }

    /// Whether AWS was changed by it, or may have been.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.outcome() != Some(Outcome::NotApplied)
    }
}

/// The records of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(pub Vec<RecordSummary>);

impl History {
    /// The number of the next record of this meaning: one more than the highest of those that are settled, so that it
    /// is new even where old records were deleted. One that is not settled keeps its own.
    #[must_use]
    pub fn ordinal(&self, meaning: &str) -> i64 {
        let settled = self.0.iter().filter(|record| record.meaning == meaning && record.settled.is_some());
        settled.map(|record| record.ordinal.saturating_add(1)).max().unwrap_or(0)
    }

    /// Records of which it is not known what became of them.
    pub fn unsettled(&self) -> impl Iterator<Item = &RecordSummary> {
        self.0.iter().filter(|record| record.settled.is_none())
    }

    /// The times within the last hour at which changes were made, or may have been, oldest first.
    #[must_use]
    pub fn within_rate_period(&self, now: Timestamp) -> Vec<Timestamp> {
        let mut times: Vec<_> = self
            .0
            .iter()
            .filter(|record| record.counts() && !record.is_undo && record.claimed_at.duration_until(now) < RATE_PERIOD)
            .map(|record| record.claimed_at)
            .collect();
        times.sort();
        times
    }

    /// Until when a target is contested, where it is: it was changed [`CONTESTED_AFTER`] times within
    /// [`CONTESTED_WITHIN`], and is to be changed once more, so others undid it.
    ///
    /// The records of every baseline and generation count: whoever could begin the count anew, by an edit or by a
    /// baseline made again, could have us fight for ever.
    #[must_use]
    pub fn contested_until(&self, target: &str, now: Timestamp) -> Option<Timestamp> {
        let made = self.0.iter().filter(|record| {
            record.target == target && record.outcome() == Some(Outcome::Succeeded) && !record.is_undo
        });
        let mut times: Vec<Timestamp> = made.map(|record| record.claimed_at).collect();
        times.sort_unstable();
        let first_that_counts = *times.iter().rev().nth(CONTESTED_AFTER - 1)?;
        let until = first_that_counts.checked_add(CONTESTED_WITHIN).ok()?;
        (now < until).then_some(until)
    }

    /// The latest refusal of an operation for want of a permission, if the baseline has not changed since and nobody
    /// asked. Undos are made by people with rights of their own.
    #[must_use]
    pub fn refusal(&self, operation: &str, baseline: &RecordedBaseline, now: Timestamp) -> Option<&Settled> {
        let of_now = self
            .0
            .iter()
            .filter(|record| record.operation == operation && record.baseline == *baseline && !record.is_undo);
        let last = of_now.filter(|record| record.settled.is_some()).max_by_key(|record| record.claimed_at)?;
        last.settled.as_ref().filter(|settled| {
            settled.reason == SettledReason::Denied.as_str() && last.claimed_at.duration_until(now) < REFUSED_FOR
        })
    }

    /// The changes that failed for this spec, since a person last asked; undos are not among them.
    #[must_use]
    pub fn failures(&self, baseline: &RecordedBaseline) -> Vec<&RecordSummary> {
        let failed = |record: &&RecordSummary| match &record.settled {
            Some(settled) => match settled.outcome {
                Outcome::Failed | Outcome::Unverifiable => true,
                Outcome::NotApplied => settled.reason == SettledReason::Refused.as_str(),
                Outcome::Succeeded => false,
            },
            None => false,
        };
        self.0.iter().filter(|record| record.baseline == *baseline && !record.is_undo).filter(failed).collect()
    }
}

#[cfg(test)]
mod tests;
