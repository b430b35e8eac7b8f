//! From EC2's and Service Quotas' answers to the zones of a region and to what it allows a security group. IO through
//! the account's clients.

use aws_sdk_ec2::types::{AvailabilityZone as Found, Filter};
use jiff::Timestamp;

use super::account::Account;
use super::ec2::needed;
use super::error::malformed;
use super::operation::{DESCRIBE_AVAILABILITY_ZONES, GET_SERVICE_QUOTA};
use super::paging::now;
use crate::api::AvailabilityZone;
use crate::baseline::Cause;
use crate::baseline::quotas::{RULES_PER_GROUP_CODE, VPC_SERVICE_CODE};

/// The type of a zone that is neither a local zone nor one of a carrier.
const ZONE_TYPE: &str = "availability-zone";

type Read<T> = Result<(T, Timestamp), Cause>;

impl Account {
    pub(super) async fn read_availability_zones(&self, region: &str) -> Read<Vec<AvailabilityZone>> {
        let filter = Filter::builder().name("zone-type").values(ZONE_TYPE).build();
        let request = self.ec2(region).describe_availability_zones().all_availability_zones(false).filters(filter);
        let answer = self.call(DESCRIBE_AVAILABILITY_ZONES, region, request.send()).await?;
        let zone = |found: &Found| {
            let name = needed(DESCRIBE_AVAILABILITY_ZONES, "ZoneName", found.zone_name())?;
            let id = needed(DESCRIBE_AVAILABILITY_ZONES, "ZoneId", found.zone_id())?;
            Ok::<_, Cause>(AvailabilityZone { name, id })
        };
        let is_one = |found: &&Found| found.zone_type().is_none_or(|kind| kind == ZONE_TYPE);
        let mut zones = answer.availability_zones().iter().filter(is_one).map(zone).collect::<Result<Vec<_>, _>>()?;
        if zones.is_empty() {
            return Err(malformed(DESCRIBE_AVAILABILITY_ZONES, "the answer names no zone"));
        }
        zones.sort();
        Ok((zones, now()))
    }

    pub(super) async fn read_rules_per_group_quota(&self, region: &str) -> Read<i64> {
        let client = self.service_quotas(region);
        let request = client.get_service_quota().service_code(VPC_SERVICE_CODE).quota_code(RULES_PER_GROUP_CODE);
        let answer = self.call(GET_SERVICE_QUOTA, region, request.send()).await?;
        let value = answer.quota().and_then(aws_sdk_servicequotas::types::ServiceQuota::value);
        // A quota is a count; AWS sends it as a number with a fraction.
        let count = value.filter(|value| (0.0..=1e9).contains(value)).map(|value| {
            #[expect(clippy::cast_possible_truncation, reason = "within a range that fits")]
            let count = value as i64;
            count
        });
        let count = count.ok_or_else(|| malformed(GET_SERVICE_QUOTA, "the answer leaves out the quota's value"))?;
        Ok((count, now()))
    }
}

#[cfg(test)]
mod tests;
