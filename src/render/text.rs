//! The parts that the formats for people share: headings, what could not be judged, the line of each control. No IO.
//!
//! Whatever AWS or a manifest names passes through [`clean`]: a bucket's tag or a user's path must not be able to
//! rewrite somebody's terminal.

use std::borrow::Cow;

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use jiff::Timestamp;

use super::Screen;
use super::report::{AuditReport, BaselineReport, CoverageReport, FindingReport, SummaryReport};
use crate::baseline::{Severity, Verdict};

/// Stands where there is no value.
pub(super) const NONE: &str = "-";

/// Text without anything that a terminal would obey or that would reorder the line: such characters are shown by
/// their number, as `\u{1b}`.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if is_unsafe(c) { c.escape_unicode().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(shown).collect())
}

/// Control characters, line and paragraph separators, marks and overrides of direction, zero-width characters.
fn is_unsafe(c: char) -> bool {
    let invisible = ['\u{200b}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2060}'..='\u{206f}'];
    c.is_control() || matches!(c, '\u{61c}' | '\u{feff}') || invisible.iter().any(|range| range.contains(&c))
}

/// One line for all baselines, where there are several.
pub(super) fn footer(report: &AuditReport) -> Option<String> {
    let total = report.baselines.len();
    (total > 1).then(|| format!("{total} baselines: {}\n", counts(report.results().into())))
}

/// Name, account and result of a baseline, and what was looked at.
pub(super) fn heading(baseline: &BaselineReport, screen: Screen) -> String {
    let BaselineReport { account, coverage, evaluated_at, .. } = baseline;
    let alias = account.alias.as_deref().map(|alias| format!(" ({alias})")).unwrap_or_default();
    let named = account.name.as_deref().filter(|name| *name != baseline.baseline);
    let named = named.map(|name| format!(" {name}")).unwrap_or_default();
    let mut covered = covered(coverage, *evaluated_at);
    if !covered.is_empty() {
        covered.push('\n');
    }
    format!(
        "{}: {}\naccount{} {}{}, evaluated {evaluated_at}\n{}",
        bold(&clean(&baseline.baseline), screen),
        painted(baseline.result.as_str(), verdict_colour(baseline.result), screen),
        clean(&named),
        clean(&account.account_id),
        clean(&alias),
        covered,
    )
}

/// `2 regions (eu-west-1, us-east-1), 12 users, 40 buckets, credential report 50 minutes old`; empty where none of them
/// was asked for, or the account was not reached.
fn covered(coverage: &CoverageReport, now: Timestamp) -> String {
    let CoverageReport {
        regions,
        regions_not_enabled,
        users,
        users_listed,
        buckets,
        buckets_skipped,
        credential_report_at,
    } = coverage;
    let mut parts = Vec::new();
    match regions.len() {
        0 => {}
        // More names than these fill the line and say less than their number.
        few @ 1..=4 => parts.push(format!("{} ({})", some(few, "region"), regions.join(", "))),
        many => parts.push(some(many, "region")),
    }
    if !regions_not_enabled.is_empty() {
        parts.push(format!("not enabled: {}", regions_not_enabled.join(", ")));
    }
    parts.extend(users.map(|users| match users_listed {
        Some(listed) => format!("{users} of {}", some(*listed, "user")),
        None => some(users, "user"),
    }));
    parts.extend(buckets.map(|buckets| some(buckets, "bucket")));
    parts.extend(buckets_skipped.filter(|skipped| *skipped > 0).map(|skipped| format!("{skipped} more skipped")));
    parts.extend(credential_report_at.map(|at| format!("credential report {} old", age(at, now))));
    clean(&parts.join(", ")).into_owned()
}

fn some(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn age(at: Timestamp, now: Timestamp) -> String {
    let minutes = usize::try_from(now.duration_since(at).as_mins()).unwrap_or_default();
    if minutes < 120 { some(minutes, "minute") } else { some(minutes / 60, "hour") }
}

/// Resource, and in parentheses the id of what it belongs to and its region.
pub(super) fn shortened(finding: &FindingReport) -> String {
    let parent = finding.parent.as_deref().map(|parent| parent.rsplit('/').next().unwrap_or(parent));
    let around: Vec<_> = [parent, finding.region.as_deref()].into_iter().flatten().collect();
    let resource = short(&finding.resource);
    if around.is_empty() { resource.to_owned() } else { format!("{resource} ({})", around.join(", ")) }
}

/// What of an ARN tells resources of one account apart: `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE` without the
/// first five.
pub(super) fn short(resource: &str) -> &str {
    if resource.starts_with("arn:") { resource.splitn(6, ':').last().unwrap_or(resource) } else { resource }
}

/// What could not be judged, with the action that the identity lacks.
pub(super) fn unknown_table(baseline: &BaselineReport, name: fn(&str) -> &str, screen: Screen) -> Table {
    let mut table = grid(["CHECK", "RESOURCE", "REGION", "CAUSE", "MISSING ACTION", "MESSAGE"], screen);
    for unknown in &baseline.unknown {
        let check = unknown.check.map_or("every check", |check| check.as_str());
        table.add_row([
            Cell::new(check),
            cell(name(&unknown.resource)),
            cell(unknown.region.as_deref().unwrap_or(NONE)),
            Cell::new(&unknown.cause).fg(Color::Yellow),
            cell(unknown.missing_action.as_deref().unwrap_or(NONE)),
            cell(&unknown.message),
        ]);
    }
    table
}

/// One line a control.
pub(super) fn control_table(baseline: &BaselineReport, screen: Screen) -> Table {
    let mut table = grid(["CONTROL", "RESULT", "FINDINGS", "MESSAGE"], screen);
    for control in &baseline.controls {
        table.add_row([
            Cell::new(control.name),
            verdict_cell(control.result),
            Cell::new(if reached(baseline) { counts(control.summary) } else { NONE.to_owned() }),
            cell(&control.message),
        ]);
    }
    table
}

fn reached(baseline: &BaselineReport) -> bool {
    baseline.unknown.iter().all(|unknown| unknown.control.is_some())
}

/// `6 pass, 2 fail`: what there is none of is left out, passes never are.
fn counts(summary: SummaryReport) -> String {
    let SummaryReport { pass, fail, unknown, not_applicable, exempt } = summary;
    let rest = [(fail, "fail"), (unknown, "unknown"), (not_applicable, "not applicable"), (exempt, "exempt")];
    let rest = rest.into_iter().filter(|(count, _)| *count > 0);
    std::iter::once((pass, "pass")).chain(rest).map(|(n, word)| format!("{n} {word}")).collect::<Vec<_>>().join(", ")
}

/// A table without lines, as `kubectl get` prints them; it wraps inside its columns where the screen has a width.
pub(super) fn grid<const N: usize>(header: [&str; N], screen: Screen) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.map(|title| Cell::new(title).add_attribute(Attribute::Dim)));
    match screen.width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    if screen.colour {
        table.enforce_styling()
    } else {
        table.force_no_tty()
    };
    let last = N.saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index == last { 0 } else { 2 }));
    }
    table
}

/// A title and its table, after an empty line; nothing where the table has no rows.
pub(super) fn section(title: &str, table: &Table, screen: Screen) -> String {
    if table.is_empty() {
        return String::new();
    }
    format!("\n{}\n{}\n", bold(title, screen), table.trim_fmt())
}

pub(super) fn cell(text: &str) -> Cell {
    Cell::new(clean(text))
}

pub(super) fn verdict_cell(verdict: Verdict) -> Cell {
    Cell::new(verdict).fg(verdict_colour(verdict))
}

pub(super) fn severity_cell(severity: Severity) -> Cell {
    Cell::new(severity).fg(match severity {
        Severity::Critical | Severity::High => Color::Red,
        Severity::Medium => Color::Yellow,
        Severity::Low => Color::Reset,
    })
}

fn verdict_colour(verdict: Verdict) -> Color {
    match verdict {
        Verdict::Pass => Color::Green,
        Verdict::Fail => Color::Red,
        Verdict::Unknown => Color::Yellow,
        Verdict::NotApplicable | Verdict::Exempt => Color::Reset,
    }
}

fn painted(text: &str, colour: Color, screen: Screen) -> String {
    let code = match colour {
        Color::Green => "32",
        Color::Red => "31",
        Color::Yellow => "33",
        _ => "39",
    };
    if screen.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

fn bold(text: &str, screen: Screen) -> String {
    if screen.colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
}
