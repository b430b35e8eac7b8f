//! A label selector as `kubectl -l` has it: from text to a predicate over labels. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use kube::core::{Expression, Selector, SelectorExt};

/// Which labels an `AwsAccount` must have.
#[derive(Clone, Debug, Default)]
pub struct LabelSelector(Selector);

/// A text that is no selector.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no label selector: write key=value, key!=value, key, !key, key in (a,b) or key notin (a,b)")]
pub struct SelectorError(String);

impl LabelSelector {
    /// Whether an object with these labels is selected.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.matches(labels)
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for LabelSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        requirements(text)
            .into_iter()
            .map(expression)
            .collect::<Result<Vec<_>, _>>()
            .map(|expressions| Self(expressions.into_iter().collect()))
    }
}

/// Parts at commas, but not at those within parentheses.
fn requirements(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    text.split(|c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
    .collect()
}

fn expression(text: &str) -> Result<Expression, SelectorError> {
    let bad = || SelectorError(text.to_owned());
    let word = |word: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        let word = word.trim();
        if !word.is_empty() && word.chars().all(fits) { Ok(word.to_owned()) } else { Err(bad()) }
    };
    let set = |values: &str| {
        let values = values.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or_else(bad)?;
        values.split(',').map(word).collect::<Result<_, _>>()
    };
    if let Some((key, value)) = text.split_once("!=") {
        Ok(Expression::NotEqual(word(key)?, word(value)?))
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        Ok(Expression::Equal(word(key)?, word(value)?))
    } else if let Some((key, values)) = text.split_once(" notin ") {
        Ok(Expression::NotIn(word(key)?, set(values)?))
    } else if let Some((key, values)) = text.split_once(" in ") {
        Ok(Expression::In(word(key)?, set(values)?))
    } else if let Some(key) = text.strip_prefix('!') {
        Ok(Expression::DoesNotExist(word(key)?))
    } else {
        Ok(Expression::Exists(word(text)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        selector.parse::<LabelSelector>().unwrap().matches(&labels)
    }

    #[test]
    fn selectors_select_as_kubectl_does() {
        let prod = [("tier", "prod"), ("team", "payments")];
        assert!(matches("", &prod));
        assert!(matches("tier=prod,team==payments", &prod));
        assert!(!matches("tier=prod,team=other", &prod));
        assert!(matches("tier in (prod, staging),team notin (a,b)", &prod));
        assert!(!matches("tier notin (prod)", &prod));
        assert!(matches("team,!absent,other!=x", &prod));
        assert!(!matches("!team", &prod));
    }

    #[test]
    fn what_is_no_selector_is_refused_with_the_forms_that_are() {
        for bad in ["tier=", "tier in prod", "a b", "=x", "tier in (a"] {
            let error = bad.parse::<LabelSelector>().unwrap_err().to_string();
            assert!(error.contains("key in (a,b)"), "{bad}: {error}");
        }
    }
}
