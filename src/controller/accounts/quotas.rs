//! The rows of the quotas that a change can meet: how many there can be, and how many the fullest resource has. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::api::{AccountQuota, AccountRegion};
use crate::baseline::Cause;
use crate::baseline::quotas::{
    POLICIES_PER_USER, POLICIES_PER_USER_DEFAULT, RULES_PER_GROUP, RULES_PER_GROUP_DEFAULT, Usage,
};
use crate::controller::entries::one_line;
use crate::controller::status::count;
use crate::controller::usage::{AccountUsage, why_unread};

/// The limit is what AWS documents: the account's own was not read.
const DEFAULT: &str = "Default";
/// The limit is from `servicequotas:GetServiceQuota`.
const SERVICE_QUOTAS: &str = "ServiceQuotas";
/// The limit is from `iam:GetAccountSummary`.
const ACCOUNT_SUMMARY: &str = "AccountSummary";

/// The rules of a group for each judged region, and the policies of a user. `limits` are those that were read now.
pub(super) fn rows(
    regions: &[AccountRegion],
    previous: &[AccountQuota],
    limits: &BTreeMap<String, Result<i64, Cause>>,
    usage: &AccountUsage,
    now: Timestamp,
) -> Vec<AccountQuota> {
    let of_groups = regions.iter().filter(|region| region.judged).map(|region| {
        let name = region.name.as_str();
        let row = known(previous, RULES_PER_GROUP, Some(name), RULES_PER_GROUP_DEFAULT);
        let read = limits.get(name).map(|read| read.as_ref().copied().map_err(why_unread));
        used(limited(row, SERVICE_QUOTAS, read), usage.rules_per_group.get(name), now)
    });
    let row = known(previous, POLICIES_PER_USER, None, count(POLICIES_PER_USER_DEFAULT));
    let row = match &usage.policies_quota {
        None if row.source == DEFAULT && row.message.is_none() => {
            let message = "no evaluation read iam:GetAccountSummary: no baseline asks for it".to_owned();
            AccountQuota { message: Some(message), ..row }
        }
        read => limited(row, ACCOUNT_SUMMARY, read.clone()),
    };
    let of_users = used(row, usage.policies_per_user.as_ref(), now);
    of_groups.chain([of_users]).collect()
}

/// The row as it was, or a new one with what AWS documents.
fn known(previous: &[AccountQuota], name: &str, region: Option<&str>, default: i64) -> AccountQuota {
    let found = previous.iter().find(|row| row.name == name && row.region.as_deref() == region);
    found.cloned().unwrap_or_else(|| AccountQuota {
        name: name.to_owned(),
        region: region.map(str::to_owned),
        limit: default,
        source: DEFAULT.to_owned(),
        ..AccountQuota::default()
    })
}

/// A limit that was read once stays where it cannot be read again, and the row says so.
fn limited(row: AccountQuota, source: &str, read: Option<Result<i64, String>>) -> AccountQuota {
    match read {
        None => row,
        Some(Ok(limit)) => AccountQuota { limit, source: source.to_owned(), message: None, ..row },
        Some(Err(message)) => AccountQuota { message: Some(message), ..row },
    }
}

/// The time moves only where something else is counted.
fn used(row: AccountQuota, usage: Option<&Usage>, now: Timestamp) -> AccountQuota {
    let Some(usage) = usage else { return row };
    let (used, resource) = (Some(count(usage.count)), usage.resource.as_deref().map(one_line));
    let used_since = if (row.used, &row.resource) == (used, &resource) { row.used_since } else { Some(now) };
    AccountQuota { used, resource, used_since, ..row }
}

#[cfg(test)]
mod tests;
