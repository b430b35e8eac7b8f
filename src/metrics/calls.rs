//! Counts what the AWS edge tells of its requests. No IO.
//!
//! Error codes come from AWS: one that is no short word, and every one beyond a number of different ones, is `Other`.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::histogram::Histogram;

use super::Metrics;
use super::table::{ASSUME_ROLE_FAILURES, CALL_TIME, CALLS, THROTTLED};
use super::write::{Counts, histograms};
use crate::engine::calls::{Attempt, CallRecorder};

/// The services that are called.
const SERVICES: [&str; 6] = ["ec2", "iam", "kms", "s3", "servicequotas", "sts"];

/// So many different codes; the four services document some dozens for what is called.
const MOST_CODES: usize = 128;
/// The longest code, in bytes.
const LONGEST_CODE: usize = 64;
/// What any other code is called.
pub(super) const OTHER: &str = "Other";

/// Most answers come within milliseconds; an attempt is given up after 30 s.
const CALL_BUCKETS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// All requests of this process.
pub(super) struct Calls {
    attempts: Counts,
    throttled: Counts,
    assume_role_failures: Counts,
    times: [Histogram; SERVICES.len()],
    codes: Mutex<BTreeSet<String>>,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self {
            attempts: Counts::new(CALLS),
            throttled: Counts::new(THROTTLED),
            assume_role_failures: Counts::new(ASSUME_ROLE_FAILURES),
            times: std::array::from_fn(|_| Histogram::new(CALL_BUCKETS)),
            codes: Mutex::default(),
        }
    }

    /// Forgets the accounts that nobody names any more.
    pub(super) fn keep_accounts(&self, ids: &BTreeSet<String>) {
        // Without an id it is the operator's own identity.
        self.throttled.keep(|id| id.is_empty() || ids.contains(id));
        self.assume_role_failures.keep(|id| ids.contains(id));
    }

    pub(super) fn write(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.attempts.write(encoder)?;
        self.throttled.write(encoder)?;
        self.assume_role_failures.write(encoder)?;
        histograms(encoder, &CALL_TIME, SERVICES.into_iter().zip(&self.times))
    }

    /// The code as it may stand in a label.
    fn code<'a>(&self, code: &'a str) -> &'a str {
        let is_word = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        if !is_word || code.is_empty() || code.len() > LONGEST_CODE {
            return OTHER;
        }
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if codes.contains(code) || (codes.len() < MOST_CODES && codes.insert(code.to_owned())) { code } else { OTHER }
    }
}

impl CallRecorder for Metrics {
    fn attempted(&self, attempt: &Attempt<'_>) {
        let calls = &self.state.calls;
        calls.attempts.add(&[attempt.service, attempt.operation, calls.code(attempt.code)]);
        if attempt.throttled {
            calls.throttled.add(&[attempt.account_id, attempt.service]);
        }
        let time = SERVICES.into_iter().zip(&calls.times).find(|(service, _)| *service == attempt.service);
        if let Some((_, time)) = time {
            time.observe(attempt.took.as_secs_f64());
        }
    }

    fn assume_role_failed(&self, account_id: &str) {
        self.state.calls.assume_role_failures.add(&[account_id]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_short_word_and_there_are_only_so_many_of_them() {
        let calls = Calls::new();
        for strange in ["", "arn:aws:iam::1:role/x", "two words", &"a".repeat(65), "\"}\n", "é"] {
            assert_eq!(calls.code(strange), OTHER, "{strange}");
        }
        assert_eq!(calls.code("InvalidGroup.NotFound"), "InvalidGroup.NotFound");
        for number in 1..MOST_CODES {
            assert_eq!(calls.code(&format!("Code{number}")), format!("Code{number}"));
        }
        assert_eq!(calls.code("OneTooMany"), OTHER);
        assert_eq!(calls.code("Code1"), "Code1");
    }
}
