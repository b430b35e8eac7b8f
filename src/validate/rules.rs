//! The CEL rules of a CRD, asked without an API server. No IO.
//!
//! Kubernetes' own functions come with kube's `cel` feature; what it lacks, `type()`, or reads more leniently than the
//! API server, `isCIDR()` and `getHours()` of a time zone, is here. A rule that cannot be evaluated counts as broken,
//! as it does in the API server.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kube::core::cel::cel::extractors::This;
use kube::core::cel::cel::objects::{Key, Map};
use kube::core::cel::cel::{Context, ExecutionError, ResolveResult, Value as CelValue};
use kube::core::cel::{CompilationResult, CompiledSchema, KubeCelExt, apply_defaults, compile_schema};
use serde_json::Value;

use super::schema::Fault;
use crate::manifests::escape;

/// The compiled rules of a kind.
pub(super) struct Rules {
    schema: Value,
    compiled: CompiledSchema,
    context: Context<'static>,
}

impl Rules {
    /// Compiles every rule of an `openAPIV3Schema`.
    pub(super) fn new(schema: &Value) -> Result<Self, String> {
        let compiled = compile_schema(schema);
        if let Some(error) = first_error(&compiled) {
            return Err(error);
        }
        let mut context = Context::default().with_all();
        context.add_function("type", type_of);
        context.add_function("isCIDR", is_cidr);
        context.add_function("getHours", hours_in);
        for name in ["int", "string"] {
            context.add_variable_from_value(name, text(name));
        }
        Ok(Self { schema: schema.clone(), compiled, context })
    }

    /// Every rule that an object breaks. Rules that compare with an older object have none to compare with.
    pub(super) fn broken(&self, object: &Value) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.walk(&self.compiled, &apply_defaults(&self.schema, object), "", &mut faults);
        faults
    }

    fn walk(&self, node: &CompiledSchema, value: &Value, pointer: &str, faults: &mut Vec<Fault>) {
        let rules = node.validations.iter().flatten().filter(|rule| !rule.is_transition_rule);
        let mut context = self.context.new_inner_scope();
        context.add_variable_from_value("self", to_cel(value));
        faults.extend(rules.filter(|rule| !holds(rule, &context)).map(|rule| fault(rule, pointer)));

        for (name, child) in &node.properties {
            if let Some(value) = value.get(name) {
                self.walk(child, value, &format!("{pointer}/{}", escape(name)), faults);
            }
        }
        if let (Some(items), Some(values)) = (&node.items, value.as_array()) {
            for (index, value) in values.iter().enumerate() {
                self.walk(items, value, &format!("{pointer}/{index}"), faults);
            }
        }
    }
}

fn first_error(node: &CompiledSchema) -> Option<String> {
    let own = node.compilation_errors().first().map(ToString::to_string);
    own.or_else(|| node.properties.values().chain(node.items.as_deref()).find_map(first_error))
}

fn holds(rule: &CompilationResult, context: &Context<'_>) -> bool {
    matches!(rule.program.execute(context), Ok(CelValue::Bool(true)))
}

fn fault(rule: &CompilationResult, pointer: &str) -> Fault {
    let field = rule.rule.field_path.as_deref().unwrap_or_default().replace('.', "/");
    let message = rule.rule.message.clone().unwrap_or_else(|| format!("failed rule: {}", rule.rule.rule));
    Fault { pointer: format!("{pointer}{field}"), message }
}

/// CEL's `type()` for the two types that an int-or-string can have.
#[expect(clippy::unnecessary_wraps, reason = "what a CEL function returns")]
fn type_of(value: CelValue) -> ResolveResult {
    Ok(match value {
        CelValue::Int(_) => text("int"),
        CelValue::String(_) => text("string"),
        other => text(&other.type_of().to_string()),
    })
}

/// CEL's `isCIDR()` with the API server's strictness: no leading zeros, no IPv4 inside IPv6, no zone.
#[expect(clippy::needless_pass_by_value, reason = "what a CEL function is given")]
fn is_cidr(text: Arc<String>) -> bool {
    let Some((address, prefix)) = text.split_once('/') else { return false };
    let bits = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_none() => 128,
        _ => return false,
    };
    let is_number = prefix.bytes().all(|byte| byte.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
    is_number && prefix.parse::<u8>().is_ok_and(|prefix| prefix <= bits)
}

/// CEL's `getHours()` of a moment in a time zone. The `cel` crate does not look at the zone; the API server knows those
/// of the IANA database by their exact names.
#[expect(clippy::needless_pass_by_value, reason = "what a CEL function is given")]
fn hours_in(This(moment): This<CelValue>, zone: Arc<String>) -> ResolveResult {
    let refused = |why: &str| ExecutionError::function_error("getHours", why);
    let CelValue::Timestamp(moment) = moment else { return Err(refused("is a function of timestamps")) };
    let known = TimeZone::get(&zone).ok().filter(|known| known.iana_name() == Some(zone.as_str()));
    let known = known.ok_or_else(|| refused("no such time zone"))?;
    let moment = Timestamp::from_second(moment.timestamp()).map_err(|_| refused("no such moment"))?;
    Ok(CelValue::Int(moment.to_zoned(known).hour().into()))
}

fn text(text: &str) -> CelValue {
    CelValue::String(Arc::new(text.to_owned()))
}

/// Every integer is a CEL int, as in the API server: JSON alone would make an unsigned one of what is not negative.
fn to_cel(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(value) => CelValue::Bool(*value),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| CelValue::Float(number.as_f64().unwrap_or(f64::NAN)), CelValue::Int)
        }
        Value::String(value) => text(value),
        Value::Array(values) => CelValue::List(Arc::new(values.iter().map(to_cel).collect())),
        Value::Object(fields) => {
            let entry = |(name, value): (&String, &Value)| (Key::String(Arc::new(name.clone())), to_cel(value));
            CelValue::Map(Map { map: Arc::new(fields.iter().map(entry).collect::<HashMap<_, _>>()) })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn broken(rule: &str, value: &Value) -> usize {
        let schema = json!({"type": "object", "properties": {"x": {
            "x-kubernetes-validations": [{"rule": rule, "message": "no", "fieldPath": ".y.z"}]
        }}});
        let faults = Rules::new(&schema).unwrap().broken(&json!({"x": value}));
        assert!(faults.iter().all(|fault| fault.pointer == "/x/y/z" && fault.message == "no"));
        faults.len()
    }

    #[test]
    fn an_int_or_string_knows_which_it_is() {
        let rule = "type(self) == int ? self > 3 : self.matches('^a')";
        assert_eq!([json!(4), json!("a")].map(|value| broken(rule, &value)), [0, 0]);
        assert_eq!([json!(3), json!("b")].map(|value| broken(rule, &value)), [1, 1]);
    }

    #[test]
    fn a_block_is_read_as_strictly_as_the_api_server_does() {
        let admitted = ["10.0.0.0/8", "0.0.0.0/0", "1.2.3.4/32", "::/0", "2001:db8::/32", "::1/128"];
        assert_eq!(admitted.map(|block| broken("isCIDR(self)", &json!(block))), [0; 6]);
        let refused = ["10.0.0.0", "10.0.0.0/33", "010.0.0.0/8", "10.0.0.0/08", "10.0.0.0/+8", "::ffff:10.0.0.0/104"];
        assert_eq!(refused.map(|block| broken("isCIDR(self)", &json!(block))), [1; 6]);
        assert_eq!(
            ["10.0.0/8", "fe80::1%eth0/64", "/8", ""].map(|block| broken("isCIDR(self)", &json!(block))),
            [1; 4]
        );
    }

    #[test]
    fn a_time_zone_is_one_of_the_database_by_its_exact_name() {
        let rule = "timestamp('2024-01-01T00:00:00Z').getHours(self) >= 0";
        let admitted = ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"];
        assert_eq!(admitted.map(|zone| broken(rule, &json!(zone))), [0; 4]);
        let refused = ["Europe/Bonn", "europe/berlin", "Mars/Olympus", ""];
        assert_eq!(refused.map(|zone| broken(rule, &json!(zone))), [1; 4]);
        assert_eq!(broken("timestamp('2024-01-01T00:00:00Z').getHours('Asia/Tokyo') == 9", &json!(0)), 0);
    }

    #[test]
    fn a_rule_that_cannot_be_evaluated_is_broken_and_one_on_a_change_is_not_asked() {
        assert_eq!(broken("int(self) > 0", &json!("x")), 1);
        assert_eq!(broken("unheardOf(self)", &json!("x")), 1);
        assert_eq!(broken("self == oldSelf", &json!("x")), 0);
    }

    #[test]
    fn a_rule_that_does_not_compile_is_a_fault_of_the_schema() {
        let schema = json!({"type": "object", "x-kubernetes-validations": [{"rule": "self ==", "message": "no"}]});
        assert!(Rules::new(&schema).is_err());
    }
}
