#![expect(clippy::format_collect, reason = "answers of a server, written to be read")]

use std::collections::BTreeSet;

use super::*;
use crate::aws::testing::{Answer, complete, fast, iam, query_error, serve, unknown};
use crate::baseline::CauseClass;
use crate::engine::cloud::Cloud;

fn user(name: &str) -> String {
    format!(
        "<member><Path>/</Path><UserName>{name}</UserName><UserId>1</UserId>\
         <Arn>arn:aws:iam::222222222222:user/{name}</Arn><CreateDate>2026-01-02T03:04:05Z</CreateDate>{}</member>",
        if name == "c" { "<PasswordLastUsed>2026-02-03T04:05:06Z</PasswordLastUsed>" } else { "" }
    )
}

fn users(names: &[&str], marker: Option<&str>) -> Answer {
    let users: String = names.iter().map(|name| user(name)).collect();
    let more = marker.map_or("<IsTruncated>false</IsTruncated>".to_owned(), |marker| {
        format!("<IsTruncated>true</IsTruncated><Marker>{marker}</Marker>")
    });
    iam("ListUsers", &format!("{more}<Users>{users}</Users>"))
}

#[tokio::test]
async fn pages_are_of_the_largest_size_and_read_to_the_end() {
    let server = serve(fast(), |request, _| match request.param("Marker") {
        "" => users(&["a", "b"], Some("second")),
        "second" => users(&[], Some("third")),
        "third" => users(&["c"], None),
        other => panic!("{other}"),
    })
    .await;
    let found = complete(server.account().users().await);
    let names: Vec<&str> = found.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(found[0].created_at, "2026-01-02T03:04:05Z".parse().unwrap());
    let signed_in = found.iter().map(|user| user.password_last_used);
    assert_eq!(signed_in.collect::<Vec<_>>(), [None, None, Some("2026-02-03T04:05:06Z".parse().unwrap())]);
    assert!(server.requests().iter().all(|request| request.param("MaxItems") == "1000"));
}

#[tokio::test]
async fn a_failed_page_or_a_repeated_marker_leaves_the_list_unknown() {
    let server = serve(fast(), |request, _| match request.param("Marker") {
        "" => users(&["a"], Some("second")),
        _ => query_error(400, "Throttling", "Rate exceeded"),
    })
    .await;
    assert_eq!(unknown(server.account().users().await).class, CauseClass::Throttled);

    let server = serve(fast(), |request, _| match request.param("Marker") {
        "x" => users(&["b"], Some("y")),
        _ => users(&["a"], Some("x")),
    })
    .await;
    let cause = unknown(server.account().users().await);
    assert_eq!(cause.class, CauseClass::Malformed);
    assert!(cause.message.contains("page token came twice"), "{cause}");
    assert_eq!(server.operations().len(), 3);
}

#[tokio::test]
async fn pw_01_an_account_without_a_policy_of_its_own_has_none() {
    let server = serve(fast(), |_, _| {
        query_error(404, "NoSuchEntity", "The Password Policy with domain name 222222222222 cannot be found.")
    })
    .await;
    assert_eq!(complete(server.account().password_policy().await), None);
}

#[tokio::test]
async fn a_password_policy_is_read_as_it_is_and_0_is_none() {
    let answer = |age: &str| {
        iam(
            "GetAccountPasswordPolicy",
            &format!(
                "<PasswordPolicy><MinimumPasswordLength>14</MinimumPasswordLength><RequireSymbols>true</RequireSymbols>\
                 <RequireNumbers>false</RequireNumbers><RequireUppercaseCharacters>true</RequireUppercaseCharacters>\
                 <RequireLowercaseCharacters>false</RequireLowercaseCharacters>\
                 <AllowUsersToChangePassword>true</AllowUsersToChangePassword><ExpirePasswords>false</ExpirePasswords>\
                 {age}</PasswordPolicy>"
            ),
        )
    };
    let with = "<MaxPasswordAge>90</MaxPasswordAge><PasswordReusePrevention>24</PasswordReusePrevention>\
                <HardExpiry>true</HardExpiry>";
    let zero = "<MaxPasswordAge>0</MaxPasswordAge><PasswordReusePrevention>0</PasswordReusePrevention>";
    let mut read = Vec::new();
    for age in [with, zero, ""] {
        let answer = answer(age);
        let server = serve(fast(), move |_, _| answer.clone()).await;
        read.push(complete(server.account().password_policy().await).unwrap());
    }
    let expected = PasswordPolicy {
        minimum_password_length: 14,
        require_symbols: true,
        require_numbers: false,
        require_uppercase_characters: true,
        require_lowercase_characters: false,
        allow_users_to_change_password: true,
        max_password_age: Some(90),
        password_reuse_prevention: Some(24),
        hard_expiry: true,
    };
    assert_eq!(read[0], expected);
    let none =
        PasswordPolicy { max_password_age: None, password_reuse_prevention: None, hard_expiry: false, ..expected };
    assert_eq!(read[1], none);
    assert_eq!(read[2], none);
}

#[tokio::test]
async fn the_summary_needs_what_root_is_judged_by() {
    let entries = |names: &[&str]| {
        let map: String = names
            .iter()
            .map(|entry| entry.split_once('=').unwrap())
            .map(|(key, value)| format!("<entry><key>{key}</key><value>{value}</value></entry>"))
            .collect();
        iam("GetAccountSummary", &format!("<SummaryMap>{map}</SummaryMap>"))
    };
    let most = ["AccountMFAEnabled=1", "AccountAccessKeysPresent=2", "AccountSigningCertificatesPresent=0"];
    let answer = entries(&most);
    let server = serve(fast(), move |_, _| answer.clone()).await;
    let summary = complete(server.account().account_summary().await);
    assert_eq!(
        summary,
        AccountSummary {
            root_mfa_enabled: true,
            root_password_present: None,
            root_access_keys_present: true,
            root_signing_certificates_present: false,
            attached_policies_per_user_quota: None,
        }
    );
    for left_out in 0..most.len() {
        let mut some = most.to_vec();
        some.remove(left_out);
        some.push("AccountPasswordPresent=1");
        let answer = entries(&some);
        let server = serve(fast(), move |_, _| answer.clone()).await;
        assert_eq!(unknown(server.account().account_summary().await).class, CauseClass::Malformed);
    }
}

#[tokio::test]
async fn a_user_without_a_console_password_is_told_from_a_user_who_is_gone() {
    let server = serve(fast(), |request, _| match request.param("UserName") {
        "with" => iam(
            "GetLoginProfile",
            "<LoginProfile><UserName>with</UserName><CreateDate>2026-01-01T00:00:00Z</CreateDate></LoginProfile>",
        ),
        "without" => query_error(404, "NoSuchEntity", "Login Profile for User without cannot be found."),
        _ => query_error(404, "NoSuchEntity", "The user with name gone cannot be found."),
    })
    .await;
    let account = server.account();
    assert!(complete(account.has_login_profile("with").await));
    assert!(!complete(account.has_login_profile("without").await));
    assert_eq!(unknown(account.has_login_profile("gone").await).class, CauseClass::NotFound);
}

#[tokio::test]
async fn mfa_15_the_kind_of_a_device_is_in_its_serial() {
    let serials = [
        "arn:aws:iam::222222222222:mfa/phone",
        "arn:aws-us-gov:iam::222222222222:u2f/user/alice/key-ABC",
        "GAHT12345678",
        "arn:aws:iam::222222222222:sms-mfa/alice",
    ];
    let members: String = serials
        .iter()
        .map(|serial| {
            format!(
                "<member><UserName>a</UserName><SerialNumber>{serial}</SerialNumber>\
                 <EnableDate>2026-01-01T00:00:00Z</EnableDate></member>"
            )
        })
        .collect();
    let server = serve(fast(), move |_, _| {
        iam("ListMFADevices", &format!("<IsTruncated>false</IsTruncated><MFADevices>{members}</MFADevices>"))
    })
    .await;
    let devices = complete(server.account().mfa_devices("a").await);
    assert_eq!(devices, [MfaDevice::Virtual, MfaDevice::Fido, MfaDevice::HardwareTotp, MfaDevice::Sms]);
}

#[tokio::test]
async fn mfa_05_a_virtual_device_of_root_is_found_by_its_user_or_its_name() {
    let device = |serial: &str, arn: &str| {
        format!(
            "<member><SerialNumber>arn:aws:iam::222222222222:mfa/{serial}</SerialNumber><User><Path>/</Path>\
             <UserName>x</UserName><UserId>1</UserId><Arn>arn:aws:iam::222222222222:{arn}</Arn>\
             <CreateDate>2026-01-01T00:00:00Z</CreateDate></User></member>"
        )
    };
    for (members, of_root) in [
        (device("phone", "user/alice"), false),
        (device("phone", "user/alice") + &device("my-phone", "root"), true),
        (device("root-account-mfa-device", "user/odd"), true),
        (String::new(), false),
    ] {
        let server = serve(fast(), move |_, _| {
            let list = format!("<VirtualMFADevices>{members}</VirtualMFADevices>");
            iam("ListVirtualMFADevices", &format!("<IsTruncated>false</IsTruncated>{list}"))
        })
        .await;
        assert_eq!(complete(server.account().root_has_virtual_mfa().await), of_root);
        assert_eq!(server.requests()[0].param("AssignmentStatus"), "Assigned");
    }
}

#[tokio::test]
async fn the_first_alias_is_the_alias() {
    for (members, alias) in [("<member>payments</member>", Some("payments")), ("", None)] {
        let server = serve(fast(), move |_, _| {
            let list = format!("<AccountAliases>{members}</AccountAliases>");
            iam("ListAccountAliases", &format!("<IsTruncated>false</IsTruncated>{list}"))
        })
        .await;
        assert_eq!(complete(server.account().account_alias().await).as_deref(), alias);
    }
}

const EVERYTHING: &str =
    "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22%2A%22%2C%22Resource%22%3A%22%2A%22%7D%7D";

#[tokio::test]
async fn mfa_17_administrators_are_put_together_from_all_pages() {
    let member = |name: &str, inline: &str, attached: &str, groups: &str| {
        format!(
            "<member><UserName>{name}</UserName><UserPolicyList>{inline}</UserPolicyList>\
             <AttachedManagedPolicies>{attached}</AttachedManagedPolicies><GroupList>{groups}</GroupList></member>"
        )
    };
    let inline = format!("<member><PolicyName>p</PolicyName><PolicyDocument>{EVERYTHING}</PolicyDocument></member>");
    let own = "arn:aws:iam::222222222222:policy/all";
    let attached = format!("<member><PolicyName>all</PolicyName><PolicyArn>{own}</PolicyArn></member>");
    let first = member("inline", &inline, "", "")
        + &member("managed", "", &attached, "")
        + &member("grouped", "", "", "<member>admins</member>")
        + &member("reader", "", "", "");
    let group = "<member><GroupName>admins</GroupName><GroupPolicyList/><AttachedManagedPolicies><member>\
         <PolicyName>A</PolicyName><PolicyArn>arn:aws:iam::aws:policy/AdministratorAccess</PolicyArn></member>\
         </AttachedManagedPolicies></member>";
    let policy = format!(
        "<member><Arn>{own}</Arn><DefaultVersionId>v2</DefaultVersionId><PolicyVersionList><member>\
         <Document>%7B%7D</Document><VersionId>v1</VersionId><IsDefaultVersion>false</IsDefaultVersion></member>\
         <member><Document>{EVERYTHING}</Document><VersionId>v2</VersionId><IsDefaultVersion>true</IsDefaultVersion>\
         </member></PolicyVersionList></member>"
    );
    let pages = [
        format!("<IsTruncated>true</IsTruncated><Marker>2</Marker><UserDetailList>{first}</UserDetailList>"),
        format!(
            "<IsTruncated>false</IsTruncated><GroupDetailList>{group}</GroupDetailList><Policies>{policy}</Policies>"
        ),
    ];
    let server = serve(fast(), move |request, _| {
        iam("GetAccountAuthorizationDetails", &pages[usize::from(request.param("Marker") == "2")])
    })
    .await;
    let names = complete(server.account().administrators().await);
    assert_eq!(names, BTreeSet::from(["grouped", "inline", "managed"].map(str::to_owned)));
    let request = &server.requests()[0];
    assert!(request.form.values().any(|value| value == "AWSManagedPolicy"), "{:?}", request.form);
    assert!(!request.form.values().any(|value| value == "Role"));
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_leaves_the_administrators_unknown() {
    for document in ["%7B", "%FF"] {
        let policies =
            format!("<member><PolicyName>p</PolicyName><PolicyDocument>{document}</PolicyDocument></member>");
        let user = format!("<member><UserName>a</UserName><UserPolicyList>{policies}</UserPolicyList></member>");
        let server = serve(fast(), move |_, _| {
            iam("GetAccountAuthorizationDetails", &format!("<UserDetailList>{user}</UserDetailList>"))
        })
        .await;
        assert_eq!(unknown(server.account().administrators().await).class, CauseClass::Malformed);
    }
}
