//! The roles that `examples/onboarding` makes: the template's on an emulator, the module's as far as they can be read
//! without a provider.

use std::process::Command;

use plumbline_rig::aws_rig::AwsRig;
use serde_json::Value;

use crate::generated::docs::policy_of_role;
use crate::support::{PLUMBLINE, file};

const ACCOUNT: &str = "444455556666";
const OPERATOR: &str = "arn:aws:iam::111111111111:role/plumbline";

/// Runs a program of one of the environments of `tests/python`, and gives what it prints.
fn run(environment_of: &str, program: &str, environment: Vec<(&'static str, String)>, args: &[&str]) -> String {
    let installed = Command::new(file("tests/python/install")).arg(environment_of).output().unwrap();
    assert!(installed.status.success(), "{environment_of}: {}", String::from_utf8_lossy(&installed.stderr));
    let folder = String::from_utf8(installed.stdout).unwrap();
    let program = std::path::Path::new(folder.trim()).join("bin").join(program);
    let mut command = Command::new(&program);
    command.args(args).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.envs(environment).env("AWS_DEFAULT_REGION", "us-east-1").output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

fn printed(args: &[&str]) -> Value {
    let output = Command::new(PLUMBLINE).arg("iam-policy").args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The policy that a role of the templates has.
fn of_role(policy: &str) -> Value {
    let args = policy_of_role(policy);
    printed(&args.iter().skip(1).map(String::as_str).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stack_makes_the_roles_with_the_printed_policies_and_the_second_one_only_if_asked() {
    let rig = AwsRig::own().await.unwrap();
    let aws = |args: &[&str]| {
        let whole: Vec<&str> = args.iter().copied().chain(["--output", "json"]).collect();
        run("awscli", "aws", rig.environment(ACCOUNT), &whole)
    };
    let json = |args: &[&str]| -> Value { serde_json::from_str(&aws(args)).unwrap() };
    let operator = format!("OperatorRoleArn={OPERATOR}");
    let deploy = |more: &str| {
        let template = "examples/onboarding/cloudformation.yaml";
        let stack = ["cloudformation", "deploy", "--stack-name", "plumbline", "--template-file", template];
        let given = ["--capabilities", "CAPABILITY_NAMED_IAM", "--parameter-overrides", &operator, "ExternalId=0f6c9a"];
        let whole: Vec<&str> = stack.into_iter().chain(given).chain([more]).collect();
        aws(&whole);
    };
    let roles = || -> Vec<String> {
        let listed = json(&["iam", "list-roles"]);
        let names =
            listed["Roles"].as_array().unwrap().iter().map(|role| role["RoleName"].as_str().unwrap().to_owned());
        names.filter(|name| name.starts_with("Plumbline")).collect()
    };

    deploy("EnforceRole=no");
    assert_eq!(roles(), ["PlumblineAudit"]);
    deploy("EnforceRole=yes");
    let mut both = roles();
    both.sort();
    assert_eq!(both, ["PlumblineAudit", "PlumblineEnforce"]);

    let trust = printed(&["trust", "--operator", OPERATOR, "--external-id", "0f6c9a"]);
    for (role, policy) in [("PlumblineAudit", "audit"), ("PlumblineEnforce", "enforce")] {
        let made = json(&["iam", "get-role", "--role-name", role]);
        assert_eq!(made["Role"]["AssumeRolePolicyDocument"], trust, "{role}");
        let held = json(&["iam", "get-role-policy", "--role-name", role, "--policy-name", policy]);
        // The emulator keeps the document of a template as Python prints it, which here differs by its quotes alone.
        let kept = held["PolicyDocument"].as_str().unwrap().replace('\'', "\"");
        assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), of_role(policy), "{role}");
    }
}

#[test]
fn cfn_lint_has_nothing_to_say_of_the_template() {
    let said = run("moto", "cfn-lint", Vec::new(), &["examples/onboarding/cloudformation.yaml"]);
    assert_eq!(said, "");
}

/// AWS's limit of a role's inline policies, counted without white space.
#[test]
fn the_policies_fit_into_a_role() {
    for policy in ["audit", "enforce"] {
        let length = printed(&[policy]).to_string().len();
        assert!(length < 10_240, "{policy}: {length}");
    }
}

/// Where there is no terraform, the test of its form is left to those who have one; what the module says of policies
/// and names is tested everywhere. The provider would have to be downloaded to validate more.
#[test]
fn the_terraform_module_is_formatted_loads_the_printed_policies_and_trusts_as_printed() {
    let folder = file("examples/onboarding/terraform");
    let module = std::fs::read_to_string(folder.join("main.tf")).unwrap();
    for policy in ["audit", "enforce"] {
        assert!(module.contains(&format!("replace(file(\"${{path.module}}/{policy}.json\")")), "{module}");
    }
    let trust = printed(&["trust", "--operator", OPERATOR, "--external-id", "0f6c9a"]);
    let statement = &trust["Statement"][0];
    for word in ["PlumblineOperator", "Allow", "sts:AssumeRole", "sts:ExternalId"] {
        assert!(module.contains(&format!("\"{word}\"")) && statement.to_string().contains(word), "{word}");
    }
    let formatted = Command::new("terraform").args(["fmt", "-check", "-diff"]).arg(&folder).output();
    match formatted {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}"),
    }
}
