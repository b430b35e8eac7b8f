//! Strings of the resources that have a shape: each a newtype whose schema carries the length, the pattern and the
//! rule with the message that says what to change.

use std::time::Duration;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A string newtype: its doc is what `kubectl explain` prints, its attributes are its schema.
macro_rules! string_type {
    ($(#[$attr:meta])* $name:ident) => {
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        $(#[$attr])*
        #[serde(transparent)]
        #[schemars(inline)]
        pub struct $name(pub String);

        impl $name {
            /// The text as it stands in the resource.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

string_type!(
    /// An AWS account id: twelve digits, as a string, because leading zeros count. Example: `"222222222222"`.
    #[schemars(extend("minLength" = 1, "maxLength" = 32, "x-kubernetes-validations" = [
        {"rule": "self.matches('^[0-9]{12}$')",
         "message": "must be the twelve digits of an AWS account id, in quotes, such as \"222222222222\""},
    ]))]
    AccountId
);

string_type!(
    /// An AWS region's name. Example: `eu-west-1`.
    #[schemars(extend("minLength" = 1, "maxLength" = 32, "x-kubernetes-validations" = [
        {"rule": "self.matches('^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$')",
         "message": "must be the name of an AWS region, such as eu-west-1"},
    ]))]
    RegionName
);

string_type!(
    /// A time span of hours, minutes and seconds, at most five digits each: six would be more than a duration can hold.
    /// Examples: `30m`, `1h`, `1h30m`.
    #[schemars(extend("minLength" = 1, "maxLength" = 32, "x-kubernetes-validations" = [
        {"rule": "self.matches('^([0-9]{1,5}(s|m|h)){1,3}$')",
         "message": "must be a duration of hours, minutes and seconds with at most five digits each, such as 1h or \
                     30m"},
        {"rule": "!self.matches('^([0-9]{1,5}(s|m|h)){1,3}$') || duration(self) >= duration('1m')",
         "message": "must be at least 1m: nothing here is done more often"},
    ]))]
    BaselineDuration
);

string_type!(
    /// A number of days. Example: `90d`.
    #[schemars(extend("minLength" = 1, "maxLength" = 16, "x-kubernetes-validations" = [
        {"rule": "self.matches('^[1-9][0-9]{0,3}d$')",
         "message": "must be a number of days from 1d to 9999d, such as 90d"},
    ]))]
    Days
);

string_type!(
    /// An IPv4 or IPv6 block in CIDR notation, with no address bits behind the prefix. Examples: `10.0.0.0/8`, `::/0`.
    #[schemars(extend("minLength" = 1, "maxLength" = 43, "x-kubernetes-validations" = [
        {"rule": "isCIDR(self)", "message": "must be a CIDR block, such as 10.0.0.0/8 or 2001:db8::/32"},
        {"rule": "!isCIDR(self) || cidr(self) == cidr(self).masked()",
         "message": "has address bits behind the prefix: write the network address, such as 10.0.0.0/8, not \
                     10.1.2.3/8"},
    ]))]
    Cidr
);

string_type!(
    /// The id of a prefix list, the customer's own or AWS's. Example: `pl-0a1b2c3d`.
    #[schemars(extend("minLength" = 1, "maxLength" = 32, "x-kubernetes-validations" = [
        {"rule": "self.matches('^pl-[0-9a-f]{8,22}$')",
         "message": "must be the id of a prefix list, such as pl-0a1b2c3d, not its name"},
    ]))]
    PrefixListId
);

string_type!(
    /// A pattern for a security group's name, where `*` stands for any characters. Example: `bastion-*`.
    #[schemars(extend("minLength" = 1, "maxLength" = 255, "x-kubernetes-validations" = [
        {"rule": "self.matches('^[a-zA-Z0-9 ._:/()#,@+=&;{}!$*\\\\[\\\\]-]+$')",
         "message": "must be a security group's name in the characters that AWS allows (letters, digits, spaces and \
                     ._-:/()#,@[]+=&;{}!$), where * stands for any characters"},
    ]))]
    GroupNamePattern
);

string_type!(
    /// A protocol: `tcp`, `udp`, `icmp`, `icmpv6`, `all`, one of `gre`, `esp`, `ah`, `sctp`, or an IANA number as a
    /// string. Example: `tcp`.
    #[schemars(extend("minLength" = 1, "maxLength" = 16, "x-kubernetes-validations" = [
        {"rule": "self in ['tcp','udp','icmp','icmpv6','all','gre','esp','ah','sctp'] || \
                  self.matches('^(0|[1-9][0-9]{0,2})$')",
         "message": "must be tcp, udp, icmp, icmpv6, gre, esp, ah, sctp, all, or a protocol number from 0 to 255"},
        {"rule": "!self.matches('^(0|[1-9][0-9]{0,2})$') || int(self) <= 255",
         "message": "a protocol number is at most 255"},
        {"rule": "!(self in ['1','6','17','58'])",
         "message": "write tcp, udp, icmp or icmpv6 by name, not by number"},
    ]))]
    Protocol
);

string_type!(
    /// A KMS key: an alias in the bucket's region, or the ARN of a key or of an alias. Example: `alias/s3-default`.
    #[schemars(extend("minLength" = 1, "maxLength" = 320, "x-kubernetes-validations" = [
        {"rule": "self.matches('^alias/[a-zA-Z0-9/_-]+$') || \
                  self.matches('^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key/[a-zA-Z0-9-]+|alias/[a-zA-Z0-9/_-]+)$')",
         "message": "must be alias/NAME, or the ARN of a KMS key or alias"},
        {"rule": "!self.startsWith('alias/aws/') && !self.contains(':alias/aws/')",
         "message": "is an AWS-managed key: name a customer-managed key, or leave kmsKeys out"},
    ]))]
    KmsKeyName
);

string_type!(
    /// The name of an AwsAccount. Example: `payments-prod`.
    #[schemars(extend("minLength" = 1, "maxLength" = 253, "x-kubernetes-validations" = [
        {"rule": "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
         "message": "must be the name of an AwsAccount: lower case letters, digits, '-' and '.', such as \
                     payments-prod"},
    ]))]
    AwsAccountName
);

string_type!(
    /// A pattern for a resource's ARN or name, where `*` stands for any characters. Example: `reporting-*`.
    #[schemars(extend("minLength" = 1, "maxLength" = 1024, "x-kubernetes-validations" = [
        {"rule": "self.matches('^[a-zA-Z0-9 ._:/()#,@+=&;{}!$*\\\\[\\\\]-]+$')",
         "message": "must be an ARN or a name, in the characters that AWS allows there, where * stands for any \
                     characters, such as reporting-* or arn:aws:s3:::exports-*"},
    ]))]
    ResourcePattern
);

string_type!(
    /// A moment in RFC 3339. Example: `2027-10-31T00:00:00Z`.
    #[schemars(extend("minLength" = 1, "maxLength" = 40, "x-kubernetes-validations" = [
        {"rule": "self.matches('^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:\
                  [0-5][0-9](\\\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$')",
         "message": "must be a date and time in RFC 3339 with its zone, such as 2027-10-31T00:00:00Z"},
    ]))]
    ExpiryTime
);

string_type!(
    /// A time of day, hours and minutes on a clock of 24 hours. Example: `22:00`.
    #[schemars(extend("minLength" = 1, "maxLength" = 16, "x-kubernetes-validations" = [
        {"rule": "self.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')",
         "message": "must be a time of day in quotes, such as \"22:00\""},
    ]))]
    StartTime
);

string_type!(
    /// A time zone by its IANA name. Example: `Europe/Berlin`.
    #[schemars(extend("minLength" = 1, "maxLength" = 64, "x-kubernetes-validations" = [
        {"rule": "self.matches('^(UTC|[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)+)$')",
         "message": "must be the IANA name of a time zone, such as Europe/Berlin or UTC"},
        {"rule": "!self.matches('^(UTC|[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)+)$') || \
                  timestamp('2024-01-01T00:00:00Z').getHours(self) >= 0",
         "message": "is no time zone that the API server knows: see the IANA time zone database"},
    ]))]
    TimeZoneName
);

string_type!(
    /// The name of an IAM user. Example: `emergency-1`.
    #[schemars(extend("minLength" = 1, "maxLength" = 128, "x-kubernetes-validations" = [
        {"rule": "self.matches('^[A-Za-z0-9_+=,.@-]{1,64}$')",
         "message": "must be the name of an IAM user, such as emergency-1; no ARN and no path"},
    ]))]
    IamUserName
);

impl BaselineDuration {
    /// The time span; `None` for a text that the API server's rules would refuse.
    #[must_use]
    pub fn to_duration(&self) -> Option<Duration> {
        let span: SignedDuration = self.0.parse().ok()?;
        Duration::try_from(span).ok().filter(|span| !span.is_zero())
    }
}

impl Days {
    /// The number of days; `None` for a text that the API server's rules would refuse.
    #[must_use]
    pub fn to_days(&self) -> Option<u16> {
        self.0.strip_suffix('d')?.parse().ok().filter(|days| *days > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_hours_minutes_and_seconds() {
        let seconds = |text: &str| BaselineDuration::from(text).to_duration().map(|span| span.as_secs());
        assert_eq!(seconds("1h30m"), Some(5400));
        assert_eq!(seconds("90s"), Some(90));
        for bad in ["", "1", "h", "1d", "-1h", "0s", "99999999999999999999h"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
