//! The custom resources of the group `plumbline.dev`, as data: no IO, no clock.
//!
//! The shape of these types is the shape of the CRDs in `crds/`, which `plumbline crd` prints. A field that is absent,
//! and a boolean that is false, asks for nothing.

mod account;
mod approval;
mod change;
mod condition;
mod controls;
mod crds;
mod enforcement;
mod exception;
mod names;
mod ports;
mod record;
mod resource;
mod status;
mod values;

pub use account::{
    AccountAccess, AccountQuota, AccountRegion, AvailabilityZone, AwsAccount, AwsAccountSpec, AwsAccountStatus,
};
pub use approval::{BaselineRef, PlanApproval, PlanApprovalSpec, PlanApprovalStatus};
pub use change::{
    BucketEncryptionChange, BucketPolicyChange, PasswordPolicyChange, SecurityGroupRuleChange, UserPolicyChange,
};
pub use condition::{Condition, ConditionStatus, ConditionType, Reason};
pub use controls::{
    Algorithm, AllowedIngress, Controls, DefaultGroupEnforcement, MfaControl, PasswordPolicyControl, PublicThreshold,
    RootUser, S3Encryption, SecurityGroupScope, SecurityGroupsControl, UserMfa, UserScope,
};
pub use crds::{GROUP, VERSION, crds};
pub use enforcement::{ApprovalMode, Day, Enforcement, OwnerTag, Window};
pub use exception::{
    BaselineException, BaselineExceptionSpec, BaselineExceptionStatus, CHECKS_BY_CONTROL, ControlName, ExpiryError,
    LONGEST_EXCEPTION,
};
pub use names::{
    AccountId, AwsAccountName, BaselineDuration, Cidr, Days, ExpiryTime, GroupNamePattern, IamUserName, KmsKeyName,
    PrefixListId, Protocol, RegionName, ResourcePattern, StartTime, TimeZoneName,
};
pub use ports::{PortRange, PortRangeError};
pub use record::{
    ChangeRecord, ChangeRecordSpec, ChangeRecordStatus, RecordedBaseline, RecordedChange, RecordedFinding,
};
pub use resource::{AccountBaseline, AccountBaselineSpec, AccountRef, Mode};
pub use status::{
    AccountBaselineStatus, ControlStatus, CoverageStatus, DriftEntry, ExceptionUse, ExemptEntry, PlanStatus,
    SummaryStatus, UnknownEntry,
};
pub use values::{BucketEncryption, PasswordPolicy, ReferencedGroup, SecurityGroupRuleValue, Tag};

/// The annotation that forces an evaluation: status echoes its value in `lastHandledReconcileAt`.
pub const REQUESTED_AT: &str = "plumbline.dev/requestedAt";

/// The same in Flux's words, so that `flux reconcile` and its users' habits work.
pub const FLUX_REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// The label of a `ChangeRecord` that tells the hour in which it was claimed, in hours since 1970: the rate of the
/// whole operator is counted by it.
pub const CLAIMED_HOUR: &str = "plumbline.dev/claimed-hour";
