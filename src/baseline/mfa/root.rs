//! From what AWS says of root to the findings on the account. No IO.
//!
//! Root's own state is read live, from the account's summary. The credential report serves two questions that the
//! summary does not answer: when root was last used, and, in the partition `aws-us-gov` alone, whether root can have a
//! password. There the report says `not_supported` for root, which has no console. In other partitions AWS writes the
//! same word for roots that do have a password, so it counts in that one only.

use jiff::Timestamp;

use super::snapshot::{in_gov_cloud, read};
use super::{AccountSummary, LastUsed, PasswordEnabled, ReportRow, Snapshot};
use crate::api::{Days, RootUser};
use crate::baseline::check::Check;
use crate::baseline::finding::{Finding, Subject};
use crate::baseline::observed::{Cause, CauseClass};

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// Whether it makes sense to ask root for MFA.
enum Question<'a> {
    Open(&'a AccountSummary, Timestamp),
    Moot(&'static str, Timestamp),
    Unknown(Cause),
}

/// Judges what the spec asks of root.
pub(super) fn judge(asked: &RootUser, snapshot: &Snapshot) -> Vec<Finding> {
    let RootUser { require_mfa, require_hardware_mfa, forbid_access_keys, require_unused_for } = asked;
    let resource = snapshot.account.root_arn();
    let subject = |check, field| Subject::new(check, &resource, field);
    [
        require_mfa.then(|| mfa(subject(Check::RootUserMfa, "rootUser.requireMfa"), snapshot)),
        require_hardware_mfa
            .then(|| hardware_mfa(subject(Check::RootUserHardwareMfa, "rootUser.requireHardwareMfa"), snapshot)),
        forbid_access_keys
            .then(|| access_keys(subject(Check::RootUserAccessKeys, "rootUser.forbidAccessKeys"), snapshot)),
        require_unused_for
            .as_ref()
            .map(|days| unused(subject(Check::RootUserUnused, "rootUser.requireUnusedFor"), days, snapshot)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn mfa(subject: Subject, snapshot: &Snapshot) -> Finding {
    match question(snapshot) {
        Question::Unknown(cause) => Finding::unknown(subject, "true", cause),
        Question::Moot(why, at) => Finding::not_applicable(subject, why, at),
        Question::Open(summary, at) if summary.root_mfa_enabled => Finding::pass(subject, "true", "true", at),
        Question::Open(_, at) => {
            Finding::fail(subject, "true", "false", at).with_message("root has credentials and no MFA device")
        }
    }
}

fn hardware_mfa(subject: Subject, snapshot: &Snapshot) -> Finding {
    let (summary, at) = match question(snapshot) {
        Question::Unknown(cause) => return Finding::unknown(subject, "hardware only", cause),
        Question::Moot(why, at) => return Finding::not_applicable(subject, why, at),
        Question::Open(summary, at) => (summary, at),
    };
    if !summary.root_mfa_enabled {
        return Finding::fail(subject, "hardware only", "none", at)
            .with_message("root has credentials and no MFA device");
    }
    match read(snapshot.root_has_virtual_mfa.as_ref()) {
        Err(cause) => Finding::unknown(subject, "hardware only", cause),
        Ok((true, at)) => Finding::fail(subject, "hardware only", "virtual", at)
            .with_message("root has a virtual MFA device, which is usable whatever other devices root has"),
        Ok((false, at)) => Finding::pass(subject, "hardware only", "not virtual", at).with_message(
            "root has no virtual MFA device; AWS does not tell a passkey that is synced between machines from a \
             hardware key here",
        ),
    }
}

fn access_keys(subject: Subject, snapshot: &Snapshot) -> Finding {
    let (summary, at) = match read(snapshot.summary.as_ref()) {
        Err(cause) => return Finding::unknown(subject, "none", cause),
        Ok(read) => read,
    };
    let found = match (summary.root_access_keys_present, summary.root_signing_certificates_present) {
        (false, false) => return Finding::pass(subject, "none", "none", at),
        (true, false) => "access keys",
        (false, true) => "signing certificates",
        (true, true) => "access keys and signing certificates",
    };
    Finding::fail(subject, "none", found, at).with_message(format!("root has {found}"))
}

/// Judges root's last use against the time of the report: a use after it was made shows in the next one.
fn unused(subject: Subject, days: &Days, snapshot: &Snapshot) -> Finding {
    let (report, at) = match read(snapshot.report.as_ref()) {
        Err(cause) => return Finding::unknown(subject, days.as_str(), cause),
        Ok(read) => read,
    };
    let Some(root) = &report.root else { return Finding::unknown(subject, days.as_str(), no_root_row()) };
    let Some(limit) = seconds(days) else {
        let cause = Cause::new(CauseClass::Malformed, format!("requireUnusedFor `{days}` is no number of days"));
        return Finding::unknown(subject, days.as_str(), cause);
    };
    let Some((credential, used)) = last_use(root) else {
        return Finding::pass(subject, days.as_str(), "never used", at);
    };
    let date = used.strftime("%Y-%m-%d").to_string();
    let observed = format!("{credential} used on {date}");
    if at.as_second().saturating_sub(used.as_second()) >= limit {
        return Finding::pass(subject, days.as_str(), observed, at);
    }
    Finding::fail(subject, days.as_str(), observed, at).with_message(format!(
        "root's {credential} was last used on {date}, less than {days} before the credential report of {}",
        at.strftime("%Y-%m-%d")
    ))
}

/// The latest use of root's credentials that AWS knows of, and which of them it was.
fn last_use(root: &ReportRow) -> Option<(&'static str, Timestamp)> {
    [("password", root.password_last_used), ("access key", root.access_key_last_used)]
        .into_iter()
        .filter_map(|(credential, used)| match used {
            LastUsed::At(at) => Some((credential, at)),
            LastUsed::Never | LastUsed::NotSupported => None,
        })
        .max_by_key(|(_, at)| *at)
}

fn seconds(days: &Days) -> Option<i64> {
    let days: u16 = days.as_str().strip_suffix('d')?.parse().ok()?;
    Some(i64::from(days) * SECONDS_PER_DAY)
}

fn no_root_row() -> Cause {
    Cause::new(CauseClass::Malformed, "the credential report has no row for root")
}

fn question(snapshot: &Snapshot) -> Question<'_> {
    let (summary, at) = match read(snapshot.summary.as_ref()) {
        Err(cause) => return Question::Unknown(cause),
        Ok(read) => read,
    };
    if !summary.root_has_credentials() {
        return Question::Moot("root has neither a password nor access keys nor signing certificates", at);
    }
    if summary.root_mfa_enabled || !in_gov_cloud(&snapshot.account) {
        return Question::Open(summary, at);
    }
    match read(snapshot.report.as_ref()) {
        Err(cause) => Question::Unknown(cause),
        Ok((report, report_at)) => match report.root.as_ref().map(|root| root.password_enabled) {
            None => Question::Unknown(no_root_row()),
            Some(PasswordEnabled::NotSupported) => {
                Question::Moot("root has no console in AWS GovCloud (US)", report_at)
            }
            Some(PasswordEnabled::Yes | PasswordEnabled::No) => Question::Open(summary, at),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::baseline::finding::Verdict;
    use crate::baseline::mfa::CredentialReport;
    use crate::baseline::observed::Observed;
    use crate::baseline::{AccountIdentity, Severity};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn summary(change: impl FnOnce(&mut AccountSummary)) -> AccountSummary {
        let mut summary = AccountSummary {
            root_mfa_enabled: false,
            root_password_present: Some(true),
            root_access_keys_present: false,
            root_signing_certificates_present: false,
            attached_policies_per_user_quota: None,
        };
        change(&mut summary);
        summary
    }

    fn row(change: impl FnOnce(&mut ReportRow)) -> ReportRow {
        let mut row = ReportRow {
            user: "<root_account>".to_owned(),
            arn: "arn:aws:iam::222222222222:root".to_owned(),
            created_at: Some(Timestamp::UNIX_EPOCH),
            password_enabled: PasswordEnabled::NotSupported,
            password_last_used: LastUsed::Never,
            password_last_changed: LastUsed::Never,
            mfa_active: false,
            access_key_active: false,
            access_key_last_used: LastUsed::Never,
        };
        change(&mut row);
        row
    }

    fn in_partition(partition: &str, summary: AccountSummary, root: Option<ReportRow>) -> Snapshot {
        let caller = format!("arn:{partition}:sts::222222222222:assumed-role/PlumblineAudit/plumbline");
        let report = Arc::new(CredentialReport { root, users: Vec::new() });
        Snapshot {
            account: AccountIdentity::from_caller("222222222222", &caller).unwrap(),
            summary: Some(Observed::complete(summary, at("2026-11-01T02:00:00Z"))),
            root_has_virtual_mfa: None,
            report: Some(Observed::complete(report, at("2026-11-01T00:00:00Z"))),
            users: None,
            administrators: None,
            live: BTreeMap::new(),
        }
    }

    fn snapshot(change: impl FnOnce(&mut AccountSummary)) -> Snapshot {
        in_partition("aws", summary(change), Some(row(|_| {})))
    }

    fn judged(yaml: &str, snapshot: &Snapshot) -> Finding {
        let asked: RootUser = serde_saphyr::from_str(yaml).unwrap();
        let mut findings = judge(&asked, snapshot);
        assert_eq!(findings.len(), 1, "{findings:#?}");
        findings.remove(0)
    }

    #[test]
    fn mfa_01_root_with_a_password_and_no_mfa_fails_critically() {
        let finding = judged("{requireMfa: true}", &snapshot(|_| {}));
        assert_eq!((finding.verdict(), finding.severity()), (Verdict::Fail, Severity::Critical));
        assert_eq!(finding.subject().resource, "arn:aws:iam::222222222222:root");
        assert_eq!(finding.subject().field, "rootUser.requireMfa");
        let unsaid = snapshot(|s| s.root_password_present = None);
        assert_eq!(judged("{requireMfa: true}", &unsaid).verdict(), Verdict::Fail, "no answer is no absence");
        let with = snapshot(|s| s.root_mfa_enabled = true);
        assert_eq!(judged("{requireMfa: true}", &with).verdict(), Verdict::Pass);
    }

    #[test]
    fn mfa_02_root_without_password_and_keys_is_not_asked() {
        let without = snapshot(|s| s.root_password_present = Some(false));
        for spec in ["{requireMfa: true}", "{requireHardwareMfa: true}"] {
            assert_eq!(judged(spec, &without).verdict(), Verdict::NotApplicable, "{spec}");
        }
        assert_eq!(judged("{forbidAccessKeys: true}", &without).verdict(), Verdict::Pass);
        let key = snapshot(|s| (s.root_password_present, s.root_access_keys_present) = (Some(false), true));
        assert_eq!(judged("{requireMfa: true}", &key).verdict(), Verdict::Fail, "a key is a credential");
        let certificate =
            snapshot(|s| (s.root_password_present, s.root_signing_certificates_present) = (Some(false), true));
        assert_eq!(judged("{requireMfa: true}", &certificate).verdict(), Verdict::Fail);
    }

    #[test]
    fn mfa_03_root_that_still_has_a_password_fails_however_it_is_managed() {
        // Central management shows nowhere in the summary but in the credentials that it took away.
        let still = snapshot(|s| s.root_password_present = Some(true));
        assert_eq!(judged("{requireMfa: true}", &still).verdict(), Verdict::Fail);
    }

    #[test]
    fn mfa_05_a_virtual_device_beside_a_hardware_key_fails() {
        let mut both = snapshot(|s| s.root_mfa_enabled = true);
        both.root_has_virtual_mfa = Some(Observed::complete(true, at("2026-11-01T02:00:01Z")));
        let finding = judged("{requireHardwareMfa: true}", &both);
        assert_eq!((finding.verdict(), finding.observed()), (Verdict::Fail, "virtual"));
        assert_eq!(finding.severity(), Severity::High);
        let none = judged("{requireHardwareMfa: true}", &snapshot(|_| {}));
        assert_eq!((none.verdict(), none.observed()), (Verdict::Fail, "none"));
    }

    #[test]
    fn mfa_06_devices_that_are_not_virtual_pass_with_a_note_on_passkeys() {
        let mut hardware = snapshot(|s| s.root_mfa_enabled = true);
        hardware.root_has_virtual_mfa = Some(Observed::complete(false, at("2026-11-01T02:00:01Z")));
        let finding = judged("{requireHardwareMfa: true}", &hardware);
        assert_eq!(finding.verdict(), Verdict::Pass);
        assert!(finding.message().contains("passkey"));
        hardware.root_has_virtual_mfa = None;
        assert_eq!(judged("{requireHardwareMfa: true}", &hardware).verdict(), Verdict::Unknown);
    }

    #[test]
    fn keys_and_signing_certificates_of_root_fail() {
        for (keys, certificates, observed) in [
            (true, false, "access keys"),
            (false, true, "signing certificates"),
            (true, true, "access keys and signing certificates"),
        ] {
            let snapshot = snapshot(|s| {
                (s.root_access_keys_present, s.root_signing_certificates_present) = (keys, certificates);
            });
            let finding = judged("{forbidAccessKeys: true}", &snapshot);
            assert_eq!((finding.verdict(), finding.observed()), (Verdict::Fail, observed));
            assert_eq!(finding.severity(), Severity::Critical);
        }
    }

    #[test]
    fn mfa_32_root_without_a_console_in_gov_cloud_is_not_asked() {
        let gov = in_partition("aws-us-gov", summary(|_| {}), Some(row(|_| {})));
        for spec in ["{requireMfa: true}", "{requireHardwareMfa: true}"] {
            let finding = judged(spec, &gov);
            assert_eq!(finding.verdict(), Verdict::NotApplicable, "{spec}");
            assert_eq!(finding.subject().resource, "arn:aws-us-gov:iam::222222222222:root");
        }
        assert_eq!(judged("{forbidAccessKeys: true}", &gov).verdict(), Verdict::Pass, "keys are judged there too");
        let commercial = in_partition("aws", summary(|_| {}), Some(row(|_| {})));
        assert_eq!(judged("{requireMfa: true}", &commercial).verdict(), Verdict::Fail, "the word means less there");
        let console = row(|row| row.password_enabled = PasswordEnabled::Yes);
        let gov = in_partition("aws-us-gov", summary(|_| {}), Some(console));
        assert_eq!(judged("{requireMfa: true}", &gov).verdict(), Verdict::Fail);
        let rowless = in_partition("aws-us-gov", summary(|_| {}), None);
        assert_eq!(judged("{requireMfa: true}", &rowless).verdict(), Verdict::Unknown);
    }

    #[test]
    fn mfa_34_a_use_of_root_within_the_days_fails_with_its_date() {
        let used = |password, key| {
            in_partition(
                "aws",
                summary(|_| {}),
                Some(row(|row| (row.password_last_used, row.access_key_last_used) = (password, key))),
            )
        };
        let on = |text| LastUsed::At(at(text));
        let spec = "{requireUnusedFor: 90d}";
        let finding = judged(spec, &used(on("2026-10-20T12:00:00Z"), on("2025-01-01T00:00:00Z")));
        assert_eq!((finding.verdict(), finding.observed()), (Verdict::Fail, "password used on 2026-10-20"));
        assert!(finding.message().contains("2026-10-20"), "{}", finding.message());
        assert_eq!(finding.observed_at(), Some(at("2026-11-01T00:00:00Z")), "the report's time");
        let key = judged(spec, &used(LastUsed::NotSupported, on("2026-10-31T00:00:00Z")));
        assert_eq!((key.verdict(), key.observed()), (Verdict::Fail, "access key used on 2026-10-31"));
        // 90 days to the second before the report, and one second later.
        for (text, verdict) in [("2026-08-03T00:00:00Z", Verdict::Pass), ("2026-08-03T00:00:01Z", Verdict::Fail)] {
            assert_eq!(judged(spec, &used(on(text), LastUsed::Never)).verdict(), verdict, "{text}");
        }
        assert_eq!(judged(spec, &used(LastUsed::Never, LastUsed::NotSupported)).observed(), "never used");
    }

    #[test]
    fn a_report_without_a_row_for_root_says_nothing_about_its_use() {
        let rowless = in_partition("aws", summary(|_| {}), None);
        assert_eq!(judged("{requireUnusedFor: 90d}", &rowless).verdict(), Verdict::Unknown);
        for text in ["d", "x", "-1d", "99999999999d", "90", ""] {
            let days = format!("{{requireUnusedFor: '{text}'}}");
            assert_eq!(judged(&days, &snapshot(|_| {})).verdict(), Verdict::Unknown, "{text}");
        }
    }

    #[test]
    fn what_was_not_read_of_root_is_unknown_and_never_a_verdict() {
        let mut unread = snapshot(|_| {});
        let cause = Cause {
            missing_action: Some("iam:GetAccountSummary".to_owned()),
            ..Cause::new(CauseClass::AccessDenied, "denied")
        };
        unread.summary = Some(Observed::Unknown(cause));
        for spec in ["{requireMfa: true}", "{requireHardwareMfa: true}", "{forbidAccessKeys: true}"] {
            let finding = judged(spec, &unread);
            assert_eq!(finding.verdict(), Verdict::Unknown);
            let action = finding.cause().and_then(|cause| cause.missing_action.as_deref());
            assert_eq!(action, Some("iam:GetAccountSummary"));
        }
    }
}
