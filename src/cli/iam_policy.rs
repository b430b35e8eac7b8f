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
use crate::baseline::permissions::{
    FOR_REPORTS, Permission, audit_policy, every_read, needed_by_any, needed_in, trust_policy,
};
use crate::manifests::load;
use crate::validate::Validation;

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

/// Arguments of `plumbline iam-policy trust`.
#[derive(Clone, Debug, Args)]
pub struct TrustArgs {
    /// The ARN of the role or user that the operator runs as
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
        Policy::Trust(args) => json(&trust_policy(&args.operator, args.external_id.as_deref()), out),
    }
}

fn audit(args: &AuditPolicyArgs, out: &mut impl Write) -> Result<Exit, CliError> {
    let Some(permissions) = permissions(args)? else { return Ok(Exit::Error) };
    let policy = audit_policy(&permissions, &args.partition);
    match args.output {
        PolicyFormat::Json => json(&policy, out),
        PolicyFormat::Yaml => {
            let text = serde_saphyr::to_string(&policy).map_err(|error| CliError::Format("YAML", error.into()))?;
            write!(out, "{text}")?;
            Ok(Exit::Ok)
        }
        PolicyFormat::Table => {
            writeln!(out, "{}", table(&permissions, &args.partition))?;
            Ok(Exit::Ok)
        }
    }
}

/// What the arguments ask for; `None` where the manifests are not valid, which has been said.
fn permissions(args: &AuditPolicyArgs) -> Result<Option<Vec<Permission>>, CliError> {
    if let Some(preset) = args.preset {
        let baseline = preset.baseline()?.ok_or(CliError::Preset(preset.name()))?;
        return Ok(Some(needed_in(baseline.spec.mode, &baseline.spec.controls, &args.partition)));
    }
    if args.filename.is_empty() {
        return Ok(Some(every_read(&args.partition)));
    }
    let manifests = load(&args.filename, &mut std::io::stdin().lock())?;
    tell_ignored(&manifests);
    let objects = match Validation::new()?.objects(&manifests) {
        Ok(objects) => objects,
        Err(problems) => {
            report(&problems);
            return Ok(None);
        }
    };
    if objects.baselines.is_empty() {
        return Err(CliError::NoBaseline(names(&args.filename)));
    }
    let specs = objects.baselines.iter().map(|baseline| &baseline.object.spec);
    Ok(Some(needed_by_any(specs.map(|spec| (spec.mode, &spec.controls)), &args.partition)))
}

fn json(document: &impl Serialize, out: &mut impl Write) -> Result<Exit, CliError> {
    let text = serde_json::to_string_pretty(document).map_err(|error| CliError::Format("JSON", error.into()))?;
    writeln!(out, "{text}")?;
    Ok(Exit::Ok)
}

fn table(permissions: &[Permission], partition: &str) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["Action", "Resources", "Needed by"]);
    for Permission { action, statement: _, resources, checks } in permissions {
        let names: Vec<_> = checks.iter().map(|check| check.as_str()).collect();
        let needed_by = if *action == FOR_REPORTS {
            "no check: the account's name in reports".to_owned()
        } else {
            names.join(", ")
        };
        table.add_row([(*action).to_owned(), resources.pattern(partition), needed_by]);
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
        assert_eq!(sids, ["Account", "PasswordPolicy", "Mfa"]);

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
