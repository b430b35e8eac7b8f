//! CRDs into an API server that serves them, and its warnings. Does IO: reads files, calls the API.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hyper::header::{CONTENT_TYPE, HeaderMap, WARNING};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client};
use serde_json::Value;
use tokio::time::{Instant, sleep};

const SERVED_WITHIN: Duration = Duration::from_secs(30);

/// The objects in a YAML file, or in all YAML files of a folder by name.
///
/// # Errors
/// When a file cannot be read or is no YAML.
pub fn manifests(path: &Path) -> Result<Vec<Value>> {
    if !path.is_dir() {
        let text = fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
        let objects: Vec<Value> =
            serde_saphyr::from_multiple(&text).with_context(|| format!("no YAML: {}", path.display()))?;
        return Ok(objects.into_iter().filter(|object| !object.is_null()).collect());
    }
    let mut files = fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>())
        .with_context(|| format!("could not read {}", path.display()))?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"));
    files.sort();
    let objects = files.iter().map(|file| manifests(file)).collect::<Result<Vec<_>>>()?;
    Ok(objects.into_iter().flatten().collect())
}

pub(super) async fn install(client: &Client, crds: &[Value]) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for crd in crds {
        warnings.extend(apply(client, crd).await?);
    }
    for crd in crds {
        wait_until_served(client, name_of(crd)?).await?;
    }
    Ok(warnings)
}

fn name_of(crd: &Value) -> Result<&str> {
    crd.pointer("/metadata/name").and_then(Value::as_str).context("a CustomResourceDefinition without a name")
}

/// kube's own `patch` would do, but it keeps the headers to itself.
async fn apply(client: &Client, crd: &Value) -> Result<Vec<String>> {
    let name = name_of(crd)?;
    let path =
        format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}?fieldManager=plumbline-rig&force=true");
    let request = hyper::Request::patch(path)
        .header(CONTENT_TYPE, "application/apply-patch+yaml")
        .body(kube::client::Body::from(serde_json::to_vec(crd)?))?;
    let response = client.send(request).await?;
    let status = response.status();
    let warnings = warnings(response.headers());
    let body = response.into_body().collect_bytes().await?;
    if !status.is_success() {
        bail!("{name} was refused ({status}): {}", message(&body));
    }
    Ok(warnings)
}

/// The texts of `Warning: 299 - "text"` headers, as Kubernetes sends them.
///
/// <https://kubernetes.io/blog/2020/09/03/warnings/>
fn warnings(headers: &HeaderMap) -> Vec<String> {
    let text = |value: &hyper::header::HeaderValue| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let quoted = value.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"'));
        quoted.map_or(value.clone(), |(text, _)| text.replace("\\\"", "\"").replace("\\\\", "\\"))
    };
    headers.get_all(WARNING).iter().map(text).collect()
}

/// What a `Status` object says, or the body as it is.
fn message(body: &[u8]) -> String {
    let status: Option<Value> = serde_json::from_slice(body).ok();
    let message = status.as_ref().and_then(|status| status.get("message")).and_then(Value::as_str);
    message.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned)
}

/// `Established` says that it will be served; a list that is answered says that it is.
async fn wait_until_served(client: &Client, name: &str) -> Result<()> {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let deadline = Instant::now() + SERVED_WITHIN;
    loop {
        let crd = crds.get(name).await.with_context(|| format!("could not read {name}"))?;
        if established(&crd) {
            let version = crd.spec.versions.iter().find(|version| version.served).context("no version is served")?;
            let path = format!("/apis/{}/{}/{}?limit=1", crd.spec.group, version.name, crd.spec.names.plural);
            match client.request_text(super::get(&path)?).await {
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 429 | 503) => {}
                outcome => {
                    return outcome.map(|_| ()).with_context(|| format!("{name} is not served"));
                }
            }
        }
        if Instant::now() >= deadline {
            let conditions = crd.status.and_then(|status| status.conditions);
            bail!("{name} is not served after {} s: {conditions:?}", SERVED_WITHIN.as_secs());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn established(crd: &CustomResourceDefinition) -> bool {
    let conditions = crd.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions
        .is_some_and(|all| all.iter().any(|condition| condition.type_ == "Established" && condition.status == "True"))
}
