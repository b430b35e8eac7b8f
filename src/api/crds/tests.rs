//! What every field of the CRDs owes its users and the API server.

use super::*;

/// A schema with the path of its field.
fn walk<'a>(path: &str, node: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    found.push((path.to_owned(), node));
    if let Some(items) = node.get("items") {
        walk(&format!("{path}[]"), items, found);
    }
    for (name, property) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, found);
    }
}

fn nodes(crds: &[Value], part: &str) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for crd in crds {
        let kind = crd["spec"]["names"]["kind"].as_str().unwrap();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part];
        let mut found = Vec::new();
        walk(&format!("{kind}.{part}"), schema, &mut found);
        all.extend(found.into_iter().map(|(path, node)| (path, node.clone())));
    }
    assert!(all.len() > 20, "{part} has only {} fields", all.len());
    all
}

/// Its spec is written by this program, and nobody else.
const WRITTEN_BY_US: &str = "ChangeRecord.";

/// The fields of the specs that users write.
fn written_by_users(crds: &[Value]) -> Vec<(String, Value)> {
    nodes(crds, "spec").into_iter().filter(|(path, _)| !path.starts_with(WRITTEN_BY_US)).collect()
}

fn has_rule(node: &Value) -> bool {
    node["x-kubernetes-validations"].as_array().is_some_and(|rules| !rules.is_empty())
}

#[test]
fn every_field_is_described_in_whole_lines() {
    let crds = crds().unwrap();
    for (path, node) in [nodes(&crds, "spec"), nodes(&crds, "status")].concat() {
        let is_plain = path.contains(".status") || path.starts_with(WRITTEN_BY_US);
        if path.ends_with("[]") && node["type"] == "string" && is_plain {
            continue;
        }
        let description = node["description"].as_str().unwrap_or_default();
        assert!(description.len() > 10, "{path} has no description");
        assert!(description.ends_with('.'), "{path}: {description}");
        assert!(!description.replace("\n\n", "").contains('\n'), "{path}: {description}");
    }
}

#[test]
fn every_value_of_an_enum_is_explained_on_its_field() {
    for (path, node) in nodes(&crds().unwrap(), "spec") {
        for value in node["enum"].as_array().into_iter().flatten() {
            let value = value.as_str().unwrap();
            assert!(node["description"].as_str().unwrap().contains(&format!("`{value}`")), "{path}: {value}");
        }
    }
}

#[test]
fn every_string_that_users_write_has_a_length_and_a_shape_and_an_example() {
    for (path, node) in written_by_users(&crds().unwrap()) {
        let is_enum = node.get("enum").is_some();
        if node["type"] != "string" || is_enum {
            continue;
        }
        assert!(node["maxLength"].is_u64(), "{path} has no maxLength");
        assert!(node.get("pattern").is_some() || has_rule(&node), "{path} has no shape");
        assert!(node["description"].as_str().unwrap().contains("Example"), "{path} has no example");
    }
}

#[test]
fn every_string_of_a_record_has_a_length_because_aws_names_things_as_it_likes() {
    for (path, node) in nodes(&crds().unwrap(), "spec") {
        let is_free = node["type"] == "string" && node.get("format").is_none();
        assert!(!path.starts_with(WRITTEN_BY_US) || !is_free || node["maxLength"].is_u64(), "{path} has no maxLength");
    }
}

#[test]
fn every_number_that_users_write_has_a_range_and_an_example() {
    for (path, node) in written_by_users(&crds().unwrap()) {
        if node["type"] == "integer" {
            assert!(has_rule(&node), "{path} has no range");
            assert!(node["description"].as_str().unwrap().contains("Example"), "{path} has no example");
        }
    }
}

#[test]
fn every_list_has_a_type_and_those_of_users_a_maximum() {
    let crds = crds().unwrap();
    for (path, node) in nodes(&crds, "spec").into_iter().filter(|(_, node)| node["type"] == "array") {
        assert!(node["maxItems"].is_u64(), "{path} has no maxItems");
        let list_type = node["x-kubernetes-list-type"].as_str().unwrap_or_default();
        // A set of objects breaks every server-side apply; what AWS said is kept as it was said.
        let is_atomic = node["items"]["type"] == "object" || path.starts_with(WRITTEN_BY_US);
        let expected = if is_atomic { "atomic" } else { "set" };
        assert_eq!(list_type, expected, "{path}");
    }
    for (path, node) in nodes(&crds, "status").into_iter().filter(|(_, node)| node["type"] == "array") {
        assert!(node["x-kubernetes-list-type"].is_string(), "{path} has no list type");
        for key in node["x-kubernetes-list-map-keys"].as_array().into_iter().flatten() {
            let required = node["items"]["required"].as_array().unwrap();
            assert!(required.contains(key), "{path}: the API server demands that {key} is required");
        }
    }
}

#[test]
fn every_rule_has_a_message() {
    for (path, node) in nodes(&crds().unwrap(), "spec") {
        for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let message = rule["message"].as_str().unwrap_or_default();
            assert!(message.len() > 20, "{path}: {rule}");
            assert!(!message.contains("  ") && !message.contains('\n'), "{path}: {message:?}");
        }
    }
}

#[test]
fn nothing_is_nullable_of_an_unknown_format_or_defaulted_inside_a_list() {
    let crds = crds().unwrap();
    for (path, node) in [nodes(&crds, "spec"), nodes(&crds, "status")].concat() {
        assert!(node.get("nullable").is_none(), "{path} is nullable");
        let format = node["format"].as_str().unwrap_or("int32");
        assert!(["int32", "int64", "date-time"].contains(&format), "{path} has the format {format}");
        let of_user = path.contains(".spec.") && !path.starts_with(WRITTEN_BY_US);
        let allowed = !path.contains("[]") && (of_user || path.ends_with(".status"));
        assert!(node.get("default").is_none() || allowed, "{path} has a default");
    }
}

#[test]
fn status_refuses_no_value_that_a_future_version_may_write() {
    for (path, node) in nodes(&crds().unwrap(), "status") {
        for keyword in ["enum", "pattern", "maxLength", "minLength", "maxItems", "maximum", "minimum"] {
            assert!(node.get(keyword).is_none(), "{path} has {keyword}");
        }
        assert!(!has_rule(&node), "{path} has a rule");
    }
}

#[test]
fn a_fresh_object_speaks_of_no_generation_and_a_fresh_record_has_no_status() {
    for crd in crds().unwrap() {
        let status = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
        if crd["spec"]["names"]["kind"] == "ChangeRecord" {
            assert!(status.get("default").is_none() && status.get("required").is_none(), "{status}");
            continue;
        }
        assert_eq!(status["default"], json!({"observedGeneration": -1}));
        let required = status["required"].as_array();
        assert!(required.is_none_or(|required| required == &[json!("observedGeneration")]), "{required:?}");
    }
}

#[test]
fn p3_a_record_is_immutable_and_its_outcome_is_written_once() {
    let record = crds().unwrap().pop().unwrap();
    assert_eq!(record["spec"]["names"]["kind"], "ChangeRecord");
    let schema = &record["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let rules = |node: &Value| node["x-kubernetes-validations"].to_string();
    assert!(rules(&schema["properties"]["spec"]).contains("self == oldSelf"));
    assert!(rules(schema).contains("self.status.outcome == oldSelf.status.outcome"));
}
