//! `plumbline iam-policy`: the IAM policies of the roles that Plumbline assumes, from what the baselines ask for. Reads
//! files and prints.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::preset::Preset;
use super::validate::{names, report, tell_ignored};
use super::{CliError, Exit};
use crate::api::AccountBaselineSpec;
use crate::baseline::Check;
use crate::baseline::permissions::{
    FOR_ACCOUNT_STATUS, FOR_REPORTS, Grant, Permission, PolicyDocument, audit_policy, enforce_policy, every_grant,
    every_read, grants, needed_by_any, needed_by_baseline, operator_policy, trust_policy,
};
use crate::baseline::plan::effective;
use crate::manifests::load;
use crate::validate::{Objects, Validation};

/// What AWS takes as inline policies of one role, without white space.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
const INLINE_POLICIES: usize = 10_240;

/// Arguments of `plumbline iam-policy`.
#[derive(Clone, Debug, Args)]
pub struct IamPolicyArgs {
    /// Which policy
    #[command(subcommand)]
    pub policy: Policy,
}

/// The policies.
#[derive(Clone, Debug, Subcommand)]
pub enum Policy {
    /// The read actions that an audit needs: attach it to the role that an AwsAccount names as auditRoleName.
    ///
    /// Without -f or --preset: what any baseline can need.
    Audit(AuditPolicyArgs),
    /// The changes that enforcement can make, and the reads that verify them: attach it to the role that an AwsAccount
    /// names as enforceRoleName.
    ///
    /// Without -f: what any baseline can change, with a deny policy of the usual name.
    Enforce(EnforcePolicyArgs),
    /// What the operator's own identity needs: to assume the roles of the declared accounts, and nothing else.
    Operator(OperatorPolicyArgs),
    /// Who may assume the role: the operator alone.
    Trust(TrustArgs),
}

/// Arguments of `plumbline iam-policy audit`.
#[derive(Clone, Debug, Args)]
pub struct AuditPolicyArgs {
    /// Files or folders with manifests, or - for standard input: only what their baselines ask for
    #[arg(short, long, value_name = "PATH", num_args = 1..)]
    pub filename: Vec<PathBuf>,
    /// Only what this built-in baseline asks for
    #[arg(long, value_name = "NAME", value_enum, conflicts_with = "filename")]
    pub preset: Option<Preset>,
    /// The AWS partition of the ARNs, such as aws-us-gov or aws-cn
    #[arg(long, value_name = "PARTITION", default_value = "aws", value_parser = partition)]
    pub partition: String,
    /// The policy as it is given to AWS, or a table that says what each action is for
    #[arg(short, long, value_enum, default_value_t)]
    pub output: PolicyFormat,
}

/// Arguments of `plumbline iam-policy enforce`.
#[derive(Clone, Debug, Args)]
pub struct EnforcePolicyArgs {
    /// Files or folders with manifests, or - for standard input: only what their baselines may change
    #[arg(short, long, value_name = "PATH", num_args = 1..)]
    pub filename: Vec<PathBuf>,
    /// The AWS partition of the ARNs, such as aws-us-gov or aws-cn
    #[arg(long, value_name = "PARTITION", default_value = "aws", value_parser = partition)]
    pub partition: String,
    /// The policy as it is given to AWS, or a table that says what each action is for
    #[arg(short, long, value_enum, default_value_t)]
    pub output: PolicyFormat,
}

/// Arguments of `plumbline iam-policy operator`.
#[derive(Clone, Debug, Args)]
pub struct OperatorPolicyArgs {
    /// Files or folders with manifests, or - for standard input: the roles of their accounts
    #[arg(short, long, value_name = "PATH", num_args = 1.., required = true)]
    pub filename: Vec<PathBuf>,
    /// The AWS partition of the ARNs, such as aws-us-gov or aws-cn
    #[arg(long, value_name = "PARTITION", default_value = "aws", value_parser = partition)]
    pub partition: String,
    /// The policy as it is given to AWS, or a table of the roles
    #[arg(short, long, value_enum, default_value_t)]
    pub output: PolicyFormat,
}

/// Arguments of `plumbline iam-policy trust`.
#[derive(Clone, Debug, Args)]
pub struct TrustArgs {
    /// The ARN of the role or user that the operator runs as; of a role's session, the role is trusted
    #[arg(long, value_name = "ARN")]
    pub operator: String,
    /// The externalId of the AwsAccount
    #[arg(long, value_name = "ID")]
    pub external_id: Option<String>,
}

/// How the policy is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PolicyFormat {
    /// The policy document
    #[default]
    Json,
    /// The policy document, as templates of `CloudFormation` have it
    Yaml,
    /// For people: each action, where it is allowed, and the checks that need it
    Table,
}

/// Runs the subcommand.
///
/// # Errors
///
/// If the manifests cannot be read, or the output cannot be written.
pub fn run(args: &IamPolicyArgs, out: &mut impl Write) -> Result<Exit, CliError> {
    match &args.policy {
        Policy::Audit(args) => audit(args, out),
        Policy::Enforce(args) => enforce(args, out),
        Policy::Operator(args) => operator(args, out),
        Policy::Trust(args) => json(&trust_policy(&args.operator, args.external_id.as_deref()), out),
    }
}

fn audit(args: &AuditPolicyArgs, out: &mut impl Write) -> Result<Exit, CliError> {
    let Some(permissions) = permissions(args)? else { return Ok(Exit::Error) };
    let policy = audit_policy(&permissions, &args.partition);
    print(&policy, args.output, || table(&permissions, &args.partition), out)
}

fn enforce(args: &EnforcePolicyArgs, out: &mut impl Write) -> Result<Exit, CliError> {
    let grants = if args.filename.is_empty() {
        every_grant(&args.partition)
    } else {
        let Some(objects) = declared(&args.filename)? else { return Ok(Exit::Error) };
        let specs = specs(&objects, &args.filename)?;
        let controls: Vec<_> = specs.into_iter().map(|spec| effective(spec.mode, &spec.controls)).collect();
        grants(&controls, &args.partition)
    };
    if grants.is_empty() {
        return Err(CliError::NothingEnforced(names(&args.filename)));
    }
    print(&enforce_policy(&grants), args.output, || changes_table(&grants), out)
}

fn operator(args: &OperatorPolicyArgs, out: &mut impl Write) -> Result<Exit, CliError> {
    let Some(objects) = declared(&args.filename)? else { return Ok(Exit::Error) };
    let mut roles: Vec<(String, Vec<String>)> = Vec::new();
    for account in &objects.accounts {
        let spec = &account.object.spec;
        let name = account.object.metadata.name.as_deref().unwrap_or_default();
        let named = [(&spec.audit_role_name, "audits"), (&spec.enforce_role_name, "enforces")];
        for (role, what) in named.into_iter().filter_map(|(role, what)| Some((role.as_deref()?, what))) {
            let arn = format!("arn:{}:iam::{}:role/{}", args.partition, spec.account_id, role.trim_start_matches('/'));
            let purpose = format!("{what} {name}");
            match roles.iter_mut().find(|(known, _)| *known == arn) {
                Some((_, purposes)) => purposes.push(purpose),
                None => roles.push((arn, vec![purpose])),
            }
        }
    }
    if roles.is_empty() {
        return Err(CliError::NoRole(names(&args.filename)));
    }
    let assumed: Vec<String> = roles.iter().map(|(arn, _)| arn.clone()).collect();
    let rows = || roles.iter().map(|(arn, what)| ["sts:AssumeRole".to_owned(), arn.clone(), what.join(", ")]).collect();
    let policy = operator_policy(&assumed);
    if let Some(note) = too_long(&policy, args)? {
        eprintln!("note: {note}");
    }
    print(&policy, args.output, || table_of(rows()), out)
}

/// What to do where AWS would not take the policy as an inline policy of the operator's role.
fn too_long(policy: &PolicyDocument, args: &OperatorPolicyArgs) -> Result<Option<String>, CliError> {
    let length = serde_json::to_string(policy).map_err(|error| CliError::Format("JSON", error.into()))?.len();
    let note = format!(
        "the policy has {length} characters, and AWS takes {INLINE_POLICIES} inline on one role: part the accounts \
         between policies, or allow arn:{}:iam::*:role/NAME with the condition aws:ResourceOrgID",
        args.partition
    );
    Ok((length > INLINE_POLICIES).then_some(note))
}

fn print(
    policy: &PolicyDocument,
    output: PolicyFormat,
    table: impl FnOnce() -> String,
    out: &mut impl Write,
) -> Result<Exit, CliError> {
    match output {
        PolicyFormat::Json => return json(policy, out),
        PolicyFormat::Yaml => {
            let text = serde_saphyr::to_string(policy).map_err(|error| CliError::Format("YAML", error.into()))?;
            write!(out, "{text}")?;
        }
        PolicyFormat::Table => writeln!(out, "{}", table())?,
    }
    Ok(Exit::Ok)
}

/// What the arguments ask for; `None` where the manifests are not valid, which has been said.
fn permissions(args: &AuditPolicyArgs) -> Result<Option<Vec<Permission>>, CliError> {
    if let Some(preset) = args.preset {
        let baseline = preset.baseline()?.ok_or(CliError::Preset(preset.name()))?;
        return Ok(Some(needed_by_baseline(&baseline.spec, &args.partition)));
    }
    if args.filename.is_empty() {
        return Ok(Some(every_read(&args.partition)));
    }
    let Some(objects) = declared(&args.filename)? else { return Ok(None) };
    Ok(Some(needed_by_any(specs(&objects, &args.filename)?, &args.partition)))
}

/// What the files declare; `None` where it is not valid, which has been said.
fn declared(filename: &[PathBuf]) -> Result<Option<Objects>, CliError> {
    let manifests = load(filename, &mut std::io::stdin().lock())?;
    tell_ignored(&manifests);
    match Validation::new()?.objects(&manifests) {
        Ok(objects) => Ok(Some(objects)),
        Err(problems) => {
            report(&problems);
            Ok(None)
        }
    }
}

/// The specs of the baselines; an error where there are none.
fn specs<'a>(objects: &'a Objects, filename: &[PathBuf]) -> Result<Vec<&'a AccountBaselineSpec>, CliError> {
    if objects.baselines.is_empty() {
        return Err(CliError::NoBaseline(names(filename)));
    }
    Ok(objects.baselines.iter().map(|baseline| &baseline.object.spec).collect())
}

fn json(document: &impl Serialize, out: &mut impl Write) -> Result<Exit, CliError> {
    let text = serde_json::to_string_pretty(document).map_err(|error| CliError::Format("JSON", error.into()))?;
    writeln!(out, "{text}")?;
    Ok(Exit::Ok)
}

fn table(permissions: &[Permission], partition: &str) -> String {
    let row = |Permission { action, statement: _, resources, checks }: &Permission| {
        let needed_by = match *action {
            FOR_REPORTS => "no check: the account's name in reports".to_owned(),
            action if checks.is_empty() && FOR_ACCOUNT_STATUS.contains(&action) => {
                "no check: the status of the AwsAccount".to_owned()
            }
            _ => listed(checks),
        };
        [(*action).to_owned(), resources.pattern(partition), needed_by]
    };
    table_of(permissions.iter().map(row).collect())
}

fn changes_table(grants: &[Grant]) -> String {
    let rows = |grant: &Grant| -> Vec<[String; 3]> {
        let resources = grant.resources.join(", ");
        let needed_by = if grant.allows { listed(&grant.checks) } else { "denied: break-glass users".to_owned() };
        grant.actions.iter().map(|action| [(*action).to_owned(), resources.clone(), needed_by.clone()]).collect()
    };
    table_of(grants.iter().flat_map(rows).collect())
}

fn listed(checks: &[Check]) -> String {
    checks.iter().map(|check| check.as_str()).collect::<Vec<_>>().join(", ")
}

fn table_of(rows: Vec<[String; 3]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["Action", "Resources", "Needed by"]);
    for row in rows {
        table.add_row(row);
    }
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    table.trim_fmt()
}

/// AWS makes new ones, so that none is refused that could be one.
fn partition(text: &str) -> Result<String, String> {
    let is_one = text.starts_with("aws") && text.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
    if is_one { Ok(text.to_owned()) } else { Err("a partition is aws, aws-us-gov, aws-cn or the like".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::Value;

    use super::*;
    use crate::cli::{Cli, Command, Offline};

    fn printed(args: &str) -> String {
        let cli = Cli::try_parse_from(["plumbline", "iam-policy"].into_iter().chain(args.split(' '))).unwrap();
        let Command::Offline(Offline::IamPolicy(args)) = cli.command else { panic!("another command") };
        let mut out = Vec::new();
        assert_eq!(run(&args, &mut out).unwrap(), Exit::Ok);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_policy_that_is_too_long_for_a_role_says_so_and_what_to_do() {
        let cli = Cli::try_parse_from(["plumbline", "iam-policy", "operator", "-f", "accounts"]).unwrap();
        let Command::Offline(Offline::IamPolicy(IamPolicyArgs { policy: Policy::Operator(args) })) = cli.command else {
            panic!("another command")
        };
        let note = |roles: u64| {
            let named = (0..roles).map(|account| format!("arn:aws:iam::{account:012}:role/PlumblineAudit"));
            too_long(&operator_policy(&named.collect::<Vec<_>>()), &args).unwrap()
        };
        assert_eq!(note(200), None);
        let said = note(300).unwrap();
        assert!(said.contains("10240 inline") && said.contains("arn:aws:iam::*:role/NAME"), "{said}");
    }

    #[test]
    fn the_policy_of_the_preset_is_this_one() {
        insta::assert_snapshot!(printed("audit --preset cis"));
    }

    #[test]
    fn the_table_says_what_each_action_is_for() {
        insta::assert_snapshot!(printed("audit -o table"));
    }

    #[test]
    fn of_several_baselines_in_files_it_is_what_any_of_them_asks_for() {
        let baseline = |name: &str, controls: &str| {
            format!(
                "apiVersion: plumbline.dev/v1alpha1\nkind: AccountBaseline\nmetadata: {{name: {name}}}\n\
                 spec: {{accountRef: {{name: shop}}, controls: {{{controls}}}}}\n---\n"
            )
        };
        let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
        let one = baseline("one", "passwordPolicy: {minimumPasswordLength: 14}");
        let other = baseline("other", "mfa: {rootUser: {requireMfa: true}}");
        std::fs::write(file.path(), one.clone() + &other).unwrap();
        let path = file.path().to_str().unwrap();
        let policy: Value = serde_json::from_str(&printed(&format!("audit -f {path}"))).unwrap();
        let sids: Vec<_> = policy["Statement"].as_array().unwrap().iter().map(|it| it["Sid"].clone()).collect();
        assert_eq!(sids, ["Account", "Regions", "Quotas", "PasswordPolicy", "Mfa"]);

        let args = AuditPolicyArgs {
            filename: vec![file.path().to_owned()],
            preset: None,
            partition: "aws".to_owned(),
            output: PolicyFormat::Json,
        };
        std::fs::write(file.path(), one.replace("14", "5")).unwrap();
        assert_eq!(audit(&args, &mut Vec::new()).unwrap(), Exit::Error, "what is wrong goes to standard error");
        let account = "apiVersion: plumbline.dev/v1alpha1\nkind: AwsAccount\nmetadata: {name: shop}\n\
                       spec: {accountId: \"222222222222\"}\n";
        std::fs::write(file.path(), account).unwrap();
        let error = audit(&args, &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("declares no AccountBaseline"), "{error}");
    }

    #[test]
    fn the_policy_of_the_enforce_role_is_this_one() {
        insta::assert_snapshot!(printed("enforce"));
    }

    #[test]
    fn the_table_says_what_each_change_is_for() {
        insta::assert_snapshot!(printed("enforce -o table"));
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn only_controls_that_enforce_are_in_the_enforce_policy() {
        let baseline = |mode: &str| {
            format!(
                "apiVersion: plumbline.dev/v1alpha1\nkind: AccountBaseline\nmetadata: {{name: one}}\nspec:\n  \
                 accountRef: {{name: shop}}\n  mode: {mode}\n  controls:\n    passwordPolicy: \
                 {{minimumPasswordLength: 14}}\n    s3Encryption: {{mode: Audit, requireTls: true}}\n"
            )
        };
        let one = file(&baseline("Enforce"));
        let policy: Value = serde_json::from_str(&printed(&format!("enforce -f {}", one.path().display()))).unwrap();
        let sids: Vec<_> = policy["Statement"].as_array().unwrap().iter().map(|it| it["Sid"].clone()).collect();
        assert_eq!(sids, ["PasswordPolicy"]);

        let audits = file(&baseline("Audit"));
        let args = EnforcePolicyArgs {
            filename: vec![audits.path().to_owned()],
            partition: "aws".to_owned(),
            output: PolicyFormat::Json,
        };
        let error = enforce(&args, &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("no control that enforces"), "{error}");
    }

    #[test]
    fn the_operator_may_assume_the_roles_of_the_declared_accounts_and_nothing_else() {
        let account = |name: &str, id: &str, roles: &str| {
            format!(
                "apiVersion: plumbline.dev/v1alpha1\nkind: AwsAccount\nmetadata: {{name: {name}}}\n\
                 spec: {{accountId: \"{id}\"{roles}}}\n---\n"
            )
        };
        let one =
            account("one", "222222222222", ", auditRoleName: PlumblineAudit, enforceRoleName: sec/PlumblineEnforce");
        let same = account("same", "222222222222", ", auditRoleName: PlumblineAudit");
        let declared = file(&(one + &same + &account("own", "333333333333", "")));
        let path = declared.path().display();
        let policy: Value = serde_json::from_str(&printed(&format!("operator -f {path} --partition aws-cn"))).unwrap();
        let roles =
            ["PlumblineAudit", "sec/PlumblineEnforce"].map(|it| format!("arn:aws-cn:iam::222222222222:role/{it}"));
        let statement = serde_json::json!([
            {"Sid": "AssumeRoles", "Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": roles}
        ]);
        assert_eq!(policy["Statement"], statement);
        let table = printed(&format!("operator -f {path} -o table"));
        assert!(table.contains("audits one, audits same") && table.contains("enforces one"), "{table}");

        let none = file(&account("own", "333333333333", ""));
        let args = OperatorPolicyArgs {
            filename: vec![none.path().to_owned()],
            partition: "aws".to_owned(),
            output: PolicyFormat::Json,
        };
        let error = operator(&args, &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("names no role"), "{error}");
        assert!(Cli::try_parse_from(["plumbline", "iam-policy", "operator"]).is_err(), "no account, no policy");
    }

    #[test]
    fn json_and_yaml_are_one_document() {
        let json: Value = serde_json::from_str(&printed("audit")).unwrap();
        let yaml: Value = serde_saphyr::from_str(&printed("audit -o yaml")).unwrap();
        assert_eq!(json, yaml);
    }

    #[test]
    fn the_partition_is_in_every_arn() {
        let policy = printed("audit --partition aws-cn");
        assert!(policy.contains("arn:aws-cn:iam::*:user/*") && !policy.contains("arn:aws:"), "{policy}");
        let odd = Cli::try_parse_from(["plumbline", "iam-policy", "audit", "--partition", "eu-west-1"]);
        assert!(odd.unwrap_err().to_string().contains("a partition is"));
    }

    #[test]
    fn the_trust_policy_names_the_operator() {
        let trust: Value =
            serde_json::from_str(&printed("trust --operator arn:aws:iam::1:role/p --external-id x")).unwrap();
        assert_eq!(trust["Statement"][0]["Principal"]["AWS"], "arn:aws:iam::1:role/p");
        assert_eq!(trust["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"], "x");
    }
}
