//! From an assessment to the evidence that planning needs beside it: read only for controls that enforce, and only
//! about what fails. IO through the cloud alone.

mod mfa;
mod password_policy;
mod s3_encryption;
mod security_groups;

use super::Assessment;
use super::cloud::Cloud;
use crate::api::{Controls, Mode, OwnerTag};
use crate::baseline::plan::{Evidence, mode_of};
use crate::baseline::{Control, Finding, Verdict};

/// Gathers the evidence for all controls that enforce, side by side. The assessment is the one after exceptions.
pub async fn gather(
    assessment: &Assessment,
    ceiling: Mode,
    controls: &Controls,
    owned_elsewhere: &[OwnerTag],
    cloud: &dyn Cloud,
) -> Evidence {
    let failing = |control: Control| -> Vec<&Finding> {
        if mode_of(control, ceiling, controls) == Mode::Audit {
            return Vec::new();
        }
        let of = |finding: &&Finding| finding.subject().check.control() == control;
        assessment.findings.iter().filter(of).filter(|finding| finding.verdict() == Verdict::Fail).collect()
    };
    let snapshots = &assessment.snapshots;
    let identity = &assessment.identity;
    let (password_policy, mfa, security_groups, s3_encryption) = futures::join!(
        async {
            let failing = failing(Control::PasswordPolicy);
            match (&controls.password_policy, &snapshots.password_policy) {
                (Some(desired), Some(snapshot)) if !failing.is_empty() => {
                    Some(password_policy::gather(desired, &failing, snapshot, identity, cloud).await)
                }
                _ => None,
            }
        },
        async {
            let failing = failing(Control::Mfa);
            match (&controls.mfa, &snapshots.mfa) {
                (Some(desired), Some(snapshot)) if !failing.is_empty() => {
                    Some(mfa::gather(desired, &failing, snapshot, identity, cloud).await)
                }
                _ => None,
            }
        },
        async {
            let failing = failing(Control::SecurityGroups);
            match (&controls.security_groups, &snapshots.security_groups) {
                (Some(desired), Some(snapshot)) if !failing.is_empty() => {
                    Some(security_groups::gather(desired, &failing, snapshot, identity, cloud).await)
                }
                _ => None,
            }
        },
        async {
            let failing = failing(Control::S3Encryption);
            match (&controls.s3_encryption, &snapshots.s3_encryption) {
                (Some(desired), Some(snapshot)) if !failing.is_empty() => {
                    Some(s3_encryption::gather(desired, &failing, snapshot, identity, owned_elsewhere, cloud).await)
                }
                _ => None,
            }
        },
    );
    Evidence { password_policy, mfa, security_groups, s3_encryption }
}
