use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::api::{BucketEncryption, BucketEncryptionChange, BucketPolicyChange, Mode, RecordedBaseline};
use crate::baseline::Verdict;
use crate::baseline::change::{Action, Position, ResourceState};
use crate::baseline::history::History;
use crate::baseline::observed::CauseClass;
use crate::baseline::remediation::Remediation;
use crate::baseline::s3_encryption::{Bucket, BucketPolicy, KeyManager, LogTargets, evaluate};

mod properties;

const KEY: &str = "arn:aws:kms:eu-west-1:222222222222:key/1111";
const OTHER: &str = "arn:aws:kms:eu-west-1:222222222222:key/2222";
const ALIAS: &str = "arn:aws:kms:eu-west-1:222222222222:alias/s3-default";

const ALL: &str = "{minimumAlgorithm: SseKms, requireCustomerManagedKey: true, kmsKeys: [alias/s3-default], \
                   requireBucketKey: true, forbidSseC: true, requireTls: true, allowKmsMigration: true}";
const MOVE: &str = "{minimumAlgorithm: SseKms, requireCustomerManagedKey: true, kmsKeys: [alias/s3-default], \
                    allowKmsMigration: true}";
const TLS: &str = "{requireTls: true}";
const SSE_C: &str = "{forbidSseC: true}";

const ALGORITHM: Check = Check::EncryptionAlgorithm;

fn at() -> Timestamp {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

fn seen<T>(value: T) -> Observed<T> {
    Observed::complete(value, at())
}

fn denied<T>(action: &str) -> Observed<T> {
    let cause = Cause::new(CauseClass::AccessDenied, format!("{action} is denied"));
    Observed::Unknown(Cause { missing_action: Some(action.to_owned()), ..cause })
}

fn account(partition: &str) -> AccountIdentity {
    AccountIdentity::from_caller("222222222222", &format!("arn:{partition}:iam::222222222222:user/x")).unwrap()
}

fn encryption(algorithm: &str, key: Option<&str>) -> BucketEncryption {
    BucketEncryption {
        algorithm: algorithm.to_owned(),
        kms_key_id: key.map(str::to_owned),
        bucket_key_enabled: false,
        blocked_encryption_types: Vec::new(),
    }
}

fn aes256() -> BucketEncryption {
    encryption("AES256", None)
}

fn key(arn: &str) -> KmsKey {
    KmsKey {
        arn: arn.to_owned(),
        state: "Enabled".to_owned(),
        manager: KeyManager::Customer,
        spec: "SYMMETRIC_DEFAULT".to_owned(),
        usage: "ENCRYPT_DECRYPT".to_owned(),
    }
}

fn allow(change: Value) -> Value {
    let mut statement = json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::222222222222:role/app"},
        "Action": "s3:*", "Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/*"]});
    let fields = statement.as_object_mut().unwrap();
    let Value::Object(change) = change else { panic!("{change} is no object") };
    for (name, value) in change {
        if value.is_null() {
            fields.remove(&name)
        } else {
            fields.insert(name, value)
        };
    }
    statement
}

#[expect(clippy::unnecessary_wraps, reason = "a bucket holds an option")]
fn policy(statements: impl Into<Value>) -> Option<String> {
    Some(json!({"Version": "2012-10-17", "Statement": statements.into()}).to_string())
}

/// The bucket `data` with nothing against any change.
#[derive(Clone, Debug)]
struct World {
    account: AccountIdentity,
    bucket: Bucket,
    encryption: Option<BucketEncryption>,
    evidence: BucketEvidence,
    keys: BTreeMap<String, Observed<Option<KmsKey>>>,
    owned_elsewhere: Vec<OwnerTag>,
}

impl World {
    fn new(encryption: impl Into<Option<BucketEncryption>>, policy: Option<String>) -> Self {
        Self {
            account: account("aws"),
            bucket: Bucket { name: "data".to_owned(), region: "eu-west-1".to_owned() },
            encryption: encryption.into(),
            evidence: BucketEvidence {
                policy: Some(seen(policy)),
                tags: None,
                serves_website: Some(seen(false)),
                blocks_public_policy: Some(seen(false)),
                replication: Some(seen(Vec::new())),
            },
            keys: [(ALIAS.to_owned(), seen(Some(key(KEY))))].into(),
            owned_elsewhere: Vec::new(),
        }
    }

    fn but(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn named(self, name: &str) -> Self {
        self.but(|world| name.clone_into(&mut world.bucket.name))
    }

    fn policy(&self) -> Option<String> {
        self.evidence.policy.as_ref().and_then(Observed::value).cloned().flatten()
    }

    fn snapshot(&self) -> Snapshot {
        let judged = self.policy().map(|text| BucketPolicy::read(&text, &self.bucket, &self.account).unwrap());
        let state = BucketState {
            bucket: self.bucket.clone(),
            encryption: Some(seen(self.encryption.clone())),
            policy: Some(seen(judged)),
        };
        let keys = [(ALIAS, KEY), (KEY, KEY), (OTHER, OTHER)];
        let buckets = Buckets {
            judged: vec![state],
            keys: keys.map(|(name, arn)| (name.to_owned(), seen(Some(key(arn))))).into(),
            log_targets: [("eu-west-1".to_owned(), LogTargets::default())].into(),
            ..Buckets::default()
        };
        Snapshot { account: self.account.clone(), buckets: seen(buckets) }
    }

    fn planned(&self, yaml: &str) -> Planned {
        self.plan(&serde_saphyr::from_str(yaml).unwrap())
    }

    fn plan(&self, desired: &S3Encryption) -> Planned {
        let snapshot = self.snapshot();
        let plan = self.plan_of_snapshot(desired, &snapshot);
        Planned { plan, findings: evaluate(desired, &snapshot) }
    }

    /// The plan where the snapshot was another than the evidence tells.
    fn plan_of_snapshot(&self, desired: &S3Encryption, snapshot: &Snapshot) -> ControlPlan {
        self.plan_of(desired, snapshot, |_| true)
    }

    /// The same where other findings than these are excepted.
    fn plan_of(&self, desired: &S3Encryption, snapshot: &Snapshot, fails: impl Fn(Check) -> bool) -> ControlPlan {
        let findings = evaluate(desired, snapshot);
        let failing = findings.iter().filter(|finding| finding.verdict() == Verdict::Fail);
        let failing: Vec<_> = failing.filter(|finding| fails(finding.subject().check)).collect();
        let evidence =
            Evidence { buckets: [(self.bucket.name.clone(), self.evidence.clone())].into(), keys: self.keys.clone() };
        let circumstances = Circumstances {
            now: at(),
            account: self.account.clone(),
            mode: Mode::Enforce,
            owned_elsewhere: self.owned_elsewhere.clone(),
            own_users: std::collections::BTreeSet::new(),
            baseline: RecordedBaseline::default(),
            history: History::default(),
        };
        plan(desired, &failing, snapshot, &evidence, &circumstances)
    }

    /// The world after the changes of a plan.
    fn after(&self, planned: &Planned) -> Self {
        let mut world = self.clone();
        for change in &planned.plan.changes {
            match &change.action {
                Action::BucketEncryption(change) => {
                    assert_eq!(change.before, world.encryption);
                    world.encryption.clone_from(&change.after);
                }
                Action::BucketPolicy(change) => {
                    assert_eq!(change.before, world.policy());
                    world.evidence.policy = Some(seen(change.after.clone()));
                }
                other => panic!("not a bucket's: {other:?}"),
            }
        }
        world
    }
}

struct Planned {
    plan: ControlPlan,
    findings: Vec<Finding>,
}

impl Planned {
    fn remediation(&self, check: Check) -> &Remediation {
        let finding = self.findings.iter().find(|finding| finding.subject().check == check).unwrap();
        assert_eq!(finding.verdict(), Verdict::Fail, "{check:?}: {}", finding.message());
        &self.plan.remediations[&finding.subject().id()]
    }

    /// The reason, or `Automatic`.
    fn word(&self, check: Check) -> &'static str {
        let remediation = self.remediation(check);
        remediation.reason().map_or(remediation.as_str(), HoldReason::as_str)
    }

    fn says(&self, check: Check) -> &str {
        self.remediation(check).message().unwrap()
    }

    fn encryption(&self) -> Option<BucketEncryption> {
        self.plan.changes.iter().find_map(|change| match &change.action {
            Action::BucketEncryption(BucketEncryptionChange { after, .. }) => after.clone(),
            _ => None,
        })
    }

    fn policy(&self) -> Option<Value> {
        self.plan.changes.iter().find_map(|change| match &change.action {
            Action::BucketPolicy(BucketPolicyChange { after, .. }) => serde_json::from_str(after.as_ref()?).ok(),
            _ => None,
        })
    }
}

#[test]
fn s3_03_a_bucket_moves_to_the_key_behind_the_named_alias_in_one_write() {
    let planned = World::new(aes256(), None).planned(ALL);
    let after = BucketEncryption {
        bucket_key_enabled: true,
        blocked_encryption_types: vec!["SSE-C".to_owned()],
        ..encryption("aws:kms", Some(KEY))
    };
    assert_eq!(planned.encryption(), Some(after));
    assert_eq!(planned.plan.changes.len(), 2, "one of the encryption, one of the policy");
    for check in [ALGORITHM, Check::KmsKey, Check::SseCForbidden, Check::TlsRequired] {
        assert_eq!(planned.word(check), "Automatic", "{check:?}");
    }
    assert!(planned.says(ALGORITHM).contains(KEY), "{}", planned.says(ALGORITHM));
    let Action::BucketEncryption(change) = &planned.plan.changes[0].action else { panic!("another change") };
    assert_eq!((change.bucket.as_str(), change.region.as_str()), ("data", "eu-west-1"));
    assert_eq!(planned.plan.changes[0].resource, "arn:aws:s3:::data");
}

#[test]
fn s3_03_the_first_named_key_that_is_usable_is_taken_and_without_one_the_move_is_held() {
    let two = MOVE.replace("[alias/s3-default]", &format!("[alias/s3-default, '{OTHER}']"));
    let with = |first: Observed<Option<KmsKey>>, second: Observed<Option<KmsKey>>| {
        World::new(aes256(), None)
            .but(|world| world.keys = [(ALIAS.to_owned(), first), (OTHER.to_owned(), second)].into())
            .planned(&two)
    };
    let taken = |planned: &Planned| planned.encryption().and_then(|encryption| encryption.kms_key_id);
    let good = |arn| seen(Some(key(arn)));
    let state = |state: &str| seen(Some(KmsKey { state: state.to_owned(), ..key(KEY) }));
    assert_eq!(taken(&with(good(KEY), good(OTHER))).as_deref(), Some(KEY));
    let unusable = [
        state("Disabled"),
        state("PendingDeletion"),
        state("SomethingNew"),
        seen(None),
        seen(Some(KmsKey { spec: "RSA_2048".to_owned(), ..key(KEY) })),
        seen(Some(KmsKey { manager: KeyManager::Aws, ..key(KEY) })),
        seen(Some(key("arn:aws:kms:us-east-1:222222222222:key/1111"))),
    ];
    for first in unusable {
        assert_eq!(taken(&with(first.clone(), good(OTHER))).as_deref(), Some(OTHER), "{first:?}");
        let none = with(first.clone(), seen(None));
        assert_eq!(none.word(ALGORITHM), "NoUsableKey", "{first:?}: {}", none.says(ALGORITHM));
        assert_eq!(taken(&none), None);
    }
    // One that may never be described is passed over; where none is left, it is named.
    let undescribable = || denied("kms:DescribeKey");
    assert_eq!(taken(&with(undescribable(), good(OTHER))).as_deref(), Some(OTHER));
    let unread = with(undescribable(), seen(None));
    assert_eq!(unread.word(ALGORITHM), "NotRead");
    assert!(unread.says(ALGORITHM).contains("lacks kms:DescribeKey"), "{}", unread.says(ALGORITHM));
    // One that could be described a moment later may be the first usable one.
    let throttled = Observed::Unknown(Cause::new(CauseClass::Throttled, "slow down"));
    assert_eq!(with(throttled, good(OTHER)).word(ALGORITHM), "NotRead");
}

#[test]
fn a_key_has_to_be_named_before_a_bucket_moves_to_one() {
    let none = "{minimumAlgorithm: SseKms, requireCustomerManagedKey: true, allowKmsMigration: true}";
    for live in [aes256(), encryption("aws:kms", None)] {
        let planned = World::new(live, None).planned(none);
        assert_eq!(planned.word(Check::KmsKey), "NoUsableKey");
        assert!(planned.says(Check::KmsKey).contains("kmsKeys"));
        assert_eq!(planned.plan.changes, []);
    }
    let elsewhere = MOVE.replace("alias/s3-default", "'arn:aws:kms:us-east-1:222222222222:key/1'");
    let planned = World::new(aes256(), None).planned(&elsewhere);
    assert_eq!(planned.word(ALGORITHM), "NoUsableKey");
    assert!(planned.says(ALGORITHM).contains("eu-west-1"));
}

#[test]
fn where_no_key_is_asked_for_the_aws_managed_one_is_taken_unless_others_read_the_bucket() {
    let spec = "{minimumAlgorithm: SseKms, allowKmsMigration: true}";
    let planned = World::new(None, None).planned(spec);
    let expected =
        BucketEncryption { blocked_encryption_types: vec!["NONE".to_owned()], ..encryption("aws:kms", None) };
    assert_eq!(planned.encryption(), Some(expected), "nothing is left to AWS's defaults");
    let reader = allow(json!({"Principal": {"AWS": "arn:aws:iam::333333333333:root"}, "Action": "s3:GetObject"}));
    let planned = World::new(None, policy(reader.clone())).planned(spec);
    assert_eq!(planned.word(ALGORITHM), "OtherReaders");
    assert!(planned.says(ALGORITHM).contains("333333333333"));
    assert_eq!(World::new(None, policy(reader)).planned(MOVE).word(ALGORITHM), "Automatic", "a key of one's own");
}

#[test]
fn readers_that_can_never_decrypt_hold_the_move() {
    let everybody = allow(json!({"Principal": "*", "Action": "s3:GetObject"}));
    let identity = "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1";
    let cloudfront = allow(json!({"Principal": {"AWS": identity}, "Action": "s3:GetObject"}));
    for statement in [everybody, cloudfront] {
        assert_eq!(World::new(aes256(), policy(statement)).planned(MOVE).word(ALGORITHM), "OtherReaders");
    }
    let members = allow(json!({"Principal": "*", "Action": "s3:GetObject",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}));
    assert_eq!(World::new(aes256(), policy(members)).planned(MOVE).word(ALGORITHM), "Automatic");
}

#[test]
fn s3_02_dsse_and_a_stronger_live_value_are_never_lowered() {
    let dsse = BucketEncryption { bucket_key_enabled: false, ..encryption("aws:kms:dsse", Some(KEY)) };
    let planned = World::new(dsse.clone(), None).planned(ALL);
    let kept = BucketEncryption { blocked_encryption_types: vec!["SSE-C".to_owned()], ..dsse };
    assert_eq!(planned.encryption(), Some(kept));
}

#[test]
fn a_bucket_under_kms_is_raised_to_dsse_with_the_key_that_it_has() {
    let spec = "{minimumAlgorithm: DsseKms, requireBucketKey: true, allowKmsMigration: true}";
    let live = encryption("aws:kms", Some(OTHER));
    let planned = World::new(live.clone(), None).planned(spec);
    let after = planned.encryption().unwrap();
    assert_eq!((after.algorithm.as_str(), after.kms_key_id.as_deref()), ("aws:kms:dsse", Some(OTHER)));
    assert!(!after.bucket_key_enabled, "DSSE-KMS supports none");
    assert_eq!(planned.word(Check::BucketKey), "Automatic", "moot after the change");
    let held = World::new(live, None).planned(&spec.replace("true}", "false}"));
    assert_eq!((held.word(ALGORITHM), held.word(Check::BucketKey)), ("KmsMigration", "Automatic"));
    assert!(held.encryption().unwrap().bucket_key_enabled);
}

#[test]
fn s3_04_the_aws_managed_key_gives_way_to_the_named_one() {
    for id in [None, Some("alias/aws/s3"), Some("arn:aws:kms:eu-west-1:222222222222:alias/aws/s3")] {
        let live = BucketEncryption { bucket_key_enabled: true, ..encryption("aws:kms", id) };
        let planned = World::new(live.clone(), None).planned(MOVE);
        let after = planned.encryption().unwrap();
        assert_eq!(after.kms_key_id.as_deref(), Some(KEY));
        assert!(after.bucket_key_enabled, "what the spec does not ask for is kept");
        let held = World::new(live, None).planned(&MOVE.replace("allowKmsMigration: true", "allowKmsMigration: false"));
        assert_eq!(held.word(Check::KmsKey), "KmsMigration");
    }
}

#[test]
fn s3_09_a_bucket_key_is_added_and_key_and_blocked_types_stay() {
    let live = BucketEncryption {
        blocked_encryption_types: vec!["SSE-C".to_owned()],
        ..encryption("aws:kms", Some("alias/anything"))
    };
    let planned = World::new(live.clone(), None).planned("{requireBucketKey: true}");
    assert_eq!(planned.encryption(), Some(BucketEncryption { bucket_key_enabled: true, ..live }));
}

#[test]
fn s3_10_sse_c_is_blocked_whatever_else_is_held() {
    for blocked in [vec![], vec!["NONE".to_owned()]] {
        let live = BucketEncryption { blocked_encryption_types: blocked, ..aes256() };
        let planned =
            World::new(live, None).planned(&ALL.replace("allowKmsMigration: true", "allowKmsMigration: false"));
        let after = BucketEncryption { blocked_encryption_types: vec!["SSE-C".to_owned()], ..aes256() };
        assert_eq!(planned.encryption(), Some(after), "the live algorithm goes with it");
        assert_eq!((planned.word(ALGORITHM), planned.word(Check::KmsKey)), ("KmsMigration", "KmsMigration"));
        assert_eq!(planned.word(Check::SseCForbidden), "Automatic");
    }
    let absent = World::new(None, None).planned(SSE_C).encryption().unwrap();
    assert_eq!((absent.algorithm.as_str(), absent.blocked_encryption_types), ("AES256", vec!["SSE-C".to_owned()]));
}

#[test]
fn an_algorithm_that_is_not_known_is_not_written_back() {
    let planned = World::new(encryption("aws:quantum", None), None).planned(SSE_C);
    assert_eq!((planned.word(Check::SseCForbidden), planned.plan.changes.len()), ("NotRead", 0));
}

#[test]
fn s3_16_delivery_buckets_are_left_alone_in_everything() {
    let service = |name: &str| policy(allow(json!({"Principal": {"Service": name}, "Action": "s3:PutObject"})));
    let mut worlds: Vec<_> = [
        "cloudtrail.amazonaws.com",
        "config.amazonaws.com",
        "config.amazonaws.com.cn",
        "config-multiaccountsetup.amazonaws.com",
    ]
    .map(|name| World::new(aes256(), service(name)))
    .into();
    worlds.push(World::new(aes256(), None).named("aws-controltower-logs-222222222222-eu-west-1"));
    for world in worlds {
        let planned = world.planned(ALL);
        for check in [ALGORITHM, Check::KmsKey, Check::SseCForbidden, Check::TlsRequired] {
            assert_eq!(planned.word(check), "DeliveryBucket", "{world:?}");
        }
        assert_eq!(planned.plan.changes, []);
    }
}

#[test]
fn what_a_tag_gives_to_somebody_else_is_left_alone() {
    let owner = |key: &str, value: Option<&str>| OwnerTag { key: key.to_owned(), value: value.map(str::to_owned) };
    let world = |tags| {
        World::new(aes256(), None).but(|world| {
            world.owned_elsewhere = vec![owner("ManagedBy", Some("terraform")), owner("stack", None)];
            world.evidence.tags = tags;
        })
    };
    let tag = |key: &str, value: &str| Some(seen(vec![Tag { key: key.to_owned(), value: value.to_owned() }]));
    for (tags, expected) in [
        (tag("ManagedBy", "terraform"), "ManagedElsewhere"),
        (tag("stack", "any"), "ManagedElsewhere"),
        (tag("ManagedBy", "Terraform"), "Automatic"),
        (tag("managedby", "terraform"), "Automatic"),
        (Some(seen(Vec::new())), "Automatic"),
        (Some(denied("s3:GetBucketTagging")), "NotRead"),
        (None, "NotRead"),
    ] {
        let planned = world(tags.clone()).planned(ALL);
        for check in [ALGORITHM, Check::SseCForbidden, Check::TlsRequired] {
            assert_eq!(planned.word(check), expected, "{tags:?}");
        }
    }
    assert!(
        world(Some(denied("s3:GetBucketTagging")))
            .planned(SSE_C)
            .says(Check::SseCForbidden)
            .contains("GetBucketTagging")
    );
}

#[test]
fn s3_17_a_policy_that_demands_sse_s3_holds_the_move_and_nothing_else() {
    let header = |operator: &str, value: &str| json!({operator: {"s3:x-amz-server-side-encryption": value}});
    let deny = |condition: Value| {
        allow(
            json!({"Sid": "Sse", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Condition": condition}),
        )
    };
    for (statement, expected) in [
        (deny(header("StringNotEquals", "AES256")), "UploadsDemandSseS3"),
        (deny(header("StringNotEqualsIfExists", "AES256")), "UploadsDemandSseS3"),
        (deny(header("StringEquals", "aws:kms")), "UploadsDemandSseS3"),
        (deny(header("StringLike", "aws:*")), "UploadsDemandSseS3"),
        (allow(json!({"Condition": header("StringEquals", "AES256")})), "UploadsDemandSseS3"),
        (deny(header("StringNotEquals", "aws:kms")), "Automatic"),
        (deny(header("Null", "true")), "Automatic"),
        (allow(json!({"Action": "s3:GetObject", "Condition": header("StringEquals", "AES256")})), "Automatic"),
    ] {
        let planned = World::new(aes256(), policy(statement.clone())).planned(ALL);
        assert_eq!((planned.word(ALGORITHM), planned.word(Check::KmsKey)), (expected, expected), "{statement}");
        assert_eq!(planned.word(Check::SseCForbidden), "Automatic", "{statement}");
        assert_eq!(planned.word(Check::TlsRequired), "Automatic", "{statement}");
    }
}

#[test]
fn s3_39_the_move_needs_consent_and_is_held_where_others_write() {
    let role = "arn:aws:iam::333333333333:role/feed";
    for (change, expected) in [
        (json!({"Principal": {"AWS": role}, "Action": "s3:PutObject"}), "OtherWriters"),
        (json!({"Principal": {"AWS": "333333333333"}, "Action": "s3:Put*"}), "OtherWriters"),
        (json!({"Principal": {"AWS": ["222222222222", role]}}), "OtherWriters"),
        (json!({"Principal": {"AWS": role}, "Action": "s3:ReplicateObject"}), "OtherWriters"),
        (json!({"Principal": {"AWS": role}, "Action": null, "NotAction": "s3:GetObject"}), "OtherWriters"),
        (json!({"Principal": {"Service": "delivery.logs.amazonaws.com"}, "Action": "s3:PutObject"}), "OtherWriters"),
        (json!({"Principal": {"CanonicalUser": "79a5"}, "Action": "s3:PutObject"}), "OtherWriters"),
        (json!({"Principal": "*", "Action": "s3:PutObject"}), "OtherWriters"),
        (json!({"Principal": null, "NotPrincipal": {"AWS": role}, "Action": "s3:PutObject"}), "OtherWriters"),
        (
            json!({"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalAccount": "222222222222"}}}),
            "Automatic",
        ),
        (json!({"Principal": {"AWS": "222222222222"}}), "Automatic"),
        (json!({"Principal": {"AWS": "arn:aws:sts::222222222222:assumed-role/a/b"}}), "Automatic"),
        (json!({"Principal": {"AWS": role}, "Action": "s3:ListBucket"}), "Automatic"),
        (json!({"Effect": "Deny", "Principal": {"AWS": role}, "Action": "s3:PutObject"}), "Automatic"),
    ] {
        let world = World::new(aes256(), policy(vec![allow(change.clone())]));
        let planned = world.planned(MOVE);
        assert_eq!(planned.word(ALGORITHM), expected, "{change}");
        assert_eq!(planned.word(Check::KmsKey), expected, "{change}");
        assert_eq!(planned.plan.changes.is_empty(), expected != "Automatic");
        let without = world.planned(&MOVE.replace("allowKmsMigration: true", "allowKmsMigration: false"));
        assert_eq!(without.word(ALGORITHM), "KmsMigration", "{change}");
    }
}

#[test]
fn s3_39_replication_that_leaves_kms_out_holds_the_move() {
    let rule = |enabled, replicates_kms| ReplicationRule { id: "to-dr".to_owned(), enabled, replicates_kms };
    for (rules, expected) in [
        (seen(vec![rule(true, true), rule(true, false)]), "Replication"),
        (seen(vec![rule(true, true)]), "Automatic"),
        (seen(vec![rule(false, false)]), "Automatic"),
        (denied("s3:GetReplicationConfiguration"), "NotRead"),
    ] {
        let world = World::new(aes256(), None).but(|world| world.evidence.replication = Some(rules.clone()));
        assert_eq!(world.planned(MOVE).word(ALGORITHM), expected, "{rules:?}");
        assert_eq!(world.planned(ALL).word(Check::TlsRequired), "Automatic", "{rules:?}");
    }
}

#[test]
fn s3_37_another_customer_managed_key_is_never_replaced() {
    for live in [encryption("aws:kms", Some(OTHER)), encryption("aws:kms", Some("alias/s3-default"))] {
        let planned = World::new(live.clone(), None).planned(ALL);
        assert_eq!(planned.word(Check::KmsKey), "ReplacesKey");
        let after = planned.encryption().unwrap();
        assert_eq!(after.kms_key_id, live.kms_key_id, "bucket key and SSE-C go ahead with the live key");
        assert!(after.bucket_key_enabled);
    }
}

#[test]
fn s3_25_one_statement_is_added_and_every_other_stays() {
    let statements = vec![
        allow(json!({"Sid": "PlumblineRequireTls", "Condition": {"NumericLessThan": {"s3:TlsVersion": 1.2}}})),
        allow(json!({"Sid": "plumblinerequiretls2"})),
    ];
    let planned = World::new(aes256(), policy(statements.clone())).planned(TLS);
    let after = planned.policy().unwrap();
    let added = json!({"Sid": "PlumblineRequireTls3", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}}});
    assert_eq!(after["Statement"], json!([statements[0], statements[1], added]));
    assert_eq!(after["Version"], "2012-10-17");
    let single = World::new(aes256(), policy(statements[1].clone())).planned(TLS).policy().unwrap();
    assert_eq!(single["Statement"].as_array().unwrap().len(), 2, "a single statement that is no list");
}

#[test]
fn s3_31_a_bucket_without_a_policy_gets_one_of_one_statement_in_its_partition() {
    let mut world = World::new(aes256(), None);
    world.account = account("aws-cn");
    let planned = world.planned(TLS);
    let after = planned.policy().unwrap();
    assert_eq!(after["Statement"].as_array().unwrap().len(), 1);
    assert_eq!(after["Statement"][0]["Resource"], json!(["arn:aws-cn:s3:::data", "arn:aws-cn:s3:::data/*"]));
    assert_eq!(planned.plan.changes[0].resource, "arn:aws-cn:s3:::data");
}

#[test]
fn s3_32_a_policy_that_denies_by_now_gets_no_twin() {
    let denies =
        allow(json!({"Effect": "Deny", "Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}));
    let desired = serde_saphyr::from_str(TLS).unwrap();
    let snapshot = World::new(aes256(), None).snapshot();
    let finding = &evaluate(&desired, &snapshot)[0];
    assert_eq!(finding.verdict(), Verdict::Fail);
    let plan = World::new(aes256(), policy(denies)).plan_of_snapshot(&desired, &snapshot);
    assert_eq!(plan.changes, []);
    assert_eq!(plan.remediations[&finding.subject().id()].reason(), Some(HoldReason::NotRead));
}

#[test]
fn policies_that_cannot_be_rewritten_hold_the_statement() {
    let not_principal = allow(json!({"Effect": "Deny", "Principal": null, "NotPrincipal": {"AWS": "222222222222"}}));
    let gone = allow(json!({"Principal": {"AWS": ["222222222222", "AROAEXAMPLEEXAMPLEEX"]}}));
    let exact = policy(allow(json!({}))).map(|text| {
        text.replace(r#""s3:*""#, r#""s3:*","Condition":{"NumericEquals":{"a:b":12345678901234567890123}}"#)
    });
    for (id, text) in [("S3-30", policy(not_principal)), ("S3-41", policy(gone)), ("a long number", exact)] {
        let planned = World::new(aes256(), text).planned(ALL);
        assert_eq!(planned.word(Check::TlsRequired), "PolicyNotWritable", "{id}");
        assert_eq!(planned.policy(), None, "{id}");
        assert_eq!(planned.word(Check::SseCForbidden), "Automatic", "{id}: encryption needs no write of the policy");
    }
}

#[test]
fn s3_30_not_principal_is_not_rewritten() {
    let spares = allow(json!({"Effect": "Deny", "Principal": null, "NotPrincipal": {"AWS": "222222222222"}}));
    let planned = World::new(aes256(), policy(spares)).planned(TLS);
    assert_eq!(planned.word(Check::TlsRequired), "PolicyNotWritable");
    assert!(planned.says(Check::TlsRequired).contains("NotPrincipal"));
}

#[test]
fn s3_41_a_deleted_principal_is_named() {
    let gone = allow(json!({"Principal": {"AWS": "AROAEXAMPLEEXAMPLEEX"}}));
    let planned = World::new(aes256(), policy(gone)).planned(TLS);
    assert_eq!(planned.word(Check::TlsRequired), "PolicyNotWritable");
    assert!(planned.says(Check::TlsRequired).contains("AROAEXAMPLEEXAMPLEEX"));
}

#[test]
fn s3_34_a_policy_over_20_kb_is_not_written() {
    let empty = policy(allow(json!({"Sid": ""}))).unwrap();
    let base = World::new(aes256(), Some(empty)).planned(TLS).policy().unwrap().to_string().len();
    let with_length = |length: usize| {
        let text = policy(allow(json!({"Sid": "s".repeat(length - base)})));
        World::new(aes256(), text).planned(TLS)
    };
    assert_eq!(with_length(20_480).word(Check::TlsRequired), "Automatic");
    let over = with_length(20_481);
    assert_eq!(over.word(Check::TlsRequired), "PolicyTooLarge");
    assert!(over.says(Check::TlsRequired).contains("20481"), "{}", over.says(Check::TlsRequired));
}

#[test]
fn s3_40_a_website_holds_the_statement_alone() {
    let website = |answer| World::new(aes256(), None).but(|world| world.evidence.serves_website = answer);
    let planned = website(Some(seen(true))).planned(ALL);
    assert_eq!(planned.word(Check::TlsRequired), "Website");
    assert_eq!(planned.word(Check::SseCForbidden), "Automatic");
    assert_eq!(website(Some(denied("s3:GetBucketWebsite"))).planned(TLS).word(Check::TlsRequired), "NotRead");
    assert_eq!(website(None).planned(TLS).word(Check::TlsRequired), "NotRead");
}

#[test]
fn s3_42_a_public_policy_under_a_block_is_not_written() {
    let public =
        |condition: Value| policy(allow(json!({"Principal": "*", "Action": "s3:GetObject", "Condition": condition})));
    let fixed = |key: &str, value: &str| json!({"StringEquals": {key: value}});
    for (condition, expected) in [
        (Value::Null, "PolicyNotWritable"),
        (fixed("aws:Referer", "https://shop"), "PolicyNotWritable"),
        (json!({"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*"}}), "PolicyNotWritable"),
        (json!({"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}), "PolicyNotWritable"),
        (json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}), "PolicyNotWritable"),
        (fixed("aws:SourceAccount", "${aws:PrincipalAccount}"), "PolicyNotWritable"),
        (fixed("aws:PrincipalOrgID", "o-1"), "Automatic"),
        (fixed("AWS:SourceVpce", "vpce-1"), "Automatic"),
        (json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}), "Automatic"),
    ] {
        let world = World::new(aes256(), public(condition.clone()));
        assert_eq!(world.planned(TLS).word(Check::TlsRequired), "Automatic", "no block: {condition}");
        let world = world.but(|world| world.evidence.blocks_public_policy = Some(seen(true)));
        assert_eq!(world.planned(TLS).word(Check::TlsRequired), expected, "{condition}");
    }
    let unread = World::new(aes256(), public(Value::Null))
        .but(|world| world.evidence.blocks_public_policy = Some(denied("s3:GetBucketPublicAccessBlock")));
    assert_eq!(unread.planned(TLS).word(Check::TlsRequired), "NotRead");
    assert!(unread.planned(TLS).says(Check::TlsRequired).contains("lacks s3:GetBucketPublicAccessBlock"));
}

#[test]
fn s3_12_what_is_not_applicable_is_not_planned_for() {
    let logs =
        json!({"Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}, "Action": "s3:PutObject"});
    let planned = World::new(aes256(), policy(allow(logs))).planned(ALL);
    let after = planned.encryption().unwrap();
    assert_eq!((after.algorithm.as_str(), after.kms_key_id), ("AES256", None));
    assert_eq!(after.blocked_encryption_types, ["SSE-C"]);
}

#[test]
fn an_excepted_algorithm_keeps_the_bucket_out_of_kms() {
    let world = World::new(aes256(), None);
    let alone = world.plan_of(&serde_saphyr::from_str(MOVE).unwrap(), &world.snapshot(), |check| check != ALGORITHM);
    assert_eq!(alone.changes, []);
    let reasons: Vec<_> = alone.remediations.values().map(Remediation::reason).collect();
    assert_eq!(reasons, [Some(HoldReason::KmsMigration)]);
}

#[test]
fn p5_a_bucket_whose_policy_was_not_read_is_not_changed() {
    for unread in [None, Some(denied("s3:GetBucketPolicy")), Some(seen(Some("{".to_owned())))] {
        let world = World::new(aes256(), None);
        let snapshot = world.snapshot();
        let world = world.but(|world| world.evidence.policy = unread);
        let plan = world.plan_of_snapshot(&serde_saphyr::from_str(ALL).unwrap(), &snapshot);
        assert_eq!(plan.changes, []);
        assert_eq!(plan.remediations.len(), 4);
        for remediation in plan.remediations.values() {
            assert_eq!(remediation.reason(), Some(HoldReason::NotRead));
        }
    }
}
