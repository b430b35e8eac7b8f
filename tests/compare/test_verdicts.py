"""Tests of the words that three tools' outputs become. Run by `tests/compare/run` before anything else."""

import unittest

import verdicts as v


def report(*findings, unknown=()):
    return {"baselines": [{"baseline": "q", "findings": list(findings), "unknown": list(unknown)}]}


def finding(result, resource="arn:aws:ec2:eu-west-1:1:security-group-rule/sgr-1", parent=None, check="Ingress"):
    return {"check": check, "result": result, "resource": resource, "parent": parent}


GROUP = "arn:aws:ec2:eu-west-1:1:security-group/sg-1"


class Names(unittest.TestCase):
    def test_an_arn_names_its_last_part_and_no_shorter_one(self):
        self.assertTrue(v.names("arn:aws:iam::1:user/people/ann", "ann"))
        self.assertTrue(v.names("arn:aws:s3:::logs", "logs"))
        self.assertFalse(v.names("arn:aws:s3:::my-logs", "logs"))
        self.assertFalse(v.names(None, "logs"))


class Plumbline(unittest.TestCase):
    def test_one_failing_rule_fails_the_group(self):
        said = report(finding("Pass", parent=GROUP), finding("Fail", parent=GROUP))
        self.assertEqual(v.plumbline(said, "q", ["Ingress"], "sg-1"), v.FAIL)

    def test_rows_of_other_resources_and_checks_do_not_count(self):
        said = report(finding("Fail", parent=GROUP + "0"), finding("Fail", parent=GROUP, check="Other"),
                      finding("Pass", parent=GROUP))
        self.assertEqual(v.plumbline(said, "q", ["Ingress"], "sg-1"), v.PASS)

    def test_unknown_goes_before_pass(self):
        said = report(finding("Pass", parent=GROUP), finding("Unknown", parent=GROUP))
        self.assertEqual(v.plumbline(said, "q", ["Ingress"], "sg-1"), v.UNKNOWN)

    def test_silence_is_a_word_of_its_own(self):
        self.assertEqual(v.plumbline(report(), "q", ["Ingress"], "sg-1"), v.NO_ROW)
        self.assertEqual(v.plumbline(report(unknown=[{"check": "Ingress"}]), "q", ["Ingress"], "sg-1"), v.UNKNOWN)
        self.assertEqual(v.plumbline(report(), "another", ["Ingress"], "sg-1"), v.ERROR)


class Prowler(unittest.TestCase):
    def row(self, status, uid="arn:aws:iam::1:user/ann", check="c"):
        return {"CHECK_ID": check, "STATUS": status, "RESOURCE_UID": uid, "RESOURCE_NAME": uid.rsplit("/", 1)[-1]}

    def test_any_failing_check_fails(self):
        rows = [self.row("PASS"), self.row("FAIL", check="d")]
        self.assertEqual(v.prowler(rows, ["c", "d"], "ann"), v.FAIL)
        self.assertEqual(v.prowler(rows, ["c"], "ann"), v.PASS)

    def test_what_it_leaves_to_a_person_is_unknown(self):
        self.assertEqual(v.prowler([self.row("MANUAL")], ["c"], "ann"), v.UNKNOWN)

    def test_no_check_no_row_and_no_output_are_told_apart(self):
        self.assertEqual(v.prowler([self.row("PASS")], None, "ann"), v.NOT_ASKED)
        self.assertEqual(v.prowler([self.row("PASS")], ["c"], "bob"), v.NO_ROW)
        self.assertEqual(v.prowler(None, ["c"], "ann"), v.ERROR)

    def test_a_question_about_the_account_takes_every_row(self):
        self.assertEqual(v.prowler([self.row("FAIL", uid="arn:aws:iam::1:root")], ["c"], None), v.FAIL)


class Custodian(unittest.TestCase):
    def test_what_a_policy_finds_fails_and_the_rest_passes(self):
        found = [{"GroupId": "sg-1", "GroupName": "web"}]
        self.assertEqual(v.custodian(found, "sg-1"), v.FAIL)
        self.assertEqual(v.custodian(found, "sg-2"), v.PASS)
        self.assertEqual(v.custodian([{"account_id": "1"}], None), v.FAIL)
        self.assertEqual(v.custodian([], None), v.PASS)

    def test_a_policy_that_did_not_run_passes_nothing(self):
        self.assertEqual(v.custodian(None, "sg-1"), v.ERROR)


class Rows(unittest.TestCase):
    def test_silence_about_a_failure_misleads_and_an_honest_unknown_does_not(self):
        self.assertTrue(v.misleads(v.FAIL, v.NO_ROW))
        self.assertTrue(v.misleads(v.FAIL, v.PASS))
        self.assertTrue(v.misleads(v.NOT_APPLICABLE, v.FAIL))
        self.assertFalse(v.misleads(v.FAIL, v.UNKNOWN))
        self.assertFalse(v.misleads(v.PASS, v.NO_ROW))

    def test_a_row_is_shown_unless_all_who_were_asked_agree_with_aws(self):
        self.assertFalse(v.differ(v.FAIL, [v.FAIL, v.NOT_ASKED, v.FAIL]))
        self.assertTrue(v.differ(v.FAIL, [v.FAIL, v.FAIL, v.PASS]))
        self.assertTrue(v.differ(v.PASS, [v.FAIL, v.FAIL, v.FAIL]))
        self.assertTrue(v.differ(v.FAIL, [v.NO_ROW, v.FAIL, v.FAIL]))
        self.assertFalse(v.differ(v.PASS, [v.NO_ROW, v.PASS, v.PASS]))


if __name__ == "__main__":
    unittest.main()
