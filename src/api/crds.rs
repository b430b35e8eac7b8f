//! The CRDs made from the types: kube's derivation, and what it cannot say put right. No IO.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::{AccountBaseline, AwsAccount};

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
    [AwsAccount::crd(), AccountBaseline::crd()].into_iter().map(finish).collect()
}

fn finish(crd: CustomResourceDefinition) -> Result<Value, serde_json::Error> {
    let mut crd = serde_json::to_value(crd)?;
    if let Some(schema) = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        clean(schema);
        if let Some(status) = schema.pointer_mut("/properties/status").and_then(Value::as_object_mut) {
            // kstatus reads a fresh object as not yet current only if the generation it speaks of differs.
            status.insert("default".to_owned(), json!({"observedGeneration": -1}));
        }
    }
    Ok(crd)
}

/// Removes what the API server would warn about or store as null: `nullable` of an `Option`, formats of unsigned
/// integers, defaults of a status.
fn clean(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.remove("nullable");
            if map.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
                map.remove("format");
            }
            map.values_mut().for_each(clean);
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
