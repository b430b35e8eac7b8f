use super::*;
use crate::baseline::CauseClass;

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn regions() -> Vec<AccountRegion> {
    let region = |name: &str, judged| AccountRegion { name: name.to_owned(), judged, ..AccountRegion::default() };
    vec![region("ap-east-1", false), region("eu-west-1", true), region("us-east-1", true)]
}

fn read(limits: &[(&str, Result<i64, Cause>)]) -> BTreeMap<String, Result<i64, Cause>> {
    limits.iter().map(|(region, limit)| ((*region).to_owned(), limit.clone())).collect()
}

fn denied(action: &str) -> Cause {
    Cause { missing_action: Some(action.to_owned()), ..Cause::new(CauseClass::AccessDenied, "AWS refused") }
}

fn fullest(count: usize, resource: &str) -> Usage {
    Usage { count, resource: Some(resource.to_owned()) }
}

fn limits(rows: &[AccountQuota]) -> Vec<(Option<&str>, i64, &str)> {
    rows.iter().map(|row| (row.region.as_deref(), row.limit, row.source.as_str())).collect()
}

#[test]
fn each_judged_region_has_a_row_and_what_could_not_be_read_is_the_documented_default() {
    let limits_read = read(&[("eu-west-1", Ok(120)), ("us-east-1", Err(denied("servicequotas:GetServiceQuota")))]);
    let rows = rows(&regions(), &[], &limits_read, &AccountUsage::default(), time(1));
    assert_eq!(
        limits(&rows),
        [(Some("eu-west-1"), 120, "ServiceQuotas"), (Some("us-east-1"), 60, "Default"), (None, 10, "Default")]
    );
    assert_eq!(rows[0].message, None);
    assert_eq!(rows[1].message.as_deref(), Some("AWS refused (needs servicequotas:GetServiceQuota)"));
    assert!(rows[2].message.as_deref().is_some_and(|it| it.contains("iam:GetAccountSummary")), "{rows:?}");
    assert!(rows.iter().all(|row| row.used.is_none()), "nobody has counted: {rows:?}");
}

#[test]
fn a_limit_that_was_read_stays_where_it_is_not_read_again() {
    let usage = AccountUsage { policies_quota: Some(Ok(20)), ..AccountUsage::default() };
    let before = rows(&regions(), &[], &read(&[("eu-west-1", Ok(120))]), &usage, time(1));
    // After a restart nothing is known but the status.
    let after = rows(&regions(), &before, &BTreeMap::new(), &AccountUsage::default(), time(2));
    assert_eq!(after, before);
    let refused = read(&[("eu-west-1", Err(denied("servicequotas:GetServiceQuota")))]);
    let later = rows(&regions(), &after, &refused, &AccountUsage::default(), time(3));
    assert_eq!(limits(&later)[0], (Some("eu-west-1"), 120, "ServiceQuotas"));
    assert!(later[0].message.is_some());
    assert_eq!(limits(&later)[2], (None, 20, "AccountSummary"));
}

#[test]
fn the_fullest_resource_is_named_and_its_time_moves_only_with_it() {
    let counted = |count, group| AccountUsage {
        rules_per_group: [("eu-west-1".to_owned(), fullest(count, group))].into(),
        policies_per_user: Some(fullest(9, "arn:aws:iam::222222222222:user/ada")),
        ..AccountUsage::default()
    };
    let first = rows(&regions(), &[], &BTreeMap::new(), &counted(58, "sg-1"), time(1));
    assert_eq!(
        (first[0].used, first[0].resource.as_deref(), first[0].used_since),
        (Some(58), Some("sg-1"), Some(time(1)))
    );
    assert_eq!((first[1].used, first[1].used_since), (None, None), "no evaluation read this region");
    assert_eq!(first[2].used, Some(9));
    assert_eq!(rows(&regions(), &first, &BTreeMap::new(), &counted(58, "sg-1"), time(2)), first);
    let other = rows(&regions(), &first, &BTreeMap::new(), &counted(58, "sg-2"), time(3));
    assert_eq!((other[0].used_since, other[2].used_since), (Some(time(3)), Some(time(1))));
}

#[test]
fn a_region_that_is_no_longer_judged_has_no_row() {
    let before = rows(&regions(), &[], &BTreeMap::new(), &AccountUsage::default(), time(1));
    let mut fewer = regions();
    fewer[2].judged = false;
    let after = rows(&fewer, &before, &BTreeMap::new(), &AccountUsage::default(), time(2));
    assert_eq!(limits(&after), [(Some("eu-west-1"), 60, "Default"), (None, 10, "Default")]);
}
