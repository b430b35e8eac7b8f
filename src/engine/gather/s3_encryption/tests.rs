use super::*;
use crate::api::{Controls, Mode, Tag};
use crate::baseline::s3_encryption::{BucketEncryption, KeyManager, ReplicationRule};
use crate::engine::cloud::Region;
use crate::engine::fake::{FakeCloud, account, denied, seen};
use crate::engine::{RegionSelection, Silent, assess, gather as of_all};

const ALIAS: &str = "eu-west-1/arn:aws:kms:eu-west-1:222222222222:alias/s3-default";
const MOVE: &str = "{minimumAlgorithm: SseKms, kmsKeys: [alias/s3-default], allowKmsMigration: true}";

const KEY: &str = "arn:aws:kms:eu-west-1:222222222222:key/1111";

fn encryption(algorithm: &str, key: Option<&str>) -> Observed<Option<BucketEncryption>> {
    seen(Some(BucketEncryption {
        algorithm: algorithm.to_owned(),
        kms_key_id: key.map(str::to_owned),
        bucket_key_enabled: true,
        blocked_encryption_types: vec!["SSE-C".to_owned()],
    }))
}

fn policy(statement: &str) -> Observed<Option<String>> {
    seen(Some(format!(r#"{{"Version": "2012-10-17", "Statement": {statement}}}"#)))
}

/// The bucket `data` with SSE-S3, of which everything can be read, and `good`, which passes.
fn cloud() -> FakeCloud {
    let bucket = |name: &str| Bucket { name: name.to_owned(), region: "eu-west-1".to_owned() };
    let mut cloud = FakeCloud {
        identity: Some(account()),
        regions: Some(seen(vec![Region { name: "eu-west-1".to_owned(), enabled: true }])),
        buckets: Some(seen(vec![bucket("data"), bucket("good")])),
        ..FakeCloud::default()
    };
    let tls = r#"{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}}}"#;
    cloud.encryption =
        [("data".to_owned(), encryption("AES256", None)), ("good".to_owned(), encryption("aws:kms:dsse", Some(KEY)))]
            .into();
    cloud.policies = [("data".to_owned(), seen(None)), ("good".to_owned(), policy(tls))].into();
    cloud.logging = ["data", "good"].map(|name| (name.to_owned(), seen(None))).into();
    cloud.websites.insert("data".to_owned(), seen(false));
    cloud.public_policy_blocks.insert("data".to_owned(), seen(true));
    cloud.replication.insert("data".to_owned(), seen(Vec::new()));
    cloud.tags.insert("data".to_owned(), seen(Vec::new()));
    let key = KmsKey {
        arn: KEY.to_owned(),
        state: "Enabled".to_owned(),
        manager: KeyManager::Customer,
        spec: "SYMMETRIC_DEFAULT".to_owned(),
        usage: "ENCRYPT_DECRYPT".to_owned(),
    };
    cloud.keys.insert(ALIAS.to_owned(), seen(Some(key.clone())));
    cloud.keys.insert(format!("eu-west-1/{KEY}"), seen(Some(key)));
    cloud
}

/// What is read beside the assessment, and the calls that it took, sorted.
async fn gathered(yaml: &str, mode: Mode, owned: &[OwnerTag], cloud: &FakeCloud) -> (Option<Evidence>, Vec<String>) {
    fn sendable<T: Send>(future: T) -> T {
        future
    }
    let controls = Controls { s3_encryption: Some(serde_saphyr::from_str(yaml).unwrap()), ..Controls::default() };
    let assessment = assess("222222222222", &RegionSelection::Enabled, &controls, cloud, &Silent).await.unwrap();
    cloud.calls.lock().unwrap().clear();
    let evidence = sendable(of_all::gather(&assessment, mode, &controls, owned, cloud)).await;
    let mut calls = cloud.calls();
    calls.sort();
    (evidence.s3_encryption, calls)
}

#[tokio::test]
async fn nothing_is_read_in_audit_or_where_nothing_fails() {
    assert_eq!(gathered("{requireTls: true}", Mode::Audit, &[], &cloud()).await, (None, Vec::new()));
    assert_eq!(gathered("{mode: Audit, requireTls: true}", Mode::Enforce, &[], &cloud()).await, (None, Vec::new()));
    assert_eq!(gathered("{minimumAlgorithm: SseS3}", Mode::Enforce, &[], &cloud()).await, (None, Vec::new()));
}

#[tokio::test]
async fn only_what_a_failing_buckets_plan_needs_is_read() {
    let mut sse_c = cloud();
    sse_c.encryption.insert("data".to_owned(), seen(None));
    let owned = [OwnerTag { key: "ManagedBy".to_owned(), value: None }];
    let named = "{minimumAlgorithm: SseKms, requireCustomerManagedKey: true, allowKmsMigration: true}";
    let website = ["GetBucketPolicy data", "GetBucketWebsite data"];
    let migration = [&format!("DescribeKey {ALIAS}"), "GetBucketPolicy data", "GetBucketReplication data"];
    for (cloud, yaml, owned, expected) in [
        (cloud(), "{requireTls: true}", &[][..], &website[..]),
        (sse_c, "{forbidSseC: true}", &owned, &["GetBucketPolicy data", "GetBucketTagging data"]),
        (cloud(), MOVE, &[], &migration),
        (cloud(), &MOVE.replace(", allowKmsMigration: true", ""), &[], &["GetBucketPolicy data"]),
        (cloud(), named, &[], &["GetBucketPolicy data"]),
    ] {
        let (evidence, calls) = gathered(yaml, Mode::Enforce, owned, &cloud).await;
        assert_eq!(calls, expected, "{yaml}");
        assert_eq!(evidence.unwrap().buckets.into_keys().collect::<Vec<_>>(), ["data"], "{yaml}");
    }
}

#[tokio::test]
async fn s3_42_the_block_is_read_where_the_policy_is_public() {
    let mut cloud = cloud();
    let public = r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}"#;
    cloud.policies.insert("data".to_owned(), policy(public));
    let (evidence, calls) = gathered("{requireTls: true}", Mode::Enforce, &[], &cloud).await;
    assert_eq!(calls, ["GetBucketPolicy data", "GetBucketWebsite data", "GetPublicAccessBlock data"]);
    assert_eq!(evidence.unwrap().buckets["data"].blocks_public_policy, Some(seen(true)));
}

#[tokio::test]
async fn where_the_policy_or_the_tags_cannot_be_read_the_rest_is_spared() {
    let owned = [OwnerTag { key: "ManagedBy".to_owned(), value: None }];
    let mut cloud = cloud();
    cloud.tags.insert("data".to_owned(), denied("s3:GetBucketTagging"));
    let (evidence, calls) = gathered("{requireTls: true}", Mode::Enforce, &owned, &cloud).await;
    assert_eq!(calls, ["GetBucketPolicy data", "GetBucketTagging data"]);
    assert_eq!(evidence.unwrap().buckets["data"].tags, Some(denied("s3:GetBucketTagging")));
}

#[tokio::test]
async fn s3_16_of_control_towers_buckets_nothing_is_read() {
    let mut cloud = cloud();
    let bucket = Bucket { name: "aws-controltower-logs-1".to_owned(), region: "eu-west-1".to_owned() };
    cloud.buckets = Some(seen(vec![bucket.clone()]));
    cloud.policies.insert(bucket.name, seen(None));
    let (evidence, calls) = gathered("{requireTls: true}", Mode::Enforce, &[], &cloud).await;
    assert_eq!((evidence, calls), (Some(Evidence::default()), Vec::new()));
}

#[tokio::test]
async fn what_was_read_is_handed_on() {
    let mut cloud = cloud();
    let rules = vec![ReplicationRule { id: "dr".to_owned(), enabled: true, replicates_kms: false }];
    let tags = vec![Tag { key: "a".to_owned(), value: "b".to_owned() }];
    cloud.replication.insert("data".to_owned(), seen(rules.clone()));
    cloud.tags.insert("data".to_owned(), seen(tags.clone()));
    let owned = [OwnerTag::default()];
    let (evidence, _) = gathered(MOVE, Mode::Enforce, &owned, &cloud).await;
    let evidence = evidence.unwrap();
    let expected = BucketEvidence {
        policy: Some(seen(None)),
        tags: Some(seen(tags)),
        replication: Some(seen(rules)),
        ..BucketEvidence::default()
    };
    assert_eq!(evidence.buckets, BTreeMap::from([("data".to_owned(), expected)]));
    assert_eq!(evidence.keys.len(), 1);
}
