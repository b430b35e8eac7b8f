//! Conditions of a status: set one, drop one. Pure.

use jiff::Timestamp;

use crate::api::{Condition, ConditionStatus, ConditionType, Reason};

/// The conditions of one object, edited for one generation at one moment.
pub(super) struct Conditions<'a> {
    list: &'a mut Vec<Condition>,
    generation: i64,
    now: Timestamp,
}

/// The condition of a kind, where there is one.
pub(super) fn find(list: &[Condition], kind: ConditionType) -> Option<&Condition> {
    list.iter().find(|condition| condition.r#type == kind.as_str())
}

/// Whether the last pass failed and is to be tried again: a process that has just started does so at once.
pub(super) fn is_to_be_retried(list: &[Condition]) -> bool {
    find(list, ConditionType::Reconciling).is_some_and(|condition| condition.status == ConditionStatus::True.as_str())
}

impl<'a> Conditions<'a> {
    pub(super) fn new(list: &'a mut Vec<Condition>, generation: i64, now: Timestamp) -> Self {
        Self { list, generation, now }
    }

    /// Sets a condition; the transition time moves only where the status changes.
    pub(super) fn set(&mut self, kind: ConditionType, status: ConditionStatus, reason: Reason, message: &str) {
        let last_transition_time = find(self.list, kind)
            .filter(|condition| condition.status == status.as_str())
            .map_or(self.now, |condition| condition.last_transition_time);
        let condition = Condition {
            r#type: kind.as_str().to_owned(),
            status: status.as_str().to_owned(),
            observed_generation: self.generation,
            last_transition_time,
            reason: reason.as_str().to_owned(),
            message: message.to_owned(),
        };
        match self.list.iter_mut().find(|other| other.r#type == kind.as_str()) {
            Some(other) => *other = condition,
            None => self.list.push(condition),
        }
    }

    /// Says that nothing will change without an edit.
    pub(super) fn stall(&mut self, reason: Reason, message: &str) {
        self.set(ConditionType::Ready, ConditionStatus::False, reason, message);
        self.set(ConditionType::Stalled, ConditionStatus::True, reason, message);
        self.remove(ConditionType::Reconciling);
    }

    /// Drops a condition that is present only while true.
    pub(super) fn remove(&mut self, kind: ConditionType) {
        self.list.retain(|condition| condition.r#type != kind.as_str());
    }

    /// Leaves status and transition time as they are and says why nothing moves; `Unknown` where nothing was there.
    pub(super) fn keep(&mut self, kind: ConditionType, reason: Reason, message: &str) {
        let status = match find(self.list, kind).map(|condition| condition.status.as_str()) {
            Some("True") => ConditionStatus::True,
            Some("False") => ConditionStatus::False,
            _ => ConditionStatus::Unknown,
        };
        self.set(kind, status, reason, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let mut list = Vec::new();
        let set = |list: &mut Vec<Condition>, status, reason, second| {
            Conditions::new(list, 1, time(second)).set(ConditionType::Compliant, status, reason, "");
            list[0].last_transition_time
        };
        assert_eq!(set(&mut list, ConditionStatus::False, Reason::DriftDetected, 1), time(1));
        assert_eq!(set(&mut list, ConditionStatus::False, Reason::DriftDetected, 2), time(1));
        assert_eq!(set(&mut list, ConditionStatus::Unknown, Reason::PartiallyEvaluated, 3), time(3));
        assert_eq!(list.len(), 1);
    }

    #[test]
    fn what_is_kept_keeps_its_value_and_its_time() {
        let mut list = Vec::new();
        Conditions::new(&mut list, 1, time(1)).set(ConditionType::Ready, ConditionStatus::True, Reason::Evaluated, "");
        Conditions::new(&mut list, 2, time(2)).keep(ConditionType::Ready, Reason::Suspended, "suspended");
        assert_eq!((list[0].status.as_str(), list[0].reason.as_str()), ("True", "Suspended"));
        assert_eq!(list[0].last_transition_time, time(1));
    }
}
