//! Large accounts through the operator: 10,000 groups in each of two regions, 10,000 buckets, 5,000 users, and names
//! that nobody should print as they are. AWS is made up by the proxy, call by call.

use std::sync::Arc;

use plumbline_rig::aws_proxy::{Action, Answer, AwsRequest, Custom, Generator, Matcher};
use plumbline_rig::supervisor::Supervised;

use crate::support::{World, verdict};

const FAST: [&str; 6] =
    ["--ec2-calls-per-second", "100000", "--iam-calls-per-second", "100000", "--s3-calls-per-second", "100000"];

/// The most memory that a process ever had, in KiB.
fn peak_memory(operator: &Supervised) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", operator.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Answers one operation.
fn answering(operation: &'static str, answer: impl Fn(&AwsRequest) -> String + Send + Sync + 'static) -> Action {
    let custom: Arc<Custom> = Arc::new(move |request: &AwsRequest| {
        (request.operation == operation).then(|| Answer::new(200, "text/xml", answer(request)))
    });
    Action::Generate(Generator::Custom(custom))
}

fn iam_answer(operation: &str, fields: &str) -> String {
    format!(
        "<{operation}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{operation}Result>{fields}\
         </{operation}Result></{operation}Response>"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sg_33_s3_24_mfa_23_a_large_account_is_judged_to_the_end_in_bounded_memory_and_a_bounded_status() {
    let world = World::new().await;
    let seeded = world.seed("regions: [eu-west-1, us-east-1]").await;
    let (groups, buckets, users) = (10_000, 10_000, 5_000);
    let proxy = world.aws.proxy();
    proxy.rule(Matcher::service("ec2"), generated(Generator::SecurityGroups { count: groups, open_every: 1 }), None);
    proxy.rule(Matcher::service("s3"), generated(Generator::Buckets { count: buckets }), None);
    proxy.rule(Matcher::service("iam"), generated(Generator::Users { count: users, without_mfa_every: 500 }), None);
    world.account(&seeded.account_id, "").await;
    let controls = "{mfa: {users: {scope: ConsoleUsers}}, securityGroups: {allowedIngress: []}, \
                    s3Encryption: {forbidSseC: true}}";
    world.baseline(controls, "").await;
    let operator = world.operator_with(&FAST);
    let baseline = world.evaluated(1).await;
    let peak = peak_memory(&operator);

    let status = baseline.status.as_ref().unwrap();
    assert_eq!(verdict(&baseline, "Compliant"), Some(("False".into(), "DriftDetected".into())));
    let summary = status.summary.unwrap();
    let failing = i64::try_from(2 * groups + buckets + 10).unwrap();
    assert_eq!((summary.fail, summary.pass, summary.unknown), (failing, 4_990, 0));
    assert_eq!(status.drift_total, Some(failing));
    assert!(status.truncated && !status.drift.is_empty());
    let coverage = status.coverage.as_ref().unwrap();
    assert_eq!((coverage.users, coverage.users_listed, coverage.buckets), (Some(5_000), Some(5_000), Some(10_000)));
    let size = serde_json::to_vec(&baseline).unwrap().len();
    assert!(size < 256 * 1024, "{size} bytes");
    assert!(peak < 256 * 1024, "{peak} KiB");

    // MFA-23: the report clears the others. Rules and users come in pages of 1,000, buckets of 10,000.
    assert_eq!(proxy.count("iam", "ListMFADevices"), 10);
    assert_eq!(proxy.count("iam", "GetLoginProfile"), 10);
    assert_eq!(proxy.count("iam", "ListUsers"), 5);
    assert_eq!(proxy.count("s3", "ListBuckets"), 1);
    assert_eq!(proxy.count("ec2", "DescribeSecurityGroupRules"), 20);
    assert_eq!(proxy.count("ec2", "DescribeNetworkInterfaces"), 2 * 10_000 / 200);
}

fn generated(generator: Generator) -> Action {
    Action::Generate(generator)
}

/// The peak after an evaluation that reads so many pages, each of a thousand devices that nobody keeps.
async fn peak_after(pages: u32) -> u64 {
    let world = World::new().await;
    let seeded = world.seed("root: {mfa: [Hardware], password: true}").await;
    let devices = (0..1000)
        .map(|n| {
            format!(
                "<member><SerialNumber>arn:aws:iam::222222222222:mfa/{n}-{}</SerialNumber></member>",
                "device".repeat(30)
            )
        })
        .collect::<Vec<_>>()
        .concat();
    let list = answering("ListVirtualMFADevices", move |request| {
        let page: u32 = request.parameters.get("Marker").map_or(1, |marker| marker.parse().unwrap());
        let next = if page < pages {
            format!("<IsTruncated>true</IsTruncated><Marker>{}</Marker>", page + 1)
        } else {
            "<IsTruncated>false</IsTruncated>".to_owned()
        };
        let devices = format!("<VirtualMFADevices>{devices}</VirtualMFADevices>");
        iam_answer("ListVirtualMFADevices", &format!("{devices}{next}"))
    });
    world.aws.proxy().rule(Matcher::operation("iam", "ListVirtualMFADevices"), list, None);
    world.account(&seeded.account_id, "").await;
    world.baseline("{mfa: {rootUser: {requireHardwareMfa: true}}}", "").await;
    let operator = world.operator_with(&FAST);
    let baseline = world.evaluated(1).await;
    assert_eq!(verdict(&baseline, "Compliant"), Some(("True".into(), "AllPassing".into())));
    let read = world.aws.proxy().count("iam", "ListVirtualMFADevices");
    assert_eq!(u32::try_from(read).unwrap(), pages);
    peak_memory(&operator)
}

#[tokio::test]
async fn memory_does_not_grow_with_pages() {
    let (few, many) = (peak_after(4).await, peak_after(40).await);
    // 36 more pages are 9 MB of XML, and some times that as the SDK's structures.
    assert!(many < few + few / 4, "{few} KiB after 4 pages, {many} KiB after 40");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p15_names_with_escapes_and_megabytes_reach_status_as_short_plain_text() {
    let world = World::new().await;
    let seeded = world.seed("regions: [eu-west-1]").await;
    let account_id = seeded.account_id.clone();
    let users = answering("ListUsers", move |_| {
        let user = |n: usize| {
            let tail = if n < 3 { "A".repeat(1 << 20) } else { "&#x1b;[31m&#7;&#x202e;é".repeat(4) };
            let name = format!("eve-{n:05}-&#x1b;[2J&#10;{tail}");
            format!(
                "<member><Path>/</Path><UserName>{name}</UserName><UserId>AIDA{n}</UserId>\
                 <Arn>arn:aws:iam::{account_id}:user/{name}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate></member>"
            )
        };
        let users: String = (0..400).map(user).collect();
        iam_answer("ListUsers", &format!("<Users>{users}</Users><IsTruncated>false</IsTruncated>"))
    });
    let devices =
        answering("ListMFADevices", |_| iam_answer("ListMFADevices", "<MFADevices/><IsTruncated>false</IsTruncated>"));
    let denied = Action::AccessDenied { message: None };
    for (operation, action) in [("ListUsers", users), ("ListMFADevices", devices), ("GetCredentialReport", denied)] {
        world.aws.proxy().rule(Matcher::operation("iam", operation), action, None);
    }
    world.account(&seeded.account_id, "").await;
    world.baseline("{mfa: {users: {scope: AllUsers}}}", "").await;
    let _operator = world.operator_with(&FAST);
    let baseline = world.evaluated(1).await;
    let status = baseline.status.as_ref().unwrap();
    assert_eq!(status.drift_total, Some(400), "{:#?}", status.unknown);
    let json = serde_json::to_string(&baseline).unwrap();
    assert!(json.len() < 256 * 1024, "{} bytes", json.len());
    assert!(status.truncated && status.drift.len() > 100, "{}", status.drift.len());
    let acts = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
    for entry in &status.drift {
        let texts = [&entry.resource, &entry.observed, &entry.message, &entry.desired];
        assert!(texts.iter().all(|text| text.len() <= 512 && !text.contains(acts)), "{entry:?}");
    }
    let log = world.log();
    assert!(!log.contains('\u{1b}') && !log.contains("AAAAAAAAAA"), "{}", log.len());
}
