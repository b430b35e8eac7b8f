//! How drift may be closed: sizes, rates, consent, windows, and what is left to others. Data only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{BaselineDuration, StartTime, TimeZoneName};

/// How drift may be closed, where the mode is `Enforce`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Enforcement {
    /// A plan of more changes starts nothing before it is approved, 0 to 10000. Default: 50. Example: `20`.
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self >= 0 && self <= 10000", "message": "maxPlanSize must be 0 to 10000 changes"},
    ]))]
    pub max_plan_size: i32,
    /// So many changes are made in the account within an hour at most, 1 to 1000. Default: 10. Example: `60`.
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self >= 1 && self <= 1000",
         "message": "maxChangesPerHour must be 1 to 1000 changes; to change nothing, set mode: Audit"},
    ]))]
    pub max_changes_per_hour: i32,
    /// Which plans need a PlanApproval: `WhenOverSize` (default) those over maxPlanSize, `Always` every one.
    pub approval: ApprovalMode,
    /// Changes are started only within one of these windows. Omitted: at any time.
    /// Example: `[{days: [Mon, Tue], start: "22:00", duration: 4h, timeZone: Europe/Berlin}]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "atomic", "x-kubernetes-validations" = [
        {"rule": "self.all(a, self.exists_one(b, a == b))", "message": "lists the same window twice: remove one"},
    ]))]
    pub windows: Option<Vec<Window>>,
    /// Tags that mark what somebody else manages: a security group or bucket with one of them is reported and not
    /// changed, beside the built-in marks of other controllers. Example: `[{key: ManagedBy, value: terraform}]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "atomic", "x-kubernetes-validations" = [
        {"rule": "self.all(a, self.exists_one(b, a == b))", "message": "lists the same tag twice: remove one"},
    ]))]
    pub owned_elsewhere: Option<Vec<OwnerTag>>,
}

impl Default for Enforcement {
    fn default() -> Self {
        Self {
            max_plan_size: 50,
            max_changes_per_hour: 10,
            approval: ApprovalMode::default(),
            windows: None,
            owned_elsewhere: None,
        }
    }
}

/// Which plans need consent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ApprovalMode {
    #[default]
    #[expect(missing_docs, reason = "documented on the field")]
    WhenOverSize,
    #[expect(missing_docs, reason = "documented on the field")]
    Always,
}

impl Enforcement {
    /// Whether a plan of so many changes starts nothing before somebody approves it.
    #[must_use]
    pub fn needs_approval(&self, changes: usize) -> bool {
        match self.approval {
            ApprovalMode::Always => changes > 0,
            ApprovalMode::WhenOverSize => changes > usize::try_from(self.max_plan_size).unwrap_or_default(),
        }
    }
}

/// A time of the week in which changes may be started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline, extend("x-kubernetes-validations" = [
    {"rule": "!self.duration.matches('^([0-9]{1,5}(s|m|h)){1,3}$') || duration(self.duration) <= duration('24h')",
     "fieldPath": ".duration",
     "message": "a window is open for at most 24h: name the other days too, or leave windows out"},
]))]
pub struct Window {
    /// The days on which it opens: `Mon`, `Tue`, `Wed`, `Thu`, `Fri`, `Sat`, `Sun`. Example: `[Mon, Tue]`.
    #[schemars(length(min = 1, max = 7), extend("x-kubernetes-list-type" = "set"))]
    pub days: Vec<Day>,
    /// When it opens, on a clock of its time zone. Example: `"22:00"`.
    pub start: StartTime,
    /// How long it stays open, from 1m to 24h; it may end on the next day. Example: `4h`.
    pub duration: BaselineDuration,
    /// The time zone by its IANA name. Example: `Europe/Berlin`.
    pub time_zone: TimeZoneName,
}

/// A day of the week: `Mon`, `Tue`, `Wed`, `Thu`, `Fri`, `Sat`, `Sun`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(missing_docs, reason = "documented on the field")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A tag that marks what somebody else manages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct OwnerTag {
    /// The tag's key. Letter case counts. Example: `ManagedBy`.
    #[schemars(length(min = 1, max = 128), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^[^\\\\x00-\\\\x1f]+$')", "message": "must be the key of a tag, such as ManagedBy"},
    ]))]
    pub key: String,
    /// The tag's value. Omitted: any value. Example: `terraform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^[^\\\\x00-\\\\x1f]*$')", "message": "must be the value of a tag, such as terraform"},
    ]))]
    pub value: Option<String>,
}
