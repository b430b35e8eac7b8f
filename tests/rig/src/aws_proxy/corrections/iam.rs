//! IAM: the password policy's ranges, the root user, dates that moto cannot hold.

use super::super::account::RootMfa;
use super::super::shape::{Answer, error};
use super::super::xml::Element;
use super::Known;

/// The ranges of "`UpdateAccountPasswordPolicy`" in the IAM API reference; moto takes a length of 5 and zeros.
pub(super) fn validate_password_policy(known: Known<'_>) -> Option<Answer> {
    let ranges = [
        ("MinimumPasswordLength", "minimumPasswordLength", 6, 128),
        ("PasswordReusePrevention", "passwordReusePrevention", 1, 24),
        ("MaxPasswordAge", "maxPasswordAge", 1, 1095),
    ];
    let violations: Vec<String> = ranges
        .iter()
        .filter_map(|(parameter, member, least, most)| {
            let text = known.parameter(parameter)?;
            let bound = match text.parse::<i64>() {
                Ok(value) if value < *least => format!("greater than or equal to {least}"),
                Ok(value) if value > *most => format!("less than or equal to {most}"),
                Ok(_) => return None,
                Err(_) => "a number".to_owned(),
            };
            Some(format!("Value '{text}' at '{member}' failed to satisfy constraint: Member must have value {bound}"))
        })
        .collect();
    if violations.is_empty() {
        return None;
    }
    let plural = if violations.len() == 1 { "error" } else { "errors" };
    let message = format!("{} validation {plural} detected: {}", violations.len(), violations.join("; "));
    Some(error(known.request, 400, "ValidationError", &message))
}

/// An age that was never set is left out, as "`PasswordPolicy`" in the IAM API reference marks it; moto says 0.
pub(super) fn omit_what_was_never_set(answer: &Answer) -> anyhow::Result<Answer> {
    let mut root = answer.parse()?;
    if let Some(policy) = root.find_mut("PasswordPolicy") {
        policy.children.retain(|field| field.name != "MaxPasswordAge" || field.text != "0");
    }
    Ok(answer.with_xml(&root))
}

/// The root user's live state: "`GetAccountSummary`" in the IAM API reference; moto has constants.
pub(super) fn add_root_to_summary(known: Known<'_>, answer: &Answer) -> anyhow::Result<Answer> {
    let root_user = known.account().root;
    let mut root = answer.parse()?;
    let entries = [
        ("AccountMFAEnabled", u8::from(!root_user.mfa.is_empty())),
        ("AccountPasswordPresent", u8::from(root_user.password)),
        ("AccountAccessKeysPresent", u8::from(root_user.access_keys > 0)),
        ("AccountSigningCertificatesPresent", u8::from(root_user.signing_certificates > 0)),
    ];
    if let Some(map) = root.find_mut("SummaryMap") {
        for (key, value) in entries {
            map.children.retain(|entry| entry.child_text("key") != Some(key));
            let pair = vec![Element::with_text("key", key), Element::with_text("value", value)];
            map.children.push(Element::with_children("entry", pair));
        }
    }
    Ok(answer.with_xml(&root))
}

/// The root user's virtual device, and no secrets: "`ListVirtualMFADevices`" and "`VirtualMFADevice`" in the IAM API
/// reference (the seed and the QR code come from the creation alone).
pub(super) fn add_root_device(known: Known<'_>, answer: &Answer) -> anyhow::Result<Answer> {
    let mut root = answer.parse()?;
    let Some(devices) = root.find_mut("VirtualMFADevices") else { return Ok(answer.clone()) };
    for device in &mut devices.children {
        device.remove_children("Base32StringSeed");
        device.remove_children("QRCodePNG");
    }
    let root_user = known.account().root;
    let assigned = known.parameter("AssignmentStatus") != Some("Unassigned");
    if assigned && root_user.mfa.contains(&RootMfa::Virtual) {
        let account = &known.caller.account;
        let mut user = vec![
            Element::with_text("UserId", account),
            Element::with_text("Arn", format!("arn:aws:iam::{account}:root")),
            Element::with_text("CreateDate", "2020-01-01T00:00:00Z"),
        ];
        user.extend(root_user.password_last_used.map(|at| Element::with_text("PasswordLastUsed", at)));
        let device = vec![
            Element::with_text("SerialNumber", format!("arn:aws:iam::{account}:mfa/root-account-mfa-device")),
            Element::with_children("User", user),
            Element::with_text("EnableDate", "2020-01-01T00:00:00Z"),
        ];
        devices.children.insert(0, Element::with_children("member", device));
    }
    Ok(answer.with_xml(&root))
}

/// Service-specific credentials: "`ListServiceSpecificCredentials`" in the IAM API reference; moto lacks them.
pub(super) fn service_specific_credentials(known: Known<'_>) -> Option<Answer> {
    let user = known.parameter("UserName")?;
    let has_one = known.account().users.get(user).is_some_and(|user| user.service_specific_credential);
    let one = Element::with_children(
        "member",
        vec![
            Element::with_text("UserName", user),
            Element::with_text("Status", "Active"),
            Element::with_text("ServiceUserName", format!("{user}-at-{}", known.caller.account)),
            Element::with_text("CreateDate", "2020-01-01T00:00:00Z"),
            Element::with_text("ServiceSpecificCredentialId", "ACCAEXAMPLE123EXAMPLE"),
            Element::with_text("ServiceName", "codecommit.amazonaws.com"),
        ],
    );
    let all = Element::with_children("ServiceSpecificCredentials", if has_one { vec![one] } else { Vec::new() });
    Some(result("ListServiceSpecificCredentials", vec![all]))
}

/// Which actions a user's policies allow: "`SimulatePrincipalPolicy`" in the IAM API reference; moto lacks it. Here a
/// user is allowed everything but what was declared, and denied by nothing else.
pub(super) fn simulate_principal_policy(known: Known<'_>) -> Option<Answer> {
    let user = known.parameter("PolicySourceArn")?.rsplit('/').next().unwrap_or_default();
    let not_allowed = known.account().users.get(user).map(|user| user.not_allowed.clone()).unwrap_or_default();
    let parameters = known.request.parameters.0.iter();
    let actions = parameters.filter(|(name, _)| name.starts_with("ActionNames.member."));
    let results = actions.map(|(_, action)| {
        let decision = if not_allowed.contains(action) { "implicitDeny" } else { "allowed" };
        Element::with_children(
            "member",
            vec![
                Element::with_text("EvalActionName", action),
                Element::with_text("EvalResourceName", "*"),
                Element::with_text("EvalDecision", decision),
            ],
        )
    });
    let results = Element::with_children("EvaluationResults", results.collect());
    Some(result("SimulatePrincipalPolicy", vec![results, Element::with_text("IsTruncated", false)]))
}

fn result(operation: &str, fields: Vec<Element>) -> Answer {
    let inner = Element::with_children(&format!("{operation}Result"), fields);
    let mut root = Element::with_children(&format!("{operation}Response"), vec![inner]);
    root.attributes = vec![("xmlns".to_owned(), "https://iam.amazonaws.com/doc/2010-05-08/".to_owned())];
    Answer::new(200, "text/xml", root.to_document())
}

/// Whether a password must be changed first: "`LoginProfile`" in the IAM API reference; moto forgets it.
pub(super) fn add_reset_required(known: Known<'_>, answer: &Answer) -> anyhow::Result<Answer> {
    let users = known.account().users;
    let mut root = answer.parse()?;
    if let Some(profile) = root.find_mut("LoginProfile")
        && let Some(user) = profile.child_text("UserName").and_then(|name| users.get(name))
        && user.password_reset_required
    {
        profile.set_child("PasswordResetRequired", "true");
    }
    Ok(answer.with_xml(&root))
}

/// Declared dates of creation and last use: "`User`" in the IAM API reference; moto knows only now and never.
pub(super) fn add_dates(known: Known<'_>, answer: &Answer) -> anyhow::Result<Answer> {
    let users = known.account().users;
    let mut root = answer.parse()?;
    root.visit_mut(&mut |element| {
        let Some(user) = element.child_text("UserName").and_then(|name| users.get(name)) else { return };
        if element.child("CreateDate").is_some()
            && let Some(created) = user.created
        {
            element.set_child("CreateDate", format!("{created:.0}"));
        }
        if element.child("UserId").is_some()
            && let Some(used) = user.password_last_used
        {
            element.set_child("PasswordLastUsed", format!("{used:.0}"));
        }
    });
    Ok(answer.with_xml(&root))
}

#[cfg(test)]
mod tests {
    use super::super::super::account::{Account, Root, UserState};
    use super::super::tests::{iam, said, with_call};
    use super::super::{after, before};

    #[test]
    fn pw_16_values_outside_of_awss_ranges_are_refused() {
        let table = [
            ("MinimumPasswordLength=5", Some("greater than or equal to 6")),
            ("MinimumPasswordLength=129", Some("less than or equal to 128")),
            ("PasswordReusePrevention=0", Some("'passwordReusePrevention'")),
            ("MaxPasswordAge=1096", Some("'maxPasswordAge'")),
            ("MinimumPasswordLength=6&PasswordReusePrevention=24&MaxPasswordAge=1095", None),
            ("MinimumPasswordLength=5&MaxPasswordAge=0", Some("2 validation errors")),
        ];
        for (body, expected) in table {
            let call = iam(&format!("Action=UpdateAccountPasswordPolicy&{body}"));
            let refusal = with_call(Account::unknown(), &call, before);
            let message = refusal.map(|answer| answer.parse().unwrap().find("Message").unwrap().text.clone());
            match expected {
                None => assert_eq!(message, None, "{body}"),
                Some(part) => assert!(message.unwrap().contains(part), "{body}"),
            }
        }
    }

    #[test]
    fn an_age_that_was_never_set_is_left_out() {
        let xml = |age: u32| format!("<R><PasswordPolicy><MaxPasswordAge>{age}</MaxPasswordAge></PasswordPolicy></R>");
        let call = iam("Action=GetAccountPasswordPolicy");
        let age = |days| {
            let answer = with_call(Account::unknown(), &call, |known| after(known, said(200, &xml(days))).unwrap());
            answer.parse().unwrap().find("MaxPasswordAge").map(|age| age.text.clone())
        };
        assert_eq!(age(0), None);
        assert_eq!(age(90), Some("90".to_owned()));
    }

    #[test]
    fn mfa_01_the_summary_says_what_root_has() {
        let xml = "<R><SummaryMap><entry><key>AccountMFAEnabled</key><value>0</value></entry></SummaryMap></R>";
        let root = Root { mfa: vec![super::RootMfa::Hardware], password: false, access_keys: 2, ..Root::default() };
        let account = Account { root, ..Account::unknown() };
        let answer =
            with_call(account, &iam("Action=GetAccountSummary"), |known| after(known, said(200, xml)).unwrap());
        let root = answer.parse().unwrap();
        let entries: Vec<_> = root.children[0]
            .children
            .iter()
            .map(|entry| (entry.child_text("key").unwrap(), entry.child_text("value").unwrap()))
            .collect();
        assert_eq!(
            entries,
            [
                ("AccountMFAEnabled", "1"),
                ("AccountPasswordPresent", "0"),
                ("AccountAccessKeysPresent", "1"),
                ("AccountSigningCertificatesPresent", "0")
            ]
        );
    }

    #[test]
    fn mfa_05_a_virtual_device_of_root_is_listed() {
        let xml = "<R><ListVirtualMFADevicesResult><VirtualMFADevices/></ListVirtualMFADevicesResult></R>";
        let devices = |mfa: Vec<super::RootMfa>, body: &str| {
            let account = Account { root: Root { mfa, ..Root::default() }, ..Account::unknown() };
            let answer = with_call(account, &iam(body), |known| after(known, said(200, xml)).unwrap());
            answer.parse().unwrap().find("VirtualMFADevices").unwrap().children.len()
        };
        let both = || vec![super::RootMfa::Hardware, super::RootMfa::Virtual];
        assert_eq!(devices(both(), "Action=ListVirtualMFADevices&AssignmentStatus=Assigned"), 1);
        assert_eq!(devices(both(), "Action=ListVirtualMFADevices&AssignmentStatus=Unassigned"), 0);
        assert_eq!(devices(vec![super::RootMfa::Hardware], "Action=ListVirtualMFADevices"), 0);
    }

    #[test]
    fn declared_dates_stand_in_the_list_of_users() {
        let xml = "<R><Users><member><UserName>a</UserName><UserId>1</UserId>\
                   <CreateDate>2026-11-21T00:00:00Z</CreateDate></member></Users></R>";
        let created = "2026-01-01T00:00:00Z".parse().unwrap();
        let user = UserState { created: Some(created), password_last_used: Some(created), ..UserState::default() };
        let account = Account { users: [("a".to_owned(), user)].into(), ..Account::unknown() };
        let answer = with_call(account, &iam("Action=ListUsers"), |known| after(known, said(200, xml)).unwrap());
        let root = answer.parse().unwrap();
        assert_eq!(root.find("CreateDate").unwrap().text, "2026-01-01T00:00:00Z");
        assert_eq!(root.find("PasswordLastUsed").unwrap().text, "2026-01-01T00:00:00Z");
    }
}
