use clap::Parser;
use serde_json::Value;

use super::*;
use crate::cli::testing::{Accounts, manifests, policy};
use crate::engine::fake::{at, denied};
use crate::render::Screen;

const ID: &str = "222222222222";

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    plan: PlanArgs,
}

fn parsed(line: &str) -> Result<PlanArgs, clap::Error> {
    CommandLine::try_parse_from(std::iter::once("plan").chain(line.split_whitespace())).map(|line| line.plan)
}

/// The outcome, or the sentence on standard error; and what was printed.
async fn plan(line: &str, stdin: &str, accounts: &Accounts) -> (Result<Exit, String>, String) {
    let mut out = Vec::new();
    let console =
        Console { stdin: &mut stdin.as_bytes(), out: &mut out, screen: Screen::default(), progress: false, now: at };
    let result = run(&parsed(line).unwrap(), accounts, console).await;
    (result.map_err(|error| error.to_string()), String::from_utf8(out).unwrap())
}

/// The first baseline of the document.
async fn planned(line: &str, stdin: &str, accounts: &Accounts) -> Value {
    let (outcome, out) = plan(&format!("-f - -o json {line}"), stdin, accounts).await;
    assert_eq!(outcome, Ok(Exit::Failed));
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["kind"], "PlanReport");
    document["baselines"][0].clone()
}

fn enforced(manifests: &str) -> String {
    manifests.replace("spec:\n  accountRef", "spec:\n  mode: Enforce\n  accountRef")
}

/// A password policy that fails and can be changed, and one user of root's.
fn mixed() -> String {
    let controls = "{passwordPolicy: {minimumPasswordLength: 14}, mfa: {mode: Audit, rootUser: {requireMfa: true}}, \
                    securityGroups: {mode: Audit, allowedIngress: []}}";
    enforced(&manifests(&[ID])).replace("{passwordPolicy: {minimumPasswordLength: 14}}", controls)
}

#[tokio::test]
async fn what_enforcement_changes_is_planned_with_before_after_and_inverse() {
    let baseline = planned("", &mixed(), &Accounts::one(policy(8))).await;
    let changes = baseline["plan"]["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{baseline}");
    let change = &changes[0];
    assert_eq!(change["operation"], "iam:UpdateAccountPasswordPolicy");
    assert_eq!(change["inverse"], "iam:UpdateAccountPasswordPolicy");
    assert_eq!(
        (change["before"].as_str(), change["after"].as_str()),
        (Some("minimumPasswordLength 8"), Some("minimumPasswordLength 14"))
    );
    let finding = baseline["findings"].as_array().unwrap().iter().find(|finding| finding["result"] == "Fail").unwrap();
    assert_eq!(change["findings"][0]["id"], finding["id"]);
    assert_eq!(finding["remediation"]["kind"], "Automatic");
}

#[tokio::test]
async fn the_digest_is_that_of_the_changes_and_of_nothing_else() {
    let digest = |baseline: &Value| baseline["plan"]["digest"].as_str().unwrap().to_owned();
    let first = digest(&planned("", &mixed(), &Accounts::one(policy(8))).await);
    assert_eq!(first, digest(&planned("--as-caller", &mixed(), &Accounts::one(policy(8))).await));
    assert_eq!(first, digest(&planned("--if-enforced", &manifests(&[ID]), &Accounts::one(policy(8))).await));
    assert_ne!(first, digest(&planned("", &mixed(), &Accounts::one(policy(9))).await));
}

#[tokio::test]
async fn in_audit_everything_is_held_for_that_reason_and_nothing_more_is_read_than_by_an_audit() {
    let accounts = Accounts::one(policy(8));
    let baseline = planned("", &manifests(&[ID]), &accounts).await;
    assert_eq!(baseline["plan"], serde_json::json!({"digest": null, "needApproval": 0, "changes": [], "held": 1}));
    assert_eq!(baseline["findings"][0]["remediation"]["reason"], "AuditMode");
    let mut calls = accounts.clouds[ID].calls();
    calls.sort();
    assert_eq!(calls, ["GetAccountPasswordPolicy", "GetCallerIdentity", "ListAccountAliases"]);
}

#[tokio::test]
async fn if_enforced_lifts_a_controls_own_audit_too() {
    let own = manifests(&[ID]).replace("{minimumPasswordLength", "{mode: Audit, minimumPasswordLength");
    let baseline = planned("--if-enforced", &own, &Accounts::one(policy(8))).await;
    assert_eq!(baseline["plan"]["changes"].as_array().unwrap().len(), 1, "{baseline}");
}

#[tokio::test]
async fn a_plan_over_its_size_says_that_it_needs_approval() {
    let small = enforced(&manifests(&[ID])).replace("mode: Enforce", "mode: Enforce\n  enforcement: {maxPlanSize: 0}");
    let baseline = planned("", &small, &Accounts::one(policy(8))).await;
    assert_eq!(baseline["plan"]["needApproval"], 1);
    let (_, table) = plan("-f -", &small, &Accounts::one(policy(8))).await;
    assert!(table.contains("1 change, starts nothing before a PlanApproval"), "{table}");
}

#[tokio::test]
async fn exit_codes_are_those_of_an_audit() {
    let (outcome, out) = plan("-f -", &mixed(), &Accounts::one(policy(8))).await;
    assert_eq!(outcome, Ok(Exit::Failed));
    assert!(out.contains("minimumPasswordLength 8 -> minimumPasswordLength 14"), "{out}");
    let only_policy = enforced(&manifests(&[ID]));
    assert_eq!(plan("-f -", &only_policy, &Accounts::one(policy(14))).await.0, Ok(Exit::Ok));
    let unread = Accounts::one(denied("iam:GetAccountPasswordPolicy"));
    assert_eq!(plan("-f -", &only_policy, &unread).await.0, Ok(Exit::Incomplete));
    let (outcome, out) = plan("-f -", &only_policy, &Accounts::default()).await;
    assert!(outcome.unwrap_err().starts_with("account 222222222222 cannot be reached"));
    assert_eq!(out, "");
}

#[tokio::test]
async fn every_format_says_the_same() {
    let accounts = Accounts::one(policy(8));
    let json: Value = serde_json::from_str(&plan("-f - -o json", &mixed(), &accounts).await.1).unwrap();
    let yaml: Value = serde_saphyr::from_str(&plan("-f - -o yaml", &mixed(), &accounts).await.1).unwrap();
    assert_eq!(json, yaml);
    let change = &json["baselines"][0]["plan"]["changes"][0];
    for format in ["table", "wide"] {
        let text = plan(&format!("-f - -o {format}"), &mixed(), &accounts).await.1;
        let digest = json["baselines"][0]["plan"]["digest"].as_str().unwrap();
        assert!(text.contains(digest) && text.contains(change["operation"].as_str().unwrap()), "{text}");
    }
}

#[test]
fn without_a_file_there_is_nothing_to_plan() {
    for wrong in ["", "--if-enforced", "-f a --preset cis", "-f a --region x"] {
        assert!(parsed(wrong).is_err(), "{wrong}");
    }
    assert!(parsed("-f a b --if-enforced --as-caller").unwrap().if_enforced);
}
