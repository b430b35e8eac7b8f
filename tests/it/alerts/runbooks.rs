//! The pages that alerts lead to: one for each alert and no other, and the commands on them work.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use plumbline_rig::aws_proxy::{Action, Matcher};
use plumbline_rig::controlplane::tools;
use serde_json::{Value, json};

use super::{alerts, exception_that_ends, rules};
use crate::support::{World, cluster, file};

const PAGES: &str = "docs/runbooks";

/// What needs the operator's pods, Prometheus's own kinds, or a record of a change: the rig has none of them here.
const NOT_HERE: [&str; 5] = [" logs ", "port-forward", "localhost:8081", "servicemonitors", "\"$RECORD\""];

fn page(alert: &str) -> String {
    let path = format!("{PAGES}/{alert}.md");
    std::fs::read_to_string(file(&path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The commands in the `sh` blocks of a page, each on one line or on several that end in a backslash.
fn commands(page: &str) -> Vec<String> {
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut commands = Vec::new();
    let mut open = String::new();
    for line in blocks.flat_map(str::lines) {
        open = if open.is_empty() { line.to_owned() } else { format!("{open}\n{line}") };
        if !line.ends_with('\\') {
            commands.push(std::mem::take(&mut open));
        }
    }
    commands
}

#[test]
fn every_alert_has_a_page_and_every_page_an_alert() {
    let names = std::fs::read_dir(file(PAGES)).unwrap().map(|entry| entry.unwrap().file_name());
    let pages: BTreeSet<_> = names
        .map(|name| name.to_str().unwrap().trim_end_matches(".md").to_owned())
        .filter(|it| it != "README")
        .collect();
    assert_eq!(pages, alerts());
    let index = page("README");
    for rule in rules() {
        let (alert, severity) = (rule["alert"].as_str().unwrap(), rule["labels"]["severity"].as_str().unwrap());
        let url = rule["annotations"]["runbook_url"].as_str().unwrap();
        assert!(url.ends_with(&format!("/{PAGES}/{alert}.md")), "{url}");
        assert!(index.contains(&format!("| [{alert}]({alert}.md) | {severity} |")), "{alert} in the index");
        let page = page(alert);
        assert!(page.starts_with(&format!("# {alert}\n")), "{alert}");
        assert!(page.contains(&format!("Severity: {severity}")), "{alert} is {severity}");
        for heading in ["## Impact", "## Diagnosis", "## Mitigation"] {
            assert!(page.contains(&format!("\n{heading}\n")), "{alert} has no {heading}");
        }
        assert!(!commands(&page).is_empty(), "{alert} has no command");
    }
}

#[test]
fn pages_link_to_pages_that_are_there() {
    for alert in alerts().into_iter().chain(["README".to_owned()]) {
        let text = page(&alert);
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            assert!(file(PAGES).join(link).exists(), "{alert}: {link}");
        }
    }
}

/// Runs a command as somebody with an administrator's rights types it.
fn run(command: &str, name: &str, kubeconfig: &Path, path: &str) -> Output {
    Command::new("bash")
        .args(["-euo", "pipefail", "-c", command])
        .env_clear()
        .env("PATH", path)
        .env("KUBECONFIG", kubeconfig)
        // kubectl keeps what it discovered in its home.
        .env("HOME", kubeconfig.parent().unwrap())
        .envs(["ACCOUNT", "BASELINE", "EXCEPTION"].map(|variable| (variable, name)))
        .output()
        .unwrap()
}

/// An account with a critical finding, one that could not be read, and one that is excepted; all evaluated.
async fn evaluated() -> World {
    let world = World::new().await;
    let seeded = world.seed("regions: [eu-west-1, us-east-1]\nusers: [{name: alice, password: true}]").await;
    let denied = Matcher::operation("iam", "GetAccountPasswordPolicy").account(&seeded.account_id);
    world.aws.proxy().rule(denied, Action::AccessDenied { message: None }, None);
    exception_that_ends(&world).await;
    world.account(&seeded.account_id, "").await;
    let controls = "{passwordPolicy: {minimumPasswordLength: 14}, mfa: {rootUser: {requireMfa: true}, \
                    users: {scope: ConsoleUsers}}}";
    let baseline = world.baseline(controls, "").await;
    let operator = world.operator();
    world.evaluated(baseline.metadata.generation.unwrap()).await;
    drop(operator);
    world
}

#[tokio::test]
async fn the_commands_of_the_pages_work_and_show_what_they_promise() {
    let world = evaluated().await;
    let kubeconfig = cluster().await.admin_kubeconfig();
    let path = format!("{}:{}", tools().await.unwrap().display(), std::env::var("PATH").unwrap());
    let (mut ran, mut shown) = (0, String::new());
    for alert in alerts() {
        for command in commands(&page(&alert)) {
            if NOT_HERE.iter().any(|word| command.contains(word)) {
                continue;
            }
            let output = run(&command, &world.id, kubeconfig, &path);
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            assert!(output.status.success(), "{alert}: {command}\n{}", text(&output.stderr));
            shown.push_str(&text(&output.stdout));
            ran += 1;
        }
    }
    assert!(ran >= 15, "{ran} commands");
    for promised in ["RootUserMfa", "AccessDenied iam:GetAccountPasswordPolicy", "team-data: The token is in the mail."]
    {
        assert!(shown.contains(promised), "no command showed {promised}: {shown}");
    }
    let exempt = format!("{} {} UserMfa", world.id, world.id);
    assert!(shown.contains(&exempt), "no command showed {exempt}: {shown}");
}

#[test]
fn queries_on_the_pages_are_promql() {
    let mut rules = Vec::new();
    for alert in alerts() {
        let page = page(&alert);
        let blocks = page.split("```promql\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        for query in blocks.flat_map(str::lines) {
            rules.push(json!({"record": format!("page:query:{}", rules.len()), "expr": query}));
        }
    }
    assert!(rules.len() >= 3, "{rules:?}");
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    let groups: Value = json!({"groups": [{"name": "pages", "rules": rules}]});
    std::fs::write(file.path(), groups.to_string()).unwrap();
    super::promtool(&["check", "rules", file.path().to_str().unwrap()]).unwrap();
}
