//! From findings to the lists of a status: sorted by severity, bounded in number and in bytes, safe to print. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::api::{AccountBaselineStatus, DriftEntry, ExceptionUse, ExemptEntry, UnknownEntry};
use crate::baseline::{Check, Control, Finding, Remediation, Subject, Verdict};

/// The most that these lists may hold as JSON. An object is to stay under 256 KiB: the largest spec that the CRD admits
/// is 110 KB, these are 120 KiB, and conditions, coverage and metadata have the rest.
const DRIFT_BYTES: usize = 80 * 1024;
const UNKNOWN_BYTES: usize = 20 * 1024;
const EXEMPT_BYTES: usize = 16 * 1024;
const EXCEPTIONS_BYTES: usize = 4 * 1024;

/// The most entries, so that a person can still read them.
const DRIFT_ENTRIES: usize = 300;
const UNKNOWN_ENTRIES: usize = 100;
const EXEMPT_ENTRIES: usize = 100;
const EXCEPTIONS: usize = 100;

/// The most bytes of one text, which may come from names and tags in AWS.
const TEXT_BYTES: usize = 512;

/// A list that was cut, or not.
pub(super) struct Bounded<T> {
    pub(super) entries: Vec<T>,
    pub(super) cut: bool,
}

/// What fails, worst first. An entry that could not be judged this time stays, marked stale, so that a throttled call
/// neither hides drift nor resets its `since`.
pub(super) fn drift_entries(
    previous: &AccountBaselineStatus,
    findings: &[Finding],
    remediations: &BTreeMap<String, Remediation>,
    now: Timestamp,
) -> Bounded<DriftEntry> {
    let before: HashMap<&str, &DriftEntry> = previous.drift.iter().map(|entry| (entry.id.as_str(), entry)).collect();
    let mut failing: Vec<&Finding> = findings.iter().filter(|finding| finding.verdict() == Verdict::Fail).collect();
    failing.sort_by(|a, b| b.severity().cmp(&a.severity()).then_with(|| a.subject().cmp(b.subject())));
    let fresh = failing.into_iter().map(|finding| {
        let id = finding.subject().id();
        let since = match before.get(id.as_str()) {
            Some(entry) => entry.since,
            // It may have been among those that were cut: then nobody knows since when.
            None if previous.truncated => None,
            None => Some(now),
        };
        let remediation = remediations.get(&id);
        drift_entry(finding, id, since, remediation)
    });
    let stale = stale_entries(previous, findings);
    bounded(fresh.chain(stale), DRIFT_ENTRIES, DRIFT_BYTES)
}

/// What could not be judged.
pub(super) fn unknown_entries(findings: &[Finding]) -> Bounded<UnknownEntry> {
    let mut unknown: Vec<&Finding> = findings.iter().filter(|finding| finding.verdict() == Verdict::Unknown).collect();
    unknown.sort_by(|a, b| b.severity().cmp(&a.severity()).then_with(|| a.subject().cmp(b.subject())));
    bounded(unknown.into_iter().filter_map(unknown_entry), UNKNOWN_ENTRIES, UNKNOWN_BYTES)
}

/// What fails and is excepted, worst first.
pub(super) fn exempt_entries(findings: &[Finding]) -> Bounded<ExemptEntry> {
    let mut exempt: Vec<&Finding> = findings.iter().filter(|finding| finding.exemption().is_some()).collect();
    exempt.sort_by(|a, b| b.severity().cmp(&a.severity()).then_with(|| a.subject().cmp(b.subject())));
    bounded(exempt.into_iter().filter_map(exempt_entry), EXEMPT_ENTRIES, EXEMPT_BYTES)
}

/// How many findings each exception covered, by name.
pub(super) fn exception_uses(findings: &[Finding]) -> Bounded<ExceptionUse> {
    let mut uses: BTreeMap<&str, i64> = BTreeMap::new();
    for exemption in findings.iter().filter_map(Finding::exemption) {
        *uses.entry(&exemption.exception).or_default() += 1;
    }
    let uses = uses.into_iter().map(|(name, matched)| ExceptionUse { name: name.to_owned(), matched });
    bounded(uses, EXCEPTIONS, EXCEPTIONS_BYTES)
}

/// Earlier entries of which nothing was learned: the same finding is unknown now, or the whole list that it came from
/// is (a region's rules, the account's buckets), so that its resource has no row at all.
fn stale_entries(previous: &AccountBaselineStatus, findings: &[Finding]) -> Vec<DriftEntry> {
    let (unknown, judged): (Vec<_>, Vec<_>) =
        findings.iter().map(Finding::subject).zip(findings).partition(|(_, finding)| finding.cause().is_some());
    let judged: HashSet<String> = judged.iter().map(|(subject, _)| subject.id()).collect();
    let unread: HashSet<String> = unknown.iter().map(|(subject, _)| subject.id()).collect();
    let lists: HashSet<(&str, Option<&str>)> = unknown
        .iter()
        .filter(|(subject, _)| is_list(subject))
        .map(|(subject, _)| (subject.check.control().as_str(), subject.region.as_deref()))
        .collect();
    let in_unread_list = |entry: &DriftEntry| {
        let control = entry.control.as_str();
        lists.contains(&(control, entry.region.as_deref())) || lists.contains(&(control, None))
    };
    previous
        .drift
        .iter()
        .filter(|entry| !judged.contains(&entry.id))
        .filter(|entry| unread.contains(&entry.id) || in_unread_list(entry))
        .map(|entry| DriftEntry { stale: true, ..entry.clone() })
        .collect()
}

/// Whether a subject stands for a list that could not be read: the account or a region in place of a user, rule or
/// bucket.
fn is_list(subject: &Subject) -> bool {
    let of_many = match subject.check {
        Check::UserMfa | Check::UserPhishingResistantMfa => true,
        check => matches!(check.control(), Control::SecurityGroups | Control::S3Encryption),
    };
    of_many && (subject.resource.ends_with(":root") || subject.resource.ends_with('*'))
}

fn drift_entry(
    finding: &Finding,
    id: String,
    since: Option<Timestamp>,
    remediation: Option<&Remediation>,
) -> DriftEntry {
    let subject = finding.subject();
    DriftEntry {
        id,
        control: subject.check.control().as_str().to_owned(),
        check: subject.check.as_str().to_owned(),
        severity: finding.severity().as_str().to_owned(),
        resource: one_line(&subject.resource),
        parent: subject.parent.as_deref().map(one_line),
        region: subject.region.as_deref().map(one_line),
        field: subject.field.to_owned(),
        desired: one_line(finding.desired()),
        observed: one_line(finding.observed()),
        message: one_line(finding.message()),
        remediation: remediation.map(|done| done.as_str().to_owned()),
        remediation_reason: remediation.and_then(Remediation::reason).map(|reason| reason.as_str().to_owned()),
        remediation_message: remediation.and_then(Remediation::message).map(one_line),
        since,
        stale: false,
    }
}

fn exempt_entry(finding: &Finding) -> Option<ExemptEntry> {
    let (subject, exemption) = (finding.subject(), finding.exemption()?);
    Some(ExemptEntry {
        control: subject.check.control().as_str().to_owned(),
        check: subject.check.as_str().to_owned(),
        resource: one_line(&subject.resource),
        region: subject.region.as_deref().map(one_line),
        exception: exemption.exception.clone(),
        expires_at: Some(exemption.expires_at),
        actual: exemption.actual.as_str().to_owned(),
        message: one_line(finding.message()),
    })
}

fn unknown_entry(finding: &Finding) -> Option<UnknownEntry> {
    let (subject, cause) = (finding.subject(), finding.cause()?);
    Some(UnknownEntry {
        control: subject.check.control().as_str().to_owned(),
        check: subject.check.as_str().to_owned(),
        resource: one_line(&subject.resource),
        region: subject.region.as_deref().map(one_line),
        cause: cause.class.as_str().to_owned(),
        missing_action: cause.missing_action.as_deref().map(one_line),
        message: one_line(&cause.message),
    })
}

fn bounded<T: Serialize>(items: impl Iterator<Item = T>, most: usize, most_bytes: usize) -> Bounded<T> {
    let mut list = Bounded { entries: Vec::new(), cut: false };
    let mut bytes = 0;
    for item in items {
        // An entry that is no JSON cannot be stored: it counts as cut.
        bytes += serde_json::to_vec(&item).map_or(most_bytes, |json| json.len() + 1);
        if list.entries.len() == most || bytes > most_bytes {
            list.cut = true;
            break;
        }
        list.entries.push(item);
    }
    list
}

/// A text that may have come from AWS, fit for status: nothing that a terminal acts upon, no more than 512 bytes.
pub(super) fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if is_unsafe(c) { '\u{fffd}' } else { c }).collect();
    if clean.len() <= TEXT_BYTES {
        return clean;
    }
    let mark = "...";
    let end = (0..=TEXT_BYTES - mark.len()).rev().find(|end| clean.is_char_boundary(*end)).unwrap_or(0);
    format!("{}{mark}", clean.get(..end).unwrap_or_default())
}

/// Control characters, separators of lines, and the invisible marks that turn the direction of a text around.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::{Cause, CauseClass, HoldReason};

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn rule(id: &str) -> Subject {
        Subject::new(Check::Ingress, format!("arn:aws:ec2:eu-west-1:222222222222:security-group-rule/{id}"), "f")
            .in_region("eu-west-1")
    }

    fn failing(id: &str) -> Finding {
        Finding::fail(rule(id), "nothing", "tcp 22", time(0))
    }

    fn drift(before: &AccountBaselineStatus, findings: &[Finding], now: i64) -> Bounded<DriftEntry> {
        drift_entries(before, findings, &BTreeMap::new(), time(now))
    }

    fn status(findings: &[Finding], now: i64) -> AccountBaselineStatus {
        let list = drift(&AccountBaselineStatus::default(), findings, now);
        AccountBaselineStatus { drift: list.entries, truncated: list.cut, ..AccountBaselineStatus::default() }
    }

    #[test]
    fn since_survives_evaluations_and_is_not_known_where_the_list_was_cut() {
        let before = status(&[failing("sgr-1")], 1);
        let after = drift(&before, &[failing("sgr-1"), failing("sgr-2")], 2).entries;
        assert_eq!(after.iter().map(|entry| entry.since).collect::<Vec<_>>(), [Some(time(1)), Some(time(2))]);
        let cut = AccountBaselineStatus { truncated: true, ..before };
        let after = drift(&cut, &[failing("sgr-1"), failing("sgr-2")], 2).entries;
        assert_eq!(after.iter().map(|entry| entry.since).collect::<Vec<_>>(), [Some(time(1)), None]);
    }

    #[test]
    fn sg_32_drift_of_a_region_that_was_not_read_stays_and_is_marked_stale() {
        let before = status(&[failing("sgr-1")], 1);
        let region = Subject::new(Check::Ingress, "arn:aws:ec2:eu-west-1:222222222222:*", "f").in_region("eu-west-1");
        let unknown = Finding::unknown(region, "nothing", Cause::new(CauseClass::Throttled, "slow down"));
        let after = drift(&before, &[unknown], 2).entries;
        assert_eq!(after.len(), 1);
        assert!(after[0].stale);
        assert_eq!(after[0].since, Some(time(1)));
    }

    #[test]
    fn drift_that_is_gone_goes_even_if_something_else_is_unknown() {
        let before = status(&[failing("sgr-1")], 1);
        let other = Finding::unknown(rule("sgr-2"), "nothing", Cause::new(CauseClass::AccessDenied, "no"));
        assert_eq!(drift(&before, &[other], 2).entries, []);
    }

    #[test]
    fn p15_twenty_thousand_findings_with_hostile_names_stay_within_the_bound() {
        let name = "\u{1b}[31m\0é".repeat(100_000);
        let finding = |n: usize| {
            let name = if n < 5 { name.as_str() } else { "\u{1b}[31m\0" };
            Finding::fail(rule(&format!("{n:05}-{name}")), "nothing", name, time(0))
        };
        let findings: Vec<Finding> = (0..20_000).map(finding).collect();
        let list = drift(&AccountBaselineStatus::default(), &findings, 1);
        let json = serde_json::to_string(&list.entries).unwrap();
        assert!(list.cut && !list.entries.is_empty());
        assert!(json.len() <= DRIFT_BYTES + 2, "{}", json.len());
        assert!(!json.contains("\\u001b") && !json.contains("\\u0000"));
    }

    #[test]
    fn p15_many_exempt_findings_and_exceptions_with_long_names_stay_within_the_bound() {
        let finding = |n: usize| failing(&format!("sgr-{n}")).excepted(format!("{n:05}{}", "x".repeat(200)), time(9));
        let findings: Vec<Finding> = (0..20_000).map(finding).collect();
        let (exempt, uses) = (exempt_entries(&findings), exception_uses(&findings));
        assert!(exempt.cut && uses.cut && !exempt.entries.is_empty() && !uses.entries.is_empty());
        assert!(serde_json::to_vec(&exempt.entries).unwrap().len() <= EXEMPT_BYTES + 2);
        assert!(serde_json::to_vec(&uses.entries).unwrap().len() <= EXCEPTIONS_BYTES + 2);
        assert_eq!(drift(&AccountBaselineStatus::default(), &findings, 1).entries, []);
    }

    #[test]
    fn the_worst_comes_first() {
        let key = Subject::new(Check::KmsKeyUsable, "arn:aws:s3:::a", "f");
        let findings = [failing("sgr-1"), Finding::fail(key, "enabled", "disabled", time(0))];
        let severities: Vec<_> = status(&findings, 1).drift.into_iter().map(|entry| entry.severity).collect();
        assert_eq!(severities, ["Critical", "High"]);
    }

    #[test]
    fn each_entry_says_what_is_done_about_it() {
        let (one, two) = (failing("sgr-1"), failing("sgr-2"));
        let held = Remediation::held(HoldReason::ManagedElsewhere, "the \u{1b}load balancer controller owns it");
        let remediations = BTreeMap::from([
            (one.subject().id(), Remediation::Automatic("revokes the rule".to_owned())),
            (two.subject().id(), held),
        ]);
        let list = drift_entries(&AccountBaselineStatus::default(), &[one, two], &remediations, time(1)).entries;
        let said = |entry: &DriftEntry| {
            (entry.remediation.clone().unwrap(), entry.remediation_reason.clone(), entry.remediation_message.clone())
        };
        assert_eq!(said(&list[0]), ("Automatic".to_owned(), None, Some("revokes the rule".to_owned())));
        let (kind, reason, message) = said(&list[1]);
        assert_eq!((kind.as_str(), reason.as_deref()), ("Held", Some("ManagedElsewhere")));
        assert_eq!(message.unwrap(), "the \u{fffd}load balancer controller owns it");
    }
}
