//! From what came back of a change to whether it was made: yes, no, or not known. No IO.
//!
//! AWS's refusal of a change (4xx with a code) is a no. Whatever may follow a change that was made, which is every
//! fault on AWS's side and everything that is lost on the way, is not known: reading settles it.

use std::error::Error;
use std::io;

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::{NOT_AUTHORIZED, classify};
use crate::aws::operation::Operation;
use crate::aws::text::layers;
use crate::baseline::change::WriteOperation;
use crate::baseline::{Cause, CauseClass};

/// What became of the one attempt of a change, or of its dry run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::aws) enum Attempt {
    /// It was made, or everything is as if it had been.
    Made,
    /// EC2 would have made it, had it not been asked to pretend.
    WouldBeMade(Cause),
    /// AWS refused it.
    Refused(Cause),
    /// It never left.
    NotSent(Cause),
    /// It may have been made.
    NotKnown(Cause),
}

/// What an error means for a change that was handed to the network.
pub(in crate::aws) fn answer_to_change<E>(
    operation: WriteOperation,
    region: &str,
    error: &SdkError<E, HttpResponse>,
) -> Attempt
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let cause = classify(Operation::of(operation), region, error).cause;
    let SdkError::ServiceError(answer) = error else {
        return if never_connected(error) { Attempt::NotSent(cause) } else { Attempt::NotKnown(cause) };
    };
    // Without a code it is a proxy's page, and what AWS said is not known.
    let Some(code) = answer.err().code().map(plain) else { return Attempt::NotKnown(cause) };
    let words = answer.err().message().unwrap_or_default();
    let status = answer.raw().status().as_u16();
    if code == "DryRunOperation" {
        Attempt::WouldBeMade(cause)
    } else if is_so_already(operation, code, words) {
        Attempt::Made
    } else if may_follow_success(code, status) {
        Attempt::NotKnown(cause)
    } else {
        Attempt::Refused(without_a_wrong_advice(operation, words, cause))
    }
}

/// EC2 puts the side that is at fault before some codes.
pub(in crate::aws) fn plain(code: &str) -> &str {
    code.trim_start_matches("Client.").trim_start_matches("Server.")
}

/// What is to be gone is gone, what is to be there is there.
fn is_so_already(operation: WriteOperation, code: &str, words: &str) -> bool {
    use WriteOperation as W;
    match operation {
        W::RevokeSecurityGroupIngress | W::RevokeSecurityGroupEgress => matches!(
            code,
            "InvalidSecurityGroupRuleId.NotFound" | "InvalidPermission.NotFound" | "InvalidGroup.NotFound"
        ),
        W::AuthorizeSecurityGroupIngress | W::AuthorizeSecurityGroupEgress => code == "InvalidPermission.Duplicate",
        W::DeleteAccountPasswordPolicy => code == "NoSuchEntity",
        // The same code says that the user is gone, which is something else.
        W::DetachUserPolicy => code == "NoSuchEntity" && !words.to_lowercase().contains("user with name"),
        W::UpdateAccountPasswordPolicy
        | W::AttachUserPolicy
        | W::PutBucketEncryption
        | W::DeleteBucketEncryption
        | W::PutBucketPolicy
        | W::DeleteBucketPolicy => false,
    }
}

fn may_follow_success(code: &str, status: u16) -> bool {
    match code {
        // EC2 counts requests before it looks at them, and refuses those over the limit with 503.
        "RequestLimitExceeded" | "EC2ThrottledException" => false,
        "RequestTimeout" | "RequestTimeoutException" => true,
        _ => !(300..500).contains(&status),
    }
}

/// S3 refuses a policy that is public, under `BlockPublicPolicy`, as if a permission were missing, often in two words.
fn without_a_wrong_advice(operation: WriteOperation, words: &str, cause: Cause) -> Cause {
    let blocked = words.contains("BlockPublicPolicy") || words.to_lowercase().contains("public polic");
    let is_named = words.contains(NOT_AUTHORIZED);
    if operation != WriteOperation::PutBucketPolicy || cause.class != CauseClass::AccessDenied || is_named && !blocked {
        return cause;
    }
    let why = if blocked {
        "the policy is public, and BlockPublicPolicy forbids that"
    } else {
        "S3 names no missing permission: BlockPublicPolicy may forbid the policy, or another account own the bucket"
    };
    Cause::new(CauseClass::Refused, format!("{}; {why}", cause.message))
}

/// A port where nobody listens: the one fault of the network before which nothing can have been sent.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    let refused = |layer: &io::Error| layer.kind() == io::ErrorKind::ConnectionRefused;
    layers(error).any(|layer| layer.downcast_ref::<io::Error>().is_some_and(refused))
}
