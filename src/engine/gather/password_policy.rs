//! From a cloud to the evidence for planning the control. IO through the cloud alone.
//!
//! The report is read only where a maximum age is to be set; users are asked about only if theirs would expire at once
//! and nothing else holds the age.

use futures::{StreamExt, stream};

use crate::api::PasswordPolicyControl;
use crate::baseline::password_policy::{Evidence, Needs, Snapshot};
use crate::baseline::{AccountIdentity, Finding};
use crate::engine::cloud::Cloud;
use crate::engine::observe::CONCURRENCY;

/// Reads what decides whether the changes that would answer these findings are safe.
pub(super) async fn gather(
    desired: &PasswordPolicyControl,
    failing: &[&Finding],
    snapshot: &Snapshot,
    _account: &AccountIdentity,
    cloud: &dyn Cloud,
) -> Evidence {
    let mut evidence = Evidence::default();
    let needs = Needs { desired, failing, snapshot };
    if !needs.report() {
        return evidence;
    }
    let report = cloud.credential_report().await;
    // The policy was read a moment ago: that is the time by which passwords are old.
    if let (Ok((report, _)), Ok((_, now))) = (report.read(), snapshot.policy.read()) {
        let users = needs.users(report, now).into_iter();
        let asked = users.map(|arn| async move {
            let may = cloud.may_change_password(&arn).await;
            (arn, may)
        });
        evidence.password_changes =
            stream::iter(asked.collect::<Vec<_>>()).buffer_unordered(CONCURRENCY).collect().await;
    }
    evidence.report = Some(report);
    evidence
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::api::{Controls, Mode};
    use crate::baseline::mfa::{CredentialReport, LastUsed, PasswordEnabled, ReportRow};
    use crate::baseline::password_policy::PasswordPolicy;
    use crate::engine::fake::{FakeCloud, account, at, denied, seen};
    use crate::engine::{RegionSelection, Silent, assess};

    const AGE: &str = "{passwordPolicy: {maxPasswordAge: 90, acknowledgeExpiringPasswords: 1}}";

    fn row(user: &str, changed: &str) -> ReportRow {
        ReportRow {
            user: user.to_owned(),
            arn: arn(user),
            created_at: None,
            password_enabled: PasswordEnabled::Yes,
            password_last_used: LastUsed::Never,
            password_last_changed: LastUsed::At(changed.parse().unwrap()),
            mfa_active: false,
            access_key_active: false,
            access_key_last_used: LastUsed::Never,
        }
    }

    fn arn(user: &str) -> String {
        account().arn("iam", "", &format!("user/{user}"))
    }

    fn cloud(users: Vec<ReportRow>) -> FakeCloud {
        let policy = PasswordPolicy {
            minimum_password_length: 8,
            require_symbols: false,
            require_numbers: false,
            require_uppercase_characters: false,
            require_lowercase_characters: false,
            allow_users_to_change_password: true,
            max_password_age: None,
            password_reuse_prevention: None,
            hard_expiry: false,
        };
        FakeCloud {
            identity: Some(account()),
            password_policy: Some(seen(Some(policy))),
            credential_report: Some(seen(CredentialReport { root: None, users })),
            ..FakeCloud::default()
        }
    }

    async fn gathered(cloud: &FakeCloud, controls: &str, mode: Mode) -> (Option<Evidence>, Vec<String>) {
        let controls: Controls = serde_saphyr::from_str(controls).unwrap();
        let assessment = assess("222222222222", &RegionSelection::Enabled, &controls, cloud, &Silent).await.unwrap();
        let before = cloud.calls().len();
        let evidence = crate::engine::gather(&assessment, mode, &controls, cloud).await;
        (evidence.password_policy, cloud.calls().split_off(before))
    }

    #[tokio::test]
    async fn pw_20_only_users_whose_password_would_expire_are_asked_about() {
        let mut cloud = cloud(vec![row("old", "2026-08-03T00:00:00Z"), row("young", "2026-08-03T00:00:01Z")]);
        cloud.password_changes.insert(arn("old"), seen(true));
        let (evidence, calls) = gathered(&cloud, AGE, Mode::Enforce).await;
        assert_eq!(calls, ["GetCredentialReport".to_owned(), format!("SimulatePrincipalPolicy {}", arn("old"))]);
        let evidence = evidence.unwrap();
        assert_eq!(evidence.password_changes, BTreeMap::from([(arn("old"), seen(true))]));
        assert_eq!(evidence.report.unwrap().read().unwrap().1, at());
    }

    #[tokio::test]
    async fn nothing_is_read_that_cannot_change_the_plan() {
        let rows = || vec![row("one", "2020-01-01T00:00:00Z"), row("two", "2020-01-01T00:00:00Z")];
        let (_, calls) = gathered(&cloud(rows()), AGE, Mode::Enforce).await;
        assert_eq!(calls, ["GetCredentialReport"], "two would expire and one is acknowledged");
        let (evidence, calls) = gathered(&cloud(rows()), AGE, Mode::Audit).await;
        assert_eq!((evidence, calls), (None, Vec::new()), "an audit reads no more than it did");
        let (evidence, calls) =
            gathered(&cloud(rows()), "{passwordPolicy: {minimumPasswordLength: 14}}", Mode::Enforce).await;
        assert_eq!((evidence, calls), (Some(Evidence::default()), Vec::new()), "no age is to be set");
        let mut stranding = cloud(rows());
        let policy = stranding.password_policy.take().unwrap();
        stranding.password_policy =
            Some(policy.map(|own| own.map(|own| PasswordPolicy { allow_users_to_change_password: false, ..own })));
        let (evidence, calls) = gathered(&stranding, AGE, Mode::Enforce).await;
        assert_eq!((evidence, calls), (Some(Evidence::default()), Vec::new()), "users may not change theirs");
    }

    #[tokio::test]
    async fn a_report_that_may_not_be_read_says_so() {
        let mut cloud = cloud(Vec::new());
        cloud.credential_report = Some(denied("iam:GetCredentialReport"));
        let (evidence, calls) = gathered(&cloud, AGE, Mode::Enforce).await;
        assert_eq!(calls, ["GetCredentialReport"]);
        assert_eq!(evidence.unwrap().report, Some(denied("iam:GetCredentialReport")));
    }
}
