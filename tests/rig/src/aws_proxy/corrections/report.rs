//! The credential report: the root row, AWS's words for "nothing", declared dates, and the time of its making.
//!
//! Follows "Generate credential reports for your AWS account" in the IAM user guide.

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::super::account::{Root, UserState};
use super::super::parking::lock;
use super::super::shape::Answer;
use super::Known;

/// The first line of a report.
pub(crate) const HEADER: &str = "user,arn,user_creation_time,password_enabled,password_last_used,\
    password_last_changed,password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,\
    access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,\
    access_key_2_last_rotated,access_key_2_last_used_date,access_key_2_last_used_region,\
    access_key_2_last_used_service,cert_1_active,cert_1_last_rotated,cert_2_active,cert_2_last_rotated\n";

/// What stands for root's creation, which moto does not know.
const ROOT_CREATED: &str = "2020-01-01T00:00:00+00:00";

/// The row of a console user with an MFA device or without, who never signed in.
pub(crate) fn made_up_row(user: &str, account: &str, created: &str, mfa: bool) -> String {
    format!(
        "{user},arn:aws:iam::{account}:user/{user},{created},true,no_information,{created},N/A,{mfa},\
         false,N/A,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A\n"
    )
}

/// Remembers when a report was begun; a report serves four hours, so a second request does not make it younger.
pub(super) fn remember_generation(known: Known<'_>, answer: &Answer) -> anyhow::Result<()> {
    let root = answer.parse()?;
    let started = root.find("State").is_some_and(|state| state.text == "STARTED");
    let mut state = lock(known.state);
    if started || !state.reports.contains_key(&known.caller.account) {
        state.reports.insert(known.caller.account.clone(), known.now);
    }
    Ok(())
}

/// The report as AWS would have made it, with the time at which it was.
pub(super) fn correct(known: Known<'_>, answer: &Answer) -> anyhow::Result<Answer> {
    let account = known.account();
    let mut root = answer.parse()?;
    let content = root.find_mut("Content").context("a credential report without content")?;
    let csv = String::from_utf8(STANDARD.decode(&content.text)?)?;
    let mut corrected = String::from(HEADER);
    corrected.push_str(&root_row(&known.caller.arn, &known.caller.account, &account.root));
    for line in csv.lines().skip(1) {
        let mut row = Row(line.split(',').map(ToOwned::to_owned).collect());
        let user = account.users.get(row.get("user")).cloned().unwrap_or_default();
        if !user.missing_from_report {
            row.correct(&user);
            corrected.push_str(&row.0.join(","));
            corrected.push('\n');
        }
    }
    content.text = STANDARD.encode(corrected);
    let generated = lock(known.state).reports.get(&known.caller.account).copied().unwrap_or(known.now);
    if let Some(time) = root.find_mut("GeneratedTime") {
        time.text = format!("{generated:.0}");
    }
    Ok(answer.with_xml(&root))
}

struct Row(Vec<String>);

impl Row {
    fn position(column: &str) -> Option<usize> {
        HEADER.trim_end().split(',').position(|name| name == column)
    }

    fn get(&self, column: &str) -> &str {
        Self::position(column).and_then(|at| self.0.get(at)).map(String::as_str).unwrap_or_default()
    }

    #[expect(clippy::needless_pass_by_value, reason = "strings, flags and numbers read alike at the call")]
    fn set(&mut self, column: &str, value: impl ToString) {
        if let Some(field) = Self::position(column).and_then(|at| self.0.get_mut(at)) {
            *field = value.to_string();
        }
    }

    fn correct(&mut self, user: &UserState) {
        for field in &mut self.0 {
            if field == "not_supported" {
                "N/A".clone_into(field);
            }
        }
        if let Some(created) = user.created {
            self.set("user_creation_time", date(created));
        }
        if let Some(enabled) = user.report_password_enabled {
            self.set("password_enabled", enabled);
        }
        if self.get("password_enabled") == "true" {
            let changed = user.password_changed.map_or_else(|| self.get("user_creation_time").to_owned(), date);
            self.set("password_last_changed", changed);
            self.set("password_last_used", user.password_last_used.map_or("no_information".to_owned(), date));
        } else {
            self.set("password_last_changed", "N/A");
        }
        if let Some(active) = user.report_mfa_active {
            self.set("mfa_active", active);
        }
    }
}

/// The row of the root user, for whom two columns do not apply.
///
/// In `aws-us-gov` root has no console: "How IAM differs for AWS GovCloud (US)" in its user guide.
fn root_row(caller: &str, account: &str, root: &Root) -> String {
    let partition = caller.split(':').nth(1).unwrap_or("aws");
    let mut row = Row(HEADER.trim_end().split(',').map(|_| "N/A".to_owned()).collect());
    row.set("user", "<root_account>");
    row.set("arn", format!("arn:{partition}:iam::{account}:root"));
    row.set("user_creation_time", ROOT_CREATED);
    if partition == "aws-us-gov" {
        row.set("password_enabled", "not_supported");
    } else {
        row.set("password_enabled", root.password);
    }
    row.set("password_last_used", root.password_last_used.map_or("no_information".to_owned(), date));
    row.set("password_last_changed", "not_supported");
    row.set("password_next_rotation", "not_supported");
    row.set("mfa_active", !root.mfa.is_empty());
    for (number, key) in [(1, "access_key_1"), (2, "access_key_2")] {
        row.set(&format!("{key}_active"), root.access_keys >= number);
        if root.access_keys >= number {
            row.set(&format!("{key}_last_rotated"), ROOT_CREATED);
        }
        row.set(&format!("cert_{number}_active"), root.signing_certificates >= number);
    }
    row.0.join(",") + "\n"
}

/// A date as the report has it.
fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::super::account::{Account, RootMfa};
    use super::super::after;
    use super::super::tests::{iam, said, with_call};
    use super::*;

    /// Two users as moto reports them: one with a password, one without.
    const MOTOS: &str = "a,arn:aws:iam::1:user/a,2026-11-21T22:20:49+00:00,true,no_information,\
        2026-11-21T22:20:49+00:00,not_supported,true,false,N/A,N/A,not_supported,not_supported,false,N/A,N/A,\
        not_supported,not_supported,false,N/A,false,N/A\n\
        b,arn:aws:iam::1:user/b,2026-11-21T22:20:49+00:00,false,not_supported,2026-11-21T22:20:49+00:00,\
        not_supported,false,false,N/A,N/A,not_supported,not_supported,\
        false,N/A,N/A,not_supported,not_supported,false,N/A,false,N/A\n";

    fn rows(account: Account) -> (Vec<Row>, String) {
        let xml = format!(
            "<R><Content>{}</Content><GeneratedTime>2015-02-02T20:02:02Z</GeneratedTime></R>",
            STANDARD.encode(format!("{HEADER}{MOTOS}"))
        );
        let answer =
            with_call(account, &iam("Action=GetCredentialReport"), |known| after(known, said(200, &xml)).unwrap());
        let root = answer.parse().unwrap();
        let csv = String::from_utf8(STANDARD.decode(&root.find("Content").unwrap().text).unwrap()).unwrap();
        let rows = csv.lines().skip(1).map(|line| Row(line.split(',').map(ToOwned::to_owned).collect())).collect();
        (rows, root.find("GeneratedTime").unwrap().text.clone())
    }

    #[test]
    fn mfa_25_the_root_user_has_the_first_row() {
        let root = Root { mfa: vec![RootMfa::Virtual], access_keys: 1, ..Root::default() };
        let (rows, _) = rows(Account { root, ..Account::unknown() });
        let row = &rows[0];
        assert_eq!(row.0.len(), HEADER.split(',').count());
        let columns = ["user", "password_enabled", "mfa_active", "access_key_1_active", "access_key_2_active"];
        assert_eq!(columns.map(|column| row.get(column)), ["<root_account>", "true", "true", "true", "false"]);
    }

    #[test]
    fn users_rows_say_nothing_as_aws_says_it() {
        let (rows, _) = rows(Account::unknown());
        assert!(rows[1..].iter().all(|row| !row.0.contains(&"not_supported".to_owned())));
        assert_eq!(rows[1].get("password_last_used"), "no_information");
        assert_eq!(["password_last_used", "password_last_changed"].map(|c| rows[2].get(c)), ["N/A", "N/A"]);
    }

    #[test]
    fn mfa_09_a_report_may_lag_behind_the_truth() {
        let used = "2026-05-05T01:02:03Z".parse().unwrap();
        let a = UserState { report_mfa_active: Some(false), password_last_used: Some(used), ..UserState::default() };
        let b = UserState { missing_from_report: true, ..UserState::default() };
        let (rows, _) = rows(Account { users: [("a".into(), a), ("b".into(), b)].into(), ..Account::unknown() });
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1].get("mfa_active"), "false");
        assert_eq!(rows[1].get("password_last_used"), "2026-05-05T01:02:03+00:00");
    }

    #[test]
    fn a_report_bears_the_time_of_its_generation() {
        assert_eq!(rows(Account::unknown()).1, "2026-11-21T20:00:00Z");
    }
}
