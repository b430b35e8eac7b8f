use std::time::Duration;

use crate::aws::testing::{
    Answer, SECRET, Server, aws, ec2_error, fast, iam, json_error, query_error, s3_error, serve, target, unknown,
};
use crate::baseline::s3_encryption::Bucket;
use crate::baseline::{Cause, CauseClass};
use crate::engine::cloud::{Cloud, CloudProvider};

async fn always(answer: Answer) -> Server {
    serve(fast(), move |_, _| answer.clone()).await
}

async fn iam_cause(answer: Answer) -> Cause {
    unknown(always(answer).await.account().users().await)
}

async fn ec2_cause(answer: Answer) -> Cause {
    unknown(always(answer).await.account().security_group_rules("eu-west-1").await)
}

fn bucket() -> Bucket {
    Bucket { name: "logs".to_owned(), region: "eu-west-1".to_owned() }
}

async fn s3_cause(answer: Answer) -> Cause {
    unknown(always(answer).await.account().bucket_encryption(&bucket()).await)
}

async fn kms_cause(answer: Answer) -> Cause {
    unknown(always(answer).await.account().kms_key("eu-west-1", "alias/a").await)
}

#[tokio::test]
async fn each_service_says_in_its_own_words_that_it_is_asked_too_often() {
    let said = [
        iam_cause(query_error(400, "Throttling", "Rate exceeded")).await,
        ec2_cause(ec2_error(503, "RequestLimitExceeded", "Request limit exceeded.")).await,
        s3_cause(s3_error(503, "SlowDown", "Please reduce your request rate.")).await,
        kms_cause(json_error(400, "ThrottlingException", "Rate exceeded")).await,
        kms_cause(json_error(400, "com.amazonaws.kms#TooManyRequestsException", "Slow")).await,
        iam_cause(Answer::Http(429, String::new())).await,
    ];
    for cause in said {
        assert_eq!(cause.class, CauseClass::Throttled, "{cause}");
        assert_eq!(cause.missing_action, None);
    }
}

#[tokio::test]
async fn a_throttled_call_is_tried_as_often_as_set_and_no_more() {
    let server = always(query_error(400, "Throttling", "Rate exceeded")).await;
    unknown(server.account().users().await);
    assert_eq!(server.operations(), ["ListUsers", "ListUsers", "ListUsers"]);
}

#[tokio::test]
async fn pw_02_a_denied_read_names_the_action_that_aws_names() {
    let words = "User: arn:aws:sts::222222222222:assumed-role/A/b is not authorized to perform: iam:ListUsers on \
                 resource: arn:aws:iam::222222222222:user/ because no identity-based policy allows the iam:ListUsers \
                 action";
    let cause = iam_cause(query_error(403, "AccessDenied", words)).await;
    assert_eq!((cause.class, cause.missing_action.as_deref()), (CauseClass::AccessDenied, Some("iam:ListUsers")));
    assert!(cause.message.starts_with("iam:ListUsers in us-east-1: User: arn:aws:sts::"), "{cause}");
    assert!(cause.message.contains("(AccessDenied)"), "{cause}");

    let words = "You are not authorized to perform this operation. User: arn:aws:iam::1:user/a is not authorized to \
                 perform: ec2:DescribeSecurityGroupRules because no identity-based policy allows it. Encoded \
                 authorization failure message: 4GIOHlTkIaWHQD0Q0m6XSnuUMCm";
    let cause = ec2_cause(ec2_error(403, "UnauthorizedOperation", words)).await;
    assert_eq!(cause.class, CauseClass::AccessDenied);
    assert_eq!(cause.missing_action.as_deref(), Some("ec2:DescribeSecurityGroupRules"));
    assert!(!cause.message.contains("4GIOH"), "{cause}");
}

#[tokio::test]
async fn a_denied_read_that_names_no_action_gets_the_one_that_permits_the_operation() {
    let cause = ec2_cause(ec2_error(403, "UnauthorizedOperation", "You are not authorized.")).await;
    assert_eq!(cause.missing_action.as_deref(), Some("ec2:DescribeSecurityGroupRules"));
    let server = always(s3_error(403, "AccessDenied", "Access Denied")).await;
    let cause = unknown(server.account().buckets().await);
    assert_eq!(cause.missing_action.as_deref(), Some("s3:ListAllMyBuckets"));
    let cause = unknown(server.account().bucket_encryption(&bucket()).await);
    assert_eq!(cause.missing_action.as_deref(), Some("s3:GetEncryptionConfiguration"));
    let cause = kms_cause(json_error(400, "AccessDeniedException", "")).await;
    assert_eq!((cause.class, cause.missing_action.as_deref()), (CauseClass::AccessDenied, Some("kms:DescribeKey")));
}

#[tokio::test]
async fn pw_15_what_an_organization_denies_is_no_missing_permission() {
    for words in [
        "User: a is not authorized to perform: iam:ListUsers with an explicit deny in a service control policy",
        "User: a is not authorized to perform: iam:ListUsers because no service control policy allows it",
        "User: a is not authorized to perform: s3:GetBucketPolicy with an explicit deny in a resource control policy",
    ] {
        let cause = iam_cause(query_error(403, "AccessDenied", words)).await;
        assert_eq!((cause.class, cause.missing_action), (CauseClass::DeniedByOrganization, None), "{words}");
    }
    let own = "User: a is not authorized to perform: iam:ListUsers with an explicit deny in an identity-based policy";
    assert_eq!(iam_cause(query_error(403, "AccessDenied", own)).await.class, CauseClass::AccessDenied);
}

#[tokio::test]
async fn credentials_that_aws_does_not_accept_are_no_missing_permission() {
    let refused = [
        iam_cause(query_error(403, "InvalidClientTokenId", "The security token is invalid.")).await,
        iam_cause(query_error(403, "ExpiredToken", "The security token is expired")).await,
        ec2_cause(ec2_error(401, "AuthFailure", "AWS was not able to validate the credentials")).await,
        s3_cause(s3_error(403, "InvalidAccessKeyId", "The key does not exist in our records.")).await,
        kms_cause(json_error(400, "UnrecognizedClientException", "The security token is invalid")).await,
    ];
    for cause in refused {
        assert_eq!((cause.class, cause.missing_action), (CauseClass::Credentials, None));
    }
}

#[tokio::test]
async fn a_wrong_signature_is_said_without_the_request_that_aws_quotes() {
    let words = "The Canonical String should have been 'POST x-amz-security-token:IQoJb3JpZ2luX2VjE'";
    let cause = iam_cause(query_error(403, "SignatureDoesNotMatch", words)).await;
    assert_eq!(cause.class, CauseClass::Credentials);
    assert!(!cause.message.contains("IQoJ"), "{cause}");
}

#[tokio::test]
async fn what_is_not_an_answer_of_aws_is_never_an_empty_list() {
    let html = "<html><body>busy</body></html>".to_owned();
    for (answer, class) in [
        (Answer::Http(200, html.clone()), CauseClass::Malformed),
        (Answer::Http(200, String::new()), CauseClass::Malformed),
        (Answer::Http(502, html.clone()), CauseClass::ServiceError),
        (Answer::Http(500, String::new()), CauseClass::ServiceError),
        (Answer::Http(403, html), CauseClass::Refused),
        (query_error(500, "ServiceFailure", "sorry"), CauseClass::ServiceError),
        (query_error(400, "ValidationError", "1 validation error"), CauseClass::Refused),
    ] {
        assert_eq!(iam_cause(answer.clone()).await.class, class, "{answer:?}");
        assert_eq!(unknown(always(answer.clone()).await.account().buckets().await).class, class, "{answer:?}");
    }
}

#[tokio::test]
async fn half_an_answer_is_never_half_a_list() {
    let Answer::Http(_, whole) = iam(
        "ListUsers",
        "<IsTruncated>false</IsTruncated><Users><member><Path>/</Path><UserName>a</UserName><UserId>1</UserId>\
         <Arn>arn:aws:iam::222222222222:user/a</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate></member></Users>",
    ) else {
        unreachable!()
    };
    assert_eq!(iam_cause(Answer::Broken(whole.clone())).await.class, CauseClass::Unreachable);
    // Even where somebody on the way has put the length right.
    for part in 1..10 {
        let cut = whole[..whole.len() * part / 10].to_owned();
        assert_eq!(iam_cause(Answer::Http(200, cut.clone())).await.class, CauseClass::Malformed, "{cut}");
    }
    let policy = r#"{"Version": "2012-10-17", "Statement": ["#;
    let server = always(Answer::Http(200, policy.to_owned())).await;
    assert_eq!(unknown(server.account().bucket_policy(&bucket()).await).class, CauseClass::Malformed);
    assert_eq!(
        kms_cause(Answer::Http(200, "{\"KeyMetadata\": {\"Arn\"".to_owned())).await.class,
        CauseClass::Malformed
    );
}

#[tokio::test]
async fn a_server_that_hangs_is_unreachable_after_the_attempts() {
    let settings = super::super::AwsSettings { attempt_timeout: Duration::from_millis(50), ..fast() };
    let server = serve(settings, |_, _| Answer::Hang).await;
    let cause = unknown(server.account().users().await);
    assert_eq!(cause.class, CauseClass::Unreachable);
    assert!(cause.message.contains("no complete answer within 0.05 s"), "{cause}");
    assert_eq!(server.operations().len(), 3);
}

#[tokio::test]
async fn the_accounts_deadline_ends_every_read() {
    let server = serve(fast(), |_, _| Answer::Hang).await;
    let account = server.account_by(None, Duration::from_millis(50));
    for cause in [
        unknown(account.users().await),
        unknown(account.credential_report().await),
        unknown(account.security_group_rules("eu-west-1").await),
        unknown(account.buckets().await),
        account.identity().await.unwrap_err(),
    ] {
        assert_eq!(cause.class, CauseClass::DeadlineExceeded, "{cause}");
    }
}

#[tokio::test]
async fn nothing_that_listens_is_unreachable_and_no_credentials_are_said() {
    let cloud =
        aws("http://127.0.0.1:1", Some(aws_credential_types::Credentials::new("a", SECRET, None, None, "t")), fast());
    let cloud = cloud.cloud(&target(None), Duration::from_mins(1)).await.unwrap();
    let cause = cloud.identity().await.unwrap_err();
    assert_eq!(cause.class, CauseClass::Unreachable);
    assert!(!cause.message.contains(SECRET));

    let cloud = aws("http://127.0.0.1:1", None, fast()).cloud(&target(None), Duration::from_mins(1)).await.unwrap();
    let cause = cloud.identity().await.unwrap_err();
    assert_eq!(cause.class, CauseClass::Credentials);
    assert!(cause.message.starts_with("there are no AWS credentials that can be used"), "{cause}");
}

#[tokio::test]
async fn a_message_is_short_and_harmless_on_a_terminal() {
    let words = format!("&#x9;tab {}\r\n{}", "é".repeat(2000), SECRET);
    let cause = iam_cause(query_error(400, "ValidationError", &words)).await;
    assert!(cause.message.len() <= 500 && !cause.message.contains(char::is_control), "{cause}");
    assert!(cause.message.ends_with("(ValidationError)"), "{cause}");
}

#[tokio::test]
async fn what_went_away_is_not_found_and_what_moved_is_not_said_to_be_gone() {
    for answer in [s3_error(404, "NoSuchBucket", "The specified bucket does not exist")] {
        assert_eq!(s3_cause(answer.clone()).await.class, CauseClass::NotFound, "{answer:?}");
    }
    for answer in [
        s3_error(301, "PermanentRedirect", "The bucket must be addressed using the specified endpoint."),
        s3_error(400, "AuthorizationHeaderMalformed", "the region 'eu-west-1' is wrong; expecting 'us-east-1'"),
        Answer::Http(404, "<html>no such page</html>".to_owned()),
        Answer::Http(301, String::new()),
    ] {
        let cause = s3_cause(answer.clone()).await;
        assert_eq!(cause.class, CauseClass::Malformed, "a bucket elsewhere is not gone: {answer:?}");
        assert!(cause.class.may_pass());
    }
    let cause = iam_cause(query_error(403, "OptInRequired", "not subscribed")).await;
    assert_eq!(cause.class, CauseClass::NotAvailable);
}
