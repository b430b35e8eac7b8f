//! From a report to text for people: what fails, worst first, or where it is a plan what is changed and what is held;
//! what could not be judged, what is excepted, and a line a control. No IO.

use std::cmp::Reverse;

use comfy_table::{Cell, Table};

use super::Screen;
use super::planned;
use super::report::{AuditReport, BaselineReport, FindingReport};
use super::text::{self, NONE};
use crate::baseline::{HoldReason, Verdict};

/// From so many columns on a table of what fails has one for what is done about it.
const WITH_REMEDIATION: u16 = 120;

pub(super) fn table(report: &AuditReport, screen: Screen) -> String {
    let baselines = report.baselines.iter().map(|baseline| one(baseline, screen));
    baselines.chain(text::footer(report)).collect::<Vec<_>>().join("\n")
}

fn one(baseline: &BaselineReport, screen: Screen) -> String {
    let what_fails = if let Some(plan) = &baseline.plan {
        planned::sections(baseline, plan, screen)
    } else {
        let failing = failing(baseline);
        text::section(&format!("Failing: {}", failing.len()), &failing_table(&failing, screen), screen)
    };
    [
        text::heading(baseline, screen),
        what_fails,
        text::section(
            &format!("Could not be judged: {}", baseline.unknown.len()),
            &text::unknown_table(baseline, text::short, screen),
            screen,
        ),
        text::section(&format!("Exempt: {}", baseline.summary.exempt), &exempt_table(baseline, screen), screen),
        text::section("Controls", &text::control_table(baseline, screen), screen),
    ]
    .concat()
}

/// What fails, worst first, else in the order of the document.
fn failing(baseline: &BaselineReport) -> Vec<&FindingReport> {
    let mut failing: Vec<_> = baseline.findings.iter().filter(|finding| finding.result == Verdict::Fail).collect();
    failing.sort_by_key(|finding| Reverse(finding.severity));
    failing
}

fn failing_table(failing: &[&FindingReport], screen: Screen) -> Table {
    let is_enforced = |finding: &&FindingReport| {
        finding.remediation.kind == "Automatic"
            || finding.remediation.reason.is_some_and(|reason| reason != HoldReason::AuditMode)
    };
    // In Audit the column would say the same on every line, and where it is narrow the message needs the room.
    if failing.iter().any(is_enforced) && screen.width.is_none_or(|columns| columns >= WITH_REMEDIATION) {
        let header = ["SEVERITY", "CHECK", "RESOURCE", "OBSERVED -> DESIRED", "REMEDIATION", "MESSAGE"];
        let mut table = text::grid(header, screen);
        for finding in failing {
            let [severity, check, resource, values, message] = failing_cells(finding);
            table.add_row([severity, check, resource, values, Cell::new(finding.remediation.in_short()), message]);
        }
        return table;
    }
    let mut table = text::grid(["SEVERITY", "CHECK", "RESOURCE", "OBSERVED -> DESIRED", "MESSAGE"], screen);
    for finding in failing {
        table.add_row(failing_cells(finding));
    }
    table
}

fn failing_cells(finding: &FindingReport) -> [Cell; 5] {
    let observed = if finding.observed.is_empty() { NONE } else { &finding.observed };
    [
        text::severity_cell(finding.severity),
        Cell::new(finding.check),
        text::cell(&text::shortened(finding)),
        text::cell(&format!("{observed} -> {}", finding.desired)),
        text::cell(&finding.message),
    ]
}

/// What fails and is excepted: out of the verdict, never out of sight.
fn exempt_table(baseline: &BaselineReport, screen: Screen) -> Table {
    let mut table = text::grid(["CHECK", "RESOURCE", "OBSERVED -> DESIRED", "EXCEPTION", "UNTIL"], screen);
    for finding in &baseline.findings {
        let Some(exception) = &finding.exception else { continue };
        table.add_row([
            Cell::new(finding.check),
            text::cell(&text::shortened(finding)),
            text::cell(&format!("{} -> {}", finding.observed, finding.desired)),
            text::cell(&exception.name),
            Cell::new(exception.expires_at),
        ]);
    }
    table
}
