use super::*;
use crate::manifests::load;

fn read(text: &str) -> Manifests {
    load(&["-".into()], &mut text.as_bytes()).unwrap()
}

fn problems(text: &str) -> Vec<String> {
    let found = Validation::new().unwrap().objects(&read(text));
    found.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

const ACCOUNT: &str = "apiVersion: plumbline.dev/v1alpha1\nkind: AwsAccount\nmetadata: {name: a}\nspec:\n";
const BASELINE: &str = "apiVersion: plumbline.dev/v1alpha1\nkind: AccountBaseline\nmetadata: {name: a}\nspec:\n  \
                        accountRef: {name: a}\n  controls:\n";

#[test]
fn an_account_without_quotes_is_told_to_use_them() {
    assert_eq!(
        problems(&format!("{ACCOUNT}  accountId: 222222222222\n")),
        ["<stdin>:5: spec.accountId: must be of type string: \"integer\"; write it in quotes"]
    );
}

#[test]
fn an_unknown_field_is_named_with_its_line_and_those_that_exist() {
    let found = problems(&format!("{ACCOUNT}  accountId: \"222222222222\"\n  region: [eu-west-1]\n"));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("<stdin>:6: spec.region: unknown field \"region\": known here are "), "{found:?}");
    assert!(found[0].contains("excludedRegions"), "{found:?}");
}

#[test]
fn a_missing_field_stands_on_the_line_of_what_should_hold_it() {
    let found = problems(&format!("{ACCOUNT}  suspend: true\n"));
    assert_eq!(found, ["<stdin>:4: spec.accountId: Required value: add it"]);
}

#[test]
fn a_rule_inside_a_list_stands_on_the_line_of_its_item() {
    let lines = [
        "securityGroups:",
        "  allowedIngress:",
        "    - protocol: tcp",
        "      ports:",
        "        - 22",
        "        - 80-22",
        "      cidrs: [\"0.0.0.0/0\"]",
    ];
    let text = format!("    {}\n", lines.join("\n    "));
    let found = problems(&format!("{BASELINE}{text}"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("<stdin>:12: spec.controls.securityGroups.allowedIngress[0].ports[1]: "), "{found:?}");
}

#[test]
fn every_fault_is_said_at_once_by_line() {
    let found = problems(&format!("{ACCOUNT}  accountId: 1\n  suspend: \"no\"\n---\n{ACCOUNT}  accountId: x\n"));
    let lines: Vec<_> = found.iter().map(|line| line.split(':').nth(1).unwrap().trim()).collect();
    assert_eq!(lines, ["5", "6", "10", "12"], "{found:?}");
    assert!(found[2].contains("declared twice"), "{found:?}");
}

#[test]
fn status_in_a_file_is_left_out_as_the_api_server_does() {
    let text = format!("{ACCOUNT}  accountId: \"222222222222\"\nstatus: {{conditions: broken}}\n");
    assert!(problems(&text).is_empty(), "{:?}", problems(&text));
}

#[test]
fn a_name_that_no_object_can_have_and_labels_that_are_no_text_are_refused() {
    let text = ACCOUNT.replace("{name: a}", "{name: Payments_Prod, labels: {tier: 1}}");
    let found = problems(&format!("{text}  accountId: \"222222222222\"\n"));
    assert_eq!(found.len(), 2);
    assert!(found[0].starts_with("<stdin>:3: metadata.labels.tier: must be of type string"), "{found:?}");
    assert!(found[1].contains("a lowercase RFC 1123 subdomain must consist of"), "{found:?}");
    let text = ACCOUNT.replace("{name: a}", "{}");
    let found = problems(&format!("{text}  accountId: \"222222222222\"\n"));
    assert_eq!(found, ["<stdin>:3: metadata.name: Required value: add it"]);
}

#[test]
fn defaults_are_those_of_the_api_server() {
    let objects = Validation::new().unwrap().objects(&read(&format!("{BASELINE}    mfa: {{users: {{}}}}\n"))).unwrap();
    let baseline = &objects.baselines[0];
    assert_eq!((baseline.file.as_str(), baseline.line), ("<stdin>", 1));
    assert_eq!(baseline.object.spec.interval.as_str(), "1h");
}

#[test]
fn a_baseline_without_its_account_is_a_warning() {
    let baseline = format!("{BASELINE}    mfa: {{}}\n");
    let validation = Validation::new().unwrap();
    let alone = validation.objects(&read(&baseline)).unwrap();
    assert_eq!(alone.warnings.len(), 1);
    assert!(alone.warnings[0].to_string().starts_with("<stdin>:5: spec.accountRef.name: no AwsAccount \"a\""));
    let both = format!("{baseline}---\n{ACCOUNT}  accountId: \"222222222222\"\n");
    assert!(validation.objects(&read(&both)).unwrap().warnings.is_empty());
}
