//! From a group's failing ingress rules to what takes their place: nothing, or narrower rules that come first. No IO.

use std::collections::BTreeSet;

use super::groups::Group;
use super::{CHANGED, narrow};
use crate::api::{SecurityGroupRuleValue, Tag};
use crate::baseline::finding::Finding;
use crate::baseline::plan::ControlPlan;
use crate::baseline::remediation::HoldReason;
use crate::baseline::security_groups::judge::{Judge, Judged, Outcome};
use crate::baseline::security_groups::{Peer, SecurityGroupRule, text};

/// A record lists at most so many findings.
const ANSWERED: usize = 64;

/// AWS keeps the tags that begin so to itself, and refuses them from others.
const RESERVED: &str = "aws:";

/// What takes a rule's place; nothing, where no part of it is allowed.
struct Answer<'a> {
    finding: &'a Finding,
    rule: &'a SecurityGroupRuleValue,
    parts: Vec<SecurityGroupRuleValue>,
}

/// A rule that stays, or that a change of the plan adds.
struct Kept {
    rule: SecurityGroupRuleValue,
    change: Option<usize>,
}

impl Group<'_> {
    /// What goes as a whole goes first: that makes room for what is added.
    pub(super) fn ingress(&self, judge: &mut Judge, plan: &mut ControlPlan) {
        let mut answers = Vec::new();
        for Judged { rule, outcome, .. } in self.region.judged_of(self.id()) {
            if !matches!(outcome, Outcome::Outside { .. }) {
                continue;
            }
            let Some(finding) = self.ingress_finding(&rule.id) else { continue };
            match self.answer(judge, rule) {
                Ok((rule, parts)) => answers.push(Answer { finding, rule, parts }),
                Err((reason, message)) => plan.hold(finding, reason, message),
            }
        }
        let gone: BTreeSet<&Option<String>> = answers.iter().map(|answer| &answer.rule.rule_id).collect();
        let stays = self.evidence.rules.iter().filter(|rule| !rule.is_egress && !gone.contains(&rule.rule_id));
        let mut kept: Vec<Kept> = stays.map(|rule| Kept { rule: bare(rule), change: None }).collect();
        let (whole, narrowed): (Vec<Answer>, Vec<Answer>) =
            answers.into_iter().partition(|answer| answer.parts.is_empty());
        for Answer { finding, rule, .. } in whole {
            let what = format!("revoke {}", Group::describe(rule));
            plan.change(self.revoke(rule, Vec::new()), self.arn(), &[finding], &what);
        }
        for answer in narrowed {
            self.narrow(answer, &mut kept, plan);
        }
    }

    fn answer(
        &self,
        judge: &mut Judge,
        rule: &SecurityGroupRule,
    ) -> Result<(&SecurityGroupRuleValue, Vec<SecurityGroupRuleValue>), (HoldReason, String)> {
        let value = self.unchanged(rule).ok_or_else(|| (HoldReason::NotRead, CHANGED.to_owned()))?;
        if let Some(mark) = self.owner_of(value) {
            return Err((HoldReason::ManagedElsewhere, mark));
        }
        let allowed = narrow::allowed(judge, rule, &self.evidence.group.name, self.region.read);
        if allowed.is_empty() {
            return Ok((value, Vec::new()));
        }
        let closes = |instead: &str| {
            let what = text::allowed(&allowed);
            (HoldReason::ClosesAllowed, format!("to revoke the rule would close what is allowed ({what}): {instead}"))
        };
        if let Peer::PrefixList(_) = rule.peer {
            return Err(closes("a reference to a prefix list is never narrowed, so split the rule"));
        }
        if !self.region.desired.narrow {
            return Err(closes("set narrow: true, or split the rule"));
        }
        let parts = narrow::rules(&allowed, value).ok_or_else(|| {
            closes(&format!("it takes more than {} rules to keep that open, so split the rule", narrow::MOST_RULES))
        })?;
        Ok((value, parts))
    }

    /// Adds what of the rule is allowed and not open without it, then revokes the rule. Another rule's change that adds
    /// a part of this one too answers both findings: whatever holds one of them holds both.
    fn narrow(&self, Answer { finding, rule, parts }: Answer, kept: &mut Vec<Kept>, plan: &mut ControlPlan) {
        let what = format!("keep {} open, then revoke {}", text::values(&parts), Group::describe(rule));
        let mut requires = Vec::new();
        for part in parts {
            let found = kept.iter().find(|kept| narrow::covers(&kept.rule, &part));
            let needed = if let Some(Kept { rule, change }) = found {
                let answers = change.and_then(|index| plan.changes.get_mut(index)).map(|change| &mut change.answers);
                answers.filter(|answers| answers.len() < ANSWERED).into_iter().for_each(|answers| {
                    let answered = finding.into();
                    if !answers.contains(&answered) {
                        answers.push(answered);
                    }
                });
                rule.clone()
            } else {
                let new = SecurityGroupRuleValue {
                    description: rule.description.clone(),
                    tags: rule.tags.iter().filter(|tag| !is_reserved(tag)).cloned().collect(),
                    ..part.clone()
                };
                kept.push(Kept { rule: part.clone(), change: Some(plan.changes.len()) });
                plan.change(self.authorize(new), self.arn(), &[finding], &what);
                part
            };
            if !requires.contains(&needed) {
                requires.push(needed);
            }
        }
        plan.change(self.revoke(rule, requires), self.arn(), &[finding], &what);
    }
}

fn is_reserved(tag: &Tag) -> bool {
    tag.key.get(..RESERVED.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED))
}

/// What a rule opens and no more: what another rule needs of it.
fn bare(rule: &SecurityGroupRuleValue) -> SecurityGroupRuleValue {
    SecurityGroupRuleValue { rule_id: None, description: None, tags: Vec::new(), ..rule.clone() }
}
