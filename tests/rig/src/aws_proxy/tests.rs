//! The proxy on the wire, in front of a real emulator, asked by a plain HTTP client.

use std::time::Duration;

use super::upstream::{Upstream, Wire, signed_headers};
use super::*;
use crate::aws_rig::AwsRig;

/// Calls a proxy with one access key.
pub(crate) struct Caller {
    wire: Upstream,
    key: String,
}

impl Caller {
    pub(crate) fn of(proxy: &AwsProxy, account: &str) -> Self {
        Self { wire: Upstream::new(&proxy.url()), key: proxy.key_of(account) }
    }

    pub(crate) async fn try_query(&self, service: &str, region: &str, body: &str) -> anyhow::Result<Answer> {
        let headers = signed_headers(&self.key, region, service, "application/x-www-form-urlencoded")?;
        let wire = Wire { method: hyper::Method::POST, target: "/", headers, body: body.to_owned().into() };
        self.wire.exchange(wire).await
    }

    pub(crate) async fn iam(&self, body: &str) -> Element {
        self.try_query("iam", "us-east-1", body).await.unwrap().parse().unwrap()
    }

    pub(crate) async fn ec2(&self, region: &str, body: &str) -> Element {
        self.try_query("ec2", region, body).await.unwrap().parse().unwrap()
    }

    pub(crate) async fn s3(&self, region: &str, method: &str, target: &str, body: &str) -> Element {
        let headers = signed_headers(&self.key, region, "s3", "application/xml").unwrap();
        let wire = Wire { method: method.parse().unwrap(), target, headers, body: body.to_owned().into() };
        self.wire.exchange(wire).await.unwrap().parse().unwrap()
    }

    pub(crate) async fn kms(&self, region: &str, operation: &str, body: &str) -> serde_json::Value {
        let mut headers = signed_headers(&self.key, region, "kms", "application/x-amz-json-1.1").unwrap();
        headers.insert("x-amz-target", format!("TrentService.{operation}").parse().unwrap());
        let wire = Wire { method: hyper::Method::POST, target: "/", headers, body: body.to_owned().into() };
        serde_json::from_slice(&self.wire.exchange(wire).await.unwrap().body).unwrap()
    }
}

/// An account with three users, and its id.
async fn three_users(rig: &AwsRig) -> String {
    let yaml =
        "accountId: \"$ACCOUNT\"\nroles: [{name: Audit, externalId: x}]\nusers: [{name: a}, {name: b}, {name: c}]";
    rig.seed(yaml).await.unwrap().account_id
}

fn users(root: &Element) -> Vec<String> {
    let users = &root.find("Users").unwrap().children;
    users.iter().map(|user| user.child_text("UserName").unwrap().to_owned()).collect()
}

#[tokio::test]
async fn calls_are_recorded_in_order_in_memory_and_in_the_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let sequence = Arc::new(AtomicU64::new(100));
    let options = ProxyOptions {
        sequence: Some(Arc::clone(&sequence)),
        trace_file: Some(file.path().to_owned()),
        ..ProxyOptions::default()
    };
    let rig = AwsRig::with(options).await.unwrap();
    let account = three_users(&rig).await;
    let caller = Caller::of(rig.proxy(), &account);
    caller.iam("Action=ListUsers").await;
    caller.iam("Action=GetUser&UserName=nobody").await;
    caller.iam("Action=DeleteUser&UserName=c").await;
    let calls = rig.proxy().calls();
    let seen: Vec<_> = calls
        .iter()
        .map(|call| {
            (call.seq, call.operation.as_str(), call.resource.as_deref(), call.status, call.mutating, call.page)
        })
        .collect();
    assert_eq!(
        seen,
        [
            (100, "ListUsers", None, Some(200), false, Some(1)),
            (101, "GetUser", Some("nobody"), Some(404), false, None),
            (102, "DeleteUser", Some("c"), Some(200), true, None),
        ]
    );
    assert!(calls.iter().all(|call| call.account == account && call.region == "us-east-1"));
    assert_eq!(sequence.load(Ordering::SeqCst), 103);
    let lines = std::fs::read_to_string(file.path()).unwrap();
    let numbers: Vec<_> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [100, 101, 102]);
    rig.proxy().clear();
    assert_eq!(rig.proxy().count("iam", "ListUsers"), 0);
}

#[tokio::test]
async fn a_session_acts_in_the_account_of_its_role() {
    let rig = AwsRig::start().await.unwrap();
    let account = three_users(&rig).await;
    let operator = Caller::of(rig.proxy(), &seed_empty(&rig).await);
    let assume = format!("Action=AssumeRole&RoleArn=arn:aws:iam::{account}:role/Audit&RoleSessionName=s");
    let refused = operator.try_query("sts", "us-east-1", &assume).await.unwrap();
    assert_eq!(refused.status, 403);
    let answer = operator.try_query("sts", "us-east-1", &format!("{assume}&ExternalId=x")).await.unwrap();
    let key = answer.parse().unwrap().find("AccessKeyId").unwrap().text.clone();
    let session = Caller { key, ..operator };
    let identity = session.try_query("sts", "us-east-1", "Action=GetCallerIdentity").await.unwrap().parse().unwrap();
    assert_eq!(identity.find("Account").unwrap().text, account);
    assert_eq!(identity.find("Arn").unwrap().text, format!("arn:aws:sts::{account}:assumed-role/Audit/s"));
    assert_eq!(users(&session.iam("Action=ListUsers").await), ["a", "b", "c"]);
    assert_eq!(rig.proxy().calls().last().unwrap().account, account);
}

async fn seed_empty(rig: &AwsRig) -> String {
    rig.seed("accountId: \"$ACCOUNT\"").await.unwrap().account_id
}

#[tokio::test]
async fn a_registered_key_is_its_accounts_user() {
    let rig = AwsRig::start().await.unwrap();
    let account = three_users(&rig).await;
    let caller = Caller::of(rig.proxy(), &account);
    let identity = caller.try_query("sts", "us-east-1", "Action=GetCallerIdentity").await.unwrap().parse().unwrap();
    assert_eq!(identity.find("Arn").unwrap().text, format!("arn:aws:iam::{account}:user/operator"));
    let stranger = Caller { wire: caller.wire, key: "AKIASTRANGER".to_owned() };
    let identity = stranger.try_query("sts", "us-east-1", "Action=GetCallerIdentity").await.unwrap().parse().unwrap();
    assert_eq!(identity.find("Arn").unwrap().text, format!("arn:aws:iam::{DEFAULT_ACCOUNT}:user/moto"));
}

#[tokio::test]
async fn faults_answer_as_they_say() {
    let rig = AwsRig::start().await.unwrap();
    let caller = Caller::of(rig.proxy(), &three_users(&rig).await);
    let organization = "explicit deny in a service control policy";
    let table = [
        (Action::Throttle, 400, "Throttling"),
        (Action::AccessDenied { message: None }, 403, "no identity-based policy allows the iam:ListUsers action"),
        (Action::AccessDenied { message: Some("because".to_owned()) }, 403, "<Message>because</Message>"),
        (Action::DeniedByOrganization, 403, organization),
        (Action::Status(500), 500, "ServiceFailure"),
        (Action::Status(503), 503, "ServiceUnavailable"),
        (Action::Error { status: 400, code: "Odd".to_owned(), message: String::new() }, 400, "<Code>Odd</Code>"),
        (Action::Html, 503, "<html>"),
    ];
    for (action, status, part) in table {
        rig.proxy().rule(Matcher::operation("iam", "ListUsers"), action.clone(), Some(1));
        let answer = caller.try_query("iam", "us-east-1", "Action=ListUsers").await.unwrap();
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(answer.status == status && text.contains(part), "{action:?}: {} {text}", answer.status);
        assert_eq!(rig.proxy().calls().last().unwrap().fault, Some(action.name()));
    }
    assert_eq!(users(&caller.iam("Action=ListUsers").await).len(), 3);
}

#[tokio::test]
async fn connections_are_cut_before_during_and_after() {
    let rig = AwsRig::start().await.unwrap();
    let caller = Caller::of(rig.proxy(), &three_users(&rig).await);
    let delete = |user: &str| format!("Action=DeleteUser&UserName={user}");
    let rule = |action| rig.proxy().rule(Matcher::operation("iam", "DeleteUser"), action, Some(1));

    rule(Action::Reset);
    assert!(caller.try_query("iam", "us-east-1", &delete("a")).await.is_err());
    assert_eq!(users(&caller.iam("Action=ListUsers").await), ["a", "b", "c"]);

    rule(Action::DropAnswer);
    assert!(caller.try_query("iam", "us-east-1", &delete("a")).await.is_err());
    assert_eq!(users(&caller.iam("Action=ListUsers").await), ["b", "c"]);

    rule(Action::HalfBody);
    let error = caller.try_query("iam", "us-east-1", &delete("b")).await.unwrap_err();
    assert!(format!("{error:#}").contains("breaks off"), "{error:#}");
    assert_eq!(users(&caller.iam("Action=ListUsers").await), ["c"]);
}

#[tokio::test]
async fn a_hanging_call_is_recorded_without_a_status() {
    let rig = AwsRig::start().await.unwrap();
    let caller = Caller::of(rig.proxy(), &three_users(&rig).await);
    rig.proxy().rule(Matcher::any(), Action::Hang, Some(1));
    let call = caller.try_query("iam", "us-east-1", "Action=ListUsers");
    assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
    let calls = rig.proxy().calls();
    assert_eq!((calls.len(), calls[0].status, calls[0].fault.as_deref()), (1, None, Some("Hang")));
}

#[tokio::test]
async fn a_delayed_call_is_answered_late() {
    let rig = AwsRig::start().await.unwrap();
    let caller = Caller::of(rig.proxy(), &three_users(&rig).await);
    rig.proxy().rule(Matcher::any(), Action::Delay(Duration::from_millis(200)), None);
    let start = std::time::Instant::now();
    assert_eq!(users(&caller.iam("Action=ListUsers").await).len(), 3);
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn the_second_page_alone_can_fail() {
    let rig = AwsRig::start().await.unwrap();
    let caller = Caller::of(rig.proxy(), &three_users(&rig).await);
    rig.proxy().rule(Matcher::operation("iam", "ListUsers"), Action::Paginate { page_size: 1 }, None);
    rig.proxy().rule(Matcher::operation("iam", "ListUsers").page(2), Action::Throttle, Some(1));
    let first = caller.iam("Action=ListUsers").await;
    assert_eq!(users(&first), ["a"]);
    let body = format!("Action=ListUsers&Marker={}", first.find("Marker").unwrap().text);
    assert_eq!(caller.try_query("iam", "us-east-1", &body).await.unwrap().status, 400);
    assert_eq!(users(&caller.iam(&body).await), ["b"]);
    let pages: Vec<_> = rig.proxy().calls().iter().map(|call| call.page).collect();
    assert_eq!(pages, [Some(1), Some(2), Some(2)]);
}

#[tokio::test]
async fn a_generator_answers_without_seeding() {
    let rig = AwsRig::start().await.unwrap();
    let caller = Caller::of(rig.proxy(), &seed_empty(&rig).await);
    let groups = Generator::SecurityGroups { count: 10_000, open_every: 10 };
    rig.proxy().rule(Matcher::service("ec2").region("eu-west-1"), Action::Generate(groups), None);
    let rules = caller.ec2("eu-west-1", "Action=DescribeSecurityGroupRules&MaxResults=1000").await;
    assert_eq!(rules.find("securityGroupRuleSet").unwrap().children.len(), 1000);
    assert!(rules.child_text("nextToken").is_some());
    let real = caller.ec2("us-east-1", "Action=DescribeSecurityGroups").await;
    assert_eq!(real.find("groupName").unwrap().text, "default");
}

#[tokio::test]
async fn what_the_emulator_lacks_is_a_501_in_the_record() {
    let rig = AwsRig::start().await.unwrap();
    let caller = Caller::of(rig.proxy(), &seed_empty(&rig).await);
    let root = caller.iam("Action=NoSuchOperation").await;
    assert_eq!(root.find("Code").unwrap().text, "MissingFromEmulator");
    assert_eq!(rig.proxy().calls()[0].status, Some(501));
}

#[tokio::test]
async fn a_bucket_created_through_the_proxy_is_listed_with_its_region() {
    let rig = AwsRig::start().await.unwrap();
    let account = seed_empty(&rig).await;
    let caller = Caller::of(rig.proxy(), &account);
    let wire = Wire {
        method: hyper::Method::PUT,
        target: &format!("/made-{account}"),
        headers: signed_headers(&caller.key, "eu-west-1", "s3", "application/xml").unwrap(),
        body:
            "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>"
                .into(),
    };
    assert_eq!(caller.wire.exchange(wire).await.unwrap().status, 200);
    let list = caller.s3("us-east-1", "GET", "/?max-buckets=100", "").await;
    assert_eq!(list.find("BucketRegion").unwrap().text, "eu-west-1");
    let elsewhere = caller.s3("us-east-1", "GET", &format!("/made-{account}?encryption"), "").await;
    assert_eq!(elsewhere.child_text("Code"), Some("PermanentRedirect"));
}
