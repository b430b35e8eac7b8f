//! What evaluations count of each account on their way, kept for the account's status: how near it is to the quotas
//! that a change can meet. Memory alone; has an account looked at when a count changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::channel::mpsc;
use kube::ResourceExt;
use kube::runtime::reflector::{ObjectRef, Store};

use super::Guarded;
use super::context::uids;
use super::entries::one_line;
use crate::api::AwsAccount;
use crate::baseline::mfa::AccountSummary;
use crate::baseline::plan::{Evidence, Snapshots};
use crate::baseline::quotas::{Usage, policies_per_user, rules_per_group};
use crate::baseline::{Cause, Observed};

/// What is known of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AccountUsage {
    /// The fullest security group, by region.
    pub(super) rules_per_group: BTreeMap<String, Usage>,
    /// The user with most policies, of those that were read to plan.
    pub(super) policies_per_user: Option<Usage>,
    /// How many policies a user can have, or why that is not known; `None` where no control asked for the summary.
    pub(super) policies_quota: Option<Result<i64, String>>,
}

/// What is known of all accounts, by uid: one that is deleted and made again is another one.
pub(super) struct Usages {
    known: Mutex<HashMap<String, Known>>,
    changed: mpsc::UnboundedSender<ObjectRef<Guarded<AwsAccount>>>,
}

/// What is known, and whether status says so. What another process writes is not written over: each count is written
/// once, by who counted it.
#[derive(Clone, Default)]
struct Known {
    usage: AccountUsage,
    unwritten: bool,
}

impl AccountUsage {
    /// From what the controls were judged by.
    pub(super) fn of_snapshots(snapshots: &Snapshots) -> Self {
        Self {
            rules_per_group: snapshots.security_groups.as_ref().map(rules_per_group).unwrap_or_default(),
            policies_per_user: None,
            policies_quota: snapshots.mfa.as_ref().and_then(|mfa| policies_quota(mfa.summary.as_ref())),
        }
    }

    /// From what was read beside it to plan.
    pub(super) fn of_evidence(evidence: &Evidence) -> Self {
        Self {
            rules_per_group: BTreeMap::new(),
            policies_per_user: evidence.mfa.as_ref().and_then(policies_per_user),
            policies_quota: evidence.mfa.as_ref().and_then(|mfa| policies_quota(mfa.summary.as_ref())),
        }
    }

    /// What a later evaluation left out stays as an earlier one, or that of another baseline, counted it. A limit that
    /// was read once is not forgotten because it could not be read again.
    fn learn(&mut self, later: Self) {
        self.rules_per_group.extend(later.rules_per_group);
        self.policies_per_user = later.policies_per_user.or(self.policies_per_user.take());
        self.policies_quota = match (self.policies_quota.take(), later.policies_quota) {
            (Some(Ok(known)), Some(Err(_)) | None) => Some(Ok(known)),
            // AWS's words name the session, and that the baseline: with two baselines they would change each time.
            (Some(Err(known)), Some(Err(_))) => Some(Err(known)),
            (known, later) => later.or(known),
        };
    }
}

fn policies_quota(summary: Option<&Observed<AccountSummary>>) -> Option<Result<i64, String>> {
    match summary?.read() {
        Ok((summary, _)) => {
            summary.attached_policies_per_user_quota.and_then(|quota| i64::try_from(quota).ok()).map(Ok)
        }
        Err(cause) => Some(Err(why_unread(cause))),
    }
}

/// Why something was not read, with the action that is missing where one is and AWS's words leave it out.
pub(super) fn why_unread(cause: &Cause) -> String {
    let missing = cause.missing_action.as_ref().filter(|action| !cause.message.contains(action.as_str()));
    let missing = missing.map_or_else(String::new, |action| format!(" (needs {action})"));
    one_line(&format!("{}{missing}", cause.message))
}

impl Usages {
    /// None as yet, and the accounts that are to be looked at because of a count.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<ObjectRef<Guarded<AwsAccount>>>) {
        let (changed, accounts) = mpsc::unbounded();
        (Self { known: Mutex::default(), changed }, accounts)
    }

    fn map(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        // A panic elsewhere cannot have left a half-written entry: what is learnt is whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, uid: &str) -> AccountUsage {
        self.map().get(uid).map(|known| known.usage.clone()).unwrap_or_default()
    }

    /// What was counted and not written yet.
    pub(super) fn unwritten(&self, uid: &str) -> Option<AccountUsage> {
        self.map().get(uid).filter(|known| known.unwritten).map(|known| known.usage.clone())
    }

    /// Status says so now, unless something else was counted meanwhile.
    pub(super) fn written(&self, uid: &str, usage: &AccountUsage) {
        if let Some(known) = self.map().get_mut(uid).filter(|known| known.usage == *usage) {
            known.unwritten = false;
        }
    }

    /// Remembers what an evaluation counted, and forgets accounts that are gone.
    pub(super) fn note(&self, account: &AwsAccount, usage: AccountUsage, live: &Store<Guarded<AwsAccount>>) {
        let uid = account.uid().unwrap_or_default();
        let mut map = self.map();
        let before = map.get(&uid).map(|known| known.usage.clone()).unwrap_or_default();
        let mut now = before.clone();
        now.learn(usage);
        if now == before {
            return;
        }
        map.insert(uid.clone(), Known { usage: now, unwritten: true });
        if map.len() > live.len() {
            let uids = uids(live);
            map.retain(|known, _| uids.contains(known) || *known == uid);
        }
        drop(map);
        // Fails only after the controller ended.
        let _ = self.changed.unbounded_send(ObjectRef::new(&account.name_any()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::CauseClass;

    fn usage(count: usize, resource: &str) -> Usage {
        Usage { count, resource: Some(resource.to_owned()) }
    }

    fn rules(region: &str, count: usize) -> AccountUsage {
        let rules_per_group = BTreeMap::from([(region.to_owned(), usage(count, "sg-1"))]);
        AccountUsage { rules_per_group, ..AccountUsage::default() }
    }

    #[test]
    fn what_one_evaluation_leaves_out_stays_as_another_counted_it() {
        let mut known = rules("eu-west-1", 3);
        known.learn(rules("us-east-1", 5));
        let policies_per_user = Some(usage(9, "arn:aws:iam::222222222222:user/ada"));
        known.learn(AccountUsage { policies_per_user: policies_per_user.clone(), ..AccountUsage::default() });
        known.learn(rules("eu-west-1", 4));
        assert_eq!(known.rules_per_group["eu-west-1"].count, 4);
        assert_eq!(known.rules_per_group["us-east-1"].count, 5);
        assert_eq!(known.policies_per_user, policies_per_user);
    }

    #[test]
    fn a_limit_that_was_read_once_outlives_a_read_that_fails() {
        let quota = |quota| AccountUsage { policies_quota: quota, ..AccountUsage::default() };
        let mut known = quota(Some(Err("denied".to_owned())));
        known.learn(quota(None));
        assert_eq!(known.policies_quota, Some(Err("denied".to_owned())));
        known.learn(quota(Some(Ok(20))));
        known.learn(quota(Some(Err("denied".to_owned()))));
        assert_eq!(known.policies_quota, Some(Ok(20)));
    }

    #[test]
    fn an_account_is_looked_at_again_only_if_a_count_changed() {
        let (usages, mut accounts) = Usages::new();
        let (live, _writer) = kube::runtime::reflector::store();
        let mut account = AwsAccount::new("payments", crate::api::AwsAccountSpec::default());
        account.metadata.uid = Some("1".to_owned());
        for count in [3, 3, 4] {
            usages.note(&account, rules("eu-west-1", count), &live);
        }
        assert_eq!(usages.get("1"), rules("eu-west-1", 4));
        usages.written("1", &rules("eu-west-1", 3));
        assert_eq!(usages.unwritten("1"), Some(rules("eu-west-1", 4)), "what was counted meanwhile is to be written");
        usages.written("1", &rules("eu-west-1", 4));
        assert_eq!(usages.unwritten("1"), None, "each count is written once, whatever others write");
        assert_eq!(usages.get("2"), AccountUsage::default());
        let names = std::iter::from_fn(|| accounts.try_recv().ok()).map(|account| account.name);
        assert_eq!(names.collect::<Vec<_>>(), ["payments", "payments"]);
    }

    #[test]
    fn the_missing_action_is_named_once() {
        let denied = |message: &str| Cause {
            missing_action: Some("iam:GetAccountSummary".to_owned()),
            ..Cause::new(CauseClass::AccessDenied, message)
        };
        assert_eq!(why_unread(&denied("AWS refused")), "AWS refused (needs iam:GetAccountSummary)");
        assert_eq!(why_unread(&denied("no iam:GetAccountSummary")), "no iam:GetAccountSummary");
    }
}
