//! From a report to JSON, indented, so that two reports can be compared line by line. No IO.

use super::{AuditReport, RenderError};

pub(super) fn json(report: &AuditReport) -> Result<String, RenderError> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    Ok(text)
}
