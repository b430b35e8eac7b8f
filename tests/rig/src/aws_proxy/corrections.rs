//! What the emulator gets wrong, put right: each correction names the page of AWS's documentation that it follows.
//!
//! `before` answers in the emulator's place, `upstream` changes what it is asked, `after` changes what it said. No IO.

pub(crate) mod ec2;
mod iam;
mod kms;
mod quotas;
pub(crate) mod report;
pub(crate) mod s3;
mod sts;

use std::sync::Mutex;

use jiff::Timestamp;

use super::account::{Account, Identity, State};
use super::parking::lock;
use super::request::AwsRequest;
use super::shape::{Answer, error};

/// A call with what the proxy knows about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) request: &'a AwsRequest,
    pub(crate) caller: &'a Identity,
    pub(crate) state: &'a Mutex<State>,
    pub(crate) now: Timestamp,
}

impl Known<'_> {
    /// The state of the account whose credentials signed the call.
    fn account(&self) -> Account {
        lock(self.state).account(&self.caller.account)
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.request.parameters.get(name)
    }
}

/// An answer in the emulator's place.
pub(crate) fn before(known: Known<'_>) -> Option<Answer> {
    match (known.request.service.as_str(), known.request.operation.as_str()) {
        ("sts", "AssumeRole") => sts::refuse_unless_trusted(known),
        ("sts", "GetCallerIdentity") => sts::identity_of_registered_key(known),
        ("iam", "UpdateAccountPasswordPolicy") => iam::validate_password_policy(known),
        ("iam", "ListServiceSpecificCredentials") => iam::service_specific_credentials(known),
        ("iam", "SimulatePrincipalPolicy") => iam::simulate_principal_policy(known),
        ("ec2", _) => ec2::refuse_disabled_region(known),
        ("s3", _) => s3::redirect_to_region(known).or_else(|| s3::refuse_other_owner(known)),
        _ => None,
    }
}

/// What the emulator is asked.
pub(crate) fn upstream(request: &AwsRequest) -> AwsRequest {
    match (request.service.as_str(), request.operation.as_str()) {
        ("ec2", "DescribeRegions") => ec2::ask_for_all_regions(request),
        _ => request.clone(),
    }
}

/// The emulator's answer as AWS would have given it.
///
/// # Errors
/// When the answer is not in the form that is expected of it.
pub(crate) fn after(known: Known<'_>, answer: Answer) -> anyhow::Result<Answer> {
    let request = known.request;
    if answer.is_html() && !answer.is_success() {
        return Ok(missing(request));
    }
    if !answer.is_success() {
        return Ok(s3::instead_of_error(request, &answer).unwrap_or(answer));
    }
    match (request.service.as_str(), request.operation.as_str()) {
        ("sts", "AssumeRole") => sts::remember_session(known, &answer)?,
        ("sts", "GetCallerIdentity") => return sts::correct_identity(&answer),
        ("iam", "GetAccountPasswordPolicy") => return iam::omit_what_was_never_set(&answer),
        ("iam", "GetAccountSummary") => return iam::add_root_to_summary(known, &answer),
        ("iam", "ListVirtualMFADevices") => return iam::add_root_device(known, &answer),
        ("iam", "GenerateCredentialReport") => report::remember_generation(known, &answer)?,
        ("iam", "GetCredentialReport") => return report::correct(known, &answer),
        ("iam", "ListUsers" | "GetUser" | "GetAccountAuthorizationDetails") => return iam::add_dates(known, &answer),
        ("iam", "GetLoginProfile") => return iam::add_reset_required(known, &iam::add_dates(known, &answer)?),
        ("ec2", "DescribeRegions") => return ec2::mark_regions(known, &answer),
        ("ec2", "DescribeAvailabilityZones") => return ec2::shuffle_zones(known, &answer),
        ("ec2", "DescribeSecurityGroupRules") => return ec2::add_owner(known, &answer),
        ("kms", "DescribeKey") => return kms::correct_key(known, &answer),
        ("servicequotas", "GetServiceQuota") => return quotas::of_account(known, &answer),
        ("s3", "ListBuckets") => return s3::add_regions(known, &answer),
        ("s3", "CreateBucket") => s3::remember_region(known),
        ("s3", "PutBucketEncryption") => s3::remember_blocked_types(known)?,
        ("s3", "DeleteBucketEncryption") => s3::forget_blocked_types(known),
        ("s3", "PutBucketPolicy") => return Ok(s3::without_body(&answer)),
        ("s3", "GetBucketEncryption") => return s3::add_blocked_types(known, &answer),
        _ => {}
    }
    Ok(answer)
}

/// A clear refusal in place of the HTML with which moto answers what it lacks; 501 is a status that no SDK retries.
fn missing(request: &AwsRequest) -> Answer {
    let message = format!("the emulator lacks {}:{}, or fell over it", request.service, request.operation);
    error(request, 501, "MissingFromEmulator", &message)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::account::{DEFAULT_ACCOUNT, Role};
    use super::super::request::tests::request;
    use super::*;

    /// Calls `test` with a call of account 1, declared as given.
    pub(crate) fn with_call<T>(account: Account, request: &AwsRequest, test: impl FnOnce(Known<'_>) -> T) -> T {
        let state = Mutex::new(State::default());
        lock(&state).accounts.insert("1".to_owned(), account);
        let caller = Identity { account: "1".to_owned(), arn: "arn:aws:iam::1:user/u".to_owned(), registered: false };
        test(Known { request, caller: &caller, state: &state, now: "2026-11-21T20:00:00Z".parse().unwrap() })
    }

    /// An IAM call with this body.
    pub(crate) fn iam(body: &str) -> AwsRequest {
        request("us-east-1/iam", "POST", "/", None, body)
    }

    /// An answer with this body.
    pub(crate) fn said(status: u16, body: &str) -> Answer {
        Answer::new(status, "text/xml", body.to_owned())
    }

    #[test]
    fn what_the_emulator_lacks_is_said_and_not_retried() {
        let answer = with_call(Account::unknown(), &iam("Action=Nothing"), |known| {
            after(known, said(500, "<!doctype html>\n<html>")).unwrap()
        });
        assert_eq!(answer.status, 501);
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(text.contains("iam:Nothing"), "{text}");
    }

    #[test]
    fn a_role_is_assumed_only_as_declared() {
        let roles = vec![
            Role { name: "Open".into(), external_id: None },
            Role { name: "team/Closed".into(), external_id: Some("s3cret".into()) },
        ];
        let account = Account { roles, ..Account::unknown() };
        let table = [
            ("arn:aws:iam::1:role/Open", "", true),
            ("arn:aws:iam::1:role/team/Closed", "&ExternalId=s3cret", true),
            ("arn:aws:iam::1:role/team/Closed", "", false),
            ("arn:aws:iam::1:role/team/Closed", "&ExternalId=other", false),
            ("arn:aws:iam::1:role/Closed", "&ExternalId=s3cret", false),
            ("arn:aws:iam::2:role/Open", "", false),
        ];
        for (arn, rest, allowed) in table {
            let body = format!("Action=AssumeRole&RoleArn={arn}&RoleSessionName=s{rest}");
            let call = request("us-east-1/sts", "POST", "/", None, &body);
            let refusal = with_call(account.clone(), &call, before);
            assert_eq!(refusal.is_none(), allowed, "{arn} {rest}");
            if let Some(refusal) = refusal {
                assert_eq!(refusal.status, 403);
                assert_eq!(refusal.parse().unwrap().find("Code").unwrap().text, "AccessDenied");
            }
        }
    }

    #[test]
    fn the_session_of_an_assumed_role_is_remembered() {
        let call = request("us-east-1/sts", "POST", "/", None, "Action=AssumeRole&RoleArn=arn:aws:iam::7:role/R");
        let xml = "<R><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId></Credentials><AssumedRoleUser>\
                   <Arn>arn:aws:sts::7:assumed-role/R/s</Arn></AssumedRoleUser></AssumeRoleResult></R>";
        with_call(Account::unknown(), &call, |known| {
            after(known, said(200, xml)).unwrap();
            assert_eq!(lock(known.state).identity("ASIA1").account, "7");
            assert_eq!(lock(known.state).identity("ASIA2").account, DEFAULT_ACCOUNT);
        });
    }
}
