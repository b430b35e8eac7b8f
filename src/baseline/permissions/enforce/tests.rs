use super::*;
use crate::baseline::change::WriteOperation;
use crate::baseline::permissions::{enforce_policy, every_grant, every_read};
use crate::baseline::plan::effective;

fn controls(yaml: &str) -> Controls {
    effective(Mode::Enforce, &serde_saphyr::from_str(yaml).unwrap())
}

fn statements(yaml: &str) -> Vec<&'static str> {
    grants(&[controls(yaml)], "aws").iter().map(|grant| grant.statement).collect()
}

#[test]
fn each_control_has_statements_of_its_own_for_what_it_may_change_and_verify() {
    let mfa = ["Mfa", "MfaUsers", "MfaPolicies"];
    let rows: &[(&str, &[&str])] = &[
        ("{passwordPolicy: {minimumPasswordLength: 14}}", &["PasswordPolicy"]),
        ("{passwordPolicy: {mode: Audit, minimumPasswordLength: 14}}", &[]),
        ("{mfa: {rootUser: {requireMfa: true}, denyPolicyName: RequireMfa}}", &[]),
        ("{mfa: {users: {}}}", &[]),
        ("{mfa: {users: {}, denyPolicyName: RequireMfa}}", &mfa),
        (
            "{mfa: {users: {breakGlassUsers: [emergency-1]}, denyPolicyName: RequireMfa}}",
            &["Mfa", "MfaBreakGlass", "MfaUsers", "MfaPolicies"],
        ),
        ("{securityGroups: {allowedIngress: []}}", &["SecurityGroups", "SecurityGroupsReads"]),
        (
            "{securityGroups: {allowedIngress: [], narrow: true}}",
            &["SecurityGroups", "SecurityGroupsNarrow", "SecurityGroupsNarrowTags", "SecurityGroupsReads"],
        ),
        ("{securityGroups: {requireEmptyDefaultGroup: true}}", &[]),
        (
            "{securityGroups: {requireEmptyDefaultGroup: true, enforceDefaultGroup: Unattached}}",
            &["SecurityGroups", "SecurityGroupsDefault", "SecurityGroupsReads"],
        ),
        ("{s3Encryption: {minimumAlgorithm: SseKms}}", &["S3Encryption"]),
        ("{s3Encryption: {requireTls: true}}", &["S3EncryptionTls"]),
        ("{}", &[]),
    ];
    for (yaml, expected) in rows {
        assert_eq!(statements(yaml), *expected, "{yaml}");
    }
}

#[test]
fn a_baseline_that_audits_may_change_nothing() {
    let everything = "{passwordPolicy: {mode: Enforce, minimumPasswordLength: 14}, s3Encryption: {requireTls: true}}";
    let audits = effective(Mode::Audit, &serde_saphyr::from_str(everything).unwrap());
    assert_eq!(grants(&[audits], "aws"), []);
    let raised =
        effective(Mode::Enforce, &serde_saphyr::from_str("{s3Encryption: {mode: Audit, requireTls: true}}").unwrap());
    assert_eq!(grants(&[raised], "aws"), []);
}

#[test]
fn of_several_baselines_it_is_what_any_may_change_and_the_break_glass_users_of_all() {
    let one = controls("{mfa: {users: {breakGlassUsers: [emergency-1]}, denyPolicyName: security/RequireMfa}}");
    let other = controls("{mfa: {users: {breakGlassUsers: [emergency-2]}, denyPolicyName: RequireMfa}}");
    let both = grants(&[one, other], "aws-us-gov");
    let account = "arn:aws-us-gov:iam::${aws:PrincipalAccount}:policy";
    let policies = json!([format!("{account}/RequireMfa"), format!("{account}/security/RequireMfa")]);
    assert_eq!(both[0].condition["ArnEquals"]["iam:PolicyARN"], policies);
    assert!(!both[1].allows);
    let users = ["emergency-1", "*/emergency-1", "emergency-2", "*/emergency-2"];
    assert_eq!(both[1].resources, users.map(|user| format!("arn:aws-us-gov:iam::*:user/{user}")));
}

#[test]
fn p12_the_role_may_make_every_change_of_a_plan_and_no_other() {
    let all = every_grant("aws");
    let allowed: BTreeSet<&str> = all.iter().filter(|grant| grant.allows).flat_map(|it| it.actions.clone()).collect();
    let is_read = |action: &&str| {
        let (_, verb) = action.split_once(':').unwrap();
        ["Get", "List", "Describe"].iter().any(|read| verb.starts_with(read))
    };
    let writes: BTreeSet<&str> = allowed.iter().copied().filter(|action| !is_read(action)).collect();
    // What undoes a change is for whoever undoes it; an egress rule is never added.
    let planned = [
        WriteOperation::UpdateAccountPasswordPolicy,
        WriteOperation::AttachUserPolicy,
        WriteOperation::RevokeSecurityGroupIngress,
        WriteOperation::RevokeSecurityGroupEgress,
        WriteOperation::AuthorizeSecurityGroupIngress,
        WriteOperation::PutBucketEncryption,
        WriteOperation::PutBucketPolicy,
    ];
    let expected = planned.iter().map(|operation| operation.action()).chain(["ec2:CreateTags"]);
    assert_eq!(writes, expected.collect());
    let reads: BTreeSet<&str> = every_read("aws").into_iter().map(|permission| permission.action).collect();
    assert!(allowed.iter().filter(|action| is_read(action)).all(|action| reads.contains(action)));
}

#[test]
fn p12_the_role_can_never_give_itself_other_rights() {
    let text = serde_json::to_string(&enforce_policy(&every_grant("aws"))).unwrap();
    for never in [
        "iam:Put",
        "iam:CreatePolicy",
        "iam:SetDefaultPolicyVersion",
        "iam:UpdateAssumeRolePolicy",
        "iam:PassRole",
        "iam:CreateAccessKey",
        "iam:AttachRolePolicy",
        "iam:DetachUserPolicy",
        "s3:DeleteBucketPolicy",
    ] {
        assert!(!text.contains(never), "{never} in {text}");
    }
    assert!(every_grant("aws").iter().flat_map(|grant| &grant.actions).all(|action| !action.contains('*')));
}

#[test]
fn every_change_is_scoped_as_far_as_aws_scopes_it() {
    for grant in every_grant("aws").into_iter().filter(|grant| grant.allows) {
        let wide = grant.resources.iter().any(|resource| resource == "*");
        let may = ["PasswordPolicy", "SecurityGroupsReads"].contains(&grant.statement);
        assert_eq!(wide, may, "{grant:?}");
        let conditions = ["Mfa", "SecurityGroupsNarrowTags", "S3Encryption", "S3EncryptionTls"];
        assert_eq!(!grant.condition.is_empty(), conditions.contains(&grant.statement), "{grant:?}");
    }
}

#[test]
fn the_policy_is_one_that_iam_takes_and_fits_a_managed_policy() {
    let policy = enforce_policy(&every_grant("aws-us-gov"));
    let text = serde_json::to_string(&policy).unwrap();
    assert!(text.len() < 6144, "{} characters", text.len());
    let sids: BTreeSet<_> = policy.statement.iter().map(|statement| statement.sid).collect();
    assert_eq!(sids.len(), policy.statement.len(), "a Sid stands once");
    assert!(sids.iter().all(|sid| sid.chars().all(|letter| letter.is_ascii_alphanumeric())), "{sids:?}");
    assert!(!text.contains("arn:aws:"), "{text}");
}
