//! What the operator tells of itself while it works: fields of its log lines, and traces.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Uri};
use plumbline_rig::aws_proxy::{Action, Matcher};
use plumbline_rig::supervisor::Signal;
use serde_json::Value;

use crate::enforced::Enforced;
use crate::support::{PATIENCE, World};

const CONTROLS: &str =
    "{passwordPolicy: {minimumPasswordLength: 14}, securityGroups: {requireEmptyDefaultGroup: true}}";

/// The lines of the operator's log, which must all be JSON.
fn lines(world: &World) -> Vec<Value> {
    let log = world.log();
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

#[tokio::test]
async fn every_line_of_a_pass_names_account_baseline_and_pass_and_where_it_applies_control_and_region() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 8}\nregions: [eu-west-1, us-east-1]").await;
    world.account(&seeded.account_id, "").await;
    let rules = Matcher::operation("ec2", "DescribeSecurityGroupRules").region("us-east-1");
    world.aws.proxy().rule(rules, Action::AccessDenied { message: None }, None);
    world.baseline(CONTROLS, "").await;
    let _operator = world.operator_with(&["--log-format", "json"]);
    // What happened is told once status is written.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !["DriftDetected", "\"verified\""].iter().all(|said| world.log().contains(said)) {
        assert!(tokio::time::Instant::now() < deadline, "{}", world.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let lines = lines(&world);
    // Of another test it may see a baseline without an account, which nobody's selector can tell to be another's.
    let is_own = |line: &&Value| line["baseline"] == world.id.as_str();
    let of_pass: Vec<&Value> = lines.iter().filter(is_own).collect();
    assert!(of_pass.len() >= 3, "{lines:#?}");
    let id = of_pass[0]["reconcile_id"].as_str().unwrap();
    assert_eq!(id.len(), 8, "{id}");
    for line in &of_pass {
        assert_eq!(line["account"], Value::from(world.id.clone()), "{line}");
        assert_eq!(line["account_id"], Value::from(seeded.account_id.clone()), "{line}");
        assert!(line["reconcile_id"].is_string(), "{line}");
    }
    let refused = of_pass.iter().find(|line| line["message"] == "AWS refused").unwrap_or_else(|| panic!("{lines:#?}"));
    assert_eq!((&refused["control"], &refused["region"]), (&Value::from("securityGroups"), &Value::from("us-east-1")));
    assert_eq!(refused["level"], "DEBUG");
    let told = of_pass.iter().find(|line| line["event"] == "DriftDetected").unwrap();
    assert_eq!((told["level"].as_str(), told["reconcile_id"].as_str()), (Some("INFO"), Some(id)));
    let verified = lines.iter().find(|line| line["message"] == "verified").unwrap();
    assert_eq!(verified["account"], Value::from(world.id.clone()));
    assert_ne!(verified["reconcile_id"].as_str(), Some(id), "another pass");
    let outside = lines.iter().find(|line| line["message"] == "watching accounts and baselines").unwrap();
    assert!(outside.get("reconcile_id").is_none(), "{outside}");
}

#[tokio::test]
async fn the_lines_of_a_change_name_its_control_and_region() {
    let enforced = Enforced::new().await;
    let _operator = enforced.operator_with(&["--log-format", "json"]);
    enforced.quiet().await;
    let lines = lines(&enforced.world);
    let settled: Vec<&Value> = lines.iter().filter(|line| line["message"] == "change settled").collect();
    assert!(settled.len() >= 5, "{lines:#?}");
    for line in settled {
        for field in ["account", "baseline", "reconcile_id", "control", "operation", "record"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
        let regional = ["ec2", "s3"].iter().any(|service| line["operation"].as_str().unwrap().starts_with(service));
        assert!(!regional || line["region"].is_string(), "{line}");
    }
}

/// What a collector was sent: paths, headers and bodies.
type Sent = Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>;

/// A collector on a port of its own.
async fn collector() -> (String, Sent) {
    let sent = Sent::default();
    let taken = Arc::clone(&sent);
    let take = move |uri: Uri, headers: HeaderMap, body: Bytes| {
        taken.lock().unwrap().push((uri.path().to_owned(), headers, body));
        std::future::ready(())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
    (format!("http://{address}"), sent)
}

/// Whether what was sent holds a text: names and values stand in the protobuf as they are.
fn holds(sent: &Sent, text: &str) -> bool {
    let sent = sent.lock().unwrap();
    sent.iter().any(|(_, _, body)| body.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// What of it can be read.
fn printed(sent: &Sent) -> String {
    let sent = sent.lock().unwrap();
    let bodies =
        sent.iter().map(|(_, _, body)| String::from_utf8_lossy(body).replace(|c: char| !c.is_ascii_graphic(), " "));
    bodies.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_of_passes_go_to_the_collector_that_the_variables_name() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 8}\nregions: [eu-west-1, us-east-1]").await;
    world.account(&seeded.account_id, "").await;
    world.baseline(CONTROLS, "").await;
    let (endpoint, sent) = collector().await;
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-team=shop"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test"),
    ];
    let mut operator = world.start_in(world.kubeconfig(), &["--log-format", "json"], &variables);
    world.evaluated(1).await;
    // What was not sent yet is sent at the end.
    operator.signal(Signal::Term).unwrap();
    assert!(operator.wait(std::time::Duration::from_mins(1)).await.unwrap().success(), "{}", world.log());
    let requests = sent.lock().unwrap().len();
    assert!(requests > 0, "{}", world.log());
    {
        let sent = sent.lock().unwrap();
        let (path, headers, _) = &sent[0];
        assert_eq!((path.as_str(), &headers["x-team"]), ("/v1/traces", &"shop".parse().unwrap()));
        assert_eq!(headers["content-type"], "application/x-protobuf");
    }
    let pass = lines(&world).into_iter().find(|line| line["message"] == "evaluated").unwrap();
    let id = pass["reconcile_id"].as_str().unwrap();
    for text in [
        "service.name",
        "plumbline",
        "deployment.environment",
        "baseline",
        "securityGroups",
        "eu-west-1",
        &world.id,
        id,
    ] {
        assert!(holds(&sent, text), "{text} is in no trace: {}", printed(&sent));
    }
    for secret in ["0f6c9a", "secret", "Bearer"] {
        assert!(!holds(&sent, secret), "{secret} is in a trace");
    }
    assert!(!holds(&sent, "hyper_util") && !holds(&sent, "kube_runtime"), "what carries the traces is in them");
}

#[tokio::test]
async fn a_collector_that_never_answers_delays_neither_an_evaluation_nor_the_end() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 8}\nregions: [eu-west-1, us-east-1]").await;
    world.account(&seeded.account_id, "").await;
    world.baseline(CONTROLS, "").await;
    // It takes connections, and says nothing.
    let hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", hole.local_addr().unwrap());
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let mut operator = world.start_in(world.kubeconfig(), &[], &variables);
    world.evaluated(1).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !world.log().contains("traces are not taken") {
        assert!(tokio::time::Instant::now() < deadline, "{}", world.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.log().matches("traces are not taken").count(), 1, "said once");
    operator.signal(Signal::Term).unwrap();
    assert!(operator.wait(std::time::Duration::from_mins(1)).await.unwrap().success(), "{}", world.log());
}

#[tokio::test]
async fn a_protocol_that_is_not_spoken_is_said_and_the_operator_works() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 8}").await;
    world.account(&seeded.account_id, "").await;
    world.baseline("{passwordPolicy: {minimumPasswordLength: 6}}", "").await;
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let _operator = world.start_in(world.kubeconfig(), &[], &variables);
    world.evaluated(1).await;
    let log = world.log();
    assert!(log.contains("there are no traces") && log.contains("set OTEL_EXPORTER_OTLP_PROTOCOL"), "{log}");
}
