//! A real Prometheus scrapes real operators, each with a fault of its own, and the alerts of that fault fire: those and
//! no others.
//!
//! The rules are those that are shipped. Only how long something has to last is cut to seconds. Each operator is told
//! apart by the label `cluster` of its target, as a Prometheus of several clusters does it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{Patch, PatchParams};
use plumbline::api::{AccountBaseline, AwsAccount};
use plumbline_rig::aws_proxy::{Action, Answer, Generator, Matcher};
use plumbline_rig::supervisor::{Program, Supervised};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{RULES, exception_that_ends, prometheus};
use crate::enforced::Enforced;
use crate::support::{PATIENCE, World, file};

const PASSWORDS: &str = "{passwordPolicy: {minimumPasswordLength: 14}}";
const STRICT: &str = "regions: [eu-west-1, us-east-1]\npasswordPolicy: {minimumPasswordLength: 14}";

/// A Prometheus with the rules, each scrape and each look at a rule a second after the last.
struct Prometheus {
    _process: Supervised,
    address: String,
}

impl Prometheus {
    fn scraping(targets: &BTreeMap<&str, String>, folder: &Path) -> Self {
        std::fs::write(folder.join("rules.yaml"), hurried(&std::fs::read_to_string(file(RULES)).unwrap())).unwrap();
        let mut config = "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yaml]\n\
                          scrape_configs:\n  - job_name: plumbline\n    static_configs:\n"
            .to_owned();
        for (cluster, url) in targets {
            let address = url.trim_start_matches("http://");
            writeln!(config, "      - {{targets: ['{address}'], labels: {{cluster: {cluster}}}}}").unwrap();
        }
        std::fs::write(folder.join("prometheus.yaml"), config).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let process = Program::new(prometheus().join("prometheus"), folder.join("prometheus.log"))
            .args([format!("--config.file={}", folder.join("prometheus.yaml").display())])
            .args([format!("--storage.tsdb.path={}", folder.join("data").display())])
            .args([format!("--web.listen-address={address}"), "--log.level=warn".to_owned()])
            .clear_env()
            .start()
            .unwrap();
        Self { _process: process, address }
    }

    /// The alerts that fire, by cluster, and what they say.
    async fn firing(&self) -> BTreeMap<String, BTreeMap<String, Value>> {
        let Some(body) = get(&self.address, "/api/v1/alerts").await else { return BTreeMap::new() };
        let Ok(answer) = serde_json::from_str::<Value>(&body) else { return BTreeMap::new() };
        let mut firing: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for alert in answer["data"]["alerts"].as_array().into_iter().flatten() {
            let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default().to_owned();
            if alert["state"] == "firing" {
                firing.entry(label("cluster")).or_default().insert(label("alertname"), alert.clone());
            }
        }
        firing
    }

    /// The value of a query that has one.
    async fn value(&self, query: &str) -> Option<String> {
        let query: String = query.bytes().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "%{byte:02x}");
            text
        });
        let answer: Value =
            serde_json::from_str(&get(&self.address, &format!("/api/v1/query?query={query}")).await?).ok()?;
        answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    }
}

/// The rules, with all waiting cut to seconds.
fn hurried(rules: &str) -> String {
    let waits = |line: &&str| line.trim_start().starts_with("for: ");
    assert!(rules.lines().filter(waits).count() >= 10, "the rules wait before they alert");
    let mut text = String::new();
    for line in rules.lines() {
        let line =
            if waits(&line) { line.split("for: ").next().unwrap().to_owned() + "for: 2s" } else { line.to_owned() };
        writeln!(text, "{}", line.replace("[10m]", "[4s]")).unwrap();
    }
    text
}

/// The body of an answer; `None` where there is none (yet).
async fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    // 1.0: the answer ends with the connection.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

/// Asks for a look at an object at once.
async fn look_again<K>(world: &World, value: &str)
where
    K: kube::Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let patch = json!({"metadata": {"annotations": {"plumbline.dev/requestedAt": value}}});
    let api = Api::<K>::all(world.client.clone());
    api.patch(&world.id, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
}

/// An account, a baseline and an operator that has evaluated it.
///
/// It may enforce, and so needs the Lease; no baseline asks for it.
async fn evaluated(state: &str, controls: &str) -> (World, String, Supervised) {
    let world = World::new().await;
    let seeded = world.seed(state).await;
    world.account(&seeded.account_id, "").await;
    let baseline = world.baseline(controls, "").await;
    let operator = world.start(world.kubeconfig(), &["--enforce"]);
    world.evaluated(baseline.metadata.generation.unwrap()).await;
    (world, seeded.account_id, operator)
}

/// An account whose role cannot be assumed. It is so from the start: a session that is open goes on for its hour.
async fn denied() -> (World, Supervised) {
    let world = World::new().await;
    let seeded = world.seed(STRICT).await;
    let role = Matcher::operation("sts", "AssumeRole");
    world.aws.proxy().rule(role, Action::AccessDenied { message: None }, None);
    world.account(&seeded.account_id, "").await;
    world.baseline(PASSWORDS, "").await;
    let operator = world.operator();
    world
        .until_account("unreachable", |account| {
            let conditions = account.status.clone().unwrap_or_default().conditions;
            conditions.iter().any(|condition| condition.reason == "AccountUnreachable")
        })
        .await;
    (world, operator)
}

/// An account with a root user without MFA, and an exception that ends in three days.
async fn drifting() -> (World, Supervised) {
    let controls = "{mfa: {rootUser: {requireMfa: true}}}";
    let (world, _, operator) = evaluated("regions: [eu-west-1, us-east-1]", controls).await;
    exception_that_ends(&world).await;
    (world, operator)
}

/// An operator whose first change AWS accepts and does not make.
async fn failing() -> (Enforced, Supervised) {
    let state = "regions: [eu-west-1, us-east-1]\nbuckets:\n  - {name: plain-$ACCOUNT, region: eu-west-1}";
    let enforced = Enforced::of(state, "{s3Encryption: {forbidSseC: true}}", "").await;
    let ignored = Generator::Custom(Arc::new(|_| Some(Answer::new(200, "text/xml", ""))));
    let put = Matcher::operation("s3", "PutBucketEncryption").account(&enforced.seeded.account_id);
    enforced.world.aws.proxy().rule(put, Action::Generate(ignored), None);
    let operator = enforced.operator();
    enforced.blocked("TooManyFailures").await;
    (enforced, operator)
}

/// An operator whose Lease somebody else has taken for a long time and does not use.
async fn leaderless() -> (World, Supervised) {
    let (world, _, mut operator) = evaluated(STRICT, PASSWORDS).await;
    let log = world.log();
    let name = log.split("lease=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    operator.kill().await.unwrap();
    let leases = Api::<Lease>::namespaced(world.client.clone(), "plumbline-system");
    let taken = json!({"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 3600}});
    leases.patch(&name, &PatchParams::default(), &Patch::Merge(&taken)).await.unwrap();
    let lines = log.lines().count();
    let operator = world.start(world.kubeconfig(), &["--enforce"]);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !world.log().lines().skip(lines).any(|line| line.contains("what=\"metrics\"")) {
        assert!(tokio::time::Instant::now() < deadline, "{}", world.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (world, operator)
}

/// The names of what fires in a cluster about the objects of a test: others run in the same API server.
fn names(firing: &BTreeMap<String, BTreeMap<String, Value>>, cluster: &str) -> BTreeSet<String> {
    firing.get(cluster).map(|alerts| alerts.keys().cloned().collect()).unwrap_or_default()
}

/// Waits until exactly these alerts fire, and goes on with what `meanwhile` does.
async fn until(
    prometheus: &Prometheus,
    expected: &[(&str, &[&str])],
    mut meanwhile: impl AsyncFnMut(u32),
) -> BTreeMap<String, BTreeMap<String, Value>> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut round = 0;
    loop {
        let firing = prometheus.firing().await;
        let is = |(cluster, alerts): &(&str, &[&str])| {
            names(&firing, cluster) == alerts.iter().map(|&name| name.to_owned()).collect()
        };
        if expected.iter().all(is) {
            return firing;
        }
        assert!(tokio::time::Instant::now() < deadline, "{expected:?} expected, but this fires: {firing:#?}");
        meanwhile(round).await;
        round += 1;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Waits until the operators of exactly these clusters are missed.
async fn until_missed(prometheus: &Prometheus, expected: &BTreeSet<&str>) -> BTreeMap<String, BTreeMap<String, Value>> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let firing = prometheus.firing().await;
        let missed = firing.iter().filter(|(_, alerts)| alerts.contains_key("PlumblineDown"));
        if missed.map(|(cluster, _)| cluster.as_str()).eq(expected.iter().copied()) {
            return firing;
        }
        assert!(tokio::time::Instant::now() < deadline, "{expected:?} are gone, but this fires: {firing:#?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// No annotation has a label or a value that is not there.
fn assert_told(firing: &BTreeMap<String, BTreeMap<String, Value>>) {
    for alert in firing.values().flat_map(BTreeMap::values) {
        for annotation in alert["annotations"].as_object().unwrap().values() {
            let text = annotation.as_str().unwrap();
            assert!(!text.contains("no value") && !text.contains("error"), "{alert}");
            assert!(!text.contains("{{") && !text.contains("  "), "{alert}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_fire_on_the_faults_that_they_are_for_and_on_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let ((healthy, _, one), (throttled, throttled_id, three)) =
        tokio::join!(evaluated(STRICT, PASSWORDS), evaluated(STRICT, PASSWORDS));
    let (denied, two) = denied().await;
    let ((drifting, four), (failing, five), (leaderless, six)) = tokio::join!(drifting(), failing(), leaderless());
    let mut targets = BTreeMap::new();
    for (cluster, world) in [
        ("healthy", &healthy),
        ("denied", &denied),
        ("throttled", &throttled),
        ("drifting", &drifting),
        ("failing", &failing.world),
        ("leaderless", &leaderless),
    ] {
        targets.insert(cluster, world.served("metrics").await);
    }
    let prometheus = Prometheus::scraping(&targets, folder.path());

    // What is wrong from the beginning alerts; what is not, does not.
    let standing: [(&str, &[&str]); 6] = [
        ("healthy", &[]),
        ("denied", &["PlumblineAccountUnreachable"]),
        ("throttled", &[]),
        ("drifting", &["PlumblineCriticalDrift", "PlumblineExceptionExpiring"]),
        ("failing", &["PlumblineChangeFailed", "PlumblineEnforcementBlocked"]),
        ("leaderless", &["PlumblineNoLeader"]),
    ];
    until(&prometheus, &standing, async |_| {}).await;
    assert_eq!(prometheus.value("count(up == 1)").await.as_deref(), Some("6"), "all are scraped");

    let read = Matcher::operation("iam", "GetAccountPasswordPolicy").account(&throttled_id);
    throttled.aws.proxy().rule(read, Action::Throttle, None);
    let mut faults = standing;
    faults[2] = ("throttled", &["PlumblineAwsThrottled", "PlumblinePartiallyEvaluated"]);
    let firing = until(&prometheus, &faults, async |round| {
        if round % 10 == 0 {
            look_again::<AccountBaseline>(&throttled, &round.to_string()).await;
        }
    })
    .await;
    assert_told(&firing);
    let about = |cluster: &str, alert: &str, label: &str| firing[cluster][alert]["labels"][label].clone();
    assert_eq!(about("denied", "PlumblineAccountUnreachable", "account"), denied.id.as_str());
    assert_eq!(about("denied", "PlumblineAccountUnreachable", "reason"), "AccountUnreachable");
    assert_eq!(about("throttled", "PlumblineAwsThrottled", "account_id"), throttled_id.as_str());
    assert_eq!(about("failing", "PlumblineChangeFailed", "operation"), "s3:PutBucketEncryption");
    assert_eq!(about("failing", "PlumblineEnforcementBlocked", "reason"), "TooManyFailures");
    assert_eq!(about("drifting", "PlumblineCriticalDrift", "severity"), "critical");

    // What is put right is over.
    denied.aws.proxy().clear_rules();
    faults[1] = ("denied", &[]);
    until(&prometheus, &faults, async |round| {
        if round % 10 == 0 {
            look_again::<AwsAccount>(&denied, &format!("again-{round}")).await;
            look_again::<AccountBaseline>(&denied, &format!("again-{round}")).await;
        }
    })
    .await;

    // Each that is gone is missed, whoever still runs; and that one when it is gone, too.
    for mut operator in [two, three, four, five, six] {
        operator.kill().await.unwrap();
    }
    let mut gone = BTreeSet::from(["denied", "throttled", "drifting", "failing", "leaderless"]);
    assert_told(&until_missed(&prometheus, &gone).await);
    drop(one);
    gone.insert("healthy");
    assert_told(&until_missed(&prometheus, &gone).await);
}
