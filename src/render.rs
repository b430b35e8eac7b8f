//! From an [`AuditReport`], with plans or without, to text in one of the formats of `-o`, one file a format. No IO.

mod change;
mod json;
mod planned;
pub mod report;
mod table;
mod text;
mod wide;
mod yaml;

pub use change::before_and_after;
pub use report::{AuditReport, Judged, named_controls};
pub use text::clean;

/// The formats of `plumbline audit` and `plumbline plan`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// What fails and what could not be judged, for people
    #[default]
    Table,
    /// Every finding, passing ones too, one a line and nothing shortened
    Wide,
    /// The whole report as one JSON document, for programs
    Json,
    /// The same document as YAML
    Yaml,
}

/// Where the text is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// The terminal's columns; `None` where the text goes to a file or a pipe, and is not wrapped.
    pub width: Option<u16>,
    /// Whether colours are wanted.
    pub colour: bool,
}

/// Why a report has no text.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// As JSON.
    #[error("the report cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// As YAML.
    #[error("the report cannot be written as YAML")]
    Yaml(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The report in a format; ends with a line break.
///
/// # Errors
///
/// If a serializer refuses the document, which would be a fault of this program.
pub fn render(report: &AuditReport, format: Format, screen: Screen) -> Result<String, RenderError> {
    match format {
        Format::Table => Ok(table::table(report, screen)),
        Format::Wide => Ok(wide::wide(report, screen)),
        Format::Json => json::json(report),
        Format::Yaml => yaml::yaml(report),
    }
}

#[cfg(test)]
mod tests;
