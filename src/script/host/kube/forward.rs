//! Reads from pods through a port-forward.

use rhai::{Dynamic, Map, NativeCallContext};

use super::{
    super::{
        Thrown,
        function::{
            Function, Gives,
            Impact::Reads,
            Needs, On, Parameter, Rule,
            ValueKind::{Int, List, Namespace, Record, Text},
            optional, required, rule,
        },
        http, rejected,
        tls::{PROBE, SERVED, port_of, probe, served_value},
    },
    fields::Fields,
    look, options,
    read::note_picked,
    table::CLUSTER,
};
use crate::{answer::Answer, dynamic::to_dynamic, secrecy::SecretOutput};
use windlass_world::{
    outside::{HttpResponse, KubeClient, Part},
    value::{Failure, Value},
};

const NAMESPACE: Parameter = required("namespace", Namespace, "the pod's");
const POD: Parameter = required("pod", Text, "its name");
const PORT: Parameter = required(
    "port",
    Int,
    "a port on which the pod listens, on its loopback",
);

/// Since Kubernetes 1.35, a WebSocket also needs the permission to create.
const FORWARD: &[Rule] = &[rule(On::All("pods/portforward"), &["create", "get"])];

pub(super) const HTTP_GET: Function = Function {
    name: "kube::http_get",
    about: "Sends a GET request to a pod over plain HTTP, through a port-forward, like `curl http://localhost:PORT/PATH` in the pod. An answer that is not 2xx is a failure.",
    takes: &[
        CLUSTER,
        NAMESPACE,
        POD,
        PORT,
        required(
            "path",
            Text,
            "with its query, such as `/config_dump?resource=dynamic_active_secrets`",
        ),
        optional("options", Record(GET), ""),
    ],
    gives: Gives::new(Record(http::ANSWER), ""),
    does: Reads,
    needs: Needs::kubernetes(FORWARD),
    example: "let metrics = kube::http_get(inputs.cluster, \"istio-system\", inputs.pod, 15014, \"/metrics\", #{ lines: \"citadel_server_\" }).body;",
    bind: |b| {
        b.with(http_get).with(
            |c: NativeCallContext, cluster: &str, ns: &str, pod: &str, port: i64, path: &str| {
                http_get(c, cluster, ns, pod, port, path, Map::new())
            },
        )
    },
};

const GET: &[Parameter] = &[
    optional(
        "lines",
        Text,
        "returns and records only the lines of the body that begin with this text, such as those of one metric; the whole answer may then have any length",
    ),
    optional(
        "pick",
        List(&Text),
        "returns and records only these fields of a body in JSON, as `kube::list` does; the whole answer may then have 64 MiB",
    ),
];

pub(super) const TLS_CHAIN: Function = Function {
    name: "kube::tls_chain",
    about: "Reads the chain that a pod serves, through a separate port-forward. The chain is not verified.",
    takes: &[
        CLUSTER,
        NAMESPACE,
        POD,
        PORT,
        optional("options", Record(PROBE), ""),
    ],
    gives: Gives::new(Record(SERVED), ""),
    does: Reads,
    needs: Needs::kubernetes(FORWARD),
    example: "let served = kube::tls_chain(inputs.cluster, \"istio-system\", inputs.pod, 15012, #{ server_name: \"istiod.istio-system.svc\" });",
    bind: |b| {
        b.with(tls_chain).with(
            |c: NativeCallContext, cluster: &str, ns: &str, pod: &str, port: i64| {
                tls_chain(c, cluster, ns, pod, port, Map::new())
            },
        )
    },
};

/// Implements `kube::tls_chain(cluster, namespace, pod, port, #{ server_name, alpn, timeout, client_certificate, client_key })`:
/// returns the chain that a pod presents, without verifying it.
pub fn tls_chain(
    context: NativeCallContext,
    cluster: &str,
    namespace: &str,
    pod: &str,
    port: i64,
    options: Map,
) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "kube::tls_chain";
    let port = port_of(FUNCTION, port)?;
    let (probe, options) = probe(FUNCTION, options)?;
    let record = record(cluster, namespace, pod, port, ("options", options));
    let (namespace, pod) = (namespace.to_owned(), name(pod));
    let act = async move |kube: KubeClient| {
        let served = kube.tls_chain(&namespace, &pod, port, &probe).await?;
        Ok(served_value(served))
    };
    Ok(to_dynamic(&look(&context, FUNCTION, cluster, record, act)?))
}

/// Implements `kube::http_get(cluster, namespace, pod, port, "/path", #{ lines, pick })`: returns `status`, `headers`, `body`, `body_bytes`, `json`.
pub fn http_get(
    context: NativeCallContext,
    cluster: &str,
    namespace: &str,
    pod: &str,
    port: i64,
    path: &str,
    given: Map,
) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "kube::http_get";
    let port = port_of(FUNCTION, port)?;
    let mut options = options(FUNCTION, given)?;
    let lines = options.optional_text("lines")?;
    let pick = options.texts("pick")?;
    options.finish()?;
    let mut record = record(cluster, namespace, pod, port, ("path", path.into()));
    if let (Value::Map(record), Some(lines)) = (&mut record, &lines) {
        record.insert("lines".into(), lines.as_str().into());
    }
    note_picked(&mut record, &pick);
    let pick = Fields::of(&pick);
    let (namespace, pod, path) = (namespace.to_owned(), name(pod), path.to_owned());
    let act = async move |kube: KubeClient| {
        let part = match (lines, &pick) {
            (Some(start), _) => Part::Lines(start),
            (None, Some(_)) => Part::Picked,
            (None, None) => Part::Whole,
        };
        let mut answer = kube.http_get(&namespace, &pod, port, &path, part).await?;
        if let Some(fields) = pick {
            answer.body = picked(&answer.body, &fields)?;
        }
        answer_value(answer)
    };
    Ok(Answer::of(look(&context, FUNCTION, cluster, record, act)?))
}

/// Returns the picked fields of a body in JSON, as JSON.
fn picked(body: &[u8], fields: &Fields) -> Result<Vec<u8>, Failure> {
    let parsed = serde_json::from_slice(body).map_err(|e| {
        let why = format!("fields can be picked of JSON only, and the answer is not: {e}");
        rejected("kube::http_get", "NotJson", why)
    })?;
    Ok(fields
        .pick(Value::from_json(parsed))
        .to_json()
        .to_string()
        .into_bytes())
}

fn answer_value(answer: HttpResponse) -> Result<Value, Failure> {
    http::record(answer, &SecretOutput::Nothing).map_err(|bytes| {
        let why =
            format!("the answer takes {bytes} bytes in the journal, where the limit is 1 MiB");
        rejected("kube::http_get", "TooLarge", why)
    })
}

/// Returns the name of a pod, which may be given in the forms that kubectl takes.
fn name(pod: &str) -> String {
    let prefixes = ["pod/", "pods/", "po/"];
    let bare = prefixes.iter().find_map(|prefix| pod.strip_prefix(prefix));
    bare.unwrap_or(pod).to_owned()
}

fn record(
    cluster: &str,
    namespace: &str,
    pod: &str,
    port: u16,
    more: (&'static str, Value),
) -> Value {
    Value::map([
        ("cluster", cluster.into()),
        ("namespace", namespace.into()),
        ("pod", pod.into()),
        ("port", Value::Int(port.into())),
        more,
    ])
}
