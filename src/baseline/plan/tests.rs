use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::api::{
    BucketEncryption, BucketEncryptionChange, BucketPolicyChange, SecurityGroupRuleChange, SecurityGroupRuleValue,
    UserPolicyChange,
};
use crate::baseline::change::Answered;
use crate::baseline::check::Check;
use crate::baseline::finding::Subject;
use crate::baseline::history::{Outcome, RecordSummary, Settled, SettledReason};
use crate::baseline::observed::{Cause, CauseClass, Observed};

const ROOT: &str = "arn:aws:iam::222222222222:root";

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn circumstances(mode: Mode) -> Circumstances {
    let caller = "arn:aws:sts::222222222222:assumed-role/PlumblineAudit/plumbline";
    Circumstances {
        now: now(),
        account: AccountIdentity::from_caller("222222222222", caller).unwrap(),
        mode,
        owned_elsewhere: Vec::new(),
        own_users: BTreeSet::new(),
        baseline: RecordedBaseline::default(),
        history: History::default(),
    }
}

fn controls(yaml: &str) -> Controls {
    serde_saphyr::from_str(yaml).unwrap()
}

fn policy(max_password_age: Option<i32>) -> PasswordPolicy {
    PasswordPolicy {
        minimum_password_length: 8,
        require_symbols: false,
        require_numbers: false,
        require_uppercase_characters: false,
        require_lowercase_characters: false,
        allow_users_to_change_password: true,
        max_password_age,
        password_reuse_prevention: None,
        hard_expiry: false,
    }
}

/// An account with a policy of its own, judged and planned.
struct World {
    controls: Controls,
    circumstances: Circumstances,
    findings: Vec<Finding>,
    snapshots: Snapshots,
    evidence: Evidence,
}

impl World {
    fn new(mode: Mode, yaml: &str) -> Self {
        let controls = controls(yaml);
        let circumstances = circumstances(mode);
        let snapshot = password_policy::Snapshot {
            account: circumstances.account.clone(),
            policy: Observed::complete(Some(policy(None)), now()),
        };
        let findings = password_policy::evaluate(controls.password_policy.as_ref().unwrap(), &snapshot);
        let evidence = Evidence { password_policy: Some(password_policy::Evidence::default()), ..Evidence::default() };
        let snapshots = Snapshots { password_policy: Some(snapshot), ..Snapshots::default() };
        Self { controls, circumstances, findings, snapshots, evidence }
    }

    fn plan(&self) -> Plan {
        plan(&self.findings, &self.snapshots, &self.evidence, &self.controls, &self.circumstances)
    }

    fn reasons(&self) -> Vec<Option<HoldReason>> {
        let plan = self.plan();
        let failing = self.findings.iter().filter(|finding| finding.verdict() == Verdict::Fail);
        failing.map(|finding| plan.remediations[&finding.subject().id()].reason()).collect()
    }
}

const LENGTH: &str = "{passwordPolicy: {minimumPasswordLength: 14, requireNumbers: true}}";

#[test]
fn a_control_enforces_if_the_baseline_does_and_it_does_not_lower_that() {
    let own_audit = "{passwordPolicy: {mode: Audit, minimumPasswordLength: 14}}";
    let own_enforce = "{passwordPolicy: {mode: Enforce, minimumPasswordLength: 14}}";
    for (mode, yaml, enforces_it) in [
        (Mode::Enforce, LENGTH, true),
        (Mode::Enforce, own_enforce, true),
        (Mode::Enforce, own_audit, false),
        (Mode::Audit, LENGTH, false),
        (Mode::Audit, own_enforce, false),
    ] {
        let world = World::new(mode, yaml);
        assert_eq!(enforces(mode, &world.controls), enforces_it, "{yaml}");
        assert_eq!(world.plan().changes.len(), usize::from(enforces_it), "{yaml}");
        assert_eq!(world.plan().digest.is_some(), enforces_it);
        let reason = (!enforces_it).then_some(HoldReason::AuditMode);
        assert!(world.reasons().iter().all(|held| *held == reason), "{yaml}");
    }
    assert!(!enforces(Mode::Enforce, &Controls::default()));
    assert!(enforces(Mode::Enforce, &controls("{mfa: {}, passwordPolicy: {mode: Audit}}")));
}

#[test]
fn p5_what_is_exempt_or_unknown_is_never_planned() {
    let mut world = World::new(Mode::Enforce, LENGTH);
    world.findings[0] = world.findings[0].clone().excepted("agreed", now());
    let cause = Cause::new(CauseClass::Throttled, "slow down");
    world.findings[1] = Finding::unknown(world.findings[1].subject().clone(), "true", cause);
    assert_eq!(world.plan(), Plan::default());
}

#[test]
fn p5_evidence_that_was_not_gathered_holds_everything() {
    let mut world = World::new(Mode::Enforce, LENGTH);
    world.evidence = Evidence::default();
    assert_eq!(world.plan().changes, []);
    assert_eq!(world.reasons(), [Some(HoldReason::NotRead); 2]);
}

#[test]
fn what_only_people_can_do_is_theirs_in_every_mode() {
    let subject = Subject::new(Check::RootUserMfa, ROOT, "requireMfa");
    for mode in [Mode::Audit, Mode::Enforce] {
        let mut world = World::new(mode, LENGTH);
        world.findings = vec![Finding::fail(subject.clone(), "true", "false", now())];
        let plan = world.plan();
        assert!(matches!(plan.remediations[&subject.id()], Remediation::Manual(_)), "{plan:?}");
    }
}

#[test]
fn the_digest_is_that_of_the_changes_alone() {
    let world = World::new(Mode::Enforce, LENGTH);
    let digest = world.plan().digest.unwrap();
    let mut later = World::new(Mode::Enforce, LENGTH);
    later.circumstances.now = now() + SignedDuration::from_hours(100);
    later.circumstances.baseline.generation = 9;
    later.findings.reverse();
    assert_eq!(later.plan().digest.unwrap(), digest);
    let other = World::new(Mode::Enforce, "{passwordPolicy: {minimumPasswordLength: 15, requireNumbers: true}}");
    assert_ne!(other.plan().digest.unwrap(), digest);
    let mut elsewhere = World::new(Mode::Enforce, LENGTH);
    elsewhere.circumstances.account.account_id = "333333333333".to_owned();
    assert_ne!(elsewhere.plan().digest.unwrap(), digest);
}

#[test]
fn a_plan_has_one_meaning_for_each_change_in_its_order() {
    let plan = World::new(Mode::Enforce, LENGTH).plan();
    assert_eq!(plan.meanings, [plan.changes[0].meaning("222222222222")]);
    assert_eq!(plan.changes[0].answers.len(), 2);
}

fn summary(change: &Change, claimed_at: Timestamp, outcome: Outcome, reason: SettledReason) -> RecordSummary {
    RecordSummary {
        name: "r".to_owned(),
        operation: change.action.operation().name().to_owned(),
        meaning: change.meaning("222222222222"),
        target: change.target("222222222222"),
        ordinal: 0,
        baseline: RecordedBaseline::default(),
        approval: None,
        is_undo: false,
        claimed_at,
        settled: Some(Settled {
            outcome,
            reason: reason.as_str().to_owned(),
            missing_action: None,
            message: "the role lacks iam:UpdateAccountPasswordPolicy".to_owned(),
            at: None,
        }),
    }
}

#[test]
fn pw_14_and_p8_what_others_undo_three_times_is_left_alone() {
    let mut world = World::new(Mode::Enforce, LENGTH);
    let change = world.plan().changes.remove(0);
    for (ago, expected) in [(1, None), (20, None), (300, Some(HoldReason::Contested))] {
        let at = now() - SignedDuration::from_hours(ago);
        world.circumstances.history.0.push(summary(&change, at, Outcome::Succeeded, SettledReason::Applied));
        assert_eq!(world.reasons(), [expected; 2], "after {ago} hours");
        assert_eq!(world.plan().changes.is_empty(), expected.is_some());
    }
    assert_eq!(world.plan().digest, None, "nothing is left to approve");
    let plan = world.plan();
    let message = plan.remediations.values().next().unwrap().message().unwrap();
    let until = now() - SignedDuration::from_hours(300) + SignedDuration::from_hours(14 * 24);
    assert!(message.ends_with(&format!("left alone until {until}")), "{message}");
    // Nobody begins the count anew by an edit, or by asking.
    world.circumstances.baseline.generation += 1;
    world.circumstances.baseline.requested_at = Some("now".to_owned());
    assert_eq!(world.reasons(), [Some(HoldReason::Contested); 2]);
    // 14 days after the first of them it is tried again.
    world.circumstances.now = now() + SignedDuration::from_hours(36);
    assert_eq!(world.reasons(), [None; 2]);
}

#[test]
fn pw_15_what_aws_denied_is_held_with_what_is_missing() {
    let mut world = World::new(Mode::Enforce, LENGTH);
    let change = world.plan().changes.remove(0);
    let denied = summary(&change, now(), Outcome::NotApplied, SettledReason::Denied);
    world.circumstances.history.0.push(denied);
    assert_eq!(world.reasons(), [Some(HoldReason::MissingPermission); 2]);
    let plan = world.plan();
    let message = plan.remediations.values().next().unwrap().message().unwrap();
    assert_eq!(message, "the role lacks iam:UpdateAccountPasswordPolicy");
    world.circumstances.baseline.requested_at = Some("now".to_owned());
    assert_eq!(world.reasons(), [None; 2]);
}

fn answering(action: Action, resource: &str, ids: &[&str]) -> Change {
    let answer =
        |id: &&str| Answered { id: (*id).to_owned(), check: Check::Ingress, message: String::new(), observed_at: None };
    Change { action, resource: resource.to_owned(), answers: ids.iter().map(answer).collect() }
}

fn rule(region: &str, group: &str, port: i32) -> Action {
    let value = SecurityGroupRuleValue {
        ip_protocol: "tcp".to_owned(),
        from_port: Some(port),
        to_port: Some(port),
        ..SecurityGroupRuleValue::default()
    };
    Action::SecurityGroupRule(Box::new(SecurityGroupRuleChange {
        region: region.to_owned(),
        group_id: group.to_owned(),
        group_name: None,
        vpc_id: None,
        attached_interfaces: Vec::new(),
        before: Some(value),
        after: None,
        requires: Vec::new(),
    }))
}

fn user(name: &str) -> Change {
    let action = Action::UserPolicy(UserPolicyChange {
        user_name: name.to_owned(),
        policy_arn: "arn:aws:iam::222222222222:policy/RequireMfa".to_owned(),
        policy_version: "v1".to_owned(),
        policy_hash: "abc".to_owned(),
        before: false,
        after: true,
    });
    answering(action, name, &[name])
}

fn password(before: Option<i32>, after: Option<i32>) -> Change {
    let (before, after) = (Some(policy(before)), Some(policy(after)));
    answering(Action::PasswordPolicy(PasswordPolicyChange { before, after }), ROOT, &["password"])
}

fn automatic(changes: &[Change]) -> BTreeMap<String, Remediation> {
    let ids = changes.iter().flat_map(|change| &change.answers).map(|answered| answered.id.clone());
    ids.map(|id| (id, Remediation::Automatic("changes it".to_owned()))).collect()
}

#[test]
fn p8_half_of_a_change_is_none() {
    // The first two answer one finding together, the second and third another one, the fourth stands alone.
    let group = |port, ids: &[&str]| answering(rule("eu-west-1", "sg-1", port), "sg-1", ids);
    let mut changes = vec![group(3, &["b"]), group(2, &["a", "b"]), group(1, &["a"]), group(4, &["c"])];
    let mut remediations = automatic(&changes);
    let mut circumstances = circumstances(Mode::Enforce);
    circumstances.history.0 = vec![summary(&changes[2], now(), Outcome::Succeeded, SettledReason::Applied); 3];
    hold_back(&mut changes, &mut remediations, &circumstances);
    assert_eq!(changes, [group(4, &["c"])]);
    let reasons: Vec<_> = remediations.values().map(Remediation::reason).collect();
    assert_eq!(reasons, [Some(HoldReason::Contested), Some(HoldReason::Contested), None]);
}

#[test]
fn p9_nobody_is_denied_in_the_plan_that_lets_passwords_expire() {
    for (before, after, denies) in
        [(None, Some(90), false), (Some(120), Some(90), false), (Some(90), Some(90), true), (None, None, true)]
    {
        let mut changes = vec![password(before, after), user("ada")];
        let mut remediations = automatic(&changes);
        wait_for_age(&mut changes, &mut remediations);
        assert_eq!(changes.len(), if denies { 2 } else { 1 }, "{before:?} {after:?}");
        assert_eq!(remediations["ada"].reason(), (!denies).then_some(HoldReason::NotRead));
        assert_eq!(remediations["password"].reason(), None);
    }
}

#[test]
fn what_opens_no_risk_comes_first_and_users_last() {
    let encryption = |region: &str, bucket: &str| {
        let after = Some(BucketEncryption {
            algorithm: "AES256".to_owned(),
            kms_key_id: None,
            bucket_key_enabled: false,
            blocked_encryption_types: Vec::new(),
        });
        let (name, region) = (bucket.to_owned(), region.to_owned());
        let change = BucketEncryptionChange { bucket: name, region, before: None, after };
        answering(Action::BucketEncryption(change), bucket, &["e"])
    };
    let (name, region) = ("a".to_owned(), "a-1".to_owned());
    let tls = BucketPolicyChange { bucket: name, region, before: None, after: Some("{}".to_owned()) };
    let group = |region: &str, group: &str, port| answering(rule(region, group, port), group, &["r"]);
    let sorted = [
        encryption("eu-west-1", "b"),
        encryption("us-east-1", "a"),
        answering(Action::BucketPolicy(tls), "a", &["t"]),
        password(None, None),
        // Of one group in the order in which its control wants them.
        group("eu-west-1", "sg-1", 9),
        group("eu-west-1", "sg-1", 1),
        group("eu-west-1", "sg-2", 0),
        group("us-east-1", "sg-0", 0),
        user("ada"),
        user("bob"),
    ];
    let mut changes = sorted.to_vec();
    changes.rotate_left(6);
    changes.swap(0, 2);
    changes.sort_by(|a, b| order(a).cmp(&order(b)));
    assert_eq!(changes, sorted);
}

proptest! {
    #[test]
    fn a_digest_names_a_set_and_no_other(
        one in prop::collection::btree_set("[a-c]{1,2}", 0..4),
        other in prop::collection::btree_set("[a-c]{1,2}", 0..4),
        turn in 0_usize..4,
    ) {
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
        let mut turned = list(&one);
        turned.rotate_left(turn.min(one.len()));
        prop_assert_eq!(digest(&turned), digest(&list(&one)));
        prop_assert_eq!(digest(&list(&one)) == digest(&list(&other)), one == other);
    }

    #[test]
    fn p8_what_is_taken_out_leaves_no_half_behind(
        answers in prop::collection::vec(prop::collection::btree_set("[a-f]", 1..3), 0..8),
        gone in prop::collection::vec(any::<bool>(), 8),
    ) {
        let changes: Vec<Change> = answers
            .iter()
            .enumerate()
            .map(|(n, ids)| {
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                answering(rule("eu-west-1", "sg-1", i32::try_from(n).unwrap()), &n.to_string(), &ids)
            })
            .collect();
        let mut remediations = automatic(&changes);
        let mut left = changes.clone();
        take_out(&mut left, &mut remediations, |change| {
            let is_gone = gone[change.resource.parse::<usize>().unwrap()];
            is_gone.then(|| Remediation::held(HoldReason::Contested, "fought about"))
        });
        let of = |changes: &[Change]| -> BTreeSet<String> {
            changes.iter().flat_map(|change| &change.answers).map(|answered| answered.id.clone()).collect()
        };
        let taken: Vec<Change> = changes.iter().filter(|change| !left.contains(change)).cloned().collect();
        prop_assert!(of(&left).is_disjoint(&of(&taken)), "no finding is answered by half");
        for (id, remediation) in &remediations {
            prop_assert_eq!(remediation.reason().is_none(), of(&left).contains(id));
        }
        // Nothing goes that shares nothing with what had to.
        if !gone.iter().take(changes.len()).any(|gone| *gone) {
            prop_assert_eq!(left, changes);
        }
    }
}
