//! The table of bad manifests on the real API server: what is refused offline is refused there, with the same words.

use http::Request;
use kube::Client;
use serde_json::Value;

use crate::bad_manifests::{good, rows};
use crate::support::cluster;

#[tokio::test]
async fn the_api_server_refuses_every_bad_manifest_and_says_what_to_change() {
    let client = cluster().await.admin_client().await.unwrap();
    let mut wrong = Vec::new();
    for row in rows() {
        let answer = if row.update {
            let mut base = row.base();
            base["metadata"]["name"] = format!("admission-{}", row.field.to_lowercase().replace('.', "-")).into();
            let stored = post(&client, &base, "").await.unwrap();
            let mut edited = row.manifest();
            edited["metadata"] = stored["metadata"].clone();
            let answer = send(&client, "PUT", &edited, "dryRun=All&fieldValidation=Strict").await;
            send(&client, "DELETE", &stored, "").await.unwrap();
            answer
        } else {
            post(&client, &row.manifest(), "dryRun=All&fieldValidation=Strict").await
        };
        match answer {
            Ok(_) => wrong.push(format!("{}: accepted", row.name)),
            Err(refusal) if !refusal.contains(&row.message) || !refusal.contains(&row.field) => {
                wrong.push(format!("{}: {refusal}", row.name));
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn the_api_server_takes_every_good_manifest() {
    let client = cluster().await.admin_client().await.unwrap();
    for object in good() {
        post(&client, &object, "dryRun=All&fieldValidation=Strict").await.unwrap();
    }
}

async fn post(client: &Client, object: &Value, query: &str) -> Result<Value, String> {
    send(client, "POST", object, query).await
}

/// Sends an object as `kubectl` does; the refusal is the message that a user reads.
async fn send(client: &Client, verb: &str, object: &Value, query: &str) -> Result<Value, String> {
    let plural = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
    let name = object["metadata"]["name"].as_str().unwrap();
    let path = if verb == "POST" { plural } else { format!("{plural}/{name}") };
    let body = if verb == "DELETE" { Vec::new() } else { serde_json::to_vec(object).unwrap() };
    let request = Request::builder()
        .method(verb)
        .uri(format!("/apis/plumbline.dev/v1alpha1/{path}?{query}"))
        .header("Content-Type", "application/json")
        .body(body)
        .unwrap();
    match client.request::<Value>(request).await {
        Ok(answer) => Ok(answer),
        Err(kube::Error::Api(refusal)) => Err(refusal.message),
        Err(error) => panic!("{verb} {path}: {error}"),
    }
}
