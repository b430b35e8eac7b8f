//! What was read, or why it was not: there is no third way to say "nothing there".

use std::fmt;

use jiff::Timestamp;

/// One unit of an account: read to its end, or unknown.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed<T> {
    /// It was read completely: a list is complete only when its last page came.
    Complete {
        /// What was read.
        value: T,
        /// The moment of which the value speaks: when AWS answered, or when AWS made the report that was read.
        at: Timestamp,
    },
    /// It was not read, or only in part.
    Unknown(Cause),
}

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The class, which decides what happens next.
    pub class: CauseClass,
    /// What happened, as a sentence without a period, with AWS's own words in it.
    pub message: String,
    /// The IAM action that the identity lacks, where that is the cause. Example: `iam:ListMFADevices`.
    pub missing_action: Option<String>,
}

/// The classes of causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CauseClass {
    /// The identity lacks a permission.
    AccessDenied,
    /// A policy of the organization (SCP, RCP) denies it: nothing to add to the role.
    DeniedByOrganization,
    /// The resource belongs to another account, which AWS refuses by `ExpectedBucketOwner`: no missing permission.
    OtherOwner,
    /// There are no credentials, or AWS does not accept them, or a role could not be assumed.
    Credentials,
    /// AWS asked to slow down until the attempts were used up.
    Throttled,
    /// No answer: network, name resolution, timeout.
    Unreachable,
    /// AWS answered with a fault of its own (5xx).
    ServiceError,
    /// An answer that cannot be right: no XML, a page token twice, too many pages, a field that is missing.
    Malformed,
    /// The time for the account was used up before.
    DeadlineExceeded,
    /// The thing vanished while it was being read.
    NotFound,
    /// The region or the operation is not available there.
    NotAvailable,
    /// Any other refusal by AWS.
    Refused,
}

impl CauseClass {
    /// The word as it stands in status and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDenied",
            Self::DeniedByOrganization => "DeniedByOrganization",
            Self::OtherOwner => "OtherOwner",
            Self::Credentials => "Credentials",
            Self::Throttled => "Throttled",
            Self::Unreachable => "Unreachable",
            Self::ServiceError => "ServiceError",
            Self::Malformed => "Malformed",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::NotFound => "NotFound",
            Self::NotAvailable => "NotAvailable",
            Self::Refused => "Refused",
        }
    }

    /// Whether it may pass without anybody's edit, so that it is worth trying again soon.
    #[must_use]
    pub fn may_pass(self) -> bool {
        match self {
            Self::Throttled
            | Self::Unreachable
            | Self::ServiceError
            | Self::Malformed
            | Self::DeadlineExceeded
            | Self::NotFound => true,
            Self::AccessDenied
            | Self::DeniedByOrganization
            | Self::OtherOwner
            | Self::Credentials
            | Self::NotAvailable
            | Self::Refused => false,
        }
    }
}

impl fmt::Display for CauseClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Cause {
    /// A cause without a missing action.
    #[must_use]
    pub fn new(class: CauseClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), missing_action: None }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Cause {}

impl<T> Observed<T> {
    /// A unit that was read completely.
    pub fn complete(value: T, at: Timestamp) -> Self {
        Self::Complete { value, at }
    }

    /// The value with its time, or the cause.
    ///
    /// # Errors
    ///
    /// The cause, where the unit is unknown.
    pub fn read(&self) -> Result<(&T, Timestamp), &Cause> {
        match self {
            Self::Complete { value, at } => Ok((value, *at)),
            Self::Unknown(cause) => Err(cause),
        }
    }

    /// The value, where it was read.
    pub fn value(&self) -> Option<&T> {
        self.read().ok().map(|(value, _)| value)
    }

    /// The same unit with another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Observed<U> {
        match self {
            Self::Complete { value, at } => Observed::Complete { value: f(value), at },
            Self::Unknown(cause) => Observed::Unknown(cause),
        }
    }
}

impl<T> From<Result<(T, Timestamp), Cause>> for Observed<T> {
    fn from(result: Result<(T, Timestamp), Cause>) -> Self {
        match result {
            Ok((value, at)) => Self::Complete { value, at },
            Err(cause) => Self::Unknown(cause),
        }
    }
}
