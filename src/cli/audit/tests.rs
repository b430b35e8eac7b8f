use std::time::Duration;

use clap::Parser;
use serde_json::Value;

use super::*;
use crate::cli::testing::{Accounts, manifests, policy};
use crate::engine::fake::{at, denied};
use crate::render::Screen;

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    audit: AuditArgs,
}

fn parsed(line: &str) -> Result<AuditArgs, clap::Error> {
    CommandLine::try_parse_from(std::iter::once("audit").chain(line.split_whitespace())).map(|line| line.audit)
}

/// The outcome, or the sentence on standard error; and what was printed.
async fn audit(line: &str, stdin: &str, accounts: &Accounts) -> (Result<Exit, String>, String) {
    let mut out = Vec::new();
    let console =
        Console { stdin: &mut stdin.as_bytes(), out: &mut out, screen: Screen::default(), progress: false, now: at };
    let result = run(&parsed(line).unwrap(), accounts, console).await;
    (result.map_err(|error| error.to_string()), String::from_utf8(out).unwrap())
}

const FROM_STDIN: &str = "-f - -o json";

#[tokio::test]
async fn exit_code_0_where_everything_passes() {
    let (outcome, out) = audit(FROM_STDIN, &manifests(&["222222222222"]), &Accounts::one(policy(14))).await;
    assert_eq!(outcome.unwrap() as u8, 0);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["kind"], "AuditReport");
    assert_eq!(report["baselines"][0]["evaluatedAt"], "2026-11-01T00:00:00Z");
    assert_eq!(report["baselines"][0]["account"]["name"], "a-222222222222");
}

#[tokio::test]
async fn exit_code_2_where_something_fails() {
    let (outcome, out) = audit("-f -", &manifests(&["222222222222"]), &Accounts::one(policy(8))).await;
    assert_eq!(outcome.unwrap() as u8, 2);
    assert!(out.contains("8 -> 14"), "{out}");
}

#[tokio::test]
async fn pw_02_exit_code_3_where_nothing_fails_but_something_could_not_be_read() {
    let accounts = Accounts::one(denied("iam:GetAccountPasswordPolicy"));
    let (outcome, out) = audit("-f -", &manifests(&["222222222222"]), &accounts).await;
    assert_eq!(outcome.unwrap() as u8, 3);
    assert!(out.contains("iam:GetAccountPasswordPolicy"), "{out}");
}

#[tokio::test]
async fn one_unreachable_account_among_several_is_unknown_and_the_others_are_judged() {
    let ids = ["333333333333", "222222222222"];
    let (outcome, out) = audit(FROM_STDIN, &manifests(&ids), &Accounts::one(policy(14))).await;
    assert_eq!(outcome.unwrap() as u8, 3);
    let report: Value = serde_json::from_str(&out).unwrap();
    let results: Vec<_> = (0..2)
        .map(|n| &report["baselines"][n])
        .map(|b| (&b["baseline"], &b["result"], &b["unknown"][0]["cause"]))
        .collect();
    assert_eq!(
        serde_json::to_value(results).unwrap(),
        serde_json::json!([["b-222222222222", "Pass", null], ["b-333333333333", "Unknown", "Credentials"]])
    );
    let (outcome, _) = audit(FROM_STDIN, &manifests(&ids), &Accounts::one(policy(8))).await;
    assert_eq!(outcome.unwrap() as u8, 2, "what fails outweighs what is unknown");
}

#[tokio::test]
async fn no_reachable_account_is_no_report_but_a_sentence_with_what_to_do() {
    let (outcome, out) = audit("-f -", &manifests(&["222222222222"]), &Accounts::default()).await;
    let message = outcome.unwrap_err();
    assert!(message.starts_with("account 222222222222 cannot be reached: the role cannot be assumed; "), "{message}");
    assert!(message.contains("trust policy") && message.contains("--as-caller"), "{message}");
    assert_eq!(out, "");
    let (outcome, _) = audit("-f -", &manifests(&["222222222222", "333333333333"]), &Accounts::default()).await;
    assert_eq!(outcome.unwrap_err().lines().count(), 2);
}

#[tokio::test]
async fn credentials_of_another_account_stop_before_anything_is_read() {
    let accounts = Accounts::default().with("222222222222", "111111111111", policy(14));
    let (outcome, _) = audit("-f -", &manifests(&["222222222222"]), &accounts).await;
    let message = outcome.unwrap_err();
    assert!(message.contains("lead to account 111111111111, but 222222222222 is declared"), "{message}");
    assert!(message.contains("correct accountId"), "{message}");
    assert_eq!(accounts.clouds["222222222222"].calls(), ["GetCallerIdentity"]);
}

#[tokio::test]
async fn as_caller_assumes_no_role_and_its_absence_does() {
    let accounts = Accounts::one(policy(14));
    let (outcome, _) = audit("-f - --as-caller", &manifests(&["222222222222"]), &accounts).await;
    assert_eq!(outcome, Ok(Exit::Ok));
    let (outcome, _) = audit("-f -", &manifests(&["222222222222"]), &accounts).await;
    assert_eq!(outcome, Ok(Exit::Ok));
    let asked = accounts.asked.into_inner().unwrap();
    let roles: Vec<_> = asked.iter().map(|t| (t.role_name.as_deref(), t.external_id.as_deref())).collect();
    assert_eq!(roles, [(None, None), (Some("PlumblineAudit"), Some("0f6c9a"))]);
    assert_eq!(asked[0].session_name, "plumbline-b-222222222222");
}

#[tokio::test]
async fn without_files_the_own_account_is_judged_by_the_preset() {
    let accounts = Accounts::one(policy(8)).with("", "222222222222", policy(8));
    let (outcome, out) = audit("-o json --region eu-west-1", "", &accounts).await;
    assert_eq!(outcome, Ok(Exit::Failed));
    let report: Value = serde_json::from_str(&out).unwrap();
    let baseline = &report["baselines"][0];
    assert_eq!(baseline["baseline"], "cis");
    assert_eq!(baseline["account"], serde_json::json!({"name": null, "accountId": "222222222222", "alias": null}));
    assert_eq!(baseline["coverage"]["regions"], serde_json::json!(["eu-west-1"]));
    let asked = accounts.asked.into_inner().unwrap();
    assert!(asked.iter().all(|target| target.role_name.is_none()), "{asked:?}");
    assert_eq!(asked.last().unwrap().account_id, "222222222222", "what reads knows whose account it is");
}

#[tokio::test]
async fn a_region_that_does_not_exist_is_no_pass() {
    let accounts = Accounts::one(policy(14)).with("", "222222222222", policy(14));
    let (outcome, out) = audit("--region eu-west-1 --region me-south-1 --region eu-wst-1", "", &accounts).await;
    let message = outcome.unwrap_err();
    assert_eq!(message, "account 222222222222 has no enabled region eu-wst-1, me-south-1: correct --region");
    assert_eq!(out, "");
}

#[tokio::test]
async fn no_credentials_at_all_is_said_with_how_to_get_some() {
    let (outcome, _) = audit("", "", &Accounts::default()).await;
    let message = outcome.unwrap_err();
    assert!(message.contains("aws sso login") && message.contains("AWS_PROFILE"), "{message}");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_said_and_nothing_is_asked_of_aws() {
    let accounts = Accounts::one(policy(14));
    let (outcome, _) = audit("-f /nonexistent/baseline.yaml", "", &accounts).await;
    assert_eq!(outcome.unwrap_err(), "cannot read /nonexistent/baseline.yaml");
    assert!(accounts.asked.into_inner().unwrap().is_empty());
}

#[test]
fn arguments_that_do_not_fit_together_are_wrong_usage() {
    assert!(parsed("-f a b -f c").unwrap().filename.len() == 3);
    assert_eq!(parsed("--timeout 1h30m").unwrap().report.timeout, Duration::from_mins(90));
    for wrong in
        ["-f a --preset cis", "-f a --region x", "--as-caller", "--preset pci", "--timeout 0s", "--timeout -1m"]
    {
        assert!(parsed(wrong).is_err(), "{wrong}");
    }
}
