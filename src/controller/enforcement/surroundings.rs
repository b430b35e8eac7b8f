//! What a pass of enforcement stands on in the cluster: who claims, what is still wanted, who is told. No IO by itself.

use jiff::Timestamp;

use super::Work;
use crate::controller::baselines::Assessed;
use crate::controller::intent::{self, KubeIntent};
use crate::controller::witness::KubeWitness;
use crate::engine::cloud::Target;
use crate::engine::enforce::{Claimant, Surroundings};

impl Work<'_> {
    pub(super) fn claimant(&self, target: &Target, assessed: &Assessed) -> Claimant {
        Claimant {
            target: target.clone(),
            partition: assessed.assessment.identity.partition.clone(),
            baseline: self.baseline.clone(),
            claimed_by: self.context.identity.clone(),
        }
    }

    pub(super) fn intent(&self, approval: Option<(String, String)>) -> KubeIntent {
        let planned = intent::Planned {
            baseline: self.pass.baseline.clone(),
            account: self.account.clone(),
            exceptions: self.pass.in_force.fingerprint.clone(),
            approval,
        };
        KubeIntent { client: self.context.fresh.clone(), planned, stop: self.context.stop.clone() }
    }

    pub(super) fn witness(&self) -> KubeWitness {
        KubeWitness::of(&self.pass.baseline, self.context)
    }

    pub(super) fn surroundings<'s>(&'s self, intent: &'s KubeIntent, witness: &'s KubeWitness) -> Surroundings<'s> {
        Surroundings {
            ledger: &self.context.ledger,
            intent,
            leadership: &*self.context.leadership,
            provider: &*self.context.provider,
            witness,
            // Records are put in order by it, and several are made within a second.
            now: Timestamp::now,
        }
    }
}
