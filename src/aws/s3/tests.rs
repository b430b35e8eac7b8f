#![expect(clippy::format_collect, reason = "answers of a server, written to be read")]

use super::*;
use crate::aws::testing::{ACCOUNT, Answer, Request, complete, fast, ok, s3_error, serve, unknown};
use crate::engine::cloud::Cloud;

fn bucket() -> Bucket {
    Bucket { name: "logs".to_owned(), region: "eu-west-1".to_owned() }
}

fn list(buckets: &[&str], token: &str) -> Answer {
    let buckets: String = buckets
        .iter()
        .map(|name| format!("<Bucket><Name>{name}</Name><BucketRegion>eu-west-1</BucketRegion></Bucket>"))
        .collect();
    let token = format!("<ContinuationToken>{token}</ContinuationToken>");
    ok(format!("<ListAllMyBucketsResult><Buckets>{buckets}</Buckets>{token}</ListAllMyBucketsResult>"))
}

fn is_list(request: &Request) -> bool {
    request.operation.contains("x-id=ListBuckets")
}

#[tokio::test]
async fn s3_24_buckets_are_paged_and_come_with_their_region() {
    let server = serve(fast(), |request, _| {
        if request.operation.contains("continuation-token=2") { list(&["b"], "") } else { list(&["a"], "2") }
    })
    .await;
    let found = complete(server.account().buckets().await);
    let region = "eu-west-1".to_owned();
    let expected = ["a", "b"].map(|name| Bucket { name: name.to_owned(), region: region.clone() });
    assert_eq!(found, expected);
    assert!(server.operations().iter().all(|operation| operation.contains("max-buckets=10000")));
}

#[tokio::test]
async fn a_failed_page_or_a_bucket_without_a_region_leaves_the_list_unknown() {
    let server = serve(fast(), |request, _| {
        if request.operation.contains("continuation-token=2") {
            s3_error(403, "AccessDenied", "Access Denied")
        } else {
            list(&["a"], "2")
        }
    })
    .await;
    assert_eq!(unknown(server.account().buckets().await).class, CauseClass::AccessDenied);

    let server = serve(fast(), |_, _| list(&["a"], "again")).await;
    assert_eq!(unknown(server.account().buckets().await).class, CauseClass::Malformed);

    let bare = "<ListAllMyBucketsResult><Buckets><Bucket><Name>a</Name></Bucket></Buckets></ListAllMyBucketsResult>";
    let server = serve(fast(), move |_, _| ok(bare)).await;
    assert_eq!(unknown(server.account().buckets().await).class, CauseClass::Malformed);
}

fn encryption(rule: &str) -> Answer {
    ok(format!("<ServerSideEncryptionConfiguration><Rule>{rule}</Rule></ServerSideEncryptionConfiguration>"))
}

#[tokio::test]
async fn s3_10_the_default_encryption_is_read_with_key_bucket_key_and_blocked_types() {
    let rule = "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>\
                <KMSMasterKeyID>alias/s3</KMSMasterKeyID></ApplyServerSideEncryptionByDefault>\
                <BucketKeyEnabled>true</BucketKeyEnabled>\
                <BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>";
    let server = serve(fast(), move |_, _| encryption(rule)).await;
    let found = complete(server.account().bucket_encryption(&bucket()).await).unwrap();
    assert_eq!(
        found,
        BucketEncryption {
            algorithm: "aws:kms".to_owned(),
            kms_key_id: Some("alias/s3".to_owned()),
            bucket_key_enabled: true,
            blocked_encryption_types: vec!["SSE-C".to_owned()],
        }
    );
    let plain = "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>\
                 </ApplyServerSideEncryptionByDefault>";
    let server = serve(fast(), move |_, _| encryption(plain)).await;
    let found = complete(server.account().bucket_encryption(&bucket()).await).unwrap();
    assert_eq!((found.algorithm.as_str(), found.kms_key_id, found.bucket_key_enabled), ("AES256", None, false));
    assert!(found.blocked_encryption_types.is_empty());

    let server = serve(fast(), |_, _| encryption("<BucketKeyEnabled>true</BucketKeyEnabled>")).await;
    assert_eq!(unknown(server.account().bucket_encryption(&bucket()).await).class, CauseClass::Malformed);
}

#[tokio::test]
async fn s3_01_and_s3_31_no_configuration_is_an_answer() {
    let server = serve(fast(), |request, _| {
        if request.operation.contains("?encryption") {
            s3_error(404, "ServerSideEncryptionConfigurationNotFoundError", "not found")
        } else {
            s3_error(404, "NoSuchBucketPolicy", "The bucket policy does not exist")
        }
    })
    .await;
    let account = server.account();
    assert_eq!(complete(account.bucket_encryption(&bucket()).await), None);
    assert_eq!(complete(account.bucket_policy(&bucket()).await), None);
}

#[tokio::test]
async fn s3_23_every_call_for_a_bucket_names_its_owner_and_goes_to_its_region() {
    let server = serve(fast(), |_, _| s3_error(404, "NoSuchBucket", "The specified bucket does not exist")).await;
    let account = server.account();
    assert_eq!(unknown(account.bucket_encryption(&bucket()).await).class, CauseClass::NotFound);
    assert_eq!(unknown(account.bucket_policy(&bucket()).await).class, CauseClass::NotFound);
    assert_eq!(unknown(account.bucket_logging_target(&bucket()).await).class, CauseClass::NotFound);
    assert_eq!(unknown(account.bucket_tags(&bucket()).await).class, CauseClass::NotFound);
    assert_eq!(unknown(account.bucket_has_website(&bucket()).await).class, CauseClass::NotFound);
    assert_eq!(unknown(account.bucket_blocks_public_policy(&bucket()).await).class, CauseClass::NotFound);
    assert_eq!(unknown(account.bucket_replication(&bucket()).await).class, CauseClass::NotFound);
    assert_eq!(server.requests().len(), 7);
    for request in server.requests() {
        assert_eq!(request.headers["x-amz-expected-bucket-owner"], ACCOUNT);
        assert_eq!(request.region(), "eu-west-1");
    }
}

#[tokio::test]
async fn s3_43_a_refusal_by_another_owner_is_no_missing_permission() {
    let refusing =
        |listed: &'static [&'static str]| {
            serve(fast(), move |request, _| {
                if is_list(request) { list(listed, "") } else { s3_error(403, "AccessDenied", "Access Denied") }
            })
        };
    let server = refusing(&["logs-2"]).await;
    let cause = unknown(server.account().bucket_policy(&bucket()).await);
    assert_eq!((cause.class, cause.missing_action), (CauseClass::OtherOwner, None));
    assert!(server.operations()[1].contains("prefix=logs"), "{:?}", server.operations());

    let server = refusing(&["logs", "logs-2"]).await;
    let cause = unknown(server.account().bucket_policy(&bucket()).await);
    assert_eq!((cause.class, cause.missing_action.as_deref()), (CauseClass::AccessDenied, Some("s3:GetBucketPolicy")));
}

#[tokio::test]
async fn s3_18_a_refusal_that_names_the_action_asks_nothing_more() {
    let words =
        "User: arn:aws:iam::222222222222:user/a is not authorized to perform: s3:GetBucketPolicy on resource: x";
    let server = serve(fast(), move |_, _| s3_error(403, "AccessDenied", words)).await;
    let cause = unknown(server.account().bucket_policy(&bucket()).await);
    assert_eq!(cause.missing_action.as_deref(), Some("s3:GetBucketPolicy"));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn s3_13_the_target_of_access_logs_is_read() {
    let on = "<BucketLoggingStatus><LoggingEnabled><TargetBucket>audit</TargetBucket><TargetPrefix>a/</TargetPrefix>\
              </LoggingEnabled></BucketLoggingStatus>";
    let off = "<BucketLoggingStatus xmlns=\"http://doc.s3.amazonaws.com/2006-03-01\" />";
    for (answer, target) in [(on, Some("audit")), (off, None)] {
        let server = serve(fast(), move |_, _| ok(answer)).await;
        assert_eq!(complete(server.account().bucket_logging_target(&bucket()).await).as_deref(), target);
    }
}

#[tokio::test]
async fn a_bucket_policy_is_handed_on_as_it_is() {
    let policy = r#"{"Version":"2012-10-17","Statement":[]}"#;
    let server = serve(fast(), move |_, _| ok(policy)).await;
    assert_eq!(complete(server.account().bucket_policy(&bucket()).await).as_deref(), Some(policy));
}

#[tokio::test]
async fn no_tags_no_website_no_block_and_no_replication_are_answers() {
    let server = serve(fast(), |request, _| {
        let code = match request.operation.split_once('?').unwrap().1.split('&').next().unwrap() {
            "tagging" => "NoSuchTagSet",
            "website" => "NoSuchWebsiteConfiguration",
            "publicAccessBlock" => "NoSuchPublicAccessBlockConfiguration",
            "replication" => "ReplicationConfigurationNotFoundError",
            other => panic!("another read: {other}"),
        };
        s3_error(404, code, "not found")
    })
    .await;
    let account = server.account();
    assert_eq!(complete(account.bucket_tags(&bucket()).await), []);
    assert!(!complete(account.bucket_has_website(&bucket()).await));
    assert!(!complete(account.bucket_blocks_public_policy(&bucket()).await));
    assert_eq!(complete(account.bucket_replication(&bucket()).await), []);
}

#[tokio::test]
async fn what_decides_about_a_change_is_read_from_s3s_answers() {
    let server = serve(fast(), |request, _| {
        ok(match request.operation.split_once('?').unwrap().1.split('&').next().unwrap() {
            "tagging" => "<Tagging><TagSet><Tag><Key>ManagedBy</Key><Value>terraform</Value></Tag></TagSet></Tagging>",
            "website" => {
                "<WebsiteConfiguration><RedirectAllRequestsTo><HostName>shop</HostName></RedirectAllRequestsTo>\
                 </WebsiteConfiguration>"
            }
            "publicAccessBlock" => {
                "<PublicAccessBlockConfiguration><BlockPublicAcls>false</BlockPublicAcls>\
                 <BlockPublicPolicy>true</BlockPublicPolicy></PublicAccessBlockConfiguration>"
            }
            _ => {
                "<ReplicationConfiguration><Role>r</Role>\
                 <Rule><ID>a</ID><Status>Enabled</Status><Destination><Bucket>b</Bucket></Destination>\
                 <SourceSelectionCriteria><SseKmsEncryptedObjects><Status>Enabled</Status></SseKmsEncryptedObjects>\
                 </SourceSelectionCriteria></Rule>\
                 <Rule><ID>b</ID><Status>Disabled</Status><Destination><Bucket>b</Bucket></Destination></Rule>\
                 </ReplicationConfiguration>"
            }
        })
    })
    .await;
    let account = server.account();
    let tag = Tag { key: "ManagedBy".to_owned(), value: "terraform".to_owned() };
    assert_eq!(complete(account.bucket_tags(&bucket()).await), [tag]);
    assert!(complete(account.bucket_has_website(&bucket()).await));
    assert!(complete(account.bucket_blocks_public_policy(&bucket()).await));
    let rule = |id: &str, on| ReplicationRule { id: id.to_owned(), enabled: on, replicates_kms: on };
    assert_eq!(complete(account.bucket_replication(&bucket()).await), [rule("a", true), rule("b", false)]);
}

#[tokio::test]
async fn a_denied_read_names_the_action_that_s3_calls_otherwise() {
    let server = serve(fast(), |_, _| {
        let words = "User: arn:aws:sts::222222222222:assumed-role/a/b is not authorized to perform";
        s3_error(403, "AccessDenied", words)
    })
    .await;
    let account = server.account();
    let missing = |cause: Cause| cause.missing_action.unwrap();
    assert_eq!(missing(unknown(account.bucket_replication(&bucket()).await)), "s3:GetReplicationConfiguration");
    assert_eq!(missing(unknown(account.bucket_blocks_public_policy(&bucket()).await)), "s3:GetBucketPublicAccessBlock");
}

#[tokio::test]
async fn p5_a_read_for_a_plan_that_fails_is_unknown() {
    let half = "<Tagging><TagSet><Tag><Key>ManagedBy</Key>";
    let page = "<html><body>Sign in</body></html>";
    for answer in
        [s3_error(403, "AccessDenied", "Access Denied"), s3_error(500, "InternalError", "oh"), ok(""), ok(half)]
            .into_iter()
            .chain([ok(page), Answer::Http(404, page.to_owned()), Answer::Broken(half.to_owned()), Answer::Reset])
    {
        let server = serve(fast(), {
            let answer = answer.clone();
            move |request, _| if is_list(request) { list(&["logs"], "") } else { answer.clone() }
        })
        .await;
        let account = server.account();
        let bucket = bucket();
        assert!(account.bucket_tags(&bucket).await.value().is_none(), "{answer:?}");
        assert!(account.bucket_has_website(&bucket).await.value().is_none_or(|website| *website), "{answer:?}");
        assert!(account.bucket_blocks_public_policy(&bucket).await.value().is_none(), "{answer:?}");
        assert!(account.bucket_replication(&bucket).await.value().is_none(), "{answer:?}");
    }
}
