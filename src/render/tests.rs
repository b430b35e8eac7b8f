use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::api::{Controls, Enforcement, MfaControl, Mode, RecordedBaseline, SecurityGroupsControl};
use crate::baseline::history::History;
use crate::baseline::plan::{Circumstances, Evidence, Plan, plan};

use crate::baseline::{
    Cause, CauseClass, Check, Control, Finding, HoldReason, Remediation, Severity, Subject, Verdict,
};
use crate::engine::{AssessError, Assessment, Coverage, fake};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn seen() -> Timestamp {
    at("2026-11-21T19:59:30.5Z")
}

fn denied() -> Cause {
    Cause {
        missing_action: Some("iam:ListMFADevices".to_owned()),
        ..Cause::new(CauseClass::AccessDenied, "PlumblineAudit may not call iam:ListMFADevices")
    }
}

fn user(name: &str) -> Subject {
    Subject::new(Check::UserMfa, format!("arn:aws:iam::222222222222:user/{name}"), "users.scope")
}

fn bucket(check: Check, name: &str, field: &'static str) -> Subject {
    Subject::new(check, format!("arn:aws:s3:::{name}"), field).in_region("eu-west-1")
}

/// Deliberately not in the document's order.
fn findings() -> Vec<Finding> {
    let root = "arn:aws:iam::222222222222:root";
    let rule = Subject::new(Check::Ingress, "sgr-0a1b2c3d4e5f60718", "allowedIngress");
    let rule = rule.of("arn:aws:ec2:eu-west-1:222222222222:security-group/sg-0123456789abcdef0").in_region("eu-west-1");
    vec![
        Finding::unknown(user("carol"), "an MFA device", denied()),
        Finding::fail(user("bob"), "an MFA device", "none", at("2026-11-21T19:58:00Z"))
            .with_message("bob has a console password and no MFA device"),
        Finding::pass(user("alice"), "an MFA device", "virtual", at("2026-11-21T19:10:00Z")),
        Finding::fail(rule, "80, 443", "tcp 22 from 0.0.0.0/0", seen())
            .with_severity(Severity::Critical)
            .with_message("tcp 22 is open to 0.0.0.0/0, which no entry of allowedIngress allows"),
        Finding::fail(bucket(Check::EncryptionAlgorithm, "logs", "minimumAlgorithm"), "SseKms", "SseS3", seen())
            .with_message("new objects are encrypted with SSE-S3, the baseline asks for SseKms"),
        Finding::not_applicable(
            bucket(Check::BucketKey, "archive", "requireBucketKey"),
            "DSSE-KMS has no bucket key",
            seen(),
        ),
        Finding::fail(Subject::new(Check::MinimumPasswordLength, root, "minimumPasswordLength"), "14", "8", seen())
            .with_message("minimumPasswordLength is 8, the baseline asks for 14"),
        Finding::pass(Subject::new(Check::RequireNumbers, root, "requireNumbers"), "true", "true", seen()),
    ]
}

fn judged(baseline: &str, outcome: Result<Assessment, AssessError>) -> Judged {
    Judged {
        baseline: baseline.to_owned(),
        account_name: Some(baseline.to_owned()),
        account_id: "222222222222".to_owned(),
        controls: vec![Control::PasswordPolicy, Control::Mfa],
        evaluated_at: at("2026-11-21T20:00:00.123456789Z"),
        plan: outcome.as_ref().map(planned).unwrap_or_default(),
        enforcement: Enforcement::default(),
        outcome,
    }
}

/// What the core says of it with the password policy and the buckets in `Enforce`: nothing was gathered, so nothing is
/// planned.
fn planned(assessment: &Assessment) -> Plan {
    let controls = Controls {
        mfa: Some(MfaControl { mode: Some(Mode::Audit), ..MfaControl::default() }),
        security_groups: Some(SecurityGroupsControl { mode: Some(Mode::Audit), ..SecurityGroupsControl::default() }),
        ..Controls::default()
    };
    let circumstances = Circumstances {
        now: seen(),
        account: fake::account(),
        mode: Mode::Enforce,
        owned_elsewhere: Vec::new(),
        own_users: BTreeSet::new(),
        baseline: RecordedBaseline::default(),
        history: History::default(),
    };
    plan(&assessment.findings, &assessment.snapshots, &Evidence::default(), &controls, &circumstances)
}

fn assessment(findings: Vec<Finding>) -> Assessment {
    Assessment {
        identity: fake::account(),
        alias: Some("payments".to_owned()),
        coverage: Coverage {
            regions: vec!["eu-west-1".to_owned(), "us-east-1".to_owned()],
            regions_not_enabled: vec!["me-south-1".to_owned()],
            users: Some(3),
            users_listed: Some(5),
            buckets: Some(2),
            buckets_skipped: Some(1),
            credential_report_at: Some(at("2026-11-21T19:10:00Z")),
        },
        controls: Control::ALL.to_vec(),
        findings,
        snapshots: crate::baseline::plan::Snapshots::default(),
    }
}

fn mismatch() -> AssessError {
    AssessError::Mismatch { declared: "222222222222".to_owned(), actual: "111111111111".to_owned() }
}

fn report() -> AuditReport {
    AuditReport::new(vec![judged("sandbox", Err(mismatch())), judged("payments-prod", Ok(assessment(findings())))])
}

fn one(findings: Vec<Finding>) -> AuditReport {
    AuditReport::new(vec![judged("payments-prod", Ok(assessment(findings)))])
}

fn shown(report: &AuditReport, format: Format) -> String {
    render(report, format, Screen::default()).unwrap()
}

#[test]
fn the_document_has_exactly_the_fields_that_other_programs_build_on() {
    insta::assert_snapshot!(shown(&report(), Format::Json));
}

#[test]
fn yaml_says_what_json_says() {
    let yaml: Value = serde_saphyr::from_str(&shown(&report(), Format::Yaml)).unwrap();
    let json: Value = serde_json::from_str(&shown(&report(), Format::Json)).unwrap();
    assert_eq!(yaml, json);
}

#[test]
fn a_table_shows_what_fails_worst_first_and_what_could_not_be_judged() {
    insta::assert_snapshot!(shown(&report(), Format::Table));
}

#[test]
fn a_table_stays_inside_the_terminal() {
    let text = render(&report(), Format::Table, Screen { width: Some(100), colour: false }).unwrap();
    let table = text.lines().filter(|line| !line.contains(':'));
    assert!(table.clone().count() > 10);
    for line in table {
        assert!(line.chars().count() <= 100, "{line}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn wide_has_a_line_for_every_finding_even_in_a_narrow_terminal() {
    let text = render(&report(), Format::Wide, Screen { width: Some(80), colour: false }).unwrap();
    for finding in &report().baselines[0].findings {
        assert_eq!(text.lines().filter(|line| line.ends_with(&finding.id)).count(), 1, "{finding:?}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_aws_names_cannot_rewrite_a_terminal() {
    let evil = "logs\u{1b}[2J\u{9b}31m\u{7}\r\n\u{202e}fdp";
    let report = one(vec![
        Finding::fail(bucket(Check::EncryptionAlgorithm, evil, "minimumAlgorithm"), evil, evil, seen())
            .with_message(evil),
        Finding::unknown(bucket(Check::TlsRequired, evil, "requireTls"), "true", Cause::new(CauseClass::Refused, evil)),
    ]);
    for format in [Format::Table, Format::Wide] {
        let text = shown(&report, format);
        assert!(!text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
        assert!(text.contains(r"logs\u{1b}[2J\u{9b}31m\u{7}\u{d}\u{a}\u{202e}fdp"), "{text}");
    }
    for format in [Format::Json, Format::Yaml] {
        assert!(!shown(&report, format).contains('\u{1b}'), "{format:?}");
    }
}

#[test]
fn colours_come_only_where_they_are_wanted() {
    let coloured = render(&report(), Format::Table, Screen { width: Some(120), colour: true }).unwrap();
    assert!(coloured.contains('\u{1b}'));
    let plain = render(&report(), Format::Table, Screen { width: Some(120), colour: false }).unwrap();
    assert!(!plain.contains('\u{1b}'));
}

#[test]
fn nothing_to_complain_about_is_said_in_few_lines() {
    insta::assert_snapshot!(shown(&one(vec![findings().remove(2)]), Format::Table));
}

#[test]
fn what_is_excepted_is_shown_with_its_true_result_and_counts_as_no_failure() {
    let excepted = |finding: Finding| finding.excepted("until-autumn", at("2027-10-31T00:00:00Z"));
    let report = one(findings().into_iter().filter(|f| f.cause().is_none()).map(excepted).collect());
    assert_eq!(report.result(), Verdict::Pass);
    let document: Value = serde_json::to_value(&report).unwrap();
    let baseline = &document["baselines"][0];
    assert_eq!((&baseline["summary"]["fail"], &baseline["summary"]["exempt"]), (&json!(0), &json!(4)));
    let found = baseline["findings"].as_array().unwrap();
    let user = found.iter().find(|finding| finding["check"] == "UserMfa" && finding["observed"] == "none").unwrap();
    assert_eq!(user["result"], "Exempt");
    let exception = json!({"name": "until-autumn", "expiresAt": "2027-10-31T00:00:00Z", "actual": "Fail"});
    assert_eq!(user["exception"], exception);
    let table = shown(&report, Format::Table);
    assert!(table.contains("Exempt: 4") && !table.contains("Failing"), "{table}");
    let row = table.lines().find(|line| line.contains("user/bob")).unwrap();
    assert!(row.contains("until-autumn") && row.contains("2027-10-31T00:00:00Z"), "{table}");
    let wide = shown(&report, Format::Wide);
    assert!(wide.contains("Fail, excepted by until-autumn until 2027-10-31T00:00:00Z: bob has"), "{wide}");
}

#[test]
fn the_order_of_findings_and_baselines_does_not_depend_on_who_answered_first() {
    let mut backwards = findings();
    backwards.reverse();
    let other = vec![judged("payments-prod", Ok(assessment(backwards))), judged("sandbox", Err(mismatch()))];
    assert_eq!(AuditReport::new(other), report());
}

#[test]
fn an_account_that_was_not_reached_is_unknown_and_never_a_pass() {
    let report = AuditReport::new(vec![judged("sandbox", Err(mismatch()))]);
    assert_eq!(report.result(), Verdict::Unknown);
    let document: Value = serde_json::to_value(&report).unwrap();
    let baseline = &document["baselines"][0];
    assert_eq!(baseline["result"], "Unknown");
    assert_eq!(baseline["summary"]["unknown"], 1);
    assert_eq!(baseline["findings"], json!([]));
    assert_eq!(baseline["controls"][1]["result"], "Unknown");
    let unknown = &baseline["unknown"][0];
    assert_eq!((&unknown["control"], &unknown["cause"]), (&Value::Null, &json!("AccountMismatch")));
    assert!(unknown["message"].as_str().unwrap().contains("account 111111111111, but 222222222222 is declared"));
}

#[test]
fn the_whole_fails_if_one_fails_and_is_unknown_if_one_is() {
    let pass = || judged("a", Ok(assessment(vec![findings().remove(2)])));
    assert_eq!(AuditReport::new(vec![pass()]).result(), Verdict::Pass);
    assert_eq!(AuditReport::new(vec![pass(), judged("b", Err(mismatch()))]).result(), Verdict::Unknown);
    let fail = judged("c", Ok(assessment(findings())));
    assert_eq!(AuditReport::new(vec![pass(), judged("b", Err(mismatch())), fail]).result(), Verdict::Fail);
}

#[test]
fn a_finding_says_what_is_done_about_it_and_one_that_does_not_fail_that_nothing_is() {
    let document: Value = serde_json::to_value(report()).unwrap();
    let findings = document["baselines"][0]["findings"].as_array().unwrap();
    let of = |check: &str, result: &str| {
        let found = findings.iter().find(|finding| finding["check"] == check && finding["result"] == result).unwrap();
        found["remediation"].clone()
    };
    assert_eq!(of("RequireNumbers", "Pass"), json!({"kind": "None", "reason": null, "message": null}));
    assert_eq!(of("UserMfa", "Unknown")["kind"], "None");
    let held = json!({"kind": "Held", "reason": "AuditMode", "message": "the mode of securityGroups is Audit"});
    assert_eq!(of("Ingress", "Fail"), held);
    assert_eq!(of("EncryptionAlgorithm", "Fail")["reason"], "NotRead");
}

#[test]
fn a_table_has_a_column_for_what_is_done_only_where_something_is_enforced() {
    assert!(shown(&report(), Format::Table).contains("Held: NotRead"));
    let mut audited = judged("payments-prod", Ok(assessment(findings())));
    for remediation in audited.plan.remediations.values_mut() {
        *remediation = Remediation::held(HoldReason::AuditMode, "the mode is Audit");
    }
    let table = shown(&AuditReport::new(vec![audited]), Format::Table);
    assert!(!table.contains("REMEDIATION") && table.contains("MESSAGE"), "{table}");
}

mod plans;
