//! Sidecars and gateways: istio-agent gets a leaf and roots from istiod, and Envoy makes handshakes with them (istio:
//! `pkg/istio-agent`).

use serde_json::Value as Json;

use super::{
    ca::Leaf,
    handshake::{Party, shake},
    istiod,
    options::{MeshOptions, millis},
    player::{Istiod, Place, Player, Proxy, TRUST_DOMAIN},
    pods::{self, namespace},
    trust,
    verify::{Expected, Library},
    x509,
};
use windlass_cluster::{Cluster, Hold, Moment, StateError};

/// Starts the proxy of a pod, which is ready after it has received its first leaf.
pub(super) fn start(cluster: &Cluster, pod: &Json) -> Result<Option<Hold>, StateError> {
    let Some(mounted) = pods::root_cert(cluster, namespace(pod))? else {
        return Ok(Some(pods::hold_without_root()));
    };
    let mut proxy = Proxy {
        place: Place::of(pod),
        is_gateway: is_gateway(pod),
        identity: pods::identity(pod),
        xds_agent: pods::is_on(pod, "PROXY_CONFIG_XDS_AGENT", false),
        istiod_namespace: home(cluster)?,
        mounted,
        answered: String::new(),
        pushed: String::new(),
        leaf: Leaf::default(),
        issued: 0,
        stream: None,
        trouble: None,
    };
    renew(cluster, &mut proxy)?;
    if let Some(trouble) = &proxy.trouble {
        return Ok(Some(Hold {
            reason: "ProxyNotReady",
            message: format!("istio-proxy: {trouble}"),
        }));
    }
    save(cluster, &proxy)?;
    Ok(None)
}

/// Returns the namespace of istiod.
pub(super) fn home(cluster: &Cluster) -> Result<String, StateError> {
    let first = Istiod::all(cluster)?.into_iter().next();
    Ok(first.map_or_else(|| "istio-system".into(), |istiod| istiod.place.namespace))
}

pub(super) fn is_gateway(pod: &Json) -> bool {
    ["ingressgateway", "eastwestgateway", "egressgateway"].contains(&pods::label(pod, "istio"))
        || !pods::label(pod, "gateway.networking.k8s.io/gateway-name").is_empty()
}

fn save(cluster: &Cluster, proxy: &Proxy) -> Result<(), StateError> {
    proxy.keep(cluster)?;
    trust::publish_proxy(cluster, proxy)
}

/// Renews the leaf now. An error is stored as the proxy's trouble, and the former leaf stays.
fn renew(cluster: &Cluster, proxy: &mut Proxy) -> Result<(), StateError> {
    let all = Istiod::all(cluster)?;
    let now = cluster.now();
    let options = MeshOptions::of(cluster)?;
    let istiod = match connect(&all, proxy, millis(options.stream), now) {
        Ok(istiod) => istiod,
        Err(why) => {
            proxy.trouble = Some(why);
            return Ok(());
        }
    };
    if istiod.multi_root && proxy.xds_agent {
        proxy.pushed.clone_from(&istiod.ca.root);
    }
    let former = Some(&proxy.leaf).filter(|leaf| !leaf.chain.is_empty());
    match istiod
        .ca
        .answer(&proxy.identity, istiod.version(), now, former)
    {
        Err(why) => proxy.trouble = Some(format!("CSR failed: {why}")),
        Ok(answer) => {
            if answer.leaf != proxy.leaf {
                proxy.issued = now;
            }
            proxy.leaf = answer.leaf;
            proxy.answered = answer.roots;
            proxy.trouble = None;
            proxy.wake(cluster, "renew", proxy.issued + half_life(&proxy.leaf))?;
        }
    }
    Ok(())
}

/// Returns the istiod that a proxy uses: over its open stream, or over a new one that it verifies with its mounted root
/// (istio: `pkg/istio-agent/xds_proxy.go`).
fn connect<'a>(
    all: &'a [Istiod],
    proxy: &mut Proxy,
    age: Moment,
    now: Moment,
) -> Result<&'a Istiod, String> {
    if let Some((pod, since)) = &proxy.stream
        && now - since < age
        && let Some(istiod) = all.iter().find(|istiod| istiod.place.pod == *pod)
    {
        return Ok(istiod);
    }
    proxy.stream = None;
    let istiod = pods::pick(all, &proxy.place.pod).ok_or("no istiod is running")?;
    shake(&client_of_istiod(proxy), &istiod::server(istiod), now)
        .map_err(|why| format!("connecting to istiod: {why}"))?;
    proxy.stream = Some((istiod.place.pod.clone(), now));
    Ok(istiod)
}

/// Returns how long after its issue a leaf is renewed because of its age.
pub(super) fn half_life(leaf: &Leaf) -> Moment {
    let first = x509::parsed(&leaf.chain).into_iter().next();
    first.map_or(0, |leaf| {
        ((x509::not_after(&leaf) - x509::not_before(&leaf)) / 2).max(1000)
    })
}

/// Returns the next time at which a leaf is renewed because of its age. The option `renew` stands for half of 24 h.
pub(super) fn next_renewal(issued: Moment, leaf: &Leaf, renew: Moment, now: Moment) -> Moment {
    let period = renew.min(half_life(leaf).max(1));
    let passed = (now - issued).max(0) / period;
    issued + (passed + 1) * period
}

/// Handles a change of what istiod would answer to proxies.
pub(super) fn istiod_changed(cluster: &Cluster, istiod: &Istiod) -> Result<(), StateError> {
    let options = MeshOptions::of(cluster)?;
    let now = cluster.now();
    for mut proxy in Proxy::all(cluster)? {
        let is_pushed = istiod.multi_root
            && proxy.xds_agent
            && proxy
                .stream
                .as_ref()
                .is_some_and(|(pod, _)| *pod == istiod.place.pod)
            // If the text is equal, nothing is pushed (istio: `pilot/pkg/trustbundle/trustbundle.go`).
            && proxy.pushed != istiod.ca.root;
        if is_pushed {
            proxy.pushed.clone_from(&istiod.ca.root);
            renew(cluster, &mut proxy)?;
            save(cluster, &proxy)?;
            continue;
        }
        let at = if proxy.trouble.is_some() {
            now
        } else {
            next_renewal(proxy.issued, &proxy.leaf, millis(options.renew), now)
        };
        proxy.wake(cluster, "renew", at)?;
    }
    Ok(())
}

/// Connects the proxies of a replica that is gone to another one.
pub(super) fn istiod_gone(cluster: &Cluster, pod: &str) -> Result<(), StateError> {
    for mut proxy in Proxy::all(cluster)? {
        if proxy.stream.as_ref().is_some_and(|(of, _)| of == pod) {
            proxy.stream = None;
            proxy.keep(cluster)?;
            if proxy.xds_agent {
                proxy.wake(cluster, "renew", cluster.now())?;
            }
        }
    }
    Ok(())
}

/// Renews the leaf of a proxy that was woken for a renewal.
pub(super) fn renewal(cluster: &Cluster, before: &Proxy) -> Result<(), StateError> {
    let mut proxy = before.clone();
    renew(cluster, &mut proxy)?;
    if proxy == *before {
        Ok(())
    } else {
        save(cluster, &proxy)
    }
}

/// Handles the root that kubelet has written to the mounted file.
pub(super) fn remount(cluster: &Cluster, mut proxy: Proxy) -> Result<(), StateError> {
    let root = pods::root_cert(cluster, &proxy.place.namespace)?.unwrap_or_default();
    if root == proxy.mounted {
        return Ok(());
    }
    proxy.mounted = root;
    if proxy.trouble.is_some() {
        renew(cluster, &mut proxy)?;
    }
    save(cluster, &proxy)
}

/// Returns a proxy as a client of istiod, which verifies with its mounted file and sends a token instead of a certificate.
pub(super) fn client_of_istiod(proxy: &Proxy) -> Party {
    istiod::client(&proxy.mounted, Library::Go, &proxy.istiod_namespace)
}

/// Returns a proxy as either side of a connection between workloads.
pub(super) fn party(proxy: &Proxy) -> Party {
    Party {
        shows: Some((proxy.leaf.chain.clone(), proxy.leaf.key.clone())),
        trusts: Some(proxy.roots()),
        library: Library::Envoy,
        expects: Expected::TrustDomain(TRUST_DOMAIN.into()),
    }
}
