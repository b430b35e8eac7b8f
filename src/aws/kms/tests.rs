use crate::aws::testing::{complete, fast, json_error, ok, serve, unknown};
use crate::baseline::CauseClass;
use crate::baseline::s3_encryption::{KeyManager, KmsKey};
use crate::engine::cloud::Cloud;

const ARN: &str = "arn:aws:kms:eu-west-1:222222222222:key/1234";

#[tokio::test]
async fn s3_05_an_alias_leads_to_its_key() {
    let server = serve(fast(), |_, _| {
        ok(format!(
            r#"{{"KeyMetadata": {{"KeyId": "1234", "Arn": "{ARN}", "KeyState": "PendingDeletion",
                "KeyManager": "CUSTOMER", "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT"}}}}"#
        ))
    })
    .await;
    let found = complete(server.account().kms_key("eu-west-1", "alias/s3-default").await).unwrap();
    assert_eq!(
        found,
        KmsKey {
            arn: ARN.to_owned(),
            state: "PendingDeletion".to_owned(),
            manager: KeyManager::Customer,
            spec: "SYMMETRIC_DEFAULT".to_owned(),
            usage: "ENCRYPT_DECRYPT".to_owned(),
        }
    );
    assert!(server.requests()[0].body.contains("alias/s3-default"));
    assert_eq!(server.requests()[0].region(), "eu-west-1");
}

#[tokio::test]
async fn a_key_that_does_not_exist_is_an_answer_and_half_an_answer_is_not() {
    let server = serve(fast(), |_, _| json_error(400, "NotFoundException", "Alias is not found.")).await;
    assert_eq!(complete(server.account().kms_key("eu-west-1", "alias/x").await), None);

    let server = serve(fast(), |_, _| ok(format!(r#"{{"KeyMetadata": {{"KeyId": "1234", "Arn": "{ARN}"}}}}"#))).await;
    assert_eq!(unknown(server.account().kms_key("eu-west-1", "alias/x").await).class, CauseClass::Malformed);
}

#[tokio::test]
async fn s3_08_a_key_of_another_account_that_may_not_be_described_is_unknown() {
    let words = "User: a is not authorized to perform: kms:DescribeKey on resource: b because no resource-based policy \
                 allows it";
    let server = serve(fast(), move |_, _| json_error(400, "AccessDeniedException", words)).await;
    let cause = unknown(server.account().kms_key("eu-west-1", ARN).await);
    assert_eq!((cause.class, cause.missing_action.as_deref()), (CauseClass::AccessDenied, Some("kms:DescribeKey")));
}
