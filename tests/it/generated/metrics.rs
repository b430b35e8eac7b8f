//! The table of `docs/metrics.md`.

use std::fmt::Write;

use plumbline::metrics::TABLE;

use super::assert_section;

#[test]
fn every_metric_is_documented() {
    let (mut table, mut meanings) =
        ("| Metric | Type | Labels |\n| --- | --- | --- |\n".to_owned(), "What each one means:\n\n".to_owned());
    for metric in TABLE {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(table, "| `{}` | {} | {} |", metric.name, metric.kind.as_str(), labels.join(" ")).unwrap();
        writeln!(meanings, "- `{}`\\\n  {}", metric.name, metric.help.replace('<', "`<").replace('>', ">`")).unwrap();
    }
    assert_section("docs/metrics.md", "metrics", &format!("{table}\n{meanings}"));
}
