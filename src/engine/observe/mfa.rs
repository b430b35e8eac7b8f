//! From a cloud to the snapshot of the control `mfa`. IO through the cloud alone.
//!
//! At most one each of `GetAccountSummary`, `ListUsers`, the credential report and `GetAccountAuthorizationDetails`;
//! then, for the users that the report does not clear, one or two reads each, as the pure core asks for them.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};

use super::CONCURRENCY;
use crate::api::{MfaControl, UserMfa};
use crate::baseline::mfa::users::{ListedUser, Read, candidates};
use crate::baseline::mfa::{LiveUser, Needs, Snapshot};
use crate::baseline::{AccountIdentity, Control, Observed};
use crate::engine::assess::Progress;
use crate::engine::cloud::Cloud;

/// Reads what the spec needs; `progress` hears of the users that are read one by one.
pub(in crate::engine) async fn mfa(
    account: &AccountIdentity,
    desired: &MfaControl,
    cloud: &dyn Cloud,
    progress: &dyn Progress,
) -> Snapshot {
    let needs = Needs::of(desired, account);
    let (summary, users, report, administrators) = futures::join!(
        wanted(needs.summary, cloud.account_summary()),
        wanted(needs.users, cloud.users()),
        wanted(needs.report, cloud.credential_report()),
        wanted(needs.administrators, cloud.administrators()),
    );
    let mut snapshot = Snapshot {
        account: account.clone(),
        summary,
        root_has_virtual_mfa: None,
        report,
        users,
        administrators,
        live: BTreeMap::new(),
    };
    if snapshot.needs_root_devices(desired) {
        snapshot.root_has_virtual_mfa = Some(cloud.root_has_virtual_mfa().await);
    }
    if let Some(asked) = &desired.users {
        snapshot.live = read_users(asked, candidates(asked, &snapshot), cloud, progress).await;
    }
    snapshot
}

/// The unit, if it is needed: else it is not asked for.
async fn wanted<T>(needed: bool, unit: impl Future<Output = Observed<T>>) -> Option<Observed<T>> {
    if needed { Some(unit.await) } else { None }
}

/// Reads users one by one, a few at a time. The map has them by name, in whatever order the answers came.
async fn read_users(
    asked: &UserMfa,
    users: Vec<ListedUser<'_>>,
    cloud: &dyn Cloud,
    progress: &dyn Progress,
) -> BTreeMap<String, LiveUser> {
    let total = users.len();
    let reads: Vec<_> = users.into_iter().map(|user| read_user(asked, user, cloud)).collect();
    let mut reads = stream::iter(reads).buffer_unordered(CONCURRENCY);
    let mut live = BTreeMap::new();
    while let Some((name, user)) = reads.next().await {
        live.insert(name, user);
        progress.advanced(Control::Mfa, live.len(), total);
    }
    live
}

/// Reads of a user what its verdict depends on. Ends, because each read is one that was not made before.
async fn read_user(asked: &UserMfa, user: ListedUser<'_>, cloud: &dyn Cloud) -> (String, LiveUser) {
    let mut live = LiveUser::default();
    while let Some(read) = user.next_read(asked, &live) {
        match read {
            Read::LoginProfile => live.login_profile = Some(cloud.has_login_profile(user.name()).await),
            Read::Devices => live.devices = Some(cloud.mfa_devices(user.name()).await),
        }
    }
    (user.name().to_owned(), live)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use jiff::Timestamp;

    use super::*;
    use crate::api::Controls;
    use crate::baseline::mfa::{
        AccountSummary, CredentialReport, IamUser, LastUsed, MfaDevice, PasswordEnabled, ReportRow,
    };
    use crate::baseline::{Cause, CauseClass, Check, Finding, Severity, Verdict};
    use crate::engine::fake::{FakeCloud, account, at, denied, seen};
    use crate::engine::{Assessment, RegionSelection, Silent, assess};

    const CONSOLE: &str = "{users: {}}";
    const ALL: &str = "{users: {scope: AllUsers}}";
    const PRIVILEGED: &str = "{users: {scope: PrivilegedUsers}}";
    const RESISTANT: &str = "{users: {requirePhishingResistant: true}}";

    fn report_at() -> Timestamp {
        "2026-10-31T21:00:00Z".parse().unwrap()
    }

    fn user(name: &str) -> IamUser {
        let (name, arn) = (name.to_owned(), arn(name));
        IamUser { name, arn, created_at: Timestamp::UNIX_EPOCH, password_last_used: None }
    }

    fn arn(name: &str) -> String {
        account().arn("iam", "", &format!("user/{name}"))
    }

    fn row(name: &str, password: bool, mfa: bool) -> ReportRow {
        ReportRow {
            user: name.to_owned(),
            arn: arn(name),
            created_at: Some(Timestamp::UNIX_EPOCH),
            password_enabled: if password { PasswordEnabled::Yes } else { PasswordEnabled::No },
            password_last_used: LastUsed::Never,
            password_last_changed: LastUsed::Never,
            mfa_active: mfa,
            access_key_active: false,
            access_key_last_used: LastUsed::Never,
        }
    }

    /// An account whose report is three hours old and has these rows.
    fn cloud(names: &[&str], rows: Vec<ReportRow>) -> FakeCloud {
        FakeCloud {
            identity: Some(account()),
            users: Some(seen(names.iter().map(|name| user(name)).collect())),
            credential_report: Some(Observed::complete(CredentialReport { root: None, users: rows }, report_at())),
            ..FakeCloud::default()
        }
    }

    impl FakeCloud {
        fn with(mut self, name: &str, login_profile: bool, devices: &[MfaDevice]) -> Self {
            self.login_profiles.insert(name.to_owned(), seen(login_profile));
            self.mfa_devices.insert(name.to_owned(), seen(devices.to_vec()));
            self
        }

        /// The reads of this control alone.
        fn mfa_calls(&self) -> Vec<String> {
            self.calls().split_off(2)
        }
    }

    async fn assessed(spec: &str, cloud: &FakeCloud) -> Assessment {
        let controls: Controls = serde_saphyr::from_str(&format!("{{mfa: {spec}}}")).unwrap();
        assess("222222222222", &RegionSelection::Enabled, &controls, cloud, &Silent).await.unwrap()
    }

    fn of<'a>(assessment: &'a Assessment, check: Check, resource: &str) -> &'a Finding {
        let is = |f: &&Finding| f.subject().check == check && f.subject().resource == resource;
        let found: Vec<_> = assessment.findings.iter().filter(is).collect();
        assert_eq!(found.len(), 1, "{check} of {resource}: {:#?}", assessment.findings);
        found[0]
    }

    async fn verdict(spec: &str, cloud: &FakeCloud, check: Check, name: &str) -> Verdict {
        of(&assessed(spec, cloud).await, check, &arn(name)).verdict()
    }

    #[tokio::test]
    async fn mfa_08_virtual_devices_that_belong_to_nobody_do_not_count_as_roots() {
        let summary = AccountSummary {
            root_mfa_enabled: true,
            root_password_present: Some(true),
            root_access_keys_present: false,
            root_signing_certificates_present: false,
            attached_policies_per_user_quota: None,
        };
        // The cloud's answer speaks of assigned devices only; there may be any number of others.
        let cloud = FakeCloud {
            identity: Some(account()),
            account_summary: Some(seen(summary)),
            root_has_virtual_mfa: Some(seen(false)),
            ..FakeCloud::default()
        };
        let assessment = assessed("{rootUser: {requireMfa: true, requireHardwareMfa: true}}", &cloud).await;
        assert_eq!(of(&assessment, Check::RootUserHardwareMfa, &account().root_arn()).verdict(), Verdict::Pass);
        assert_eq!(cloud.mfa_calls(), ["GetAccountSummary", "ListVirtualMFADevices"]);
    }

    #[tokio::test]
    async fn virtual_devices_are_listed_only_where_roots_mfa_must_be_hardware_and_exists() {
        let without = AccountSummary {
            root_mfa_enabled: false,
            root_password_present: Some(true),
            root_access_keys_present: false,
            root_signing_certificates_present: false,
            attached_policies_per_user_quota: None,
        };
        let none = AccountSummary { root_password_present: Some(false), root_mfa_enabled: true, ..without.clone() };
        for (spec, summary) in [
            ("{rootUser: {requireHardwareMfa: true}}", without.clone()),
            ("{rootUser: {requireHardwareMfa: true}}", none),
            ("{rootUser: {requireMfa: true}}", AccountSummary { root_mfa_enabled: true, ..without }),
        ] {
            let summary = Some(seen(summary));
            let cloud = FakeCloud { identity: Some(account()), account_summary: summary, ..FakeCloud::default() };
            assessed(spec, &cloud).await;
            assert_eq!(cloud.mfa_calls(), ["GetAccountSummary"], "{spec}");
        }
    }

    #[tokio::test]
    async fn mfa_09_a_failure_in_the_report_is_confirmed_live() {
        let cloud = cloud(&["ada"], vec![row("ada", true, false)]).with("ada", true, &[]);
        let assessment = assessed(CONSOLE, &cloud).await;
        let finding = of(&assessment, Check::UserMfa, &arn("ada"));
        assert_eq!((finding.verdict(), finding.severity()), (Verdict::Fail, Severity::High));
        assert_eq!(finding.observed_at(), Some(at()), "the time of the live read");
        assert_eq!(
            cloud.mfa_calls(),
            ["ListUsers", "GetCredentialReport", "ListMFADevices ada", "GetLoginProfile ada"]
        );
    }

    #[tokio::test]
    async fn a_user_who_lost_the_password_since_the_report_left_the_scope() {
        let cloud = cloud(&["ada"], vec![row("ada", true, false)]).with("ada", false, &[]);
        let assessment = assessed(CONSOLE, &cloud).await;
        assert_eq!(assessment.findings, []);
        assert_eq!(assessment.coverage.users, Some(0));
    }

    #[tokio::test]
    async fn mfa_10_a_device_enrolled_since_the_report_passes() {
        let cloud = cloud(&["ada"], vec![row("ada", true, false)]).with("ada", true, &[MfaDevice::Virtual]);
        let assessment = assessed(CONSOLE, &cloud).await;
        let finding = of(&assessment, Check::UserMfa, &arn("ada"));
        assert_eq!((finding.verdict(), finding.observed_at()), (Verdict::Pass, Some(at())));
    }

    #[tokio::test]
    async fn what_passes_from_the_report_carries_its_time_and_costs_no_read() {
        let cloud = cloud(&["ada"], vec![row("ada", true, true)]);
        let assessment = assessed(CONSOLE, &cloud).await;
        let finding = of(&assessment, Check::UserMfa, &arn("ada"));
        assert_eq!((finding.verdict(), finding.observed_at()), (Verdict::Pass, Some(report_at())));
        assert_eq!(assessment.coverage.credential_report_at, Some(report_at()));
        assert_eq!(cloud.mfa_calls(), ["ListUsers", "GetCredentialReport"]);
    }

    #[tokio::test]
    async fn mfa_11_a_user_with_keys_alone_is_judged_for_all_users_only() {
        let rows = vec![ReportRow { access_key_active: true, ..row("robot", false, false) }];
        let cloud = cloud(&["robot"], rows).with("robot", false, &[]);
        assert_eq!(assessed(CONSOLE, &cloud).await.findings, []);
        assert_eq!(verdict(ALL, &cloud, Check::UserMfa, "robot").await, Verdict::Fail);
        assert!(!cloud.calls().contains(&"GetLoginProfile robot".to_owned()), "no password is asked for");
    }

    #[tokio::test]
    async fn mfa_13_a_fido_device_alone_passes() {
        let cloud = cloud(&["ada"], vec![row("ada", true, true)]).with("ada", true, &[MfaDevice::Fido]);
        assert_eq!(verdict(RESISTANT, &cloud, Check::UserMfa, "ada").await, Verdict::Pass);
        assert_eq!(verdict(RESISTANT, &cloud, Check::UserPhishingResistantMfa, "ada").await, Verdict::Pass);
        assert!(!cloud.calls().contains(&"GetLoginProfile ada".to_owned()), "nothing fails that wants confirming");
    }

    #[tokio::test]
    async fn mfa_14_codes_and_text_messages_pass_as_mfa_and_fail_as_phishing_resistant() {
        for device in [MfaDevice::Virtual, MfaDevice::HardwareTotp, MfaDevice::Sms] {
            let cloud = cloud(&["ada"], vec![row("ada", true, true)]).with("ada", true, &[device]);
            let assessment = assessed(RESISTANT, &cloud).await;
            assert_eq!(of(&assessment, Check::UserMfa, &arn("ada")).verdict(), Verdict::Pass, "{device:?}");
            let finding = of(&assessment, Check::UserPhishingResistantMfa, &arn("ada"));
            assert_eq!((finding.verdict(), finding.severity()), (Verdict::Fail, Severity::Medium), "{device:?}");
            assert_eq!(finding.subject().field, "users.requirePhishingResistant");
        }
        let beside = &[MfaDevice::Sms, MfaDevice::Fido];
        let cloud = cloud(&["ada"], vec![row("ada", true, true)]).with("ada", true, beside);
        assert_eq!(verdict(RESISTANT, &cloud, Check::UserPhishingResistantMfa, "ada").await, Verdict::Pass);
    }

    #[tokio::test]
    async fn where_the_devices_of_everyone_are_listed_no_report_is_made() {
        let cloud = cloud(&["ada"], Vec::new()).with("ada", true, &[MfaDevice::Fido]);
        let spec = "{users: {scope: AllUsers, requirePhishingResistant: true}}";
        assert_eq!(assessed(spec, &cloud).await.findings.len(), 2);
        assert_eq!(cloud.mfa_calls(), ["ListUsers", "ListMFADevices ada"]);
    }

    #[tokio::test]
    async fn mfa_17_administrators_alone_are_judged_critically_whether_they_have_a_password_or_not() {
        let rows = vec![row("admin", false, false), row("ada", true, false)];
        let mut cloud = cloud(&["admin", "ada"], rows).with("admin", false, &[]);
        let names = BTreeSet::from(["admin".to_owned(), "gone".to_owned()]);
        cloud.administrators = Some(seen(names));
        let assessment = assessed(PRIVILEGED, &cloud).await;
        assert_eq!(assessment.findings.len(), 1);
        let finding = of(&assessment, Check::UserMfa, &arn("admin"));
        assert_eq!((finding.verdict(), finding.severity()), (Verdict::Fail, Severity::Critical));
        assert_eq!((assessment.coverage.users, assessment.coverage.users_listed), (Some(1), Some(2)));
        let reads = ["ListUsers", "GetCredentialReport", "GetAccountAuthorizationDetails", "ListMFADevices admin"];
        assert_eq!(cloud.mfa_calls(), reads);
    }

    #[tokio::test]
    async fn users_or_administrators_that_cannot_be_listed_are_one_unknown() {
        let mut users = cloud(&[], vec![row("ada", true, false), row("bob", true, true)]);
        users.users = Some(denied("iam:ListUsers"));
        let mut administrators = cloud(&["ada"], vec![row("ada", true, false)]);
        administrators.administrators = Some(denied("iam:GetAccountAuthorizationDetails"));
        for (spec, cloud, action) in
            [(RESISTANT, &users, "iam:ListUsers"), (PRIVILEGED, &administrators, "iam:GetAccountAuthorizationDetails")]
        {
            let assessment = assessed(spec, cloud).await;
            assert_eq!(assessment.findings.len(), 1);
            let finding = of(&assessment, Check::UserMfa, &account().root_arn());
            assert_eq!(finding.verdict(), Verdict::Unknown);
            assert_eq!(finding.cause().and_then(|cause| cause.missing_action.as_deref()), Some(action));
            assert_eq!(assessment.coverage.users, None);
        }
    }

    #[tokio::test]
    async fn mfa_23_three_failures_among_5000_users_cost_six_reads() {
        let names: Vec<_> = (0..5000).map(|n| format!("user-{n:04}")).collect();
        let failing = ["user-0007", "user-2500", "user-4999"];
        let rows = names.iter().map(|name| row(name, true, !failing.contains(&name.as_str()))).collect();
        let mut cloud = cloud(&names.iter().map(String::as_str).collect::<Vec<_>>(), rows);
        for name in failing {
            cloud = cloud.with(name, true, &[]);
        }
        let assessment = assessed(CONSOLE, &cloud).await;
        let failed = assessment.findings.iter().filter(|finding| finding.verdict() == Verdict::Fail);
        assert_eq!(failed.map(|f| f.subject().resource.clone()).collect::<Vec<_>>(), failing.map(arn));
        assert_eq!(assessment.findings.len(), 5000);
        let mut calls = cloud.mfa_calls();
        assert_eq!(calls.drain(..2).collect::<Vec<_>>(), ["ListUsers", "GetCredentialReport"]);
        calls.sort();
        let of_each = |operation: &str| failing.map(|name| format!("{operation} {name}"));
        assert_eq!(calls, [of_each("GetLoginProfile"), of_each("ListMFADevices")].concat());
    }

    #[tokio::test]
    async fn mfa_24_without_a_report_everybody_is_read_live() {
        let names = ["ada", "bob", "robot"];
        let mut cloud = cloud(&names, Vec::new()).with("ada", true, &[]).with("bob", true, &[MfaDevice::Virtual]).with(
            "robot",
            false,
            &[],
        );
        let throttled = Cause::new(CauseClass::Throttled, "Rate exceeded");
        cloud.credential_report = Some(Observed::Unknown(throttled));
        let spec = "{users: {}, rootUser: {requireUnusedFor: 90d}}";
        let assessment = assessed(spec, &cloud).await;
        assert_eq!(of(&assessment, Check::UserMfa, &arn("ada")).verdict(), Verdict::Fail);
        assert_eq!(of(&assessment, Check::UserMfa, &arn("bob")).verdict(), Verdict::Pass);
        assert_eq!(of(&assessment, Check::RootUserUnused, &account().root_arn()).verdict(), Verdict::Unknown);
        assert_eq!(assessment.findings.len(), 3, "robot has no password");
        assert_eq!(assessment.coverage.credential_report_at, None);
        assert!(!cloud.calls().contains(&"ListMFADevices robot".to_owned()), "out of scope");
    }

    #[tokio::test]
    async fn mfa_24_nothing_is_said_of_anybody_where_live_reads_fail_too() {
        let mut cloud = cloud(&["ada"], Vec::new());
        cloud.credential_report = Some(denied("iam:GenerateCredentialReport"));
        cloud.login_profiles.insert("ada".to_owned(), denied("iam:GetLoginProfile"));
        assert_eq!(verdict(CONSOLE, &cloud, Check::UserMfa, "ada").await, Verdict::Unknown);
    }

    #[tokio::test]
    async fn mfa_25_the_row_of_root_is_no_user() {
        let mut cloud = cloud(&["ada"], Vec::new()).with("ada", true, &[MfaDevice::Fido]);
        let root = ReportRow { arn: account().root_arn(), ..row("<root_account>", true, false) };
        let report = CredentialReport { root: Some(root.clone()), users: vec![root, row("ada", true, true)] };
        cloud.credential_report = Some(Observed::complete(report, report_at()));
        let assessment = assessed(ALL, &cloud).await;
        assert_eq!(assessment.findings.len(), 1);
        assert_eq!(of(&assessment, Check::UserMfa, &arn("ada")).verdict(), Verdict::Pass);
        assert_eq!(assessment.coverage.users, Some(1));
    }

    #[tokio::test]
    async fn mfa_27_coverage_counts_who_was_considered() {
        let rows = vec![row("ada", true, true), row("robot", false, false), row("other", false, false)];
        let cloud = cloud(&["ada", "robot", "other"], rows);
        let assessment = assessed(CONSOLE, &cloud).await;
        assert_eq!((assessment.coverage.users, assessment.coverage.users_listed), (Some(1), Some(3)));
        assert_eq!(assessment.findings.len(), 1);
    }

    #[tokio::test]
    async fn mfa_28_a_user_who_cannot_be_read_is_unknown_and_the_others_are_judged() {
        let rows = vec![row("ada", true, false), row("bob", true, false), row("eve", true, true)];
        let mut cloud = cloud(&["ada", "bob", "eve"], rows).with("ada", true, &[]).with("bob", true, &[]);
        cloud.mfa_devices.insert("bob".to_owned(), denied("iam:ListMFADevices"));
        let assessment = assessed(CONSOLE, &cloud).await;
        let bob = of(&assessment, Check::UserMfa, &arn("bob"));
        assert_eq!(bob.verdict(), Verdict::Unknown);
        assert_eq!(bob.cause().and_then(|cause| cause.missing_action.as_deref()), Some("iam:ListMFADevices"));
        assert_eq!(of(&assessment, Check::UserMfa, &arn("ada")).verdict(), Verdict::Fail);
        assert_eq!(of(&assessment, Check::UserMfa, &arn("eve")).verdict(), Verdict::Pass);
        assert_eq!(assessment.coverage.users, Some(3));
    }

    #[tokio::test]
    async fn a_failure_whose_password_cannot_be_confirmed_is_unknown_and_what_was_seen_still_passes() {
        let mut cloud = cloud(&["ada"], vec![row("ada", true, true)]).with("ada", true, &[MfaDevice::Sms]);
        cloud.login_profiles.insert("ada".to_owned(), denied("iam:GetLoginProfile"));
        let assessment = assessed(RESISTANT, &cloud).await;
        assert_eq!(of(&assessment, Check::UserMfa, &arn("ada")).verdict(), Verdict::Pass);
        assert_eq!(of(&assessment, Check::UserPhishingResistantMfa, &arn("ada")).verdict(), Verdict::Unknown);
    }

    #[tokio::test]
    async fn mfa_33_users_newer_than_the_report_are_read_live() {
        let rows = vec![row("again", true, true), row("gone", true, false)];
        let mut cloud = cloud(&["new", "again", "keys"], rows).with("new", true, &[]).with("again", true, &[]).with(
            "keys",
            false,
            &[],
        );
        if let Some(Observed::Complete { value: users, .. }) = &mut cloud.users {
            users[1].created_at = at();
        }
        let assessment = assessed(CONSOLE, &cloud).await;
        assert_eq!(of(&assessment, Check::UserMfa, &arn("new")).verdict(), Verdict::Fail);
        let again = of(&assessment, Check::UserMfa, &arn("again"));
        assert_eq!(again.verdict(), Verdict::Fail, "another user of the same name: its predecessor's MFA is gone");
        assert_eq!(assessment.findings.len(), 2, "gone is gone, and keys has no password");
    }

    #[tokio::test]
    async fn mfa_33_who_signed_in_since_a_report_without_a_password_is_asked_for_it() {
        let rows = vec![row("ada", false, false), row("bob", false, false), row("eve", false, false)];
        let mut cloud = cloud(&["ada", "bob", "eve"], rows).with("ada", true, &[]).with("eve", false, &[]);
        if let Some(Observed::Complete { value: users, .. }) = &mut cloud.users {
            let second = std::time::Duration::from_secs(1);
            users[0].password_last_used = Some(report_at() + second);
            users[1].password_last_used = Some(report_at() - second);
            users[2].password_last_used = Some(report_at() + second);
        }
        let assessment = assessed(CONSOLE, &cloud).await;
        assert_eq!(of(&assessment, Check::UserMfa, &arn("ada")).verdict(), Verdict::Fail);
        assert_eq!(assessment.findings.len(), 1, "bob's password is gone, and eve's too by now");
        assert!(!cloud.calls().contains(&"GetLoginProfile bob".to_owned()), "{:?}", cloud.calls());
        assert_eq!((assessment.coverage.users, assessment.coverage.users_listed), (Some(1), Some(3)));
    }

    #[tokio::test]
    async fn mfa_21_an_access_key_beside_the_password_changes_no_verdict() {
        let rows = vec![ReportRow { access_key_active: true, ..row("ada", true, false) }];
        let cloud = cloud(&["ada"], rows).with("ada", true, &[]);
        assert_eq!(verdict(CONSOLE, &cloud, Check::UserMfa, "ada").await, Verdict::Fail);
    }

    #[tokio::test]
    async fn mfa_32_the_report_is_read_for_root_in_gov_cloud_and_not_elsewhere() {
        let summary = AccountSummary {
            root_mfa_enabled: false,
            root_password_present: Some(true),
            root_access_keys_present: false,
            root_signing_certificates_present: false,
            attached_policies_per_user_quota: None,
        };
        let root = ReportRow { password_enabled: PasswordEnabled::NotSupported, ..row("<root_account>", false, false) };
        let report = CredentialReport { root: Some(root), users: Vec::new() };
        for (partition, verdict, calls) in [
            ("aws-us-gov", Verdict::NotApplicable, vec!["GetAccountSummary", "GetCredentialReport"]),
            ("aws", Verdict::Fail, vec!["GetAccountSummary"]),
        ] {
            let identity = crate::baseline::AccountIdentity { partition: partition.to_owned(), ..account() };
            let cloud = FakeCloud {
                identity: Some(identity.clone()),
                account_summary: Some(seen(summary.clone())),
                credential_report: Some(Observed::complete(report.clone(), report_at())),
                ..FakeCloud::default()
            };
            let assessment = assessed("{rootUser: {requireMfa: true}}", &cloud).await;
            assert_eq!(of(&assessment, Check::RootUserMfa, &identity.root_arn()).verdict(), verdict, "{partition}");
            assert_eq!(cloud.mfa_calls(), calls, "{partition}");
        }
    }

    #[derive(Default)]
    struct Heard(Mutex<Vec<(usize, usize)>>);

    impl Progress for Heard {
        fn started(&self, _: Control) {}
        fn advanced(&self, _: Control, done: usize, total: usize) {
            self.0.lock().unwrap().push((done, total));
        }
        fn finished(&self, _: Control) {}
    }

    #[tokio::test]
    async fn progress_hears_of_each_user_that_is_read() {
        let rows = vec![row("ada", true, false), row("bob", true, true), row("eve", true, false)];
        let cloud = cloud(&["ada", "bob", "eve"], rows).with("ada", true, &[]).with("eve", true, &[]);
        let controls: Controls = serde_saphyr::from_str(&format!("{{mfa: {CONSOLE}}}")).unwrap();
        let heard = Heard::default();
        assess("222222222222", &RegionSelection::Enabled, &controls, &cloud, &heard).await.unwrap();
        assert_eq!(*heard.0.lock().unwrap(), [(1, 2), (2, 2)]);
    }

    #[test]
    fn an_assessment_may_move_between_threads() {
        fn is_send(_: &impl Send) {}
        let (cloud, controls) = (FakeCloud::default(), Controls::default());
        is_send(&assess("222222222222", &RegionSelection::Enabled, &controls, &cloud, &Silent));
    }
}
