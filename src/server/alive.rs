//! Whether the task that does the work still runs: asked, and answered by that task itself. No IO.
//!
//! Nothing outside of the process is part of the answer. A process that was stopped and goes on answers like any other:
//! no clock is compared.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// The task that is asked does nothing that takes time between two waits.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Asks.
#[derive(Clone, Debug)]
pub struct Alive(mpsc::Sender<oneshot::Sender<()>>);

/// Answers.
#[derive(Debug)]
pub struct Heart(mpsc::Receiver<oneshot::Sender<()>>);

/// The task that does the work does not run any more.
#[derive(Debug, thiserror::Error)]
#[error("the operator's main task does not answer within {}s: it is stuck", ANSWER_WITHIN.as_secs())]
pub struct Stuck;

/// Who asks and who answers.
#[must_use]
pub fn alive() -> (Alive, Heart) {
    let (ask, asked) = mpsc::channel(1);
    (Alive(ask), Heart(asked))
}

impl Alive {
    /// Asks the task that does the work for an answer.
    ///
    /// # Errors
    ///
    /// Where none comes.
    pub async fn check(&self) -> Result<(), Stuck> {
        self.answers(ANSWER_WITHIN).await
    }

    async fn answers(&self, within: Duration) -> Result<(), Stuck> {
        let answer = async {
            let (reply, replied) = oneshot::channel();
            self.0.send(reply).await.ok()?;
            replied.await.ok()
        };
        timeout(within, answer).await.ok().flatten().ok_or(Stuck)
    }
}

impl Heart {
    /// Does the work, and answers whoever asks from the same task: what blocks the one, blocks the other.
    pub async fn beats_while<T>(mut self, work: impl Future<Output = T>) -> T {
        let answers = async {
            while let Some(reply) = self.0.recv().await {
                // Who asked may have gone away.
                let _ = reply.send(());
            }
            std::future::pending().await
        };
        tokio::select! {
            result = work => result,
            never = answers => never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_waits_is_alive_and_one_that_does_not_run_is_stuck() {
        let (alive, heart) = alive();
        let moment = Duration::from_millis(10);
        assert!(alive.answers(moment).await.is_err(), "nobody works");
        let work = heart.beats_while(async {
            tokio::time::sleep(moment).await;
            assert!(alive.check().await.is_ok(), "a wait for the cluster is no reason for a restart");
            7
        });
        assert_eq!(work.await, 7);
        assert!(alive.check().await.is_err(), "the work has ended");
    }
}
