//! From the desired and the observed password policy to findings, one per field that the spec asks for. No IO.

use jiff::Timestamp;

use super::{PasswordPolicy, Snapshot};
use crate::api::PasswordPolicyControl;
use crate::baseline::check::Check;
use crate::baseline::finding::{Finding, Subject};

/// AWS's policy for accounts without one of their own, as far as it can be compared field by field: its "three of four
/// character types" demands no single one of them. It lets nobody change a password: only a policy of the account's own
/// grants that.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_passwords_account-policy.html>
pub(super) const AWS_DEFAULT: PasswordPolicy = PasswordPolicy {
    minimum_password_length: 8,
    require_symbols: false,
    require_numbers: false,
    require_uppercase_characters: false,
    require_lowercase_characters: false,
    allow_users_to_change_password: false,
    max_password_age: None,
    password_reuse_prevention: None,
    hard_expiry: false,
};

/// One field of the spec, compared.
struct Comparison {
    check: Check,
    field: &'static str,
    desired: String,
    observed: String,
    complies: bool,
}

/// The checks that the spec asks for, in the order of the catalogue.
#[must_use]
pub fn checks(desired: &PasswordPolicyControl) -> Vec<Check> {
    comparisons(desired, &AWS_DEFAULT).into_iter().map(|comparison| comparison.check).collect()
}

/// Judges the policy: a baseline is a floor, so what is stricter passes, and a silent spec asks for nothing.
#[must_use]
pub fn evaluate(desired: &PasswordPolicyControl, snapshot: &Snapshot) -> Vec<Finding> {
    let resource = snapshot.account.root_arn();
    let (own, at) = match snapshot.policy.read() {
        Ok((policy, at)) => (policy.as_ref(), at),
        Err(cause) => {
            return comparisons(desired, &AWS_DEFAULT)
                .into_iter()
                .map(|c| Finding::unknown(Subject::new(c.check, &resource, c.field), c.desired, cause.clone()))
                .collect();
        }
    };
    comparisons(desired, own.unwrap_or(&AWS_DEFAULT))
        .into_iter()
        .map(|comparison| finding(comparison, &resource, own.is_none(), at))
        .collect()
}

fn finding(comparison: Comparison, resource: &str, aws_default: bool, at: Timestamp) -> Finding {
    let Comparison { check, field, desired, observed, complies } = comparison;
    let message = match (complies, aws_default) {
        (true, false) => String::new(),
        (true, true) => "the account has no password policy of its own: AWS's default is in force".to_owned(),
        (false, false) => format!("{field} is {observed}, the baseline asks for {desired}"),
        (false, true) => format!(
            "the account has no password policy of its own, so AWS's default is in force: {field} is {observed}, \
             the baseline asks for {desired}"
        ),
    };
    Finding::judge(complies, Subject::new(check, resource, field), desired, observed, at).with_message(message)
}

/// The comparisons that the spec asks for, in the order of the catalogue.
fn comparisons(desired: &PasswordPolicyControl, live: &PasswordPolicy) -> Vec<Comparison> {
    let PasswordPolicyControl {
        mode: _,
        minimum_password_length,
        require_uppercase_characters,
        require_lowercase_characters,
        require_numbers,
        require_symbols,
        password_reuse_prevention,
        max_password_age,
        allow_users_to_change_password,
        acknowledge_expiring_passwords: _,
    } = desired;
    let flag = |asked: &bool, live: bool, check, field| {
        asked.then(|| Comparison {
            check,
            field,
            desired: "true".to_owned(),
            observed: live.to_string(),
            complies: live,
        })
    };
    [
        minimum_password_length.map(|least| Comparison {
            check: Check::MinimumPasswordLength,
            field: "minimumPasswordLength",
            desired: least.to_string(),
            observed: live.minimum_password_length.to_string(),
            complies: live.minimum_password_length >= least,
        }),
        flag(
            require_uppercase_characters,
            live.require_uppercase_characters,
            Check::RequireUppercaseCharacters,
            "requireUppercaseCharacters",
        ),
        flag(
            require_lowercase_characters,
            live.require_lowercase_characters,
            Check::RequireLowercaseCharacters,
            "requireLowercaseCharacters",
        ),
        flag(require_numbers, live.require_numbers, Check::RequireNumbers, "requireNumbers"),
        flag(require_symbols, live.require_symbols, Check::RequireSymbols, "requireSymbols"),
        password_reuse_prevention.map(|least| Comparison {
            check: Check::PasswordReusePrevention,
            field: "passwordReusePrevention",
            desired: least.to_string(),
            observed: live.password_reuse_prevention.map_or_else(|| "none".to_owned(), |n| n.to_string()),
            complies: live.password_reuse_prevention.is_some_and(|remembered| remembered >= least),
        }),
        max_password_age.map(|most| Comparison {
            check: Check::MaxPasswordAge,
            field: "maxPasswordAge",
            desired: most.to_string(),
            observed: live.max_password_age.map_or_else(|| "none".to_owned(), |days| days.to_string()),
            complies: live.max_password_age.is_some_and(|days| days <= most),
        }),
        flag(
            allow_users_to_change_password,
            live.allow_users_to_change_password,
            Check::AllowUsersToChangePassword,
            "allowUsersToChangePassword",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::baseline::password_policy::testing::{any_policy, any_spec, desired, own, snapshot};
    use crate::baseline::{Cause, CauseClass, Observed, Verdict};

    fn judged(yaml: &str, policy: impl Into<Option<PasswordPolicy>>) -> Vec<Finding> {
        let policy = Observed::complete(policy.into(), Timestamp::UNIX_EPOCH);
        evaluate(&desired(yaml), &snapshot(policy))
    }

    fn only(findings: &[Finding]) -> &Finding {
        assert_eq!(findings.len(), 1, "{findings:#?}");
        &findings[0]
    }

    #[test]
    fn pw_01_an_account_without_a_policy_is_judged_by_the_default_of_aws_and_told_so() {
        let findings = judged("{minimumPasswordLength: 14}", None);
        assert_eq!(only(&findings).verdict(), Verdict::Fail);
        assert_eq!(only(&findings).observed(), "8");
        assert!(only(&findings).message().contains("AWS's default is in force"));
        assert_eq!(only(&judged("{minimumPasswordLength: 8}", None)).verdict(), Verdict::Pass);
        assert_eq!(only(&judged("{requireSymbols: true}", None)).verdict(), Verdict::Fail);
    }

    #[test]
    fn pw_02_a_policy_that_was_not_read_is_unknown_and_names_the_missing_action() {
        let cause = Cause {
            missing_action: Some("iam:GetAccountPasswordPolicy".to_owned()),
            ..Cause::new(CauseClass::AccessDenied, "not authorized")
        };
        let spec = desired("{minimumPasswordLength: 14, requireNumbers: true}");
        let findings = evaluate(&spec, &snapshot(Observed::Unknown(cause)));
        assert_eq!(findings.len(), 2);
        for finding in &findings {
            assert_eq!(finding.verdict(), Verdict::Unknown);
            let action = finding.cause().and_then(|cause| cause.missing_action.as_deref());
            assert_eq!(action, Some("iam:GetAccountPasswordPolicy"));
            assert_eq!(finding.observed(), "", "a value that was not read must not be printed");
        }
    }

    #[test]
    fn pw_03_a_longer_minimum_passes() {
        let policy = own(|p| p.minimum_password_length = 16);
        assert_eq!(only(&judged("{minimumPasswordLength: 14}", policy)).verdict(), Verdict::Pass);
    }

    #[test]
    fn pw_04_more_remembered_passwords_pass_and_none_fails() {
        let policy = own(|p| p.password_reuse_prevention = Some(24));
        assert_eq!(only(&judged("{passwordReusePrevention: 12}", policy)).verdict(), Verdict::Pass);
        let none = judged("{passwordReusePrevention: 12}", own(|_| {}));
        assert_eq!((only(&none).verdict(), only(&none).observed()), (Verdict::Fail, "none"));
    }

    #[test]
    fn pw_05_a_lower_age_is_stricter_and_passes() {
        let policy = own(|p| p.max_password_age = Some(60));
        assert_eq!(only(&judged("{maxPasswordAge: 90}", policy)).verdict(), Verdict::Pass);
        let older = own(|p| p.max_password_age = Some(91));
        assert_eq!(only(&judged("{maxPasswordAge: 90}", older)).verdict(), Verdict::Fail);
    }

    #[test]
    fn pw_06_no_age_fails_where_one_is_asked_for() {
        let findings = judged("{maxPasswordAge: 90}", own(|_| {}));
        assert_eq!((only(&findings).verdict(), only(&findings).observed()), (Verdict::Fail, "none"));
    }

    #[test]
    fn pw_07_a_spec_that_is_silent_on_age_judges_no_age() {
        let policy = own(|p| p.max_password_age = Some(90));
        let findings = judged("{minimumPasswordLength: 8}", policy);
        assert_eq!(only(&findings).subject().check, Check::MinimumPasswordLength);
        assert_eq!(judged("{requireSymbols: false}", own(|_| {})), []);
    }

    #[test]
    fn pw_10_hard_expiry_is_not_judged() {
        let policy = own(|p| {
            p.hard_expiry = true;
            p.max_password_age = Some(30);
        });
        assert_eq!(only(&judged("{maxPasswordAge: 90}", policy)).verdict(), Verdict::Pass);
    }

    #[test]
    fn pw_11_an_age_fails_whether_or_not_users_may_change_their_password() {
        for allowed in [false, true] {
            let policy = own(|p| p.allow_users_to_change_password = allowed);
            assert_eq!(only(&judged("{maxPasswordAge: 90}", policy)).verdict(), Verdict::Fail);
        }
    }

    /// The stricter of two of everything.
    fn stricter(a: &PasswordPolicy, b: &PasswordPolicy) -> PasswordPolicy {
        PasswordPolicy {
            minimum_password_length: a.minimum_password_length.max(b.minimum_password_length),
            require_symbols: a.require_symbols || b.require_symbols,
            require_numbers: a.require_numbers || b.require_numbers,
            require_uppercase_characters: a.require_uppercase_characters || b.require_uppercase_characters,
            require_lowercase_characters: a.require_lowercase_characters || b.require_lowercase_characters,
            allow_users_to_change_password: a.allow_users_to_change_password || b.allow_users_to_change_password,
            max_password_age: a.max_password_age.into_iter().chain(b.max_password_age).min(),
            password_reuse_prevention: a.password_reuse_prevention.max(b.password_reuse_prevention),
            hard_expiry: a.hard_expiry || b.hard_expiry,
        }
    }

    fn stricter_spec(a: &PasswordPolicyControl, b: &PasswordPolicyControl) -> PasswordPolicyControl {
        PasswordPolicyControl {
            minimum_password_length: a.minimum_password_length.max(b.minimum_password_length),
            require_uppercase_characters: a.require_uppercase_characters || b.require_uppercase_characters,
            require_lowercase_characters: a.require_lowercase_characters || b.require_lowercase_characters,
            require_numbers: a.require_numbers || b.require_numbers,
            require_symbols: a.require_symbols || b.require_symbols,
            password_reuse_prevention: a.password_reuse_prevention.max(b.password_reuse_prevention),
            max_password_age: a.max_password_age.into_iter().chain(b.max_password_age).min(),
            allow_users_to_change_password: a.allow_users_to_change_password || b.allow_users_to_change_password,
            ..PasswordPolicyControl::default()
        }
    }

    fn failing(spec: &PasswordPolicyControl, policy: Option<PasswordPolicy>) -> BTreeSet<Check> {
        let findings = evaluate(spec, &snapshot(Observed::complete(policy, Timestamp::UNIX_EPOCH)));
        let failing = findings.iter().filter(|finding| finding.verdict() == Verdict::Fail);
        failing.map(|finding| finding.subject().check).collect()
    }

    proptest! {
        #[test]
        fn a_stricter_account_never_fails_more(spec in any_spec(), a in any_policy(), b in any_policy()) {
            let strict = failing(&spec, Some(stricter(&a, &b)));
            prop_assert!(strict.is_subset(&failing(&spec, Some(a))));
        }

        #[test]
        fn a_stricter_spec_never_fails_less(
            a in any_spec(), b in any_spec(), policy in prop::option::of(any_policy()),
        ) {
            let more = failing(&stricter_spec(&a, &b), policy.clone());
            prop_assert!(failing(&a, policy).is_subset(&more));
        }
    }

    #[test]
    fn every_field_of_the_spec_is_judged_by_the_check_of_its_name() {
        let spec = "{minimumPasswordLength: 14, requireUppercaseCharacters: true, requireLowercaseCharacters: true, \
                    requireNumbers: true, requireSymbols: true, passwordReusePrevention: 24, maxPasswordAge: 90, \
                    allowUsersToChangePassword: true}";
        let findings = judged(spec, own(|_| {}));
        assert_eq!(findings.len(), 8);
        for finding in &findings {
            let (check, field) = (finding.subject().check.as_str(), finding.subject().field);
            assert!(check.eq_ignore_ascii_case(field), "{check} judges {field}");
            assert_eq!(finding.subject().resource, "arn:aws:iam::222222222222:root");
            assert_eq!(finding.verdict(), Verdict::Fail);
        }
    }
}
