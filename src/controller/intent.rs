//! Whether a change is still wanted: the baseline, its account, the exceptions, the approval and rival baselines, read
//! afresh and compared with what the change was planned from. [`judge`] is pure; the rest is quorum reads.
//!
//! What cannot be read is not wanted.

use async_trait::async_trait;
use jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, Client, Resource, ResourceExt};
use tokio_util::sync::CancellationToken;

use super::Guarded;
use super::approvals::expiry;
use super::context::now;
use super::entries::one_line;
use super::exceptions::in_force_of;
use super::fresh::{CallError, all, answered, each};
use crate::api::{AccountBaseline, AwsAccount, BaselineException, Mode, PlanApproval};
use crate::baseline::Control;
use crate::baseline::plan::mode_of;
use crate::engine::ledger::{Intent, Wanted};

/// What the changes of a pass were planned from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Planned {
    pub(super) baseline: AccountBaseline,
    pub(super) account: AwsAccount,
    /// The fingerprint of the exceptions that were applied.
    pub(super) exceptions: Option<String>,
    /// Name and uid of the approval that covers the changes.
    pub(super) approval: Option<(String, String)>,
}

/// The same, as it stands now.
#[derive(Clone, Debug, PartialEq)]
struct Fresh {
    baseline: Option<AccountBaseline>,
    account: Option<AwsAccount>,
    exceptions: Option<String>,
    approval: Option<PlanApproval>,
    /// The name of another baseline for the same account.
    rival: Option<String>,
}

/// The intent behind the changes of one pass.
pub(super) struct KubeIntent {
    pub(super) client: Client,
    pub(super) planned: Planned,
    /// Once it is cancelled, nothing is wanted any more.
    pub(super) stop: CancellationToken,
}

#[async_trait]
impl Intent for KubeIntent {
    async fn still_wanted(&self, control: Control, approval: Option<&str>) -> Wanted {
        if self.ends() {
            return Wanted::No("this process ends, or does not lead any more".to_owned());
        }
        match Box::pin(self.read(approval)).await {
            Ok(fresh) => judge(&self.planned, &fresh, control, approval, now()),
            Err(error) => Wanted::Unreadable(one_line(&format!("what is wanted could not be read: {error}"))),
        }
    }

    fn ends(&self) -> bool {
        self.stop.is_cancelled()
    }
}

impl KubeIntent {
    async fn read(&self, approval: Option<&str>) -> Result<Fresh, CallError> {
        let (baselines, accounts) = (Api::<AccountBaseline>::all(self.client.clone()), self.accounts());
        let (baseline_name, account_name) = (self.planned.baseline.name_any(), self.planned.account.name_any());
        let uid = self.planned.baseline.uid().unwrap_or_default();
        let approvals = Api::<PlanApproval>::all(self.client.clone());
        let approval = async {
            match approval {
                Some(name) => answered(approvals.get_opt(name)).await,
                None => Ok(None),
            }
        };
        let (baseline, account, exceptions, approval, rival) = futures::try_join!(
            answered(baselines.get_opt(&baseline_name)),
            answered(accounts.get_opt(&account_name)),
            exceptions(&self.client, &account_name),
            approval,
            rival(&self.client, &uid, self.planned.account.spec.account_id.as_str()),
        )?;
        Ok(Fresh { baseline, account, exceptions, approval, rival })
    }

    fn accounts(&self) -> Api<AwsAccount> {
        Api::all(self.client.clone())
    }
}

async fn exceptions(client: &Client, account: &str) -> Result<Option<String>, CallError> {
    let api = Api::<Guarded<BaselineException>>::all(client.clone());
    let objects = all(&api, ListParams::default()).await?;
    Ok(in_force_of(objects.iter(), account, now()).fingerprint)
}

/// Another baseline for the account of this id, by a fresh list. One that this version cannot read has no account that
/// could be known, and is told of elsewhere.
pub(super) async fn rival(client: &Client, uid: &str, account_id: &str) -> Result<Option<String>, CallError> {
    let mut names = Vec::new();
    let take = |account: Guarded<AwsAccount>| {
        if let Ok(account) = account.0
            && account.spec.account_id.as_str() == account_id
        {
            names.push(account.name_any());
        }
    };
    each(&Api::<Guarded<AwsAccount>>::all(client.clone()), ListParams::default(), take).await?;
    let api = Api::<AccountBaseline>::all(client.clone());
    for name in names {
        let params = ListParams::default().fields(&format!("spec.accountRef.name={name}")).limit(500);
        // Their specs and statuses are large, and only their names are asked for.
        let found = answered(api.list_metadata(&params)).await?;
        if let Some(other) = found.items.iter().find(|other| other.uid().as_deref() != Some(uid)) {
            return Ok(Some(other.name_any()));
        }
    }
    Ok(None)
}

/// The first thing that stands otherwise than when the change was planned.
fn judge(planned: &Planned, fresh: &Fresh, control: Control, approval: Option<&str>, now: Timestamp) -> Wanted {
    let objection = baseline_objection(planned, fresh, control)
        .or_else(|| account_objection(planned, fresh))
        .or_else(|| {
            let changed = planned.exceptions != fresh.exceptions;
            changed.then(|| "the BaselineExceptions that are in force changed".to_owned())
        })
        .or_else(|| approval_objection(planned, fresh, approval, now))
        .or_else(|| fresh.rival.as_ref().map(|name| format!("AccountBaseline {name} is for the same account")));
    objection.map_or(Wanted::Yes, Wanted::No)
}

fn baseline_objection(planned: &Planned, fresh: &Fresh, control: Control) -> Option<String> {
    let name = planned.baseline.name_any();
    let Some(baseline) = fresh.baseline.as_ref().filter(|baseline| same_object(*baseline, &planned.baseline)) else {
        return Some(format!("AccountBaseline {name} was deleted"));
    };
    if baseline.spec.suspend {
        Some(format!("AccountBaseline {name} is suspended"))
    } else if mode_of(control, baseline.spec.mode, &baseline.spec.controls) != Mode::Enforce {
        Some(format!("the mode of {control} in AccountBaseline {name} is Audit"))
    } else if !same_spec(baseline, &planned.baseline) {
        Some(format!("AccountBaseline {name} was edited"))
    } else {
        None
    }
}

fn account_objection(planned: &Planned, fresh: &Fresh) -> Option<String> {
    let name = planned.account.name_any();
    let Some(account) = fresh.account.as_ref().filter(|account| same_object(*account, &planned.account)) else {
        return Some(format!("AwsAccount {name} was deleted"));
    };
    if account.spec.suspend {
        Some(format!("AwsAccount {name} is suspended"))
    } else if account.spec.enforce_role_name.is_none() {
        Some(format!("AwsAccount {name} names no enforceRoleName"))
    } else if !same_spec(account, &planned.account) {
        Some(format!("AwsAccount {name} was edited"))
    } else {
        None
    }
}

fn approval_objection(planned: &Planned, fresh: &Fresh, approval: Option<&str>, now: Timestamp) -> Option<String> {
    let name = approval?;
    let uid = planned.approval.as_ref().filter(|(planned, _)| planned == name).map(|(_, uid)| uid.as_str());
    let stored = fresh.approval.as_ref().filter(|stored| uid.is_some() && stored.uid().as_deref() == uid);
    let Some(stored) = stored.filter(|stored| stored.metadata.deletion_timestamp.is_none()) else {
        return Some(format!("PlanApproval {name} was deleted"));
    };
    if expiry(stored).is_none_or(|end| end <= now) {
        Some(format!("PlanApproval {name} has expired"))
    } else if stored.status.as_ref().is_none_or(|status| status.used_at.is_none()) {
        Some(format!("PlanApproval {name} is not marked as used"))
    } else {
        None
    }
}

/// The same object, and not about to go.
fn same_object(fresh: &impl ResourceExt, planned: &impl ResourceExt) -> bool {
    fresh.uid() == planned.uid() && fresh.meta().deletion_timestamp.is_none()
}

fn same_spec(fresh: &impl Resource, planned: &impl Resource) -> bool {
    fresh.meta().generation == planned.meta().generation
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::api::{AccountBaselineSpec, AwsAccountSpec, PlanApprovalSpec, PlanApprovalStatus};

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn planned() -> Planned {
        let controls = serde_json::from_str(r#"{"passwordPolicy": {"minimumPasswordLength": 14}}"#).unwrap();
        let spec = AccountBaselineSpec { mode: Mode::Enforce, controls, ..AccountBaselineSpec::default() };
        let mut baseline = AccountBaseline::new("prod", spec);
        (baseline.metadata.uid, baseline.metadata.generation) = (Some("b".to_owned()), Some(3));
        let role = Some("PlumblineEnforce".to_owned());
        let spec = AwsAccountSpec { enforce_role_name: role, ..AwsAccountSpec::default() };
        let mut account = AwsAccount::new("payments", spec);
        (account.metadata.uid, account.metadata.generation) = (Some("a".to_owned()), Some(2));
        let approval = Some(("ok".to_owned(), "p".to_owned()));
        Planned { baseline, account, exceptions: Some("0a1b".to_owned()), approval }
    }

    fn fresh() -> Fresh {
        let Planned { baseline, account, exceptions, .. } = planned();
        let expires_at = "1970-01-01T01:00:00Z".into();
        let mut approval = PlanApproval::new("ok", PlanApprovalSpec { expires_at, ..PlanApprovalSpec::default() });
        approval.metadata.uid = Some("p".to_owned());
        approval.status = Some(PlanApprovalStatus { used_at: Some(time(1)), ..PlanApprovalStatus::default() });
        Fresh { baseline: Some(baseline), account: Some(account), exceptions, approval: Some(approval), rival: None }
    }

    /// What is said after one edit of what stands.
    fn after(edit: impl FnOnce(&mut Fresh)) -> String {
        let mut fresh = fresh();
        edit(&mut fresh);
        match judge(&planned(), &fresh, Control::PasswordPolicy, Some("ok"), time(60)) {
            Wanted::Yes => "yes".to_owned(),
            Wanted::No(why) => why,
            Wanted::Unreadable(why) => panic!("it was read: {why}"),
        }
    }

    #[test]
    fn p3_what_stands_as_it_stood_is_wanted() {
        assert_eq!(after(|_| {}), "yes");
        assert_eq!(judge(&planned(), &fresh(), Control::PasswordPolicy, None, time(60)), Wanted::Yes);
    }

    #[test]
    fn p3_whatever_changed_since_the_plan_stops_the_change_and_is_named() {
        type Edit = fn(&mut Fresh);
        let going = || Some(Time(time(1)));
        let table: [(&str, Edit); 15] = [
            ("AccountBaseline prod was deleted", |fresh| fresh.baseline = None),
            ("AccountBaseline prod was deleted", |fresh| {
                fresh.baseline.as_mut().unwrap().metadata.uid = Some("made again".to_owned());
            }),
            ("AccountBaseline prod is suspended", |fresh| fresh.baseline.as_mut().unwrap().spec.suspend = true),
            ("the mode of passwordPolicy", |fresh| fresh.baseline.as_mut().unwrap().spec.mode = Mode::Audit),
            ("the mode of passwordPolicy", |fresh| {
                let controls = &mut fresh.baseline.as_mut().unwrap().spec.controls;
                controls.password_policy.as_mut().unwrap().mode = Some(Mode::Audit);
            }),
            ("AccountBaseline prod was edited", |fresh| {
                fresh.baseline.as_mut().unwrap().metadata.generation = Some(4);
            }),
            ("AwsAccount payments was deleted", |fresh| fresh.account = None),
            ("AwsAccount payments is suspended", |fresh| fresh.account.as_mut().unwrap().spec.suspend = true),
            ("names no enforceRoleName", |fresh| fresh.account.as_mut().unwrap().spec.enforce_role_name = None),
            ("AwsAccount payments was edited", |fresh| fresh.account.as_mut().unwrap().metadata.generation = Some(3)),
            ("BaselineExceptions", |fresh| fresh.exceptions = None),
            ("PlanApproval ok was deleted", |fresh| fresh.approval = None),
            ("PlanApproval ok was deleted", |fresh| {
                fresh.approval.as_mut().unwrap().metadata.uid = Some("made again".to_owned());
            }),
            ("is not marked as used", |fresh| fresh.approval.as_mut().unwrap().status = None),
            ("AccountBaseline other is for the same account", |fresh| fresh.rival = Some("other".to_owned())),
        ];
        for (says, edit) in table {
            let why = after(edit);
            assert!(why.contains(says), "{why} does not say {says}");
        }
        assert!(after(|fresh| fresh.baseline.as_mut().unwrap().metadata.deletion_timestamp = going()).contains("prod"));
        assert!(after(|fresh| fresh.account.as_mut().unwrap().metadata.deletion_timestamp = going()).contains("paym"));
        let expired = judge(&planned(), &fresh(), Control::PasswordPolicy, Some("ok"), time(3600));
        assert_eq!(expired, Wanted::No("PlanApproval ok has expired".to_owned()));
        let other = judge(&planned(), &fresh(), Control::PasswordPolicy, Some("another"), time(60));
        assert_eq!(other, Wanted::No("PlanApproval another was deleted".to_owned()));
    }
}
