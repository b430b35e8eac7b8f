use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::aws::testing::{ACCOUNT, Answer, SECRET, complete, fast, iam, query_error, serve, target, unknown};
use crate::baseline::CauseClass;
use crate::engine::cloud::{Cloud, CloudProvider};

/// The operator's own identity, of another partition.
pub(in crate::aws) fn caller() -> Answer {
    iam(
        "GetCallerIdentity",
        "<Arn>arn:aws-us-gov:iam::111111111111:user/operator</Arn><UserId>U</UserId><Account>111111111111</Account>",
    )
}

/// A session that lasts so many seconds.
pub(in crate::aws) fn role(seconds: i64) -> Answer {
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    let end = end.strftime("%Y-%m-%dT%H:%M:%SZ");
    iam(
        "AssumeRole",
        &format!(
            "<Credentials><AccessKeyId>ASIASESSION</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>\
             <SessionToken>token-of-the-session</SessionToken><Expiration>{end}</Expiration></Credentials>"
        ),
    )
}

fn no_policy() -> Answer {
    query_error(404, "NoSuchEntity", "cannot be found")
}

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn pw_17_the_roles_arn_has_the_declared_account_and_the_callers_partition() {
    let server = serve(fast(), |request, _| match request.operation.as_str() {
        "GetCallerIdentity" => caller(),
        "AssumeRole" => role(3600),
        _ => no_policy(),
    })
    .await;
    let account = server.account_by(Some("audit/PlumblineAudit"), MINUTE);
    assert_eq!(complete(account.password_policy().await), None);
    let requests = server.requests();
    let assume = &requests[1];
    assert_eq!(assume.param("RoleArn"), format!("arn:aws-us-gov:iam::{ACCOUNT}:role/audit/PlumblineAudit"));
    assert_eq!(assume.param("ExternalId"), "0f6c9a");
    assert_eq!(assume.param("RoleSessionName"), "plumbline-payments");
    assert_eq!(assume.param("DurationSeconds"), "3600");
    assert_eq!(requests[2].headers["x-amz-security-token"], "token-of-the-session");
    assert!(!requests[1].headers.contains_key("x-amz-security-token"));
}

#[tokio::test]
async fn one_session_serves_all_clients_and_later_evaluations() {
    let server = serve(fast(), |request, _| match request.operation.as_str() {
        "GetCallerIdentity" => caller(),
        "AssumeRole" => role(3600),
        _ => query_error(403, "AccessDenied", "no"),
    })
    .await;
    for _ in 0..2 {
        let account = server.account_by(Some("A"), MINUTE);
        let _ = tokio::join!(
            account.users(),
            account.security_group_rules("eu-west-1"),
            account.security_group_rules("eu-west-2"),
            account.buckets(),
        );
    }
    let operations = server.operations();
    assert_eq!(operations.iter().filter(|operation| *operation == "AssumeRole").count(), 1, "{operations:?}");
    assert_eq!(operations.iter().filter(|operation| *operation == "GetCallerIdentity").count(), 1);
}

#[tokio::test]
async fn a_session_is_renewed_shortly_before_it_ends_and_used_until_then_if_that_fails() {
    let fails = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&fails);
    let server = serve(fast(), move |request, _| match request.operation.as_str() {
        "GetCallerIdentity" => caller(),
        "AssumeRole" if switch.load(Ordering::Relaxed) => query_error(500, "InternalFailure", "sorry"),
        "AssumeRole" => role(200),
        _ => no_policy(),
    })
    .await;
    let account = server.account_by(Some("A"), MINUTE);
    complete(account.password_policy().await);
    complete(account.password_policy().await);
    let assumed = |server: &crate::aws::testing::Server| {
        server.operations().iter().filter(|operation| *operation == "AssumeRole").count()
    };
    assert_eq!(assumed(&server), 2, "200 s are less than the margin");
    fails.store(true, Ordering::Relaxed);
    complete(account.password_policy().await);
    assert_eq!(assumed(&server), 2 + 3, "three attempts to renew");
}

#[tokio::test]
async fn credentials_that_aws_stops_accepting_are_renewed_by_the_next_call() {
    let reads = AtomicUsize::new(0);
    let server = serve(fast(), move |request, _| match request.operation.as_str() {
        "GetCallerIdentity" => caller(),
        "AssumeRole" => role(3600),
        _ if reads.fetch_add(1, Ordering::Relaxed) == 0 => query_error(403, "InvalidClientTokenId", "invalid"),
        _ => no_policy(),
    })
    .await;
    let account = server.account_by(Some("A"), MINUTE);
    assert_eq!(unknown(account.password_policy().await).class, CauseClass::Credentials);
    complete(account.password_policy().await);
    assert_eq!(server.operations().iter().filter(|operation| *operation == "AssumeRole").count(), 2);
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_says_which_and_what_it_must_trust() {
    let words = "User: arn:aws-us-gov:iam::111111111111:user/operator is not authorized to perform: sts:AssumeRole on \
                 resource: arn:aws-us-gov:iam::222222222222:role/A";
    let server = serve(fast(), move |request, _| match request.operation.as_str() {
        "GetCallerIdentity" => caller(),
        _ => query_error(403, "AccessDenied", words),
    })
    .await;
    let cause = server.account_by(Some("A"), MINUTE).identity().await.unwrap_err();
    assert_eq!((cause.class, cause.missing_action.as_deref()), (CauseClass::Credentials, Some("sts:AssumeRole")));
    let said = "the role arn:aws-us-gov:iam::222222222222:role/A cannot be assumed; it must exist, trust \
                arn:aws-us-gov:iam::111111111111:user/operator, ask for no other external id";
    assert!(cause.message.starts_with(said), "{cause}");
    assert!(!cause.message.contains("0f6c9a") && !cause.message.contains(SECRET), "{cause}");
}

#[tokio::test]
async fn a_throttled_or_forbidden_session_is_classed_as_what_it_is() {
    for (answer, class) in [
        (query_error(400, "Throttling", "Rate exceeded"), CauseClass::Throttled),
        (query_error(403, "RegionDisabledException", "disabled"), CauseClass::NotAvailable),
        (
            query_error(403, "AccessDenied", "with an explicit deny in a service control policy"),
            CauseClass::DeniedByOrganization,
        ),
        (query_error(403, "ExpiredToken", "expired"), CauseClass::Credentials),
        (iam("AssumeRole", ""), CauseClass::Malformed),
    ] {
        let server = serve(fast(), move |request, _| match request.operation.as_str() {
            "GetCallerIdentity" => caller(),
            _ => answer.clone(),
        })
        .await;
        let cause = unknown(server.account_by(Some("A"), MINUTE).users().await);
        assert_eq!(cause.class, class, "{cause}");
    }
}

#[tokio::test]
async fn identity_is_asked_afresh_and_needs_account_and_arn() {
    let server =
        serve(
            fast(),
            |_, before| {
                if before < 2 { caller() } else { iam("GetCallerIdentity", "<Account>111111111111</Account>") }
            },
        )
        .await;
    let cloud = server.aws.cloud(&target(None), MINUTE).await.unwrap();
    assert!(server.operations().is_empty(), "nothing is asked before it is needed");
    let identity = cloud.identity().await.unwrap();
    assert_eq!((identity.account_id.as_str(), identity.partition.as_str()), ("111111111111", "aws-us-gov"));
    cloud.identity().await.unwrap();
    assert_eq!(cloud.identity().await.unwrap_err().class, CauseClass::Malformed);
}

#[test]
fn a_session_never_shows_its_credentials() {
    let keys = Credentials::new("AKID", SECRET, None, None, "test");
    let session = Session::of_chain(Some(SharedCredentialsProvider::new(keys)));
    assert_eq!(format!("{:?}", Shared(Arc::new(session))), "Shared(Session { .. })");
}
