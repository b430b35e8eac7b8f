//! A region that is judged and planned for as the engine does it, and in which changes are carried out.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::{
    Controls, Mode, OwnerTag, RecordedBaseline, ReferencedGroup, SecurityGroupRuleChange, SecurityGroupRuleValue, Tag,
};
use crate::baseline::change::{Action, ResourceState};
use crate::baseline::history::History;
use crate::baseline::plan::{Circumstances, Evidence, Plan, Snapshots, plan};
use crate::baseline::security_groups::evaluate::tests::{account, denied, desired, group, rules, seen};
use crate::baseline::security_groups::plan::{Evidence as OwnEvidence, GroupEvidence, peer_of};
use crate::baseline::security_groups::{
    Direction, Peer, PrefixList, RegionSnapshot, SecurityGroup, SecurityGroupRule, Snapshot, evaluate, text,
};
use crate::baseline::{Finding, HoldReason, Observed};

const REGION: &str = "eu-west-1";

#[derive(Clone, Default)]
pub(super) struct World {
    /// By group.
    pub(super) rules: BTreeMap<String, Vec<SecurityGroupRuleValue>>,
    pub(super) groups: Vec<SecurityGroup>,
    pub(super) owner: String,
    pub(super) lists: Vec<PrefixList>,
    pub(super) interfaces: BTreeMap<String, BTreeSet<String>>,
    /// Ids of rules and groups whose findings an exception covers.
    pub(super) exempt: BTreeSet<String>,
    pub(super) owned_elsewhere: Vec<OwnerTag>,
    /// A list that could not be read, and the action that was missing.
    pub(super) unread_list: Option<(String, String)>,
    /// What the evidence is instead.
    pub(super) unread: Option<Observed<BTreeMap<String, GroupEvidence>>>,
    /// Whether the groups are gone when they are read for the plan.
    pub(super) gone: bool,
    /// What a rule is when it is read for the plan.
    moved: BTreeMap<String, SecurityGroupRuleValue>,
    /// What the first group has more when it is read for the plan.
    pub(super) added_since: Vec<SecurityGroupRuleValue>,
    added: usize,
}

pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) findings: Vec<Finding>,
}

/// A rule as AWS shows it whole.
pub(super) fn value(rule: &SecurityGroupRule) -> SecurityGroupRuleValue {
    let mut value = SecurityGroupRuleValue {
        rule_id: Some(rule.id.clone()),
        is_egress: rule.direction == Direction::Egress,
        ip_protocol: rule.protocol.clone(),
        from_port: rule.from_port,
        to_port: rule.to_port,
        description: Some(format!("why {}", rule.id)),
        tags: vec![Tag { key: "team".to_owned(), value: "a".to_owned() }],
        ..SecurityGroupRuleValue::default()
    };
    match &rule.peer {
        Peer::Ipv4(block) => value.cidr_ipv4 = Some(block.to_string()),
        Peer::Ipv6(block) => value.cidr_ipv6 = Some(block.to_string()),
        Peer::PrefixList(list) => value.prefix_list_id = Some(list.clone()),
        Peer::Group(id) => {
            let user_id = Some("222222222222".to_owned());
            value.referenced_group = Some(ReferencedGroup { group_id: id.clone(), user_id, ..Default::default() });
        }
    }
    value
}

/// The values of an action of this control.
pub(super) fn of(action: &Action) -> &SecurityGroupRuleChange {
    let Action::SecurityGroupRule(change) = action else { panic!("{action:?}") };
    change
}

impl World {
    /// Rules as the tests of evaluation write them, numbered from 1.
    pub(super) fn new(texts: &[&str]) -> Self {
        Self::of(rules(texts))
    }

    pub(super) fn of(rules: Vec<SecurityGroupRule>) -> Self {
        let mut world = Self { owner: "222222222222".to_owned(), ..Self::default() };
        for rule in rules {
            world.add_as_it_is(&rule);
        }
        world
    }

    /// Adds a rule under the next number.
    pub(super) fn add(&mut self, mut rule: SecurityGroupRule) {
        rule.id = format!("sgr-{:05}", self.rules.values().map(Vec::len).sum::<usize>() + 1);
        self.add_as_it_is(&rule);
    }

    fn add_as_it_is(&mut self, rule: &SecurityGroupRule) {
        if self.groups.iter().all(|group| group.id != rule.group_id) {
            self.groups.push(group(&rule.group_id, "web"));
        }
        self.rules.entry(rule.group_id.clone()).or_default().push(value(rule));
    }

    /// A rule is something else when it is read for the plan.
    pub(super) fn moved(&mut self, id: &str, change: impl Fn(&mut SecurityGroupRuleValue)) {
        let all = self.rules.values().flatten();
        let mut rule = all.clone().find(|rule| rule.rule_id.as_deref() == Some(id)).unwrap().clone();
        change(&mut rule);
        self.moved.insert(id.to_owned(), rule);
    }

    pub(super) fn state(&self, group: &str) -> ResourceState {
        ResourceState::SecurityGroup(self.rules.get(group).cloned().unwrap_or_default())
    }

    /// The rules as they are observed to judge them.
    pub(super) fn observed(&self) -> Vec<SecurityGroupRule> {
        let rule = |group: &String, value: &SecurityGroupRuleValue| SecurityGroupRule {
            id: value.rule_id.clone().unwrap(),
            group_id: group.clone(),
            group_owner_id: self.owner.clone(),
            direction: if value.is_egress { Direction::Egress } else { Direction::Ingress },
            protocol: value.ip_protocol.clone(),
            from_port: value.from_port,
            to_port: value.to_port,
            peer: peer_of(value).unwrap(),
        };
        self.rules.iter().flat_map(|(group, values)| values.iter().map(move |value| rule(group, value))).collect()
    }

    fn snapshot(&self, with_default: bool) -> Snapshot {
        let mut region = RegionSnapshot::new(REGION, seen(self.observed()));
        let owned = |group: &SecurityGroup| SecurityGroup { owner_id: self.owner.clone(), ..group.clone() };
        let groups: Vec<SecurityGroup> = self.groups.iter().map(owned).collect();
        let default = groups.iter().filter(|group| group.name == "default").cloned().collect();
        region.default_groups = with_default.then(|| seen(default));
        region.named_groups = Some(seen(groups));
        region.prefix_lists = self.lists.iter().map(|list| (list.id.clone(), seen(list.clone()))).collect();
        if let Some((list, action)) = &self.unread_list {
            region.prefix_lists.insert(list.clone(), denied(action));
        }
        Snapshot { account: account(), regions: seen(vec![region]) }
    }

    /// As the engine gathers it.
    fn evidence(&self) -> Observed<BTreeMap<String, GroupEvidence>> {
        if let Some(unread) = &self.unread {
            return unread.clone();
        }
        let group = |group: &SecurityGroup| {
            let rules = self.rules.get(&group.id).into_iter().flatten().map(|rule| {
                let id = rule.rule_id.as_ref().unwrap();
                self.moved.get(id).unwrap_or(rule).clone()
            });
            let rules = rules.chain(self.added_since.clone()).collect();
            let interfaces = self.interfaces.get(&group.id).cloned().unwrap_or_default();
            (group.id.clone(), GroupEvidence { group: group.clone(), rules, interfaces })
        };
        seen(self.groups.iter().filter(|_| !self.gone).map(group).collect())
    }

    fn judge(&self, controls: &Controls) -> (Snapshot, Vec<Finding>) {
        let desired = controls.security_groups.as_ref().unwrap();
        let snapshot = self.snapshot(desired.require_empty_default_group);
        let findings = evaluate(desired, &snapshot).into_iter().map(|finding| {
            let (_, name) = finding.subject().resource.rsplit_once('/').unwrap_or_default();
            if self.exempt.contains(name) { finding.excepted("waiver", Timestamp::MAX) } else { finding }
        });
        (snapshot.clone(), findings.collect())
    }

    /// Judges, gathers and plans, with everything in `Enforce`.
    pub(super) fn plan(&self, yaml: &str) -> Planned {
        self.plan_for(&controls(yaml))
    }

    pub(super) fn plan_for(&self, controls: &Controls) -> Planned {
        let (snapshot, findings) = self.judge(controls);
        let snapshots = Snapshots { security_groups: Some(snapshot), ..Snapshots::default() };
        let regions = BTreeMap::from([(REGION.to_owned(), self.evidence())]);
        let evidence = Evidence { security_groups: Some(OwnEvidence { regions }), ..Evidence::default() };
        let circumstances = Circumstances {
            now: Timestamp::UNIX_EPOCH,
            account: account(),
            mode: Mode::Enforce,
            owned_elsewhere: self.owned_elsewhere.clone(),
            own_users: BTreeSet::new(),
            baseline: RecordedBaseline::default(),
            history: History::default(),
        };
        Planned { plan: plan(&findings, &snapshots, &evidence, controls, &circumstances), findings }
    }

    /// Carries a change out as EC2 does: a rule that is added gets a new id.
    pub(super) fn apply(&mut self, action: &Action) {
        let change = of(action);
        let rules = self.rules.entry(change.group_id.clone()).or_default();
        match (&change.before, &change.after) {
            (Some(before), None) => {
                let is_it = |rule: &SecurityGroupRuleValue| match &before.rule_id {
                    Some(id) => rule.rule_id.as_ref() == Some(id),
                    None => SecurityGroupRuleValue { rule_id: None, ..rule.clone() } == *before,
                };
                let gone = rules.iter().position(is_it).unwrap();
                rules.remove(gone);
            }
            (None, Some(after)) => {
                self.added += 1;
                let rule_id = Some(format!("sgr-new-{}", self.added));
                rules.push(SecurityGroupRuleValue { rule_id, ..after.clone() });
            }
            other => panic!("{other:?}"),
        }
    }
}

fn controls(yaml: &str) -> Controls {
    Controls { security_groups: Some(desired(yaml)), ..Controls::default() }
}

impl Planned {
    /// `revoke ID`, `revoke egress ID` or `add RULE`, in order.
    pub(super) fn changes(&self) -> Vec<String> {
        let change = |action: &Action| match (&of(action).before, &of(action).after) {
            (Some(rule), None) => {
                let way = if rule.is_egress { "revoke egress" } else { "revoke" };
                format!("{way} {}", rule.rule_id.as_deref().unwrap())
            }
            (None, Some(rule)) => format!("add {}", text::value(rule)),
            other => panic!("{other:?}"),
        };
        self.plan.changes.iter().map(|planned| change(&planned.action)).collect()
    }

    /// `RESOURCE REASON` of what is held, by resource.
    pub(super) fn held(&self) -> Vec<String> {
        let mut held: Vec<String> = self
            .findings
            .iter()
            .filter_map(|finding| {
                let reason = self.plan.remediations.get(&finding.subject().id())?.reason()?;
                Some(format!("{} {reason}", name(finding)))
            })
            .collect();
        held.sort();
        held
    }

    fn remediation(&self, resource: &str) -> &crate::baseline::Remediation {
        let finding = self.findings.iter().find(|finding| name(finding) == resource).unwrap();
        &self.plan.remediations[&finding.subject().id()]
    }

    /// What is said to be done about a resource.
    pub(super) fn done(&self, resource: &str) -> String {
        self.remediation(resource).message().unwrap().to_owned()
    }

    pub(super) fn reason(&self, resource: &str) -> Option<HoldReason> {
        self.remediation(resource).reason()
    }
}

fn name(finding: &Finding) -> &str {
    finding.subject().resource.rsplit_once('/').unwrap().1
}

/// The ids of the rules that a plan revokes.
pub(super) fn revoked(planned: &Planned) -> Vec<String> {
    let rules = planned.plan.changes.iter().filter_map(|change| of(&change.action).before.as_ref());
    rules.map(|rule| rule.rule_id.clone().unwrap()).collect()
}
