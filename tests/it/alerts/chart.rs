//! What the chart makes of the rules and of the dashboard, by the real Helm.

use std::process::Command;

use plumbline_rig::controlplane::tools;
use serde_json::Value;

use super::{RULES, alerts, promtool, yaml};
use crate::support::file;

/// Renders one template of the chart.
async fn rendered(template: &str, values: &[&str]) -> Result<Value, String> {
    let helm = tools().await.unwrap().join("helm");
    let mut command = Command::new(helm);
    command.args(["template", "plumbline", file("charts/plumbline").to_str().unwrap()]);
    command.args(["--namespace", "plumbline-system", "--show-only", &format!("templates/{template}")]);
    for value in values {
        command.args(["--set", value]);
    }
    let output = command.output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8(output.stderr).unwrap());
    }
    Ok(serde_saphyr::from_str(&String::from_utf8(output.stdout).unwrap()).unwrap())
}

const ON: &str = "metrics.prometheusRule.enabled=true";

#[tokio::test]
async fn the_chart_carries_the_rules_as_they_are() {
    let rule = rendered("prometheusrule.yaml", &[ON]).await.unwrap();
    assert_eq!(rule["spec"], yaml(RULES), "braces are Prometheus's own, and stay");
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), rule["spec"].to_string()).unwrap();
    promtool(&["check", "rules", file.path().to_str().unwrap()]).unwrap();
    assert_eq!(rule["metadata"]["namespace"], "plumbline-system");
}

#[tokio::test]
async fn an_alert_can_be_left_out_or_be_given_another_severity_and_patience() {
    let of = |setting: &str| format!("metrics.prometheusRule.rules.{setting}");
    let settings =
        [of("PlumblineDown.severity=critical"), of("PlumblineDown.for=5m"), of("PlumblineNoLeader.enabled=false")];
    let values: Vec<&str> = [ON].into_iter().chain(settings.iter().map(String::as_str)).collect();
    let rule = rendered("prometheusrule.yaml", &values).await.unwrap();
    let groups = rule["spec"]["groups"].as_array().unwrap();
    let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    let named = |name: &str| rules.iter().find(|rule| rule["alert"] == name);
    let down = named("PlumblineDown").unwrap();
    assert_eq!((down["labels"]["severity"].as_str(), down["for"].as_str()), (Some("critical"), Some("5m")));
    assert_eq!(named("PlumblineNoLeader"), None);
    assert_eq!(rules.len() + 1, alerts().len(), "the others are as they were");

    let misspelt = [ON.to_owned(), of("PlumblineDwon.enabled=false")];
    let misspelt: Vec<&str> = misspelt.iter().map(String::as_str).collect();
    let error = rendered("prometheusrule.yaml", &misspelt).await.unwrap_err();
    assert!(error.contains("there is no such alert"), "{error}");
}

#[tokio::test]
async fn the_chart_carries_the_dashboard_as_it_is_where_grafana_looks_for_it() {
    let map = rendered("dashboard.yaml", &["metrics.dashboard.enabled=true"]).await.unwrap();
    let carried = map["data"]["plumbline.json"].as_str().unwrap();
    let stored = std::fs::read_to_string(file("charts/plumbline/dashboards/plumbline.json")).unwrap();
    assert_eq!(carried.trim(), stored.trim());
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    assert!(carried.len() < 900_000, "a ConfigMap holds a megabyte");
}

#[tokio::test]
async fn neither_is_made_unless_it_is_asked_for() {
    for template in ["prometheusrule.yaml", "dashboard.yaml"] {
        let error = rendered(template, &[]).await.unwrap_err();
        assert!(error.contains("could not find template"), "{template}: {error}");
    }
}
