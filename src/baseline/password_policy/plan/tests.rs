use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::api::{Mode, RecordedBaseline};
use crate::baseline::change::{Position, ResourceState, WriteOperation};
use crate::baseline::history::History;
use crate::baseline::mfa::{LastUsed, PasswordEnabled, ReportRow};
use crate::baseline::password_policy::evaluate;
use crate::baseline::password_policy::testing::{any_policy, any_spec, desired, own, snapshot};
use crate::baseline::{Cause, CauseClass, Remediation, Verdict};

fn now() -> Timestamp {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

fn circumstances() -> Circumstances {
    Circumstances {
        now: now(),
        account: snapshot(Observed::complete(None, now())).account,
        mode: Mode::Enforce,
        owned_elsewhere: Vec::new(),
        own_users: std::collections::BTreeSet::new(),
        baseline: RecordedBaseline::default(),
        history: History::default(),
    }
}

fn row(user: &str, changed: LastUsed) -> ReportRow {
    ReportRow {
        user: user.to_owned(),
        arn: arn(user),
        created_at: None,
        password_enabled: PasswordEnabled::Yes,
        password_last_used: LastUsed::Never,
        password_last_changed: changed,
        mfa_active: false,
        access_key_active: false,
        access_key_last_used: LastUsed::Never,
    }
}

fn arn(user: &str) -> String {
    format!("arn:aws:iam::222222222222:user/{user}")
}

fn changed(at: &str) -> LastUsed {
    LastUsed::At(at.parse().unwrap())
}

/// A report with these rows, and for each user whether a simulation lets the password be changed.
fn reported(rows: Vec<ReportRow>, may_change: &[(&str, bool)]) -> Evidence {
    let report = CredentialReport { root: None, users: rows };
    let password_changes = may_change.iter().map(|(user, may)| (arn(user), Observed::complete(*may, now()))).collect();
    Evidence { report: Some(Observed::complete(Arc::new(report), now())), password_changes }
}

fn denied<T>(action: &str) -> Observed<T> {
    Observed::Unknown(Cause {
        missing_action: Some(action.to_owned()),
        ..Cause::new(CauseClass::AccessDenied, "not authorized")
    })
}

fn failing(spec: &PasswordPolicyControl, policy: Option<PasswordPolicy>) -> Vec<Finding> {
    let mut findings = evaluate(spec, &snapshot(Observed::complete(policy, now())));
    findings.retain(|finding| finding.verdict() == Verdict::Fail);
    findings
}

fn planned_by(spec: &PasswordPolicyControl, policy: Option<PasswordPolicy>, evidence: &Evidence) -> ControlPlan {
    let findings = failing(spec, policy.clone());
    let findings: Vec<&Finding> = findings.iter().collect();
    plan(spec, &findings, &snapshot(Observed::complete(policy, now())), evidence, &circumstances())
}

fn planned(yaml: &str, policy: impl Into<Option<PasswordPolicy>>, evidence: &Evidence) -> ControlPlan {
    planned_by(&desired(yaml), policy.into(), evidence)
}

/// The policies before and after of the only change.
fn change(planned: &ControlPlan) -> (Option<PasswordPolicy>, PasswordPolicy) {
    assert_eq!(planned.changes.len(), 1, "{planned:#?}");
    match &planned.changes[0].action {
        Action::PasswordPolicy(PasswordPolicyChange { before, after: Some(after) }) => (before.clone(), after.clone()),
        other => panic!("{other:?}"),
    }
}

/// Of the checks that are held, why.
fn held(planned: &ControlPlan, yaml: &str, policy: impl Into<Option<PasswordPolicy>>) -> Vec<(Check, HoldReason)> {
    let findings = failing(&desired(yaml), policy.into());
    let reason = |finding: &Finding| planned.remediations[&finding.subject().id()].reason();
    findings.iter().filter_map(|finding| Some((finding.subject().check, reason(finding)?))).collect()
}

/// The reason and the message of the age, which is held.
fn held_age(yaml: &str, policy: impl Into<Option<PasswordPolicy>>, evidence: &Evidence) -> (HoldReason, String) {
    let policy = policy.into();
    let planned = planned(yaml, policy.clone(), evidence);
    let findings = failing(&desired(yaml), policy);
    let age = findings.iter().find(|finding| finding.subject().check == Check::MaxPasswordAge).unwrap();
    let remediation = &planned.remediations[&age.subject().id()];
    (remediation.reason().unwrap(), remediation.message().unwrap().to_owned())
}

/// Whether nothing of a policy is looser than of the one that it replaces.
fn is_no_looser(before: Option<&PasswordPolicy>, after: &PasswordPolicy) -> bool {
    let classes = [
        (before.is_some_and(|own| own.require_symbols), after.require_symbols),
        (before.is_some_and(|own| own.require_numbers), after.require_numbers),
        (before.is_some_and(|own| own.require_uppercase_characters), after.require_uppercase_characters),
        (before.is_some_and(|own| own.require_lowercase_characters), after.require_lowercase_characters),
    ];
    let least = before.map_or(8, |own| own.minimum_password_length);
    let three_of_four = before.is_some() || classes.iter().filter(|(_, after)| *after).count() >= 3;
    let change = before.is_some_and(|own| own.allow_users_to_change_password);
    let age_kept = match (before.and_then(|own| own.max_password_age), after.max_password_age) {
        (None, _) => true,
        (Some(before), Some(after)) => after <= before,
        (Some(_), None) => false,
    };
    after.minimum_password_length >= least
        && three_of_four
        && classes.iter().all(|(before, after)| *after || !before)
        && (after.allow_users_to_change_password || !change)
        && age_kept
        && after.password_reuse_prevention >= before.and_then(|own| own.password_reuse_prevention)
        && after.hard_expiry == before.is_some_and(|own| own.hard_expiry)
}

#[test]
fn pw_03_what_is_stricter_already_is_kept_when_another_field_is_written() {
    let live = own(|p| p.minimum_password_length = 16);
    let planned = planned("{minimumPasswordLength: 14, requireNumbers: true}", live.clone(), &Evidence::default());
    let expected = PasswordPolicy { require_numbers: true, ..live.clone() };
    assert_eq!(change(&planned), (Some(live), expected));
}

#[test]
fn pw_04_more_remembered_passwords_are_kept_and_fewer_become_more() {
    let plan = |live| planned("{passwordReusePrevention: 12, requireNumbers: true}", live, &Evidence::default());
    for (live, after) in [(Some(24), Some(24)), (Some(5), Some(12)), (None, Some(12))] {
        let planned = plan(own(|p| p.password_reuse_prevention = live));
        assert_eq!(change(&planned).1.password_reuse_prevention, after);
    }
}

#[test]
fn pw_05_a_lower_age_is_kept_and_a_higher_one_becomes_lower() {
    let live = own(|p| (p.max_password_age, p.allow_users_to_change_password) = (Some(60), true));
    let kept = planned("{maxPasswordAge: 90, requireNumbers: true}", live.clone(), &Evidence::default());
    assert_eq!(change(&kept).1, PasswordPolicy { require_numbers: true, ..live.clone() });
    let older = PasswordPolicy { max_password_age: Some(120), ..live.clone() };
    let lowered = planned("{maxPasswordAge: 90}", older.clone(), &reported(Vec::new(), &[]));
    assert_eq!(change(&lowered), (Some(older), PasswordPolicy { max_password_age: Some(90), ..live }));
}

#[test]
fn pw_06_an_age_is_held_by_the_number_of_passwords_that_would_expire_at_once() {
    let live = || own(|p| p.allow_users_to_change_password = true);
    let rows = vec![
        row("old", changed("2026-08-03T00:00:00Z")),
        row("older", changed("2020-01-01T00:00:00Z")),
        row("unknown", LastUsed::Never),
        row("young", changed("2026-08-03T00:00:01Z")),
        ReportRow { password_enabled: PasswordEnabled::No, ..row("robot", changed("2020-01-01T00:00:00Z")) },
    ];
    let evidence = reported(rows, &[("old", true), ("older", true), ("unknown", true)]);
    let spec = |acknowledged: &str| format!("{{maxPasswordAge: 90, requireNumbers: true{acknowledged}}}");
    for too_few in ["", ", acknowledgeExpiringPasswords: 2"] {
        let (reason, message) = held_age(&spec(too_few), live(), &evidence);
        assert_eq!(reason, HoldReason::ExpiresPasswords);
        assert!(message.contains("the passwords of 3 console users would expire at once"), "{message}");
        // What is held does not stop the other fields.
        let after = change(&planned(&spec(too_few), live(), &evidence)).1;
        assert_eq!((after.max_password_age, after.require_numbers), (None, true));
    }
    let agreed = planned(&spec(", acknowledgeExpiringPasswords: 3"), live(), &evidence);
    assert_eq!(change(&agreed).1.max_password_age, Some(90));
    let messages: Vec<_> = agreed.remediations.values().map(|it| it.message().unwrap()).collect();
    assert!(messages.iter().all(|message| message.contains("the passwords of 3 users expire at once")), "{messages:?}");
    assert_eq!(agreed.changes[0].answers.len(), 2);
}

#[test]
fn pw_06_what_expired_before_expires_no_more_and_what_nobody_reads_is_held() {
    let live = own(|p| (p.max_password_age, p.allow_users_to_change_password) = (Some(120), true));
    let long_ago = reported(vec![row("gone", changed("2026-06-01T00:00:00Z"))], &[]);
    assert_eq!(change(&planned("{maxPasswordAge: 90}", live.clone(), &long_ago)).1.max_password_age, Some(90));
    let nothing = Evidence::default();
    assert_eq!(held_age("{maxPasswordAge: 90}", live.clone(), &nothing).0, HoldReason::NotRead);
    let refused = Evidence { report: Some(denied("iam:GenerateCredentialReport")), ..nothing };
    let (reason, message) = held_age("{maxPasswordAge: 90}", live, &refused);
    assert_eq!(reason, HoldReason::NotRead);
    assert!(message.contains("iam:GenerateCredentialReport"), "{message}");
}

#[test]
fn pw_09_one_write_answers_every_field_and_keeps_the_rest() {
    let live = own(|p| {
        (p.max_password_age, p.password_reuse_prevention, p.hard_expiry) = (Some(30), Some(5), true);
        p.require_lowercase_characters = true;
    });
    let spec = "{minimumPasswordLength: 14, requireSymbols: true}";
    let planned = planned(spec, live.clone(), &Evidence::default());
    let expected = PasswordPolicy { minimum_password_length: 14, require_symbols: true, ..live.clone() };
    assert_eq!(change(&planned), (Some(live), expected));
    assert_eq!(planned.changes[0].resource, "arn:aws:iam::222222222222:root");
    let texts: Vec<_> = planned.remediations.values().map(|it| (it.as_str(), it.message().unwrap())).collect();
    let what = "minimumPasswordLength becomes 14, requireSymbols becomes true, everything else stays";
    assert_eq!(texts, [("Automatic", what); 2]);
}

#[test]
fn pw_09_a_first_policy_keeps_what_the_default_of_aws_demands_or_is_held() {
    let classes = ["requireUppercaseCharacters", "requireLowercaseCharacters", "requireNumbers", "requireSymbols"];
    for kinds in 0..16_usize {
        let asked: Vec<String> = (0..4)
            .filter(|bit| kinds >> bit & 1 == 1)
            .map(|bit| format!("{}: true", classes[bit]))
            .chain(["minimumPasswordLength: 14".to_owned()])
            .collect();
        let spec = format!("{{{}}}", asked.join(", "));
        let planned = planned(&spec, None, &Evidence::default());
        if kinds.count_ones() < 3 {
            assert_eq!(planned.changes, [], "{spec}");
            let reasons: Vec<_> = held(&planned, &spec, None).into_iter().map(|(_, reason)| reason).collect();
            assert_eq!(reasons, vec![HoldReason::LooserThanDefault; asked.len()], "{spec}");
        } else {
            let (before, after) = change(&planned);
            assert_eq!((before, after.minimum_password_length), (None, 14));
            // The default lets nobody change a password, and the spec does not ask for it.
            assert!(!after.allow_users_to_change_password && !after.hard_expiry);
        }
    }
}

#[test]
fn pw_09_a_first_policy_is_as_long_as_the_default_and_lets_users_change_passwords_if_asked() {
    let three = "requireUppercaseCharacters: true, requireLowercaseCharacters: true, requireNumbers: true";
    for spec in [format!("{{minimumPasswordLength: 6, {three}}}"), format!("{{{three}}}")] {
        assert_eq!(change(&planned(&spec, None, &Evidence::default())).1.minimum_password_length, 8, "{spec}");
    }
    let spec = format!("{{allowUsersToChangePassword: true, {three}}}");
    let planned = planned(&spec, None, &Evidence::default());
    assert!(change(&planned).1.allow_users_to_change_password);
    let first = planned.remediations.values().next().unwrap().message().unwrap();
    assert!(first.starts_with("the account gets a password policy of its own: "), "{first}");
}

#[test]
fn pw_09_a_class_that_is_excepted_does_not_count_for_a_first_policy() {
    let spec = desired("{requireUppercaseCharacters: true, requireLowercaseCharacters: true, requireNumbers: true}");
    let findings = failing(&spec, None);
    let without_numbers: Vec<&Finding> =
        findings.iter().filter(|finding| finding.subject().check != Check::RequireNumbers).collect();
    let live = snapshot(Observed::complete(None, now()));
    let planned = plan(&spec, &without_numbers, &live, &Evidence::default(), &circumstances());
    assert_eq!(planned.changes, []);
    assert!(planned.remediations.values().all(|it| it.reason() == Some(HoldReason::LooserThanDefault)));
}

#[test]
fn pw_09_the_undo_of_a_first_policy_deletes_it() {
    let three = "{requireUppercaseCharacters: true, requireLowercaseCharacters: true, requireNumbers: true}";
    let planned = planned(three, None, &Evidence::default());
    let undo = planned.changes[0].action.inverse();
    assert_eq!(undo.operation(), WriteOperation::DeleteAccountPasswordPolicy);
    assert_eq!(undo.position(&ResourceState::PasswordPolicy(None)), Position::After);
    let after = change(&planned).1;
    assert_eq!(undo.position(&ResourceState::PasswordPolicy(Some(after))), Position::Before);
}

#[test]
fn pw_09_a_zero_that_aws_reads_back_is_sent_in_no_write_nor_in_its_undo() {
    let live = own(|p| (p.max_password_age, p.password_reuse_prevention) = (Some(0), Some(0)));
    let (before, after) = change(&planned("{requireNumbers: true}", live, &Evidence::default()));
    for policy in [before.unwrap(), after] {
        assert_eq!((policy.max_password_age, policy.password_reuse_prevention), (None, None));
    }
}

#[test]
fn pw_10_hard_expiry_is_kept_and_never_set() {
    for hard_expiry in [false, true] {
        let live = own(|p| p.hard_expiry = hard_expiry);
        let planned = planned("{minimumPasswordLength: 14}", live, &Evidence::default());
        assert_eq!(change(&planned).1.hard_expiry, hard_expiry);
    }
}

#[test]
fn pw_10_an_age_under_hard_expiry_is_held_where_somebody_could_not_come_back() {
    let live = || own(|p| (p.hard_expiry, p.allow_users_to_change_password) = (true, true));
    let evidence = reported(vec![row("old", changed("2020-01-01T00:00:00Z"))], &[("old", true)]);
    let spec = "{maxPasswordAge: 90, acknowledgeExpiringPasswords: 1}";
    let (reason, message) = held_age(spec, live(), &evidence);
    assert_eq!(reason, HoldReason::UsersCannotChangePassword);
    assert!(message.contains("HardExpiry"), "{message}");
    assert_eq!(change(&planned(spec, live(), &reported(Vec::new(), &[]))).1.max_password_age, Some(90));
}

#[test]
fn pw_11_an_age_is_held_where_users_may_not_change_their_password() {
    let evidence = reported(Vec::new(), &[]);
    let (reason, message) = held_age("{maxPasswordAge: 90}", own(|_| {}), &evidence);
    assert_eq!(reason, HoldReason::UsersCannotChangePassword);
    assert!(message.contains("allowUsersToChangePassword"), "{message}");
    let both = planned("{maxPasswordAge: 90, allowUsersToChangePassword: true}", own(|_| {}), &evidence);
    let after = change(&both).1;
    assert_eq!((after.max_password_age, after.allow_users_to_change_password), (Some(90), true));
}

#[test]
fn pw_11_an_age_is_held_where_the_permission_to_change_passwords_is_excepted() {
    let spec = desired("{maxPasswordAge: 90, allowUsersToChangePassword: true}");
    let findings = failing(&spec, Some(own(|_| {})));
    let age: Vec<&Finding> = findings.iter().filter(|it| it.subject().check == Check::MaxPasswordAge).collect();
    let live = snapshot(Observed::complete(Some(own(|_| {})), now()));
    let planned = plan(&spec, &age, &live, &reported(Vec::new(), &[]), &circumstances());
    assert_eq!(planned.changes, []);
    let reasons: Vec<_> = planned.remediations.values().filter_map(Remediation::reason).collect();
    assert_eq!(reasons, [HoldReason::UsersCannotChangePassword]);
}

#[test]
fn pw_20_an_age_is_held_where_a_deny_keeps_somebody_from_a_new_password() {
    let live = || own(|p| p.allow_users_to_change_password = true);
    let spec = "{maxPasswordAge: 90, acknowledgeExpiringPasswords: 2, requireNumbers: true}";
    let rows = || ["ada", "bob"].map(|user| row(user, changed("2020-01-01T00:00:00Z"))).to_vec();
    let (reason, message) = held_age(spec, live(), &reported(rows(), &[("ada", true), ("bob", false)]));
    assert_eq!(reason, HoldReason::DenyBlocksPasswordChange);
    assert!(message.starts_with("bob, whose password would expire"), "{message}");
    assert!(change(&planned(spec, live(), &reported(rows(), &[("ada", true), ("bob", false)]))).1.require_numbers);
    let fine = reported(rows(), &[("ada", true), ("bob", true)]);
    assert_eq!(change(&planned(spec, live(), &fine)).1.max_password_age, Some(90));
}

#[test]
fn pw_20_what_a_simulation_did_not_tell_holds_the_age() {
    let live = || own(|p| p.allow_users_to_change_password = true);
    let spec = "{maxPasswordAge: 90, acknowledgeExpiringPasswords: 1}";
    let mut evidence = reported(vec![row("ada", changed("2020-01-01T00:00:00Z"))], &[]);
    let (reason, message) = held_age(spec, live(), &evidence);
    assert_eq!(reason, HoldReason::NotRead);
    assert!(message.contains("ada"), "{message}");
    evidence.password_changes.insert(arn("ada"), denied("iam:SimulatePrincipalPolicy"));
    let (reason, message) = held_age(spec, live(), &evidence);
    assert_eq!(reason, HoldReason::NotRead);
    assert!(message.contains("iam:SimulatePrincipalPolicy"), "{message}");
    // Whoever was deleted since the report was made is stranded no more.
    let gone = Observed::Unknown(Cause::new(CauseClass::NotFound, "no such user"));
    evidence.password_changes.insert(arn("ada"), gone);
    assert_eq!(change(&planned(spec, live(), &evidence)).1.max_password_age, Some(90));
}

#[test]
fn pw_20_a_message_names_a_few_users_and_counts_the_others() {
    let live = own(|p| p.allow_users_to_change_password = true);
    let users = ["a", "b", "c", "d", "e", "f", "g"];
    let rows = users.map(|user| row(user, LastUsed::Never)).to_vec();
    let evidence = reported(rows, &users.map(|user| (user, false)));
    let (_, message) = held_age("{maxPasswordAge: 90, acknowledgeExpiringPasswords: 7}", live, &evidence);
    assert!(message.starts_with("a, b, c, d, e and 2 more, whose"), "{message}");
}

#[test]
fn pw_02_a_policy_that_was_not_read_plans_nothing() {
    let unread = snapshot(denied("iam:GetAccountPasswordPolicy"));
    let spec = desired("{minimumPasswordLength: 14}");
    let findings = failing(&spec, None);
    let planned = plan(&spec, &findings.iter().collect::<Vec<_>>(), &unread, &Evidence::default(), &circumstances());
    assert_eq!(planned, ControlPlan::default());
}

fn any_evidence() -> impl Strategy<Value = Evidence> {
    let time = prop_oneof![
        4 => (0_i64..2_000).prop_map(|days| LastUsed::At(now() - jiff::SignedDuration::from_hours(24 * days))),
        1 => Just(LastUsed::Never),
    ];
    let enabled = prop_oneof![3 => Just(PasswordEnabled::Yes), 1 => Just(PasswordEnabled::No)];
    let may = prop_oneof![
        4 => Just(Some(Observed::complete(true, now()))),
        1 => Just(Some(Observed::complete(false, now()))),
        1 => Just(Some(denied("iam:SimulatePrincipalPolicy"))),
        1 => Just(None),
    ];
    let users = prop::collection::vec((time, enabled, may), 0..4);
    (users, prop::bool::weighted(0.9)).prop_map(|(users, readable)| {
        let mut evidence = Evidence::default();
        let mut report = CredentialReport::default();
        for (n, (changed, password_enabled, may)) in users.into_iter().enumerate() {
            let name = format!("user-{n}");
            evidence.password_changes.extend(may.map(|may| (arn(&name), may)));
            report.users.push(ReportRow { password_enabled, ..row(&name, changed) });
        }
        evidence.report = Some(if readable {
            Observed::complete(Arc::new(report), now())
        } else {
            denied("iam:GetCredentialReport")
        });
        evidence
    })
}

fn spec_with_consent() -> impl Strategy<Value = PasswordPolicyControl> {
    (any_spec(), prop::option::of(1..4)).prop_map(|(spec, acknowledge_expiring_passwords)| PasswordPolicyControl {
        acknowledge_expiring_passwords,
        ..spec
    })
}

proptest! {
    #[test]
    fn p10_nothing_that_is_planned_is_looser_than_what_it_replaces(
        spec in spec_with_consent(), policy in prop::option::of(any_policy()), evidence in any_evidence(),
    ) {
        let planned = planned_by(&spec, policy.clone(), &evidence);
        prop_assert!(planned.changes.len() <= 1, "one write");
        if !planned.changes.is_empty() {
            let (before, after) = change(&planned);
            prop_assert_eq!(&before, &policy);
            prop_assert!(is_no_looser(before.as_ref(), &after), "{:?}", after);
        }
    }

    #[test]
    fn what_is_answered_passes_afterwards_and_a_second_plan_changes_nothing(
        spec in spec_with_consent(), policy in prop::option::of(any_policy()), evidence in any_evidence(),
    ) {
        let first = planned_by(&spec, policy.clone(), &evidence);
        let findings = failing(&spec, policy);
        let ids: Vec<String> = findings.iter().map(|finding| finding.subject().id()).collect();
        prop_assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>(), first.remediations.keys().collect());
        if !first.changes.is_empty() {
            let after = change(&first).1;
            let still = failing(&spec, Some(after.clone()));
            let answered = &first.changes[0].answers;
            prop_assert!(still.iter().all(|finding| answered.iter().all(|it| it.id != finding.subject().id())));
            prop_assert_eq!(still.len() + answered.len(), findings.len());
            prop_assert_eq!(planned_by(&spec, Some(after), &evidence).changes, vec![]);
        }
    }

    #[test]
    fn p9_an_age_is_set_only_where_everybody_can_come_back(
        spec in spec_with_consent(), policy in prop::option::of(any_policy()), evidence in any_evidence(),
    ) {
        let planned = planned_by(&spec, policy.clone(), &evidence);
        if planned.changes.is_empty() {
            return Ok(());
        }
        let (before, after) = change(&planned);
        let live_age = before.as_ref().and_then(|own| own.max_password_age);
        let Some(age) = after.max_password_age.filter(|age| live_age != Some(*age)) else { return Ok(()) };
        prop_assert!(after.allow_users_to_change_password);
        let report = evidence.report.as_ref().and_then(Observed::value).cloned();
        prop_assert!(report.is_some());
        let mut expire = 0;
        for user in report.unwrap().users.iter().filter(|user| user.password_enabled == PasswordEnabled::Yes) {
            let days = match user.password_last_changed {
                LastUsed::At(at) => now().duration_since(at).as_hours() / 24,
                LastUsed::Never | LastUsed::NotSupported => i64::MAX,
            };
            let had_expired = days != i64::MAX && live_age.is_some_and(|live| days >= i64::from(live));
            if days >= i64::from(age) && !had_expired {
                expire += 1;
                prop_assert_eq!(evidence.password_changes[&user.arn].value(), Some(&true));
                prop_assert!(!after.hard_expiry);
            }
        }
        prop_assert!(expire <= spec.acknowledge_expiring_passwords.unwrap_or(0));
    }
}
