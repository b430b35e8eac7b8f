//! A manifest against everything that the API server would check: the schema, and every CEL rule of it. No IO.
//!
//! The schema is that of the CRDs, so that what passes here is admitted there, and the messages are the same. As with
//! the API server, an object whose types are wrong is not asked its rules. Rules on a change (immutable fields) need a
//! cluster and are not asked. Beyond the API server, the end of an exception is judged as the operator will judge it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::{AccountBaseline, AwsAccount, BaselineException, ChangeRecord, PlanApproval, crds};
use crate::manifests::{Document, Kind, Manifests, Problem};

mod rules;
mod schema;

use rules::Rules;
use schema::Schema;

/// An object that is valid, and where it was declared.
#[derive(Clone, Debug)]
pub struct Declared<T> {
    /// The object, with the defaults that the API server would set.
    pub object: T,
    /// The file that declares it.
    pub file: String,
    /// The line on which it begins.
    pub line: usize,
}

/// All objects of valid manifests.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// The accounts, in the order of the files.
    pub accounts: Vec<Declared<AwsAccount>>,
    /// The baselines, in the order of the files.
    pub baselines: Vec<Declared<AccountBaseline>>,
    /// The exceptions, in the order of the files.
    pub exceptions: Vec<Declared<BaselineException>>,
    /// The approvals, in the order of the files.
    pub approvals: Vec<Declared<PlanApproval>>,
    /// The records, in the order of the files: what a backup or a log holds, with their status.
    pub records: Vec<Declared<ChangeRecord>>,
    /// What is allowed and probably not meant.
    pub warnings: Vec<Problem>,
}

/// Why the schemas of this binary cannot be used, which its tests rule out.
#[derive(Debug, thiserror::Error)]
#[error("the schema of the kind {0} cannot be used: {1}")]
pub struct SchemaError(Kind, String);

/// The compiled schemas of the kinds.
pub struct Validation {
    kinds: Vec<(Kind, Schema, Rules)>,
    now: Option<Timestamp>,
}

impl Validation {
    /// Compiles the schemas.
    ///
    /// # Errors
    ///
    /// If the derived schemas are wrong, which would be a fault of the types.
    pub fn new() -> Result<Self, SchemaError> {
        let crds = crds().map_err(|error| SchemaError(Kind::AwsAccount, error.to_string()))?;
        let mut kinds = Vec::new();
        for kind in Kind::ALL {
            let named = |crd: &&Value| crd.pointer("/spec/names/kind").is_some_and(|name| name == kind.as_str());
            let schema = crds.iter().find(named).and_then(|crd| crd.pointer("/spec/versions/0/schema/openAPIV3Schema"));
            let schema = schema.ok_or_else(|| SchemaError(kind, "it has none".to_owned()))?;
            let refused = |error| SchemaError(kind, error);
            kinds.push((kind, Schema::new(schema).map_err(refused)?, Rules::new(schema).map_err(refused)?));
        }
        Ok(Self { kinds, now: None })
    }

    /// Judges the end of exceptions too, as if they were created at this moment.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        Self { now: Some(now), ..self }
    }

    /// Everything that is wrong with one document, by line.
    #[must_use]
    pub fn problems(&self, document: &Document) -> Vec<Problem> {
        let Some((_, schema, rules)) = self.kinds.iter().find(|(kind, _, _)| *kind == document.kind) else {
            return Vec::new();
        };
        let object = without_status(&document.value);
        let mut faults = schema.faults(&object);
        if faults.is_empty() {
            faults = rules.broken(&object);
        }
        let problems = faults.into_iter().map(|fault| document.problem(&fault.pointer, fault.message));
        let mut problems: Vec<_> = problems.chain(name_problem(document)).collect();
        problems.sort();
        problems
    }

    /// The objects of the manifests, if all of them are valid.
    ///
    /// # Errors
    ///
    /// Every problem of every file, in the order of files and lines.
    pub fn objects(&self, manifests: &Manifests) -> Result<Objects, Vec<Problem>> {
        let mut problems = manifests.problems.clone();
        let mut objects = Objects::default();
        for document in &manifests.documents {
            let found = self.problems(document);
            if found.is_empty() {
                problems.extend(match document.kind {
                    Kind::AwsAccount => declare(document, &mut objects.accounts),
                    Kind::AccountBaseline => declare(document, &mut objects.baselines),
                    Kind::BaselineException => self.declare_exception(document, &mut objects),
                    Kind::PlanApproval => self.declare_approval(document, &mut objects),
                    Kind::ChangeRecord => declare_record(document, &mut objects.records),
                });
            }
            problems.extend(found);
        }
        if problems.is_empty() {
            objects.warnings.extend(missing_accounts(manifests));
            return Ok(objects);
        }
        problems.sort();
        Err(problems)
    }

    fn declare_approval(&self, document: &Document, objects: &mut Objects) -> Option<Problem> {
        let problem = declare(document, &mut objects.approvals);
        let (declared, now) = (objects.approvals.last()?, self.now?);
        let expires_at = declared.object.spec.expires_at.as_str().parse::<Timestamp>();
        match expires_at {
            Err(error) if problem.is_none() => Some(document.problem("/spec/expiresAt", error.to_string())),
            Ok(expires_at) if problem.is_none() && expires_at <= now => {
                let message = format!("it ended at {expires_at}: nothing is started under it");
                objects.warnings.push(document.problem("/spec/expiresAt", message));
                None
            }
            _ => problem,
        }
    }

    fn declare_exception(&self, document: &Document, objects: &mut Objects) -> Option<Problem> {
        let problem = declare(document, &mut objects.exceptions);
        let (declared, now) = (objects.exceptions.last()?, self.now?);
        let pointer = "/spec/expiresAt";
        match declared.object.spec.expiry(now) {
            Err(error) if problem.is_none() => Some(document.problem(pointer, error.to_string())),
            Ok(expires_at) if problem.is_none() && expires_at <= now => {
                let message = format!("it ended at {expires_at} and covers nothing: remove it, or choose a later time");
                objects.warnings.push(document.problem(pointer, message));
                None
            }
            _ => problem,
        }
    }
}

/// With its status, which is not judged: it says what became of the change.
fn declare_record(document: &Document, objects: &mut Vec<Declared<ChangeRecord>>) -> Option<Problem> {
    let problem = declare(document, objects);
    if let (Some(declared), Some(status)) = (objects.last_mut(), document.value.get("status")) {
        declared.object.status = serde_json::from_value(status.clone()).ok();
    }
    problem
}

/// The API server keeps the status of a manifest out, too.
fn without_status(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    object
}

fn declare<T: DeserializeOwned>(document: &Document, objects: &mut Vec<Declared<T>>) -> Option<Problem> {
    match serde_json::from_value(without_status(&document.value)) {
        Ok(object) => {
            objects.push(Declared { object, file: document.file.clone(), line: document.line });
            None
        }
        Err(error) => Some(document.problem("", error.to_string())),
    }
}

/// A name as every cluster-scoped object has it: a DNS subdomain (RFC 1123).
fn name_problem(document: &Document) -> Option<Problem> {
    let name = document.value.pointer("/metadata/name").and_then(Value::as_str)?;
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.iter().all(|byte| alphanumeric(byte) || *byte == b'-')
            && bytes.first().is_some_and(alphanumeric)
            && bytes.last().is_some_and(alphanumeric)
    };
    let is_valid = name.len() <= 253 && name.split('.').all(is_label);
    (!is_valid).then(|| {
        document.problem(
            "/metadata/name",
            format!(
                "Invalid value: \"{name}\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
                 characters, '-' or '.', and must start and end with an alphanumeric character, such as payments-prod"
            ),
        )
    })
}

/// Baselines whose account no file declares: it may live elsewhere, so this is no error.
fn missing_accounts(manifests: &Manifests) -> Vec<Problem> {
    let of_kind = |kind| manifests.documents.iter().filter(move |document| document.kind == kind);
    let accounts: BTreeSet<&str> = of_kind(Kind::AwsAccount).map(Document::name).collect();
    let account_of = |document: &Document| {
        let pointer = "/spec/accountRef/name";
        let name = document.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let message = format!("no AwsAccount \"{name}\" is among these files: it has to exist in the cluster");
        (!accounts.contains(name)).then(|| document.problem(pointer, message))
    };
    of_kind(Kind::AccountBaseline).filter_map(account_of).collect()
}

#[cfg(test)]
mod tests;
