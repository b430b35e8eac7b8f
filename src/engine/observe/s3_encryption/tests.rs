use std::sync::Mutex;

use super::*;
use crate::api::Controls;
use crate::baseline::s3_encryption::{BucketEncryption, KeyManager};
use crate::baseline::{Check, Finding, Verdict};
use crate::engine::cloud::Region;
use crate::engine::fake::{FakeCloud, account, denied, seen};
use crate::engine::{Assessment, RegionSelection, Silent, assess};

const KEY: &str = "arn:aws:kms:eu-west-1:222222222222:key/1111";

fn encryption(algorithm: &str, key: Option<&str>) -> Observed<Option<BucketEncryption>> {
    seen(Some(BucketEncryption {
        algorithm: algorithm.to_owned(),
        kms_key_id: key.map(str::to_owned),
        bucket_key_enabled: true,
        blocked_encryption_types: Vec::new(),
    }))
}

fn key() -> Observed<Option<KmsKey>> {
    seen(Some(KmsKey {
        arn: KEY.to_owned(),
        state: "Enabled".to_owned(),
        manager: KeyManager::Customer,
        spec: "SYMMETRIC_DEFAULT".to_owned(),
        usage: "ENCRYPT_DECRYPT".to_owned(),
    }))
}

/// An account with two enabled regions and these buckets, `name@region`.
fn cloud(buckets: &[&str]) -> FakeCloud {
    let region = |name: &str, enabled| Region { name: name.to_owned(), enabled };
    let bucket = |text: &&str| {
        let (name, region) = text.split_once('@').unwrap();
        Bucket { name: name.to_owned(), region: region.to_owned() }
    };
    FakeCloud {
        identity: Some(account()),
        regions: Some(seen(vec![region("af-south-1", false), region("eu-west-1", true), region("us-east-1", true)])),
        buckets: Some(seen(buckets.iter().map(bucket).collect())),
        ..FakeCloud::default()
    }
}

/// Runs the future where it must be `Send`, as the operator's is.
async fn assessed(yaml: &str, cloud: &FakeCloud) -> Assessment {
    fn sendable<T: Send>(future: T) -> T {
        future
    }
    let controls = Controls { s3_encryption: Some(serde_saphyr::from_str(yaml).unwrap()), ..Controls::default() };
    sendable(assess("222222222222", &RegionSelection::Enabled, &controls, cloud, &Silent)).await.unwrap()
}

/// The calls of the control, sorted: buckets are read side by side.
fn calls(cloud: &FakeCloud) -> Vec<String> {
    let shared = ["GetCallerIdentity", "ListAccountAliases", "DescribeRegions"];
    let mut calls: Vec<_> = cloud.calls().into_iter().filter(|call| !shared.contains(&call.as_str())).collect();
    calls.sort();
    calls
}

fn verdicts(assessment: &Assessment, check: Check) -> Vec<(&str, Verdict)> {
    let rows = assessment.findings.iter().filter(|finding| finding.subject().check == check);
    rows.map(|finding: &Finding| (finding.subject().resource.rsplit(':').next().unwrap(), finding.verdict())).collect()
}

#[tokio::test]
async fn encryption_that_is_enough_costs_one_call_a_bucket() {
    let mut cloud = cloud(&["b@us-east-1", "a@eu-west-1"]);
    cloud.encryption.insert("a".to_owned(), encryption("AES256", None));
    cloud.encryption.insert("b".to_owned(), encryption("aws:kms", Some(KEY)));
    let assessment = assessed("{minimumAlgorithm: SseS3, forbidSseC: true}", &cloud).await;
    assert_eq!(calls(&cloud), ["GetBucketEncryption a", "GetBucketEncryption b", "ListBuckets"]);
    let algorithms = verdicts(&assessment, Check::EncryptionAlgorithm);
    assert_eq!(algorithms, [("a", Verdict::Pass), ("b", Verdict::Pass)]);
    assert_eq!((assessment.coverage.buckets, assessment.coverage.buckets_skipped), (Some(2), Some(0)));
}

#[tokio::test]
async fn tls_alone_reads_policies_alone() {
    let mut cloud = cloud(&["a@eu-west-1", "b@eu-west-1"]);
    cloud.policies.insert("a".to_owned(), seen(None));
    cloud.policies.insert("b".to_owned(), seen(Some("{".to_owned())));
    let assessment = assessed("{requireTls: true}", &cloud).await;
    assert_eq!(calls(&cloud), ["GetBucketPolicy a", "GetBucketPolicy b", "ListBuckets"]);
    let rows = verdicts(&assessment, Check::TlsRequired);
    assert_eq!(rows, [("a", Verdict::Fail), ("b", Verdict::Unknown)], "a policy that is no JSON is no verdict");
}

#[tokio::test]
async fn s3_31_a_policy_is_judged_as_it_is_read() {
    let mut cloud = cloud(&["data@eu-west-1"]);
    let policy = r#"{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/*"],
        "Condition": {"Bool": {"aws:SecureTransport": false}}}}"#;
    cloud.policies.insert("data".to_owned(), seen(Some(policy.to_owned())));
    let assessment = assessed("{requireTls: true}", &cloud).await;
    assert_eq!(verdicts(&assessment, Check::TlsRequired), [("data", Verdict::Pass)]);
}

#[tokio::test]
async fn s3_05_a_key_is_described_once_and_an_alias_answers_for_its_key() {
    let mut cloud = cloud(&["a@eu-west-1", "b@eu-west-1", "c@eu-west-1", "d@eu-west-1"]);
    for (name, id) in [("a", KEY), ("b", "1111"), ("c", KEY)] {
        cloud.encryption.insert(name.to_owned(), encryption("aws:kms", Some(id)));
    }
    cloud.encryption.insert("d".to_owned(), encryption("aws:kms", None));
    let alias = "eu-west-1/arn:aws:kms:eu-west-1:222222222222:alias/s3-default";
    cloud.keys.insert(alias.to_owned(), key());
    let spec = "{minimumAlgorithm: SseKms, requireCustomerManagedKey: true, kmsKeys: [alias/s3-default]}";
    let assessment = assessed(spec, &cloud).await;
    let described: Vec<_> = calls(&cloud).into_iter().filter(|call| call.starts_with("DescribeKey")).collect();
    assert_eq!(described, [format!("DescribeKey {alias}")]);
    let rows = verdicts(&assessment, Check::KmsKey);
    assert_eq!(rows, [("a", Verdict::Pass), ("b", Verdict::Pass), ("c", Verdict::Pass), ("d", Verdict::Fail)]);
}

#[tokio::test]
async fn a_key_is_described_once_for_all_its_buckets_and_in_its_own_region() {
    let mut cloud = cloud(&["a@eu-west-1", "b@eu-west-1", "c@us-east-1"]);
    for name in ["a", "b", "c"] {
        cloud.encryption.insert(name.to_owned(), encryption("aws:kms", Some(KEY)));
    }
    cloud.keys.insert(format!("eu-west-1/{KEY}"), key());
    let assessment = assessed("{minimumAlgorithm: SseKms}", &cloud).await;
    let described: Vec<_> = calls(&cloud).into_iter().filter(|call| call.starts_with("DescribeKey")).collect();
    assert_eq!(described, [format!("DescribeKey eu-west-1/{KEY}")]);
    let rows = verdicts(&assessment, Check::KmsKeyUsable);
    assert_eq!(rows, [("a", Verdict::Pass), ("b", Verdict::Pass), ("c", Verdict::Fail)]);
}

#[tokio::test]
async fn s3_12_the_policy_of_a_weak_bucket_alone_is_read_for_load_balancer_logs() {
    let mut cloud = cloud(&["balanced@eu-west-1", "strong@eu-west-1"]);
    cloud.encryption.insert("balanced".to_owned(), encryption("AES256", None));
    cloud.encryption.insert("strong".to_owned(), encryption("aws:kms:dsse", None));
    let policy = r#"{"Statement": {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::balanced/*",
        "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}}}"#;
    cloud.policies.insert("balanced".to_owned(), seen(Some(policy.to_owned())));
    let assessment = assessed("{minimumAlgorithm: SseKms}", &cloud).await;
    let expected =
        ["GetBucketEncryption balanced", "GetBucketEncryption strong", "GetBucketPolicy balanced", "ListBuckets"];
    assert_eq!(calls(&cloud), expected, "server access logs need not be looked at");
    let rows = verdicts(&assessment, Check::EncryptionAlgorithm);
    assert_eq!(rows, [("balanced", Verdict::NotApplicable), ("strong", Verdict::Pass)]);
}

#[tokio::test]
async fn s3_13_logging_is_read_of_all_buckets_of_a_region_where_it_matters() {
    let mut cloud = cloud(&["logs@eu-west-1", "weak@eu-west-1", "data@eu-west-1", "far@us-east-1"]);
    for (name, algorithm) in [("logs", "AES256"), ("weak", "AES256"), ("data", "aws:kms"), ("far", "aws:kms")] {
        cloud.encryption.insert(name.to_owned(), encryption(algorithm, None));
        cloud.policies.insert(name.to_owned(), seen(None));
        cloud.logging.insert(name.to_owned(), seen((name == "data").then(|| "logs".to_owned())));
    }
    let assessment = assessed("{minimumAlgorithm: SseKms}", &cloud).await;
    let logging: Vec<_> = calls(&cloud).into_iter().filter(|call| call.starts_with("GetBucketLogging")).collect();
    assert_eq!(logging, ["GetBucketLogging data", "GetBucketLogging logs", "GetBucketLogging weak"]);
    let rows = verdicts(&assessment, Check::EncryptionAlgorithm);
    let expected =
        [("data", Verdict::Pass), ("far", Verdict::Pass), ("logs", Verdict::NotApplicable), ("weak", Verdict::Fail)];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn s3_13_logging_that_was_not_read_is_no_verdict_on_weak_buckets() {
    let mut cloud = cloud(&["closed@eu-west-1", "weak@eu-west-1"]);
    for name in ["closed", "weak"] {
        cloud.encryption.insert(name.to_owned(), encryption("AES256", None));
        cloud.policies.insert(name.to_owned(), seen(None));
    }
    cloud.logging.insert("weak".to_owned(), seen(Some("closed".to_owned())));
    cloud.logging.insert("closed".to_owned(), denied("s3:GetBucketLogging"));
    let assessment = assessed("{minimumAlgorithm: SseKms}", &cloud).await;
    let rows = verdicts(&assessment, Check::EncryptionAlgorithm);
    assert_eq!(rows, [("closed", Verdict::NotApplicable), ("weak", Verdict::Unknown)]);
}

#[tokio::test]
async fn s3_18_one_bucket_denied_leaves_the_others_judged() {
    let mut cloud = cloud(&["closed@eu-west-1", "open@eu-west-1"]);
    cloud.encryption.insert("closed".to_owned(), denied("s3:GetEncryptionConfiguration"));
    cloud.encryption.insert("open".to_owned(), encryption("AES256", None));
    for name in ["closed", "open"] {
        cloud.policies.insert(name.to_owned(), seen(None));
        cloud.logging.insert(name.to_owned(), seen(None));
    }
    let assessment = assessed("{minimumAlgorithm: SseKms, requireTls: true}", &cloud).await;
    let rows = verdicts(&assessment, Check::EncryptionAlgorithm);
    assert_eq!(rows, [("closed", Verdict::Unknown), ("open", Verdict::Fail)]);
    assert_eq!(verdicts(&assessment, Check::TlsRequired), [("closed", Verdict::Fail), ("open", Verdict::Fail)]);
    assert_eq!(assessment.coverage.buckets, Some(2));
}

#[tokio::test]
async fn s3_20_a_bucket_in_a_region_that_is_not_enabled_is_skipped_and_counted() {
    let mut cloud = cloud(&["far@af-south-1", "near@eu-west-1"]);
    cloud.encryption.insert("near".to_owned(), encryption("AES256", None));
    let assessment = assessed("{minimumAlgorithm: SseS3}", &cloud).await;
    assert_eq!(calls(&cloud), ["GetBucketEncryption near", "ListBuckets"]);
    assert_eq!(verdicts(&assessment, Check::EncryptionAlgorithm), [("near", Verdict::Pass)]);
    assert_eq!((assessment.coverage.buckets, assessment.coverage.buckets_skipped), (Some(1), Some(1)));
}

#[tokio::test]
async fn s3_22_directory_buckets_are_not_listed_so_nothing_is_asked_of_them() {
    let cloud = cloud(&[]);
    let assessment = assessed("{minimumAlgorithm: SseKms, requireTls: true}", &cloud).await;
    assert_eq!(calls(&cloud), ["ListBuckets"], "directory buckets have an operation of their own");
    assert_eq!(assessment.findings, []);
}

#[tokio::test]
async fn s3_43_a_bucket_of_another_account_is_counted_and_one_that_vanished_has_no_row() {
    let mut cloud = cloud(&["gone@eu-west-1", "mine@eu-west-1", "theirs@eu-west-1"]);
    let refused = |class| Observed::Unknown(Cause::new(class, "refused"));
    cloud.encryption.insert("gone".to_owned(), refused(CauseClass::NotFound));
    cloud.encryption.insert("theirs".to_owned(), refused(CauseClass::OtherOwner));
    cloud.encryption.insert("mine".to_owned(), encryption("AES256", None));
    cloud.policies.insert("mine".to_owned(), seen(None));
    let assessment = assessed("{minimumAlgorithm: SseS3, requireTls: true}", &cloud).await;
    let rows = verdicts(&assessment, Check::TlsRequired);
    assert_eq!(rows, [("mine", Verdict::Fail), ("theirs", Verdict::NotApplicable)]);
    assert!(!calls(&cloud).contains(&"GetBucketPolicy gone".to_owned()), "what is gone is not asked again");
    assert_eq!((assessment.coverage.buckets, assessment.coverage.buckets_skipped), (Some(1), Some(1)));
}

#[tokio::test]
async fn regions_or_buckets_that_were_not_listed_are_one_unknown() {
    let mut no_buckets = cloud(&[]);
    no_buckets.buckets = Some(denied("s3:ListAllMyBuckets"));
    let mut no_regions = cloud(&["a@eu-west-1"]);
    no_regions.regions = Some(denied("ec2:DescribeRegions"));
    for (cloud, action) in [(no_buckets, "s3:ListAllMyBuckets"), (no_regions, "ec2:DescribeRegions")] {
        let assessment = assessed("{minimumAlgorithm: SseS3, requireTls: true}", &cloud).await;
        let causes: Vec<_> = assessment.findings.iter().map(|finding| finding.cause().cloned().unwrap()).collect();
        assert_eq!(causes.len(), 1);
        assert_eq!(causes[0].missing_action.as_deref(), Some(action));
        assert_eq!((assessment.coverage.buckets, assessment.coverage.buckets_skipped), (None, None));
    }
}

#[derive(Default)]
struct Recorded(Mutex<Vec<(usize, usize)>>);

impl Progress for Recorded {
    fn started(&self, _: Control) {}
    fn advanced(&self, _: Control, done: usize, total: usize) {
        self.0.lock().unwrap().push((done, total));
    }
    fn finished(&self, _: Control) {}
}

#[tokio::test]
async fn progress_tells_of_each_bucket_that_is_judged() {
    let cloud = cloud(&["a@eu-west-1", "b@eu-west-1", "far@af-south-1"]);
    let progress = Recorded::default();
    let controls = Controls {
        s3_encryption: Some(S3Encryption { forbid_sse_c: true, ..S3Encryption::default() }),
        ..Controls::default()
    };
    assess("222222222222", &RegionSelection::Enabled, &controls, &cloud, &progress).await.unwrap();
    assert_eq!(*progress.0.lock().unwrap(), [(1, 2), (2, 2)]);
}
