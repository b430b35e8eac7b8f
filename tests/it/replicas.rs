//! Several processes of one operator, and several operators side by side: who works, and who takes over.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use plumbline_rig::aws_proxy::{Action as AwsAction, Matcher as AwsMatcher};
use plumbline_rig::kube_proxy::{Action as KubeAction, Matcher as KubeMatcher};
use plumbline_rig::supervisor::{Signal, Supervised};
use serde_json::json;

use crate::enforced::{CHANGES, CONTROLS, Enforced, STATE, outcomes};
use crate::process::readyz;
use crate::support::World;

/// The name of the Lease, as a log says it.
fn lease_name(log: &str) -> &str {
    let (_, rest) = log.split_once("lease=\"").unwrap_or_else(|| panic!("no Lease in the log:\n{log}"));
    rest.split_once('"').unwrap().0
}

/// The Lease that a log is about.
pub(crate) async fn lease(world: &World, log: &str) -> Lease {
    Api::namespaced(world.client.clone(), "plumbline-system").get(lease_name(log)).await.unwrap()
}

/// Who holds a Lease.
pub(crate) fn holder(lease: &Lease) -> Option<String> {
    lease.spec.clone().unwrap().holder_identity
}

fn log(operator: &Supervised) -> String {
    std::fs::read_to_string(operator.log()).unwrap()
}

fn leads(operator: &Supervised) -> bool {
    log(operator).contains(" leads ")
}

impl Enforced {
    /// Starts one of several enforcing replicas.
    fn replica(&self, name: &str, more: &[&str]) -> Supervised {
        let args = ["--enforce", "--max-changes-per-hour", "100000"];
        let args: Vec<&str> = args.iter().chain(more).copied().collect();
        self.world.start_as(name, &self.kube.kubeconfig(self.world.kubeconfig()).unwrap(), &args)
    }

    /// Two replicas, of which the first leads and both are ready.
    async fn replicas(&self, more: &[&str]) -> (Supervised, Supervised) {
        let first = self.replica("first", more);
        self.wait("the first leads", || leads(&first)).await;
        let second = self.replica("second", more);
        readyz(&second, 200, "[+]lease ok").await;
        assert!(!leads(&second), "{}", log(&second));
        (first, second)
    }

    /// An account in which nothing is done before [`Self::begin`].
    async fn suspended() -> Self {
        Self::of(STATE, CONTROLS, ", suspend: true").await
    }

    async fn begin(&self) {
        self.patch(json!({"suspend": false})).await;
    }

    /// Everything was changed once, and every record says what became of its change.
    async fn assert_changed_once(&self, what: &str) {
        self.quiet().await;
        let mut changes = self.change_names();
        changes.sort();
        let mut expected = CHANGES.map(str::to_owned).to_vec();
        expected.sort();
        assert_eq!(changes, expected, "{what}: each change takes effect once");
        let records = self.records().await;
        self.assert_recorded(&records);
        let of = |wanted: &str| outcomes(&records).iter().filter(|(_, outcome)| outcome == wanted).count();
        assert_eq!(of("Succeeded"), CHANGES.len(), "{what}: {:?}", outcomes(&records));
        assert_eq!(records.len() - of("Succeeded") - of("NotApplied"), 0, "{what}: {:?}", outcomes(&records));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_asked_to_end_gives_its_lease_back_and_the_other_takes_over_at_once() {
    let enforced = Enforced::new().await;
    // So long that nobody waits for its end.
    let (mut first, second) = enforced.replicas(&["--lease-duration", "30m"]).await;
    readyz(&first, 200, "[+]watch-accountbaselines ok").await;
    let before = lease(&enforced.world, &log(&first)).await.spec.unwrap();
    first.signal(Signal::Term).unwrap();
    assert!(first.wait(Duration::from_secs(30)).await.unwrap().success(), "{}", log(&first));
    assert!(log(&first).contains("released"), "{}", log(&first));
    enforced.wait("the second leads", || leads(&second)).await;
    let after = lease(&enforced.world, &log(&second)).await.spec.unwrap();
    assert_ne!(before.holder_identity, after.holder_identity);
    assert_eq!(after.lease_transitions, before.lease_transitions.map(|count| count + 1));
    readyz(&second, 200, "[+]watch-accountbaselines ok").await;
    enforced.assert_changed_once("taken over").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p2_a_leader_that_is_killed_is_followed_when_its_lease_has_ended() {
    let enforced = Enforced::suspended().await;
    let change = AwsMatcher::operation("iam", "UpdateAccountPasswordPolicy").mutating();
    enforced.world.aws.proxy().rule(change, AwsAction::HangAnswer, Some(1));
    let (mut first, second) = enforced.replicas(&[]).await;
    enforced.begin().await;
    let calls = || enforced.world.aws.proxy().calls();
    let stands = || calls().iter().any(|call| call.fault.as_deref() == Some("HungAfterActing"));
    enforced.wait("the first stands at a change", stands).await;
    let held = lease(&enforced.world, &log(&first)).await;
    first.kill().await.unwrap();
    enforced.wait("the second leads", || leads(&second)).await;
    assert_ne!(holder(&held), holder(&lease(&enforced.world, &log(&second)).await));
    enforced.assert_changed_once("killed").await;
}

/// Stops the leader at a call that the rig delays, lets the other one finish, and wakes the first up.
async fn sleeps_through(enforced: &Enforced, what: &str, stands: impl Fn() -> bool) {
    let (mut first, second) = enforced.replicas(&[]).await;
    enforced.begin().await;
    enforced.wait(&format!("the first stands at {what}"), stands).await;
    first.signal(Signal::Stop).unwrap();
    enforced.wait("the second leads", || leads(&second)).await;
    enforced.assert_changed_once(what).await;
    let (records, calls) = (enforced.records().await, enforced.changes().len());

    first.signal(Signal::Continue).unwrap();
    enforced.wait("the first sees that it slept", || log(&first).contains("the Lease is lost")).await;
    enforced.wait("the first follows", || log(&first).contains("waits for the Lease")).await;
    readyz(&first, 200, "[+]lease ok").await;
    assert_eq!(enforced.changes().len(), calls, "{what}: the one that woke up changes nothing: {}", log(&first));
    let now = enforced.records().await;
    assert_eq!(outcomes(&now), outcomes(&records), "{what}: what was written stays");
    enforced.look_again("quiet").await;
    assert_eq!(enforced.changes().len(), calls, "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p6_a_leader_that_froze_while_its_call_was_under_way_sends_nothing_more_when_it_wakes_up() {
    let enforced = Enforced::suspended().await;
    let change = AwsMatcher::operation("s3", "PutBucketEncryption").mutating();
    enforced.world.aws.proxy().rule(change, AwsAction::Delay(Duration::from_secs(2)), Some(1));
    let calls = || enforced.world.aws.proxy().calls();
    let stands = || calls().iter().any(|call| call.mutating && call.fault.as_deref() == Some("Delay"));
    sleeps_through(&enforced, "its call", stands).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p6_a_leader_that_froze_just_before_its_call_does_not_send_it_when_it_wakes_up() {
    let enforced = Enforced::suspended().await;
    // The last thing that is read afresh before a change.
    enforced.kube.rule(
        KubeMatcher::call("get", "accountbaselines").nth(1),
        KubeAction::Delay(Duration::from_secs(2)),
        Some(1),
    );
    let stands = || enforced.kube.calls().iter().any(|call| call.fault.as_deref() == Some("Delay"));
    sleeps_through(&enforced, "its last look", stands).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_replicas_that_only_look_one_works_and_the_other_is_ready() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 14}").await;
    world.account(&seeded.account_id, "").await;
    world.baseline("{passwordPolicy: {minimumPasswordLength: 14}}", "").await;
    let start = |name: &str| world.start_as(name, world.kubeconfig(), &["--leader-elect", "--lease-duration", "30m"]);
    let mut first = start("first");
    world.evaluated(1).await;
    let second = start("second");
    let report = readyz(&second, 200, "[+]lease ok").await;
    assert!(!report.contains("watch-"), "{report}");
    assert!(!leads(&second) && !log(&second).contains("watching accounts"), "{}", log(&second));
    let before = world.aws.proxy().calls().len();
    let stored = world.baseline("{passwordPolicy: {minimumPasswordLength: 15}}", "").await;
    world.evaluated(stored.metadata.generation.unwrap()).await;
    assert!(world.aws.proxy().calls().len() > before && !log(&second).contains(" account{"), "{}", log(&second));
    first.signal(Signal::Term).unwrap();
    assert!(first.wait(Duration::from_secs(30)).await.unwrap().success());
    readyz(&second, 200, "[+]watch-accountbaselines ok").await;
    let stored = world.baseline("{passwordPolicy: {minimumPasswordLength: 16}}", "").await;
    world.evaluated(stored.metadata.generation.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_with_different_selectors_hold_leases_of_their_own_and_work_side_by_side() {
    let (one, two) = tokio::join!(Enforced::new(), Enforced::new());
    let (first, second) = (one.replica("first", &[]), two.replica("second", &[]));
    tokio::join!(one.quiet(), two.quiet());
    let leases = (lease(&one.world, &log(&first)).await, lease(&two.world, &log(&second)).await);
    assert_ne!(leases.0.metadata.name, leases.1.metadata.name);
    assert!(holder(&leases.0).is_some() && holder(&leases.1).is_some() && holder(&leases.0) != holder(&leases.1));
}
