//! From EC2's answers to whole rules of security groups, as they are recorded and made again. IO through the account's
//! clients.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types;
use jiff::Timestamp;

use super::account::Account;
use super::ec2::{chunks, needed};
use super::error::malformed;
use super::operation::DESCRIBE_SECURITY_GROUP_RULES;
use super::paging::{now, pages};
use crate::api::{ReferencedGroup, SecurityGroupRuleValue, Tag};
use crate::baseline::Cause;

/// The largest page.
const PAGE: i32 = 1000;

/// The rules of each group.
pub(super) type RulesByGroup = BTreeMap<String, Vec<SecurityGroupRuleValue>>;

impl Account {
    /// Both directions. A group that has no rule is not told from one that does not exist: both have none.
    pub(super) async fn read_rules_of_groups(
        &self,
        region: &str,
        groups: &BTreeSet<String>,
    ) -> Result<(RulesByGroup, Timestamp), Cause> {
        let ec2 = self.ec2(region);
        let mut rules: RulesByGroup = groups.iter().map(|group| (group.clone(), Vec::new())).collect();
        let mut earliest = None;
        for filter in chunks("group-id", groups) {
            let at = pages(
                DESCRIBE_SECURITY_GROUP_RULES,
                |token| {
                    let request = ec2.describe_security_group_rules().filters(filter.clone()).max_results(PAGE);
                    self.call(DESCRIBE_SECURITY_GROUP_RULES, region, request.set_next_token(token).send())
                },
                |page| {
                    for found in page.security_group_rules() {
                        let group = needed(DESCRIBE_SECURITY_GROUP_RULES, "GroupId", found.group_id())?;
                        let of_group = rules.get_mut(&group).ok_or_else(|| {
                            malformed(DESCRIBE_SECURITY_GROUP_RULES, format!("{group} was not asked for"))
                        })?;
                        of_group.push(value(found)?);
                    }
                    Ok(page.next_token().map(str::to_owned))
                },
            )
            .await?;
            earliest.get_or_insert(at);
        }
        Ok((rules, earliest.unwrap_or_else(now)))
    }
}

/// A rule as it is: one with a part that cannot be read would come back as another one.
fn value(found: &types::SecurityGroupRule) -> Result<SecurityGroupRuleValue, Cause> {
    let operation = DESCRIBE_SECURITY_GROUP_RULES;
    let id = needed(operation, "SecurityGroupRuleId", found.security_group_rule_id())?;
    let some = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let value = SecurityGroupRuleValue {
        is_egress: found.is_egress().ok_or_else(|| malformed(operation, format!("{id} has no direction")))?,
        ip_protocol: needed(operation, "IpProtocol", found.ip_protocol())?,
        from_port: found.from_port(),
        to_port: found.to_port(),
        cidr_ipv4: some(found.cidr_ipv4()),
        cidr_ipv6: some(found.cidr_ipv6()),
        prefix_list_id: some(found.prefix_list_id()),
        referenced_group: found.referenced_group_info().and_then(|group| {
            Some(ReferencedGroup {
                group_id: some(group.group_id())?,
                user_id: some(group.user_id()),
                vpc_peering_connection_id: some(group.vpc_peering_connection_id()),
            })
        }),
        description: some(found.description()),
        tags: found.tags().iter().filter_map(tag).collect(),
        rule_id: Some(id.clone()),
    };
    let sides = [
        value.cidr_ipv4.is_some(),
        value.cidr_ipv6.is_some(),
        value.prefix_list_id.is_some(),
        value.referenced_group.is_some(),
    ];
    if sides.into_iter().filter(|is_set| *is_set).count() == 1 {
        Ok(value)
    } else {
        Err(malformed(operation, format!("{id} has not exactly one other side")))
    }
}

fn tag(tag: &types::Tag) -> Option<Tag> {
    Some(Tag { key: tag.key()?.to_owned(), value: tag.value().unwrap_or_default().to_owned() })
}

#[cfg(test)]
mod tests;
