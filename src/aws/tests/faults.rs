//! P5: every read times every fault, over the recorded answers of a small account. What was not read is `Unknown` and
//! says why, everything else is judged as if nothing had happened, and the pass ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{StreamExt, stream};

use super::recorded::{Recorded, is_second, name};
use crate::api::Controls;
use crate::aws::operation::{self, Operation};
use crate::aws::testing::{ACCOUNT, Answer, Server, ec2_error, fast, json_error, query_error, s3_error, serve, target};
use crate::aws::{AwsSettings, Rate};
use crate::baseline::{Cause, CauseClass, Check, Control, Finding, Subject, Verdict};
use crate::engine::cloud::CloudProvider;
use crate::engine::{AssessError, Assessment, RegionSelection, Silent, assess};

use std::time::Duration;

/// Every operation of an assessment; the last two stand at the door of the account.
const OPERATIONS: [Operation; 23] = [
    operation::LIST_ACCOUNT_ALIASES,
    operation::GET_ACCOUNT_PASSWORD_POLICY,
    operation::GET_ACCOUNT_SUMMARY,
    operation::LIST_USERS,
    operation::GET_LOGIN_PROFILE,
    operation::LIST_MFA_DEVICES,
    operation::LIST_VIRTUAL_MFA_DEVICES,
    operation::GET_ACCOUNT_AUTHORIZATION_DETAILS,
    operation::GET_CREDENTIAL_REPORT,
    operation::GENERATE_CREDENTIAL_REPORT,
    operation::DESCRIBE_REGIONS,
    operation::DESCRIBE_SECURITY_GROUP_RULES,
    operation::DESCRIBE_SECURITY_GROUPS,
    operation::DESCRIBE_NETWORK_INTERFACES,
    operation::DESCRIBE_MANAGED_PREFIX_LISTS,
    operation::GET_MANAGED_PREFIX_LIST_ENTRIES,
    operation::LIST_BUCKETS,
    operation::GET_BUCKET_ENCRYPTION,
    operation::GET_BUCKET_POLICY,
    operation::GET_BUCKET_LOGGING,
    operation::DESCRIBE_KEY,
    operation::GET_CALLER_IDENTITY,
    operation::ASSUME_ROLE,
];

/// Operations that no assessment calls, only a plan and a change: `aws/tests/plans.rs` puts the faults to them.
pub(super) const FOR_PLANS_OF_USERS: [Operation; 7] = [
    operation::LIST_ACCESS_KEYS,
    operation::LIST_SERVICE_SPECIFIC_CREDENTIALS,
    operation::LIST_SIGNING_CERTIFICATES,
    operation::LIST_ATTACHED_USER_POLICIES,
    operation::GET_POLICY,
    operation::GET_POLICY_VERSION,
    operation::SIMULATE_PRINCIPAL_POLICY,
];

/// The same for buckets: `aws/s3/tests.rs` puts the faults to them.
const FOR_PLANS_OF_BUCKETS: [Operation; 4] = [
    operation::GET_BUCKET_TAGGING,
    operation::GET_BUCKET_WEBSITE,
    operation::GET_PUBLIC_ACCESS_BLOCK,
    operation::GET_BUCKET_REPLICATION,
];

/// Those that the status of an account is made of: `aws/quotas/tests.rs` puts the faults to them.
pub(in crate::aws) const FOR_ACCOUNT_STATUS: [Operation; 2] =
    [operation::DESCRIBE_AVAILABILITY_ZONES, operation::GET_SERVICE_QUOTA];

/// The operations that answer in pages.
const PAGED: [Operation; 10] = [
    operation::LIST_ACCOUNT_ALIASES,
    operation::LIST_USERS,
    operation::LIST_MFA_DEVICES,
    operation::LIST_VIRTUAL_MFA_DEVICES,
    operation::GET_ACCOUNT_AUTHORIZATION_DETAILS,
    operation::DESCRIBE_SECURITY_GROUP_RULES,
    operation::DESCRIBE_SECURITY_GROUPS,
    operation::DESCRIBE_NETWORK_INTERFACES,
    operation::GET_MANAGED_PREFIX_LIST_ENTRIES,
    operation::LIST_BUCKETS,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::aws) enum Fault {
    Throttled,
    Denied,
    DeniedByOrganization,
    InternalError,
    Unavailable,
    /// A gateway's page with status 503.
    Html,
    /// A sign-in page with status 200.
    HtmlOk,
    Empty,
    /// Half a document that says it is whole.
    HalfBody,
    /// Half a document, then the connection ends.
    CutBody,
    Reset,
    Hang,
    FailedPage,
    RepeatedToken,
}

impl Fault {
    /// All but `Hang`, which takes its time.
    pub(in crate::aws) const QUICK: [Self; 13] = [
        Self::Throttled,
        Self::Denied,
        Self::DeniedByOrganization,
        Self::InternalError,
        Self::Unavailable,
        Self::Html,
        Self::HtmlOk,
        Self::Empty,
        Self::HalfBody,
        Self::CutBody,
        Self::Reset,
        Self::FailedPage,
        Self::RepeatedToken,
    ];

    pub(in crate::aws) fn needs_pages(self) -> bool {
        matches!(self, Self::FailedPage | Self::RepeatedToken)
    }

    /// What the faulted call comes to.
    pub(in crate::aws) fn class(self) -> CauseClass {
        match self {
            Self::Throttled | Self::FailedPage => CauseClass::Throttled,
            Self::Denied => CauseClass::AccessDenied,
            Self::DeniedByOrganization => CauseClass::DeniedByOrganization,
            Self::InternalError | Self::Unavailable | Self::Html => CauseClass::ServiceError,
            Self::HtmlOk | Self::Empty | Self::HalfBody | Self::RepeatedToken => CauseClass::Malformed,
            Self::CutBody | Self::Reset | Self::Hang => CauseClass::Unreachable,
        }
    }

    /// What goes over the wire, in the shape of the service.
    pub(in crate::aws) fn answer(self, operation: Operation, undisturbed: Answer) -> Answer {
        let error = |status, code: &str, message: &str| match operation.name.split(':').next() {
            Some("ec2") => ec2_error(status, code, message),
            Some("s3") => s3_error(status, code, message),
            Some("kms" | "servicequotas") => json_error(status, code, message),
            _ => query_error(status, code, message),
        };
        let denied = |why: &str| {
            let code = match operation.name.split(':').next() {
                Some("ec2") => "UnauthorizedOperation",
                Some("kms" | "servicequotas") => "AccessDeniedException",
                _ => "AccessDenied",
            };
            let caller = "User: arn:aws:sts::222222222222:assumed-role/PlumblineAudit/x";
            let action = operation.action;
            error(403, code, &format!("{caller} is not authorized to perform: {action} on resource: * {why}"))
        };
        match self {
            Self::Throttled | Self::FailedPage => match operation.name.split(':').next() {
                Some("ec2") => error(503, "RequestLimitExceeded", "Request limit exceeded."),
                Some("s3") => error(503, "SlowDown", "Please reduce your request rate."),
                Some("kms") => error(400, "ThrottlingException", "Rate exceeded"),
                Some("servicequotas") => error(400, "TooManyRequestsException", "Rate exceeded"),
                _ => error(400, "Throttling", "Rate exceeded"),
            },
            Self::Denied => denied("because no identity-based policy allows it"),
            Self::DeniedByOrganization => denied("with an explicit deny in a service control policy"),
            Self::InternalError => error(500, "InternalError", "An internal error has occurred"),
            Self::Unavailable => error(503, "ServiceUnavailable", "Service is unable to handle request."),
            Self::Html => Answer::Http(503, "<!DOCTYPE html><html><body>Bad gateway</body></html>".to_owned()),
            Self::HtmlOk => Answer::Http(200, "<!DOCTYPE html><html><body>Please sign in</body></html>".to_owned()),
            Self::Empty => Answer::Http(200, String::new()),
            Self::HalfBody => match undisturbed {
                Answer::Http(_, body) => Answer::Http(200, body[..body.len() / 2].to_owned()),
                other => other,
            },
            Self::CutBody => match undisturbed {
                Answer::Http(_, body) => Answer::Broken(body),
                other => other,
            },
            Self::Reset => Answer::Reset,
            Self::Hang => Answer::Hang,
            Self::RepeatedToken => undisturbed,
        }
    }
}

/// Which scope of users a case is judged with: the administrators are listed for one of them alone.
fn scope_for(operation: Operation) -> &'static str {
    if operation == operation::GET_ACCOUNT_AUTHORIZATION_DETAILS { "PrivilegedUsers" } else { "ConsoleUsers" }
}

fn controls(scope: &str) -> Controls {
    let yaml = format!(
        "passwordPolicy: {{minimumPasswordLength: 14, requireNumbers: true}}
mfa:
  rootUser: {{requireMfa: true, requireHardwareMfa: true, forbidAccessKeys: true, requireUnusedFor: 90d}}
  users: {{scope: {scope}}}
securityGroups:
  allowedIngress:
    - {{protocol: tcp, ports: [443], cidrs: [0.0.0.0/0]}}
    - {{protocol: tcp, ports: [22], cidrs: [0.0.0.0/0], groupNames: ['bastion-*']}}
  requireEmptyDefaultGroup: true
s3Encryption: {{minimumAlgorithm: SseKms, requireCustomerManagedKey: true, kmsKeys: [alias/s3-default],
  requireBucketKey: true, forbidSseC: true, requireTls: true}}
"
    );
    serde_saphyr::from_str(&yaml).unwrap()
}

/// Whether a verdict rests on what the operation reads. Everything else must not notice that it fails.
fn rests_on(operation: Operation, subject: &Subject) -> bool {
    use Check as C;
    let control = subject.check.control();
    let resource = |end: &str| subject.resource.ends_with(end);
    let is_weak = resource(":plain") || resource(":third");
    match operation {
        operation::GET_ACCOUNT_PASSWORD_POLICY => control == Control::PasswordPolicy,
        operation::GET_ACCOUNT_SUMMARY => {
            matches!(subject.check, C::RootUserMfa | C::RootUserHardwareMfa | C::RootUserAccessKeys)
        }
        operation::LIST_VIRTUAL_MFA_DEVICES => subject.check == C::RootUserHardwareMfa,
        // The users are then read one by one (MFA-24); root's last use stands in the report alone.
        operation::GET_CREDENTIAL_REPORT | operation::GENERATE_CREDENTIAL_REPORT => subject.check == C::RootUserUnused,
        operation::LIST_USERS | operation::GET_ACCOUNT_AUTHORIZATION_DETAILS => subject.check == C::UserMfa,
        // The report clears the others.
        operation::GET_LOGIN_PROFILE | operation::LIST_MFA_DEVICES => resource("user/carol"),
        operation::DESCRIBE_REGIONS => matches!(control, Control::SecurityGroups | Control::S3Encryption),
        operation::DESCRIBE_SECURITY_GROUP_RULES => control == Control::SecurityGroups,
        // An entry of 22 applies by name.
        operation::DESCRIBE_SECURITY_GROUPS => {
            subject.check == C::DefaultSecurityGroup || ["sgr-2", "sgr-3", "sgr-9"].iter().any(|id| resource(id))
        }
        operation::DESCRIBE_MANAGED_PREFIX_LISTS | operation::GET_MANAGED_PREFIX_LIST_ENTRIES => resource("sgr-4"),
        operation::LIST_BUCKETS => control == Control::S3Encryption,
        operation::GET_BUCKET_ENCRYPTION => control == Control::S3Encryption && subject.check != C::TlsRequired,
        // Load balancers' logs, and those of S3, go to buckets with SSE-S3 alone.
        operation::GET_BUCKET_POLICY => {
            subject.check == C::TlsRequired || is_weak && matches!(subject.check, C::EncryptionAlgorithm | C::KmsKey)
        }
        operation::GET_BUCKET_LOGGING => is_weak && matches!(subject.check, C::EncryptionAlgorithm | C::KmsKey),
        operation::DESCRIBE_KEY => resource(":safe") && matches!(subject.check, C::KmsKey | C::KmsKeyUsable),
        // The alias is for people, and attachment decides about the severity alone.
        _ => false,
    }
}

/// The account with a fault at one operation: for every call of it, or for the first `times`.
async fn disturbed(settings: AwsSettings, fault: Option<(Operation, Fault)>, times: usize) -> Server {
    let recorded = Recorded::default();
    let seen = AtomicUsize::new(0);
    serve(settings, move |request, _| {
        let Some((operation, fault)) = fault.filter(|(operation, _)| operation.name == name(request)) else {
            return recorded.answer(request, false);
        };
        if fault.needs_pages() && !is_second(request) || seen.fetch_add(1, Ordering::SeqCst) >= times {
            return recorded.answer(request, false);
        }
        fault.answer(operation, recorded.answer(request, fault == Fault::RepeatedToken))
    })
    .await
}

async fn judged(server: &Server, scope: &str, deadline: Duration) -> Result<Assessment, AssessError> {
    let cloud = server.aws.cloud(&target(Some("PlumblineAudit")), deadline).await.unwrap();
    assess(ACCOUNT, &RegionSelection::Enabled, &controls(scope), Arc::as_ref(&cloud), &Silent).await
}

fn by_subject(findings: &[Finding]) -> BTreeMap<Subject, &Finding> {
    findings.iter().map(|finding| (finding.subject().clone(), finding)).collect()
}

/// How often each operation was called.
fn counts(server: &Server) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in server.requests() {
        *counts.entry(name(&request)).or_default() += 1;
    }
    counts
}

/// The undisturbed assessments, by scope, with the calls that they took.
struct Reference(BTreeMap<&'static str, (Assessment, BTreeMap<String, usize>)>);

impl Reference {
    async fn new() -> Self {
        let mut reference = BTreeMap::new();
        for scope in ["ConsoleUsers", "PrivilegedUsers"] {
            let server = disturbed(fast(), None, 0).await;
            let assessment = judged(&server, scope, MINUTE).await.unwrap();
            reference.insert(scope, (assessment, counts(&server)));
        }
        Self(reference)
    }
}

const MINUTE: Duration = Duration::from_mins(1);

/// Holds a disturbed assessment against the undisturbed one.
fn compare(case: &str, operation: Operation, classes: &[CauseClass], undisturbed: &Assessment, found: &Assessment) {
    let (before, after) = (by_subject(&undisturbed.findings), by_subject(&found.findings));
    for (subject, before) in &before {
        let now = after.get(subject);
        if rests_on(operation, subject) {
            // Where a whole list is missing, one row stands for all of them.
            let stands_in = |finding: &&Finding| finding.subject().check.control() == subject.check.control();
            let now = now.copied().or_else(|| {
                found.findings.iter().filter(|finding| finding.verdict() == Verdict::Unknown).find(stands_in)
            });
            let now = now.unwrap_or_else(|| panic!("{case}: {subject:?} has vanished"));
            assert_eq!(now.verdict(), Verdict::Unknown, "{case}: {now:#?} was not read");
        } else {
            let now = now.unwrap_or_else(|| panic!("{case}: {subject:?} has vanished"));
            assert_eq!(now.verdict(), before.verdict(), "{case}: {now:#?} was {before:#?}");
        }
    }
    for (subject, now) in &after {
        let known = before.contains_key(subject);
        assert!(known || now.verdict() == Verdict::Unknown, "{case}: {now:#?} came out of nothing");
        if let Some(cause) = now.cause() {
            assert!(classes.contains(&cause.class), "{case}: {cause:?}");
            if cause.class == CauseClass::AccessDenied {
                assert_eq!(cause.missing_action.as_deref(), Some(operation.action), "{case}");
            }
        }
    }
    let unread = found.findings.iter().any(|finding| finding.verdict() == Verdict::Unknown);
    assert_eq!(unread, before.keys().any(|subject| rests_on(operation, subject)), "{case}");
}

fn cases(faults: &[Fault]) -> Vec<(Operation, Fault)> {
    let all = OPERATIONS.into_iter().flat_map(|operation| faults.iter().map(move |fault| (operation, *fault)));
    all.filter(|(operation, fault)| !fault.needs_pages() || PAGED.contains(operation)).collect()
}

fn is_door(operation: Operation) -> bool {
    [operation::GET_CALLER_IDENTITY, operation::ASSUME_ROLE].contains(&operation)
}

/// One permanent fault, and everything that is said of it.
async fn check(operation: Operation, fault: Fault, reference: &Reference) {
    let case = format!("{operation} {fault:?}");
    let scope = scope_for(operation);
    let server = disturbed(fast(), Some((operation, fault)), usize::MAX).await;
    let outcome = judged(&server, scope, MINUTE).await;
    let counts = counts(&server);
    let (undisturbed, calls) = &reference.0[scope];
    if is_door(operation) {
        let Err(AssessError::Unreachable { cause, .. }) = outcome else { panic!("{case}: {outcome:#?}") };
        // A role that may not be assumed is one that has no credentials.
        let assumed = operation == operation::ASSUME_ROLE && fault == Fault::Denied;
        assert_eq!(cause.class, if assumed { CauseClass::Credentials } else { fault.class() }, "{case}");
        assert!(counts.keys().all(|name| name.starts_with("sts:")), "{case}: {counts:?}");
        return;
    }
    let found = outcome.unwrap_or_else(|error| panic!("{case}: {error}"));
    compare(&case, operation, &[fault.class()], undisturbed, &found);
    // A call is tried three times, the calls that would have followed it are not made, and others are made only where
    // the users are read one by one for want of a report.
    let live = ["iam:GetLoginProfile", "iam:ListMFADevices"];
    for (name, count) in &counts {
        let most = calls.get(name).copied().unwrap_or_default();
        let users = undisturbed.coverage.users_listed.unwrap_or_default();
        let most = match name.as_str() {
            // Where the alias is not answered, the bucket's key is asked for by itself.
            "kms:DescribeKey" if name == operation.name => (most + 1) * 3,
            _ if name == operation.name => most * 3,
            _ if live.contains(&name.as_str()) => most.max(users * 2),
            _ => most,
        };
        assert!(*count <= most, "{case}: {name} was called {count} times, {most} at most");
    }
}

/// Every fault that needs no pages, at each of these operations: what was not read has a cause that says why.
pub(in crate::aws) async fn no_fault_is_an_answer<F>(
    operations: impl IntoIterator<Item = Operation>,
    cause_of: impl Fn(Operation, Fault) -> F,
) where
    F: Future<Output = (Cause, usize)>,
{
    let faults = Fault::QUICK.into_iter().chain([Fault::Hang]).filter(|fault| !fault.needs_pages());
    let cases = operations.into_iter().flat_map(|operation| faults.clone().map(move |fault| (operation, fault)));
    let each = async |(operation, fault): (Operation, Fault)| {
        let (cause, attempts) = cause_of(operation, fault).await;
        assert_eq!(cause.class, fault.class(), "{operation} {fault:?}: {cause}");
        assert!(attempts <= 3, "{operation} {fault:?}: {attempts} attempts");
        let missing = (cause.class == CauseClass::AccessDenied).then_some(operation.action);
        assert_eq!(cause.missing_action.as_deref(), missing, "{operation} {fault:?}");
    };
    stream::iter(cases).for_each_concurrent(8, each).await;
}

async fn check_all(cases: Vec<(Operation, Fault)>) {
    let reference = Reference::new().await;
    let reference = &reference;
    stream::iter(cases).for_each_concurrent(8, |(operation, fault)| check(operation, fault, reference)).await;
}

#[test]
fn the_table_has_every_operation() {
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/aws/operation.rs")).unwrap();
    let (table, _) = source.split_once("#[cfg(test)]").unwrap();
    let words = table.split('"').filter(|word| !word.contains(char::is_whitespace) && word.contains(':'));
    let all = OPERATIONS.iter().chain(&FOR_PLANS_OF_USERS).chain(&FOR_PLANS_OF_BUCKETS).chain(&FOR_ACCOUNT_STATUS);
    let actions: BTreeSet<&str> = all.flat_map(|operation| [operation.name, operation.action]).collect();
    assert_eq!(words.collect::<BTreeSet<_>>(), actions);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recorded_account_asks_for_every_operation_and_has_good_and_bad() {
    let reference = Reference::new().await;
    let called: BTreeSet<&str> = reference.0.values().flat_map(|(_, calls)| calls.keys()).map(String::as_str).collect();
    assert_eq!(called, OPERATIONS.iter().map(|operation| operation.name).collect());
    let findings = &reference.0["ConsoleUsers"].0.findings;
    for control in [Control::PasswordPolicy, Control::Mfa, Control::SecurityGroups, Control::S3Encryption] {
        let of = |verdict| {
            let mut findings = findings.iter().filter(|finding| finding.subject().check.control() == control);
            findings.any(|finding: &Finding| finding.verdict() == verdict)
        };
        assert!(of(Verdict::Pass) && of(Verdict::Fail) && !of(Verdict::Unknown), "{control:?}: {findings:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p5_no_read_that_fails_becomes_a_verdict_and_nothing_else_notices() {
    check_all(cases(&Fault::QUICK)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p5_a_fault_that_passes_is_not_seen_in_the_verdicts() {
    let passing = [
        Fault::Throttled,
        Fault::InternalError,
        Fault::Unavailable,
        Fault::Html,
        Fault::CutBody,
        Fault::Reset,
        Fault::FailedPage,
    ];
    let reference = &Reference::new().await;
    let each = |(operation, fault): (Operation, Fault)| async move {
        let server = disturbed(fast(), Some((operation, fault)), 1).await;
        let found = judged(&server, scope_for(operation), MINUTE).await;
        let found = found.unwrap_or_else(|error| panic!("{operation} {fault:?}: {error}"));
        let verdicts = |assessment: &Assessment| {
            let row = |finding: &Finding| (finding.subject().clone(), finding.verdict(), finding.observed().to_owned());
            assessment.findings.iter().map(row).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(&found), verdicts(&reference.0[scope_for(operation)].0), "{operation} {fault:?}");
    };
    stream::iter(cases(&passing)).for_each_concurrent(8, each).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p5_a_read_that_hangs_is_given_up_and_the_pass_goes_on() {
    let reference = &Reference::new().await;
    let all = cases(&[Fault::Hang]).into_iter().map(|(operation, fault)| check(operation, fault, reference));
    futures::future::join_all(all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p13_a_read_that_never_ends_leaves_the_other_controls_their_time_and_the_pass_ends_at_its_deadline() {
    let reference = &Reference::new().await;
    let each = |(operation, fault): (Operation, Fault)| async move {
        let case = format!("{operation} until the deadline");
        // Only the deadline ends a call.
        let settings = AwsSettings { attempt_timeout: MINUTE * 60, ..fast() };
        let server = disturbed(settings, Some((operation, fault)), usize::MAX).await;
        let outcome = judged(&server, scope_for(operation), Duration::from_secs(15)).await;
        let undisturbed = &reference.0[scope_for(operation)].0;
        match outcome {
            Err(AssessError::Unreachable { cause, .. }) if is_door(operation) => {
                assert_eq!(cause.class, CauseClass::DeadlineExceeded, "{case}");
            }
            Ok(found) if !is_door(operation) => never_claims_what_was_not_read(&case, operation, undisturbed, &found),
            other => panic!("{case}: {other:#?}"),
        }
    };
    futures::future::join_all(cases(&[Fault::Hang]).into_iter().map(each)).await;
}

/// What rests on the operation is unknown; what follows it in the same control may be, for want of time.
fn never_claims_what_was_not_read(case: &str, operation: Operation, undisturbed: &Assessment, found: &Assessment) {
    let before = by_subject(&undisturbed.findings);
    let touched: BTreeSet<Control> = match operation {
        operation::DESCRIBE_NETWORK_INTERFACES => BTreeSet::from([Control::SecurityGroups]),
        _ => before.keys().filter(|it| rests_on(operation, it)).map(|it| it.check.control()).collect(),
    };
    let mut unread = 0;
    for finding in &found.findings {
        let subject = finding.subject();
        if finding.verdict() == Verdict::Unknown {
            unread += 1;
            assert!(touched.contains(&subject.check.control()), "{case}: {finding:#?}");
            assert_eq!(finding.cause().unwrap().class, CauseClass::DeadlineExceeded, "{case}: {finding:#?}");
        } else {
            assert!(!rests_on(operation, subject), "{case}: {finding:#?}");
            assert_eq!(before.get(subject).map(|it| it.verdict()), Some(finding.verdict()), "{case}: {finding:#?}");
        }
    }
    assert!(unread > 0 || !before.keys().any(|subject| rests_on(operation, subject)), "{case}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_throttle_for_ever_every_service_is_asked_no_faster_than_its_own_rate() {
    let rate = Rate::new(25, 5);
    let settings = AwsSettings { ec2: rate, iam: rate, s3: rate, kms: rate, ..fast() };
    let recorded = Recorded::default();
    // Lists are answered, so that there is much to ask for.
    let answered = ["DescribeRegions", "ListUsers", "ListBuckets", "GetCredentialReport", "GenerateCredentialReport"];
    let server = serve(settings, move |request, _| {
        let name = name(request);
        let (service, operation) = name.split_once(':').unwrap();
        let all = OPERATIONS.iter().find(|operation| operation.name == name).copied().unwrap();
        if service == "sts" || answered.contains(&operation) {
            recorded.answer(request, false)
        } else {
            Fault::Throttled.answer(all, recorded.answer(request, false))
        }
    })
    .await;
    let started = std::time::Instant::now();
    for _ in 0..3 {
        let found = judged(&server, "ConsoleUsers", MINUTE).await.unwrap();
        let claims = found.findings.iter().filter(|finding| finding.verdict() != Verdict::Unknown);
        // The report alone could be read: root's last use, and the user whom it clears.
        assert_eq!(claims.map(|it| it.subject().check).collect::<Vec<_>>(), [Check::RootUserUnused, Check::UserMfa]);
    }
    let elapsed = started.elapsed().as_secs_f64();
    let mut calls: BTreeMap<(String, String), u32> = BTreeMap::new();
    for request in server.requests() {
        let service = name(&request).split(':').next().unwrap().to_owned();
        *calls.entry((service, request.region().to_owned())).or_default() += 1;
    }
    calls.retain(|(service, _), _| service != "sts");
    assert!(calls.values().sum::<u32>() > 60, "{calls:?}");
    for (place, count) in calls {
        assert!(f64::from(count) <= 5.0 + 25.0 * elapsed + 1.0, "{place:?}: {count} calls in {elapsed} s");
    }
}
