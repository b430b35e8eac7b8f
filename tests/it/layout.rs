//! The repository's own rules: which module may use which, which crates stay out, how long a line is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A module of the crate, the other modules that it may use, and what its code must not name.
struct Layer {
    name: &'static str,
    may_use: &'static [&'static str],
    forbidden: &'static [&'static str],
}

/// Stands for every crate of the AWS SDK.
const AWS: &str = "aws_";

/// How their names begin: `aws_default_policy` is a function of ours.
const AWS_CRATES: [&str; 4] = ["aws_sdk_", "aws_smithy_", "aws_config", "aws_types"];

const CLOCK: [&str; 3] = ["Timestamp::now", "Zoned::now", "SystemTime"];

const LAYERS: &[Layer] = &[
    Layer { name: "api", may_use: &[], forbidden: &["tokio", "kube::Client", "kube::Api", "kube::runtime", AWS] },
    Layer { name: "baseline", may_use: &["api"], forbidden: &["tokio", "kube::", "k8s_openapi", AWS, "async "] },
    Layer { name: "engine", may_use: &["api", "baseline"], forbidden: &["kube::", "k8s_openapi", AWS] },
    Layer { name: "aws", may_use: &["api", "baseline", "engine"], forbidden: &["kube::", "k8s_openapi"] },
    Layer { name: "render", may_use: &["api", "baseline", "engine"], forbidden: &["tokio", "kube::", AWS] },
    Layer { name: "manifests", may_use: &["api"], forbidden: &["tokio", "kube::", AWS] },
    Layer { name: "validate", may_use: &["api", "manifests"], forbidden: &["tokio", "kube::Client", AWS] },
    Layer {
        name: "controller",
        may_use: &["api", "baseline", "engine", "metrics", "server", "settings"],
        forbidden: &[AWS],
    },
    Layer {
        name: "cli",
        may_use: &["api", "baseline", "engine", "render", "manifests", "validate", "telemetry", "settings"],
        forbidden: &[AWS, "kube::"],
    },
    Layer { name: "telemetry", may_use: &[], forbidden: &["kube::", AWS] },
    Layer { name: "metrics", may_use: &["api", "baseline", "engine"], forbidden: &["kube::Client", "kube::Api", AWS] },
    Layer { name: "server", may_use: &["metrics"], forbidden: &[AWS] },
    Layer { name: "settings", may_use: &["api", "server"], forbidden: &[AWS] },
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The module of `src/` that a file belongs to: `src/api.rs` and all below `src/api/` are `api`.
fn layer_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The code of a file, without its comments.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The names that follow `crate::` in a code.
fn uses(code: &str) -> BTreeSet<String> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let names = code.split("crate::").skip(1);
    names.map(|rest| rest.chars().take_while(|character| is_name(*character)).collect()).collect()
}

/// Whether a code names a word, on its own or as the beginning of a path.
fn names(code: &str, word: &str) -> bool {
    if word == AWS {
        return AWS_CRATES.iter().any(|word| names(code, word));
    }
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let bounded = |(index, _): (usize, &str)| {
        let before = code[..index].chars().next_back();
        let after = code[index + word.len()..].chars().next();
        let ends = word.ends_with([':', ' ', '_']) || after.is_none_or(|character| !is_name(character));
        before.is_none_or(|character| !is_name(character) && character != '"' && character != '`') && ends
    };
    code.match_indices(word).any(bounded)
}

/// Everything in the sources that the layout does not allow.
fn violations(path: &Path, code: &str) -> Vec<String> {
    let name = layer_of(path);
    if name == "lib" || name == "main" {
        return Vec::new();
    }
    let Some(layer) = LAYERS.iter().find(|layer| layer.name == name) else {
        return vec![format!("src/{name} is a module of which tests/it/layout.rs does not know what it may use")];
    };
    let mut found = Vec::new();
    for used in uses(code) {
        if used.is_empty() {
            found.push(format!("{}: `use crate::{{...}}`: write one `use` for each module", path.display()));
        } else if used != name && !layer.may_use.contains(&used.as_str()) {
            found.push(format!("{}: {name} must not use crate::{used}", path.display()));
        }
    }
    let pure = matches!(layer.name, "api" | "baseline");
    let clock = if pure { &CLOCK[..] } else { &[] };
    let named = layer.forbidden.iter().chain(clock).filter(|word| names(code, word));
    found.extend(named.map(|word| format!("{}: {name} must not name {word}", path.display())));
    found
}

#[test]
fn dependencies_point_from_the_edges_to_the_core() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    assert!(files.len() > 20, "{files:?}");
    let found: Vec<_> = files.iter().flat_map(|path| violations(path, &code(path))).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_wrong_arrow_is_found() {
    let baseline = root().join("src/baseline/mfa/evaluate.rs");
    let wrong = |path: &Path, code: &str| violations(path, code).len();
    assert_eq!(wrong(&baseline, "use crate::engine::assess;"), 1);
    assert_eq!(wrong(&baseline, "fn f() -> crate::aws::Error {}"), 1);
    assert_eq!(wrong(&baseline, "let now = jiff::Timestamp::now();"), 1);
    assert_eq!(wrong(&baseline, "use tokio::time;\nuse kube::Client;\nuse aws_sdk_iam::Client;"), 3);
    assert_eq!(wrong(&baseline, "use crate::{api, engine};"), 1);
    assert_eq!(wrong(&baseline, "use crate::api::Controls; let kubernetes = \"kube\";"), 0);
    assert_eq!(wrong(&root().join("src/aws/iam.rs"), "use kube::Api;\nuse crate::engine::cloud::Cloud;"), 1);
    assert_eq!(wrong(&root().join("src/controller.rs"), "use crate::aws::Aws;"), 1);
    assert_eq!(wrong(&root().join("src/helpers.rs"), ""), 1);
}

#[test]
fn one_tls_stack_and_one_http_stack() {
    let listed = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--locked", "--offline", "--edges", "normal,build,dev", "--prefix", "none"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let tree = String::from_utf8(listed.stdout).unwrap();
    let packages: BTreeSet<_> = tree.lines().filter_map(|line| line.split_once(" v")).collect();
    assert!(packages.len() > 100, "{packages:?}");
    for (name, version) in packages {
        assert!(!["ring", "openssl-sys", "native-tls"].contains(&name), "{name} {version} is another TLS stack");
        let old = (name == "hyper" && version.starts_with("0.")) || (name == "rustls" && version.starts_with("0.21"));
        assert!(!old, "{name} {version} is another HTTP stack");
    }
}

#[test]
fn lines_fit_on_a_screen() {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().unwrap();
    assert!(listed.status.success());
    // Written by programs: the lock, checksums, the CRDs, and snapshots of tables as wide as they come.
    let generated = ["Cargo.lock", "go.sum", ".snap"];
    let crds = ["crds/", "charts/plumbline/files/crds/"];
    let is_written = |path: &str| {
        generated.iter().any(|end| path.ends_with(end)) || crds.iter().any(|folder| path.starts_with(folder))
    };
    let is_ours = |path: &str| !is_written(path);
    let names = String::from_utf8(listed.stdout).unwrap();
    let mut long = Vec::new();
    for name in names.split('\0').filter(|name| !name.is_empty() && is_ours(name)) {
        let Ok(text) = std::fs::read_to_string(root().join(name)) else { continue };
        let lines = text.lines().enumerate().filter(|(_, line)| line.chars().count() > 120);
        long.extend(lines.map(|(index, _)| format!("{name}:{}", index + 1)));
    }
    assert!(long.is_empty(), "longer than 120 columns: {}", long.join(", "));
}
