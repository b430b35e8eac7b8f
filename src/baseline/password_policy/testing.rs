//! Policies and specs for the tests of this control.

use proptest::prelude::*;

use super::evaluate::AWS_DEFAULT;
use super::{PasswordPolicy, Snapshot};
use crate::api::PasswordPolicyControl;
use crate::baseline::{AccountIdentity, Observed};

pub(super) fn desired(yaml: &str) -> PasswordPolicyControl {
    serde_saphyr::from_str(yaml).unwrap()
}

pub(super) fn snapshot(policy: Observed<Option<PasswordPolicy>>) -> Snapshot {
    let caller = "arn:aws:sts::222222222222:assumed-role/PlumblineAudit/plumbline";
    Snapshot { account: AccountIdentity::from_caller("222222222222", caller).unwrap(), policy }
}

pub(super) fn own(change: impl FnOnce(&mut PasswordPolicy)) -> PasswordPolicy {
    let mut policy = AWS_DEFAULT;
    change(&mut policy);
    policy
}

pub(super) fn any_policy() -> impl Strategy<Value = PasswordPolicy> {
    let numbers = (0..130, prop::option::of(1..1096), prop::option::of(1..25));
    (numbers, any::<[bool; 6]>()).prop_map(|((length, age, reuse), flags)| PasswordPolicy {
        minimum_password_length: length,
        require_symbols: flags[0],
        require_numbers: flags[1],
        require_uppercase_characters: flags[2],
        require_lowercase_characters: flags[3],
        allow_users_to_change_password: flags[4],
        max_password_age: age,
        password_reuse_prevention: reuse,
        hard_expiry: flags[5],
    })
}

pub(super) fn any_spec() -> impl Strategy<Value = PasswordPolicyControl> {
    let numbers = (prop::option::of(6..129), prop::option::of(1..1096), prop::option::of(1..25));
    (numbers, any::<[bool; 5]>()).prop_map(|((length, age, reuse), flags)| PasswordPolicyControl {
        minimum_password_length: length,
        require_uppercase_characters: flags[0],
        require_lowercase_characters: flags[1],
        require_numbers: flags[2],
        require_symbols: flags[3],
        password_reuse_prevention: reuse,
        max_password_age: age,
        allow_users_to_change_password: flags[4],
        ..PasswordPolicyControl::default()
    })
}
