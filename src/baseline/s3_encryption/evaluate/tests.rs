use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::baseline::Verdict;
use crate::baseline::s3_encryption::{Bucket, BucketPolicy, KeyManager, KmsKey, LogTargets};

const KEY: &str = "arn:aws:kms:eu-west-1:222222222222:key/1111";
const ALIAS: &str = "arn:aws:kms:eu-west-1:222222222222:alias/s3-default";
const FOREIGN: &str = "arn:aws:kms:eu-west-1:333333333333:key/9999";

fn at() -> Timestamp {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

fn spec(yaml: &str) -> S3Encryption {
    serde_saphyr::from_str(yaml).unwrap()
}

fn seen<T>(value: T) -> Observed<T> {
    Observed::complete(value, at())
}

fn denied<T>(action: &str) -> Observed<T> {
    let cause = Cause::new(CauseClass::AccessDenied, format!("{action} is denied"));
    Observed::Unknown(Cause { missing_action: Some(action.to_owned()), ..cause })
}

fn aes256() -> BucketEncryption {
    BucketEncryption {
        algorithm: "AES256".to_owned(),
        kms_key_id: None,
        bucket_key_enabled: false,
        blocked_encryption_types: Vec::new(),
    }
}

fn kms(key: Option<&str>) -> BucketEncryption {
    BucketEncryption { algorithm: "aws:kms".to_owned(), kms_key_id: key.map(str::to_owned), ..aes256() }
}

fn dsse() -> BucketEncryption {
    BucketEncryption { algorithm: "aws:kms:dsse".to_owned(), ..kms(Some(KEY)) }
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

fn policy(plain_http: PlainHttp, admits_load_balancer_logs: bool) -> BucketPolicy {
    BucketPolicy { plain_http, admits_load_balancer_logs }
}

/// A bucket in eu-west-1 without a policy.
fn bucket(name: &str, encryption: Observed<Option<BucketEncryption>>) -> BucketState {
    let bucket = Bucket { name: name.to_owned(), region: "eu-west-1".to_owned() };
    BucketState { bucket, encryption: Some(encryption), policy: Some(seen(None)) }
}

/// Buckets with one usable key, an alias of it, and no server access logs.
fn buckets(judged: Vec<BucketState>) -> Buckets {
    let keys = [(KEY.to_owned(), seen(Some(key(KEY)))), (ALIAS.to_owned(), seen(Some(key(KEY))))];
    let log_targets = [("eu-west-1".to_owned(), LogTargets::default())];
    Buckets { judged, keys: keys.into(), log_targets: log_targets.into(), ..Buckets::default() }
}

fn snapshot(buckets: Buckets) -> Snapshot {
    let caller = "arn:aws:sts::222222222222:assumed-role/PlumblineAudit/plumbline";
    Snapshot { account: AccountIdentity::from_caller("222222222222", caller).unwrap(), buckets: seen(buckets) }
}

fn judged(yaml: &str, buckets: Buckets) -> Vec<Finding> {
    evaluate(&spec(yaml), &snapshot(buckets))
}

/// The finding of one check on the only bucket.
fn one(yaml: &str, check: Check, encryption: Option<BucketEncryption>) -> Finding {
    of(check, judged(yaml, buckets(vec![bucket("data", seen(encryption))])))
}

fn of(check: Check, findings: Vec<Finding>) -> Finding {
    let mut matching = findings.into_iter().filter(|finding| finding.subject().check == check);
    let found = matching.next().unwrap();
    assert_eq!(matching.next(), None, "one bucket, one row");
    found
}

const ALGORITHM: Check = Check::EncryptionAlgorithm;
const OWN_KEY: &str = "{minimumAlgorithm: SseKms, requireCustomerManagedKey: true}";
const NAMED: &str = "{minimumAlgorithm: SseKms, requireCustomerManagedKey: true, kmsKeys: [alias/s3-default]}";

#[test]
fn s3_01_sse_s3_passes_where_it_is_enough_and_no_configuration_says_so() {
    let read = one("{minimumAlgorithm: SseS3}", ALGORITHM, Some(aes256()));
    assert_eq!((read.verdict(), read.observed(), read.message()), (Verdict::Pass, "SseS3", ""));
    let absent = one("{minimumAlgorithm: SseS3}", ALGORITHM, None);
    assert_eq!((absent.verdict(), absent.observed()), (Verdict::Pass, "SseS3"));
    assert!(absent.message().contains("no configuration"), "{}", absent.message());
    let weak = one("{minimumAlgorithm: SseKms}", ALGORITHM, None);
    assert_eq!(weak.verdict(), Verdict::Fail);
    assert!(weak.message().contains("no configuration"), "{}", weak.message());
}

#[test]
fn s3_02_dsse_is_stronger_than_kms() {
    let finding = one("{minimumAlgorithm: SseKms}", ALGORITHM, Some(dsse()));
    assert_eq!((finding.verdict(), finding.observed()), (Verdict::Pass, "DsseKms"));
    assert_eq!(one("{minimumAlgorithm: DsseKms}", ALGORITHM, Some(kms(Some(KEY)))).verdict(), Verdict::Fail);
}

#[test]
fn s3_03_sse_s3_fails_where_kms_is_asked_for() {
    let finding = one("{minimumAlgorithm: SseKms}", ALGORITHM, Some(aes256()));
    assert_eq!((finding.verdict(), finding.desired(), finding.observed()), (Verdict::Fail, "SseKms", "SseS3"));
    assert_eq!(finding.subject().resource, "arn:aws:s3:::data");
    assert_eq!(finding.subject().region.as_deref(), Some("eu-west-1"));
    assert_eq!(finding.subject().field, "minimumAlgorithm");
    let no_key = one(OWN_KEY, Check::KmsKey, Some(aes256()));
    assert_eq!((no_key.verdict(), no_key.observed()), (Verdict::Fail, "none"));
    assert_eq!(one(OWN_KEY, Check::KmsKeyUsable, Some(aes256())).verdict(), Verdict::NotApplicable);
}

#[test]
fn an_algorithm_that_is_not_known_is_unknown_for_all_that_hangs_on_it() {
    let new = BucketEncryption { algorithm: "aws:quantum".to_owned(), ..aes256() };
    let yaml = "{minimumAlgorithm: SseS3, requireBucketKey: true, forbidSseC: true}";
    assert_eq!(one(yaml, ALGORITHM, Some(new.clone())).verdict(), Verdict::Unknown);
    assert_eq!(one(yaml, Check::BucketKey, Some(new.clone())).verdict(), Verdict::Unknown);
    assert_eq!(one(yaml, Check::SseCForbidden, Some(new)).verdict(), Verdict::Fail);
}

#[test]
fn s3_04_kms_without_a_key_is_the_aws_managed_key() {
    for id in [None, Some("alias/aws/s3")] {
        let named = one(NAMED, Check::KmsKey, Some(kms(id)));
        assert_eq!((named.verdict(), named.subject().field), (Verdict::Fail, "kmsKeys"));
        assert!(named.message().contains("AWS-managed"));
        let any = one(OWN_KEY, Check::KmsKey, Some(kms(id)));
        assert_eq!((any.verdict(), any.subject().field), (Verdict::Fail, "requireCustomerManagedKey"));
        assert_eq!(one(OWN_KEY, Check::KmsKeyUsable, Some(kms(id))).verdict(), Verdict::NotApplicable);
    }
}

#[test]
fn s3_04_a_key_that_aws_manages_is_told_by_its_description() {
    let mut one_key = buckets(vec![bucket("data", seen(Some(kms(Some(KEY)))))]);
    one_key.keys.insert(KEY.to_owned(), seen(Some(KmsKey { manager: KeyManager::Aws, ..key(KEY) })));
    assert_eq!(of(Check::KmsKey, judged(OWN_KEY, one_key.clone())).verdict(), Verdict::Fail);
    assert_eq!(of(Check::KmsKeyUsable, judged(OWN_KEY, one_key)).verdict(), Verdict::NotApplicable);
}

#[test]
fn s3_05_the_named_key_passes_by_key_and_by_the_arn_of_an_alias() {
    for id in [KEY, "1111", ALIAS] {
        let finding = one(NAMED, Check::KmsKey, Some(kms(Some(id))));
        assert_eq!((finding.verdict(), finding.observed()), (Verdict::Pass, id));
    }
    let by_arn = format!("{{minimumAlgorithm: SseKms, kmsKeys: ['{KEY}']}}");
    assert_eq!(one(&by_arn, Check::KmsKey, Some(kms(Some(ALIAS)))).verdict(), Verdict::Pass);
}

#[test]
fn s3_05_an_alias_by_name_alone_fails_though_the_key_is_the_named_one() {
    for yaml in [NAMED, OWN_KEY] {
        let finding = one(yaml, Check::KmsKey, Some(kms(Some("alias/s3-default"))));
        assert_eq!(finding.verdict(), Verdict::Fail);
        assert!(finding.message().starts_with("alias/s3-default is an alias by name alone"), "{}", finding.message());
    }
    let usable = one(OWN_KEY, Check::KmsKeyUsable, Some(kms(Some("alias/s3-default"))));
    assert_eq!(usable.verdict(), Verdict::Pass, "the key that this account's alias stands for works");
}

fn with_key(change: impl FnOnce(&mut KmsKey)) -> Finding {
    let mut one_key = buckets(vec![bucket("data", seen(Some(kms(Some(KEY)))))]);
    let mut changed = key(KEY);
    change(&mut changed);
    one_key.keys.insert(KEY.to_owned(), seen(Some(changed)));
    of(Check::KmsKeyUsable, judged("{minimumAlgorithm: SseKms}", one_key))
}

#[test]
fn s3_07_a_disabled_key_or_one_that_will_be_deleted_fails_critically() {
    assert_eq!(with_key(|_| {}).verdict(), Verdict::Pass);
    for state in ["Disabled", "PendingDeletion"] {
        let finding = with_key(|key| key.state = state.to_owned());
        assert_eq!(finding.verdict(), Verdict::Fail, "{state}");
        assert_eq!(finding.severity(), crate::baseline::Severity::Critical);
        assert!(finding.message().contains(state));
    }
}

#[test]
fn s3_07_a_key_that_does_not_exist_fails() {
    let mut none = buckets(vec![bucket("data", seen(Some(kms(Some(KEY)))))]);
    none.keys.insert(KEY.to_owned(), seen(None));
    assert_eq!(of(Check::KmsKeyUsable, judged(OWN_KEY, none.clone())).verdict(), Verdict::Fail);
    assert_eq!(of(Check::KmsKey, judged(OWN_KEY, none)).verdict(), Verdict::Fail);
}

#[test]
fn s3_38_a_key_that_s3_cannot_encrypt_with_fails_critically() {
    for state in ["Unavailable", "PendingImport", "PendingReplicaDeletion", "Creating"] {
        assert_eq!(with_key(|key| key.state = state.to_owned()).verdict(), Verdict::Fail, "{state}");
    }
    for (spec, usage) in [("RSA_2048", "ENCRYPT_DECRYPT"), ("HMAC_256", "GENERATE_VERIFY_MAC")] {
        let finding = with_key(|key| (key.spec, key.usage) = (spec.to_owned(), usage.to_owned()));
        assert_eq!(finding.verdict(), Verdict::Fail, "{spec}");
        assert!(finding.message().contains(spec));
    }
    assert_eq!(with_key(|key| key.state = "Dreaming".to_owned()).verdict(), Verdict::Unknown);
    let elsewhere = "arn:aws:kms:us-east-1:222222222222:key/1111";
    let finding = one(OWN_KEY, Check::KmsKeyUsable, Some(kms(Some(elsewhere))));
    assert_eq!(finding.verdict(), Verdict::Fail, "a key in another region than its bucket");
}

#[test]
fn s3_08_a_foreign_key_that_cannot_be_described_is_compared_by_its_arn() {
    let mut foreign = buckets(vec![bucket("data", seen(Some(kms(Some(FOREIGN)))))]);
    foreign.keys.insert(FOREIGN.to_owned(), denied("kms:DescribeKey"));
    let named = format!("{{minimumAlgorithm: SseKms, requireCustomerManagedKey: true, kmsKeys: ['{FOREIGN}']}}");
    let findings = judged(&named, foreign.clone());
    assert_eq!(of(Check::KmsKey, findings.clone()).verdict(), Verdict::Pass);
    let state = of(Check::KmsKeyUsable, findings);
    assert_eq!(state.verdict(), Verdict::Unknown);
    assert_eq!(state.cause().unwrap().missing_action.as_deref(), Some("kms:DescribeKey"));
    let another = of(Check::KmsKey, judged(NAMED, foreign.clone()));
    assert_eq!(another.verdict(), Verdict::Fail, "an alias of this account cannot be another account's key");
    let managed = of(Check::KmsKey, judged(OWN_KEY, foreign));
    assert_eq!(managed.verdict(), Verdict::Unknown, "who manages the key was not read");
}

#[test]
fn s3_08_an_alias_of_the_spec_that_was_not_resolved_is_no_verdict() {
    let mut denied_alias = buckets(vec![bucket("data", seen(Some(kms(Some(KEY)))))]);
    denied_alias.keys.insert(ALIAS.to_owned(), denied("kms:DescribeKey"));
    assert_eq!(of(Check::KmsKey, judged(NAMED, denied_alias.clone())).verdict(), Verdict::Unknown);
    let both = format!("{{minimumAlgorithm: SseKms, kmsKeys: [alias/s3-default, '{KEY}']}}");
    assert_eq!(of(Check::KmsKey, judged(&both, denied_alias)).verdict(), Verdict::Pass);
}

#[test]
fn s3_37_a_customer_managed_key_that_is_not_named_fails() {
    let other = "arn:aws:kms:eu-west-1:222222222222:key/2222";
    let mut with_other = buckets(vec![bucket("data", seen(Some(kms(Some(other)))))]);
    with_other.keys.insert(other.to_owned(), seen(Some(key(other))));
    let finding = of(Check::KmsKey, judged(NAMED, with_other.clone()));
    assert_eq!((finding.verdict(), finding.desired()), (Verdict::Fail, "alias/s3-default"));
    assert!(finding.message().contains("not among the named"));
    assert_eq!(of(Check::KmsKey, judged(OWN_KEY, with_other)).verdict(), Verdict::Pass);
}

#[test]
fn s3_09_the_bucket_key_is_judged_where_sse_kms_is_used() {
    let yaml = "{requireBucketKey: true}";
    let with = BucketEncryption { bucket_key_enabled: true, ..kms(Some(KEY)) };
    assert_eq!(one(yaml, Check::BucketKey, Some(with)).verdict(), Verdict::Pass);
    assert_eq!(one(yaml, Check::BucketKey, Some(kms(None))).verdict(), Verdict::Fail);
    assert_eq!(one(yaml, Check::BucketKey, Some(dsse())).verdict(), Verdict::NotApplicable);
    assert_eq!(one(yaml, Check::BucketKey, Some(aes256())).verdict(), Verdict::NotApplicable);
}

#[test]
fn s3_10_only_a_blocked_sse_c_is_forbidden() {
    let blocked = |types: &[&str]| {
        let blocked_encryption_types = types.iter().map(ToString::to_string).collect();
        one("{forbidSseC: true}", Check::SseCForbidden, Some(BucketEncryption { blocked_encryption_types, ..aes256() }))
    };
    assert_eq!(blocked(&[]).verdict(), Verdict::Fail);
    assert_eq!(blocked(&["NONE"]).verdict(), Verdict::Fail);
    assert_eq!(blocked(&["SSE-C"]).verdict(), Verdict::Pass);
    assert_eq!(one("{forbidSseC: true}", Check::SseCForbidden, None).verdict(), Verdict::Fail);
}

#[test]
fn s3_12_a_target_of_load_balancer_logs_needs_sse_s3() {
    let mut state = bucket("logs", seen(Some(aes256())));
    state.policy = Some(seen(Some(policy(PlainHttp::Denied, true))));
    let findings = judged(OWN_KEY, buckets(vec![state.clone()]));
    let algorithm = of(ALGORITHM, findings.clone());
    assert_eq!(algorithm.verdict(), Verdict::NotApplicable);
    assert!(algorithm.message().contains("load balancers"));
    assert_eq!(of(Check::KmsKey, findings).verdict(), Verdict::NotApplicable);
    let enough = of(ALGORITHM, judged("{minimumAlgorithm: SseS3}", buckets(vec![state])));
    assert_eq!(enough.verdict(), Verdict::Pass);
}

#[test]
fn s3_13_a_target_of_server_access_logs_needs_sse_s3() {
    let mut logs = buckets(vec![bucket("logs", seen(Some(aes256())))]);
    logs.log_targets.get_mut("eu-west-1").unwrap().names = BTreeSet::from(["logs".to_owned()]);
    let finding = of(ALGORITHM, judged("{minimumAlgorithm: SseKms}", logs));
    assert_eq!(finding.verdict(), Verdict::NotApplicable);
    assert!(finding.message().contains("server access logs"));
}

#[test]
fn s3_13_a_bucket_that_may_be_a_target_is_unknown_and_names_what_was_not_read() {
    let mut logs = buckets(vec![bucket("a", seen(Some(aes256()))), bucket("b", seen(Some(kms(Some(KEY)))))]);
    let Observed::Unknown(cause) = denied::<()>("s3:GetBucketLogging") else { panic!("was read") };
    logs.log_targets.get_mut("eu-west-1").unwrap().unread = Some(("b".to_owned(), cause));
    let findings = judged("{minimumAlgorithm: SseKms}", logs.clone());
    let algorithms: Vec<_> = findings.iter().filter(|finding| finding.subject().check == ALGORITHM).collect();
    assert_eq!(algorithms[0].verdict(), Verdict::Unknown);
    assert_eq!(algorithms[0].cause().unwrap().missing_action.as_deref(), Some("s3:GetBucketLogging"));
    assert!(algorithms[0].message().contains("bucket b"));
    assert_eq!(algorithms[1].verdict(), Verdict::Pass, "what is strong enough needs no exception");
    logs.judged[0].policy = Some(denied("s3:GetBucketPolicy"));
    let findings = judged("{minimumAlgorithm: SseKms}", logs);
    assert_eq!(findings[0].cause().unwrap().missing_action.as_deref(), Some("s3:GetBucketPolicy"));
}

#[test]
fn s3_18_a_bucket_that_was_denied_is_unknown_in_every_check_and_the_others_are_judged() {
    let yaml = "{minimumAlgorithm: SseKms, requireCustomerManagedKey: true, requireBucketKey: true, forbidSseC: true, \
                requireTls: true}";
    let mut closed = bucket("closed", denied("s3:GetEncryptionConfiguration"));
    closed.policy = Some(denied("s3:GetBucketPolicy"));
    let findings = judged(yaml, buckets(vec![closed, bucket("open", seen(Some(kms(Some(KEY)))))]));
    let (closed, open): (Vec<_>, Vec<_>) =
        findings.iter().partition(|finding| finding.subject().resource == "arn:aws:s3:::closed");
    assert_eq!((closed.len(), open.len()), (6, 6));
    assert!(closed.iter().all(|finding| finding.verdict() == Verdict::Unknown));
    assert!(open.iter().all(|finding| matches!(finding.verdict(), Verdict::Pass | Verdict::Fail)));
}

#[test]
fn buckets_that_could_not_be_listed_are_one_unknown() {
    let mut unlisted = snapshot(Buckets::default());
    unlisted.buckets = denied("s3:ListAllMyBuckets");
    let findings = evaluate(&spec("{minimumAlgorithm: SseS3, requireTls: true}"), &unlisted);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].verdict(), Verdict::Unknown);
    assert_eq!(findings[0].subject().resource, "arn:aws:iam::222222222222:root");
    assert_eq!(evaluate(&spec("{}"), &unlisted), []);
}

#[test]
fn s3_31_a_bucket_without_a_policy_fails_where_tls_is_asked_for() {
    let finding = one("{requireTls: true}", Check::TlsRequired, Some(aes256()));
    assert_eq!((finding.verdict(), finding.observed()), (Verdict::Fail, "no bucket policy"));
    let with = |plain_http| {
        let mut state = bucket("data", seen(None));
        state.policy = Some(seen(Some(policy(plain_http, false))));
        of(Check::TlsRequired, judged("{requireTls: true}", buckets(vec![state])))
    };
    assert_eq!(with(PlainHttp::Denied).verdict(), Verdict::Pass);
    let gap = with(PlainHttp::Gap("the gap".to_owned()));
    assert_eq!((gap.verdict(), gap.message()), (Verdict::Fail, "the gap"));
}

#[test]
fn s3_43_a_bucket_of_another_account_is_not_applicable_and_no_missing_permission() {
    let other = Bucket { name: "gone".to_owned(), region: "eu-west-1".to_owned() };
    let buckets = Buckets { other_owner: vec![other], elsewhere: 2, ..Buckets::default() };
    assert_eq!(buckets.skipped(), 3);
    let findings = judged("{minimumAlgorithm: SseKms, requireTls: true}", buckets);
    assert_eq!(findings.len(), 3);
    for finding in findings {
        assert_eq!(finding.verdict(), Verdict::NotApplicable);
        assert!(finding.message().contains("another account"));
    }
}

#[test]
fn s3_39_a_bucket_that_others_write_to_fails_like_any_other() {
    let mut shared = bucket("data", seen(Some(aes256())));
    shared.policy = Some(seen(Some(policy(PlainHttp::Gap("open to another account".to_owned()), false))));
    let finding = of(ALGORITHM, judged("{minimumAlgorithm: SseKms}", buckets(vec![shared])));
    assert_eq!((finding.verdict(), finding.observed()), (Verdict::Fail, "SseS3"));
}

fn any_encryption() -> impl Strategy<Value = Observed<Option<BucketEncryption>>> {
    let algorithm = prop::sample::select(vec!["AES256", "aws:kms", "aws:kms:dsse", "new"]);
    let ids = vec![None, Some(KEY), Some(ALIAS), Some(FOREIGN), Some("1111"), Some("alias/x"), Some("arn:x")];
    let blocked = prop::sample::select(vec![vec![], vec!["NONE".to_owned()], vec!["SSE-C".to_owned()]]);
    let read = (algorithm, prop::sample::select(ids), any::<bool>(), blocked).prop_map(
        |(algorithm, id, bucket_key_enabled, blocked_encryption_types)| {
            seen(Some(BucketEncryption {
                algorithm: algorithm.to_owned(),
                kms_key_id: id.map(str::to_owned),
                bucket_key_enabled,
                blocked_encryption_types,
            }))
        },
    );
    prop_oneof![8 => read, 1 => Just(seen(None)), 1 => Just(denied("s3:GetEncryptionConfiguration"))]
}

fn any_bucket(name: String) -> impl Strategy<Value = BucketState> {
    let policies = prop::sample::select(vec![
        None,
        Some(seen(None)),
        Some(seen(Some(policy(PlainHttp::Denied, false)))),
        Some(seen(Some(policy(PlainHttp::Gap("gap".to_owned()), true)))),
        Some(denied("s3:GetBucketPolicy")),
    ]);
    (any_encryption(), policies)
        .prop_map(move |(encryption, policy)| BucketState { policy, ..bucket(&name, encryption) })
}

fn any_buckets() -> impl Strategy<Value = Buckets> {
    let states = prop::sample::select(vec!["Enabled", "Disabled", "New"]);
    let foreign = prop::sample::select(vec![None, Some(seen(None)), Some(denied("kms:DescribeKey"))]);
    let judged =
        (1..5_usize).prop_flat_map(|count| (0..count).map(|n| any_bucket(format!("b{n}"))).collect::<Vec<_>>());
    (judged, states, foreign, any::<bool>()).prop_map(|(judged, state, foreign, targets)| {
        let mut buckets = buckets(judged);
        buckets.keys.insert(KEY.to_owned(), seen(Some(KmsKey { state: state.to_owned(), ..key(KEY) })));
        if let Some(foreign) = foreign {
            buckets.keys.insert(FOREIGN.to_owned(), foreign);
        }
        if targets {
            buckets.log_targets.get_mut("eu-west-1").unwrap().names.insert("b0".to_owned());
        }
        buckets
    })
}

/// A spec, and one that asks for at least as much in every field.
fn specs() -> impl Strategy<Value = (S3Encryption, S3Encryption)> {
    let algorithms = prop::sample::select(vec![
        (Algorithm::SseS3, Algorithm::SseKms),
        (Algorithm::SseKms, Algorithm::SseKms),
        (Algorithm::SseKms, Algorithm::DsseKms),
    ]);
    let flags = prop::collection::vec((any::<bool>(), any::<bool>()), 4);
    let keys = prop::sample::select(vec![
        (None, None),
        (None, Some(vec!["alias/s3-default".into()])),
        (Some(vec!["alias/s3-default".into(), FOREIGN.into()]), Some(vec!["alias/s3-default".into()])),
    ]);
    (algorithms, flags, keys).prop_map(|((weak, strong), flags, (some, fewer))| {
        let of = |algorithm, kms_keys: Option<Vec<_>>, strict: bool| {
            let flag = |n: usize| flags[n].0 || (strict && flags[n].1);
            S3Encryption {
                minimum_algorithm: Some(algorithm),
                require_customer_managed_key: algorithm != Algorithm::SseS3 && (kms_keys.is_some() || flag(0)),
                kms_keys: kms_keys.filter(|_| algorithm != Algorithm::SseS3),
                require_bucket_key: flag(1),
                forbid_sse_c: flag(2),
                require_tls: flag(3),
                ..S3Encryption::default()
            }
        };
        (of(weak, some, false), of(strong, fewer, true))
    })
}

proptest! {
    #[test]
    fn a_stricter_spec_never_fails_less((weak, strict) in specs(), buckets in any_buckets()) {
        let snapshot = snapshot(buckets);
        let failing = |desired| -> BTreeSet<_> {
            let failing = evaluate(desired, &snapshot).into_iter().filter(|one| one.verdict() == Verdict::Fail);
            failing.map(|one| (one.subject().check, one.subject().resource.clone())).collect()
        };
        let (before, after) = (failing(&weak), failing(&strict));
        prop_assert!(before.is_subset(&after), "{before:?} {after:?}");
    }

    #[test]
    fn a_stricter_account_never_fails_more((_, spec) in specs(), weak in any_buckets(), steps in any::<[bool; 4]>()) {
        let mut strict = weak.clone();
        let [encrypted, blocked, denied, enabled] = steps;
        for state in &mut strict.judged {
            if let Some(Observed::Complete { value, .. }) = &mut state.encryption {
                let found = value.get_or_insert_with(aes256);
                if encrypted && found.algorithm == "AES256" {
                    // The key that every spec here accepts.
                    found.algorithm = "aws:kms".to_owned();
                    found.kms_key_id = Some(ALIAS.to_owned());
                    found.bucket_key_enabled = true;
                }
                if blocked {
                    found.blocked_encryption_types = vec!["SSE-C".to_owned()];
                    found.bucket_key_enabled = true;
                }
            }
            if let (true, Some(Observed::Complete { value: Some(policy), .. })) = (denied, &mut state.policy) {
                policy.plain_http = PlainHttp::Denied;
            }
        }
        if enabled || encrypted {
            strict.keys.insert(KEY.to_owned(), seen(Some(key(KEY))));
        }
        let failing = |buckets: Buckets| -> BTreeSet<_> {
            let failing = evaluate(&spec, &snapshot(buckets)).into_iter().filter(|one| one.verdict() == Verdict::Fail);
            failing.map(|one| (one.subject().check, one.subject().resource.clone())).collect()
        };
        let (before, after) = (failing(weak), failing(strict));
        prop_assert!(after.is_subset(&before), "{before:?} {after:?}");
    }

    #[test]
    fn the_order_of_buckets_never_matters((_, strict) in specs(), buckets in any_buckets()) {
        let mut reversed = buckets.clone();
        reversed.judged.reverse();
        prop_assert_eq!(evaluate(&strict, &snapshot(buckets)), evaluate(&strict, &snapshot(reversed)));
    }

    #[test]
    fn what_was_not_read_neither_passes_nor_fails((_, strict) in specs(), buckets in any_buckets()) {
        let unread = |state: &BucketState, check| match check {
            Check::TlsRequired => state.policy.as_ref().is_none_or(|policy| policy.value().is_none()),
            _ => state.encryption.as_ref().is_none_or(|encryption| encryption.value().is_none()),
        };
        let judged = buckets.judged.clone();
        for finding in evaluate(&strict, &snapshot(buckets)) {
            let subject = finding.subject();
            let state = judged.iter().find(|one| subject.resource.ends_with(&one.bucket.name)).unwrap();
            if unread(state, subject.check) {
                prop_assert_eq!(finding.verdict(), Verdict::Unknown);
            }
        }
    }
}
