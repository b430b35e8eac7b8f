//! From the account's credential report to rows: the latest that AWS has, or a new one. IO through the account's
//! clients.
//!
//! AWS makes a report at most once in four hours, so one that is younger is the newest there can be: it is read once
//! and shared by all who reach the account by the same role.

use std::sync::Arc;

use aws_sdk_iam::types::ReportStateType;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::account::Account;
use super::error::{FailureKind, malformed};
use super::iam::timestamp;
use super::operation::{GENERATE_CREDENTIAL_REPORT, GET_CREDENTIAL_REPORT};
use crate::baseline::mfa::{CredentialReport, LastUsed, PasswordEnabled, ReportRow};
use crate::baseline::{Cause, CauseClass};

/// How long AWS hands out the same report.
const LIFETIME: SignedDuration = SignedDuration::from_hours(4);
/// The user column of root's row.
const ROOT: &str = "<root_account>";

/// The report of an account as one role sees it; who holds the lock may have a new one made.
pub(super) type ReportCache = Mutex<Option<Made>>;

/// A report and when AWS made it.
type Made = (Arc<CredentialReport>, Timestamp);

impl Account {
    pub(super) async fn read_credential_report(&self) -> Result<Made, Cause> {
        let mut cache = self.lock(GET_CREDENTIAL_REPORT, &self.report).await?;
        if let Some(made) = cache.as_ref().filter(|(_, at)| is_young(*at)) {
            return Ok(made.clone());
        }
        *cache = None;
        let made = match self.latest_report().await? {
            Some(made) if is_young(made.1) => made,
            old => self.new_report(old.map(|(_, at)| at)).await?,
        };
        *cache = Some(made.clone());
        Ok(made)
    }

    /// The report that AWS hands out, if there is one.
    async fn latest_report(&self) -> Result<Option<Made>, Cause> {
        let request = self.iam().get_credential_report().send();
        let answer = match self.call(GET_CREDENTIAL_REPORT, self.home(), request).await {
            Ok(answer) => answer,
            Err(failure) => {
                return match failure.kind {
                    FailureKind::ReportMissing | FailureKind::ReportPending => Ok(None),
                    FailureKind::Absent | FailureKind::BareDenial | FailureKind::Plain => Err(failure.cause),
                };
            }
        };
        let incomplete = || malformed(GET_CREDENTIAL_REPORT, "the answer has no content, or not the time it was made");
        let (content, at) = answer.content().zip(answer.generated_time()).ok_or_else(incomplete)?;
        let at = timestamp(GET_CREDENTIAL_REPORT, at)?;
        Ok(Some((Arc::new(parse(content.as_ref())?), at)))
    }

    /// Has AWS make a report, and asks for it until it is there: not the old one, unless AWS says that it is ready.
    ///
    /// The wait takes no more than a third of the account's time, so that the live listing has the rest (MFA-24).
    async fn new_report(&self, old: Option<Timestamp>) -> Result<Made, Cause> {
        let request = self.iam().generate_credential_report().send();
        let answer = self.call(GENERATE_CREDENTIAL_REPORT, self.home(), request).await?;
        let is_ready = answer.state() == Some(&ReportStateType::Complete);
        let first = self.edge.settings.report_poll;
        let patience = Instant::now() + self.remaining() / 3;
        let mut tries = 0;
        loop {
            tries += 1;
            if let Some(made) = self.latest_report().await?
                && (is_ready || old != Some(made.1) || is_young(made.1))
            {
                return Ok(made);
            }
            let wait = first * 2_u32.pow((tries - 1).min(4));
            if tries >= self.edge.settings.report_tries || Instant::now() + wait > patience {
                break;
            }
            tokio::time::sleep(wait).await;
        }
        let message = format!("{GET_CREDENTIAL_REPORT}: AWS had not made the report after {tries} requests for it");
        Err(Cause::new(CauseClass::ServiceError, message))
    }
}

fn is_young(at: Timestamp) -> bool {
    Timestamp::now().duration_since(at) < LIFETIME
}

/// Reads the report's CSV by the names of its columns, whose number and order AWS may change.
fn parse(content: &[u8]) -> Result<CredentialReport, Cause> {
    let mut reader = csv::Reader::from_reader(content);
    let unreadable = |error: &csv::Error| malformed(GET_CREDENTIAL_REPORT, format!("the report is no CSV: {error}"));
    let columns = reader.headers().map_err(|error| unreadable(&error))?.clone();
    let mut report = CredentialReport::default();
    for record in reader.records() {
        let record = record.map_err(|error| unreadable(&error))?;
        let row = Row { columns: &columns, record: &record };
        let row = row.read()?;
        if row.user == ROOT { report.root = Some(row) } else { report.users.push(row) }
    }
    Ok(report)
}

struct Row<'a> {
    columns: &'a csv::StringRecord,
    record: &'a csv::StringRecord,
}

impl<'a> Row<'a> {
    fn read(&self) -> Result<ReportRow, Cause> {
        let access_key_active = self.flag("access_key_1_active")? | self.flag("access_key_2_active")?;
        let first = self.last_used("access_key_1_last_used_date")?;
        let second = self.last_used("access_key_2_last_used_date")?;
        Ok(ReportRow {
            user: self.column("user")?.to_owned(),
            arn: self.column("arn")?.to_owned(),
            created_at: match self.last_used("user_creation_time")? {
                LastUsed::At(time) => Some(time),
                LastUsed::Never | LastUsed::NotSupported => None,
            },
            password_enabled: self.password_enabled()?,
            password_last_used: self.last_used("password_last_used")?,
            password_last_changed: self.last_used("password_last_changed")?,
            mfa_active: self.flag("mfa_active")?,
            access_key_active,
            access_key_last_used: later(first, second),
        })
    }

    fn column(&self, name: &str) -> Result<&'a str, Cause> {
        let index = self.columns.iter().position(|column| column == name);
        let value = index.and_then(|index| self.record.get(index));
        value.ok_or_else(|| malformed(GET_CREDENTIAL_REPORT, format!("the report has no column {name}")))
    }

    /// True or false. Root's row says of what its partition lacks that it is not supported, so that it is not there.
    fn flag(&self, name: &str) -> Result<bool, Cause> {
        match self.column(name)? {
            value if value.eq_ignore_ascii_case("true") => Ok(true),
            value if value.eq_ignore_ascii_case("false") => Ok(false),
            "not_supported" | "N/A" if self.column("user")? == ROOT => Ok(false),
            value => Err(odd(name, value)),
        }
    }

    fn password_enabled(&self) -> Result<PasswordEnabled, Cause> {
        match self.column("password_enabled")? {
            "not_supported" => Ok(PasswordEnabled::NotSupported),
            _ if self.flag("password_enabled")? => Ok(PasswordEnabled::Yes),
            _ => Ok(PasswordEnabled::No),
        }
    }

    fn last_used(&self, name: &str) -> Result<LastUsed, Cause> {
        match self.column(name)? {
            "N/A" | "no_information" => Ok(LastUsed::Never),
            "not_supported" => Ok(LastUsed::NotSupported),
            value => value.parse().map(LastUsed::At).map_err(|_| odd(name, value)),
        }
    }
}

fn odd(column: &str, value: &str) -> Cause {
    malformed(GET_CREDENTIAL_REPORT, format!("the column {column} of the report holds {value:?}"))
}

/// The later of two uses; a time says more than none.
fn later(first: LastUsed, second: LastUsed) -> LastUsed {
    match (first, second) {
        (LastUsed::At(first), LastUsed::At(second)) => LastUsed::At(first.max(second)),
        (LastUsed::At(time), _) | (_, LastUsed::At(time)) => LastUsed::At(time),
        (LastUsed::Never, _) | (_, LastUsed::Never) => LastUsed::Never,
        (LastUsed::NotSupported, LastUsed::NotSupported) => LastUsed::NotSupported,
    }
}

#[cfg(test)]
mod tests;
