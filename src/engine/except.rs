//! From an assessment and the exceptions in force to the assessment with what is excepted. IO through the cloud alone,
//! and only where the name of a security group decides.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};

use super::Assessment;
use super::cloud::{Cloud, GroupFilter};
use super::observe::CONCURRENCY;
use crate::baseline::Observed;
use crate::baseline::exceptions::{Exception, GroupNames, apply, names_wanted};

/// Applies the exceptions, all of which are in force for this account.
///
/// Names are read of those groups alone that have a failing rule, that no ARN decides, and only where a pattern may
/// mean a name.
pub async fn except(mut assessment: Assessment, exceptions: &[Exception], cloud: &dyn Cloud) -> Assessment {
    if exceptions.is_empty() {
        return assessment;
    }
    let names = group_names(names_wanted(&assessment.findings, exceptions), cloud).await;
    assessment.findings = apply(assessment.findings, exceptions, &names);
    assessment
}

async fn group_names(wanted: BTreeMap<String, BTreeSet<String>>, cloud: &dyn Cloud) -> GroupNames {
    let read = |(region, ids): (String, BTreeSet<String>)| async move {
        let groups = cloud.security_groups(&region, GroupFilter::Ids(ids)).await;
        (region, groups)
    };
    let mut answers = stream::iter(wanted).map(read).buffer_unordered(CONCURRENCY);
    let mut names = GroupNames::default();
    while let Some((region, groups)) = answers.next().await {
        match groups {
            Observed::Complete { value: groups, .. } => {
                names.known.extend(groups.into_iter().map(|group| ((region.clone(), group.id), group.name)));
            }
            Observed::Unknown(cause) => drop(names.unread.insert(region, cause)),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::BaselineExceptionSpec;
    use crate::baseline::security_groups::SecurityGroup;
    use crate::baseline::{Check, Control, Finding, Subject, Verdict};
    use crate::engine::Coverage;
    use crate::engine::fake::{FakeCloud, account, at, denied, seen};

    fn assessment() -> Assessment {
        let rule = Subject::new(Check::Ingress, "arn:aws:ec2:eu-west-1:222222222222:security-group-rule/sgr-1", "f")
            .in_region("eu-west-1")
            .of("arn:aws:ec2:eu-west-1:222222222222:security-group/sg-1");
        Assessment {
            identity: account(),
            alias: None,
            coverage: Coverage::default(),
            controls: vec![Control::SecurityGroups],
            findings: vec![Finding::fail(rule, "nothing", "tcp 22", at())],
            snapshots: crate::baseline::plan::Snapshots::default(),
        }
    }

    fn exception(pattern: &str) -> Exception {
        let spec = BaselineExceptionSpec {
            check: Some("Ingress".to_owned()),
            resource_pattern: pattern.into(),
            expires_at: "2026-12-01T00:00:00Z".into(),
            ..BaselineExceptionSpec::default()
        };
        Exception::new("e", &spec, at()).unwrap()
    }

    fn cloud() -> FakeCloud {
        let group = SecurityGroup {
            id: "sg-1".to_owned(),
            name: "reporting-db".to_owned(),
            owner_id: "222222222222".to_owned(),
            vpc_id: None,
            tags: Vec::new(),
        };
        FakeCloud { groups: BTreeMap::from([("eu-west-1".to_owned(), seen(vec![group]))]), ..FakeCloud::default() }
    }

    #[tokio::test]
    async fn a_name_is_read_where_it_decides_and_nowhere_else() {
        let named = cloud();
        let found = except(assessment(), &[exception("reporting-*")], &named).await;
        assert_eq!(found.findings[0].verdict(), Verdict::Exempt);
        assert_eq!(named.calls().len(), 1, "{:?}", named.calls());
        for exceptions in [vec![], vec![exception("sg-1")], vec![exception("sg-2")], vec![exception("*")]] {
            let cloud = cloud();
            let _ = except(assessment(), &exceptions, &cloud).await;
            assert_eq!(cloud.calls(), Vec::<String>::new(), "{exceptions:?}");
        }
    }

    #[tokio::test]
    async fn a_name_that_may_not_be_read_leaves_the_finding_failing() {
        let answer = denied("ec2:DescribeSecurityGroups");
        let cloud = FakeCloud { groups: BTreeMap::from([("eu-west-1".to_owned(), answer)]), ..FakeCloud::default() };
        let found = except(assessment(), &[exception("reporting-*")], &cloud).await;
        assert_eq!(found.findings[0].verdict(), Verdict::Fail);
        assert!(found.findings[0].message().contains("ec2:DescribeSecurityGroups"), "{found:?}");
    }
}
