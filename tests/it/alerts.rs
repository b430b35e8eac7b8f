//! The alerts, the dashboard and the pages about them: held against each other, against the metrics that there are,
//! against promtool, and, in [`scraped`], against a real Prometheus that scrapes the real operator.

mod chart;
mod dashboard;
mod fleet;
mod runbooks;
mod scraped;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use plumbline::api::BaselineException;
use serde_json::{Value, json};

use crate::support::{World, apply, file};

/// Makes an exception of users without MFA, by the name of the test, that ends in three days.
async fn exception_that_ends(world: &World) {
    let end = Timestamp::now() + SignedDuration::from_hours(72);
    let exception = json!({"apiVersion": "plumbline.dev/v1alpha1", "kind": "BaselineException",
        "metadata": {"name": world.id}, "spec": {"accounts": [world.id], "check": "UserMfa", "resourcePattern": "*",
        "reason": "The token is in the mail.", "owner": "team-data", "expiresAt": end.to_string()}});
    apply::<BaselineException>(&world.client, exception).await;
}

/// The rules as they are shipped.
const RULES: &str = "charts/plumbline/rules/plumbline.yaml";

/// How the names of the operator's metrics begin.
const PREFIXES: [&str; 5] = ["plumbline_", "controller_runtime_", "rest_client_", "leader_election_", "process_"];

/// The folder with promtool and prometheus.
pub(crate) fn prometheus() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let output = Command::new(file("tests/prometheus/install")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    })
}

/// Runs promtool; what it says is an error unless it succeeds.
fn promtool(args: &[&str]) -> Result<String, String> {
    let output = Command::new(prometheus().join("promtool")).args(args).output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    if output.status.success() { Ok(said) } else { Err(said) }
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(file(path)).unwrap()).unwrap()
}

/// All rules of the file.
fn rules() -> Vec<Value> {
    let groups = yaml(RULES)["groups"].as_array().unwrap().clone();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// The names of the alerts.
fn alerts() -> BTreeSet<String> {
    rules().iter().map(|rule| rule["alert"].as_str().unwrap().to_owned()).collect()
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// The names of the operator's metrics in a query, without the suffixes of a histogram.
fn metrics_in(query: &str) -> BTreeSet<String> {
    let words = query.split(|character| !is_name(character));
    let ours = words.filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix)));
    let base = |word: &str| {
        let histogram = word.ends_with("_seconds_bucket");
        if histogram { word.trim_end_matches("_bucket").to_owned() } else { word.to_owned() }
    };
    ours.map(base).collect()
}

/// The names that stand in the `by (...)` of the outermost aggregation of a query, and in its only matcher.
fn labels_of(query: &str) -> BTreeSet<String> {
    let Some((_, rest)) = query.split_once(" by (") else { return BTreeSet::new() };
    rest.split(')').next().unwrap().split(',').map(|label| label.trim().to_owned()).collect()
}

/// What follows each `$labels.` in a text.
fn labels_named(text: &str) -> BTreeSet<String> {
    let names = text.split("$labels.").skip(1);
    names.map(|rest| rest.chars().take_while(|character| is_name(*character)).collect()).collect()
}

fn tests() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(file("tests/alerts")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.to_str().unwrap().ends_with(".test.yaml")).collect();
    paths.sort();
    paths
}

#[test]
fn promtool_takes_the_rules_and_their_tests_pass() {
    let rules = file(RULES);
    let said = promtool(&["check", "rules", rules.to_str().unwrap()]).unwrap();
    assert!(said.contains(&format!("{} rules found", alerts().len())), "{said}");
    let tests = tests();
    assert!(tests.len() >= 5, "{tests:?}");
    let paths = tests.iter().map(|path| path.to_str().unwrap());
    promtool(&["test", "rules"].into_iter().chain(paths).collect::<Vec<_>>()).unwrap();
}

#[test]
fn every_alert_has_a_test_in_which_it_fires() {
    let texts: String = tests().iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for alert in alerts() {
        let by_query = texts.contains(&format!("ALERTS{{alertname=\"{alert}\", alertstate=\"firing\""));
        let by_name = texts.contains(&format!("alertname: {alert}\n"));
        assert!(by_query || by_name, "{alert} is expected to fire in no test");
    }
}

#[test]
fn an_alert_that_never_fires_fails_its_tests() {
    // What the tests are worth: each rule is made false in turn, and promtool has to notice.
    let text = std::fs::read_to_string(file(RULES)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (number, alert) in alerts().iter().enumerate() {
        let mut rules: Value = serde_saphyr::from_str(&text).unwrap();
        for group in rules["groups"].as_array_mut().unwrap() {
            for rule in group["rules"].as_array_mut().unwrap() {
                if rule["alert"] == alert.as_str() {
                    rule["expr"] = Value::from("vector(0) > 1");
                }
            }
        }
        let name = format!("rules-{number}.json");
        std::fs::write(folder.path().join(&name), rules.to_string()).unwrap();
        let failed = tests().iter().any(|test| {
            let path = folder.path().join("changed.test.yaml");
            let text = std::fs::read_to_string(test).unwrap();
            if !text.contains(alert) {
                return false;
            }
            std::fs::write(&path, text.replace(&format!("../../{RULES}"), &name)).unwrap();
            promtool(&["test", "rules", path.to_str().unwrap()]).is_err()
        });
        assert!(failed, "no test misses {alert}");
    }
}

#[test]
fn rules_say_who_is_to_look_and_name_only_labels_that_they_have() {
    for rule in rules() {
        let alert = rule["alert"].as_str().unwrap();
        let text = |pointer: &str| rule.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        assert!(["critical", "warning", "info"].contains(&text("/labels/severity").as_str()), "{alert}");
        let (summary, description) = (text("/annotations/summary"), text("/annotations/description"));
        assert!(!summary.is_empty() && summary.len() <= 120 && description.ends_with('.'), "{alert}: {description}");
        let known = labels_of(&text("/expr"));
        let unknown: Vec<_> = labels_named(&(summary + &description)).difference(&known).cloned().collect();
        assert_eq!(unknown, [""; 0], "{alert} names labels that its expression does not keep");
        for kept in ["instance", "pod"] {
            assert!(!known.contains(kept), "{alert} would come once for each replica");
        }
    }
}

#[test]
fn rules_rest_on_metrics_that_are_documented() {
    let page = std::fs::read_to_string(file("docs/metrics.md")).unwrap();
    for rule in rules() {
        let used = metrics_in(rule["expr"].as_str().unwrap());
        assert!(!used.is_empty(), "{rule}");
        for metric in used {
            assert!(page.contains(&format!("`{metric}`")), "{}: {metric} is not documented", rule["alert"]);
        }
    }
}
