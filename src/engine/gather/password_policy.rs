//! From a cloud to the evidence for planning the control. IO through the cloud alone.

use crate::api::PasswordPolicyControl;
use crate::baseline::password_policy::{Evidence, Snapshot};
use crate::baseline::{AccountIdentity, Finding};
use crate::engine::cloud::Cloud;

/// Reads what decides whether the changes that would answer these findings are safe.
pub(super) async fn gather(
    _desired: &PasswordPolicyControl,
    _failing: &[&Finding],
    _snapshot: &Snapshot,
    _account: &AccountIdentity,
    _cloud: &dyn Cloud,
) -> Evidence {
    Evidence::default()
}
