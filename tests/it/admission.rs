//! The table of bad manifests on the real API server: what is refused offline is refused there, with the same words.

use http::Request;
use kube::Client;
use serde_json::{Value, json};

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
            let answer = edit(&client, &stored, row.manifest()).await;
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

#[tokio::test]
async fn p3_the_outcome_of_a_record_is_written_once_and_never_taken_away() {
    let client = cluster().await.admin_client().await.unwrap();
    let mut record = good().into_iter().find(|object| object["kind"] == "ChangeRecord").unwrap();
    record["metadata"]["name"] = "outcome-once".into();
    let mut stored = post(&client, &record, "").await.unwrap();
    let outcome = |word: &str, message: &str| json!({"outcome": word, "reason": "Applied", "message": message});
    for status in [json!({"message": "under way"}), outcome("Succeeded", "read back"), outcome("Succeeded", "again")] {
        stored = put_status(&client, &stored, Some(status)).await.unwrap();
    }
    for status in [Some(outcome("NotApplied", "")), Some(json!({"reason": "Applied"})), None] {
        let refusal = put_status(&client, &stored, status.clone()).await.unwrap_err();
        let expected = "the outcome of a ChangeRecord is written once, and neither changed nor removed";
        assert!(refusal.contains(expected), "{status:?}: {refusal}");
    }
    send(&client, "DELETE", &stored, "").await.unwrap();
}

/// What is answered to an edit. The operators of other tests may write the object's status at the same time.
async fn edit(client: &Client, stored: &Value, mut edited: Value) -> Result<Value, String> {
    loop {
        edited["metadata"] = send(client, "GET", stored, "").await?["metadata"].clone();
        match send(client, "PUT", &edited, "dryRun=All&fieldValidation=Strict").await {
            Err(refusal) if refusal.contains("the object has been modified") => {}
            answer => return answer,
        }
    }
}

async fn put_status(client: &Client, stored: &Value, status: Option<Value>) -> Result<Value, String> {
    let mut object = stored.clone();
    let fields = object.as_object_mut().unwrap();
    fields.remove("status");
    fields.extend(status.map(|status| ("status".to_owned(), status)));
    let path = format!("changerecords/{}/status", object["metadata"]["name"].as_str().unwrap());
    request(client, "PUT", &path, &object).await
}

async fn post(client: &Client, object: &Value, query: &str) -> Result<Value, String> {
    send(client, "POST", object, query).await
}

/// Sends an object as `kubectl` does; the refusal is the message that a user reads.
async fn send(client: &Client, verb: &str, object: &Value, query: &str) -> Result<Value, String> {
    let plural = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
    let name = object["metadata"]["name"].as_str().unwrap();
    let path = if verb == "POST" { plural } else { format!("{plural}/{name}") };
    request(client, verb, &format!("{path}?{query}"), object).await
}

async fn request(client: &Client, verb: &str, path: &str, object: &Value) -> Result<Value, String> {
    let body = if matches!(verb, "DELETE" | "GET") { Vec::new() } else { serde_json::to_vec(object).unwrap() };
    let request = Request::builder()
        .method(verb)
        .uri(format!("/apis/plumbline.dev/v1alpha1/{path}"))
        .header("Content-Type", "application/json")
        .body(body)
        .unwrap();
    match client.request::<Value>(request).await {
        Ok(answer) => Ok(answer),
        Err(kube::Error::Api(refusal)) => Err(refusal.message),
        Err(error) => panic!("{verb} {path}: {error}"),
    }
}
