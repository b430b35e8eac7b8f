//! From a log event to a line of JSON: the fields of the event and of the spans around it side by side, so that
//! `jq .account` finds what it looks for. Writes to where the subscriber says.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The names that every line has; no field may take their place.
const OWN: [&str; 3] = ["timestamp", "level", "target"];

/// Writes flat lines.
pub(super) struct Flat;

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'a str,
    target: &'a str,
    #[serde(flatten)]
    fields: BTreeMap<String, Value>,
}

impl<S> FormatEvent<S, JsonFields> for Flat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        // From the outermost span inwards: the one that is nearer to the event knows better.
        for span in context.event_scope().into_iter().flat_map(tracing_subscriber::registry::Scope::from_root) {
            let extensions = span.extensions();
            let formatted = extensions.get::<FormattedFields<JsonFields>>();
            let own = formatted.and_then(|formatted| serde_json::from_str::<BTreeMap<String, Value>>(formatted).ok());
            fields.0.extend(own.unwrap_or_default());
        }
        event.record(&mut fields);
        fields.0.retain(|name, _| !OWN.contains(&name.as_str()));
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let metadata = event.metadata();
        let line = Line { timestamp, level: metadata.level().as_str(), target: metadata.target(), fields: fields.0 };
        let line = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writeln!(out, "{line}")
    }
}

/// The fields of an event as JSON.
#[derive(Default)]
struct Fields(BTreeMap<String, Value>);

impl Fields {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing::{error_span, info};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_fields_of_all_spans_stand_beside_those_of_the_event() {
        let written = Written::default();
        let out = written.clone();
        let layer = tracing_subscriber::fmt::layer().fmt_fields(JsonFields::new()).event_format(Flat);
        let layer = layer.with_writer(move || out.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let _pass = error_span!("baseline", account = "prod", reconcile_id = "0a1b").entered();
            let _control = error_span!("control", control = "mfa", account = "nearer").entered();
            info!(count = 3, level = "mine", "quoted \" and \u{1b}");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((text.lines().count(), &line["count"]), (1, &Value::from(3)));
        for (field, value) in [
            ("account", "nearer"),
            ("reconcile_id", "0a1b"),
            ("control", "mfa"),
            ("level", "INFO"),
            ("message", "quoted \" and \u{1b}"),
        ] {
            assert_eq!(line[field], value, "{text}");
        }
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
        assert!(line["target"].as_str().unwrap().starts_with("plumbline"));
    }
}
