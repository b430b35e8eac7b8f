//! YAML text into JSON values that know the line of each of their fields. No IO.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// A node of a YAML document with the line on which it stands.
#[derive(Debug)]
pub(super) struct Node {
    /// 1 is the first line of the text.
    pub(super) line: usize,
    /// What stands there.
    pub(super) content: Content,
}

/// The three shapes of a node. Aliases and merge keys are resolved.
#[derive(Debug)]
pub(super) enum Content {
    /// Null, a boolean, a number or a string.
    Scalar(Value),
    /// A list.
    Seq(Vec<Node>),
    /// Keys with the lines on which they stand, in their order.
    Map(Vec<(String, usize, Node)>),
}

/// A value, and the line of each of its fields by JSON pointer.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) value: Value,
    pub(super) lines: BTreeMap<String, usize>,
}

/// Why a text is no YAML, and on which line.
#[derive(Debug)]
pub(super) struct YamlError {
    pub(super) line: usize,
    pub(super) message: String,
}

/// Reads every document of a text; empty documents are left out.
pub(super) fn documents(text: &str) -> Result<Vec<Node>, YamlError> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| YamlError {
        line: error.location().map_or(1, |location| to_line(location.line())),
        message: first_sentence(&error.to_string()),
    })
}

/// The parser says where in its own words, which would be said twice.
fn first_sentence(message: &str) -> String {
    let message = message.lines().next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let end = message.find(" at line ").unwrap_or(message.len());
    message.get(..end).unwrap_or(message).trim_end_matches([':', ',']).to_owned()
}

fn to_line(line: u64) -> usize {
    usize::try_from(line).unwrap_or(usize::MAX).max(1)
}

impl Node {
    /// The child of a map.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|(name, _, _)| name == key).map(|(_, _, node)| node),
            Content::Scalar(_) | Content::Seq(_) => None,
        }
    }

    /// The text of a child that is a string.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.content {
            Content::Scalar(Value::String(text)) => Some(text),
            Content::Scalar(_) | Content::Seq(_) | Content::Map(_) => None,
        }
    }

    /// Parts value and lines.
    pub(super) fn locate(&self) -> Located {
        let mut lines = BTreeMap::new();
        let value = self.collect(String::new(), self.line, &mut lines);
        Located { value, lines }
    }

    fn collect(&self, pointer: String, line: usize, lines: &mut BTreeMap<String, usize>) -> Value {
        let value = match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::Seq(nodes) => {
                let items = nodes.iter().enumerate();
                items.map(|(index, node)| node.collect(format!("{pointer}/{index}"), node.line, lines)).collect()
            }
            Content::Map(entries) => {
                let mut map = Map::new();
                for (key, line, node) in entries {
                    let pointer = format!("{pointer}/{}", escape(key));
                    map.insert(key.clone(), node.collect(pointer, *line, lines));
                }
                Value::Object(map)
            }
        };
        lines.insert(pointer, line);
        value
    }
}

/// A key as a token of a JSON pointer (RFC 6901).
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Content>::deserialize(deserializer)?;
        Ok(Self { line: to_line(spanned.referenced.line()), content: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Content, E> {
        Ok(Content::Scalar(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Content::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            entries.push((key.value, to_line(key.referenced.line()), map.next_value()?));
        }
        Ok(Content::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(text: &str) -> Vec<Located> {
        documents(text).unwrap().iter().map(Node::locate).collect()
    }

    #[test]
    fn every_field_knows_its_line_also_in_later_documents() {
        let text = "# a comment\na:\n  b: 1\n  c:\n    - x\n    - {y: 2,\n       z/~: 3}\n---\n---\nd: |\n  text\n";
        let found = located(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].value, serde_json::json!({"a": {"b": 1, "c": ["x", {"y": 2, "z/~": 3}]}}));
        let lines = &found[0].lines;
        assert_eq!(["", "/a", "/a/b", "/a/c", "/a/c/0", "/a/c/1", "/a/c/1/y"].map(|p| lines[p]), [2, 2, 3, 4, 5, 6, 6]);
        assert_eq!(lines["/a/c/1/z~1~0"], 7);
        assert_eq!(found[1].lines["/d"], 10);
    }

    #[test]
    fn anchors_and_merge_keys_are_resolved() {
        let found = located("base: &b {x: 1, y: 2}\nuse: *b\nmerged:\n  <<: *b\n  y: 3\n");
        assert_eq!(found[0].value["use"], serde_json::json!({"x": 1, "y": 2}));
        assert_eq!(found[0].value["merged"], serde_json::json!({"x": 1, "y": 3}));
        assert_eq!(found[0].lines["/use"], 2);
    }

    #[test]
    fn scalars_are_read_as_kubectl_reads_them() {
        let found =
            located("a: yes\nb: \"yes\"\nc: 222222222222\nd: ~\ne: 1.5\nf: -1\n1: x\ntrue: z\ng: 012345678901\n");
        let expected = serde_json::json!({
            "a": true, "b": "yes", "c": 222_222_222_222_u64, "d": null, "e": 1.5, "f": -1, "1": "x", "true": "z",
            "g": 12_345_678_901.0
        });
        assert_eq!(
            found[0].value, expected,
            "an account id without quotes is a number, with or without a leading zero"
        );
    }

    #[test]
    fn json_with_tabs_is_read_too() {
        assert_eq!(located("{\n\t\"a\": [\n\t\t1,\n\t\t\"x\"\n\t]\n}\n")[0].value, serde_json::json!({"a": [1, "x"]}));
    }

    #[test]
    fn tags_of_other_tools_are_no_fault() {
        assert_eq!(located("a: !Ref Vpc\nb: !GetAtt [x, y]\n").len(), 1);
    }

    #[test]
    fn what_is_no_yaml_is_said_with_its_line() {
        for (text, line) in [("a: 1\nb: [1, 2\nc: 3\n", 3), ("a: 1\na: 2\n", 2), ("a: 1\n b: 2\n", 2), ("a: \"x\n", 2)]
        {
            let error = documents(text).unwrap_err();
            assert!(error.line.abs_diff(line) <= 1, "{text:?}: {error:?}");
            assert!(!error.message.is_empty() && !error.message.contains(" line "), "{text:?}: {error:?}");
        }
    }
}
