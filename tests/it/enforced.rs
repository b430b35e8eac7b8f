//! What the tests of enforcement stand on: an account with something to change for each kind of change, an operator
//! that may change it, and both proxies in one order.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use plumbline::api::{AccountBaseline, ChangeRecord};
use plumbline_rig::aws_proxy::{Call as AwsCall, ProxyOptions};
use plumbline_rig::kube_proxy::{Call as KubeCall, KubeProxy};
use plumbline_rig::seed::Seeded;
use plumbline_rig::supervisor::Supervised;
use serde_json::json;

use crate::support::{PATIENCE, World, condition};

/// One thing to change for each kind of change, one user who must stay as she is, and a way in for an administrator.
pub(crate) const STATE: &str = r#"
regions: [eu-west-1, us-east-1]
root: {mfa: [Virtual]}
passwordPolicy: {minimumPasswordLength: 8, requireNumbers: true, allowUsersToChangePassword: true}
policies:
  - name: PlumblineRequireMfa
    document:
      Version: "2012-10-17"
      Statement:
        - Sid: DenyWithoutMfa
          Effect: Deny
          NotAction:
            - iam:CreateVirtualMFADevice
            - iam:EnableMFADevice
            - iam:ListMFADevices
            - iam:ListVirtualMFADevices
            - iam:ResyncMFADevice
            - iam:GetUser
            - iam:GetMFADevice
            - iam:ChangePassword
            - iam:GetAccountPasswordPolicy
            - sts:GetSessionToken
          Resource: "*"
          Condition: {BoolIfExists: {"aws:MultiFactorAuthPresent": "false"}}
users:
  - {name: admin, password: true, mfa: [Virtual], createdDaysAgo: 900,
     policies: ["arn:aws:iam::aws:policy/AdministratorAccess"]}
  - {name: carol, password: true, createdDaysAgo: 400}
  - {name: deploy, password: true, accessKeys: 1, createdDaysAgo: 400}
securityGroups:
  eu-west-1:
    - name: web
      attached: true
      ingress:
        - {protocol: tcp, ports: 443, cidrs: [0.0.0.0/0], description: customers}
        - {protocol: tcp, ports: 22, cidrs: [0.0.0.0/0], description: nobody knows}
        - {protocol: tcp, ports: 22, cidrs: [10.0.0.0/8], description: the office}
buckets:
  - {name: plain-$ACCOUNT, region: eu-west-1}
"#;

/// What is asked of it.
pub(crate) const CONTROLS: &str = r#"{
    passwordPolicy: {minimumPasswordLength: 14},
    mfa: {users: {scope: ConsoleUsers}, denyPolicyName: PlumblineRequireMfa},
    securityGroups: {allowedIngress: [{protocol: tcp, ports: [443], cidrs: ["0.0.0.0/0"]}]},
    s3Encryption: {forbidSseC: true, requireTls: true}}"#;

/// The calls that close it, in the order in which they are made.
pub(crate) const CHANGES: [&str; 5] = [
    "s3:PutBucketEncryption",
    "s3:PutBucketPolicy",
    "iam:UpdateAccountPasswordPolicy",
    "ec2:RevokeSecurityGroupIngress",
    "iam:AttachUserPolicy",
];

/// An account under enforcement, and the operator's two ways out through proxies of one sequence.
pub(crate) struct Enforced {
    pub(crate) world: World,
    pub(crate) kube: KubeProxy,
    pub(crate) seeded: Seeded,
}

impl Enforced {
    /// [`STATE`] and [`CONTROLS`].
    pub(crate) async fn new() -> Self {
        Self::of(STATE, CONTROLS, "").await
    }

    /// An account, its controls, and more of the baseline's spec; the mode is `Enforce`.
    pub(crate) async fn of(state: &str, controls: &str, more: &str) -> Self {
        Self::on(World::new().await, state, controls, more).await
    }

    /// The same in a world that is there already.
    pub(crate) async fn on(world: World, state: &str, controls: &str, more: &str) -> Self {
        let seeded = world.seed(state).await;
        world.account(&seeded.account_id, ", enforceRoleName: PlumblineEnforce").await;
        world.baseline(controls, &format!(", mode: Enforce{more}")).await;
        let options =
            ProxyOptions { sequence: Some(std::sync::Arc::clone(&world.sequence)), ..ProxyOptions::default() };
        let kube = KubeProxy::start(world.kubeconfig(), options).await.unwrap();
        Self { world, kube, seeded }
    }

    /// The operator, with its switch on.
    pub(crate) fn operator(&self) -> Supervised {
        self.operator_with(&[])
    }

    /// The same with more arguments.
    pub(crate) fn operator_with(&self, more: &[&str]) -> Supervised {
        // The rate of the whole operator is counted over all accounts of the cluster, which all tests share.
        let args = ["--enforce", "--max-changes-per-hour", "100000"];
        let args: Vec<&str> = args.iter().chain(more).copied().collect();
        self.world.start(&self.kube.kubeconfig(self.world.kubeconfig()).unwrap(), &args)
    }

    /// Waits until nothing is left to change and nothing holds anything back.
    pub(crate) async fn quiet(&self) -> AccountBaseline {
        self.world.until("quiet", is_quiet).await
    }

    /// Waits for a reason why changes are held back.
    pub(crate) async fn blocked(&self, reason: &str) -> AccountBaseline {
        let is = |baseline: &AccountBaseline| blocked_by(baseline).is_some_and(|found| found.0 == reason);
        self.world.until(&format!("blocked by {reason}"), is).await
    }

    /// Changes the baseline's spec as `kubectl patch --type merge` does.
    pub(crate) async fn patch(&self, spec: serde_json::Value) -> AccountBaseline {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.baselines().patch(&self.world.id, &PatchParams::default(), &patch).await.unwrap()
    }

    /// Asks for an evaluation and waits for its end.
    pub(crate) async fn look_again(&self, value: &str) -> AccountBaseline {
        let patch = json!({"metadata": {"annotations": {"plumbline.dev/requestedAt": value}}});
        self.baselines().patch(&self.world.id, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        let is = |baseline: &AccountBaseline| {
            let status = baseline.status.as_ref();
            status.is_some_and(|status| status.last_handled_reconcile_at.as_deref() == Some(value))
        };
        self.world.until("evaluated again", is).await
    }

    /// Waits until something is so.
    pub(crate) async fn wait(&self, what: &str, is: impl Fn() -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !is() {
            let now = tokio::time::Instant::now();
            assert!(now < deadline, "not in time: {what}; the operator's log:\n{}", self.world.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn baselines(&self) -> Api<AccountBaseline> {
        Api::all(self.world.client.clone())
    }

    /// The account's records, in the order in which they were claimed.
    pub(crate) async fn records(&self) -> Vec<ChangeRecord> {
        let of_account = ListParams::default().fields(&format!("spec.accountId={}", self.seeded.account_id));
        let mut records = Api::<ChangeRecord>::all(self.world.client.clone()).list(&of_account).await.unwrap().items;
        // In the order of their creation: their times are those of the wall clock, to the second.
        let version = |record: &ChangeRecord| record.resource_version().and_then(|version| version.parse::<u64>().ok());
        records.sort_by_key(|record| (record.spec.claimed_at, version(record)));
        records
    }

    /// The calls that changed AWS, or may have, in order.
    pub(crate) fn changes(&self) -> Vec<AwsCall> {
        let mut calls = self.world.aws.proxy().calls();
        calls.retain(|call| {
            let acted = call.status.is_some_and(|status| status < 300)
                || call.fault.as_deref().is_some_and(|fault| ["HungAfterActing", "DropAnswer"].contains(&fault));
            call.mutating && acted
        });
        calls
    }

    /// The changes by their names.
    pub(crate) fn change_names(&self) -> Vec<String> {
        self.changes().iter().map(|call| format!("{}:{}", call.service, call.operation)).collect()
    }

    /// P3: each change of AWS comes after a record of its own that the API server has committed.
    pub(crate) fn assert_recorded(&self, records: &[ChangeRecord]) {
        let created: Vec<u64> = self.committed().iter().map(|call| call.seq).collect();
        for (number, change) in self.changes().iter().enumerate() {
            let before = created.iter().filter(|seq| **seq < change.seq).count();
            assert!(before > number, "{change:?} came before its record: {created:?}");
        }
        let mut left: BTreeMap<String, usize> = BTreeMap::new();
        for record in records {
            *left.entry(record.spec.operation.clone()).or_default() += 1;
        }
        for name in self.change_names() {
            let of_it = left.get_mut(&name).unwrap_or_else(|| panic!("{name} has no record"));
            *of_it = of_it.checked_sub(1).unwrap_or_else(|| panic!("{name} was called more often than recorded"));
        }
    }

    /// The creations of records that took effect.
    fn committed(&self) -> Vec<KubeCall> {
        let mut calls = self.kube.calls_of("create", "changerecords");
        calls.retain(|call| {
            call.status == Some(201)
                || call.fault.as_deref().is_some_and(|fault| ["HungAfterActing", "DropAnswer"].contains(&fault))
        });
        calls
    }
}

/// What holds changes back: reason and message.
pub(crate) fn blocked_by(baseline: &AccountBaseline) -> Option<(String, String)> {
    let conditions = &baseline.status.as_ref()?.conditions;
    condition(conditions, "EnforcementBlocked").map(|blocked| (blocked.reason.clone(), blocked.message.clone()))
}

fn is_quiet(baseline: &AccountBaseline) -> bool {
    let Some(status) = &baseline.status else { return false };
    let enforced = condition(&status.conditions, "Ready").is_some_and(|ready| {
        ready.reason == "Enforced" && Some(ready.observed_generation) == baseline.metadata.generation
    });
    enforced && blocked_by(baseline).is_none() && status.plan.as_ref().is_some_and(|plan| plan.changes == 0)
}

/// The outcomes of records.
pub(crate) fn outcomes(records: &[ChangeRecord]) -> Vec<(String, String)> {
    let outcome = |record: &ChangeRecord| {
        let status = record.status.as_ref();
        status.and_then(|status| status.outcome.clone()).unwrap_or_else(|| "none".to_owned())
    };
    records.iter().map(|record| (record.spec.operation.clone(), outcome(record))).collect()
}
