//! From the SDK's errors to causes: the only file that matches AWS error codes. No IO.
//!
//! A message is one short sentence with the operation and the region. It never holds credentials: where AWS quotes the
//! request back (a wrong signature), its words are left out. Nor does it hold the request's id, which is logged: the
//! same refusal has to read the same each time, or every try would write a status.

mod change;

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_types::request_id::RequestId;
use tracing::debug;

use super::operation::{self, Operation};
use super::text::{bounded, layers, quoted, sentence};
use super::transport::TransportError;
use crate::baseline::{Cause, CauseClass};

pub(super) use self::change::plain;
pub(super) use self::change::{Attempt, answer_to_change};

/// The most bytes of a message.
const MAX_MESSAGE: usize = 500;

/// Why a call failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    pub(super) cause: Cause,
}

/// What a failure can mean beyond its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// AWS says that there is no such thing, which is the answer.
    Absent,
    /// There is no credential report, or it is too old.
    ReportMissing,
    /// AWS is making the credential report.
    ReportPending,
    /// S3 refused without saying what is missing, as it does where the bucket belongs to another account.
    BareDenial,
    /// Nothing beyond its cause.
    Plain,
}

impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        failure.cause
    }
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        Self { kind: FailureKind::Plain, cause }
    }
}

impl Failure {
    /// `None` where AWS said that there is no such thing.
    pub(super) fn or_absent<T>(result: Result<T, Self>) -> Result<Option<T>, Cause> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(failure) if failure.kind == FailureKind::Absent => Ok(None),
            Err(failure) => Err(failure.cause),
        }
    }
}

/// The account's time was used up before an answer came.
pub(super) fn deadline_exceeded(operation: Operation, region: &str) -> Cause {
    let message = format!("{operation} in {region}: the time for the account was used up before AWS answered");
    Cause::new(CauseClass::DeadlineExceeded, message)
}

/// An answer that cannot be right.
pub(super) fn malformed(operation: Operation, what: impl AsRef<str>) -> Cause {
    Cause::new(CauseClass::Malformed, bounded(&format!("{operation}: {}", what.as_ref()), MAX_MESSAGE))
}

/// Classifies what the SDK says.
pub(super) fn classify<E>(operation: Operation, region: &str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let place = format!("{operation} in {region}");
    match error {
        SdkError::ServiceError(answer) => {
            let refusal = Refusal {
                operation,
                place,
                status: answer.raw().status().as_u16(),
                code: answer.err().code().map(plain),
                words: answer.err().message().unwrap_or_default(),
            };
            let request_id = error.request_id().or_else(|| answer.err().meta().request_id());
            debug!(%operation, region, code = refusal.code, request_id, "AWS refused");
            refusal.failure()
        }
        SdkError::ResponseError(answer) => unreadable(&place, answer.raw().status().as_u16()).into(),
        SdkError::TimeoutError(_) => {
            Cause::new(CauseClass::Unreachable, format!("{place}: AWS did not answer in time")).into()
        }
        SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) => undelivered(&place, error).into(),
        _ => Cause::new(CauseClass::Refused, bounded(&format!("{place}: {error}"), MAX_MESSAGE)).into(),
    }
}

/// An error that AWS answered with.
struct Refusal<'a> {
    operation: Operation,
    place: String,
    status: u16,
    code: Option<&'a str>,
    words: &'a str,
}

impl Refusal<'_> {
    fn failure(&self) -> Failure {
        let Some(code) = self.code else {
            return unreadable(&self.place, self.status).into();
        };
        let class = class_of(code, self.status, self.words);
        let missing_action = (class == CauseClass::AccessDenied).then(|| self.missing_action());
        let message = if quotes_the_request(code) {
            format!("{}: AWS does not accept the signature ({})", self.place, bounded(code, 64))
        } else if self.words.trim().is_empty() {
            format!("{}: AWS refused ({})", self.place, bounded(code, 64))
        } else {
            format!("{}: {} ({})", self.place, quoted(self.words), bounded(code, 64))
        };
        let cause = Cause { class, message: bounded(&message, MAX_MESSAGE), missing_action };
        Failure { kind: self.kind(code, class), cause }
    }

    fn kind(&self, code: &str, class: CauseClass) -> FailureKind {
        match code {
            // The same code says that the user is gone, which is not the answer to "has the user a password?".
            "NoSuchEntity" if self.operation == operation::GET_LOGIN_PROFILE => {
                if self.words.to_lowercase().contains("user with name") {
                    FailureKind::Plain
                } else {
                    FailureKind::Absent
                }
            }
            "NoSuchEntity" if self.operation == operation::GET_ACCOUNT_PASSWORD_POLICY => FailureKind::Absent,
            "NoSuchEntity" if self.operation == operation::GET_POLICY => FailureKind::Absent,
            "ServerSideEncryptionConfigurationNotFoundError"
            | "NoSuchBucketPolicy"
            | "NoSuchTagSet"
            | "NoSuchWebsiteConfiguration"
            | "NoSuchPublicAccessBlockConfiguration"
            | "ReplicationConfigurationNotFoundError" => FailureKind::Absent,
            "NotFoundException" if self.operation == operation::DESCRIBE_KEY => FailureKind::Absent,
            "ReportNotPresent" | "ReportExpired" => FailureKind::ReportMissing,
            "ReportInProgress" => FailureKind::ReportPending,
            _ if class == CauseClass::AccessDenied && !self.words.contains(NOT_AUTHORIZED) => FailureKind::BareDenial,
            _ => FailureKind::Plain,
        }
    }

    /// The action that AWS names, else the one that permits the operation.
    fn missing_action(&self) -> String {
        let named = self.words.split_once(NOT_AUTHORIZED).map(|(_, rest)| {
            rest.trim_start().split(|c: char| !(c.is_ascii_alphanumeric() || c == ':' || c == '-')).next().unwrap_or("")
        });
        match named {
            Some(action) if action.contains(':') => bounded(action, 128),
            _ => self.operation.action.to_owned(),
        }
    }
}

const NOT_AUTHORIZED: &str = "is not authorized to perform:";

/// The class of an error code, of all services together: none of them uses another's code for something else.
fn class_of(code: &str, status: u16, words: &str) -> CauseClass {
    match code {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "UnauthorizedAccess" => {
            let words = words.to_lowercase();
            if words.contains("service control policy") || words.contains("resource control policy") {
                CauseClass::DeniedByOrganization
            } else {
                CauseClass::AccessDenied
            }
        }
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "TooManyRequestsException"
        | "EC2ThrottledException"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete"
        | "SlowDown" => CauseClass::Throttled,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "TokenRefreshRequired"
        | "InvalidToken"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "UnrecognizedClientException"
        | "AuthFailure"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "MissingSecurityHeader"
        | "NotSignedUp"
        | "InvalidIdentityToken"
        | "IDPRejectedClaim"
        | "RequestExpired"
        | "RequestTimeTooSkewed" => CauseClass::Credentials,
        _ if quotes_the_request(code) => CauseClass::Credentials,
        "OptInRequired"
        | "RegionDisabledException"
        | "SubscriptionRequiredException"
        | "UnsupportedOperation"
        | "UnknownOperationException"
        | "InvalidAction"
        | "NotImplemented" => CauseClass::NotAvailable,
        "NoSuchEntity" | "NoSuchBucket" | "NotFoundException" => CauseClass::NotFound,
        // The bucket is not where `ListBuckets` saw it, which is not to say that it is gone: one that is gone is not
        // judged.
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            CauseClass::Malformed
        }
        _ if code.ends_with(".NotFound") => CauseClass::NotFound,
        _ if status == 429 => CauseClass::Throttled,
        _ if status >= 500 => CauseClass::ServiceError,
        _ => CauseClass::Refused,
    }
}

/// Whether AWS refused a request for being one too many; `None` where it gave no code that could be read.
pub(super) fn is_throttle(code: Option<&str>, status: u16) -> bool {
    code.map_or(status == 429, |code| class_of(code, status, "") == CauseClass::Throttled)
}

/// Whether AWS's message for the code quotes the request, session token included.
fn quotes_the_request(code: &str) -> bool {
    matches!(code, "SignatureDoesNotMatch" | "InvalidSignatureException" | "IncompleteSignature")
}

/// An answer without an error code that could be read: a proxy's page, or half a document.
fn unreadable(place: &str, status: u16) -> Cause {
    let (class, what) = match status {
        200..=299 => (CauseClass::Malformed, "answered with something that is no answer of AWS"),
        301 | 307 => (CauseClass::Malformed, "was redirected: the bucket is not in this region any more"),
        // AWS says what is missing; a page without a code is a proxy's, and proves nothing to be gone.
        404 => (CauseClass::Malformed, "found nothing there"),
        429 => (CauseClass::Throttled, "was asked to slow down"),
        500.. => (CauseClass::ServiceError, "failed on the side of AWS"),
        _ => (CauseClass::Refused, "was refused without an AWS error code"),
    };
    Cause::new(class, format!("{place} {what} (HTTP {status})"))
}

/// No answer at all: no credentials, no session, no network, or an answer that broke off.
fn undelivered(place: &str, error: &(dyn Error + 'static)) -> Cause {
    // The session's own cause lies below the SDK's error for "no credentials", so it is looked for first.
    if let Some(cause) = layers(error).find_map(|layer| layer.downcast_ref::<Cause>()) {
        return cause.clone();
    }
    for layer in layers(error) {
        if let Some(fault) = layer.downcast_ref::<TransportError>() {
            let class = match fault {
                TransportError::Timeout(_) => CauseClass::Unreachable,
                TransportError::CutShort
                | TransportError::NotAnAnswer
                | TransportError::TooLarge
                | TransportError::SecondAttempt => CauseClass::Malformed,
            };
            return Cause::new(class, format!("{place}: {fault}"));
        }
        if layer.is::<CredentialsError>() {
            return no_credentials(layer);
        }
    }
    let message = format!("{place}: {}", sentence(error));
    Cause::new(CauseClass::Unreachable, bounded(&message, MAX_MESSAGE))
}

/// The SDK's chain found no credentials, or could not use what it found.
pub(super) fn no_credentials(error: &(dyn Error + 'static)) -> Cause {
    let message = format!("there are no AWS credentials that can be used: {}", sentence(error));
    Cause::new(CauseClass::Credentials, bounded(&message, MAX_MESSAGE))
}

/// The role of an account could not be assumed. Who may do what is not told apart by AWS, so all of it is said.
pub(super) fn no_session(role_arn: &str, caller: &str, failure: Failure) -> Cause {
    let Cause { class, message, .. } = failure.cause;
    let (class, advice, missing_action) = match class {
        CauseClass::AccessDenied => (
            CauseClass::Credentials,
            format!(
                "; it must exist, trust {caller}, ask for no other external id, and {caller} needs sts:AssumeRole on it"
            ),
            Some(operation::ASSUME_ROLE.action.to_owned()),
        ),
        other => (other, String::new(), None),
    };
    let head = format!("the role {} cannot be assumed{}", bounded(role_arn, 140), bounded(&advice, 240));
    Cause { missing_action, ..Cause::new(class, bounded(&format!("{head}: {message}"), MAX_MESSAGE + 100)) }
}

#[cfg(test)]
mod tests;
