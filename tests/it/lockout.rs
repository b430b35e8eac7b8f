//! P9: the simulator by which the crate's tests tell who would be locked out says what IAM says, on the emulator that
//! enforces policies. Each form of the deny policy is attached to a real user, and real calls are made in each way in.
//!
//! The emulator has no console. What the policy sees of one is `aws:MultiFactorAuthPresent`, present and `false`, as
//! for every session of temporary credentials without MFA: the console's calls are made in such a session. The sign-in
//! itself (password, its age, a forced change) is not modelled, so that
//! [`Person::gets_in`](simulator::Person::gets_in) is not compared; it is made of questions that are. Nor is there a
//! service that calls on in the name of an access key: [`way_in`] says so, and the test counts what it skips.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use plumbline::baseline::mfa::deny_policy::{self, ENROLMENT, Form};
use plumbline_rig::ministack::Ministack;
use plumbline_rig::seed::unique_account_id;
use serde_json::{Value, json};

use self::simulator::{CALLERS, Caller, denies};

#[path = "../../src/baseline/mfa/plan/lockout.rs"]
#[expect(dead_code, reason = "people and passwords are for the crate's own tests: the emulator has no console")]
mod simulator;

/// The condition of each form, as SAFETY.md writes them.
const FORMS: [(Form, &str, &str); 4] = [
    (Form::Bool, "Bool", r#"{"aws:MultiFactorAuthPresent": "false"}"#),
    (Form::BoolIfExists, "BoolIfExists", r#"{"aws:MultiFactorAuthPresent": "false"}"#),
    (Form::BoolDirectly, "Bool", r#"{"aws:MultiFactorAuthPresent": "false", "aws:ViaAWSService": "false"}"#),
    (
        Form::BoolIfExistsDirectly,
        "BoolIfExists",
        r#"{"aws:MultiFactorAuthPresent": "false", "aws:ViaAWSService": "false"}"#,
    ),
];

/// What is called: work, the removal of devices, enrolment, and what a change of the password takes.
const CALLS: [&str; 9] = [
    "s3:ListAllMyBuckets",
    "iam:ListUsers",
    "iam:DeactivateMFADevice",
    "iam:DeleteVirtualMFADevice",
    "iam:ListMFADevices",
    "iam:ListVirtualMFADevices",
    "iam:CreateVirtualMFADevice",
    "iam:EnableMFADevice",
    "iam:GetAccountPasswordPolicy",
];

/// A deny of a form that leaves these actions open.
fn deny(operator: &str, keys: &str, open: &[&str]) -> Value {
    let keys: Value = keys.parse().unwrap();
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "NotAction": open, "Resource": "*", "Condition": {operator: keys}}
    ]})
}

/// Whether IAM let a call through: what the service makes of it then does not matter.
type Verdict = Result<(), Denied>;

/// By a policy that denies, as opposed to none that allows.
#[derive(Debug)]
struct Denied;

fn verdict<T, E: ProvideErrorMetadata + std::fmt::Debug, R: std::fmt::Debug>(
    answer: Result<T, SdkError<E, R>>,
) -> Verdict {
    let Err(error) = answer else { return Ok(()) };
    let refusal = error.as_service_error().unwrap_or_else(|| panic!("no answer: {error:?}"));
    match refusal.code() {
        Some("AccessDenied") => {
            let message = refusal.message().unwrap_or_default();
            assert!(message.contains("explicit deny"), "the user's own policy allows everything: {message}");
            Err(Denied)
        }
        Some("NoSuchEntity" | "EntityAlreadyExists") => Ok(()),
        _ => panic!("not an answer that the emulator should give: {refusal:?}"),
    }
}

/// The emulator, and an account on it.
struct Stage {
    emulator: Ministack,
    account: String,
}

/// Credentials, and whose they are.
#[derive(Clone)]
struct Session {
    user: String,
    config: SdkConfig,
}

impl Stage {
    async fn new() -> Self {
        Self { emulator: Ministack::start().await.unwrap(), account: unique_account_id() }
    }

    /// A user with an access key whose own policy allows everything.
    async fn user(&self, name: &str) -> Session {
        let everything = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"}
        ]});
        let user = self.emulator.user(&self.account, name, &everything).await.unwrap();
        let environment = self.emulator.environment(&user);
        let value = |name: &str| environment.iter().find(|(known, _)| *known == name).unwrap().1.clone();
        let (key, secret) = (value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"));
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .endpoint_url(value("AWS_ENDPOINT_URL"))
            .credentials_provider(of(&key, &secret, None))
            .build();
        Session { user: name.to_owned(), config }
    }

    /// The account's root, who is denied nothing.
    fn root(&self, anybody: &Session) -> Session {
        anybody.with(of(&self.account, "not-checked", None))
    }

    /// Attaches a managed policy, as Plumbline does.
    async fn attach(&self, to: &Session, document: &Value) {
        let iam = aws_sdk_iam::Client::new(&self.root(to).config);
        let name = format!("RequireMfa-{}", to.user);
        let created = iam.create_policy().policy_name(name).policy_document(document.to_string()).send().await;
        let arn = created.unwrap().policy.unwrap().arn.unwrap();
        iam.attach_user_policy().user_name(&to.user).policy_arn(arn).send().await.unwrap();
    }
}

fn of(key: &str, secret: &str, token: Option<String>) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new(key, secret, token, None, "test"))
}

impl Session {
    fn with(&self, credentials: SharedCredentialsProvider) -> Self {
        let config = self.config.to_builder().credentials_provider(credentials).build();
        Self { user: self.user.clone(), config }
    }

    fn iam(&self) -> aws_sdk_iam::Client {
        aws_sdk_iam::Client::new(&self.config)
    }

    /// A session of temporary credentials, with a device or without.
    async fn session(&self, device: Option<&str>) -> Self {
        let sts = aws_sdk_sts::Client::new(&self.config);
        let code = device.map(|_| "123456".to_owned());
        let token = sts.get_session_token().set_serial_number(device.map(ToOwned::to_owned)).set_token_code(code);
        let token = token.send().await.unwrap().credentials.unwrap();
        self.with(of(&token.access_key_id, &token.secret_access_key, Some(token.session_token)))
    }

    /// Makes a device of the user's own, and assigns it: each step may be denied.
    async fn enrol(&self, device: &str) -> Result<String, Denied> {
        let created = self.iam().create_virtual_mfa_device().virtual_mfa_device_name(device).send().await;
        let Ok(created) = created else { return Err(verdict(created).unwrap_err()) };
        let serial = created.virtual_mfa_device.unwrap().serial_number;
        let (first, second) = ("123456", "654321");
        let enable = self.iam().enable_mfa_device().user_name(&self.user).serial_number(&serial);
        verdict(enable.authentication_code1(first).authentication_code2(second).send().await).map(|()| serial)
    }

    async fn call(&self, action: &str) -> Verdict {
        let (iam, user) = (self.iam(), &self.user);
        // Of no device, so that nothing is changed where the call is let through.
        let nothing = "arn:aws:iam::111111111111:mfa/nothing";
        match action {
            "s3:ListAllMyBuckets" => {
                let config = aws_sdk_s3::config::Builder::from(&self.config).force_path_style(true).build();
                verdict(aws_sdk_s3::Client::from_conf(config).list_buckets().send().await)
            }
            "iam:ListUsers" => verdict(iam.list_users().send().await),
            "iam:DeactivateMFADevice" => {
                verdict(iam.deactivate_mfa_device().user_name(user).serial_number(nothing).send().await)
            }
            "iam:DeleteVirtualMFADevice" => {
                verdict(iam.delete_virtual_mfa_device().serial_number(nothing).send().await)
            }
            "iam:ListMFADevices" => verdict(iam.list_mfa_devices().user_name(user).send().await),
            "iam:ListVirtualMFADevices" => verdict(iam.list_virtual_mfa_devices().send().await),
            "iam:CreateVirtualMFADevice" => {
                verdict(iam.create_virtual_mfa_device().virtual_mfa_device_name("spare").send().await)
            }
            "iam:EnableMFADevice" => {
                let enable = iam.enable_mfa_device().user_name(user).serial_number(nothing);
                verdict(enable.authentication_code1("123456").authentication_code2("654321").send().await)
            }
            "iam:GetAccountPasswordPolicy" => verdict(iam.get_account_password_policy().send().await),
            other => panic!("{other} is not called here"),
        }
    }
}

/// The credentials with which the caller calls, or why there are none on the emulator.
async fn way_in(key: &Session, device: &str, caller: Caller) -> Result<Session, &'static str> {
    match caller {
        Caller::AccessKey => Ok(key.clone()),
        // What the policy sees of the console: temporary credentials without MFA.
        Caller::ConsoleWithoutMfa => Ok(key.session(None).await),
        Caller::WithMfa => Ok(key.session(Some(device)).await),
        Caller::KeyThroughService => Err("no service of the emulator calls on in the name of an access key"),
    }
}

#[tokio::test]
async fn p9_the_simulator_of_the_deny_says_what_iam_says() {
    let stage = Stage::new().await;
    let password_change = ["iam:ChangePassword", "iam:GetAccountPasswordPolicy"];
    let (mut denied, mut allowed, mut skipped) = (0, 0, Vec::new());
    for (number, (form, operator, keys)) in FORMS.into_iter().enumerate() {
        let open = [&ENROLMENT[..], &password_change].concat();
        // As it should be, with the change of passwords closed, and one that locks enrolment.
        for (variant, open) in [("open", &open[..]), ("closed", &ENROLMENT), ("locking", &["iam:List*"])] {
            let document = deny(operator, keys, open);
            let judged = deny_policy::judge(&document.to_string()).map(|policy| policy.form);
            assert_eq!(judged.ok(), (variant != "locking").then_some(form));
            let user = stage.user(&format!("{variant}-{number}")).await;
            let device = stage.root(&user).enrol(&format!("device-{}", user.user)).await.unwrap();
            stage.attach(&user, &document).await;
            for caller in CALLERS {
                let session = match way_in(&user, &device, caller).await {
                    Ok(session) => session,
                    Err(why) => {
                        skipped.push((form, variant, caller, why));
                        continue;
                    }
                };
                for action in CALLS {
                    let said = session.call(action).await.is_err();
                    assert_eq!(said, denies(&document, caller, action), "{document} {caller:?} {action}");
                    *(if said { &mut denied } else { &mut allowed }) += 1;
                }
            }
        }
    }
    assert_eq!((denied + allowed, skipped.len()), (12 * 3 * CALLS.len(), 12), "skipped: {skipped:?}");
    assert!(skipped.iter().all(|(_, _, caller, _)| *caller == Caller::KeyThroughService), "{skipped:?}");
    assert!(denied > 50 && allowed > 50, "{denied} denied, {allowed} allowed");
}

#[tokio::test]
async fn p9_whoever_is_denied_enrols_and_works_again() {
    let stage = Stage::new().await;
    for (number, (form, operator, keys)) in FORMS.into_iter().enumerate() {
        let user = stage.user(&format!("ada-{number}")).await;
        let before = user.session(None).await;
        assert!(before.call("s3:ListAllMyBuckets").await.is_ok(), "{form:?}: nothing is attached yet");

        stage.attach(&user, &deny(operator, keys, &ENROLMENT)).await;
        let console = user.session(None).await;
        assert!(console.call("s3:ListAllMyBuckets").await.is_err(), "{form:?}");
        // A session of before the deny is denied too.
        assert!(before.call("s3:ListAllMyBuckets").await.is_err(), "{form:?}");

        let device = console.enrol(&format!("ada-{number}")).await.unwrap();
        let with_mfa = user.session(Some(&device)).await;
        assert!(with_mfa.call("s3:ListAllMyBuckets").await.is_ok(), "{form:?}");
        assert!(with_mfa.call("iam:DeactivateMFADevice").await.is_ok(), "{form:?}");
        // Who has the password alone is still out, and cannot take the device away.
        let without = user.session(None).await;
        for action in ["s3:ListAllMyBuckets", "iam:DeactivateMFADevice", "iam:DeleteVirtualMFADevice"] {
            assert!(without.call(action).await.is_err(), "{form:?} {action}");
        }
    }
}
