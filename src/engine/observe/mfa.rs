//! From a cloud to the snapshot of the control `mfa`. IO through the cloud alone.
//!
//! At most one each of `GetAccountSummary`, `ListUsers`, the credential report and `GetAccountAuthorizationDetails`;
//! then, for the users that the report does not clear, one or two reads each, as the pure core asks for them.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};

use super::{CONCURRENCY, Scope};
use crate::api::{MfaControl, UserMfa};
use crate::baseline::mfa::users::{ListedUser, Read, candidates};
use crate::baseline::mfa::{LiveUser, Needs, Snapshot};
use crate::baseline::{Control, Observed};
use crate::engine::assess::Progress;
use crate::engine::cloud::Cloud;

/// Reads what the spec needs; `progress` hears of the users that are read one by one.
pub(in crate::engine) async fn mfa(
    desired: &MfaControl,
    scope: &Scope,
    cloud: &dyn Cloud,
    progress: &dyn Progress,
) -> Snapshot {
    let needs = Needs::of(desired, &scope.account);
    let (summary, users, report, administrators) = futures::join!(
        wanted(needs.summary, cloud.account_summary()),
        wanted(needs.users, cloud.users()),
        wanted(needs.report, cloud.credential_report()),
        wanted(needs.administrators, cloud.administrators()),
    );
    let mut snapshot = Snapshot {
        account: scope.account.clone(),
        summary,
        root_has_virtual_mfa: None,
        report,
        users,
        administrators,
        live: BTreeMap::new(),
    };
    if snapshot.needs_root_devices(desired) {
        snapshot.root_has_virtual_mfa = Some(cloud.root_has_virtual_mfa().await);
    }
    if let Some(asked) = &desired.users {
        snapshot.live = read_users(asked, candidates(asked, &snapshot), cloud, progress).await;
    }
    snapshot
}

/// The unit, if it is needed: else it is not asked for.
async fn wanted<T>(needed: bool, unit: impl Future<Output = Observed<T>>) -> Option<Observed<T>> {
    if needed { Some(unit.await) } else { None }
}

/// Reads users one by one, a few at a time. The map has them by name, in whatever order the answers came.
async fn read_users(
    asked: &UserMfa,
    users: Vec<ListedUser<'_>>,
    cloud: &dyn Cloud,
    progress: &dyn Progress,
) -> BTreeMap<String, LiveUser> {
    let total = users.len();
    let reads: Vec<_> = users.into_iter().map(|user| read_user(asked, user, cloud)).collect();
    let mut reads = stream::iter(reads).buffer_unordered(CONCURRENCY);
    let mut live = BTreeMap::new();
    while let Some((name, user)) = reads.next().await {
        live.insert(name, user);
        progress.advanced(Control::Mfa, live.len(), total);
    }
    live
}

/// Reads of a user what its verdict depends on. Ends, because each read is one that was not made before.
async fn read_user(asked: &UserMfa, user: ListedUser<'_>, cloud: &dyn Cloud) -> (String, LiveUser) {
    let mut live = LiveUser::default();
    while let Some(read) = user.next_read(asked, &live) {
        match read {
            Read::LoginProfile => live.login_profile = Some(cloud.has_login_profile(user.name()).await),
            Read::Devices => live.devices = Some(cloud.mfa_devices(user.name()).await),
        }
    }
    (user.name().to_owned(), live)
}
