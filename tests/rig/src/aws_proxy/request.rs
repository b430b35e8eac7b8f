//! An HTTP request turned into the AWS call that it is: service, operation, region, resource, parameters. No IO.
//!
//! Knows the query protocols (IAM, EC2, STS), JSON with a target header (KMS), S3's REST with the bucket in the path.

use std::fmt;

use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};

/// A call to AWS, understood as far as the rig needs it.
#[derive(Debug, Clone)]
pub struct AwsRequest {
    /// The service as signatures name it: `iam`, `ec2`, `s3`, `kms`, `sts`.
    pub service: String,
    /// The operation as AWS's API reference names it, such as `ListUsers`.
    pub operation: String,
    /// The region that the request is signed for.
    pub region: String,
    /// The access key id that signed it.
    pub access_key_id: String,
    /// What it is about, where it names one thing: a bucket, a user, a group, a key.
    pub resource: Option<String>,
    /// The parameters: of the query protocols the form, of S3 the query string, of JSON the top level's scalars.
    pub parameters: Parameters,
    /// The HTTP method.
    pub method: Method,
    /// The path, as it was sent.
    pub path: String,
    /// The query string, as it is sent on.
    pub query: String,
    /// The headers, as they were sent.
    pub headers: HeaderMap,
    /// The body, as it was sent.
    pub body: Bytes,
}

/// Parameters in the order in which they were sent; names may repeat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(pub Vec<(String, String)>);

impl Parameters {
    /// Reads the encoding of forms and query strings.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The value of the first parameter of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The values of a list: `NAME.1`, `NAME.2`, or IAM's `NAME.member.1`.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(key, _)| {
                let index = key.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
                index.is_some_and(|rest| rest.trim_start_matches("member.").parse::<u32>().is_ok())
            })
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The values of an EC2 filter, where it is set.
    #[must_use]
    pub fn filter(&self, name: &str) -> Option<Vec<&str>> {
        let (key, _) = self.0.iter().find(|(key, value)| is_filter_name(key) && value == name)?;
        let values = key.replace(".Name", ".Value");
        Some(self.list(&values))
    }

    /// The same without the parameters of these names.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        Self(self.0.iter().filter(|(key, _)| !names.contains(&key.as_str())).cloned().collect())
    }

    /// The same without this EC2 filter.
    #[must_use]
    pub fn without_filter(&self, name: &str) -> Self {
        let Some((key, _)) = self.0.iter().find(|(key, value)| is_filter_name(key) && value == name) else {
            return self.clone();
        };
        let prefix = key.trim_end_matches("Name").to_owned();
        Self(self.0.iter().filter(|(key, _)| !key.starts_with(&prefix)).cloned().collect())
    }

    /// The encoding of forms and query strings.
    #[must_use]
    pub fn encode(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }
}

fn is_filter_name(key: &str) -> bool {
    key.starts_with("Filter.") && key.ends_with(".Name")
}

/// Why a request is none that the rig understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotUnderstood(pub String);

impl fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a request to AWS that the rig understands: {}", self.0)
    }
}

impl AwsRequest {
    /// Understands a request.
    ///
    /// # Errors
    /// When it carries no `SigV4` credential, or names no operation.
    pub fn new(parts: &Parts, body: Bytes) -> Result<Self, NotUnderstood> {
        let not_understood = |why: &str| NotUnderstood(format!("{} {}: {why}", parts.method, parts.uri));
        let scope = Scope::of(&parts.headers).ok_or_else(|| not_understood("no SigV4 credential"))?;
        let query = Parameters::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
        let (operation, resource, parameters) = if scope.service == "s3" {
            let (operation, bucket) = s3_operation(&parts.method, parts.uri.path(), &query);
            (operation, bucket, query)
        } else if let Some(target) = target {
            let parameters = json_parameters(&body);
            let operation = target.rsplit('.').next().unwrap_or(target).to_owned();
            (operation, first_of(&parameters, JSON_RESOURCES), parameters)
        } else {
            let form = if body.is_empty() { query } else { Parameters::parse(&body) };
            let operation = form.get("Action").ok_or_else(|| not_understood("no Action"))?.to_owned();
            (operation, first_of(&form, QUERY_RESOURCES), form)
        };
        Ok(Self {
            service: scope.service,
            operation,
            region: scope.region,
            access_key_id: scope.access_key_id,
            resource,
            parameters,
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers.clone(),
            body,
        })
    }

    /// Whether the call changes something on AWS when it succeeds.
    #[must_use]
    pub fn is_mutating(&self) -> bool {
        const READS: [&str; 8] =
            ["Get", "List", "Describe", "Head", "Simulate", "AssumeRole", "Decode", "GenerateCredentialReport"];
        let dry_run = self.service == "ec2" && self.parameters.get("DryRun") == Some("true");
        !dry_run && !READS.iter().any(|read| self.operation.starts_with(read))
    }

    /// Whether it is this operation of this service.
    #[must_use]
    pub fn is(&self, service: &str, operation: &str) -> bool {
        self.service == service && self.operation == operation
    }

    /// The same call with other parameters.
    #[must_use]
    pub fn with_parameters(&self, parameters: Parameters) -> Self {
        let mut request = self.clone();
        if request.service == "s3" {
            request.query = parameters.encode();
        } else {
            request.body = Bytes::from(parameters.encode());
        }
        request.parameters = parameters;
        request
    }

    /// The IAM action that the call needs, such as `s3:GetEncryptionConfiguration`.
    #[must_use]
    pub fn iam_action(&self) -> String {
        let action = match (self.service.as_str(), self.operation.as_str()) {
            ("s3", "ListBuckets") => "ListAllMyBuckets",
            ("s3", "HeadBucket") => "ListBucket",
            ("s3", "GetBucketEncryption") => "GetEncryptionConfiguration",
            ("s3", "PutBucketEncryption" | "DeleteBucketEncryption") => "PutEncryptionConfiguration",
            ("s3", "GetBucketReplication") => "GetReplicationConfiguration",
            ("s3", "GetPublicAccessBlock") => "GetBucketPublicAccessBlock",
            ("s3", "PutPublicAccessBlock") => "PutBucketPublicAccessBlock",
            (_, operation) => operation,
        };
        format!("{}:{action}", self.service)
    }
}

/// `AKID/DATE/REGION/SERVICE/aws4_request`, as the `Authorization` header has it.
struct Scope {
    access_key_id: String,
    region: String,
    service: String,
}

impl Scope {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let authorization = headers.get("authorization")?.to_str().ok()?;
        let credential = authorization.split("Credential=").nth(1)?.split(',').next()?.trim();
        let mut parts = credential.split('/');
        let (access_key_id, _date) = (parts.next()?.to_owned(), parts.next()?);
        Some(Self { access_key_id, region: parts.next()?.to_owned(), service: parts.next()?.to_owned() })
    }
}

/// What a call of a query protocol is about: the first of these parameters that it has.
const QUERY_RESOURCES: &[&str] = &[
    "UserName",
    "RoleArn",
    "RoleName",
    "PolicyArn",
    "PolicySourceArn",
    "GroupName",
    "GroupId",
    "GroupId.1",
    "SecurityGroupRuleId.1",
    "PrefixListId",
    "PrefixListId.1",
    "NetworkInterfaceId.1",
    "SerialNumber",
];

const JSON_RESOURCES: &[&str] = &["KeyId", "AliasName"];

fn first_of(parameters: &Parameters, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| parameters.get(name)).map(ToOwned::to_owned)
}

fn json_parameters(body: &[u8]) -> Parameters {
    let Ok(serde_json::Value::Object(object)) = serde_json::from_slice(body) else {
        return Parameters::default();
    };
    let scalar = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Bool(_) | serde_json::Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    Parameters(object.into_iter().filter_map(|(name, value)| Some((name, scalar(value)?))).collect())
}

/// S3's subresources and the noun that its operations have for them.
const S3_SUBRESOURCES: [(&str, &str); 14] = [
    ("encryption", "BucketEncryption"),
    ("policyStatus", "BucketPolicyStatus"),
    ("policy", "BucketPolicy"),
    ("logging", "BucketLogging"),
    ("website", "BucketWebsite"),
    ("replication", "BucketReplication"),
    ("publicAccessBlock", "PublicAccessBlock"),
    ("location", "BucketLocation"),
    ("acl", "BucketAcl"),
    ("tagging", "BucketTagging"),
    ("versioning", "BucketVersioning"),
    ("ownershipControls", "BucketOwnershipControls"),
    ("lifecycle", "BucketLifecycleConfiguration"),
    ("notification", "BucketNotificationConfiguration"),
];

/// The operation and the bucket of an S3 call with the bucket in the path.
fn s3_operation(method: &Method, path: &str, query: &Parameters) -> (String, Option<String>) {
    let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    let verb = match *method {
        Method::GET => "Get",
        Method::PUT => "Put",
        Method::DELETE => "Delete",
        Method::HEAD => "Head",
        _ => "Post",
    };
    if bucket.is_empty() {
        return ("ListBuckets".to_owned(), None);
    }
    let subresource = S3_SUBRESOURCES.iter().find(|(name, _)| query.get(name).is_some());
    let operation = match (subresource, key.is_empty(), verb) {
        (Some((_, noun)), true, _) => format!("{verb}{noun}"),
        (None, true, "Get") if query.get("list-type").is_some() => "ListObjectsV2".to_owned(),
        (None, true, "Get") => "ListObjects".to_owned(),
        (None, true, "Put") => "CreateBucket".to_owned(),
        (None, true, _) => format!("{verb}Bucket"),
        (_, false, _) => format!("{verb}Object"),
    };
    (operation, Some(bucket.to_owned()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A request as an SDK would sign it, for tests.
    pub(crate) fn request(scope: &str, method: &str, uri: &str, target: Option<&str>, body: &str) -> AwsRequest {
        let mut builder = hyper::Request::builder().method(method).uri(uri).header(
            "authorization",
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/{scope}/aws4_request, SignedHeaders=host, Signature=0"
            ),
        );
        if let Some(target) = target {
            builder = builder.header("x-amz-target", target);
        }
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        AwsRequest::new(&parts, Bytes::from(body.to_owned())).unwrap()
    }

    #[test]
    fn a_query_call_names_operation_region_and_resource() {
        let call =
            request("us-east-1/iam", "POST", "/", None, "Action=ListMFADevices&UserName=a%2Bb&Version=2010-05-08");
        assert_eq!((call.service.as_str(), call.operation.as_str()), ("iam", "ListMFADevices"));
        assert_eq!((call.region.as_str(), call.access_key_id.as_str()), ("us-east-1", "AKIATEST"));
        assert_eq!(call.resource.as_deref(), Some("a+b"));
        assert!(!call.is_mutating());
    }

    #[test]
    fn a_json_call_names_the_operation_in_its_target() {
        let call = request("eu-west-1/kms", "POST", "/", Some("TrentService.DescribeKey"), r#"{"KeyId":"alias/x"}"#);
        assert_eq!((call.service.as_str(), call.operation.as_str()), ("kms", "DescribeKey"));
        assert_eq!(call.resource.as_deref(), Some("alias/x"));
    }

    #[test]
    fn s3_calls_are_told_apart_by_method_path_and_query() {
        let table = [
            ("GET", "/?max-buckets=10", "ListBuckets", None, false),
            ("GET", "/logs?encryption", "GetBucketEncryption", Some("logs"), false),
            ("PUT", "/logs?encryption=", "PutBucketEncryption", Some("logs"), true),
            ("GET", "/logs?policy", "GetBucketPolicy", Some("logs"), false),
            ("GET", "/logs?policyStatus", "GetBucketPolicyStatus", Some("logs"), false),
            ("GET", "/logs?publicAccessBlock", "GetPublicAccessBlock", Some("logs"), false),
            ("GET", "/logs?logging", "GetBucketLogging", Some("logs"), false),
            ("GET", "/logs/?website", "GetBucketWebsite", Some("logs"), false),
            ("GET", "/logs?replication", "GetBucketReplication", Some("logs"), false),
            ("GET", "/logs?location", "GetBucketLocation", Some("logs"), false),
            ("PUT", "/logs", "CreateBucket", Some("logs"), true),
            ("HEAD", "/logs", "HeadBucket", Some("logs"), false),
            ("PUT", "/logs/a/b", "PutObject", Some("logs"), true),
            ("GET", "/logs?list-type=2", "ListObjectsV2", Some("logs"), false),
        ];
        for (method, uri, operation, resource, mutating) in table {
            let call = request("eu-west-1/s3", method, uri, None, "");
            assert_eq!(call.operation, operation, "{method} {uri}");
            assert_eq!(call.resource.as_deref(), resource, "{method} {uri}");
            assert_eq!(call.is_mutating(), mutating, "{method} {uri}");
        }
    }

    #[test]
    fn a_dry_run_changes_nothing() {
        let body = "Action=RevokeSecurityGroupIngress&GroupId=sg-1";
        assert!(request("eu-west-1/ec2", "POST", "/", None, body).is_mutating());
        assert!(!request("eu-west-1/ec2", "POST", "/", None, &format!("{body}&DryRun=true")).is_mutating());
    }

    #[test]
    fn lists_and_filters_are_read_from_their_numbered_names() {
        let parameters = Parameters::parse(
            b"GroupId.1=a&GroupId.2=b&GroupIdx=c&Names.member.1=n&Filter.1.Name=group-id&Filter.1.Value.1=x&\
              Filter.1.Value.2=y",
        );
        assert_eq!(parameters.list("GroupId"), ["a", "b"]);
        assert_eq!(parameters.list("Names"), ["n"]);
        assert_eq!(parameters.filter("group-id"), Some(vec!["x", "y"]));
        assert_eq!(parameters.filter("vpc-id"), None);
        assert_eq!(parameters.without_filter("group-id").0.len(), 4);
    }

    #[test]
    fn a_request_without_a_signature_is_not_understood() {
        let (parts, ()) = hyper::Request::builder().uri("/x").body(()).unwrap().into_parts();
        let error = AwsRequest::new(&parts, Bytes::new()).unwrap_err();
        assert!(error.to_string().contains("no SigV4 credential"), "{error}");
    }
}
