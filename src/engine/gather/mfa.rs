//! From a cloud to the evidence for planning the control. IO through the cloud alone.
//!
//! The deny policy is read first: where it does not exist nothing more is asked, and where it is unsafe no more than
//! whether it is attached. Of administrators as few are read as tell that one of them can sign in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt, stream};

use crate::api::MfaControl;
use crate::baseline::mfa::{
    Administration, CredentialReport, ENROLMENT, Evidence, IamUser, Snapshot, UserEvidence, deny_policy,
    deny_policy_arn, never_a_target,
};
use crate::baseline::{AccountIdentity, Cause, CauseClass, Check, Finding, Observed};
use crate::engine::cloud::Cloud;
use crate::engine::observe::CONCURRENCY;

/// The most administrators who are asked about: an account where none of so many has MFA is held for that.
const ADMINISTRATORS: usize = 20;

/// Reads what decides whether the changes that would answer these findings are safe.
pub(super) async fn gather(
    desired: &MfaControl,
    failing: &[&Finding],
    snapshot: &Snapshot,
    account: &AccountIdentity,
    cloud: &dyn Cloud,
) -> Evidence {
    let mut evidence = Evidence::default();
    let Some(policy_arn) = deny_policy_arn(desired, account) else { return evidence };
    let failing: BTreeSet<&str> = failing
        .iter()
        .filter(|finding| finding.subject().check == Check::UserMfa)
        .map(|finding| finding.subject().resource.as_str())
        .collect();
    let users = snapshot.users.as_ref().and_then(Observed::value);
    let targets: Vec<&IamUser> = users
        .into_iter()
        .flatten()
        .filter(|user| failing.contains(user.arn.as_str()))
        .filter(|user| never_a_target(desired, user, account, |_| false).is_ok())
        .collect();
    if targets.is_empty() {
        return evidence;
    }
    let policy = cloud.managed_policy(&policy_arn).await;
    let document = policy.value().and_then(Option::as_ref).map(|policy| policy.document.clone());
    evidence.deny_policy = Some(policy);
    let Some(document) = document else { return evidence };
    let is_safe = deny_policy::judge(&document).is_ok();
    evidence.users = read_users(&targets, is_safe, cloud).await;
    if is_safe {
        read_account(&mut evidence, &failing, snapshot, cloud).await;
    }
    evidence
}

/// What is the same for all users.
async fn read_account(evidence: &mut Evidence, failing: &BTreeSet<&str>, snapshot: &Snapshot, cloud: &dyn Cloud) {
    let (administration, password_policy, summary) =
        futures::join!(cloud.administration(), cloud.password_policy(), async {
            match &snapshot.summary {
                Some(summary) => summary.clone(),
                None => cloud.account_summary().await,
            }
        });
    let expires = matches!(password_policy.value(), Some(Some(own)) if own.max_password_age.is_some());
    // The report by which users were judged, if they were judged by one: so it speaks of the same moment.
    evidence.report = match &snapshot.report {
        Some(report) => Some(report.clone()),
        None if expires => Some(cloud.credential_report().await),
        None => None,
    };
    if let Some(administration) = administration.value() {
        let report = evidence.report.as_ref().and_then(Observed::value);
        evidence.administrators =
            read_administrators(administration, failing, snapshot, report.map(Arc::as_ref), cloud).await;
    }
    evidence.administration = Some(administration);
    evidence.password_policy = Some(password_policy);
    evidence.summary = Some(summary);
}

async fn read_users(targets: &[&IamUser], policy_is_safe: bool, cloud: &dyn Cloud) -> BTreeMap<String, UserEvidence> {
    let reads: Vec<_> = targets
        .iter()
        .map(|user| async move {
            let facts = cloud.user_facts(user).await;
            // A user who must not be denied anyway is not asked about.
            let may_be_denied =
                policy_is_safe && matches!(facts.value(), Some(Some(facts)) if facts.refusal().is_none());
            let enrolment =
                if may_be_denied { Some(cloud.simulate(&user.arn, &ENROLMENT, Some(false)).await) } else { None };
            (user.arn.clone(), UserEvidence { facts: Some(facts), enrolment })
        })
        .collect();
    stream::iter(reads).buffer_unordered(CONCURRENCY).collect().await
}

/// Asks administrators who do not fail whether they can sign in with MFA, those first of whom the report says so, until
/// one can. No one, where a role is a way in.
async fn read_administrators(
    administration: &Administration,
    failing: &BTreeSet<&str>,
    snapshot: &Snapshot,
    report: Option<&CredentialReport>,
    cloud: &dyn Cloud,
) -> BTreeMap<String, Observed<bool>> {
    let mut asked = BTreeMap::new();
    if !administration.roles.is_empty() {
        return asked;
    }
    let users = snapshot.users.as_ref().and_then(Observed::value);
    let with_mfa: BTreeSet<&str> = report
        .into_iter()
        .flat_map(|report| &report.users)
        .filter(|row| row.mfa_active)
        .map(|row| row.user.as_str())
        .collect();
    let mut candidates: Vec<&str> = users
        .into_iter()
        .flatten()
        .filter(|user| administration.users.contains(&user.name) && !failing.contains(user.arn.as_str()))
        .map(|user| user.name.as_str())
        .collect();
    candidates.sort_by_key(|name| (!with_mfa.contains(name), *name));
    for (position, name) in candidates.into_iter().enumerate() {
        if position == ADMINISTRATORS {
            let message =
                format!("{ADMINISTRATORS} administrators cannot sign in with MFA, and no more were asked about");
            asked.insert(name.to_owned(), Observed::Unknown(Cause::new(CauseClass::Refused, message)));
            break;
        }
        let signs_in = signs_in_with_mfa(name, cloud).await;
        let found = signs_in.value() == Some(&true);
        asked.insert(name.to_owned(), signs_in);
        if found {
            break;
        }
    }
    asked
}

async fn signs_in_with_mfa(name: &str, cloud: &dyn Cloud) -> Observed<bool> {
    match cloud.mfa_devices(name).await {
        Observed::Complete { value: devices, .. } if !devices.is_empty() => cloud.has_login_profile(name).await,
        devices => devices.map(|_| false),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::api::{Controls, Mode};
    use crate::baseline::mfa::deny_policy::Form;
    use crate::baseline::mfa::deny_policy::tests::{enrolment, policy};
    use crate::baseline::mfa::{
        AccountSummary, LastUsed, ManagedPolicy, MfaDevice, PasswordEnabled, ReportRow, UserFacts,
    };
    use crate::baseline::password_policy::PasswordPolicy;
    use crate::engine::fake::{FakeCloud, account, denied, seen};
    use crate::engine::{RegionSelection, Silent, assess};

    const DENY: &str = "arn:aws:iam::222222222222:policy/Deny";
    const SPEC: &str = "{users: {breakGlassUsers: [emergency]}, denyPolicyName: Deny}";

    fn arn(name: &str) -> String {
        account().arn("iam", "", &format!("user/{name}"))
    }

    fn user(name: &str) -> IamUser {
        let created_at = Timestamp::UNIX_EPOCH;
        IamUser { name: name.to_owned(), arn: arn(name), created_at, password_last_used: None }
    }

    fn row(name: &str, mfa_active: bool) -> ReportRow {
        ReportRow {
            user: name.to_owned(),
            arn: arn(name),
            created_at: Some(Timestamp::UNIX_EPOCH),
            password_enabled: PasswordEnabled::Yes,
            password_last_used: LastUsed::Never,
            password_last_changed: LastUsed::At(Timestamp::UNIX_EPOCH),
            mfa_active,
            access_key_active: false,
            access_key_last_used: LastUsed::Never,
        }
    }

    /// Ada, an administrator, bob and emergency fail; deputy is an administrator with MFA.
    fn cloud() -> FakeCloud {
        let names = ["ada", "bob", "deputy", "emergency"];
        let rows = names.map(|name| row(name, name == "deputy"));
        let document = policy(Form::BoolIfExists, &enrolment(true)).to_string();
        let deny = ManagedPolicy { arn: DENY.to_owned(), version_id: "v1".to_owned(), document };
        let users = BTreeSet::from(["ada", "deputy"].map(str::to_owned));
        let mut cloud = FakeCloud {
            identity: Some(account()),
            users: Some(seen(names.map(user).to_vec())),
            credential_report: Some(seen(CredentialReport { root: None, users: rows.to_vec() })),
            password_policy: Some(seen(None)),
            account_summary: Some(seen(AccountSummary {
                root_mfa_enabled: true,
                root_password_present: None,
                root_access_keys_present: false,
                root_signing_certificates_present: false,
                attached_policies_per_user_quota: Some(10),
            })),
            administration: Some(seen(Administration { users, roles: BTreeSet::new() })),
            managed_policies: BTreeMap::from([(DENY.to_owned(), seen(Some(deny)))]),
            ..FakeCloud::default()
        };
        for name in names {
            let devices = if name == "deputy" { vec![MfaDevice::Fido] } else { Vec::new() };
            cloud.mfa_devices.insert(name.to_owned(), seen(devices));
            cloud.login_profiles.insert(name.to_owned(), seen(true));
            cloud.user_facts.insert(name.to_owned(), seen(Some(facts(name))));
            cloud.simulations.insert(arn(name), seen(ENROLMENT.map(|action| (action.to_owned(), true)).into()));
        }
        cloud
    }

    fn facts(name: &str) -> UserFacts {
        UserFacts {
            arn: arn(name),
            has_login_profile: true,
            password_reset_required: false,
            has_mfa_device: false,
            has_active_access_key: false,
            has_other_credential: false,
            attached_policies: Vec::new(),
        }
    }

    /// The evidence, and the reads that it took, sorted.
    async fn gathered(spec: &str, mode: Mode, cloud: &FakeCloud) -> (Option<Evidence>, Vec<String>) {
        let controls: Controls = serde_saphyr::from_str(&format!("{{mfa: {spec}}}")).unwrap();
        let assessment = assess("222222222222", &RegionSelection::Enabled, &controls, cloud, &Silent).await.unwrap();
        let before = cloud.calls().len();
        let evidence = crate::engine::gather(&assessment, mode, &controls, &[], cloud).await;
        let mut calls = cloud.calls().split_off(before);
        calls.sort();
        (evidence.mfa, calls)
    }

    #[tokio::test]
    async fn mfa_20_what_decides_is_read_of_failing_users_alone_and_never_of_break_glass_users() {
        let cloud = cloud();
        let (evidence, calls) = gathered(SPEC, Mode::Enforce, &cloud).await;
        let evidence = evidence.unwrap();
        assert_eq!(evidence.users.keys().cloned().collect::<Vec<_>>(), [arn("ada"), arn("bob")]);
        assert_eq!(evidence.administrators.keys().collect::<Vec<_>>(), ["deputy"]);
        let ask = |name| format!("SimulatePrincipalPolicy {} Some(false)", arn(name));
        let expected = [
            "GetAccountAuthorizationDetails with roles".to_owned(),
            "GetAccountPasswordPolicy".to_owned(),
            "GetAccountSummary".to_owned(),
            "GetLoginProfile deputy".to_owned(),
            format!("GetPolicy {DENY}"),
            "ListMFADevices deputy".to_owned(),
            ask("ada"),
            ask("bob"),
            "UserFacts ada".to_owned(),
            "UserFacts bob".to_owned(),
        ];
        assert_eq!(calls, expected);
    }

    #[tokio::test]
    async fn nothing_is_read_in_audit_or_without_a_policy() {
        for (spec, mode) in [(SPEC, Mode::Audit), ("{mode: Audit, users: {}, denyPolicyName: Deny}", Mode::Enforce)] {
            assert_eq!(gathered(spec, mode, &cloud()).await, (None, Vec::new()), "{spec}");
        }
        assert_eq!(gathered("{users: {}}", Mode::Enforce, &cloud()).await, (Some(Evidence::default()), Vec::new()));
        let all = "{users: {breakGlassUsers: [ada, bob, emergency]}, denyPolicyName: Deny}";
        assert_eq!(gathered(all, Mode::Enforce, &cloud()).await, (Some(Evidence::default()), Vec::new()));
    }

    #[tokio::test]
    async fn mfa_20_a_policy_that_cannot_be_attached_is_where_reading_ends() {
        let mut cloud = cloud();
        cloud.managed_policies.insert(DENY.to_owned(), denied("iam:GetPolicy"));
        let (_, calls) = gathered(SPEC, Mode::Enforce, &cloud).await;
        assert_eq!(calls, [format!("GetPolicy {DENY}")]);
        // Whom an unsafe one is attached to is told all the same.
        let document = policy(Form::Bool, &["*"]).to_string();
        let deny = ManagedPolicy { arn: DENY.to_owned(), version_id: "v2".to_owned(), document };
        cloud.managed_policies.insert(DENY.to_owned(), seen(Some(deny)));
        let (_, calls) = gathered(SPEC, Mode::Enforce, &cloud).await;
        assert_eq!(calls, [&format!("GetPolicy {DENY}"), "UserFacts ada", "UserFacts bob"]);
    }

    #[tokio::test]
    async fn mfa_21_a_user_who_cannot_be_denied_anyway_is_not_asked_about() {
        let mut cloud = cloud();
        cloud
            .user_facts
            .insert("ada".to_owned(), seen(Some(UserFacts { has_active_access_key: true, ..facts("ada") })));
        let (evidence, calls) = gathered(SPEC, Mode::Enforce, &cloud).await;
        assert_eq!(evidence.unwrap().users[&arn("ada")].enrolment, None);
        assert_eq!(calls.iter().filter(|call| call.starts_with("Simulate")).count(), 1);
    }

    #[tokio::test]
    async fn mfa_31_where_a_role_is_a_way_in_no_administrator_is_read() {
        let mut cloud = cloud();
        let roles = BTreeSet::from(["arn:aws:iam::222222222222:role/Admin".to_owned()]);
        cloud.administration = Some(seen(Administration { users: BTreeSet::from(["deputy".to_owned()]), roles }));
        let (evidence, calls) = gathered(SPEC, Mode::Enforce, &cloud).await;
        assert_eq!(evidence.unwrap().administrators, BTreeMap::new());
        assert!(!calls.contains(&"ListMFADevices deputy".to_owned()), "{calls:?}");
    }

    #[tokio::test]
    async fn mfa_31_administrators_are_asked_until_one_can_sign_in_and_not_without_end() {
        let mut cloud = cloud();
        let names: Vec<String> = (0..30).map(|n| format!("robot-{n:02}")).collect();
        let all = names.iter().map(|name| user(name)).chain(["ada", "bob", "deputy", "emergency"].map(user));
        cloud.users = Some(seen(all.collect()));
        for name in &names {
            cloud.login_profiles.insert(name.clone(), seen(false));
            cloud.mfa_devices.insert(name.clone(), seen(Vec::new()));
        }
        let users: BTreeSet<String> = names.iter().cloned().chain(["deputy".to_owned()]).collect();
        cloud.administration = Some(seen(Administration { users, roles: BTreeSet::new() }));
        let (evidence, _) = gathered(SPEC, Mode::Enforce, &cloud).await;
        assert_eq!(
            evidence.unwrap().administrators.keys().collect::<Vec<_>>(),
            ["deputy"],
            "the report knows who first"
        );
        cloud.mfa_devices.insert("deputy".to_owned(), seen(Vec::new()));
        let (evidence, _) = gathered(SPEC, Mode::Enforce, &cloud).await;
        let asked = evidence.unwrap().administrators;
        assert_eq!(asked.len(), ADMINISTRATORS + 1);
        assert_eq!(asked.values().filter(|asked| asked.value().is_none()).count(), 1, "the rest is not known");
    }

    #[tokio::test]
    async fn the_report_is_made_for_the_age_of_passwords_only_where_they_expire() {
        let spec = "{users: {scope: AllUsers, requirePhishingResistant: true}, denyPolicyName: Deny}";
        let own = |max_password_age| PasswordPolicy {
            minimum_password_length: 14,
            require_symbols: false,
            require_numbers: false,
            require_uppercase_characters: false,
            require_lowercase_characters: false,
            allow_users_to_change_password: true,
            max_password_age,
            password_reuse_prevention: None,
            hard_expiry: false,
        };
        for (age, reads) in [(None, 0), (Some(90), 1)] {
            let mut cloud = cloud();
            cloud.password_policy = Some(seen(Some(own(age))));
            let (_, calls) = gathered(spec, Mode::Enforce, &cloud).await;
            assert_eq!(calls.iter().filter(|call| *call == "GetCredentialReport").count(), reads, "{age:?}");
        }
    }
}
