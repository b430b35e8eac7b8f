//! Pages of the documentation become the commands in them. Reads files.
//!
//! A fence of `sh` is run. `sh not-run="..."` says why it cannot be run where the tests are, `sh exits="2"` how it
//! ends; every other word after `sh` is a mistake, so that none goes unnoticed.

use std::path::Path;

/// The commands of one fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The line of the page that the commands begin on.
    pub(super) line: usize,
    /// The commands.
    pub(super) text: String,
    /// Why they are not run.
    pub(super) not_run: Option<String>,
    /// How the last of them ends: `plumbline audit` ends with 2 where something fails.
    pub(super) exits: u8,
}

/// The blocks of a page of the repository, in order.
pub(super) fn blocks(path: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn parse(text: &str) -> Result<Vec<Block>, String> {
    let mut found = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else { continue };
        let indent = line.len() - line.trim_start().len();
        let mut inside = Vec::new();
        loop {
            let (line, _) = lines.next().ok_or_else(|| format!("line {number}: the fence is not closed"))?;
            if line.trim() == "```" {
                break;
            }
            inside.push(line.get(indent..).unwrap_or_else(|| line.trim_start()));
        }
        if let Some((not_run, exits)) = fence(info).map_err(|error| format!("line {number}: {error}"))? {
            let text = inside.join("\n");
            if exits != 0 && commands(&text) != 1 {
                return Err(format!("line {number}: how one of several commands ends says nothing of the others"));
            }
            found.push(Block { line: number + 1, text, not_run, exits });
        }
    }
    Ok(found)
}

/// How many commands a text has that begin a line.
fn commands(text: &str) -> usize {
    text.replace("\\\n", " ").lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).count()
}

/// Of a fence's info string: nothing where it holds no commands, else why they are not run, if so, and how they end.
fn fence(info: &str) -> Result<Option<(Option<String>, u8)>, String> {
    let (language, rest) = info.trim().split_once(' ').unwrap_or((info.trim(), ""));
    match (language, rest.trim()) {
        ("" | "bash" | "shell" | "console", _) => Err(format!("`{info}` does not say what it is: sh, text, yaml ...")),
        ("sh", "") => Ok(Some((None, 0))),
        ("sh", rest) => {
            let of = |name: &str| rest.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"').map(str::trim);
            let why = of("not-run").filter(|why| why.len() > 10).map(|why| (Some(why.to_owned()), 0));
            let ends = || of("exits").and_then(|code| Some((None, code.parse().ok()?)));
            why.or_else(ends).map(Some).ok_or_else(|| format!("`{rest}` is no reason"))
        }
        _ => Ok(None),
    }
}

#[test]
fn commands_are_found_and_reasons_demanded() {
    let left_out = "1. d\n   ```sh not-run=\"needs a real cluster\"\n   e\n\n   f\n   ```\n";
    let page = format!("a\n```sh\nls\n```\n```yaml\nb: c\n```\n{left_out}");
    let block = |line, text: &str, not_run: Option<&str>| Block {
        line,
        text: text.to_owned(),
        not_run: not_run.map(str::to_owned),
        exits: 0,
    };
    assert_eq!(parse(&page).unwrap(), [block(3, "ls", None), block(10, "e\n\nf", Some("needs a real cluster"))]);
    assert_eq!(parse("```sh exits=\"2\"\nls\n```").unwrap()[0].exits, 2);
    for (bad, says) in [
        ("```sh\nls\n", "not closed"),
        ("```\nls\n```\n", "does not say"),
        ("```console\n$ ls\n```\n", "does not say"),
        ("```sh not-run=\"\"\nls\n```\n", "is no reason"),
        ("```sh skip\nls\n```\n", "is no reason"),
        ("```sh exits=\"2\"\nls\nls\n```\n", "one of several"),
    ] {
        let error = parse(bad).unwrap_err();
        assert!(error.contains(says), "{bad}: {error}");
    }
}
