//! `plumbline audit` on the emulator: the same engine as the operator's, without a cluster.

use std::process::Output;

use plumbline_rig::aws_proxy::{Action, Matcher};
use serde_json::Value;

use crate::support::{Aws, PLUMBLINE};

/// An account in order, as far as the manifest below asks.
const IN_ORDER: &str = "passwordPolicy: {minimumPasswordLength: 16}\nregions: [eu-west-1]";

fn manifest(account_id: &str) -> String {
    format!(
        "apiVersion: plumbline.dev/v1alpha1\nkind: AwsAccount\nmetadata: {{name: shop}}\n\
         spec: {{accountId: \"{account_id}\", auditRoleName: PlumblineAudit, externalId: 0f6c9a}}\n---\n\
         apiVersion: plumbline.dev/v1alpha1\nkind: AccountBaseline\nmetadata: {{name: shop}}\n\
         spec: {{accountRef: {{name: shop}}, controls: {{passwordPolicy: {{minimumPasswordLength: 14}}}}}}\n"
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Exit code and standard error of a run that must print no data.
fn refused(output: &Output) -> (Option<i32>, String) {
    assert_eq!(text(&output.stdout), "", "data goes to standard output only where there is some");
    (output.status.code(), text(&output.stderr))
}

#[tokio::test]
async fn an_account_in_order_exits_with_0_and_drift_with_2() {
    let aws = Aws::new().await;
    let seeded = aws.seed(IN_ORDER).await;
    let file = aws.write("shop.yaml", &manifest(&seeded.account_id));
    let output = aws.plumbline(&["audit", "-f", &file, "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["baselines"][0]["result"], "Pass");
    assert_eq!(report["baselines"][0]["account"]["accountId"], seeded.account_id.as_str());

    let weak = aws.seed("passwordPolicy: {minimumPasswordLength: 8}").await;
    let file = aws.write("weak.yaml", &manifest(&weak.account_id));
    let output = aws.plumbline(&["audit", "-f", &file, "-o", "json"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let finding = &report["baselines"][0]["findings"][0];
    assert_eq!((finding["check"].as_str(), finding["observed"].as_str()), (Some("MinimumPasswordLength"), Some("8")));
    assert_eq!(aws.rig.proxy().calls().iter().filter(|call| call.mutating).count(), 0);
}

#[tokio::test]
async fn what_could_not_be_read_exits_with_3_and_names_the_action() {
    let aws = Aws::new().await;
    let seeded = aws.seed(IN_ORDER).await;
    let read = Matcher::operation("iam", "GetAccountPasswordPolicy");
    aws.rig.proxy().rule(read, Action::AccessDenied { message: None }, None);
    let file = aws.write("shop.yaml", &manifest(&seeded.account_id));
    let output = aws.plumbline(&["audit", "-f", &file]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("iam:GetAccountPasswordPolicy"), "{}", text(&output.stdout));
}

#[tokio::test]
async fn without_a_file_the_callers_own_account_is_judged_by_the_preset() {
    let aws = Aws::new().await;
    let seeded = aws.seed("root: {mfa: [], password: true}").await;
    let output = aws.plumbline_as(&seeded.account_id, &["audit", "-o", "json"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["baselines"][0]["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["check"] == "RootUserMfa" && finding["result"] == "Fail"));
    assert_eq!(report["baselines"][0]["account"]["accountId"], seeded.account_id.as_str());
    assert_eq!(report["baselines"][0]["unknown"], Value::Array(Vec::new()));
    assert_eq!(aws.rig.proxy().count("sts", "AssumeRole"), 0);
}

#[tokio::test]
async fn an_unreachable_account_among_several_is_unknown_and_alone_is_an_error() {
    let aws = Aws::new().await;
    let seeded = aws.seed(IN_ORDER).await;
    let good = aws.write("good.yaml", &manifest(&seeded.account_id));
    let gone = aws.write("gone.yaml", &manifest("999999999999").replace("shop", "gone"));
    let output = aws.plumbline(&["audit", "-f", &good, "-f", &gone, "-o", "json"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let (code, error) = refused(&aws.plumbline(&["audit", "-f", &gone]));
    assert_eq!(code, Some(1));
    assert!(error.contains("arn:aws:iam::999999999999:role/PlumblineAudit"), "{error}");
}

#[tokio::test]
async fn bad_input_gets_one_clear_sentence_and_exits_with_1() {
    let aws = Aws::new().await;
    let seeded = aws.seed(IN_ORDER).await;
    let ok = manifest(&seeded.account_id);
    let (account, baseline) = ok.split_once("---\n").unwrap();
    let rows = [
        ("a kind of another group", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n".to_owned(), "declare no"),
        ("broken YAML", "kind: [AwsAccount\n".to_owned(), "broken.yaml:"),
        ("an account that nobody declares", baseline.to_owned(), "no file declares the AwsAccount"),
        ("no baseline", account.to_owned(), "declare no AccountBaseline"),
        ("a rule of the schema", ok.replace("14", "5"), "minimumPasswordLength must be 6 to 128"),
        ("an unknown kind", ok.replace("kind: AwsAccount", "kind: AwsAcount"), "AwsAcount"),
    ];
    for (what, yaml, says) in rows {
        let file = aws.write("broken.yaml", &yaml);
        let (code, error) = refused(&aws.plumbline(&["audit", "-f", &file]));
        assert_eq!(code, Some(1), "{what}: {error}");
        assert!(error.contains(says), "{what}: {error}");
    }
    let (code, error) = refused(&aws.plumbline(&["audit", "-f", "/does/not/exist.yaml"]));
    assert_eq!(code, Some(1));
    assert!(error.contains("/does/not/exist.yaml"), "{error}");
    assert_eq!(aws.rig.proxy().calls(), [], "bad input is found before AWS is asked");
    let usage = aws.plumbline(&["audit", "--no-such-flag"]);
    assert_eq!(usage.status.code(), Some(64));
}

#[tokio::test]
async fn without_credentials_or_an_endpoint_it_says_what_to_do() {
    let without = |variables: &[(&str, &str)]| {
        let mut command = std::process::Command::new(PLUMBLINE);
        command.args(["audit", "--timeout", "20s"]).env_clear().envs(variables.iter().copied());
        let nothing = [("AWS_CONFIG_FILE", "/dev/null"), ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")];
        command.envs(nothing).env("AWS_EC2_METADATA_DISABLED", "true").output().unwrap()
    };
    let (code, error) = refused(&without(&[]));
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("credentials"), "{error}");
    let keys = [("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "x")];
    let (code, error) = refused(&without(&[keys[0], keys[1], ("AWS_ENDPOINT_URL", "http://127.0.0.1:9")]));
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("AWS_ENDPOINT_URL"), "{error}");
    assert_eq!(error.trim().lines().count(), 1, "{error}");
}
