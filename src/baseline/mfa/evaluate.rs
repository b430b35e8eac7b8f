//! From the desired MFA and the snapshot to findings: those of root, then one row for each user in scope. No IO.

use super::{Snapshot, root, users};
use crate::api::MfaControl;
use crate::baseline::finding::Finding;

/// Judges root and users, sorted by check and resource.
#[must_use]
pub fn evaluate(desired: &MfaControl, snapshot: &Snapshot) -> Vec<Finding> {
    let MfaControl { mode: _, root_user, users, deny_policy_name: _ } = desired;
    let root = root_user.as_ref().map(|asked| root::judge(asked, snapshot));
    let users = users.as_ref().map(|asked| users::judge(asked, snapshot));
    let mut findings: Vec<_> = root.into_iter().chain(users).flatten().collect();
    findings.sort_by(|a, b| a.subject().cmp(b.subject()));
    findings
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::api::{Days, RootUser, UserMfa, UserScope};
    use crate::baseline::finding::Verdict;
    use crate::baseline::mfa::users::{ListedUser, Read, candidates};
    use crate::baseline::mfa::{
        AccountSummary, CredentialReport, IamUser, LastUsed, LiveUser, MfaDevice, Needs, PasswordEnabled, ReportRow,
    };
    use crate::baseline::{AccountIdentity, Cause, CauseClass, Check, Observed, Subject};

    /// What is true of a user now, and what the report says of it.
    #[derive(Clone, Debug)]
    struct Truth {
        name: String,
        administrator: bool,
        signed_in: Option<Timestamp>,
        has_password: Observed<bool>,
        devices: Observed<Vec<MfaDevice>>,
        row: Option<ReportRow>,
    }

    #[derive(Clone, Debug)]
    struct World {
        partition: &'static str,
        summary: Observed<AccountSummary>,
        root_has_virtual_mfa: Observed<bool>,
        root: Option<ReportRow>,
        report_readable: bool,
        users: Vec<Truth>,
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn unknown<T>() -> Observed<T> {
        Observed::Unknown(Cause::new(CauseClass::Throttled, "Rate exceeded"))
    }

    fn observed<T: Clone + std::fmt::Debug + 'static>(
        value: impl Strategy<Value = T>,
    ) -> impl Strategy<Value = Observed<T>> {
        prop_oneof![8 => value.prop_map(|value| Observed::complete(value, at(2_000_000_000))), 1 => Just(unknown())]
    }

    fn last_used() -> impl Strategy<Value = LastUsed> {
        let any_time = (-377_705_023_201_i64..=253_402_207_200).prop_map(|second| LastUsed::At(at(second)));
        let recent = (1_980_000_000_i64..2_000_000_100).prop_map(|second| LastUsed::At(at(second)));
        prop_oneof![any_time, recent, Just(LastUsed::Never), Just(LastUsed::NotSupported)]
    }

    fn row() -> impl Strategy<Value = ReportRow> {
        let enabled =
            prop_oneof![Just(PasswordEnabled::Yes), Just(PasswordEnabled::No), Just(PasswordEnabled::NotSupported)];
        let created = prop_oneof![4 => Just(Some(at(0))), 1 => Just(Some(at(60))), 1 => Just(None)];
        (enabled, created, any::<bool>(), last_used(), last_used()).prop_map(
            |(enabled, created, mfa, password, key)| ReportRow {
                user: String::new(),
                arn: String::new(),
                created_at: created,
                password_enabled: enabled,
                password_last_used: password,
                password_last_changed: password,
                mfa_active: mfa,
                access_key_active: false,
                access_key_last_used: key,
            },
        )
    }

    fn device() -> impl Strategy<Value = MfaDevice> {
        prop_oneof![
            Just(MfaDevice::Virtual),
            Just(MfaDevice::Fido),
            Just(MfaDevice::HardwareTotp),
            Just(MfaDevice::Sms)
        ]
    }

    fn truth() -> impl Strategy<Value = Truth> {
        let devices = prop::collection::vec(device(), 0..3);
        // Before and after the report.
        let signed_in = prop::sample::select(vec![None, Some(at(1_999_000_000)), Some(at(1_999_999_000))]);
        (any::<bool>(), signed_in, observed(any::<bool>()), observed(devices), prop::option::of(row())).prop_map(
            |(administrator, signed_in, has_password, devices, row)| Truth {
                name: String::new(),
                administrator,
                signed_in,
                has_password,
                devices,
                row,
            },
        )
    }

    fn summary() -> impl Strategy<Value = AccountSummary> {
        (any::<bool>(), any::<Option<bool>>(), any::<bool>(), any::<bool>()).prop_map(
            |(mfa, password, keys, certificates)| AccountSummary {
                root_mfa_enabled: mfa,
                root_password_present: password,
                root_access_keys_present: keys,
                root_signing_certificates_present: certificates,
                attached_policies_per_user_quota: None,
            },
        )
    }

    fn world() -> impl Strategy<Value = World> {
        let users = prop::collection::vec(truth(), 0..8).prop_map(|users| {
            let named = |(n, user): (usize, Truth)| {
                let name = format!("user-{n}");
                let row = user.row.map(|row| ReportRow { user: name.clone(), ..row });
                Truth { name, row, ..user }
            };
            users.into_iter().enumerate().map(named).collect()
        });
        let partition = prop_oneof![Just("aws"), Just("aws-us-gov")];
        (partition, observed(summary()), observed(any::<bool>()), prop::option::of(row()), any::<bool>(), users)
            .prop_map(|(partition, summary, root_has_virtual_mfa, root, report_readable, users)| World {
                partition,
                summary,
                root_has_virtual_mfa,
                root,
                report_readable,
                users,
            })
    }

    fn desired() -> impl Strategy<Value = MfaControl> {
        let days = prop_oneof![(1_u16..=9999).prop_map(|days| format!("{days}d")), ".{0,5}"];
        let root = (any::<[bool; 3]>(), prop::option::of(days)).prop_map(|([mfa, hardware, keys], days)| RootUser {
            require_mfa: mfa,
            require_hardware_mfa: hardware,
            forbid_access_keys: keys,
            require_unused_for: days.map(Days),
        });
        let scope =
            prop_oneof![Just(UserScope::ConsoleUsers), Just(UserScope::PrivilegedUsers), Just(UserScope::AllUsers)];
        let users = (scope, any::<bool>()).prop_map(|(scope, require_phishing_resistant)| UserMfa {
            scope,
            require_phishing_resistant,
            ..UserMfa::default()
        });
        (prop::option::of(root), prop::option::of(users)).prop_map(|(root_user, users)| MfaControl {
            root_user,
            users,
            ..MfaControl::default()
        })
    }

    /// Observes a world as the engine does: what is needed, then user by user what is asked for.
    fn observe(world: &World, desired: &MfaControl) -> Snapshot {
        let caller = format!("arn:{}:iam::222222222222:user/auditor", world.partition);
        let account = AccountIdentity::from_caller("222222222222", &caller).unwrap();
        let needs = Needs::of(desired, &account);
        let rows = world.users.iter().filter_map(|user| user.row.clone()).collect();
        let report = Arc::new(CredentialReport { root: world.root.clone(), users: rows });
        let report = if world.report_readable { Observed::complete(report, at(1_999_990_000)) } else { unknown() };
        let listed = world.users.iter().map(|user| IamUser {
            name: user.name.clone(),
            arn: account.arn("iam", "", &format!("user/{}", user.name)),
            created_at: at(0),
            password_last_used: user.signed_in,
        });
        let users = Observed::complete(listed.collect(), at(2_000_000_000));
        let administrators: BTreeSet<_> =
            world.users.iter().filter(|user| user.administrator).map(|user| user.name.clone()).collect();
        let mut snapshot = Snapshot {
            account,
            summary: needs.summary.then(|| world.summary.clone()),
            root_has_virtual_mfa: None,
            report: needs.report.then_some(report),
            users: needs.users.then_some(users),
            administrators: needs.administrators.then(|| Observed::complete(administrators, at(2_000_000_000))),
            live: BTreeMap::new(),
        };
        if snapshot.needs_root_devices(desired) {
            snapshot.root_has_virtual_mfa = Some(world.root_has_virtual_mfa.clone());
        }
        if let Some(asked) = &desired.users {
            snapshot.live = read_live(world, asked, &snapshot);
        }
        snapshot
    }

    fn read_live(world: &World, asked: &UserMfa, snapshot: &Snapshot) -> BTreeMap<String, LiveUser> {
        let read = |listed: ListedUser<'_>| {
            let truth = world.users.iter().find(|user| user.name == listed.name()).unwrap();
            let mut live = LiveUser::default();
            while let Some(read) = listed.next_read(asked, &live) {
                match read {
                    Read::LoginProfile => live.login_profile = Some(truth.has_password.clone()),
                    Read::Devices => live.devices = Some(truth.devices.clone()),
                }
            }
            (listed.name().to_owned(), live)
        };
        candidates(asked, snapshot).into_iter().map(read).collect()
    }

    fn failing(findings: &[Finding]) -> BTreeSet<(Check, String)> {
        findings
            .iter()
            .filter(|finding| finding.verdict() == Verdict::Fail)
            .map(|finding| (finding.subject().check, finding.subject().resource.clone()))
            .collect()
    }

    /// Specs that ask for more, one step each.
    fn stricter(desired: &MfaControl) -> Vec<MfaControl> {
        let root = desired.root_user.clone().unwrap_or_default();
        let root = [
            RootUser { require_mfa: true, ..root.clone() },
            RootUser { require_hardware_mfa: true, ..root.clone() },
            RootUser { forbid_access_keys: true, ..root.clone() },
            RootUser { require_unused_for: Some("9999d".into()), ..root },
        ];
        let users = desired.users.clone().unwrap_or_default();
        let users = [
            UserMfa { require_phishing_resistant: true, ..users.clone() },
            UserMfa { scope: UserScope::AllUsers, ..users.clone() },
            UserMfa { scope: UserScope::AllUsers, require_phishing_resistant: true, ..users.clone() },
        ];
        let of_root = root.map(|root| MfaControl { root_user: Some(root), ..desired.clone() });
        let of_users = users.map(|users| MfaControl { users: Some(users), ..desired.clone() });
        of_root.into_iter().chain(of_users).collect()
    }

    proptest! {
        #[test]
        fn whatever_is_observed_each_row_is_there_once_and_nothing_panics(world in world(), desired in desired()) {
            let findings = evaluate(&desired, &observe(&world, &desired));
            let subjects: Vec<_> = findings.iter().map(|finding| finding.subject().clone()).collect();
            prop_assert!(subjects.is_sorted());
            let distinct: BTreeSet<_> = subjects.iter().map(Subject::id).collect();
            prop_assert_eq!(distinct.len(), findings.len());
            let not_read = findings.iter().filter(|f| f.message().contains("was not made")).count();
            prop_assert_eq!(not_read, 0, "the observation left out what the evaluation asks for");
        }

        #[test]
        fn an_account_of_which_nothing_was_read_gets_no_verdict(world in world(), desired in desired()) {
            let unread = Snapshot {
                summary: None,
                root_has_virtual_mfa: None,
                report: None,
                users: None,
                administrators: None,
                live: BTreeMap::new(),
                ..observe(&world, &desired)
            };
            for finding in evaluate(&desired, &unread) {
                prop_assert_eq!(finding.verdict(), Verdict::Unknown);
            }
        }

        #[test]
        fn a_stricter_spec_never_fails_less(world in world(), desired in desired()) {
            let fails = failing(&evaluate(&desired, &observe(&world, &desired)));
            for stricter in stricter(&desired) {
                let more = failing(&evaluate(&stricter, &observe(&world, &stricter)));
                prop_assert!(fails.is_subset(&more), "{:?} fails less than {:?}", stricter, desired);
            }
        }

        #[test]
        fn a_stricter_account_never_fails_more(
            world in world(), desired in desired(), steps in prop::collection::vec(0..3_u8, 8), root in 0..4_u8,
        ) {
            let mut strict = world.clone();
            for (user, step) in strict.users.iter_mut().zip(steps) {
                match (step, &mut user.devices) {
                    (1, Observed::Complete { value, .. }) => value.push(MfaDevice::Fido),
                    (2, _) => user.has_password = Observed::complete(false, at(2_000_000_000)),
                    _ => {}
                }
            }
            if let Observed::Complete { value: summary, .. } = &mut strict.summary {
                match root {
                    1 => {
                        summary.root_mfa_enabled = true;
                        strict.root_has_virtual_mfa = Observed::complete(false, at(2_000_000_000));
                    }
                    2 => {
                        summary.root_access_keys_present = false;
                        summary.root_signing_certificates_present = false;
                    }
                    3 => {
                        summary.root_access_keys_present = false;
                        summary.root_signing_certificates_present = false;
                        summary.root_password_present = Some(false);
                    }
                    _ => {}
                }
            }
            let fewer = failing(&evaluate(&desired, &observe(&strict, &desired)));
            let fails = failing(&evaluate(&desired, &observe(&world, &desired)));
            prop_assert!(fewer.is_subset(&fails), "{:?} {:?}", fewer, fails);
        }

        #[test]
        fn the_order_of_users_and_rows_never_matters(world in world(), desired in desired()) {
            let mut reversed = world.clone();
            reversed.users.reverse();
            let findings = evaluate(&desired, &observe(&world, &desired));
            prop_assert_eq!(findings, evaluate(&desired, &observe(&reversed, &desired)));
        }

        #[test]
        fn nobody_fails_who_has_a_device_and_nobody_passes_by_a_live_read_who_has_none(
            world in world(), desired in desired(),
        ) {
            for finding in evaluate(&desired, &observe(&world, &desired)) {
                let name = finding.subject().resource.rsplit('/').next().unwrap_or_default();
                let Some(truth) = world.users.iter().find(|user| user.name == name) else { continue };
                let has_device = truth.devices.value().map(|devices| !devices.is_empty());
                match (finding.subject().check, finding.verdict()) {
                    (Check::UserMfa, Verdict::Fail) => prop_assert_eq!(has_device, Some(false)),
                    (Check::UserMfa, Verdict::Pass) if finding.observed() != "MFA active" => {
                        prop_assert_eq!(has_device, Some(true));
                    }
                    _ => {}
                }
            }
        }
    }
}
