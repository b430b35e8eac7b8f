use super::*;
use crate::api::AccountRegion;
use crate::engine::fake::{FakeCloud, denied, seen};

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn trigger() -> Trigger {
    Trigger { generation: 1, ..Trigger::default() }
}

const ENABLED: [&str; 3] = ["ap-east-1", "eu-west-1", "us-east-1"];

/// Everything was read at second 100; `ap-east-1` is not judged.
fn status() -> AwsAccountStatus {
    let region =
        |name: &str| AccountRegion { name: name.to_owned(), judged: name != "ap-east-1", ..AccountRegion::default() };
    AwsAccountStatus {
        observed_generation: 1,
        details_read_at: Some(time(100)),
        regions: ENABLED.map(region).into(),
        ..AwsAccountStatus::default()
    }
}

fn cloud() -> FakeCloud {
    let mut cloud = FakeCloud::default();
    for region in ENABLED {
        let zone = AvailabilityZone { name: format!("{region}a"), id: format!("{region}-az1") };
        cloud.zones.insert(region.to_owned(), seen(vec![zone]));
        cloud.rules_per_group_quotas.insert(region.to_owned(), seen(60));
    }
    cloud
}

async fn read(status: &AwsAccountStatus, judged: &[&str], trigger: &Trigger, cloud: &FakeCloud, at: i64) -> Details {
    let scope = RegionsInScope { judged: names(judged), not_enabled: Vec::new() };
    details(status, trigger, &names(&ENABLED), &scope, cloud, time(at)).await
}

fn regions<T>(read: &BTreeMap<String, T>) -> Vec<&str> {
    read.keys().map(String::as_str).collect()
}

#[tokio::test]
async fn zones_are_read_of_enabled_regions_and_quotas_of_judged_ones() {
    let cloud = cloud();
    let found = read(&AwsAccountStatus::default(), &["eu-west-1"], &trigger(), &cloud, 0).await;
    assert_eq!((regions(&found.zones), regions(&found.rules_per_group)), (ENABLED.to_vec(), vec!["eu-west-1"]));
    assert_eq!(found.rules_per_group["eu-west-1"], Ok(60));
    assert_eq!(found.read_at(None, time(7)), Some(time(7)));
    assert_eq!(cloud.calls().len(), 4);
}

#[tokio::test]
async fn p1_nothing_is_asked_again_within_a_day_unless_somebody_edits_or_asks() {
    let (judged, status) = (["eu-west-1", "us-east-1"], status());
    let day = EVERY.as_secs();
    let asked = Trigger { requested_at: Some("now".to_owned()), ..trigger() };
    let edited = Trigger { generation: 2, ..trigger() };
    for (trigger, at, calls) in [(trigger(), 99 + day, 0), (trigger(), 100 + day, 5), (asked, 101, 5), (edited, 101, 5)]
    {
        let cloud = cloud();
        let found = read(&status, &judged, &trigger, &cloud, at).await;
        assert_eq!(cloud.calls().len(), calls, "{trigger:?} at {at}: {:?}", cloud.calls());
        let expected = if calls == 0 { time(100) } else { time(at) };
        assert_eq!(found.read_at(status.details_read_at, time(at)), Some(expected));
    }
}

#[tokio::test]
async fn a_region_that_is_new_or_newly_judged_is_read_at_once_and_alone() {
    let mut status = status();
    let newly_judged = read(&status, &ENABLED, &trigger(), &cloud(), 200).await;
    assert_eq!(
        (regions(&newly_judged.zones), regions(&newly_judged.rules_per_group)),
        (vec!["ap-east-1"], vec!["ap-east-1"])
    );
    status.regions.retain(|region| region.name != "us-east-1");
    let new = read(&status, &["eu-west-1"], &trigger(), &cloud(), 200).await;
    assert_eq!((regions(&new.zones), regions(&new.rules_per_group)), (vec!["us-east-1"], vec![]));
    assert_eq!(new.read_at(status.details_read_at, time(200)), Some(time(100)), "the others are as old as before");
}

#[tokio::test]
async fn what_is_denied_is_asked_once_a_day_and_what_may_pass_with_the_next_look() {
    let mut cloud = cloud();
    cloud.zones.insert("eu-west-1".to_owned(), denied("ec2:DescribeAvailabilityZones"));
    cloud.rules_per_group_quotas.insert("eu-west-1".to_owned(), denied("servicequotas:GetServiceQuota"));
    let found = read(&AwsAccountStatus::default(), &ENABLED, &trigger(), &cloud, 0).await;
    let missing = found.zones["eu-west-1"].as_ref().unwrap_err().missing_action.as_deref();
    assert_eq!(missing, Some("ec2:DescribeAvailabilityZones"));
    assert!(found.zones["us-east-1"].is_ok(), "another region is not blinded by it");
    assert_eq!(found.read_at(None, time(7)), Some(time(7)));

    let throttled = Cause::new(CauseClass::Throttled, "slow down");
    cloud.rules_per_group_quotas.insert("us-east-1".to_owned(), Observed::Unknown(throttled));
    let found = read(&AwsAccountStatus::default(), &ENABLED, &trigger(), &cloud, 0).await;
    assert_eq!(found.read_at(Some(time(5)), time(7)), None);
}

#[tokio::test]
async fn p13_a_region_that_never_answers_is_given_up() {
    let never = within(Instant::now(), std::future::pending::<Observed<i64>>()).await;
    assert_eq!(never.unwrap_err().class, CauseClass::DeadlineExceeded);
}
