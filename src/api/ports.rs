//! Ports and ranges of ports as they stand in a resource: an integer, or a string `from-to`.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One port, or a range of ports with both ends in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// The lowest port, 0 to 65535.
    pub from: u16,
    /// The highest port, never below `from`.
    pub to: u16,
}

/// Why a text is no range of ports.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is neither a port (0-65535) nor a range such as 8000-8080, the lower port first")]
pub struct PortRangeError(String);

impl PortRange {
    /// A single port.
    #[must_use]
    pub fn single(port: u16) -> Self {
        Self { from: port, to: port }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to { write!(f, "{}", self.from) } else { write!(f, "{}-{}", self.from, self.to) }
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || PortRangeError(text.to_owned());
        let (from, to) = text.split_once('-').ok_or_else(bad)?;
        let from: u16 = from.parse().map_err(|_| bad())?;
        let to: u16 = to.parse().map_err(|_| bad())?;
        if from < to { Ok(Self { from, to }) } else { Err(bad()) }
    }
}

impl Serialize for PortRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.from == self.to { serializer.serialize_u16(self.from) } else { serializer.collect_str(self) }
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Port(i64),
            Range(String),
        }
        match Raw::deserialize(deserializer)? {
            Raw::Port(port) => u16::try_from(port)
                .map(Self::single)
                .map_err(|_| serde::de::Error::custom(PortRangeError(port.to_string()))),
            Raw::Range(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl JsonSchema for PortRange {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PortRange".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // The length limit keeps the rules inside the API server's cost budget: 11 is `65535-65535`.
        json_schema!({
            "description": "A port as a number, or a range as a string. Examples: `443`, `8000-8080`.",
            "x-kubernetes-int-or-string": true,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "maxLength": 11,
            "x-kubernetes-validations": [
                {
                    "rule": "type(self) == int ? (self >= 0 && self <= 65535) : \
                             self.matches('^[0-9]{1,5}-[0-9]{1,5}$')",
                    "message": "must be a port from 0 to 65535 as a number, or a range such as 8000-8080"
                },
                {
                    "rule": "type(self) == int || !self.matches('^[0-9]{1,5}-[0-9]{1,5}$') || \
                             (int(self.split('-')[0]) < int(self.split('-')[1]) && int(self.split('-')[1]) <= 65535)",
                    "message": "a range goes from the lower to the higher port, at most 65535: write 8000-8080, \
                                and a single port as a number"
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_ranges_survive_a_round_trip() {
        let ports: Vec<PortRange> = serde_json::from_str(r#"[22, "8000-8080", 0]"#).unwrap();
        assert_eq!(ports[1], PortRange { from: 8000, to: 8080 });
        assert_eq!(serde_json::to_string(&ports).unwrap(), r#"[22,"8000-8080",0]"#);
    }

    #[test]
    fn what_is_no_range_is_refused_with_an_example() {
        for bad in ["65536", "-1", "\"80-22\"", "\"80-80\"", "\"80-65536\"", "\"http\"", "\"80\""] {
            let error = serde_json::from_str::<PortRange>(bad).unwrap_err().to_string();
            assert!(error.contains("8000-8080"), "{bad}: {error}");
        }
    }
}
