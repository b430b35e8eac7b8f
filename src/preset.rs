//! From the name of a built-in baseline to its text and its controls. No IO: the texts are in the binary.

use crate::api::{AccountBaseline, Controls};

/// The names of the presets, in the order in which they are listed.
pub const PRESETS: [&str; 1] = [DEFAULT];

/// The preset that is used where none is named.
pub const DEFAULT: &str = "cis";

/// Why a preset gives no controls.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    /// There is none of this name.
    #[error("there is no preset `{name}`: use {}", PRESETS.join(", "))]
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// The text in the binary is no `AccountBaseline`, which would be a fault of this program.
    #[error("the preset `{name}` cannot be read")]
    Malformed {
        /// The name of the preset.
        name: String,
        /// What is wrong with its text.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
}

/// The text of a preset: the manifest of an `AccountBaseline`, with comments.
#[must_use]
pub fn preset(name: &str) -> Option<&'static str> {
    match name {
        DEFAULT => Some(include_str!("presets/cis.yaml")),
        _ => None,
    }
}

/// What a preset asks for.
///
/// # Errors
///
/// If there is no preset of this name.
pub fn controls(name: &str) -> Result<Controls, PresetError> {
    let text = preset(name).ok_or_else(|| PresetError::Unknown { name: name.to_owned() })?;
    let baseline: AccountBaseline = serde_saphyr::from_str(text)
        .map_err(|source| PresetError::Malformed { name: name.to_owned(), source: Box::new(source) })?;
    Ok(baseline.spec.controls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Algorithm, PortRange};

    #[test]
    fn every_preset_has_a_text_that_names_all_four_controls() {
        for name in PRESETS {
            let controls = controls(name).unwrap();
            assert!(controls.password_policy.is_some(), "{name}");
            assert!(controls.mfa.is_some(), "{name}");
            assert!(controls.security_groups.is_some(), "{name}");
            assert!(controls.s3_encryption.is_some(), "{name}");
        }
    }

    #[test]
    fn cis_asks_for_what_the_benchmark_asks_for() {
        let controls = controls("cis").unwrap();
        let policy = controls.password_policy.unwrap();
        assert_eq!((policy.minimum_password_length, policy.password_reuse_prevention), (Some(14), Some(24)));
        let root = controls.mfa.unwrap().root_user.unwrap();
        assert!(root.require_mfa && root.require_hardware_mfa && root.forbid_access_keys);
        assert_eq!(root.require_unused_for, Some("90d".into()));
        let buckets = controls.s3_encryption.unwrap();
        assert_eq!((buckets.minimum_algorithm, buckets.require_tls), (Some(Algorithm::SseS3), true));
    }

    #[test]
    fn cis_leaves_every_port_but_those_of_remote_administration_open() {
        let allowed = controls("cis").unwrap().security_groups.unwrap().allowed_ingress.unwrap();
        for protocol in ["tcp", "udp"] {
            let entry = allowed.iter().find(|entry| entry.protocol.as_str() == protocol).unwrap();
            let open = |port| entry.ports.iter().flatten().any(|PortRange { from, to }| (*from..=*to).contains(&port));
            let closed: Vec<u16> = (0..=u16::MAX).filter(|port| !open(*port)).collect();
            assert_eq!(closed, [22, 3389], "{protocol}");
            assert_eq!(entry.cidrs.as_ref().unwrap().len(), 2);
        }
    }

    #[test]
    fn an_unknown_preset_is_named_with_those_that_exist() {
        assert_eq!(controls("pci").unwrap_err().to_string(), "there is no preset `pci`: use cis");
    }
}
