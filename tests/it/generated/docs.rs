//! The pages of the kinds, the checks and the onboarding, as far as the program knows what they have to say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

use plumbline_rig::controlplane::manifests;
use serde_json::Value;

use super::{assert_section, assert_written};
use crate::support::{PLUMBLINE, file};

/// Leaves room for what stands around a text.
const WIDTH: usize = 116;

const HEAD: &str = "<!-- Made from crds/ by `make docs`: do not edit. -->\n\n# The kinds\n\n\
All kinds belong to the group `plumbline.dev`, version `v1alpha1`, and are cluster-scoped: an AWS account belongs to\n\
whoever administers the cluster. `kubectl explain` prints the same text.\n\n\
A field that is left out, and a boolean that is false, asks for nothing. A rule in *italics* is what the API server,\n\
and `plumbline validate`, answer to whoever breaks it. What the conditions in status mean stands in\n\
[troubleshooting.md](troubleshooting.md).\n";

/// The policies of the roles that the templates make: enforcement may do all but open ports, which `narrow` needs.
pub(crate) fn policy_of_role(policy: &str) -> Vec<String> {
    let enforced = file("tests/it/generated/enforced.yaml").display().to_string();
    let more = if policy == "enforce" { vec!["-f".to_owned(), enforced] } else { Vec::new() };
    ["iam-policy", policy].into_iter().map(str::to_owned).chain(more).collect()
}

fn printed<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> String {
    let output = Command::new(PLUMBLINE).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn checks() -> Vec<Value> {
    serde_json::from_str(&printed(&["checks", "-o", "json"])).unwrap()
}

/// Breaks a text into lines.
fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = vec![indent.to_owned()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().unwrap();
        if line.len() > indent.len() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(format!("{indent}{word}"));
        } else {
            let space = if line.len() > indent.len() { " " } else { "" };
            write!(line, "{space}{word}").unwrap();
        }
    }
    lines.join("\n")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// What kind of value a schema takes, in words.
fn type_of(schema: &Value) -> String {
    if schema["x-kubernetes-int-or-string"] == true {
        return "integer or string".to_owned();
    }
    if let Some(values) = schema["enum"].as_array() {
        let words: Vec<String> = values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`")).collect();
        return format!("one of {}", words.join(", "));
    }
    match text(schema, "type") {
        "array" => {
            let most = schema["maxItems"].as_u64().map(|most| format!("at most {most} of: ")).unwrap_or_default();
            format!("list, {most}{}", type_of(&schema["items"]))
        }
        "object" if schema["additionalProperties"].is_object() => "map".to_owned(),
        "string" if schema["format"] == "date-time" => "time, as in `2027-10-31T00:00:00Z`".to_owned(),
        other => other.to_owned(),
    }
}

fn rules(schema: &Value) -> Vec<String> {
    let of = |schema: &Value| -> Vec<String> {
        let rules = schema["x-kubernetes-validations"].as_array().cloned().unwrap_or_default();
        rules.iter().map(|rule| text(rule, "message").to_owned()).collect()
    };
    let mut found = of(schema);
    found.extend(of(&schema["items"]).into_iter().map(|rule| format!("each {rule}")));
    found.retain(|rule| rule != "each ");
    found
}

/// A field, and what is below it.
fn field(path: &str, schema: &Value, required: bool, page: &mut String) {
    let default = &schema["default"];
    let default =
        if default.is_null() || default.is_object() { String::new() } else { format!(", default `{default}`") };
    let required = if required { ", required" } else { "" };
    writeln!(page, "\n- **`{path}`**: {}{required}{default}\n", type_of(schema)).unwrap();
    writeln!(page, "{}", wrapped(text(schema, "description"), "  ")).unwrap();
    for rule in rules(schema) {
        writeln!(page, "\n{}", wrapped(&format!("*{}*", rule.trim()), "  ")).unwrap();
    }
    let (below, path) = match text(schema, "type") {
        "array" => (&schema["items"], format!("{path}[]")),
        _ => (schema, path.to_owned()),
    };
    // Conditions are the same everywhere.
    if !path.ends_with("conditions[]") {
        fields(&path, below, page);
    }
}

fn fields(path: &str, schema: &Value, page: &mut String) {
    let required: BTreeSet<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        field(&path, child, required.contains(name.as_str()), page);
    }
}

fn kind(crd: &Value, page: &mut String) {
    let (names, version) = (&crd["spec"]["names"], &crd["spec"]["versions"][0]);
    let schema = &version["schema"]["openAPIV3Schema"];
    let short: Vec<&str> = names["shortNames"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let short = if short.is_empty() { String::new() } else { format!(", or `{}`", short.join("`, `")) };
    writeln!(page, "\n## {}\n", text(names, "kind")).unwrap();
    writeln!(page, "{}\n", wrapped(text(schema, "description"), "")).unwrap();
    writeln!(page, "For kubectl: `{}`{short}.", text(names, "plural")).unwrap();
    for part in ["spec", "status"] {
        let schema = &schema["properties"][part];
        if schema.is_null() {
            continue;
        }
        writeln!(page, "\n### {} {part}", text(names, "kind")).unwrap();
        for rule in rules(schema) {
            writeln!(page, "\n{}", wrapped(&format!("*{rule}*"), "")).unwrap();
        }
        fields("", schema, page);
    }
}

#[test]
fn the_page_of_the_kinds_has_every_field() {
    let mut crds = manifests(&file("crds")).unwrap();
    let order = ["AwsAccount", "AccountBaseline", "BaselineException", "PlanApproval", "ChangeRecord"];
    crds.sort_by_key(|crd| order.iter().position(|name| *name == text(&crd["spec"]["names"], "kind")));
    let mut page = HEAD.to_owned();
    for crd in &crds {
        kind(crd, &mut page);
    }
    assert_eq!(crds.len(), order.len());
    assert!(page.contains("**`controls.securityGroups.allowedIngress[].ports`**"), "{page}");
    assert_written("docs/kinds.md", &page);
}

/// The frameworks' names of a check, as one line.
fn references(check: &Value) -> String {
    let of = &check["references"];
    let listed = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let cis = of["cis"].as_object().into_iter().flatten().map(|(version, ids)| (version, listed(ids)));
    let cis: Vec<String> =
        cis.filter(|(_, ids)| !ids.is_empty()).map(|(version, ids)| format!("{version}: {}", ids.join(", "))).collect();
    let mut found = Vec::new();
    if !cis.is_empty() {
        found.push(format!("CIS AWS Foundations {}", cis.join("; ")));
    }
    for (name, field) in
        [("Security Hub", "securityHub"), ("AWS Config", "config"), ("Trusted Advisor", "trustedAdvisor")]
    {
        let ids = listed(&of[field]);
        if !ids.is_empty() {
            found.push(format!("{name} {}", ids.join(", ")));
        }
    }
    found.join(". ")
}

fn section(control: &str, all: &[Value]) -> String {
    let of_it: Vec<&Value> = all.iter().filter(|check| text(check, "control") == control).collect();
    let mut page = "| Check | Severity | Judged per | Who acts |\n| --- | --- | --- | --- |\n".to_owned();
    for check in &of_it {
        let [name, severity, per, actor] = ["check", "severity", "judgedPer", "actor"].map(|field| text(check, field));
        writeln!(page, "| `{name}` | {severity} | {per} | {actor} |").unwrap();
    }
    page += "\nWhat enforcement does about each, and what other frameworks call it:\n";
    for check in of_it {
        let (name, remediation) = (text(check, "check"), text(check, "remediation"));
        let known = references(check);
        let known = if known.is_empty() { "No other framework asks for it".to_owned() } else { known };
        writeln!(page, "\n- `{name}`: {remediation}.").unwrap();
        writeln!(page, "{}", wrapped(&format!("{known}."), "  ")).unwrap();
    }
    page
}

#[test]
fn the_page_of_the_controls_has_every_check() {
    let all = checks();
    assert!(all.len() > 20, "{all:?}");
    for control in ["passwordPolicy", "mfa", "securityGroups", "s3Encryption"] {
        assert_section("docs/controls.md", control, &section(control, &all));
    }
}

/// The cells of the rows of a page's tables whose first cell is code.
fn rows(page: &str) -> BTreeMap<String, Vec<String>> {
    let page = std::fs::read_to_string(file(page)).unwrap();
    let cells = |line: &str| -> Vec<String> { line.split('|').skip(1).map(|cell| cell.trim().to_owned()).collect() };
    let rows = page.lines().filter(|line| line.starts_with("| `")).map(cells);
    rows.map(|row| (row[0].trim_matches('`').to_owned(), row)).collect()
}

#[test]
fn whose_responsibility_each_check_is_stands_in_its_page() {
    let (rows, all) = (rows("docs/responsibility.md"), checks());
    let known: BTreeSet<&str> = all.iter().map(|check| text(check, "check")).collect();
    assert_eq!(rows.keys().map(String::as_str).collect::<BTreeSet<_>>(), known);
    for check in &all {
        let row = &rows[text(check, "check")];
        assert_eq!(row.get(3).map(String::as_str), Some(text(check, "actor")), "who acts: {row:?}");
        assert!(row[1..3].iter().all(|cell| cell.len() > 8), "{row:?}");
    }
}

/// The words of a Rust enum's `as_str` in a file, which is how they stand in status.
fn words(source: &str, of: &str) -> BTreeSet<String> {
    let code = std::fs::read_to_string(file(source)).unwrap();
    let body = code.split_once(&format!("impl {of} {{")).unwrap().1;
    let body = body.split_once("\n}").unwrap().0;
    let words = body.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split_once("=> \""));
    let words: BTreeSet<String> = words.filter_map(|(_, rest)| Some(rest.split_once('"')?.0.to_owned())).collect();
    assert!(words.len() > 5, "{source} has {words:?}");
    words
}

#[test]
fn troubleshooting_has_an_entry_for_every_reason_and_for_no_other() {
    let page = std::fs::read_to_string(file("docs/troubleshooting.md")).unwrap();
    let entries: BTreeSet<String> =
        page.lines().filter_map(|line| Some(line.strip_prefix("### `")?.split_once('`')?.0.to_owned())).collect();
    assert_eq!(entries, words("src/api/condition.rs", "Reason"));

    let rows: BTreeSet<String> = rows("docs/troubleshooting.md").into_keys().collect();
    let held = words("src/baseline/remediation.rs", "HoldReason");
    let causes = words("src/baseline/observed.rs", "CauseClass");
    let ended = words("src/baseline/history.rs", "SettledReason");
    let all: BTreeSet<String> = [held, causes, ended].into_iter().flatten().collect();
    assert_eq!(rows, all, "the tables of `Held`, of `Unknown` and of records");
}

#[test]
fn the_policies_of_the_terraform_module_are_the_printed_ones() {
    for policy in ["audit", "enforce"] {
        let path = format!("examples/onboarding/terraform/{policy}.json");
        assert_written(&path, &printed(&policy_of_role(policy)));
    }
}

#[test]
fn the_policies_of_the_cloudformation_template_are_the_printed_ones() {
    for policy in ["audit", "enforce"] {
        let mut args = policy_of_role(policy);
        args.extend(["-o", "yaml"].map(str::to_owned));
        let printed = printed(&args);
        let indent = " ".repeat(12);
        let indented: String = printed.lines().flat_map(|line| [indent.as_str(), line, "\n"]).collect();
        let path = "examples/onboarding/cloudformation.yaml";
        let template = std::fs::read_to_string(file(path)).unwrap();
        let (begin, end) = (format!("# {policy}: begin\n"), format!("            # {policy}: end"));
        let (head, rest) = template.split_once(&begin).unwrap();
        let (_, tail) = rest.split_once(&end).unwrap();
        assert_written(path, &format!("{head}{begin}{indented}{end}{tail}"));
    }
}
