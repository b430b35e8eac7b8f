//! Every command of the documentation is run, in order and page by page, by a reader who has what the page says.
//!
//! A page begins with nothing installed, or with the operator, two accounts and `examples/`. Pages that only look share
//! one reader; those that install, change or remove something have one each.

mod blocks;
mod desk;
mod release;

use std::path::Path;

use self::blocks::blocks;
use self::desk::{Begins, Desk, is_run};
use crate::support::file;

/// Pages that begin with nothing.
const FROM_NOTHING: [&str; 3] = ["README.md", "docs/install.md", "charts/plumbline/README.md"];

/// Pages that leave something changed, or begin without accounts.
const CHANGING: [&str; 3] = ["docs/onboarding.md", "docs/enforcement.md", "docs/upgrade.md"];

/// Pages whose commands take their names from an alert: `tests/it/alerts` runs them.
const BY_ALERT: &str = "docs/runbooks/";

/// All pages, by their path.
fn pages() -> Vec<String> {
    let mut found = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned(), "SECURITY.md".to_owned()];
    below("docs", &mut found);
    found.push("charts/plumbline/README.md".to_owned());
    found.sort();
    found
}

fn below(folder: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(file(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().display());
        if entry.path().is_dir() {
            below(&path, found);
        } else if entry.path().extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Whether anything of a page is run.
fn has_commands(page: &str) -> bool {
    !page.starts_with(BY_ALERT) && blocks(&file(page)).iter().any(is_run)
}

async fn alone(page: &str, begins: Begins) {
    if has_commands(page) {
        Desk::new(begins).await.run(page).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readme_leads_from_nothing_to_a_verdict_and_to_the_first_change() {
    assert!(has_commands("README.md"));
    alone("README.md", Begins::WithNothing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_installation_work_from_nothing() {
    alone("docs/install.md", Begins::WithNothing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_onboarding_work_on_an_account_without_roles() {
    assert!(has_commands("docs/onboarding.md"));
    alone("docs/onboarding.md", Begins::WithOperator).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_charts_page_work_from_nothing() {
    alone("charts/plumbline/README.md", Begins::WithNothing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_page_on_enforcement_work() {
    assert!(has_commands("docs/enforcement.md"));
    alone("docs/enforcement.md", Begins::Installed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_upgrade_and_uninstallation_work() {
    alone("docs/upgrade.md", Begins::Installed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_all_other_pages_work() {
    let own = |page: &str| FROM_NOTHING.contains(&page) || CHANGING.contains(&page);
    let others: Vec<String> = pages().into_iter().filter(|page| !own(page) && has_commands(page)).collect();
    assert!(others.iter().any(|page| page == "docs/troubleshooting.md"), "{others:?}");
    let desk = Desk::new(Begins::Installed).await;
    for page in others {
        desk.run(&page).await;
    }
}

/// Run with `--nocapture` to read what is left out and why.
#[test]
fn few_commands_are_left_out_and_each_says_why() {
    let (mut all, mut left_out) = (0, Vec::new());
    for page in pages().into_iter().filter(|page| !page.starts_with(BY_ALERT)) {
        for block in blocks(&file(&page)) {
            all += 1;
            left_out.extend(block.not_run.map(|why| format!("{page}:{}: {why}", block.line)));
        }
    }
    eprintln!("{} of {all} blocks are left out:\n{}", left_out.len(), left_out.join("\n"));
    assert!(all > 30, "only {all} blocks");
    assert!(left_out.len() * 3 <= all, "more than a third is left out:\n{}", left_out.join("\n"));
}

/// The targets of a page's links that lie in the repository, without what follows `#`.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let own = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    own.map(|target| target.split('#').next().unwrap_or_default()).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut dead = Vec::new();
    for page in pages() {
        let path = file(&page);
        let text = std::fs::read_to_string(&path).unwrap();
        let folder = Path::new(&page).parent().unwrap();
        for target in links(&text) {
            let inside = tidy(&folder.join(target));
            if !file(&inside).exists() {
                dead.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
    assert_eq!(links("[a](b.md#c) [d](https://e.f) [g](#h) ![i](j.svg \"k\")"), ["b.md", "j.svg"]);
}

/// `docs/../crds` as `crds`.
fn tidy(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()) {
        match part.as_str() {
            ".." => drop(parts.pop()),
            "." => {}
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn the_index_names_every_page() {
    let index = std::fs::read_to_string(file("docs/README.md")).unwrap();
    let listed: Vec<&str> = links(&index);
    let missing: Vec<String> = pages()
        .into_iter()
        .filter_map(|page| page.strip_prefix("docs/").map(str::to_owned))
        .filter(|page| page != "README.md" && !page.contains('/') && !listed.contains(&page.as_str()))
        .collect();
    assert!(missing.is_empty(), "docs/README.md does not name {missing:?}");
}
