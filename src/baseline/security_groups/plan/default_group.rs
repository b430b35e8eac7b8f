//! From a default group that has rules to all of them, to be revoked, or why it is not emptied. No IO.
//!
//! All or nothing: half an emptied group is still no empty one. A rule that fails on its own too is revoked once, and
//! that answers both findings.

use std::collections::BTreeSet;

use super::groups::Group;
use super::{CHANGED, unread};
use crate::api::{DefaultGroupEnforcement, SecurityGroupRuleValue};
use crate::baseline::finding::Finding;
use crate::baseline::observed::{Cause, CauseClass};
use crate::baseline::plan::ControlPlan;
use crate::baseline::remediation::HoldReason;
use crate::baseline::security_groups::judge::{Judged, Outcome};
use crate::baseline::security_groups::{Peer, SecurityGroupRule};

/// How many interfaces a text names.
const SHOWN: usize = 3;

type Held = (HoldReason, String);

impl Group<'_> {
    /// Every rule of the group, if the spec lets it be emptied and nothing forbids it.
    pub(super) fn to_empty(&self) -> Result<Vec<&SecurityGroupRuleValue>, Held> {
        self.let_by_spec().map_err(|why| (HoldReason::DefaultGroup, why))?;
        self.region.judged_of(self.id()).iter().try_for_each(|judged| self.revocable(judged))?;
        let all = self.region.read.rules.value().into_iter().flatten();
        let judged: Vec<&SecurityGroupRule> = all.filter(|rule| rule.group_id == self.id()).collect();
        let ids: BTreeSet<&str> = judged.iter().map(|rule| rule.id.as_str()).collect();
        let same = judged.iter().all(|rule| self.unchanged(rule).is_some()) && ids.len() == self.evidence.rules.len();
        if !same {
            return Err((HoldReason::NotRead, CHANGED.to_owned()));
        }
        if let Some(mark) = self.evidence.rules.iter().find_map(|rule| self.owner_of(rule)) {
            return Err((HoldReason::ManagedElsewhere, mark));
        }
        let mut rules: Vec<&SecurityGroupRuleValue> = self.evidence.rules.iter().collect();
        rules.sort_by(|a, b| (a.is_egress, &a.rule_id).cmp(&(b.is_egress, &b.rule_id)));
        Ok(rules)
    }

    fn let_by_spec(&self) -> Result<(), String> {
        let interfaces = &self.evidence.interfaces;
        match self.region.desired.enforce_default_group {
            DefaultGroupEnforcement::InUseToo => Ok(()),
            DefaultGroupEnforcement::Unattached if interfaces.is_empty() => Ok(()),
            DefaultGroupEnforcement::Unattached => {
                let shown: Vec<&str> = interfaces.iter().take(SHOWN).map(String::as_str).collect();
                let more = if interfaces.len() > SHOWN { " and others" } else { "" };
                let shown = shown.join(", ");
                Err(format!(
                    "{shown}{more} use the group, and enforceDefaultGroup is Unattached: give them another one"
                ))
            }
            DefaultGroupEnforcement::None => {
                Err("enforceDefaultGroup is None: launch templates, groups scaled to zero \
                                                  and idle functions may need the group and have no interface now"
                    .to_owned())
            }
        }
    }

    /// An exception covers a rule that fails and is not among the failing; whether one would cover a rule that was not
    /// judged nobody knows.
    fn revocable(&self, Judged { rule, outcome, .. }: &Judged<'_>) -> Result<(), Held> {
        match outcome {
            Outcome::Outside { .. } if self.ingress_finding(&rule.id).is_none() => Err((
                HoldReason::DefaultGroup,
                format!("an exception covers {}, and to empty the group would revoke it", rule.id),
            )),
            Outcome::Undecided { .. } => Err((HoldReason::NotRead, self.undecided(rule))),
            Outcome::Senseless => Err((HoldReason::NotRead, format!("{} could not be judged", rule.id))),
            Outcome::Outside { .. }
            | Outcome::Allowed
            | Outcome::NotPublic
            | Outcome::AwsManaged
            | Outcome::IcmpNotJudged => Ok(()),
        }
    }

    fn undecided(&self, rule: &SecurityGroupRule) -> String {
        let list = match &rule.peer {
            Peer::PrefixList(id) => self.region.read.prefix_lists.get(id).and_then(|list| list.read().err()),
            Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::Group(_) => None,
        };
        let unjudged = || Cause::new(CauseClass::NotFound, format!("{} could not be judged", rule.id));
        unread(&list.cloned().unwrap_or_else(unjudged))
    }

    pub(super) fn empty(&self, finding: &Finding, rules: &[&SecurityGroupRuleValue], plan: &mut ControlPlan) {
        let what = format!("empty the default group {}: revoke its rules one by one ({})", self.id(), rules.len());
        for rule in rules {
            let ingress = rule.rule_id.as_deref().and_then(|id| self.ingress_finding(id));
            let answers: Vec<&Finding> = [finding].into_iter().chain(ingress).collect();
            plan.change(self.revoke(rule, Vec::new()), self.arn(), &answers, &what);
        }
    }
}
