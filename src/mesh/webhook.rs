//! The sidecar injector: the API server calls istiod on 15017 and verifies it with the webhook's bundle.

use serde_json::{Value as Json, json};

use super::{
    handshake::shake,
    istiod::{self, MANAGER, WEBHOOKS},
    options::MeshOptions,
    player::{Istiod, Player},
    pods::{self, ROOT_MAP, namespace},
    verify::Library,
};
use windlass_cluster::{Cluster, StateError};

/// Admits a pod, with a sidecar if its namespace has the injection label. `Some` is the API server's rejection.
pub(super) fn admit(cluster: &Cluster, pod: &mut Json) -> Result<Option<String>, StateError> {
    let space = cluster.find("namespaces", "", namespace(pod))?;
    let may_get_one = pods::label(pod, "sidecar.istio.io/inject") != "false"
        && !pods::has_container(pod, "istio-proxy");
    let Some(space) = space.filter(|_| may_get_one) else {
        return Ok(None);
    };
    let all = Istiod::all(cluster)?;
    for configuration in cluster.list(WEBHOOKS[0], None)? {
        let hooks = configuration["webhooks"].as_array().into_iter().flatten();
        for hook in hooks {
            if !injects_into(hook, &space) {
                continue;
            }
            match call(cluster, &all, hook, pod) {
                Ok(()) => {
                    inject(cluster, pod)?;
                    return Ok(None);
                }
                Err(_) if hook["failurePolicy"] == "Ignore" => {}
                Err(why) => return Ok(Some(why)),
            }
        }
    }
    Ok(None)
}

/// Returns whether a webhook injects sidecars into a namespace: by `istio-injection`, or by its revision.
fn injects_into(hook: &Json, space: &Json) -> bool {
    let wanted = hook["namespaceSelector"]["matchLabels"].as_object();
    let Some(wanted) = wanted else { return false };
    ["istio-injection", "istio.io/rev"]
        .iter()
        .any(|label| wanted.contains_key(*label))
        && wanted
            .iter()
            .all(|(label, value)| value == pods::label(space, label))
}

/// Calls a webhook, up to and including the handshake.
fn call(cluster: &Cluster, all: &[Istiod], hook: &Json, pod: &Json) -> Result<(), String> {
    let service = &hook["clientConfig"]["service"];
    let of = |field: &str| pods::text(service, field).to_owned();
    let (name, space) = (of("/name"), of("/namespace"));
    let failed = |why: String| {
        format!(
            "Internal error occurred: failed calling webhook {}: failed to call webhook: Post \"https://{name}.{space}.svc:443{}?timeout=10s\": {why}",
            hook["name"],
            of("/path")
        )
    };
    let here: Vec<_> = all
        .iter()
        .filter(|istiod| istiod.place.namespace == space)
        .collect();
    let istiod = pods::pick(&here, pods::name(pod))
        .ok_or_else(|| failed(format!("no endpoints available for service {name:?}")))?;
    let client = istiod::client(&bundle(hook), Library::Go, &space);
    shake(&client, &istiod::server(istiod), cluster.now()).map_err(|why| {
        let why = why.trim_start_matches("client: ");
        failed(format!("tls: failed to verify certificate: {why}"))
    })
}

/// Returns the bundle of a webhook in PEM.
pub(super) fn bundle(hook: &Json) -> String {
    let text = pods::text(hook, "/clientConfig/caBundle");
    let bytes = data_encoding::BASE64.decode(text.as_bytes());
    String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
}

fn inject(cluster: &Cluster, pod: &mut Json) -> Result<(), StateError> {
    let options = MeshOptions::of(cluster)?;
    let mut environment = Vec::new();
    if options.xds_agent {
        environment.push(json!({ "name": "PROXY_CONFIG_XDS_AGENT", "value": "true" }));
    }
    let container = json!({
        "name": "istio-proxy",
        "image": format!("docker.io/istio/proxyv2:{}", options.istio),
        "imagePullPolicy": "IfNotPresent",
        "env": environment,
        "ports": [{ "containerPort": 15090, "name": "http-envoy-prom", "protocol": "TCP" }],
        "volumeMounts": [{ "name": "istiod-ca-cert", "mountPath": "/var/run/secrets/istio" }],
        "resources": {},
    });
    let volume = json!({
        "name": "istiod-ca-cert",
        "configMap": { "name": ROOT_MAP, "defaultMode": 420 },
    });
    for (list, item) in [("containers", container), ("volumes", volume)] {
        match pod["spec"][list].as_array_mut() {
            Some(all) => all.push(item),
            None => pod["spec"][list] = json!([item]),
        }
    }
    pod["metadata"]["labels"]["security.istio.io/tlsMode"] = "istio".into();
    pod["metadata"]["annotations"]["sidecar.istio.io/status"] =
        json!({ "containers": ["istio-proxy"], "volumes": ["istiod-ca-cert"], "revision": options.revision(), "injectedBy": MANAGER })
            .to_string()
            .into();
    Ok(())
}
