//! Lists in pages, as AWS answers them, cut from the whole list that moto answers. No IO.
//!
//! Limits follow the API references of each operation: `MaxItems` and `Marker` of IAM (100 unless asked, at most 1000),
//! `MaxResults` and `NextToken` of EC2 (everything unless asked), `max-buckets` and `continuation-token` of S3's
//! `ListBuckets` (10,000).

use std::ops::Range;

use super::fault::Disturbance;
use super::request::AwsRequest;
use super::shape::{Answer, error};
use super::xml::Element;

/// How one operation pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paging {
    /// The element that holds the items.
    list: &'static str,
    style: Style,
    limits: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    least: usize,
    most: usize,
    unasked: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Iam,
    Ec2,
    S3,
}

const IAM: Limits = Limits { least: 1, most: 1000, unasked: 100 };
const EC2: Limits = Limits { least: 5, most: 1000, unasked: usize::MAX };
const PREFIX_LISTS: Limits = Limits { least: 1, most: 100, unasked: 100 };
const S3: Limits = Limits { least: 1, most: 10_000, unasked: 10_000 };

const OPERATIONS: [(&str, &str, &str, Style, Limits); 15] = [
    ("iam", "ListUsers", "Users", Style::Iam, IAM),
    ("iam", "ListMFADevices", "MFADevices", Style::Iam, IAM),
    ("iam", "ListVirtualMFADevices", "VirtualMFADevices", Style::Iam, IAM),
    ("iam", "ListAccessKeys", "AccessKeyMetadata", Style::Iam, IAM),
    ("iam", "ListAccountAliases", "AccountAliases", Style::Iam, IAM),
    ("iam", "ListAttachedUserPolicies", "AttachedPolicies", Style::Iam, IAM),
    ("iam", "ListUserPolicies", "PolicyNames", Style::Iam, IAM),
    ("iam", "ListGroupsForUser", "Groups", Style::Iam, IAM),
    ("iam", "ListSigningCertificates", "Certificates", Style::Iam, IAM),
    ("ec2", "DescribeSecurityGroups", "securityGroupInfo", Style::Ec2, EC2),
    ("ec2", "DescribeSecurityGroupRules", "securityGroupRuleSet", Style::Ec2, EC2),
    ("ec2", "DescribeNetworkInterfaces", "networkInterfaceSet", Style::Ec2, EC2),
    ("ec2", "DescribeManagedPrefixLists", "prefixListSet", Style::Ec2, PREFIX_LISTS),
    ("ec2", "GetManagedPrefixListEntries", "entrySet", Style::Ec2, PREFIX_LISTS),
    ("s3", "ListBuckets", "Buckets", Style::S3, S3),
];

/// The page that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// From 1.
    pub(crate) number: u32,
    offset: usize,
    limit: usize,
    token: Option<String>,
}

/// The part of a list that is answered, and the token of what comes after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) items: Range<usize>,
    pub(crate) next: Option<String>,
}

impl Asked {
    /// The page of a list of `total` items under these rules.
    pub(crate) fn page(&self, total: usize, disturbance: &Disturbance) -> Page {
        let limit = self.limit.min(disturbance.page_size.unwrap_or(usize::MAX)).max(1);
        let start = self.offset.min(total);
        let end = start.saturating_add(limit).min(total);
        let token = || format!("page-{}-from-{end}", self.number + 1);
        let next = match &self.token {
            Some(asked) if disturbance.repeat_token => Some(asked.clone()),
            None if disturbance.repeat_token => Some(token()),
            _ => (end < total).then(token),
        };
        Page { items: start..end, next }
    }
}

impl Paging {
    /// How this operation pages, where it does.
    pub(crate) fn of(request: &AwsRequest) -> Option<Self> {
        OPERATIONS
            .iter()
            .find(|(service, operation, ..)| request.is(service, operation))
            .map(|(_, _, list, style, limits)| Self { list, style: *style, limits: *limits })
    }

    fn names(self) -> (&'static str, &'static str) {
        match self.style {
            Style::Iam => ("MaxItems", "Marker"),
            Style::Ec2 => ("MaxResults", "NextToken"),
            Style::S3 => ("max-buckets", "continuation-token"),
        }
    }

    /// The page that the request asks for, or the service's refusal of it.
    pub(crate) fn asked(self, request: &AwsRequest) -> Result<Asked, Answer> {
        let (limit_name, token_name) = self.names();
        let limit = match request.parameters.get(limit_name) {
            None => self.limits.unasked,
            Some(text) => self.limit(request, limit_name, text)?,
        };
        let Some(token) = request.parameters.get(token_name) else {
            return Ok(Asked { number: 1, offset: 0, limit, token: None });
        };
        match read_token(token) {
            Some((number, offset)) => Ok(Asked { number, offset, limit, token: Some(token.to_owned()) }),
            None => Err(self.refusal(request, &format!("The token {token} is not one that was handed out"))),
        }
    }

    fn limit(self, request: &AwsRequest, name: &str, text: &str) -> Result<usize, Answer> {
        let Limits { least, most, .. } = self.limits;
        text.parse().ok().filter(|limit| (least..=most).contains(limit)).ok_or_else(|| {
            let message = format!(
                "Value ( {text} ) for parameter {name} is invalid. Expecting a value between {least} and {most}."
            );
            self.refusal(request, &message)
        })
    }

    fn refusal(self, request: &AwsRequest, message: &str) -> Answer {
        let code = match self.style {
            Style::Iam => "ValidationError",
            Style::Ec2 => "InvalidParameterValue",
            Style::S3 => "InvalidArgument",
        };
        error(request, 400, code, message)
    }

    /// The request for the whole list.
    pub(crate) fn whole(self, request: &AwsRequest) -> AwsRequest {
        let (limit, token) = self.names();
        request.with_parameters(request.parameters.without(&[limit, token]))
    }

    /// Cuts the asked page out of a whole list.
    pub(crate) fn cut(self, root: &mut Element, asked: &Asked, disturbance: &Disturbance) {
        let Some(list) = root.find_mut(self.list) else { return };
        let page = asked.page(list.children.len(), disturbance);
        list.children = list.children.drain(page.items).collect();
        self.set_next(root, page.next.as_deref());
    }

    /// An answer that holds these items, for lists that come from nowhere.
    pub(crate) fn envelope(self, request: &AwsRequest, items: Vec<Element>, next: Option<&str>) -> Element {
        let operation = &request.operation;
        let list = Element::with_children(self.list, items);
        let (name, xmlns, children) = match self.style {
            Style::Iam => (
                format!("{operation}Response"),
                "https://iam.amazonaws.com/doc/2010-05-08/",
                vec![Element::with_children(&format!("{operation}Result"), vec![list])],
            ),
            Style::Ec2 => (format!("{operation}Response"), "http://ec2.amazonaws.com/doc/2016-11-15/", vec![list]),
            Style::S3 => ("ListAllMyBucketsResult".to_owned(), "http://s3.amazonaws.com/doc/2006-03-01/", vec![list]),
        };
        let mut root = Element::with_children(&name, children);
        root.attributes = vec![("xmlns".to_owned(), xmlns.to_owned())];
        self.set_next(&mut root, next);
        root
    }

    fn set_next(self, root: &mut Element, next: Option<&str>) {
        let (holder, name) = match self.style {
            Style::Iam => (root.children.iter_mut().find(|child| child.name.ends_with("Result")), "Marker"),
            Style::Ec2 => (Some(root), "nextToken"),
            Style::S3 => (Some(root), "ContinuationToken"),
        };
        let Some(holder) = holder else { return };
        holder.remove_children(name);
        if let Some(next) = next {
            holder.set_child(name, next);
        }
        if self.style == Style::Iam {
            holder.set_child("IsTruncated", next.is_some());
        }
    }
}

fn read_token(token: &str) -> Option<(u32, usize)> {
    let (number, offset) = token.strip_prefix("page-")?.split_once("-from-")?;
    Some((number.parse().ok()?, offset.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::request;
    use super::*;

    const USERS: &str = "<ListUsersResponse><ListUsersResult><Users><member><UserName>a</UserName></member>\
        <member><UserName>b</UserName></member><member><UserName>c</UserName></member></Users>\
        <IsTruncated>false</IsTruncated></ListUsersResult></ListUsersResponse>";

    fn page(body: &str, disturbance: &Disturbance) -> (Vec<String>, Option<String>, String) {
        let request = request("us-east-1/iam", "POST", "/", None, body);
        let paging = Paging::of(&request).unwrap();
        let mut root = Element::parse(USERS).unwrap();
        paging.cut(&mut root, &paging.asked(&request).unwrap(), disturbance);
        let result = root.child("ListUsersResult").unwrap();
        let names = result.child("Users").unwrap().children.iter().map(|user| user.children[0].text.clone()).collect();
        let marker = result.child_text("Marker").map(ToOwned::to_owned);
        (names, marker, result.child_text("IsTruncated").unwrap().to_owned())
    }

    #[test]
    fn a_list_is_walked_page_by_page() {
        let (names, marker, truncated) = page("Action=ListUsers&MaxItems=2", &Disturbance::default());
        assert_eq!((names, truncated.as_str()), (vec!["a".into(), "b".into()], "true"));
        let body = format!("Action=ListUsers&MaxItems=2&Marker={}", marker.unwrap());
        assert_eq!(page(&body, &Disturbance::default()), (vec!["c".into()], None, "false".into()));
    }

    #[test]
    fn a_rule_makes_pages_smaller_than_asked() {
        let small = Disturbance { page_size: Some(1), ..Disturbance::default() };
        let (names, marker, _) = page("Action=ListUsers", &small);
        assert_eq!((names.len(), marker.as_deref()), (1, Some("page-2-from-1")));
    }

    #[test]
    fn a_repeated_token_never_ends() {
        let repeat = Disturbance { repeat_token: true, ..Disturbance::default() };
        let (_, first, _) = page("Action=ListUsers", &repeat);
        let first = first.unwrap();
        let (_, second, truncated) = page(&format!("Action=ListUsers&Marker={first}"), &repeat);
        assert_eq!((second, truncated.as_str()), (Some(first), "true"));
    }

    #[test]
    fn a_limit_out_of_range_and_a_foreign_token_are_refused() {
        for body in ["MaxResults=4", "MaxResults=1001", "NextToken=x"] {
            let request = request("eu-west-1/ec2", "POST", "/", None, &format!("Action=DescribeSecurityGroups&{body}"));
            let answer = Paging::of(&request).unwrap().asked(&request).unwrap_err();
            let root = answer.parse().unwrap();
            assert_eq!(root.find("Code").unwrap().text, "InvalidParameterValue", "{body}");
        }
    }
}
