use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::*;

/// Objects that answer after so many looks; `None` for never.
#[derive(Default)]
struct Fake {
    objects: Mutex<BTreeMap<String, Object>>,
}

#[derive(Clone, Default)]
struct Object {
    looks_until_handled: Option<u32>,
    asked: Option<String>,
    suspended: Option<String>,
    ready: Option<(String, String)>,
    silent: bool,
}

#[async_trait]
impl Requests for Fake {
    async fn names(&self, _: RequestKind) -> Result<Vec<String>, LedgerError> {
        Ok(self.objects.lock().unwrap().keys().cloned().collect())
    }

    async fn standing(&self, _: RequestKind, name: &str) -> Result<Option<Standing>, LedgerError> {
        if self.objects.lock().unwrap().get(name).is_some_and(|object| object.silent) {
            std::future::pending::<()>().await;
        }
        let mut objects = self.objects.lock().unwrap();
        let Some(object) = objects.get_mut(name) else { return Ok(None) };
        let handled = object.asked.is_some() && object.looks_until_handled == Some(0);
        if object.asked.is_some() {
            object.looks_until_handled = object.looks_until_handled.map(|left| left.saturating_sub(1));
        }
        let (suspended, ready) = (object.suspended.clone(), object.ready.clone());
        Ok(Some(Standing { handled, suspended, ready, verdict: format!("the verdict of {name}\u{1b}") }))
    }

    async fn request(&self, _: RequestKind, name: &str, value: &str) -> Result<(), LedgerError> {
        self.objects.lock().unwrap().get_mut(name).unwrap().asked = Some(value.to_owned());
        Ok(())
    }
}

fn args(names: &[&str]) -> ReconcileArgs {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let all = names.is_empty();
    ReconcileArgs { names, account: false, all, no_wait: false, timeout: Duration::from_secs(1) }
}

async fn ran(args: &ReconcileArgs, objects: &[(&str, Object)]) -> (Exit, String, String, Fake) {
    let objects = objects.iter().map(|(name, object)| ((*name).to_owned(), object.clone())).collect();
    let fake = Fake { objects: Mutex::new(objects) };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(args, &fake, "now", &mut out, &mut err).await.unwrap();
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), fake)
}

fn answers(looks: u32) -> Object {
    Object { looks_until_handled: Some(looks), ..Object::default() }
}

#[tokio::test]
async fn each_object_is_asked_and_its_verdict_printed_when_the_operator_has_looked() {
    let (exit, out, err, fake) = ran(&args(&[]), &[("a", answers(1)), ("b", answers(0))]).await;
    assert_eq!(exit, Exit::Ok);
    assert!(!out.contains('\u{1b}'), "nothing that a terminal acts upon");
    let names: Vec<&str> = out.lines().filter_map(|line| line.split("  the verdict").next()).collect();
    assert_eq!(names, ["accountbaseline/b", "accountbaseline/a"], "in the order of the answers: {out}");
    assert!(err.contains("waiting for accountbaseline/b"), "{err}");
    assert!(fake.objects.lock().unwrap().values().all(|object| object.asked.as_deref() == Some("now")));
}

#[tokio::test]
async fn what_is_missing_suspended_or_not_answered_is_said_and_the_others_go_on() {
    let suspended = Object { suspended: Some("the account is suspended".to_owned()), ..Object::default() };
    let ready = Some(("False (AccountUnreachable)".to_owned(), "no role".to_owned()));
    let away = Object { ready, ..Object::default() };
    let lost = Object { looks_until_handled: Some(0), ..away.clone() };
    let objects =
        [("away", away), ("good", answers(1)), ("idle", Object::default()), ("lost", lost), ("sleeps", suspended)];
    let (exit, out, err, fake) = ran(&args(&["good", "none", "sleeps", "away", "idle", "lost"]), &objects).await;
    assert_eq!(exit, Exit::Error);
    assert!(out.starts_with("accountbaseline/good") && out.lines().count() == 1, "{out}");
    for said in [
        "there is no accountbaseline/none",
        "accountbaseline/sleeps is not looked at: the account is suspended",
        "accountbaseline/away was not looked at in time: Ready is False (AccountUnreachable): no role",
        "accountbaseline/lost could not be looked at: Ready is False (AccountUnreachable): no role",
        "accountbaseline/idle was not looked at in time, and never before: is the operator running",
    ] {
        assert!(err.contains(said), "{said}: {err}");
    }
    assert_eq!(fake.objects.lock().unwrap()["sleeps"].asked, None, "it would be of no use");
}

#[tokio::test]
async fn an_api_server_that_says_nothing_is_not_waited_for_longer_than_was_asked() {
    let silent = Object { silent: true, ..Object::default() };
    let objects = [("a", silent.clone()), ("b", silent.clone()), ("c", silent)];
    let (exit, out, err, _) = ran(&args(&["a", "b", "c"]), &objects).await;
    assert_eq!((exit, out.as_str()), (Exit::Error, ""));
    assert_eq!(err.matches("was not asked: the time is over").count(), 3, "{err}");
}

#[tokio::test]
async fn nobody_waits_who_does_not_want_to() {
    let arguments = ReconcileArgs { no_wait: true, account: true, ..args(&["idle"]) };
    let (exit, out, err, _) = ran(&arguments, &[("idle", Object::default())]).await;
    assert_eq!((exit, out.as_str(), err.as_str()), (Exit::Ok, "awsaccount/idle  asked for\n", ""));
}
