//! From the list of users, the credential report and the reads of single users to the findings on users, and to the
//! next read that a user needs. No IO.
//!
//! One function, `standing`, says what is known of a user: the observation asks it what to read next, the evaluation
//! what to say, so neither can know of a user what the other does not.
//!
//! - A user that the report clears is not read. A user that it does not clear is: first its devices, and, for the scope
//!   `ConsoleUsers`, its login profile only where the devices do not suffice: whoever lost the password since the
//!   report left the scope.
//! - A user that the list has and the report has not, or has with another time of creation (deleted and made again), is
//!   read live altogether, as everybody is where there is no report. A row whose user is not in the list is dropped.
//! - For `ConsoleUsers` a row without a password puts its user out of scope, as of the report's time, unless the list
//!   says that the user signed in with a password since. Another such user may have got a password since and not used
//!   it; to ask each of them would be a call for every user without one, at every evaluation, for an answer that the
//!   next report gives. The report is four hours old at most, and `coverage` carries its time.

use std::collections::HashMap;

use jiff::Timestamp;

use super::snapshot::{not_read, read};
use super::{IamUser, LiveUser, MfaDevice, PasswordEnabled, ReportRow, Snapshot};
use crate::api::{UserMfa, UserScope};
use crate::baseline::check::{Check, Severity};
use crate::baseline::finding::{Finding, Subject};
use crate::baseline::observed::{Cause, Observed};

/// A user that exists, beside its row of the report, if it has one.
#[derive(Clone, Copy, Debug)]
pub struct ListedUser<'a> {
    user: &'a IamUser,
    row: Option<(&'a ReportRow, Timestamp)>,
}

/// A read of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// `iam:GetLoginProfile`
    LoginProfile,
    /// `iam:ListMFADevices`
    Devices,
}

/// How many users were considered, so that "0 users fail" does not read as "MFA is enforced".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Considered {
    /// Users that exist in IAM.
    pub listed: usize,
    /// Those of them that have a row.
    pub in_scope: usize,
}

/// What is known of a user.
enum Standing<'a> {
    OutOfScope,
    Needs(Read),
    Unknown(&'a Cause),
    /// The report says that the user has MFA, and nothing more is asked.
    Cleared(Timestamp),
    /// The devices, and why a failure could not be confirmed, if it could not.
    Known {
        devices: &'a [MfaDevice],
        at: Timestamp,
        unconfirmed: Option<&'a Cause>,
    },
}

/// The users for whom something has to be read, sorted by name.
///
/// Nobody, where users or administrators could not be listed: there is nothing to judge then.
#[must_use]
pub fn candidates<'a>(asked: &UserMfa, snapshot: &'a Snapshot) -> Vec<ListedUser<'a>> {
    let mut users = roster(asked, snapshot).unwrap_or_default();
    users.retain(|user| user.next_read(asked, &LiveUser::default()).is_some());
    users
}

/// Counts the users that were considered; `None` where they could not be listed.
#[must_use]
pub fn considered(asked: &UserMfa, snapshot: &Snapshot) -> Option<Considered> {
    let users = roster(asked, snapshot).ok()?;
    let listed = snapshot.users.as_ref().and_then(Observed::value).map_or(0, Vec::len);
    let in_scope = users
        .iter()
        .filter(|listed| !matches!(listed.standing(asked, listed.live_in(snapshot)), Standing::OutOfScope))
        .count();
    Some(Considered { listed, in_scope })
}

/// Judges the users in scope; one `Unknown` for all of them where they could not be listed.
pub(super) fn judge(asked: &UserMfa, snapshot: &Snapshot) -> Vec<Finding> {
    match roster(asked, snapshot) {
        Ok(users) => users.iter().flat_map(|listed| listed.judge(asked, listed.live_in(snapshot))).collect(),
        Err(cause) => {
            let subject = Subject::new(Check::UserMfa, snapshot.account.root_arn(), "users.scope");
            vec![Finding::unknown(subject, "MFA device", cause).with_severity(severity(asked))]
        }
    }
}

/// Joins list and report; for `PrivilegedUsers` the administrators alone.
fn roster<'a>(asked: &UserMfa, snapshot: &'a Snapshot) -> Result<Vec<ListedUser<'a>>, Cause> {
    let (users, _) = read(snapshot.users.as_ref())?;
    let administrators = match asked.scope {
        UserScope::PrivilegedUsers => Some(read(snapshot.administrators.as_ref())?.0),
        UserScope::ConsoleUsers | UserScope::AllUsers => None,
    };
    let report = snapshot.report.as_ref().and_then(|report| report.read().ok());
    let rows: HashMap<&str, &ReportRow> =
        report.iter().flat_map(|(report, _)| &report.users).map(|row| (row.user.as_str(), row)).collect();
    let row_of = |user: &IamUser| {
        let row = rows.get(user.name.as_str()).copied().filter(|row| is_of(row, user))?;
        report.map(|(_, at)| (row, at))
    };
    let mut roster: Vec<_> = users
        .iter()
        .filter(|user| administrators.is_none_or(|names| names.contains(&user.name)))
        .map(|user| ListedUser { user, row: row_of(user) })
        .collect();
    roster.sort_by_key(|listed| (&listed.user.name, &listed.user.arn));
    Ok(roster)
}

/// Whether a row speaks of this very user. The report gives whole seconds.
pub(super) fn is_of(row: &ReportRow, user: &IamUser) -> bool {
    row.created_at.is_some_and(|created| created.as_second() == user.created_at.as_second())
}

fn severity(asked: &UserMfa) -> Severity {
    match asked.scope {
        UserScope::PrivilegedUsers => Severity::Critical,
        UserScope::ConsoleUsers | UserScope::AllUsers => Check::UserMfa.severity(),
    }
}

impl<'a> ListedUser<'a> {
    /// The user's name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        &self.user.name
    }

    /// What has to be read next, with what was read before; `None` where the user can be judged.
    #[must_use]
    pub fn next_read(&self, asked: &UserMfa, live: &LiveUser) -> Option<Read> {
        match self.standing(asked, Some(live)) {
            Standing::Needs(read) => Some(read),
            Standing::OutOfScope | Standing::Unknown(_) | Standing::Cleared(_) | Standing::Known { .. } => None,
        }
    }

    fn live_in<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s LiveUser> {
        snapshot.live.get(&self.user.name)
    }

    /// Whether the user has a password, by the report; `None` where it does not tell.
    fn password_by_report(&self) -> Option<bool> {
        let (row, at) = self.row?;
        let has_password = row.password_enabled == PasswordEnabled::Yes;
        let signed_in_since = self.user.password_last_used.is_some_and(|used| used > at);
        (has_password || !signed_in_since).then_some(has_password)
    }

    fn standing<'s>(&self, asked: &UserMfa, live: Option<&'s LiveUser>) -> Standing<'s> {
        let needs_password = asked.scope == UserScope::ConsoleUsers;
        let login_profile = live.and_then(|live| live.login_profile.as_ref()).map(Observed::read);
        if needs_password {
            match (self.password_by_report(), login_profile) {
                (Some(true), _) | (None, Some(Ok((true, _)))) => {}
                (Some(false), _) | (None, Some(Ok((false, _)))) => return Standing::OutOfScope,
                (None, None) => return Standing::Needs(Read::LoginProfile),
                (None, Some(Err(cause))) => return Standing::Unknown(cause),
            }
        }
        if let Some((row, at)) = self.row
            && row.mfa_active
            && !asked.require_phishing_resistant
        {
            return Standing::Cleared(at);
        }
        let (devices, at) = match live.and_then(|live| live.devices.as_ref()).map(Observed::read) {
            None => return Standing::Needs(Read::Devices),
            Some(Err(cause)) => return Standing::Unknown(cause),
            Some(Ok(read)) => read,
        };
        let unconfirmed = if needs_password && !suffices(asked, devices) {
            match login_profile {
                None => return Standing::Needs(Read::LoginProfile),
                Some(Ok((false, _))) => return Standing::OutOfScope,
                Some(Ok((true, _))) => None,
                Some(Err(cause)) => Some(cause),
            }
        } else {
            None
        };
        Standing::Known { devices, at, unconfirmed }
    }

    fn judge(&self, asked: &UserMfa, live: Option<&LiveUser>) -> Vec<Finding> {
        let mfa = Subject::new(Check::UserMfa, &self.user.arn, "users.scope");
        let resistant = asked
            .require_phishing_resistant
            .then(|| Subject::new(Check::UserPhishingResistantMfa, &self.user.arn, "users.requirePhishingResistant"));
        let unknown = |cause: &Cause| {
            let mfa = Finding::unknown(mfa.clone(), "MFA device", cause.clone()).with_severity(severity(asked));
            let resistant = resistant.clone().map(|subject| Finding::unknown(subject, "FIDO device", cause.clone()));
            std::iter::once(mfa).chain(resistant).collect()
        };
        match self.standing(asked, live) {
            Standing::OutOfScope => Vec::new(),
            Standing::Needs(_) => unknown(&not_read()),
            Standing::Unknown(cause) => unknown(cause),
            Standing::Cleared(at) => {
                vec![Finding::pass(mfa, "MFA device", "MFA active", at).with_severity(severity(asked))]
            }
            Standing::Known { devices, at, unconfirmed } => {
                let facts = Facts { devices, at, unconfirmed };
                let message = no_device(asked.scope);
                let mfa = facts.judge(mfa, "MFA device", !devices.is_empty(), message).with_severity(severity(asked));
                let resistant = resistant.map(|subject| {
                    let message = "no passkey or security key: codes and text messages can be phished";
                    facts.judge(subject, "FIDO device", devices.contains(&MfaDevice::Fido), message)
                });
                std::iter::once(mfa).chain(resistant).collect()
            }
        }
    }
}

/// The devices of a user in scope.
struct Facts<'a> {
    devices: &'a [MfaDevice],
    at: Timestamp,
    unconfirmed: Option<&'a Cause>,
}

impl Facts<'_> {
    fn judge(&self, subject: Subject, desired: &str, complies: bool, failure: &str) -> Finding {
        match (complies, self.unconfirmed) {
            (true, _) => Finding::pass(subject, desired, kinds(self.devices), self.at),
            (false, None) => Finding::fail(subject, desired, kinds(self.devices), self.at).with_message(failure),
            (false, Some(cause)) => Finding::unknown(subject, desired, cause.clone()),
        }
    }
}

fn no_device(scope: UserScope) -> &'static str {
    match scope {
        UserScope::ConsoleUsers => "has a console password and no MFA device",
        UserScope::PrivilegedUsers => "is an administrator and has no MFA device",
        UserScope::AllUsers => "has no MFA device",
    }
}

fn suffices(asked: &UserMfa, devices: &[MfaDevice]) -> bool {
    if asked.require_phishing_resistant { devices.contains(&MfaDevice::Fido) } else { !devices.is_empty() }
}

/// The kinds of devices, each once.
fn kinds(devices: &[MfaDevice]) -> String {
    let mut kinds = devices.to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.is_empty() {
        "none".to_owned()
    } else {
        kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
    }
}
