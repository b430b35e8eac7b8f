//! Accounts and manifests for the tests of the subcommands.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use crate::baseline::password_policy::PasswordPolicy;
use crate::baseline::{AccountIdentity, Cause, CauseClass, Observed};
use crate::engine::cloud::{Cloud, CloudProvider, Region, Target};
use crate::engine::fake::{FakeCloud, seen};

/// Clouds by the declared account; the empty id is that of a caller who has not said which account is meant.
#[derive(Default)]
pub(super) struct Accounts {
    pub(super) clouds: BTreeMap<String, Arc<FakeCloud>>,
    pub(super) asked: Mutex<Vec<Target>>,
}

#[async_trait]
impl CloudProvider for Accounts {
    async fn cloud(&self, target: &Target, _: Duration) -> Result<Arc<dyn Cloud>, Cause> {
        self.asked.lock().unwrap().push(target.clone());
        let cloud = self.clouds.get(&target.account_id).cloned();
        let cloud = cloud.ok_or_else(|| Cause::new(CauseClass::Credentials, "the role cannot be assumed"))?;
        Ok(cloud)
    }
}

impl Accounts {
    /// An account that is declared as `declared`, answers as `actual`, and has this password policy.
    pub(super) fn with(mut self, declared: &str, actual: &str, policy: Observed<Option<PasswordPolicy>>) -> Self {
        let identity = AccountIdentity::from_caller(actual, &format!("arn:aws:iam::{actual}:user/auditor"));
        let regions = [("eu-west-1", true), ("me-south-1", false)];
        let regions = regions.map(|(name, enabled)| Region { name: name.to_owned(), enabled }).to_vec();
        let cloud =
            FakeCloud { identity, password_policy: Some(policy), regions: Some(seen(regions)), ..FakeCloud::default() };
        self.clouds.insert(declared.to_owned(), Arc::new(cloud));
        self
    }

    pub(super) fn one(policy: Observed<Option<PasswordPolicy>>) -> Self {
        Self::default().with("222222222222", "222222222222", policy)
    }
}

pub(super) fn policy(length: i32) -> Observed<Option<PasswordPolicy>> {
    seen(Some(PasswordPolicy {
        minimum_password_length: length,
        require_symbols: false,
        require_numbers: false,
        require_uppercase_characters: false,
        require_lowercase_characters: false,
        allow_users_to_change_password: false,
        max_password_age: None,
        password_reuse_prevention: None,
        hard_expiry: false,
    }))
}

/// An account `a-ID` with a role, and a baseline `b-ID` that asks for 14 characters.
pub(super) fn manifests(ids: &[&str]) -> String {
    let one = |id: &&str| {
        format!(
            "apiVersion: plumbline.dev/v1alpha1\nkind: AwsAccount\nmetadata: {{name: a-{id}}}\n\
             spec: {{accountId: \"{id}\", auditRoleName: PlumblineAudit, externalId: 0f6c9a}}\n---\n\
             apiVersion: plumbline.dev/v1alpha1\nkind: AccountBaseline\nmetadata: {{name: b-{id}}}\nspec:\n  \
             accountRef: {{name: a-{id}}}\n  controls: {{passwordPolicy: {{minimumPasswordLength: 14}}}}\n---\n"
        )
    };
    ids.iter().map(one).collect()
}
