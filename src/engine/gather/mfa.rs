//! From a cloud to the evidence for planning the control. IO through the cloud alone.
//!
//! The deny policy is read first: where it does not exist, nobody can be attached to it, and nothing more is asked. Of
//! administrators as few are read as tell that one of them can sign in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt, stream};

use crate::api::MfaControl;
use crate::baseline::mfa::{
    Administration, CredentialReport, ENROLMENT, Evidence, IamUser, Snapshot, UserEvidence, deny_policy_arn,
    never_a_target,
};
use crate::baseline::{AccountIdentity, Cause, CauseClass, Check, Finding, Observed};
use crate::engine::cloud::Cloud;
use crate::engine::observe::CONCURRENCY;

/// The most administrators who are asked about: an account where none of so many has MFA is held for that.
const ADMINISTRATORS: usize = 20;

/// Reads what decides whether the changes that would answer these findings are safe.
pub(super) async fn gather(
    desired: &MfaControl,
    failing: &[&Finding],
    snapshot: &Snapshot,
    account: &AccountIdentity,
    cloud: &dyn Cloud,
) -> Evidence {
    let mut evidence = Evidence::default();
    let Some(policy_arn) = deny_policy_arn(desired, account) else { return evidence };
    let failing: BTreeSet<&str> = failing
        .iter()
        .filter(|finding| finding.subject().check == Check::UserMfa)
        .map(|finding| finding.subject().resource.as_str())
        .collect();
    let users = snapshot.users.as_ref().and_then(Observed::value);
    let targets: Vec<&IamUser> = users
        .into_iter()
        .flatten()
        .filter(|user| failing.contains(user.arn.as_str()))
        .filter(|user| never_a_target(desired, user, account, |_| false).is_ok())
        .collect();
    if targets.is_empty() {
        return evidence;
    }
    let policy = cloud.managed_policy(&policy_arn).await;
    let exists = matches!(policy.value(), Some(Some(_)));
    evidence.deny_policy = Some(policy);
    if !exists {
        return evidence;
    }
    let (users, administration, password_policy, report, summary) = futures::join!(
        read_users(&targets, cloud),
        cloud.administration(),
        cloud.password_policy(),
        report(snapshot, cloud),
        async {
            match &snapshot.summary {
                Some(summary) => summary.clone(),
                None => cloud.account_summary().await,
            }
        },
    );
    if let Some(administration) = administration.value() {
        evidence.administrators = read_administrators(administration, &failing, snapshot, &report, cloud).await;
    }
    evidence.users = users;
    evidence.administration = Some(administration);
    evidence.password_policy = Some(password_policy);
    evidence.report = Some(report);
    evidence.summary = Some(summary);
    evidence
}

/// The report by which users were judged, if they were judged by one: so it speaks of the same moment.
async fn report(snapshot: &Snapshot, cloud: &dyn Cloud) -> Observed<Arc<CredentialReport>> {
    match &snapshot.report {
        Some(report) => report.clone(),
        None => cloud.credential_report().await,
    }
}

async fn read_users(targets: &[&IamUser], cloud: &dyn Cloud) -> BTreeMap<String, UserEvidence> {
    let reads: Vec<_> = targets
        .iter()
        .map(|user| async move {
            let facts = cloud.user_facts(user).await;
            // A user who must not be denied anyway is not asked about.
            let may_be_denied = matches!(facts.value(), Some(Some(facts)) if facts.refusal().is_none());
            let enrolment =
                if may_be_denied { Some(cloud.simulate(&user.arn, &ENROLMENT, Some(false)).await) } else { None };
            (user.arn.clone(), UserEvidence { facts: Some(facts), enrolment })
        })
        .collect();
    stream::iter(reads).buffer_unordered(CONCURRENCY).collect().await
}

/// Asks administrators who do not fail whether they can sign in with MFA, those first of whom the report says so, until
/// one can. No one, where a role is a way in.
async fn read_administrators(
    administration: &Administration,
    failing: &BTreeSet<&str>,
    snapshot: &Snapshot,
    report: &Observed<Arc<CredentialReport>>,
    cloud: &dyn Cloud,
) -> BTreeMap<String, Observed<bool>> {
    let mut asked = BTreeMap::new();
    if !administration.roles.is_empty() {
        return asked;
    }
    let users = snapshot.users.as_ref().and_then(Observed::value);
    let with_mfa: BTreeSet<&str> = report
        .value()
        .into_iter()
        .flat_map(|report| &report.users)
        .filter(|row| row.mfa_active)
        .map(|row| row.user.as_str())
        .collect();
    let mut candidates: Vec<&str> = users
        .into_iter()
        .flatten()
        .filter(|user| administration.users.contains(&user.name) && !failing.contains(user.arn.as_str()))
        .map(|user| user.name.as_str())
        .collect();
    candidates.sort_by_key(|name| (!with_mfa.contains(name), *name));
    for (position, name) in candidates.into_iter().enumerate() {
        if position == ADMINISTRATORS {
            let message =
                format!("{ADMINISTRATORS} administrators cannot sign in with MFA, and no more were asked about");
            asked.insert(name.to_owned(), Observed::Unknown(Cause::new(CauseClass::Refused, message)));
            break;
        }
        let signs_in = signs_in_with_mfa(name, cloud).await;
        let found = signs_in.value() == Some(&true);
        asked.insert(name.to_owned(), signs_in);
        if found {
            break;
        }
    }
    asked
}

async fn signs_in_with_mfa(name: &str, cloud: &dyn Cloud) -> Observed<bool> {
    match cloud.mfa_devices(name).await {
        Observed::Complete { value: devices, .. } if !devices.is_empty() => cloud.has_login_profile(name).await,
        devices => devices.map(|_| false),
    }
}
