//! `plumbline reconcile` on a real API server, with the real operator.

use std::path::Path;
use std::process::Output;

use plumbline_rig::aws_proxy::{Action, Matcher};

use crate::support::{PLUMBLINE, World, cluster};

const PASSWORDS: &str = "{passwordPolicy: {minimumPasswordLength: 14}}";

async fn reconcile(kubeconfig: &Path, args: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(PLUMBLINE);
    command.arg("reconcile").args(args).env_clear().env("KUBECONFIG", kubeconfig).output().await.unwrap()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn an_evaluation_that_was_asked_for_is_waited_for_and_its_verdict_is_printed() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 8}").await;
    world.account(&seeded.account_id, "").await;
    world.baseline(PASSWORDS, "").await;
    let _operator = world.operator();
    world.evaluated(1).await;
    let reads = || world.aws.proxy().count("iam", "GetAccountPasswordPolicy");
    let before = reads();
    let admin = cluster().await.admin_kubeconfig();
    let (code, out, err) = said(&reconcile(admin, &[&world.id]).await);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out, format!("accountbaseline/{}  Compliant=False (DriftDetected), 1 drift, 0 unknown\n", world.id));
    assert_eq!(reads(), before + 1);

    let (code, out, err) = said(&reconcile(admin, &["--account", &world.id]).await);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with(&format!("awsaccount/{}  Ready=True (Verified)", world.id)), "{out}");

    // With the annotation of Flux beside it status echoes both.
    let flux = ["annotate", "accountbaseline", &world.id, "reconcile.fluxcd.io/requestedAt=then"];
    assert!(crate::support::kubectl(&flux).await.status.success());
    let (code, out, err) = said(&reconcile(admin, &[&world.id]).await);
    assert!(code == Some(0) && out.contains("Compliant=False"), "{out} {err}");
}

#[tokio::test]
async fn that_an_account_cannot_be_reached_is_the_answer_and_is_not_waited_for() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 8}").await;
    let refused = Action::AccessDenied { message: None };
    world.aws.proxy().rule(Matcher::operation("sts", "AssumeRole"), refused, None);
    world.account(&seeded.account_id, "").await;
    world.baseline(PASSWORDS, "").await;
    let _operator = world.operator();
    let admin = cluster().await.admin_kubeconfig();
    for args in [&[world.id.as_str()][..], &["--account", &world.id]] {
        let (code, out, err) = said(&reconcile(admin, args).await);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{args:?}: {err}");
        let answer = "could not be looked at: Ready is False (AccountUnreachable): ";
        assert!(err.contains(answer) && err.contains("PlumblineAudit"), "{args:?}: {err}");
    }
}

#[tokio::test]
async fn what_nobody_looks_at_ends_in_1_and_says_why() {
    let world = World::new().await;
    let seeded = world.seed("passwordPolicy: {minimumPasswordLength: 8}").await;
    world.account(&seeded.account_id, "").await;
    world.baseline(PASSWORDS, "").await;
    let admin = cluster().await.admin_kubeconfig();
    let (code, out, err) = said(&reconcile(admin, &[&world.id, "--timeout", "1s"]).await);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("never before: is the operator running"), "{err}");

    let (code, _, err) = said(&reconcile(admin, &["no-such-baseline"]).await);
    assert!(code == Some(1) && err.contains("there is no accountbaseline/no-such-baseline"), "{err}");

    let (code, out, _) = said(&reconcile(admin, &[&world.id, "--no-wait"]).await);
    assert_eq!((code, out), (Some(0), format!("accountbaseline/{}  asked for\n", world.id)));

    world.baseline(PASSWORDS, ", suspend: true").await;
    let (code, _, err) = said(&reconcile(admin, &[&world.id]).await);
    assert!(code == Some(1) && err.contains("the baseline is suspended"), "{err}");

    // The operator's own rights are not enough: it may not write annotations.
    world.baseline(PASSWORDS, "").await;
    let (code, _, err) = said(&reconcile(world.kubeconfig(), &[&world.id]).await);
    assert!(code == Some(1) && err.contains("cannot be annotated") && err.contains("forbidden"), "{err}");

    let (code, _, _) = said(&reconcile(admin, &[]).await);
    assert_eq!(code, Some(64), "neither names nor --all");
}
