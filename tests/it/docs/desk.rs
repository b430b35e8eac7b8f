//! Where a reader of the documentation sits: a cluster of one's own, two AWS accounts, a checkout, and the programs
//! that the pages use. Does IO.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use plumbline_rig::aws_rig::AwsRig;
use plumbline_rig::controlplane::{ControlPlane, tools};
use tokio::process::Command;

use super::blocks::{Block, blocks};
use super::release::{Kubelet, Node};
use crate::support::{PATIENCE, PLUMBLINE, file};

/// The accounts of the examples, as the demo has them.
const ACCOUNTS: [&str; 2] = ["tests/demo/payments-prod.yaml", "tests/demo/analytics-dev.yaml"];

/// Whose credentials a profile has. The default one is whom the operator and the platform team are.
const PROFILES: [(&str, &str); 4] = [
    ("default", "111111111111"),
    ("management", "111111111111"),
    ("payments-prod", "222222222222"),
    ("analytics-dev", "333333333333"),
];

const OPERATORS_ACCOUNT: &str = "111111111111";

/// What is on the desk before a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begins {
    /// A cluster with nothing of Plumbline, accounts with nothing of Plumbline.
    WithNothing,
    /// The operator, and accounts that do not know of it.
    WithOperator,
    /// The operator with `--enforce`, roles in both accounts, `examples/` applied and evaluated.
    Installed,
}

/// One reader's desk.
pub(super) struct Desk {
    aws: AwsRig,
    cluster: Arc<ControlPlane>,
    dir: tempfile::TempDir,
    /// `bin` of the AWS command line.
    awscli: PathBuf,
    _kubelet: Kubelet,
}

impl Desk {
    pub(super) async fn new(begins: Begins) -> Self {
        let (cluster, aws) = tokio::join!(ControlPlane::start(), AwsRig::own());
        let (cluster, aws) = (Arc::new(cluster.unwrap()), aws.unwrap());
        for account in ACCOUNTS {
            seed(&aws, account, begins).await;
        }
        let dir = tempfile::tempdir().unwrap();
        checkout(dir.path());
        credentials(&aws, dir.path());
        let mut environment = aws.environment(OPERATORS_ACCOUNT);
        environment.push(("PLUMBLINE_LOG", "info,plumbline=debug".to_owned()));
        let node = Node { cluster: Arc::clone(&cluster), environment, dir: dir.path().to_owned() };
        let desk = Self { aws, cluster, dir, awscli: awscli().await, _kubelet: node.watch().await };
        desk.identity().await;
        if begins != Begins::WithNothing {
            desk.install().await;
        }
        if begins == Begins::Installed {
            desk.declare().await;
        }
        desk
    }

    /// The operator's own role. On EKS docs/install.md makes it, by commands that are not run here.
    async fn identity(&self) {
        let trust = r#"{"Version": "2012-10-17", "Statement": []}"#;
        let role = "--role-name plumbline --assume-role-policy-document";
        self.run_text(&format!("aws iam create-role {role} '{trust}' >role.json")).await;
    }

    /// What docs/install.md comes to.
    async fn install(&self) {
        let install = "helm install plumbline charts/plumbline --namespace plumbline-system --create-namespace";
        self.run_text(&format!("{install} --set enforcement.enabled=true")).await;
    }

    /// What docs/onboarding.md comes to.
    async fn declare(&self) {
        let wait = "kubectl wait accountbaselines --all --for=condition=Ready --timeout=180s";
        self.run_text(&format!("kubectl apply -f examples/\n{wait}")).await;
    }

    /// Runs a page's commands as one shell would, and says which line was the last.
    pub(super) async fn run(&self, page: &str) {
        let run: Vec<Block> = blocks(&file(page)).into_iter().filter(is_run).collect();
        let script = |block: &Block| format!("printf '\\n--- {page}:{}\\n' >&2\n{}\n", block.line, commands(block));
        self.run_text(&run.iter().map(script).collect::<String>()).await;
    }

    async fn run_text(&self, script: &str) {
        let output = self.dir.path().join("output");
        let writes = || Stdio::from(std::fs::File::options().append(true).create(true).open(&output).unwrap());
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", script]).current_dir(self.checkout()).env_clear();
        shell.envs(self.environment().await).stdin(Stdio::null()).stdout(writes()).stderr(writes()).kill_on_drop(true);
        let status = tokio::time::timeout(PATIENCE, shell.status()).await;
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let (said, log) = (read(&output), read(&self.dir.path().join("operator.log")));
        match status {
            Ok(status) if status.as_ref().unwrap().success() => {}
            ended => panic!("{ended:?}\n{}\nThe operator's log:\n{}", tail(&said, 6000), tail(&log, 4000)),
        }
    }

    fn checkout(&self) -> PathBuf {
        self.dir.path().join("plumbline")
    }

    async fn environment(&self) -> Vec<(String, String)> {
        let home = self.dir.path().display();
        let program = Path::new(PLUMBLINE).parent().unwrap().display();
        let kubectl = tools().await.unwrap();
        let system = std::env::var("PATH").unwrap();
        let path = format!("{program}:{}:{}:{system}", kubectl.display(), self.awscli.display());
        let own = [
            ("HOME", home.to_string()),
            ("PATH", path),
            ("KUBECONFIG", self.cluster.admin_kubeconfig().display().to_string()),
            ("AWS_SHARED_CREDENTIALS_FILE", format!("{home}/credentials")),
            ("AWS_CONFIG_FILE", format!("{home}/config")),
            ("AWS_ENDPOINT_URL", self.aws.proxy().url()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_PAGER", String::new()),
        ];
        own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Whether a block is run here.
pub(super) fn is_run(block: &Block) -> bool {
    block.not_run.is_none()
}

/// The commands, which end well where they end as the page says.
fn commands(block: &Block) -> String {
    let Block { text, exits, .. } = block;
    if *exits == 0 { text.clone() } else { format!("{{\n{text}\n}} || [ $? = {exits} ]") }
}

/// Makes an account. Its roles are what a page is to make, unless everything is installed: IAM has none then. The
/// proxy, which judges who may assume a role by what it was told, knows them from the beginning.
async fn seed(aws: &AwsRig, path: &str, begins: Begins) {
    let yaml = std::fs::read_to_string(file(path)).unwrap();
    let without = |yaml: &str| yaml.lines().filter(|line| !line.starts_with("roles:")).collect::<Vec<_>>().join("\n");
    if begins == Begins::Installed {
        drop(aws.seed(&yaml).await.unwrap());
        return;
    }
    let seeded = aws.seed(&without(&yaml)).await.unwrap();
    let role =
        |name: &str| plumbline_rig::aws_proxy::Role { name: name.to_owned(), external_id: Some("0f6c9a".to_owned()) };
    aws.proxy().change(&seeded.account_id, |account| {
        account.roles = ["PlumblineAudit", "PlumblineEnforce"].map(role).to_vec();
    });
}

/// A folder that looks like a checkout; what commands write beside it goes nowhere else.
fn checkout(dir: &Path) {
    let checkout = dir.join("plumbline");
    std::fs::create_dir(&checkout).unwrap();
    for entry in std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != ".git" {
            std::os::unix::fs::symlink(entry.path(), checkout.join(entry.file_name())).unwrap();
        }
    }
}

fn credentials(aws: &AwsRig, dir: &Path) {
    let keys = PROFILES.map(|(name, account)| {
        let key = aws.proxy().key_of(account);
        format!("[{name}]\naws_access_key_id = {key}\naws_secret_access_key = not-checked\n")
    });
    std::fs::write(dir.join("credentials"), keys.concat()).unwrap();
    let regions = PROFILES.map(|(name, _)| match name {
        "default" => "[default]\nregion = us-east-1\n".to_owned(),
        name => format!("[profile {name}]\nregion = us-east-1\n"),
    });
    std::fs::write(dir.join("config"), regions.concat()).unwrap();
}

/// Installs the AWS command line where it is missing.
async fn awscli() -> PathBuf {
    let output =
        Command::new(file("tests/python/install")).arg("awscli").stderr(Stdio::inherit()).output().await.unwrap();
    assert!(output.status.success(), "the AWS command line cannot be installed, see above");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()).join("bin")
}

fn tail(text: &str, bytes: usize) -> String {
    let kept: Vec<char> = text.chars().rev().take(bytes).collect();
    kept.into_iter().rev().collect()
}
