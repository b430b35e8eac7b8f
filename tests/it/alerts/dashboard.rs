//! The dashboard: every query in it is a query over metrics that there are, and nothing in it belongs to one Grafana.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{alerts, metrics_in, promtool};
use crate::support::file;

const DASHBOARD: &str = "charts/plumbline/dashboards/plumbline.json";

fn dashboard() -> Value {
    serde_json::from_str(&std::fs::read_to_string(file(DASHBOARD)).unwrap()).unwrap()
}

fn panels() -> Vec<Value> {
    dashboard()["panels"].as_array().unwrap().clone()
}

fn queries() -> Vec<String> {
    let panels = panels();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// All values of a key, at any depth.
fn values_of<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get(key));
            map.values().for_each(|value| values_of(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|value| values_of(value, key, found)),
        _ => {}
    }
}

#[test]
fn every_query_of_the_dashboard_is_promql() {
    // As promtool of this version knows no other way, each becomes a rule.
    let queries = queries();
    assert!(queries.len() > 30, "{}", queries.len());
    let rules: Vec<_> = queries
        .iter()
        .enumerate()
        .map(|(number, query)| {
            let query = query.replace("$__rate_interval", "5m").replace("$account", ".*").replace("$baseline", ".*");
            let query = query.replace("$job", ".*");
            assert!(!query.contains('$'), "a variable that the dashboard does not have: {query}");
            json!({"record": format!("dashboard:query:{number}"), "expr": query})
        })
        .collect();
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), json!({"groups": [{"name": "dashboard", "rules": rules}]}).to_string()).unwrap();
    let said = promtool(&["check", "rules", file.path().to_str().unwrap()]).unwrap();
    assert!(said.contains(&format!("{} rules found", queries.len())), "{said}");
}

#[test]
fn the_dashboard_shows_metrics_that_are_documented_and_variables_that_it_has() {
    let page = std::fs::read_to_string(file("docs/metrics.md")).unwrap();
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let of_variables = variables.iter().filter_map(|variable| variable["definition"].as_str());
    let used: BTreeSet<_> = queries().iter().map(String::as_str).chain(of_variables).flat_map(metrics_in).collect();
    assert!(used.len() > 20, "{used:?}");
    for metric in used {
        assert!(page.contains(&format!("`{metric}`")), "{metric} is not documented");
    }
    let names: BTreeSet<_> = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["account", "baseline", "datasource", "job"]));
}

#[test]
fn the_dashboard_belongs_to_no_grafana_and_to_no_data_source() {
    let dashboard = dashboard();
    let mut sources = Vec::new();
    values_of(&dashboard, "datasource", &mut sources);
    assert!(sources.len() > 30);
    for source in sources {
        assert_eq!(source["uid"], "${datasource}", "{source}");
    }
    assert_eq!(dashboard.get("id"), None, "the id is the database's");
    let panels = panels();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "ids are unique");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{}", panel["title"]);
    }
}

#[test]
fn panels_lie_beside_each_other_and_not_on_each_other() {
    let mut taken = BTreeSet::new();
    for panel in panels() {
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{} does not fit", panel["title"]);
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{} lies on another one", panel["title"]);
            }
        }
    }
}

#[test]
fn the_number_of_alerts_counts_all_of_ours() {
    let counts = queries().into_iter().find(|query| query.contains("ALERTS")).unwrap();
    assert!(counts.contains("Plumbline.*"), "{counts}");
    assert!(alerts().iter().all(|alert| alert.starts_with("Plumbline")));
}
