//! From a judged account to a plan and, where a control enforces, to changes: settle what an earlier process left,
//! plan, admit, enforce, and judge and plan again where something was made. Where none enforces: settle, and plan. IO
//! through ledger, cloud and fresh reads alone.
//!
//! Up to the first change, and after the last one, the pass is given up where an edit overtakes it. In between each
//! change looks for itself whether it is still wanted.

mod admission;
mod surroundings;

use std::collections::BTreeSet;
use std::time::Duration;

use kube::ResourceExt;
use tracing::{info, warn};

use self::admission::{Standing, approval_of};
use super::approvals;
use super::baselines::{Assessed, Pass};
use super::budget::Share;
use super::context::{Context, now};
use super::entries::one_line;
use super::ledger::expired;
use super::planned::{Planned, again};
use super::status::Evaluated;
use super::usage::AccountUsage;
use crate::api::{AwsAccount, Enforcement, RecordedBaseline};
use crate::baseline::admit::{Admission, Block, BlockReason};
use crate::baseline::history::{History, Outcome};
use crate::baseline::plan::{Circumstances, Evidence, Plan, enforces, plan};
use crate::engine::cloud::Target;
use crate::engine::enforce::{Made, enforce, settle};
use crate::engine::ledger::Ledger;
use crate::engine::{AssessError, gather};

/// The version that evaluates: a new one looks once before it changes anything.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long a change that is under way may take to end when the process ends.
const LAST_CHANGE: Duration = Duration::from_secs(20);

/// Plans for a judged account, and changes it where that is wanted; `None` if an edit or the end of the process
/// overtook the pass.
pub(super) async fn enforced(
    pass: &Pass,
    account: &AwsAccount,
    assessed: Assessed,
    context: &Context,
) -> Result<Option<Evaluated>, AssessError> {
    let spec = &pass.baseline.spec;
    if !enforces(spec.mode, &spec.controls) {
        return Ok(audited(pass, account, assessed, context).await);
    }
    let prepared = tokio::select! {
        biased;
        () = pass.halted(context) => return Ok(None),
        prepared = prepare(pass, account, assessed, context) => prepared?,
    };
    let Prepared { work, assessed, look, standing, admission, share } = prepared;
    if admission.start.is_empty() {
        work.forget_old_records(&look.history).await;
        return Ok(Some(Work::evaluated(assessed, look, admission, &Made::default())));
    }
    if let Err(block) = work.mark_as_used(&look, &standing, &admission).await {
        let admission = Admission { block: Some(block), ..Admission::default() };
        return Ok(Some(Work::evaluated(assessed, look, admission, &Made::default())));
    }
    let Some(made) = work.change(&assessed, &look, &standing, &admission).await else { return Ok(None) };
    drop(share);
    if made.changes.is_empty() {
        return Ok(Some(Work::evaluated(assessed, look, admission, &made)));
    }
    // In this order: a process that ends does not even begin to look.
    tokio::select! {
        biased;
        () = pass.halted(context) => Ok(None),
        evaluated = work.look_again(&made) => evaluated.map(Some),
    }
}

/// Where no control enforces any more, what became of earlier changes is found out all the same.
async fn audited(pass: &Pass, account: &AwsAccount, assessed: Assessed, context: &Context) -> Option<Evaluated> {
    let work = Work::new(pass, account, context, BTreeSet::new());
    tokio::select! {
        biased;
        () = pass.halted(context) => return None,
        settled = work.settle(&assessed) => if let Err(block) = settled {
            warn!(reason = block.message, "records without outcome were not looked for");
        },
    }
    let plan = work.plan(&assessed, &Evidence::default(), History::default());
    Some(Evaluated { assessment: assessed.assessment, planned: Planned { plan, ..Planned::default() } })
}

/// What stands before the first change.
struct Prepared<'a> {
    work: Work<'a>,
    assessed: Assessed,
    look: Look,
    standing: Standing,
    admission: Admission,
    share: Option<Share<'a>>,
}

async fn prepare<'a>(
    pass: &'a Pass,
    account: &'a AwsAccount,
    mut assessed: Assessed,
    context: &'a Context,
) -> Result<Prepared<'a>, AssessError> {
    let own_users = context.own_users(&pass.target(account)).await;
    let own_users = own_users.map_err(|cause| {
        let account_id = account.spec.account_id.to_string();
        AssessError::Unreachable { account_id, cause }
    })?;
    let work = Work::new(pass, account, context, own_users);
    let settled = work.settle(&assessed).await;
    if settled.as_ref().is_ok_and(|made| made.changes.iter().any(|(_, settlement)| settlement.is_some())) {
        // What was found may be newer than what was judged.
        assessed = pass.assess(account, context).await?;
    }
    let look = work.look(&assessed).await;
    let standing = work.standing().await;
    let (admission, share) = match settled.map_or_else(Some, |made| made.block) {
        None => work.admit(&look, &standing).await,
        block => (Admission { block, ..Admission::default() }, None),
    };
    Ok(Prepared { work, assessed, look, standing, admission, share })
}

/// One pass of enforcement over one account.
struct Work<'a> {
    pass: &'a Pass,
    account: &'a AwsAccount,
    context: &'a Context,
    own_users: BTreeSet<String>,
    baseline: RecordedBaseline,
    enforcement: Enforcement,
    /// The account with its enforce role, where it has one and this process may change it.
    target: Option<Target>,
}

/// What is to be changed, and what was changed before.
struct Look {
    plan: Plan,
    history: History,
    /// Why nothing may be started: the records could not be read.
    unread: Option<Block>,
}

impl<'a> Work<'a> {
    fn new(pass: &'a Pass, account: &'a AwsAccount, context: &'a Context, own_users: BTreeSet<String>) -> Self {
        let baseline = &pass.baseline;
        let target = Target::to_enforce(&account.spec, &baseline.name_any());
        Self {
            pass,
            account,
            context,
            own_users,
            baseline: RecordedBaseline {
                name: baseline.name_any(),
                uid: baseline.uid().unwrap_or_default(),
                generation: baseline.metadata.generation.unwrap_or_default(),
                requested_at: pass.trigger.requested_at.as_deref().map(one_line),
            },
            enforcement: baseline.spec.enforcement.clone().unwrap_or_default(),
            target: target.filter(|_| context.settings.enforcement.enforce),
        }
    }

    fn enabled(&self) -> bool {
        self.context.settings.enforcement.enforce
    }

    fn account_id(&self) -> &str {
        self.account.spec.account_id.as_str()
    }

    /// Settles what an earlier process, or an earlier pass, left without an outcome in this account.
    async fn settle(&self, assessed: &Assessed) -> Result<Made, Block> {
        let Some(target) = &self.target else { return Ok(Made::default()) };
        let (intent, witness) = (self.intent(None), self.witness());
        let surroundings = self.surroundings(&intent, &witness);
        let settled = settle(self.account_id(), &self.claimant(target, assessed), &surroundings).await;
        settled.map_err(|error| blocked(BlockReason::NotRecorded, &error.message))
    }

    /// Reads what a plan needs beside the assessment, and plans.
    async fn look(&self, assessed: &Assessed) -> Look {
        let history =
            if self.enabled() { self.context.ledger.history(self.account_id()).await } else { Ok(History::default()) };
        let (history, unread) = match history {
            Ok(history) => (history, None),
            Err(error) => (History::default(), Some(blocked(BlockReason::NotRecorded, &error.message))),
        };
        let spec = &self.pass.baseline.spec;
        let owned_elsewhere = self.enforcement.owned_elsewhere.as_deref().unwrap_or_default();
        let gathered = gather(&assessed.assessment, spec.mode, &spec.controls, owned_elsewhere, &*assessed.cloud);
        // The cloud gives up its reads at the deadline. This is the belt to that brace; without evidence all is held.
        let evidence = tokio::time::timeout(Pass::limit(self.context), gathered).await.unwrap_or_default();
        self.context.usages.note(self.account, AccountUsage::of_evidence(&evidence), &self.context.accounts);
        let plan = self.plan(assessed, &evidence, history.clone());
        Look { plan, history, unread }
    }

    fn plan(&self, assessed: &Assessed, evidence: &Evidence, history: History) -> Plan {
        let spec = &self.pass.baseline.spec;
        let assessment = &assessed.assessment;
        let circumstances = Circumstances {
            now: now(),
            account: assessment.identity.clone(),
            mode: spec.mode,
            owned_elsewhere: self.enforcement.owned_elsewhere.clone().unwrap_or_default(),
            own_users: self.own_users.clone(),
            baseline: self.baseline.clone(),
            history,
        };
        plan(&assessment.findings, &assessment.snapshots, evidence, &spec.controls, &circumstances)
    }

    /// Makes the changes that were admitted; `None` if the process ended before they had ended.
    async fn change(
        &self,
        assessed: &Assessed,
        look: &Look,
        standing: &Standing,
        admission: &Admission,
    ) -> Option<Made> {
        let target = self.target.as_ref()?;
        let approval = approval_of(standing, admission);
        let intent = self.intent(approval.map(|approval| (approval.name_any(), approval.uid().unwrap_or_default())));
        let witness = self.witness();
        let claimant = self.claimant(target, assessed);
        let (changes, plan) = (admission.start.len(), look.plan.digest.as_deref().unwrap_or_default());
        info!(changes, plan, approval = admission.approval, "enforces");
        let surroundings = self.surroundings(&intent, &witness);
        let stopped = async {
            self.context.stop.cancelled().await;
            // The intent says no from now on: one change at most is still under way.
            tokio::time::sleep(LAST_CHANGE).await;
        };
        tokio::select! {
            made = enforce(&look.plan, admission, &claimant, &look.history, &surroundings) => Some(made),
            () = stopped => {
                warn!("a change was given up: what became of it is settled by the next process");
                None
            }
        }
    }

    /// Judges and plans again after something was made.
    async fn look_again(&self, made: &Made) -> Result<Evaluated, AssessError> {
        let assessed = self.pass.assess(self.account, self.context).await?;
        let look = self.look(&assessed).await;
        let standing = self.standing().await;
        // What could start now starts with the next pass: the share is given back.
        let (admission, _) = self.admit(&look, &standing).await;
        for approval in standing.approvals.iter().filter(|approval| approvals::is_used(approval)) {
            if let Err(error) = approvals::mark(self.context, approval, &Self::usage(approval, &look)).await {
                warn!(approval = approval.name_any(), error = super::describe(&error), "its status was not written");
            }
        }
        self.forget_old_records(&look.history).await;
        Ok(Self::evaluated(assessed, look, admission, made))
    }

    fn evaluated(assessed: Assessed, look: Look, admission: Admission, made: &Made) -> Evaluated {
        let succeeded = made.changes.iter().filter(|(_, settlement)| {
            settlement.as_ref().is_some_and(|settlement| settlement.outcome == Outcome::Succeeded)
        });
        let count = succeeded.count();
        let block = made.block.clone().or(admission.block);
        let again = again(block.as_ref(), !admission.start.is_empty(), count, &look.history, now());
        let planned =
            Planned { enforces: true, plan: look.plan, block, approval: admission.approval, made: count, again };
        Evaluated { assessment: assessed.assessment, planned }
    }

    async fn forget_old_records(&self, history: &History) {
        let kept = usize::try_from(self.context.settings.enforcement.records_per_account).unwrap_or(usize::MAX);
        if self.target.is_some() {
            self.context.ledger.delete(&expired(history, kept, now())).await;
        }
    }
}

fn blocked(reason: BlockReason, message: &str) -> Block {
    Block { reason, message: one_line(message), until: None }
}
