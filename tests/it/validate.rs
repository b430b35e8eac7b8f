//! `plumbline validate` over the table of bad manifests, and what it says where nothing can be judged.

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;

use crate::bad_manifests::{good, rows};

fn plumbline() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plumbline"));
    command.env_remove("PLUMBLINE_LOG").env_remove("PLUMBLINE_LOG_FORMAT").env("NO_COLOR", "1");
    command
}

fn validate(path: &Path) -> Output {
    plumbline().arg("validate").arg("-f").arg(path).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The line of a file is the field's own, or, where the field is missing, that of what should hold it.
fn is_line_of(line: &str, field: &str) -> bool {
    if field.ends_with(']') {
        return line.trim_start().starts_with('-');
    }
    let mut parents = field.rsplit('.').map(|name| name.split('[').next().unwrap_or(name));
    let (own, parent) = (parents.next().unwrap_or_default(), parents.next().unwrap_or_default());
    line.contains(&format!("{own}:")) || line.contains(&format!("{parent}:")) || line.trim_start().starts_with('-')
}

#[test]
fn pw_08_pw_16_every_bad_manifest_is_refused_with_file_line_and_what_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<_> = rows().into_iter().filter(|row| !row.update).collect();
    let mut manifests = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let mut manifest = row.manifest();
        manifest["metadata"]["name"] = format!("row-{index}").into();
        let manifest = serde_saphyr::to_string(&manifest).unwrap();
        std::fs::write(folder.path().join(format!("{index:03}.yaml")), &manifest).unwrap();
        manifests.push(manifest);
    }
    let output = validate(folder.path());
    let said = text(&output.stderr);
    let mut wrong = Vec::new();
    for (index, (row, manifest)) in rows.iter().zip(&manifests).enumerate() {
        let prefix = format!("{}:", folder.path().join(format!("{index:03}.yaml")).display());
        let problems: Vec<_> = said.lines().filter_map(|line| line.strip_prefix(&prefix)).collect();
        let (line, problem) = problems.first().and_then(|problem| problem.split_once(": ")).unwrap_or_default();
        let line = line.parse::<usize>().ok().and_then(|line| manifest.lines().nth(line - 1)).unwrap_or_default();
        let is_right = problems.len() == 1
            && problem.starts_with(&format!("{}: ", row.field))
            && problem.contains(&row.message)
            && is_line_of(line, &row.field);
        if !is_right {
            wrong.push(format!("{}: {problems:?} at {line:?}", row.name));
        }
    }
    assert!(wrong.is_empty(), "{} rows are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(said.ends_with(&format!("error: {0} problems in {0} files\n", rows.len())), "{said}");
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
}

#[test]
fn every_good_manifest_passes_and_each_bad_row_has_a_name_of_its_own() {
    let output = validate(&repository().join("tests/it/manifests/good.yaml"));
    let warnings: Vec<_> = text(&output.stderr).lines().collect();
    assert!(warnings.iter().all(|line| line.contains("spec.expiresAt: it ended at ")), "{warnings:?}");
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert_eq!(
        text(&output.stdout),
        "valid: 3 AwsAccounts, 6 AccountBaselines, 3 BaselineExceptions, 1 PlanApproval and 2 ChangeRecords\n"
    );
    assert!(output.status.success());
    assert_eq!(good().len(), 15);
    let mut names: Vec<_> = rows().into_iter().map(|row| row.name).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn the_examples_pass_without_a_warning() {
    let output = validate(&repository().join("examples"));
    // The example of an exception ends one day, and may be read after it. Beside manifests there are templates.
    let expected = |line: &str| line.contains("spec.expiresAt: it ended") || line.starts_with("note: left out");
    let said: Vec<_> = text(&output.stderr).lines().filter(|line| !expected(line)).collect();
    assert_eq!((said, output.status.code()), (Vec::new(), Some(0)));
    assert!(text(&output.stdout).starts_with("valid: "));
}

#[test]
fn the_preset_is_valid_as_it_is_printed() {
    let preset = plumbline().args(["preset", "cis"]).output().unwrap();
    let output = plumbline().args(["validate", "-f", "-"]).write_stdin(preset.stdout).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).starts_with("warning: <stdin>:10: spec.accountRef.name: no AwsAccount \"my-account\"")
    );
}

#[test]
fn what_cannot_be_judged_gets_one_sentence_and_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.yaml");
    std::fs::write(&file, "kind: ConfigMap\napiVersion: v1\n").unwrap();
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let cases = [
        (folder.path().join("missing.yaml"), "error: cannot read ", "No such file"),
        (
            file,
            "error: ",
            "holds no AwsAccount, AccountBaseline or BaselineException: name the files that declare them",
        ),
        (empty, "error: ", "holds no .yaml, .yml or .json file"),
    ];
    for (path, start, part) in cases {
        let output = validate(&path);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.starts_with(start) && said.contains(part) && said.contains(path.to_str().unwrap()), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn wrong_usage_is_64_and_help_is_no_error() {
    for args in [&["validate"][..], &["validat"], &[], &["checks", "-o", "html"], &["--log-level", "p=loud", "version"]]
    {
        let output = plumbline().args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
    for args in [&["--help"][..], &["--version"], &["version"], &["validate", "--help"], &["completion", "bash"]] {
        let output = plumbline().args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    use std::process::Stdio;
    let binary = env!("CARGO_BIN_EXE_plumbline");
    let mut child =
        std::process::Command::new(binary).arg("crd").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}
