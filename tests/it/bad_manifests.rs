//! The table of bad manifests, `manifests/bad.yaml`, as whole objects: one table for `plumbline validate` and for the
//! API server.

use serde::Deserialize;
use serde_json::Value;

const GOOD: &str = include_str!("manifests/good.yaml");
const BAD: &str = include_str!("manifests/bad.yaml");

/// One bad manifest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// What is wrong, in words.
    pub(crate) name: String,
    /// The kind of the object.
    kind: String,
    /// A merge patch of the good object's spec.
    patch: Value,
    /// Where it is reported.
    pub(crate) field: String,
    /// A part of what is said.
    pub(crate) message: String,
    /// The patch is an edit of the good object, and only refused as such.
    #[serde(default)]
    pub(crate) update: bool,
}

impl Row {
    /// The good object of the row's kind.
    pub(crate) fn base(&self) -> Value {
        let is_base = |object: &Value| object["kind"] == self.kind.as_str() && object["metadata"]["name"] == "base";
        good().into_iter().find(is_base).expect("good.yaml has a base of the kind")
    }

    /// The bad object.
    pub(crate) fn manifest(&self) -> Value {
        let mut manifest = self.base();
        merge(&mut manifest["spec"], &self.patch);
        manifest
    }
}

/// Every good manifest.
pub(crate) fn good() -> Vec<Value> {
    serde_saphyr::from_multiple(GOOD).expect("good.yaml is YAML")
}

/// Every bad manifest.
pub(crate) fn rows() -> Vec<Row> {
    serde_saphyr::from_str(BAD).expect("bad.yaml is a list of rows")
}

/// A JSON merge patch (RFC 7386).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().expect("made one above").remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}
