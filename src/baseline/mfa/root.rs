//! From what AWS says of root to the findings on the account. No IO.
//!
//! Root's own state is read live, from the account's summary. The credential report serves two questions that the
//! summary does not answer: when root was last used, and, in GovCloud alone, whether root can have a password. There
//! the report says `not_supported` for root without a console. In other partitions AWS writes the same word for roots
//! that do have a password, so it counts in GovCloud only.

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
            Some(PasswordEnabled::NotSupported) => Question::Moot("root has no console in AWS GovCloud (US)", report_at),
            Some(PasswordEnabled::Yes | PasswordEnabled::No) => Question::Open(summary, at),
        },
    }
}
