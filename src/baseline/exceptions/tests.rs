use proptest::prelude::*;

use super::*;
use crate::api::{CHECKS_BY_CONTROL, LONGEST_EXCEPTION};
use crate::baseline::{CauseClass, Summary};

const GROUP: &str = "arn:aws:ec2:eu-west-1:222222222222:security-group/sg-0a1b";

fn time(day: i64) -> Timestamp {
    Timestamp::from_second(day * 86_400).unwrap()
}

fn spec(check: Option<&str>, control: Option<ControlName>, pattern: &str, day: i64) -> BaselineExceptionSpec {
    BaselineExceptionSpec {
        accounts: vec!["prod".into(), "dev".into()],
        control,
        check: check.map(str::to_owned),
        resource_pattern: pattern.into(),
        reason: "the migration needs it".to_owned(),
        owner: "team-data".to_owned(),
        expires_at: time(day).to_string().as_str().into(),
    }
}

fn exception(name: &str, check: &str, pattern: &str, day: i64) -> Exception {
    Exception::new(name, &spec(Some(check), None, pattern, day), time(0)).unwrap()
}

fn rule() -> Subject {
    Subject::new(Check::Ingress, "arn:aws:ec2:eu-west-1:222222222222:security-group-rule/sgr-1", "allowedIngress")
        .in_region("eu-west-1")
        .of(GROUP)
}

fn failing(subject: Subject) -> Finding {
    Finding::fail(subject, "nothing", "tcp 22", time(0)).with_message("tcp 22 is open")
}

fn named(name: &str) -> GroupNames {
    let key = ("eu-west-1".to_owned(), "sg-0a1b".to_owned());
    GroupNames { known: BTreeMap::from([(key, name.to_owned())]), unread: BTreeMap::new() }
}

fn unread(class: CauseClass) -> GroupNames {
    let cause = Cause::new(class, "DescribeSecurityGroups did not answer");
    GroupNames { known: BTreeMap::new(), unread: BTreeMap::from([("eu-west-1".to_owned(), cause)]) }
}

fn one(finding: Finding, exceptions: &[Exception], names: &GroupNames) -> Finding {
    apply(vec![finding], exceptions, names).remove(0)
}

#[test]
fn a_pattern_is_compared_with_arns_and_names_of_the_resource_and_of_its_parent() {
    let user = || Subject::new(Check::UserMfa, "arn:aws:iam::222222222222:user/people/carol", "users.scope");
    let bucket = || Subject::new(Check::TlsRequired, "arn:aws:s3:::exports", "requireTls").in_region("eu-west-1");
    let root = || Subject::new(Check::MaxPasswordAge, "arn:aws:iam::222222222222:root", "maxPasswordAge");
    let group = || Subject::new(Check::DefaultSecurityGroup, GROUP, "f").in_region("eu-west-1");
    for (subject, pattern, covered) in [
        (rule(), "sgr-1", true),
        (rule(), "arn:aws:ec2:*:222222222222:security-group-rule/sgr-1", true),
        (rule(), "sg-0a1b", true),
        (rule(), GROUP, true),
        (rule(), "arn:aws:ec2:*:security-group/*", true),
        (rule(), "reporting-*", true),
        (rule(), "REPORTING-*", false),
        (rule(), "reporting", false),
        (rule(), "sg-0a1", false),
        (user(), "carol", true),
        (user(), "people/carol", false),
        (user(), "*/people/*", true),
        (bucket(), "exp*", true),
        (bucket(), "arn:aws:s3:::exports", true),
        (bucket(), "export", false),
        (root(), "root", true),
        (root(), "*", true),
        (group(), "default", true),
    ] {
        let exceptions = [exception("e", subject.check.as_str(), pattern, 9)];
        let found = one(failing(subject), &exceptions, &named("reporting-db"));
        assert_eq!(found.verdict() == Verdict::Exempt, covered, "{pattern} {found:?}");
    }
}

#[test]
fn an_exempt_finding_keeps_its_true_result_and_names_the_exception() {
    let found = one(failing(rule()), &[exception("until-autumn", "Ingress", "*", 9)], &GroupNames::default());
    let exemption = found.exemption().unwrap();
    assert_eq!((exemption.exception.as_str(), exemption.expires_at), ("until-autumn", time(9)));
    assert_eq!(exemption.actual, Verdict::Fail);
    assert_eq!((found.observed(), found.message()), ("tcp 22", "tcp 22 is open"));
    assert_eq!(found.subject().id(), rule().id());
}

#[test]
fn a_control_without_a_check_covers_all_its_checks_and_no_other() {
    let groups = spec(None, Some(ControlName::SecurityGroups), "*", 9);
    let groups = [Exception::new("groups", &groups, time(0)).unwrap()];
    let verdict =
        |check| one(failing(Subject::new(check, "arn:aws:ec2:::x", "f")), &groups, &GroupNames::default()).verdict();
    assert_eq!([Check::Ingress, Check::DefaultSecurityGroup].map(verdict), [Verdict::Exempt; 2]);
    assert_eq!([Check::UserMfa, Check::TlsRequired].map(verdict), [Verdict::Fail; 2]);
}

#[test]
fn only_what_fails_is_excepted() {
    let all = [exception("all", "Ingress", "*", 9)];
    let cause = || Cause::new(CauseClass::AccessDenied, "no");
    for finding in [
        Finding::pass(rule(), "a", "a", time(0)),
        Finding::not_applicable(rule(), "why", time(0)),
        Finding::unknown(rule(), "a", cause()),
    ] {
        assert_eq!(one(finding.clone(), &all, &GroupNames::default()), finding);
    }
}

#[test]
fn of_several_the_one_that_ends_last_covers() {
    let names = |exceptions: &[Exception]| {
        one(failing(rule()), exceptions, &GroupNames::default()).exemption().unwrap().exception.clone()
    };
    let (short, long) = (exception("a", "Ingress", "*", 5), exception("z", "Ingress", "sg*", 9));
    assert_eq!(names(&[short.clone(), long.clone()]), "z");
    assert_eq!(names(&[long.clone(), short]), "z");
    let twin = Exception { name: "b".to_owned(), ..long.clone() };
    assert_eq!(names(&[long.clone(), twin.clone()]), "b");
    assert_eq!(names(&[twin, long]), "b");
}

#[test]
fn an_exception_holds_in_its_accounts_until_it_ends() {
    let exception = exception("e", "Ingress", "*", 9);
    assert!(exception.in_force("prod", time(0)) && exception.in_force("dev", time(8)));
    assert!(!exception.in_force("prod", time(9)), "the end is not part of it");
    assert!(!exception.in_force("staging", time(0)));
}

#[test]
fn what_cannot_be_honoured_is_refused() {
    let refused = |spec: &BaselineExceptionSpec| Exception::new("e", spec, time(0)).unwrap_err();
    let days = LONGEST_EXCEPTION.as_hours() / 24;
    assert!(matches!(refused(&spec(Some("Ingress"), None, "*", days + 1)), InvalidException::Expiry(_)));
    assert!(Exception::new("e", &spec(Some("Ingress"), None, "*", days), time(0)).is_ok());
    assert_eq!(refused(&spec(Some("Egress"), None, "*", 9)), InvalidException::UnknownCheck("Egress".to_owned()));
    assert_eq!(refused(&spec(None, None, "*", 9)), InvalidException::Everything);
}

#[test]
fn names_are_wanted_only_of_failing_groups_that_a_name_may_except() {
    let wanted = |exceptions: &[Exception]| names_wanted(&[failing(rule())], exceptions);
    let group = BTreeMap::from([("eu-west-1".to_owned(), BTreeSet::from(["sg-0a1b".to_owned()]))]);
    assert_eq!(wanted(&[exception("e", "Ingress", "reporting-*", 9)]), group);
    for (check, pattern) in [("Ingress", "arn:*"), ("Ingress", "sg-1*"), ("Ingress", "*"), ("UserMfa", "carol")] {
        assert_eq!(wanted(&[exception("e", check, pattern, 9)]), BTreeMap::new(), "{pattern}");
    }
    assert_eq!(wanted(&[]), BTreeMap::new());
    let passing = Finding::pass(rule(), "a", "a", time(0));
    assert_eq!(names_wanted(&[passing], &[exception("e", "Ingress", "reporting-*", 9)]), BTreeMap::new());
}

#[test]
fn a_name_that_was_not_read_excepts_nothing_and_a_missing_permission_hides_nothing() {
    let exceptions = [exception("e", "Ingress", "reporting-*", 9)];
    let throttled = one(failing(rule()), &exceptions, &unread(CauseClass::Throttled));
    assert_eq!(throttled.verdict(), Verdict::Unknown);
    assert!(throttled.message().contains("whether an exception covers it is not known"), "{throttled:?}");
    let denied = one(failing(rule()), &exceptions, &unread(CauseClass::AccessDenied));
    assert_eq!(denied.verdict(), Verdict::Fail);
    assert!(denied.message().starts_with("tcp 22 is open; whether an exception"), "{denied:?}");
    let by_id = [exception("e", "Ingress", "sg-0a1b", 9)];
    assert_eq!(one(failing(rule()), &by_id, &unread(CauseClass::Throttled)).verdict(), Verdict::Exempt);
}

#[test]
fn the_checks_that_the_api_names_are_those_of_the_catalogue() {
    for (control, checks) in CHECKS_BY_CONTROL {
        let own = Check::ALL.into_iter().filter(|check| check.control().as_str() == control).map(Check::as_str);
        assert_eq!(own.collect::<Vec<_>>(), checks, "{control}");
    }
    let controls =
        [ControlName::PasswordPolicy, ControlName::Mfa, ControlName::SecurityGroups, ControlName::S3Encryption];
    for name in controls {
        assert_eq!(control(name).as_str(), name.as_str());
    }
}

#[test]
fn a_fingerprint_depends_on_the_exceptions_alone() {
    let of = |versions: &[(&'static str, &str)]| fingerprint(versions.iter().map(|(n, v)| (*n, (*v).to_owned())));
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[("a", "1"), ("b", "2")]), of(&[("b", "2"), ("a", "1")]));
    assert_ne!(of(&[("a", "1")]), of(&[("a", "2")]));
    assert_ne!(of(&[("a", "1")]), of(&[("a", "1"), ("b", "1")]));
}

proptest! {
    #[test]
    fn an_exception_never_adds_findings_and_never_changes_what_does_not_fail(
        verdicts in proptest::collection::vec((0_u8..4, 0_usize..22, "[a-c]{1,3}"), 0..20),
        patterns in proptest::collection::vec((0_usize..22, "[abc*]{1,4}", 1_i64..9), 0..5),
    ) {
        let finding = |(verdict, check, name): (u8, usize, String)| {
            let subject = Subject::new(Check::ALL[check], format!("arn:aws:x:::{name}"), "f").in_region("r").of("p/g");
            match verdict {
                0 => Finding::pass(subject, "a", "a", time(0)),
                1 => Finding::fail(subject, "a", "b", time(0)),
                2 => Finding::unknown(subject, "a", Cause::new(CauseClass::Throttled, "slow down")),
                _ => Finding::not_applicable(subject, "why", time(0)),
            }
        };
        let findings: Vec<Finding> = verdicts.into_iter().map(finding).collect();
        let exceptions: Vec<Exception> = patterns
            .into_iter()
            .map(|(check, pattern, day)| exception("e", Check::ALL[check].as_str(), &pattern, day))
            .collect();
        let none = GroupNames::default();
        let after = apply(findings.clone(), &exceptions, &none);
        prop_assert_eq!(after.len(), findings.len());
        for (before, after) in findings.iter().zip(&after) {
            if before.verdict() == Verdict::Fail {
                prop_assert!(matches!(after.verdict(), Verdict::Fail | Verdict::Exempt));
                prop_assert_eq!(after.exemption().is_some(), after.verdict() == Verdict::Exempt);
            } else {
                prop_assert_eq!(before, after);
            }
            prop_assert_eq!(before.subject(), after.subject());
        }
        let (failing, counted) = (Summary::of(&findings), Summary::of(&after));
        prop_assert_eq!(failing.fail, counted.fail + counted.exempt);
        // Applied again, nothing more happens.
        let again = apply(after.clone(), &exceptions, &none);
        prop_assert_eq!(again, after);
    }
}
