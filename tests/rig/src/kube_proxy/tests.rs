use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;
use tokio::time::timeout;

use super::*;
use crate::controlplane::{ControlPlane, client_of};

/// How long nothing must happen for a test to believe that nothing does.
const QUIET: Duration = Duration::from_millis(300);

/// How long something that should take milliseconds may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

struct Bench {
    proxy: KubeProxy,
    /// Through the proxy.
    maps: Api<ConfigMap>,
    /// Past the proxy.
    direct: Api<ConfigMap>,
    id: String,
}

type Events = Pin<Box<dyn Stream<Item = kube::Result<WatchEvent<ConfigMap>>> + Send>>;

impl Bench {
    async fn new(id: &str) -> Self {
        let cluster = ControlPlane::shared().await.unwrap();
        let proxy = KubeProxy::start(cluster.admin_kubeconfig(), ProxyOptions::default()).await.unwrap();
        let through = client_of(&proxy.kubeconfig(cluster.admin_kubeconfig()).unwrap()).await.unwrap();
        let direct = cluster.admin_client().await.unwrap();
        let bench = Self {
            proxy,
            maps: Api::namespaced(through, "default"),
            direct: Api::namespaced(direct, "default"),
            id: format!("kube-proxy-{id}"),
        };
        bench.create(&bench.id).await;
        bench
    }

    async fn create(&self, name: &str) -> ConfigMap {
        self.direct.create(&PostParams::default(), &map(name)).await.unwrap()
    }

    async fn watch(&self) -> Events {
        let fields = format!("metadata.name={}", self.id);
        let events = self.maps.watch(&WatchParams::default().fields(&fields), "0").await.unwrap();
        // Bookmarks come when the server likes.
        Box::pin(events.filter(|event| futures::future::ready(!matches!(event, Ok(WatchEvent::Bookmark(_))))))
    }

    async fn delete(&self) {
        self.direct.delete(&self.id, &DeleteParams::default()).await.unwrap();
    }
}

fn map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
}

async fn next(events: &mut Events) -> Option<kube::Result<WatchEvent<ConfigMap>>> {
    timeout(PATIENCE, events.next()).await.unwrap()
}

fn code(error: &kube::Error) -> Option<u16> {
    if let kube::Error::Api(status) = error { Some(status.code) } else { None }
}

#[tokio::test]
async fn calls_pass_with_the_callers_own_rights_and_are_recorded_in_order() {
    let bench = Bench::new("pass").await;
    bench.maps.get(&bench.id).await.unwrap();
    bench.maps.list(&ListParams::default()).await.unwrap();
    let mut stored = bench.maps.get(&bench.id).await.unwrap();
    stored.data = Some([("a".to_owned(), "b".to_owned())].into());
    bench.maps.replace(&bench.id, &PostParams::default(), &stored).await.unwrap();
    assert_eq!(code(&bench.maps.replace(&bench.id, &PostParams::default(), &stored).await.unwrap_err()), Some(409));
    let calls = bench.proxy.calls();
    let verbs: Vec<_> = calls.iter().map(|call| (call.verb.as_str(), call.status.unwrap(), call.mutating)).collect();
    let expected =
        [("get", 200, false), ("list", 200, false), ("get", 200, false), ("update", 200, true), ("update", 409, true)];
    assert_eq!(verbs, expected);
    assert!(calls.iter().all(|call| call.resource == "configmaps"));
    assert_eq!(calls.iter().map(|call| call.seq).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);

    let cluster = ControlPlane::shared().await.unwrap();
    let nobody = cluster.service_account_kubeconfig("rig-accounts", "proxied").await.unwrap();
    let nobody = client_of(&bench.proxy.kubeconfig(&nobody).unwrap()).await.unwrap();
    let refused = Api::<ConfigMap>::namespaced(nobody, "default").get(&bench.id).await.unwrap_err();
    assert_eq!(code(&refused), Some(403), "{refused}");
}

#[tokio::test]
async fn a_dropped_request_did_nothing_and_a_dropped_answer_did() {
    let bench = Bench::new("drop").await;
    let delete = || Matcher::call("delete", "configmaps");
    bench.proxy.rule(delete(), Action::DropRequest, Some(1));
    bench.maps.delete(&bench.id, &DeleteParams::default()).await.unwrap_err();
    assert!(bench.direct.get_opt(&bench.id).await.unwrap().is_some());
    bench.proxy.rule(delete(), Action::DropAnswer, Some(1));
    bench.maps.delete(&bench.id, &DeleteParams::default()).await.unwrap_err();
    assert!(bench.direct.get_opt(&bench.id).await.unwrap().is_none());
    let faults: Vec<_> = bench.proxy.calls().into_iter().map(|call| (call.fault.unwrap(), call.status)).collect();
    assert_eq!(faults, [("DropRequest".to_owned(), None), ("DropAnswer".to_owned(), None)]);
}

#[tokio::test]
async fn a_status_is_one_that_clients_understand_and_a_hang_ends_with_the_caller() {
    let bench = Bench::new("status").await;
    bench.proxy.rule(Matcher::any(), Action::Status(429), Some(1));
    let refused = bench.maps.get(&bench.id).await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.reason == "TooManyRequests"), "{refused:?}");
    bench.proxy.rule(Matcher::any(), Action::Hang, Some(1));
    assert!(timeout(QUIET, bench.maps.get(&bench.id)).await.is_err());
    bench.maps.get(&bench.id).await.unwrap();
}

#[tokio::test]
async fn a_frozen_watch_stays_open_and_gives_what_it_held_back() {
    let bench = Bench::new("freeze").await;
    let mut events = bench.watch().await;
    assert!(matches!(next(&mut events).await, Some(Ok(WatchEvent::Added(_)))));
    bench.proxy.freeze("configmaps");
    bench.delete().await;
    assert!(timeout(QUIET, events.next()).await.is_err());
    bench.proxy.thaw("configmaps");
    assert!(matches!(next(&mut events).await, Some(Ok(WatchEvent::Deleted(_)))));
}

#[tokio::test]
async fn a_cut_ends_open_watches_and_not_the_next_one() {
    let bench = Bench::new("cut").await;
    let mut events = bench.watch().await;
    assert!(matches!(next(&mut events).await, Some(Ok(WatchEvent::Added(_)))));
    bench.proxy.cut("configmaps");
    let end = next(&mut events).await;
    assert!(matches!(end, Some(Err(_)) | None), "{end:?}");
    let mut events = bench.watch().await;
    assert!(matches!(next(&mut events).await, Some(Ok(WatchEvent::Added(_)))));
    bench.delete().await;
    assert!(matches!(next(&mut events).await, Some(Ok(WatchEvent::Deleted(_)))));
}

#[tokio::test]
async fn a_watch_is_told_that_its_version_is_gone_and_a_list_is_an_older_one() {
    let bench = Bench::new("replay").await;
    let only = ListParams::default().fields(&format!("metadata.name={}", bench.id));
    let first = bench.maps.list(&only).await.unwrap();
    bench.delete().await;
    assert_eq!(bench.maps.list(&only).await.unwrap().items.len(), 0);
    bench.proxy.rule(Matcher::call("list", "configmaps"), Action::ReplayOldest, Some(1));
    let replayed = bench.maps.list(&only).await.unwrap();
    assert_eq!(replayed.items, first.items);
    bench.proxy.rule(Matcher::call("watch", "configmaps"), Action::Gone, Some(1));
    let gone = next(&mut bench.watch().await).await;
    assert!(matches!(&gone, Some(Ok(WatchEvent::Error(status))) if status.code == 410), "{gone:?}");
}

#[tokio::test]
async fn the_file_has_a_line_for_every_call_numbered_with_those_of_the_other_proxies() {
    let cluster = ControlPlane::shared().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let options = ProxyOptions {
        sequence: Some(Arc::new(7.into())),
        trace_file: Some(dir.path().join("calls.jsonl")),
        ..ProxyOptions::default()
    };
    let proxy = KubeProxy::start(cluster.admin_kubeconfig(), options).await.unwrap();
    let client = client_of(&proxy.kubeconfig(cluster.admin_kubeconfig()).unwrap()).await.unwrap();
    Api::<ConfigMap>::namespaced(client, "default").get_opt("nobody").await.unwrap();
    drop(proxy);
    let text = fs::read_to_string(dir.path().join("calls.jsonl")).unwrap();
    let call: Value = serde_json::from_str(text.trim_end()).unwrap();
    assert_eq!(
        (call["seq"].as_u64(), call["verb"].as_str(), call["status"].as_u64()),
        (Some(7), Some("get"), Some(404))
    );
}
