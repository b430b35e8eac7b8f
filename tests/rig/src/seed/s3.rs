//! Keys and buckets.

use anyhow::Context;
use serde_json::json;

use super::Seeded;
use super::client::Client;
use super::document::{Bucket, Document, Encryption, Key, KeyState};
use crate::aws_proxy::Element;

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
const XML: &str = "application/xml";

pub(super) async fn seed(client: &Client, document: &Document, seeded: &mut Seeded) -> anyhow::Result<()> {
    for (region, keys) in &document.keys {
        for key in keys {
            let arn = create_key(client, region, key).await.with_context(|| format!("key {}", key.alias))?;
            seeded.keys.insert(format!("{region}/{}", key.alias), arn);
        }
    }
    // All buckets before their logging, which names buckets.
    for bucket in &document.buckets {
        let is_target = document.buckets.iter().any(|other| other.logs_to.as_ref() == Some(&bucket.name));
        create_bucket(client, bucket, is_target).await.with_context(|| format!("bucket {}", bucket.name))?;
    }
    for bucket in &document.buckets {
        configure(client, bucket, seeded).await.with_context(|| format!("bucket {}", bucket.name))?;
    }
    Ok(())
}

async fn create_key(client: &Client, region: &str, key: &Key) -> anyhow::Result<String> {
    let usage = key.usage.as_deref().unwrap_or("ENCRYPT_DECRYPT");
    let spec = key.spec.as_deref().unwrap_or("SYMMETRIC_DEFAULT");
    let body = json!({"KeyUsage": usage, "KeySpec": spec, "MultiRegion": false, "Description": key.alias});
    let answer = client.kms(region, "CreateKey", &body).await?;
    let text = |pointer: &str| answer.pointer(pointer).and_then(serde_json::Value::as_str).map(ToOwned::to_owned);
    let id = text("/KeyMetadata/KeyId").context("CreateKey answered no id")?;
    client.kms(region, "CreateAlias", &json!({"AliasName": key.alias, "TargetKeyId": id})).await?;
    match key.state {
        KeyState::Enabled => {}
        KeyState::Disabled => drop(client.kms(region, "DisableKey", &json!({"KeyId": id})).await?),
        KeyState::PendingDeletion => {
            let body = json!({"KeyId": id, "PendingWindowInDays": 30});
            client.kms(region, "ScheduleKeyDeletion", &body).await?;
        }
    }
    text("/KeyMetadata/Arn").context("CreateKey answered no ARN")
}

async fn create_bucket(client: &Client, bucket: &Bucket, is_log_target: bool) -> anyhow::Result<()> {
    let body = match bucket.region.as_str() {
        // The one region that must not be named.
        "us-east-1" => String::new(),
        region => document("CreateBucketConfiguration", vec![Element::with_text("LocationConstraint", region)]),
    };
    let acl: &[(&'static str, &str)] = if is_log_target { &[("x-amz-acl", "log-delivery-write")] } else { &[] };
    client.put(&bucket.region, &format!("/{}", bucket.name), XML, acl, body).await
}

async fn configure(client: &Client, bucket: &Bucket, seeded: &Seeded) -> anyhow::Result<()> {
    let put = async |subresource: &str, content_type: &str, body: String| {
        client.put(&bucket.region, &format!("/{}?{subresource}", bucket.name), content_type, &[], body).await
    };
    if let Some(encryption) = &bucket.encryption {
        put("encryption", XML, encryption_document(encryption, seeded)).await?;
    }
    // Before the policy, which a block would refuse.
    if bucket.public_access_block == Some(false) {
        put("publicAccessBlock", XML, public_access_block(false)).await?;
    }
    if let Some(policy) = &bucket.policy {
        put("policy", "application/json", policy.to_string()).await?;
    }
    if bucket.website {
        let index = Element::with_children("IndexDocument", vec![Element::with_text("Suffix", "index.html")]);
        put("website", XML, document("WebsiteConfiguration", vec![index])).await?;
    }
    if bucket.public_access_block == Some(true) {
        put("publicAccessBlock", XML, public_access_block(true)).await?;
    }
    if !bucket.tags.is_empty() {
        let tag = |(key, value): (&String, &String)| {
            Element::with_children("Tag", vec![Element::with_text("Key", key), Element::with_text("Value", value)])
        };
        let set = Element::with_children("TagSet", bucket.tags.iter().map(tag).collect());
        put("tagging", XML, document("Tagging", vec![set])).await?;
    }
    if bucket.replicates {
        let versioned = document("VersioningConfiguration", vec![Element::with_text("Status", "Enabled")]);
        put("versioning", XML, versioned).await?;
        put("replication", XML, replication_document(&client.account, &bucket.name)).await?;
    }
    if let Some(target) = &bucket.logs_to {
        let fields = vec![Element::with_text("TargetBucket", target), Element::with_text("TargetPrefix", "logs/")];
        let enabled = Element::with_children("LoggingEnabled", fields);
        put("logging", XML, document("BucketLoggingStatus", vec![enabled])).await?;
    }
    Ok(())
}

fn public_access_block(blocks: bool) -> String {
    let fields = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
    let fields = fields.map(|field| Element::with_text(field, blocks)).to_vec();
    document("PublicAccessBlockConfiguration", fields)
}

/// To itself: the emulator asks no more than that the target exists.
fn replication_document(account: &str, bucket: &str) -> String {
    let target = Element::with_text("Bucket", format!("arn:aws:s3:::{bucket}"));
    let rule = Element::with_children(
        "Rule",
        vec![
            Element::with_text("Status", "Enabled"),
            Element::with_text("Priority", 1),
            Element::with_children("Filter", vec![Element::with_text("Prefix", "")]),
            Element::with_children("DeleteMarkerReplication", vec![Element::with_text("Status", "Disabled")]),
            Element::with_children("Destination", vec![target]),
        ],
    );
    let replicates = Element::with_text("Role", format!("arn:aws:iam::{account}:role/replication"));
    document("ReplicationConfiguration", vec![replicates, rule])
}

fn encryption_document(encryption: &Encryption, seeded: &Seeded) -> String {
    let mut apply = vec![Element::with_text("SSEAlgorithm", &encryption.algorithm)];
    if let Some(key) = &encryption.key {
        let own = key.strip_prefix("key:").and_then(|name| seeded.keys.get(name));
        apply.push(Element::with_text("KMSMasterKeyID", own.unwrap_or(key)));
    }
    let mut rule = vec![Element::with_children("ApplyServerSideEncryptionByDefault", apply)];
    rule.extend(encryption.bucket_key.map(|enabled| Element::with_text("BucketKeyEnabled", enabled)));
    document("ServerSideEncryptionConfiguration", vec![Element::with_children("Rule", rule)])
}

fn document(name: &str, children: Vec<Element>) -> String {
    let mut root = Element::with_children(name, children);
    root.attributes = vec![("xmlns".to_owned(), NAMESPACE.to_owned())];
    root.to_document()
}
