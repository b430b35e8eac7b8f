//! What of the documentation is made from the program: each page is held against what would be written now. Write them
//! anew with `make docs`.

pub(crate) mod docs;
mod metrics;
mod settings;

use crate::support::file;

/// Fails where a file of the repository is not this text; with `PLUMBLINE_WRITE` set, writes it.
pub(crate) fn assert_written(path: &str, text: &str) {
    let path = file(path);
    if std::env::var_os("PLUMBLINE_WRITE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        return std::fs::write(&path, text).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    let differ = stored.lines().zip(text.lines()).find(|(stored, now)| stored != now);
    assert!(stored == text, "{} is not what the program says now; run `make docs`: {differ:?}", path.display());
}

/// Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->` in a page of the repository, or holds it against
/// what is there.
pub(crate) fn assert_section(path: &str, name: &str, section: &str) {
    let page = std::fs::read_to_string(file(path)).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (head, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("{path} has no {begin}"));
    let (_, tail) = rest.split_once(&end).unwrap_or_else(|| panic!("{path} has no {end}"));
    assert_written(path, &format!("{head}{begin}\n{}\n\n{end}{tail}", section.trim()));
}
