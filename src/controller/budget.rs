//! The rate of the whole operator: what the records of the last hour tell, and what passes under way were granted.
//!
//! Records alone would let two passes that look at the same moment have the same rest of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::baseline::admit::Admission;
use crate::engine::ledger::{Ledger, LedgerError};

/// What passes under way were granted.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// One pass after the other looks at the records and takes its share.
    turn: tokio::sync::Mutex<()>,
    granted: Mutex<(u64, BTreeMap<u64, usize>)>,
}

/// A share that ends when it is dropped: by then there are records of what was made of it.
#[derive(Debug)]
pub(super) struct Share<'a> {
    budget: &'a Budget,
    number: u64,
}

impl Budget {
    /// Has `admit` decide, with the times of all changes that count, oldest first, and grants what it admits.
    pub(super) async fn admit(
        &self,
        ledger: &dyn Ledger,
        now: Timestamp,
        admit: impl FnOnce(&[Timestamp]) -> Admission + Send,
    ) -> Result<(Admission, Share<'_>), LedgerError> {
        let _turn = self.turn.lock().await;
        let mut times = ledger.recent_changes(now).await?;
        times.extend(std::iter::repeat_n(now, self.granted().1.values().sum()));
        let admission = admit(&times);
        Ok((admission.clone(), self.grant(admission.start.len())))
    }

    fn grant(&self, changes: usize) -> Share<'_> {
        let mut granted = self.granted();
        let number = granted.0;
        granted.0 = number.wrapping_add(1);
        granted.1.insert(number, changes);
        Share { budget: self, number }
    }

    fn granted(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, usize>)> {
        // A panic elsewhere cannot have left a half-written entry: inserts are whole.
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.budget.granted().1.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::baseline::history::History;
    use crate::engine::ledger::{Claim, Entry, Settlement};

    /// Records of which only the times matter.
    struct Times(Vec<Timestamp>);

    #[async_trait]
    impl Ledger for Times {
        async fn claim(&self, entry: &Entry) -> Result<Claim, LedgerError> {
            unreachable!("{entry:?}")
        }
        async fn settle(&self, name: &str, _: &Settlement) -> Result<(), LedgerError> {
            unreachable!("{name}")
        }
        async fn unsettled(&self, account_id: &str) -> Result<Vec<Entry>, LedgerError> {
            unreachable!("{account_id}")
        }
        async fn history(&self, account_id: &str) -> Result<History, LedgerError> {
            unreachable!("{account_id}")
        }
        async fn recent_changes(&self, _: Timestamp) -> Result<Vec<Timestamp>, LedgerError> {
            Ok(self.0.clone())
        }
    }

    #[tokio::test]
    async fn p7_passes_at_the_same_time_share_the_rate_of_the_operator() {
        let time = |second| Timestamp::from_second(second).unwrap();
        let (budget, ledger, now) = (Budget::default(), Times(vec![time(1), time(2)]), time(9));
        let admit = |rate: usize| {
            move |made: &[Timestamp]| {
                assert!(made.is_sorted());
                Admission { start: (0..rate.saturating_sub(made.len())).collect(), ..Admission::default() }
            }
        };
        let (first, share) = budget.admit(&ledger, now, admit(5)).await.unwrap();
        assert_eq!(first.start.len(), 3);
        let (second, none) = budget.admit(&ledger, now, admit(5)).await.unwrap();
        assert_eq!(second.start.len(), 0, "all of it was granted");
        drop((share, none));
        let (third, _share) = budget.admit(&ledger, now, admit(5)).await.unwrap();
        assert_eq!(third.start.len(), 3, "by now the records tell what was made");
    }
}
