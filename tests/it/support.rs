//! What the integration tests stand on: one real control plane and one AWS emulator for all, and for each test a proxy,
//! an account and an operator of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use plumbline::api::{AccountBaseline, AwsAccount, Condition, DriftEntry};
use plumbline_rig::aws_proxy::ProxyOptions;
use plumbline_rig::aws_rig::AwsRig;
use plumbline_rig::controlplane::{ControlPlane, manifests, tools};
use plumbline_rig::release::{Helm, Release};
use plumbline_rig::seed::Seeded;
use plumbline_rig::supervisor::{Program, Supervised};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;

/// The binary under test.
pub(crate) const PLUMBLINE: &str = env!("CARGO_BIN_EXE_plumbline");

/// How long a test waits for something that should take a second; two cores carry all tests at once.
pub(crate) const PATIENCE: Duration = Duration::from_mins(4);

/// The account whose credentials the operator has.
const OPERATORS_ACCOUNT: &str = "111111111111";

/// A file of this repository.
pub(crate) fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The control plane of all tests, with the CRDs and the operator's rights installed.
pub(crate) async fn cluster() -> &'static ControlPlane {
    static READY: OnceCell<&'static ControlPlane> = OnceCell::const_new();
    READY
        .get_or_init(|| async {
            let cluster = ControlPlane::shared().await.unwrap();
            prepare(cluster, &manifests(&file("crds")).unwrap()).await;
            cluster
        })
        .await
}

/// Installs CRDs and the operator's rights.
pub(crate) async fn prepare(cluster: &ControlPlane, crds: &[Value]) {
    cluster.install_crds(crds).await.unwrap();
    let client = cluster.admin_client().await.unwrap();
    // Makes the namespace, too.
    cluster.service_account_kubeconfig("plumbline-system", "plumbline").await.unwrap();
    // As the chart gives them to an operator that enforces; with its roles for people.
    let set = ["--set", "crds.enabled=false,enforcement.enabled=true"];
    for object in Release::rendered(Helm::Four, &set).await.unwrap().objects().iter().cloned() {
        match object["kind"].as_str().unwrap() {
            "ClusterRole" => drop(apply::<ClusterRole>(&client, object).await),
            "ClusterRoleBinding" => drop(apply::<ClusterRoleBinding>(&client, object).await),
            "Role" => drop(apply_in_namespace::<Role>(&client, object).await),
            "RoleBinding" => drop(apply_in_namespace::<RoleBinding>(&client, object).await),
            _ => {}
        }
    }
}

/// Applies an object as `kubectl apply --server-side` would.
pub(crate) async fn apply<K>(client: &Client, object: Value) -> K
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    let params = PatchParams::apply("test").force();
    Api::<K>::all(client.clone()).patch(&name, &params, &Patch::Apply(object)).await.unwrap()
}

/// The same for an object that names its namespace.
async fn apply_in_namespace<K>(client: &Client, object: Value) -> K
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Serialize
        + std::fmt::Debug,
{
    let of = |field: &str| object["metadata"][field].as_str().unwrap().to_owned();
    let (namespace, name) = (of("namespace"), of("name"));
    let params = PatchParams::apply("test").force();
    Api::<K>::namespaced(client.clone(), &namespace).patch(&name, &params, &Patch::Apply(object)).await.unwrap()
}

/// One test's own corner of the world.
pub(crate) struct World {
    pub(crate) aws: AwsRig,
    pub(crate) client: Client,
    /// Starts every name of this test's objects, and is the label of its accounts.
    pub(crate) id: String,
    /// Numbers the calls of all proxies of this test.
    pub(crate) sequence: Arc<AtomicU64>,
    kubeconfig: PathBuf,
    dir: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::on(cluster().await).await
    }

    /// On a control plane that is not everybody's.
    pub(crate) async fn on(cluster: &ControlPlane) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let sequence = Arc::new(AtomicU64::new(0));
        let options = ProxyOptions { sequence: Some(Arc::clone(&sequence)), ..ProxyOptions::default() };
        Self {
            aws: AwsRig::with(options).await.unwrap(),
            sequence,
            client: cluster.admin_client().await.unwrap(),
            id: format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed)),
            kubeconfig: cluster.service_account_kubeconfig("plumbline-system", "plumbline").await.unwrap(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// Makes an AWS account from YAML (`$ACCOUNT` is its id) with the role that the operator assumes.
    pub(crate) async fn seed(&self, yaml: &str) -> Seeded {
        seed(&self.aws, yaml).await
    }

    /// Declares the account in the cluster, by the name of this test, with more fields of the spec as YAML.
    pub(crate) async fn account(&self, account_id: &str, more: &str) -> AwsAccount {
        let yaml = format!(
            "apiVersion: plumbline.dev/v1alpha1\nkind: AwsAccount\n\
             metadata: {{name: {id}, labels: {{test: {id}}}}}\n\
             spec: {{accountId: \"{account_id}\", auditRoleName: PlumblineAudit, externalId: 0f6c9a{more}}}",
            id = self.id,
        );
        apply(&self.client, serde_saphyr::from_str(&yaml).unwrap()).await
    }

    /// Declares a baseline of that account, by the name of this test, with the controls as YAML in flow style.
    pub(crate) async fn baseline(&self, controls: &str, more: &str) -> AccountBaseline {
        let yaml = format!(
            "apiVersion: plumbline.dev/v1alpha1\nkind: AccountBaseline\nmetadata: {{name: {id}}}\n\
             spec: {{accountRef: {{name: {id}}}, controls: {controls}{more}}}",
            id = self.id,
        );
        apply(&self.client, serde_saphyr::from_str(&yaml).unwrap()).await
    }

    /// Starts the operator for the accounts of this test.
    pub(crate) fn operator(&self) -> Supervised {
        self.operator_with(&[])
    }

    /// The kubeconfig of the operator's `ServiceAccount`.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Starts the operator with more arguments.
    pub(crate) fn operator_with(&self, args: &[&str]) -> Supervised {
        self.start(&self.kubeconfig, args)
    }

    /// Starts the operator with another way to the cluster.
    pub(crate) fn operator_by(&self, kubeconfig: &Path) -> Supervised {
        self.start(kubeconfig, &[])
    }

    /// Starts the operator with another way to the cluster and more arguments.
    pub(crate) fn start(&self, kubeconfig: &Path, args: &[&str]) -> Supervised {
        self.launch("operator", kubeconfig, args, &[])
    }

    /// Starts one of several operators, with a log of its own.
    pub(crate) fn start_as(&self, name: &str, kubeconfig: &Path, args: &[&str]) -> Supervised {
        self.launch(name, kubeconfig, args, &[])
    }

    /// Starts the operator with more of an environment.
    pub(crate) fn start_in(&self, kubeconfig: &Path, args: &[&str], variables: &[(&str, &str)]) -> Supervised {
        self.launch("operator", kubeconfig, args, variables)
    }

    fn launch(&self, name: &str, kubeconfig: &Path, args: &[&str], variables: &[(&str, &str)]) -> Supervised {
        let program = Program::new(PLUMBLINE, self.dir.path().join(format!("{name}.log")))
            .args(["controller", "--selector", &format!("test={}", self.id)])
            .args(["--metrics-bind-address", "127.0.0.1:0", "--health-probe-bind-address", "127.0.0.1:0"])
            .args(args)
            .clear_env();
        let environment = self.aws.environment(OPERATORS_ACCOUNT);
        let program = environment.into_iter().fold(program, |program, (name, value)| program.env(name, value));
        let program = program.env("KUBECONFIG", kubeconfig).env("PLUMBLINE_LOG", "info,plumbline=debug");
        variables.iter().fold(program, |program, (name, value)| program.env(name, value)).start().unwrap()
    }

    /// Starts the operator as the Deployment of a release says.
    pub(crate) fn start_release(&self, release: &Release, kubeconfig: &Path) -> Supervised {
        let program = release.program(Path::new(PLUMBLINE), self.dir.path()).unwrap();
        let environment = self.aws.environment(OPERATORS_ACCOUNT);
        let program = environment.into_iter().fold(program, |program, (name, value)| program.env(name, value));
        program.env("KUBECONFIG", kubeconfig).start().unwrap()
    }

    /// What the operator logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("operator.log")).unwrap_or_default()
    }

    /// Where the operator serves `metrics` or `probes`, as it said in its log.
    pub(crate) async fn served(&self, what: &str) -> String {
        served(&self.dir.path().join("operator.log"), what).await
    }

    /// The baseline of this test as it stands.
    pub(crate) async fn stored(&self) -> AccountBaseline {
        Api::all(self.client.clone()).get(&self.id).await.unwrap()
    }

    /// Waits until the baseline of this test is as it should be.
    pub(crate) async fn until(&self, what: &str, is: impl Fn(&AccountBaseline) -> bool) -> AccountBaseline {
        self.until_object::<AccountBaseline>(what, is).await
    }

    /// Waits until the account of this test is as it should be.
    pub(crate) async fn until_account(&self, what: &str, is: impl Fn(&AwsAccount) -> bool) -> AwsAccount {
        self.until_object::<AwsAccount>(what, is).await
    }

    /// Waits until this generation of the baseline was evaluated.
    pub(crate) async fn evaluated(&self, generation: i64) -> AccountBaseline {
        let seen = |baseline: &AccountBaseline| {
            let ready = condition(&baseline.status.clone().unwrap_or_default().conditions, "Ready").cloned();
            ready.is_some_and(|ready| ready.status == "True" && ready.observed_generation == generation)
        };
        self.until("evaluated", seen).await
    }

    async fn until_object<K>(&self, what: &str, is: impl Fn(&K) -> bool) -> K
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
    {
        self.until_named(&self.id, what, is).await
    }

    /// Waits until an object of this name is as it should be.
    pub(crate) async fn until_named<K>(&self, name: &str, what: &str, is: impl Fn(&K) -> bool) -> K
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
    {
        let api = Api::<K>::all(self.client.clone());
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let object = api.get(name).await.unwrap();
            if is(&object) {
                return object;
            }
            if tokio::time::Instant::now() > deadline {
                let name = object.name_any();
                let object = serde_json::to_string_pretty(&object).unwrap();
                let calls: Vec<String> = self.aws.proxy().calls().iter().map(|call| format!("{call:?}")).collect();
                let (log, calls) = (self.log(), calls.join("\n"));
                panic!("{name} is not {what} in time: {object}\nThe operator's log:\n{log}\nCalls:\n{calls}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Where an operator serves `metrics` or `probes`, as it said in its log.
pub(crate) async fn served(log: &Path, what: &str) -> String {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let log = std::fs::read_to_string(log).unwrap_or_default();
        let mark = format!("what=\"{what}\" address=");
        let mut lines = log.lines().rev().filter_map(|line| line.split_once(&mark));
        if let Some((_, rest)) = lines.next() {
            return format!("http://{}", rest.split_whitespace().next().unwrap());
        }
        assert!(tokio::time::Instant::now() < deadline, "{what} are not served; the operator's log:\n{log}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// AWS alone, for what needs no cluster.
pub(crate) struct Aws {
    pub(crate) rig: AwsRig,
    dir: tempfile::TempDir,
}

impl Aws {
    pub(crate) async fn new() -> Self {
        Self { rig: AwsRig::start().await.unwrap(), dir: tempfile::tempdir().unwrap() }
    }

    /// Makes an AWS account from YAML (`$ACCOUNT` is its id) with the role that is assumed.
    pub(crate) async fn seed(&self, yaml: &str) -> Seeded {
        seed(&self.rig, yaml).await
    }

    /// Writes a file for the command line to read.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Runs the binary to its end, with credentials that may assume roles.
    pub(crate) fn plumbline(&self, args: &[&str]) -> Output {
        self.plumbline_as(OPERATORS_ACCOUNT, args)
    }

    /// Runs the binary to its end in a region of another partition, with the credentials of a user there.
    pub(crate) fn plumbline_in(&self, partition: &str, region: &str, account_id: &str, args: &[&str]) -> Output {
        let key = format!("AKIA{}{account_id}", partition.replace('-', "").to_uppercase());
        self.rig.proxy().register_key(&key, account_id, &format!("arn:{partition}:iam::{account_id}:user/operator"));
        let mut command = Command::new(PLUMBLINE);
        command.args(args).env_clear().envs(self.rig.environment(account_id));
        command.env("AWS_ACCESS_KEY_ID", key).env("AWS_REGION", region).output().unwrap()
    }

    /// Runs the binary to its end, with the credentials of an account.
    pub(crate) fn plumbline_as(&self, account_id: &str, args: &[&str]) -> Output {
        Command::new(PLUMBLINE).args(args).env_clear().envs(self.rig.environment(account_id)).output().unwrap()
    }
}

async fn seed(rig: &AwsRig, yaml: &str) -> Seeded {
    let role = |name: &str| format!("{{name: {name}, externalId: 0f6c9a}}");
    let roles = format!("[{}, {}]", role("PlumblineAudit"), role("PlumblineEnforce"));
    let yaml = format!("accountId: \"$ACCOUNT\"\nroles: {roles}\n{yaml}");
    rig.seed(&yaml).await.unwrap()
}

/// Runs kubectl as the administrator of the cluster.
pub(crate) async fn kubectl(args: &[&str]) -> Output {
    let kubectl = tools().await.unwrap().join("kubectl");
    let kubeconfig = cluster().await.admin_kubeconfig();
    tokio::process::Command::new(kubectl).env("KUBECONFIG", kubeconfig).args(args).output().await.unwrap()
}

/// A condition by its name.
pub(crate) fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.r#type == kind)
}

/// Status and reason of a baseline's condition.
pub(crate) fn verdict(baseline: &AccountBaseline, kind: &str) -> Option<(String, String)> {
    let conditions = &baseline.status.as_ref()?.conditions;
    condition(conditions, kind).map(|condition| (condition.status.clone(), condition.reason.clone()))
}

/// The drift of a check.
pub(crate) fn drift<'a>(baseline: &'a AccountBaseline, check: &str) -> Vec<&'a DriftEntry> {
    baseline.status.as_ref().unwrap().drift.iter().filter(|entry| entry.check == check).collect()
}
