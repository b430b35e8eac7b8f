//! From foreign texts to short ones that are fit for a status and a log. No IO.

use std::error::Error;

/// The most bytes of AWS's own words in a message, so that there is room for what happened where.
const MAX_QUOTED: usize = 320;

/// An error and its sources, outermost first.
pub(super) fn layers<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |layer| {
        let layer: &'a (dyn Error + 'static) = *layer;
        layer.source()
    })
}

/// The layers of an error in one line, the same words once.
pub(super) fn sentence(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    for layer in layers(error) {
        let layer = clean(&layer.to_string());
        if !layer.is_empty() && !words.iter().any(|seen| seen.contains(&layer)) {
            words.push(layer);
        }
    }
    words.join(": ")
}

/// AWS's own words: one sentence, without the period and the encoded part of EC2's refusals.
pub(super) fn quoted(words: &str) -> String {
    let words = words.split("Encoded authorization failure message").next().unwrap_or_default();
    let words = clean(words);
    bounded(words.trim_end_matches(['.', ' ']), MAX_QUOTED)
}

/// Control characters out, white space single.
fn clean(text: &str) -> String {
    let printable: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    printable.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most so many bytes, cut between characters.
pub(super) fn bounded(text: &str, bytes: usize) -> String {
    let text = clean(text);
    if text.len() <= bytes {
        return text;
    }
    let cut = text.floor_char_boundary(bytes.saturating_sub('…'.len_utf8()));
    format!("{}…", text.get(..cut).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_loses_what_a_terminal_would_act_on() {
        assert_eq!(bounded("a\u{1b}[31m\r\n  b\u{0}", 100), "a [31m b");
        assert_eq!(bounded("ééééé", 10), "ééééé");
        assert_eq!(bounded("éééééé", 10), "ééé…");
        assert!(quoted(&"x".repeat(10_000)).len() <= MAX_QUOTED);
        assert_eq!(quoted("Not you. Encoded authorization failure message: aGVsbG8"), "Not you");
    }
}
