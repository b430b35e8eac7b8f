//! From spans to an OpenTelemetry collector, by OTLP over HTTP, as the standard `OTEL_` variables say. IO in the
//! background: a collector that does not answer loses spans and delays nobody.

use std::env;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use super::post::Poster;

/// How long the process waits at its end for the last spans to be taken.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

const SERVICE_NAME: &str = "service.name";

/// Whether traces are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    No,
    Yes,
    /// In a way that this program does not have.
    Otherwise(String),
}

/// Why there can be no traces.
#[derive(Debug, thiserror::Error)]
pub(super) enum TraceError {
    #[error("traces are sent by http/protobuf alone, and {0} is asked for: set OTEL_EXPORTER_OTLP_PROTOCOL")]
    Protocol(String),
    #[error("the variables of the OTLP exporter cannot be used: {0}")]
    Exporter(String),
    #[error("no TLS for the collector")]
    Tls(#[source] rustls::Error),
}

/// Where spans go.
#[derive(Clone, Debug)]
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// `None` where nobody asks for traces. Must be called within the runtime that carries them.
    pub(super) fn from_env() -> Result<Option<Self>, TraceError> {
        match asked(|name| env::var(name).ok()) {
            Asked::No => Ok(None),
            Asked::Otherwise(protocol) => Err(TraceError::Protocol(protocol)),
            Asked::Yes => {
                let client = Poster::new().map_err(TraceError::Tls)?;
                let exporter = SpanExporter::builder().with_http().with_http_client(client).build();
                let exporter = exporter.map_err(|error| TraceError::Exporter(error.to_string()))?;
                let provider = SdkTracerProvider::builder().with_resource(resource()).with_batch_exporter(exporter);
                Ok(Some(Self(provider.build())))
            }
        }
    }

    pub(super) fn tracer(&self) -> SdkTracer {
        self.0.tracer("plumbline")
    }

    /// Hands over what is left, for a while. Blocks.
    pub(super) fn flush(&self) {
        // What was not taken by then is lost, as it would be from a collector that is down.
        let _ = self.0.shutdown_with_timeout(FLUSH_WITHIN);
    }
}

/// What the variables ask for.
fn asked(variable: impl Fn(&str) -> Option<String>) -> Asked {
    let set = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let endpoint = set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| set("OTEL_EXPORTER_OTLP_ENDPOINT"));
    let disabled = set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let other = set("OTEL_TRACES_EXPORTER").is_some_and(|value| value != "otlp");
    if endpoint.is_none() || disabled || other {
        return Asked::No;
    }
    let protocol = set("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| set("OTEL_EXPORTER_OTLP_PROTOCOL"));
    match protocol {
        Some(protocol) if protocol != "http/protobuf" => Asked::Otherwise(protocol),
        Some(_) | None => Asked::Yes,
    }
}

/// What `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say, and who this is where they do not.
fn resource() -> Resource {
    let named = env::var("OTEL_SERVICE_NAME").is_ok_and(|name| !name.is_empty())
        || env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|attributes| names_the_service(&attributes));
    let resource = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if named { resource.build() } else { resource.with_service_name("plumbline").build() }
}

fn names_the_service(attributes: &str) -> bool {
    attributes.split(',').any(|pair| pair.split_once('=').is_some_and(|(name, _)| name.trim() == SERVICE_NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_sent_only_where_an_endpoint_is_named_and_nothing_forbids_it() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        let table: [(&[(&str, &str)], Asked); 9] = [
            (&[], Asked::No),
            (&[endpoint], Asked::Yes),
            (&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector/v1/traces")], Asked::Yes),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")], Asked::No),
            (&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")], Asked::No),
            (&[endpoint, ("OTEL_TRACES_EXPORTER", "none")], Asked::No),
            (&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")], Asked::Yes),
            (&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], Asked::Otherwise("grpc".to_owned())),
            (
                &[
                    endpoint,
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
                ],
                Asked::Yes,
            ),
        ];
        for (variables, expected) in table {
            let value =
                |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(asked(value), expected, "{variables:?}");
        }
    }

    #[test]
    fn a_service_name_among_the_resource_attributes_is_respected() {
        assert!(names_the_service("team=shop, service.name=audit"));
        assert!(!names_the_service("team=shop,my.service.name=audit"));
    }
}
