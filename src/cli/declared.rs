//! From the manifests of `-f` to the baselines with their accounts. Reads files through [`manifests`], no more.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use jiff::Timestamp;

use super::report::ReportError;
use crate::api::{AccountBaseline, AwsAccount, AwsAccountSpec, BaselineException, Controls, Enforcement, Mode};
use crate::baseline::exceptions::Exception;
use crate::manifests::{self, Document, Kind, Manifests, Problem};
use crate::validate::{self, Validation};

/// A baseline and the account that it is for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Declared {
    pub(super) baseline: String,
    /// The name of the `AwsAccount`; `None` for the caller's own account, which nobody declared.
    pub(super) account_name: Option<String>,
    pub(super) account: AwsAccountSpec,
    pub(super) controls: Controls,
    /// The baseline's own mode, the ceiling of its controls'.
    pub(super) mode: Mode,
    pub(super) enforcement: Enforcement,
    /// The exceptions that hold in the account.
    pub(super) exceptions: Vec<Exception>,
}

impl Declared {
    /// The same as if every control were in `Enforce`.
    pub(super) fn enforced(mut self) -> Self {
        self.mode = Mode::Enforce;
        let Controls { password_policy, mfa, security_groups, s3_encryption } = &mut self.controls;
        let modes = [
            password_policy.as_mut().map(|control| &mut control.mode),
            mfa.as_mut().map(|control| &mut control.mode),
            security_groups.as_mut().map(|control| &mut control.mode),
            s3_encryption.as_mut().map(|control| &mut control.mode),
        ];
        for mode in modes.into_iter().flatten() {
            *mode = None;
        }
        self
    }
}

/// Reads the baselines, in the order of their names. `suspend` stops the operator, not somebody who asks.
pub(super) fn load(paths: &[PathBuf], stdin: &mut dyn Read, now: Timestamp) -> Result<Vec<Declared>, ReportError> {
    declared(&manifests::load(paths, stdin)?, now)
}

fn declared(manifests: &Manifests, now: Timestamp) -> Result<Vec<Declared>, ReportError> {
    let validation = Validation::new()?.at(now);
    let objects = validation.objects(manifests).map_err(|problems| ReportError::Invalid { problems })?;
    let exceptions = exceptions(&objects.exceptions, now);
    let named = |account: validate::Declared<AwsAccount>| Some((account.object.metadata.name?, account.object.spec));
    let accounts: BTreeMap<String, AwsAccountSpec> = objects.accounts.into_iter().filter_map(named).collect();
    let mut found = Vec::new();
    for AccountBaseline { metadata, spec, .. } in objects.baselines.into_iter().map(|baseline| baseline.object) {
        let (baseline, account_name) = (metadata.name.unwrap_or_default(), spec.account_ref.name);
        if let Some(account) = accounts.get(&account_name).cloned() {
            let in_force = |exception: &&Exception| exception.in_force(&account_name, now);
            let exceptions = exceptions.iter().filter(in_force).cloned().collect();
            found.push(Declared {
                baseline,
                account_name: Some(account_name),
                account,
                controls: spec.controls,
                mode: spec.mode,
                enforcement: spec.enforcement.unwrap_or_default(),
                exceptions,
            });
        }
    }
    let problems = undeclared_accounts(manifests, &accounts);
    if !problems.is_empty() {
        return Err(ReportError::Invalid { problems });
    }
    if found.is_empty() {
        return Err(ReportError::NoBaseline);
    }
    found.sort_by(|a, b| a.baseline.cmp(&b.baseline));
    Ok(found)
}

/// Those that can be honoured: validation has refused the others.
fn exceptions(declared: &[validate::Declared<BaselineException>], now: Timestamp) -> Vec<Exception> {
    let objects = declared.iter().map(|declared| &declared.object);
    let read = |object: &BaselineException| {
        Exception::new(object.metadata.name.as_deref().unwrap_or_default(), &object.spec, now).ok()
    };
    objects.filter_map(read).collect()
}

/// In a cluster the account may come later; here nothing else will.
fn undeclared_accounts(manifests: &Manifests, accounts: &BTreeMap<String, AwsAccountSpec>) -> Vec<Problem> {
    let problem = |document: &Document| {
        let pointer = "/spec/accountRef/name";
        let name = document.value.pointer(pointer)?.as_str().filter(|name| !accounts.contains_key(*name))?;
        let message =
            format!("no file declares the AwsAccount \"{name}\": add the one that does with -f, or correct the name");
        Some(document.problem(pointer, message))
    };
    manifests.documents.iter().filter(|document| document.kind == Kind::AccountBaseline).filter_map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::at;

    fn load_text(text: &str) -> Result<Vec<Declared>, ReportError> {
        load(&[PathBuf::from("-")], &mut text.as_bytes(), at())
    }

    fn account(name: &str) -> String {
        format!(
            "apiVersion: plumbline.dev/v1alpha1\nkind: AwsAccount\nmetadata: {{name: {name}}}\n\
             spec: {{accountId: \"222222222222\"}}\n---\n"
        )
    }

    fn baseline(name: &str, account: &str) -> String {
        format!(
            "apiVersion: plumbline.dev/v1alpha1\nkind: AccountBaseline\nmetadata: {{name: {name}}}\nspec:\n  \
             accountRef: {{name: {account}}}\n  controls: {{passwordPolicy: {{minimumPasswordLength: 14}}}}\n---\n"
        )
    }

    #[test]
    fn baselines_find_their_accounts_and_come_by_name_whatever_the_order_of_the_files() {
        let text = [baseline("b", "prod"), account("dev"), baseline("a", "dev"), account("prod")].concat();
        let names: Vec<_> =
            load_text(&text).unwrap().into_iter().map(|d| (d.baseline, d.account_name.unwrap())).collect();
        assert_eq!(names, [("a".to_owned(), "dev".to_owned()), ("b".to_owned(), "prod".to_owned())]);
    }

    #[test]
    fn an_account_that_nobody_declares_is_said_with_file_and_line() {
        let error = load_text(&[account("dev"), baseline("a", "prod")].concat()).unwrap_err().to_string();
        assert_eq!(
            error,
            "<stdin>:10: spec.accountRef.name: no file declares the AwsAccount \"prod\": add the one that does with \
             -f, or correct the name"
        );
    }

    #[test]
    fn a_field_that_does_not_exist_is_refused_before_anything_is_asked_of_aws() {
        let text = [account("dev"), baseline("a", "dev").replace("minimumPasswordLength", "minimumLength")].concat();
        let error = load_text(&text).unwrap_err().to_string();
        assert!(error.starts_with("<stdin>:11: spec.controls.passwordPolicy.minimumLength: unknown field"), "{error}");
    }

    fn exception(name: &str, account: &str, expires_at: &str) -> String {
        format!(
            "apiVersion: plumbline.dev/v1alpha1\nkind: BaselineException\nmetadata: {{name: {name}}}\nspec:\n  \
             accounts: [{account}]\n  check: UserMfa\n  resourcePattern: carol\n  reason: on leave until spring\n  \
             owner: team-iam\n  expiresAt: \"{expires_at}\"\n---\n"
        )
    }

    #[test]
    fn a_baseline_comes_with_the_exceptions_that_are_in_force_in_its_account() {
        let files = [
            account("prod"),
            baseline("a", "prod"),
            exception("ours", "prod", "2027-01-01T00:00:00Z"),
            exception("theirs", "dev", "2027-01-01T00:00:00Z"),
            exception("over", "prod", "2026-11-01T00:00:00Z"),
        ];
        let found = load_text(&files.concat()).unwrap().remove(0).exceptions;
        assert_eq!(found.iter().map(|exception| exception.name.as_str()).collect::<Vec<_>>(), ["ours"]);
    }

    #[test]
    fn an_exception_that_is_too_long_is_refused_with_file_and_line() {
        let text = [account("prod"), baseline("a", "prod"), exception("long", "prod", "2027-11-02T00:00:01Z")].concat();
        let error = load_text(&text).unwrap_err().to_string();
        assert!(error.starts_with("<stdin>:22: spec.expiresAt: ") && error.contains("more than 366 days"), "{error}");
    }

    #[test]
    fn files_without_a_baseline_say_what_to_do() {
        let error = load_text(&account("dev")).unwrap_err().to_string();
        assert!(error.contains("leave -f out"), "{error}");
    }
}
