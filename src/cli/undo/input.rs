//! From the text of `-f` to one `ChangeRecord`: a manifest as `kubectl get -o yaml` prints it, or the log of an
//! operator, which has each record as a line of JSON. Reads a file, no more.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::api::ChangeRecord;
use crate::manifests::{self, Kind, Manifests, Problem};
use crate::validate::{SchemaError, Validation};

/// Why the text gives no record.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The file.
    #[error("cannot read {0}")]
    Read(String, #[source] std::io::Error),
    /// What it holds is no valid record.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Problem>),
    /// It holds none.
    #[error("{0} holds no ChangeRecord: name a manifest of one, or a log of the operator")]
    None(String),
    /// It holds others.
    #[error("{file} holds no ChangeRecord {wanted}, but {}", found.join(", "))]
    Others {
        /// The file.
        file: String,
        /// The one that is asked for.
        wanted: String,
        /// Those that it holds.
        found: Vec<String>,
    },
    /// It holds several, and none is asked for.
    #[error("{file} holds {} ChangeRecords: name the one that is meant, `plumbline undo RECORD -f {file}`: {}",
        found.len(), found.join(", "))]
    Several {
        /// The file.
        file: String,
        /// Those that it holds.
        found: Vec<String>,
    },
    /// The schemas of this binary.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// Reads the record that is asked for, or the only one.
pub(super) fn read(path: &Path, wanted: Option<&str>, stdin: &mut dyn Read) -> Result<ChangeRecord, InputError> {
    let file = if path.as_os_str() == "-" { "<stdin>".to_owned() } else { path.display().to_string() };
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        stdin.read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(path).map(|read| bytes = read)
    };
    read.map_err(|error| InputError::Read(file.clone(), error))?;
    choose(&file, records(&file, &String::from_utf8_lossy(&bytes))?, wanted)
}

/// The records of a text by name; of one that is there twice, as in a log, the last, which has the outcome.
fn records(file: &str, text: &str) -> Result<BTreeMap<String, ChangeRecord>, InputError> {
    let validation = Validation::new()?;
    let mut whole = manifests::parse(file, text);
    whole.documents.retain(|document| document.kind == Kind::ChangeRecord);
    if !whole.documents.is_empty() {
        return valid(&validation, &whole);
    }
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| line.trim_start().starts_with('{')) {
        for json in serde_json::from_str(line).iter().filter_map(embedded) {
            let mut one = manifests::parse(file, &json);
            one.documents.retain(|document| document.kind == Kind::ChangeRecord);
            found.extend(valid(&validation, &one)?);
        }
    }
    Ok(found)
}

/// The text of the record that a line of JSON is or, as a line of a log, holds in its field `record`.
fn embedded(line: &Value) -> Option<String> {
    let is_record = |value: &Value| value.get("kind").is_some_and(|kind| kind == Kind::ChangeRecord.as_str());
    if is_record(line) {
        return Some(line.to_string());
    }
    let record = match line.get("record").or_else(|| line.pointer("/fields/record"))? {
        Value::String(text) => serde_json::from_str(text).ok()?,
        other => other.clone(),
    };
    is_record(&record).then(|| record.to_string())
}

fn valid(validation: &Validation, manifests: &Manifests) -> Result<BTreeMap<String, ChangeRecord>, InputError> {
    let objects = validation.objects(manifests).map_err(InputError::Invalid)?;
    let records = objects.records.into_iter().map(|declared| declared.object);
    Ok(records.map(|record| (record.metadata.name.clone().unwrap_or_default(), record)).collect())
}

fn choose(
    file: &str,
    mut records: BTreeMap<String, ChangeRecord>,
    wanted: Option<&str>,
) -> Result<ChangeRecord, InputError> {
    let found: Vec<String> = records.keys().cloned().collect();
    let file = file.to_owned();
    match (wanted, found.as_slice()) {
        (_, []) => Err(InputError::None(file)),
        (None, [only]) => records.remove(only).ok_or(InputError::None(file)),
        (None, _) => Err(InputError::Several { file, found }),
        (Some(wanted), _) => {
            let wanted = wanted.to_owned();
            records.remove(&wanted).ok_or(InputError::Others { file, wanted, found })
        }
    }
}
