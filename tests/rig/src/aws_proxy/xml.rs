//! XML text into a small tree and back, for the bodies that the proxy changes. No IO.
//!
//! Namespaces stay where they were written; comments and processing instructions are dropped.

use std::fmt::Write as _;

use anyhow::{Context, bail};
use xmlparser::{ElementEnd, Token, Tokenizer};

/// An element: its name, its attributes, what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// The name, with its prefix where it has one.
    pub name: String,
    /// Attributes in their order, values unescaped.
    pub attributes: Vec<(String, String)>,
    /// Elements inside, in their order.
    pub children: Vec<Element>,
    /// The text directly inside, unescaped.
    pub text: String,
}

impl Element {
    /// An element without content.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// An element that holds text alone.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "strings, flags and numbers read alike at the call")]
    pub fn with_text(name: &str, text: impl ToString) -> Self {
        Self { text: text.to_string(), ..Self::new(name) }
    }

    /// An element that holds these elements.
    #[must_use]
    pub fn with_children(name: &str, children: Vec<Element>) -> Self {
        Self { children, ..Self::new(name) }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// When the text is not one well-formed element.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut open: Vec<Element> = Vec::new();
        let mut root = None;
        for token in Tokenizer::from(text.trim_start_matches('\u{feff}')) {
            match token.context("not XML")? {
                Token::ElementStart { prefix, local, .. } => open.push(Self::new(&qualified(&prefix, &local))),
                Token::Attribute { prefix, local, value, .. } => {
                    let element = open.last_mut().context("an attribute outside of elements")?;
                    element.attributes.push((qualified(&prefix, &local), unescape(&value)));
                }
                Token::ElementEnd { end: ElementEnd::Open, .. } => {}
                Token::ElementEnd { .. } => {
                    let element = open.pop().context("an end without a start")?;
                    match open.last_mut() {
                        Some(parent) => parent.children.push(element),
                        None => root = Some(element),
                    }
                }
                Token::Text { text } => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&unescape(&text));
                    }
                }
                Token::Cdata { text, .. } => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        match root {
            Some(root) if open.is_empty() => Ok(root),
            _ => bail!("the XML ends before its root element does"),
        }
    }

    /// The document as text, with a declaration.
    #[must_use]
    pub fn to_document(&self) -> String {
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        self.write(&mut text);
        text
    }

    /// The first element of this name directly inside.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first element of this name directly inside.
    #[must_use]
    pub fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    /// The first element of this name anywhere inside, itself included, outermost first.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Element> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }

    /// As [`Element::find`], to be changed.
    pub fn find_mut(&mut self, name: &str) -> Option<&mut Element> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter_mut().find_map(|child| child.find_mut(name))
    }

    /// Sets the text of the first element of this name directly inside, which is added where there is none.
    pub fn set_child(&mut self, name: &str, text: impl ToString) {
        match self.children.iter_mut().find(|child| child.name == name) {
            Some(child) => child.text = text.to_string(),
            None => self.children.push(Self::with_text(name, text)),
        }
    }

    /// Removes the elements of this name directly inside.
    pub fn remove_children(&mut self, name: &str) {
        self.children.retain(|child| child.name != name);
    }

    /// Calls `visit` for this element and every one inside, outermost first.
    pub fn visit_mut(&mut self, visit: &mut impl FnMut(&mut Element)) {
        visit(self);
        for child in &mut self.children {
            child.visit_mut(visit);
        }
    }

    fn write(&self, text: &mut String) {
        text.push('<');
        text.push_str(&self.name);
        for (name, value) in &self.attributes {
            // Writing to a string cannot fail.
            let _ = write!(text, " {name}=\"{}\"", escape(value));
        }
        if self.children.is_empty() && self.text.is_empty() {
            text.push_str("/>");
            return;
        }
        text.push('>');
        text.push_str(&escape(&self.text));
        for child in &self.children {
            child.write(text);
        }
        let _ = write!(text, "</{}>", self.name);
    }
}

fn qualified(prefix: &str, local: &str) -> String {
    if prefix.is_empty() { local.to_owned() } else { format!("{prefix}:{local}") }
}

/// Text as it may stand inside an element or an attribute.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        if let Some((character, tail)) = after.split_once(';').and_then(|(name, tail)| Some((entity(name)?, tail))) {
            plain.push(character);
            rest = tail;
        } else {
            plain.push('&');
            rest = after;
        }
    }
    plain.push_str(rest);
    plain
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_survives_reading_and_writing() {
        let text = r#"<a xmlns="urn:x"><b>1 &lt; 2 &amp; &#34;q&#x22;</b><c/><b k="v&quot;">2</b></a>"#;
        let element = Element::parse(text).unwrap();
        assert_eq!(element.child_text("b"), Some("1 < 2 & \"q\""));
        assert_eq!(Element::parse(&element.to_document()).unwrap(), element);
    }

    #[test]
    fn half_a_document_is_an_error() {
        assert!(Element::parse("<a><b>").is_err());
        assert!(Element::parse("").is_err());
        assert!(Element::parse("{}").is_err());
    }
}
