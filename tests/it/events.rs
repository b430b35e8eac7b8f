//! Events of the operator: on transitions, once each, and none in between.

use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use plumbline::api::AccountBaseline;
use plumbline_rig::aws_proxy::{Action, Matcher, ProxyOptions};
use plumbline_rig::kube_proxy::{self, KubeProxy};
use plumbline_rig::supervisor::Signal;
use serde_json::json;

use crate::support::{World, verdict};

const PASSWORDS: &str = "{passwordPolicy: {minimumPasswordLength: 14}}";

/// The Events of an object of this test: reason, type and note, in the order in which they came.
async fn events(world: &World, kind: &str) -> Vec<(String, String, String)> {
    let mut events =
        Api::<Event>::namespaced(world.client.clone(), "default").list(&ListParams::default()).await.unwrap();
    events.items.sort_by_key(|event| event.event_time.clone());
    let of_object = |event: &Event| {
        let regarding = event.regarding.clone().unwrap_or_default();
        regarding.kind.as_deref() == Some(kind) && regarding.name.as_deref() == Some(&world.id)
    };
    let events = events.items.into_iter().filter(of_object);
    events.map(|event| (event.reason.unwrap(), event.type_.unwrap(), event.note.unwrap())).collect()
}

async fn reasons(world: &World, kind: &str) -> Vec<String> {
    events(world, kind).await.into_iter().map(|(reason, _, _)| reason).collect()
}

/// Waits until the baseline has this many Events.
async fn told(world: &World, count: usize) -> Vec<String> {
    told_of(world, "AccountBaseline", count).await
}

/// Waits until an object of this kind has this many Events.
async fn told_of(world: &World, kind: &str, count: usize) -> Vec<String> {
    let deadline = tokio::time::Instant::now() + crate::support::PATIENCE;
    loop {
        let reasons = reasons(world, kind).await;
        if reasons.len() >= count {
            return reasons;
        }
        assert!(tokio::time::Instant::now() < deadline, "{reasons:?}\n{}", world.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn look_again(world: &World, value: &str) {
    let patch = json!({"metadata": {"annotations": {"plumbline.dev/requestedAt": value}}});
    let api = Api::<AccountBaseline>::all(world.client.clone());
    api.patch(&world.id, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    let handled = |baseline: &AccountBaseline| {
        baseline.status.as_ref().is_some_and(|status| status.last_handled_reconcile_at.as_deref() == Some(value))
    };
    world.until("asked for", handled).await;
}

async fn proxied(world: &World) -> KubeProxy {
    let options = ProxyOptions { sequence: Some(std::sync::Arc::clone(&world.sequence)), ..ProxyOptions::default() };
    KubeProxy::start(world.kubeconfig(), options).await.unwrap()
}

#[tokio::test]
async fn a_steady_state_and_a_restart_publish_nothing_and_each_transition_publishes_once() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 8}").await;
    world.account(&seeded.account_id, "").await;
    world.baseline(PASSWORDS, "").await;
    let kube = proxied(&world).await;
    let kubeconfig = kube.kubeconfig(world.kubeconfig()).unwrap();
    let mut operator = world.start(&kubeconfig, &[]);
    world.evaluated(1).await;
    assert_eq!(told(&world, 1).await, ["DriftDetected"]);
    let (_, weight, note) = events(&world, "AccountBaseline").await.remove(0);
    assert_eq!(weight, "Warning");
    assert!(note.contains("MinimumPasswordLength") && note.contains("desired 14, observed 8"), "{note}");
    assert_eq!(told_of(&world, "AwsAccount", 1).await, ["AccountReachable"]);

    let published =
        |kube: &KubeProxy| kube.calls().iter().filter(|call| call.mutating && call.resource == "events").count();
    let before = published(&kube);
    for value in ["one", "two", "three"] {
        look_again(&world, value).await;
    }
    operator.signal(Signal::Kill).unwrap();
    drop(operator);
    let _operator = world.start(&kubeconfig, &[]);
    look_again(&world, "four").await;
    // The next Event comes after whatever those evaluations would have told.
    world.baseline("{passwordPolicy: {minimumPasswordLength: 6}}", "").await;
    world.evaluated(2).await;
    assert_eq!(told(&world, 2).await, ["DriftDetected", "DriftResolved"]);
    assert_eq!(published(&kube), before + 1, "{:#?}", kube.calls_of("create", "events"));
    assert_eq!(reasons(&world, "AwsAccount").await, ["AccountReachable"]);
}

#[tokio::test]
async fn an_account_that_goes_and_comes_back_is_told_of_once_however_often_it_is_tried() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 16}").await;
    world.account(&seeded.account_id, "").await;
    world.baseline(PASSWORDS, "").await;
    let operator = world.operator();
    world.evaluated(1).await;
    drop(operator);
    let denied = || Action::AccessDenied { message: None };
    world.aws.proxy().rule(Matcher::operation("sts", "AssumeRole"), denied(), None);
    let _operator = world.operator();
    let ready_is = |reason: &'static str| {
        move |baseline: &AccountBaseline| verdict(baseline, "Ready").is_some_and(|ready| ready.1 == reason)
    };
    let patch = json!({"metadata": {"annotations": {"plumbline.dev/requestedAt": "now"}}});
    let api = Api::<AccountBaseline>::all(world.client.clone());
    api.patch(&world.id, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    world.until("away", ready_is("AccountUnreachable")).await;
    // It is tried again, and again: two more refusals.
    let tries = world.aws.proxy().count("sts", "AssumeRole");
    let deadline = tokio::time::Instant::now() + crate::support::PATIENCE;
    while world.aws.proxy().count("sts", "AssumeRole") < tries + 2 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    world.aws.proxy().clear_rules();
    world.until("back", ready_is("Evaluated")).await;
    let reasons = told(&world, 2).await;
    assert_eq!(reasons, ["AccountUnreachable", "AccountReachable"]);
}

#[tokio::test]
async fn a_status_that_was_not_written_tells_nothing_and_one_whose_answer_was_lost_tells_once() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 8}").await;
    world.account(&seeded.account_id, "").await;
    let kube = proxied(&world).await;
    let write = || kube_proxy::Matcher::call("update-status", "accountbaselines").name(&world.id);
    // The newest rule decides: one refusal that is final, then an answer that is lost.
    kube.rule(write(), kube_proxy::Action::DropAnswer, Some(1));
    kube.rule(write(), kube_proxy::Action::Status(403), Some(1));
    world.baseline(PASSWORDS, "").await;
    let _operator = world.start(&kube.kubeconfig(world.kubeconfig()).unwrap(), &[]);
    world.evaluated(1).await;
    assert_eq!(told(&world, 1).await, ["DriftDetected"]);
    look_again(&world, "again").await;
    world.baseline("{passwordPolicy: {minimumPasswordLength: 6}}", "").await;
    assert_eq!(told(&world, 2).await, ["DriftDetected", "DriftResolved"]);
    let faults: Vec<_> = kube.calls().into_iter().filter_map(|call| call.fault).collect();
    assert_eq!(faults, ["Status", "DropAnswer"]);
}
