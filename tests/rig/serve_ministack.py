"""Starts ministack with its faults about managed prefix lists, users and MFA put right.

It neither stores nor describes the list that a rule of a security group names, so that the rule would have no other
side; and it takes the reading of a list's entries for a call on no resource, which a policy for prefix lists then
does not allow. It does not know the lists of a user's service-specific credentials and signing certificates, of which
nobody has any here, nor the condition key iam:PolicyARN. It leaves out aws:ViaAWSService, which AWS always sends, and
it takes a session for one without MFA although a device was named when its token was asked for. How a policy's
conditions are judged is its own. Works with the version that `tests/python/ministack.txt` pins.
"""

import contextvars
import sys
from urllib.parse import parse_qs

from ministack.app import main
from ministack.core import iam_actions, iam_evaluator
from ministack.services import ec2, iam, sts

parse_permissions = ec2._parse_ip_permissions
describe_rule = ec2._sg_rule_xml
resource_of = iam_actions.extract_resource_arn
context_of = iam_actions.request_tag_context
keys_of = iam_evaluator._principal_keys
answer_sts = sts.handle_request
register_session = sts.register_session
device_of_session = contextvars.ContextVar("device_of_session", default=None)


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


async def answer_sts_with_devices(method, path, headers, body, query_params):
    params = {**query_params, **parse_qs(body.decode())}
    device = None
    if iam._p(params, "Action") == "GetSessionToken":
        device = iam._p(params, "SerialNumber", None)
    if device:
        owner = (iam._mfa_devices.get(device) or {}).get("User")
        caller = sts._caller_identity(headers, query_params)
        if not owner or owner != caller["principalName"] or not iam._p(params, "TokenCode"):
            return iam._error(403, "AccessDenied", "MultiFactorAuthentication failed", ns="sts")
    device_of_session.set(device)
    return await answer_sts(method, path, headers, body, query_params)


def register_session_with_device(access_key, session):
    register_session(access_key, {**session, "Device": device_of_session.get()})


def keys_with_mfa(credential):
    keys = {**keys_of(credential), "aws:viaawsservice": "false"}
    session = sts._sessions.get(credential.access_key_id) or {}
    return {**keys, "aws:multifactorauthpresent": "true"} if session.get("Device") else keys


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
iam_evaluator._principal_keys = keys_with_mfa
sts.handle_request = answer_sts_with_devices
sts.register_session = register_session_with_device
ec2._parse_ip_permissions = parse_permissions_with_lists
ec2._sg_rule_xml = describe_rule_with_lists
iam_actions.extract_resource_arn = resource_of_with_lists
sys.exit(main())
