"""Starts ministack with its faults about managed prefix lists and about users put right.

It neither stores nor describes the list that a rule of a security group names, so that the rule would have no other
side; and it takes the reading of a list's entries for a call on no resource, which a policy for prefix lists then does
not allow. It does not know the lists of a user's service-specific credentials and signing certificates, of which nobody
has any here, nor the condition key iam:PolicyARN. Works with the version that requirements.txt pins.
"""

import sys

from ministack.app import main
from ministack.core import iam_actions
from ministack.services import ec2, iam

parse_permissions = ec2._parse_ip_permissions
describe_rule = ec2._sg_rule_xml
resource_of = iam_actions.extract_resource_arn
context_of = iam_actions.request_tag_context


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


def context_with_policy(service, iam_action, body, params):
    context = context_of(service, iam_action, body, params)
    policy = iam_actions._query_param(params, "PolicyArn") if service == "iam" else None
    return {**context, "iam:policyarn": policy} if policy else context


def empty_list(operation, name):
    result = f"<{operation}Result><{name}/><IsTruncated>false</IsTruncated></{operation}Result>"

    def answer(params):
        return iam._xml(200, f"{operation}Response", result, ns="iam")

    return answer


for operation, name in (
    ("ListServiceSpecificCredentials", "ServiceSpecificCredentials"),
    ("ListSigningCertificates", "Certificates"),
):
    iam._IAM_HANDLERS.setdefault(operation, empty_list(operation, name))
iam_actions.request_tag_context = context_with_policy
ec2._parse_ip_permissions = parse_permissions_with_lists
ec2._sg_rule_xml = describe_rule_with_lists
iam_actions.extract_resource_arn = resource_of_with_lists
sys.exit(main())
