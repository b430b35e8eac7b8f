//! Accounts of any size out of nothing: lists of made-up users, groups and buckets that need no seeding. No IO.
//!
//! Item `i` is the same in every answer and on every page, so what is derived from one call agrees with the next.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use jiff::Timestamp;

use super::corrections::report;
use super::fault::Disturbance;
use super::pages::Paging;
use super::request::AwsRequest;
use super::shape::{Answer, error};
use super::xml::Element;

/// When everything made up was created.
const CREATED: &str = "2026-01-01T00:00:00Z";

/// A function from a call to its answer; none where the emulator shall answer.
pub type Custom = dyn Fn(&AwsRequest) -> Option<Answer> + Send + Sync;

/// Answers calls in place of the emulator.
#[derive(Clone)]
pub enum Generator {
    /// So many security groups, each with one ingress rule: tcp 443 from 10.0.0.0/8, or, for every `open_every`th group
    /// from the first, tcp 22 from everywhere (never with 0). Answers `DescribeSecurityGroups` and
    /// `DescribeSecurityGroupRules`.
    SecurityGroups {
        /// How many groups a region has.
        count: usize,
        /// Which of them are open to the world.
        open_every: usize,
    },
    /// So many console users with a virtual device each, except every `without_mfa_every`th from the first (never with
    /// 0). Answers `ListUsers`, `GetUser`, `GetLoginProfile`, `ListMFADevices` and the credential report.
    Users {
        /// How many users the account has.
        count: usize,
        /// Which of them have no MFA.
        without_mfa_every: usize,
    },
    /// So many buckets of the caller's region with nothing configured. Answers `ListBuckets` and what is read of them.
    Buckets {
        /// How many buckets the account has.
        count: usize,
    },
    /// Anything else.
    Custom(Arc<Custom>),
}

impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecurityGroups { .. } => "SecurityGroups",
            Self::Users { .. } => "Users",
            Self::Buckets { .. } => "Buckets",
            Self::Custom(_) => "Custom",
        })
    }
}

impl Generator {
    /// The answer to a call, where it is one that this generator knows.
    pub(crate) fn answer(&self, request: &AwsRequest, account: &str, disturbance: &Disturbance) -> Option<Answer> {
        match self {
            Self::SecurityGroups { count, open_every } => {
                security_groups(request, account, *count, *open_every, disturbance)
            }
            Self::Users { count, without_mfa_every } => {
                let users = Users { account, count: *count, without_mfa_every: *without_mfa_every };
                users.answer(request, disturbance)
            }
            Self::Buckets { count } => buckets(request, *count, disturbance),
            Self::Custom(answer) => answer(request),
        }
    }
}

/// A page of `total` items, the ith of which `item` makes.
fn list(
    request: &AwsRequest,
    total: usize,
    disturbance: &Disturbance,
    item: impl Fn(usize) -> Element,
) -> Option<Answer> {
    let paging = Paging::of(request)?;
    let asked = match paging.asked(request) {
        Ok(asked) => asked,
        Err(refusal) => return Some(refusal),
    };
    let page = asked.page(total, disturbance);
    let items = page.items.map(item).collect();
    Some(Answer::xml(200, &paging.envelope(request, items, page.next.as_deref())))
}

fn every(index: usize, step: usize) -> bool {
    step != 0 && index.is_multiple_of(step)
}

fn texts(pairs: &[(&str, &str)]) -> Vec<Element> {
    pairs.iter().map(|(name, text)| Element::with_text(name, text)).collect()
}

fn security_groups(
    request: &AwsRequest,
    account: &str,
    count: usize,
    open_every: usize,
    disturbance: &Disturbance,
) -> Option<Answer> {
    // The id holds the index, so that groups can be asked for by id.
    let wanted = wanted_groups(request);
    let total = wanted.as_ref().map_or(count, Vec::len);
    let index = |at: usize| wanted.as_ref().and_then(|wanted| wanted.get(at).copied()).unwrap_or(at);
    match request.operation.as_str() {
        "DescribeSecurityGroups" => list(request, total, disturbance, |at| group(index(at), account)),
        "DescribeSecurityGroupRules" => {
            list(request, total, disturbance, |at| rule(index(at), account, every(index(at), open_every)))
        }
        _ => None,
    }
}

fn wanted_groups(request: &AwsRequest) -> Option<Vec<usize>> {
    let listed = request.parameters.list("GroupId");
    let ids = if listed.is_empty() { request.parameters.filter("group-id")? } else { listed };
    Some(ids.iter().filter_map(|id| usize::from_str_radix(id.strip_prefix("sg-")?, 16).ok()).collect())
}

fn group(index: usize, account: &str) -> Element {
    let (id, name) = (format!("sg-{index:017x}"), format!("group-{index}"));
    let mut group = Element::with_children(
        "item",
        texts(&[
            ("ownerId", account),
            ("groupId", &id),
            ("groupName", &name),
            ("groupDescription", "generated"),
            ("vpcId", "vpc-00000000000000000"),
        ]),
    );
    group.children.push(Element::new("tagSet"));
    group
}

fn rule(index: usize, account: &str, open: bool) -> Element {
    let (id, group) = (format!("sgr-{index:017x}"), format!("sg-{index:017x}"));
    let (port, cidr) = if open { ("22", "0.0.0.0/0") } else { ("443", "10.0.0.0/8") };
    let mut rule = Element::with_children(
        "item",
        texts(&[
            ("securityGroupRuleId", &id),
            ("groupId", &group),
            ("groupOwnerId", account),
            ("isEgress", "false"),
            ("ipProtocol", "tcp"),
            ("fromPort", port),
            ("toPort", port),
            ("cidrIpv4", cidr),
        ]),
    );
    rule.children.push(Element::new("tagSet"));
    rule
}

struct Users<'a> {
    account: &'a str,
    count: usize,
    without_mfa_every: usize,
}

impl Users<'_> {
    fn answer(&self, request: &AwsRequest, disturbance: &Disturbance) -> Option<Answer> {
        let named = request.resource.as_deref().and_then(|name| name.strip_prefix("user-")?.parse::<usize>().ok());
        match (request.operation.as_str(), named) {
            ("ListUsers", _) => list(request, self.count, disturbance, |index| self.user("member", index)),
            ("GetUser", Some(index)) => Some(result(request, vec![self.user("User", index)])),
            ("GetLoginProfile", Some(index)) => {
                let name = format!("user-{index}");
                let profile =
                    texts(&[("UserName", &name), ("CreateDate", CREATED), ("PasswordResetRequired", "false")]);
                Some(result(request, vec![Element::with_children("LoginProfile", profile)]))
            }
            ("ListMFADevices", Some(index)) => {
                let devices = usize::from(!every(index, self.without_mfa_every));
                list(request, devices, disturbance, |_| self.device(index))
            }
            ("GenerateCredentialReport", _) => Some(result(request, texts(&[("State", "COMPLETE")]))),
            ("GetCredentialReport", _) => Some(self.report(request)),
            _ => None,
        }
    }

    fn user(&self, element: &str, index: usize) -> Element {
        let (name, id) = (format!("user-{index}"), format!("AIDA{index:017}"));
        let arn = format!("arn:aws:iam::{}:user/{name}", self.account);
        let pairs = [("Path", "/"), ("UserName", &name), ("UserId", &id), ("Arn", &arn), ("CreateDate", CREATED)];
        Element::with_children(element, texts(&pairs))
    }

    fn device(&self, index: usize) -> Element {
        let name = format!("user-{index}");
        let serial = format!("arn:aws:iam::{}:mfa/{name}", self.account);
        Element::with_children(
            "member",
            texts(&[("UserName", &name), ("SerialNumber", &serial), ("EnableDate", CREATED)]),
        )
    }

    fn report(&self, request: &AwsRequest) -> Answer {
        let mut csv = String::from(report::HEADER);
        for index in 0..self.count {
            let mfa = !every(index, self.without_mfa_every);
            csv.push_str(&report::made_up_row(&format!("user-{index}"), self.account, CREATED, mfa));
        }
        let content = base64::engine::general_purpose::STANDARD.encode(csv);
        let now = format!("{:.0}", Timestamp::now());
        result(request, texts(&[("Content", &content), ("ReportFormat", "text/csv"), ("GeneratedTime", &now)]))
    }
}

/// An answer of IAM that is no list.
fn result(request: &AwsRequest, children: Vec<Element>) -> Answer {
    let operation = &request.operation;
    let result = Element::with_children(&format!("{operation}Result"), children);
    let mut root = Element::with_children(&format!("{operation}Response"), vec![result]);
    root.attributes = vec![("xmlns".to_owned(), "https://iam.amazonaws.com/doc/2010-05-08/".to_owned())];
    Answer::xml(200, &root)
}

fn buckets(request: &AwsRequest, count: usize, disturbance: &Disturbance) -> Option<Answer> {
    let missing = |status: u16, code: &str| Some(error(request, status, code, "nothing is configured"));
    match request.operation.as_str() {
        "ListBuckets" => list(request, count, disturbance, |index| {
            let name = format!("bucket-{index:06}");
            let pairs = [("Name", name.as_str()), ("CreationDate", CREATED), ("BucketRegion", &request.region)];
            Element::with_children("Bucket", texts(&pairs))
        }),
        "GetBucketEncryption" => Some(super::corrections::s3::default_encryption()),
        "GetBucketPolicy" | "GetBucketPolicyStatus" => missing(404, "NoSuchBucketPolicy"),
        "GetBucketWebsite" => missing(404, "NoSuchWebsiteConfiguration"),
        "GetBucketReplication" => missing(404, "ReplicationConfigurationNotFoundError"),
        "GetPublicAccessBlock" => missing(404, "NoSuchPublicAccessBlockConfiguration"),
        "GetBucketLogging" => Some(Answer::xml(200, &Element::new("BucketLoggingStatus"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::request;
    use super::*;

    fn answer(generator: &Generator, request: &AwsRequest) -> Element {
        generator.answer(request, "1", &Disturbance::default()).unwrap().parse().unwrap()
    }

    #[test]
    fn sg_33_ten_thousand_groups_come_in_pages_of_a_thousand() {
        let generator = Generator::SecurityGroups { count: 10_000, open_every: 100 };
        let (mut seen, mut open, mut token) = (0, 0, String::new());
        loop {
            let body = format!("Action=DescribeSecurityGroupRules&MaxResults=1000{token}");
            let root = answer(&generator, &request("eu-west-1/ec2", "POST", "/", None, &body));
            let rules = &root.child("securityGroupRuleSet").unwrap().children;
            seen += rules.len();
            open += rules.iter().filter(|rule| rule.child_text("cidrIpv4") == Some("0.0.0.0/0")).count();
            match root.child_text("nextToken") {
                Some(next) => token = format!("&NextToken={next}"),
                None => break,
            }
        }
        assert_eq!((seen, open), (10_000, 100));
    }

    #[test]
    fn a_group_can_be_asked_for_by_id() {
        let generator = Generator::SecurityGroups { count: 10_000, open_every: 0 };
        let body = "Action=DescribeSecurityGroups&GroupId.1=sg-000000000000000ff";
        let root = answer(&generator, &request("eu-west-1/ec2", "POST", "/", None, body));
        let groups = &root.child("securityGroupInfo").unwrap().children;
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].child_text("groupName"), Some("group-255"));
    }

    #[test]
    fn the_report_and_the_devices_of_made_up_users_agree() {
        let generator = Generator::Users { count: 10, without_mfa_every: 5 };
        let ask = |body: &str| answer(&generator, &request("us-east-1/iam", "POST", "/", None, body));
        let content = ask("Action=GetCredentialReport").find("Content").unwrap().text.clone();
        let csv = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(content).unwrap()).unwrap();
        assert_eq!(csv.lines().count(), 11);
        for (index, line) in csv.lines().skip(1).enumerate() {
            let devices = ask(&format!("Action=ListMFADevices&UserName=user-{index}"));
            let has_device = !devices.find("MFADevices").unwrap().children.is_empty();
            assert_eq!(line.split(',').nth(7), Some(if has_device { "true" } else { "false" }));
        }
        assert_eq!(ask("Action=ListUsers").find("Users").unwrap().children.len(), 10);
    }
}
