//! `plumbline preset NAME`: a complete baseline to begin with, as commented YAML. Prints.

use std::io::Write;

use clap::{Args, ValueEnum};

use super::{CliError, Exit};
use crate::api::AccountBaseline;
use crate::manifests;
use crate::validate::{SchemaError, Validation};

/// Arguments of `plumbline preset`.
#[derive(Clone, Copy, Debug, Args)]
pub struct PresetArgs {
    /// Which baseline
    pub name: Preset,
}

/// The baselines that are built in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// What the CIS AWS Foundations Benchmark asks for, as far as the four controls reach
    #[default]
    Cis,
}

impl Preset {
    /// The manifest as it is printed.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Cis => include_str!("preset/cis.yaml"),
        }
    }

    /// The name by which it is asked for.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cis => "cis",
        }
    }

    /// The manifest as an object; `None` would be a fault of its text.
    ///
    /// # Errors
    ///
    /// If the schemas cannot be used.
    pub fn baseline(self) -> Result<Option<AccountBaseline>, SchemaError> {
        let objects = Validation::new()?.objects(&manifests::parse("preset", self.text()));
        Ok(objects.ok().and_then(|objects| objects.baselines.into_iter().next()).map(|declared| declared.object))
    }
}

/// Runs the subcommand.
///
/// # Errors
///
/// If the output cannot be written.
pub fn run(args: PresetArgs, out: &mut impl Write) -> Result<Exit, CliError> {
    out.write_all(args.name.text().as_bytes())?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PortRange;
    use crate::baseline::Check;

    #[test]
    fn the_preset_is_a_valid_baseline_with_all_four_controls() {
        let controls = Preset::Cis.baseline().unwrap().unwrap().spec.controls;
        assert!(controls.password_policy.is_some() && controls.mfa.is_some());
        assert!(controls.security_groups.is_some() && controls.s3_encryption.is_some());
    }

    #[test]
    fn the_numbers_in_its_comments_are_those_of_the_references() {
        let mut numbered = 0;
        for line in Preset::Cis.text().lines() {
            let Some((before, comment)) = line.split_once("# CIS ") else { continue };
            let (numbers, check) = comment.split_once(": ").unwrap();
            let check = Check::ALL.into_iter().find(|known| check.starts_with(known.as_str())).expect(before);
            let cis = check.references().cis;
            let expected = [cis.v3, cis.v5, cis.v6, cis.v7].map(|ids| ids.join(" and ")).join(" / ");
            assert_eq!(numbers, expected, "{line}");
            numbered += 1;
        }
        let with_number = Check::ALL.into_iter().filter(|check| !check.references().cis.v3.is_empty()).count();
        assert_eq!(numbered, with_number, "every check that CIS numbers is in the preset");
    }

    #[test]
    fn cis_leaves_every_port_but_those_of_remote_administration_open() {
        let controls = Preset::Cis.baseline().unwrap().unwrap().spec.controls;
        let allowed = controls.security_groups.unwrap().allowed_ingress.unwrap();
        for protocol in ["tcp", "udp"] {
            let entry = allowed.iter().find(|entry| entry.protocol.as_str() == protocol).unwrap();
            let open = |port| entry.ports.iter().flatten().any(|PortRange { from, to }| (*from..=*to).contains(&port));
            let closed: Vec<u16> = (0..=u16::MAX).filter(|port| !open(*port)).collect();
            assert_eq!(closed, [22, 3389], "{protocol}");
        }
    }
}
