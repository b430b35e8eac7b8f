//! Rules that say which calls are disturbed, and how. No IO.
//!
//! Of the rules that match a call the newest decides what happens to it; delays, page sizes, repeated tokens and
//! generators are taken from the newest rule of their kind and leave the rest to the others.

use std::time::Duration;

use super::generator::Generator;
use super::request::AwsRequest;

/// Which calls a rule is about; what is not set matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matcher {
    service: Option<String>,
    operation: Option<String>,
    account: Option<String>,
    region: Option<String>,
    resource: Option<String>,
    page: Option<u32>,
    nth: Option<u32>,
    mutating: Option<bool>,
}

impl Matcher {
    /// Every call.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Every call of this operation, such as `("iam", "ListUsers")`.
    #[must_use]
    pub fn operation(service: &str, operation: &str) -> Self {
        Self { operation: Some(operation.to_owned()), ..Self::service(service) }
    }

    /// Every call to this service, as signatures name it.
    #[must_use]
    pub fn service(service: &str) -> Self {
        Self { service: Some(service.to_owned()), ..Self::default() }
    }

    /// Only with this account's credentials.
    #[must_use]
    pub fn account(self, account: &str) -> Self {
        Self { account: Some(account.to_owned()), ..self }
    }

    /// Only in this region.
    #[must_use]
    pub fn region(self, region: &str) -> Self {
        Self { region: Some(region.to_owned()), ..self }
    }

    /// Only about this bucket, user, group, key or role.
    #[must_use]
    pub fn resource(self, resource: &str) -> Self {
        Self { resource: Some(resource.to_owned()), ..self }
    }

    /// Only where this page of a list is asked for, from 1. A list has a second page only where it is long enough or
    /// [`Action::Paginate`] makes its pages small.
    #[must_use]
    pub fn page(self, page: u32) -> Self {
        Self { page: Some(page), ..self }
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
    fn matches(&self, request: &AwsRequest, account: &str, page: Option<u32>) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        is(&self.service, &request.service)
            && is(&self.operation, &request.operation)
            && is(&self.account, account)
            && is(&self.region, &request.region)
            && self.resource.as_ref().is_none_or(|wanted| request.resource.as_ref() == Some(wanted))
            && self.page.is_none_or(|wanted| page == Some(wanted))
            && self.mutating.is_none_or(|wanted| request.is_mutating() == wanted)
    }
}

/// What happens to a call.
#[derive(Debug, Clone)]
pub enum Action {
    /// It goes through, whatever older rules say.
    Pass,
    /// It waits, then other rules decide.
    Delay(Duration),
    /// The service's own answer to calling too often.
    Throttle,
    /// The service's own refusal, with AWS's message where none is given.
    AccessDenied {
        /// What to say instead.
        message: Option<String>,
    },
    /// The refusal whose message says that an organization's policy denies it.
    DeniedByOrganization,
    /// The service's own error with this status, 500 or 503.
    Status(u16),
    /// An error with this status, code and message in the service's own shape.
    Error {
        /// The HTTP status.
        status: u16,
        /// The code that an SDK reads.
        code: String,
        /// The message.
        message: String,
    },
    /// HTML with status 503.
    Html,
    /// The server acts; half of its answer arrives, then the connection ends.
    HalfBody,
    /// The connection ends before the server sees the call.
    Reset,
    /// The server acts, then the connection ends without an answer.
    DropAnswer,
    /// Nothing happens until the caller hangs up.
    Hang,
    /// The server acts, then nothing happens until the caller hangs up.
    HangAnswer,
    /// Lists come in pages of this size at most.
    Paginate {
        /// Items a page.
        page_size: usize,
    },
    /// Every page but the first carries the token that it was asked for with; a list has no end.
    RepeatToken,
    /// Answered without the emulator.
    Generate(Generator),
}

impl Action {
    /// The name that the record of the call bears.
    pub(crate) fn name(&self) -> String {
        let debug = format!("{self:?}");
        debug.split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
    }
}

/// What the rules say about one call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disturbance {
    pub(crate) delay: Option<Duration>,
    pub(crate) page_size: Option<usize>,
    pub(crate) repeat_token: bool,
    pub(crate) generator: Option<Generator>,
    /// What remains: `Pass` and everything that answers or cuts.
    pub(crate) action: Option<Action>,
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
pub(crate) struct Rules(Vec<Rule>);

impl Rules {
    pub(crate) fn add(&mut self, matcher: Matcher, action: Action, times: Option<u32>) {
        self.0.push(Rule { matcher, action, left: times, seen: 0 });
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Decides about a call, and counts it.
    pub(crate) fn decide(&mut self, request: &AwsRequest, account: &str, page: Option<u32>) -> Disturbance {
        let mut disturbance = Disturbance::default();
        for rule in self.0.iter_mut().rev() {
            if rule.left == Some(0) || !rule.matcher.matches(request, account, page) {
                continue;
            }
            rule.seen += 1;
            if rule.matcher.nth.is_some_and(|nth| nth != rule.seen) {
                continue;
            }
            if disturbance.take(&rule.action) {
                rule.left = rule.left.map(|left| left - 1);
            }
        }
        disturbance
    }
}

impl Disturbance {
    /// Takes the action unless a newer rule has said the same kind of thing; true where it was taken.
    fn take(&mut self, action: &Action) -> bool {
        match action {
            Action::Delay(delay) if self.delay.is_none() => self.delay = Some(*delay),
            Action::Paginate { page_size } if self.page_size.is_none() => self.page_size = Some(*page_size),
            Action::RepeatToken if !self.repeat_token => self.repeat_token = true,
            Action::Generate(generator) if self.generator.is_none() => self.generator = Some(generator.clone()),
            Action::Delay(_) | Action::Paginate { .. } | Action::RepeatToken | Action::Generate(_) => return false,
            other if self.action.is_none() => self.action = Some(other.clone()),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::request;
    use super::*;

    fn list_users() -> AwsRequest {
        request("us-east-1/iam", "POST", "/", None, "Action=ListUsers")
    }

    fn decide(rules: &mut Rules, page: u32) -> String {
        rules.decide(&list_users(), "1", Some(page)).action.map(|action| action.name()).unwrap_or_default()
    }

    #[test]
    fn a_rule_ends_after_its_times() {
        let mut rules = Rules::default();
        rules.add(Matcher::operation("iam", "ListUsers"), Action::Throttle, Some(2));
        assert_eq!([1, 2, 3].map(|_| decide(&mut rules, 1)), ["Throttle", "Throttle", ""]);
    }

    #[test]
    fn the_newest_matching_rule_decides_and_the_older_is_not_used_up() {
        let mut rules = Rules::default();
        rules.add(Matcher::any(), Action::Throttle, Some(1));
        rules.add(Matcher::operation("iam", "ListUsers"), Action::Pass, Some(1));
        assert_eq!([1, 2, 3].map(|_| decide(&mut rules, 1)), ["Pass", "Throttle", ""]);
    }

    #[test]
    fn nth_and_page_pick_single_calls() {
        let mut rules = Rules::default();
        rules.add(Matcher::any().nth(2), Action::Reset, None);
        assert_eq!([1, 2, 3].map(|_| decide(&mut rules, 1)), ["", "Reset", ""]);
        let mut rules = Rules::default();
        rules.add(Matcher::any().page(2), Action::Status(500), None);
        assert_eq!([1, 2, 3].map(|page| decide(&mut rules, page)), ["", "Status", ""]);
    }

    #[test]
    fn every_part_of_a_matcher_can_exclude_a_call() {
        let matchers = [
            Matcher::service("ec2"),
            Matcher::operation("iam", "GetUser"),
            Matcher::any().account("2"),
            Matcher::any().region("eu-west-1"),
            Matcher::any().resource("alice"),
            Matcher::any().mutating(),
        ];
        for matcher in matchers {
            assert!(!matcher.matches(&list_users(), "1", Some(1)), "{matcher:?}");
        }
        assert!(Matcher::operation("iam", "ListUsers").account("1").region("us-east-1").matches(
            &list_users(),
            "1",
            None
        ));
    }

    #[test]
    fn shaping_rules_leave_the_decision_to_the_others() {
        let mut rules = Rules::default();
        rules.add(Matcher::any(), Action::Throttle, None);
        rules.add(Matcher::any(), Action::Paginate { page_size: 2 }, None);
        rules.add(Matcher::any(), Action::Delay(Duration::from_millis(1)), None);
        let disturbance = rules.decide(&list_users(), "1", Some(1));
        assert_eq!(disturbance.page_size, Some(2));
        assert!(disturbance.delay.is_some());
        assert_eq!(disturbance.action.unwrap().name(), "Throttle");
    }
}
