//! From a cloud to the snapshot of the security groups: per region the rules, then only what their verdicts depend on.
//! IO through the cloud alone.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use tracing::{Instrument, error_span};

use super::{CONCURRENCY, Scope};
use crate::api::SecurityGroupsControl;
use crate::baseline::security_groups::{PrefixList, RegionSnapshot, Snapshot, needs};
use crate::baseline::{AccountIdentity, Control, Observed};
use crate::engine::assess::Progress;
use crate::engine::cloud::{Cloud, GroupFilter};

/// How many prefix lists of one region are read at the same time: their reads share one small budget.
const LISTS_AT_ONCE: usize = 4;

/// Observes all judged regions side by side; none, where the spec asks for nothing.
pub(in crate::engine) async fn observe(
    scope: &Scope,
    desired: &SecurityGroupsControl,
    cloud: &dyn Cloud,
    progress: &dyn Progress,
) -> Snapshot {
    let account = scope.account.clone();
    let (judged, at) = match scope.regions.read() {
        Ok((regions, at)) => (regions.judged.clone(), at),
        Err(cause) => return Snapshot { account, regions: Observed::Unknown(cause.clone()) },
    };
    if desired.allowed_ingress.is_none() && !desired.require_empty_default_group {
        return Snapshot { account, regions: Observed::complete(Vec::new(), at) };
    }
    let total = judged.len();
    let reads = judged.into_iter().map(|name| {
        let span = error_span!("region", region = name);
        region(name, desired, &scope.account, cloud).instrument(span)
    });
    let reads: Vec<_> = reads.collect();
    let mut reads = stream::iter(reads).buffer_unordered(CONCURRENCY);
    let mut regions = Vec::with_capacity(total);
    while let Some(region) = reads.next().await {
        regions.push(region);
        progress.advanced(Control::SecurityGroups, regions.len(), total);
    }
    regions.sort_by(|a: &RegionSnapshot, b| a.region.cmp(&b.region));
    Snapshot { account, regions: Observed::complete(regions, at) }
}

/// Each read tells what the next one must ask for, so they follow each other. A region whose rules were refused is not
/// asked anything more.
async fn region(
    name: String,
    desired: &SecurityGroupsControl,
    account: &AccountIdentity,
    cloud: &dyn Cloud,
) -> RegionSnapshot {
    let rules = cloud.security_group_rules(&name).await;
    let mut region = RegionSnapshot::new(name, rules);
    if region.rules.value().is_none() {
        return region;
    }
    if desired.require_empty_default_group {
        region.default_groups = Some(cloud.security_groups(&region.region, GroupFilter::Default).await);
    }
    let mut missing = needs(desired, account, &region);
    if !missing.prefix_lists.is_empty() {
        region.prefix_lists = prefix_lists(&region.region, missing.prefix_lists, cloud).await;
        missing = needs(desired, account, &region);
    }
    if !missing.names.is_empty() {
        let groups = cloud.security_groups(&region.region, GroupFilter::Ids(missing.names)).await;
        region.named_groups = Some(groups);
        missing = needs(desired, account, &region);
    }
    if !missing.attachment.is_empty() {
        let groups = missing.attachment;
        let attached = cloud.attached_groups(&region.region, &groups).await;
        region.attached = Some(attached.map(|attached| {
            groups.into_iter().map(|group| (attached.contains(&group), group)).map(|(is, group)| (group, is)).collect()
        }));
    }
    region
}

async fn prefix_lists(
    region: &str,
    ids: impl IntoIterator<Item = String>,
    cloud: &dyn Cloud,
) -> BTreeMap<String, Observed<PrefixList>> {
    let reads: Vec<_> = ids
        .into_iter()
        .map(|id| async move {
            let list = cloud.prefix_list(region, &id).await;
            (id, list)
        })
        .collect();
    stream::iter(reads).buffer_unordered(LISTS_AT_ONCE).collect().await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use super::*;
    use crate::baseline::security_groups::{Direction, Peer, SecurityGroup, SecurityGroupRule, evaluate};
    use crate::baseline::{Finding, Verdict};
    use crate::engine::assess::{RegionSelection, Silent};
    use crate::engine::cloud::Region;
    use crate::engine::fake::{FakeCloud, account, denied, seen};
    use crate::engine::observe::{RegionsInScope, regions_in_scope};

    fn rule(id: &str, group: &str, port: i32, peer: Peer) -> SecurityGroupRule {
        SecurityGroupRule {
            id: id.to_owned(),
            group_id: group.to_owned(),
            group_owner_id: "222222222222".to_owned(),
            direction: Direction::Ingress,
            protocol: "tcp".to_owned(),
            from_port: Some(port),
            to_port: Some(port),
            peer,
        }
    }

    fn world() -> Peer {
        Peer::Ipv4("0.0.0.0/0".parse().unwrap())
    }

    fn group(id: &str, name: &str) -> SecurityGroup {
        let (id, name, owner_id) = (id.to_owned(), name.to_owned(), "222222222222".to_owned());
        SecurityGroup { id, name, owner_id, vpc_id: None, tags: Vec::new() }
    }

    fn scope(regions: &[&str]) -> Scope {
        let judged = regions.iter().map(|name| (*name).to_owned()).collect();
        Scope { account: account(), regions: seen(RegionsInScope { judged, not_enabled: Vec::new() }) }
    }

    fn cloud(rules: Vec<SecurityGroupRule>) -> FakeCloud {
        let mut cloud = FakeCloud::default();
        cloud.rules.insert("eu-west-1".to_owned(), seen(rules));
        cloud
    }

    fn desired(yaml: &str) -> SecurityGroupsControl {
        serde_saphyr::from_str(yaml).unwrap()
    }

    async fn judged(yaml: &str, regions: &[&str], cloud: &FakeCloud) -> Vec<Finding> {
        let desired = desired(yaml);
        evaluate(&desired, &observe(&scope(regions), &desired, cloud, &Silent).await)
    }

    fn verdicts(findings: &[Finding]) -> Vec<Verdict> {
        findings.iter().map(Finding::verdict).collect()
    }

    #[tokio::test]
    async fn an_account_in_order_costs_one_call_a_region() {
        let mut cloud = cloud(vec![rule("sgr-1", "sg-1", 443, world())]);
        cloud.rules.insert("us-east-1".to_owned(), seen(Vec::new()));
        let spec = "{allowedIngress: [{protocol: tcp, ports: [443], cidrs: [0.0.0.0/0]}]}";
        let findings = judged(spec, &["eu-west-1", "us-east-1"], &cloud).await;
        assert_eq!(verdicts(&findings), [Verdict::Pass]);
        let calls: BTreeSet<String> = cloud.calls().into_iter().collect();
        let expected = ["DescribeSecurityGroupRules eu-west-1", "DescribeSecurityGroupRules us-east-1"];
        assert_eq!(calls.iter().collect::<Vec<_>>(), expected);
        assert_eq!(cloud.calls().len(), 2);
    }

    #[tokio::test]
    async fn a_spec_that_asks_for_nothing_costs_nothing() {
        let cloud = cloud(vec![rule("sgr-1", "sg-1", 22, world())]);
        assert_eq!(judged("{judgeIcmp: true}", &["eu-west-1"], &cloud).await, []);
        assert_eq!(cloud.calls(), [""; 0]);
    }

    #[tokio::test]
    async fn sg_09_10_11_each_list_of_a_judged_rule_is_read_once() {
        let listed = |rule_id, id: &str| rule(rule_id, "sg-1", 22, Peer::PrefixList(id.to_owned()));
        let egress = SecurityGroupRule { direction: Direction::Egress, ..listed("sgr-9", "pl-out") };
        let mut cloud = cloud(vec![listed("sgr-1", "pl-1"), listed("sgr-2", "pl-1"), listed("sgr-3", "pl-2"), egress]);
        let list = |id: &str, owner: &str| PrefixList {
            id: id.to_owned(),
            name: String::new(),
            owner_id: owner.to_owned(),
            cidrs: vec!["52.0.0.0/20".parse().unwrap()],
            max_entries: Some(10),
        };
        cloud.prefix_lists.insert("eu-west-1/pl-1".to_owned(), seen(list("pl-1", "222222222222")));
        cloud.prefix_lists.insert("eu-west-1/pl-2".to_owned(), denied("ec2:GetManagedPrefixListEntries"));
        let findings = judged("{allowedIngress: []}", &["eu-west-1"], &cloud).await;
        assert_eq!(verdicts(&findings), [Verdict::Pass, Verdict::Pass, Verdict::Unknown]);
        let expected = [
            "DescribeSecurityGroupRules eu-west-1",
            "GetManagedPrefixListEntries eu-west-1/pl-1",
            "GetManagedPrefixListEntries eu-west-1/pl-2",
        ];
        assert_eq!(cloud.calls(), expected);
    }

    #[tokio::test]
    async fn sg_40_23_names_are_asked_for_where_they_decide_and_interfaces_where_something_fails() {
        let peers = [("sgr-1", "sg-1", 22), ("sgr-2", "sg-2", 22), ("sgr-3", "sg-3", 443)];
        let mut cloud = cloud(peers.map(|(id, group, port)| rule(id, group, port, world())).to_vec());
        let groups = vec![group("sg-1", "bastion-1"), group("sg-2", "web"), group("sg-3", "web-3")];
        cloud.groups.insert("eu-west-1".to_owned(), seen(groups));
        cloud.attached.insert("eu-west-1".to_owned(), seen(BTreeSet::new()));
        let spec = "{allowedIngress: [{protocol: tcp, ports: [443], cidrs: [0.0.0.0/0]}, \
                     {protocol: tcp, ports: [22], cidrs: [0.0.0.0/0], groupNames: ['bastion-*']}]}";
        let findings = judged(spec, &["eu-west-1"], &cloud).await;
        assert_eq!(verdicts(&findings), [Verdict::Pass, Verdict::Fail, Verdict::Pass]);
        assert_eq!(findings[1].severity(), crate::baseline::Severity::High, "Critical, and attached to nothing");
        let expected = [
            "DescribeSecurityGroupRules eu-west-1",
            "DescribeSecurityGroups eu-west-1 Ids({\"sg-1\", \"sg-2\"})",
            "DescribeNetworkInterfaces eu-west-1",
        ];
        assert_eq!(cloud.calls(), expected);
    }

    #[tokio::test]
    async fn sg_25_38_a_default_group_whose_interfaces_aws_hides_is_attached() {
        let mut cloud = cloud(vec![rule("sgr-1", "sg-1", 22, Peer::Group("sg-1".to_owned()))]);
        cloud.groups.insert("eu-west-1".to_owned(), seen(vec![group("sg-1", "default")]));
        cloud.attached.insert("eu-west-1".to_owned(), seen(BTreeSet::from(["sg-1".to_owned()])));
        let findings = judged("{requireEmptyDefaultGroup: true}", &["eu-west-1"], &cloud).await;
        assert_eq!(verdicts(&findings), [Verdict::Fail]);
        assert_eq!(findings[0].severity(), crate::baseline::Severity::High);
        let expected = [
            "DescribeSecurityGroupRules eu-west-1",
            "DescribeSecurityGroups eu-west-1 Default",
            "DescribeNetworkInterfaces eu-west-1",
        ];
        assert_eq!(cloud.calls(), expected);
    }

    #[tokio::test]
    async fn sg_29_a_region_that_is_not_enabled_is_skipped_and_a_denied_one_is_asked_nothing_more() {
        let region = |name: &str, enabled| Region { name: name.to_owned(), enabled };
        let mut cloud = cloud(vec![rule("sgr-1", "sg-1", 22, Peer::Ipv4("10.0.0.0/8".parse().unwrap()))]);
        let regions = vec![region("ap-east-1", false), region("eu-north-1", true), region("eu-west-1", true)];
        cloud.regions = Some(seen(regions));
        cloud.rules.insert("eu-north-1".to_owned(), denied("ec2:DescribeSecurityGroupRules"));
        cloud.groups.insert("eu-west-1".to_owned(), seen(Vec::new()));
        let desired = desired("{allowedIngress: [], requireEmptyDefaultGroup: true}");
        let controls = crate::api::Controls { security_groups: Some(desired.clone()), ..Default::default() };
        let regions = regions_in_scope(&RegionSelection::Enabled, &controls, &cloud).await;
        let scope = Scope { account: account(), regions };
        let findings = evaluate(&desired, &observe(&scope, &desired, &cloud, &Silent).await);
        assert_eq!(verdicts(&findings), [Verdict::Unknown, Verdict::Pass]);
        let calls = cloud.calls();
        assert!(!calls.iter().any(|call| call.contains("ap-east-1")), "{calls:?}");
        assert_eq!(calls.iter().filter(|call| call.contains("eu-north-1")).count(), 1, "{calls:?}");
    }

    #[tokio::test]
    async fn regions_that_were_not_listed_are_one_unknown_and_no_call() {
        let cloud = FakeCloud::default();
        let scope = Scope { account: account(), regions: denied("ec2:DescribeRegions") };
        let desired = desired("{allowedIngress: [], requireEmptyDefaultGroup: true}");
        let findings = evaluate(&desired, &observe(&scope, &desired, &cloud, &Silent).await);
        assert_eq!(verdicts(&findings), [Verdict::Unknown]);
        assert_eq!(cloud.calls(), [""; 0]);
    }

    #[tokio::test]
    async fn progress_counts_the_regions_and_the_future_may_move_between_threads() {
        struct Told(Mutex<Vec<(usize, usize)>>);
        impl Progress for Told {
            fn started(&self, _: Control) {}
            fn advanced(&self, control: Control, done: usize, total: usize) {
                assert_eq!(control, Control::SecurityGroups);
                self.0.lock().unwrap().push((done, total));
            }
            fn finished(&self, _: Control) {}
        }
        fn movable<F: Send>(future: F) -> F {
            future
        }
        let (cloud, told) = (FakeCloud::default(), Told(Mutex::default()));
        let (scope, desired) = (scope(&["a", "b", "c"]), desired("{allowedIngress: []}"));
        let snapshot = movable(observe(&scope, &desired, &cloud, &told)).await;
        assert_eq!(*told.0.lock().unwrap(), [(1, 3), (2, 3), (3, 3)]);
        let regions: Vec<&str> = snapshot.regions.value().unwrap().iter().map(|r| r.region.as_str()).collect();
        assert_eq!(regions, ["a", "b", "c"]);
    }
}
