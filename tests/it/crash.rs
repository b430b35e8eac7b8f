//! P2 for real: the operator is killed before and after one call of every kind of step, started again, and everything
//! ends as if nothing had happened.

use futures::{StreamExt, stream};
use plumbline_rig::aws_proxy::{Action as AwsAction, Matcher as AwsMatcher};
use plumbline_rig::kube_proxy::{Action as KubeAction, Matcher as KubeMatcher};
use plumbline_rig::supervisor::Signal;

use crate::enforced::{CHANGES, Enforced, outcomes};
use crate::support::drift;

/// How many accounts are enforced at the same time: most of the time each of them waits.
const AT_ONCE: usize = 8;

/// Where the operator is killed.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// At a call to the API server.
    Kube { verb: &'static str, resource: &'static str, nth: u32 },
    /// At a call to AWS.
    Aws { service: &'static str, operation: &'static str, role: Option<&'static str>, nth: u32 },
}

/// When it is killed: the call never arrives, or it takes effect and its answer never comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    Before,
    After,
}

const fn kube(verb: &'static str, resource: &'static str, nth: u32) -> Step {
    Step::Kube { verb, resource, nth }
}

const fn aws(service: &'static str, operation: &'static str) -> Step {
    Step::Aws { service, operation, role: None, nth: 1 }
}

/// One of every kind: commit, fresh reads of the intent, session, the five writes, outcome, status.
fn steps() -> Vec<Step> {
    vec![
        kube("create", "changerecords", 1),
        kube("create", "changerecords", 4),
        kube("get", "accountbaselines", 1),
        kube("get", "awsaccounts", 2),
        kube("update-status", "changerecords", 1),
        kube("update-status", "changerecords", 5),
        Step::Aws { service: "sts", operation: "AssumeRole", role: Some("PlumblineEnforce"), nth: 1 },
        aws("s3", "PutBucketEncryption"),
        aws("s3", "PutBucketPolicy"),
        aws("iam", "UpdateAccountPasswordPolicy"),
        aws("ec2", "RevokeSecurityGroupIngress"),
        aws("iam", "AttachUserPolicy"),
    ]
}

/// Makes the step hang, waits until the operator stands at it, and kills it there.
async fn kill_at(enforced: &Enforced, step: Step, moment: Moment) {
    let mut operator = enforced.operator();
    let proxy = enforced.world.aws.proxy();
    match step {
        Step::Kube { verb, resource, nth } => {
            let action = if moment == Moment::Before { KubeAction::Hang } else { KubeAction::HangAnswer };
            enforced.kube.rule(KubeMatcher::call(verb, resource).nth(nth), action, Some(1));
        }
        Step::Aws { service, operation, role, nth } => {
            let action = if moment == Moment::Before { AwsAction::Hang } else { AwsAction::HangAnswer };
            // EC2's question beforehand is the same operation and changes nothing.
            let matcher = AwsMatcher::operation(service, operation).nth(nth);
            let matcher = match role {
                Some(role) => matcher.resource(&format!("arn:aws:iam::{}:role/{role}", enforced.seeded.account_id)),
                None => matcher.mutating(),
            };
            proxy.rule(matcher, action, Some(1));
        }
    }
    let wanted = if moment == Moment::Before { "Hang" } else { "HungAfterActing" };
    let stands = || {
        let is = |fault: &Option<String>| fault.as_deref() == Some(wanted);
        enforced.kube.calls().iter().any(|call| is(&call.fault)) || proxy.calls().iter().any(|call| is(&call.fault))
    };
    enforced.wait(&format!("the operator stands at {step:?}"), stands).await;
    operator.signal(Signal::Kill).unwrap();
    drop(operator);
    enforced.kube.clear_rules();
    proxy.clear_rules();
}

/// Kills the operator at a step, starts it again, and compares with a run that nothing disturbed.
async fn survives(step: Step, moment: Moment) {
    let enforced = Enforced::new().await;
    kill_at(&enforced, step, moment).await;
    let operator = enforced.operator();
    let baseline = enforced.quiet().await;
    let what = format!("killed {moment:?} {step:?}");

    let mut changes = enforced.change_names();
    changes.sort();
    let mut expected = CHANGES.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(changes, expected, "{what}: each change takes effect once");
    let records = enforced.records().await;
    enforced.assert_recorded(&records);
    let of = |wanted: &str| outcomes(&records).iter().filter(|(_, outcome)| outcome == wanted).count();
    assert_eq!(of("Succeeded"), CHANGES.len(), "{what}: {:?}", outcomes(&records));
    assert_eq!(of("none"), 0, "{what}: what became of every change is known");
    assert_eq!(records.len() - of("Succeeded") - of("NotApplied"), 0, "{what}: {:?}", outcomes(&records));
    for check in ["MinimumPasswordLength", "Ingress", "SseCForbidden", "TlsRequired"] {
        assert_eq!(drift(&baseline, check).len(), 0, "{what}: {check} is closed");
    }
    let before = enforced.change_names().len();
    enforced.look_again("quiet").await;
    assert_eq!(enforced.change_names().len(), before, "{what}: quiet afterwards");
    drop(operator);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p2_killed_at_any_kind_of_step_the_operator_ends_where_it_would_have() {
    let runs: Vec<_> =
        steps().into_iter().flat_map(|step| [Moment::Before, Moment::After].map(|moment| (step, moment))).collect();
    let count = runs.len();
    stream::iter(runs).for_each_concurrent(AT_ONCE, |(step, moment)| survives(step, moment)).await;
    println!("killed and started again: {count} runs");
    assert!(count >= 20);
}
