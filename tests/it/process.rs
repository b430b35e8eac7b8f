//! The operator as a process: when it is ready, what it waits for, how it ends, where its settings come from.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::DeleteParams;
use plumbline_rig::aws_proxy::{Action as AwsAction, Matcher as AwsMatcher, ProxyOptions};
use plumbline_rig::controlplane::{ControlPlane, manifests};
use plumbline_rig::kube_proxy::{Action as KubeAction, KubeProxy, Matcher as KubeMatcher};
use plumbline_rig::supervisor::{Signal, Supervised};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::enforced::{Enforced, outcomes};
use crate::replicas::{holder, lease};
use crate::support::{PATIENCE, PLUMBLINE, World, cluster, file, prepare, served};

const CONTROLS: &str = "{passwordPolicy: {minimumPasswordLength: 14}}";

const ACCOUNT: &str = "passwordPolicy: {minimumPasswordLength: 14}";

/// What a server answers: status and body.
pub(crate) async fn get(url: &str) -> (u16, String) {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Waits until `/readyz` has this status and says this.
pub(crate) async fn readyz(operator: &Supervised, status: u16, says: &str) -> String {
    let url = format!("{}/readyz", served(operator.log(), "probes").await);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (code, body) = get(&url).await;
        if code == status && body.contains(says) {
            return body;
        }
        let log = operator.log_tail();
        assert!(tokio::time::Instant::now() < deadline, "not {status} with {says}: {code} {body}\nThe log:\n{log}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn alive(operator: &Supervised) -> bool {
    get(&format!("{}/healthz", served(operator.log(), "probes").await)).await == (200, "ok\n".to_owned())
}

fn proxy_options(world: &World) -> ProxyOptions {
    ProxyOptions { sequence: Some(std::sync::Arc::clone(&world.sequence)), ..ProxyOptions::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_says_that_the_api_server_is_away_and_alive_does_not_mind() {
    let world = World::new().await;
    let proxy = KubeProxy::start(world.kubeconfig(), proxy_options(&world)).await.unwrap();
    proxy.rule(KubeMatcher::any(), KubeAction::Status(503), None);
    let operator = world.start(&proxy.kubeconfig(world.kubeconfig()).unwrap(), &[]);
    let report = readyz(&operator, 503, "[-]api-server").await;
    assert!(report.ends_with("not ready\n") && report.contains("[-]watch-awsaccounts was not listed yet"), "{report}");
    assert!(alive(&operator).await, "a restart would not bring the API server back");
    let asked = |verb: &str| proxy.calls().iter().any(|call| call.verb == verb);
    assert!(!asked("list") && !asked("watch"), "nothing is begun before all kinds are served");
    proxy.clear_rules();
    let report = readyz(&operator, 200, "[+]watch-accountbaselines ok").await;
    assert!(report.ends_with("\nready\n"), "{report}");
    proxy.rule(KubeMatcher::any(), KubeAction::Status(503), None);
    readyz(&operator, 503, "[-]api-server").await;
    assert!(alive(&operator).await);
    proxy.clear_rules();
    readyz(&operator, 200, "[+]api-server ok").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_comes_once_every_kind_is_listed_and_not_before() {
    let world = World::new().await;
    let proxy = KubeProxy::start(world.kubeconfig(), proxy_options(&world)).await.unwrap();
    proxy.rule(KubeMatcher::call("list", "accountbaselines"), KubeAction::Status(403), None);
    let operator = world.start(&proxy.kubeconfig(world.kubeconfig()).unwrap(), &[]);
    let report = readyz(&operator, 503, "[+]watch-awsaccounts ok").await;
    assert!(report.contains("[-]watch-accountbaselines"), "{report}");
    proxy.clear_rules();
    readyz(&operator, 200, "[+]watch-accountbaselines ok").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_says_which_rights_are_missing() {
    let world = World::new().await;
    let nobody = cluster().await.service_account_kubeconfig("plumbline-system", "nobody").await.unwrap();
    let mut looking = world.start_as("looking", &nobody, &[]);
    let report = readyz(&looking, 503, "cannot list resource").await;
    assert!(report.contains("[+]crds ok") && report.contains("[-]watch-awsaccounts"), "{report}");
    // What was never listed holds nothing up.
    looking.signal(Signal::Term).unwrap();
    let ended = looking.wait(Duration::from_secs(20)).await.unwrap();
    assert!(ended.success(), "{ended}");

    let electing = world.start_as("electing", &nobody, &["--leader-elect"]);
    let report = readyz(&electing, 503, "[-]lease leases.coordination.k8s.io").await;
    assert!(report.contains("grant get, create and update on leases.coordination.k8s.io"), "{report}");
    assert!(!report.contains("watch-"), "who does not lead watches nothing: {report}");
}

/// Deletes a CRD and waits until it is gone.
async fn delete(api: &Api<CustomResourceDefinition>, name: &str) {
    api.delete(name, &DeleteParams::default()).await.unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while api.get_opt(name).await.unwrap().is_some() {
        assert!(tokio::time::Instant::now() < deadline, "{name} does not go");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kinds_that_are_not_there_are_waited_for_and_may_go_and_come_back() {
    let cluster = ControlPlane::start().await.unwrap();
    let crds = manifests(&file("crds")).unwrap();
    let is_late = |crd: &&Value| crd["metadata"]["name"] == "accountbaselines.plumbline.dev";
    let (late, early): (Vec<&Value>, Vec<&Value>) = crds.iter().partition(is_late);
    let (late, early): (Vec<Value>, Vec<Value>) =
        (late.into_iter().cloned().collect(), early.into_iter().cloned().collect());
    assert_eq!((late.len(), early.len()), (1, 4));
    prepare(&cluster, &early).await;
    let world = World::on(&cluster).await;
    let operator = world.operator_with(&["--leader-elect"]);
    let missing = "[-]crds accountbaselines.plumbline.dev is not served: apply the CRDs of this version";
    readyz(&operator, 503, missing).await;
    assert!(alive(&operator).await);
    let said = "waits for the kinds missing=\"accountbaselines.plumbline.dev is not served";
    assert_eq!(world.log().matches(said).count(), 1, "said once: {}", world.log());
    assert!(!world.log().contains(" leads "), "who cannot work holds no Lease: {}", world.log());

    cluster.install_crds(&late).await.unwrap();
    readyz(&operator, 200, "[+]watch-accountbaselines ok").await;
    let seeded = world.seed(ACCOUNT).await;
    world.account(&seeded.account_id, "").await;
    world.baseline(CONTROLS, "").await;
    world.evaluated(1).await;

    let api = Api::<CustomResourceDefinition>::all(world.client.clone());
    delete(&api, "accountbaselines.plumbline.dev").await;
    readyz(&operator, 503, missing).await;
    cluster.install_crds(&late).await.unwrap();
    readyz(&operator, 200, "[+]crds ok").await;
    world.baseline(CONTROLS, "").await;
    world.evaluated(1).await;
}

/// Runs the operator where it cannot begin, with a cluster that does not answer.
fn operator(kubeconfig: &Path, args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PLUMBLINE);
    command.env_clear().env("KUBECONFIG", kubeconfig).env("AWS_REGION", "us-east-1");
    command.arg("controller").args(args).envs(env.iter().copied()).output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_taken_ends_the_process_and_a_flag_goes_before_a_variable_before_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = dir.path().join("kubeconfig");
    let nowhere = "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c}}]\n\
                   clusters: [{name: c, cluster: {server: \"http://127.0.0.1:1\"}}]\n";
    std::fs::write(&kubeconfig, nowhere).unwrap();
    let mut taken = Vec::new();
    for _ in 0..3 {
        taken.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let [in_file, in_variable, in_flag] = [0, 1, 2].map(|index: usize| taken[index].local_addr().unwrap().to_string());
    let config = dir.path().join("config.yaml");
    std::fs::write(&config, format!("healthProbeBindAddress: {in_file}\nmetricsBindAddress: 0\n")).unwrap();
    let config = config.to_str().unwrap();
    let by_variable = ("PLUMBLINE_HEALTH_PROBE_BIND_ADDRESS", in_variable.as_str());
    let by_flag = ["--config", config, "--health-probe-bind-address", &in_flag];
    for (args, env, used) in [
        (&["--config", config][..], &[][..], &in_file),
        (&[], &[("PLUMBLINE_CONFIG", config)], &in_file),
        (&["--config", config], &[by_variable], &in_variable),
        (&by_flag, &[by_variable], &in_flag),
    ] {
        let ended = operator(&kubeconfig, args, env);
        let error = String::from_utf8(ended.stderr).unwrap();
        let says = format!("error: cannot serve probes on {used}: set --health-probe-bind-address to another address");
        assert!(ended.status.code() == Some(1) && error.contains(&says), "{args:?} {env:?}: {error}");
    }
    std::fs::write(config, "enforced: true\n").unwrap();
    let ended = operator(&kubeconfig, &["--config", config], &[]);
    let error = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(error, format!("error: {config}:1: there is no setting `enforced`; did you mean `enforce`?\n"));
    assert_eq!(ended.status.code(), Some(64), "as for any flag that is not there");
}

/// Waits until a call that changes AWS stands at the proxy.
async fn stands(enforced: &Enforced, fault: &str) {
    let proxy = enforced.world.aws.proxy();
    let is = || proxy.calls().iter().any(|call| call.mutating && call.fault.as_deref() == Some(fault));
    enforced.wait("a change is under way", is).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p6_after_sigterm_the_change_under_way_is_settled_and_nothing_new_is_started() {
    let enforced = Enforced::new().await;
    let proxy = enforced.world.aws.proxy();
    let change = AwsMatcher::operation("s3", "PutBucketEncryption").mutating();
    proxy.rule(change, AwsAction::Delay(Duration::from_secs(2)), Some(1));
    let mut operator = enforced.operator();
    stands(&enforced, "Delay").await;
    operator.signal(Signal::Term).unwrap();
    enforced.wait("it was told", || enforced.world.log().contains("starts nothing new")).await;
    let told = enforced.world.sequence.load(std::sync::atomic::Ordering::SeqCst);
    let ended = operator.wait(Duration::from_secs(30)).await.unwrap();
    assert!(ended.success(), "an ordinary end: {ended}\n{}", enforced.world.log());

    assert_eq!(enforced.change_names(), ["s3:PutBucketEncryption"], "the one that was under way");
    let records = enforced.records().await;
    assert_eq!(outcomes(&records), [("s3:PutBucketEncryption".to_owned(), "Succeeded".to_owned())]);
    let later: Vec<_> = proxy.calls().into_iter().filter(|call| call.seq > told).collect();
    let reads_back = later.iter().all(|call| !call.mutating && call.operation == "GetBucketEncryption");
    assert!(reads_back, "nothing but whether the change has taken effect: {later:?}");
    let started = enforced.kube.calls_of("create", "changerecords");
    assert!(started.iter().all(|call| call.seq <= told), "{started:?}");
    assert_eq!(holder(&lease(&enforced.world, enforced.world.log().as_str()).await), None, "the Lease is given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_sigterm_reads_are_given_up_at_once() {
    let world = World::new().await;
    let seeded = world.seed(ACCOUNT).await;
    world.account(&seeded.account_id, "").await;
    world.baseline(CONTROLS, "").await;
    let proxy = world.aws.proxy();
    proxy.rule(AwsMatcher::operation("iam", "GetAccountPasswordPolicy"), AwsAction::Hang, None);
    let mut operator = world.operator();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while proxy.count("iam", "GetAccountPasswordPolicy") == 0 {
        assert!(tokio::time::Instant::now() < deadline, "{}", world.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = proxy.calls().len();
    operator.signal(Signal::Term).unwrap();
    assert!(operator.wait(Duration::from_secs(30)).await.unwrap().success(), "{}", world.log());
    assert_eq!(proxy.calls().len(), before, "no call to AWS was begun");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_sigterm_ends_the_process_at_once() {
    let enforced = Enforced::new().await;
    let change = AwsMatcher::operation("s3", "PutBucketEncryption").mutating();
    enforced.world.aws.proxy().rule(change, AwsAction::Hang, Some(1));
    let mut operator = enforced.operator();
    stands(&enforced, "Hang").await;
    operator.signal(Signal::Term).unwrap();
    enforced.wait("it was told", || enforced.world.log().contains("starts nothing new")).await;
    operator.signal(Signal::Term).unwrap();
    assert_eq!(operator.wait(PATIENCE).await.unwrap().code(), Some(1));
    assert!(enforced.world.log().contains("asked a second time"), "{}", enforced.world.log());
    assert_eq!(enforced.change_names(), Vec::<String>::new());
}
