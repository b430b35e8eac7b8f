//! Every state of `edge_cases/table.yaml` has its tests, and every state that the emulator can hold is judged by the
//! real binary as the rows beside that table say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use plumbline_rig::aws_proxy::{Action, Generator, Matcher};
use plumbline_rig::seed::Seeded;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Aws, World, drift, file, verdict};

const FOLDER: &str = "tests/it/edge_cases";
const TABLE: &str = "table.yaml";

/// A row of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Case {
    id: String,
    state: String,
    verdict: String,
    only_end_to_end: Option<String>,
    not_end_to_end: Option<String>,
}

/// An account, and what is found there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct State {
    /// As the rig seeds it, which is before the names are put in.
    #[serde(rename = "account")]
    _account: Value,
    /// The `AwsAccount`'s field; every enabled region where it is left out.
    regions: Option<Vec<String>>,
    #[serde(default)]
    faults: Vec<Fault>,
    rows: Vec<Row>,
    /// How often an operation was called for the account, for all rows together.
    #[serde(default)]
    calls: BTreeMap<String, usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    /// `iam:ListUsers`; the whole service with `*`.
    call: String,
    resource: Option<String>,
    region: Option<String>,
    page: Option<u32>,
    nth: Option<u32>,
    is: Disturbance,
}

#[derive(Debug, Clone, Deserialize)]
enum Disturbance {
    AccessDenied,
    /// As S3 refuses another account's bucket: without the words that tell what is missing.
    BareDenial,
    /// As S3 answers in another region than the bucket's.
    Moved,
    DeniedByOrganization,
    Throttle,
    Paginate(usize),
    Users {
        count: usize,
        without_mfa_every: usize,
    },
    SecurityGroups {
        count: usize,
        open_every: usize,
    },
    NoBuckets,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    ids: Vec<String>,
    controls: Value,
    /// The baseline's field, where the row is about enforcement.
    enforcement: Option<Value>,
    /// The operations that would be called, in order; where the row is about enforcement.
    changes: Option<Vec<String>>,
    #[serde(default)]
    expect: Vec<Expected>,
    /// Fields of the report's coverage.
    #[serde(default)]
    coverage: serde_json::Map<String, Value>,
    /// How many findings there are of each verdict, such as `{fail: 3}`.
    #[serde(default)]
    summary: serde_json::Map<String, Value>,
}

/// A finding; `$rule:REGION/GROUP#N`, `$group:REGION/NAME`, `$list:REGION/NAME`, `$key:REGION/ALIAS` and `$ACCOUNT` in
/// it, and in the controls, stand for what AWS made of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    check: String,
    /// How the resource ends; left out where the check has one finding.
    of: Option<String>,
    /// A verdict, or `none` where there must be no finding.
    result: String,
    observed: Option<String>,
    severity: Option<String>,
    /// What the message must contain.
    says: Option<String>,
    /// The missing action.
    action: Option<String>,
    /// What is done about it: `Automatic`, `Held`, `Manual`.
    done: Option<String>,
    /// Why it is held.
    held: Option<String>,
    /// What the sentence about it must contain.
    why: Option<String>,
}

impl Fault {
    fn matcher(&self, account: &str) -> Matcher {
        let (service, operation) = self.call.split_once(':').unwrap();
        let matcher = if operation == "*" { Matcher::service(service) } else { Matcher::operation(service, operation) };
        let mut matcher = matcher.account(account);
        matcher = self.resource.iter().fold(matcher, |matcher, resource| matcher.resource(resource));
        matcher = self.region.iter().fold(matcher, |matcher, region| matcher.region(region));
        matcher = self.page.iter().fold(matcher, |matcher, page| matcher.page(*page));
        self.nth.iter().fold(matcher, |matcher, nth| matcher.nth(*nth))
    }

    fn action(&self) -> Action {
        match self.is.clone() {
            Disturbance::AccessDenied => Action::AccessDenied { message: None },
            Disturbance::BareDenial => {
                Action::Error { status: 403, code: "AccessDenied".to_owned(), message: "Access Denied".to_owned() }
            }
            Disturbance::Moved => {
                let message = "The bucket must be addressed using the specified endpoint.".to_owned();
                Action::Error { status: 301, code: "PermanentRedirect".to_owned(), message }
            }
            Disturbance::DeniedByOrganization => Action::DeniedByOrganization,
            Disturbance::Throttle => Action::Throttle,
            Disturbance::Paginate(page_size) => Action::Paginate { page_size },
            Disturbance::Users { count, without_mfa_every } => {
                Action::Generate(Generator::Users { count, without_mfa_every })
            }
            Disturbance::SecurityGroups { count, open_every } => {
                Action::Generate(Generator::SecurityGroups { count, open_every })
            }
            Disturbance::NoBuckets => Action::Generate(Generator::Buckets { count: 0 }),
        }
    }
}

impl Expected {
    /// What is wrong with the findings of a baseline; `None` where the expected one is among them.
    fn complaint(&self, baseline: &Value) -> Option<String> {
        let list = |name: &str| baseline[name].as_array().cloned().unwrap_or_default();
        let is = |entry: &&Value| {
            let resource = entry["resource"].as_str().unwrap_or_default();
            entry["check"] == self.check.as_str() && self.of.as_ref().is_none_or(|of| resource.ends_with(of))
        };
        let all = list("findings");
        let found: Vec<&Value> = all.iter().filter(is).collect();
        if self.result == "none" {
            return found.first().map(|finding| format!("must have no finding: {finding}"));
        }
        let [finding] = found.as_slice() else {
            let unknown = &baseline["unknown"];
            return Some(format!("has {} findings, not one: {found:?}; unknown: {unknown}", found.len()));
        };
        let unknown = list("unknown");
        let missing = unknown.iter().find(is).and_then(|entry| entry["missingAction"].as_str());
        let is = |field: &str, wanted: &Option<String>| wanted.as_ref().is_none_or(|wanted| finding[field] == **wanted);
        let message = finding["message"].as_str().unwrap_or_default();
        let right = finding["result"] == self.result.as_str()
            && is("observed", &self.observed)
            && is("severity", &self.severity)
            && self.says.as_ref().is_none_or(|says| message.contains(says))
            && self.action.as_ref().is_none_or(|action| missing == Some(action.as_str()))
            && self.is_remedied_in(&finding["remediation"]);
        (!right).then(|| format!("is {finding}, missing action {missing:?}"))
    }
}

impl Expected {
    fn is_remedied_in(&self, remediation: &Value) -> bool {
        let is = |field: &str, wanted: Option<&str>| wanted.is_none_or(|wanted| remediation[field] == *wanted);
        let message = remediation["message"].as_str().unwrap_or_default();
        is("kind", self.done.as_deref().or(self.held.as_ref().map(|_| "Held")))
            && is("reason", self.held.as_deref())
            && self.why.as_ref().is_none_or(|why| message.contains(why))
    }
}

impl Row {
    fn complaints(&self, baseline: &Value) -> Vec<String> {
        let same = |name: &str, wanted: &serde_json::Map<String, Value>| {
            let wrong = |(field, value): (&String, &Value)| {
                let found = &baseline[name][field];
                (found != value).then(|| format!("{name}.{field} is {found}, not {value}"))
            };
            wanted.iter().filter_map(wrong).collect::<Vec<_>>()
        };
        let findings = self.expect.iter().filter_map(|expected| {
            let of = expected.of.as_deref().unwrap_or("the only one");
            Some(format!("{} of {of} {}", expected.check, expected.complaint(baseline)?))
        });
        let mut complaints: Vec<String> = findings.collect();
        complaints.extend(same("coverage", &self.coverage));
        complaints.extend(same("summary", &self.summary));
        if let Some(wanted) = &self.changes {
            let changes = baseline["plan"]["changes"].as_array().cloned().unwrap_or_default();
            let found: Vec<&str> = changes.iter().filter_map(|change| change["operation"].as_str()).collect();
            let mut sorted = (found.clone(), wanted.iter().map(String::as_str).collect::<Vec<_>>());
            sorted.0.sort_unstable();
            sorted.1.sort_unstable();
            if sorted.0 != sorted.1 {
                complaints.push(format!("would call {found:?}, not {wanted:?}"));
            }
        }
        complaints
    }
}

fn folder() -> PathBuf {
    file(FOLDER)
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Puts in the names that AWS gave, the longest of ours first: one may begin with another.
fn with_names(text: &str, seeded: &Seeded) -> String {
    let mut names = vec![("$ACCOUNT".to_owned(), seeded.account_id.clone())];
    let rules = seeded.rules.iter().flat_map(|(group, ids)| {
        ids.iter().enumerate().map(move |(index, id)| (format!("$rule:{group}#{index}"), id.clone()))
    });
    names.extend(rules);
    for (kind, ids) in [("group", &seeded.security_groups), ("list", &seeded.prefix_lists), ("key", &seeded.keys)] {
        names.extend(ids.iter().map(|(name, id)| (format!("${kind}:{name}"), id.clone())));
    }
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    names.iter().fold(text.to_owned(), |text, (name, id)| text.replace(name, id))
}

/// The account and a baseline for each row.
fn manifests(index: usize, state: &State, account_id: &str, enforced: bool) -> String {
    let object = |kind: &str, name: &str, spec: Value| {
        let object = json!({"apiVersion": "plumbline.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
            "spec": spec});
        format!("{object}\n---\n")
    };
    let name = format!("state-{index}");
    let mut account = json!({"accountId": account_id, "auditRoleName": "PlumblineAudit", "externalId": "0f6c9a"});
    if enforced {
        account["enforceRoleName"] = json!("PlumblineEnforce");
    }
    if let Some(regions) = &state.regions {
        account["regions"] = json!(regions);
    }
    let mut text = object("AwsAccount", &name, account);
    for (number, row) in state.rows.iter().enumerate() {
        let mut spec = json!({"accountRef": {"name": name}, "controls": row.controls});
        if enforced {
            spec["mode"] = json!("Enforce");
        }
        if let Some(enforcement) = &row.enforcement {
            spec["enforcement"] = enforcement.clone();
        }
        text.push_str(&object("AccountBaseline", &format!("{name}-row-{number}"), spec));
    }
    text
}

/// Seeds every state of a file, judges or plans all in one run of the binary, and compares.
async fn check_rows(command: &str, name: &str) {
    let enforced = command == "plan";
    let text = std::fs::read_to_string(folder().join(name)).unwrap();
    let yesterday = Timestamp::now() - SignedDuration::from_hours(24);
    let text = text.replace("$YESTERDAY", &yesterday.to_string());
    // A bucket policy may have 20 KB.
    let text = text.replace("$LONG", &"x".repeat(20_300));
    let states: Vec<Value> = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let aws = Aws::new().await;
    let (mut manifest, mut named) = (String::new(), Vec::new());
    for (index, state) in states.iter().enumerate() {
        let seeded = aws.seed(&inner(&state["account"])).await;
        let state: State = serde_json::from_str(&with_names(&state.to_string(), &seeded)).unwrap();
        for fault in &state.faults {
            aws.rig.proxy().rule(fault.matcher(&seeded.account_id), fault.action(), None);
        }
        manifest.push_str(&manifests(index, &state, &seeded.account_id, enforced));
        named.push((seeded.account_id, state));
    }
    let path = aws.write(name, &manifest);
    let output = aws.plumbline(&[command, "-f", &path, "-o", "json"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{name}: {errors}"));
    let calls = aws.rig.proxy().calls();
    let mut complaints = String::new();
    for (index, (account, state)) in named.iter().enumerate() {
        for (number, row) in state.rows.iter().enumerate() {
            let baseline = format!("state-{index}-row-{number}");
            let found = report["baselines"].as_array().unwrap().iter().find(|found| found["baseline"] == baseline);
            let found = found.unwrap_or_else(|| panic!("{name}: {baseline} is not in the report: {errors}"));
            for complaint in row.complaints(found) {
                writeln!(complaints, "{} ({baseline}): {complaint}", row.ids.join(", ")).unwrap();
            }
        }
        for (operation, wanted) in &state.calls {
            let (service, operation) = operation.split_once(':').unwrap();
            let is = |call: &&plumbline_rig::aws_proxy::Call| {
                (call.service.as_str(), call.operation.as_str(), &call.account) == (service, operation, account)
            };
            let count = calls.iter().filter(is).count();
            if count != *wanted {
                writeln!(complaints, "state-{index}: {operation} was called {count} times, not {wanted}").unwrap();
            }
        }
    }
    assert!(complaints.is_empty(), "{name}:\n{complaints}");
    let changes: Vec<_> = calls.iter().filter(|call| call.mutating).collect();
    assert!(changes.iter().all(|call| call.operation == "GenerateCredentialReport"), "{changes:#?}");
}

/// A JSON object without its braces' outermost pair: more fields for a document in YAML.
fn inner(object: &Value) -> String {
    let mut text = String::new();
    for (name, value) in object.as_object().unwrap() {
        writeln!(text, "{name}: {value}").unwrap();
    }
    text
}

#[tokio::test]
async fn password_policies_are_judged_as_the_table_says() {
    check_rows("audit", "password-policy.yaml").await;
}

#[tokio::test]
async fn mfa_is_judged_as_the_table_says() {
    check_rows("audit", "mfa.yaml").await;
}

#[tokio::test]
async fn security_groups_are_judged_as_the_table_says() {
    check_rows("audit", "security-groups.yaml").await;
}

#[tokio::test]
async fn buckets_are_judged_as_the_table_says() {
    check_rows("audit", "s3-encryption.yaml").await;
}

#[tokio::test]
async fn what_enforcement_changes_and_holds_is_as_the_table_says() {
    check_rows("plan", "enforcement.yaml").await;
}

/// The ids that the names of functions carry: `sg_25_38_a_group` is SG-25 and SG-38.
fn ids_of_functions(folder: &Path) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for path in entries {
        if path.is_dir() {
            ids.extend(ids_of_functions(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
            ids.extend(names.flat_map(ids_of_name));
        }
    }
    ids
}

fn ids_of_name(name: &str) -> Vec<String> {
    let (mut family, mut ids) = (None, Vec::new());
    for word in name.split('_') {
        let is_number = word.len() == 2 && word.bytes().all(|byte| byte.is_ascii_digit());
        match &family {
            Some(family) if is_number => ids.push(format!("{family}-{word}")),
            _ => family = ["pw", "mfa", "sg", "s3"].iter().find(|known| **known == word).map(|it| it.to_uppercase()),
        }
    }
    ids
}

#[test]
fn ids_are_read_from_names() {
    assert_eq!(ids_of_name("sg_25_38_a_default_group"), ["SG-25", "SG-38"]);
    assert_eq!(ids_of_name("s3_01_and_s3_31_no_configuration"), ["S3-01", "S3-31"]);
    assert_eq!(ids_of_name("p17_pw_19_deleting"), ["PW-19"]);
    assert_eq!(ids_of_name("mfa_devices"), [""; 0]);
}

/// The ids of the rows beside the table.
fn ids_of_rows() -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| !path.ends_with(TABLE));
    let states = files.flat_map(|path| read::<Vec<State>>(&path));
    states.flat_map(|state| state.rows).flat_map(|row| row.ids).collect()
}

#[test]
fn every_edge_case_has_its_tests() {
    let table: Vec<Case> = read(&folder().join(TABLE));
    let known: BTreeSet<&str> = table.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(known.len(), table.len(), "an id stands twice in the table");
    assert!(table.len() > 100 && table.iter().all(|case| !case.state.is_empty() && !case.verdict.is_empty()));

    let rows = ids_of_rows();
    let core = ids_of_functions(&file("src"));
    let mut end_to_end = ids_of_functions(&file("tests/it"));
    end_to_end.extend(rows.iter().cloned());
    let strange: Vec<_> = core.iter().chain(&end_to_end).filter(|id| !known.contains(id.as_str())).collect();
    assert!(strange.is_empty(), "tests name what the table has not: {strange:?}");

    let mut missing = Vec::new();
    for case in &table {
        if case.only_end_to_end.is_none() && !core.contains(&case.id) {
            missing.push(format!("{}: no test in src/ names it: {}: {}", case.id, case.state, case.verdict));
        }
        if case.not_end_to_end.is_none() && !end_to_end.contains(&case.id) {
            missing.push(format!("{}: nothing in tests/it/ names it: {}: {}", case.id, case.state, case.verdict));
        }
        if case.not_end_to_end.is_some() && rows.contains(&case.id) {
            missing.push(format!("{}: is end to end after all", case.id));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[tokio::test]
async fn pw_17_mfa_32_s3_36_other_partitions_are_judged_with_their_arns() {
    let aws = Aws::new().await;
    for (partition, region, root_mfa) in
        [("aws-us-gov", "us-gov-west-1", "NotApplicable"), ("aws-cn", "cn-north-1", "Fail")]
    {
        let bucket = format!("buckets: [{{name: data-$ACCOUNT, region: {region}}}]");
        let seeded = aws.seed(&format!("regions: [{region}]\nroot: {{mfa: []}}\n{bucket}")).await;
        let id = &seeded.account_id;
        let manifest = format!(
            "{{apiVersion: plumbline.dev/v1alpha1, kind: AwsAccount, metadata: {{name: a}}, \
             spec: {{accountId: \"{id}\"}}}}\n---\n\
             apiVersion: plumbline.dev/v1alpha1\nkind: AccountBaseline\nmetadata: {{name: a}}\nspec:\n  \
             accountRef: {{name: a}}\n  controls:\n    passwordPolicy: {{minimumPasswordLength: 14}}\n    \
             mfa: {{rootUser: {{requireMfa: true, forbidAccessKeys: true}}}}\n    \
             s3Encryption: {{minimumAlgorithm: SseS3}}\n"
        );
        let path = aws.write("partition.yaml", &manifest);
        let output = aws.plumbline_in(partition, region, id, &["audit", "-f", &path, "-o", "json"]);
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{partition}: {}", String::from_utf8_lossy(&output.stderr)));
        let row = |check: &str, resource: String, result: &str| Expected {
            check: check.to_owned(),
            of: Some(resource),
            result: result.to_owned(),
            observed: None,
            severity: None,
            says: None,
            action: None,
            done: None,
            held: None,
            why: None,
        };
        let root = || format!("arn:{partition}:iam::{id}:root");
        for expected in [
            row("MinimumPasswordLength", root(), "Fail"),
            row("RootUserMfa", root(), root_mfa),
            row("RootUserAccessKeys", root(), "Pass"),
            row("EncryptionAlgorithm", format!("arn:{partition}:s3:::data-{id}"), "Pass"),
        ] {
            assert_eq!(expected.complaint(&report["baselines"][0]), None, "{expected:?} in {partition}");
        }
    }
}

#[tokio::test]
async fn pw_13_two_baselines_for_one_account_both_report() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 12}").await;
    world.account(&seeded.account_id, "").await;
    world.baseline("{passwordPolicy: {minimumPasswordLength: 14}}", "").await;
    let second: plumbline::api::AccountBaseline = crate::support::apply(
        &world.client,
        json!({"apiVersion": "plumbline.dev/v1alpha1", "kind": "AccountBaseline",
            "metadata": {"name": format!("{}-second", world.id)},
            "spec": {"accountRef": {"name": world.id}, "controls": {"passwordPolicy": {"minimumPasswordLength": 8}}}}),
    )
    .await;
    let _operator = world.operator();
    let first = world.evaluated(1).await;
    assert_eq!(verdict(&first, "Compliant"), Some(("False".into(), "DriftDetected".into())));
    assert_eq!(drift(&first, "MinimumPasswordLength")[0].observed, "12");
    assert_eq!(verdict(&first, "EnforcementBlocked"), None, "nobody enforces");
    let api = kube::Api::<plumbline::api::AccountBaseline>::all(world.client.clone());
    let name = second.metadata.name.unwrap();
    let mut other = api.get(&name).await.unwrap();
    for _ in 0..600 {
        if verdict(&other, "Ready").is_some_and(|ready| ready.0 == "True") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        other = api.get(&name).await.unwrap();
    }
    assert_eq!(verdict(&other, "Compliant"), Some(("True".into(), "AllPassing".into())));
}
