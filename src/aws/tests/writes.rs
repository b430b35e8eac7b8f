//! Every change times every fault, at its one attempt: what is said of it, that it was sent once, and that nothing is
//! sent after it.

use futures::{StreamExt, stream};

use super::faults::Fault;
use crate::aws::operation::Operation;
use crate::aws::testing::{Answer, Request};
use crate::aws::writer::tests::{actions, is_change, made, willing, writer};
use crate::baseline::CauseClass;
use crate::baseline::change::Action;
use crate::engine::cloud::{Applied, DryRun};

/// What may be said of a change that met a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Done,
    Refused,
    NotKnown,
}

/// The faults that a change can meet.
fn faults() -> impl Iterator<Item = Fault> {
    Fault::QUICK.into_iter().chain([Fault::Hang]).filter(|fault| !fault.needs_pages())
}

/// A refusal is one only where AWS said so itself; S3 has no body that could be cut, and its 503 is no promise.
fn expected(action: &Action, fault: Fault) -> Said {
    let is_s3 = action.operation().name().starts_with("s3:");
    match fault {
        Fault::Denied | Fault::DeniedByOrganization => Said::Refused,
        Fault::Throttled if !is_s3 => Said::Refused,
        Fault::Empty | Fault::HalfBody if is_s3 => Said::Done,
        Fault::Throttled
        | Fault::InternalError
        | Fault::Unavailable
        | Fault::Html
        | Fault::HtmlOk
        | Fault::Empty
        | Fault::HalfBody
        | Fault::CutBody
        | Fault::Reset
        | Fault::Hang
        | Fault::FailedPage
        | Fault::RepeatedToken => Said::NotKnown,
    }
}

/// What the server does: an answer that is cut needs one to cut.
fn disturbed(action: &Action, fault: Fault, request: &Request) -> Answer {
    let operation = Operation::of(action.operation());
    match (fault, made(request)) {
        // Half of nothing is nothing, so a promised body is cut instead.
        (Fault::CutBody, Answer::Http(_, body)) if body.is_empty() => Answer::Broken("<Done></Done>".to_owned()),
        (_, undisturbed) => fault.answer(operation, undisturbed),
    }
}

async fn check(action: Action, fault: Fault) {
    let case = format!("{:?} {fault:?}", action.operation());
    let faulty = action.clone();
    let server = willing(move |request| is_change(request).then(|| disturbed(&faulty, fault, request))).await;
    let writer = writer(&server, &action).await;
    let applied = writer.apply(&action).await;
    let said = match &applied {
        Applied::Done => Said::Done,
        Applied::Refused(_) => Said::Refused,
        Applied::NotKnown(_) => Said::NotKnown,
        Applied::NotSent(why) => panic!("{case}: it was sent: {why}"),
    };
    assert_eq!(said, expected(&action, fault), "{case}: {applied:?}");
    if let Applied::Refused(cause) | Applied::NotKnown(cause) = applied {
        assert_eq!(cause.class, fault.class(), "{case}: {cause}");
        let missing = (fault == Fault::Denied).then(|| action.operation().action());
        assert_eq!(cause.missing_action.as_deref(), missing, "{case}");
    }
    let requests = server.requests();
    assert_eq!(requests.iter().filter(|request| is_change(request)).count(), 1, "{case}: {requests:?}");
    assert!(is_change(requests.last().unwrap()), "{case}: something was sent after it: {requests:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p3_a_change_is_sent_once_whatever_becomes_of_it_and_only_awss_own_refusal_is_a_no() {
    let cases = actions().into_iter().flat_map(|action| faults().map(move |fault| (action.clone(), fault)));
    stream::iter(cases).for_each_concurrent(8, |(action, fault)| check(action, fault)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p3_a_dry_run_is_sent_once_and_is_a_no_only_where_ec2_refuses() {
    let asked = actions().into_iter().filter(|action| action.operation().has_dry_run());
    let cases = asked.flat_map(|action| faults().map(move |fault| (action.clone(), fault)));
    let each = |(action, fault): (Action, Fault)| async move {
        let case = format!("{:?} {fault:?}", action.operation());
        let faulty = action.clone();
        let server = willing(move |request| is_change(request).then(|| disturbed(&faulty, fault, request))).await;
        let answer = writer(&server, &action).await.dry_run(&action).await;
        let is_refusal = matches!(fault, Fault::Denied | Fault::DeniedByOrganization);
        assert_eq!(matches!(answer, DryRun::Refused(_)), is_refusal, "{case}: {answer:?}");
        assert_ne!(answer, DryRun::Allowed, "{case}");
        let sent: Vec<Request> = server.requests().into_iter().filter(is_change).collect();
        assert_eq!(sent.iter().map(|request| request.param("DryRun")).collect::<Vec<_>>(), ["true"], "{case}");
    };
    stream::iter(cases).for_each_concurrent(8, each).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p3_a_session_that_breaks_before_a_change_leaves_it_unsent() {
    for action in actions() {
        for fault in [Fault::Denied, Fault::Reset, Fault::Unavailable] {
            let server = willing(move |request| {
                let assume = crate::aws::operation::ASSUME_ROLE;
                (request.operation == "AssumeRole").then(|| fault.answer(assume, Answer::Reset))
            })
            .await;
            let target = crate::aws::testing::target(Some("PlumblineEnforce"));
            let opened = crate::engine::cloud::WriterProvider::writer(&server.aws, &target, &action).await;
            let expected = if fault == Fault::Denied { CauseClass::Credentials } else { fault.class() };
            assert_eq!(opened.err().unwrap().class, expected);
            assert!(!server.requests().iter().any(is_change));
        }
    }
}
