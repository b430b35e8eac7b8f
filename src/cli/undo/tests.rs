use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use clap::Parser;
use serde_json::Value;

use super::*;
use crate::api::{ChangeRecordSpec, ChangeRecordStatus, PasswordPolicyChange, RecordedBaseline};
use crate::baseline::Control;
use crate::baseline::change::Action;
use crate::baseline::history::History;
use crate::baseline::password_policy::PasswordPolicy;
use crate::cli::testing::{Accounts, policy};
use crate::engine::enforce::fake::{FakeAws, FakeLedger, Stage, World};
use crate::engine::enforce::{Claimant, Warrant, entry};
use crate::engine::fake::at;

const ID: &str = "222222222222";

fn length(characters: i32) -> PasswordPolicy {
    policy(characters).value().unwrap().clone().unwrap()
}

/// The record of a change from 8 characters to 14.
fn record() -> ChangeRecord {
    let action = Action::PasswordPolicy(PasswordPolicyChange { before: Some(length(8)), after: Some(length(14)) });
    let change = Change { action, resource: format!("arn:aws:iam::{ID}:root"), answers: Vec::new() };
    let claimant = Claimant {
        target: Target {
            account_id: ID.to_owned(),
            role_name: Some("PlumblineEnforce".to_owned()),
            external_id: None,
            session_name: "plumbline-prod".to_owned(),
        },
        partition: "aws".to_owned(),
        baseline: RecordedBaseline { name: "payments-prod".to_owned(), ..RecordedBaseline::default() },
        claimed_by: "plumbline-0".to_owned(),
    };
    let entry = entry(&change, &claimant, Warrant::default(), &History::default(), at());
    let mut record = ChangeRecord::new(&entry.name, entry.spec);
    let outcome = Some("Succeeded".to_owned());
    record.status = Some(ChangeRecordStatus { outcome, ..ChangeRecordStatus::default() });
    record
}

fn name() -> String {
    record().metadata.name.unwrap()
}

fn yaml(record: &ChangeRecord) -> String {
    serde_saphyr::to_string(record).unwrap()
}

fn forged(edit: impl FnOnce(&mut ChangeRecordSpec)) -> ChangeRecord {
    let mut record = record();
    edit(&mut record.spec);
    record
}

/// A cluster with one record, and baselines that enforce.
struct FakeCluster {
    record: ChangeRecord,
    enforcing: Vec<String>,
    ledger: FakeLedger,
}

#[async_trait]
impl Cluster for FakeCluster {
    async fn record(&self, name: &str) -> Result<Option<ChangeRecord>, LedgerError> {
        Ok(Some(self.record.clone()).filter(|record| record.metadata.name.as_deref() == Some(name)))
    }

    async fn enforcing(&self, account_id: &str, control: Control) -> Result<Vec<String>, LedgerError> {
        assert_eq!((account_id, control), (ID, Control::PasswordPolicy));
        Ok(self.enforcing.clone())
    }

    fn ledger(&self) -> &dyn Ledger {
        &self.ledger
    }
}

/// One undo after another on one account.
struct Scene {
    aws: FakeAws,
    accounts: Accounts,
    cluster: FakeCluster,
    kept: Arc<Mutex<Vec<String>>>,
}

impl Scene {
    fn new(live: PasswordPolicy) -> Self {
        let stage = Stage::at(at());
        Self {
            aws: FakeAws::new(&stage, World { password_policy: Some(live), ..World::default() }),
            accounts: Accounts::one(policy(14)),
            cluster: FakeCluster { record: record(), enforcing: Vec::new(), ledger: FakeLedger::new(&stage) },
            kept: Arc::default(),
        }
    }

    fn live(&self) -> i32 {
        self.aws.world().password_policy.unwrap().minimum_password_length
    }

    /// How it ended, with all sources of an error; and what was printed.
    async fn undo(&self, line: &str, stdin: &str) -> (Result<Exit, String>, String) {
        let args = parsed(line).unwrap();
        let (mut out, kept) = (Vec::new(), self.kept.clone());
        let keep = move |line: &str| {
            kept.lock().unwrap().push(line.to_owned());
            Ok(())
        };
        let surface = Surface {
            reads: &self.accounts,
            writes: &self.aws,
            cluster: args.filename.is_none().then_some(&self.cluster as &dyn Cluster),
            keep: &keep,
            stdin: &mut stdin.as_bytes(),
            out: &mut out,
            now: at,
        };
        let result = run(&args, surface).await.map_err(|error| {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            format!("{error}{source}")
        });
        (result, String::from_utf8(out).unwrap())
    }

    fn kept(&self) -> Vec<Value> {
        self.kept.lock().unwrap().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    undo: UndoArgs,
}

fn parsed(line: &str) -> Result<UndoArgs, clap::Error> {
    CommandLine::try_parse_from(std::iter::once("undo").chain(line.split_whitespace())).map(|line| line.undo)
}

#[tokio::test]
async fn p4_a_record_of_the_cluster_is_undone_under_a_record_of_its_own() {
    let scene = Scene::new(length(14));
    let (ended, said) = scene.undo(&name(), "").await;
    assert_eq!(ended, Ok(Exit::Ok), "{said}");
    assert_eq!(scene.live(), 8);
    assert!(said.contains("minimumPasswordLength 14 -> minimumPasswordLength 8"), "{said}");
    let records = scene.cluster.ledger.records();
    let (own, settlement) = &records[0];
    assert_eq!(own.spec.undoes, Some(name()));
    assert_eq!(own.spec.claimed_by, "arn:aws:iam::222222222222:user/auditor");
    assert_eq!(settlement.as_ref().unwrap().outcome, Outcome::Succeeded);
    assert!(said.contains(&own.name) && scene.kept().is_empty(), "{said}");
}

#[tokio::test]
async fn p3_without_a_cluster_the_record_is_kept_before_the_change_and_can_be_undone_in_turn() {
    let scene = Scene::new(length(14));
    let (ended, said) = scene.undo("-f -", &yaml(&record())).await;
    assert_eq!(ended, Ok(Exit::Ok), "{said}");
    assert_eq!((scene.live(), scene.cluster.ledger.records().len()), (8, 0));
    let kept = scene.kept();
    assert_eq!((kept.len(), &kept[0]["spec"]), (2, &kept[1]["spec"]));
    assert!(kept[0].get("status").is_none_or(|status| status.get("outcome").is_none()), "{kept:?}");
    assert_eq!(kept[1]["status"]["outcome"], "Succeeded");
    assert_eq!(kept[0]["spec"]["undoes"], name());

    let printed = format!("{said}{}\n", kept.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    let (ended, said) = scene.undo("-f -", &printed).await;
    assert_eq!(ended, Ok(Exit::Ok), "{said}");
    assert_eq!(scene.live(), 14);
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_changes_and_records_nothing() {
    let scene = Scene::new(length(14));
    let (ended, said) = scene.undo(&format!("{} --dry-run", name()), "").await;
    assert_eq!(ended, Ok(Exit::Ok), "{said}");
    assert!(said.contains("without --dry-run it would be undone now"), "{said}");
    assert_eq!((scene.live(), scene.cluster.ledger.records().len()), (14, 0));
    let moved = Scene::new(length(20));
    let (ended, _) = moved.undo(&format!("{} --dry-run", name()), "").await;
    assert!(ended.unwrap_err().starts_with("nothing was undone: "));
}

#[tokio::test]
async fn what_moved_since_is_left_alone() {
    let scene = Scene::new(length(20));
    let (ended, said) = scene.undo(&name(), "").await;
    assert!(ended.unwrap_err().starts_with("nothing was undone: "), "{said}");
    assert_eq!(scene.live(), 20);
}

#[tokio::test]
async fn a_forged_record_is_refused_before_anything_is_asked_of_aws() {
    let other = Some(length(6));
    let cases = [
        (
            forged(|spec| spec.operation = "iam:AttachUserPolicy".to_owned()),
            "operation does not follow from its values",
        ),
        (
            forged(|spec| spec.change.password_policy.as_mut().unwrap().before = other),
            "meaning does not follow from its values: it was edited or forged",
        ),
        (forged(|spec| spec.account_id = "333333333333".into()), "resource does not follow from its values"),
        (forged(|spec| spec.ordinal = 7), "does not have the name that follows from its values"),
    ];
    for (record, expected) in cases {
        let scene = Scene::new(length(14));
        let (ended, said) = scene.undo("-f -", &yaml(&record)).await;
        let error = ended.unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert_eq!((scene.live(), said.as_str()), (14, ""));
        assert!(scene.accounts.asked.lock().unwrap().is_empty());
    }
    let several =
        forged(|spec| spec.change.bucket_policy = serde_json::from_str(r#"{"bucket":"b","region":"r"}"#).unwrap());
    let (ended, _) = Scene::new(length(14)).undo("-f -", &yaml(&several)).await;
    assert!(ended.unwrap_err().contains("a ChangeRecord names exactly one change"));
}

#[tokio::test]
async fn a_record_of_a_change_that_was_not_made_has_nothing_to_undo() {
    let mut record = record();
    record.status.as_mut().unwrap().outcome = Some("NotApplied".to_owned());
    let scene = Scene::new(length(14));
    let (ended, _) = scene.undo("-f -", &yaml(&record)).await;
    assert!(ended.unwrap_err().contains("there is nothing to undo"));
}

#[tokio::test]
async fn credentials_of_another_account_change_nothing() {
    let mut scene = Scene::new(length(14));
    scene.accounts = Accounts::default().with(ID, "111111111111", policy(14));
    let (ended, _) = scene.undo(&name(), "").await;
    let error = ended.unwrap_err();
    assert!(error.contains("lead to account 111111111111") && error.contains("use credentials of the record's"));
    assert_eq!((scene.live(), scene.cluster.ledger.records().len()), (14, 0));
}

#[tokio::test]
async fn a_baseline_that_would_make_the_change_again_is_named_with_how_to_stop_it() {
    let mut scene = Scene::new(length(14));
    scene.cluster.enforcing = vec!["payments-prod".to_owned()];
    let (ended, said) = scene.undo(&name(), "").await;
    assert_eq!(ended, Ok(Exit::Ok));
    let warning = said.lines().find(|line| line.starts_with("warning")).unwrap();
    for part in
        ["AccountBaseline payments-prod", "suspend: true", "controls.passwordPolicy.mode: Audit", "BaselineException"]
    {
        assert!(warning.contains(part), "{warning}");
    }
}

#[tokio::test]
async fn the_log_of_an_operator_is_read_and_the_record_that_is_asked_for_is_taken() {
    let record = record();
    let mut fresh = record.clone();
    fresh.status = None;
    let line = |record: &ChangeRecord, what: &str| {
        let record = serde_json::to_string(record).unwrap();
        serde_json::json!({"level": "INFO", "message": what, "record": record}).to_string()
    };
    let log = [
        "plain text".to_owned(),
        r#"{"level":"INFO","record":"t1-abc-0","message":"deleted"}"#.to_owned(),
        line(&fresh, "change record committed"),
        line(&record, "change record settled"),
    ]
    .join("\n");
    let scene = Scene::new(length(14));
    let (ended, said) = scene.undo(&format!("{} -f -", name()), &log).await;
    assert_eq!(ended, Ok(Exit::Ok), "{said}");
    assert!(said.contains("Succeeded"), "{said}");
    let (ended, _) = scene.undo("another -f -", &log).await;
    assert_eq!(ended.unwrap_err(), format!("<stdin> holds no ChangeRecord another, but {}", name()));
}

#[tokio::test]
async fn a_text_without_a_record_and_a_record_that_is_not_there_are_said() {
    let scene = Scene::new(length(14));
    let (ended, _) = scene.undo("-f -", "kind: ConfigMap\napiVersion: v1\n").await;
    assert!(ended.unwrap_err().starts_with("<stdin> holds no ChangeRecord"));
    let (ended, _) = scene.undo("-f /nonexistent/record.yaml", "").await;
    assert!(ended.unwrap_err().starts_with("cannot read /nonexistent/record.yaml"));
    let (ended, _) = scene.undo("gone", "").await;
    assert!(ended.unwrap_err().starts_with("there is no ChangeRecord gone: "));
}

#[test]
fn an_undo_is_of_a_record_or_of_a_file() {
    assert!(parsed("").is_err() && parsed("--dry-run").is_err() && parsed("a b").is_err());
    assert!(parsed("a -f b --dry-run").unwrap().dry_run);
}
