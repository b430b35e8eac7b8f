//! From findings and the exceptions in force to findings, where what is excepted is `Exempt`. No IO, no clock.
//!
//! Only what fails can be excepted: an exception adds no finding, takes none away, and leaves every other verdict as it
//! is. What could not be read stays `Unknown`, because nobody knows what would be waived.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::check::{Check, Control};
use super::finding::{Finding, Subject, Verdict, short_hash};
use super::observed::Cause;
use super::policy_document::pattern::matches;
use crate::api::{BaselineExceptionSpec, ControlName, ExpiryError};

/// An exception that can be honoured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Its name.
    pub name: String,
    /// When it ends.
    pub expires_at: Timestamp,
    accounts: BTreeSet<String>,
    control: Option<Control>,
    check: Option<Check>,
    pattern: String,
}

/// Why an exception is not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidException {
    /// Its end.
    #[error(transparent)]
    Expiry(#[from] ExpiryError),
    /// A check that this version does not have.
    #[error("there is no check {0} in this version: `plumbline checks` prints those that there are")]
    UnknownCheck(String),
    /// Neither control nor check: everything would be excepted.
    #[error("it names neither control nor check: say what is excepted")]
    Everything,
}

/// The names of security groups, which their ARNs do not tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupNames {
    /// By region and group id.
    pub known: BTreeMap<(String, String), String>,
    /// The regions whose groups could not be read.
    pub unread: BTreeMap<String, Cause>,
}

impl Exception {
    /// Reads a spec.
    ///
    /// # Errors
    ///
    /// If it must not be applied as it stands.
    pub fn new(name: &str, spec: &BaselineExceptionSpec, created_at: Timestamp) -> Result<Self, InvalidException> {
        let check = spec.check.as_deref().map(|name| {
            let found = Check::ALL.into_iter().find(|check| check.as_str() == name);
            found.ok_or_else(|| InvalidException::UnknownCheck(name.to_owned()))
        });
        let (check, control) = (check.transpose()?, spec.control.map(control));
        if check.is_none() && control.is_none() {
            return Err(InvalidException::Everything);
        }
        Ok(Self {
            name: name.to_owned(),
            expires_at: spec.expiry(created_at)?,
            accounts: spec.accounts.iter().map(ToString::to_string).collect(),
            control,
            check,
            pattern: spec.resource_pattern.to_string(),
        })
    }

    /// Whether it holds in an account (the name of the `AwsAccount`) at a moment.
    #[must_use]
    pub fn in_force(&self, account: &str, now: Timestamp) -> bool {
        self.accounts.contains(account) && now < self.expires_at
    }

    fn is_about(&self, check: Check) -> bool {
        self.check.is_none_or(|own| own == check) && self.control.is_none_or(|own| own == check.control())
    }

    fn covers(&self, subject: &Subject, group_name: Option<&str>) -> bool {
        let arns = [Some(subject.resource.as_str()), subject.parent.as_deref()];
        let mut texts = arns.into_iter().flatten().flat_map(|arn| [arn, name_of(arn)]).chain(group_name);
        self.is_about(subject.check) && texts.any(|text| matches(&self.pattern, text))
    }

    /// Whether the pattern may mean a security group's name, which never starts with `sg-`.
    fn may_mean_a_group_name(&self) -> bool {
        !["arn:", "sg-", "sgr-"].iter().any(|prefix| self.pattern.starts_with(prefix))
    }
}

/// What names the exceptions of an account: a hash that is the same as long as they are, and over restarts. `None`
/// where there are none.
///
/// `versions` tells an exception from an earlier one of the same name: its uid and generation.
#[must_use]
pub fn fingerprint<'a>(versions: impl IntoIterator<Item = (&'a str, String)>) -> Option<String> {
    let sorted: BTreeSet<(&str, String)> = versions.into_iter().collect();
    if sorted.is_empty() {
        return None;
    }
    Some(short_hash(sorted.iter().flat_map(|(name, version)| [*name, version.as_str()])))
}

/// The security groups, by region, whose names decide whether a failing finding is excepted.
#[must_use]
pub fn names_wanted(findings: &[Finding], exceptions: &[Exception]) -> BTreeMap<String, BTreeSet<String>> {
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| waits_for_name(finding, exceptions)) {
        if let Some((region, group)) = group_of(finding.subject()) {
            wanted.entry(region.to_owned()).or_default().insert(group.to_owned());
        }
    }
    wanted
}

/// The findings with the exceptions applied; those given are in force. Where several cover one finding, the one that
/// ends last does, and of those that end together the first by name.
#[must_use]
pub fn apply(findings: Vec<Finding>, exceptions: &[Exception], names: &GroupNames) -> Vec<Finding> {
    findings.into_iter().map(|finding| except(finding, exceptions, names)).collect()
}

fn except(finding: Finding, exceptions: &[Exception], names: &GroupNames) -> Finding {
    if finding.verdict() != Verdict::Fail {
        return finding;
    }
    let subject = finding.subject();
    let name = group_name(subject, names);
    let covering = exceptions.iter().filter(|exception| exception.covers(subject, name));
    // Of equal ones `max_by` takes the last: the names are compared the other way round.
    let last = covering.max_by(|a, b| a.expires_at.cmp(&b.expires_at).then_with(|| b.name.cmp(&a.name)));
    match (last, subject.region.as_deref().and_then(|region| names.unread.get(region))) {
        (Some(exception), _) => finding.excepted(&exception.name, exception.expires_at),
        (None, Some(cause)) if waits_for_name(&finding, exceptions) => undecided(finding, cause),
        (None, _) => finding,
    }
}

/// Fails, but nobody knows whether an exception covers it. What may pass by itself is waited for; a permission that is
/// missing for good must not hide what fails.
fn undecided(finding: Finding, cause: &Cause) -> Finding {
    let message = format!("whether an exception covers it is not known: {}", cause.message);
    if cause.class.may_pass() {
        let cause = Cause { message: format!("fails, but {message}"), ..cause.clone() };
        Finding::unknown(finding.subject().clone(), finding.desired(), cause).with_severity(finding.severity())
    } else {
        let message = if finding.message().is_empty() { message } else { format!("{}; {message}", finding.message()) };
        finding.with_message(message)
    }
}

fn waits_for_name(finding: &Finding, exceptions: &[Exception]) -> bool {
    let subject = finding.subject();
    finding.verdict() == Verdict::Fail
        && subject.check == Check::Ingress
        && exceptions.iter().any(|exception| exception.is_about(subject.check) && exception.may_mean_a_group_name())
        && !exceptions.iter().any(|exception| exception.covers(subject, None))
}

fn group_name<'a>(subject: &Subject, names: &'a GroupNames) -> Option<&'a str> {
    if subject.check == Check::DefaultSecurityGroup {
        return Some("default");
    }
    let (region, group) = group_of(subject)?;
    names.known.get(&(region.to_owned(), group.to_owned())).map(String::as_str)
}

fn group_of(subject: &Subject) -> Option<(&str, &str)> {
    Some((subject.region.as_deref()?, name_of(subject.parent.as_deref()?)))
}

/// What follows the last `/` of an ARN, or its last `:` where it has no `/`.
fn name_of(arn: &str) -> &str {
    let after = |separator| arn.rsplit_once(separator).map(|(_, name)| name);
    after('/').or_else(|| after(':')).unwrap_or(arn)
}

fn control(name: ControlName) -> Control {
    match name {
        ControlName::PasswordPolicy => Control::PasswordPolicy,
        ControlName::Mfa => Control::Mfa,
        ControlName::SecurityGroups => Control::SecurityGroups,
        ControlName::S3Encryption => Control::S3Encryption,
    }
}

#[cfg(test)]
mod tests;
