use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::aws::testing::{ACCOUNT, Answer, fast, iam, json_error, query_error, recorded, target};
use crate::baseline::Cause;
use crate::engine::cloud::Cloud;

/// What was told, in order.
#[derive(Default)]
struct Told(Mutex<Vec<(String, String, String, bool)>>, Mutex<Vec<String>>);

impl CallRecorder for Told {
    fn attempted(&self, attempt: &Attempt<'_>) {
        let name = format!("{}:{}", attempt.service, attempt.operation);
        let told = (name, attempt.account_id.to_owned(), attempt.code.to_owned(), attempt.throttled);
        self.0.lock().unwrap().push(told);
    }

    fn assume_role_failed(&self, account_id: &str) {
        self.1.lock().unwrap().push(account_id.to_owned());
    }
}

impl Told {
    fn attempts(&self) -> Vec<(String, String, String, bool)> {
        self.0.lock().unwrap().clone()
    }
}

fn one(name: &str, account: &str, code: &str, throttled: bool) -> (String, String, String, bool) {
    (name.to_owned(), account.to_owned(), code.to_owned(), throttled)
}

const POLICY: &str = "iam:GetAccountPasswordPolicy";

#[tokio::test]
async fn each_attempt_is_told_with_its_code_those_that_are_retried_too() {
    let told = Arc::new(Told::default());
    let server = recorded(fast(), told.clone(), |_, before| match before {
        0 => query_error(400, "Throttling", "Rate exceeded"),
        1 => Answer::Reset,
        _ => query_error(404, "NoSuchEntity", "none"),
    })
    .await;
    drop(server.account().password_policy().await);
    let expected = [("Throttling", true), ("NoAnswer", false), ("NoSuchEntity", false)];
    assert_eq!(told.attempts(), expected.map(|(code, throttled)| one(POLICY, ACCOUNT, code, throttled)));
}

#[tokio::test]
async fn what_is_no_answer_of_aws_is_told_as_such() {
    for (answer, code) in [
        (Answer::Http(503, "<html>busy</html>".to_owned()), "HTTP503"),
        (Answer::Http(200, "<A><B>".to_owned()), "Malformed"),
        (Answer::Hang, "Timeout"),
    ] {
        let told = Arc::new(Told::default());
        // Long enough for an answer on a busy machine, unless none is to come.
        let seconds = if code == "Timeout" { 1 } else { 60 };
        let settings = crate::aws::AwsSettings { attempt_timeout: Duration::from_secs(seconds), ..fast() };
        let server = recorded(settings, told.clone(), move |_, _| answer.clone()).await;
        drop(server.account().password_policy().await);
        let attempts = told.attempts();
        assert!(!attempts.is_empty() && attempts.iter().all(|attempt| attempt.2 == code), "{code}: {attempts:?}");
    }
}

#[tokio::test]
async fn an_attempt_that_nobody_waits_for_is_given_up() {
    let told = Arc::new(Told::default());
    let settings = crate::aws::AwsSettings { attempt_timeout: Duration::from_mins(1), ..fast() };
    let server = recorded(settings, told.clone(), |_, _| Answer::Hang).await;
    drop(server.account_by(None, Duration::from_millis(200)).password_policy().await);
    assert_eq!(told.attempts(), [one(POLICY, ACCOUNT, "GivenUp", false)]);
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_told_once_under_the_account_that_was_meant() {
    let told = Arc::new(Told::default());
    let server = recorded(fast(), told.clone(), |request, _| match request.operation.as_str() {
        "GetCallerIdentity" => {
            iam("GetCallerIdentity", "<Arn>arn:aws:iam::111111111111:user/o</Arn><Account>111111111111</Account>")
        }
        _ => query_error(403, "AccessDenied", "no"),
    })
    .await;
    let unread: Result<_, Cause> =
        server.aws.account(&target(Some("PlumblineAudit")), Duration::from_mins(1)).identity().await;
    assert!(unread.is_err());
    assert_eq!(
        told.attempts(),
        [one("sts:GetCallerIdentity", "", "OK", false), one("sts:AssumeRole", ACCOUNT, "AccessDenied", false)]
    );
    assert_eq!(*told.1.lock().unwrap(), [ACCOUNT]);
}

#[test]
fn codes_are_found_in_xml_and_json() {
    let of = |answer: Answer| match answer {
        Answer::Http(_, body) => code(body.as_bytes()),
        _ => None,
    };
    assert_eq!(of(json_error(400, "NotFoundException", "none")).as_deref(), Some("NotFoundException"));
    assert_eq!(code(br#"{"__type":"com.amazonaws.kms#NotFound"}"#).as_deref(), Some("NotFound"));
    assert_eq!(of(query_error(400, "Client.AuthFailure", "no")).as_deref(), Some("AuthFailure"));
    assert_eq!(code(b"<html>busy</html>"), None);
}
