//! A finding: one check judged on one resource.

use std::fmt;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::check::{Check, Severity};
use super::observed::Cause;

/// The five verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The resource complies.
    Pass,
    /// It does not.
    Fail,
    /// It could not be judged, because something was not read.
    Unknown,
    /// The check makes no sense for the resource.
    NotApplicable,
    /// An exception covers the finding.
    Exempt,
}

impl Verdict {
    /// The word as it stands in status and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "Pass",
            Self::Fail => "Fail",
            Self::Unknown => "Unknown",
            Self::NotApplicable => "NotApplicable",
            Self::Exempt => "Exempt",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is judged: a check on a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The check.
    pub check: Check,
    /// The region, where the resource has one.
    pub region: Option<String>,
    /// What the resource belongs to, such as a rule's security group.
    pub parent: Option<String>,
    /// The ARN or id.
    pub resource: String,
    /// The field of the spec that asks for it.
    pub field: &'static str,
}

impl Subject {
    /// A check on a resource without region and parent.
    #[must_use]
    pub fn new(check: Check, resource: impl Into<String>, field: &'static str) -> Self {
        Self { check, region: None, parent: None, resource: resource.into(), field }
    }

    /// The same in a region.
    #[must_use]
    pub fn in_region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// The same with a parent.
    #[must_use]
    pub fn of(mut self, parent: impl Into<String>) -> Self {
        self.parent = Some(parent.into());
        self
    }

    /// A hash of check, resource and field, 16 hexadecimal digits: the same in every evaluation.
    #[must_use]
    pub fn id(&self) -> String {
        short_hash([self.check.as_str(), &self.resource, self.field])
    }
}

/// The first 16 hexadecimal digits of a hash of these parts.
#[must_use]
pub fn short_hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        // A separator that no part can hold keeps ("ab", "c") apart from ("a", "bc").
        hash.update([0]);
    }
    let short = hash.finalize().iter().take(8).fold(0, |id: u64, byte| id << 8 | u64::from(*byte));
    format!("{short:016x}")
}

/// What an exception did to a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemption {
    /// The name of the exception.
    pub exception: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The verdict without it.
    pub actual: Verdict,
}

/// A judged check. Made only by the functions below, so that a cause is there exactly where the verdict is `Unknown`.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    subject: Subject,
    verdict: Verdict,
    severity: Severity,
    desired: String,
    observed: String,
    message: String,
    observed_at: Option<Timestamp>,
    cause: Option<Cause>,
    exemption: Option<Exemption>,
}

impl Finding {
    fn new(subject: Subject, verdict: Verdict, desired: String, observed: String, at: Option<Timestamp>) -> Self {
        let severity = subject.check.severity();
        let (message, cause, exemption) = (String::new(), None, None);
        Self { subject, verdict, severity, desired, observed, message, observed_at: at, cause, exemption }
    }

    /// The resource complies.
    pub fn pass(subject: Subject, desired: impl Into<String>, observed: impl Into<String>, at: Timestamp) -> Self {
        Self::new(subject, Verdict::Pass, desired.into(), observed.into(), Some(at))
    }

    /// The resource does not comply; add what is wrong with [`Finding::message`].
    pub fn fail(subject: Subject, desired: impl Into<String>, observed: impl Into<String>, at: Timestamp) -> Self {
        Self::new(subject, Verdict::Fail, desired.into(), observed.into(), Some(at))
    }

    /// `pass` or `fail`.
    pub fn judge(
        complies: bool,
        subject: Subject,
        desired: impl Into<String>,
        observed: impl Into<String>,
        at: Timestamp,
    ) -> Self {
        let verdict = if complies { Verdict::Pass } else { Verdict::Fail };
        Self::new(subject, verdict, desired.into(), observed.into(), Some(at))
    }

    /// The check makes no sense for the resource, for the reason given.
    pub fn not_applicable(subject: Subject, reason: impl Into<String>, at: Timestamp) -> Self {
        Self::new(subject, Verdict::NotApplicable, String::new(), String::new(), Some(at)).with_message(reason)
    }

    /// The check could not be judged.
    pub fn unknown(subject: Subject, desired: impl Into<String>, cause: Cause) -> Self {
        let mut finding = Self::new(subject, Verdict::Unknown, desired.into(), String::new(), None);
        finding.message.clone_from(&cause.message);
        finding.cause = Some(cause);
        finding
    }

    /// The same with a sentence for people.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// The same with another severity than the check's usual one.
    #[must_use]
    pub fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// The same under an exception: a finding that fails becomes `Exempt` and keeps its true verdict; any other stays
    /// as it is, for there is nothing to except.
    #[must_use]
    pub fn excepted(mut self, exception: impl Into<String>, expires_at: Timestamp) -> Self {
        if self.verdict == Verdict::Fail {
            self.exemption = Some(Exemption { exception: exception.into(), expires_at, actual: self.verdict });
            self.verdict = Verdict::Exempt;
        }
        self
    }

    /// What was judged.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// How bad it is if it fails.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The desired value, for people.
    #[must_use]
    pub fn desired(&self) -> &str {
        &self.desired
    }

    /// The observed value, for people; empty where nothing was observed.
    #[must_use]
    pub fn observed(&self) -> &str {
        &self.observed
    }

    /// A sentence for people; may be empty.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The time of the observation that the verdict rests on; `None` exactly where the verdict is `Unknown`.
    #[must_use]
    pub fn observed_at(&self) -> Option<Timestamp> {
        self.observed_at
    }

    /// Why it is `Unknown`.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        self.cause.as_ref()
    }

    /// The exception that covers it; there exactly where the verdict is `Exempt`.
    #[must_use]
    pub fn exemption(&self) -> Option<&Exemption> {
        self.exemption.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_of_check_resource_and_field_alone() {
        let subject = Subject::new(Check::Ingress, "sgr-1", "allowedIngress");
        assert_eq!(subject.id(), subject.clone().in_region("eu-west-1").of("sg-1").id());
        assert_ne!(subject.id(), Subject::new(Check::Ingress, "sgr-2", "allowedIngress").id());
        assert_eq!(subject.id().len(), 16);
    }
}
