use std::time::Duration;

use super::*;
use crate::api::{
    BucketEncryption, BucketEncryptionChange, BucketPolicyChange, PasswordPolicy, PasswordPolicyChange,
    ReferencedGroup, SecurityGroupRuleChange, SecurityGroupRuleValue, Tag, UserPolicyChange,
};
use crate::aws::session::tests::{caller, role};
use crate::aws::testing::{
    ACCOUNT, Answer, Request, Server, complete, ec2, ec2_error, fast, iam, ok, query_error, s3_error, serve, target,
    unknown,
};
use crate::aws::user::tests::{DENY, plain};
use crate::baseline::change::Position;

const HOSTS: &str = "PlumblineEnforce";

fn password_policy() -> PasswordPolicy {
    PasswordPolicy {
        minimum_password_length: 14,
        require_symbols: true,
        require_numbers: true,
        require_uppercase_characters: true,
        require_lowercase_characters: false,
        allow_users_to_change_password: true,
        max_password_age: None,
        password_reuse_prevention: Some(24),
        hard_expiry: false,
    }
}

pub(in crate::aws) fn rule(is_egress: bool) -> SecurityGroupRuleValue {
    SecurityGroupRuleValue {
        rule_id: Some("sgr-1".to_owned()),
        is_egress,
        ip_protocol: "tcp".to_owned(),
        from_port: Some(22),
        to_port: Some(22),
        cidr_ipv4: Some("0.0.0.0/0".to_owned()),
        description: Some("for now".to_owned()),
        tags: vec![tag("owner", "ops"), tag("aws:cloudformation:stack-name", "web")],
        ..SecurityGroupRuleValue::default()
    }
}

fn tag(key: &str, value: &str) -> Tag {
    Tag { key: key.to_owned(), value: value.to_owned() }
}

fn of_rule(before: Option<SecurityGroupRuleValue>, after: Option<SecurityGroupRuleValue>) -> Action {
    Action::SecurityGroupRule(Box::new(SecurityGroupRuleChange {
        region: "eu-west-1".to_owned(),
        group_id: "sg-1".to_owned(),
        group_name: None,
        vpc_id: None,
        attached_interfaces: Vec::new(),
        before,
        after,
        requires: Vec::new(),
    }))
}

fn encryption(algorithm: &str, kms_key_id: Option<&str>, blocked: &[&str]) -> BucketEncryption {
    BucketEncryption {
        algorithm: algorithm.to_owned(),
        kms_key_id: kms_key_id.map(str::to_owned),
        bucket_key_enabled: kms_key_id.is_some(),
        blocked_encryption_types: blocked.iter().map(|kind| (*kind).to_owned()).collect(),
    }
}

/// One action for each operation that changes an account.
pub(in crate::aws) fn actions() -> Vec<Action> {
    let attach = UserPolicyChange {
        user_name: "ada".to_owned(),
        policy_arn: DENY.to_owned(),
        policy_version: "v3".to_owned(),
        policy_hash: "0".repeat(64),
        before: false,
        after: true,
    };
    let encrypt = BucketEncryptionChange {
        bucket: "logs".to_owned(),
        region: "eu-west-1".to_owned(),
        before: None,
        after: Some(encryption("aws:kms", Some("arn:aws:kms:eu-west-1:222222222222:key/1"), &["SSE-C"])),
    };
    let policy = BucketPolicyChange {
        bucket: "logs".to_owned(),
        region: "eu-west-1".to_owned(),
        before: None,
        after: Some(r#"{"Statement":[]}"#.to_owned()),
    };
    let one_way = [
        Action::PasswordPolicy(PasswordPolicyChange { before: None, after: Some(password_policy()) }),
        Action::UserPolicy(attach),
        of_rule(Some(rule(false)), None),
        of_rule(Some(rule(true)), None),
        Action::BucketEncryption(encrypt),
        Action::BucketPolicy(policy),
    ];
    one_way.iter().flat_map(|action| [action.clone(), action.inverse()]).collect()
}

/// The action of an operation.
pub(in crate::aws) fn action(operation: WriteOperation) -> Action {
    actions().into_iter().find(|action| action.operation() == operation).unwrap()
}

/// Whether a request is a change, however the service spells it.
pub(in crate::aws) fn is_change(request: &Request) -> bool {
    let operation = request.operation.as_str();
    let query = ["Update", "Delete", "Attach", "Detach", "Revoke", "Authorize"];
    operation.starts_with("PUT ")
        || operation.starts_with("DELETE ")
        || query.iter().any(|verb| operation.starts_with(verb))
}

/// What AWS answers to a change that it makes.
pub(in crate::aws) fn made(request: &Request) -> Answer {
    let operation = request.operation.as_str();
    if operation.starts_with("PUT ") || operation.starts_with("DELETE ") {
        return Answer::Http(200, String::new());
    }
    if operation.ends_with("gress") {
        return ec2(operation, "<return>true</return>");
    }
    ok(format!(
        "<{operation}Response><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{operation}Response>"
    ))
}

/// An account that lets itself be changed, but for what the test says of a request.
pub(in crate::aws) async fn willing(other: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Server {
    serve(fast(), move |request, _| {
        if let Some(answer) = other(request) {
            return answer;
        }
        match request.operation.as_str() {
            "GetCallerIdentity" => caller(),
            "AssumeRole" => role(900),
            _ if is_change(request) => made(request),
            _ => plain(request),
        }
    })
    .await
}

pub(in crate::aws) async fn writer(server: &Server, action: &Action) -> Arc<dyn CloudWriter> {
    server.aws.writer(&target(Some(HOSTS)), action).await.unwrap()
}

/// The one change that the server was asked for.
fn change(server: &Server) -> Request {
    let changes: Vec<Request> = server.requests().into_iter().filter(is_change).collect();
    assert_eq!(changes.len(), 1, "{changes:?}");
    changes.into_iter().next().unwrap()
}

#[tokio::test]
async fn each_change_has_a_session_of_its_own_that_may_do_it_alone() {
    let server = willing(|_| None).await;
    for action in actions() {
        let _ = server.aws.writer(&target(Some(HOSTS)), &action).await.unwrap();
    }
    let sessions: Vec<Request> =
        server.requests().into_iter().filter(|request| request.operation == "AssumeRole").collect();
    assert_eq!(sessions.len(), actions().len(), "one each, none of them shared");
    for (session, action) in sessions.iter().zip(actions()) {
        assert_eq!(session.param("RoleArn"), format!("arn:aws-us-gov:iam::{ACCOUNT}:role/{HOSTS}"));
        assert_eq!(session.param("DurationSeconds"), "900");
        assert_eq!(session.param("RoleSessionName"), "plumbline-payments");
        assert_eq!(session.param("ExternalId"), "0f6c9a");
        assert_eq!(session.param("Policy"), scope::session_policy(&action, "aws-us-gov", ACCOUNT));
    }
}

#[tokio::test]
async fn a_session_that_reads_is_not_used_for_a_change() {
    let server = willing(|_| None).await;
    let account = server.account_by(Some(HOSTS), Duration::from_mins(1));
    complete(account.managed_policy(DENY).await);
    let action = action(WriteOperation::AttachUserPolicy);
    assert_eq!(writer(&server, &action).await.apply(&action).await, Applied::Done);
    assert_eq!(server.operations().iter().filter(|operation| *operation == "AssumeRole").count(), 2);
}

#[tokio::test]
async fn with_the_callers_own_credentials_no_role_is_assumed() {
    let server = willing(|_| None).await;
    let action = action(WriteOperation::DetachUserPolicy);
    let writer = server.aws.writer(&target(None), &action).await.unwrap();
    assert_eq!(writer.identity().await.unwrap().account_id, "111111111111");
    assert_eq!(writer.apply(&action).await, Applied::Done);
    assert!(!server.operations().contains(&"AssumeRole".to_owned()));
    assert_eq!(change(&server).operation, "DetachUserPolicy");
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_said_before_anything_is_asked_of_the_account() {
    let server = willing(|request| {
        (request.operation == "AssumeRole").then(|| query_error(403, "AccessDenied", "User is not authorized"))
    })
    .await;
    for action in actions() {
        let cause = server.aws.writer(&target(Some(HOSTS)), &action).await.err().unwrap();
        assert_eq!(cause.class, CauseClass::Credentials);
        assert!(cause.message.contains("PlumblineEnforce cannot be assumed"), "{cause}");
    }
    assert!(server.operations().iter().all(|operation| operation.contains("Caller") || operation == "AssumeRole"));
}

#[tokio::test]
async fn the_identity_is_the_one_of_the_changes_own_session() {
    let server = willing(|_| None).await;
    let writer = writer(&server, &action(WriteOperation::PutBucketPolicy)).await;
    assert!(writer.identity().await.is_ok());
    let last = server.requests().pop().unwrap();
    assert_eq!(last.operation, "GetCallerIdentity");
    assert_eq!(last.headers["x-amz-security-token"], "token-of-the-session");
}

#[tokio::test]
async fn every_change_is_made_by_one_call_and_answered_with_done() {
    for action in actions() {
        let server = willing(|_| None).await;
        assert_eq!(writer(&server, &action).await.apply(&action).await, Applied::Done, "{action:?}");
        let sent = change(&server);
        assert_eq!(sent.headers["x-amz-security-token"], "token-of-the-session");
        let name = action.operation().name().split_once(':').unwrap().1;
        let is_s3 = sent.operation.contains(' ');
        assert!(is_s3 || sent.operation == name, "{} for {name}", sent.operation);
        assert!(!is_s3 || sent.headers["x-amz-expected-bucket-owner"] == ACCOUNT);
    }
}

#[tokio::test]
async fn pw_03_a_password_policy_is_written_whole() {
    let server = willing(|_| None).await;
    let action = action(WriteOperation::UpdateAccountPasswordPolicy);
    writer(&server, &action).await.apply(&action).await;
    let sent = change(&server);
    let fields = [
        ("MinimumPasswordLength", "14"),
        ("RequireSymbols", "true"),
        ("RequireNumbers", "true"),
        ("RequireUppercaseCharacters", "true"),
        ("RequireLowercaseCharacters", "false"),
        ("AllowUsersToChangePassword", "true"),
        ("PasswordReusePrevention", "24"),
        ("HardExpiry", "false"),
        ("MaxPasswordAge", ""),
    ];
    for (name, value) in fields {
        assert_eq!(sent.param(name), value, "{name}");
    }
}

#[tokio::test]
async fn a_rule_is_revoked_by_its_id_and_its_group() {
    for operation in [WriteOperation::RevokeSecurityGroupIngress, WriteOperation::RevokeSecurityGroupEgress] {
        let server = willing(|_| None).await;
        let action = action(operation);
        writer(&server, &action).await.apply(&action).await;
        let sent = change(&server);
        assert_eq!((sent.param("GroupId"), sent.param("SecurityGroupRuleId.1")), ("sg-1", "sgr-1"));
        assert_eq!((sent.param("DryRun"), sent.region()), ("false", "eu-west-1"));
        assert!(!sent.form.keys().any(|name| name.starts_with("IpPermissions")), "{sent:?}");
    }
}

#[tokio::test]
async fn a_rule_comes_back_with_its_description_and_the_tags_that_are_not_awss_own() {
    let server = willing(|_| None).await;
    let action = action(WriteOperation::AuthorizeSecurityGroupIngress);
    writer(&server, &action).await.apply(&action).await;
    let sent = change(&server);
    let fields = [
        ("GroupId", "sg-1"),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "22"),
        ("IpPermissions.1.ToPort", "22"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
        ("IpPermissions.1.IpRanges.1.Description", "for%20now"),
        ("TagSpecification.1.ResourceType", "security-group-rule"),
        ("TagSpecification.1.Tag.1.Key", "owner"),
        ("TagSpecification.1.Tag.2.Key", ""),
    ];
    for (name, value) in fields {
        let value = value.replace("%20", " ");
        assert_eq!(sent.param(name), value, "{name}: {sent:?}");
    }
}

#[tokio::test]
async fn each_kind_of_other_side_has_its_place_in_an_authorize() {
    let bare = SecurityGroupRuleValue { cidr_ipv4: None, tags: Vec::new(), ..rule(false) };
    let group = ReferencedGroup {
        group_id: "sg-9".to_owned(),
        user_id: Some("111111111111".to_owned()),
        vpc_peering_connection_id: Some("pcx-1".to_owned()),
    };
    let rows = [
        (
            SecurityGroupRuleValue { cidr_ipv6: Some("::/0".to_owned()), ..bare.clone() },
            vec![("Ipv6Ranges.1.CidrIpv6", "::/0"), ("Ipv6Ranges.1.Description", "for now")],
        ),
        (
            SecurityGroupRuleValue { prefix_list_id: Some("pl-1".to_owned()), ..bare.clone() },
            vec![("PrefixListIds.1.PrefixListId", "pl-1"), ("PrefixListIds.1.Description", "for now")],
        ),
        (
            SecurityGroupRuleValue { referenced_group: Some(group), ..bare },
            vec![
                ("Groups.1.GroupId", "sg-9"),
                ("Groups.1.UserId", "111111111111"),
                ("Groups.1.VpcPeeringConnectionId", "pcx-1"),
                ("Groups.1.Description", "for now"),
            ],
        ),
    ];
    for (value, fields) in rows {
        let server = willing(|_| None).await;
        let action = of_rule(None, Some(value));
        assert_eq!(writer(&server, &action).await.apply(&action).await, Applied::Done);
        let sent = change(&server);
        for (name, value) in fields {
            assert_eq!(sent.param(&format!("IpPermissions.1.{name}")), value, "{name}: {sent:?}");
        }
        assert!(!sent.form.keys().any(|name| name.starts_with("TagSpecification")), "{sent:?}");
    }
}

#[tokio::test]
async fn s3_an_encryption_is_written_with_every_part_also_that_nothing_is_blocked() {
    let rows = [
        (
            encryption("aws:kms", Some("arn:aws:kms:eu-west-1:222222222222:key/1"), &["SSE-C"]),
            vec![
                "<SSEAlgorithm>aws:kms</SSEAlgorithm>",
                "<KMSMasterKeyID>arn:aws:kms:eu-west-1:222222222222:key/1</KMSMasterKeyID>",
                "<BucketKeyEnabled>true</BucketKeyEnabled>",
                "<EncryptionType>SSE-C</EncryptionType>",
            ],
        ),
        (
            encryption("AES256", None, &[]),
            vec![
                "<SSEAlgorithm>AES256</SSEAlgorithm>",
                "<BucketKeyEnabled>false</BucketKeyEnabled>",
                "<EncryptionType>NONE</EncryptionType>",
            ],
        ),
    ];
    for (after, parts) in rows {
        let server = willing(|_| None).await;
        let action = Action::BucketEncryption(BucketEncryptionChange {
            bucket: "logs".to_owned(),
            region: "eu-west-2".to_owned(),
            before: None,
            after: Some(after),
        });
        assert_eq!(writer(&server, &action).await.apply(&action).await, Applied::Done);
        let sent = change(&server);
        for part in parts {
            assert!(sent.body.contains(part), "{part}: {}", sent.body);
        }
        assert_eq!(sent.body.matches("<Rule>").count(), 1);
        assert_eq!((sent.region(), sent.operation.as_str()), ("eu-west-2", "PUT /logs/?encryption"));
    }
}

#[tokio::test]
async fn a_dry_run_asks_and_changes_nothing() {
    let ec2_operations = actions().into_iter().filter(|action| action.operation().has_dry_run());
    for action in ec2_operations {
        let server = willing(|request| {
            let allowed = ec2_error(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
            (request.param("DryRun") == "true").then_some(allowed)
        })
        .await;
        let writer = writer(&server, &action).await;
        assert_eq!(writer.dry_run(&action).await, DryRun::Allowed);
        assert_eq!(change(&server).param("DryRun"), "true");
    }
    for action in actions().into_iter().filter(|action| !action.operation().has_dry_run()) {
        let server = willing(|_| None).await;
        let DryRun::NotKnown(cause) = writer(&server, &action).await.dry_run(&action).await else { panic!() };
        assert_eq!(cause.class, CauseClass::NotAvailable);
        assert!(!server.requests().iter().any(is_change));
    }
}

#[tokio::test]
async fn a_dry_run_that_is_refused_names_what_is_missing_and_one_without_an_answer_says_nothing() {
    let dry = async |answer: Answer| {
        let server = willing(move |request| is_change(request).then(|| answer.clone())).await;
        let action = action(WriteOperation::RevokeSecurityGroupIngress);
        writer(&server, &action).await.dry_run(&action).await
    };
    let words = "You are not authorized to perform this operation. User: x is not authorized to perform: \
                 ec2:RevokeSecurityGroupIngress on resource: y";
    let DryRun::Refused(cause) = dry(ec2_error(403, "UnauthorizedOperation", words)).await else { panic!() };
    assert_eq!(cause.missing_action.as_deref(), Some("ec2:RevokeSecurityGroupIngress"));
    // What is gone already need not be revoked.
    assert_eq!(dry(ec2_error(400, "InvalidSecurityGroupRuleId.NotFound", "no")).await, DryRun::Allowed);
    for answer in [ec2_error(503, "RequestLimitExceeded", "Slow"), ec2_error(500, "InternalError", "x"), Answer::Reset]
    {
        assert!(matches!(dry(answer).await, DryRun::NotKnown(_)));
    }
}

async fn applied(operation: WriteOperation, answer: Answer) -> Applied {
    let server = willing(move |request| is_change(request).then(|| answer.clone())).await;
    let action = action(operation);
    let applied = writer(&server, &action).await.apply(&action).await;
    change(&server);
    applied
}

#[tokio::test]
async fn sg_30_a_rule_that_is_gone_when_it_is_revoked_is_success() {
    for operation in [WriteOperation::RevokeSecurityGroupIngress, WriteOperation::RevokeSecurityGroupEgress] {
        for code in ["InvalidSecurityGroupRuleId.NotFound", "InvalidGroup.NotFound", "InvalidPermission.NotFound"] {
            assert_eq!(applied(operation, ec2_error(400, code, "gone")).await, Applied::Done, "{code}");
        }
    }
}

#[tokio::test]
async fn sg_39_a_rule_that_exists_already_when_it_is_added_is_success() {
    let duplicate = || ec2_error(400, "InvalidPermission.Duplicate", "the specified rule already exists");
    for operation in [WriteOperation::AuthorizeSecurityGroupIngress, WriteOperation::AuthorizeSecurityGroupEgress] {
        assert_eq!(applied(operation, duplicate()).await, Applied::Done);
    }
    let revoked = applied(WriteOperation::RevokeSecurityGroupIngress, duplicate()).await;
    assert!(matches!(revoked, Applied::Refused(_)), "{revoked:?}");
}

#[tokio::test]
async fn sg_34_a_group_that_is_full_refuses_a_rule() {
    let full = ec2_error(400, "RulesPerSecurityGroupLimitExceeded", "The maximum number of rules has been reached.");
    let Applied::Refused(cause) = applied(WriteOperation::AuthorizeSecurityGroupIngress, full).await else { panic!() };
    assert_eq!(cause.class, CauseClass::Refused);
    assert!(cause.message.contains("maximum number of rules"), "{cause}");
}

#[tokio::test]
async fn pw_15_an_organizations_policy_is_no_missing_permission() {
    for operation in actions().iter().map(Action::operation) {
        let action = operation.action();
        let words = format!(
            "User: x is not authorized to perform: {action} on resource: y with an explicit deny in a service control \
             policy"
        );
        let answer = match action.split_once(':').unwrap().0 {
            "ec2" => ec2_error(403, "UnauthorizedOperation", &words),
            "s3" => s3_error(403, "AccessDenied", &words),
            _ => query_error(403, "AccessDenied", &words),
        };
        let Applied::Refused(cause) = applied(operation, answer).await else { panic!("{action}") };
        assert_eq!((cause.class, cause.missing_action), (CauseClass::DeniedByOrganization, None), "{action}");
    }
}

#[tokio::test]
async fn s3_42_a_public_policy_that_is_blocked_is_no_missing_permission() {
    let bare = "Access Denied";
    let blocked = "User: x is not authorized to perform: s3:PutBucketPolicy on resource: \"arn:aws:s3:::logs\" because \
                   public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access";
    for words in [bare, blocked] {
        let answer = s3_error(403, "AccessDenied", words);
        let Applied::Refused(cause) = applied(WriteOperation::PutBucketPolicy, answer).await else { panic!() };
        assert_eq!((cause.class, cause.missing_action.as_deref()), (CauseClass::Refused, None), "{words}");
        assert!(cause.message.contains("BlockPublicPolicy"), "{cause}");
    }
    let missing = "User: x is not authorized to perform: s3:PutBucketPolicy on resource: \"arn:aws:s3:::logs\" because \
                   no identity-based policy allows the s3:PutBucketPolicy action";
    let answer = s3_error(403, "AccessDenied", missing);
    let Applied::Refused(cause) = applied(WriteOperation::PutBucketPolicy, answer).await else { panic!() };
    assert_eq!(cause.missing_action.as_deref(), Some("s3:PutBucketPolicy"));
}

#[tokio::test]
async fn what_an_undo_takes_away_may_be_gone_already() {
    let gone = |words: &str| query_error(404, "NoSuchEntity", words);
    let no_policy = gone("The account policy with name PasswordPolicy cannot be found.");
    assert_eq!(applied(WriteOperation::DeleteAccountPasswordPolicy, no_policy).await, Applied::Done);
    let not_attached = gone("Policy arn:aws:iam::222222222222:policy/RequireMfa was not found.");
    assert_eq!(applied(WriteOperation::DetachUserPolicy, not_attached).await, Applied::Done);
    let no_user = || gone("The user with name ada cannot be found.");
    for operation in [WriteOperation::DetachUserPolicy, WriteOperation::AttachUserPolicy] {
        let Applied::Refused(cause) = applied(operation, no_user()).await else { panic!() };
        assert_eq!(cause.class, CauseClass::NotFound);
    }
}

#[tokio::test]
async fn a_rule_without_a_known_id_is_looked_up_and_revoked_by_it() {
    let item = "<item><securityGroupRuleId>sgr-7</securityGroupRuleId><groupId>sg-1</groupId>\
                <isEgress>false</isEgress><ipProtocol>tcp</ipProtocol><fromPort>22</fromPort><toPort>22</toPort>\
                <cidrIpv4>0.0.0.0/0</cidrIpv4></item>";
    let action = of_rule(Some(SecurityGroupRuleValue { rule_id: None, ..rule(false) }), None);
    for (items, expected) in [(item, Some("sgr-7")), ("", None)] {
        let server = willing(move |request| {
            let rules =
                ec2("DescribeSecurityGroupRules", &format!("<securityGroupRuleSet>{items}</securityGroupRuleSet>"));
            (request.operation == "DescribeSecurityGroupRules").then_some(rules)
        })
        .await;
        assert_eq!(writer(&server, &action).await.apply(&action).await, Applied::Done);
        let revoked = server.requests().into_iter().find(is_change);
        assert_eq!(revoked.as_ref().map(|request| request.param("SecurityGroupRuleId.1")), expected);
    }
    let server = willing(|request| {
        let denied = ec2_error(403, "UnauthorizedOperation", "no");
        (request.operation == "DescribeSecurityGroupRules").then_some(denied)
    })
    .await;
    let applied = writer(&server, &action).await.apply(&action).await;
    assert!(matches!(applied, Applied::NotSent(_)), "{applied:?}");
    assert!(!server.requests().iter().any(is_change));
}

#[tokio::test]
async fn a_port_where_nobody_listens_was_sent_nothing() {
    let action = action(WriteOperation::AttachUserPolicy);
    let credentials = aws_credential_types::Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    // Port 1 of this machine.
    let nowhere = crate::aws::testing::aws("http://127.0.0.1:1", Some(credentials), fast());
    nowhere.caller.identity.get_or_try_init(async || Ok::<_, Cause>(identity())).await.unwrap();
    let writer = nowhere.writer(&target(None), &action).await.unwrap();
    let applied = writer.apply(&action).await;
    assert!(matches!(applied, Applied::NotSent(_)), "{applied:?}");
}

fn identity() -> AccountIdentity {
    AccountIdentity::from_caller("111111111111", "arn:aws:iam::111111111111:user/operator").unwrap()
}

#[tokio::test]
async fn the_state_of_a_user_is_read_directly_with_the_policy_in_force() {
    let server = willing(|request| {
        let attached = format!(
            "<IsTruncated>false</IsTruncated><AttachedPolicies><member><PolicyName>RequireMfa</PolicyName>\
             <PolicyArn>{DENY}</PolicyArn></member></AttachedPolicies>"
        );
        (request.operation == "ListAttachedUserPolicies").then(|| iam("ListAttachedUserPolicies", &attached))
    })
    .await;
    let action = action(WriteOperation::AttachUserPolicy);
    let state = complete(writer(&server, &action).await.state(&action).await);
    let ResourceState::User(user) = &state else { panic!("{state:?}") };
    assert!(user.attached && user.facts.has_login_profile);
    // printf '{"Statement":[]}' | sha256sum
    let hash = "701f12e2a45641932e7716b160cc43c240755a8790dc94ac5af17eb9dc4d261f";
    assert_eq!(user.policy, Some(("v3".to_owned(), hash.to_owned())));
    assert_eq!(action.position(&state), Position::After);
}

#[tokio::test]
async fn what_is_gone_is_said_to_be_gone() {
    let server = willing(|request| match request.operation.as_str() {
        "ListMFADevices" => Some(query_error(404, "NoSuchEntity", "The user with name ada cannot be found.")),
        "DescribeSecurityGroupRules" => Some(ec2("DescribeSecurityGroupRules", "<securityGroupRuleSet/>")),
        "DescribeSecurityGroups" => Some(ec2("DescribeSecurityGroups", "<securityGroupInfo/>")),
        operation if operation.starts_with("GET ") => {
            Some(s3_error(404, "NoSuchBucket", "The specified bucket does not exist"))
        }
        _ => None,
    })
    .await;
    for operation in [
        WriteOperation::AttachUserPolicy,
        WriteOperation::RevokeSecurityGroupIngress,
        WriteOperation::PutBucketEncryption,
        WriteOperation::PutBucketPolicy,
    ] {
        let action = action(operation);
        let state = complete(writer(&server, &action).await.state(&action).await);
        assert_eq!(state, ResourceState::Gone, "{operation:?}");
    }
}

#[tokio::test]
async fn an_empty_group_is_not_gone_and_no_configuration_is_an_answer() {
    let server = willing(|request| match request.operation.as_str() {
        "DescribeSecurityGroupRules" => Some(ec2("DescribeSecurityGroupRules", "<securityGroupRuleSet/>")),
        "DescribeSecurityGroups" => Some(ec2(
            "DescribeSecurityGroups",
            "<securityGroupInfo><item><ownerId>222222222222</ownerId><groupId>sg-1</groupId><groupName>web</groupName>\
             </item></securityGroupInfo>",
        )),
        "GetAccountPasswordPolicy" => Some(query_error(404, "NoSuchEntity", "cannot be found")),
        "GET /logs/?encryption" => Some(s3_error(404, "ServerSideEncryptionConfigurationNotFoundError", "none")),
        "GET /logs/?policy" => Some(s3_error(404, "NoSuchBucketPolicy", "none")),
        _ => None,
    })
    .await;
    let rows = [
        (WriteOperation::UpdateAccountPasswordPolicy, ResourceState::PasswordPolicy(None)),
        (WriteOperation::RevokeSecurityGroupIngress, ResourceState::SecurityGroup(Vec::new())),
        (WriteOperation::PutBucketEncryption, ResourceState::BucketEncryption(None)),
        (WriteOperation::PutBucketPolicy, ResourceState::BucketPolicy(None)),
    ];
    for (operation, expected) in rows {
        let action = action(operation);
        assert_eq!(complete(writer(&server, &action).await.state(&action).await), expected);
    }
}

#[tokio::test]
async fn a_state_that_cannot_be_read_is_unknown_with_the_missing_action() {
    let server = willing(|request| {
        let denied = query_error(403, "AccessDenied", "User: x is not authorized to perform: iam:GetPolicy on it");
        (request.operation == "GetPolicy").then_some(denied)
    })
    .await;
    let action = action(WriteOperation::AttachUserPolicy);
    let cause = unknown(writer(&server, &action).await.state(&action).await);
    assert_eq!(cause.missing_action.as_deref(), Some("iam:GetPolicy"));
}

#[tokio::test]
async fn changes_of_ec2_have_a_rate_of_their_own() {
    let settings = super::super::AwsSettings { ec2_changes: super::super::Rate::new(4, 1), ..fast() };
    let server = serve(settings, |request, _| match request.operation.as_str() {
        "GetCallerIdentity" => caller(),
        "AssumeRole" => role(900),
        _ => made(request),
    })
    .await;
    let started = std::time::Instant::now();
    let action = action(WriteOperation::RevokeSecurityGroupIngress);
    for _ in 0..3 {
        assert_eq!(writer(&server, &action).await.apply(&action).await, Applied::Done);
    }
    assert!(started.elapsed() >= Duration::from_millis(450), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_role_asks_for_its_external_id_or_does_not() {
    let refusing = willing(|request| {
        let denied = query_error(403, "AccessDenied", "User is not authorized to perform: sts:AssumeRole");
        (request.operation == "AssumeRole" && request.param("ExternalId").is_empty()).then_some(denied)
    })
    .await;
    assert_eq!(refusing.aws.assumable_without(&target(Some(HOSTS))).await, Ok(false));
    let asked = refusing.requests().pop().unwrap();
    assert_eq!((asked.operation.as_str(), asked.param("ExternalId")), ("AssumeRole", ""));
    assert!(asked.param("Policy").contains(r#""Effect":"Deny","Action":"*""#), "it could do nothing");

    let open = willing(|_| None).await;
    assert_eq!(open.aws.assumable_without(&target(Some(HOSTS))).await, Ok(true));
    assert_eq!(open.aws.assumable_without(&target(None)).await, Ok(false));

    let busy =
        willing(|request| (request.operation == "AssumeRole").then(|| query_error(400, "Throttling", "Rate exceeded")))
            .await;
    let cause = busy.aws.assumable_without(&target(Some(HOSTS))).await.unwrap_err();
    assert_eq!(cause.class, CauseClass::Throttled);
}
