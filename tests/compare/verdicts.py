"""What three tools print becomes one word per question and resource. No IO.

`Pass`, `Fail`, `Unknown`, `NotApplicable` as Plumbline means them; `no row` where a tool said nothing about the
resource that it was asked about; `error` where it could not answer; `-` where it has no such check.
"""

PASS, FAIL, UNKNOWN, NOT_APPLICABLE = "Pass", "Fail", "Unknown", "NotApplicable"
NO_ROW, ERROR, NOT_ASKED = "no row", "error", "-"


def names(identifier, resource):
    """Whether an id, a name or an ARN is that of the resource: `sg-1` is the end of `...:security-group/sg-1`."""
    if not identifier or not resource:
        return False
    return identifier == resource or identifier.endswith(("/" + resource, ":" + resource))


def plumbline(report, baseline, checks, resource):
    """The verdict in an AuditReport, of a baseline's checks on a resource or its rules; no resource: the account."""
    judged = next((one for one in report["baselines"] if one["baseline"] == baseline), None)
    if judged is None:
        return ERROR
    rows = [
        row["result"]
        for row in judged["findings"]
        if row["check"] in checks
        and (resource is None or names(row["resource"], resource) or names(row.get("parent"), resource))
    ]
    # As a control's own result is made: what fails, then what is not known, then what passes.
    for verdict in (FAIL, UNKNOWN, PASS, NOT_APPLICABLE):
        if verdict in rows:
            return verdict
    # A rule that nobody asked about has no row; where something was not read, it is not known whether there is one.
    return UNKNOWN if any(row["check"] in checks for row in judged["unknown"]) else NO_ROW


def prowler(rows, checks, resource):
    """The verdict in the rows of Prowler's CSV; `None` for rows where it did not finish."""
    if not checks:
        return NOT_ASKED
    if rows is None:
        return ERROR
    statuses = [
        row["STATUS"]
        for row in rows
        if row["CHECK_ID"] in checks
        and (resource is None or names(row["RESOURCE_UID"], resource) or row["RESOURCE_NAME"] == resource)
    ]
    if "FAIL" in statuses:
        return FAIL
    if "PASS" in statuses:
        return PASS
    return UNKNOWN if "MANUAL" in statuses else NO_ROW


def custodian(found, resource):
    """The verdict of a policy that finds what is wrong, from the resources that it found; `None`: it did not run."""
    if found is None:
        return ERROR
    if resource is None:
        return FAIL if found else PASS
    keys = ("GroupId", "UserName", "Name")
    return FAIL if any(names(one.get(key), resource) for one in found for key in keys) else PASS


def misleads(aws, verdict):
    """Whether whoever reads this verdict believes the contrary of what AWS's documentation says.

    Silence about something that fails misleads like a pass; a word that claims nothing does not.
    """
    if aws == FAIL:
        return verdict in (PASS, NOT_APPLICABLE, NO_ROW)
    return verdict == FAIL


def differ(aws, verdicts):
    """Whether a row is worth showing: the tools that were asked do not all say what AWS says.

    To have no row is to say that there is nothing to complain about, in a word fewer.
    """
    quiet = (aws, NOT_ASKED) if aws == FAIL else (aws, NOT_ASKED, NO_ROW)
    return any(verdict not in quiet for verdict in verdicts)
