//! Counting verdicts, and the one word that a control or a baseline comes to.

use super::finding::{Finding, Verdict};

/// How many findings have each verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "one count for each verdict")]
pub struct Summary {
    pub pass: usize,
    pub fail: usize,
    pub unknown: usize,
    pub not_applicable: usize,
    pub exempt: usize,
}

impl Summary {
    /// Counts the findings.
    pub fn of<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Self {
        let mut summary = Self::default();
        for finding in findings {
            summary.add(finding.verdict());
        }
        summary
    }

    /// Counts one more.
    pub fn add(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Pass => &mut self.pass,
            Verdict::Fail => &mut self.fail,
            Verdict::Unknown => &mut self.unknown,
            Verdict::NotApplicable => &mut self.not_applicable,
            Verdict::Exempt => &mut self.exempt,
        } += 1;
    }
}

/// `Fail` if anything fails; else `Unknown` if anything could not be judged; else `Pass` if anything passes or is
/// exempt; else `NotApplicable`.
#[must_use]
pub fn result_of(summary: Summary) -> Verdict {
    if summary.fail > 0 {
        Verdict::Fail
    } else if summary.unknown > 0 {
        Verdict::Unknown
    } else if summary.pass + summary.exempt > 0 {
        Verdict::Pass
    } else {
        Verdict::NotApplicable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_unread_ever_counts_as_a_pass() {
        let summary = Summary { pass: 10, unknown: 1, ..Summary::default() };
        assert_eq!(result_of(summary), Verdict::Unknown);
        assert_eq!(result_of(Summary { fail: 1, ..summary }), Verdict::Fail);
        assert_eq!(result_of(Summary { unknown: 0, ..summary }), Verdict::Pass);
        assert_eq!(result_of(Summary { exempt: 1, ..Summary::default() }), Verdict::Pass);
        assert_eq!(result_of(Summary::default()), Verdict::NotApplicable);
    }
}
