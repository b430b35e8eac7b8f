//! `docs/settings.md`: every flag, environment variable and key of the file, from the command line itself.

use plumbline::cli::config::{Setting, settings};

use super::assert_section;

/// A line of the repository is no longer.
const WIDTH: usize = 110;

#[test]
fn every_setting_is_documented_once() {
    let mut headings: Vec<(String, Vec<Setting>)> = Vec::new();
    for setting in settings() {
        let heading = setting.heading.clone().unwrap_or_else(|| "Work and logs".to_owned());
        match headings.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, settings)) => settings.push(setting),
            None => headings.push((heading, vec![setting])),
        }
    }
    let sections = headings.iter().map(|(heading, settings)| {
        let settings: Vec<String> = settings.iter().map(described).collect();
        format!("## {heading}\n\n{}", settings.join("\n\n"))
    });
    assert_section("docs/settings.md", "settings", &sections.collect::<Vec<_>>().join("\n\n"));
}

fn described(setting: &Setting) -> String {
    let Setting { heading: _, flag, value, variable, key, default, help } = setting;
    let value = value.as_ref().map(|value| format!(" {value}")).unwrap_or_default();
    // The help has it in brackets where the program has it elsewhere.
    let (help, told) = match help.split_once(" [default: ") {
        Some((help, told)) => (help, told.strip_suffix(']').map(str::to_owned)),
        None => (help.as_str(), None),
    };
    let default = default.as_ref().map(|default| format!("`{default}`")).or(told).unwrap_or_else(|| "none".to_owned());
    let variable = variable.as_ref().unwrap();
    let key = key.as_ref().map(|key| format!("- Key: `{key}`\n")).unwrap_or_default();
    let help = wrapped(&format!("{}.", help.trim_end_matches('.')));
    format!("### `--{flag}{value}`\n\n{help}\n\n- Variable: `{variable}`\n{key}- Default: {default}")
}

fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().unwrap();
        if line.len() + word.len() >= WIDTH {
            lines.push(word.to_owned());
        } else {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines.join("\n")
}
