//! S3: regions of buckets, the encryption that every bucket has, the blocked encryption types, answers without a body.

use anyhow::Context;
use hyper::body::Bytes;

use super::super::parking::lock;
use super::super::request::AwsRequest;
use super::super::shape::{Answer, error};
use super::super::xml::Element;
use super::Known;

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// A bucket asked for in another region than its own answers with the right one: "Making requests" (temporary and
/// permanent redirection) in the S3 user guide; moto answers everywhere.
pub(super) fn redirect_to_region(known: Known<'_>) -> Option<Answer> {
    let bucket = known.request.resource.as_ref()?;
    let region = lock(known.state).bucket_regions.get(bucket).cloned()?;
    if region == known.request.region
        || matches!(known.request.operation.as_str(), "GetBucketLocation" | "CreateBucket")
    {
        return None;
    }
    let message = "The bucket you are attempting to access must be addressed using the specified endpoint. Please send \
                   all future requests to this endpoint.";
    let mut answer = error(known.request, 301, "PermanentRedirect", message);
    answer.headers.push(("x-amz-bucket-region".to_owned(), region));
    Some(answer)
}

/// A bucket of another owner than the one that is expected is refused: "Verifying bucket ownership with bucket owner
/// condition" in the S3 user guide. moto refuses other accounts' buckets by itself, so the caller owns the rest.
pub(super) fn refuse_other_owner(known: Known<'_>) -> Option<Answer> {
    let expected = known.request.headers.get("x-amz-expected-bucket-owner")?;
    let is_owner = expected.as_bytes() == known.caller.account.as_bytes();
    (!is_owner).then(|| error(known.request, 403, "AccessDenied", "Access Denied"))
}

/// Remembers where a bucket was created.
pub(super) fn remember_region(known: Known<'_>) {
    if let Some(bucket) = known.request.resource.clone() {
        lock(known.state).bucket_regions.insert(bucket, known.request.region.clone());
    }
}

/// The names of buckets, sorted, with their regions where the request has a parameter: "`ListBuckets`" and "`Bucket`"
/// in the S3 API reference; moto lists them as they were made, without regions.
pub(super) fn add_regions(known: Known<'_>, answer: &Answer) -> anyhow::Result<Answer> {
    let mut root = answer.parse()?;
    if let Some(buckets) = root.find_mut("Buckets") {
        buckets.children.sort_by_key(|bucket| bucket.child_text("Name").map(ToOwned::to_owned));
        // `x-id` is how SDKs name the operation, no parameter of it.
        if known.request.parameters.0.iter().any(|(name, _)| name != "x-id") {
            let state = lock(known.state);
            for bucket in &mut buckets.children {
                if let Some(region) = bucket.child_text("Name").and_then(|name| state.bucket_regions.get(name)).cloned()
                {
                    bucket.set_child("BucketRegion", region);
                }
            }
        }
    }
    Ok(answer.with_xml(&root))
}

/// The names of the buckets in an answer of `ListBuckets` whose region is not known yet.
pub(crate) fn without_known_region(known: Known<'_>, answer: &Answer) -> Vec<String> {
    let Ok(root) = answer.parse() else { return Vec::new() };
    let state = lock(known.state);
    let buckets = root.find("Buckets").map(|buckets| buckets.children.as_slice()).unwrap_or_default();
    let names = buckets.iter().filter_map(|bucket| bucket.child_text("Name"));
    names.filter(|name| !state.bucket_regions.contains_key(*name)).map(ToOwned::to_owned).collect()
}

/// The region that an answer of `GetBucketLocation` names; the empty one is us-east-1.
pub(crate) fn located_in(answer: &Answer) -> Option<String> {
    let root = answer.is_success().then(|| answer.parse().ok())??;
    Some(if root.text.is_empty() { "us-east-1".to_owned() } else { root.text })
}

/// A bucket without a configuration has SSE-S3: "Setting default server-side encryption behavior for Amazon S3 buckets"
/// in the S3 user guide; moto answers an error.
pub(super) fn instead_of_error(request: &AwsRequest, answer: &Answer) -> Option<Answer> {
    let unset = "ServerSideEncryptionConfigurationNotFoundError";
    let is_unset = || answer.parse().is_ok_and(|root| root.child_text("Code") == Some(unset));
    (request.is("s3", "GetBucketEncryption") && is_unset()).then(default_encryption)
}

/// What `GetBucketEncryption` answers of a bucket that nobody configured.
pub(crate) fn default_encryption() -> Answer {
    let algorithm = Element::with_text("SSEAlgorithm", "AES256");
    let apply = Element::with_children("ApplyServerSideEncryptionByDefault", vec![algorithm]);
    let rule = Element::with_children("Rule", vec![apply, Element::with_text("BucketKeyEnabled", false)]);
    let mut root = Element::with_children("ServerSideEncryptionConfiguration", vec![rule]);
    root.attributes = vec![("xmlns".to_owned(), NAMESPACE.to_owned())];
    Answer::new(200, "application/xml", root.to_document())
}

/// Remembers what `PutBucketEncryption` said of blocked types, nothing included: the call replaces the whole rule.
pub(super) fn remember_blocked_types(known: Known<'_>) -> anyhow::Result<()> {
    let root = Element::parse(std::str::from_utf8(&known.request.body)?)?;
    let bucket = known.request.resource.clone().context("PutBucketEncryption without a bucket")?;
    let types = root.find("BlockedEncryptionTypes").map(|blocked| blocked.children.as_slice()).unwrap_or_default();
    let types = types.iter().map(|kind| kind.text.trim().to_owned()).collect();
    lock(known.state).blocked_encryption.insert(bucket, types);
    Ok(())
}

/// Forgets what was said of blocked types: the call resets the whole rule.
pub(super) fn forget_blocked_types(known: Known<'_>) {
    if let Some(bucket) = &known.request.resource {
        lock(known.state).blocked_encryption.remove(bucket);
    }
}

/// Adds the blocked types that were put: "`BlockedEncryptionTypes`" in the S3 API reference; moto drops them.
pub(super) fn add_blocked_types(known: Known<'_>, answer: &Answer) -> anyhow::Result<Answer> {
    let state = lock(known.state);
    let types = known.request.resource.as_ref().and_then(|bucket| state.blocked_encryption.get(bucket));
    let mut root = answer.parse()?;
    let Some(types) = types.filter(|types| !types.is_empty()) else { return Ok(answer.clone()) };
    if let Some(rule) = root.find_mut("Rule") {
        rule.remove_children("BlockedEncryptionTypes");
        let types = types.iter().map(|kind| Element::with_text("EncryptionType", kind)).collect();
        rule.children.push(Element::with_children("BlockedEncryptionTypes", types));
    }
    Ok(answer.with_xml(&root))
}

/// `PutBucketPolicy` in the S3 API reference: "If the action is successful, the service sends back an HTTP 200 response
/// with an empty HTTP body"; moto answers `True`.
pub(super) fn without_body(answer: &Answer) -> Answer {
    Answer { body: Bytes::new(), ..answer.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::super::account::Account;
    use super::super::super::request::tests::request;
    use super::super::tests::{said, with_call};
    use super::super::{after, before};
    use super::*;

    fn s3(method: &str, uri: &str, body: &str) -> AwsRequest {
        request("eu-west-1/s3", method, uri, None, body)
    }

    #[test]
    fn s3_01_a_bucket_that_nobody_configured_has_aes256() {
        let error = "<Error><Code>ServerSideEncryptionConfigurationNotFoundError</Code></Error>";
        let ask = |uri: &str, xml: &str| {
            with_call(Account::unknown(), &s3("GET", uri, ""), |known| after(known, said(404, xml)).unwrap())
        };
        let answer = ask("/b?encryption", error);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.parse().unwrap().find("SSEAlgorithm").unwrap().text, "AES256");
        assert_eq!(ask("/b?encryption", "<Error><Code>NoSuchBucket</Code></Error>").status, 404);
        assert_eq!(ask("/b?policy", error).status, 404);
    }

    #[test]
    fn s3_10_blocked_types_are_kept_and_replaced() {
        let put = |types: &str| {
            format!("<ServerSideEncryptionConfiguration><Rule>{types}</Rule></ServerSideEncryptionConfiguration>")
        };
        let read = "<ServerSideEncryptionConfiguration><Rule><BucketKeyEnabled>true</BucketKeyEnabled></Rule>\
                    </ServerSideEncryptionConfiguration>";
        let blocking = put("<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>");
        with_call(Account::unknown(), &s3("GET", "/b?encryption", ""), |known| {
            let blocked = |body: &str| {
                let put = s3("PUT", "/b?encryption", body);
                after(Known { request: &put, ..known }, said(200, "")).unwrap();
                let root = after(known, said(200, read)).unwrap().parse().unwrap();
                root.find("EncryptionType").map(|kind| kind.text.clone())
            };
            assert_eq!(blocked(&blocking), Some("SSE-C".to_owned()));
            assert_eq!(blocked(&put("")), None);
        });
    }

    #[test]
    fn a_policy_that_was_put_is_answered_by_nothing() {
        let answer = with_call(Account::unknown(), &s3("PUT", "/b?policy", "{}"), |known| {
            after(known, said(200, "True")).unwrap()
        });
        assert_eq!((answer.status, answer.body.len()), (200, 0));
    }

    #[test]
    fn buckets_are_sorted_and_bear_their_region_where_a_parameter_is_given() {
        let xml = "<L><Buckets><Bucket><Name>b</Name></Bucket><Bucket><Name>a</Name></Bucket></Buckets></L>";
        let list = |uri: &str| {
            with_call(Account::unknown(), &s3("GET", uri, ""), |known| {
                for name in without_known_region(known, &said(200, xml)) {
                    lock(known.state).bucket_regions.insert(name, "eu-west-1".to_owned());
                }
                let root = after(known, said(200, xml)).unwrap().parse().unwrap();
                let buckets = &root.find("Buckets").unwrap().children;
                assert_eq!(buckets[0].child_text("Name"), Some("a"));
                buckets[0].child_text("BucketRegion").map(ToOwned::to_owned)
            })
        };
        assert_eq!(list("/?max-buckets=10"), Some("eu-west-1".to_owned()));
        assert_eq!(list("/?x-id=ListBuckets"), None);
    }

    #[test]
    fn a_bucket_in_another_region_redirects() {
        let create = s3("PUT", "/b", "");
        with_call(Account::unknown(), &create, |known| {
            after(known, said(200, "")).unwrap();
            let here = s3("GET", "/b?policy", "");
            assert_eq!(before(Known { request: &here, ..known }), None);
            let elsewhere = request("us-east-1/s3", "GET", "/b?policy", None, "");
            let answer = before(Known { request: &elsewhere, ..known }).unwrap();
            assert_eq!(answer.status, 301);
            assert!(answer.headers.contains(&("x-amz-bucket-region".to_owned(), "eu-west-1".to_owned())));
        });
    }

    #[test]
    fn s3_23_a_bucket_of_another_owner_than_expected_is_refused() {
        let mut call = s3("GET", "/b?encryption", "");
        let mut status = |owner: &str| {
            call.headers.insert("x-amz-expected-bucket-owner", owner.parse().unwrap());
            with_call(Account::unknown(), &call, before).map(|answer| answer.status)
        };
        assert_eq!((status("1"), status("2")), (None, Some(403)));
    }

    #[test]
    fn an_empty_location_is_us_east_1() {
        assert_eq!(located_in(&said(200, "<LocationConstraint/>")).as_deref(), Some("us-east-1"));
        assert_eq!(
            located_in(&said(200, "<LocationConstraint>eu-west-1</LocationConstraint>")).as_deref(),
            Some("eu-west-1")
        );
        assert_eq!(located_in(&said(403, "<Error/>")), None);
    }
}
