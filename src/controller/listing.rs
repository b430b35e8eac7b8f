//! Whether each watch has listed its kind once: before that, the operator knows only a part of what is declared. No IO.

use kube::Resource;
use kube::runtime::watcher;

use super::describe;
use crate::api::{AccountBaseline, AwsAccount, BaselineException, PlanApproval};
use crate::server::Readiness;

/// Says what is still to be listed, from the beginning of a term to its end.
pub(super) struct Listing {
    readiness: Readiness,
}

/// Says that nothing was listed yet.
pub(super) fn unknown(readiness: &Readiness) {
    for kind in watched() {
        readiness.missing(kind, "was not listed yet");
    }
}

impl Listing {
    pub(super) fn begin(readiness: Readiness) -> Self {
        unknown(&readiness);
        Self { readiness }
    }

    /// Takes note of what the watch of a kind has seen.
    pub(super) fn saw<K: Resource<DynamicType = ()>>(&self, event: &watcher::Result<watcher::Event<K>>) {
        match event {
            Ok(watcher::Event::InitDone) => self.readiness.there(thing::<K>()),
            Ok(_) => {}
            Err(error) => self.readiness.still_missing(&thing::<K>(), describe(error)),
        }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        // Whoever waits for the Lease watches nothing.
        for kind in watched() {
            self.readiness.forget(&kind);
        }
    }
}

fn thing<K: Resource<DynamicType = ()>>() -> String {
    format!("watch-{}", K::plural(&()))
}

fn watched() -> [String; 4] {
    [thing::<AwsAccount>(), thing::<AccountBaseline>(), thing::<BaselineException>(), thing::<PlanApproval>()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_who_has_listed_everything_once() {
        let readiness = Readiness::default();
        let listing = Listing::begin(readiness.clone());
        listing.saw::<AwsAccount>(&Ok(watcher::Event::InitDone));
        listing.saw::<AccountBaseline>(&Ok(watcher::Event::InitDone));
        listing.saw::<BaselineException>(&Ok(watcher::Event::InitDone));
        assert!(!readiness.report().0);
        let forbidden = kube::core::Status::failure("you may not list planapprovals", "Forbidden").with_code(403);
        let failed = watcher::Error::WatchError(Box::new(forbidden));
        listing.saw::<PlanApproval>(&Err(failed));
        assert!(readiness.report().1.contains("[-]watch-planapprovals"), "{:?}", readiness.report());
        assert!(readiness.report().1.contains("you may not list planapprovals"), "{:?}", readiness.report());
        listing.saw::<PlanApproval>(&Ok(watcher::Event::InitDone));
        assert!(readiness.report().0);
        readiness.there("api-server");
        drop(listing);
        assert_eq!(readiness.report().1, "[+]api-server ok\nready\n");
    }
}
