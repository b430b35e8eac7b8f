//! A fleet that is well, as promtool sees it: no alert, whatever process leads.

use std::fmt::Write as _;

use super::{RULES, promtool};
use crate::support::file;

const ACCOUNTS: usize = 300;

/// Everything that one replica serves of an account, while it leads: `from` minutes on, for `minutes`.
fn account(text: &mut String, number: usize, replica: &str, before: &str, minutes: usize) {
    let names = format!("baseline=\"a{number}\", account=\"a{number}\", instance=\"{replica}\"");
    let own = format!("account=\"a{number}\", instance=\"{replica}\"");
    let finding = |severity: &str, result: &str| {
        format!("plumbline_findings{{{names}, control=\"mfa\", severity=\"{severity}\", result=\"{result}\"}}")
    };
    // An evaluation an hour, each account at a minute of its own; a third of them has drift that is not critical.
    let evaluated = (0..=4).fold(String::new(), |mut times, hour| {
        let _ = write!(times, " {}x59", hour * 3600 + number % 60 * 60);
        times
    });
    let failing = if number.is_multiple_of(3) { 4 } else { 0 };
    let constant = |value: u64| format!("{before}{value}x{minutes}");
    let series = [
        (format!("plumbline_account_suspended{{{own}}}"), constant(0)),
        (
            format!("plumbline_account_condition{{{own}, type=\"Ready\", status=\"True\", reason=\"Verified\"}}"),
            constant(1),
        ),
        (format!("plumbline_baseline_info{{{names}, mode=\"Enforce\"}}"), constant(1)),
        (format!("plumbline_baseline_suspended{{{names}}}"), constant(0)),
        (format!("plumbline_baseline_interval_seconds{{{names}}}"), constant(3600)),
        (format!("plumbline_baseline_last_evaluation_timestamp_seconds{{{names}}}"), evaluated),
        (finding("Critical", "Pass"), constant(3)),
        (finding("High", "Fail"), constant(failing)),
        (
            format!(
                "plumbline_changes_total{{account=\"a{number}\", control=\"mfa\", operation=\"iam:AttachUserPolicy\", \
                 outcome=\"Succeeded\", instance=\"{replica}\"}}"
            ),
            format!("{before}0+1x{minutes}"),
        ),
    ];
    for (series, values) in series {
        writeln!(text, "      - {{series: '{series}', values: '{values}'}}").unwrap();
    }
}

/// Two replicas: `a` leads for two hours, then `b` does.
fn fleet() -> String {
    let mut text = format!(
        "rule_files: [{}]\nevaluation_interval: 2m\ntests:\n  - interval: 1m\n    input_series:\n",
        file(RULES).display()
    );
    for (replica, first, last) in [("a", 1, 0), ("b", 0, 1)] {
        let own = format!("job=\"plumbline\", instance=\"{replica}\"");
        let leads = if first == 1 { "1x119 stale" } else { "0x120 1x120" };
        for (series, values) in [
            (format!("plumbline_build_info{{version=\"1\", {own}}}"), "1x240"),
            (format!("leader_election_master_status{{name=\"plumbline\", {own}}}"), leads),
            (
                format!(
                    "controller_runtime_reconcile_total{{controller=\"accountbaseline\", {own}, result=\"success\"}}"
                ),
                "0+5x240",
            ),
            // Something always fails once.
            (
                format!("controller_runtime_reconcile_errors_total{{controller=\"accountbaseline\", {own}}}"),
                "0x100 1x140",
            ),
        ] {
            writeln!(text, "      - {{series: '{series}', values: '{values}'}}").unwrap();
        }
        for number in 0..ACCOUNTS {
            let before = if last == 1 { "_x121 " } else { "" };
            account(&mut text, number, replica, before, 119);
        }
    }
    text.push_str("    promql_expr_test:\n");
    for minute in [30, 90, 118, 122, 126, 150, 200, 238] {
        writeln!(text, "      - {{expr: 'ALERTS{{alertstate=\"firing\"}}', eval_time: {minute}m, exp_samples: []}}")
            .unwrap();
    }
    // That the series arrive at all.
    writeln!(
        text,
        "      - {{expr: 'count(count by (account) (plumbline_account_condition))', eval_time: 200m, \
         exp_samples: [{{labels: '{{}}', value: {ACCOUNTS}}}]}}"
    )
    .unwrap();
    text
}

#[test]
fn three_hundred_accounts_that_are_well_alert_nobody() {
    let file = tempfile::Builder::new().suffix(".test.yaml").tempfile().unwrap();
    std::fs::write(file.path(), fleet()).unwrap();
    promtool(&["test", "rules", file.path().to_str().unwrap()]).unwrap();
}
