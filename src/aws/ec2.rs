//! From EC2's answers to regions, security groups and what hangs on them. IO through the account's clients.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{self, Filter};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::Timestamp;

use super::account::Account;
use super::error::malformed;
use super::operation::{
    DESCRIBE_MANAGED_PREFIX_LISTS, DESCRIBE_NETWORK_INTERFACES, DESCRIBE_REGIONS, DESCRIBE_SECURITY_GROUP_RULES,
    DESCRIBE_SECURITY_GROUPS, GET_MANAGED_PREFIX_LIST_ENTRIES, Operation,
};
use super::paging::{now, pages};
use crate::baseline::Cause;
use crate::baseline::security_groups::{
    Direction, INTERFACES_KEPT, Peer, PrefixList, SecurityGroup, SecurityGroupRule,
};
use crate::engine::cloud::{GroupFilter, Region};

/// The largest page of rules, groups and interfaces.
const PAGE: i32 = 1000;
/// The largest page of a prefix list's entries.
const ENTRIES_PAGE: i32 = 100;
/// EC2 takes at most as many values of a filter.
const FILTER_VALUES: usize = 200;

type Read<T> = Result<(T, Timestamp), Cause>;

impl Account {
    pub(super) async fn read_regions(&self) -> Read<Vec<Region>> {
        let request = self.ec2(self.home()).describe_regions().all_regions(true).send();
        let answer = self.call(DESCRIBE_REGIONS, self.home(), request).await?;
        let region = |region: &types::Region| {
            Ok::<_, Cause>(Region {
                name: needed(DESCRIBE_REGIONS, "RegionName", region.region_name())?,
                enabled: needed(DESCRIBE_REGIONS, "OptInStatus", region.opt_in_status())? != "not-opted-in",
            })
        };
        let mut regions = answer.regions().iter().map(region).collect::<Result<Vec<_>, _>>()?;
        if regions.is_empty() {
            return Err(malformed(DESCRIBE_REGIONS, "the answer names no region"));
        }
        regions.sort();
        Ok((regions, now()))
    }

    pub(super) async fn read_security_group_rules(&self, region: &str) -> Read<Vec<SecurityGroupRule>> {
        let ec2 = self.ec2(region);
        let mut rules = Vec::new();
        let at = pages(
            DESCRIBE_SECURITY_GROUP_RULES,
            |token| {
                let request = ec2.describe_security_group_rules().max_results(PAGE).set_next_token(token).send();
                self.call(DESCRIBE_SECURITY_GROUP_RULES, region, request)
            },
            |page| {
                for found in page.security_group_rules() {
                    rules.push(rule(found)?);
                }
                Ok(page.next_token().map(str::to_owned))
            },
        )
        .await?;
        Ok((rules, at))
    }

    pub(super) async fn read_security_groups(&self, region: &str, filter: &GroupFilter) -> Read<Vec<SecurityGroup>> {
        let filters: Vec<Filter> = match filter {
            GroupFilter::Default => vec![Filter::builder().name("group-name").values("default").build()],
            GroupFilter::Ids(ids) => chunks("group-id", ids),
        };
        let ec2 = self.ec2(region);
        let mut groups = Vec::new();
        let mut at = now();
        for filter in filters {
            at = pages(
                DESCRIBE_SECURITY_GROUPS,
                |token| {
                    let request = ec2.describe_security_groups().filters(filter.clone()).max_results(PAGE);
                    let request = request.set_next_token(token).send();
                    self.call(DESCRIBE_SECURITY_GROUPS, region, request)
                },
                |page| {
                    for found in page.security_groups() {
                        groups.push(group(found)?);
                    }
                    Ok(page.next_token().map(str::to_owned))
                },
            )
            .await?;
        }
        Ok((groups, at))
    }

    pub(super) async fn read_attached_groups(&self, region: &str, groups: &BTreeSet<String>) -> Read<BTreeSet<String>> {
        let mut attached = BTreeSet::new();
        let at = self
            .each_interface(region, groups, |interface| {
                let ids = interface.groups().iter().filter_map(types::GroupIdentifier::group_id);
                attached.extend(ids.filter(|id| groups.contains(*id)).map(str::to_owned));
                Ok(())
            })
            .await?;
        Ok((attached, at))
    }

    pub(super) async fn read_interfaces(
        &self,
        region: &str,
        groups: &BTreeSet<String>,
    ) -> Read<BTreeMap<String, BTreeSet<String>>> {
        let mut attached: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let at = self
            .each_interface(region, groups, |interface| {
                let id = interface.network_interface_id();
                let id = needed(DESCRIBE_NETWORK_INTERFACES, "NetworkInterfaceId", id)?;
                let of = interface.groups().iter().filter_map(types::GroupIdentifier::group_id);
                for group in of.filter(|group| groups.contains(*group)) {
                    let kept = attached.entry(group.to_owned()).or_default();
                    kept.insert(id.clone());
                    if kept.len() > INTERFACES_KEPT {
                        kept.pop_last();
                    }
                }
                Ok(())
            })
            .await?;
        Ok((attached, at))
    }

    /// Every interface that one of the groups is attached to, those of managed resources too.
    async fn each_interface(
        &self,
        region: &str,
        groups: &BTreeSet<String>,
        mut take: impl FnMut(&types::NetworkInterface) -> Result<(), Cause>,
    ) -> Result<Timestamp, Cause> {
        let ec2 = self.ec2(region);
        let mut at = now();
        for filter in chunks("group-id", groups) {
            at = pages(
                DESCRIBE_NETWORK_INTERFACES,
                |token| {
                    let request = ec2.describe_network_interfaces().filters(filter.clone()).max_results(PAGE);
                    // AWS hides the interfaces of managed resources unless asked.
                    let request = request.include_managed_resources(true).set_next_token(token).send();
                    self.call(DESCRIBE_NETWORK_INTERFACES, region, request)
                },
                |page| {
                    page.network_interfaces().iter().try_for_each(&mut take)?;
                    Ok(page.next_token().map(str::to_owned))
                },
            )
            .await?;
        }
        Ok(at)
    }

    pub(super) async fn read_prefix_list(&self, region: &str, id: &str) -> Read<PrefixList> {
        let ec2 = self.ec2(region);
        let request = ec2.describe_managed_prefix_lists().prefix_list_ids(id).send();
        let answer = self.call(DESCRIBE_MANAGED_PREFIX_LISTS, region, request).await?;
        let found = answer.prefix_lists().iter().find(|list| list.prefix_list_id() == Some(id));
        let found = found.ok_or_else(|| malformed(DESCRIBE_MANAGED_PREFIX_LISTS, format!("{id} is not among them")))?;
        let mut list = PrefixList {
            id: id.to_owned(),
            name: needed(DESCRIBE_MANAGED_PREFIX_LISTS, "PrefixListName", found.prefix_list_name())?,
            owner_id: needed(DESCRIBE_MANAGED_PREFIX_LISTS, "OwnerId", found.owner_id())?,
            cidrs: Vec::new(),
            max_entries: found.max_entries().and_then(|count| usize::try_from(count).ok()),
        };
        if list.owner_id == "AWS" {
            return Ok((list, now()));
        }
        let at = pages(
            GET_MANAGED_PREFIX_LIST_ENTRIES,
            |token| {
                let request = ec2.get_managed_prefix_list_entries().prefix_list_id(id).max_results(ENTRIES_PAGE);
                let request = request.set_next_token(token).send();
                self.call(GET_MANAGED_PREFIX_LIST_ENTRIES, region, request)
            },
            |page| {
                for entry in page.entries() {
                    let cidr = needed(GET_MANAGED_PREFIX_LIST_ENTRIES, "Cidr", entry.cidr())?;
                    list.cidrs.push(parsed::<IpNet>(GET_MANAGED_PREFIX_LIST_ENTRIES, &cidr)?.trunc());
                }
                Ok(page.next_token().map(str::to_owned))
            },
        )
        .await?;
        Ok((list, at))
    }
}

/// One filter per 200 values; none for no value.
pub(super) fn chunks(name: &str, values: &BTreeSet<String>) -> Vec<Filter> {
    let values: Vec<String> = values.iter().cloned().collect();
    values
        .chunks(FILTER_VALUES)
        .map(|chunk| Filter::builder().name(name).set_values(Some(chunk.to_vec())).build())
        .collect()
}

/// A rule that is left out would be a port that nobody sees, so one that cannot be read fails the region.
fn rule(found: &types::SecurityGroupRule) -> Result<SecurityGroupRule, Cause> {
    let needed = |name, value| needed(DESCRIBE_SECURITY_GROUP_RULES, name, value);
    let id = needed("SecurityGroupRuleId", found.security_group_rule_id())?;
    let egress = found.is_egress();
    let egress = egress.ok_or_else(|| malformed(DESCRIBE_SECURITY_GROUP_RULES, format!("{id} has no direction")))?;
    Ok(SecurityGroupRule {
        group_id: needed("GroupId", found.group_id())?,
        group_owner_id: needed("GroupOwnerId", found.group_owner_id())?,
        direction: if egress { Direction::Egress } else { Direction::Ingress },
        protocol: needed("IpProtocol", found.ip_protocol())?,
        from_port: found.from_port(),
        to_port: found.to_port(),
        peer: peer(&id, found)?,
        id,
    })
}

/// The one other side.
fn peer(id: &str, found: &types::SecurityGroupRule) -> Result<Peer, Cause> {
    let operation = DESCRIBE_SECURITY_GROUP_RULES;
    let group = found.referenced_group_info().and_then(types::ReferencedSecurityGroup::group_id);
    match (found.cidr_ipv4(), found.cidr_ipv6(), found.prefix_list_id(), group) {
        (Some(cidr), None, None, None) => Ok(Peer::Ipv4(parsed::<Ipv4Net>(operation, cidr)?.trunc())),
        (None, Some(cidr), None, None) => Ok(Peer::Ipv6(parsed::<Ipv6Net>(operation, cidr)?.trunc())),
        (None, None, Some(list), None) => Ok(Peer::PrefixList(list.to_owned())),
        (None, None, None, Some(group)) => Ok(Peer::Group(group.to_owned())),
        _ => Err(malformed(operation, format!("{id} has not exactly one other side"))),
    }
}

fn group(found: &types::SecurityGroup) -> Result<SecurityGroup, Cause> {
    let needed = |name, value| needed(DESCRIBE_SECURITY_GROUPS, name, value);
    let tag = |tag: &types::Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
    Ok(SecurityGroup {
        id: needed("GroupId", found.group_id())?,
        name: needed("GroupName", found.group_name())?,
        owner_id: needed("OwnerId", found.owner_id())?,
        vpc_id: found.vpc_id().map(str::to_owned),
        tags: found.tags().iter().filter_map(tag).collect(),
    })
}

pub(super) fn needed(operation: Operation, name: &str, value: Option<&str>) -> Result<String, Cause> {
    let value = value.filter(|value| !value.is_empty()).map(str::to_owned);
    value.ok_or_else(|| malformed(operation, format!("the answer leaves out {name}")))
}

fn parsed<T: std::str::FromStr>(operation: Operation, text: &str) -> Result<T, Cause> {
    text.parse().map_err(|_| malformed(operation, format!("{text} is no CIDR")))
}

#[cfg(test)]
mod tests;
