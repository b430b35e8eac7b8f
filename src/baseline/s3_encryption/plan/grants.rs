//! From a bucket's policy to whom it lets do what, as far as a plan hangs on it. No IO.
//!
//! Where it is not clear whether somebody is let in, the answer is yes: what is planned is held then.

use crate::baseline::account::AccountIdentity;
use crate::baseline::policy_document::pattern::matches;
use crate::baseline::policy_document::{Among, Condition, Effect, PolicyDocument, Principals, Statement};

/// The services whose deliveries are an audit trail, by the names under which policies let them in.
const DELIVERY: [(&str, &str); 5] = [
    ("cloudtrail.amazonaws.com", "AWS CloudTrail"),
    ("config.amazonaws.com", "AWS Config"),
    ("config-multiaccountsetup.amazonaws.com", "AWS Config"),
    ("config-conforms.amazonaws.com", "AWS Config"),
    ("controltower.amazonaws.com", "AWS Control Tower"),
];

/// How the names of the buckets that Control Tower makes begin.
const CONTROL_TOWER: &str = "aws-controltower-";

/// What lets an object in.
const WRITES: [&str; 2] = ["s3:PutObject", "s3:ReplicateObject"];
/// What hands an object's content out.
const READS: [&str; 2] = ["s3:GetObject", "s3:GetObjectVersion"];

/// The header by which an upload chooses its algorithm, as a condition key.
const ALGORITHM_HEADER: &str = "s3:x-amz-server-side-encryption";

/// The condition keys a fixed value of which makes a statement for everybody one that AWS does not call public.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>
const NARROWING: [&str; 15] = [
    "aws:sourceip",
    "aws:sourcearn",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:sourceowner",
    "aws:sourceaccount",
    "aws:sourceorgid",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:userid",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:dataaccesspointarn",
    "s3:dataaccesspointaccount",
];

/// Whether Control Tower made the bucket.
pub(super) fn is_control_towers(bucket: &str) -> bool {
    bucket.starts_with(CONTROL_TOWER)
}

/// The service that delivers its audit trail to the bucket.
pub(super) fn delivered_by(document: &PolicyDocument) -> Option<&'static str> {
    let principals = document.statements.iter().filter(|statement| statement.effect == Effect::Allow).filter_map(named);
    let mut services = principals.flat_map(|principals| &principals.services);
    services.find_map(|service| DELIVERY.iter().find(|(known, _)| is_service(service, known)).map(|(_, name)| *name))
}

/// A service's name may have a region in it (`config.eu-south-1.amazonaws.com`), or end as China's do.
fn is_service(service: &str, known: &str) -> bool {
    let first = |name: &str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    first(service) == first(known)
}

/// Who beside the account's own identities may put objects into the bucket.
pub(super) fn other_writer(document: &PolicyDocument, account: &AccountIdentity) -> Option<String> {
    allows(document, &WRITES).find_map(|statement| outsider(statement, account))
}

/// Who beside the account's own identities may read objects.
pub(super) fn other_reader(document: &PolicyDocument, account: &AccountIdentity) -> Option<String> {
    allows(document, &READS).find_map(|statement| outsider(statement, account))
}

/// Who may read objects and could never decrypt with KMS: requests without an identity, and CloudFront's old kind of
/// identity.
pub(super) fn reader_without_kms(document: &PolicyDocument) -> Option<String> {
    allows(document, &READS).find_map(|statement| match &statement.principal {
        Some(Among::These(principals)) if !principals.everyone => {
            principals.aws.iter().find(|arn| arn.contains(":cloudfront:user/")).cloned()
        }
        Some(Among::These(_) | Among::AllBut(_)) if !statement.conditions.iter().any(asks_for_an_identity) => {
            Some("everybody".to_owned())
        }
        Some(Among::These(_) | Among::AllBut(_)) | None => None,
    })
}

/// The statement that stands against uploads with this algorithm.
pub(super) fn refuses_algorithm<'a>(document: &'a PolicyDocument, algorithm: &str) -> Option<&'a Statement> {
    let uploads = document.statements.iter().filter(|statement| statement.includes_action("s3:PutObject"));
    uploads.into_iter().find(|statement| {
        let headers = statement.conditions.iter().filter(|it| it.key.eq_ignore_ascii_case(ALGORITHM_HEADER));
        headers.into_iter().any(|condition| stands_against(statement.effect, condition, algorithm))
    })
}

/// Whether a condition on the header is one that another algorithm meets.
fn stands_against(effect: Effect, condition: &Condition, algorithm: &str) -> bool {
    let operator = condition.operator.to_ascii_lowercase();
    let negated = operator.contains("stringnot");
    if !negated && !operator.contains("stringequals") && !operator.contains("stringlike") {
        return false;
    }
    let names_it = condition.values.iter().any(|value| matches(&value.to_ascii_lowercase(), algorithm));
    match effect {
        Effect::Deny => names_it != negated,
        Effect::Allow => names_it == negated,
    }
}

/// Whether a statement speaks of everybody but some.
pub(super) fn has_not_principal(document: &PolicyDocument) -> bool {
    document.statements.iter().any(|statement| matches!(statement.principal, Some(Among::AllBut(_))))
}

/// A principal that was deleted: AWS then shows its id in place of its ARN.
pub(super) fn gone_principal(document: &PolicyDocument) -> Option<&str> {
    let is_gone = |principal: &&String| {
        *principal != "*" && !principal.starts_with("arn:") && !principal.chars().all(|digit| digit.is_ascii_digit())
    };
    let statements = document.statements.iter();
    let named = statements.filter_map(|statement| match &statement.principal {
        Some(Among::These(principals) | Among::AllBut(principals)) => Some(principals),
        None => None,
    });
    named.flat_map(|principals| &principals.aws).find(is_gone).map(String::as_str)
}

/// Whether AWS calls the policy public.
pub(super) fn is_public(document: &PolicyDocument) -> bool {
    document.statements.iter().any(|statement| {
        let everybody = match &statement.principal {
            Some(Among::These(principals)) => principals.everyone,
            Some(Among::AllBut(_)) => true,
            None => false,
        };
        statement.effect == Effect::Allow && everybody && !statement.conditions.iter().any(narrows_to_fixed)
    })
}

fn narrows_to_fixed(condition: &Condition) -> bool {
    let operator = condition.operator.to_ascii_lowercase();
    let operator = operator.rsplit(':').next().unwrap_or_default();
    let compares = ["stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike", "ipaddress"];
    let is_fixed = |value: &String| !value.contains(['*', '?', '$']) && !value.ends_with("/0");
    compares.contains(&operator)
        && NARROWING.contains(&condition.key.to_ascii_lowercase().as_str())
        && !condition.values.is_empty()
        && condition.values.iter().all(is_fixed)
}

fn asks_for_an_identity(condition: &Condition) -> bool {
    let (operator, key) = (condition.operator.to_ascii_lowercase(), condition.key.to_ascii_lowercase());
    let narrows = !operator.contains("not") && !operator.ends_with("ifexists") && operator != "null";
    narrows && (key.starts_with("aws:principal") || key == "aws:userid")
}

fn allows<'a>(document: &'a PolicyDocument, actions: &[&str]) -> impl Iterator<Item = &'a Statement> {
    let speaks = |statement: &&Statement| actions.iter().any(|action| statement.includes_action(action));
    let speaks: Vec<_> = document.statements.iter().filter(speaks).collect();
    speaks.into_iter().filter(|statement| statement.effect == Effect::Allow)
}

/// Whom the statement names beside identities of the account.
fn outsider(statement: &Statement, account: &AccountIdentity) -> Option<String> {
    if statement.conditions.iter().any(|condition| is_only(condition, account)) {
        return None;
    }
    let everybody = || Some("everybody".to_owned());
    let principals = match &statement.principal {
        Some(Among::These(principals)) if principals.everyone => return everybody(),
        Some(Among::AllBut(_)) => return everybody(),
        Some(Among::These(principals)) => principals,
        None => return None,
    };
    let foreign = principals.aws.iter().find(|arn| account_of(arn).is_some_and(|id| id != account.account_id));
    foreign.or(principals.services.first()).or(principals.others.first()).cloned()
}

/// Whether a condition lets in nobody but identities of the account.
fn is_only(condition: &Condition, account: &AccountIdentity) -> bool {
    condition.operator.eq_ignore_ascii_case("StringEquals")
        && condition.key.eq_ignore_ascii_case("aws:PrincipalAccount")
        && !condition.values.is_empty()
        && condition.values.iter().all(|value| *value == account.account_id)
}

fn named(statement: &Statement) -> Option<&Principals> {
    match &statement.principal {
        Some(Among::These(principals)) => Some(principals),
        Some(Among::AllBut(_)) | None => None,
    }
}

/// The account of a principal; none where it was deleted.
fn account_of(principal: &str) -> Option<&str> {
    match principal.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        [id] => Some(*id).filter(|id| id.chars().all(|digit| digit.is_ascii_digit())),
        ["arn", _, _, _, account, _] => Some(account),
        _ => Some("another account"),
    }
}
