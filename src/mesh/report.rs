//! The admin ports of players: `/config_dump` and metrics. The formats are those of Envoy's admin API, ztunnel's `src/admin.rs`,
//! istio's `security/pkg/server/ca/monitoring.go` and the metrics of Gloo Mesh's management server.

use serde_json::{Value as Json, json};

use super::{
    player::{Istiod, Proxy, Ztunnel},
    version::Since,
    x509,
};
use windlass_cluster::{Moment, timestamp};

/// Since these versions, the dump splits a bundle into its roots (ztunnel #1510).
const SPLITS: Since = &[(1, 24, 6), (1, 25, 3), (1, 26, 0)];

fn base64(text: &str) -> String {
    data_encoding::BASE64.encode(text.as_bytes())
}

/// Returns Envoy's dump, limited to its secrets.
pub(super) fn envoy(proxy: &Proxy) -> String {
    let dump = json!({ "configs": [{
        "@type": "type.googleapis.com/envoy.admin.v3.SecretsConfigDump",
        "dynamic_active_secrets": secrets(proxy),
    }] });
    format!("{dump:#}")
}

/// Returns Envoy's answer to `?resource=dynamic_active_secrets`: only that list.
pub(super) fn envoy_secrets(proxy: &Proxy) -> String {
    const DYNAMIC: &str = "type.googleapis.com/envoy.admin.v3.SecretsConfigDump.DynamicSecret";
    let mut configs = secrets(proxy);
    for secret in &mut configs {
        secret["@type"] = DYNAMIC.into();
    }
    format!("{:#}", json!({ "configs": configs }))
}

fn secrets(proxy: &Proxy) -> [Json; 2] {
    const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
    let at = timestamp(proxy.issued);
    let entry = |name: &str, content: Json| {
        let mut secret = json!({ "@type": SECRET, "name": name });
        for (key, value) in content.as_object().into_iter().flatten() {
            secret[key] = value.clone();
        }
        json!({ "name": name, "version_info": at, "last_updated": at, "secret": secret })
    };
    [
        entry(
            "default",
            json!({ "tls_certificate": {
            "certificate_chain": { "inline_bytes": base64(&proxy.leaf.chain) },
            "private_key": { "inline_bytes": base64("[redacted]") },
        } }),
        ),
        entry(
            "ROOTCA",
            json!({ "validation_context": {
            "trusted_ca": { "inline_bytes": base64(&proxy.roots()) },
        } }),
        ),
    ]
}

/// Returns ztunnel's dump, limited to its certificates.
pub(super) fn ztunnel(tunnel: &Ztunnel) -> String {
    let certificates: Vec<_> = tunnel
        .identities
        .iter()
        .map(|one| {
            let state = match (&one.leaf, &one.trouble) {
                (Some(_), _) => "Available".to_owned(),
                (None, Some(why)) => format!("Unavailable: {why}"),
                (None, None) => "Initializing".to_owned(),
            };
            let chain = one.leaf.as_ref().map_or("", |leaf| &leaf.chain);
            let roots = if tunnel.version().has(SPLITS) {
                listed(&one.roots)
            } else {
                listed(&one.roots).into_iter().take(1).collect()
            };
            json!({
                "identity": one.name,
                "state": state,
                "certChain": listed(chain),
                "rootCerts": roots,
            })
        })
        .collect();
    format!("{:#}", json!({ "certificates": certificates }))
}

fn listed(pem: &str) -> Vec<Json> {
    let all = x509::certificates(pem).unwrap_or_default();
    all.iter()
        .filter_map(|der| {
            let certificate = x509::parse(der).ok()?;
            Some(json!({
                "pem": base64(&x509::to_pem(der)),
                "serialNumber": x509::decimal_serial(&certificate),
                "validFrom": timestamp(x509::not_before(&certificate)),
                "expirationTime": timestamp(x509::not_after(&certificate)),
            }))
        })
        .collect()
}

/// Returns istiod's metrics of its CA: of the first root, and of the first certificate of the chain.
pub(super) fn istiod_metrics(istiod: &Istiod, now: Moment) -> String {
    let end = |pem: &str| x509::parsed(pem).first().map(x509::not_after);
    let chain = if istiod.ca.chain.is_empty() {
        &istiod.ca.certificate
    } else {
        &istiod.ca.chain
    };
    let mut text = String::new();
    for (name, end) in [
        ("root_cert", end(&istiod.ca.root)),
        ("cert_chain", end(chain)),
    ] {
        let end = end.unwrap_or_default() / 1000;
        for (suffix, value) in [("timestamp", end), ("seconds", end - now / 1000)] {
            let metric = format!("citadel_server_{name}_expiry_{suffix}");
            text.push_str(&format!("# TYPE {metric} gauge\n{metric} {value}\n"));
        }
    }
    text
}

/// Returns the management server's metrics of its relay.
pub(super) fn relay_metrics(clusters: &[(String, bool)]) -> String {
    let mut text = String::new();
    for metric in [
        "relay_pull_clients_connected",
        "relay_push_clients_connected",
        "relay_push_clients_warmed",
    ] {
        text.push_str(&format!("# TYPE {metric} gauge\n"));
        for (cluster, is_connected) in clusters {
            let value = u8::from(*is_connected);
            text.push_str(&format!("{metric}{{cluster=\"{cluster}\"}} {value}\n"));
        }
    }
    text
}
