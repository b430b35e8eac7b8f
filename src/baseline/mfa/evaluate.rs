//! From the desired MFA and the snapshot to findings: those of root, then one row for each user in scope. No IO.

use super::{Snapshot, root, users};
use crate::api::MfaControl;
use crate::baseline::finding::Finding;

/// Judges root and users, sorted by check and resource.
#[must_use]
pub fn evaluate(desired: &MfaControl, snapshot: &Snapshot) -> Vec<Finding> {
    let MfaControl { root_user, users } = desired;
    let root = root_user.as_ref().map(|asked| root::judge(asked, snapshot));
    let users = users.as_ref().map(|asked| users::judge(asked, snapshot));
    let mut findings: Vec<_> = root.into_iter().chain(users).flatten().collect();
    findings.sort_by(|a, b| a.subject().cmp(b.subject()));
    findings
}
