"""Starts ministack with its faults about managed prefix lists put right.

It neither stores nor describes the list that a rule of a security group names, so that the rule would have no other
side; and it takes the reading of a list's entries for a call on no resource, which a policy for prefix lists then does
not allow. Works with the version that requirements.txt pins.
"""

import sys

from ministack.app import main
from ministack.core import iam_actions
from ministack.services import ec2

parse_permissions = ec2._parse_ip_permissions
describe_rule = ec2._sg_rule_xml
resource_of = iam_actions.extract_resource_arn


def parse_permissions_with_lists(params, prefix):
    rules = parse_permissions(params, prefix)
    for number, rule in enumerate(rules, start=1):
        names = (f"{prefix}.{number}.PrefixListIds.{index}.PrefixListId" for index in range(1, 65))
        ids = (ec2._p(params, name) for name in names)
        rule["PrefixListIds"] = [{"PrefixListId": id} for id in ids if id]
    return rules


def describe_rule_with_lists(group, rule, is_egress=False):
    items = describe_rule(group, rule, is_egress)
    lists = rule.get("PrefixListIds", [])
    others = any(rule.get(side) for side in ("IpRanges", "Ipv6Ranges", "UserIdGroupPairs"))
    if not lists or others:
        return items
    return "".join(
        items.replace("</item>", f"<prefixListId>{one['PrefixListId']}</prefixListId></item>", 1) for one in lists
    )


def resource_of_with_lists(service, method, path, headers, body, params, region, account):
    if service == "ec2" and iam_actions._query_param(params, "Action") == "GetManagedPrefixListEntries":
        return f"arn:aws:ec2:{region}:{account}:prefix-list/{iam_actions._query_param(params, 'PrefixListId')}"
    return resource_of(service, method, path, headers, body, params, region, account)


ec2._parse_ip_permissions = parse_permissions_with_lists
ec2._sg_rule_xml = describe_rule_with_lists
iam_actions.extract_resource_arn = resource_of_with_lists
sys.exit(main())
