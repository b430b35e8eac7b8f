//! From policies, a user and a password to what the user can still do: a small simulator of what a deny without MFA
//! does to people. No IO, and nothing of the code that it checks: it reads a policy as JSON and knows its own rules, so
//! that it can stand beside IAM itself (an emulator that enforces policies) in a comparison.
//!
//! `tests/it/lockout.rs` includes this file and compares it: it attaches a policy to a user in IAM, and for each
//! [`Caller`] and action asks IAM by a session of that kind. IAM refuses with an explicit deny exactly where [`denies`]
//! says so. [`Person::gets_in`] needs no IAM: it is made of such questions alone.

use serde_json::Value;

/// How a call is made, which decides what the policy's keys hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The console after a password alone.
    ConsoleWithoutMfa,
    /// The console after a password and a device, or a session token that was asked for with one.
    WithMfa,
    /// A long-term access key.
    AccessKey,
    /// A service that calls on in the name of an access key.
    KeyThroughService,
}

pub(crate) const CALLERS: [Caller; 4] =
    [Caller::ConsoleWithoutMfa, Caller::AccessKey, Caller::KeyThroughService, Caller::WithMfa];

impl Caller {
    /// `aws:MultiFactorAuthPresent`, which calls with long-term keys lack, and `aws:ViaAWSService`.
    pub(crate) fn context(self) -> (Option<bool>, bool) {
        match self {
            Self::ConsoleWithoutMfa => (Some(false), false),
            Self::WithMfa => (Some(true), false),
            Self::AccessKey => (None, false),
            Self::KeyThroughService => (Some(false), true),
        }
    }
}

/// Whether a policy denies a call. Of conditions it knows booleans alone, and of resources `*`: on anything else it
/// gives up loudly.
pub(crate) fn denies(policy: &Value, caller: Caller, action: &str) -> bool {
    list(&policy["Statement"]).iter().any(|statement| {
        assert_eq!(list(&statement["Resource"]), ["*"], "{statement}");
        statement["Effect"] == "Deny" && speaks_of(statement, action) && holds(&statement["Condition"], caller)
    })
}

fn list(json: &Value) -> Vec<Value> {
    match json {
        Value::Array(values) => values.clone(),
        single => vec![single.clone()],
    }
}

fn speaks_of(statement: &Value, action: &str) -> bool {
    let listed = |patterns: &Value| {
        list(patterns).iter().any(|pattern| matches(&pattern.as_str().unwrap().to_lowercase(), &action.to_lowercase()))
    };
    if statement["NotAction"].is_null() { listed(&statement["Action"]) } else { !listed(&statement["NotAction"]) }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| matches(rest, &text[at..]))
        }),
    }
}

/// All conditions must hold. A key that is absent fails `Bool` and satisfies `BoolIfExists`.
fn holds(conditions: &Value, caller: Caller) -> bool {
    let (mfa, through_service) = caller.context();
    let operators = conditions.as_object().cloned().unwrap_or_default();
    operators.iter().all(|(operator, keys)| {
        keys.as_object().unwrap().iter().all(|(key, wanted)| {
            let present = match key.as_str() {
                "aws:MultiFactorAuthPresent" => mfa,
                "aws:ViaAWSService" => Some(through_service),
                other => panic!("{other} is not known here"),
            };
            let if_absent = match operator.as_str() {
                "Bool" => false,
                "BoolIfExists" => true,
                other => panic!("{other} is not known here"),
            };
            present.map_or(if_absent, |present| wanted.as_str() == Some(if present { "true" } else { "false" }))
        })
    })
}

/// What the account's password policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// The oldest that a password may be, in days.
    pub(crate) max_password_age: Option<i64>,
    /// `AllowUsersToChangePassword`
    pub(crate) users_change_passwords: bool,
}

/// A user, as far as coming in goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked about on its own")]
pub(crate) struct Person {
    pub(crate) has_password: bool,
    /// In days.
    pub(crate) password_age: i64,
    /// An administrator demands another password at the next sign-in.
    pub(crate) reset_required: bool,
    pub(crate) has_device: bool,
    pub(crate) has_access_key: bool,
    /// Whether the user's own policies allow to enrol, and everything else that the user works with.
    pub(crate) may_enrol: bool,
}

/// How far a user comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Works: signs in, enrols if there is no device yet, and does the day's work with it.
    Works,
    /// Has no console password.
    NoPassword,
    /// Stands before the change of a password that is not allowed.
    PasswordStuck,
    /// Is in, and cannot enrol.
    CannotEnrol,
    /// Is in with MFA, and still denied.
    DeniedWithMfa,
}

const WORK: &str = "s3:GetObject";

impl Person {
    /// How far the user comes with these policies attached that deny.
    pub(crate) fn gets_in(&self, denials: &[&Value], account: Account) -> Reach {
        let denied = |caller, action: &str| denials.iter().any(|policy| denies(policy, caller, action));
        if !self.has_password {
            return Reach::NoPassword;
        }
        // The console asks for the new password before it asks for anything else, so without MFA where there is none.
        let session = if self.has_device { Caller::WithMfa } else { Caller::ConsoleWithoutMfa };
        let expired = account.max_password_age.is_some_and(|days| self.password_age >= days);
        let changes = ["iam:ChangePassword", "iam:GetAccountPasswordPolicy"];
        let may_change = account.users_change_passwords && !changes.into_iter().any(|action| denied(session, action));
        if (expired || self.reset_required) && !may_change {
            return Reach::PasswordStuck;
        }
        let enrols = ["iam:CreateVirtualMFADevice", "iam:EnableMFADevice", "iam:ListMFADevices"];
        let may_enrol = self.may_enrol && !enrols.into_iter().any(|action| denied(session, action));
        if !self.has_device && !may_enrol {
            return Reach::CannotEnrol;
        }
        if denied(Caller::WithMfa, WORK) { Reach::DeniedWithMfa } else { Reach::Works }
    }

    /// Whether the user's programs go on: directly and where a service calls on with their key.
    pub(crate) fn programs_go_on(&self, denials: &[&Value]) -> bool {
        let callers = [Caller::AccessKey, Caller::KeyThroughService];
        let denied = |caller| denials.iter().any(|policy| denies(policy, caller, WORK));
        !self.has_access_key || !callers.into_iter().any(denied)
    }
}
