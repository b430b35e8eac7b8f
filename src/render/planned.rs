//! From the plan of a baseline to text for people: the changes in order, and why the other findings are left alone. No
//! IO.

use comfy_table::{Cell, Table};

use super::Screen;
use super::report::{BaselineReport, ChangeReport, FindingReport, PlanReport};
use super::text::{self, NONE};

/// The sections of a plan, with resources in short.
pub(super) fn sections(baseline: &BaselineReport, plan: &PlanReport, screen: Screen) -> String {
    let held = of_kind(baseline, "Held");
    let manual = of_kind(baseline, "Manual");
    [
        changes(plan, &change_table(plan, screen), screen),
        text::section(&format!("Held: {}", held.len()), &held_table(&held, screen), screen),
        text::section(&format!("By hand: {}", manual.len()), &manual_table(&manual, screen), screen),
    ]
    .concat()
}

/// The changes alone, each on one line and nothing shortened.
pub(super) fn wide_section(plan: &PlanReport, screen: Screen) -> String {
    changes(plan, &wide_table(plan, screen), screen)
}

fn changes(plan: &PlanReport, table: &Table, screen: Screen) -> String {
    match &plan.digest {
        Some(digest) => {
            let approval = match plan.need_approval {
                0 => "starts without approval".to_owned(),
                _ => "starts nothing before a PlanApproval".to_owned(),
            };
            let number = plan.changes.len();
            let noun = if number == 1 { "change" } else { "changes" };
            text::section(&format!("Plan {digest}: {number} {noun}, {approval}"), table, screen)
        }
        None => "\nPlan: nothing to change\n".to_owned(),
    }
}

fn change_table(plan: &PlanReport, screen: Screen) -> Table {
    let header = ["#", "OPERATION", "RESOURCE", "BEFORE -> AFTER", "UNDONE BY", "ANSWERS"];
    let mut table = text::grid(header, screen);
    for (number, change) in (1..).zip(&plan.changes) {
        table.add_row([
            Cell::new(number),
            Cell::new(change.operation),
            text::cell(&placed(text::short(&change.resource), change)),
            text::cell(&format!("{} -> {}", change.before, change.after)),
            Cell::new(undone(change)),
            Cell::new(checks(change)),
        ]);
    }
    table
}

fn wide_table(plan: &PlanReport, screen: Screen) -> Table {
    let header =
        ["#", "OPERATION", "REGION", "RESOURCE", "BEFORE", "AFTER", "UNDONE BY", "ANSWERS", "FINDINGS", "MEANING"];
    let mut table = text::grid(header, screen);
    for (number, change) in (1..).zip(&plan.changes) {
        let ids: Vec<_> = change.findings.iter().map(|finding| finding.id.as_str()).collect();
        table.add_row([
            Cell::new(number),
            Cell::new(change.operation),
            text::cell(change.region.as_deref().unwrap_or(NONE)),
            text::cell(&change.resource),
            text::cell(&change.before),
            text::cell(&change.after),
            Cell::new(undone(change)),
            Cell::new(checks(change)),
            Cell::new(ids.join(", ")),
            Cell::new(&change.meaning),
        ]);
    }
    table
}

fn held_table(held: &[&FindingReport], screen: Screen) -> Table {
    let mut table = text::grid(["REASON", "CHECK", "RESOURCE", "MESSAGE"], screen);
    for finding in held {
        table.add_row([
            Cell::new(finding.remediation.reason.map_or(NONE, |reason| reason.as_str())),
            Cell::new(finding.check),
            text::cell(&text::shortened(finding)),
            text::cell(finding.remediation.message.as_deref().unwrap_or(NONE)),
        ]);
    }
    table
}

fn manual_table(manual: &[&FindingReport], screen: Screen) -> Table {
    let mut table = text::grid(["CHECK", "RESOURCE", "WHAT TO DO"], screen);
    for finding in manual {
        table.add_row([
            Cell::new(finding.check),
            text::cell(&text::shortened(finding)),
            text::cell(finding.remediation.message.as_deref().unwrap_or(NONE)),
        ]);
    }
    table
}

/// In the order of the document.
fn of_kind<'a>(baseline: &'a BaselineReport, kind: &str) -> Vec<&'a FindingReport> {
    baseline.findings.iter().filter(|finding| finding.remediation.kind == kind).collect()
}

fn placed(resource: &str, change: &ChangeReport) -> String {
    match &change.region {
        Some(region) => format!("{resource} ({region})"),
        None => resource.to_owned(),
    }
}

fn undone(change: &ChangeReport) -> String {
    match change.not_undone {
        Some(what) => format!("{}, but {what}", change.inverse),
        None => change.inverse.to_owned(),
    }
}

fn checks(change: &ChangeReport) -> String {
    change.findings.iter().map(|finding| finding.check.as_str()).collect::<Vec<_>>().join(", ")
}
