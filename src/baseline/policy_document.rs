//! From the text of an IAM or bucket policy to its statements. No IO.
//!
//! Every element may be one value or a list of values. A shape that AWS does not document is an error, never a guess:
//! a statement that was misread could turn a gap into a pass.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>

pub mod pattern;

use serde_json::{Map, Value};

/// A policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyDocument {
    /// The statements in their order, which has no meaning.
    pub statements: Vec<Statement>,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// `Sid`
    pub sid: Option<String>,
    /// `Effect`
    pub effect: Effect,
    /// `Principal` or `NotPrincipal`; absent in policies of identities.
    pub principal: Option<Among<Principals>>,
    /// `Action` or `NotAction`: patterns, compared without regard to case.
    pub action: Among<Vec<String>>,
    /// `Resource` or `NotResource`: patterns, compared exactly; absent in trust policies.
    pub resource: Option<Among<Vec<String>>>,
    /// `Condition`: all of them must hold.
    pub conditions: Vec<Condition>,
}

/// `Effect`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the policy language's own words")]
pub enum Effect {
    Allow,
    Deny,
}

/// An element, or the same with `Not` before its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Among<T> {
    /// The statement speaks of these.
    These(T),
    /// The statement speaks of all but these.
    AllBut(T),
}

/// Whom a statement of a resource's policy speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principals {
    /// `"*"`, or `"*"` among the `AWS` principals, which in a resource's policy means the same.
    pub everyone: bool,
    /// `AWS`: account ids and ARNs.
    pub aws: Vec<String>,
    /// `Service`: names of services.
    pub services: Vec<String>,
    /// `Federated` and `CanonicalUser`.
    pub others: Vec<String>,
}

/// One condition: a key compared with values, one of which must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Such as `BoolIfExists`; AWS compares it without regard to case.
    pub operator: String,
    /// Such as `aws:SecureTransport`; AWS compares it without regard to case.
    pub key: String,
    /// Strings; booleans and numbers as JSON writes them.
    pub values: Vec<String>,
}

/// Why a text is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It is no JSON.
    #[error("the policy is not JSON")]
    Json(#[source] serde_json::Error),
    /// It has an element that the grammar does not know, or of a type that it does not know there.
    #[error("the policy's {element} is {problem}")]
    Shape {
        /// The element's name.
        element: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

fn shape(element: &str, problem: &'static str) -> PolicyError {
    PolicyError::Shape { element: element.chars().take(64).collect(), problem }
}

impl PolicyDocument {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// Where the text is no JSON, or has a shape that AWS does not document.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        Self::from_json(&serde_json::from_str(text).map_err(PolicyError::Json)?)
    }

    /// The same from JSON that was read already.
    ///
    /// # Errors
    ///
    /// Where the shape is one that AWS does not document.
    pub fn from_json(json: &Value) -> Result<Self, PolicyError> {
        let document = json.as_object().ok_or_else(|| shape("document", "no object"))?;
        only_known(document, &["Version", "Id", "Statement"])?;
        let statements = match document.get("Statement") {
            Some(Value::Array(statements)) => statements.iter().map(statement).collect::<Result<_, _>>()?,
            Some(single) => vec![statement(single)?],
            None => return Err(shape("Statement", "missing")),
        };
        Ok(Self { statements })
    }
}

impl Statement {
    /// Whether the statement speaks of an action of this name.
    #[must_use]
    pub fn includes_action(&self, action: &str) -> bool {
        let action = action.to_ascii_lowercase();
        let listed =
            |patterns: &[String]| patterns.iter().any(|listed| pattern::matches(&listed.to_ascii_lowercase(), &action));
        match &self.action {
            Among::These(patterns) => listed(patterns),
            Among::AllBut(patterns) => !listed(patterns),
        }
    }
}

fn only_known(object: &Map<String, Value>, known: &[&str]) -> Result<(), PolicyError> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(unknown) => Err(shape(unknown, "no element that the policy language knows there")),
        None => Ok(()),
    }
}

fn statement(json: &Value) -> Result<Statement, PolicyError> {
    let object = json.as_object().ok_or_else(|| shape("Statement", "neither an object nor a list of objects"))?;
    only_known(
        object,
        &["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"],
    )?;
    Ok(Statement {
        sid: object.get("Sid").map(|sid| text("Sid", sid)).transpose()?,
        effect: match object.get("Effect").and_then(Value::as_str) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => return Err(shape("Effect", "neither Allow nor Deny")),
        },
        principal: among(object, "Principal", "NotPrincipal", principals)?,
        action: among(object, "Action", "NotAction", patterns)?.ok_or_else(|| shape("Action", "missing"))?,
        resource: among(object, "Resource", "NotResource", patterns)?,
        conditions: object.get("Condition").map(conditions).transpose()?.unwrap_or_default(),
    })
}

fn among<T>(
    object: &Map<String, Value>,
    name: &'static str,
    not_name: &'static str,
    read: fn(&str, &Value) -> Result<T, PolicyError>,
) -> Result<Option<Among<T>>, PolicyError> {
    match (object.get(name), object.get(not_name)) {
        (None, None) => Ok(None),
        (Some(these), None) => read(name, these).map(|these| Some(Among::These(these))),
        (None, Some(others)) => read(not_name, others).map(|others| Some(Among::AllBut(others))),
        (Some(_), Some(_)) => Err(shape(not_name, "given beside the element without Not")),
    }
}

fn text(element: &str, json: &Value) -> Result<String, PolicyError> {
    json.as_str().map(str::to_owned).ok_or_else(|| shape(element, "neither a string nor a list of strings"))
}

fn texts(element: &str, json: &Value) -> Result<Vec<String>, PolicyError> {
    match json {
        Value::Array(values) => values.iter().map(|value| text(element, value)).collect(),
        single => Ok(vec![text(element, single)?]),
    }
}

fn patterns(element: &str, json: &Value) -> Result<Vec<String>, PolicyError> {
    let patterns = texts(element, json)?;
    if patterns.is_empty() { Err(shape(element, "an empty list")) } else { Ok(patterns) }
}

fn principals(element: &str, json: &Value) -> Result<Principals, PolicyError> {
    let mut principals = Principals::default();
    match json {
        Value::String(star) if star == "*" => principals.everyone = true,
        Value::Object(kinds) if !kinds.is_empty() => {
            for (kind, named) in kinds {
                let named = texts(kind, named)?;
                match kind.as_str() {
                    "AWS" => {
                        principals.everyone = named.iter().any(|name| name == "*");
                        principals.aws = named;
                    }
                    "Service" => principals.services = named,
                    "Federated" | "CanonicalUser" => principals.others.extend(named),
                    unknown => return Err(shape(unknown, "no kind of principal")),
                }
            }
        }
        _ => return Err(shape(element, "neither \"*\" nor an object of principals")),
    }
    Ok(principals)
}

fn conditions(json: &Value) -> Result<Vec<Condition>, PolicyError> {
    let operators = json.as_object().ok_or_else(|| shape("Condition", "no object"))?;
    let mut conditions = Vec::new();
    for (operator, keys) in operators {
        let keys = keys.as_object().ok_or_else(|| shape(operator, "no object of condition keys"))?;
        for (key, values) in keys {
            let values = match values {
                Value::Array(values) => values.iter().map(|value| scalar(key, value)).collect::<Result<_, _>>()?,
                single => vec![scalar(key, single)?],
            };
            conditions.push(Condition { operator: operator.clone(), key: key.clone(), values });
        }
    }
    Ok(conditions)
}

fn scalar(key: &str, json: &Value) -> Result<String, PolicyError> {
    match json {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(shape(key, "no string, boolean or number")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::baseline::AccountIdentity;
    use crate::baseline::s3_encryption::{Bucket, BucketPolicy};

    /// Any JSON, with the policy language's words among the keys and values so that it gets past the first check.
    pub(crate) fn any_json() -> impl Strategy<Value = Value> {
        let word = prop::sample::select(vec![
            "Version",
            "Id",
            "Statement",
            "Sid",
            "Effect",
            "Principal",
            "NotPrincipal",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
            "AWS",
            "Service",
            "Bool",
            "aws:SecureTransport",
            "Deny",
            "Allow",
            "*",
            "s3:*",
            "false",
            "",
        ])
        .prop_map(str::to_owned);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            word.clone().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 48, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((prop_oneof![4 => word.clone(), 1 => ".*"], inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn one_value_and_a_list_of_one_are_the_same() {
        let single = json!({"Statement": {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "s3:*",
            "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": false}}}});
        let lists = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": {"AWS": ["*"]},
            "Action": ["s3:*"], "Resource": ["*"], "Condition": {"Bool": {"aws:SecureTransport": ["false"]}}}]});
        assert_eq!(PolicyDocument::from_json(&single).unwrap(), PolicyDocument::from_json(&lists).unwrap());
    }

    #[test]
    fn a_shape_that_is_not_documented_is_an_error_that_names_the_element() {
        let statement = |change: Value| {
            let mut statement = json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"});
            statement.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            PolicyDocument::from_json(&json!({"Statement": [statement]}))
        };
        assert!(statement(json!({})).is_ok());
        for (change, named) in [
            (json!({"Effect": "deny"}), "Effect"),
            (json!({"Principal": "arn:aws:iam::222222222222:root"}), "Principal"),
            (json!({"Principal": {"Aws": "*"}}), "Aws"),
            (json!({"NotPrincipal": "*"}), "NotPrincipal"),
            (json!({"Action": []}), "Action"),
            (json!({"Action": 7}), "Action"),
            (json!({"NotResource": "*"}), "NotResource"),
            (json!({"Condition": {"Bool": "aws:SecureTransport"}}), "Bool"),
            (json!({"Condition": {"Bool": {"aws:SecureTransport": null}}}), "aws:SecureTransport"),
            (json!({"Conditions": {}}), "Conditions"),
        ] {
            let error = statement(change.clone()).unwrap_err().to_string();
            assert!(error.contains(named), "{change}: {error}");
        }
        assert!(PolicyDocument::parse("{}").is_err());
        assert!(PolicyDocument::parse("<html>").is_err());
    }

    #[test]
    fn actions_are_compared_without_regard_to_case() {
        let text = r#"{"Statement": {"Effect": "Allow", "Principal": "*", "NotAction": "S3:put*", "Resource": "*"}}"#;
        let document = PolicyDocument::parse(text).unwrap();
        assert!(!document.statements[0].includes_action("s3:PutObject"));
        assert!(document.statements[0].includes_action("s3:GetObject"));
    }

    proptest! {
        #[test]
        fn no_text_and_no_json_panics(text in ".*", json in any_json()) {
            let _ = PolicyDocument::parse(&text);
            if let Ok(document) = PolicyDocument::from_json(&json) {
                let _ = crate::baseline::mfa::grants_everything(&document);
            }
            let account = AccountIdentity::from_caller("222222222222", "arn:aws:iam::222222222222:user/x").unwrap();
            let bucket = Bucket { name: text, region: "eu-west-1".to_owned() };
            let _ = BucketPolicy::read(&json.to_string(), &bucket, &account);
        }
    }
}
