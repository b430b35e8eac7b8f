//! The table of `docs/metrics.md`.

use std::fmt::Write;

use plumbline::metrics::TABLE;

use super::assert_section;

#[test]
fn every_metric_is_documented() {
    let mut table = "| Metric | Type | Labels | Meaning |\n| --- | --- | --- | --- |\n".to_owned();
    let mut notes = String::new();
    for metric in TABLE {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let row = format!("| `{}` | {} | {} |", metric.name, metric.kind.as_str(), labels.join(" "));
        let help = metric.help;
        // A row of a table cannot be broken, and a line fits on a screen.
        if row.len() + help.len() + 3 <= 120 {
            writeln!(table, "{row} {help} |").unwrap();
        } else {
            writeln!(table, "{row} below |").unwrap();
            writeln!(notes, "- `{}`: {help}", metric.name).unwrap();
        }
    }
    assert_section("docs/metrics.md", "metrics", &format!("{table}\n{notes}"));
}
