//! The AWS edge: implements [`engine::cloud`](crate::engine::cloud) over the AWS SDK for Rust. IO.
//!
//! [`writer`] alone changes an account: nothing else here calls an operation that does. (`GenerateCredentialReport` has
//! AWS make a report; a test reads this folder for every other verb.) [`error`] alone matches AWS error codes,
//! [`paging`] alone reads lists, and [`transport`] sends every attempt.

mod account;
mod attempt;
mod ec2;
mod error;
mod iam;
mod kms;
mod limits;
mod operation;
mod paging;
mod quotas;
mod report;
mod rules;
mod s3;
mod session;
mod settings;
#[cfg(test)]
mod testing;
mod text;
mod transport;
mod user;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::config::IdentityCache;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;

use self::account::Account;
use self::limits::{Limits, Recent};
use self::operation::Service;
use self::report::ReportCache;
use self::session::{Caller, Session, Shared};
use self::transport::{Expected, Once, Transport};
use crate::baseline::Cause;
use crate::engine::calls::{CallRecorder, Unrecorded};
use crate::engine::cloud::{Cloud, CloudProvider, Target};

pub use self::settings::{AwsSettings, Rate};

/// More accounts than one process looks after: 4,096 sessions and limits are a few MiB.
const MAX_ACCOUNTS: usize = 4096;
/// A report of 5,000 users is about 2 MiB.
const MAX_REPORTS: usize = 256;

/// Where the AWS calls of this process start: the operator's own identity, and what is kept between evaluations.
pub struct Aws {
    edge: Arc<Edge>,
    base: Arc<Session>,
    caller: Arc<Caller>,
    sessions: Recent<Target, Session>,
    limits: Recent<String, Limits>,
    reports: Recent<(String, Option<String>, Option<String>), ReportCache>,
}

/// What all clients are made of.
struct Edge {
    config: SdkConfig,
    settings: AwsSettings,
    connections: SharedHttpConnector,
    home: String,
    recorder: Arc<dyn CallRecorder>,
}

impl Aws {
    /// Loads the SDK's default chain: environment, profile, web identity, Pod Identity, instance role. Endpoints come
    /// from there too (`AWS_ENDPOINT_URL`), never from a custom resource.
    pub async fn new(settings: AwsSettings) -> Self {
        Self::recorded_by(Arc::new(Unrecorded), settings).await
    }

    /// The same, and somebody is told of every request.
    pub async fn recorded_by(recorder: Arc<dyn CallRecorder>, settings: AwsSettings) -> Self {
        let connections = transport::connections(settings.connect_timeout);
        let plain = connections.clone();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(settings.connect_timeout)
            .operation_attempt_timeout(settings.attempt_timeout)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http_client_fn(move |_, _| plain.clone()))
            .timeout_config(timeouts);
        if let Ok(name) = AppName::new("plumbline") {
            loader = loader.app_name(name);
        }
        Self::over(&loader.load().await, connections, settings, recorder)
    }

    /// The same over a configuration that was loaded before.
    #[must_use]
    pub fn from_config(config: &SdkConfig, settings: AwsSettings) -> Self {
        Self::over(config, transport::connections(settings.connect_timeout), settings, Arc::new(Unrecorded))
    }

    fn over(
        config: &SdkConfig,
        connections: SharedHttpConnector,
        settings: AwsSettings,
        recorder: Arc<dyn CallRecorder>,
    ) -> Self {
        // Without a region: the one that every commercial account has. Other partitions need one to be configured,
        // since the keys alone do not tell the partition.
        let home = config.region().map_or_else(|| "us-east-1".to_owned(), ToString::to_string);
        let base = Arc::new(Session::of_chain(config.credentials_provider()));
        let edge = Arc::new(Edge { config: config.clone(), settings, connections, home, recorder });
        let limits = Limits::new("caller");
        let sts = edge.sts(&base, &limits);
        let (region, recorder) = (edge.home.clone(), Arc::clone(&edge.recorder));
        let caller = Arc::new(Caller { sts, region, identity: tokio::sync::OnceCell::new(), recorder });
        Self {
            edge,
            base,
            caller,
            sessions: Recent::new(MAX_ACCOUNTS),
            limits: Recent::new(MAX_ACCOUNTS),
            reports: Recent::new(MAX_REPORTS),
        }
    }

    fn account(&self, target: &Target, deadline: Duration) -> Account {
        let session = match &target.role_name {
            None => Arc::clone(&self.base),
            Some(_) => self.sessions.get_or_insert_with(target, || {
                let length = self.edge.settings.session_length;
                Session::of_role(Arc::clone(&self.caller), target.clone(), length)
            }),
        };
        let limits = self.limits.get_or_insert_with(&target.account_id, || Limits::new(&target.account_id));
        // Two baselines may reach an account by roles of different rights: one must not see the other's report.
        let key = (target.account_id.clone(), target.role_name.clone(), target.external_id.clone());
        let report = self.reports.get_or_insert_with(&key, ReportCache::default);
        Account::new(Arc::clone(&self.edge), session, limits, report, target.account_id.clone(), deadline)
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws").field("home", &self.edge.home).finish_non_exhaustive()
    }
}

#[async_trait]
impl CloudProvider for Aws {
    async fn cloud(&self, target: &Target, deadline: Duration) -> Result<Arc<dyn Cloud>, Cause> {
        Ok(Arc::new(self.account(target, deadline)))
    }
}

impl Edge {
    /// The configuration of one service in one region, in the name of a session. The attempts' time is bounded by the
    /// transport and the whole by the account's deadline, so that waiting for one's turn is no timeout.
    fn config(&self, service: Service, region: &str, session: &Arc<Session>, limits: &Limits) -> SdkConfig {
        let transport = Transport {
            connections: self.connections.clone(),
            limiter: limits.bucket(service, region, &self.settings),
            attempt_timeout: self.settings.attempt_timeout,
            expected: Expected::Something,
            once: None,
            recorder: Arc::clone(&self.recorder),
        };
        let retries = RetryConfig::standard()
            .with_max_attempts(self.settings.max_attempts)
            .with_initial_backoff(self.settings.initial_backoff);
        self.config_over(transport, region, session).into_builder().retry_config(retries).build()
    }

    /// The same for one attempt of a change: no retries, and an answer that is looked at more closely.
    fn config_of_one_attempt(
        &self,
        service: Service,
        region: &str,
        session: &Arc<Session>,
        limits: &Limits,
        expected: Expected,
        once: Once,
    ) -> SdkConfig {
        let transport = Transport {
            connections: self.connections.clone(),
            limiter: limits.bucket(service, region, &self.settings),
            attempt_timeout: self.settings.change_timeout,
            expected,
            once: Some(once),
            recorder: Arc::clone(&self.recorder),
        };
        self.config_over(transport, region, session).into_builder().retry_config(RetryConfig::disabled()).build()
    }

    fn config_over(&self, transport: Transport, region: &str, session: &Arc<Session>) -> SdkConfig {
        self.config
            .to_builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(region.to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(Shared(Arc::clone(session))))
            .identity_cache(IdentityCache::no_cache())
            .http_client(transport)
            .timeout_config(TimeoutConfig::disabled())
            // A call that waits for its turn would count as one that stands still; the transport bounds each attempt.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build()
    }

    fn sts(&self, session: &Arc<Session>, limits: &Limits) -> aws_sdk_sts::Client {
        let config = self.config(Service::Sts, &self.home, session, limits);
        let config = aws_sdk_sts::config::Builder::from(&config).retry_partition(limits.retries.clone());
        aws_sdk_sts::Client::from_conf(config.build())
    }

    fn iam(&self, session: &Arc<Session>, limits: &Limits) -> aws_sdk_iam::Client {
        let config = self.config(Service::Iam, &self.home, session, limits);
        let config = aws_sdk_iam::config::Builder::from(&config).retry_partition(limits.retries.clone());
        aws_sdk_iam::Client::from_conf(config.build())
    }

    fn ec2(&self, region: &str, session: &Arc<Session>, limits: &Limits) -> aws_sdk_ec2::Client {
        let config = self.config(Service::Ec2, region, session, limits);
        let config = aws_sdk_ec2::config::Builder::from(&config).retry_partition(limits.retries.clone());
        aws_sdk_ec2::Client::from_conf(config.build())
    }

    fn s3(&self, region: &str, session: &Arc<Session>, limits: &Limits) -> aws_sdk_s3::Client {
        let config = self.config(Service::S3, region, session, limits);
        // An endpoint of one's own has no name per bucket.
        let path_style = self.config.endpoint_url().is_some();
        let config = aws_sdk_s3::config::Builder::from(&config)
            .retry_partition(limits.retries.clone())
            .force_path_style(path_style);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    fn kms(&self, region: &str, session: &Arc<Session>, limits: &Limits) -> aws_sdk_kms::Client {
        let config = self.config(Service::Kms, region, session, limits);
        let config = aws_sdk_kms::config::Builder::from(&config).retry_partition(limits.retries.clone());
        aws_sdk_kms::Client::from_conf(config.build())
    }

    fn service_quotas(&self, region: &str, session: &Arc<Session>, limits: &Limits) -> aws_sdk_servicequotas::Client {
        let config = self.config(Service::ServiceQuotas, region, session, limits);
        let config = aws_sdk_servicequotas::config::Builder::from(&config).retry_partition(limits.retries.clone());
        aws_sdk_servicequotas::Client::from_conf(config.build())
    }
}

#[cfg(test)]
mod tests;
