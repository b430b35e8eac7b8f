//! From a control's findings to the one sentence that status and reports say about it. No IO.
//!
//! The sentence counts resources, not findings: a bucket that fails three checks is one bucket.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Coverage;
use crate::baseline::{Check, Control, Finding, Verdict};

/// What the sentence of a control counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// One field of the password policy.
    Requirement,
    /// One thing that is asked of the root user.
    RootRequirement,
    User,
    Rule,
    DefaultGroup,
    Bucket,
}

/// How many of something fail.
#[derive(Default)]
struct Tally {
    fail: usize,
    judged: usize,
    unknown: usize,
    exempt: usize,
}

/// The sentence for a control, without a period. Example: `3 of 40 buckets fail`.
///
/// `findings` may hold those of other controls too: they are left out. It says what was not seen as well, so that
/// "0 users fail" is not read as "MFA is enforced".
#[must_use]
pub fn control_message(control: Control, findings: &[Finding], coverage: &Coverage) -> String {
    let of = |counted| Tally::of(counted, findings);
    let mut parts = match control {
        Control::PasswordPolicy => vec![of(Counted::Requirement).sentence("requirement")],
        Control::Mfa => mfa(&of(Counted::RootRequirement), of(Counted::User), coverage),
        Control::SecurityGroups => security_groups(&of(Counted::Rule), &of(Counted::DefaultGroup), coverage),
        Control::S3Encryption => {
            let mut buckets = of(Counted::Bucket);
            buckets.judged = coverage.buckets.unwrap_or(buckets.judged);
            vec![buckets.sentence("bucket"), skipped_buckets(coverage)]
        }
    };
    parts.retain(|part| !part.is_empty());
    if parts.is_empty() { "nothing to judge".to_owned() } else { parts.join("; ") }
}

fn mfa(root: &Tally, mut users: Tally, coverage: &Coverage) -> Vec<String> {
    let mut parts = Vec::new();
    if !root.is_empty() {
        parts.push(format!("root user: {}", root.sentence("requirement")));
    }
    if coverage.users.is_some() || !users.is_empty() {
        users.judged = coverage.users.unwrap_or(users.judged);
        parts.push(match coverage.users_listed {
            Some(listed) if users.is_empty() => format!("none of {listed} IAM users is in scope"),
            Some(_) | None => users.sentence("user"),
        });
        // MFA-27: whoever has no IAM user is out of sight.
        parts.push("people who come through federation or Identity Center are not seen".to_owned());
    }
    parts
}

fn security_groups(rules: &Tally, default_groups: &Tally, coverage: &Coverage) -> Vec<String> {
    let regions = match coverage.regions.as_slice() {
        [] => String::new(),
        [only] => format!("judged in {only}"),
        several => format!("judged in {} regions", several.len()),
    };
    let not_enabled = match coverage.regions_not_enabled.as_slice() {
        [] => String::new(),
        names => format!("named but not enabled: {}", names.join(", ")),
    };
    let nothing = if rules.is_empty() && default_groups.is_empty() { "no rule or group to judge" } else { "" };
    vec![rules.sentence("rule"), default_groups.sentence("default group"), nothing.to_owned(), regions, not_enabled]
}

fn skipped_buckets(coverage: &Coverage) -> String {
    match coverage.buckets_skipped.unwrap_or_default() {
        0 => String::new(),
        1 => "1 bucket lies in a region that is not judged".to_owned(),
        skipped => format!("{skipped} buckets lie in regions that are not judged"),
    }
}

impl Counted {
    fn by(check: Check) -> Self {
        match check {
            Check::MinimumPasswordLength
            | Check::RequireUppercaseCharacters
            | Check::RequireLowercaseCharacters
            | Check::RequireNumbers
            | Check::RequireSymbols
            | Check::PasswordReusePrevention
            | Check::MaxPasswordAge
            | Check::AllowUsersToChangePassword => Self::Requirement,
            Check::RootUserMfa | Check::RootUserHardwareMfa | Check::RootUserAccessKeys | Check::RootUserUnused => {
                Self::RootRequirement
            }
            Check::UserMfa | Check::UserPhishingResistantMfa => Self::User,
            Check::Ingress => Self::Rule,
            Check::DefaultSecurityGroup => Self::DefaultGroup,
            Check::EncryptionAlgorithm
            | Check::KmsKey
            | Check::KmsKeyUsable
            | Check::BucketKey
            | Check::SseCForbidden
            | Check::TlsRequired => Self::Bucket,
        }
    }

    /// Whether each check on a resource counts by itself: all of them are on the account.
    fn is_requirement(self) -> bool {
        matches!(self, Self::Requirement | Self::RootRequirement)
    }
}

impl Tally {
    fn of(counted: Counted, findings: &[Finding]) -> Self {
        let mut worst: BTreeMap<(Option<Check>, Option<&str>, &str), Verdict> = BTreeMap::new();
        for finding in findings.iter().filter(|finding| Counted::by(finding.subject().check) == counted) {
            let subject = finding.subject();
            let check = counted.is_requirement().then_some(subject.check);
            let key = (check, subject.region.as_deref(), subject.resource.as_str());
            let verdict = worst.entry(key).or_insert(Verdict::NotApplicable);
            if rank(finding.verdict()) > rank(*verdict) {
                *verdict = finding.verdict();
            }
        }
        let mut tally = Self::default();
        for verdict in worst.into_values() {
            match verdict {
                Verdict::Fail => (tally.fail, tally.judged) = (tally.fail + 1, tally.judged + 1),
                Verdict::Pass => tally.judged += 1,
                Verdict::Exempt => (tally.exempt, tally.judged) = (tally.exempt + 1, tally.judged + 1),
                Verdict::Unknown => tally.unknown += 1,
                Verdict::NotApplicable => {}
            }
        }
        tally
    }

    fn is_empty(&self) -> bool {
        self.judged + self.unknown == 0
    }

    /// `3 of 40 buckets fail, 1 unknown`; empty where there is nothing.
    fn sentence(&self, noun: &str) -> String {
        let plural = if self.judged == 1 { "" } else { "s" };
        let mut sentence = match (self.judged, self.unknown) {
            (0, 0) => return String::new(),
            (0, _) => return format!("no {noun} could be judged"),
            (judged, _) => format!("{} of {judged} {noun}{plural} fail", self.fail),
        };
        if self.unknown > 0 {
            let _ = write!(sentence, ", {} unknown", self.unknown);
        }
        if self.exempt > 0 {
            let _ = write!(sentence, ", {} exempt", self.exempt);
        }
        sentence
    }
}

/// A resource comes to the worst of its checks.
fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::NotApplicable => 0,
        Verdict::Pass => 1,
        Verdict::Exempt => 2,
        Verdict::Unknown => 3,
        Verdict::Fail => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::{Cause, CauseClass, Subject};
    use crate::engine::fake::at;

    fn finding(verdict: Verdict, check: Check, resource: &str) -> Finding {
        let subject = Subject::new(check, resource, "field");
        match verdict {
            Verdict::Unknown => Finding::unknown(subject, "x", Cause::new(CauseClass::Throttled, "slow down")),
            Verdict::NotApplicable => Finding::not_applicable(subject, "does not apply", at()),
            Verdict::Fail => Finding::fail(subject, "x", "y", at()),
            Verdict::Exempt => Finding::fail(subject, "x", "y", at()).excepted("e", at()),
            Verdict::Pass => Finding::pass(subject, "x", "x", at()),
        }
    }

    #[test]
    fn a_bucket_that_fails_three_checks_is_one_bucket() {
        let findings = [
            finding(Verdict::Fail, Check::EncryptionAlgorithm, "a"),
            finding(Verdict::Fail, Check::KmsKey, "a"),
            finding(Verdict::NotApplicable, Check::BucketKey, "a"),
            finding(Verdict::Unknown, Check::TlsRequired, "a"),
            finding(Verdict::Pass, Check::EncryptionAlgorithm, "b"),
            finding(Verdict::Unknown, Check::TlsRequired, "c"),
        ];
        let coverage = Coverage { buckets: Some(3), buckets_skipped: Some(2), ..Coverage::default() };
        assert_eq!(
            control_message(Control::S3Encryption, &findings, &coverage),
            "1 of 3 buckets fail, 1 unknown; 2 buckets lie in regions that are not judged"
        );
    }

    #[test]
    fn what_is_excepted_is_counted_and_never_among_what_fails() {
        let findings = [
            finding(Verdict::Exempt, Check::EncryptionAlgorithm, "a"),
            finding(Verdict::Pass, Check::TlsRequired, "a"),
            finding(Verdict::Exempt, Check::EncryptionAlgorithm, "b"),
            finding(Verdict::Fail, Check::TlsRequired, "b"),
        ];
        let message = control_message(Control::S3Encryption, &findings, &Coverage::default());
        assert_eq!(message, "1 of 2 buckets fail, 1 exempt");
    }

    #[test]
    fn mfa_27_no_failing_user_does_not_read_as_mfa_for_everybody() {
        let unseen = "people who come through federation or Identity Center are not seen";
        let mut findings: Vec<_> = (0..12).map(|n| finding(Verdict::Pass, Check::UserMfa, &n.to_string())).collect();
        let mut coverage = Coverage { users: Some(12), ..Coverage::default() };
        let message = |findings: &[Finding], coverage: &Coverage| control_message(Control::Mfa, findings, coverage);
        assert_eq!(message(&findings, &coverage), format!("0 of 12 users fail; {unseen}"));
        findings = vec![
            finding(Verdict::Fail, Check::RootUserMfa, "root"),
            finding(Verdict::Pass, Check::RootUserUnused, "root"),
        ];
        coverage.users = Some(0);
        coverage.users_listed = Some(4);
        assert_eq!(
            message(&findings, &coverage),
            format!("root user: 1 of 2 requirements fail; none of 4 IAM users is in scope; {unseen}")
        );
        coverage.users = None;
        assert_eq!(message(&findings, &coverage), "root user: 1 of 2 requirements fail");
        assert_eq!(
            message(&[finding(Verdict::Unknown, Check::UserMfa, "users")], &coverage),
            format!("no user could be judged; {unseen}")
        );
    }

    #[test]
    fn each_requirement_on_the_password_policy_counts_and_other_controls_do_not() {
        let findings = [
            finding(Verdict::Fail, Check::MinimumPasswordLength, "root"),
            finding(Verdict::Pass, Check::RequireNumbers, "root"),
            finding(Verdict::Fail, Check::Ingress, "sgr-1"),
        ];
        let message = control_message(Control::PasswordPolicy, &findings, &Coverage::default());
        assert_eq!(message, "1 of 2 requirements fail");
    }

    #[test]
    fn sg_29_a_region_that_is_named_but_not_enabled_is_said() {
        let findings = [
            finding(Verdict::Fail, Check::Ingress, "sgr-1"),
            finding(Verdict::Pass, Check::Ingress, "sgr-2"),
            finding(Verdict::Pass, Check::DefaultSecurityGroup, "sg-1"),
        ];
        let coverage = Coverage {
            regions: vec!["eu-west-1".to_owned(), "us-east-1".to_owned()],
            regions_not_enabled: vec!["me-south-1".to_owned()],
            ..Coverage::default()
        };
        assert_eq!(
            control_message(Control::SecurityGroups, &findings, &coverage),
            "1 of 2 rules fail; 0 of 1 default group fail; judged in 2 regions; named but not enabled: me-south-1"
        );
        assert_eq!(
            control_message(Control::SecurityGroups, &[], &coverage),
            "no rule or group to judge; judged in 2 regions; named but not enabled: me-south-1"
        );
    }
}
