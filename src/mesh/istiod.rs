//! istiod: loads a CA, distributes its roots to namespaces and webhooks, and signs for proxies (istio:
//! `pilot/pkg/bootstrap`).

use serde_json::{Value as Json, json};

use super::{
    ca::{self, Ca, Found},
    handshake::Party,
    player::{Istiod, Place, Player},
    pods::{self, ROOT_MAP, name, namespace},
    proxy, trust,
    verify::{Expected, Library},
    version::{Since, Version},
    x509, ztunnel,
};
use windlass_cluster::{Cluster, Hold, Moment, StateError};

/// istiod's field manager.
pub(super) const MANAGER: &str = "pilot-discovery";
/// The namespaces into which istiod writes no roots (istio:
/// `pilot/pkg/serviceregistry/kube/controller/namespacecontroller.go`).
const IGNORED: [&str; 3] = ["kube-node-lease", "kube-public", "local-path-storage"];
const SELF_SIGNED: &str = "istio-ca-secret";

/// Since this version, reload can't be disabled, and roots can change without a restart (istio:
/// `pilot/pkg/bootstrap/istio_ca.go`).
const RELOADS: Since = &[(1, 20, 0)];
const RELOADS_BY_DEFAULT: Since = &[(1, 18, 0)];
/// Since this version, roots are compared as certificates, not as bytes (istio #59909).
const COMPARES_DER: Since = &[(1, 30, 0)];

/// Starts a replica.
pub(super) fn start(cluster: &Cluster, pod: &Json) -> Result<Option<Hold>, StateError> {
    let now = cluster.now();
    let version = pods::version(pod, "discovery", Version::newest(1, 30));
    let mounted = pods::secret(cluster, namespace(pod), "cacerts")?;
    let crashed = |why: String| {
        Ok(Some(Hold {
            reason: "CrashLoopBackOff",
            message: format!("Error: {why}"),
        }))
    };
    let ca = match ca::find(&mounted, version, now) {
        Ok(Found::Plugged(ca)) => ca,
        Ok(Found::Nothing) => self_signed(cluster, namespace(pod))?,
        Err(why) => return crashed(why),
    };
    let serving = match ca.serving(namespace(pod), version, now) {
        Ok(serving) => serving,
        Err(why) => return crashed(format!("failed to create the serving certificate: {why}")),
    };
    let log = if ca.is_plugged {
        "Use plugged-in cert at etc/cacerts/ca-key.pem"
    } else {
        "Use self-signed certificate as the CA certificate"
    };
    let istiod = Istiod {
        place: Place::of(pod),
        version: version.to_string(),
        multi_root: pods::is_on(pod, "ISTIO_MULTIROOT_MESH", false),
        reloads: version.has(RELOADS)
            || pods::is_on(
                pod,
                "AUTO_RELOAD_PLUGIN_CERTS",
                version.has(RELOADS_BY_DEFAULT),
            ),
        born: now,
        mounted,
        clients: ca.root.clone(),
        ca,
        serving,
        log: vec![log.to_owned()],
    };
    istiod.keep(cluster)?;
    trust::publish_istiod(cluster, &istiod)?;
    spread(cluster, &istiod)?;
    Ok(None)
}

/// Returns the CA of a mesh without a plugged one, which all replicas share.
fn self_signed(cluster: &Cluster, namespace: &str) -> Result<Ca, StateError> {
    let files = pods::secret(cluster, namespace, SELF_SIGNED)?;
    let (certificate, key) = match (files.get("ca-cert.pem"), files.get("ca-key.pem")) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        _ => {
            let (certificate, key) = ca::self_signed(cluster.now()).map_err(StateError::new)?;
            let secret = json!({
                "metadata": { "name": SELF_SIGNED, "namespace": namespace },
                "type": "istio.io/ca-root",
                "data": pods::secret_data(&[("ca-cert.pem", &certificate), ("ca-key.pem", &key)]),
            });
            cluster.put("secrets", secret, MANAGER)?;
            (certificate, key)
        }
    };
    Ok(Ca {
        is_plugged: false,
        root: certificate.clone(),
        chain: String::new(),
        certificate,
        key,
    })
}

/// Handles the files that kubelet has written to the mounted folder.
pub(super) fn remount(cluster: &Cluster, mut istiod: Istiod) -> Result<(), StateError> {
    let files = pods::secret(cluster, &istiod.place.namespace, "cacerts")?;
    if files == istiod.mounted {
        return Ok(());
    }
    istiod.mounted = files;
    // An istiod that started without a plugged CA does not watch the folder (`istio_ca.go`); an emptied folder is not a
    // write.
    let has_loaded = istiod.ca.is_plugged
        && istiod.reloads
        && !istiod.mounted.is_empty()
        && reload(&mut istiod, cluster.now());
    istiod.keep(cluster)?;
    trust::publish_istiod(cluster, &istiod)?;
    if has_loaded {
        spread(cluster, &istiod)
    } else {
        Ok(())
    }
}

/// Reads the folder again. Returns `true` if the CA has changed. The log messages are those of istiod (`istio_ca.go`).
fn reload(istiod: &mut Istiod, now: Moment) -> bool {
    let version = istiod.version();
    let mut log = |line: &str| istiod.log.push(line.to_owned());
    log("Update Istiod cacerts");
    let new = match ca::reload(&istiod.mounted, version, now) {
        Ok(new) => new,
        Err(why) => {
            log(&format!("Failed to update new Plug-in CA certs: {why}"));
            return false;
        }
    };
    if new.root != istiod.ca.root {
        if !istiod.multi_root {
            log("Multi root is disabled, updating new ROOT-CA not supported");
            return false;
        }
        if !may_follow(&istiod.ca.root, &new.root, version) {
            log("Updating new ROOT-CA not supported");
            return false;
        }
        log("Updating new ROOT-CA");
    }
    if new == istiod.ca {
        return false;
    }
    match new.serving(&istiod.place.namespace, version, now) {
        Ok(serving) => istiod.serving = serving,
        // The CA is replaced even so (`certcontroller.go`).
        Err(why) => log(&format!("failed to update the serving certificate: {why}")),
    }
    log(
        "Istiod has detected the newly added intermediate CA and updated its key and certs accordingly",
    );
    log("Istiod certificates are reloaded");
    istiod.ca = new;
    true
}

/// Returns whether a root bundle may replace another one without a restart (`istio_ca.go`, `pemBundleHasSubsetRelation`).
fn may_follow(before: &str, after: &str, version: Version) -> bool {
    if !version.has(RELOADS) {
        return false;
    }
    if !version.has(COMPARES_DER) {
        return before.contains(after) || after.contains(before);
    }
    let set = |pem: &str| x509::certificates(pem).unwrap_or_default();
    let (before, after) = (set(before), set(after));
    let within = |some: &[_], all: &[_]| some.iter().all(|one| all.contains(one));
    within(&before, &after) || within(&after, &before)
}

/// Returns the replica that writes ConfigMaps and repairs webhooks: the oldest one holds the lease until it is gone.
pub(super) fn leader(cluster: &Cluster) -> Result<Option<Istiod>, StateError> {
    let all = Istiod::all(cluster)?;
    Ok(all
        .into_iter()
        .min_by_key(|istiod| (istiod.born, istiod.place.pod.clone())))
}

/// Distributes a replica's new roots and signer.
fn spread(cluster: &Cluster, istiod: &Istiod) -> Result<(), StateError> {
    if leader(cluster)?.is_some_and(|leader| leader.place == istiod.place) {
        write_roots(cluster, istiod)?;
    }
    // Every replica patches the webhooks when its own root changes; the last patch wins (istio:
    // `pkg/webhooks/webhookpatch.go`).
    write_bundles(cluster, istiod)?;
    proxy::istiod_changed(cluster, istiod)?;
    ztunnel::istiod_changed(cluster)
}

/// Writes the roots to every namespace.
fn write_roots(cluster: &Cluster, istiod: &Istiod) -> Result<(), StateError> {
    for namespace in cluster.list("namespaces", None)? {
        write_root(cluster, istiod, name(&namespace))?;
    }
    Ok(())
}

pub(super) fn write_root(
    cluster: &Cluster,
    istiod: &Istiod,
    namespace: &str,
) -> Result<(), StateError> {
    if IGNORED.contains(&namespace) {
        return Ok(());
    }
    let found = cluster.find("configmaps", namespace, ROOT_MAP)?;
    let is_there = found.is_some();
    let mut map = found
        .unwrap_or_else(|| json!({ "metadata": { "name": ROOT_MAP, "namespace": namespace } }));
    if is_there && pods::text(&map, "/data/root-cert.pem") == istiod.ca.root {
        return Ok(());
    }
    map["metadata"]["labels"]["istio.io/config"] = "true".into();
    map["data"] = json!({ "root-cert.pem": istiod.ca.root });
    cluster.put("configmaps", map, MANAGER)
}

/// The webhook configurations of istiods.
pub(super) const WEBHOOKS: [&str; 2] = [
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
];

const REVISION: &str = "istio.io/rev";

/// Returns the revision of a replica, as its pod says it.
fn revision(cluster: &Cluster, istiod: &Istiod) -> Result<String, StateError> {
    let place = &istiod.place;
    let pod = cluster.find("pods", &place.namespace, &place.pod)?;
    let revision = pod.map(|pod| pods::label(&pod, REVISION).to_owned());
    Ok(revision
        .filter(|revision| !revision.is_empty())
        .unwrap_or_else(|| "default".into()))
}

fn write_bundles(cluster: &Cluster, istiod: &Istiod) -> Result<(), StateError> {
    for resource in WEBHOOKS {
        for configuration in cluster.list(resource, None)? {
            write_bundle(cluster, istiod, resource, configuration)?;
        }
    }
    Ok(())
}

pub(super) fn write_bundle(
    cluster: &Cluster,
    istiod: &Istiod,
    resource: &str,
    mut configuration: Json,
) -> Result<(), StateError> {
    // Each istiod writes into the configurations of its own revision (`webhookpatch.go`).
    if pods::label(&configuration, REVISION) != revision(cluster, istiod)? {
        return Ok(());
    }
    let bundle = data_encoding::BASE64.encode(istiod.ca.root.as_bytes());
    let before = configuration.clone();
    for hook in configuration["webhooks"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        if hook["clientConfig"]["service"]["namespace"] == istiod.place.namespace.as_str() {
            hook["clientConfig"]["caBundle"] = bundle.as_str().into();
        }
    }
    if configuration == before {
        Ok(())
    } else {
        cluster.put(resource, configuration, MANAGER)
    }
}

/// Restores the bundle of a webhook after another client has changed it.
pub(super) fn repair_webhook(
    cluster: &Cluster,
    resource: &str,
    configuration: &Json,
) -> Result<(), StateError> {
    let mut all = Istiod::all(cluster)?;
    let known: Vec<_> = all
        .iter()
        .map(|istiod| data_encoding::BASE64.encode(istiod.ca.root.as_bytes()))
        .collect();
    let hooks = configuration["webhooks"].as_array().into_iter().flatten();
    let is_foreign = hooks
        .map(|hook| pods::text(hook, "/clientConfig/caBundle"))
        .any(|bundle| !known.iter().any(|known| known == bundle));
    if !is_foreign {
        return Ok(());
    }
    all.sort_by_key(|istiod| (istiod.born, istiod.place.pod.clone()));
    for istiod in all {
        if revision(cluster, &istiod)? == pods::label(configuration, REVISION) {
            return write_bundle(cluster, &istiod, resource, configuration.clone());
        }
    }
    Ok(())
}

/// Handles the end of a replica: the next one takes the lease and writes its roots, and the proxies connect to others.
pub(super) fn gone(cluster: &Cluster, pod: &str) -> Result<(), StateError> {
    proxy::istiod_gone(cluster, pod)?;
    match leader(cluster)? {
        Some(leader) => write_roots(cluster, &leader),
        None => Ok(()),
    }
}

/// Returns a replica as the server on 15012 and 15017.
pub(super) fn server(istiod: &Istiod) -> Party {
    Party {
        shows: Some((istiod.serving.chain.clone(), istiod.serving.key.clone())),
        trusts: None,
        library: Library::Go,
        expects: Expected::TrustDomain(super::player::TRUST_DOMAIN.into()),
    }
}

/// Returns a client that verifies istiod with a bundle.
pub(super) fn client(bundle: &str, library: Library, namespace: &str) -> Party {
    Party {
        shows: None,
        trusts: Some(bundle.to_owned()),
        library,
        expects: Expected::Host(format!("istiod.{namespace}.svc")),
    }
}

/// Wakes what depends on a changed Secret.
pub(super) fn secret_changed(
    cluster: &Cluster,
    secret: &Json,
    mount: Moment,
) -> Result<(), StateError> {
    if name(secret) != "cacerts" {
        return Ok(());
    }
    for istiod in Istiod::all(cluster)? {
        if istiod.place.namespace == namespace(secret) {
            istiod.wake(cluster, "mount", cluster.now() + mount)?;
        }
    }
    Ok(())
}
