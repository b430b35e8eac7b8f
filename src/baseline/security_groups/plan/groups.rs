//! From one group's failing findings to its changes: who manages it first, then whether it is emptied, then rule by
//! rule. No IO.

use super::{GroupEvidence, is_same, ownership};
use crate::api::{SecurityGroupRuleChange, SecurityGroupRuleValue, SecurityGroupsControl};
use crate::baseline::account::AccountIdentity;
use crate::baseline::change::Action;
use crate::baseline::check::Check;
use crate::baseline::finding::Finding;
use crate::baseline::plan::{Circumstances, ControlPlan};
use crate::baseline::remediation::HoldReason;
use crate::baseline::security_groups::judge::{Judge, Judged};
use crate::baseline::security_groups::{RegionSnapshot, SecurityGroupRule, text};

/// One region while it is planned.
pub(super) struct Region<'a> {
    pub(super) desired: &'a SecurityGroupsControl,
    pub(super) circumstances: &'a Circumstances,
    pub(super) account: &'a AccountIdentity,
    pub(super) read: &'a RegionSnapshot,
    /// In the order of groups.
    pub(super) judged: Vec<Judged<'a>>,
}

/// One group in which something fails.
pub(super) struct Group<'a> {
    pub(super) region: &'a Region<'a>,
    pub(super) evidence: &'a GroupEvidence,
    pub(super) findings: Vec<&'a Finding>,
}

impl<'a> Region<'a> {
    /// The judged rules of a group: they are in the order of groups.
    pub(super) fn judged_of(&self, group: &str) -> &[Judged<'a>] {
        let start = self.judged.partition_point(|judged| judged.rule.group_id.as_str() < group);
        let end = self.judged.partition_point(|judged| judged.rule.group_id.as_str() <= group);
        self.judged.get(start..end).unwrap_or_default()
    }
}

impl Group<'_> {
    pub(super) fn plan(&self, judge: Option<&mut Judge>, plan: &mut ControlPlan) {
        let owned = &self.region.circumstances.owned_elsewhere;
        if let Some(mark) = ownership::of_group(&self.evidence.group, owned) {
            self.findings.iter().for_each(|finding| plan.hold(finding, HoldReason::ManagedElsewhere, mark.clone()));
            return;
        }
        let is_default = |finding: &&&Finding| finding.subject().check == Check::DefaultSecurityGroup;
        if let Some(finding) = self.findings.iter().find(is_default) {
            match self.to_empty() {
                Ok(rules) => return self.empty(finding, &rules, plan),
                Err((reason, message)) => plan.hold(finding, reason, message),
            }
        }
        if let Some(judge) = judge {
            self.ingress(judge, plan);
        }
    }

    /// The failing finding of an ingress rule.
    pub(super) fn ingress_finding(&self, rule: &str) -> Option<&Finding> {
        let ends = |resource: &str| resource.rsplit_once('/').is_some_and(|(_, id)| id == rule);
        let of_rule =
            |finding: &&&Finding| finding.subject().check == Check::Ingress && ends(&finding.subject().resource);
        self.findings.iter().find(of_rule).copied()
    }

    /// The group's rule as it was read whole, if it still is the one that was judged.
    pub(super) fn unchanged(&self, rule: &SecurityGroupRule) -> Option<&SecurityGroupRuleValue> {
        self.evidence.rules.iter().find(|value| is_same(rule, value))
    }

    /// Who manages a rule of the group: its own tags may say so.
    pub(super) fn owner_of(&self, rule: &SecurityGroupRuleValue) -> Option<String> {
        ownership::of_rule(rule, &self.region.circumstances.owned_elsewhere)
    }

    pub(super) fn id(&self) -> &str {
        &self.evidence.group.id
    }

    pub(super) fn arn(&self) -> String {
        self.region.account.arn("ec2", &self.region.read.region, &format!("security-group/{}", self.id()))
    }

    pub(super) fn revoke(&self, rule: &SecurityGroupRuleValue, requires: Vec<SecurityGroupRuleValue>) -> Action {
        self.action(Some(rule.clone()), None, requires)
    }

    pub(super) fn authorize(&self, rule: SecurityGroupRuleValue) -> Action {
        self.action(None, Some(rule), Vec::new())
    }

    fn action(
        &self,
        before: Option<SecurityGroupRuleValue>,
        after: Option<SecurityGroupRuleValue>,
        requires: Vec<SecurityGroupRuleValue>,
    ) -> Action {
        let GroupEvidence { group, interfaces, .. } = self.evidence;
        Action::SecurityGroupRule(Box::new(SecurityGroupRuleChange {
            region: self.region.read.region.clone(),
            group_id: group.id.clone(),
            group_name: Some(group.name.clone()),
            vpc_id: group.vpc_id.clone(),
            attached_interfaces: interfaces.iter().take(super::INTERFACES_KEPT).cloned().collect(),
            before,
            after,
            requires,
        }))
    }

    /// A rule for people: `sgr-1 (tcp 22 from 0.0.0.0/0)`.
    pub(super) fn describe(rule: &SecurityGroupRuleValue) -> String {
        let id = rule.rule_id.as_deref().unwrap_or("a new rule");
        format!("{id} ({})", text::value(rule))
    }
}
