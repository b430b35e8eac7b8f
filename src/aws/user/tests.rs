use super::*;
use crate::aws::testing::{Answer, Request, complete, fast, iam, query_error, serve, unknown};
use crate::baseline::mfa::IamUser;
use crate::engine::cloud::Cloud;

pub(in crate::aws) const DENY: &str = "arn:aws:iam::222222222222:policy/RequireMfa";

pub(in crate::aws) fn user(name: &str) -> IamUser {
    IamUser {
        name: name.to_owned(),
        arn: format!("arn:aws:iam::222222222222:user/staff/{name}"),
        created_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        password_last_used: None,
    }
}

/// A list of one page; each is called after its operation.
fn list(operation: &str, set: &str, members: &str) -> Answer {
    iam(operation, &format!("<IsTruncated>false</IsTruncated><{set}>{members}</{set}>"))
}

fn access_key(status: &str) -> String {
    format!("<member><UserName>ada</UserName><AccessKeyId>AKIA1</AccessKeyId><Status>{status}</Status></member>")
}

fn credential(status: &str) -> String {
    format!(
        "<member><UserName>ada</UserName><ServiceName>codecommit.amazonaws.com</ServiceName><Status>{status}</Status>\
         <CreateDate>2026-01-01T00:00:00Z</CreateDate><ServiceSpecificCredentialId>A</ServiceSpecificCredentialId>\
         </member>"
    )
}

fn certificate(status: &str) -> String {
    format!(
        "<member><UserName>ada</UserName><CertificateId>C</CertificateId><CertificateBody>x</CertificateBody>\
         <Status>{status}</Status></member>"
    )
}

fn profile(reset: bool) -> Answer {
    iam(
        "GetLoginProfile",
        &format!(
            "<LoginProfile><UserName>ada</UserName><CreateDate>2026-01-01T00:00:00Z</CreateDate>\
             <PasswordResetRequired>{reset}</PasswordResetRequired></LoginProfile>"
        ),
    )
}

/// A user with a password and nothing else, and a policy.
pub(in crate::aws) fn plain(request: &Request) -> Answer {
    match request.operation.as_str() {
        "GetPolicy" => iam("GetPolicy", "<Policy><DefaultVersionId>v3</DefaultVersionId></Policy>"),
        "GetPolicyVersion" => iam(
            "GetPolicyVersion",
            "<PolicyVersion><VersionId>v3</VersionId><IsDefaultVersion>true</IsDefaultVersion>\
             <Document>%7B%22Statement%22%3A%5B%5D%7D</Document></PolicyVersion>",
        ),
        "GetLoginProfile" => profile(false),
        "ListMFADevices" => list("ListMFADevices", "MFADevices", ""),
        "ListAccessKeys" => list("ListAccessKeys", "AccessKeyMetadata", ""),
        "ListServiceSpecificCredentials" => list("ListServiceSpecificCredentials", "ServiceSpecificCredentials", ""),
        "ListSigningCertificates" => list("ListSigningCertificates", "Certificates", ""),
        "ListAttachedUserPolicies" => list("ListAttachedUserPolicies", "AttachedPolicies", ""),
        "SimulatePrincipalPolicy" => iam(
            "SimulatePrincipalPolicy",
            "<EvaluationResults><member><EvalActionName>iam:EnableMFADevice</EvalActionName>\
             <EvalDecision>allowed</EvalDecision></member></EvaluationResults>",
        ),
        other => panic!("{other}"),
    }
}

async fn facts_with(operation: &'static str, answer: Answer) -> Option<UserFacts> {
    let server =
        serve(fast(), move |request, _| if request.operation == operation { answer.clone() } else { plain(request) })
            .await;
    complete(server.account().user_facts(&user("ada")).await)
}

fn bare() -> UserFacts {
    UserFacts {
        arn: "arn:aws:iam::222222222222:user/staff/ada".to_owned(),
        has_login_profile: true,
        password_reset_required: false,
        has_mfa_device: false,
        has_active_access_key: false,
        has_other_credential: false,
        attached_policies: Vec::new(),
    }
}

#[tokio::test]
async fn each_fact_comes_from_its_own_read() {
    let absent = query_error(404, "NoSuchEntity", "Login Profile for User ada cannot be found.");
    let device = "<member><UserName>ada</UserName><SerialNumber>arn:aws:iam::222222222222:mfa/a</SerialNumber>\
                  <EnableDate>2026-01-01T00:00:00Z</EnableDate></member>";
    let attached = format!("<member><PolicyName>RequireMfa</PolicyName><PolicyArn>{DENY}</PolicyArn></member>");
    let keys = |status: &str| list("ListAccessKeys", "AccessKeyMetadata", &access_key(status));
    let credentials =
        |status: &str| list("ListServiceSpecificCredentials", "ServiceSpecificCredentials", &credential(status));
    let certificates = |status: &str| list("ListSigningCertificates", "Certificates", &certificate(status));
    let rows: [(&'static str, Answer, UserFacts); 12] = [
        ("GetLoginProfile", absent, UserFacts { has_login_profile: false, ..bare() }),
        ("GetLoginProfile", profile(true), UserFacts { password_reset_required: true, ..bare() }),
        ("ListMFADevices", list("ListMFADevices", "MFADevices", device), UserFacts { has_mfa_device: true, ..bare() }),
        ("ListAccessKeys", keys("Active"), UserFacts { has_active_access_key: true, ..bare() }),
        ("ListAccessKeys", keys("Dormant"), UserFacts { has_active_access_key: true, ..bare() }),
        ("ListAccessKeys", keys("Inactive"), bare()),
        ("ListServiceSpecificCredentials", credentials("Active"), UserFacts { has_other_credential: true, ..bare() }),
        ("ListServiceSpecificCredentials", credentials("Inactive"), bare()),
        ("ListServiceSpecificCredentials", credentials("Expired"), bare()),
        ("ListSigningCertificates", certificates("Active"), UserFacts { has_other_credential: true, ..bare() }),
        ("ListSigningCertificates", certificates("Inactive"), bare()),
        (
            "ListAttachedUserPolicies",
            list("ListAttachedUserPolicies", "AttachedPolicies", &attached),
            UserFacts { attached_policies: vec![DENY.to_owned()], ..bare() },
        ),
    ];
    for (operation, answer, expected) in rows {
        assert_eq!(facts_with(operation, answer.clone()).await, Some(expected), "{operation} {answer:?}");
    }
}

#[tokio::test]
async fn a_key_on_the_second_page_counts() {
    let server = serve(fast(), |request, _| match (request.operation.as_str(), request.param("Marker")) {
        ("ListAccessKeys", "") => iam(
            "ListAccessKeys",
            "<IsTruncated>true</IsTruncated><Marker>2</Marker><AccessKeyMetadata></AccessKeyMetadata>",
        ),
        ("ListAccessKeys", _) => list("ListAccessKeys", "AccessKeyMetadata", &access_key("Active")),
        _ => plain(request),
    })
    .await;
    let facts = complete(server.account().user_facts(&user("ada")).await).unwrap();
    assert!(facts.has_active_access_key);
}

#[tokio::test]
async fn a_user_is_gone_where_any_read_says_so_and_unknown_where_any_read_fails() {
    for operation in ["ListMFADevices", "ListAccessKeys", "ListServiceSpecificCredentials", "ListSigningCertificates"] {
        let gone = query_error(404, "NoSuchEntity", "The user with name ada cannot be found.");
        assert_eq!(facts_with(operation, gone).await, None, "{operation}");
    }
    for operation in [
        "GetLoginProfile",
        "ListMFADevices",
        "ListAccessKeys",
        "ListServiceSpecificCredentials",
        "ListSigningCertificates",
        "ListAttachedUserPolicies",
    ] {
        let server = serve(fast(), move |request, _| {
            let action = format!("User: x is not authorized to perform: iam:{operation} on resource: user ada");
            if request.operation == operation { query_error(403, "AccessDenied", &action) } else { plain(request) }
        })
        .await;
        let cause = unknown(server.account().user_facts(&user("ada")).await);
        assert_eq!(cause.class, CauseClass::AccessDenied);
        assert_eq!(cause.missing_action, Some(format!("iam:{operation}")));
    }
}

#[tokio::test]
async fn mfa_20_the_deny_policy_is_its_default_version_decoded() {
    let server = serve(fast(), |request, _| match request.operation.as_str() {
        "GetPolicy" if request.param("PolicyArn") != DENY => {
            query_error(404, "NoSuchEntity", "Policy arn:aws:iam::222222222222:policy/Gone was not found.")
        }
        "GetPolicy" => plain(request),
        _ => {
            assert_eq!((request.param("PolicyArn"), request.param("VersionId")), (DENY, "v3"));
            plain(request)
        }
    })
    .await;
    let account = server.account();
    let policy = complete(account.managed_policy(DENY).await).unwrap();
    assert_eq!((policy.version_id.as_str(), policy.document.as_str()), ("v3", r#"{"Statement":[]}"#));
    assert_eq!(complete(account.managed_policy("arn:aws:iam::222222222222:policy/Gone").await), None);
}

#[tokio::test]
async fn mfa_20_a_version_that_is_not_the_default_one_any_more_is_not_the_policy() {
    let server = serve(fast(), |request, _| match request.operation.as_str() {
        "GetPolicy" => iam("GetPolicy", "<Policy><DefaultVersionId>v3</DefaultVersionId></Policy>"),
        _ => iam(
            "GetPolicyVersion",
            "<PolicyVersion><VersionId>v3</VersionId><IsDefaultVersion>false</IsDefaultVersion>\
             <Document>%7B%7D</Document></PolicyVersion>",
        ),
    })
    .await;
    assert_eq!(unknown(server.account().managed_policy(DENY).await).class, CauseClass::Malformed);

    let server = serve(fast(), |request, _| match request.operation.as_str() {
        "GetPolicy" => iam("GetPolicy", "<Policy><DefaultVersionId>v3</DefaultVersionId></Policy>"),
        _ => query_error(404, "NoSuchEntity", "Policy version v3 was not found."),
    })
    .await;
    assert_eq!(unknown(server.account().managed_policy(DENY).await).class, CauseClass::NotFound);
}
