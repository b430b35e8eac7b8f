//! Patterns of the policy language, where `*` stands for any characters and `?` for any one of them: what a pattern
//! matches, and what it covers. No IO.
//!
//! Exact for a single pattern. Time is the product of both lengths, whatever the pattern: nothing backtracks.

/// Whether the pattern matches the text.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    reached(&pattern, text).last() == Some(&true)
}

/// Whether the pattern matches every text that starts with the prefix and goes on after it.
#[must_use]
pub fn covers_below(pattern: &str, prefix: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let reached = reached(&pattern, prefix);
    // A text of characters that the pattern does not name can be matched only by what follows the last named one.
    let free = pattern.iter().rposition(|element| !matches!(element, '*' | '?')).map_or(0, |last| last + 1);
    let (mut questions, mut star) = (0_usize, false);
    let (mut exact, mut at_least) = (Vec::new(), None);
    for (position, element) in pattern.iter().enumerate().skip(free).rev() {
        match element {
            '*' => star = true,
            _ => questions += 1,
        }
        if reached.get(position) == Some(&true) {
            if star {
                at_least = Some(at_least.map_or(questions, |least: usize| least.min(questions)));
            } else {
                exact.push(questions);
            }
        }
    }
    at_least.is_some_and(|least| (1..least).all(|length| exact.contains(&length)))
}

/// Whether the pattern matches any text that starts with the prefix and goes on after it.
#[must_use]
pub fn meets_below(pattern: &str, prefix: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let reached = reached(&pattern, prefix);
    // From the end of the pattern nothing goes on; from anywhere else at least one text does.
    reached.iter().take(pattern.len()).any(|reached| *reached)
}

/// For each position of the pattern, its end too, whether the text can lead there.
fn reached(pattern: &[char], text: &str) -> Vec<bool> {
    let mut skips = true;
    let mut states: Vec<bool> = Vec::with_capacity(pattern.len() + 1);
    for position in 0..=pattern.len() {
        states.push(skips);
        skips = skips && pattern.get(position) == Some(&'*');
    }
    text.chars().fold(states, |states, character| step(pattern, &states, character))
}

fn step(pattern: &[char], states: &[bool], character: char) -> Vec<bool> {
    let mut next = Vec::with_capacity(states.len());
    let (mut advanced, mut skipped) = (false, false);
    for (position, here) in states.iter().enumerate() {
        let element = pattern.get(position).copied();
        let star = element == Some('*');
        let reached = (*here && star) || advanced || skipped;
        next.push(reached);
        advanced = *here && !star && (element == Some('?') || element == Some(character));
        skipped = reached && star;
    }
    next
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_and_question_marks_match_as_aws_says() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("s3:*", "s3:GetObject", true),
            ("s3:Get*Object", "s3:GetObject", true),
            ("s3:Get?bject", "s3:GetObject", true),
            ("s3:Get?Object", "s3:GetObject", false),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXbX", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_covers_only_what_all_its_texts_match() {
        for (pattern, covers, meets) in [
            ("b/*", true, true),
            ("*", true, true),
            ("b*", true, true),
            ("b/?*", true, true),
            ("*??", true, true),
            ("b/??*", false, true),
            ("b/logs/*", false, true),
            ("b/*.txt", false, true),
            ("b/?", false, true),
            ("b/", false, false),
            ("b", false, false),
            ("c/*", false, false),
        ] {
            assert_eq!((covers_below(pattern, "b/"), meets_below(pattern, "b/")), (covers, meets), "{pattern}");
        }
    }

    #[test]
    fn a_long_hostile_pattern_takes_no_long_time() {
        let pattern = "*a".repeat(10_000);
        assert!(!covers_below(&pattern, &"a".repeat(100)));
    }

    proptest! {
        /// The alphabet of the texts has one character that no pattern names; patterns are short enough that texts of
        /// five characters tell all.
        #[test]
        fn coverage_is_what_trying_every_text_says(pattern in "[ab*?]{0,4}", prefix in "[ab]{0,2}") {
            let mut texts = vec![String::new()];
            let (mut every, mut any) = (true, false);
            for _ in 0..5 {
                texts = texts.iter().flat_map(|text| ['a', 'b', 'x'].map(|next| format!("{text}{next}"))).collect();
                for text in &texts {
                    let matched = matches(&pattern, &format!("{prefix}{text}"));
                    every &= matched;
                    any |= matched;
                }
            }
            prop_assert_eq!(covers_below(&pattern, &prefix), every);
            prop_assert_eq!(meets_below(&pattern, &prefix), any);
        }
    }
}
