pub(super) mod faults;
mod plans;
mod recorded;
mod writes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::testing::{ec2, ec2_error, fast, serve, unknown};
use super::*;
use crate::baseline::change::WriteOperation;

/// The methods that a source calls.
fn called(source: &str) -> impl Iterator<Item = &str> {
    source.split('.').skip(1).filter_map(|rest| {
        let name = rest.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')).next()?;
        rest.strip_prefix(name)?.starts_with('(').then_some(name)
    })
}

fn changes(name: &str) -> bool {
    const VERBS: [&str; 36] = [
        "accept_",
        "add_",
        "allocate_",
        "associate_",
        "attach_",
        "authorize_",
        "cancel_",
        "change_",
        "copy_",
        "create_",
        "deactivate_",
        "delete_",
        "deregister_",
        "detach_",
        "disable_",
        "disassociate_",
        "enable_",
        "generate_",
        "import_",
        "modify_",
        "move_",
        "put_",
        "register_",
        "reject_",
        "release_",
        "remove_",
        "replace_",
        "request_",
        "reset_",
        "restore_",
        "resync_",
        "revoke_",
        "schedule_",
        "start_",
        "update_",
        "upload_",
    ];
    // Two accessors, and the one call that has AWS make something: a report.
    !["create_date", "request_id", "generate_credential_report"].contains(&name)
        && VERBS.iter().any(|verb| name.starts_with(verb))
}

/// The sources of the edge without its tests, each with whether it is one of the writer's.
fn sources() -> Vec<(PathBuf, bool)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/aws");
    let is_source = |path: &PathBuf| {
        let is_test = path.components().any(|part| part.as_os_str() == "tests");
        path.extension().is_some_and(|it| it == "rs")
            && !is_test
            && !path.ends_with("tests.rs")
            && !path.ends_with("testing.rs")
    };
    let mut folders = vec![root.clone()];
    let mut sources = vec![root.with_extension("rs")];
    while let Some(folder) = folders.pop() {
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let (inside, files): (Vec<PathBuf>, Vec<PathBuf>) = paths.partition(|path| path.is_dir());
        folders.extend(inside);
        sources.extend(files.into_iter().filter(is_source));
    }
    let writer = root.join("writer");
    let is_writer = |path: &PathBuf| path.starts_with(&writer) || *path == writer.with_extension("rs");
    sources.into_iter().map(|path| (path.clone(), is_writer(&path))).collect()
}

#[test]
fn only_the_writer_calls_operations_that_change_an_account_and_those_alone() {
    let sources = sources();
    assert!(sources.len() > 20 && sources.iter().filter(|(_, is_writer)| *is_writer).count() == 5, "{sources:?}");
    let mut reads = 0;
    let mut writes: BTreeMap<String, usize> = BTreeMap::new();
    for (path, is_writer) in sources {
        let source = std::fs::read_to_string(&path).unwrap();
        for name in called(&source) {
            reads += usize::from(["get_", "list_", "describe_"].iter().any(|verb| name.starts_with(verb)));
            if changes(name) {
                assert!(is_writer, "{} calls {name}", path.display());
                *writes.entry(name.to_owned()).or_default() += 1;
            }
        }
    }
    assert!(reads > 15, "the calls were not found: {reads}");
    let snake = |operation: WriteOperation| {
        let name = format!("{operation:?}");
        let words = name.split_inclusive(|_: char| true).map(|letter| {
            let small = letter.to_lowercase();
            if small == letter { small } else { format!("_{small}") }
        });
        words.collect::<String>().trim_start_matches('_').to_owned()
    };
    let each_once: BTreeMap<String, usize> =
        writer::tests::actions().iter().map(|action| (snake(action.operation()), 1)).collect();
    assert_eq!(each_once.len(), 12);
    assert_eq!(writes, each_once, "the writer calls each of its operations in one place, and no other");
    assert!(called("self.iam()\n    .attach_user_policy()").any(changes));
    assert!(called("ec2.revoke_security_group_ingress()").any(changes));
}

#[tokio::test]
async fn an_account_that_throttles_for_ever_is_asked_no_faster_than_its_rate() {
    let settings = AwsSettings { ec2: Rate::new(20, 1), ..fast() };
    let server = serve(settings, |_, _| ec2_error(503, "RequestLimitExceeded", "Slow down")).await;
    let account = server.account();
    let started = Instant::now();
    let reads = (0..4).map(|_| account.security_group_rules("eu-west-1"));
    for observed in futures::future::join_all(reads).await {
        assert_eq!(unknown(observed).class, crate::baseline::CauseClass::Throttled);
    }
    // 4 calls of 3 attempts; the first needs no turn, each other waits 50 ms for its own.
    assert_eq!(server.operations().len(), 12);
    assert!(started.elapsed() >= Duration::from_millis(11 * 50), "{:?}", started.elapsed());
}

#[tokio::test]
async fn waiting_for_ones_turn_is_no_timeout_and_other_regions_do_not_wait() {
    let settings = AwsSettings { ec2: Rate::new(4, 1), attempt_timeout: Duration::from_millis(200), ..fast() };
    let server = serve(settings, |_, _| ec2("DescribeSecurityGroupRules", "<securityGroupRuleSet/>")).await;
    let account = server.account();
    let started = Instant::now();
    let reads = (0..3).map(|_| account.security_group_rules("eu-west-1"));
    for observed in futures::future::join_all(reads).await {
        assert!(observed.value().is_some(), "{observed:?}");
    }
    assert!(started.elapsed() >= Duration::from_millis(500));
    let started = Instant::now();
    assert!(account.security_group_rules("eu-west-2").await.value().is_some());
    assert!(started.elapsed() < Duration::from_millis(200));
}

#[tokio::test]
async fn the_rate_of_an_account_outlives_the_evaluation() {
    let settings = AwsSettings { ec2: Rate::new(4, 1), ..fast() };
    let server = serve(settings, |_, _| ec2("DescribeSecurityGroupRules", "<securityGroupRuleSet/>")).await;
    let started = Instant::now();
    for _ in 0..3 {
        assert!(server.account().security_group_rules("eu-west-1").await.value().is_some());
    }
    assert!(started.elapsed() >= Duration::from_millis(500), "{:?}", started.elapsed());
}

#[tokio::test]
async fn one_throttled_account_leaves_the_others_their_retries() {
    let server = serve(fast(), |_, _| ec2_error(503, "RequestLimitExceeded", "Slow down")).await;
    let read = async |account: &str| {
        let before = server.operations().len();
        let target = Target { account_id: account.to_owned(), ..testing::target(None) };
        let account = server.aws.account(&target, Duration::from_mins(1));
        unknown(account.security_group_rules("eu-west-1").await);
        server.operations().len() - before
    };
    let mut attempts = 3;
    for _ in 0..150 {
        attempts = read("111111111111").await;
    }
    assert!(attempts < 3, "its retries are not used up");
    assert_eq!(read("333333333333").await, 3);
}
