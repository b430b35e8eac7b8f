//! One emulator for the whole process and a proxy of one's own in front of it: what a test starts with.

use std::sync::OnceLock;

use anyhow::{Context, anyhow};

use crate::aws_proxy::{AwsProxy, ProxyOptions};
use crate::moto::Moto;
use crate::seed::{self, Seeded};

/// The emulator that all tests of this process share; it ends with the process.
static SHARED: OnceLock<Result<Moto, String>> = OnceLock::new();

/// A proxy in front of an emulator: the shared one, unless it is asked for one of its own.
#[derive(Debug)]
pub struct AwsRig {
    proxy: AwsProxy,
    // Ends with the rig.
    _own: Option<Moto>,
}

impl AwsRig {
    /// A proxy with the usual options; starts the emulator where no test has yet.
    ///
    /// # Errors
    /// When the emulator or the proxy does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::with(ProxyOptions::default()).await
    }

    /// A proxy with these options.
    ///
    /// # Errors
    /// When the emulator or the proxy does not start.
    pub async fn with(options: ProxyOptions) -> anyhow::Result<Self> {
        // The start blocks for seconds, and the process must belong to no test's runtime.
        tokio::task::spawn_blocking(move || {
            let moto = SHARED.get_or_init(|| Moto::start().map_err(|error| format!("{error:#}")));
            let moto = moto.as_ref().map_err(|error| anyhow!("{error}"))?;
            Ok(Self { proxy: AwsProxy::start(moto.url(), options)?, _own: None })
        })
        .await
        .context("the start of the AWS rig panicked")?
    }

    /// A proxy in front of an emulator that nobody else uses: for accounts whose ids are given, as the documentation's.
    ///
    /// # Errors
    /// As [`AwsRig::start`].
    pub async fn own() -> anyhow::Result<Self> {
        tokio::task::spawn_blocking(|| {
            let moto = Moto::start()?;
            Ok(Self { proxy: AwsProxy::start(moto.url(), ProxyOptions::default())?, _own: Some(moto) })
        })
        .await
        .context("the start of the AWS rig panicked")?
    }

    /// The proxy: its calls, its rules, what it was told of accounts.
    #[must_use]
    pub fn proxy(&self) -> &AwsProxy {
        &self.proxy
    }

    /// The environment of a program that shall use this rig with the credentials of this account.
    #[must_use]
    pub fn environment(&self, account_id: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.proxy.url()),
            ("AWS_ACCESS_KEY_ID", self.proxy.key_of(account_id)),
            ("AWS_SECRET_ACCESS_KEY", "not-checked".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            // Nothing of whoever runs the tests shall reach them.
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
        ]
    }

    /// An IAM call with an account's credentials and past the proxy, as somebody else makes it.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub async fn iam(&self, account_id: &str, action: &str, parameters: &[(&str, &str)]) -> anyhow::Result<()> {
        let client = seed::Client::new(self.proxy.upstream_url(), account_id).await?;
        client.iam(action, parameters).await.map(drop)
    }

    /// An EC2 call in a region, the same way.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub async fn ec2(
        &self,
        account_id: &str,
        region: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let client = seed::Client::new(self.proxy.upstream_url(), account_id).await?;
        client.ec2(region, action, parameters).await.map(drop)
    }

    /// Puts the policy of a bucket, the same way.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub async fn put_bucket_policy(
        &self,
        account_id: &str,
        region: &str,
        bucket: &str,
        policy: &str,
    ) -> anyhow::Result<()> {
        let client = seed::Client::new(self.proxy.upstream_url(), account_id).await?;
        client.put(region, &format!("/{bucket}?policy"), "application/json", &[], policy.to_owned()).await
    }

    /// Makes the account that a document of [`crate::seed`] describes, with `$ACCOUNT` in it replaced by an id that no
    /// other test has. Names of buckets are AWS-wide, so they need it.
    ///
    /// # Errors
    /// As [`seed::seed`].
    pub async fn seed(&self, yaml: &str) -> anyhow::Result<Seeded> {
        let yaml = yaml.replace("$ACCOUNT", &seed::unique_account_id());
        seed::seed(&self.proxy, &yaml).await
    }
}
