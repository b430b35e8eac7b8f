#![expect(clippy::format_collect, reason = "answers of a server, written to be read")]

use std::collections::BTreeSet;

use super::*;
use crate::aws::testing::{Answer, complete, ec2, ec2_error, fast, serve, unknown};
use crate::baseline::CauseClass;
use crate::engine::cloud::Cloud;

fn rule(id: u32, peer: &str) -> String {
    format!(
        "<item><securityGroupRuleId>sgr-{id}</securityGroupRuleId><groupId>sg-1</groupId>\
         <groupOwnerId>222222222222</groupOwnerId><isEgress>false</isEgress><ipProtocol>tcp</ipProtocol>\
         <fromPort>22</fromPort><toPort>22</toPort>{peer}</item>"
    )
}

fn rules(items: &str, token: &str) -> Answer {
    let token = format!("<nextToken>{token}</nextToken>");
    ec2("DescribeSecurityGroupRules", &format!("<securityGroupRuleSet>{items}</securityGroupRuleSet>{token}"))
}

const WORLD: &str = "<cidrIpv4>0.0.0.0/0</cidrIpv4>";

#[tokio::test]
async fn a_rule_has_one_of_four_other_sides() {
    let items = rule(1, WORLD)
        + &rule(2, "<cidrIpv6>::/0</cidrIpv6>")
        + &rule(3, "<prefixListId>pl-1</prefixListId>")
        + &rule(4, "<referencedGroupInfo><groupId>sg-2</groupId></referencedGroupInfo>");
    let server = serve(fast(), move |_, _| rules(&items, "")).await;
    let found = complete(server.account().security_group_rules("eu-west-1").await);
    let peers: Vec<Peer> = found.iter().map(|rule| rule.peer.clone()).collect();
    assert_eq!(
        peers,
        [
            Peer::Ipv4("0.0.0.0/0".parse().unwrap()),
            Peer::Ipv6("::/0".parse().unwrap()),
            Peer::PrefixList("pl-1".to_owned()),
            Peer::Group("sg-2".to_owned()),
        ]
    );
    assert_eq!((found[0].id.as_str(), found[0].from_port, found[0].direction), ("sgr-1", Some(22), Direction::Ingress));
    assert_eq!(server.requests()[0].region(), "eu-west-1");
    assert_eq!(server.requests()[0].param("MaxResults"), "1000");
}

#[tokio::test]
async fn a_rule_that_cannot_be_read_leaves_its_region_unknown() {
    for peer in ["", "<cidrIpv4>10.0.0.0/33</cidrIpv4>", "<cidrIpv4>0.0.0.0/0</cidrIpv4><cidrIpv6>::/0</cidrIpv6>"] {
        let items = rule(1, WORLD) + &rule(2, peer);
        let server = serve(fast(), move |_, _| rules(&items, "")).await;
        let cause = unknown(server.account().security_group_rules("eu-west-1").await);
        assert_eq!(cause.class, CauseClass::Malformed, "{peer}");
    }
}

#[tokio::test]
async fn sg_32_throttled_between_two_pages_is_unknown_for_the_region() {
    let server = serve(fast(), |request, _| match request.param("NextToken") {
        "" => rules(&rule(1, WORLD), "2"),
        _ => ec2_error(503, "RequestLimitExceeded", "Request limit exceeded."),
    })
    .await;
    let account = server.account();
    assert_eq!(unknown(account.security_group_rules("eu-west-1").await).class, CauseClass::Throttled);
}

#[tokio::test]
async fn sg_33_ten_thousand_rules_come_in_ten_pages() {
    let server = serve(fast(), |request, _| {
        let page: u32 = request.param("NextToken").parse().unwrap_or(0);
        let items: String = (0..1000).map(|row| rule(page * 1000 + row, WORLD)).collect();
        rules(&items, &if page < 9 { (page + 1).to_string() } else { String::new() })
    })
    .await;
    assert_eq!(complete(server.account().security_group_rules("eu-west-1").await).len(), 10_000);
    assert_eq!(server.operations().len(), 10);
}

#[tokio::test]
async fn a_repeated_token_leaves_the_region_unknown() {
    let server = serve(fast(), |_, _| rules(&rule(1, WORLD), "again")).await;
    assert_eq!(unknown(server.account().security_group_rules("eu-west-1").await).class, CauseClass::Malformed);
    assert_eq!(server.operations().len(), 2);
}

#[tokio::test]
async fn sg_29_regions_that_are_not_opted_in_are_not_enabled() {
    let region = |name: &str, status: &str| {
        format!("<item><regionName>{name}</regionName><optInStatus>{status}</optInStatus></item>")
    };
    let items = region("us-east-1", "opt-in-not-required")
        + &region("me-south-1", "opted-in")
        + &region("af-south-1", "not-opted-in");
    let server = serve(fast(), move |_, _| ec2("DescribeRegions", &format!("<regionInfo>{items}</regionInfo>"))).await;
    let found = complete(server.account().regions().await);
    let found: Vec<(&str, bool)> = found.iter().map(|region| (region.name.as_str(), region.enabled)).collect();
    assert_eq!(found, [("af-south-1", false), ("me-south-1", true), ("us-east-1", true)]);
    assert_eq!(server.requests()[0].param("AllRegions"), "true");

    let server = serve(fast(), |_, _| ec2("DescribeRegions", "")).await;
    assert_eq!(unknown(server.account().regions().await).class, CauseClass::Malformed);
}

fn ids(count: usize) -> BTreeSet<String> {
    (0..count).map(|id| format!("sg-{id:04}")).collect()
}

fn filter_values(request: &crate::aws::testing::Request) -> Vec<String> {
    let values = request.form.iter().filter(|(name, _)| name.starts_with("Filter.1.Value"));
    values.map(|(_, value)| value.clone()).collect()
}

#[tokio::test]
async fn groups_are_asked_for_two_hundred_at_a_time() {
    let server = serve(fast(), |request, _| {
        let items: String = filter_values(request)
            .iter()
            .map(|id| {
                format!(
                    "<item><groupId>{id}</groupId><groupName>web</groupName><ownerId>222222222222</ownerId>\
                     <vpcId>vpc-1</vpcId><tagSet><item><key>a</key><value>b</value></item></tagSet></item>"
                )
            })
            .collect();
        ec2("DescribeSecurityGroups", &format!("<securityGroupInfo>{items}</securityGroupInfo>"))
    })
    .await;
    let account = server.account();
    let found = complete(account.security_groups("eu-west-1", GroupFilter::Ids(ids(450))).await);
    assert_eq!(found.iter().map(|group| group.id.clone()).collect::<BTreeSet<_>>(), ids(450));
    assert_eq!(found[0].tags, [("a".to_owned(), "b".to_owned())]);
    let sizes: Vec<usize> = server.requests().iter().map(|request| filter_values(request).len()).collect();
    assert_eq!(sizes, [200, 200, 50]);

    complete(account.security_groups("eu-west-1", GroupFilter::Default).await);
    let last = server.requests().pop().unwrap();
    assert_eq!((last.param("Filter.1.Name"), last.param("Filter.1.Value.1")), ("group-name", "default"));
}

#[tokio::test]
async fn sg_38_interfaces_of_managed_resources_count_and_other_groups_do_not() {
    let server = serve(fast(), |_, _| {
        ec2(
            "DescribeNetworkInterfaces",
            "<networkInterfaceSet><item><groupSet><item><groupId>sg-0001</groupId></item>\
             <item><groupId>sg-other</groupId></item></groupSet></item></networkInterfaceSet>",
        )
    })
    .await;
    let account = server.account();
    let attached = complete(account.attached_groups("eu-west-1", &ids(3)).await);
    assert_eq!(attached, BTreeSet::from(["sg-0001".to_owned()]));
    let request = &server.requests()[0];
    assert_eq!(request.param("IncludeManagedResources"), "true");
    assert_eq!(request.param("Filter.1.Name"), "group-id");

    assert!(complete(account.attached_groups("eu-west-1", &BTreeSet::new()).await).is_empty());
    assert_eq!(server.operations().len(), 1, "nothing is asked for no group");
}

#[tokio::test]
async fn sg_20_25_the_interfaces_of_each_group_are_the_first_sixteen_and_those_of_managed_resources_count() {
    let server = serve(fast(), |_, _| {
        let interface = |n: usize| {
            format!(
                "<item><networkInterfaceId>eni-{n:02}</networkInterfaceId><groupSet><item><groupId>sg-0001</groupId>\
                 </item><item><groupId>sg-other</groupId></item></groupSet></item>"
            )
        };
        let items: String = (0..20).rev().map(interface).collect();
        ec2("DescribeNetworkInterfaces", &format!("<networkInterfaceSet>{items}</networkInterfaceSet>"))
    })
    .await;
    let account = server.account();
    let found = complete(account.interfaces("eu-west-1", &ids(3)).await);
    let kept: BTreeSet<String> = (0..16).map(|n| format!("eni-{n:02}")).collect();
    assert_eq!(found, std::collections::BTreeMap::from([("sg-0001".to_owned(), kept)]));
    assert_eq!(server.requests()[0].param("IncludeManagedResources"), "true");
    assert!(complete(account.interfaces("eu-west-1", &BTreeSet::new()).await).is_empty());
    assert_eq!(server.operations().len(), 1, "nothing is asked for no group");
}

#[tokio::test]
async fn an_interface_without_an_id_is_no_answer() {
    let server = serve(fast(), |_, _| {
        let item = "<item><groupSet><item><groupId>sg-0001</groupId></item></groupSet></item>";
        ec2("DescribeNetworkInterfaces", &format!("<networkInterfaceSet>{item}</networkInterfaceSet>"))
    })
    .await;
    let found = server.account().interfaces("eu-west-1", &ids(3)).await;
    assert_eq!(found.read().unwrap_err().class, CauseClass::Malformed);
}

fn list(owner: &str) -> Answer {
    ec2(
        "DescribeManagedPrefixLists",
        &format!(
            "<prefixListSet><item><prefixListId>pl-1</prefixListId><prefixListName>offices</prefixListName>\
             <ownerId>{owner}</ownerId></item></prefixListSet>"
        ),
    )
}

#[tokio::test]
async fn sg_09_the_entries_of_a_prefix_list_are_read_to_the_end() {
    let server = serve(fast(), |request, _| match (request.operation.as_str(), request.param("NextToken")) {
        ("DescribeManagedPrefixLists", _) => list("333333333333"),
        (_, "") => ec2(
            "GetManagedPrefixListEntries",
            "<entrySet><item><cidr>198.51.100.0/24</cidr></item></entrySet><nextToken>2</nextToken>",
        ),
        _ => ec2("GetManagedPrefixListEntries", "<entrySet><item><cidr>2001:db8::/32</cidr></item></entrySet>"),
    })
    .await;
    let found = complete(server.account().prefix_list("eu-west-1", "pl-1").await);
    assert_eq!((found.name.as_str(), found.owner_id.as_str()), ("offices", "333333333333"));
    assert_eq!(found.cidrs, ["198.51.100.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
    assert_eq!(server.requests()[1].param("MaxResults"), "100");
}

#[tokio::test]
async fn sg_10_the_entries_of_a_list_of_aws_are_not_read() {
    let server = serve(fast(), |_, _| list("AWS")).await;
    assert!(complete(server.account().prefix_list("eu-west-1", "pl-1").await).cidrs.is_empty());
    assert_eq!(server.operations(), ["DescribeManagedPrefixLists"]);
}

#[tokio::test]
async fn sg_11_a_list_that_is_gone_or_denied_is_unknown() {
    let gone = ec2_error(400, "InvalidPrefixListID.NotFound", "The prefix list ID 'pl-1' does not exist");
    let server = serve(fast(), move |_, _| gone.clone()).await;
    assert_eq!(unknown(server.account().prefix_list("eu-west-1", "pl-1").await).class, CauseClass::NotFound);
    let server = serve(fast(), |request, _| match request.operation.as_str() {
        "DescribeManagedPrefixLists" => list("333333333333"),
        _ => ec2_error(403, "UnauthorizedOperation", "You are not authorized to perform this operation."),
    })
    .await;
    let cause = unknown(server.account().prefix_list("eu-west-1", "pl-1").await);
    assert_eq!(cause.missing_action.as_deref(), Some("ec2:GetManagedPrefixListEntries"));
}
