//! The fewest calls: what one evaluation asks of AWS, as the formula of `docs/calls.md`, held against the proxy's
//! record.

use std::collections::BTreeMap;

use kube::Api;
use kube::api::{Patch, PatchParams};
use plumbline::api::AccountBaseline;
use plumbline_rig::aws_proxy::AwsProxy;
use serde_json::json;

use crate::support::{Aws, World};

/// The size of an account.
#[derive(Clone, Copy)]
struct Size {
    /// Regions.
    r: usize,
    /// Console users without MFA, beside as many with it and as many without a password.
    f: usize,
    /// Buckets, one of them under SSE-KMS with one key.
    b: usize,
}

const REGIONS: [&str; 3] = ["us-east-1", "eu-west-1", "eu-north-1"];

impl Size {
    /// Every region has a group that is open, every user's device is virtual, every bucket is in the first region.
    fn account(self) -> String {
        let regions = &REGIONS[..self.r];
        let users = (0..self.f).map(|n| {
            format!(
                "  - {{name: failing-{n}, password: true}}\n  - {{name: good-{n}, password: true, mfa: [Virtual]}}\n  \
                 - {{name: robot-{n}, accessKeys: 1}}\n"
            )
        });
        let groups = regions.iter().map(|region| {
            format!(
                "  {region}:\n    - {{name: web, ingress: [{{protocol: tcp, ports: 22, cidrs: [0.0.0.0/0]}}]}}\n    \
                 - {{name: bastion-1, ingress: [{{protocol: tcp, ports: 443, cidrs: [0.0.0.0/0]}}]}}\n"
            )
        });
        let buckets = (1..self.b).map(|n| format!("  - {{name: plain-{n}-$ACCOUNT, region: us-east-1}}\n"));
        format!(
            "regions: [{}]\nroot: {{mfa: [Hardware], password: true}}\npasswordPolicy: {{minimumPasswordLength: 8}}\n\
             users:\n{}securityGroups:\n{}keys: {{us-east-1: [{{alias: alias/s3-default}}]}}\nbuckets:\n{}\
             \x20 - {{name: safe-$ACCOUNT, region: us-east-1, \
             encryption: {{algorithm: 'aws:kms', key: 'key:us-east-1/alias/s3-default'}}}}\n",
            regions.join(", "),
            users.collect::<String>(),
            groups.collect::<String>(),
            buckets.collect::<String>(),
        )
    }

    /// The formula, for the controls below and a first evaluation.
    fn calls(self, tls: bool, resistant: bool) -> BTreeMap<&'static str, usize> {
        let Self { r, f, b } = self;
        let weak = b - 1;
        BTreeMap::from([
            ("sts:AssumeRole", 1),
            // The caller's own, for the partition of the role's ARN, and the account's.
            ("sts:GetCallerIdentity", 2),
            ("iam:ListAccountAliases", 1),
            ("iam:GetAccountPasswordPolicy", 1),
            ("iam:GetAccountSummary", 1),
            // There is none, it is made, it is read.
            ("iam:GetCredentialReport", 2),
            ("iam:GenerateCredentialReport", 1),
            ("iam:ListUsers", 1),
            // Of the users whom the report does not clear; of everybody with a password where a kind is asked for.
            ("iam:ListMFADevices", if resistant { 2 * f } else { f }),
            ("iam:GetLoginProfile", if resistant { 2 * f } else { f }),
            ("iam:ListVirtualMFADevices", 1),
            ("ec2:DescribeRegions", 1),
            ("ec2:DescribeSecurityGroupRules", r),
            // The default groups, and the names of the groups to which an entry applies by name.
            ("ec2:DescribeSecurityGroups", 2 * r),
            // Something fails in each of them.
            ("ec2:DescribeNetworkInterfaces", r),
            ("s3:ListBuckets", 1),
            ("s3:GetBucketEncryption", b),
            ("s3:GetBucketPolicy", if tls { b } else { weak }),
            ("s3:GetBucketLogging", b),
            // The alias that the spec names answers for the bucket's key too.
            ("kms:DescribeKey", 1),
        ])
    }
}

fn controls(tls: bool, resistant: bool) -> String {
    format!(
        "{{passwordPolicy: {{minimumPasswordLength: 14}}, \
          mfa: {{rootUser: {{requireMfa: true, requireHardwareMfa: true, requireUnusedFor: 90d}}, \
                users: {{scope: ConsoleUsers, requirePhishingResistant: {resistant}}}}}, \
          securityGroups: {{requireEmptyDefaultGroup: true, allowedIngress: [\
            {{protocol: tcp, ports: [22, 443], cidrs: [0.0.0.0/0], groupNames: ['bastion-*']}}]}}, \
          s3Encryption: {{minimumAlgorithm: SseKms, kmsKeys: [alias/s3-default], requireTls: {tls}}}}}"
    )
}

fn manifest(account_id: &str, controls: &str) -> String {
    format!(
        "apiVersion: plumbline.dev/v1alpha1\nkind: AwsAccount\nmetadata: {{name: shop}}\n\
         spec: {{accountId: \"{account_id}\", auditRoleName: PlumblineAudit, externalId: 0f6c9a}}\n---\n\
         apiVersion: plumbline.dev/v1alpha1\nkind: AccountBaseline\nmetadata: {{name: shop}}\n\
         spec: {{accountRef: {{name: shop}}, controls: {controls}}}\n"
    )
}

/// How often each operation was called.
fn counted(proxy: &AwsProxy) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in proxy.calls() {
        *counts.entry(format!("{}:{}", call.service, call.operation)).or_default() += 1;
    }
    counts
}

async fn calls_of(account: &str, controls: &str) -> BTreeMap<String, usize> {
    let aws = Aws::new().await;
    let seeded = aws.seed(account).await;
    aws.rig.proxy().clear();
    let file = aws.write("shop.yaml", &manifest(&seeded.account_id, controls));
    let output = aws.plumbline(&["audit", "-f", &file, "-o", "json"]);
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 2)), "{code:?}: {}", String::from_utf8_lossy(&output.stderr));
    counted(aws.rig.proxy())
}

fn named(calls: BTreeMap<&'static str, usize>) -> BTreeMap<String, usize> {
    calls.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

#[tokio::test]
async fn one_evaluation_costs_what_the_formula_says() {
    let small = Size { r: 2, f: 1, b: 2 };
    let large = Size { r: 3, f: 3, b: 5 };
    for (size, tls, resistant) in [(small, false, false), (large, true, false), (large, false, true)] {
        let found = calls_of(&size.account(), &controls(tls, resistant)).await;
        assert_eq!(found, named(size.calls(tls, resistant)), "tls {tls}, phishing-resistant {resistant}");
    }
}

#[tokio::test]
async fn what_is_not_asked_for_costs_nothing() {
    let door = [("sts:AssumeRole", 1), ("sts:GetCallerIdentity", 2), ("iam:ListAccountAliases", 1)];
    let account = Size { r: 2, f: 2, b: 2 }.account();
    let rows: [(&str, &[(&str, usize)]); 4] = [
        ("{passwordPolicy: {minimumPasswordLength: 14}}", &[("iam:GetAccountPasswordPolicy", 1)]),
        ("{mfa: {rootUser: {requireMfa: true, forbidAccessKeys: true}}}", &[("iam:GetAccountSummary", 1)]),
        (
            "{securityGroups: {allowedIngress: [{protocol: all, cidrs: [0.0.0.0/0]}]}}",
            &[("ec2:DescribeRegions", 1), ("ec2:DescribeSecurityGroupRules", 2)],
        ),
        (
            "{s3Encryption: {minimumAlgorithm: SseS3}}",
            &[("ec2:DescribeRegions", 1), ("s3:ListBuckets", 1), ("s3:GetBucketEncryption", 2)],
        ),
    ];
    for (controls, more) in rows {
        let expected = door.into_iter().chain(more.iter().copied()).collect();
        assert_eq!(calls_of(&account, controls).await, named(expected), "{controls}");
    }
}

#[tokio::test]
async fn the_administrators_are_listed_for_their_scope_alone_and_only_they_are_read() {
    let account = "users:\n  - {name: root-like, password: true, inlinePolicies: {all: {Version: 2012-10-17, \
                   Statement: {Effect: Allow, Action: '*', Resource: '*'}}}}\n  - {name: clerk, password: true}\n";
    let found = calls_of(account, "{mfa: {users: {scope: PrivilegedUsers}}}").await;
    assert_eq!(found.get("iam:GetAccountAuthorizationDetails"), Some(&1));
    assert_eq!(found.get("iam:ListMFADevices"), Some(&1), "{found:?}");
    assert_eq!(found.get("iam:GetLoginProfile"), None, "{found:?}");
}

/// An account in order, and controls that ask for all of it.
const IN_ORDER: &str = "regions: [us-east-1, eu-west-1]\nroot: {mfa: [Hardware], password: true}\n\
    passwordPolicy: {minimumPasswordLength: 16}\nusers: [{name: alice, password: true, mfa: [Fido]}]\n\
    buckets: [{name: one-$ACCOUNT, region: us-east-1}, {name: two-$ACCOUNT, region: us-east-1}]\n";
const ALL: &str = "{passwordPolicy: {minimumPasswordLength: 14}, \
    mfa: {rootUser: {requireMfa: true, requireUnusedFor: 90d}, users: {scope: ConsoleUsers}}, \
    securityGroups: {allowedIngress: []}, s3Encryption: {minimumAlgorithm: SseS3, requireTls: true}}";

#[tokio::test]
async fn mfa_24_evaluations_within_four_hours_share_the_credential_report_and_the_session() {
    let world = World::new().await;
    let seeded = world.seed(IN_ORDER).await;
    world.account(&seeded.account_id, "").await;
    world.baseline(ALL, "").await;
    let _operator = world.operator();
    world.evaluated(1).await;
    world
        .until_account("verified", |account| account.status.as_ref().is_some_and(|it| it.observed_generation == 1))
        .await;
    let proxy = world.aws.proxy();
    assert_eq!(proxy.count("iam", "GenerateCredentialReport"), 1);
    assert_eq!(proxy.count("iam", "GetCredentialReport"), 2, "there was none, then it was read");
    assert_eq!(proxy.count("sts", "AssumeRole"), 2, "one session for the account, one for the baseline");
    for time in ["second", "third"] {
        proxy.clear();
        let patch = json!({"metadata": {"annotations": {"plumbline.dev/requestedAt": time}}});
        let api = Api::<AccountBaseline>::all(world.client.clone());
        api.patch(&world.id, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        let handled = |baseline: &AccountBaseline| {
            baseline.status.as_ref().is_some_and(|status| status.last_handled_reconcile_at.as_deref() == Some(time))
        };
        world.until("evaluated again", handled).await;
        let (r, b) = (2, 2);
        let expected = BTreeMap::from([
            ("sts:GetCallerIdentity", 1),
            ("iam:ListAccountAliases", 1),
            ("iam:GetAccountPasswordPolicy", 1),
            ("iam:GetAccountSummary", 1),
            ("iam:ListUsers", 1),
            ("ec2:DescribeRegions", 1),
            ("ec2:DescribeSecurityGroupRules", r),
            ("s3:ListBuckets", 1),
            ("s3:GetBucketEncryption", b),
            ("s3:GetBucketPolicy", b),
        ]);
        assert_eq!(counted(proxy), named(expected));
    }
}
