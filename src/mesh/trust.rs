//! `kubectl get meshtrust`: the material that a player holds, without its keys.

use serde_json::{Value as Json, json};

use super::{
    player::{Istiod, Place, Proxy, Ztunnel},
    x509::{self, Certificate},
};
use windlass_cluster::{Cluster, StateError, timestamp};

pub(super) const RESOURCE: &str = "meshtrusts.rehearsal.windlass.dev";

pub(super) fn publish_istiod(cluster: &Cluster, istiod: &Istiod) -> Result<(), StateError> {
    let mounted = istiod.mounted.get("root-cert.pem");
    put(
        cluster,
        &istiod.place,
        "istiod",
        json!({
            "mounted": described(mounted.map_or("", String::as_str)),
            "trusts": described(&istiod.ca.root),
            "shows": described(&istiod.serving.chain),
            "signsWith": described(&istiod.ca.certificate),
            "plugged": istiod.ca.is_plugged,
            "log": istiod.log,
        }),
    )
}

pub(super) fn publish_proxy(cluster: &Cluster, proxy: &Proxy) -> Result<(), StateError> {
    let role = if proxy.is_gateway {
        "gateway"
    } else {
        "sidecar"
    };
    put(
        cluster,
        &proxy.place,
        role,
        json!({
            "identity": proxy.identity,
            "mounted": described(&proxy.mounted),
            "trusts": described(&proxy.roots()),
            "shows": described(&proxy.leaf.chain),
            "trouble": proxy.trouble,
        }),
    )
}

pub(super) fn publish_ztunnel(cluster: &Cluster, ztunnel: &Ztunnel) -> Result<(), StateError> {
    let identities: Vec<_> = ztunnel
        .identities
        .iter()
        .map(|one| {
            let chain = one.leaf.as_ref().map_or("", |leaf| &leaf.chain);
            json!({
                "identity": one.name,
                "trusts": described(&one.roots),
                "shows": described(chain),
                "trouble": one.trouble,
            })
        })
        .collect();
    let first = ztunnel.identities.first();
    let chain = first
        .and_then(|one| one.leaf.as_ref())
        .map_or("", |leaf| &leaf.chain);
    put(
        cluster,
        &ztunnel.place,
        "ztunnel",
        json!({
            "mounted": described(&ztunnel.mounted),
            "caRoot": described(&ztunnel.ca_root),
            "trusts": described(first.map_or("", |one| &one.roots)),
            "shows": described(chain),
            "identities": identities,
        }),
    )
}

/// Writes the material of a player; columns show the names of the roots and of the first certificate.
pub(super) fn put(
    cluster: &Cluster,
    place: &Place,
    role: &str,
    mut status: Json,
) -> Result<(), StateError> {
    let names = |list: &Json, field: &str| -> String {
        let all = list.as_array().into_iter().flatten();
        let all: Vec<_> = all.filter_map(|one| one[field].as_str()).collect();
        all.join(", ")
    };
    let first = &status["shows"][0];
    let summary = json!({
        "trusts": names(&status["trusts"], "subject"),
        "issuer": first["issuer"],
        "until": first["notAfter"],
    });
    status["summary"] = summary;
    let object = json!({
        "metadata": { "name": place.pod, "namespace": place.namespace },
        "spec": { "role": role, "workload": place.workload },
        "status": without_nulls(status),
    });
    let found = cluster.find(RESOURCE, &place.namespace, &place.pod)?;
    if let Some(found) = found
        && found["status"] == object["status"]
    {
        return Ok(());
    }
    cluster.put(RESOURCE, object, "windlass-mesh")
}

fn without_nulls(mut value: Json) -> Json {
    if let Some(map) = value.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    value
}

pub(super) fn withdraw(cluster: &Cluster, namespace: &str, pod: &str) -> Result<(), StateError> {
    match cluster.find(RESOURCE, namespace, pod)? {
        Some(found) => cluster.delete(RESOURCE, &found),
        None => Ok(()),
    }
}

/// Describes the certificates of a PEM text.
pub(super) fn described(pem: &str) -> Json {
    let all = x509::certificates(pem).unwrap_or_default();
    all.iter()
        .filter_map(|der| {
            let certificate: Certificate = x509::parse(der).ok()?;
            let tbs = &certificate.tbs_certificate;
            Some(json!({
                "subject": x509::short_name(&tbs.subject),
                "issuer": x509::short_name(&tbs.issuer),
                "names": x509::names(&certificate),
                "serialNumber": x509::serial(&certificate),
                "notAfter": timestamp(x509::not_after(&certificate)),
                "sha256": x509::fingerprint(der),
            }))
        })
        .collect()
}
