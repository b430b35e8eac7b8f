//! What an AWS service sends, in the shape that this service has for it: errors above all. No IO.
//!
//! The shapes follow AWS's references: "Common errors" of IAM and STS, "Error codes for the Amazon EC2 API", "Error
//! responses" of Amazon S3, and the JSON protocol of KMS and Service Quotas.

use hyper::body::Bytes;

use super::request::AwsRequest;
use super::xml::Element;

/// A whole answer, before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Headers beside the length.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// An answer with a body of this type.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), content_type.to_owned())], body: body.into() }
    }

    /// An XML answer.
    #[must_use]
    pub fn xml(status: u16, root: &Element) -> Self {
        Self::new(status, "text/xml", root.to_document())
    }

    /// Whether the call succeeded.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether it is HTML, which AWS never sends and moto does where it lacks an operation or falls over.
    #[must_use]
    pub fn is_html(&self) -> bool {
        self.body.trim_ascii_start().starts_with(b"<!doctype html")
    }

    /// The body as XML.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(&self) -> anyhow::Result<Element> {
        Element::parse(std::str::from_utf8(&self.body)?)
    }

    /// The same answer with this XML as its body.
    #[must_use]
    pub fn with_xml(&self, root: &Element) -> Self {
        Self { body: root.to_document().into(), ..self.clone() }
    }
}

/// The id of every request that the proxy answers by itself; easy to find in logs.
const REQUEST_ID: &str = "plumbline-rig-0000";

/// An error in the shape of the request's service.
pub(crate) fn error(request: &AwsRequest, status: u16, code: &str, message: &str) -> Answer {
    let pair = || vec![Element::with_text("Code", code), Element::with_text("Message", message)];
    match request.service.as_str() {
        "kms" | "servicequotas" => {
            let body = serde_json::json!({"__type": code, "message": message});
            let mut answer = Answer::new(status, "application/x-amz-json-1.1", body.to_string());
            answer.headers.push(("x-amzn-errortype".to_owned(), code.to_owned()));
            answer
        }
        "ec2" => {
            let errors = Element::with_children("Errors", vec![Element::with_children("Error", pair())]);
            let id = Element::with_text("RequestID", REQUEST_ID);
            Answer::xml(status, &Element::with_children("Response", vec![errors, id]))
        }
        "s3" => {
            let mut children = pair();
            children.push(Element::with_text("Resource", &request.path));
            if let Some(bucket) = &request.resource {
                children.push(Element::with_text("BucketName", bucket));
            }
            children.push(Element::with_text("RequestId", REQUEST_ID));
            let mut answer = Answer::xml(status, &Element::with_children("Error", children));
            answer.headers = vec![("content-type".to_owned(), "application/xml".to_owned())];
            answer
        }
        service => {
            let kind = if status < 500 { "Sender" } else { "Receiver" };
            let mut children = vec![Element::with_text("Type", kind)];
            children.extend(pair());
            let error = Element::with_children("Error", children);
            let mut root =
                Element::with_children("ErrorResponse", vec![error, Element::with_text("RequestId", REQUEST_ID)]);
            let version = if service == "sts" { "2011-06-15" } else { "2010-05-08" };
            root.attributes = vec![("xmlns".to_owned(), format!("https://{service}.amazonaws.com/doc/{version}/"))];
            Answer::xml(status, &root)
        }
    }
}

/// The service's answer to a caller that calls too often.
pub(crate) fn throttled(request: &AwsRequest) -> Answer {
    match request.service.as_str() {
        "ec2" => error(request, 503, "RequestLimitExceeded", "Request limit exceeded."),
        "s3" => error(request, 503, "SlowDown", "Please reduce your request rate."),
        "kms" => error(request, 400, "ThrottlingException", "Rate exceeded"),
        "servicequotas" => error(request, 400, "TooManyRequestsException", "Rate exceeded"),
        _ => error(request, 400, "Throttling", "Rate exceeded"),
    }
}

/// The service's answer to a caller that may not do this, as IAM's "Troubleshoot access denied error messages" has it.
pub(crate) fn access_denied(request: &AwsRequest, message: &str) -> Answer {
    match request.service.as_str() {
        "ec2" => {
            let message = format!("You are not authorized to perform this operation. {message}");
            error(request, 403, "UnauthorizedOperation", &message)
        }
        "kms" | "servicequotas" => error(request, 400, "AccessDeniedException", message),
        _ => error(request, 403, "AccessDenied", message),
    }
}

/// The message that AWS has where no policy allows the call.
pub(crate) fn not_allowed(request: &AwsRequest, caller: &str, account: &str) -> String {
    let action = request.iam_action();
    let resource = resource_arn(request, account);
    format!(
        "User: {caller} is not authorized to perform: {action} on resource: {resource} because no identity-based \
         policy allows the {action} action"
    )
}

/// The message that AWS has where an organization's policy denies the call.
pub(crate) fn denied_by_organization(request: &AwsRequest, caller: &str, account: &str) -> String {
    let action = request.iam_action();
    let resource = resource_arn(request, account);
    format!(
        "User: {caller} is not authorized to perform: {action} on resource: {resource} with an explicit deny in a \
         service control policy"
    )
}

/// The service's answer when it fails by itself.
pub(crate) fn failed(request: &AwsRequest, status: u16) -> Answer {
    let (code, message) = match (request.service.as_str(), status) {
        ("s3", 503) => ("ServiceUnavailable", "Please try again."),
        ("s3", _) => ("InternalError", "We encountered an internal error. Please try again."),
        ("ec2", 503) => ("Unavailable", "The service is unavailable. Please try again shortly."),
        ("ec2", _) => ("InternalError", "An internal error has occurred"),
        ("kms", _) => ("KMSInternalException", "The request was rejected because an internal exception occurred."),
        ("servicequotas", _) => ("ServiceException", "Something went wrong."),
        (_, 503) => ("ServiceUnavailable", "Service is unavailable. Please try again later."),
        (_, _) => ("ServiceFailure", "The request processing has failed because of an unknown error."),
    };
    error(request, status, code, message)
}

/// The page that a load balancer in front of a service sends when it has nothing behind it.
pub(crate) fn html() -> Answer {
    let page = "<html><head><title>503 Service Temporarily Unavailable</title></head>\
                <body><center><h1>503 Service Temporarily Unavailable</h1></center></body></html>";
    Answer::new(503, "text/html", page)
}

fn resource_arn(request: &AwsRequest, account: &str) -> String {
    let region = &request.region;
    match (request.service.as_str(), request.resource.as_deref()) {
        (_, Some(arn)) if arn.starts_with("arn:") => arn.to_owned(),
        ("s3", Some(bucket)) => format!("\"arn:aws:s3:::{bucket}\""),
        ("iam", Some(user)) => format!("user {user}"),
        ("ec2", Some(id)) => format!("arn:aws:ec2:{region}:{account}:security-group/{id}"),
        ("kms", Some(key)) => format!("arn:aws:kms:{region}:{account}:key/{key}"),
        _ => "*".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::request;
    use super::*;

    fn each_service() -> [AwsRequest; 6] {
        [
            request("us-east-1/iam", "POST", "/", None, "Action=ListUsers"),
            request("us-east-1/sts", "POST", "/", None, "Action=GetCallerIdentity"),
            request("eu-west-1/ec2", "POST", "/", None, "Action=DescribeSecurityGroups"),
            request("eu-west-1/s3", "GET", "/logs?encryption", None, ""),
            request("eu-west-1/kms", "POST", "/", Some("TrentService.DescribeKey"), "{}"),
            request("eu-west-1/servicequotas", "POST", "/", Some("ServiceQuotasV20190624.GetServiceQuota"), "{}"),
        ]
    }

    fn code(answer: &Answer) -> String {
        match answer.parse() {
            Ok(root) => root.find("Code").unwrap().text.clone(),
            Err(_) => {
                serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap()["__type"].as_str().unwrap().into()
            }
        }
    }

    #[test]
    fn throttling_has_each_services_own_shape() {
        let answers = each_service().map(|request| throttled(&request)).map(|answer| (answer.status, code(&answer)));
        let expected = [
            (400, "Throttling"),
            (400, "Throttling"),
            (503, "RequestLimitExceeded"),
            (503, "SlowDown"),
            (400, "ThrottlingException"),
            (400, "TooManyRequestsException"),
        ];
        assert_eq!(answers, expected.map(|(status, code)| (status, code.to_owned())));
    }

    #[test]
    fn a_denial_has_each_services_own_shape() {
        let answers = each_service().map(|request| access_denied(&request, "m")).map(|a| (a.status, code(&a)));
        let expected = [
            (403, "AccessDenied"),
            (403, "AccessDenied"),
            (403, "UnauthorizedOperation"),
            (403, "AccessDenied"),
            (400, "AccessDeniedException"),
            (400, "AccessDeniedException"),
        ];
        assert_eq!(answers, expected.map(|(status, code)| (status, code.to_owned())));
    }

    #[test]
    fn a_denial_names_caller_action_and_resource() {
        let [iam, _, _, s3, _, _] = each_service();
        assert_eq!(
            not_allowed(&iam, "arn:aws:iam::1:user/u", "1"),
            "User: arn:aws:iam::1:user/u is not authorized to perform: iam:ListUsers on resource: * because no \
             identity-based policy allows the iam:ListUsers action"
        );
        let message = denied_by_organization(&s3, "arn:aws:iam::1:user/u", "1");
        assert!(message.contains("s3:GetEncryptionConfiguration on resource: \"arn:aws:s3:::logs\""), "{message}");
        assert!(message.ends_with("with an explicit deny in a service control policy"), "{message}");
    }

    #[test]
    fn a_failure_keeps_the_status_that_was_asked_for() {
        for request in each_service() {
            assert_eq!(failed(&request, 500).status, 500);
            assert_eq!(failed(&request, 503).status, 503);
        }
    }
}
