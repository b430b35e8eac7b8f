//! What an account may be asked: a token bucket per region and service, and one budget of retries. No IO but waiting.
//!
//! Kept between evaluations and shared by all baselines of an account: AWS counts the account's calls, not ours.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sts::config::retry::{RetryPartition, TokenBucket};
use governor::Quota;

use super::operation::Service;
use super::settings::{AwsSettings, Rate};

/// A token bucket.
pub(super) type Limiter = governor::DefaultDirectRateLimiter;

/// A retry costs 5 to 14 tokens: after some dozens of vain retries a call of the account has an attempt or two ...
const RETRY_BUDGET: usize = 500;
/// ... and then about one retry every other second, for all its calls together, until AWS has recovered.
const RETRY_REFILL: f32 = 2.5;

/// The limits of one account.
pub(super) struct Limits {
    /// The SDK's budget of retries. Its own default is shared by every account of the process, so that one throttled
    /// account would starve the others.
    pub(super) retries: RetryPartition,
    buckets: Mutex<HashMap<(Service, String), Arc<Limiter>>>,
}

impl Limits {
    pub(super) fn new(account: &str) -> Self {
        let budget = TokenBucket::builder().capacity(RETRY_BUDGET).refill_rate(RETRY_REFILL).build();
        Self {
            retries: RetryPartition::custom(format!("plumbline-{account}")).token_bucket(budget).build(),
            buckets: Mutex::default(),
        }
    }

    /// The bucket of a service in a region.
    pub(super) fn bucket(&self, service: Service, region: &str, settings: &AwsSettings) -> Arc<Limiter> {
        let Rate { per_second, burst } = match service {
            Service::Ec2 => settings.ec2,
            Service::Ec2Changes => settings.ec2_changes,
            Service::Iam => settings.iam,
            Service::Kms => settings.kms,
            Service::S3 => settings.s3,
            Service::ServiceQuotas => settings.service_quotas,
            Service::Sts => settings.sts,
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets
            .entry((service, region.to_owned()))
            .or_insert_with(|| Arc::new(Limiter::direct(Quota::per_second(per_second).allow_burst(burst))));
        Arc::clone(bucket)
    }
}

/// A map of bounded size: the entry that was asked for longest ago goes first.
pub(super) struct Recent<K, V> {
    capacity: usize,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    clock: u64,
    entries: HashMap<K, (u64, Arc<V>)>,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::new(State { clock: 0, entries: HashMap::new() }) }
    }

    /// The value of the key, made if there is none. Who holds an evicted value goes on with it.
    pub(super) fn get_or_insert_with(&self, key: &K, make: impl FnOnce() -> V) -> Arc<V> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clock += 1;
        let now = state.clock;
        if let Some((used, value)) = state.entries.get_mut(key) {
            *used = now;
            return Arc::clone(value);
        }
        if state.entries.len() >= self.capacity {
            let oldest = state.entries.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                state.entries.remove(&oldest);
            }
        }
        let value = Arc::new(make());
        state.entries.insert(key.clone(), (now, Arc::clone(&value)));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_forgets_what_was_asked_for_longest_ago() {
        let map = Recent::new(2);
        map.get_or_insert_with(&"a", || 1);
        map.get_or_insert_with(&"b", || 2);
        assert_eq!(*map.get_or_insert_with(&"a", || 9), 1);
        map.get_or_insert_with(&"c", || 3);
        assert_eq!(*map.get_or_insert_with(&"a", || 9), 1);
        assert_eq!(*map.get_or_insert_with(&"b", || 9), 9);
    }

    #[test]
    fn a_bucket_is_one_service_in_one_region() {
        let limits = Limits::new("222222222222");
        let settings = AwsSettings { ec2: Rate::new(1, 1), ..AwsSettings::default() };
        assert!(limits.bucket(Service::Ec2, "eu-west-1", &settings).check().is_ok());
        assert!(limits.bucket(Service::Ec2, "eu-west-1", &settings).check().is_err());
        assert!(limits.bucket(Service::Ec2, "eu-west-2", &settings).check().is_ok());
        assert!(limits.bucket(Service::Ec2Changes, "eu-west-1", &settings).check().is_ok());
        assert!(limits.bucket(Service::S3, "eu-west-1", &settings).check().is_ok());
    }
}
