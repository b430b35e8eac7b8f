//! From a bucket's policy to the same policy with one statement more, which denies every request without TLS. No IO.

use serde_json::{Value, json};

use super::super::tls::{self, PlainHttp};
use super::{Case, Hold, LivePolicy, grants, read};
use crate::api::BucketPolicyChange;
use crate::baseline::change::Action;
use crate::baseline::remediation::HoldReason;

/// The most bytes of a bucket's policy: 20 KB.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/add-bucket-policy.html>
const MAX_POLICY: usize = 20 * 1024;

/// The `Sid` of the statement, if it is not taken.
const SID: &str = "PlumblineRequireTls";

/// The write that adds the statement, and what it does.
pub(super) fn change(case: &Case<'_>, live: Option<&LivePolicy>) -> Result<(Action, &'static str), Hold> {
    if let Some(live) = live {
        writable(case, live)?;
    }
    if *read("whether the bucket serves a website", case.evidence.serves_website.as_ref())? {
        let message = "the bucket serves a website, whose endpoint has no HTTPS: put CloudFront before it first";
        return Err(Hold::new(HoldReason::Website, message));
    }
    let after = match live {
        Some(live) => appended(live, &case.arn())?,
        None => json!({"Version": "2012-10-17", "Statement": [statement(SID, &case.arn())]}).to_string(),
    };
    if after.len() > MAX_POLICY {
        let message = format!(
            "the bucket's policy would have {} bytes, and AWS takes {MAX_POLICY}: shorten it first",
            after.len()
        );
        return Err(Hold::new(HoldReason::PolicyTooLarge, message));
    }
    let what = match live {
        Some(_) => "add one statement to the bucket's policy, which denies every request without TLS",
        None => "put a bucket policy of one statement, which denies every request without TLS",
    };
    let change = BucketPolicyChange {
        bucket: case.state.bucket.name.clone(),
        region: case.state.bucket.region.clone(),
        before: live.map(|live| live.text.clone()),
        after: Some(after),
    };
    Ok((Action::BucketPolicy(change), what))
}

/// Whether AWS would take the policy again, and a program can know what it says.
fn writable(case: &Case<'_>, live: &LivePolicy) -> Result<(), Hold> {
    let refused = |message: String| Err(Hold::new(HoldReason::PolicyNotWritable, message));
    if tls::judge(&live.document, &case.arn()) == PlainHttp::Denied {
        let message = "the policy denies requests without TLS by now: the next evaluation judges it again";
        return Err(Hold::new(HoldReason::NotRead, message));
    }
    if grants::has_not_principal(&live.document) {
        return refused("the policy has a NotPrincipal, which is not rewritten: add the statement by hand".to_owned());
    }
    if let Some(gone) = grants::gone_principal(&live.document) {
        return refused(format!("the policy names {gone}, which was deleted: AWS refuses the policy until it is out"));
    }
    let blocked = || read("the bucket's public access block", case.evidence.blocks_public_policy.as_ref());
    if grants::is_public(&live.document) && *blocked()? {
        let message = "the policy is public and the bucket has BlockPublicPolicy, so AWS refuses any write of it: \
                       restrict the policy first";
        return refused(message.to_owned());
    }
    Ok(())
}

fn statement(sid: &str, bucket_arn: &str) -> Value {
    json!({
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, format!("{bucket_arn}/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    })
}

/// The policy with the statement after its own. Nothing else is touched: where the text cannot be kept to the last
/// digit, it is not written.
fn appended(live: &LivePolicy, bucket_arn: &str) -> Result<String, Hold> {
    let unreadable = || Hold::new(HoldReason::PolicyNotWritable, "the policy cannot be written as it was read");
    let mut policy: Value = serde_json::from_str(&live.text).map_err(|_| unreadable())?;
    if !keeps_numbers(&policy, &live.text) {
        return Err(unreadable());
    }
    let statements = policy.get_mut("Statement").ok_or_else(unreadable)?;
    if !statements.is_array() {
        *statements = Value::Array(vec![statements.take()]);
    }
    let added = statement(&free_sid(live), bucket_arn);
    statements.as_array_mut().ok_or_else(unreadable)?.push(added);
    Ok(policy.to_string())
}

/// A number with more digits than a program keeps would be written as another.
fn keeps_numbers(value: &Value, text: &str) -> bool {
    match value {
        Value::Number(number) => !number.is_f64() || text.contains(&number.to_string()),
        Value::Array(values) => values.iter().all(|value| keeps_numbers(value, text)),
        Value::Object(fields) => fields.values().all(|value| keeps_numbers(value, text)),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

fn free_sid(live: &LivePolicy) -> String {
    let taken: Vec<&str> = live.document.statements.iter().filter_map(|statement| statement.sid.as_deref()).collect();
    let others = (2_usize..).map(|number| format!("{SID}{number}"));
    std::iter::once(SID.to_owned())
        .chain(others)
        .find(|sid| !taken.iter().any(|taken| taken.eq_ignore_ascii_case(sid)))
        .unwrap_or_default()
}
