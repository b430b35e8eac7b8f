"""Runs the three tools on an account of the emulator, and reads what they print. Starts processes, writes files.

Each run says how it ended, what it cost, and what stands in its output.
"""

import csv
import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass
class Run:
    """A tool's run: its exit code and cost, and its output as `verdicts` reads it."""

    code: int
    calls: int
    cpu_seconds: float
    peak_mib: float
    seconds: float
    output: object = None


class Account:
    """An account that the rig made: its credentials, where the calls are recorded, a folder for files."""

    def __init__(self, name, made, calls, folder):
        self.name, self.made, self.calls, self.folder = name, made, Path(calls), folder
        self.regions = []
        folder.mkdir(parents=True)

    def resource(self, name):
        """The id by which tools name a resource of the states: a group's for REGION/NAME."""
        return self.made["securityGroups"].get(name, name) if name else None

    def run(self, tool, command):
        """Runs a command with the account's credentials and nothing else of this environment."""
        environment = dict(self.made["environment"], PATH=os.environ["PATH"], HOME=str(self.folder), LANG="C.UTF-8")
        environment["AWS_DEFAULT_REGION"] = environment["AWS_REGION"]
        before, started = self._recorded(), time.monotonic()
        with open(self.folder / f"{tool}.out", "wb") as out, open(self.folder / f"{tool}.err", "wb") as err:
            process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment,
                cwd=self.folder)
            # Not `wait`: this also says what the process and its own children have used.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        return Run(
            code=process.returncode,
            calls=self._recorded() - before,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_mib=usage.ru_maxrss / 1024,
            seconds=time.monotonic() - started,
        )

    def _recorded(self):
        return self.calls.read_bytes().count(b"\n") if self.calls.exists() else 0


def plumbline(binary, account, questions):
    """`plumbline audit` with a baseline for each question, under the question's name."""
    documents = [_manifest("AwsAccount", account.name, {"accountId": account.made["accountId"]})]
    for name, controls in questions.items():
        spec = {"accountRef": {"name": account.name}, "controls": controls}
        documents.append(_manifest("AccountBaseline", name, spec))
    manifests = account.folder / "plumbline.yaml"
    manifests.write_text(yaml.safe_dump_all(documents))
    run = account.run("plumbline", [binary, "audit", "-f", manifests, "--as-caller", "-o", "json", "--no-progress"])
    # 0, 2 and 3 are verdicts; anything else means that there is no report.
    if run.code in (0, 2, 3):
        run.output = json.loads((account.folder / "plumbline.out").read_text())
    return run


def _manifest(kind, name, spec):
    return {"apiVersion": "plumbline.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def prowler(binary, account, checks):
    """`prowler aws` with these checks, on groups that are attached to nothing too; it leaves those out otherwise."""
    command = [binary, "aws", "--check", *sorted(checks), "--region", *account.regions, "--output-formats", "csv",
               "--output-directory", account.folder / "prowler", "--output-filename", "report", "--no-banner",
               "--scan-unused-services", "--ignore-exit-code-3"]
    run = account.run("prowler", command)
    report = account.folder / "prowler" / "report.csv"
    if run.code == 0 and report.exists():
        with open(report, newline="") as file:
            run.output = list(csv.DictReader(file, delimiter=";"))
    return run


def custodian(binary, account, questions):
    """`custodian run` with a policy for each question; the output has the resources found, by question."""
    def policy(name, question):
        # All buckets are listed in any region: without this they would be read once for each.
        once = [{"region": account.regions[0]}] if question["resource"] == "s3" else []
        return dict(question, name=name, conditions=once)

    policies = account.folder / "custodian.yaml"
    policies.write_text(yaml.safe_dump({"policies": [policy(*one) for one in questions.items()]}))
    folder = account.folder / "custodian"
    regions = [word for region in account.regions for word in ("--region", region)]
    command = [binary, "run", "--output-dir", folder, "--cache", account.folder / "custodian.cache", *regions, policies]
    run = account.run("custodian", command)
    run.output = {}
    for name in questions:
        # With several regions there is a folder for each; a policy that failed leaves no resources in its own.
        files = list(folder.glob(f"**/{name}/resources.json"))
        if files:
            run.output[name] = [one for file in files for one in json.loads(file.read_text())]
    return run
