//! The changes of security groups: one rule is revoked by its id, or authorized. IO, one attempt each.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{
    IpPermission, IpRange, Ipv6Range, PrefixListId, ResourceType, Tag, TagSpecification, UserIdGroupPair,
};

use super::Writer;
use crate::api::{SecurityGroupRuleChange, SecurityGroupRuleValue};
use crate::aws::error::Attempt;
use crate::aws::operation::Service;
use crate::baseline::change::{Action, WriteOperation};
use crate::baseline::{Cause, CauseClass};

impl Writer {
    pub(super) async fn write_rule(&self, action: &Action, change: &SecurityGroupRuleChange, dry_run: bool) -> Attempt {
        match (&change.before, &change.after) {
            (Some(gone), _) => match self.id_to_revoke(action, change, gone).await {
                Ok(Some(id)) => self.revoke(action.operation(), change, &id, dry_run).await,
                Ok(None) => Attempt::Made,
                Err(cause) => Attempt::NotSent(cause),
            },
            (None, Some(new)) => self.authorize(action.operation(), change, new, dry_run).await,
            (None, None) => Attempt::NotSent(Cause::new(CauseClass::Refused, "the change names no rule")),
        }
    }

    /// A rule whose id nobody knew when it was made is looked up: to revoke by properties would answer success for
    /// whatever it did not match. `None` where the rule is gone.
    async fn id_to_revoke(
        &self,
        action: &Action,
        change: &SecurityGroupRuleChange,
        gone: &SecurityGroupRuleValue,
    ) -> Result<Option<String>, Cause> {
        if let Some(id) = &gone.rule_id {
            return Ok(Some(id.clone()));
        }
        let groups = BTreeSet::from([change.group_id.clone()]);
        let (rules, _) = self.account.read_rules_of_groups(&change.region, &groups).await?;
        let rules = rules.get(&change.group_id).map(Vec::as_slice).unwrap_or_default();
        Ok(action.rule_to_revoke(rules).and_then(|rule| rule.rule_id.clone()))
    }

    /// Names the group too, which is what a policy can be scoped to.
    async fn revoke(
        &self,
        operation: WriteOperation,
        change: &SecurityGroupRuleChange,
        id: &str,
        dry_run: bool,
    ) -> Attempt {
        let attempt = self.attempt(operation, Service::Ec2Changes, &change.region);
        let ec2 = aws_sdk_ec2::Client::new(&attempt.config);
        if operation == WriteOperation::RevokeSecurityGroupEgress {
            let request = ec2.revoke_security_group_egress().group_id(&change.group_id).security_group_rule_ids(id);
            self.send(&attempt, request.dry_run(dry_run).send()).await
        } else {
            let request = ec2.revoke_security_group_ingress().group_id(&change.group_id).security_group_rule_ids(id);
            self.send(&attempt, request.dry_run(dry_run).send()).await
        }
    }

    async fn authorize(
        &self,
        operation: WriteOperation,
        change: &SecurityGroupRuleChange,
        new: &SecurityGroupRuleValue,
        dry_run: bool,
    ) -> Attempt {
        let attempt = self.attempt(operation, Service::Ec2Changes, &change.region);
        let ec2 = aws_sdk_ec2::Client::new(&attempt.config);
        let (permission, tags) = (permission(new), tags(new).map(|tags| vec![tags]));
        if operation == WriteOperation::AuthorizeSecurityGroupEgress {
            let request = ec2.authorize_security_group_egress().group_id(&change.group_id).ip_permissions(permission);
            self.send(&attempt, request.set_tag_specifications(tags).dry_run(dry_run).send()).await
        } else {
            let request = ec2.authorize_security_group_ingress().group_id(&change.group_id).ip_permissions(permission);
            self.send(&attempt, request.set_tag_specifications(tags).dry_run(dry_run).send()).await
        }
    }
}

/// One rule: one other side, with its description.
fn permission(rule: &SecurityGroupRuleValue) -> IpPermission {
    let description = || rule.description.clone();
    let mut permission =
        IpPermission::builder().ip_protocol(&rule.ip_protocol).set_from_port(rule.from_port).set_to_port(rule.to_port);
    if let Some(cidr) = &rule.cidr_ipv4 {
        permission = permission.ip_ranges(IpRange::builder().cidr_ip(cidr).set_description(description()).build());
    }
    if let Some(cidr) = &rule.cidr_ipv6 {
        let range = Ipv6Range::builder().cidr_ipv6(cidr).set_description(description()).build();
        permission = permission.ipv6_ranges(range);
    }
    if let Some(list) = &rule.prefix_list_id {
        let list = PrefixListId::builder().prefix_list_id(list).set_description(description()).build();
        permission = permission.prefix_list_ids(list);
    }
    if let Some(group) = &rule.referenced_group {
        let pair = UserIdGroupPair::builder()
            .group_id(&group.group_id)
            .set_user_id(group.user_id.clone())
            .set_vpc_peering_connection_id(group.vpc_peering_connection_id.clone())
            .set_description(description());
        permission = permission.user_id_group_pairs(pair.build());
    }
    permission.build()
}

/// AWS alone sets tags whose keys begin with `aws:`, and refuses a call that names one.
fn tags(rule: &SecurityGroupRuleValue) -> Option<TagSpecification> {
    let own = rule.tags.iter().filter(|tag| !tag.key.to_lowercase().starts_with("aws:"));
    let tags: Vec<Tag> = own.map(|tag| Tag::builder().key(&tag.key).value(&tag.value).build()).collect();
    let specification = TagSpecification::builder().resource_type(ResourceType::SecurityGroupRule);
    (!tags.is_empty()).then(|| specification.set_tags(Some(tags)).build())
}
