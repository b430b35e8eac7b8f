//! `/metrics` of the real operator: the values are those of the cluster and of AWS, and go when their objects do.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use plumbline::api::{AccountBaseline, AwsAccount, BaselineException};
use plumbline::metrics::{Kind, TABLE};
use plumbline_rig::aws_proxy::{Action, Matcher};
use plumbline_rig::supervisor::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::enforced::{Enforced, outcomes};
use crate::support::{PATIENCE, World, apply};

/// A scrape: each series by its name and labels.
pub(crate) struct Scrape {
    pub(crate) text: String,
    series: BTreeMap<String, f64>,
}

impl Scrape {
    fn of(text: String) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let series = samples.map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        });
        Self { series: series.collect(), text }
    }

    /// The sum of the series of this name that have all of these labels; `None` where there are none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let is = |series: &str| {
            let rest = series.strip_prefix(name)?;
            let labelled = rest.is_empty() || rest.starts_with('{');
            labelled.then(|| labels.iter().all(|(label, value)| rest.contains(&format!("{label}=\"{value}\""))))
        };
        let found: Vec<f64> =
            self.series.iter().filter(|(series, _)| is(series) == Some(true)).map(|(_, value)| *value).collect();
        (!found.is_empty()).then(|| found.iter().sum())
    }
}

/// Reads `/metrics` as a scraper that asks for nothing in particular.
pub(crate) async fn scrape(world: &World) -> Scrape {
    let (head, text) = get(world, "*/*").await;
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(text.ends_with("# EOF\n"));
    Scrape::of(text)
}

/// The head and the body of an answer. An operator that is gone left its address in the log, so it is asked for anew.
async fn get(world: &World, accept: &str) -> (String, String) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let url = world.served("metrics").await;
        match ask(url.strip_prefix("http://").unwrap(), accept).await {
            Ok(answer) => return answer,
            Err(error) => assert!(tokio::time::Instant::now() < deadline, "{url}: {error}\n{}", world.log()),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn ask(address: &str, accept: &str) -> std::io::Result<(String, String)> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    Ok((head.to_lowercase(), body.to_owned()))
}

/// Waits until a scrape is as it should be.
pub(crate) async fn until(world: &World, what: &str, is: impl Fn(&Scrape) -> bool) -> Scrape {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let scrape = scrape(world).await;
        if is(&scrape) {
            return scrape;
        }
        assert!(tokio::time::Instant::now() < deadline, "not in time: {what}\n{}\n{}", scrape.text, world.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Names that must never be seen outside of AWS, and something that fails for each control.
const CANARIES: &str = r"
regions: [eu-west-1, us-east-1]
root: {mfa: [Virtual]}
passwordPolicy: {minimumPasswordLength: 8}
users: [{name: canary-user, password: true, createdDaysAgo: 400}]
securityGroups:
  eu-west-1:
    - name: canary-group
      attached: true
      ingress: [{protocol: tcp, ports: 22, cidrs: [0.0.0.0/0], description: canary-text}]
buckets: [{name: canary-$ACCOUNT, region: eu-west-1}]
";

const CONTROLS: &str = r"{
    passwordPolicy: {minimumPasswordLength: 14, requireNumbers: true},
    mfa: {users: {scope: ConsoleUsers}},
    securityGroups: {allowedIngress: []},
    s3Encryption: {requireTls: true}}";

#[tokio::test]
async fn p15_metrics_say_what_status_says_and_name_nothing_of_aws() {
    let world = World::new().await;
    let seeded = world.seed(CANARIES).await;
    let account_id = seeded.account_id.as_str();
    world.account(account_id, "").await;
    world.baseline(CONTROLS, ", interval: 90m").await;
    let in_a_month = jiff::Timestamp::now().as_second() + 30 * 86_400;
    let expires = jiff::Timestamp::from_second(in_a_month).unwrap();
    apply::<BaselineException>(
        &world.client,
        json!({"apiVersion": "plumbline.dev/v1alpha1", "kind": "BaselineException", "metadata": {"name": world.id},
            "spec": {"accounts": [world.id], "check": "TlsRequired", "resourcePattern": "arn:aws:s3:::canary-*",
                "reason": "canary-reason", "owner": "canary-owner", "expiresAt": expires.to_string()}}),
    )
    .await;
    let _operator = world.operator();
    let exempt = |baseline: &AccountBaseline| {
        baseline.status.as_ref().and_then(|status| status.summary).is_some_and(|summary| summary.exempt == 1)
    };
    let baseline = world.until("evaluated with the exception", exempt).await;
    let (id, status) = (world.id.clone(), baseline.status.unwrap());
    let (mine, of_account) = ([("baseline", id.as_str()), ("account", id.as_str())], [("account", id.as_str())]);
    let settled = |scrape: &Scrape| {
        let is = [("baseline", id.as_str()), ("result", "Exempt")];
        scrape.sum("plumbline_findings", &is) == Some(1.0)
            && scrape.sum("plumbline_account_condition", &of_account).is_some()
            && scrape.sum("plumbline_exception_condition", &[("exception", &id), ("reason", "Active")]) == Some(1.0)
    };
    let seen = until(&world, "the stores hold what was written", settled).await;

    let summary = status.summary.unwrap();
    for (result, count) in [("Pass", summary.pass), ("Fail", summary.fail), ("Exempt", summary.exempt)] {
        let found = seen.sum("plumbline_findings", &[mine[0], ("result", result)]);
        // What there is none of has no series.
        assert_eq!(found.or(Some(0.0)), Some(float(count)), "{result}: {}", seen.text);
    }
    let critical = status.drift.iter().filter(|entry| entry.severity == "Critical").count();
    let counted = seen.sum("plumbline_findings", &[mine[0], ("severity", "Critical"), ("result", "Fail")]);
    assert_eq!(counted, Some(float(i64::try_from(critical).unwrap())).filter(|count| *count > 0.0));
    for condition in &status.conditions {
        let labels =
            [("type", condition.r#type.as_str()), ("status", &condition.status), ("reason", &condition.reason)];
        let labels: Vec<_> = mine.into_iter().chain(labels).collect();
        assert_eq!(seen.sum("plumbline_baseline_condition", &labels), Some(1.0), "{labels:?}");
        assert_eq!(seen.sum("plumbline_baseline_condition", &[mine[0], labels[2]]), Some(1.0), "the current one alone");
    }
    assert_eq!(seen.sum("plumbline_account_info", &[of_account[0], ("account_id", account_id)]), Some(1.0));
    assert_eq!(seen.sum("plumbline_baseline_info", &[mine[0], ("mode", "Audit")]), Some(1.0));
    assert_eq!(seen.sum("plumbline_baseline_interval_seconds", &mine), Some(5400.0));
    assert_eq!(seen.sum("plumbline_baseline_suspended", &mine), Some(0.0));
    let at = status.last_evaluated_at.unwrap().as_second();
    let evaluated = "plumbline_baseline_last_evaluation_timestamp_seconds";
    assert_eq!(seen.sum(evaluated, &mine), Some(float(at)));
    assert!(seen.sum("plumbline_account_last_verified_timestamp_seconds", &of_account) > Some(1.0e9));
    let (ends, is) = ("plumbline_exception_expires_timestamp_seconds", [("exception", id.as_str())]);
    assert_eq!(seen.sum(ends, &is), Some(float(expires.as_second())));
    assert_process(&seen);
    assert_documented(&seen);
    for canary in ["canary", "arn:", "sg-", "sgr-", "eu-west-1", "0f6c9a", "PlumblineAudit"] {
        assert!(!seen.text.contains(canary), "{canary} in {}", seen.text);
    }
    promtool(&get(&world, "text/plain").await);

    let delete = DeleteParams::default();
    Api::<AccountBaseline>::all(world.client.clone()).delete(&id, &delete).await.unwrap();
    let of_baseline = format!("baseline=\"{id}\"");
    let after = until(&world, "the baseline is gone", |scrape| !scrape.text.contains(&of_baseline)).await;
    assert_eq!(after.sum("plumbline_account_info", &of_account), Some(1.0), "its account is still there");
    Api::<BaselineException>::all(world.client.clone()).delete(&id, &delete).await.unwrap();
    Api::<AwsAccount>::all(world.client.clone()).delete(&id, &delete).await.unwrap();
    let (name, number) = (format!("\"{id}\""), format!("\"{account_id}\""));
    let gone = |scrape: &Scrape| !scrape.text.contains(&name) && !scrape.text.contains(&number);
    until(&world, "nothing is left of the account", gone).await;
}

fn float(count: i64) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

/// What the process counts of itself after one evaluation.
fn assert_process(seen: &Scrape) {
    assert!(seen.sum("plumbline_aws_calls_total", &[("operation", "ListUsers"), ("code", "OK")]) >= Some(1.0));
    assert!(seen.sum("plumbline_aws_calls_total", &[("operation", "AssumeRole"), ("code", "OK")]) >= Some(1.0));
    assert!(seen.sum("plumbline_aws_call_duration_seconds_count", &[("aws_service", "iam")]) >= Some(1.0));
    for controller in ["awsaccount", "accountbaseline", "baselineexception"] {
        let passes = seen.sum("controller_runtime_reconcile_total", &[("controller", controller)]);
        let timed = seen.sum("controller_runtime_reconcile_time_seconds_count", &[("controller", controller)]);
        assert!(passes >= Some(1.0) && timed >= passes, "{controller}: {passes:?} {timed:?}");
    }
    let most = seen.sum("controller_runtime_max_concurrent_reconciles", &[("controller", "awsaccount")]);
    assert_eq!(most, Some(8.0));
    assert!(seen.sum("rest_client_requests_total", &[("method", "GET"), ("code", "200")]) >= Some(4.0));
    assert!(seen.sum("rest_client_requests_total", &[("method", "PUT"), ("code", "200")]) >= Some(2.0));
    assert!(seen.sum("process_resident_memory_bytes", &[]) > Some(1.0e6));
    assert!(seen.sum("process_start_time_seconds", &[]) > Some(1.0e9));
    assert!(seen.sum("process_open_fds", &[]) > Some(5.0));
}

fn assert_documented(seen: &Scrape) {
    for name in seen.series.keys().map(|series| series.split('{').next().unwrap()) {
        let of = |metric: &&plumbline::metrics::Metric| {
            let parts = ["_bucket", "_sum", "_count"].map(|part| format!("{}{part}", metric.name));
            metric.name == name || metric.kind == Kind::Histogram && parts.iter().any(|part| part == name)
        };
        assert!(TABLE.iter().any(|metric| of(&metric)), "{name} is not documented");
    }
}

/// What Prometheus' own linter says of the format that it reads.
fn promtool((head, text): &(String, String)) {
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert!(!text.contains("# EOF"));
    let mut linter = Command::new(crate::alerts::prometheus().join("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut linter.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = linter.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

#[tokio::test]
async fn throttles_and_roles_that_cannot_be_assumed_are_counted_by_account() {
    let world = World::new().await;
    let seeded = world.seed(CANARIES).await;
    let account_id = seeded.account_id.as_str();
    world.account(account_id, "").await;
    let asked = Matcher::operation("iam", "GetAccountPasswordPolicy").account(account_id);
    world.aws.proxy().rule(asked, Action::Throttle, Some(2));
    world.baseline(CONTROLS, "").await;
    let operator = world.operator();
    world.evaluated(1).await;
    let labels = [("account_id", account_id), ("aws_service", "iam")];
    let seen =
        until(&world, "throttled twice", |seen| seen.sum("plumbline_aws_throttled_total", &labels).is_some()).await;
    assert_eq!(seen.sum("plumbline_aws_throttled_total", &labels), Some(2.0), "those that were retried, too");
    let of = |code| [("operation", "GetAccountPasswordPolicy"), ("code", code)];
    assert_eq!(seen.sum("plumbline_aws_calls_total", &of("Throttling")), Some(2.0), "{}", seen.text);
    assert_eq!(seen.sum("plumbline_aws_calls_total", &of("OK")), Some(1.0));
    assert_eq!(seen.sum("plumbline_assume_role_failures_total", &[]), None);
    drop(operator);

    let patch = json!({"spec": {"auditRoleName": "NobodysRole"}});
    let accounts = Api::<AwsAccount>::all(world.client.clone());
    accounts.patch(&world.id, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    let _operator = world.operator();
    let failed = [("account_id", account_id)];
    let failures = "plumbline_assume_role_failures_total";
    let seen = until(&world, "a role was refused", |seen| seen.sum(failures, &failed).is_some()).await;
    assert!(seen.sum("plumbline_aws_calls_total", &[("operation", "AssumeRole"), ("code", "AccessDenied")]).is_some());
    let unreachable = [("account", world.id.as_str()), ("reason", "AccountUnreachable")];
    until(&world, "unreachable", |seen| seen.sum("plumbline_account_condition", &unreachable).is_some()).await;
}

#[tokio::test]
async fn p3_changes_are_counted_as_they_are_recorded_and_only_who_leads_says_so() {
    let enforced = Enforced::new().await;
    let mut operator = enforced.operator();
    enforced.quiet().await;
    let records = outcomes(&enforced.records().await);
    let world = &enforced.world;
    let of_account = [("account", world.id.as_str())];
    let seen = scrape(world).await;
    let changes = "plumbline_changes_total";
    assert_eq!(seen.sum(changes, &of_account), Some(f64::from(u32::try_from(records.len()).unwrap())), "{records:?}");
    for (operation, outcome) in &records {
        let labels = [of_account[0], ("operation", operation), ("outcome", outcome)];
        assert_eq!(seen.sum(changes, &labels), Some(1.0), "{labels:?} in {}", seen.text);
    }
    assert_eq!(seen.sum("leader_election_master_status", &[]), Some(1.0));
    operator.signal(Signal::Kill).unwrap();
    drop(operator);

    let again = enforced.operator();
    let zero = scrape(world).await;
    assert_eq!(zero.sum("plumbline_account_info", &of_account), None, "who does not lead yet shows no objects");
    assert_eq!(zero.sum("leader_election_master_status", &[]), Some(0.0));
    let leads = |seen: &Scrape| seen.sum("plumbline_baseline_info", &of_account).is_some();
    let seen = until(world, "leads", leads).await;
    assert_eq!(seen.sum("leader_election_master_status", &[]), Some(1.0));
    assert_eq!(seen.sum(changes, &of_account), None, "nothing was changed by this process");
    drop(again);
}
