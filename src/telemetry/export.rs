use std::{
    collections::{HashSet, VecDeque},
    env,
    sync::{Mutex, OnceLock},
};

use opentelemetry::{InstrumentationScope, KeyValue, trace::SpanId};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchSpanProcessor, SpanData, SpanProcessor},
};

use windlass_ground::lock;

/// How many sent spans are remembered. When Restate runs a driver again, the driver reports the same spans again, which must not be sent twice.
const REMEMBERED: usize = 16_384;

/// The standard variables for the address of the collector (OpenTelemetry Protocol Exporter, "Configuration Options").
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
const PROTOCOLS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];

static EXPORTER: OnceLock<Exporter> = OnceLock::new();

/// Sends spans to a collector in batches, on its own thread.
pub struct Exporter {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
    sent: Mutex<Sent>,
}

/// The ids of the spans that were sent last.
#[derive(Default)]
struct Sent {
    known: HashSet<SpanId>,
    order: VecDeque<SpanId>,
}

/// Starts to send traces, if the environment names a collector.
///
/// # Errors
/// Returns why traces can't be sent to this collector.
pub fn start() -> Result<(), String> {
    if EXPORTER.get().is_some() || !is_wanted() {
        return Ok(());
    }
    let protocol = set(&PROTOCOLS);
    if let Some((name, protocol)) = protocol.filter(|(_, value)| value != "http/protobuf") {
        return Err(format!(
            "{name} is `{protocol}`, and only `http/protobuf` is supported"
        ));
    }
    let builder = SpanExporter::builder().with_http();
    let exporter = builder.with_protocol(Protocol::HttpBinary).build();
    let exporter = exporter.map_err(|e| e.to_string())?;
    let mut processor = BatchSpanProcessor::builder(exporter).build();
    processor.set_resource(&resource());
    let scope = InstrumentationScope::builder("windlass");
    // Another thread may have set it first.
    let _ = EXPORTER.set(Exporter {
        processor,
        scope: scope.with_version(env!("CARGO_PKG_VERSION")).build(),
        sent: Mutex::default(),
    });
    Ok(())
}

/// Sends all queued spans, before the process ends. Waits for at most 5 s.
pub fn flush() {
    if let Some(exporter) = EXPORTER.get()
        && let Err(error) = exporter.processor.force_flush()
    {
        tracing::warn!(%error, "the last spans were not sent");
    }
}

/// Returns the exporter, if traces are sent.
pub fn exporter() -> Option<&'static Exporter> {
    EXPORTER.get()
}

impl Exporter {
    pub fn scope(&self) -> InstrumentationScope {
        self.scope.clone()
    }

    /// Queues a span, unless this process has already sent it.
    pub fn send(&self, span: SpanData) {
        let is_new = {
            let mut sent = lock(&self.sent);
            sent.add(span.span_context.span_id())
        };
        if is_new {
            self.processor.on_end(span);
        }
    }
}

impl Sent {
    fn add(&mut self, span: SpanId) -> bool {
        if !self.known.insert(span) {
            return false;
        }
        self.order.push_back(span);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

fn is_wanted() -> bool {
    let is_disabled = set(&["OTEL_SDK_DISABLED"])
        .is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"))
        || set(&["OTEL_TRACES_EXPORTER"]).is_some_and(|(_, value)| value == "none");
    set(&ENDPOINTS).is_some() && !is_disabled
}

/// Returns the first of these variables that is set; an empty one counts as not set.
fn set(names: &[&'static str]) -> Option<(&'static str, String)> {
    names.iter().find_map(|name| {
        let value = env::var(name).ok()?;
        (!value.is_empty()).then_some((*name, value))
    })
}

/// Returns the resource of the spans: service name and version. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence.
fn resource() -> Resource {
    let given = Resource::builder().build();
    let is_named = set(&["OTEL_SERVICE_NAME"]).is_some()
        || set(&["OTEL_RESOURCE_ATTRIBUTES"])
            .is_some_and(|(_, value)| value.contains("service.name="));
    let mut builder = Resource::builder();
    if !is_named {
        builder = builder.with_service_name("windlass");
    }
    if given.get(&"service.version".into()).is_none() {
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        builder = builder.with_attribute(version);
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_sent_once_and_old_ones_are_forgotten() {
        let id = |n: usize| SpanId::from_bytes((n as u64 + 1).to_be_bytes());
        let mut sent = Sent::default();
        assert!(sent.add(id(0)));
        assert!(!sent.add(id(0)));
        for n in 1..=REMEMBERED {
            assert!(sent.add(id(n)), "{n}");
        }
        assert_eq!(sent.known.len(), REMEMBERED);
        assert!(sent.add(id(0)));
    }
}
