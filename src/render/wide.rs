//! From a report to text for people and for grep: every finding on a line of its own, nothing shortened. No IO.

use comfy_table::{Cell, Table};

use super::Screen;
use super::planned;
use super::report::{AuditReport, BaselineReport, ExceptionReport, FindingReport, RemediationReport};
use super::text::{self, NONE};

pub(super) fn wide(report: &AuditReport, screen: Screen) -> String {
    // Not wrapped: one finding is one line, as `kubectl get -o wide` does it.
    let screen = Screen { width: None, ..screen };
    let baselines = report.baselines.iter().map(|baseline| one(baseline, screen));
    baselines.chain(text::footer(report)).collect::<Vec<_>>().join("\n")
}

fn one(baseline: &BaselineReport, screen: Screen) -> String {
    [
        text::heading(baseline, screen),
        baseline.plan.as_ref().map(|plan| planned::wide_section(plan, screen)).unwrap_or_default(),
        text::section(&format!("Findings: {}", baseline.findings.len()), &finding_table(baseline, screen), screen),
        text::section(
            &format!("Could not be judged: {}", baseline.unknown.len()),
            &text::unknown_table(baseline, |resource| resource, screen),
            screen,
        ),
        text::section("Controls", &text::control_table(baseline, screen), screen),
    ]
    .concat()
}

fn finding_table(baseline: &BaselineReport, screen: Screen) -> Table {
    let header = [
        "RESULT",
        "SEVERITY",
        "CHECK",
        "REGION",
        "PARENT",
        "RESOURCE",
        "OBSERVED",
        "DESIRED",
        "MESSAGE",
        "REMEDIATION",
        "ID",
    ];
    let mut table = text::grid(header, screen);
    for finding in &baseline.findings {
        let or_none = |text: &str| if text.is_empty() { Cell::new(NONE) } else { text::cell(text) };
        table.add_row([
            text::verdict_cell(finding.result),
            text::severity_cell(finding.severity),
            Cell::new(finding.check),
            or_none(finding.region.as_deref().unwrap_or_default()),
            or_none(finding.parent.as_deref().unwrap_or_default()),
            or_none(&finding.resource),
            or_none(&finding.observed),
            or_none(&finding.desired),
            or_none(&message(finding)),
            or_none(&remediation(finding)),
            Cell::new(&finding.id),
        ]);
    }
    table
}

/// `Held: GracePeriod: the user is new`
fn remediation(finding: &FindingReport) -> String {
    let RemediationReport { kind: _, reason: _, message } = &finding.remediation;
    match message {
        Some(message) => format!("{}: {message}", finding.remediation.in_short()),
        None => String::new(),
    }
}

/// What is wrong, and what an exception makes of it.
fn message(finding: &FindingReport) -> String {
    match &finding.exception {
        None => finding.message.clone(),
        Some(exception) => {
            let ExceptionReport { name, expires_at, actual } = exception;
            format!("{actual}, excepted by {name} until {expires_at}: {}", finding.message)
        }
    }
}
