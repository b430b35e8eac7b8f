//! Files and folders into the documents of Plumbline's kinds that they hold, each with file and lines. Reads files.
//!
//! What is not Plumbline's is left out and counted: a GitOps folder holds anything. What means to be Plumbline's and is
//! not readable, or of a kind or version that does not exist, is a [`Problem`], never left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::api::{GROUP, VERSION};

mod yaml;

pub(crate) use yaml::escape;
use yaml::{Content, Node};

/// The kinds that files may declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the kinds' own names")]
pub enum Kind {
    AwsAccount,
    AccountBaseline,
    BaselineException,
    PlanApproval,
    ChangeRecord,
}

/// One object as a file declares it.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file's path as it was reached, `<stdin>` for standard input.
    pub file: String,
    /// The line on which the document begins, counted from 1.
    pub line: usize,
    /// Its kind; the version is the one that this binary knows.
    pub kind: Kind,
    /// The whole object.
    pub value: Value,
    lines: BTreeMap<String, usize>,
}

/// One thing that is wrong, or doubtful, with a manifest. Prints as `file:line: path: message`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file's path.
    pub file: String,
    /// The line of the field, counted from 1.
    pub line: usize,
    /// The field, such as `spec.controls.mfa.users.scope`. Empty where the document as a whole is meant.
    pub path: String,
    /// What is wrong, and what to change.
    pub message: String,
}

/// Everything that was found.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    /// The objects of Plumbline's kinds, in the order of the files.
    pub documents: Vec<Document>,
    /// Files that are no YAML, kinds and versions that do not exist.
    pub problems: Vec<Problem>,
    /// How many documents of other kinds were left out, by kind.
    pub ignored: BTreeMap<String, usize>,
}

/// Why nothing could be loaded at all.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A path does not exist or may not be read.
    #[error("cannot read {path}")]
    Read {
        /// The path as it was given or reached.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A folder has no file that could be a manifest.
    #[error("{0} holds no .yaml, .yml or .json file")]
    EmptyFolder(String),
}

impl Kind {
    /// All kinds, in the order in which they are best applied.
    pub const ALL: [Self; 5] =
        [Self::AwsAccount, Self::AccountBaseline, Self::BaselineException, Self::PlanApproval, Self::ChangeRecord];

    /// The name as in `kind:`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwsAccount => "AwsAccount",
            Self::AccountBaseline => "AccountBaseline",
            Self::BaselineException => "BaselineException",
            Self::PlanApproval => "PlanApproval",
            Self::ChangeRecord => "ChangeRecord",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl Document {
    fn new(file: &str, kind: Kind, node: &Node) -> Self {
        let located = node.locate();
        Self { file: file.to_owned(), line: node.line, kind, value: located.value, lines: located.lines }
    }

    /// In one folder it is a slip, in two it is how repositories for several clusters are laid out.
    fn is_copy_of(&self, other: &Self) -> bool {
        let folder = |file: &str| Path::new(file).parent().map(Path::to_owned);
        self.kind == other.kind
            && !self.name().is_empty()
            && self.value == other.value
            && folder(&self.file) != folder(&other.file)
    }

    /// `metadata.name`; empty where there is none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
    }

    /// The line of the field that a JSON pointer names, or of the nearest one around it that stands in the file.
    #[must_use]
    pub fn line_of(&self, pointer: &str) -> usize {
        let mut pointer = pointer;
        loop {
            if let Some(line) = self.lines.get(pointer) {
                return *line;
            }
            match pointer.rsplit_once('/') {
                Some((parent, _)) => pointer = parent,
                None => return self.line,
            }
        }
    }

    /// A problem with the field that a JSON pointer names.
    #[must_use]
    pub fn problem(&self, pointer: &str, message: impl Into<String>) -> Problem {
        let (file, line) = (self.file.clone(), self.line_of(pointer));
        Problem { file, line, path: dotted(pointer), message: message.into() }
    }
}

/// A JSON pointer in the API server's way: `/spec/ports/0` becomes `spec.ports[0]`.
fn dotted(pointer: &str) -> String {
    let mut path = String::new();
    for token in pointer.split('/').skip(1) {
        if token.bytes().all(|byte| byte.is_ascii_digit()) && !path.is_empty() {
            path.extend(["[", token, "]"]);
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&token.replace("~1", "/").replace("~0", "~"));
        }
    }
    path
}

/// Loads files, folders (`*.yaml`, `*.yml` and `*.json` in them, at any depth, hidden ones left out) and, for `-`, what
/// `stdin` holds. A file that is reached twice is read once.
///
/// # Errors
///
/// If a path cannot be read, or a folder has no file to read. What is wrong inside files is in
/// [`Manifests::problems`].
pub fn load(paths: &[PathBuf], stdin: &mut dyn Read) -> Result<Manifests, ManifestError> {
    let mut manifests = Manifests::default();
    let mut seen = BTreeSet::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            stdin.read_to_end(&mut bytes).map_err(|source| failed(Path::new("standard input"), source))?;
            manifests.add("<stdin>", &bytes);
            continue;
        }
        let metadata = std::fs::metadata(path).map_err(|source| failed(path, source))?;
        let mut files = Vec::new();
        if metadata.is_dir() {
            collect(path, &mut files)?;
            if files.is_empty() {
                return Err(ManifestError::EmptyFolder(path.display().to_string()));
            }
        } else {
            files.push(path.clone());
        }
        for file in files {
            if seen.insert(std::fs::canonicalize(&file).map_err(|source| failed(&file, source))?) {
                let bytes = std::fs::read(&file).map_err(|source| failed(&file, source))?;
                manifests.add(&file.display().to_string(), &bytes);
            }
        }
    }
    manifests.merge_copies();
    manifests.refuse_twins();
    Ok(manifests)
}

/// The documents of one text, which messages call `file`.
#[must_use]
pub fn parse(file: &str, text: &str) -> Manifests {
    let mut manifests = Manifests::default();
    manifests.add(file, text.as_bytes());
    manifests.refuse_twins();
    manifests
}

fn failed(path: &Path, source: std::io::Error) -> ManifestError {
    ManifestError::Read { path: path.display().to_string(), source }
}

/// The manifests below a folder, sorted. Links to files are followed (a mounted ConfigMap consists of them), links to
/// folders are not, or a loop of them would never end.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), ManifestError> {
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = entries.map_err(|source| failed(folder, source))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let is_folder = entry.file_type().map_err(|source| failed(&path, source))?.is_dir();
        if is_folder {
            collect(&path, files)?;
        } else if path.is_file() && has_manifest_extension(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn has_manifest_extension(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml" || extension == "json")
}

impl Manifests {
    fn add(&mut self, file: &str, bytes: &[u8]) {
        let problem = |line, message| Problem { file: file.to_owned(), line, path: String::new(), message };
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let line = 1 + bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count();
                return self.problems.push(problem(line, "is not UTF-8 text".to_owned()));
            }
        };
        match yaml::documents(text) {
            Ok(nodes) => nodes.iter().for_each(|node| self.add_node(file, node)),
            Err(error) => self.problems.push(problem(error.line, format!("is not valid YAML: {}", error.message))),
        }
    }

    fn add_node(&mut self, file: &str, node: &Node) {
        let (version, kind) = (node.text("apiVersion").unwrap_or_default(), node.text("kind").unwrap_or_default());
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let is_list = (group.is_empty() && kind == "List") || (group == GROUP && kind.ends_with("List"));
        if let (true, Some(Content::Seq(items))) = (is_list, node.get("items").map(|items| &items.content)) {
            return items.iter().for_each(|item| self.add_node(file, item));
        }
        if group != GROUP {
            let kind = if kind.is_empty() { "no kind" } else { kind };
            *self.ignored.entry(kind.to_owned()).or_default() += 1;
            return;
        }
        let known = Kind::ALL.into_iter().find(|known| known.as_str() == kind);
        let document = Document::new(file, known.unwrap_or(Kind::AwsAccount), node);
        match known {
            Some(_) if version == VERSION => self.documents.push(document),
            Some(_) => self.problems.push(document.problem(
                "/apiVersion",
                format!("{GROUP} has no version \"{version}\" here: write apiVersion: {GROUP}/{VERSION}"),
            )),
            None => self.problems.push(document.problem(
                "/kind",
                format!("{GROUP} has no kind \"{kind}\" here: it has {}", Kind::ALL.map(Kind::as_str).join(", ")),
            )),
        }
    }

    /// What stands in the same words in the folders of two clusters is one object, and stays once.
    fn merge_copies(&mut self) {
        let mut kept: Vec<Document> = Vec::new();
        for document in std::mem::take(&mut self.documents) {
            if !kept.iter().any(|first| document.is_copy_of(first)) {
                kept.push(document);
            }
        }
        self.documents = kept;
    }

    fn refuse_twins(&mut self) {
        let mut seen: BTreeMap<(Kind, &str), &Document> = BTreeMap::new();
        for document in self.documents.iter().filter(|document| !document.name().is_empty()) {
            if let Some(first) = seen.insert((document.kind, document.name()), document) {
                self.problems.push(document.problem(
                    "/metadata/name",
                    format!(
                        "{} \"{}\" is declared twice: {}:{} has it too; remove or rename one",
                        document.kind,
                        document.name(),
                        first.file,
                        first.line_of("/metadata/name")
                    ),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_stdin(text: &str) -> Manifests {
        load(&[PathBuf::from("-")], &mut text.as_bytes()).unwrap()
    }

    const ACCOUNT: &str = "apiVersion: plumbline.dev/v1alpha1\nkind: AwsAccount\nmetadata:\n  name: a\n";

    #[test]
    fn other_kinds_are_left_out_and_counted() {
        let text = format!("apiVersion: v1\nkind: ConfigMap\n---\n{ACCOUNT}---\nreplicas: 3\n---\n- 1\n");
        let manifests = from_stdin(&text);
        assert_eq!(manifests.documents.len(), 1);
        assert_eq!(manifests.documents[0].line, 4);
        assert_eq!(manifests.documents[0].line_of("/metadata/name"), 7);
        assert_eq!(manifests.documents[0].line_of("/metadata/labels/x"), 6, "the nearest that exists");
        assert_eq!(manifests.ignored, BTreeMap::from([("ConfigMap".to_owned(), 1), ("no kind".to_owned(), 2)]));
        assert!(manifests.problems.is_empty());
    }

    #[test]
    fn lists_are_unpacked_with_the_lines_of_their_items() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: plumbline.dev/v1alpha1\n  kind: AwsAccount\n  \
                    metadata: {name: a}\n- apiVersion: v1\n  kind: Secret\n";
        let manifests = from_stdin(text);
        assert_eq!((manifests.documents[0].name(), manifests.documents[0].line_of("/metadata/name")), ("a", 6));
        assert_eq!(manifests.ignored["Secret"], 1);
    }

    #[test]
    fn a_kind_or_version_that_does_not_exist_is_no_other_kind() {
        let manifests = from_stdin(
            "apiVersion: plumbline.dev/v1alpha1\nkind: AWSAccount\n---\napiVersion: plumbline.dev/v2\n\
             kind: AwsAccount\n",
        );
        let problems: Vec<_> = manifests.problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 2);
        assert!(problems[0].starts_with("<stdin>:2: kind: plumbline.dev has no kind \"AWSAccount\""), "{problems:?}");
        assert!(problems[1].starts_with("<stdin>:4: apiVersion: "), "{problems:?}");
        assert!(manifests.documents.is_empty());
    }

    #[test]
    fn two_objects_of_one_name_are_refused_naming_both_places() {
        let manifests = from_stdin(&format!("{ACCOUNT}---\n{ACCOUNT}"));
        assert_eq!(
            manifests.problems[0].to_string(),
            "<stdin>:9: metadata.name: AwsAccount \"a\" is declared twice: <stdin>:4 has it too; remove or rename one"
        );
    }

    #[test]
    fn a_copy_in_the_folder_of_another_cluster_is_the_same_object_and_a_changed_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let of = |cluster: &str, text: &str| {
            std::fs::create_dir_all(folder.path().join(cluster)).unwrap();
            std::fs::write(folder.path().join(cluster).join("a.yaml"), text).unwrap();
            load(&[folder.path().to_owned()], &mut std::io::empty()).unwrap()
        };
        of("blue", ACCOUNT);
        let manifests = of("green", &format!("# a comment is no difference\n{ACCOUNT}"));
        assert_eq!((manifests.documents.len(), manifests.problems.len()), (1, 0));
        assert!(manifests.documents[0].file.ends_with("blue/a.yaml"));
        let changed = of("green", &format!("{ACCOUNT}spec: {{suspend: true}}\n"));
        assert!(changed.problems[0].to_string().contains("is declared twice"), "{:?}", changed.problems);
        let within = of("green", &format!("{ACCOUNT}---\n{ACCOUNT}"));
        assert_eq!(within.documents.len(), 1, "both are copies of the first");
    }

    #[test]
    fn folders_are_read_at_any_depth_and_each_file_once() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("b/c");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::create_dir_all(folder.path().join(".git")).unwrap();
        std::fs::write(folder.path().join("notes.txt"), "{{{").unwrap();
        std::fs::write(folder.path().join(".git/x.yaml"), "{{{").unwrap();
        std::fs::write(deep.join("a.yml"), ACCOUNT).unwrap();
        std::fs::write(folder.path().join("z.json"), "{\"kind\": \"x\"}").unwrap();
        let paths = [folder.path().to_owned(), deep.join("a.yml")];
        let manifests = load(&paths, &mut std::io::empty()).unwrap();
        assert_eq!(manifests.documents.len(), 1);
        assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
        assert_eq!(manifests.ignored.len(), 1);
    }

    #[test]
    fn a_path_that_is_not_there_and_a_folder_without_manifests_are_errors() {
        let missing = load(&[PathBuf::from("/nonexistent/x.yaml")], &mut std::io::empty()).unwrap_err();
        assert_eq!(missing.to_string(), "cannot read /nonexistent/x.yaml");
        let folder = tempfile::tempdir().unwrap();
        let empty = load(&[folder.path().to_owned()], &mut std::io::empty()).unwrap_err();
        assert!(empty.to_string().ends_with("holds no .yaml, .yml or .json file"));
    }

    #[test]
    fn broken_yaml_and_text_that_is_not_utf_8_are_said_with_their_line() {
        let broken = from_stdin("a: 1\n b: 2\n").problems.remove(0).to_string();
        assert!(broken.starts_with("<stdin>:2: is not valid YAML: "), "{broken}");
        let mut bytes: &[u8] = b"a: 1\nb: \xff\n";
        let binary = load(&[PathBuf::from("-")], &mut bytes).unwrap();
        assert_eq!(binary.problems[0].to_string(), "<stdin>:2: is not UTF-8 text");
    }
}
