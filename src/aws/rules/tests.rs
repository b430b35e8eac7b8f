use super::*;
use crate::aws::testing::{complete, ec2, ec2_error, fast, serve, unknown};
use crate::baseline::CauseClass;
use crate::engine::cloud::Cloud;

fn groups(ids: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    ids.into_iter().collect()
}

fn rule(id: &str, group: &str, fields: &str) -> String {
    format!(
        "<item><securityGroupRuleId>{id}</securityGroupRuleId><groupId>{group}</groupId>\
         <groupOwnerId>222222222222</groupOwnerId>{fields}</item>"
    )
}

fn answer(items: &str, token: &str) -> crate::aws::testing::Answer {
    let token = format!("<nextToken>{token}</nextToken>");
    ec2("DescribeSecurityGroupRules", &format!("<securityGroupRuleSet>{items}</securityGroupRuleSet>{token}"))
}

#[tokio::test]
async fn a_rule_is_read_whole_in_both_directions_by_group() {
    let ingress = "<isEgress>false</isEgress><ipProtocol>tcp</ipProtocol><fromPort>22</fromPort><toPort>22</toPort>\
                   <cidrIpv4>0.0.0.0/0</cidrIpv4><description>for now</description>\
                   <tagSet><item><key>owner</key><value>ops</value></item></tagSet>";
    let egress = "<isEgress>true</isEgress><ipProtocol>-1</ipProtocol><fromPort>-1</fromPort><toPort>-1</toPort>\
                  <referencedGroupInfo><groupId>sg-9</groupId><userId>111111111111</userId>\
                  <vpcPeeringConnectionId>pcx-1</vpcPeeringConnectionId></referencedGroupInfo>";
    let server = serve(fast(), move |request, _| match request.param("NextToken") {
        "" => answer(&rule("sgr-1", "sg-1", ingress), "2"),
        _ => answer(&rule("sgr-2", "sg-1", egress), ""),
    })
    .await;
    let asked = groups(["sg-1".to_owned(), "sg-2".to_owned()]);
    let found = complete(server.account().rules_of_groups("eu-west-1", &asked).await);
    let expected = [
        SecurityGroupRuleValue {
            rule_id: Some("sgr-1".to_owned()),
            is_egress: false,
            ip_protocol: "tcp".to_owned(),
            from_port: Some(22),
            to_port: Some(22),
            cidr_ipv4: Some("0.0.0.0/0".to_owned()),
            description: Some("for now".to_owned()),
            tags: vec![Tag { key: "owner".to_owned(), value: "ops".to_owned() }],
            ..SecurityGroupRuleValue::default()
        },
        SecurityGroupRuleValue {
            rule_id: Some("sgr-2".to_owned()),
            is_egress: true,
            ip_protocol: "-1".to_owned(),
            from_port: Some(-1),
            to_port: Some(-1),
            referenced_group: Some(ReferencedGroup {
                group_id: "sg-9".to_owned(),
                user_id: Some("111111111111".to_owned()),
                vpc_peering_connection_id: Some("pcx-1".to_owned()),
            }),
            ..SecurityGroupRuleValue::default()
        },
    ];
    assert_eq!(found["sg-1"], expected);
    assert_eq!(found["sg-2"], []);
    let request = &server.requests()[0];
    assert_eq!((request.param("Filter.1.Name"), request.param("Filter.1.Value.2")), ("group-id", "sg-2"));
    assert_eq!((request.region(), request.param("MaxResults")), ("eu-west-1", "1000"));
}

#[tokio::test]
async fn more_groups_than_a_filter_takes_are_asked_for_in_parts() {
    let server = serve(fast(), |_, _| answer("", "")).await;
    let asked = groups((0..450).map(|number| format!("sg-{number}")));
    let found = complete(server.account().rules_of_groups("eu-west-1", &asked).await);
    assert_eq!(found.len(), 450);
    assert_eq!(server.operations().len(), 3);
}

#[tokio::test]
async fn a_rule_that_is_not_whole_or_a_page_that_fails_leaves_all_unknown() {
    let whole = "<isEgress>false</isEgress><ipProtocol>tcp</ipProtocol><cidrIpv4>10.0.0.0/8</cidrIpv4>";
    for (group, fields) in [
        ("sg-1", "<isEgress>false</isEgress><ipProtocol>tcp</ipProtocol>".to_owned()),
        ("sg-1", format!("{whole}<cidrIpv6>::/0</cidrIpv6>")),
        ("sg-1", whole.replace("<isEgress>false</isEgress>", "")),
        ("sg-other", whole.to_owned()),
    ] {
        let items = rule("sgr-1", group, &fields);
        let server = serve(fast(), move |_, _| answer(&items, "")).await;
        let cause = unknown(server.account().rules_of_groups("eu-west-1", &groups(["sg-1".to_owned()])).await);
        assert_eq!(cause.class, CauseClass::Malformed, "{group} {fields}");
    }
    let server = serve(fast(), move |request, _| match request.param("NextToken") {
        "" => answer(&rule("sgr-1", "sg-1", whole), "2"),
        _ => ec2_error(503, "RequestLimitExceeded", "Request limit exceeded."),
    })
    .await;
    let cause = unknown(server.account().rules_of_groups("eu-west-1", &groups(["sg-1".to_owned()])).await);
    assert_eq!(cause.class, CauseClass::Throttled);
}
