use super::super::details::Details;
use super::super::external_id::{ExternalId, external_id_is_due};
use super::*;
use crate::api::{AccountQuota, AvailabilityZone, AwsAccount, AwsAccountSpec, Condition};
use crate::baseline::quotas::Usage;
use crate::baseline::{Cause, CauseClass};
use crate::engine::RegionsInScope;

const DAY: i64 = 86_400;

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn trigger() -> Trigger {
    Trigger { generation: 1, ..Trigger::default() }
}

fn verified(external_id: ExternalId) -> Verified {
    Verified {
        caller_arn: "arn:aws:sts::222222222222:assumed-role/PlumblineAudit/plumbline-account".to_owned(),
        alias: None,
        regions: None,
        note: None,
        external_id,
        details: Details::default(),
    }
}

fn next(previous: &AwsAccountStatus, outcome: &Outcome, at: i64) -> AwsAccountStatus {
    next_status(previous, &trigger(), outcome, &AccountUsage::default(), time(at))
}

fn looked(previous: &AwsAccountStatus, external_id: ExternalId, at: i64) -> AwsAccountStatus {
    next(previous, &Outcome::Verified(Box::new(verified(external_id))), at)
}

fn condition<'a>(status: &'a AwsAccountStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.r#type == kind)
}

fn said<'a>(status: &'a AwsAccountStatus, kind: &str) -> Option<(&'a str, &'a str)> {
    condition(status, kind).map(|condition| (condition.status.as_str(), condition.reason.as_str()))
}

fn is_due(status: &AwsAccountStatus, generation: i64, now: i64) -> bool {
    let mut account = AwsAccount::new("payments", AwsAccountSpec::default());
    account.metadata.generation = Some(generation);
    account.status = Some(status.clone());
    external_id_is_due(&account, time(now))
}

const EXTERNAL_ID: &str = "ExternalIdEnforced";

#[test]
fn roles_are_asked_once_a_day_and_after_an_edit() {
    let demanded = looked(&AwsAccountStatus::default(), ExternalId::Demanded, 10);
    assert_eq!(said(&demanded, EXTERNAL_ID), Some(("True", "ExternalIdVerified")));
    assert!(!is_due(&demanded, 1, DAY) && is_due(&demanded, 1, DAY + 10) && is_due(&demanded, 2, 11));
    let later = looked(&demanded, ExternalId::AsBefore, 3_600);
    assert_eq!(
        (said(&later, EXTERNAL_ID), later.external_id_verified_at),
        (said(&demanded, EXTERNAL_ID), Some(time(10)))
    );
    let nobody = looked(&later, ExternalId::NotAsked, 7_200);
    assert_eq!((said(&nobody, EXTERNAL_ID), nobody.external_id_verified_at), (None, None));
}

#[test]
fn a_role_that_is_open_to_anybody_is_named_and_asked_again_with_the_next_look() {
    let before = looked(&AwsAccountStatus::default(), ExternalId::Demanded, 10);
    let open = looked(&before, ExternalId::NotDemanded("PlumblineEnforce".to_owned()), DAY);
    assert_eq!(said(&open, EXTERNAL_ID), Some(("False", "ExternalIdNotEnforced")));
    let named = condition(&open, EXTERNAL_ID).unwrap();
    assert!(named.message.contains("role PlumblineEnforce can be assumed"), "{named:?}");
    assert!(is_due(&open, 1, DAY + 1));
    let unknown = looked(&before, ExternalId::NotKnown("no answer".to_owned()), DAY);
    assert_eq!(said(&unknown, EXTERNAL_ID), Some(("Unknown", "ExternalIdNotEnforced")));
    assert!(is_due(&unknown, 1, DAY + 1));
}

/// A look at two regions, one of them judged, with their zones and the quota.
fn with_regions() -> Outcome {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let scope = RegionsInScope { judged: names(&["eu-west-1"]), not_enabled: Vec::new() };
    let mut found = verified(ExternalId::NotAsked);
    found.regions = Some((names(&["eu-west-1", "us-east-1"]), scope));
    let zone = AvailabilityZone { name: "eu-west-1a".to_owned(), id: "euw1-az3".to_owned() };
    found.details.zones.insert("eu-west-1".to_owned(), Ok(vec![zone]));
    found.details.rules_per_group.insert("eu-west-1".to_owned(), Ok(100));
    Outcome::Verified(Box::new(found))
}

fn refused(trust_statement: Option<&str>) -> Outcome {
    let cause = Cause::new(CauseClass::Credentials, "the role cannot be assumed");
    let error = AssessError::Unreachable { account_id: "222222222222".to_owned(), cause };
    Outcome::Failed { error, trust_statement: trust_statement.map(str::to_owned) }
}

#[test]
fn an_account_that_cannot_be_reached_says_why_and_what_its_role_has_to_trust_until_it_is() {
    let reached = next(&AwsAccountStatus::default(), &with_regions(), 10);
    assert_eq!(reached.access, Some(AccountAccess { reachable: true, ..AccountAccess::default() }));
    let lost = next(&reached, &refused(Some("{}")), 20);
    let access = lost.access.clone().unwrap();
    assert_eq!((access.reachable, access.cause.as_deref()), (false, Some("Credentials")));
    assert_eq!(access.trust_statement.as_deref(), Some("{}"));
    assert_eq!(access.message.as_deref(), condition(&lost, "Ready").map(|ready| ready.message.as_str()));
    assert_eq!((&lost.regions, &lost.quotas), (&reached.regions, &reached.quotas), "what was last seen stays");
    let still = next(&lost, &refused(None), 30);
    assert_eq!(still.access.unwrap().trust_statement, None, "it is said where it was found out, and only there");
    assert_eq!(next(&lost, &with_regions(), 40).access, reached.access);
}

#[test]
fn another_account_than_the_declared_one_is_no_access_and_no_trust_is_missing() {
    let error = AssessError::Mismatch { declared: "222222222222".to_owned(), actual: "333333333333".to_owned() };
    let other = next(&AwsAccountStatus::default(), &Outcome::Failed { error, trust_statement: None }, 10);
    let access = other.access.unwrap();
    assert_eq!((access.reachable, access.cause.as_deref()), (false, Some("AccountMismatch")));
    assert!(access.message.unwrap().contains("333333333333"));
    assert_eq!(access.trust_statement, None);
}

#[test]
fn regions_and_quotas_have_a_row_each_and_a_suspended_account_keeps_them() {
    let status = next(&AwsAccountStatus::default(), &with_regions(), 10);
    assert_eq!(status.enabled_regions, ["eu-west-1", "us-east-1"]);
    let rows: Vec<_> = status.regions.iter().map(|row| (row.name.as_str(), row.judged, row.zones.len())).collect();
    assert_eq!(rows, [("eu-west-1", true, 1), ("us-east-1", false, 0)]);
    let limits: Vec<_> = status.quotas.iter().map(|row| (row.region.as_deref(), row.limit, &*row.source)).collect();
    assert_eq!(limits, [(Some("eu-west-1"), 100, "ServiceQuotas"), (None, 10, "Default")]);
    assert_eq!(next(&status, &Outcome::Suspended, 20).quotas, status.quotas);
}

#[test]
fn p1_a_second_look_at_the_same_account_changes_the_time_alone() {
    let first = next(&AwsAccountStatus::default(), &with_regions(), 10);
    let second = next(&first, &with_regions(), 3_600);
    assert_eq!(AwsAccountStatus { last_verified_at: first.last_verified_at, ..second }, first);
}

#[test]
fn p1_what_evaluations_count_is_written_once_and_before_the_first_look_not_at_all() {
    let usage = AccountUsage {
        rules_per_group: [("eu-west-1".to_owned(), Usage { count: 58, resource: Some("sg-1".to_owned()) })].into(),
        ..AccountUsage::default()
    };
    assert_eq!(recounted(&AwsAccountStatus::default(), &usage, time(5)), AwsAccountStatus::default());
    let looked = next(&AwsAccountStatus::default(), &with_regions(), 10);
    let counted = recounted(&looked, &usage, time(20));
    let AccountQuota { used, resource, used_since, limit, .. } = counted.quotas[0].clone();
    assert_eq!((used, resource.as_deref(), used_since, limit), (Some(58), Some("sg-1"), Some(time(20)), 100));
    assert_eq!(AwsAccountStatus { quotas: looked.quotas.clone(), ..counted.clone() }, looked);
    assert_eq!(recounted(&counted, &usage, time(30)), counted);
}
