//! A short YAML of an account's state becomes that state on the emulator and in the proxy. Talks to the emulator
//! itself, so nothing of it stands in the proxy's record.
//!
//! Everything but the account id may be left out; what is not known is an error.
//!
//! ```yaml
//! accountId: "222222222222"            # "$ACCOUNT" with AwsRig::seed: an id of one's own
//! alias: payments
//! regions: [us-east-1, eu-west-1]      # the default
//! rulesPerGroup: 100                   # the quota; absent: AWS's 60
//! roles: [{name: PlumblineAudit, externalId: 0f6c9a}]
//! root: {mfa: [Virtual, Hardware], password: true, accessKeys: 0, signingCertificates: 0,
//!        passwordLastUsed: 2026-01-01T00:00:00Z}
//! passwordPolicy: {minimumPasswordLength: 8}          # absent: the account has none
//! unassignedVirtualDevices: [spare]
//! policies:
//!   - {name: Everything, document: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "*", Resource: "*"}]}}
//! groups: [{name: admins, policies: ["arn:aws:iam::aws:policy/AdministratorAccess"], inlinePolicies: {}}]
//! users:
//!   - name: alice
//!     path: /people/
//!     password: true
//!     mfa: [Virtual, Fido, HardwareTotp, Sms]
//!     accessKeys: 1                    # active ones
//!     inactiveAccessKeys: 0
//!     groups: [admins]
//!     policies: [Everything]           # an ARN, or a name from `policies`
//!     inlinePolicies: {own: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:*", Resource: "*"}]}}
//!     passwordLastUsed: 2026-01-01T00:00:00Z
//!     createdDaysAgo: 400              # absent: created now
//!     reportMfaActive: false           # what the credential report says, where it lags behind
//!     reportPasswordEnabled: false     # the same of the password
//!     missingFromReport: false
//!     passwordChangedDaysAgo: 200      # absent: when the user was created
//!     passwordResetRequired: false
//!     serviceSpecificCredential: false # an active one
//!     notAllowed: [iam:EnableMFADevice]  # what SimulatePrincipalPolicy denies; everything else it allows
//! prefixLists: {eu-west-1: [{name: partners, cidrs: [192.0.2.0/24]}]}
//! securityGroups:
//!   eu-west-1:
//!     - name: web                      # in the default VPC
//!       tags: {team: shop}
//!       ingress:
//!         - {protocol: tcp, ports: 80-443, cidrs: [0.0.0.0/0, "::/0"], description: the world}
//!         - {protocol: tcp, ports: 22, prefixLists: [partners], groups: [web]}
//!         - {protocol: "-1", cidrs: [10.0.0.0/8]}
//!       noDefaultEgress: true          # the rule that AWS gives to every group is revoked
//!       attached: true                 # to a network interface
//!     - {default: true, ingress: [{protocol: "-1", groups: [default]}]}
//! keys: {eu-west-1: [{alias: alias/s3-default, state: Enabled}]}      # Disabled, PendingDeletion; spec, usage
//! buckets:
//!   - name: logs-$ACCOUNT              # names are AWS-wide
//!     region: eu-west-1
//!     encryption: {algorithm: aws:kms, key: "key:eu-west-1/alias/s3-default", bucketKey: true,
//!                  blockedEncryptionTypes: [SSE-C]}
//!     policy: {Version: "2012-10-17", Statement: []}
//!     website: true
//!     publicAccessBlock: true
//!     logsTo: logs-$ACCOUNT
//!     tags: {team: shop}
//!     replicates: true                 # without KMS settings
//! ```

mod client;
mod document;
mod ec2;
mod iam;
mod s3;

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use jiff::{SignedDuration, Timestamp};

pub(crate) use self::client::Client;
use self::document::Document;
use crate::aws_proxy::parking::lock;
use crate::aws_proxy::{Account, AwsProxy, UserState};

/// What AWS made of the names in a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seeded {
    /// The account.
    pub account_id: String,
    /// ARNs of users by name.
    pub users: BTreeMap<String, String>,
    /// Ids of users' access keys by user, the active ones first.
    pub access_keys: BTreeMap<String, Vec<String>>,
    /// ARNs of the customer's policies by name.
    pub policies: BTreeMap<String, String>,
    /// Ids of prefix lists by `REGION/NAME`.
    pub prefix_lists: BTreeMap<String, String>,
    /// Ids of security groups by `REGION/NAME`.
    pub security_groups: BTreeMap<String, String>,
    /// Ids of the rules that the document names, by their group's `REGION/NAME`, in the document's order.
    pub rules: BTreeMap<String, Vec<String>>,
    /// ARNs of keys by `REGION/ALIAS`.
    pub keys: BTreeMap<String, String>,
}

/// Makes the account that `yaml` describes.
///
/// # Errors
/// When the document is not of the shape above, the account was seeded before, or the emulator refuses something.
pub async fn seed(proxy: &AwsProxy, yaml: &str) -> anyhow::Result<Seeded> {
    let document: Document = serde_saphyr::from_str(yaml).context("not an account's state")?;
    claim(proxy.upstream_url(), &document.account_id)?;
    proxy.declare(&document.account_id, declaration(&document, Timestamp::now()));
    let client = Client::new(proxy.upstream_url(), &document.account_id).await?;
    let seeded = fill(&client, &document).await?;
    for bucket in &document.buckets {
        let encryption = bucket.encryption.as_ref();
        let blocked = encryption.map(|encryption| encryption.blocked_encryption_types.clone()).unwrap_or_default();
        proxy.remember_bucket(&bucket.name, &bucket.region, blocked);
    }
    Ok(seeded)
}

/// Makes the account that `yaml` describes on an emulator with no proxy in front of it, where the root of an account is
/// the access key of its id.
pub(crate) async fn seed_as_root(url: &str, yaml: &str) -> anyhow::Result<Seeded> {
    let document: Document = serde_saphyr::from_str(yaml).context("not an account's state")?;
    claim(url, &document.account_id)?;
    fill(&Client::of_root(url, &document.account_id), &document).await
}

async fn fill(client: &Client, document: &Document) -> anyhow::Result<Seeded> {
    let mut seeded = Seeded { account_id: document.account_id.clone(), ..Seeded::default() };
    iam::seed(client, document, &mut seeded).await?;
    ec2::seed(client, document, &mut seeded).await?;
    s3::seed(client, document, &mut seeded).await?;
    Ok(seeded)
}

/// Twelve digits that no other account of this process has.
#[must_use]
pub fn unique_account_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // The time parts processes that share an emulator; the counter parts the tests of one.
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    let number = u64::try_from(micros % 89_999_999).unwrap_or_default();
    let next = NEXT.fetch_add(1, Ordering::Relaxed) % 10_000;
    format!("{}{next:04}", 10_000_000 + number)
}

/// Refuses a second account of the same id on the same emulator.
fn claim(upstream: &str, account: &str) -> anyhow::Result<()> {
    static CLAIMED: Mutex<Option<HashSet<(String, String)>>> = Mutex::new(None);
    let is_id = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    ensure!(is_id, "accountId {account} is not twelve digits; write it in quotes");
    let mut claimed = lock(&CLAIMED);
    let is_new = claimed.get_or_insert_default().insert((upstream.to_owned(), account.to_owned()));
    ensure!(is_new, "account {account} was seeded before: give each seeding an id of its own ($ACCOUNT)");
    Ok(())
}

/// What the proxy has to know, because the emulator cannot hold it.
fn declaration(document: &Document, now: Timestamp) -> Account {
    let days_ago = |days: u32| now - SignedDuration::from_hours(24 * i64::from(days));
    let state = |user: &document::User| UserState {
        created: user.created_days_ago.map(days_ago),
        password_last_used: user.password_last_used,
        report_mfa_active: user.report_mfa_active,
        report_password_enabled: user.report_password_enabled,
        missing_from_report: user.missing_from_report,
        password_changed: user.password_changed_days_ago.map(days_ago),
        password_reset_required: user.password_reset_required,
        service_specific_credential: user.service_specific_credential,
        not_allowed: user.not_allowed.clone(),
    };
    Account {
        regions: document.regions.clone(),
        rules_per_group: document.rules_per_group,
        roles: document.roles.clone(),
        root: document.root.clone(),
        users: document.users.iter().map(|user| (user.name.clone(), state(user))).collect(),
    }
}

#[cfg(test)]
mod tests;
