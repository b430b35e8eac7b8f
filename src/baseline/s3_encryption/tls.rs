//! From a bucket's policy to whether every request without TLS is denied. No IO.
//!
//! A request without TLS has `aws:SecureTransport` false, which AWS puts into every request. It is denied for sure
//! only where a `Deny` for everyone matches whatever the action, the object and the rest of the request are: so a
//! statement counts only if nothing else narrows it. Statements add up over bucket and objects, and over nothing else:
//! two that each cover some actions could leave one out that AWS adds tomorrow.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html>

use crate::baseline::policy_document::pattern::{covers_below, matches, meets_below};
use crate::baseline::policy_document::{Among, Condition, Effect, PolicyDocument, Principals, Statement};

/// At most this many statements are named, each with this many gaps and words of this many characters: the rest is for
/// whoever reads the policy.
const NAMED_STATEMENTS: usize = 3;
const NAMED_GAPS: usize = 3;
const NAME_LENGTH: usize = 64;

/// What happens to requests without TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlainHttp {
    /// All of them are denied.
    Denied,
    /// Some may be allowed; where the gap is, as a sentence without a period.
    Gap(String),
}

/// What of a bucket a statement or several cover.
#[derive(Clone, Copy, Debug, Default)]
struct Covered {
    bucket: bool,
    objects: bool,
}

/// Judges a policy of the bucket of this ARN.
pub(super) fn judge(document: &PolicyDocument, bucket_arn: &str) -> PlainHttp {
    let mut covered = Covered::default();
    let mut gaps = Vec::new();
    for statement in document.statements.iter().filter(|statement| statement.effect == Effect::Deny) {
        let reach = reach(statement, bucket_arn);
        let mut narrowed = narrowed(statement);
        if narrowed.is_empty() {
            covered.bucket |= reach.bucket;
            covered.objects |= reach.objects;
        }
        narrowed.truncate(NAMED_GAPS);
        narrowed.extend(missing(reach).map(|missing| format!("it does not cover {missing}")));
        if is_about_tls(statement) {
            gaps.push(format!("{}: {}", name(statement), narrowed.join(", ")));
        }
    }
    match missing(covered) {
        None => PlainHttp::Denied,
        Some(missing) => PlainHttp::Gap(explain(document, missing, gaps)),
    }
}

fn explain(document: &PolicyDocument, missing: &str, mut gaps: Vec<String>) -> String {
    let lead = format!("requests without TLS are not denied for {missing}");
    if gaps.is_empty() {
        let allows = document.statements.iter().any(is_about_tls);
        let why = if allows {
            "an Allow that asks for TLS denies nothing: what other statements or policies allow stays open"
        } else {
            "no statement denies aws:SecureTransport false"
        };
        return format!("{lead}: {why}");
    }
    gaps.sort();
    let more = gaps.len().saturating_sub(NAMED_STATEMENTS);
    gaps.truncate(NAMED_STATEMENTS);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{lead}: {}{more}", gaps.join("; "))
}

fn missing(covered: Covered) -> Option<&'static str> {
    match (covered.bucket, covered.objects) {
        (true, true) => None,
        (true, false) => Some("every object"),
        (false, true) => Some("the bucket itself"),
        (false, false) => Some("the bucket and its objects"),
    }
}

fn name(statement: &Statement) -> String {
    match &statement.sid {
        Some(sid) => format!("statement {:?}", sid.chars().take(NAME_LENGTH).collect::<String>()),
        None => "a statement without Sid".to_owned(),
    }
}

fn is_about_tls(statement: &Statement) -> bool {
    statement.conditions.iter().any(|condition| is(condition, SECURE_TRANSPORT) || is(condition, TLS_VERSION))
}

const SECURE_TRANSPORT: &str = "aws:SecureTransport";
const TLS_VERSION: &str = "s3:TlsVersion";

fn is(condition: &Condition, key: &str) -> bool {
    condition.key.eq_ignore_ascii_case(key)
}

/// What of the bucket the statement's resources cover wholly.
fn reach(statement: &Statement, bucket_arn: &str) -> Covered {
    let objects = format!("{bucket_arn}/");
    match &statement.resource {
        None => Covered::default(),
        Some(Among::These(patterns)) => Covered {
            bucket: patterns.iter().any(|pattern| matches(pattern, bucket_arn)),
            objects: patterns.iter().any(|pattern| covers_below(pattern, &objects)),
        },
        // A policy variable can stand for anything, so it may spare anything.
        Some(Among::AllBut(patterns)) => Covered {
            bucket: !patterns.iter().any(|pattern| pattern.contains("${") || matches(pattern, bucket_arn)),
            objects: !patterns.iter().any(|pattern| pattern.contains("${") || meets_below(pattern, &objects)),
        },
    }
}

/// What narrows the statement beside its resources; nothing, where it denies every request without TLS.
fn narrowed(statement: &Statement) -> Vec<String> {
    let mut gaps = Vec::new();
    match &statement.principal {
        Some(Among::These(Principals { everyone: true, .. })) => {}
        Some(Among::These(_)) | None => gaps.push("it does not name every principal".to_owned()),
        Some(Among::AllBut(_)) => gaps.push("its NotPrincipal spares principals".to_owned()),
    }
    match &statement.action {
        Among::These(patterns) => {
            if !patterns.iter().any(|pattern| covers_below(&pattern.to_ascii_lowercase(), "s3:")) {
                gaps.push("it covers some actions only".to_owned());
            }
        }
        Among::AllBut(patterns) => {
            if patterns.iter().any(|pattern| meets_below(&pattern.to_ascii_lowercase(), "s3:")) {
                gaps.push("its NotAction spares actions of S3".to_owned());
            }
        }
    }
    gaps.extend(statement.conditions.iter().filter_map(narrows));
    gaps
}

/// Why a condition may not hold for a request without TLS; `None` where it always does.
fn narrows(condition: &Condition) -> Option<String> {
    let operator = condition.operator.to_ascii_lowercase();
    // With one value, as here, "for any" and "for all" of the request's values is the same as without.
    let operator =
        operator.strip_prefix("foranyvalue:").or(operator.strip_prefix("forallvalues:")).unwrap_or(&operator);
    let accepts_false = condition.values.iter().any(|value| value.eq_ignore_ascii_case("false"));
    if is(condition, SECURE_TRANSPORT) {
        match operator {
            // Null false asks for the key to be there, which it always is.
            "bool" | "boolifexists" | "null" if accepts_false => None,
            "bool" | "boolifexists" => Some("it does not deny aws:SecureTransport false".to_owned()),
            _ => Some(format!("it compares aws:SecureTransport by {}", shortened(&condition.operator))),
        }
    } else if is(condition, TLS_VERSION) {
        Some("it denies old TLS versions, and a plain HTTP request has no TLS version".to_owned())
    } else {
        Some(format!("it holds only under {} {}", shortened(&condition.operator), shortened(&condition.key)))
    }
}

fn shortened(word: &str) -> String {
    word.chars().take(NAME_LENGTH).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::baseline::policy_document::tests::any_json;

    const BUCKET: &str = "arn:aws:s3:::data";

    fn canonical() -> Value {
        json!({"Sid": "Tls", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
            "Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}})
    }

    fn changed(change: Value) -> Value {
        let mut statement = canonical();
        let Value::Object(change) = change else { panic!("no object") };
        for (element, value) in change {
            let statement = statement.as_object_mut().unwrap();
            if value.is_null() {
                statement.remove(&element);
            } else {
                statement.insert(element, value);
            }
        }
        statement
    }

    fn judged(statements: impl Into<Value>) -> PlainHttp {
        let document = json!({"Version": "2012-10-17", "Statement": statements.into()});
        judge(&PolicyDocument::from_json(&document).unwrap(), BUCKET)
    }

    fn gap(statements: impl Into<Value>) -> String {
        match judged(statements) {
            PlainHttp::Denied => panic!("no gap was found"),
            PlainHttp::Gap(gap) => gap,
        }
    }

    /// Spellings of the canonical statement that mean the same.
    fn spellings() -> Vec<Value> {
        let condition = |operator: &str, key: &str, value: Value| json!({"Condition": {operator: {key: value}}});
        vec![
            json!({}),
            json!({"Sid": "AnyOther"}),
            json!({"Sid": null}),
            json!({"Principal": {"AWS": "*"}}),
            json!({"Principal": {"AWS": ["*"]}}),
            json!({"Principal": {"AWS": ["222222222222", "*"], "Service": "ec2.amazonaws.com"}}),
            json!({"Action": "*"}),
            json!({"Action": "S3:*"}),
            json!({"Action": ["s3:GetObject", "s3:*"]}),
            json!({"Action": null, "NotAction": "iam:*"}),
            json!({"Action": null, "NotAction": ["kms:Decrypt", "ec2:*"]}),
            json!({"Resource": "*"}),
            json!({"Resource": "arn:aws:s3:::data*"}),
            json!({"Resource": "arn:*:s3:::*"}),
            json!({"Resource": ["arn:aws:s3:::dat?", "arn:aws:s3:::data/?*"]}),
            json!({"Resource": null, "NotResource": "arn:aws:s3:::other/*"}),
            condition("Bool", "aws:SecureTransport", json!(false)),
            condition("Bool", "aws:SecureTransport", json!([false])),
            condition("Bool", "aws:SecureTransport", json!(["false"])),
            condition("Bool", "aws:SecureTransport", json!(["true", "false"])),
            condition("Bool", "AWS:securetransport", json!("False")),
            condition("BoolIfExists", "aws:SecureTransport", json!("false")),
            condition("bool", "aws:secureTransport", json!("FALSE")),
            condition("ForAnyValue:Bool", "aws:SecureTransport", json!("false")),
            json!({"Condition": {"Bool": {"aws:SecureTransport": "false"}, "Null": {"aws:SecureTransport": "false"}}}),
            json!({"Condition": {}}),
            json!({"Condition": null}),
        ]
    }

    #[test]
    fn s3_25_the_canonical_deny_denies_every_request_without_tls() {
        assert_eq!(judged(json!([canonical()])), PlainHttp::Denied);
    }

    #[test]
    fn s3_26_equivalent_spellings_pass_in_a_list_and_alone() {
        for change in spellings() {
            assert_eq!(judged(json!([changed(change.clone())])), PlainHttp::Denied, "{change}");
            assert_eq!(judged(changed(change.clone())), PlainHttp::Denied, "{change}");
        }
    }

    #[test]
    fn s3_26_one_statement_for_the_bucket_and_one_for_its_objects_add_up() {
        let bucket = changed(json!({"Resource": "arn:aws:s3:::data"}));
        let objects = changed(json!({"Resource": "arn:aws:s3:::data/*"}));
        assert_eq!(judged(json!([bucket, objects])), PlainHttp::Denied);
        assert!(gap(json!([bucket])).contains("not denied for every object"));
        assert!(gap(json!([objects])).contains("not denied for the bucket itself"));
    }

    #[test]
    fn s3_27_an_allow_that_asks_for_tls_denies_nothing() {
        let allow = changed(json!({"Effect": "Allow", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}));
        assert!(gap(json!([allow])).contains("an Allow that asks for TLS denies nothing"));
    }

    #[test]
    fn s3_28_a_deny_with_a_gap_fails_and_names_it() {
        for (change, named) in [
            (json!({"Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/logs/*"]}), "every object"),
            (json!({"Resource": ["arn:aws:s3:::data/*"]}), "the bucket itself"),
            (json!({"Resource": ["arn:aws:s3:::other", "arn:aws:s3:::other/*"]}), "the bucket and its objects"),
            (json!({"Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/${aws:username}*"]}), "every object"),
            (json!({"Resource": null, "NotResource": "arn:aws:s3:::data/public/*"}), "every object"),
            (json!({"Resource": null, "NotResource": "${aws:PrincipalTag/free}"}), "the bucket and its objects"),
            (json!({"Principal": {"AWS": "arn:aws:iam::222222222222:role/app"}}), "every principal"),
            (json!({"Principal": {"Service": "*"}}), "every principal"),
            (json!({"Action": "s3:GetObject"}), "some actions only"),
            (json!({"Action": ["s3:Get*", "s3:Put*"]}), "some actions only"),
            (json!({"Action": null, "NotAction": "s3:GetObject"}), "NotAction spares"),
            (json!({"Action": null, "NotAction": "*"}), "NotAction spares"),
            (
                json!({"Condition": {"Bool": {"aws:SecureTransport": "false"}, "StringEquals": {"aws:SourceVpc": 1}}}),
                "only under StringEquals aws:SourceVpc",
            ),
            (
                json!({"Condition": {"Bool": {"aws:SecureTransport": "false", "aws:PrincipalIsAWSService": "false"}}}),
                "only under Bool aws:PrincipalIsAWSService",
            ),
            (
                json!({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}),
                "does not deny aws:SecureTransport false",
            ),
            (json!({"Condition": {"Bool": {"aws:SecureTransport": []}}}), "does not deny aws:SecureTransport false"),
            (json!({"Condition": {"Null": {"aws:SecureTransport": "true"}}}), "by Null"),
        ] {
            let gap = gap(json!([changed(change.clone())]));
            assert!(gap.contains(named) && gap.contains("\"Tls\""), "{change}: {gap}");
        }
    }

    #[test]
    fn s3_28_two_gaps_do_not_add_up_to_a_pass() {
        let some = changed(json!({"Action": "s3:GetObject"}));
        let role = changed(json!({"Principal": {"AWS": "222222222222"}}));
        assert!(gap(json!([some, role])).contains("the bucket and its objects"));
    }

    #[test]
    fn s3_29_a_deny_of_old_tls_versions_alone_does_not_deny_plain_http() {
        let old = changed(json!({"Condition": {"NumericLessThan": {"s3:TlsVersion": 1.2}}}));
        assert!(gap(json!([old])).contains("has no TLS version"));
        assert_eq!(judged(json!([old, canonical()])), PlainHttp::Denied);
    }

    #[test]
    fn s3_30_not_principal_is_reported() {
        let spares = changed(json!({"Principal": null, "NotPrincipal": {"AWS": "arn:aws:iam::222222222222:root"}}));
        assert!(gap(json!([spares])).contains("NotPrincipal spares principals"));
    }

    #[test]
    fn s3_32_the_same_deny_under_another_sid_passes() {
        assert_eq!(judged(json!([changed(json!({"Sid": "NobodyExpectsThisName"}))])), PlainHttp::Denied);
    }

    #[test]
    fn s3_36_the_resources_are_those_of_the_partition() {
        let china = json!({"Resource": ["arn:aws-cn:s3:::data", "arn:aws-cn:s3:::data/*"]});
        assert!(matches!(judged(changed(china.clone())), PlainHttp::Gap(_)));
        let document = PolicyDocument::from_json(&json!({"Statement": changed(china)})).unwrap();
        assert_eq!(judge(&document, "arn:aws-cn:s3:::data"), PlainHttp::Denied);
    }

    #[test]
    fn a_gap_names_few_statements_and_says_how_many_more() {
        let long = changed(json!({"Sid": "s".repeat(10_000), "Action": "s3:GetObject"}));
        let gap = gap(json!(vec![long; 10]));
        assert!(gap.ends_with("and 7 more") && gap.len() < 1_000, "{gap}");
    }

    /// Statements with gaps of all kinds, and the canonical one's equivalents.
    fn any_statement() -> impl Strategy<Value = Value> {
        let narrowed = vec![
            json!({"Resource": "arn:aws:s3:::data"}),
            json!({"Resource": "arn:aws:s3:::data/*"}),
            json!({"Resource": "arn:aws:s3:::data/a*"}),
            json!({"Action": "s3:Get*"}),
            json!({"Effect": "Allow"}),
            json!({"Principal": {"AWS": "222222222222"}}),
            json!({"Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}}}),
        ];
        prop::sample::select(narrowed).prop_map(changed)
    }

    #[test]
    fn s3_41_a_deny_that_names_a_principal_which_is_gone_leaves_everybody_else() {
        let gone = changed(json!({"Principal": {"AWS": "AROAEXAMPLEEXAMPLEEX"}}));
        assert!(gap(json!([gone])).contains("every principal"));
    }

    proptest! {
        #[test]
        fn no_policy_panics(json in any_json(), bucket in ".*") {
            let wrapped = json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Condition": json});
            let wrapped = json!({"Statement": wrapped});
            for document in [&json, &wrapped] {
                if let Ok(document) = PolicyDocument::from_json(document) {
                    let _ = judge(&document, &bucket);
                }
            }
        }

        #[test]
        fn the_order_of_statements_never_matters(
            (statements, shuffled) in prop::collection::vec(any_statement(), 0..6)
                .prop_flat_map(|statements| (Just(statements.clone()), Just(statements).prop_shuffle()))
        ) {
            prop_assert_eq!(judged(json!(statements)), judged(json!(shuffled)));
        }

        #[test]
        fn an_equivalent_spelling_among_other_statements_always_passes(
            spelling in prop::sample::select(spellings()),
            others in prop::collection::vec(any_statement(), 0..4),
            position in 0..4_usize,
        ) {
            let mut statements = others;
            statements.insert(position.min(statements.len()), changed(spelling));
            prop_assert_eq!(judged(json!(statements)), PlainHttp::Denied);
        }
    }
}
