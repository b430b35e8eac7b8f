//! What the rendered roles allow: read rule by rule, for every set of values.

use std::collections::BTreeSet;

use plumbline_rig::release::{Helm, Release};
use serde_json::Value;

use super::{cases, rendered};

/// The words of a field of a rule.
fn words(rule: &Value, field: &str) -> Vec<String> {
    let words = rule[field].as_array().into_iter().flatten();
    words.map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// All rules of all roles, each with the role's name.
fn rules(release: &Release) -> Vec<(String, Value)> {
    let roles = release.of_kind("ClusterRole").chain(release.of_kind("Role"));
    let of_role = |role: &Value| {
        let name = role["metadata"]["name"].as_str().unwrap().to_owned();
        role["rules"].as_array().unwrap().iter().map(|rule| (name.clone(), rule.clone())).collect::<Vec<_>>()
    };
    roles.flat_map(of_role).collect()
}

/// Verb and resource of each call that the roles of a name allow, a subresource behind the resource.
pub(super) fn allowed(release: &Release, role: &str) -> BTreeSet<(String, String)> {
    let mut allowed = BTreeSet::new();
    for (_, rule) in rules(release).iter().filter(|(name, _)| name.starts_with(role)) {
        for resource in words(rule, "resources") {
            allowed.extend(words(rule, "verbs").into_iter().map(|verb| (verb, resource.clone())));
        }
    }
    allowed
}

#[tokio::test]
async fn no_role_has_a_wildcard_a_secret_or_a_way_to_more_rights() {
    for (name, values) in cases() {
        let release = Release::read(&rendered(Helm::Four, &values).await).unwrap();
        let rules = rules(&release);
        assert!(!rules.is_empty(), "{name}");
        for (role, rule) in rules {
            let groups = words(&rule, "apiGroups");
            let ours = ["plumbline.dev", "coordination.k8s.io", "events.k8s.io"];
            // Not the core group, which has the secrets, nor the one that has the CRDs.
            assert!(groups.iter().all(|group| ours.contains(&group.as_str())), "{name} {role}: {groups:?}");
            assert!(!groups.is_empty() && rule.get("nonResourceURLs").is_none(), "{name} {role}");
            let (resources, verbs) = (words(&rule, "resources"), words(&rule, "verbs"));
            let is_bad = |word: &String| {
                word.contains('*') || ["secrets", "escalate", "bind", "impersonate"].contains(&word.as_str())
            };
            assert!(!resources.iter().chain(&verbs).any(is_bad), "{name} {role}: {resources:?} {verbs:?}");
        }
    }
}

#[tokio::test]
async fn only_the_right_to_look_is_aggregated_and_only_to_view() {
    for (name, values) in cases() {
        let release = Release::read(&rendered(Helm::Four, &values).await).unwrap();
        for role in release.of_kind("ClusterRole") {
            let labels = role["metadata"]["labels"].as_object().unwrap();
            let aggregated: Vec<_> = labels.keys().filter(|label| label.contains("/aggregate-to-")).collect();
            if !aggregated.is_empty() {
                assert_eq!(aggregated, ["rbac.authorization.k8s.io/aggregate-to-view"], "{name}: {role}");
                assert!(role["metadata"]["name"].as_str().unwrap().ends_with("-view"), "{name}: {role}");
                for rule in role["rules"].as_array().unwrap() {
                    assert_eq!(words(rule, "verbs"), ["get", "list", "watch"], "{name}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_operator_that_only_looks_has_no_right_on_records() {
    let may = async |set: &str| {
        let release = Release::rendered(Helm::Four, &["--set", set]).await.unwrap();
        let allowed = allowed(&release, "plumbline-operator");
        let has = |resource: &str| allowed.iter().any(|(_, allowed)| allowed == resource);
        (has("changerecords"), has("changerecords/status"), has("leases"))
    };
    assert_eq!(may("leaderElection.enabled=false").await, (false, false, false));
    assert_eq!(may("leaderElection.enabled=true").await, (false, false, true));
    for enforces in ["enforcement.enabled=true", "config.enforce=true", "extraArgs={--enforce}"] {
        assert_eq!(may(&format!("leaderElection.enabled=false,{enforces}")).await, (true, true, true), "{enforces}");
    }
}
