//! EC2: which regions an account has, what its zones are called, and who owns a rule's group.

use super::super::request::AwsRequest;
use super::super::shape::{Answer, error};
use super::super::xml::Element;
use super::Known;

/// A call in a region that is not enabled is refused: "Error codes for the Amazon EC2 API" (`AuthFailure`) and "Enable
/// or disable AWS Regions in your account" in the account management guide. moto answers as if it were.
pub(super) fn refuse_disabled_region(known: Known<'_>) -> Option<Answer> {
    if known.account().regions.contains(&known.request.region) {
        return None;
    }
    let message = "AWS was not able to validate the provided access credentials";
    Some(error(known.request, 401, "AuthFailure", message))
}

/// Asks moto for all regions: which of them are answered is decided by [`mark_regions`].
pub(super) fn ask_for_all_regions(request: &AwsRequest) -> AwsRequest {
    let mut parameters = request.parameters.without(&["AllRegions"]).without_filter("opt-in-status");
    parameters.0.push(("AllRegions".to_owned(), "true".to_owned()));
    request.with_parameters(parameters)
}

/// Says of each region whether the account enabled it, and leaves the others out unless all are asked for:
/// "`DescribeRegions`" in the EC2 API reference.
pub(super) fn mark_regions(known: Known<'_>, answer: &Answer) -> anyhow::Result<Answer> {
    let enabled = known.account().regions;
    let all = known.parameter("AllRegions") == Some("true");
    let filter = known.request.parameters.filter("opt-in-status");
    let mut root = answer.parse()?;
    if let Some(regions) = root.find_mut("regionInfo") {
        regions.children.retain_mut(|region| {
            let is_enabled = region.child_text("regionName").is_some_and(|name| enabled.iter().any(|one| one == name));
            let status = match (is_enabled, region.child_text("optInStatus")) {
                (true, Some("opt-in-not-required")) => "opt-in-not-required",
                (true, _) => "opted-in",
                (false, _) => "not-opted-in",
            };
            region.set_child("optInStatus", status);
            (all || is_enabled) && filter.as_ref().is_none_or(|wanted| wanted.contains(&status))
        });
    }
    Ok(answer.with_xml(&root))
}

/// Another account calls another zone by the same name: "Availability Zone IDs for your AWS resources" in the RAM user
/// guide. In moto all accounts agree; here the ids of a region are turned by the last digit of the account.
pub(super) fn shuffle_zones(known: Known<'_>, answer: &Answer) -> anyhow::Result<Answer> {
    let mut root = answer.parse()?;
    if let Some(zones) = root.find_mut("availabilityZoneInfo") {
        let mut ids: Vec<String> =
            zones.children.iter().filter_map(|zone| zone.child_text("zoneId").map(ToOwned::to_owned)).collect();
        let turn = known.caller.account.chars().last().and_then(|digit| digit.to_digit(10)).unwrap_or_default();
        if !ids.is_empty() {
            let turn = usize::try_from(turn)? % ids.len();
            ids.rotate_left(turn);
        }
        for (zone, id) in zones.children.iter_mut().zip(ids) {
            zone.set_child("zoneId", id);
        }
    }
    Ok(answer.with_xml(&root))
}

/// The owner of each rule's group: "`SecurityGroupRule`" in the EC2 API reference; moto leaves it out.
pub(super) fn add_owner(known: Known<'_>, answer: &Answer) -> anyhow::Result<Answer> {
    let mut root = answer.parse()?;
    if let Some(rules) = root.find_mut("securityGroupRuleSet") {
        for rule in rules.children.iter_mut().filter(|rule| rule.child("groupOwnerId").is_none()) {
            rule.children.push(Element::with_text("groupOwnerId", &known.caller.account));
        }
    }
    Ok(answer.with_xml(&root))
}

#[cfg(test)]
mod tests {
    use super::super::super::account::Account;
    use super::super::super::request::tests::request;
    use super::super::tests::{said, with_call};
    use super::super::{after, before, upstream};
    use super::*;

    const REGIONS: &str = "<R><regionInfo>\
        <item><optInStatus>opt-in-not-required</optInStatus><regionName>eu-west-1</regionName></item>\
        <item><optInStatus>opt-in-not-required</optInStatus><regionName>eu-west-2</regionName></item>\
        <item><optInStatus>not-opted-in</optInStatus><regionName>me-south-1</regionName></item>\
        </regionInfo></R>";

    fn call(region: &str, body: &str) -> AwsRequest {
        request(&format!("{region}/ec2"), "POST", "/", None, body)
    }

    fn regions(body: &str) -> Vec<(String, String)> {
        let account = Account { regions: vec!["eu-west-1".into(), "me-south-1".into()], ..Account::unknown() };
        let answer = with_call(account, &call("eu-west-1", body), |known| after(known, said(200, REGIONS)).unwrap());
        let root = answer.parse().unwrap();
        let text = |item: &Element, name: &str| item.child_text(name).unwrap().to_owned();
        root.children[0].children.iter().map(|item| (text(item, "regionName"), text(item, "optInStatus"))).collect()
    }

    #[test]
    fn only_enabled_regions_are_answered_unless_all_are_asked_for() {
        let enabled = [("eu-west-1", "opt-in-not-required"), ("me-south-1", "opted-in")];
        let enabled = enabled.map(|(name, status)| (name.to_owned(), status.to_owned()));
        assert_eq!(regions("Action=DescribeRegions"), enabled);
        let all = regions("Action=DescribeRegions&AllRegions=true");
        assert_eq!(all.len(), 3);
        assert!(all.contains(&("eu-west-2".to_owned(), "not-opted-in".to_owned())));
        let filtered = "Action=DescribeRegions&Filter.1.Name=opt-in-status&Filter.1.Value.1=opted-in";
        assert_eq!(regions(filtered), enabled[1..]);
    }

    #[test]
    fn moto_is_asked_for_every_region() {
        let body = "Action=DescribeRegions&Filter.1.Name=opt-in-status&Filter.1.Value.1=opted-in";
        let asked = upstream(&call("eu-west-1", body));
        assert_eq!(std::str::from_utf8(&asked.body).unwrap(), "Action=DescribeRegions&AllRegions=true");
    }

    #[test]
    fn sg_29_a_region_that_is_not_enabled_refuses() {
        let ask = |region| with_call(Account::unknown(), &call(region, "Action=DescribeSecurityGroups"), before);
        assert_eq!(ask("eu-west-1"), None);
        assert_eq!(ask("me-south-1").unwrap().status, 401);
    }

    #[test]
    fn sg_28_a_rule_names_the_owner_of_its_group() {
        let xml = "<R><securityGroupRuleSet><item><groupId>sg-1</groupId></item></securityGroupRuleSet></R>";
        let call = call("eu-west-1", "Action=DescribeSecurityGroupRules");
        let answer = with_call(Account::unknown(), &call, |known| after(known, said(200, xml)).unwrap());
        assert_eq!(answer.parse().unwrap().find("groupOwnerId").unwrap().text, "1");
    }

    #[test]
    fn two_accounts_call_a_zone_by_different_names() {
        let zone = |name: &str, id: &str| format!("<item><zoneName>{name}</zoneName><zoneId>{id}</zoneId></item>");
        let xml = format!(
            "<R><availabilityZoneInfo>{}{}</availabilityZoneInfo></R>",
            zone("eu-west-1a", "euw1-az3"),
            zone("eu-west-1b", "euw1-az1")
        );
        let call = call("eu-west-1", "Action=DescribeAvailabilityZones");
        let answer = with_call(Account::unknown(), &call, |known| after(known, said(200, &xml)).unwrap());
        let root = answer.parse().unwrap();
        let ids = root.find("availabilityZoneInfo").unwrap().children.iter().map(|it| it.child_text("zoneId").unwrap());
        assert_eq!(ids.collect::<Vec<_>>(), ["euw1-az1", "euw1-az3"], "the account of these tests is 1");
    }
}
