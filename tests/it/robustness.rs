//! The operator when the API server, its watches, AWS or the objects themselves misbehave. Counts and end states are
//! asserted, never times.

use std::time::Duration;

use futures::TryStreamExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use kube::{Api, Resource, ResourceExt};
use plumbline::api::{AccountBaseline, AwsAccount};
use plumbline_rig::aws_proxy::{Action as AwsAction, Matcher as AwsMatcher, ProxyOptions};
use plumbline_rig::controlplane::{ControlPlane, manifests};
use plumbline_rig::kube_proxy::{Action, Call, KubeProxy, Matcher};
use plumbline_rig::supervisor::{Signal, Supervised};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::time::sleep;

use crate::metrics::{self, Scrape};
use crate::support::{World, condition, drift, file, prepare, verdict};

const PASSWORDS: &str = "{passwordPolicy: {minimumPasswordLength: 14}}";

/// The plurals of what the operator watches here.
const KINDS: [&str; 2] = ["accountbaselines", "awsaccounts"];

/// A world whose operator reaches the API server through a proxy.
struct Robust {
    world: World,
    kube: KubeProxy,
    account_id: String,
    operator: Supervised,
}

impl Robust {
    /// An account with a password policy of length 8, and the operator.
    async fn new() -> Self {
        Self::of(World::new().await, PASSWORDS, "").await
    }

    async fn of(world: World, controls: &str, more: &str) -> Self {
        let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 8}").await;
        world.account(&seeded.account_id, "").await;
        world.baseline(controls, more).await;
        let kube = KubeProxy::start(world.kubeconfig(), ProxyOptions::default()).await.unwrap();
        let operator = world.operator_by(&kube.kubeconfig(world.kubeconfig()).unwrap());
        Self { world, kube, account_id: seeded.account_id, operator }
    }

    /// How often the account was evaluated.
    fn evaluations(&self) -> usize {
        self.world.aws.proxy().count("iam", "GetAccountPasswordPolicy")
    }

    /// The statuses with which the API server answered writes of the baseline's status.
    fn writes(&self) -> Vec<Option<u16>> {
        let calls = self.kube.calls_of("update-status", "accountbaselines");
        calls.iter().filter(|call| call.name.as_ref() == Some(&self.world.id)).map(|call| call.status).collect()
    }

    /// Waits for the answer of the nth write, which the proxy files a moment after others can see what was written.
    async fn answered(&self, nth: usize) {
        self.wait("answered", |robust| robust.writes().get(nth - 1).is_some_and(Option::is_some)).await;
    }

    /// Asks for an evaluation as `kubectl annotate` does.
    async fn request(&self, value: &str) {
        let patch = json!({"metadata": {"annotations": {"plumbline.dev/requestedAt": value}}});
        let api = Api::<AccountBaseline>::all(self.world.client.clone());
        api.patch(&self.world.id, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    async fn handled(&self, value: &str) -> AccountBaseline {
        let is = |baseline: &AccountBaseline| {
            baseline.status.as_ref().is_some_and(|status| status.last_handled_reconcile_at.as_deref() == Some(value))
        };
        self.world.until("asked for", is).await
    }

    /// The operator still runs, and none of its tasks ended by a panic.
    fn healthy(&mut self) {
        let log = self.world.log();
        assert_eq!(self.operator.exited().unwrap(), None, "{log}");
        assert!(!log.contains("panicked"), "{log}");
    }

    /// Waits for what cannot be seen in the baseline.
    async fn wait(&self, what: &str, is: impl Fn(&Self) -> bool) {
        for _ in 0..1200 {
            if is(self) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("not in time: {what}\n{}\n{:#?}", self.world.log(), self.kube.calls());
    }

    fn logged(&self, text: &str) -> usize {
        self.world.log().matches(text).count()
    }
}

/// A control plane of this module whose CRDs accept everything, as those of another version might: what the API server
/// refuses today may be stored already, and an interval may be of one second.
async fn lenient() -> &'static ControlPlane {
    static READY: OnceCell<ControlPlane> = OnceCell::const_new();
    READY
        .get_or_init(|| async {
            let mut crds = manifests(&file("crds")).unwrap();
            for version in crds.iter_mut().flat_map(|crd| crd["spec"]["versions"].as_array_mut().unwrap()) {
                version["schema"]["openAPIV3Schema"] =
                    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
                // Only fields of the schema can be selected by.
                version.as_object_mut().unwrap().remove("selectableFields");
            }
            let cluster = ControlPlane::start().await.unwrap();
            prepare(&cluster, &crds).await;
            cluster
        })
        .await
}

/// Stores an object that no type of ours could hold.
async fn store<K: Resource<DynamicType = ()>>(world: &World, name: &str, spec: Value) {
    let api = Api::<DynamicObject>::all_with(world.client.clone(), &ApiResource::erase::<K>(&()));
    let object = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()),
        "metadata": {"name": name, "labels": {"test": world.id}}, "spec": spec,
    });
    api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(object)).await.unwrap();
}

/// The baseline of this name as it becomes, once it is as it should be.
async fn until(robust: &Robust, name: &str, is: impl Fn(&AccountBaseline) -> bool) -> AccountBaseline {
    let api = Api::<AccountBaseline>::all(robust.world.client.clone());
    for _ in 0..1200 {
        let baseline = api.get(name).await.unwrap();
        if is(&baseline) {
            return baseline;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{name}: {:#?}\n{}", api.get(name).await.unwrap().status, robust.world.log());
}

fn is(reason: &'static str) -> impl Fn(&AccountBaseline) -> bool {
    move |baseline| verdict(baseline, "Ready").is_some_and(|(_, ready)| ready == reason)
}

fn compliant(reason: &'static str) -> impl Fn(&AccountBaseline) -> bool {
    move |baseline| verdict(baseline, "Compliant").is_some_and(|(_, compliant)| compliant == reason)
}

/// The versions of the baseline after one, from the API server's own memory of events.
async fn versions_since(world: &World, first: &AccountBaseline) -> Vec<AccountBaseline> {
    let last = world.stored().await.resource_version().unwrap();
    let api = Api::<AccountBaseline>::all(world.client.clone());
    let params = WatchParams::default().fields(&format!("metadata.name={}", world.id));
    let mut events = Box::pin(api.watch(&params, &first.resource_version().unwrap()).await.unwrap());
    let mut versions = Vec::new();
    while versions.last().map_or(first.resource_version(), AccountBaseline::resource_version) != Some(last.clone()) {
        if let WatchEvent::Modified(baseline) = events.try_next().await.unwrap().unwrap() {
            versions.push(baseline);
        }
    }
    versions
}

#[tokio::test]
async fn malformed_objects_are_named_in_the_log_and_the_others_are_judged() {
    let world = World::on(lenient().await).await;
    let (bad, of_bad) = (format!("{}-bad", world.id), format!("{}-of-bad", world.id));
    store::<AwsAccount>(&world, &bad, json!({"accountId": 12, "regions": "all of them"})).await;
    store::<AccountBaseline>(&world, &bad, json!({"accountRef": {"name": world.id}, "controls": "every one"})).await;
    let names_bad = json!({"accountRef": {"name": bad}, "controls": {"passwordPolicy": {"minimumPasswordLength": 14}}});
    store::<AccountBaseline>(&world, &of_bad, names_bad).await;
    let mut robust = Robust::of(world, PASSWORDS, "").await;
    robust.world.evaluated(1).await;

    let baseline = until(&robust, &of_bad, is("InvalidSpec")).await;
    assert_eq!(verdict(&baseline, "Stalled"), Some(("True".into(), "InvalidSpec".into())));
    let message = &condition(&baseline.status.as_ref().unwrap().conditions, "Ready").unwrap().message;
    assert!(message.contains(&bad) && message.contains("`12`"), "there is one, it is not missing: {message}");
    let log = robust.world.log();
    let unreadable = |kind: &str| {
        log.lines().any(|line| line.contains("cannot read the object") && line.contains(&format!("{kind}=\"{bad}\"")))
    };
    assert!(unreadable("account") && unreadable("baseline"), "{log}");
    // What is not evaluated has no verdict, and says so where people and Prometheus look.
    let withdrawn = |status: &Value| {
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let said = |kind: &str| conditions.iter().find(|it| it["type"] == kind).map(|it| it["reason"].clone());
        (said("Ready"), said("Compliant")) == (Some("InvalidSpec".into()), Some("Stale".into()))
    };
    let api = Api::<DynamicObject>::all_with(robust.world.client.clone(), &ApiResource::erase::<AccountBaseline>(&()));
    for tries in 0.. {
        let stored = api.get(&bad).await.unwrap();
        if withdrawn(&stored.data["status"]) {
            break;
        }
        assert!(tries < 600, "{:#}\n{}", stored.data, robust.world.log());
        sleep(Duration::from_millis(50)).await;
    }
    let ready = [("baseline", bad.as_str()), ("reason", "InvalidSpec")];
    let told = |scrape: &Scrape| scrape.sum("plumbline_baseline_condition", &ready) == Some(1.0);
    let scrape = metrics::until(&robust.world, "the baseline that cannot be read", told).await;
    assert_eq!(scrape.sum("plumbline_baseline_info", &[("baseline", &bad)]), Some(1.0));

    // The watches go on: an edit of the good ones is seen, and so is the repair of the bad ones.
    robust.world.baseline("{passwordPolicy: {minimumPasswordLength: 6}}", "").await;
    robust.world.evaluated(2).await;
    let other = robust.world.seed("passwordPolicy: {minimumPasswordLength: 16}").await;
    let spec = json!({"accountId": other.account_id, "auditRoleName": "PlumblineAudit", "externalId": "0f6c9a",
        "regions": null});
    store::<AwsAccount>(&robust.world, &bad, spec).await;
    let baseline = until(&robust, &of_bad, is("Evaluated")).await;
    assert_eq!(verdict(&baseline, "Compliant"), Some(("True".into(), "AllPassing".into())));
    assert_eq!(verdict(&baseline, "Stalled"), None);
    robust.healthy();
}

#[tokio::test]
async fn an_account_that_is_made_anew_with_another_id_is_evaluated_at_once() {
    // Apart from the others, whose operators would see a baseline without an account.
    let world = World::on(lenient().await).await;
    let weak = world.seed("passwordPolicy: {minimumPasswordLength: 8}").await;
    let strong = world.seed("passwordPolicy: {minimumPasswordLength: 16}").await;
    world.account(&weak.account_id, "").await;
    world.baseline(PASSWORDS, "").await;
    let mut operator = world.operator();
    let first = world.evaluated(1).await;
    assert_eq!(verdict(&first, "Compliant"), Some(("False".into(), "DriftDetected".into())));
    // So that both events are there before the operator looks: there is no moment without an account for it.
    operator.signal(Signal::Stop).unwrap();
    let params = DeleteParams::default();
    Api::<AwsAccount>::all(world.client.clone()).delete(&world.id, &params).await.unwrap();
    assert_eq!(world.account(&strong.account_id, "").await.metadata.generation, Some(1));
    operator.signal(Signal::Continue).unwrap();
    let passes =
        |baseline: &AccountBaseline| verdict(baseline, "Compliant") == Some(("True".into(), "AllPassing".into()));
    world.until("the other account judged", passes).await;
}

#[tokio::test]
async fn while_aws_is_away_it_is_asked_rarely_and_its_return_is_noticed() {
    for outage in [AwsAction::Status(503), AwsAction::Reset] {
        let world = World::new().await;
        world.aws.proxy().rule(AwsMatcher::any(), outage.clone(), None);
        let mut robust = Robust::of(world, PASSWORDS, "").await;
        let away = robust.world.until("unreachable", is("AccountUnreachable")).await;
        assert_eq!(verdict(&away, "Ready").unwrap().0, "False");
        assert_eq!(verdict(&away, "Compliant"), None, "nothing was judged");
        // A hot loop would show itself here.
        sleep(Duration::from_secs(2)).await;
        robust.world.aws.proxy().clear_rules();
        let calls = robust.world.aws.proxy().calls().len();
        robust.world.evaluated(1).await;
        let passes = robust.logged("not evaluated") + robust.logged("not reachable");
        // Of the account and of the baseline one pass, and on a slow machine some more, one of them perhaps under way;
        // in each the caller's own identity and the role are asked for, by an SDK that tries five times.
        assert!(passes <= 6, "{passes} passes: {}", robust.world.log());
        assert!(calls <= 10 * (passes + 1), "{calls} calls in {passes} passes under {outage:?}");
        robust.healthy();
    }
}

#[tokio::test]
async fn p14_a_verdict_that_cannot_be_renewed_turns_stale_and_comes_back() {
    let world = World::on(lenient().await).await;
    let mut robust = Robust::of(world, "{passwordPolicy: {minimumPasswordLength: 8}}", ", interval: 1s").await;
    robust.world.until("judged", compliant("AllPassing")).await;
    robust.world.aws.proxy().rule(AwsMatcher::any(), AwsAction::Status(503), None);
    let stale = robust.world.until("stale", compliant("Stale")).await;
    assert_eq!(verdict(&stale, "Compliant").unwrap().0, "Unknown");
    assert_eq!(verdict(&stale, "Ready"), Some(("False".into(), "AccountUnreachable".into())));
    robust.world.aws.proxy().clear_rules();
    robust.world.until("judged again", compliant("AllPassing")).await;
    robust.healthy();
}

#[tokio::test]
async fn p14_evaluations_go_on_by_their_interval_while_the_watches_are_frozen() {
    let world = World::on(lenient().await).await;
    let mut robust = Robust::of(world, PASSWORDS, ", interval: 1s").await;
    let first = robust.world.evaluated(1).await;
    for kind in KINDS {
        robust.kube.freeze(kind);
    }
    // What the operator cannot see any more: its own writes, and a user's.
    let metadata = json!({"metadata": {"labels": {"seen": "no"}}});
    let api = Api::<AccountBaseline>::all(robust.world.client.clone());
    api.patch(&robust.world.id, &PatchParams::default(), &Patch::Merge(&metadata)).await.unwrap();
    let mut last = first.status.as_ref().unwrap().last_evaluated_at;
    for _ in 0..3 {
        let later = |baseline: &AccountBaseline| baseline.status.as_ref().unwrap().last_evaluated_at > last;
        last = robust.world.until("evaluated again", later).await.status.unwrap().last_evaluated_at;
    }
    assert!(robust.writes().contains(&Some(409)), "its view was old: {:?}", robust.writes());
    let since = |baseline: &AccountBaseline| drift(baseline, "MinimumPasswordLength")[0].since;
    assert_eq!(since(&robust.world.stored().await), since(&first), "what is stored is built upon, not what was seen");

    // An edit that it cannot see: what it judges is not what is asked for, so it says nothing.
    robust.world.baseline("{passwordPolicy: {minimumPasswordLength: 6}}", ", interval: 1s").await;
    let unseen = robust.world.stored().await;
    let before = robust.evaluations();
    robust.wait("two more evaluations", |robust| robust.evaluations() >= before + 3).await;
    let status = robust.world.stored().await.status.unwrap();
    assert_eq!(status.observed_generation, 1);
    assert_eq!(versions_since(&robust.world, &unseen).await.len(), 0);
    for kind in KINDS {
        robust.kube.thaw(kind);
    }
    let baseline = robust.world.evaluated(2).await;
    assert_eq!(verdict(&baseline, "Compliant"), Some(("True".into(), "AllPassing".into())));
    robust.healthy();
}

#[tokio::test]
async fn watches_that_are_cut_again_and_again_lose_no_edit() {
    let mut robust = Robust::new().await;
    robust.world.evaluated(1).await;
    for (generation, length) in [(2, 6), (3, 20), (4, 7)] {
        for kind in KINDS {
            robust.kube.cut(kind);
        }
        // Made while nobody watches, or nearly.
        robust.world.baseline(&format!("{{passwordPolicy: {{minimumPasswordLength: {length}}}}}"), "").await;
        let baseline = robust.world.evaluated(generation).await;
        let expected = if length <= 8 { "AllPassing" } else { "DriftDetected" };
        assert_eq!(verdict(&baseline, "Compliant").unwrap().1, expected);
    }
    assert_eq!(robust.evaluations(), 4, "a cut alone evaluates nothing");
    assert!(robust.kube.calls_of("watch", "awsaccounts").len() >= 4);
    robust.healthy();
}

#[tokio::test]
async fn an_older_list_that_is_played_again_never_overwrites_what_is_newer() {
    let mut robust = Robust::new().await;
    robust.world.evaluated(1).await;
    robust.world.baseline("{passwordPolicy: {minimumPasswordLength: 6}}", "").await;
    let second = robust.world.evaluated(2).await;
    assert_eq!(robust.evaluations(), 2);

    robust.kube.clear();
    robust.kube.rule(Matcher::call("list", "accountbaselines"), Action::ReplayOldest, Some(1));
    robust.kube.rule(Matcher::call("watch", "accountbaselines"), Action::Gone, Some(1));
    robust.kube.freeze("accountbaselines");
    robust.kube.cut("accountbaselines");
    robust.wait("evaluated by the old spec", |robust| robust.writes().contains(&Some(409))).await;
    robust.kube.thaw("accountbaselines");
    // The watch goes on from the old list, so the spec of today comes back by itself, and is judged again.
    robust.wait("evaluated by the new spec", |robust| robust.writes().contains(&Some(200))).await;
    let versions = versions_since(&robust.world, &second).await;
    assert!(!versions.is_empty());
    for version in versions {
        let status = version.status.clone().unwrap();
        assert_eq!((status.observed_generation, status.drift.len()), (2, 0), "{status:#?}");
        assert_eq!(verdict(&version, "Compliant"), Some(("True".into(), "AllPassing".into())));
    }
    robust.healthy();
}

#[tokio::test]
async fn a_write_that_fails_is_repeated_without_another_evaluation_and_takes_effect_once() {
    let mut robust = Robust::new().await;
    let mut before = robust.world.evaluated(1).await;
    let write = || Matcher::call("update-status", "accountbaselines").name(&robust.world.id);
    for (fault, times, expected) in [
        (Action::Status(500), 2, vec![Some(500), Some(500), Some(200)]),
        (Action::Status(429), 1, vec![Some(429), Some(200)]),
        (Action::Status(503), 1, vec![Some(503), Some(200)]),
        (Action::Status(409), 3, vec![Some(409), Some(409), Some(409), Some(200)]),
        (Action::DropRequest, 1, vec![None, Some(200)]),
        (Action::DropAnswer, 1, vec![None]),
    ] {
        robust.kube.clear();
        let evaluations = robust.evaluations();
        robust.kube.rule(write(), fault, Some(times));
        let name = format!("{fault:?}");
        robust.request(&name).await;
        let after = robust.handled(&name).await;
        // Handled once more and to the end, so that nothing of the time before is still to come.
        robust.kube.clear_rules();
        robust.request("quiet").await;
        robust.handled("quiet").await;
        let expected = [expected, vec![Some(200)]].concat();
        robust.answered(expected.len()).await;
        assert_eq!(robust.writes(), expected, "{name}");
        assert_eq!(robust.evaluations(), evaluations + 2, "{name}");
        let versions = versions_since(&robust.world, &before).await;
        assert_eq!(versions.len(), 4, "two requests and two writes under {name}: {versions:#?}");
        before = robust.world.stored().await;
        assert!(after.resource_version() < before.resource_version());
    }
    robust.healthy();
}

#[tokio::test]
async fn a_write_that_is_never_answered_is_given_up_and_made_again() {
    let mut robust = Robust::new().await;
    robust.world.evaluated(1).await;
    robust.kube.clear();
    let write = Matcher::call("update-status", "accountbaselines").name(&robust.world.id);
    robust.kube.rule(write, Action::Hang, Some(1));
    robust.request("hung").await;
    robust.handled("hung").await;
    robust.answered(2).await;
    assert_eq!(robust.writes(), [None, Some(200)]);
    assert_eq!(robust.evaluations(), 2);
    robust.healthy();
}

#[tokio::test]
async fn a_status_that_is_refused_does_not_make_the_operator_read_aws_in_a_loop() {
    let world = World::new().await;
    let mut robust = Robust::of(world, PASSWORDS, ", suspend: true").await;
    robust.world.until("suspended", is("Suspended")).await;
    robust.kube.rule(Matcher::call("update-status", "accountbaselines"), Action::Status(422), None);
    robust.world.baseline(PASSWORDS, "").await;
    robust.wait("said", |robust| robust.logged("could not be written") > 0).await;
    sleep(Duration::from_secs(2)).await;
    // One, and on a slow machine the first repetition.
    let evaluations = robust.evaluations();
    assert!(evaluations <= 2, "{evaluations} evaluations: {}", robust.world.log());
    robust.kube.clear_rules();
    robust.world.evaluated(2).await;
    robust.healthy();
}

#[tokio::test]
async fn p17_deleting_anything_changes_nothing_in_aws_and_what_returns_is_judged() {
    let cluster = ControlPlane::start().await.unwrap();
    let crds = manifests(&file("crds")).unwrap();
    prepare(&cluster, &crds).await;
    let mut robust = Robust::of(World::on(&cluster).await, PASSWORDS, "").await;
    robust.world.evaluated(1).await;
    let (params, id) = (DeleteParams::default(), robust.world.id.clone());
    let accounts = Api::<AwsAccount>::all(robust.world.client.clone());
    let baselines = Api::<AccountBaseline>::all(robust.world.client.clone());

    accounts.delete(&id, &params).await.unwrap();
    robust.world.until("without its account", is("AccountNotFound")).await;
    baselines.delete(&id, &params).await.unwrap();
    robust.world.account(&robust.account_id, "").await;
    robust.world.baseline(PASSWORDS, "").await;
    robust.world.evaluated(1).await;

    // The kinds themselves, with everything of them, while an evaluation is under way.
    let read = AwsMatcher::operation("iam", "GetAccountPasswordPolicy");
    robust.world.aws.proxy().rule(read, AwsAction::Hang, Some(1));
    let evaluations = robust.evaluations();
    robust.request("under way").await;
    robust.wait("under way", |robust| robust.evaluations() > evaluations).await;
    let kinds = Api::<CustomResourceDefinition>::all(robust.world.client.clone());
    for crd in &crds {
        let name = crd["metadata"]["name"].as_str().unwrap();
        kinds.delete(name, &params).await.unwrap();
    }
    for crd in &crds {
        while kinds.get_opt(crd["metadata"]["name"].as_str().unwrap()).await.unwrap().is_some() {
            sleep(Duration::from_millis(20)).await;
        }
    }
    robust.wait("the watch has failed", |robust| robust.logged("watch failed") > 0).await;
    robust.healthy();

    prepare(&cluster, &crds).await;
    robust.world.account(&robust.account_id, "").await;
    robust.world.baseline(PASSWORDS, "").await;
    robust.world.evaluated(1).await;
    let changes: Vec<_> = robust.world.aws.proxy().calls().into_iter().filter(|call| call.mutating).collect();
    assert_eq!(changes, []);
    let written: Vec<_> = robust.kube.calls().into_iter().filter(|call| call.mutating).collect();
    let told = |call: &Call| call.verb == "create" && call.resource == "events";
    assert!(written.iter().all(|call| call.verb == "update-status" || told(call)), "{written:#?}");
    robust.healthy();
}
