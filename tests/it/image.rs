//! The image, as a registry would have it, and the operator out of it: no daemon is needed, see `tests/image/build`.
//! `make image` runs these tests.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use plumbline_rig::supervisor::Program;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::support::{World, file, verdict};

/// What an image may weigh in a registry, all layers compressed.
const MOST_BYTES: u64 = 40 << 20;

/// What the binary may weigh: a dependency that doubles it is to be noticed.
const MOST_BYTES_OF_BINARY: u64 = 60 << 20;

/// The folder with `oci/` and `rootfs/`, built by the first who asks.
async fn image() -> &'static Path {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let build = || async {
        let output = tokio::process::Command::new(file("tests/image/build")).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
    };
    BUILT.get_or_init(build).await
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn blob(image: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().unwrap();
    image.join("oci/blobs").join(digest.replace(':', "/"))
}

fn manifest(image: &Path) -> Value {
    json(&blob(image, &json(&image.join("oci/index.json"))["manifests"][0]))
}

#[tokio::test]
#[ignore = "builds the release for minutes; `make image` runs it"]
async fn the_image_is_small_has_no_shell_and_runs_as_a_user_by_number() {
    let image = image().await;
    let manifest = manifest(image);
    let layers = manifest["layers"].as_array().unwrap();
    let weight: u64 = layers.iter().map(|layer| layer["size"].as_u64().unwrap()).sum();
    assert!(weight > 0 && weight < MOST_BYTES, "{weight} bytes in {} layers", layers.len());

    let config = json(&blob(image, &manifest["config"]))["config"].clone();
    assert_eq!(config["User"], "65532:65532", "a name would not do: the kubelet cannot tell that it is not root");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/usr/local/bin/plumbline"]));
    assert_eq!(config["Cmd"], serde_json::json!(["controller"]));
    let label = |name: &str| config["Labels"][format!("org.opencontainers.image.{name}")].clone();
    assert_eq!((label("title"), label("licenses")), ("plumbline".into(), "Apache-2.0".into()));
    assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(label("revision").as_str().map(str::len), Some(40), "{config}");

    let rootfs = image.join("rootfs");
    for shell in ["bin/sh", "bin/bash", "usr/bin/sh", "usr/bin/env", "bin/busybox"] {
        assert!(!rootfs.join(shell).exists(), "{shell} is in the image");
    }
    assert!(rootfs.join("licenses/plumbline").exists());
    let binary = std::fs::read(rootfs.join("usr/local/bin/plumbline")).unwrap();
    let bytes = u64::try_from(binary.len()).unwrap();
    assert!(bytes > 0 && bytes < MOST_BYTES_OF_BINARY, "the binary has {bytes} bytes");
    let has = |word: &[u8]| binary.windows(word.len()).any(|window| window == word);
    assert!(has(b".dep-v0\0"), "no list of crates for scanners: build it with `cargo auditable`");
}

#[tokio::test]
#[ignore = "builds the release for minutes; `make image` runs it"]
async fn the_image_knows_the_time_zones() {
    let root = image().await.join("rootfs");
    let validate = |zone: &str| {
        let manifest = format!(
            "apiVersion: plumbline.dev/v1alpha1\nkind: AccountBaseline\nmetadata: {{name: a}}\n\
             spec:\n  accountRef: {{name: a}}\n  controls: {{passwordPolicy: {{minimumPasswordLength: 14}}}}\n  \
             enforcement: {{windows: [{{days: [Mon], start: \"22:00\", duration: 4h, timeZone: {zone}}}]}}\n"
        );
        let mut command = Command::new("chroot");
        command.args(["--userspec=65532:65532"]).arg(&root).args(["/usr/local/bin/plumbline", "validate", "-f", "-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), [output.stdout, output.stderr].map(|out| String::from_utf8(out).unwrap()).concat())
    };
    let (code, said) = validate("Europe/Berlin");
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = validate("Europe/Atlantis");
    assert!(code == Some(1) && said.contains("no time zone"), "{code:?}: {said}");
}

#[tokio::test]
#[ignore = "builds the release for minutes; `make image` runs it"]
async fn the_operator_of_the_image_judges_an_account_with_nothing_but_what_the_image_has() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 8}").await;
    world.account(&seeded.account_id, "").await;
    world.baseline("{passwordPolicy: {minimumPasswordLength: 14}}", "").await;

    // The root of the process is a folder of its own, so that it may hold the kubeconfig beside the image.
    let root = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-a").arg(image().await.join("rootfs/.")).arg(root.path()).status().unwrap();
    assert!(copied.success());
    std::fs::copy(world.kubeconfig(), root.path().join("kubeconfig")).unwrap();
    let readable = Command::new("chmod").args(["-R", "a+rX"]).arg(root.path()).status().unwrap();
    assert!(readable.success());

    let program = Program::new("chroot", root.path().join("tmp/operator.log"))
        .args(["--userspec=65532:65532"])
        .args([root.path()])
        .args(["/usr/local/bin/plumbline", "controller", "--selector", &format!("test={}", world.id)])
        .args(["--metrics-bind-address", "127.0.0.1:0", "--health-probe-bind-address", "127.0.0.1:0"])
        .clear_env();
    let environment = world.aws.environment("111111111111");
    let program = environment.into_iter().fold(program, |program, (name, value)| program.env(name, value));
    let path = std::env::var_os("PATH").unwrap();
    let _operator = program.env("KUBECONFIG", "/kubeconfig").env("PATH", path).start().unwrap();
    let baseline = world.evaluated(1).await;
    assert_eq!(verdict(&baseline, "Compliant"), Some(("False".into(), "DriftDetected".into())));
}
