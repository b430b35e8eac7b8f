//! From the document of a managed policy to whether it may be attached to users without MFA, and what is amiss. No IO.
//!
//! Safe is a policy that only denies, and that denies everything but enrolment, and nothing else, while no MFA is
//! present. Whatever else it says is a gap: a statement that is not understood is never taken for harmless.

use std::fmt;

use crate::baseline::policy_document::{Among, Condition, Effect, PolicyDocument, Statement, pattern};

/// What a user without MFA must be able to do, or nobody enrols.
pub const ENROLMENT: [&str; 8] = [
    "iam:CreateVirtualMFADevice",
    "iam:EnableMFADevice",
    "iam:ListMFADevices",
    "iam:ListVirtualMFADevices",
    "iam:ResyncMFADevice",
    "iam:GetUser",
    "iam:GetMFADevice",
    "sts:GetSessionToken",
];

/// What the change of an own password takes. To leave it open is a choice: a stolen password could be changed.
const PASSWORD_CHANGE: [&str; 2] = ["iam:ChangePassword", "iam:GetAccountPasswordPolicy"];

/// What must never be open: whoever stole a key or a password would take the device away.
const REMOVAL: [&str; 2] = ["iam:DeactivateMFADevice", "iam:DeleteVirtualMFADevice"];

/// The key that says whether a session has MFA.
const MFA: &str = "aws:MultiFactorAuthPresent";

/// The key that says whether a service calls on in the user's name.
const VIA_SERVICE: &str = "aws:ViaAWSService";

/// The condition under which a policy denies. All four deny the console without MFA and allow a session with MFA.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// `Bool` alone: access keys go on working, but not where a service calls on with them.
    Bool,
    /// `BoolIfExists` alone: access keys are denied.
    BoolIfExists,
    /// `Bool` of both keys: access keys go on working.
    BoolDirectly,
    /// `BoolIfExists` of both keys: access keys are denied, but not where a service calls on with them.
    BoolIfExistsDirectly,
}

/// A policy that may be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenyPolicy {
    /// The condition under which it denies.
    pub form: Form,
    /// Whether a user without MFA may change the own password.
    pub leaves_password_change_open: bool,
}

/// Why a policy must not be attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gap {
    /// It is no policy that can be read.
    Unreadable(String),
    /// A statement allows something: to attach it would loosen.
    Allows(String),
    /// A statement denies under a condition, or on resources, whose effect is not one of the four forms.
    OtherCondition(String),
    /// A statement denies sessions with MFA too.
    DeniesWithMfa(String),
    /// An action that enrolment takes is denied.
    LocksEnrolment(&'static str),
    /// An action that removes a device is left open.
    LeavesRemovalOpen(&'static str),
    /// Something that has nothing to do with enrolment is left open.
    LeavesOpen(String),
    /// No statement denies everything but enrolment while no MFA is present.
    DoesNotDeny,
}

/// Judges the default version of a policy.
///
/// # Errors
///
/// The first gap, in the order of [`Gap`].
pub fn judge(document: &str) -> Result<DenyPolicy, Gap> {
    let policy = PolicyDocument::parse(document).map_err(|error| Gap::Unreadable(error.to_string()))?;
    let statements: Vec<Judged<'_>> = policy.statements.iter().enumerate().map(Judged::of).collect();
    if let Some(judged) = statements.iter().find(|judged| judged.statement.effect == Effect::Allow) {
        return Err(Gap::Allows(judged.name.clone()));
    }
    for judged in &statements {
        judged.gap()?;
    }
    let denies = |action: &str| statements.iter().any(|judged| judged.statement.includes_action(action));
    if let Some(locked) = ENROLMENT.into_iter().find(|action| denies(action)) {
        return Err(Gap::LocksEnrolment(locked));
    }
    let form = form_of_all_but_enrolment(&statements)?;
    if let Some(open) = REMOVAL.into_iter().find(|action| !denies(action)) {
        return Err(Gap::LeavesRemovalOpen(open));
    }
    Ok(DenyPolicy { form, leaves_password_change_open: !PASSWORD_CHANGE.into_iter().any(denies) })
}

/// The form of the statement that denies everything but enrolment. Any others deny what that one denies already.
fn form_of_all_but_enrolment(statements: &[Judged<'_>]) -> Result<Form, Gap> {
    let mut gap = Gap::DoesNotDeny;
    for judged in statements {
        let (Some(form), Among::AllBut(open)) = (judged.form, &judged.statement.action) else { continue };
        match open.iter().find(|pattern| !is_part_of_enrolment(pattern)) {
            None => return Ok(form),
            Some(pattern) => gap = opening(pattern),
        }
    }
    Err(gap)
}

/// Reading of IAM is open to enrolment as a whole: the console's pages list users and devices.
fn is_part_of_enrolment(pattern: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    let is = |action: &str| action.eq_ignore_ascii_case(&pattern);
    pattern.starts_with("iam:get")
        || pattern.starts_with("iam:list")
        || pattern == "sts:getcalleridentity"
        || ENROLMENT.iter().chain(&PASSWORD_CHANGE).any(|action| is(action))
}

fn opening(pattern: &str) -> Gap {
    let lower = pattern.to_ascii_lowercase();
    match REMOVAL.into_iter().find(|action| pattern::matches(&lower, &action.to_ascii_lowercase())) {
        Some(action) => Gap::LeavesRemovalOpen(action),
        None => Gap::LeavesOpen(pattern.to_owned()),
    }
}

/// A statement with its name for people.
struct Judged<'a> {
    name: String,
    statement: &'a Statement,
    /// `None` where it denies under no condition, or under another one.
    form: Option<Form>,
}

impl<'a> Judged<'a> {
    fn of((position, statement): (usize, &'a Statement)) -> Self {
        let number = format!("statement {}", position + 1);
        let name = statement.sid.as_ref().filter(|sid| !sid.is_empty()).cloned().unwrap_or(number);
        Self { name, statement, form: Form::of(&statement.conditions) }
    }

    fn gap(&self) -> Result<(), Gap> {
        let Statement { sid: _, effect: _, principal, action, resource, conditions } = self.statement;
        let only_removal = match action {
            Among::These(actions) => {
                actions.iter().all(|it| REMOVAL.iter().any(|action| action.eq_ignore_ascii_case(it)))
            }
            Among::AllBut(_) => false,
        };
        let on_everything =
            matches!(resource, Some(Among::These(resources)) if resources.iter().any(|it| is_stars(it)));
        if principal.is_some() {
            Err(Gap::OtherCondition(self.name.clone()))
        } else if only_removal {
            // Nobody enrols by removing a device, so that this may be denied to whomever it likes.
            Ok(())
        } else if conditions.is_empty() {
            Err(Gap::DeniesWithMfa(self.name.clone()))
        } else if self.form.is_none() || !on_everything {
            Err(Gap::OtherCondition(self.name.clone()))
        } else {
            Ok(())
        }
    }
}

fn is_stars(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte == b'*')
}

impl Form {
    /// The form of a statement's conditions, if they are exactly those of one.
    #[must_use]
    pub fn of(conditions: &[Condition]) -> Option<Self> {
        let is = |key: &str| {
            let mut of_key = conditions.iter().filter(|condition| condition.key.eq_ignore_ascii_case(key));
            match (of_key.next(), of_key.next()) {
                (Some(condition), None) => operator(condition),
                _ => None,
            }
        };
        match (conditions.len(), is(MFA)?) {
            (1, false) => Some(Self::Bool),
            (1, true) => Some(Self::BoolIfExists),
            (2, if_exists) if is(VIA_SERVICE)? == if_exists => {
                Some(if if_exists { Self::BoolIfExistsDirectly } else { Self::BoolDirectly })
            }
            _ => None,
        }
    }

    /// Whether it denies what is called with an access key, if only sometimes.
    #[must_use]
    pub fn breaks_access_keys(self) -> bool {
        match self {
            Self::Bool | Self::BoolIfExists | Self::BoolIfExistsDirectly => true,
            Self::BoolDirectly => false,
        }
    }
}

/// Whether a condition is `false` by `BoolIfExists` (true) or by `Bool` (false); `None` for any other.
fn operator(condition: &Condition) -> Option<bool> {
    let is_false = matches!(condition.values.as_slice(), [value] if value.eq_ignore_ascii_case("false"));
    match condition.operator.to_ascii_lowercase().as_str() {
        "bool" if is_false => Some(false),
        "boolifexists" if is_false => Some(true),
        _ => None,
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "it cannot be read: {error}"),
            Self::Allows(statement) => write!(f, "{statement} allows something: to attach it would loosen"),
            Self::OtherCondition(statement) => write!(
                f,
                "{statement} denies on other resources than * or under other conditions than {MFA} false, or that and \
                 {VIA_SERVICE} false, by Bool or by BoolIfExists"
            ),
            Self::DeniesWithMfa(statement) => write!(f, "{statement} denies sessions with MFA too"),
            Self::LocksEnrolment(action) => write!(f, "it denies {action}, so that nobody can enrol"),
            Self::LeavesRemovalOpen(action) => write!(f, "it leaves {action} open: a device could be taken away"),
            Self::LeavesOpen(pattern) => write!(f, "it leaves {pattern} open, which enrolment does not take"),
            Self::DoesNotDeny => write!(f, "it does not deny everything but enrolment while no MFA is present"),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::baseline::policy_document::tests::any_json;

    /// A deny of the form that leaves these actions open.
    pub(crate) fn policy(form: Form, open: &[&str]) -> Value {
        let operator = match form {
            Form::Bool | Form::BoolDirectly => "Bool",
            Form::BoolIfExists | Form::BoolIfExistsDirectly => "BoolIfExists",
        };
        let keys = match form {
            Form::Bool | Form::BoolIfExists => json!({MFA: "false"}),
            Form::BoolDirectly | Form::BoolIfExistsDirectly => json!({MFA: "false", VIA_SERVICE: "false"}),
        };
        json!({"Version": "2012-10-17", "Statement": [{"Sid": "DenyWithoutMfa", "Effect": "Deny", "NotAction": open,
            "Resource": "*", "Condition": {operator: keys}}]})
    }

    /// The actions that enrolment takes, with those of a password change or without.
    pub(crate) fn enrolment(password_change: bool) -> Vec<&'static str> {
        let more = PASSWORD_CHANGE.into_iter().filter(|_| password_change);
        ENROLMENT.into_iter().chain(more).collect()
    }

    pub(crate) const FORMS: [Form; 4] =
        [Form::Bool, Form::BoolIfExists, Form::BoolDirectly, Form::BoolIfExistsDirectly];

    fn judged(policy: &Value) -> Result<DenyPolicy, Gap> {
        judge(&policy.to_string())
    }

    fn with(statement: &Value) -> Value {
        let mut policy = policy(Form::BoolIfExists, &ENROLMENT);
        policy["Statement"].as_array_mut().unwrap().push(statement.clone());
        policy
    }

    #[test]
    fn mfa_20_each_of_the_four_forms_is_safe_with_enrolment_left_open() {
        for form in FORMS {
            for password_change in [false, true] {
                let expected = DenyPolicy { form, leaves_password_change_open: password_change };
                assert_eq!(judged(&policy(form, &enrolment(password_change))), Ok(expected));
            }
        }
        let mut wide = enrolment(false);
        wide.extend(["iam:Get*", "IAM:listUsers", "sts:GetCallerIdentity"]);
        assert!(judged(&policy(Form::Bool, &wide)).is_ok());
        let keys: Vec<_> = FORMS.into_iter().filter(|form| form.breaks_access_keys()).collect();
        assert_eq!(keys, [Form::Bool, Form::BoolIfExists, Form::BoolIfExistsDirectly]);
    }

    #[test]
    fn mfa_20_each_action_of_enrolment_must_stay_open() {
        for locked in ENROLMENT {
            let open: Vec<_> = ENROLMENT.into_iter().filter(|action| *action != locked).collect();
            assert_eq!(judged(&policy(Form::BoolIfExists, &open)), Err(Gap::LocksEnrolment(locked)));
        }
        let again = json!({"Effect": "Deny", "Action": "iam:enable*", "Resource": "*",
            "Condition": {"Bool": {MFA: "false"}}});
        assert_eq!(judged(&with(&again)), Err(Gap::LocksEnrolment("iam:EnableMFADevice")));
    }

    #[test]
    fn mfa_20_removal_and_everything_else_must_be_denied() {
        for (more, gap) in [
            ("iam:DeactivateMFADevice", Gap::LeavesRemovalOpen("iam:DeactivateMFADevice")),
            ("iam:DeleteVirtualMFADevice", Gap::LeavesRemovalOpen("iam:DeleteVirtualMFADevice")),
            ("iam:*MFADevice", Gap::LeavesRemovalOpen("iam:DeactivateMFADevice")),
            ("*", Gap::LeavesRemovalOpen("iam:DeactivateMFADevice")),
            ("iam:DetachUserPolicy", Gap::LeavesOpen("iam:DetachUserPolicy".to_owned())),
            ("s3:*", Gap::LeavesOpen("s3:*".to_owned())),
        ] {
            let open = [&ENROLMENT[..], &[more]].concat();
            assert_eq!(judged(&policy(Form::BoolIfExists, &open)), Err(gap));
        }
    }

    #[test]
    fn mfa_20_a_policy_that_allows_anything_is_never_attached() {
        let allow = json!({"Sid": "Manage", "Effect": "Allow", "Action": "iam:EnableMFADevice", "Resource": "*"});
        assert_eq!(judged(&with(&allow)), Err(Gap::Allows("Manage".to_owned())));
        let alone = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}});
        assert_eq!(judged(&alone), Err(Gap::Allows("statement 1".to_owned())));
    }

    #[test]
    fn mfa_20_a_statement_beside_the_deny_may_only_forbid_removal() {
        let removal = json!({"Effect": "Deny", "Action": "iam:DeactivateMFADevice", "Resource": "*"});
        assert!(judged(&with(&removal)).is_ok());
        let always = json!({"Effect": "Deny", "Action": "s3:*", "Resource": "*"});
        assert_eq!(judged(&with(&always)), Err(Gap::DeniesWithMfa("statement 2".to_owned())));
        let everything = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
        assert_eq!(judged(&with(&everything)), Err(Gap::DeniesWithMfa("statement 2".to_owned())));
        let only_removal = json!({"Statement": removal});
        assert_eq!(judged(&only_removal), Err(Gap::DoesNotDeny));
    }

    #[test]
    fn mfa_20_any_other_condition_or_resource_is_a_gap() {
        let deny = |change: Value| {
            let mut policy = policy(Form::BoolIfExists, &ENROLMENT);
            let statement = policy["Statement"][0].as_object_mut().unwrap();
            statement.extend(change.as_object().unwrap().clone());
            policy
        };
        for change in [
            json!({"Condition": {"BoolIfExists": {MFA: "true"}}}),
            json!({"Condition": {"BoolIfExists": {MFA: ["false", "true"]}}}),
            json!({"Condition": {"StringEquals": {MFA: "false"}}}),
            json!({"Condition": {"Null": {"aws:MultiFactorAuthAge": "true"}}}),
            json!({"Condition": {"Bool": {VIA_SERVICE: "false"}}}),
            json!({"Condition": {"Bool": {MFA: "false"}, "BoolIfExists": {VIA_SERVICE: "false"}}}),
            json!({"Condition": {"Bool": {MFA: "false"}, "BoolIfExists": {MFA: "false"}}}),
            json!({"Condition": {"BoolIfExists": {MFA: "false"}, "StringEquals": {"aws:username": "ada"}}}),
            json!({"Resource": "arn:aws:s3:::a"}),
            json!({"Resource": "arn:aws:iam::*:user/*"}),
        ] {
            assert_eq!(judged(&deny(change)), Err(Gap::OtherCondition("DenyWithoutMfa".to_owned())));
        }
        let always = deny(json!({"Condition": {}}));
        assert_eq!(judged(&always), Err(Gap::DeniesWithMfa("DenyWithoutMfa".to_owned())));
        // AWS writes booleans and lists of one as well.
        assert!(judged(&deny(json!({"Condition": {"boolifexists": {"AWS:multifactorauthpresent": [false]}}}))).is_ok());
    }

    #[test]
    fn mfa_20_what_cannot_be_read_is_a_gap() {
        for text in ["", "{", "{}", r#"{"Statement": [{"Effect": "Deny"}]}"#] {
            assert!(matches!(judge(text), Err(Gap::Unreadable(_))), "{text}");
        }
        assert_eq!(judge(r#"{"Statement": []}"#), Err(Gap::DoesNotDeny));
    }

    proptest! {
        #[test]
        fn no_document_panics_and_whatever_is_safe_only_denies(json in any_json()) {
            if judge(&json.to_string()).is_ok() {
                let document = PolicyDocument::from_json(&json).unwrap();
                prop_assert!(document.statements.iter().all(|statement| statement.effect == Effect::Deny));
            }
        }
    }
}
