//! From a cloud to the evidence for planning the control. IO through the cloud alone.
//!
//! Per region the groups that fail, their rules, and what they are attached to: all of it, or the region is unknown.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};

use crate::api::SecurityGroupsControl;
use crate::baseline::security_groups::{Evidence, GroupEvidence, Snapshot, group_of};
use crate::baseline::{AccountIdentity, Finding, Observed};
use crate::engine::cloud::{Cloud, GroupFilter};
use crate::engine::observe::CONCURRENCY;

/// Reads what decides whether the changes that would answer these findings are safe.
pub(super) async fn gather(
    _desired: &SecurityGroupsControl,
    failing: &[&Finding],
    _snapshot: &Snapshot,
    _account: &AccountIdentity,
    cloud: &dyn Cloud,
) -> Evidence {
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (region, group) in failing.iter().filter_map(|finding| group_of(finding.subject())) {
        wanted.entry(region.to_owned()).or_default().insert(group.to_owned());
    }
    let reads: Vec<_> = wanted.into_iter().map(|(region, groups)| read(region, groups, cloud)).collect();
    Evidence { regions: stream::iter(reads).buffer_unordered(CONCURRENCY).collect().await }
}

async fn read(
    name: String,
    ids: BTreeSet<String>,
    cloud: &dyn Cloud,
) -> (String, Observed<BTreeMap<String, GroupEvidence>>) {
    let groups = region(&name, ids, cloud).await;
    (name, groups)
}

/// The interfaces last: whether a group is attached to anything is what changes most easily. A read that fails is the
/// region's last one.
async fn region(name: &str, ids: BTreeSet<String>, cloud: &dyn Cloud) -> Observed<BTreeMap<String, GroupEvidence>> {
    let (groups, at) = match cloud.security_groups(name, GroupFilter::Ids(ids.clone())).await {
        Observed::Complete { value, at } => (value, at),
        Observed::Unknown(cause) => return Observed::Unknown(cause),
    };
    let mut rules = match cloud.rules_of_groups(name, &ids).await {
        Observed::Complete { value, .. } => value,
        Observed::Unknown(cause) => return Observed::Unknown(cause),
    };
    let mut interfaces = match cloud.interfaces(name, &ids).await {
        Observed::Complete { value, .. } => value,
        Observed::Unknown(cause) => return Observed::Unknown(cause),
    };
    let evidence = groups.into_iter().map(|group| {
        let rules = rules.remove(&group.id).unwrap_or_default();
        let interfaces = interfaces.remove(&group.id).unwrap_or_default();
        (group.id.clone(), GroupEvidence { group, rules, interfaces })
    });
    Observed::complete(evidence.collect(), at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Controls, Mode, SecurityGroupRuleValue};
    use crate::baseline::plan::Evidence as AllEvidence;
    use crate::baseline::security_groups::{
        Direction, Peer, RegionSnapshot, SecurityGroup, SecurityGroupRule, evaluate,
    };
    use crate::engine::assess::Coverage;
    use crate::engine::fake::{FakeCloud, account, at, denied, seen};
    use crate::engine::{Assessment, gather};

    fn group(id: &str, name: &str) -> SecurityGroup {
        let (id, name, owner_id) = (id.to_owned(), name.to_owned(), account().account_id);
        SecurityGroup { id, name, owner_id, vpc_id: None, tags: Vec::new() }
    }

    fn world(id: &str, group: &str) -> SecurityGroupRule {
        SecurityGroupRule {
            id: id.to_owned(),
            group_id: group.to_owned(),
            group_owner_id: account().account_id,
            direction: Direction::Ingress,
            protocol: "tcp".to_owned(),
            from_port: Some(22),
            to_port: Some(22),
            peer: Peer::Ipv4("0.0.0.0/0".parse().unwrap()),
        }
    }

    fn value(id: &str) -> SecurityGroupRuleValue {
        SecurityGroupRuleValue {
            rule_id: Some(id.to_owned()),
            ip_protocol: "tcp".to_owned(),
            from_port: Some(22),
            to_port: Some(22),
            cidr_ipv4: Some("0.0.0.0/0".to_owned()),
            ..Default::default()
        }
    }

    fn controls(yaml: &str) -> Controls {
        Controls { security_groups: Some(serde_saphyr::from_str(yaml).unwrap()), ..Controls::default() }
    }

    /// Two regions, in each of which a group fails.
    fn assessment(controls: &Controls) -> Assessment {
        let mut ireland = RegionSnapshot::new("eu-west-1", seen(vec![world("sgr-1", "sg-1"), world("sgr-2", "sg-2")]));
        ireland.default_groups = Some(seen(vec![group("sg-2", "default")]));
        let virginia = RegionSnapshot::new("us-east-1", seen(vec![world("sgr-3", "sg-3")]));
        let snapshot = Snapshot { account: account(), regions: seen(vec![ireland, virginia]) };
        let mut assessment = Assessment {
            identity: account(),
            alias: None,
            coverage: Coverage::default(),
            controls: vec![crate::baseline::Control::SecurityGroups],
            findings: evaluate(controls.security_groups.as_ref().unwrap(), &snapshot),
            snapshots: crate::baseline::plan::Snapshots::default(),
        };
        assessment.snapshots.security_groups = Some(snapshot);
        assessment
    }

    fn cloud() -> FakeCloud {
        let mut cloud = FakeCloud::default();
        for (region, ids) in [("eu-west-1", &["sg-1", "sg-2"][..]), ("us-east-1", &["sg-3"])] {
            cloud.groups.insert(region.to_owned(), seen(ids.iter().map(|id| group(id, "web")).collect()));
            let rules = ids.iter().map(|id| ((*id).to_owned(), vec![value(&id.replace("sg", "sgr"))]));
            cloud.group_rules.insert(region.to_owned(), seen(rules.collect()));
            let interfaces = BTreeMap::from([(ids[0].to_owned(), BTreeSet::from(["eni-1".to_owned()]))]);
            cloud.interfaces.insert(region.to_owned(), seen(interfaces));
        }
        cloud
    }

    async fn gathered(controls: &Controls, ceiling: Mode, cloud: &FakeCloud) -> AllEvidence {
        gather::gather(&assessment(controls), ceiling, controls, &[], cloud).await
    }

    #[tokio::test]
    async fn three_reads_a_region_tell_of_its_failing_groups_alone() {
        let cloud = cloud();
        let controls = controls("{allowedIngress: [], requireEmptyDefaultGroup: true}");
        let evidence = gathered(&controls, Mode::Enforce, &cloud).await.security_groups.unwrap();
        let ireland = evidence.regions["eu-west-1"].value().unwrap();
        assert_eq!(ireland.keys().collect::<Vec<_>>(), ["sg-1", "sg-2"]);
        assert_eq!(ireland["sg-1"].rules, [value("sgr-1")]);
        assert_eq!(ireland["sg-1"].interfaces, BTreeSet::from(["eni-1".to_owned()]));
        assert_eq!(ireland["sg-2"].interfaces, BTreeSet::new());
        assert_eq!(evidence.regions["us-east-1"].read().unwrap().1, at());
        let calls = cloud.calls();
        assert_eq!(calls.len(), 6, "{calls:?}");
        assert!(calls.contains(&"DescribeNetworkInterfaces eu-west-1 {\"sg-1\", \"sg-2\"}".to_owned()), "{calls:?}");
    }

    #[tokio::test]
    async fn p5_a_read_that_fails_makes_its_region_unknown_and_no_other() {
        let controls = controls("{allowedIngress: []}");
        let actions = ["ec2:DescribeSecurityGroups", "ec2:DescribeSecurityGroupRules", "ec2:DescribeNetworkInterfaces"];
        for (index, action) in actions.into_iter().enumerate() {
            let mut cloud = cloud();
            let region = "eu-west-1".to_owned();
            match index {
                0 => drop(cloud.groups.insert(region, denied(action))),
                1 => drop(cloud.group_rules.insert(region, denied(action))),
                _ => drop(cloud.interfaces.insert(region, denied(action))),
            }
            let evidence = gathered(&controls, Mode::Enforce, &cloud).await.security_groups.unwrap();
            let cause = evidence.regions["eu-west-1"].read().unwrap_err();
            assert_eq!(cause.missing_action.as_deref(), Some(action));
            assert!(evidence.regions["us-east-1"].value().is_some());
            assert_eq!(cloud.calls().len(), 3 + index + 1, "nothing more is asked of the region");
        }
    }

    #[tokio::test]
    async fn p11_audit_reads_nothing_more() {
        for (ceiling, yaml) in
            [(Mode::Audit, "{allowedIngress: []}"), (Mode::Enforce, "{mode: Audit, allowedIngress: []}")]
        {
            let cloud = cloud();
            assert_eq!(gathered(&controls(yaml), ceiling, &cloud).await.security_groups, None);
            assert_eq!(cloud.calls(), [""; 0]);
        }
    }
}
