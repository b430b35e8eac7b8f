//! How the AWS edge calls: timeouts, attempts, rates. Data only; every default says where it comes from.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::engine::cloud::CHANGE_TIMEOUT;

/// A token bucket: so many calls a second, and so many at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls a second, in the long run.
    pub per_second: NonZeroU32,
    /// Calls at once after a pause.
    pub burst: NonZeroU32,
}

impl Rate {
    /// A rate; 0 counts as 1, since a bucket that never fills would stop everything.
    #[must_use]
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second: at_least_one(per_second), burst: at_least_one(burst) }
    }
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

/// The settings of the AWS edge. Each attempt of each call counts against the rate of its account, region and service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsSettings {
    /// Until a connection stands, TLS included.
    pub connect_timeout: Duration,
    /// From the first byte that is sent to the last byte that is read of one attempt.
    pub attempt_timeout: Duration,
    /// Attempts per call, the first included.
    pub max_attempts: u32,
    /// The wait before the second attempt, at most; it doubles from there, with jitter.
    pub initial_backoff: Duration,
    /// EC2 reads, per account and region.
    pub ec2: Rate,
    /// EC2 changes and their dry runs, per account and region.
    pub ec2_changes: Rate,
    /// IAM, per account: it is global.
    pub iam: Rate,
    /// The configuration of buckets, per account and region.
    pub s3: Rate,
    /// KMS, per account and region.
    pub kms: Rate,
    /// Service Quotas, per account and region.
    pub service_quotas: Rate,
    /// STS, per account, and once more for the operator's own identity.
    pub sts: Rate,
    /// How long an assumed role's session lasts.
    pub session_length: Duration,
    /// How long the session of one change lasts.
    pub change_session_length: Duration,
    /// From asking for a change to its answer, waiting for its turn included: the whole of its one attempt.
    pub change_timeout: Duration,
    /// The first wait for a credential report that AWS is making; it doubles up to 16 times itself.
    pub report_poll: Duration,
    /// How often a credential report that AWS is making is asked for.
    pub report_tries: u32,
}

impl Default for AwsSettings {
    fn default() -> Self {
        Self {
            // Across the world a handshake takes under a second; five leave room for lost packets.
            connect_timeout: Duration::from_secs(5),
            // The slowest answers are pages of 1,000 groups and the credential report: seconds, not tens of them.
            attempt_timeout: Duration::from_secs(30),
            max_attempts: 5,
            initial_backoff: Duration::from_secs(1),
            // EC2 refills 20 tokens a second for reads: a fifth, the rest is the customer's own automation.
            ec2: Rate::new(4, 4),
            // EC2 refills 5 tokens a second for changes of security groups: a fifth again.
            ec2_changes: Rate::new(1, 2),
            // IAM publishes no limit and is shared by the whole account; live reads of users come in bursts.
            iam: Rate::new(5, 50),
            // Unpublished; S3 itself serves thousands a second, and every bucket costs up to three calls.
            s3: Rate::new(50, 50),
            // KMS answers 2,000 DescribeKey a second; a handful of keys are asked for per account.
            kms: Rate::new(10, 20),
            // Unpublished; one call a day and region is needed.
            service_quotas: Rate::new(1, 5),
            // STS grants 600 a second to the caller's account; one session an hour and account is needed.
            sts: Rate::new(20, 50),
            // The most that AWS allows where the operator's own identity is a role (role chaining).
            session_length: Duration::from_hours(1),
            // The least that AWS allows.
            change_session_length: Duration::from_mins(15),
            // No change is a list: AWS answers within a second or two, and who waits longer is settled by reading.
            change_timeout: CHANGE_TIMEOUT,
            // A small report takes seconds, one of 5,000 users minutes: 1, 2, 4, 8, then every 16 s, 5 minutes in all.
            report_poll: Duration::from_secs(1),
            report_tries: 22,
        }
    }
}
