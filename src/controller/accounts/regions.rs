//! The rows of the regions of an account. Pure.

use std::collections::BTreeMap;

use crate::api::{AccountRegion, AvailabilityZone};
use crate::baseline::Cause;
use crate::controller::entries::one_line;
use crate::controller::usage::why_unread;
use crate::engine::RegionsInScope;

/// More zones than any region has: the largest has six.
const ZONES: usize = 32;

/// One row for each enabled region. Which id a zone's name stands for never changes for an account, so that zones that
/// were read once stay where they could not be read again.
pub(super) fn rows(
    previous: &[AccountRegion],
    enabled: &[String],
    scope: &RegionsInScope,
    zones: &BTreeMap<String, Result<Vec<AvailabilityZone>, Cause>>,
) -> Vec<AccountRegion> {
    let row = |name: &String| {
        let before = previous.iter().find(|row| row.name == *name).cloned().unwrap_or_default();
        let (zones, message) = match zones.get(name) {
            None => (before.zones, before.message),
            Some(Ok(zones)) => (zones.iter().take(ZONES).map(bounded).collect(), None),
            Some(Err(cause)) => (before.zones, Some(why_unread(cause))),
        };
        AccountRegion { name: name.clone(), judged: scope.includes(name), zones, message }
    };
    enabled.iter().map(row).collect()
}

fn bounded(zone: &AvailabilityZone) -> AvailabilityZone {
    AvailabilityZone { name: one_line(&zone.name), id: one_line(&zone.id) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::CauseClass;

    fn zone(name: &str, id: &str) -> AvailabilityZone {
        AvailabilityZone { name: name.to_owned(), id: id.to_owned() }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn scope(judged: &[&str]) -> RegionsInScope {
        RegionsInScope { judged: names(judged), not_enabled: Vec::new() }
    }

    #[test]
    fn every_enabled_region_has_a_row_with_its_zones_and_whether_it_is_judged() {
        let zones = BTreeMap::from([
            ("eu-west-1".to_owned(), Ok(vec![zone("eu-west-1a", "euw1-az3")])),
            ("us-east-1".to_owned(), Ok(vec![zone("us-east-1a", "use1-az6")])),
        ]);
        let rows = rows(&[], &names(&["eu-west-1", "us-east-1"]), &scope(&["eu-west-1"]), &zones);
        assert_eq!(
            rows.iter().map(|row| (row.name.as_str(), row.judged)).collect::<Vec<_>>(),
            [("eu-west-1", true), ("us-east-1", false)]
        );
        assert_eq!(rows[0].zones, [zone("eu-west-1a", "euw1-az3")]);
        assert_eq!(rows[1].message, None);
    }

    #[test]
    fn zones_stay_where_they_cannot_be_read_again_and_the_missing_action_is_named() {
        let (enabled, scope) = (names(&["eu-west-1", "us-east-1"]), scope(&["eu-west-1"]));
        let zones = BTreeMap::from([("eu-west-1".to_owned(), Ok(vec![zone("eu-west-1a", "euw1-az3")]))]);
        let before = rows(&[], &enabled, &scope, &zones);
        let action = "ec2:DescribeAvailabilityZones";
        let denied =
            || Cause { missing_action: Some(action.to_owned()), ..Cause::new(CauseClass::AccessDenied, "AWS refused") };
        let zones = ["eu-west-1", "us-east-1"].map(|region| (region.to_owned(), Err(denied())));
        let after = rows(&before, &enabled, &scope, &zones.into());
        assert_eq!(after[0].zones, before[0].zones);
        assert_eq!(after[1].zones, []);
        assert!(after.iter().all(|row| row.message.as_deref().is_some_and(|it| it.contains(action))), "{after:?}");
        // What was not due stays as it is, and a region that is disabled goes.
        assert_eq!(rows(&after, &enabled, &scope, &BTreeMap::new()), after);
        assert_eq!(rows(&after, &enabled[..1], &scope, &BTreeMap::new()), after[..1]);
    }
}
