"""`make compare`: three tools on the same states of the emulator; prints where they differ, and what each costs.

Starts the rig (`plumbline-rig aws`), runs the tools one after the other, ends the rig. See docs/comparison.md.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

import tools
import verdicts

HERE = Path(__file__).parent
# What all three can be asked, so that the costs are those of the same work.
MEASURED = ("password-length-14", "password-age-90", "root-mfa", "console-users-mfa", "no-admin-ports",
            "default-group-empty", "bucket-encrypted", "bucket-tls")


def main():
    arguments = parse()
    states = yaml.safe_load((HERE / "states.yaml").read_text())
    folder = Path(tempfile.mkdtemp(prefix="plumbline-compare-"))
    accounts = {} if arguments.costs else states["accounts"]
    documents = {name: document(name, at, account) for at, (name, account) in enumerate(accounts.items())}
    documents["large"] = large("large", len(documents), arguments.size)
    try:
        with Rig(arguments.rig, folder, documents) as accounts:
            misled = 0 if arguments.costs else compare(arguments, states, accounts)
            measure(arguments, states["questions"], accounts["large"])
    finally:
        if arguments.keep:
            print(f"\nAll outputs are in {folder}")
        else:
            shutil.rmtree(folder)
    # Plumbline claims to be right in every row but those that docs/comparison.md names.
    return 1 if misled else 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    for program in ("rig", "plumbline", "prowler", "custodian"):
        parser.add_argument(f"--{program}", required=True, help="the program")
    parser.add_argument("--size", type=int, default=100, help="groups per region, users, buckets of the large account")
    parser.add_argument("--all", action="store_true", help="print the rows in which all agree, too")
    parser.add_argument("--costs", action="store_true", help="only the costs, on the large account")
    parser.add_argument("--keep", action="store_true", help="keep what the tools printed")
    return parser.parse_args()


def document(name, at, account):
    """An account's state with an id of its own and the names of its buckets filled in."""
    account = dict(account, accountId=f"{700000000001 + at}")
    def filled(value, name, text):
        return json.loads(json.dumps(value).replace(name, text))

    buckets = [filled(bucket, "$BUCKET", bucket["name"]) for bucket in account.get("buckets", [])]
    return filled(dict(account, buckets=buckets), "$ACCOUNT", account["accountId"])


def large(name, at, size):
    """An account of so many groups in each of two regions, users and buckets; one of ten of each is not in order."""
    def group(index):
        cidr = "0.0.0.0/0" if index % 10 == 0 else "10.0.0.0/8"
        rules = [(22, cidr), (443, "0.0.0.0/0")]
        ingress = [{"protocol": "tcp", "ports": port, "cidrs": [source]} for port, source in rules]
        return {"name": f"group-{index}", "ingress": ingress}

    def user(index):
        return {"name": f"user-{index}", "password": True, "mfa": [] if index % 10 == 0 else ["Virtual"]}

    def bucket(index):
        resources = ["arn:aws:s3:::$BUCKET", "arn:aws:s3:::$BUCKET/*"]
        deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": resources,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
        made = {"name": f"cmp-large-{index}", "region": "eu-west-1"}
        return made if index % 10 == 0 else dict(made, policy={"Version": "2012-10-17", "Statement": [deny]})

    regions = ["eu-west-1", "us-east-1"]
    return document(name, at, {
        "regions": regions,
        "passwordPolicy": {"minimumPasswordLength": 14},
        "securityGroups": {region: [group(index) for index in range(size)] for region in regions},
        "users": [user(index) for index in range(size)],
        "buckets": [bucket(index) for index in range(size)],
    })


class Rig:
    """The emulator with the accounts; gone when the block is left."""

    def __init__(self, binary, folder, documents):
        self.folder, self.documents = folder, documents
        files = []
        for name, state in documents.items():
            files.append(folder / f"{name}.yaml")
            files[-1].write_text(json.dumps(state))
        self.log = open(folder / "rig.log", "wb")
        self.process = subprocess.Popen(
            [binary, "aws", "--dir", str(folder), *map(str, files)], stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log)

    def __enter__(self):
        ready = self.folder / "aws.json"
        print("Making the accounts on the emulator ...", file=sys.stderr)
        while not ready.exists():
            if self.process.poll() is not None:
                sys.exit(f"the rig did not start:\n{(self.folder / 'rig.log').read_text()}")
            time.sleep(0.2)
        made = json.loads(ready.read_text())
        accounts = {}
        for (name, state), one in zip(self.documents.items(), made["accounts"]):
            accounts[name] = tools.Account(name, one, made["calls"], self.folder / name)
            accounts[name].regions = state["regions"]
        return accounts

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()


def compare(arguments, states, accounts):
    """Runs every account's questions and prints the rows; returns how many rows of Plumbline mislead unexpectedly."""
    rows = []
    for name in states["accounts"]:
        cases = [case for case in states["cases"] if case["account"] == name]
        asked = {case["question"]: states["questions"][case["question"]] for case in cases}
        plumbline, prowler, custodian = ask(arguments, accounts[name], asked)
        for case in cases:
            question, resource = asked[case["question"]], accounts[name].resource(case.get("resource"))
            report = plumbline.output or {"baselines": []}
            said = [
                verdicts.plumbline(report, case["question"], question["checks"], resource),
                verdicts.prowler(prowler.output, question.get("prowler"), resource),
                verdicts.custodian(custodian.output.get(case["question"]), resource),
            ]
            rows.append((case, said))
    rows.sort(key=lambda row: states["cases"].index(row[0]))
    shown = [row for row in rows if arguments.all or verdicts.differ(row[0]["aws"], row[1])]
    print_rows(shown)
    print(f"\n{len(rows)} states, {len(rows) - len(shown)} more in which all who were asked say what AWS says."
          if not arguments.all else f"\n{len(rows)} states.")
    for at, tool in enumerate(("Plumbline", "Prowler", "Custodian")):
        wrong = sum(verdicts.misleads(case["aws"], said[at]) for case, said in rows)
        asked = sum(said[at] != verdicts.NOT_ASKED for _, said in rows)
        print(f"  {tool:<10} misleads in {wrong} of the {asked} that it can be asked (marked *)")
    return sum(verdicts.misleads(case["aws"], said[0]) and not case.get("known") for case, said in rows)


def ask(arguments, account, asked):
    """The three runs on one account."""
    print(f"Asking the three about {account.name} ...", file=sys.stderr)
    checks = {check for question in asked.values() for check in question.get("prowler", [])}
    runs = (
        tools.plumbline(arguments.plumbline, account, {name: one["plumbline"] for name, one in asked.items()}),
        tools.prowler(arguments.prowler, account, checks),
        tools.custodian(arguments.custodian, account, {name: one["custodian"] for name, one in asked.items()}),
    )
    if runs[0].output is None:
        print(f"plumbline made no report of {account.name}:", (account.folder / "plumbline.err").read_text(),
              file=sys.stderr)
    if runs[1].output is None:
        print(f"prowler made no report of {account.name} (exit {runs[1].code}):",
              (account.folder / "prowler.err").read_text()[-2000:], file=sys.stderr)
    return runs


def print_rows(rows):
    titles = ["", "question", "resource", "AWS", "Plumbline", "Prowler", "Custodian", "because"]
    table = [titles]
    for case, said in rows:
        marked = [verdict + "*" * verdicts.misleads(case["aws"], verdict) for verdict in said]
        table.append([case["id"], case["question"], case.get("resource", "(account)"), case["aws"], *marked,
                      case["because"]])
    widths = [max(len(row[column]) for row in table) for column in range(len(titles))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def measure(arguments, questions, account):
    """The same questions to each tool on the large account, and what each run costs."""
    asked = {name: questions[name] for name in MEASURED}
    merged = {}
    for question in asked.values():
        merge(merged, question["plumbline"])
    print("Measuring on the large account ...", file=sys.stderr)
    checks = {check for question in asked.values() for check in question["prowler"]}
    policies = {name: one["custodian"] for name, one in asked.items()}
    runs = {
        "Plumbline": tools.plumbline(arguments.plumbline, account, {"everything": merged}),
        "Prowler": tools.prowler(arguments.prowler, account, checks),
        "Custodian": tools.custodian(arguments.custodian, account, policies),
    }
    print(f"\nOne account: {arguments.size} security groups in each of 2 regions (2 rules each), {arguments.size} "
          f"users, {arguments.size} buckets; {len(asked)} questions, asked of each tool in one run.")
    base = runs["Plumbline"]
    print(f"{'':<10}  {'calls':>14}  {'CPU seconds':>16}  {'peak MiB':>14}  {'seconds':>8}  exit")
    for name, run in runs.items():
        cells = (f"{run.calls} ({run.calls / base.calls:.1f}x)",
                 f"{run.cpu_seconds:.2f} ({run.cpu_seconds / base.cpu_seconds:.1f}x)",
                 f"{run.peak_mib:.0f} ({run.peak_mib / base.peak_mib:.1f}x)")
        print(f"{name:<10}  {cells[0]:>14}  {cells[1]:>16}  {cells[2]:>14}  {run.seconds:>8.1f}  {run.code}")


def merge(into, controls):
    """Puts one question's controls among those of others; no two of those measured ask the same field."""
    for key, value in controls.items():
        if isinstance(value, dict):
            merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


if __name__ == "__main__":
    sys.exit(main())
