//! The CRDs made from the types: kube's derivation, and what it cannot say put right. No IO.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use super::{AccountBaseline, AwsAccount, BaselineException, ChangeRecord, PlanApproval};

/// The API group of all kinds.
pub const GROUP: &str = "plumbline.dev";

/// The version of all kinds.
pub const VERSION: &str = "v1alpha1";

/// The CRDs, in the order in which they are best installed, as `crds/` holds them.
///
/// # Errors
///
/// If a derived schema is not JSON, which would be a fault of the types.
pub fn crds() -> Result<Vec<Value>, serde_json::Error> {
    [AwsAccount::crd(), AccountBaseline::crd(), BaselineException::crd(), PlanApproval::crd(), ChangeRecord::crd()]
        .into_iter()
        .map(finish)
        .collect()
}

fn finish(crd: CustomResourceDefinition) -> Result<Value, serde_json::Error> {
    let mut crd = serde_json::to_value(crd)?;
    let is_record = crd.pointer("/spec/names/kind").is_some_and(|kind| kind == "ChangeRecord");
    if let Some(schema) = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        each_node(schema, &mut clean);
        if is_record {
            finish_record(schema);
        }
        if let Some(status) = schema.pointer_mut("/properties/status") {
            // Status is written whole: a default would only say what nobody observed.
            each_node(status, &mut |node| drop(node.remove("default")));
            each_node(status, &mut require_keys);
            // kstatus reads a fresh object as not yet current only if the generation it speaks of differs. A record has
            // one generation, and no status until its outcome is known.
            if let (Some(status), false) = (status.as_object_mut(), is_record) {
                status.insert("default".to_owned(), json!({"observedGeneration": -1}));
            }
        }
    }
    Ok(crd)
}

/// A record is written whole, by this program: a default would add to what was recorded. Its outcome is written once,
/// by a rule on the whole, because one on the field is not asked where the field, or all of status, is taken away.
fn finish_record(schema: &mut Value) {
    each_node(schema, &mut |node| drop(node.remove("default")));
    if let Some(schema) = schema.as_object_mut() {
        let rule = json!({
            "rule": "!has(oldSelf.status) || !has(oldSelf.status.outcome) || (has(self.status) && \
                     has(self.status.outcome) && self.status.outcome == oldSelf.status.outcome)",
            "message": "the outcome of a ChangeRecord is written once, and neither changed nor removed",
        });
        schema.insert("x-kubernetes-validations".to_owned(), json!([rule]));
    }
}

/// The API server demands the keys of a list that is a map.
fn require_keys(node: &mut Map<String, Value>) {
    let keys = node.get("x-kubernetes-list-map-keys").and_then(Value::as_array).cloned();
    let items = node.get_mut("items").and_then(Value::as_object_mut);
    if let (Some(mut keys), Some(items)) = (keys, items) {
        let required = items.entry("required").or_insert_with(|| json!([])).as_array_mut();
        if let Some(required) = required {
            keys.retain(|key| !required.contains(key));
            required.append(&mut keys);
        }
    }
}

/// Calls `f` with every schema in a schema, the outermost first.
fn each_node(schema: &mut Value, f: &mut impl FnMut(&mut Map<String, Value>)) {
    let Value::Object(node) = schema else { return };
    f(node);
    for keyword in ["items", "additionalProperties"] {
        if let Some(child) = node.get_mut(keyword) {
            each_node(child, f);
        }
    }
    if let Some(properties) = node.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(|property| each_node(property, f));
    }
}

/// Removes what the API server would warn about or store as null (`nullable` of an `Option`, formats of unsigned
/// integers), and the line breaks of a doc comment, which `kubectl explain` would print where they are.
fn clean(node: &mut Map<String, Value>) {
    node.remove("nullable");
    if let Some(values) = node.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
    if node.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
        node.remove("format");
    }
    if let Some(Value::String(description)) = node.get_mut("description") {
        *description = description.split("\n\n").map(one_line).collect::<Vec<_>>().join("\n\n");
    }
}

fn one_line(paragraph: &str) -> String {
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
