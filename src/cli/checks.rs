//! `plumbline checks`: the catalogue of checks with their references, as a table or as data. Prints.

use std::io::Write;

use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{CliError, Exit};
use crate::baseline::Check;

/// Arguments of `plumbline checks`.
#[derive(Clone, Copy, Debug, Args)]
pub struct ChecksArgs {
    /// How the checks are printed
    #[arg(short, long, value_enum, default_value_t)]
    pub output: ChecksFormat,
}

/// How the checks are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ChecksFormat {
    /// For people
    #[default]
    Table,
    /// One JSON list
    Json,
    /// One YAML list
    Yaml,
    /// A table for documentation
    Markdown,
}

/// One check as data: its fields change only by addition.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    check: &'static str,
    control: &'static str,
    severity: &'static str,
    judged_per: &'static str,
    actor: &'static str,
    remediation: &'static str,
    references: ReferenceRow,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReferenceRow {
    /// Lists of numbers by version of the benchmark.
    cis: Map<String, Value>,
    security_hub: &'static [&'static str],
    config: &'static [&'static str],
    trusted_advisor: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

const HEADER: [&str; 9] = [
    "Control",
    "Check",
    "Severity",
    "Judged per",
    "Who acts",
    "Remediation",
    "CIS 3.0 / 5.0 / 6.0 / 7.0",
    "Security Hub",
    "Config rule",
];

/// Runs the subcommand.
///
/// # Errors
///
/// If the output cannot be written.
pub fn run(args: ChecksArgs, out: &mut impl Write) -> Result<Exit, CliError> {
    let rows: Vec<Row> = Check::ALL.into_iter().map(row).collect();
    match args.output {
        ChecksFormat::Table => writeln!(out, "{}", table(&rows))?,
        ChecksFormat::Markdown => write!(out, "{}", markdown(&rows))?,
        ChecksFormat::Json => {
            let text = serde_json::to_string_pretty(&rows).map_err(|error| CliError::Format("JSON", error.into()))?;
            writeln!(out, "{text}")?;
        }
        ChecksFormat::Yaml => {
            let text = serde_saphyr::to_string(&rows).map_err(|error| CliError::Format("YAML", error.into()))?;
            write!(out, "{text}")?;
        }
    }
    Ok(Exit::Ok)
}

fn row(check: Check) -> Row {
    let found = check.references();
    Row {
        check: check.as_str(),
        control: check.control().as_str(),
        severity: check.severity().as_str(),
        judged_per: check.judged_per(),
        actor: check.actor().as_str(),
        remediation: check.remediation(),
        references: ReferenceRow {
            cis: found.cis.by_version().map(|(version, ids)| (version.to_owned(), Value::from(ids))).collect(),
            security_hub: found.security_hub,
            config: found.config_rules,
            trusted_advisor: found.trusted_advisor,
            note: found.note,
        },
    }
}

fn cells(row: &Row) -> [String; 9] {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let joined = |ids: &Value| ids.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(", ");
    [
        row.control.to_owned(),
        row.check.to_owned(),
        row.severity.to_owned(),
        row.judged_per.to_owned(),
        row.actor.to_owned(),
        row.remediation.to_owned(),
        row.references.cis.values().map(joined).collect::<Vec<_>>().join(" / "),
        row.references.security_hub.join(", "),
        row.references.config.join(", "),
    ]
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(HEADER);
    table.add_rows(rows.iter().map(cells));
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    table.trim_fmt()
}

fn markdown(rows: &[Row]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&HEADER.map(str::to_owned)) + &line(&HEADER.map(|_| "---".to_owned()));
    text.extend(rows.iter().map(|row| line(&cells(row))));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(output: ChecksFormat) -> String {
        let mut out = Vec::new();
        run(ChecksArgs { output }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_check_is_in_every_format() {
        for format in [ChecksFormat::Table, ChecksFormat::Json, ChecksFormat::Yaml, ChecksFormat::Markdown] {
            let text = printed(format);
            for check in Check::ALL {
                assert!(text.contains(check.as_str()), "{format:?} lacks {check}");
            }
        }
    }

    #[test]
    fn an_id_is_a_text_also_where_it_looks_like_a_number() {
        let json: Value = serde_json::from_str(&printed(ChecksFormat::Json)).unwrap();
        let yaml: Value = serde_saphyr::from_str(&printed(ChecksFormat::Yaml)).unwrap();
        assert_eq!(json, yaml);
        let user = json.as_array().unwrap().iter().find(|row| row["check"] == "UserMfa").unwrap();
        assert_eq!(user["references"]["cis"]["3.0"], serde_json::json!(["1.10"]));
    }

    #[test]
    fn markdown_has_a_line_for_each_check_and_the_same_cells_in_all() {
        let text = printed(ChecksFormat::Markdown);
        assert_eq!(text.lines().count(), 2 + Check::ALL.len());
        assert!(text.lines().all(|line| line.matches('|').count() == HEADER.len() + 1), "{text}");
    }
}
