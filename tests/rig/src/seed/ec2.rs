//! Prefix lists, security groups with their rules, interfaces.

use anyhow::Context;

use super::Seeded;
use super::client::Client;
use super::document::{Document, PrefixList, Rule, SecurityGroup};
use crate::aws_proxy::Element;

pub(super) async fn seed(client: &Client, document: &Document, seeded: &mut Seeded) -> anyhow::Result<()> {
    for (region, lists) in &document.prefix_lists {
        for list in lists {
            let id = create_prefix_list(client, region, list).await?;
            seeded.prefix_lists.insert(format!("{region}/{}", list.name), id);
        }
    }
    for (region, groups) in &document.security_groups {
        let regional = Region::new(client, region).await?;
        // All groups before any rule: rules name groups.
        for group in groups {
            let id = regional.create_group(group).await?;
            seeded.security_groups.insert(regional.key(group), id);
        }
        for group in groups {
            regional.fill_group(group, seeded).await.with_context(|| format!("group {}", regional.key(group)))?;
        }
    }
    Ok(())
}

async fn create_prefix_list(client: &Client, region: &str, list: &PrefixList) -> anyhow::Result<String> {
    let family = if list.cidrs.iter().any(|cidr| cidr.contains(':')) { "IPv6" } else { "IPv4" };
    let most = list.cidrs.len().max(1).to_string();
    let mut parameters = vec![
        ("PrefixListName".to_owned(), list.name.as_str()),
        ("AddressFamily".to_owned(), family),
        ("MaxEntries".to_owned(), &most),
    ];
    for (index, cidr) in list.cidrs.iter().enumerate() {
        parameters.push((format!("Entry.{}.Cidr", index + 1), cidr));
    }
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let answer = client.ec2(region, "CreateManagedPrefixList", &parameters).await?;
    text(&answer, "prefixListId")
}

/// A region of the account with its default VPC.
struct Region<'a> {
    client: &'a Client,
    name: &'a str,
    vpc: String,
}

impl<'a> Region<'a> {
    async fn new(client: &'a Client, name: &'a str) -> anyhow::Result<Self> {
        let vpcs =
            client.ec2(name, "DescribeVpcs", &[("Filter.1.Name", "is-default"), ("Filter.1.Value.1", "true")]).await?;
        Ok(Self { client, name, vpc: text(&vpcs, "vpcId")? })
    }

    fn key(&self, group: &SecurityGroup) -> String {
        format!("{}/{}", self.name, if group.default { "default" } else { &group.name })
    }

    /// Creates the group, or finds the one that the VPC came with.
    async fn create_group(&self, group: &SecurityGroup) -> anyhow::Result<String> {
        let answer = if group.default {
            let filter = [
                ("Filter.1.Name", "group-name"),
                ("Filter.1.Value.1", "default"),
                ("Filter.2.Name", "vpc-id"),
                ("Filter.2.Value.1", self.vpc.as_str()),
            ];
            self.client.ec2(self.name, "DescribeSecurityGroups", &filter).await?
        } else {
            let parameters =
                [("GroupName", group.name.as_str()), ("GroupDescription", "seeded"), ("VpcId", self.vpc.as_str())];
            self.client.ec2(self.name, "CreateSecurityGroup", &parameters).await?
        };
        text(&answer, "groupId")
    }

    async fn fill_group(&self, group: &SecurityGroup, seeded: &mut Seeded) -> anyhow::Result<()> {
        let id = seeded.security_groups.get(&self.key(group)).context("the group was not created")?.clone();
        for (key, value) in &group.tags {
            let parameters = [("ResourceId.1", id.as_str()), ("Tag.1.Key", key), ("Tag.1.Value", value)];
            self.client.ec2(self.name, "CreateTags", &parameters).await?;
        }
        if group.no_default_egress {
            let everything = [
                ("GroupId", id.as_str()),
                ("IpPermissions.1.IpProtocol", "-1"),
                ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
            ];
            self.client.ec2(self.name, "RevokeSecurityGroupEgress", &everything).await?;
        }
        let directions =
            [("AuthorizeSecurityGroupIngress", &group.ingress), ("AuthorizeSecurityGroupEgress", &group.egress)];
        for (action, rules) in directions {
            for rule in rules {
                let parameters = self.permission(&id, rule, seeded).await?;
                let parameters: Vec<_> =
                    parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let answer = self.client.ec2(self.name, action, &parameters).await?;
                let made = answer.child("securityGroupRuleSet").map(|set| set.children.as_slice()).unwrap_or_default();
                let ids = made.iter().filter_map(|rule| rule.child_text("securityGroupRuleId")).map(ToOwned::to_owned);
                seeded.rules.entry(self.key(group)).or_default().extend(ids);
            }
        }
        if group.attached {
            self.attach(&id).await?;
        }
        Ok(())
    }

    /// One permission with every source of the rule; AWS makes a rule of each.
    async fn permission(&self, group: &str, rule: &Rule, seeded: &Seeded) -> anyhow::Result<Vec<(String, String)>> {
        let mut parameters = vec![("GroupId".to_owned(), group.to_owned())];
        let mut add =
            |name: String, value: &str| parameters.push((format!("IpPermissions.1.{name}"), value.to_owned()));
        add("IpProtocol".to_owned(), &rule.protocol);
        if let Some((from, to)) = rule.ports.as_ref().map(super::document::Ports::bounds) {
            add("FromPort".to_owned(), &from);
            add("ToPort".to_owned(), &to);
        }
        let mut sources = Vec::new();
        let (v6, v4): (Vec<_>, Vec<_>) = rule.cidrs.iter().partition(|cidr| cidr.contains(':'));
        sources.extend(
            v4.iter().enumerate().map(|(at, cidr)| (format!("IpRanges.{}", at + 1), "CidrIp", (*cidr).clone())),
        );
        sources.extend(
            v6.iter().enumerate().map(|(at, cidr)| (format!("Ipv6Ranges.{}", at + 1), "CidrIpv6", (*cidr).clone())),
        );
        for (at, name) in rule.prefix_lists.iter().enumerate() {
            sources.push((format!("PrefixListIds.{}", at + 1), "PrefixListId", self.prefix_list(name, seeded).await?));
        }
        for (at, name) in rule.groups.iter().enumerate() {
            let id = seeded.security_groups.get(&format!("{}/{name}", self.name));
            sources.push((format!("Groups.{}", at + 1), "GroupId", id.unwrap_or(name).clone()));
        }
        for (source, field, value) in sources {
            add(format!("{source}.{field}"), &value);
            if let Some(description) = &rule.description {
                add(format!("{source}.Description"), description);
            }
        }
        Ok(parameters)
    }

    /// A prefix list of the document, or one of AWS's by its name.
    async fn prefix_list(&self, name: &str, seeded: &Seeded) -> anyhow::Result<String> {
        if let Some(id) = seeded.prefix_lists.get(&format!("{}/{name}", self.name)) {
            return Ok(id.clone());
        }
        let filter = [("Filter.1.Name", "prefix-list-name"), ("Filter.1.Value.1", name)];
        let answer = self.client.ec2(self.name, "DescribeManagedPrefixLists", &filter).await?;
        text(&answer, "prefixListId").with_context(|| format!("no prefix list {name}"))
    }

    /// Gives the group a network interface.
    async fn attach(&self, group: &str) -> anyhow::Result<()> {
        let filter = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", self.vpc.as_str())];
        let subnets = self.client.ec2(self.name, "DescribeSubnets", &filter).await?;
        let subnet = text(&subnets, "subnetId")?;
        let parameters = [("SubnetId", subnet.as_str()), ("SecurityGroupId.1", group)];
        self.client.ec2(self.name, "CreateNetworkInterface", &parameters).await.map(drop)
    }
}

fn text(root: &Element, name: &str) -> anyhow::Result<String> {
    let element = root.find(name).with_context(|| format!("{} without {name}", root.name))?;
    Ok(element.text.clone())
}
