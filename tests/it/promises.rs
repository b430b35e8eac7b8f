//! The promises of enforcement that are about others: whoever edits, withdraws, fights or uninstalls meanwhile.

use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use plumbline::api::{AccountBaseline, AwsAccount};
use plumbline_rig::aws_proxy::{Action, Matcher};
use serde_json::{Value, json};

use crate::enforced::{CONTROLS, Enforced, STATE, blocked_by, outcomes};
use crate::support::drift;

/// What somebody does while the first change is under way and the operator's watches are frozen.
#[derive(Clone, Copy, Debug)]
enum Withdrawal {
    Mode,
    Suspend,
    SuspendAccount,
    NoEnforceRole,
    Delete,
    DeleteAndMakeAgain,
}

impl Withdrawal {
    const ALL: [Self; 6] =
        [Self::Mode, Self::Suspend, Self::SuspendAccount, Self::NoEnforceRole, Self::Delete, Self::DeleteAndMakeAgain];

    async fn happen(self, enforced: &Enforced) {
        let client = enforced.world.client.clone();
        let (baselines, accounts) = (Api::<AccountBaseline>::all(client.clone()), Api::<AwsAccount>::all(client));
        let id = &enforced.world.id;
        let account = async |spec: Value| {
            let patch = Patch::Merge(json!({"spec": spec}));
            accounts.patch(id, &PatchParams::default(), &patch).await.unwrap();
        };
        match self {
            Self::Mode => drop(enforced.patch(json!({"mode": "Audit"})).await),
            Self::Suspend => drop(enforced.patch(json!({"suspend": true})).await),
            Self::SuspendAccount => account(json!({"suspend": true})).await,
            Self::NoEnforceRole => account(json!({"enforceRoleName": null})).await,
            Self::Delete => drop(baselines.delete(id, &DeleteParams::default()).await.unwrap()),
            Self::DeleteAndMakeAgain => {
                baselines.delete(id, &DeleteParams::default()).await.unwrap();
                enforced.world.baseline(CONTROLS, ", mode: Audit").await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p6_once_the_intent_is_withdrawn_at_most_the_call_in_flight_completes() {
    let runs = Withdrawal::ALL.map(|withdrawal| async move {
        let enforced = Enforced::new().await;
        let aws = enforced.world.aws.proxy();
        // Long enough that what follows is over before the first write is.
        let first = Matcher::operation("s3", "PutBucketEncryption");
        aws.rule(first, Action::Delay(Duration::from_secs(5)), Some(1));
        let _operator = enforced.operator();
        let arrived = || aws.calls().iter().any(|call| call.operation == "PutBucketEncryption");
        enforced.wait("the first write is under way", arrived).await;
        for kind in ["accountbaselines", "awsaccounts"] {
            enforced.kube.freeze(kind);
        }
        withdrawal.happen(&enforced).await;
        let settled = || enforced.kube.calls_of("update-status", "changerecords").iter().any(|c| c.status == Some(200));
        enforced.wait("the first change is settled", settled).await;
        let tried = || {
            let records = enforced.kube.calls_of("create", "changerecords").len();
            let ended = enforced.kube.calls_of("update-status", "changerecords").len();
            records == 1 || ended == records
        };
        enforced.wait("nothing is under way", tried).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let names = enforced.change_names();
        assert_eq!(names, ["s3:PutBucketEncryption"], "{withdrawal:?}: the call in flight, and no other");
        for kind in ["accountbaselines", "awsaccounts"] {
            enforced.kube.thaw(kind);
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(enforced.change_names(), names, "{withdrawal:?}: nor later");
        let records = enforced.records().await;
        enforced.assert_recorded(&records);
        assert!(outcomes(&records).iter().all(|(_, outcome)| outcome != "none"), "{withdrawal:?}");
    });
    futures::future::join_all(runs).await;
}

#[tokio::test]
async fn p8_pw_14_what_others_undo_three_times_is_contested_and_left_alone() {
    let controls = "{passwordPolicy: {minimumPasswordLength: 14}}";
    let enforced = Enforced::of("passwordPolicy: {minimumPasswordLength: 8}", controls, "").await;
    let _operator = enforced.operator();
    let id = &enforced.seeded.account_id;
    for round in 1..=3 {
        enforced.wait("closed", || enforced.change_names().len() == round).await;
        enforced.quiet().await;
        // Never twice the same value: it is the fight that counts, not the weapon.
        let length = (7 + round).to_string();
        let weaker = [("MinimumPasswordLength", length.as_str())];
        enforced.world.aws.iam(id, "UpdateAccountPasswordPolicy", &weaker).await.unwrap();
        enforced.look_again(&format!("round {round}")).await;
    }
    let baseline = enforced.blocked("Contested").await;
    let entry = drift(&baseline, "MinimumPasswordLength")[0];
    assert_eq!(entry.remediation_reason.as_deref(), Some("Contested"));
    assert_eq!(enforced.change_names().len(), 3);
    for value in ["once more", "and again"] {
        enforced.look_again(value).await;
    }
    assert_eq!(enforced.change_names().len(), 3, "reported, no longer changed");
    assert!(blocked_by(&enforced.world.stored().await).is_some());
}

#[tokio::test]
async fn pw_13_where_two_baselines_are_for_one_account_neither_enforces_and_each_names_the_other() {
    let enforced = Enforced::of(STATE, CONTROLS, "").await;
    let (id, account) = (&enforced.world.id, &enforced.seeded.account_id);
    let client = &enforced.world.client;
    let twin = format!("{id}-twin");
    let meta = json!({"name": twin, "labels": {"test": id}});
    crate::support::apply::<AwsAccount>(
        client,
        json!({"apiVersion": "plumbline.dev/v1alpha1", "kind": "AwsAccount", "metadata": meta,
            "spec": {"accountId": account, "auditRoleName": "PlumblineAudit", "externalId": "0f6c9a"}}),
    )
    .await;
    crate::support::apply::<AccountBaseline>(
        client,
        json!({"apiVersion": "plumbline.dev/v1alpha1", "kind": "AccountBaseline", "metadata": {"name": twin},
            "spec": {"accountRef": {"name": twin}, "controls": {"passwordPolicy": {"minimumPasswordLength": 8}}}}),
    )
    .await;
    let _operator = enforced.operator();
    let first = enforced.blocked("Conflict").await;
    assert!(blocked_by(&first).unwrap().1.contains(&twin), "{:?}", blocked_by(&first));
    enforced.look_again("again").await;
    assert_eq!(enforced.change_names(), [""; 0]);
    Api::<AccountBaseline>::all(client.clone()).delete(&twin, &DeleteParams::default()).await.unwrap();
    enforced.look_again("the twin is gone").await;
    enforced.quiet().await;
    assert_eq!(enforced.change_names().len(), 5);
}

#[tokio::test]
async fn p17_pw_19_deleting_what_was_declared_changes_nothing_and_keeps_the_records() {
    let enforced = Enforced::new().await;
    let _operator = enforced.operator();
    enforced.quiet().await;
    let (names, records) = (enforced.change_names(), enforced.records().await);
    let client = enforced.world.client.clone();
    let id = &enforced.world.id;
    Api::<AccountBaseline>::all(client.clone()).delete(id, &DeleteParams::default()).await.unwrap();
    Api::<AwsAccount>::all(client).delete(id, &DeleteParams::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(enforced.change_names(), names);
    let left: Vec<String> = enforced.records().await.iter().map(ResourceExt::name_any).collect();
    assert_eq!(left, records.iter().map(ResourceExt::name_any).collect::<Vec<_>>());
}
