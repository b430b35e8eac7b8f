//! From a role in an account to credentials for it, kept until shortly before they expire. IO: STS and the SDK's chain.
//!
//! A session outlives the evaluation that opened it. It caches by itself, so that the clients of all services and
//! regions share one session (the SDK's own cache is one per client).

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::{Mutex, OnceCell};

use super::attempt;
use super::error::{Failure, classify, malformed, no_credentials, no_session};
use super::operation::{ASSUME_ROLE, GET_CALLER_IDENTITY};
use crate::baseline::{AccountIdentity, Cause, CauseClass};
use crate::engine::calls::CallRecorder;
use crate::engine::cloud::Target;

/// Credentials are renewed when they are this close to their end: longer than an evaluation's calls wait for.
const RENEW_BEFORE: Duration = Duration::from_mins(5);
/// If renewing fails, they are used until this close to it.
const USE_UNTIL: Duration = Duration::from_secs(30);
/// The shortest session that STS opens.
const SHORTEST: Duration = Duration::from_mins(15);
/// Credentials without an end (a profile's keys) are looked up again after this, since files are rotated.
const LOOK_AGAIN: Duration = Duration::from_mins(15);

/// Credentials that are shared and renewed in time.
pub(super) struct Session {
    source: Source,
    current: Mutex<Option<Current>>,
}

struct Current {
    credentials: Credentials,
    renew_at: SystemTime,
    end: Option<SystemTime>,
}

enum Source {
    /// The SDK's chain.
    Chain(Option<SharedCredentialsProvider>),
    /// A role of an account.
    Role { caller: Arc<Caller>, target: Target, length: Duration, policy: Option<String> },
}

/// The operator's own identity, and the STS client that speaks in its name.
pub(super) struct Caller {
    pub(super) sts: aws_sdk_sts::Client,
    pub(super) region: String,
    pub(super) identity: OnceCell<AccountIdentity>,
    pub(super) recorder: Arc<dyn CallRecorder>,
}

impl Caller {
    /// `sts:GetCallerIdentity`, once: its partition is the one of every role's ARN.
    pub(super) async fn identity(&self) -> Result<&AccountIdentity, Cause> {
        let ask = async || {
            let answer = attempt::of(GET_CALLER_IDENTITY, "", self.sts.get_caller_identity().send()).await;
            let answer = answer.map_err(|error| classify(GET_CALLER_IDENTITY, &self.region, &error).cause)?;
            identity(answer.account(), answer.arn())
        };
        self.identity.get_or_try_init(ask).await
    }
}

/// The identity in an answer of `sts:GetCallerIdentity`.
pub(super) fn identity(account: Option<&str>, arn: Option<&str>) -> Result<AccountIdentity, Cause> {
    account
        .zip(arn)
        .and_then(|(account, arn)| AccountIdentity::from_caller(account, arn))
        .ok_or_else(|| malformed(GET_CALLER_IDENTITY, "the answer names no account, or no ARN"))
}

impl Session {
    /// The operator's own identity.
    pub(super) fn of_chain(chain: Option<SharedCredentialsProvider>) -> Self {
        Self { source: Source::Chain(chain), current: Mutex::default() }
    }

    /// The target's role.
    pub(super) fn of_role(caller: Arc<Caller>, target: Target, length: Duration) -> Self {
        Self { source: Source::Role { caller, target, length, policy: None }, current: Mutex::default() }
    }

    /// The target's role, with no more rights than the policy leaves of its own.
    pub(super) fn of_role_within(caller: Arc<Caller>, target: Target, length: Duration, policy: String) -> Self {
        Self { source: Source::Role { caller, target, length, policy: Some(policy) }, current: Mutex::default() }
    }

    /// Opens the session, where it is not open yet.
    pub(super) async fn open(&self) -> Result<(), Cause> {
        self.credentials().await.map(drop)
    }

    /// What is there, or a new session: one request however many calls wait for it.
    async fn credentials(&self) -> Result<Credentials, Cause> {
        let mut current = self.current.lock().await;
        let now = SystemTime::now();
        if let Some(current) = current.as_ref().filter(|current| now < current.renew_at) {
            return Ok(current.credentials.clone());
        }
        match self.renew().await {
            Ok(credentials) => {
                let end = credentials.expiry();
                let renew_at = end.map_or(now + LOOK_AGAIN, |end| end - RENEW_BEFORE);
                *current = Some(Current { credentials: credentials.clone(), renew_at, end });
                Ok(credentials)
            }
            Err(cause) => match current.as_ref() {
                Some(Current { credentials, end: Some(end), .. }) if now + USE_UNTIL < *end => Ok(credentials.clone()),
                _ => Err(cause),
            },
        }
    }

    /// AWS no longer accepts the credentials (a role that was made again, a revoked session): the next call renews.
    pub(super) async fn forget(&self) {
        *self.current.lock().await = None;
    }

    async fn renew(&self) -> Result<Credentials, Cause> {
        match &self.source {
            Source::Chain(Some(chain)) => chain.provide_credentials().await.map_err(|error| no_credentials(&error)),
            Source::Chain(None) => Err(no_credentials(&CredentialsError::not_loaded("no provider is configured"))),
            Source::Role { caller, target, length, policy } => {
                let own = caller.identity().await?;
                let answer = assume(caller, own, target, *length, policy.as_deref()).await;
                answer.map_err(|failure| {
                    caller.recorder.assume_role_failed(&target.account_id);
                    no_session(&role_arn(own, target), &own.caller_arn, failure)
                })
            }
        }
    }
}

/// The role's ARN is made of the declared account and the caller's partition, of nothing else.
fn role_arn(own: &AccountIdentity, target: &Target) -> String {
    let role = target.role_name.as_deref().unwrap_or_default().trim_start_matches('/');
    format!("arn:{}:iam::{}:role/{role}", own.partition, target.account_id)
}

/// `sts:AssumeRole`
async fn assume(
    caller: &Caller,
    own: &AccountIdentity,
    target: &Target,
    length: Duration,
    policy: Option<&str>,
) -> Result<Credentials, Failure> {
    let request = caller
        .sts
        .assume_role()
        .role_arn(role_arn(own, target))
        .role_session_name(&target.session_name)
        .set_external_id(target.external_id.clone())
        .set_policy(policy.map(str::to_owned))
        .duration_seconds(i32::try_from(length.as_secs()).unwrap_or(3600))
        .send();
    let answer = attempt::of(ASSUME_ROLE, &target.account_id, request).await;
    let answer = answer.map_err(|error| classify(ASSUME_ROLE, &caller.region, &error))?;
    let keys = answer.credentials().ok_or_else(|| malformed(ASSUME_ROLE, "the answer has no credentials"))?;
    let end = SystemTime::try_from(*keys.expiration()).map_err(|_| malformed(ASSUME_ROLE, "no time of expiry"))?;
    let token = Some(keys.session_token().to_owned());
    Ok(Credentials::new(keys.access_key_id(), keys.secret_access_key(), token, Some(end), "plumbline"))
}

/// Whether the target's role can be assumed without its external id. Such a session may do nothing, and is not kept.
pub(super) async fn assumable_without_external_id(caller: &Caller, target: &Target) -> Result<bool, Cause> {
    const NOTHING: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;
    let bare = Target { external_id: None, ..target.clone() };
    match assume(caller, caller.identity().await?, &bare, SHORTEST, Some(NOTHING)).await {
        Ok(_) => Ok(true),
        Err(failure) => match failure.cause.class {
            CauseClass::AccessDenied | CauseClass::DeniedByOrganization => Ok(false),
            _ => Err(failure.cause),
        },
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

/// A session as the SDK's clients want it. A failure keeps its cause, which `error::classify` finds again.
#[derive(Clone, Debug)]
pub(super) struct Shared(pub(super) Arc<Session>);

impl ProvideCredentials for Shared {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            let result: provider::Result = self.0.credentials().await.map_err(CredentialsError::provider_error);
            result
        })
    }
}

#[cfg(test)]
pub(super) mod tests;
