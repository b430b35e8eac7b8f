use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::api::{Mode, PasswordPolicy as Policy, RecordedBaseline};
use crate::baseline::finding::Subject;
use crate::baseline::history::History;
use crate::baseline::mfa::deny_policy::Form;
use crate::baseline::mfa::deny_policy::tests::{FORMS, enrolment, policy as deny_document};
use crate::baseline::mfa::{LastUsed, PasswordEnabled, ReportRow};
use crate::baseline::observed::CauseClass;

const POLICY: &str = "arn:aws:iam::222222222222:policy/PlumblineRequireMfa";

fn now() -> Timestamp {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

fn days_ago(days: i64) -> Timestamp {
    now() - SignedDuration::from_hours(24 * days)
}

#[expect(clippy::unnecessary_wraps, reason = "evidence holds options")]
fn seen<T>(value: T) -> Option<Observed<T>> {
    Some(Observed::complete(value, now()))
}

#[expect(clippy::unnecessary_wraps, reason = "evidence holds options")]
fn denied<T>(action: &str) -> Option<Observed<T>> {
    let cause = Cause::new(CauseClass::AccessDenied, "AWS refused it");
    Some(Observed::Unknown(Cause { missing_action: Some(action.to_owned()), ..cause }))
}

fn arn(name: &str) -> String {
    format!("arn:aws:iam::222222222222:user/{name}")
}

fn password_policy(max_password_age: Option<i32>) -> Policy {
    Policy {
        minimum_password_length: 14,
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

/// An account in which ada and bob fail and may be denied, and root's deputy, an administrator, has MFA.
#[derive(Clone, Debug)]
struct World {
    desired: MfaControl,
    snapshot: Snapshot,
    evidence: Evidence,
    circumstances: Circumstances,
}

impl World {
    fn new(document: &Value) -> Self {
        let caller = "arn:aws:sts::222222222222:assumed-role/PlumblineAudit/plumbline";
        let account = AccountIdentity::from_caller("222222222222", caller).unwrap();
        let desired = "{mode: Enforce, users: {}, denyPolicyName: PlumblineRequireMfa}";
        let (arn, version_id) = (POLICY.to_owned(), "v3".to_owned());
        let deny = ManagedPolicy { arn, version_id, document: document.to_string() };
        let summary = AccountSummary {
            root_mfa_enabled: true,
            root_password_present: Some(true),
            root_access_keys_present: false,
            root_signing_certificates_present: false,
            attached_policies_per_user_quota: Some(10),
        };
        let administration =
            Administration { users: BTreeSet::from(["ada".to_owned(), "deputy".to_owned()]), roles: BTreeSet::new() };
        let mut world = Self {
            desired: serde_saphyr::from_str(desired).unwrap(),
            snapshot: Snapshot {
                account: account.clone(),
                summary: None,
                root_has_virtual_mfa: None,
                report: None,
                users: seen(Vec::new()),
                administrators: None,
                live: BTreeMap::new(),
            },
            evidence: Evidence {
                deny_policy: seen(Some(deny)),
                password_policy: seen(None),
                report: seen(Arc::default()),
                summary: seen(summary),
                administration: seen(administration),
                administrators: BTreeMap::from([("deputy".to_owned(), Observed::complete(true, now()))]),
                users: BTreeMap::new(),
            },
            circumstances: Circumstances {
                now: now(),
                account,
                mode: Mode::Enforce,
                owned_elsewhere: Vec::new(),
                own_users: BTreeSet::new(),
                baseline: RecordedBaseline::default(),
                history: History::default(),
            },
        };
        world.add("ada");
        world.add("bob");
        world
    }

    fn safe() -> Self {
        Self::new(&deny_document(Form::BoolIfExists, &enrolment(true)))
    }

    fn add(&mut self, name: &str) {
        let user =
            IamUser { name: name.to_owned(), arn: arn(name), created_at: days_ago(400), password_last_used: None };
        let facts = UserFacts {
            arn: arn(name),
            has_login_profile: true,
            password_reset_required: false,
            has_mfa_device: false,
            has_active_access_key: false,
            has_other_credential: false,
            attached_policies: Vec::new(),
        };
        let allowed = ENROLMENT.map(|action| (action.to_owned(), true)).into();
        self.evidence.users.insert(arn(name), UserEvidence { facts: seen(Some(facts)), enrolment: seen(allowed) });
        if let Some(Observed::Complete { value: users, .. }) = &mut self.snapshot.users {
            users.push(user);
        }
    }

    fn remove(&mut self, name: &str) {
        self.evidence.users.remove(&arn(name));
        if let Some(Observed::Complete { value: users, .. }) = &mut self.snapshot.users {
            users.retain(|user| user.name != name);
        }
    }

    fn user(&mut self, name: &str, change: impl FnOnce(&mut IamUser)) {
        let Some(Observed::Complete { value: users, .. }) = &mut self.snapshot.users else { panic!("no users") };
        change(users.iter_mut().find(|user| user.name == name).unwrap());
    }

    fn facts(&mut self, name: &str, change: impl FnOnce(&mut UserFacts)) {
        let user = self.evidence.users.get_mut(&arn(name)).unwrap();
        let Some(Observed::Complete { value: Some(facts), .. }) = &mut user.facts else { panic!("no facts") };
        change(facts);
    }

    /// Passwords expire after so many days, and those of users were changed so many days ago.
    fn passwords(&mut self, max_age: Option<i32>, changed: &[(&str, LastUsed)]) {
        self.evidence.password_policy = seen(Some(password_policy(max_age)));
        let rows = changed.iter().map(|(name, changed)| ReportRow {
            user: (*name).to_owned(),
            arn: arn(name),
            created_at: Some(days_ago(400)),
            password_enabled: PasswordEnabled::Yes,
            password_last_used: LastUsed::Never,
            password_last_changed: *changed,
            mfa_active: false,
            access_key_active: false,
            access_key_last_used: LastUsed::Never,
        });
        self.evidence.report = seen(Arc::new(CredentialReport { root: None, users: rows.collect() }));
    }

    fn spec(&mut self, yaml: &str) {
        self.desired = serde_saphyr::from_str(yaml).unwrap();
    }

    fn findings(&self) -> Vec<Finding> {
        let users = self.snapshot.users.as_ref().and_then(Observed::value).unwrap();
        let fail = |user: &IamUser| {
            Finding::fail(Subject::new(Check::UserMfa, &user.arn, "users.scope"), "MFA device", "none", now())
        };
        users.iter().map(fail).collect()
    }

    fn plan(&self) -> ControlPlan {
        let findings = self.findings();
        let failing: Vec<&Finding> = findings.iter().collect();
        plan(&self.desired, &failing, &self.snapshot, &self.evidence, &self.circumstances)
    }

    fn attached_to(&self) -> Vec<String> {
        let names = self.plan().changes.into_iter().map(|change| match change.action {
            Action::UserPolicy(change) => change.user_name,
            other => panic!("{other:?}"),
        });
        names.collect()
    }

    fn remediation(&self, name: &str) -> Remediation {
        let subject = Subject::new(Check::UserMfa, arn(name), "users.scope");
        self.plan().remediations[&subject.id()].clone()
    }

    /// Ada is held for this, and bob is not.
    fn assert_holds_ada_alone(&self, reason: HoldReason, words: &str) {
        let remediation = self.remediation("ada");
        assert_eq!(remediation.reason(), Some(reason), "{remediation:?}");
        assert!(remediation.message().unwrap().contains(words), "{remediation:?}");
        assert_eq!(self.attached_to(), ["bob"]);
    }

    fn assert_holds_all(&self, reason: HoldReason, words: &str) {
        for name in ["ada", "bob"] {
            let remediation = self.remediation(name);
            assert_eq!(remediation.reason(), Some(reason), "{remediation:?}");
            assert!(remediation.message().unwrap().contains(words), "{remediation:?}");
        }
        assert_eq!(self.attached_to(), [""; 0]);
    }
}

#[test]
fn mfa_20_a_failing_console_user_gets_the_policy_of_the_spec_with_version_and_hash() {
    let world = World::safe();
    let plan = world.plan();
    assert_eq!(world.attached_to(), ["ada", "bob"]);
    let change = &plan.changes[0];
    assert_eq!(change.resource, arn("ada"));
    let Action::UserPolicy(attach) = &change.action else { panic!("{change:?}") };
    assert_eq!((attach.policy_arn.as_str(), attach.policy_version.as_str()), (POLICY, "v3"));
    assert_eq!((attach.before, attach.after), (false, true));
    assert_eq!(attach.policy_hash.len(), 64);
    let Some(Observed::Complete { value: Some(deny), .. }) = &world.evidence.deny_policy else { panic!() };
    assert_eq!(attach.policy_hash, deny.hash());
    let other = ManagedPolicy { document: "{}".to_owned(), ..deny.clone() };
    assert_ne!(other.hash(), deny.hash());
    assert!(matches!(world.remediation("ada"), Remediation::Automatic(what) if what.contains("PlumblineRequireMfa")));
}

#[test]
fn mfa_20_without_a_policy_it_is_left_to_people() {
    let mut world = World::safe();
    world.spec("{mode: Enforce, users: {}}");
    let remediation = world.remediation("ada");
    assert!(matches!(&remediation, Remediation::Manual(what) if what.contains("denyPolicyName")), "{remediation:?}");
    assert_eq!(world.attached_to(), [""; 0]);
}

#[test]
fn mfa_20_a_policy_that_is_missing_unread_or_unsafe_holds_everybody() {
    let mut world = World::safe();
    world.evidence.deny_policy = seen(None);
    world.assert_holds_all(HoldReason::UnsafeDenyPolicy, "does not exist");
    world.evidence.deny_policy = denied("iam:GetPolicyVersion");
    world.assert_holds_all(HoldReason::NotRead, "iam:GetPolicyVersion");
    let locks = deny_document(Form::BoolIfExists, &["iam:CreateVirtualMFADevice"]);
    World::new(&locks).assert_holds_all(HoldReason::UnsafeDenyPolicy, "iam:EnableMFADevice");
    let mut removal = enrolment(false);
    removal.push("iam:DeactivateMFADevice");
    World::new(&deny_document(Form::Bool, &removal))
        .assert_holds_all(HoldReason::UnsafeDenyPolicy, "iam:DeactivateMFADevice");
}

#[test]
fn mfa_20_whom_the_policy_is_attached_to_needs_no_change() {
    let mut world = World::safe();
    world.facts("ada", |facts| facts.attached_policies.push(POLICY.to_owned()));
    let remediation = world.remediation("ada");
    assert!(matches!(&remediation, Remediation::Manual(what) if what.contains("enrols")), "{remediation:?}");
    assert_eq!(world.attached_to(), ["bob"]);
}

#[test]
fn mfa_20_an_attached_policy_that_became_unsafe_is_told() {
    let mut open = enrolment(true);
    open.push("s3:*");
    let mut world = World::new(&deny_document(Form::Bool, &open));
    world.facts("ada", |facts| facts.attached_policies.push(POLICY.to_owned()));
    let remediation = world.remediation("ada");
    let told = |what: &str| what.contains("has become unsafe") && what.contains("s3:*");
    assert!(matches!(&remediation, Remediation::Manual(what) if told(what)), "{remediation:?}");
    assert_eq!(world.remediation("bob").reason(), Some(HoldReason::UnsafeDenyPolicy));
}

#[test]
fn mfa_20_an_attached_policy_that_denies_the_demanded_password_change_is_told() {
    let mut world = World::new(&deny_document(Form::Bool, &enrolment(false)));
    world.facts("ada", |facts| {
        facts.attached_policies.push(POLICY.to_owned());
        facts.password_reset_required = true;
    });
    let remediation = world.remediation("ada");
    let told = |what: &str| what.contains("need not be changed");
    assert!(matches!(&remediation, Remediation::Manual(what) if told(what)), "{remediation:?}");
}

#[test]
fn mfa_21_credentials_of_programs_hold_the_change() {
    let mut world = World::safe();
    world.facts("ada", |facts| facts.has_active_access_key = true);
    world.assert_holds_ada_alone(HoldReason::ActiveCredentials, "access key");
    let mut world = World::safe();
    world.facts("ada", |facts| facts.has_other_credential = true);
    world.assert_holds_ada_alone(HoldReason::ActiveCredentials, "credential");
}

#[test]
fn mfa_22_break_glass_users_are_never_a_target() {
    let mut world = World::safe();
    world.spec("{mode: Enforce, users: {breakGlassUsers: [ADA]}, denyPolicyName: PlumblineRequireMfa}");
    world.assert_holds_ada_alone(HoldReason::BreakGlassUser, "ada");
}

#[test]
fn mfa_22_users_through_whom_the_operator_comes_are_never_a_target() {
    let mut world = World::safe();
    world.circumstances.own_users.insert(arn("ada"));
    world.assert_holds_ada_alone(HoldReason::OperatorsOwnUser, "ada");
    let mut world = World::safe();
    world.circumstances.account = AccountIdentity::from_caller("222222222222", &arn("ada")).unwrap();
    world.assert_holds_ada_alone(HoldReason::OperatorsOwnUser, "ada");
}

#[test]
fn mfa_12_a_new_user_is_in_grace() {
    let mut world = World::safe();
    world.spec("{mode: Enforce, users: {gracePeriod: 24h}, denyPolicyName: PlumblineRequireMfa}");
    let day = SignedDuration::from_hours(24);
    world.user("ada", |user| user.created_at = now() - day + SignedDuration::from_secs(1));
    world.assert_holds_ada_alone(HoldReason::GracePeriod, "in grace until 2026-11-01T00:00:01Z");
    world.user("ada", |user| user.created_at = now() - day);
    assert_eq!(world.attached_to(), ["ada", "bob"]);
}

#[test]
fn mfa_29_a_user_with_as_many_policies_as_allowed_is_held() {
    let mut world = World::safe();
    let policies = (0..9).map(|n| format!("arn:aws:iam::222222222222:policy/p{n}"));
    world.facts("ada", |facts| facts.attached_policies = policies.collect());
    assert_eq!(world.attached_to(), ["ada", "bob"], "one is left");
    world.facts("ada", |facts| facts.attached_policies.push("arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()));
    world.assert_holds_ada_alone(HoldReason::PolicyQuota, "10 managed policies");
    world.evidence.summary = denied("iam:GetAccountSummary");
    world.assert_holds_all(HoldReason::NotRead, "iam:GetAccountSummary");
}

#[test]
fn mfa_30_a_password_that_must_be_changed_holds_the_change() {
    let mut world = World::safe();
    world.facts("ada", |facts| facts.password_reset_required = true);
    world.assert_holds_ada_alone(HoldReason::PasswordMustChange, "must change the password");
}

#[test]
fn mfa_30_an_expired_password_holds_the_change() {
    let mut world = World::safe();
    let bob = ("bob", LastUsed::At(days_ago(89)));
    world.passwords(Some(90), &[("ada", LastUsed::At(days_ago(90))), bob]);
    world.assert_holds_ada_alone(HoldReason::PasswordMustChange, "expired");
    world.passwords(None, &[("ada", LastUsed::At(days_ago(4000)))]);
    assert_eq!(world.attached_to(), ["ada", "bob"], "passwords do not expire");
    world.passwords(Some(90), &[("ada", LastUsed::Never), bob]);
    world.assert_holds_ada_alone(HoldReason::NotRead, "does not say when");
    // Nobody's password is older than its user.
    world.passwords(Some(90), &[bob]);
    world.assert_holds_ada_alone(HoldReason::PasswordMustChange, "expired");
    world.user("ada", |user| user.created_at = days_ago(2));
    assert_eq!(world.attached_to(), ["ada", "bob"]);
}

#[test]
fn mfa_30_where_passwords_expire_the_policy_must_leave_their_change_open() {
    let mut world = World::new(&deny_document(Form::BoolIfExists, &enrolment(false)));
    world.passwords(Some(90), &[("ada", LastUsed::At(days_ago(1))), ("bob", LastUsed::At(days_ago(1)))]);
    world.assert_holds_all(HoldReason::UnsafeDenyPolicy, "iam:ChangePassword");
    world.passwords(None, &[]);
    assert_eq!(world.attached_to(), ["ada", "bob"]);
}

#[test]
fn mfa_30_what_decides_about_passwords_and_is_not_read_holds_the_change() {
    let mut world = World::safe();
    world.evidence.password_policy = denied("iam:GetAccountPasswordPolicy");
    world.assert_holds_all(HoldReason::NotRead, "iam:GetAccountPasswordPolicy");
    world.passwords(Some(90), &[]);
    world.evidence.report = denied("iam:GetCredentialReport");
    world.assert_holds_all(HoldReason::NotRead, "iam:GetCredentialReport");
}

#[test]
fn mfa_20_a_user_to_whom_nothing_allows_enrolment_is_held() {
    for action in ENROLMENT {
        let mut world = World::safe();
        let user = world.evidence.users.get_mut(&arn("ada")).unwrap();
        user.enrolment = seen(ENROLMENT.map(|it| (it.to_owned(), it != action)).into());
        world.assert_holds_ada_alone(HoldReason::CannotEnrol, action);
    }
    let mut world = World::safe();
    world.evidence.users.get_mut(&arn("ada")).unwrap().enrolment = denied("iam:SimulatePrincipalPolicy");
    world.assert_holds_ada_alone(HoldReason::NotRead, "iam:SimulatePrincipalPolicy");
    world.evidence.users.get_mut(&arn("ada")).unwrap().enrolment = seen(BTreeMap::new());
    world.assert_holds_ada_alone(HoldReason::CannotEnrol, "iam:EnableMFADevice");
}

#[test]
fn mfa_31_nobody_is_denied_where_no_administrator_could_sign_in() {
    let mut world = World::safe();
    world.evidence.administrators.insert("deputy".to_owned(), Observed::complete(false, now()));
    world.assert_holds_all(HoldReason::LastAdministrator, "no administrator could sign in");
    world.evidence.administrators.clear();
    world.assert_holds_all(HoldReason::LastAdministrator, "no administrator could sign in");
    world.evidence.administrators = BTreeMap::from([("reader".to_owned(), Observed::complete(true, now()))]);
    world.assert_holds_all(HoldReason::LastAdministrator, "no administrator could sign in");
    let role = "arn:aws:iam::222222222222:role/AWSReservedSSO_AdministratorAccess_0a1b2c3d".to_owned();
    world.evidence.administration = seen(Administration { users: BTreeSet::new(), roles: BTreeSet::from([role]) });
    assert_eq!(world.attached_to(), ["ada", "bob"]);
}

#[test]
fn mfa_31_who_administers_must_be_read() {
    let mut world = World::safe();
    world.evidence.administrators.insert("deputy".to_owned(), denied("iam:ListMFADevices").unwrap());
    world.assert_holds_all(HoldReason::NotRead, "iam:ListMFADevices");
    world.evidence.administration = denied("iam:GetAccountAuthorizationDetails");
    world.assert_holds_all(HoldReason::NotRead, "iam:GetAccountAuthorizationDetails");
}

#[test]
fn mfa_11_who_has_no_console_password_is_never_denied() {
    let mut world = World::safe();
    world.spec("{mode: Enforce, users: {scope: AllUsers}, denyPolicyName: PlumblineRequireMfa}");
    world.facts("ada", |facts| {
        facts.has_login_profile = false;
        facts.has_active_access_key = true;
    });
    world.assert_holds_ada_alone(HoldReason::NoConsolePassword, "no console password");
    world.evidence.users.get_mut(&arn("ada")).unwrap().facts = seen(None);
    world.assert_holds_ada_alone(HoldReason::NoConsolePassword, "does not exist any more");
}

#[test]
fn mfa_10_who_enrolled_since_is_not_denied() {
    let mut world = World::safe();
    world.facts("ada", |facts| facts.has_mfa_device = true);
    world.assert_holds_ada_alone(HoldReason::NoConsolePassword, "has an MFA device");
}

#[test]
fn a_user_who_was_not_read_is_held() {
    let mut world = World::safe();
    world.evidence.users.get_mut(&arn("ada")).unwrap().facts = denied("iam:ListAccessKeys");
    world.assert_holds_ada_alone(HoldReason::NotRead, "iam:ListAccessKeys");
    world.evidence.users.remove(&arn("ada"));
    world.assert_holds_ada_alone(HoldReason::NotRead, "could not be read");
    world.evidence = Evidence::default();
    world.assert_holds_all(HoldReason::NotRead, "the deny policy could not be read");
}

#[test]
fn the_first_of_several_reasons_is_told() {
    let mut world = World::new(&deny_document(Form::Bool, &["s3:*"]));
    world.spec(
        "{mode: Enforce, users: {gracePeriod: 24h, breakGlassUsers: [ada]}, denyPolicyName: PlumblineRequireMfa}",
    );
    world.circumstances.own_users.insert(arn("ada"));
    world.user("ada", |user| user.created_at = now());
    world.facts("ada", |facts| {
        facts.has_active_access_key = true;
        facts.password_reset_required = true;
    });
    world.evidence.administration = seen(Administration::default());
    let mut reasons = vec![world.remediation("ada").reason()];
    world.desired.users.as_mut().unwrap().break_glass_users = None;
    reasons.push(world.remediation("ada").reason());
    world.circumstances.own_users.clear();
    reasons.push(world.remediation("ada").reason());
    world.evidence.deny_policy = World::new(&deny_document(Form::Bool, &enrolment(true))).evidence.deny_policy;
    reasons.push(world.remediation("ada").reason());
    world.desired.users.as_mut().unwrap().grace_period = None;
    reasons.push(world.remediation("ada").reason());
    world.facts("ada", |facts| facts.has_active_access_key = false);
    reasons.push(world.remediation("ada").reason());
    world.facts("ada", |facts| facts.password_reset_required = false);
    reasons.push(world.remediation("ada").reason());
    let expected = [
        HoldReason::BreakGlassUser,
        HoldReason::OperatorsOwnUser,
        HoldReason::UnsafeDenyPolicy,
        HoldReason::GracePeriod,
        HoldReason::ActiveCredentials,
        HoldReason::PasswordMustChange,
        HoldReason::LastAdministrator,
    ];
    assert_eq!(reasons, expected.map(Some));
}

#[test]
fn p9_the_simulator_says_of_each_form_what_aws_documents() {
    use lockout::{CALLERS, denies};
    // Console without MFA, access key, access key through a service, session with MFA.
    let table = [
        (Form::Bool, [true, false, true, false]),
        (Form::BoolIfExists, [true, true, true, false]),
        (Form::BoolDirectly, [true, false, false, false]),
        (Form::BoolIfExistsDirectly, [true, true, false, false]),
    ];
    for (form, denied) in table {
        let document = deny_document(form, &enrolment(false));
        assert_eq!(CALLERS.map(|caller| denies(&document, caller, "s3:GetObject")), denied, "{form:?}");
        for open in enrolment(false) {
            assert!(CALLERS.iter().all(|caller| !denies(&document, *caller, open)), "{form:?} {open}");
        }
        let [_, key, through_service, _] = denied;
        assert_eq!(form.breaks_access_keys(), key || through_service, "{form:?}");
    }
}

/// Documents that a customer may have under the policy's name: the four forms, with and without the password's change,
/// and what goes wrong with each.
fn documents() -> Vec<Value> {
    let mut documents = Vec::new();
    for form in FORMS {
        for password_change in [false, true] {
            let open = enrolment(password_change);
            documents.push(deny_document(form, &open));
            for left_out in 0..open.len() {
                let mut locking = open.clone();
                locking.remove(left_out);
                documents.push(deny_document(form, &locking));
            }
            documents.push(deny_document(form, &["iam:*"]));
            let mut twice = deny_document(form, &open);
            twice["Statement"].as_array_mut().unwrap().push(serde_json::json!(
                {"Effect": "Deny", "Action": "*", "Resource": "*",
                    "Condition": {"Bool": {"aws:ViaAWSService": "false"}}}
            ));
            documents.push(twice);
        }
    }
    documents
}

/// Every kind of user.
fn people() -> Vec<lockout::Person> {
    let mut people = Vec::new();
    for bits in 0..32_u8 {
        for password_age in [0, 89, 90, 400] {
            let bit = |n: u8| bits & (1 << n) != 0;
            people.push(lockout::Person {
                has_password: bit(0),
                password_age,
                reset_required: bit(1),
                has_device: bit(2),
                has_access_key: bit(3),
                may_enrol: bit(4),
            });
        }
    }
    people
}

/// Puts a person in ada's place, and says whether the plan attaches to ada.
fn is_attached_to(world: &World, person: lockout::Person, max_age: Option<i32>) -> bool {
    let mut world = world.clone();
    world.facts("ada", |facts| {
        facts.has_login_profile = person.has_password;
        facts.password_reset_required = person.reset_required;
        facts.has_mfa_device = person.has_device;
        facts.has_active_access_key = person.has_access_key;
    });
    let allowed = ENROLMENT.map(|action| (action.to_owned(), person.may_enrol));
    world.evidence.users.get_mut(&arn("ada")).unwrap().enrolment = seen(allowed.into());
    world.passwords(max_age, &[("ada", LastUsed::At(days_ago(person.password_age)))]);
    world.attached_to().contains(&"ada".to_owned())
}

#[test]
fn p9_whoever_the_plan_denies_can_still_sign_in_and_enrol() {
    use lockout::{Account, Reach};
    let (mut attached, mut cases) = (0, 0);
    for document in documents() {
        let mut world = World::new(&document);
        world.remove("bob");
        // What is attached to nobody is tried with a few: that it is, and not what would become of them.
        let step = if deny_policy::judge(&document.to_string()).is_ok() { 1 } else { 9 };
        for (max_age, person) in people().into_iter().step_by(step).flat_map(|it| [(None, it), (Some(90), it)]) {
            cases += 1;
            if !is_attached_to(&world, person, max_age) {
                continue;
            }
            attached += 1;
            assert!(person.programs_go_on(&[&document]), "{person:?} {document}");
            for users_change_passwords in [false, true] {
                let account = Account { max_password_age: max_age.map(i64::from), users_change_passwords };
                assert_eq!(person.gets_in(&[&document], account), Reach::Works, "{person:?} {account:?} {document}");
                // As long as it takes the user to enrol, the deny takes nothing away that was possible before it.
                for later in [1, 30, 90, 1000] {
                    let older = lockout::Person { password_age: person.password_age + later, ..person };
                    if older.gets_in(&[], account) == Reach::Works {
                        assert_eq!(older.gets_in(&[&document], account), Reach::Works, "{older:?} {document}");
                    }
                }
            }
        }
    }
    // Not an empty promise: many are attached to, and many more are not.
    assert!(attached > 50 && attached < cases / 10, "{attached} of {cases}");
}

#[test]
fn p9_without_the_holds_people_would_be_locked_out() {
    use lockout::{Account, Person, Reach};
    let account = Account { max_password_age: Some(90), users_change_passwords: true };
    let ada = Person {
        has_password: true,
        password_age: 400,
        reset_required: false,
        has_device: false,
        has_access_key: false,
        may_enrol: true,
    };
    let closed = deny_document(Form::BoolIfExists, &enrolment(false));
    let open = deny_document(Form::BoolIfExists, &enrolment(true));
    assert_eq!(ada.gets_in(&[], account), Reach::Works);
    assert_eq!(ada.gets_in(&[&closed], account), Reach::PasswordStuck);
    assert_eq!(ada.gets_in(&[&open], account), Reach::Works);
    let stranded = Account { users_change_passwords: false, ..account };
    assert_eq!(ada.gets_in(&[&open], stranded), Reach::PasswordStuck);
    let locking = deny_document(Form::BoolIfExists, &["iam:ChangePassword", "iam:GetAccountPasswordPolicy"]);
    assert_eq!(ada.gets_in(&[&locking], account), Reach::CannotEnrol);
    assert_eq!(Person { may_enrol: false, ..ada }.gets_in(&[&open], account), Reach::CannotEnrol);
    assert_eq!(Person { has_device: true, ..ada }.gets_in(&[&closed], account), Reach::Works);
    assert_eq!(Person { has_password: false, ..ada }.gets_in(&[], account), Reach::NoPassword);
    assert!(!Person { has_access_key: true, ..ada }.programs_go_on(&[&open]));
    let always = serde_json::json!({"Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}});
    assert_eq!(ada.gets_in(&[&always], account), Reach::DeniedWithMfa);
}

/// Whatever is read of users, in any combination, some of it not.
fn worlds() -> impl Strategy<Value = World> {
    let user = (any::<[bool; 7]>(), 0..12_usize, 0..500_i64, prop::option::weighted(0.9, any::<bool>()));
    (prop::collection::vec(user, 1..6), any::<[bool; 4]>(), prop::sample::select(FORMS.to_vec())).prop_map(
        |(users, [open, expires, deputy, grace], form)| {
            let mut world = World::new(&deny_document(form, &enrolment(open)));
            let grace = if grace { "gracePeriod: 24h, " } else { "" };
            world.spec(&format!(
                "{{mode: Enforce, users: {{{grace}breakGlassUsers: [u0]}}, denyPolicyName: PlumblineRequireMfa}}"
            ));
            world.evidence.administrators.insert("deputy".to_owned(), Observed::complete(deputy, now()));
            let mut changed = Vec::new();
            for (n, (flags, policies, age, may_enrol)) in users.into_iter().enumerate() {
                let name = format!("u{n}");
                world.add(&name);
                let [login, reset, device, key, other, attached, young] = flags;
                world.facts(&name, |facts| {
                    facts.has_login_profile = login;
                    facts.password_reset_required = reset;
                    facts.has_mfa_device = device;
                    facts.has_active_access_key = key;
                    facts.has_other_credential = other;
                    facts.attached_policies = (0..policies).map(|n| format!("p{n}")).collect();
                    facts.attached_policies.extend(attached.then(|| POLICY.to_owned()));
                });
                if young {
                    world.user(&name, |user| user.created_at = now());
                }
                let may = |may| seen(ENROLMENT.map(|action| (action.to_owned(), may)).into());
                let user = world.evidence.users.get_mut(&arn(&name)).unwrap();
                user.enrolment = may_enrol.map_or_else(|| denied("iam:SimulatePrincipalPolicy"), may);
                changed.push((name, LastUsed::At(days_ago(age))));
            }
            let changed: Vec<(&str, LastUsed)> = changed.iter().map(|(name, at)| (name.as_str(), *at)).collect();
            world.passwords(expires.then_some(90), &changed);
            world
        },
    )
}

proptest! {
    #[test]
    fn every_failing_user_is_answered_once_and_nobody_is_both_held_and_denied(world in worlds()) {
        let plan = world.plan();
        prop_assert_eq!(plan.remediations.len(), world.findings().len());
        let answered: Vec<_> = plan.changes.iter().flat_map(|change| &change.answers).map(|it| it.id.clone()).collect();
        let automatic = plan.remediations.iter().filter(|(_, it)| matches!(it, Remediation::Automatic(_)));
        let automatic: BTreeSet<_> = automatic.map(|(id, _)| id.clone()).collect();
        prop_assert_eq!(answered.len(), automatic.len());
        prop_assert_eq!(answered.into_iter().collect::<BTreeSet<_>>(), automatic);
    }

    #[test]
    fn a_plan_that_was_made_leaves_nothing_to_plan(world in worlds()) {
        let mut after = world.clone();
        for name in world.attached_to() {
            after.facts(&name, |facts| facts.attached_policies.push(POLICY.to_owned()));
        }
        prop_assert_eq!(after.attached_to(), Vec::<String>::new());
        prop_assert_eq!(world.plan(), world.plan());
    }

    #[test]
    fn nobody_is_denied_of_whom_something_was_not_read(world in worlds(), unread in 0..6_u8) {
        let mut world = world;
        match unread {
            0 => world.evidence.deny_policy = denied("iam:GetPolicy"),
            1 => world.evidence.password_policy = denied("iam:GetAccountPasswordPolicy"),
            2 => world.evidence.summary = denied("iam:GetAccountSummary"),
            3 => world.evidence.administration = denied("iam:GetAccountAuthorizationDetails"),
            4 => world.evidence.users.values_mut().for_each(|user| user.facts = denied("iam:ListAccessKeys")),
            _ => {
                let unread = || denied("iam:SimulatePrincipalPolicy");
                world.evidence.users.values_mut().for_each(|user| user.enrolment = unread());
            }
        }
        prop_assert_eq!(world.attached_to(), Vec::<String>::new());
    }
}
