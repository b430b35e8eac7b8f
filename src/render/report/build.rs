//! From one judged account to its entry of the document. No IO, no clock.

use jiff::Timestamp;

use super::{
    AccountReport, BaselineReport, ControlReport, CoverageReport, ExceptionReport, FindingReport, Judged, PlanReport,
    SummaryReport, UnknownReport,
};
use crate::baseline::plan::Plan;

use crate::baseline::{Cause, Control, Finding, Remediation, Summary, Verdict, result_of};
use crate::engine::{AssessError, Assessment, Coverage, control_message};

impl BaselineReport {
    pub(super) fn new(judged: Judged) -> Self {
        let Judged { baseline, account_name, account_id, controls, evaluated_at, outcome, plan, enforcement: _ } =
            judged;
        let evaluated_at = whole_seconds(evaluated_at);
        let mut account = AccountReport { name: account_name, account_id, alias: None };
        match outcome {
            Ok(mut assessment) => {
                account.alias = assessment.alias.take();
                Self::assessed(baseline, account, evaluated_at, assessment, &plan)
            }
            Err(error) => Self::unreached(baseline, account, evaluated_at, &controls, &error),
        }
    }

    pub(super) fn planned(judged: Judged) -> Self {
        let plan = PlanReport::new(&judged.plan, &judged.enforcement);
        Self { plan: Some(plan), ..Self::new(judged) }
    }

    fn assessed(
        baseline: String,
        account: AccountReport,
        evaluated_at: Timestamp,
        assessment: Assessment,
        plan: &Plan,
    ) -> Self {
        let Assessment { identity: _, alias: _, coverage, controls, mut findings, snapshots: _ } = assessment;
        findings.sort_by(|a, b| a.subject().cmp(b.subject()));
        let summary = Summary::of(&findings);
        Self {
            baseline,
            account,
            result: result_of(summary),
            evaluated_at,
            summary: summary.into(),
            controls: controls.into_iter().map(|control| ControlReport::new(control, &findings, &coverage)).collect(),
            unknown: findings.iter().filter_map(UnknownReport::new).collect(),
            findings: findings.iter().map(|finding| FindingReport::new(finding, plan)).collect(),
            coverage: coverage.into(),
            plan: None,
        }
    }

    fn unreached(
        baseline: String,
        account: AccountReport,
        evaluated_at: Timestamp,
        controls: &[Control],
        error: &AssessError,
    ) -> Self {
        let unknown = UnknownReport::of_account(&account.account_id, error);
        let nothing = SummaryReport::from(Summary::default());
        let control = |name: &Control| ControlReport {
            name: *name,
            result: Verdict::Unknown,
            summary: nothing,
            message: "nothing was judged in this account".to_owned(),
        };
        Self {
            baseline,
            account,
            result: Verdict::Unknown,
            evaluated_at,
            summary: SummaryReport { unknown: 1, ..nothing },
            coverage: Coverage::default().into(),
            controls: controls.iter().map(control).collect(),
            findings: Vec::new(),
            unknown: vec![unknown],
            plan: None,
        }
    }
}

impl ControlReport {
    fn new(control: Control, findings: &[Finding], coverage: &Coverage) -> Self {
        let summary = Summary::of(findings.iter().filter(|finding| finding.subject().check.control() == control));
        Self {
            name: control,
            result: result_of(summary),
            summary: summary.into(),
            message: control_message(control, findings, coverage),
        }
    }
}

impl FindingReport {
    fn new(finding: &Finding, plan: &Plan) -> Self {
        let (subject, id) = (finding.subject(), finding.subject().id());
        let remediation = plan.remediations.get(&id).unwrap_or(&Remediation::None).into();
        Self {
            id,
            control: subject.check.control(),
            check: subject.check,
            result: finding.verdict(),
            severity: finding.severity(),
            resource: subject.resource.clone(),
            parent: subject.parent.clone(),
            region: subject.region.clone(),
            field: subject.field,
            desired: finding.desired().to_owned(),
            observed: finding.observed().to_owned(),
            message: finding.message().to_owned(),
            observed_at: finding.observed_at().map(whole_seconds),
            exception: finding.exemption().map(|exemption| ExceptionReport {
                name: exemption.exception.clone(),
                expires_at: exemption.expires_at,
                actual: exemption.actual,
            }),
            remediation,
        }
    }
}

impl UnknownReport {
    /// `None` where the finding was judged.
    fn new(finding: &Finding) -> Option<Self> {
        let (subject, cause) = (finding.subject(), finding.cause()?);
        Some(Self {
            control: Some(subject.check.control()),
            check: Some(subject.check),
            resource: subject.resource.clone(),
            region: subject.region.clone(),
            cause: cause.class.to_string(),
            missing_action: cause.missing_action.clone(),
            message: cause.message.clone(),
        })
    }

    fn of_account(account_id: &str, error: &AssessError) -> Self {
        let (cause, missing_action) = match error {
            AssessError::Unreachable { cause: Cause { class, missing_action, .. }, .. } => {
                (class.to_string(), missing_action.clone())
            }
            AssessError::Mismatch { .. } => ("AccountMismatch".to_owned(), None),
        };
        Self {
            control: None,
            check: None,
            resource: account_id.to_owned(),
            region: None,
            cause,
            missing_action,
            message: error.to_string(),
        }
    }
}

impl From<Summary> for SummaryReport {
    fn from(summary: Summary) -> Self {
        let Summary { pass, fail, unknown, not_applicable, exempt } = summary;
        Self { pass, fail, unknown, not_applicable, exempt }
    }
}

impl From<Coverage> for CoverageReport {
    fn from(coverage: Coverage) -> Self {
        let Coverage {
            regions,
            regions_not_enabled,
            users,
            users_listed,
            buckets,
            buckets_skipped,
            credential_report_at,
        } = coverage;
        Self { regions, regions_not_enabled, users, users_listed, buckets, buckets_skipped, credential_report_at }
    }
}

/// As Kubernetes writes times: nobody needs the nanosecond, and parsers stumble over it.
fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
