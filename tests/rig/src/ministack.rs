//! ministack, the AWS emulator that enforces policies, as a child process, and the identities that a test makes on it.
//!
//! Nothing stands between it and Plumbline. The root of an account is the access key of twelve digits, for which alone
//! it checks no signature; every other key is one that it handed out. It does not replace policy variables
//! (`${aws:PrincipalAccount}`) in the values of conditions.

use anyhow::Context;
use serde_json::Value;

use crate::emulator::Emulator;
use crate::seed::{self, Client, Seeded};
use crate::supervisor::Program;

/// A running emulator; it ends when this value is dropped or when this process ends.
#[derive(Debug)]
pub struct Ministack {
    url: String,
    _emulator: Emulator,
}

/// A user with an access key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user's ARN.
    pub arn: String,
    access_key_id: String,
    secret_access_key: String,
}

impl Ministack {
    /// Installs ministack where it is missing (half a minute), starts it on a free loopback port, waits for it.
    ///
    /// # Errors
    /// When the installation fails, or the server does not answer in time; its log is in the message.
    pub async fn start() -> anyhow::Result<Self> {
        // The start blocks for seconds.
        let emulator = tokio::task::spawn_blocking(|| {
            Emulator::start("ministack", "/_ministack/health", |programs, log, address| {
                // It reads credentials, and much else, from its environment.
                Program::new(programs.join("python"), log)
                    .args([concat!(env!("CARGO_MANIFEST_DIR"), "/serve_ministack.py")])
                    .clear_env()
                    .env("AUTH", "true")
                    .env("BIND_HOST", "127.0.0.1")
                    .env("GATEWAY_PORT", address.port().to_string())
            })
        });
        let emulator = emulator.await.context("the start of ministack panicked")??;
        Ok(Self { url: emulator.url(), _emulator: emulator })
    }

    /// Makes the account that a document of [`crate::seed`] describes, with `$ACCOUNT` in it replaced by an id that no
    /// other test has. What moto leaves to the proxy (`root`, `regions`, when a user was made) is left out here.
    ///
    /// # Errors
    /// As [`seed::seed`].
    pub async fn seed(&self, yaml: &str) -> anyhow::Result<Seeded> {
        seed::seed_as_root(&self.url, &yaml.replace("$ACCOUNT", &seed::unique_account_id())).await
    }

    /// Makes a user with an access key and one inline policy.
    ///
    /// # Errors
    /// When the emulator refuses something.
    pub async fn user(&self, account: &str, name: &str, policy: &Value) -> anyhow::Result<User> {
        let root = Client::of_root(&self.url, account);
        let holder = ("UserName", name);
        let user = root.iam("CreateUser", &[holder]).await?;
        let parameters = [holder, ("PolicyName", "rig"), ("PolicyDocument", &policy.to_string())];
        root.iam("PutUserPolicy", &parameters).await?;
        let key = root.iam("CreateAccessKey", &[holder]).await?;
        let text = |element: &crate::aws_proxy::Element, name: &str| {
            let found = element.find(name).with_context(|| format!("ministack answered no {name}"))?;
            anyhow::Ok(found.text.clone())
        };
        Ok(User {
            arn: text(&user, "Arn")?,
            access_key_id: text(&key, "AccessKeyId")?,
            secret_access_key: text(&key, "SecretAccessKey")?,
        })
    }

    /// Makes a role with its trust policy and one inline policy.
    ///
    /// # Errors
    /// When the emulator refuses something.
    pub async fn role(&self, account: &str, name: &str, trust: &Value, policy: &Value) -> anyhow::Result<()> {
        let root = Client::of_root(&self.url, account);
        let holder = ("RoleName", name);
        root.iam("CreateRole", &[holder, ("AssumeRolePolicyDocument", &trust.to_string())]).await?;
        let parameters = [holder, ("PolicyName", "rig"), ("PolicyDocument", &policy.to_string())];
        root.iam("PutRolePolicy", &parameters).await.map(drop)
    }

    /// The environment of a program that shall use this emulator with the user's credentials.
    #[must_use]
    pub fn environment(&self, user: &User) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.url.clone()),
            ("AWS_ACCESS_KEY_ID", user.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY", user.secret_access_key.clone()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            // Nothing of whoever runs the tests shall reach them.
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
        ]
    }
}
