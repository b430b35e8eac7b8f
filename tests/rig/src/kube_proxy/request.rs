//! A request's path into what it means to Kubernetes. No IO.

use hyper::Method;
use serde::Serialize;

use crate::aws_proxy::Numbered;

/// One call as the proxy saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Its place in the order of arrival, across all proxies that share a sequence.
    pub seq: u64,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, with the subresource behind
    /// it where there is one: `update-status`.
    pub verb: String,
    /// The plural of the kind; the path where it is no object's.
    pub resource: String,
    /// The object's name, where the call names one.
    pub name: Option<String>,
    /// The HTTP status of the answer; none where there was no answer (yet).
    pub status: Option<u16>,
    /// Whether it changes something when it succeeds.
    pub mutating: bool,
    /// The fault that a rule applied to it.
    pub fault: Option<String>,
}

impl Call {
    /// Reads a request as the API server would.
    ///
    /// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris>
    pub(super) fn new(method: &Method, path: &str, query: &str) -> Self {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let object = match segments.as_slice() {
            ["api", _version, object @ ..] | ["apis", _, _version, object @ ..] => object,
            _ => &[],
        };
        let object = match object {
            ["namespaces", _namespace, inside @ ..] if !inside.is_empty() => inside,
            other => other,
        };
        let (resource, name, subresource) = match object {
            [] => (path, None, None),
            [plural] => (*plural, None, None),
            [plural, name] => (*plural, Some(*name), None),
            [plural, name, subresource, ..] => (*plural, Some(*name), Some(*subresource)),
        };
        let watched = form_urlencoded::parse(query.as_bytes())
            .any(|(key, value)| key == "watch" && (value == "true" || value == "1"));
        let verb = match (method.as_str(), name) {
            ("GET" | "HEAD", _) if watched => "watch",
            ("GET" | "HEAD", None) if !object.is_empty() => "list",
            ("GET" | "HEAD", _) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", Some(_)) => "delete",
            ("DELETE", None) => "deletecollection",
            (other, _) => other,
        };
        Self {
            seq: 0,
            verb: subresource.map_or_else(|| verb.to_owned(), |subresource| format!("{verb}-{subresource}")),
            resource: resource.to_owned(),
            name: name.map(str::to_owned),
            status: None,
            mutating: !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS),
            fault: None,
        }
    }
}

impl Numbered for Call {
    fn seq(&self) -> u64 {
        self.seq
    }

    fn number(&mut self, seq: u64) {
        self.seq = seq;
    }

    fn answered(&mut self, status: u16) {
        self.status = Some(status);
    }

    fn fault(&mut self, fault: String) {
        self.fault = Some(fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &str, target: &str) -> (String, String, Option<String>, bool) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let call = Call::new(&method.parse().unwrap(), path, query);
        (call.verb, call.resource, call.name, call.mutating)
    }

    fn is(verb: &str, resource: &str, name: Option<&str>, mutating: bool) -> (String, String, Option<String>, bool) {
        (verb.to_owned(), resource.to_owned(), name.map(str::to_owned), mutating)
    }

    #[test]
    fn a_request_is_named_as_rbac_names_it() {
        let own = "/apis/plumbline.dev/v1alpha1/awsaccounts";
        assert_eq!(call("GET", own), is("list", "awsaccounts", None, false));
        assert_eq!(call("GET", &format!("{own}?limit=500&watch=true")), is("watch", "awsaccounts", None, false));
        assert_eq!(call("GET", &format!("{own}/a")), is("get", "awsaccounts", Some("a"), false));
        assert_eq!(call("PUT", &format!("{own}/a/status")), is("update-status", "awsaccounts", Some("a"), true));
        assert_eq!(call("PATCH", &format!("{own}/a")), is("patch", "awsaccounts", Some("a"), true));
        assert_eq!(call("DELETE", &format!("{own}/a")), is("delete", "awsaccounts", Some("a"), true));
        assert_eq!(call("DELETE", own), is("deletecollection", "awsaccounts", None, true));
        let events = "/api/v1/namespaces/default/events";
        assert_eq!(call("POST", events), is("create", "events", None, true));
        assert_eq!(call("GET", "/api/v1/namespaces/default"), is("get", "namespaces", Some("default"), false));
        assert_eq!(call("GET", "/readyz"), is("get", "/readyz", None, false));
    }
}
