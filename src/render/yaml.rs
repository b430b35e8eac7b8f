//! From a report to YAML. No IO.

use super::{AuditReport, RenderError};

pub(super) fn yaml(report: &AuditReport) -> Result<String, RenderError> {
    serde_saphyr::to_string(report).map_err(|error| RenderError::Yaml(error.into()))
}
