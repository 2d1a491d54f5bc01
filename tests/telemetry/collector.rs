//! A collector of traces: it takes what OTLP over HTTP brings (opentelemetry-proto, `ExportTraceServiceRequest`).

use std::{
    collections::BTreeMap,
    net::TcpListener,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value, trace::v1::Span,
};
use prost::Message;

/// How long spans may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Collector {
    pub url: String,
    received: Arc<Received>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct Received {
    batches: Mutex<Vec<Batch>>,
    changed: Condvar,
}

/// The spans of one request, with what sent them and the headers that came along.
#[derive(Clone)]
struct Batch {
    resource: BTreeMap<String, String>,
    headers: HeaderMap,
    spans: Vec<Span>,
}

/// A span that arrived, as a test looks at it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub name: String,
    pub trace: String,
    pub id: String,
    /// Empty for a root.
    pub parent: String,
    pub links: Vec<String>,
    pub kind: i32,
    /// Nanoseconds since 1970.
    pub from: u64,
    pub to: u64,
    pub attributes: BTreeMap<String, String>,
    /// The message of its error; `None` where it has none.
    pub error: Option<String>,
}

impl Collector {
    pub fn start() -> Self {
        let received = Arc::<Received>::default();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("non-blocking");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("threads");
        let kept = received.clone();
        let take = move |headers: HeaderMap, body: Bytes| {
            let kept = kept.clone();
            async move {
                kept.take(headers, &body);
            }
        };
        let router = Router::new().route("/v1/traces", post(take));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, router).await.expect("served");
        });
        Self {
            url,
            received,
            _runtime: runtime,
        }
    }

    /// Waits until what has arrived is enough, and gives it.
    pub fn wait(&self, enough: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let until = Instant::now() + PATIENCE;
        let mut batches = self.received.batches.lock().expect("not poisoned");
        loop {
            let seen: Vec<_> = batches
                .iter()
                .flat_map(|batch| &batch.spans)
                .map(seen)
                .collect();
            if enough(&seen) {
                return seen;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not enough spans arrived: {seen:#?}");
            let waited = self.received.changed.wait_timeout(batches, left);
            batches = waited.expect("not poisoned").0;
        }
    }

    /// Gives what the first sender says of itself, and a header that it sent.
    pub fn sender(&self, header: &str) -> (BTreeMap<String, String>, Option<String>) {
        let batches = self.received.batches.lock().expect("not poisoned");
        let first = batches.first().expect("something arrived");
        let header = first.headers.get(header);
        let header = header.map(|value| value.to_str().expect("text").to_owned());
        (first.resource.clone(), header)
    }
}

impl Received {
    fn take(&self, headers: HeaderMap, body: &[u8]) {
        let request = ExportTraceServiceRequest::decode(body).expect("a request of OTLP");
        for one in request.resource_spans {
            let resource = one
                .resource
                .map_or(Vec::new(), |resource| resource.attributes);
            let scopes = one.scope_spans.into_iter();
            let batch = Batch {
                resource: resource.into_iter().map(text).collect(),
                headers: headers.clone(),
                spans: scopes.flat_map(|scope| scope.spans).collect(),
            };
            self.batches.lock().expect("not poisoned").push(batch);
        }
        self.changed.notify_all();
    }
}

fn seen(span: &Span) -> Seen {
    let status = span.status.as_ref().filter(|status| status.code == 2);
    Seen {
        name: span.name.clone(),
        trace: data_encoding::HEXLOWER.encode(&span.trace_id),
        id: data_encoding::HEXLOWER.encode(&span.span_id),
        parent: data_encoding::HEXLOWER.encode(&span.parent_span_id),
        links: span
            .links
            .iter()
            .map(|link| data_encoding::HEXLOWER.encode(&link.span_id))
            .collect(),
        kind: span.kind,
        from: span.start_time_unix_nano,
        to: span.end_time_unix_nano,
        attributes: span.attributes.iter().cloned().map(text).collect(),
        error: status.map(|status| status.message.clone()),
    }
}

fn text(one: opentelemetry_proto::tonic::common::v1::KeyValue) -> (String, String) {
    let text = match one.value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    (one.key, text)
}
