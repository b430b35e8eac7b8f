//! What holds of any plan for any bucket.

use proptest::prelude::*;

use super::*;
use crate::api::Algorithm;
use crate::baseline::s3_encryption::demand::algorithm;

fn any_encryption() -> impl Strategy<Value = Option<BucketEncryption>> {
    let algorithms = ["AES256", "aws:kms", "aws:kms:dsse", "aws:quantum"];
    let keys = [None, Some(KEY), Some(OTHER), Some("alias/s3-default"), Some("alias/aws/s3"), Some("2222")];
    let blocked: Vec<Vec<&str>> = vec![vec![], vec!["NONE"], vec!["SSE-C"], vec!["SSE-NEW"]];
    let parts = (
        prop::sample::select(algorithms.to_vec()),
        prop::sample::select(keys.to_vec()),
        any::<bool>(),
        prop::sample::select(blocked),
    );
    let encryption = parts.prop_map(|(algorithm, key, bucket_key_enabled, blocked)| BucketEncryption {
        algorithm: algorithm.to_owned(),
        kms_key_id: key.filter(|_| algorithm != "AES256").map(str::to_owned),
        bucket_key_enabled: bucket_key_enabled && algorithm == "aws:kms",
        blocked_encryption_types: blocked.into_iter().map(str::to_owned).collect(),
    });
    prop::option::weighted(0.9, encryption)
}

fn any_policy() -> impl Strategy<Value = Option<String>> {
    let statements = vec![
        allow(json!({})),
        allow(json!({"Sid": "PlumblineRequireTls"})),
        allow(json!({"Principal": {"AWS": "333333333333"}, "Action": "s3:GetObject"})),
        allow(json!({"Principal": {"AWS": "333333333333"}, "Action": "s3:PutObject"})),
        allow(json!({"Principal": "*", "Action": "s3:GetObject"})),
        allow(json!({"Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:PutObject"})),
        allow(json!({"Principal": {"AWS": "AROAEXAMPLEEXAMPLEEX"}})),
        allow(json!({"Principal": null, "NotPrincipal": {"AWS": "222222222222"}, "Effect": "Deny"})),
        allow(json!({"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
            "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}}})),
        allow(json!({"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}})),
        allow(json!({"Effect": "Deny", "Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}})),
    ];
    let some = prop::collection::vec(prop::sample::select(statements), 1..4).prop_map(|mut statements| {
        if statements.len() == 1 { policy(statements.remove(0)) } else { policy(statements) }
    });
    prop_oneof![1 => Just(None), 3 => some]
}

fn any_world() -> impl Strategy<Value = World> {
    let rule = prop::option::of((any::<bool>(), any::<bool>()));
    let parts = (any_encryption(), any_policy(), prop::bool::weighted(0.2), any::<bool>(), rule, any::<bool>());
    parts.prop_map(|(encryption, policy, website, blocks, rule, usable)| {
        World::new(encryption, policy).but(|world| {
            let rules =
                rule.map(|(enabled, replicates_kms)| ReplicationRule { id: "r".into(), enabled, replicates_kms });
            world.evidence.serves_website = Some(seen(website));
            world.evidence.blocks_public_policy = Some(seen(blocks));
            world.evidence.replication = Some(seen(rules.into_iter().collect()));
            if !usable {
                world.keys = [(ALIAS.to_owned(), seen(None))].into();
            }
        })
    })
}

fn any_spec() -> impl Strategy<Value = S3Encryption> {
    let algorithms = vec![None, Some(Algorithm::SseS3), Some(Algorithm::SseKms), Some(Algorithm::DsseKms)];
    let key = (any::<bool>(), any::<bool>());
    let parts = (prop::sample::select(algorithms), key, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    parts.prop_map(|(minimum_algorithm, (own, named), bucket_key, sse_c, tls, migration)| {
        // A key of one's own needs KMS, which the schema sees to.
        let kms = minimum_algorithm > Some(Algorithm::SseS3);
        S3Encryption {
            mode: None,
            minimum_algorithm,
            require_customer_managed_key: kms && own,
            kms_keys: (kms && named).then(|| vec!["alias/s3-default".into()]),
            require_bucket_key: bucket_key,
            forbid_sse_c: sse_c,
            require_tls: tls,
            allow_kms_migration: migration,
        }
    })
}

/// Whether a bucket has a key that only its owner replaces.
fn own_key(encryption: Option<&BucketEncryption>) -> Option<&str> {
    let key = encryption?.kms_key_id.as_deref()?;
    (!key.contains("alias/aws/")).then_some(key)
}

fn blocked(encryption: Option<&BucketEncryption>) -> Vec<&str> {
    let all = encryption.map_or(&[][..], |encryption| &encryption.blocked_encryption_types);
    all.iter().map(String::as_str).filter(|kind| *kind != "NONE").collect()
}

fn statements(policy: &str) -> Vec<Value> {
    match serde_json::from_str::<Value>(policy).unwrap()["Statement"].clone() {
        Value::Array(statements) => statements,
        single => vec![single],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_plan_that_is_applied_makes_what_it_answers_pass_and_then_nothing_is_planned(
        world in any_world(),
        desired in any_spec(),
    ) {
        let planned = world.plan(&desired);
        let after = world.after(&planned).plan(&desired);
        for answered in planned.plan.changes.iter().flat_map(|change| &change.answers) {
            let now = after.findings.iter().find(|finding| finding.subject().id() == answered.id).unwrap();
            prop_assert!(matches!(now.verdict(), Verdict::Pass | Verdict::NotApplicable), "{}", now.message());
        }
        prop_assert_eq!(&after.plan.changes, &[]);
    }

    #[test]
    fn every_failing_finding_is_answered_held_or_left_to_people(world in any_world(), desired in any_spec()) {
        let planned = world.plan(&desired);
        let answered: Vec<_> =
            planned.plan.changes.iter().flat_map(|change| &change.answers).map(|answered| &answered.id).collect();
        for finding in planned.findings.iter().filter(|finding| finding.verdict() == Verdict::Fail) {
            let id = finding.subject().id();
            match planned.plan.remediations.get(&id) {
                Some(Remediation::Automatic(what)) => prop_assert!(answered.contains(&&id) && !what.is_empty()),
                Some(Remediation::Held { message, .. }) => {
                    prop_assert!(!message.is_empty());
                    prop_assert!(!answered.contains(&&id));
                }
                None => prop_assert!(Remediation::manual(finding.subject().check).is_some()),
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }

    #[test]
    fn p10_nothing_is_loosened(world in any_world(), desired in any_spec()) {
        let planned = world.plan(&desired);
        let live = world.encryption.as_ref();
        if let Some(after) = planned.encryption() {
            prop_assert!(algorithm(Some(&after)) >= algorithm(live));
            if let Some(key) = own_key(live) {
                prop_assert_eq!(after.kms_key_id.as_deref(), Some(key), "a customer-managed key is never replaced");
            }
            if after.kms_key_id != live.and_then(|live| live.kms_key_id.clone()) {
                prop_assert_eq!(after.kms_key_id.as_deref(), Some(KEY), "the named key, by its whole ARN");
            }
            prop_assert!(blocked(live).iter().all(|kind| blocked(Some(&after)).contains(kind)));
            prop_assert!(!after.blocked_encryption_types.is_empty(), "said, never left to a default");
            let had_bucket_key = live.is_some_and(|live| live.bucket_key_enabled);
            prop_assert!(!had_bucket_key || after.bucket_key_enabled || after.algorithm == "aws:kms:dsse");
        }
        if let Some(after) = planned.policy() {
            let (mut after, live) = (statements(&after.to_string()), world.policy());
            let added = after.pop().unwrap();
            prop_assert_eq!(&added["Effect"], "Deny");
            prop_assert_eq!(after, live.map(|live| statements(&live)).unwrap_or_default());
        }
        prop_assert!(planned.plan.changes.len() <= 2, "one write of each kind");
    }

    #[test]
    fn the_inverse_of_each_change_restores_the_bucket(world in any_world(), desired in any_spec()) {
        for change in world.plan(&desired).plan.changes {
            let inverse = change.action.inverse();
            let (before, after) = match &change.action {
                Action::BucketEncryption(BucketEncryptionChange { before, after, .. }) => {
                    (ResourceState::BucketEncryption(before.clone()), ResourceState::BucketEncryption(after.clone()))
                }
                Action::BucketPolicy(BucketPolicyChange { before, after, .. }) => {
                    (ResourceState::BucketPolicy(before.clone()), ResourceState::BucketPolicy(after.clone()))
                }
                other => return Err(TestCaseError::fail(format!("not a bucket's: {other:?}"))),
            };
            prop_assert_eq!(change.action.position(&before), Position::Before);
            prop_assert_eq!(change.action.position(&after), Position::After);
            prop_assert_eq!(inverse.position(&after), Position::Before);
            prop_assert_eq!(inverse.position(&before), Position::After);
            prop_assert_eq!(inverse.inverse(), change.action);
        }
    }

    #[test]
    fn p5_no_change_rests_on_what_was_not_read(
        world in any_world(),
        desired in any_spec(),
        (website, block, replication, keys) in any::<(bool, bool, bool, bool)>(),
    ) {
        let everything = world.plan(&desired).plan;
        let unread = world.clone().but(|world| {
            let evidence = &mut world.evidence;
            evidence.serves_website = evidence.serves_website.take().filter(|_| !website);
            evidence.blocks_public_policy = evidence.blocks_public_policy.take().filter(|_| !block);
            if replication {
                evidence.replication = Some(denied("s3:GetReplicationConfiguration"));
            }
            if keys {
                world.keys = [(ALIAS.to_owned(), denied("kms:DescribeKey"))].into();
            }
        });
        let planned = unread.plan(&desired);
        prop_assert!(!website || planned.policy().is_none());
        let live_key = world.encryption.as_ref().and_then(|live| live.kms_key_id.as_ref());
        let is_weak = algorithm(world.encryption.as_ref()) == Some(Algorithm::SseS3);
        if let Some(after) = planned.encryption() {
            let leaves = is_weak && algorithm(Some(&after)) > Some(Algorithm::SseS3);
            let moves = after.kms_key_id.as_ref() != live_key || leaves;
            prop_assert!(!moves || !replication);
            prop_assert!(after.kms_key_id.as_ref() == live_key || !keys);
        }
        // Less is read, less is changed: nothing that was held is done.
        for (id, done) in &planned.plan.remediations {
            if let Remediation::Automatic(_) = done {
                prop_assert!(matches!(everything.remediations.get(id), Some(Remediation::Automatic(_))));
            }
        }
        let nothing = World { evidence: BucketEvidence::default(), ..world.clone() };
        prop_assert_eq!(&nothing.plan_of_snapshot(&desired, &world.snapshot()).changes, &[]);
    }
}
