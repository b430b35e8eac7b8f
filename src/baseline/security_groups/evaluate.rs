//! From the desired and the observed security groups to findings, one per judged rule and default group. No IO.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::judge::{Judge, Judged, Outcome};
use super::{Direction, Peer, RegionSnapshot, SecurityGroup, SecurityGroupRule, Snapshot, text};
use crate::api::{SecurityGroupScope, SecurityGroupsControl};
use crate::baseline::account::AccountIdentity;
use crate::baseline::check::{Check, Severity};
use crate::baseline::finding::{Finding, Subject};
use crate::baseline::observed::{Cause, CauseClass};
use crate::baseline::ports::{has_every_port, has_tcp};

/// Ports through which whoever gets in has the machine: SSH and RDP.
const REMOTE_ACCESS: [u16; 2] = [22, 3389];

const INGRESS_FIELD: &str = "allowedIngress";
const DEFAULT_GROUP_FIELD: &str = "requireEmptyDefaultGroup";
const EMPTY: &str = "no rules";

/// What must still be read before a region can be judged to the end. Lists come first: only with them is it known which
/// names matter, and only with those which groups fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Ids of prefix lists.
    pub prefix_lists: BTreeSet<String>,
    /// Ids of groups whose name decides.
    pub names: BTreeSet<String>,
    /// Ids of groups that fail, so that it matters whether they are attached to anything.
    pub attachment: BTreeSet<String>,
}

/// Judges every region. Rows are in the order of regions, groups and rules, with a region's default groups last.
#[must_use]
pub fn evaluate(desired: &SecurityGroupsControl, snapshot: &Snapshot) -> Vec<Finding> {
    let Some(whole) = whole(desired) else {
        return Vec::new();
    };
    let account = &snapshot.account;
    match snapshot.regions.read() {
        Err(cause) => vec![Finding::unknown(whole.subject(account, None), whole.desired, cause.clone())],
        Ok((regions, _)) => {
            let mut judge = Judge::new(desired);
            let region = |read| Region { desired, account, read, whole }.findings(judge.as_mut());
            regions.iter().flat_map(region).collect()
        }
    }
}

/// What the verdicts of a region depend on and is not in the snapshot.
#[must_use]
pub fn needs(desired: &SecurityGroupsControl, account: &AccountIdentity, region: &RegionSnapshot) -> Needs {
    let mut needs = Needs::default();
    let mut judge = Judge::new(desired);
    for Judged { rule, outcome, .. } in judge.iter_mut().flat_map(|judge| judge.region(account, region)) {
        if matches!(outcome, Outcome::Outside { .. }) {
            needs.attachment.insert(rule.group_id.clone());
        }
        if let Outcome::Undecided { list, name } = outcome {
            if name {
                needs.names.insert(rule.group_id.clone());
            }
            if let (true, Peer::PrefixList(id)) = (list, &rule.peer) {
                needs.prefix_lists.insert(id.clone());
            }
        }
    }
    let default_groups = region.default_groups.as_ref().and_then(|groups| groups.value());
    let counts = RuleCount::of_groups(region.rules.value().into_iter().flatten(), default_groups.into_iter().flatten());
    let ours = default_groups.into_iter().flatten().filter(|group| group.owner_id == account.account_id);
    let failing = ours.filter(|group| counts.contains_key(group.id.as_str())).map(|group| group.id.clone());
    needs.attachment.extend(failing);
    needs.prefix_lists.retain(|id| !region.prefix_lists.contains_key(id));
    needs
}

/// The check that speaks for the control where nothing more precise can be said.
#[derive(Clone, Copy)]
struct Whole {
    check: Check,
    field: &'static str,
    desired: &'static str,
}

/// `None` where the spec asks for nothing.
fn whole(desired: &SecurityGroupsControl) -> Option<Whole> {
    let ingress = Whole { check: Check::Ingress, field: INGRESS_FIELD, desired: ingress_desired(desired) };
    let empty = Whole { check: Check::DefaultSecurityGroup, field: DEFAULT_GROUP_FIELD, desired: EMPTY };
    match (&desired.allowed_ingress, desired.require_empty_default_group) {
        (Some(_), _) => Some(ingress),
        (None, true) => Some(empty),
        (None, false) => None,
    }
}

fn ingress_desired(desired: &SecurityGroupsControl) -> &'static str {
    match desired.scope {
        SecurityGroupScope::PublicSources => "nothing public outside allowedIngress",
        SecurityGroupScope::AllSources => "nothing outside allowedIngress",
    }
}

impl Whole {
    fn subject(self, account: &AccountIdentity, region: Option<&str>) -> Subject {
        let resource = account.arn("ec2", region.unwrap_or("*"), "*");
        let subject = Subject::new(self.check, resource, self.field);
        match region {
            Some(region) => subject.in_region(region),
            None => subject,
        }
    }
}

/// One region while it is judged.
#[derive(Clone, Copy)]
struct Region<'a> {
    desired: &'a SecurityGroupsControl,
    account: &'a AccountIdentity,
    read: &'a RegionSnapshot,
    whole: Whole,
}

impl<'a> Region<'a> {
    fn findings(self, judge: Option<&mut Judge>) -> Vec<Finding> {
        let (rules, at) = match self.read.rules.read() {
            Ok(read) => read,
            Err(cause) => return vec![self.unread(self.whole, cause)],
        };
        let judged = judge.map(|judge| judge.region(self.account, self.read)).unwrap_or_default();
        // A list of groups that was not read is one row, however many verdicts wait for a name.
        let names = self.read.named_groups.as_ref().and_then(|groups| groups.read().err());
        let unnamed = names.filter(|_| judged.iter().any(|judged| waits_for_name(&judged.outcome)));
        let mut findings: Vec<Finding> = judged
            .iter()
            .filter(|judged| unnamed.is_none() || !waits_for_name(&judged.outcome))
            .map(|judged| self.ingress(judged, at))
            .collect();
        findings.extend(unnamed.map(|cause| self.unread(self.whole, cause)));
        if let Some(groups) = &self.read.default_groups {
            match groups.read() {
                Ok((groups, groups_at)) => findings.extend(self.default_groups(rules, groups, at.min(groups_at))),
                Err(cause) if unnamed.is_some_and(|other| same(other, cause)) => {}
                Err(cause) => {
                    let check = Check::DefaultSecurityGroup;
                    findings.push(self.unread(Whole { check, field: DEFAULT_GROUP_FIELD, desired: EMPTY }, cause));
                }
            }
        }
        findings
    }

    fn unread(self, whole: Whole, cause: &Cause) -> Finding {
        Finding::unknown(whole.subject(self.account, Some(&self.read.region)), whole.desired, cause.clone())
    }

    fn group_arn(self, id: &str) -> String {
        self.account.arn("ec2", &self.read.region, &format!("security-group/{id}"))
    }

    fn is_unattached(self, group: &str) -> bool {
        let attached = self.read.attached.as_ref().and_then(|attached| attached.value());
        attached.and_then(|attached| attached.get(group)).is_some_and(|attached| !attached)
    }

    fn ingress(self, judged: &Judged<'a>, at: Timestamp) -> Finding {
        let rule = judged.rule;
        let resource = self.account.arn("ec2", &self.read.region, &format!("security-group-rule/{}", rule.id));
        let subject = Subject::new(Check::Ingress, resource, INGRESS_FIELD)
            .in_region(&self.read.region)
            .of(self.group_arn(&rule.group_id));
        let desired = ingress_desired(self.desired);
        let pass = |subject, message: &str| {
            Finding::pass(subject, desired, text::opening(judged, self.read), at).with_message(message)
        };
        match &judged.outcome {
            Outcome::IcmpNotJudged => pass(subject, "ICMP is not judged"),
            Outcome::AwsManaged => pass(subject, "the prefix list is AWS's own"),
            Outcome::NotPublic => pass(subject, "not public"),
            Outcome::Allowed => pass(subject, "allowed"),
            Outcome::Undecided { .. } | Outcome::Senseless => Finding::unknown(subject, desired, self.cause(judged)),
            Outcome::Outside { excess, with } => {
                let critical = excess.iter().any(|part| {
                    has_every_port(&part.services) || REMOTE_ACCESS.iter().any(|port| has_tcp(&part.services, *port))
                });
                let severity = if critical { Severity::Critical } else { Severity::High };
                let message = text::outside(rule, excess, with, self.read);
                let finding = Finding::fail(subject, desired, text::opening(judged, self.read), at);
                self.weigh(finding, severity, &rule.group_id, message)
            }
        }
    }

    /// One step less bad where nothing hangs on the group; where that is not known, as bad as ever, and it says so.
    fn weigh(self, finding: Finding, severity: Severity, group: &str, message: String) -> Finding {
        if self.is_unattached(group) {
            let message = format!("{message}; the group is attached to nothing");
            return finding.with_severity(severity.lower()).with_message(message);
        }
        let unread = self.read.attached.as_ref().and_then(|attached| attached.read().err());
        let why = |cause: &Cause| cause.missing_action.clone().unwrap_or_else(|| cause.class.to_string());
        let message = match unread.map(why) {
            Some(why) => format!("{message}; whether the group is attached to anything could not be read ({why})"),
            None => message,
        };
        finding.with_severity(severity).with_message(message)
    }

    fn cause(self, judged: &Judged<'_>) -> Cause {
        let rule = judged.rule;
        match (&judged.outcome, &rule.peer) {
            (Outcome::Senseless, _) => {
                let message = format!("AWS described a rule that cannot be: {}", text::senseless(rule));
                Cause::new(CauseClass::Malformed, message)
            }
            (Outcome::Undecided { list: true, .. }, Peer::PrefixList(id)) => {
                match self.read.prefix_lists.get(id).and_then(|list| list.read().err()) {
                    Some(cause) => cause.clone(),
                    None => Cause::new(CauseClass::NotFound, format!("prefix list {id} was not read")),
                }
            }
            _ => {
                let message = format!("the name of {} decides, and the group was not found", rule.group_id);
                Cause::new(CauseClass::NotFound, message)
            }
        }
    }

    fn default_groups(
        self,
        rules: &'a [SecurityGroupRule],
        groups: &'a [SecurityGroup],
        at: Timestamp,
    ) -> Vec<Finding> {
        let counts = RuleCount::of_groups(rules, groups);
        let ours: BTreeMap<&str, &SecurityGroup> = groups
            .iter()
            .filter(|group| group.owner_id == self.account.account_id)
            .map(|group| (group.id.as_str(), group))
            .collect();
        ours.into_values().map(|group| self.default_group(group, counts.get(group.id.as_str()), at)).collect()
    }

    fn default_group(self, group: &SecurityGroup, count: Option<&RuleCount>, at: Timestamp) -> Finding {
        let subject = Subject::new(Check::DefaultSecurityGroup, self.group_arn(&group.id), DEFAULT_GROUP_FIELD)
            .in_region(&self.read.region);
        let Some(count) = count else {
            return Finding::pass(subject, EMPTY, EMPTY, at);
        };
        let observed = format!("{} in, {} out", count.ingress, count.egress);
        let of_vpc = group.vpc_id.as_ref().map(|vpc| format!(" of {vpc}")).unwrap_or_default();
        let message = format!("the default group{of_vpc} has rules: {observed}");
        self.weigh(Finding::fail(subject, EMPTY, observed, at), Severity::High, &group.id, message)
    }
}

fn waits_for_name(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Undecided { name: true, .. })
}

/// Whether two reads failed for one reason, whatever AWS's words (a request id) are.
fn same(a: &Cause, b: &Cause) -> bool {
    a.class == b.class && a.missing_action == b.missing_action
}

/// How many rules a group has; a group without any has no count.
#[derive(Default)]
struct RuleCount {
    ingress: usize,
    egress: usize,
}

impl RuleCount {
    fn of_groups<'a>(
        rules: impl IntoIterator<Item = &'a SecurityGroupRule>,
        groups: impl IntoIterator<Item = &'a SecurityGroup>,
    ) -> BTreeMap<&'a str, Self> {
        let groups: BTreeSet<&str> = groups.into_iter().map(|group| group.id.as_str()).collect();
        let mut counts: BTreeMap<&str, Self> = BTreeMap::new();
        for rule in rules.into_iter().filter(|rule| groups.contains(rule.group_id.as_str())) {
            let count = counts.entry(&rule.group_id).or_default();
            match rule.direction {
                Direction::Ingress => count.ingress += 1,
                Direction::Egress => count.egress += 1,
            }
        }
        counts
    }
}

#[cfg(test)]
pub(super) mod tests;
