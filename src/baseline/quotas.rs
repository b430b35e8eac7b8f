//! From what an evaluation read of an account to how near it is to the quotas that a change can meet. No IO.
//!
//! Counted as AWS does: in and out apart, IPv4 and IPv6 apart. A rule whose other side is a group counts for both, one
//! with a prefix list as so many rules as the list may have entries.

use std::collections::BTreeMap;

use super::mfa;
use super::security_groups::{Direction, Peer, PrefixList, RegionSnapshot, Snapshot};

/// The quota of security groups, in the words of Service Quotas.
///
/// <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups>
pub const RULES_PER_GROUP: &str = "Inbound or outbound rules per security group";

/// Its code in Service Quotas, and the code of its service.
pub const RULES_PER_GROUP_CODE: &str = "L-0EA8095F";
/// The service whose quota it is.
pub const VPC_SERVICE_CODE: &str = "vpc";

/// What every region begins with.
pub const RULES_PER_GROUP_DEFAULT: i64 = 60;

/// The quota of managed policies that are attached to one user, as `iam:GetAccountSummary` calls it.
pub const POLICIES_PER_USER: &str = "AttachedPoliciesPerUserQuota";

/// What every account begins with: the lowest that it can have.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
pub const POLICIES_PER_USER_DEFAULT: usize = 10;

/// As how many rules a list of AWS's own counts, by the end of its name; any other counts as one.
///
/// <https://docs.aws.amazon.com/vpc/latest/userguide/working-with-aws-managed-prefix-lists.html>
const WEIGHTS: [(&str, usize); 8] = [
    (".cloudfront.origin-facing", 55),
    (".dynamodb", 1),
    (".ec2-instance-connect", 2),
    (".groundstation", 5),
    (".route53-healthchecks", 25),
    (".s3", 1),
    (".s3express", 6),
    (".vpc-lattice", 10),
];

/// How much of a quota is used by the resource that is nearest to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many it has.
    pub count: usize,
    /// Which it is: of several alike the first by name. `None` where there is none.
    pub resource: Option<String>,
}

impl Usage {
    fn highest<'a>(counts: impl IntoIterator<Item = (&'a str, usize)>) -> Self {
        let mut highest = Self::default();
        for (resource, count) in counts {
            if highest.resource.is_none() || count > highest.count {
                highest = Self { count, resource: Some(resource.to_owned()) };
            }
        }
        highest
    }
}

/// Rules of one group in one direction, by version of IP.
#[derive(Default)]
struct Rules {
    ipv4: usize,
    ipv6: usize,
}

/// The fullest group of each region whose rules were read.
#[must_use]
pub fn rules_per_group(snapshot: &Snapshot) -> BTreeMap<String, Usage> {
    let own = snapshot.account.account_id.as_str();
    let regions = snapshot.regions.value().into_iter().flatten();
    regions.filter_map(|region| Some((region.region.clone(), fullest_group(region, own)?))).collect()
}

fn fullest_group(region: &RegionSnapshot, own: &str) -> Option<Usage> {
    let mut groups: BTreeMap<(&str, Direction), Rules> = BTreeMap::new();
    for rule in region.rules.value()?.iter().filter(|rule| rule.group_owner_id == own) {
        let rules = groups.entry((rule.group_id.as_str(), rule.direction)).or_default();
        match &rule.peer {
            Peer::Ipv4(_) => rules.ipv4 += 1,
            Peer::Ipv6(_) => rules.ipv6 += 1,
            Peer::Group(_) => {
                rules.ipv4 += 1;
                rules.ipv6 += 1;
            }
            Peer::PrefixList(id) => {
                let list = region.prefix_lists.get(id).and_then(|list| list.value());
                let count = list.map_or(1, weight);
                if list.is_some_and(is_ipv6) {
                    rules.ipv6 += count;
                } else {
                    rules.ipv4 += count;
                }
            }
        }
    }
    Some(Usage::highest(groups.iter().map(|((group, _), rules)| (*group, rules.ipv4.max(rules.ipv6)))))
}

fn weight(list: &PrefixList) -> usize {
    let by_name = || WEIGHTS.iter().find(|(end, _)| list.name.ends_with(end)).map(|(_, weight)| *weight);
    list.max_entries.or_else(by_name).unwrap_or(1)
}

/// The entries of a list are of one version. Of AWS's own they are not read, but the name tells.
fn is_ipv6(list: &PrefixList) -> bool {
    list.cidrs.first().map_or_else(|| list.name.contains(".ipv6."), |block| block.network().is_ipv6())
}

/// The user with most attached policies of those that were read to plan; `None` where none was.
#[must_use]
pub fn policies_per_user(evidence: &mfa::Evidence) -> Option<Usage> {
    let users = evidence.users.iter().filter_map(|(arn, user)| {
        let facts = user.facts.as_ref()?.value()?.as_ref()?;
        Some((arn.as_str(), facts.attached_policies.len()))
    });
    Some(Usage::highest(users)).filter(|usage| usage.resource.is_some())
}

#[cfg(test)]
mod tests;
