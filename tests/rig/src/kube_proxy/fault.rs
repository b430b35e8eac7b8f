//! Rules that say which calls are disturbed, and how. No IO. Of the rules that match a call the newest decides.

use std::time::Duration;

use super::request::Call;

/// Which calls a rule is about; what is not set matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matcher {
    verb: Option<String>,
    resource: Option<String>,
    name: Option<String>,
    nth: Option<u32>,
    mutating: Option<bool>,
}

impl Matcher {
    /// Every call.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Every call with this verb to this resource, such as `("update-status", "accountbaselines")`.
    #[must_use]
    pub fn call(verb: &str, resource: &str) -> Self {
        Self { verb: Some(verb.to_owned()), resource: Some(resource.to_owned()), ..Self::default() }
    }

    /// Only about the object of this name.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// Only the nth call of those that match otherwise, from 1.
    #[must_use]
    pub fn nth(self, nth: u32) -> Self {
        Self { nth: Some(nth), ..self }
    }

    /// Only calls that change something.
    #[must_use]
    pub fn mutating(self) -> Self {
        Self { mutating: Some(true), ..self }
    }

    /// Whether the call is meant, its place among the matching ones left out.
    fn matches(&self, call: &Call) -> bool {
        self.verb.as_ref().is_none_or(|verb| *verb == call.verb)
            && self.resource.as_ref().is_none_or(|resource| *resource == call.resource)
            && self.name.as_ref().is_none_or(|name| call.name.as_ref() == Some(name))
            && self.mutating.is_none_or(|mutating| mutating == call.mutating)
    }
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It goes through, whatever older rules say.
    Pass,
    /// It waits, then goes through.
    Delay(Duration),
    /// The connection ends before the server sees the call.
    DropRequest,
    /// The server acts, then the connection ends without an answer.
    DropAnswer,
    /// Nothing happens until the caller hangs up.
    Hang,
    /// The server acts, then nothing happens until the caller hangs up.
    HangAnswer,
    /// The server does not see the call; a `Status` with this code is the answer.
    Status(u16),
    /// For a watch: what the server says when the version that it shall start from is too old, error 410 as an event.
    Gone,
    /// For a list: the answer is the oldest one that the proxy saw for the resource.
    ReplayOldest,
}

impl Action {
    /// The name that the record of the call bears.
    pub(super) fn name(self) -> String {
        let debug = format!("{self:?}");
        debug.split('(').next().unwrap_or_default().to_owned()
    }
}

#[derive(Debug)]
struct Rule {
    matcher: Matcher,
    action: Action,
    left: Option<u32>,
    seen: u32,
}

/// All rules of one proxy, oldest first.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<Rule>);

impl Rules {
    pub(super) fn add(&mut self, matcher: Matcher, action: Action, times: Option<u32>) {
        self.0.push(Rule { matcher, action, left: times, seen: 0 });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Decides about a call, and counts it.
    pub(super) fn decide(&mut self, call: &Call) -> Action {
        for rule in self.0.iter_mut().rev() {
            if rule.left == Some(0) || !rule.matcher.matches(call) {
                continue;
            }
            rule.seen += 1;
            if rule.matcher.nth.is_none_or(|nth| nth == rule.seen) {
                rule.left = rule.left.map(|left| left - 1);
                return rule.action;
            }
        }
        Action::Pass
    }
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::*;

    fn write() -> Call {
        Call::new(&Method::PUT, "/apis/plumbline.dev/v1alpha1/awsaccounts/a/status", "")
    }

    #[test]
    fn the_newest_matching_rule_decides_until_its_times_are_over() {
        let mut rules = Rules::default();
        rules.add(Matcher::any(), Action::Status(500), None);
        rules.add(Matcher::call("update-status", "awsaccounts").nth(2), Action::Hang, Some(1));
        let decided = [1, 2, 3].map(|_| rules.decide(&write()));
        assert_eq!(decided, [Action::Status(500), Action::Hang, Action::Status(500)]);
        rules.clear();
        assert_eq!(rules.decide(&write()), Action::Pass);
    }

    #[test]
    fn every_part_of_a_matcher_can_exclude_a_call() {
        let get = Call::new(&Method::GET, "/apis/plumbline.dev/v1alpha1/awsaccounts/a", "");
        assert!(Matcher::call("update-status", "awsaccounts").name("a").mutating().matches(&write()));
        for matcher in [
            Matcher::call("get", "awsaccounts"),
            Matcher::call("update-status", "accountbaselines"),
            Matcher::any().name("b"),
        ] {
            assert!(!matcher.matches(&write()), "{matcher:?}");
        }
        assert!(!Matcher::any().mutating().matches(&get));
    }
}
