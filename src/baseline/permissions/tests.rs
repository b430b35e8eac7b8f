use std::collections::BTreeSet;

use super::*;

fn controls(yaml: &str) -> Controls {
    serde_saphyr::from_str(yaml).unwrap()
}

fn actions(yaml: &str) -> Vec<&'static str> {
    needed(&controls(yaml), "aws").iter().map(|permission| permission.action).collect()
}

fn needed_for(yaml: &str, action: &str) -> Vec<Check> {
    needed(&controls(yaml), "aws").into_iter().find(|it| it.action == action).map(|it| it.checks).unwrap_or_default()
}

const ALIAS: &str = "iam:ListAccountAliases";
const REPORT: [&str; 2] = ["iam:GenerateCredentialReport", "iam:GetCredentialReport"];

#[test]
fn each_control_needs_what_its_observation_calls_and_no_more() {
    let rows: &[(&str, &[&str])] = &[
        ("{passwordPolicy: {minimumPasswordLength: 14}}", &["iam:GetAccountPasswordPolicy"]),
        ("{mfa: {rootUser: {requireMfa: true}}}", &["iam:GetAccountSummary"]),
        ("{mfa: {rootUser: {forbidAccessKeys: true}}}", &["iam:GetAccountSummary"]),
        ("{mfa: {rootUser: {requireHardwareMfa: true}}}", &["iam:GetAccountSummary", "iam:ListVirtualMFADevices"]),
        ("{mfa: {rootUser: {requireUnusedFor: 90d}}}", &REPORT),
        ("{mfa: {users: {}}}", &[REPORT[0], REPORT[1], "iam:ListUsers", "iam:ListMFADevices", "iam:GetLoginProfile"]),
        ("{mfa: {users: {scope: AllUsers}}}", &[REPORT[0], REPORT[1], "iam:ListUsers", "iam:ListMFADevices"]),
        ("{mfa: {users: {scope: AllUsers, requirePhishingResistant: true}}}", &["iam:ListUsers", "iam:ListMFADevices"]),
        (
            "{mfa: {users: {scope: PrivilegedUsers, requirePhishingResistant: true}}}",
            &["iam:ListUsers", "iam:GetAccountAuthorizationDetails", "iam:ListMFADevices"],
        ),
        (
            "{securityGroups: {allowedIngress: []}}",
            &[
                "ec2:DescribeSecurityGroupRules",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeManagedPrefixLists",
                "ec2:GetManagedPrefixListEntries",
            ],
        ),
        (
            "{securityGroups: {requireEmptyDefaultGroup: true}}",
            &["ec2:DescribeSecurityGroupRules", "ec2:DescribeSecurityGroups", "ec2:DescribeNetworkInterfaces"],
        ),
        ("{s3Encryption: {minimumAlgorithm: SseS3}}", &["s3:ListAllMyBuckets", "s3:GetEncryptionConfiguration"]),
        ("{s3Encryption: {requireTls: true}}", &["s3:ListAllMyBuckets", "s3:GetBucketPolicy"]),
        (
            "{s3Encryption: {minimumAlgorithm: SseKms}}",
            &[
                "s3:ListAllMyBuckets",
                "s3:GetEncryptionConfiguration",
                "s3:GetBucketPolicy",
                "s3:GetBucketLogging",
                "kms:DescribeKey",
            ],
        ),
    ];
    for (yaml, expected) in rows {
        assert_eq!(actions(yaml), [&[ALIAS][..], &FOR_ACCOUNT_STATUS, *expected].concat(), "{yaml}");
    }
}

#[test]
fn mfa_20_whether_a_user_may_be_denied_is_read_where_users_are_denied() {
    let more = [
        "iam:GetAccountPasswordPolicy",
        "iam:GetAccountSummary",
        "iam:GetAccountAuthorizationDetails",
        "iam:ListAccessKeys",
        "iam:ListServiceSpecificCredentials",
        "iam:ListSigningCertificates",
        "iam:ListAttachedUserPolicies",
        "iam:SimulatePrincipalPolicy",
        "iam:GetPolicy",
        "iam:GetPolicyVersion",
    ];
    let enforcing = |spec: &str, ceiling| {
        let controls = controls(&format!("{{mfa: {spec}}}"));
        let baseline = AccountBaselineSpec { mode: ceiling, controls, ..AccountBaselineSpec::default() };
        needed_by_baseline(&baseline, "aws").iter().map(|permission| permission.action).collect::<BTreeSet<_>>()
    };
    let audit: BTreeSet<_> = actions("{mfa: {users: {}}}").into_iter().collect();
    let with_policy = "{users: {}, denyPolicyName: Deny}";
    assert_eq!(enforcing(with_policy, Mode::Enforce), audit.iter().copied().chain(more).collect());
    assert_eq!(enforcing(with_policy, Mode::Audit), audit);
    assert_eq!(enforcing("{mode: Audit, users: {}, denyPolicyName: Deny}", Mode::Enforce), audit);
    assert_eq!(enforcing("{users: {}}", Mode::Enforce), audit, "without a policy nobody is denied");
    let resistant = "{users: {scope: AllUsers, requirePhishingResistant: true}, denyPolicyName: Deny}";
    assert!(enforcing(resistant, Mode::Enforce).contains("iam:GetCredentialReport"), "how old passwords are");
}

#[test]
fn names_of_groups_are_read_where_they_decide() {
    let named =
        "{securityGroups: {allowedIngress: [{protocol: tcp, ports: [22], cidrs: [0.0.0.0/0], groupNames: [b]}]}}";
    assert_eq!(needed_for(named, "ec2:DescribeSecurityGroups"), [Check::Ingress]);
    let both = named.replace("]}]}}", "]}], requireEmptyDefaultGroup: true}}");
    assert_eq!(needed_for(&both, "ec2:DescribeSecurityGroups"), [Check::Ingress, Check::DefaultSecurityGroup]);
    assert_eq!(needed_for("{securityGroups: {allowedIngress: []}}", "ec2:DescribeSecurityGroups"), []);
}

#[test]
fn groups_are_described_where_the_control_enforces_because_names_and_tags_tell_whose_they_are() {
    let has = |yaml: &str| planned(&format!("{{accountRef: {{name: shop}}, {yaml}}}"));
    let described = ["ec2:DescribeSecurityGroups"];
    assert_eq!(has("mode: Enforce, controls: {securityGroups: {allowedIngress: []}}"), described);
    assert_eq!(has("mode: Enforce, controls: {securityGroups: {mode: Audit, allowedIngress: []}}"), [""; 0]);
    assert_eq!(has("mode: Audit, controls: {securityGroups: {mode: Enforce, allowedIngress: []}}"), [""; 0]);
}

#[test]
fn a_spec_that_asks_for_nothing_needs_nothing() {
    for yaml in
        ["{}", "{mfa: {}}", "{mfa: {rootUser: {}}}", "{securityGroups: {judgeIcmp: true}}", "{s3Encryption: {}}"]
    {
        assert_eq!(actions(yaml), [""; 0], "{yaml}");
    }
}

#[test]
fn each_action_names_the_checks_that_hang_on_it() {
    let kms = "{s3Encryption: {minimumAlgorithm: SseKms, forbidSseC: true, requireTls: true}}";
    let policy = [Check::EncryptionAlgorithm, Check::TlsRequired];
    assert_eq!(needed_for(kms, "s3:GetBucketPolicy"), policy);
    assert_eq!(needed_for(kms, "s3:GetBucketLogging"), [Check::EncryptionAlgorithm]);
    assert_eq!(needed_for(kms, "kms:DescribeKey"), [Check::KmsKeyUsable]);
    let root = "{mfa: {rootUser: {requireMfa: true, requireUnusedFor: 90d}}}";
    assert_eq!(needed_for(root, "iam:GetCredentialReport"), [Check::RootUserUnused]);
    let every: BTreeSet<Check> = every_read("aws").into_iter().flat_map(|it| it.checks).collect();
    assert_eq!(every, BTreeSet::from(Check::ALL), "every check rests on a read");
}

#[test]
fn in_gov_cloud_the_report_tells_whether_root_has_mfa() {
    let root = controls("{mfa: {rootUser: {requireMfa: true, forbidAccessKeys: true}}}");
    let report = needed(&root, "aws-us-gov").into_iter().find(|it| it.action == "iam:GetCredentialReport").unwrap();
    assert_eq!(report.checks, [Check::RootUserMfa]);
}

#[test]
fn pw_06_and_pw_20_an_age_that_is_enforced_needs_to_know_whom_it_would_strand() {
    let age = "{passwordPolicy: {maxPasswordAge: 90}}";
    let needed = |mode, yaml: &str| {
        let baseline = AccountBaselineSpec { mode, controls: controls(yaml), ..AccountBaselineSpec::default() };
        let needed = needed_by_baseline(&baseline, "aws").into_iter().map(|it| (it.action, it.checks));
        let for_all = ["iam:GetAccountPasswordPolicy", ALIAS];
        let is_for_all = |action| for_all.contains(&action) || FOR_ACCOUNT_STATUS.contains(&action);
        needed.filter(|(action, _)| !is_for_all(*action)).collect::<Vec<_>>()
    };
    let planning = [REPORT[0], REPORT[1], "iam:SimulatePrincipalPolicy"];
    assert_eq!(needed(Mode::Enforce, age), planning.map(|action| (action, vec![Check::MaxPasswordAge])));
    assert_eq!(needed(Mode::Audit, age), []);
    assert_eq!(needed(Mode::Enforce, "{passwordPolicy: {mode: Audit, maxPasswordAge: 90}}"), []);
    assert_eq!(needed(Mode::Enforce, "{passwordPolicy: {minimumPasswordLength: 14}}"), []);
}

#[test]
fn several_baselines_need_what_any_of_them_needs() {
    let [one, other] = ["{mfa: {users: {}}}", "{mfa: {users: {scope: PrivilegedUsers}}}"]
        .map(|yaml| AccountBaselineSpec { controls: controls(yaml), ..AccountBaselineSpec::default() });
    let both: Vec<_> = needed_by_any([&one, &other], "aws").iter().map(|it| it.action).collect();
    assert!(both.contains(&"iam:GetLoginProfile") && both.contains(&"iam:GetAccountAuthorizationDetails"), "{both:?}");
    assert_eq!(needed_by_any([&one, &one], "aws"), needed(&one.controls, "aws"));
    assert_eq!(needed_by_any([&one, &other], "aws"), needed_by_any([&other, &one], "aws"));
}

#[test]
fn the_whole_table_can_be_needed() {
    let every: Vec<_> = every_read("aws").iter().map(|it| it.action).collect();
    assert_eq!(every, READS.map(|read| read.action));
}

#[test]
fn p11_the_audit_can_only_read() {
    // Those that are no reads ask IAM for a report about what is there, or what it would say: they change nothing.
    let reads = ["Get", "List", "Describe", "Simulate", "GenerateCredentialReport"];
    for permission in every_read("aws") {
        let (_, verb) = permission.action.split_once(':').unwrap();
        assert!(reads.iter().any(|read| verb.starts_with(read)), "{}", permission.action);
        assert!(!permission.action.contains('*'), "{}", permission.action);
    }
}

#[test]
fn a_policy_is_one_that_iam_takes_and_fits_a_managed_policy() {
    let policy = audit_policy(&every_read("aws-us-gov"), "aws-us-gov");
    let text = serde_json::to_string(&policy).unwrap();
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    assert!(text.len() < 6144, "{} characters", text.len());
    let sids: BTreeSet<_> = policy.statement.iter().map(|statement| statement.sid).collect();
    assert_eq!(sids.len(), policy.statement.len(), "a Sid stands once");
    assert!(sids.iter().all(|sid| sid.chars().all(|letter| letter.is_ascii_alphanumeric())), "{sids:?}");
    let actions: Vec<_> = policy.statement.iter().flat_map(|statement| statement.action.clone()).collect();
    assert_eq!(actions, every_read("aws").iter().map(|it| it.action).collect::<Vec<_>>(), "each once, none lost");
    let scopes: BTreeSet<_> = READS.map(|read| (read.statement, read.resources)).into();
    assert_eq!(scopes.len(), sids.len(), "a statement has one scope");
    assert!(!text.contains("arn:aws:"), "{text}");
}

#[test]
fn a_trust_policy_asks_for_the_external_id_that_is_given() {
    let arn = "arn:aws:iam::111111111111:role/plumbline";
    let trust = |id| serde_json::to_value(trust_policy(arn, id)).unwrap();
    let with = trust(Some("0f6c9a"));
    assert_eq!(with["Statement"][0]["Principal"]["AWS"], arn);
    assert_eq!(with["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"], "0f6c9a");
    assert_eq!(with["Statement"][0]["Resource"], serde_json::Value::Null);
    assert_eq!(trust(None)["Statement"][0]["Condition"], serde_json::Value::Null);
}

fn planned(baseline: &str) -> Vec<&'static str> {
    let baseline: AccountBaselineSpec = serde_saphyr::from_str(baseline).unwrap();
    let audited: Vec<_> = needed(&baseline.controls, "aws").iter().map(|it| it.action).collect();
    let all = needed_by_baseline(&baseline, "aws").into_iter().map(|it| it.action);
    all.filter(|action| !audited.contains(action)).collect()
}

#[test]
fn what_only_planning_reads_is_needed_where_the_control_enforces_and_may_change_users() {
    let has = |yaml: &str| planned(&format!("{{accountRef: {{name: shop}}, {yaml}}}")).contains(&"iam:ListAccessKeys");
    assert!(has("mode: Enforce, controls: {mfa: {users: {scope: AllUsers}, denyPolicyName: RequireMfa}}"));
    assert!(!has("mode: Audit, controls: {mfa: {users: {scope: AllUsers}, denyPolicyName: RequireMfa}}"));
    assert!(!has("mode: Enforce, controls: {mfa: {mode: Audit, users: {}, denyPolicyName: RequireMfa}}"));
    assert!(!has("mode: Enforce, controls: {mfa: {users: {}}}"), "no policy to attach");
}

#[test]
fn what_planning_for_buckets_reads_is_needed_where_the_control_enforces_and_only_there() {
    let tls = ["s3:GetBucketWebsite", "s3:GetBucketPublicAccessBlock"];
    let rows: &[(&str, &[&str])] = &[
        ("mode: Enforce, controls: {s3Encryption: {requireTls: true}}", &tls),
        ("mode: Audit, controls: {s3Encryption: {mode: Enforce, requireTls: true}}", &[]),
        ("mode: Enforce, controls: {s3Encryption: {mode: Audit, requireTls: true}}", &[]),
        ("mode: Enforce, controls: {s3Encryption: {forbidSseC: true}}", &["s3:GetBucketPolicy"]),
        ("mode: Enforce, controls: {s3Encryption: {minimumAlgorithm: SseKms}}", &[]),
        (
            "mode: Enforce, controls: {s3Encryption: {minimumAlgorithm: SseKms, allowKmsMigration: true}}",
            &["s3:GetReplicationConfiguration"],
        ),
        (
            "mode: Enforce, controls: {s3Encryption: {minimumAlgorithm: SseKms, requireCustomerManagedKey: true, \
             allowKmsMigration: true}}",
            &[],
        ),
        (
            "mode: Enforce, enforcement: {ownedElsewhere: [{key: a}]}, controls: {s3Encryption: {forbidSseC: true}}",
            &["s3:GetBucketPolicy", "s3:GetBucketTagging"],
        ),
        ("mode: Audit, enforcement: {ownedElsewhere: [{key: a}]}, controls: {s3Encryption: {forbidSseC: true}}", &[]),
    ];
    for (yaml, expected) in rows {
        assert_eq!(planned(&format!("{{accountRef: {{name: shop}}, {yaml}}}")), *expected, "{yaml}");
    }
}

#[test]
fn the_status_of_the_account_needs_its_actions_whatever_is_asked_for() {
    let needed = needed(&controls("{passwordPolicy: {minimumPasswordLength: 14}}"), "aws");
    for action in FOR_ACCOUNT_STATUS {
        let found = needed.iter().find(|permission| permission.action == action).unwrap();
        assert_eq!(found.checks, [], "no verdict on the password policy hangs on {action}");
    }
    assert_eq!(actions("{}"), [""; 0], "where nothing is asked for nothing is needed");
}

#[test]
fn who_is_trusted_is_the_role_of_a_session_and_anybody_else_as_named() {
    let rows = [
        ("arn:aws:sts::111111111111:assumed-role/plumbline/1763-abc", "arn:aws:iam::111111111111:role/plumbline"),
        ("arn:aws-cn:sts::111111111111:assumed-role/p/s/x", "arn:aws-cn:iam::111111111111:role/p"),
        ("arn:aws:iam::111111111111:user/ops/plumbline", "arn:aws:iam::111111111111:user/ops/plumbline"),
        ("arn:aws:iam::111111111111:role/plumbline", "arn:aws:iam::111111111111:role/plumbline"),
        ("arn:aws:sts::111111111111:federated-user/ada", "arn:aws:sts::111111111111:federated-user/ada"),
    ];
    for (caller, principal) in rows {
        assert_eq!(principal_of(caller), principal);
    }
}
