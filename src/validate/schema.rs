//! The schema of a CRD as JSON Schema, and its errors in the words of the API server. No IO.
//!
//! Stricter than the API server in one thing: it drops unknown fields unless the client asks otherwise, and a field
//! that is silently dropped is a check that is silently not made.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value, json};

use crate::manifests::escape;

/// A compiled schema.
pub(super) struct Schema {
    validator: Validator,
    schema: Value,
}

/// What is wrong with one field.
pub(super) struct Fault {
    /// The field as a JSON pointer.
    pub(super) pointer: String,
    /// What is wrong with it.
    pub(super) message: String,
}

impl Schema {
    /// Translates and compiles the `openAPIV3Schema` of a CRD.
    pub(super) fn new(schema: &Value) -> Result<Self, String> {
        let mut schema = schema.clone();
        translate(&mut schema);
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            // The API server knows these without being told.
            properties.insert("apiVersion".to_owned(), json!({"type": "string"}));
            properties.insert("kind".to_owned(), json!({"type": "string"}));
            properties.insert("metadata".to_owned(), metadata());
        }
        if let Some(required) = schema.as_object_mut() {
            required.insert("required".to_owned(), json!(["apiVersion", "kind", "metadata", "spec"]));
        }
        let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
        let validator = options.build(&schema).map_err(|error| error.to_string())?;
        Ok(Self { validator, schema })
    }

    /// Every fault of an object.
    pub(super) fn faults(&self, object: &Value) -> Vec<Fault> {
        self.validator.iter_errors(object).flat_map(|error| self.faults_of(&error)).collect()
    }

    fn faults_of(&self, error: &ValidationError<'_>) -> Vec<Fault> {
        let pointer = error.instance_path().to_string();
        let value = error.instance();
        let fault = |pointer: String, message: String| vec![Fault { pointer, message }];
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let known = self.known_fields(error.schema_path().as_str());
                let unknown = |field: &String| {
                    let pointer = format!("{pointer}/{}", escape(field));
                    Fault { message: format!("unknown field \"{field}\": known here are {known}"), pointer }
                };
                unexpected.iter().map(unknown).collect()
            }
            ValidationErrorKind::Required { property } => {
                let property = property.as_str().unwrap_or_default();
                fault(format!("{pointer}/{}", escape(property)), "Required value: add it".to_owned())
            }
            ValidationErrorKind::Type { kind } => {
                let hint = quote_hint(kind, value);
                fault(pointer, format!("must be of type {}: \"{}\"{hint}", expected(kind), type_of(value)))
            }
            ValidationErrorKind::Enum { options } => {
                let options: Vec<_> = options.as_array().into_iter().flatten().map(ToString::to_string).collect();
                fault(pointer, format!("Unsupported value: {value}: supported values: {}", options.join(", ")))
            }
            ValidationErrorKind::UniqueItems => twins(&pointer, value),
            ValidationErrorKind::MaxLength { limit } => {
                fault(pointer, format!("Too long: may not be more than {limit} bytes"))
            }
            ValidationErrorKind::MinLength { limit } => {
                fault(pointer, format!("should be at least {limit} chars long: write something, or remove the field"))
            }
            ValidationErrorKind::MaxItems { limit } => {
                let count = value.as_array().map_or(0, Vec::len);
                fault(pointer, format!("Too many: {count}: must have at most {limit} items"))
            }
            ValidationErrorKind::MinItems { limit } => {
                fault(pointer, format!("should have at least {limit} items: add one, or remove the field"))
            }
            _ => fault(pointer, format!("Invalid value: {error}")),
        }
    }

    /// The fields that exist beside an unknown one, from the path of the keyword that refused it.
    fn known_fields(&self, keyword: &str) -> String {
        let parent = keyword.rsplit_once('/').map_or("", |(parent, _)| parent);
        let properties = self.schema.pointer(&format!("{parent}/properties")).and_then(Value::as_object);
        properties.into_iter().flat_map(Map::keys).map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// What JSON Schema says in other words than a CRD: both kinds of scalars for an int-or-string, unknown fields refused,
/// sets without duplicates. The rest is the same, or unknown to JSON Schema and ignored.
fn translate(schema: &mut Value) {
    let Some(node) = schema.as_object_mut() else { return };
    if node.get("x-kubernetes-int-or-string").is_some_and(|flag| flag == true) {
        node.remove("anyOf");
        node.insert("type".to_owned(), json!(["integer", "string"]));
    }
    if node.contains_key("properties") && !node.contains_key("additionalProperties") {
        node.insert("additionalProperties".to_owned(), json!(false));
    }
    if node.get("x-kubernetes-list-type").is_some_and(|list_type| list_type == "set") {
        node.insert("uniqueItems".to_owned(), json!(true));
    }
    if let Some(items) = node.get_mut("items") {
        translate(items);
    }
    if let Some(properties) = node.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(translate);
    }
}

/// What matters of `ObjectMeta`, which a CRD leaves out because the API server knows it.
fn metadata() -> Value {
    let strings = json!({"type": "object", "additionalProperties": {"type": "string"}});
    json!({
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "labels": strings, "annotations": strings},
    })
}

fn expected(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(several) => several.iter().map(|one| one.to_string()).collect::<Vec<_>>().join(" or "),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// YAML reads `222222222222` and `yes` as something else than a text: the way out is worth a word.
fn quote_hint(kind: &TypeKind, value: &Value) -> &'static str {
    let wants_text = expected(kind).contains("string");
    match value {
        Value::Number(_) | Value::Bool(_) if wants_text => "; write it in quotes",
        Value::String(_) if !wants_text => "; write it without quotes",
        Value::Null => "; write a value, or remove the field",
        _ => "",
    }
}

fn twins(pointer: &str, list: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut seen = Vec::new();
    for (index, item) in list.as_array().into_iter().flatten().enumerate() {
        if seen.contains(&item) {
            let message = format!("Duplicate value: {item}: remove one");
            faults.push(Fault { pointer: format!("{pointer}/{index}"), message });
        }
        seen.push(item);
    }
    faults
}
