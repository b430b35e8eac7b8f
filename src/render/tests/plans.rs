//! Plans as text and as data.

use super::*;
use crate::api::{
    ApprovalMode, BucketEncryption, BucketEncryptionChange, SecurityGroupRuleChange, SecurityGroupRuleValue,
};
use crate::baseline::change::{Action, Change};

fn change(action: Action, resource: &str, answers: &[&Finding]) -> Change {
    let answers = answers.iter().map(|finding| (*finding).into()).collect();
    Change { action, resource: resource.to_owned(), answers }
}

/// The findings of an account, two of which changes answer.
fn with_plan(enforcement: Enforcement) -> AuditReport {
    let findings = findings();
    let encryption = Action::BucketEncryption(BucketEncryptionChange {
        bucket: "logs".to_owned(),
        region: "eu-west-1".to_owned(),
        before: None,
        after: Some(BucketEncryption {
            algorithm: "aws:kms".to_owned(),
            kms_key_id: None,
            bucket_key_enabled: true,
            blocked_encryption_types: Vec::new(),
        }),
    });
    let rule = Action::SecurityGroupRule(Box::new(SecurityGroupRuleChange {
        region: "eu-west-1".to_owned(),
        group_id: "sg-0123456789abcdef0".to_owned(),
        group_name: None,
        vpc_id: None,
        attached_interfaces: Vec::new(),
        before: Some(SecurityGroupRuleValue {
            rule_id: Some("sgr-0a1b2c3d4e5f60718".to_owned()),
            ip_protocol: "tcp".to_owned(),
            from_port: Some(22),
            to_port: Some(22),
            cidr_ipv4: Some("0.0.0.0/0".to_owned()),
            ..SecurityGroupRuleValue::default()
        }),
        after: None,
        requires: Vec::new(),
    }));
    let changes = vec![
        change(encryption, "arn:aws:s3:::logs", &[&findings[4]]),
        change(rule, "arn:aws:ec2:eu-west-1:222222222222:security-group/sg-0123456789abcdef0", &[&findings[3]]),
    ];
    let mut judged = judged("payments-prod", Ok(assessment(findings)));
    for answered in changes.iter().flat_map(|change| &change.answers) {
        judged.plan.remediations.insert(answered.id.clone(), Remediation::Automatic("it is changed".to_owned()));
    }
    let user = user("bob").id();
    judged.plan.remediations.insert(user, Remediation::held(HoldReason::GracePeriod, "bob is new until tomorrow"));
    judged.plan.meanings = changes.iter().map(|change| change.meaning("222222222222")).collect();
    judged.plan.changes = changes;
    judged.plan.digest = Some("8f14e45fceea167a".to_owned());
    judged.enforcement = enforcement;
    AuditReport::of_plans(vec![judged])
}

#[test]
fn a_plan_shows_each_change_with_its_inverse_and_what_is_held_with_its_reason() {
    insta::assert_snapshot!(shown(&with_plan(Enforcement::default()), Format::Table));
}

#[test]
fn wide_shortens_nothing_of_a_plan() {
    let text = shown(&with_plan(Enforcement::default()), Format::Wide);
    let report = with_plan(Enforcement::default());
    for change in &report.baselines[0].plan.as_ref().unwrap().changes {
        let line = text.lines().find(|line| line.ends_with(&change.meaning)).unwrap();
        assert!(line.contains(&change.resource) && line.contains(&change.findings[0].id), "{line}");
    }
}

#[test]
fn the_document_of_a_plan_is_that_of_an_audit_and_a_plan_for_each_baseline() {
    let document: Value = serde_json::from_str(&shown(&with_plan(Enforcement::default()), Format::Json)).unwrap();
    assert_eq!(document["kind"], "PlanReport");
    let baseline = &document["baselines"][0];
    assert_eq!(baseline["findings"].as_array().unwrap().len(), findings().len());
    insta::assert_snapshot!(serde_json::to_string_pretty(&baseline["plan"]).unwrap());
    let audit: Value = serde_json::to_value(report()).unwrap();
    assert!(audit["baselines"][0].get("plan").is_none());
    let unreached = AuditReport::of_plans(vec![judged("sandbox", Err(mismatch()))]);
    let plan = &serde_json::to_value(unreached).unwrap()["baselines"][0]["plan"];
    assert_eq!(*plan, json!({"digest": null, "needApproval": 0, "changes": [], "held": 0}));
}

#[test]
fn a_plan_says_whether_it_starts_without_approval() {
    let always = Enforcement { approval: ApprovalMode::Always, ..Enforcement::default() };
    let small = Enforcement { max_plan_size: 1, ..Enforcement::default() };
    for (enforcement, need) in [(Enforcement::default(), 0), (always, 2), (small, 2)] {
        let report = with_plan(enforcement);
        assert_eq!(report.baselines[0].plan.as_ref().unwrap().need_approval, need);
        let says = if need == 0 { "starts without approval" } else { "starts nothing before a PlanApproval" };
        assert!(shown(&report, Format::Table).contains(&format!("Plan 8f14e45fceea167a: 2 changes, {says}")));
    }
}
