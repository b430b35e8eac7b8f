//! `values.yaml` into the table of the chart's README, and `values.schema.json` held against both.

use serde_json::Value;

use crate::generated::assert_section;
use crate::support::file;

fn values() -> (String, Value) {
    let text = std::fs::read_to_string(file("charts/plumbline/values.yaml")).unwrap();
    let values = serde_saphyr::from_str(&text).unwrap();
    (text, values)
}

/// The comments that begin with `# --`, by the path of the value that they stand above.
fn comments(text: &str) -> Vec<(String, String)> {
    let (mut parents, mut found, mut comment) = (Vec::<(usize, String)>::new(), Vec::new(), String::new());
    for line in text.lines() {
        let trimmed = line.trim_start();
        if let Some(begun) = trimmed.strip_prefix("# -- ") {
            begun.clone_into(&mut comment);
        } else if let (Some(more), false) = (trimmed.strip_prefix("# "), comment.is_empty()) {
            comment = format!("{comment} {more}");
        } else if let Some((key, _)) = trimmed.split_once(':') {
            let indent = line.len() - trimmed.len();
            parents.retain(|(parent, _)| *parent < indent);
            parents.push((indent, key.to_owned()));
            if !comment.is_empty() {
                let path: Vec<_> = parents.iter().map(|(_, key)| key.as_str()).collect();
                found.push((path.join("."), std::mem::take(&mut comment)));
            }
        }
    }
    found
}

fn at<'a>(values: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(values, |value, key| value.get(key))
}

#[test]
fn the_readme_has_every_value_with_its_default_and_its_comment() {
    let (text, values) = values();
    let comments = comments(&text);
    let mut table = "| Value | Default | Meaning |\n| --- | --- | --- |".to_owned();
    for (path, comment) in &comments {
        let default = at(&values, path).unwrap_or_else(|| panic!("{path} is no value"));
        let row = format!("\n| `{path}` | `{default}` | {} |", comment.replace('|', "\\|"));
        table.push_str(&row);
    }
    let mut bare = Vec::new();
    leaves("", &values, &mut |path| {
        let covered = |(known, _): &(String, String)| path == known || path.starts_with(&format!("{known}."));
        if !comments.iter().any(covered) {
            bare.push(path.to_owned());
        }
    });
    assert!(bare.is_empty(), "values without a comment: {bare:?}");
    assert_section("charts/plumbline/README.md", "values", &table);
}

fn leaves(path: &str, value: &Value, each: &mut impl FnMut(&str)) {
    match value.as_object().filter(|fields| !fields.is_empty()) {
        Some(fields) => {
            for (key, value) in fields {
                leaves(&if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value, each);
            }
        }
        None => each(path),
    }
}

#[test]
fn the_schema_knows_every_value_and_no_other() {
    let schema = std::fs::read_to_string(file("charts/plumbline/values.schema.json")).unwrap();
    let mut schema: Value = serde_json::from_str(&schema).unwrap();
    let properties = schema["properties"].as_object_mut().unwrap();
    // What a parent chart adds.
    for of_parents in ["global", "enabled"] {
        assert!(properties.remove(of_parents).is_some(), "{of_parents}");
    }
    let mut closed = 0;
    compare("", &schema, &values().1, &mut closed);
    assert!(closed > 15, "{closed}");
}

fn compare(path: &str, schema: &Value, values: &Value, closed: &mut u32) {
    let (Some(known), Some(values)) = (schema["properties"].as_object(), values.as_object()) else { return };
    assert_eq!(schema["additionalProperties"], false, "{path}");
    *closed += 1;
    let names = |fields: &serde_json::Map<String, Value>| {
        let mut names: Vec<_> = fields.keys().cloned().collect();
        names.sort();
        names
    };
    assert_eq!(names(known), names(values), "{path}");
    for (key, schema) in known {
        compare(&format!("{path}.{key}"), schema, &values[key], closed);
    }
}
