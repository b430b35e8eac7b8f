//! A copy of `examples/fleet` as a repository of its own, for accounts that a test has.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use crate::support::{World, file};

/// The accounts of the examples: name and id.
const ACCOUNTS: [(&str, &str); 2] = [("payments-prod", "222222222222"), ("analytics-dev", "333333333333")];

/// Accounts with little to look at, and something wrong in each.
const STATE: &str = "regions: [eu-west-1]\nbuckets: [{name: plain-$ACCOUNT, region: eu-west-1}]";

/// A folder that is what `examples/` is to a user who copied it.
pub(super) struct Checkout {
    dir: tempfile::TempDir,
    ids: Vec<String>,
}

impl Checkout {
    /// Makes the two accounts on the emulator and the folder that declares them.
    pub(super) async fn new(world: &World) -> Self {
        let mut ids = Vec::new();
        for _ in ACCOUNTS {
            ids.push(world.seed(STATE).await.account_id);
        }
        // What follows is Plumbline's.
        world.aws.proxy().clear();
        let checkout = Self { dir: tempfile::tempdir().unwrap(), ids };
        for folder in ["accounts", "approvals", "baselines", "exceptions"] {
            std::fs::create_dir_all(checkout.path("fleet").join(folder)).unwrap();
            for entry in std::fs::read_dir(file("examples/fleet").join(folder)).unwrap() {
                let entry = entry.unwrap();
                let name = format!("fleet/{folder}/{}", entry.file_name().to_str().unwrap());
                checkout.write(&name, &checkout.adapted(&std::fs::read_to_string(entry.path()).unwrap()));
            }
        }
        checkout
    }

    /// The ids of the test's own accounts, and an end of the exception that does not depend on today.
    fn adapted(&self, text: &str) -> String {
        let in_a_week = Timestamp::now().saturating_add(SignedDuration::from_hours(7 * 24)).unwrap();
        let ids = ACCOUNTS.iter().zip(&self.ids);
        let text = ids.fold(text.to_owned(), |text, ((_, example), id)| text.replace(example, id));
        let line = |line: &str| match line.split_once("expiresAt:") {
            Some((before, _)) => format!("{before}expiresAt: \"{in_a_week}\"\n"),
            None => format!("{line}\n"),
        };
        text.lines().map(line).collect()
    }

    /// The id of an account of the examples.
    pub(super) fn id(&self, account: &str) -> &str {
        let found = ACCOUNTS.iter().zip(&self.ids).find(|((name, _), _)| *name == account);
        found.unwrap().1
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Edits a file as a pull request would.
    pub(super) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{name} has no {from}");
        self.write(name, &text.replace(from, to));
    }

    pub(super) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }
}
