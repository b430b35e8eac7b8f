use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::aws::testing::{Answer, complete, fast, iam, query_error, serve, unknown};
use crate::baseline::Observed;
use crate::engine::cloud::Cloud;

const HEADER: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,\
                      password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,\
                      access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,\
                      access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date";
const ALICE: &str = "alice,arn:aws:iam::222222222222:user/alice,2025-05-05T05:05:05+00:00,true,no_information,N/A,N/A,\
                     false,true,N/A,2026-01-01T00:00:00+00:00,N/A,N/A,true,N/A,2026-02-01T00:00:00+00:00";
const GOV_ROOT: &str = "<root_account>,arn:aws-us-gov:iam::222222222222:root,2025-01-01T00:00:00+00:00,not_supported,\
                        not_supported,N/A,N/A,not_supported,false,N/A,N/A,N/A,N/A,false,N/A,N/A";

fn report(age: SignedDuration) -> Answer {
    let content = base64(format!("{HEADER}\n{ALICE}\n").as_bytes());
    let at = Timestamp::now() - age;
    let fields = format!(
        "<Content>{content}</Content><ReportFormat>text/csv</ReportFormat>\
         <GeneratedTime>{}</GeneratedTime>",
        at.strftime("%Y-%m-%dT%H:%M:%SZ")
    );
    iam("GetCredentialReport", &fields)
}

fn started() -> Answer {
    iam("GenerateCredentialReport", "<State>STARTED</State>")
}

fn base64(bytes: &[u8]) -> String {
    aws_smithy_types::base64::encode(bytes)
}

#[test]
fn rows_are_read_by_the_names_of_the_columns() {
    let report = parse(format!("{HEADER}\n{GOV_ROOT}\n{ALICE}\n").as_bytes()).unwrap();
    let alice = &report.users[0];
    assert_eq!(report.users.len(), 1);
    assert_eq!(alice.user, "alice");
    assert_eq!(alice.created_at, Some("2025-05-05T05:05:05Z".parse().unwrap()));
    assert_eq!((alice.password_enabled, alice.mfa_active), (PasswordEnabled::Yes, false));
    assert_eq!((alice.password_last_used, alice.password_last_changed), (LastUsed::Never, LastUsed::Never));
    assert!(alice.access_key_active);
    assert_eq!(alice.access_key_last_used, LastUsed::At("2026-02-01T00:00:00Z".parse().unwrap()));
}

#[test]
fn pw_06_a_row_tells_when_the_password_was_last_changed() {
    let alice = ALICE.replacen("N/A", "2026-03-01T00:00:00+00:00", 1);
    let report = parse(format!("{HEADER}\n{alice}\n").as_bytes()).unwrap();
    assert_eq!(report.users[0].password_last_changed, LastUsed::At("2026-03-01T00:00:00Z".parse().unwrap()));
}

#[test]
fn mfa_25_and_mfa_32_root_is_no_user_and_has_no_console_in_govcloud() {
    let report = parse(format!("{HEADER}\n{GOV_ROOT}\n").as_bytes()).unwrap();
    assert!(report.users.is_empty());
    let root = report.root.unwrap();
    assert_eq!(
        (root.password_enabled, root.password_last_used),
        (PasswordEnabled::NotSupported, LastUsed::NotSupported)
    );
    assert!(!root.mfa_active && !root.access_key_active);
}

#[test]
fn a_report_that_lacks_a_column_or_a_value_is_malformed() {
    for (from, to) in [
        ("mfa_active", "mfa_status"),
        ("user_creation_time", "created"),
        ("access_key_2_last_used_date", "x"),
        ("true,no_information", "maybe,no_information"),
        ("true,no_information", "true,yesterday"),
        ("N/A,N/A,false,true", "N/A,N/A,N/A,true"),
        (",2026-02-01T00:00:00+00:00", ""),
    ] {
        let text = format!("{HEADER}\n{ALICE}\n").replace(from, to);
        assert_eq!(parse(text.as_bytes()).unwrap_err().class, CauseClass::Malformed, "{to}");
    }
    assert_eq!(parse(b"<html>").unwrap().users, []);
}

proptest! {
    #[test]
    fn no_report_panics(bytes: Vec<u8>, cells in prop::collection::vec("true|false|N/A|[,\"\n]|.{0,9}", 0..40)) {
        let _ = parse(&bytes);
        let _ = parse(format!("{HEADER}\n{}\n{ALICE}", cells.join(",")).as_bytes());
    }
}

#[tokio::test]
async fn a_young_report_is_read_once_and_shared_and_speaks_of_when_it_was_made() {
    let server = serve(fast(), |_, _| report(SignedDuration::from_hours(3))).await;
    let Observed::Complete { value, at } = server.account().credential_report().await else { panic!("unknown") };
    assert_eq!(value.users[0].user, "alice");
    let age = Timestamp::now().duration_since(at);
    assert!(age >= SignedDuration::from_hours(3) && age < SignedDuration::from_mins(181), "{age}");
    complete(server.account().credential_report().await);
    assert_eq!(server.operations(), ["GetCredentialReport"]);
}

#[tokio::test]
async fn a_missing_expired_or_old_report_is_made_anew_once() {
    for first in [
        query_error(410, "ReportNotPresent", "No report"),
        query_error(410, "ReportExpired", "Too old"),
        report(SignedDuration::from_hours(5)),
    ] {
        let gets = AtomicUsize::new(0);
        let server = serve(fast(), move |request, _| {
            if request.operation == "GenerateCredentialReport" {
                return started();
            }
            match gets.fetch_add(1, Ordering::Relaxed) {
                0 | 2 => first.clone(),
                1 => query_error(404, "ReportInProgress", "Wait"),
                _ => report(SignedDuration::ZERO),
            }
        })
        .await;
        let (one, other) = (server.account(), server.account());
        let (first, second) = tokio::join!(one.credential_report(), other.credential_report());
        assert_eq!(complete(first), complete(second));
        let get = "GetCredentialReport";
        assert_eq!(server.operations(), [get, "GenerateCredentialReport", get, get, get]);
    }
}

#[tokio::test]
async fn mfa_24_a_report_that_does_not_come_is_given_up() {
    let server = serve(fast(), |request, _| {
        if request.operation == "GenerateCredentialReport" {
            started()
        } else {
            query_error(404, "ReportInProgress", "Wait")
        }
    })
    .await;
    let cause = unknown(server.account().credential_report().await);
    assert_eq!(cause.class, CauseClass::ServiceError);
    assert!(cause.class.may_pass());
    assert_eq!(server.operations().len(), 2 + 4);
}

#[tokio::test]
async fn mfa_24_the_wait_for_a_report_leaves_time_for_the_live_listing() {
    let settings = crate::aws::AwsSettings { report_poll: Duration::from_millis(100), ..fast() };
    let server = serve(settings, |request, _| match request.operation.as_str() {
        "GenerateCredentialReport" => started(),
        "ListUsers" => iam("ListUsers", "<IsTruncated>false</IsTruncated><Users/>"),
        _ => query_error(404, "ReportInProgress", "Wait"),
    })
    .await;
    let account = server.account_by(None, Duration::from_millis(1200));
    assert_eq!(unknown(account.credential_report().await).class, CauseClass::ServiceError);
    assert!(complete(account.users().await).is_empty());
}

#[tokio::test]
async fn an_old_report_that_aws_calls_ready_is_taken_with_its_time() {
    let age = SignedDuration::from_hours(5);
    let server = serve(fast(), move |request, _| match request.operation.as_str() {
        "GenerateCredentialReport" => iam("GenerateCredentialReport", "<State>COMPLETE</State>"),
        _ => report(age),
    })
    .await;
    let Observed::Complete { at, .. } = server.account().credential_report().await else { panic!("unknown") };
    assert!(Timestamp::now().duration_since(at) >= age);
    assert_eq!(server.operations().len(), 3);
}

#[tokio::test]
async fn mfa_24_a_report_that_may_not_be_made_names_the_action() {
    let server = serve(fast(), |request, _| {
        if request.operation == "GenerateCredentialReport" {
            query_error(403, "AccessDenied", "no")
        } else {
            query_error(410, "ReportNotPresent", "No report")
        }
    })
    .await;
    let account = server.account();
    let cause = unknown(account.credential_report().await);
    assert_eq!(cause.missing_action.as_deref(), Some("iam:GenerateCredentialReport"));
    unknown(account.credential_report().await);
    assert_eq!(server.operations().len(), 4, "a failure is not kept");
}

#[tokio::test]
async fn two_roles_do_not_see_each_others_report() {
    let server = serve(fast(), |request, _| match request.operation.as_str() {
        "GetCallerIdentity" => crate::aws::session::tests::caller(),
        "AssumeRole" => crate::aws::session::tests::role(3600),
        _ => report(SignedDuration::ZERO),
    })
    .await;
    for role in [Some("A"), Some("B"), Some("A")] {
        complete(server.account_by(role, Duration::from_mins(1)).credential_report().await);
    }
    let reads = server.operations().into_iter().filter(|operation| operation == "GetCredentialReport");
    assert_eq!(reads.count(), 2);
}
