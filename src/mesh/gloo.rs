//! Gloo Mesh issues the CAs of istiods with RootTrustPolicy, IssuedCertificate and `cacerts` (solo-apis: `admin/v2`,
//! `internal/v2`; gloo-mesh 1.x: `pkg/certificates`).
//!
//! The agent plays both sides of an issue, with the state from when the policy reached it: it reads the policy and the signing
//! CA in the management cluster, and writes to its own cluster.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{
    ca::Files,
    options::{MeshOptions, millis},
    player::TRUST_DOMAIN,
    pods::{self, ROOT_MAP, name, namespace, secret_data},
    proxy, relay,
    version::{Since, Version},
    x509::{self, Request},
};
use windlass_cluster::{Cluster, Moment, Offline, StateError};

const POLICIES: &str = "roottrustpolicies.admin.gloo.solo.io";
const REGISTRATIONS: &str = "kubernetesclusters.admin.gloo.solo.io";
pub(super) const ISSUED: &str = "issuedcertificates.internal.gloo.solo.io";
const BOUNCES: &str = "podbouncedirectives.internal.gloo.solo.io";
const AGENT: &str = "gloo-mesh-agent";
const SERVER: &str = "gloo-mesh-mgmt-server";
const NAMESPACE: &str = "gloo-mesh";
/// The label of the secrets that the agent writes; it does not touch other secrets.
const OWN: &str = "internal.gloo.solo.io/issued-certificate";
const TYPE: &str = "certificates.mesh.gloo.solo.io/issued_certificate";
const DAY: Moment = 86_400_000;
/// Since this version, a policy may have passive CAs (solo-apis: `admin/v2/root_trust_policy.proto`).
const PASSIVE: Since = &[(2, 3, 0)];
/// How often a bounce checks ConfigMaps for the root before it fails.
const LOOKS: u32 = 600;

/// The progress of the agent with the certificate of its cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    /// The generation of the IssuedCertificate that was issued last.
    generation: i64,
    /// When its certificate is renewed.
    due: Option<Moment>,
}

const PROGRESS: &str = "gloo-progress";

/// Handles a changed policy in the management cluster: creates the root if the policy leaves that to Gloo Mesh.
pub(super) fn policy_changed(cluster: &Cluster, policy: &Json) -> Result<(), StateError> {
    let ca = &policy["spec"]["config"]["mgmtServerCa"];
    let is_generated = ca["secretRef"].is_null() && policy["spec"]["config"]["agentCa"].is_null();
    let (space, secret) = (namespace(policy), generated_name(policy));
    if is_generated && cluster.find("secrets", space, &secret)?.is_none() {
        let options = &ca["generated"];
        let days = options["ttlDays"].as_i64().unwrap_or(365);
        let key = x509::new_key().map_err(StateError::new)?;
        let request = Request {
            key: &key,
            common_name: None,
            organization: Some(options["orgName"].as_str().unwrap_or("gloo-mesh")),
            dns_names: &[],
            uris: &[],
            is_ca: true,
            path_len: None,
            not_after: cluster.now() + days * DAY,
        };
        let root = x509::issue(&request, None, cluster.now()).map_err(StateError::new)?;
        let secret = json!({
            "metadata": { "name": secret, "namespace": space },
            "type": "Opaque",
            "data": secret_data(&[
                ("root-cert.pem", &root),
                ("ca-cert.pem", &root),
                ("ca-key.pem", &key),
                ("cert-chain.pem", ""),
            ]),
        });
        cluster.put("secrets", secret, SERVER)?;
    }
    relay::count_up(cluster)
}

fn generated_name(policy: &Json) -> String {
    format!("{}.{}", name(policy), namespace(policy))
}

/// Returns the name of the certificate of a cluster's istiod.
fn issued_name(cluster: &Cluster) -> String {
    format!("istiod-istio-system-{}", cluster.name())
}

/// Applies what the management server has pushed: the IssuedCertificate that the policy asks for.
pub(super) fn receive(cluster: &Cluster, management: &Offline) -> Result<(), StateError> {
    if !relay::is_connected(cluster)? || !management.read(|it| is_registered(it, cluster.name()))? {
        return Ok(());
    }
    let policies = management.read(|it| it.list(POLICIES, None))?;
    let Some(policy) = policies
        .iter()
        .find(|policy| selects(policy, cluster.name()))
    else {
        return Ok(());
    };
    let config = &policy["spec"]["config"];
    let reference = |ca: &Json| {
        if ca["secretRef"].is_object() {
            ca["secretRef"].clone()
        } else {
            json!({ "name": generated_name(policy), "namespace": namespace(policy) })
        }
    };
    let passive: Vec<_> = config["passiveCertificateAuthorities"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|ca| json!({ "signingCertificateSecret": reference(ca) }))
        .collect();
    let mut spec = json!({
        "hosts": [format!("spiffe://{TRUST_DOMAIN}/ns/istio-system/sa/istiod")],
        "issuedCertificateSecret": { "name": "cacerts", "namespace": "istio-system" },
        "certOptions": config["intermediateCertOptions"],
        "autoRestartPods": config["autoRestartPods"] == true,
        "passiveCertificateAuthorities": passive,
    });
    if config["agentCa"].is_object() {
        spec["agentCa"] = config["agentCa"].clone()
    } else {
        let secret = reference(&config["mgmtServerCa"]);
        spec["mgmtServerCa"] = json!({ "signingCertificateSecret": secret });
    }
    if let Some(spec) = spec.as_object_mut() {
        spec.retain(|_, value| !value.is_null());
    }
    let own = issued_name(cluster);
    let found = cluster.find(ISSUED, NAMESPACE, &own)?;
    let has_failed = found
        .as_ref()
        .is_none_or(|found| found["status"]["state"] == "FAILED");
    // A finished issue starts again if its secret was deleted, as in Gloo Mesh 1.x (reconcileIssuedCertificate in
    // pkg/certificates/agent/reconciliation), which checks this whenever a secret of the cluster changes.
    let is_finished = found
        .as_ref()
        .is_some_and(|found| found["status"]["state"] == "FINISHED");
    let is_lost = is_finished
        && cluster
            .find("secrets", "istio-system", "cacerts")?
            .is_none();
    let is_same = found.as_ref().is_some_and(|found| found["spec"] == spec);
    if is_same && !has_failed && !is_lost {
        return Ok(());
    }
    let mut object =
        found.unwrap_or_else(|| json!({ "metadata": { "name": own, "namespace": NAMESPACE } }));
    object["spec"] = spec;
    object["status"] = json!({ "state": "PENDING" });
    cluster.put(ISSUED, object, SERVER)?;
    let delay = millis(MeshOptions::of(cluster)?.issue);
    cluster.wake("issue", cluster.now() + delay)
}

/// Returns whether the management server knows a cluster: it pushes nothing to one that was deregistered.
fn is_registered(management: &Cluster, name: &str) -> Result<bool, StateError> {
    Ok(management.find(REGISTRATIONS, NAMESPACE, name)?.is_some())
}

/// Handles a deleted secret of the workload cluster: an agent that is connected issues a lost `cacerts` again, within
/// seconds (gloo-mesh 1.x: `reconcileIssuedCertificate`).
pub(super) fn secret_gone(
    cluster: &Cluster,
    management: &Offline,
    secret: &Json,
) -> Result<(), StateError> {
    let is_own = !pods::label(secret, OWN).is_empty();
    if is_own && (namespace(secret), name(secret)) == ("istio-system", "cacerts") {
        receive(cluster, management)
    } else {
        Ok(())
    }
}

/// Returns whether a policy selects a cluster's mesh; a policy without a selector selects all.
fn selects(policy: &Json, cluster: &str) -> bool {
    let all = policy["spec"]["applyToMeshes"].as_array();
    let Some(all) = all.filter(|all| !all.is_empty()) else {
        return true;
    };
    all.iter().any(|one| {
        let selector = if one["selector"].is_object() {
            &one["selector"]
        } else {
            one
        };
        selector["cluster"]
            .as_str()
            .is_none_or(|name| name == cluster)
    })
}

/// Issues certificates that are pending or due.
pub(super) fn issue(cluster: &Cluster, management: &Offline) -> Result<(), StateError> {
    let Some(mut object) = cluster.find(ISSUED, NAMESPACE, &issued_name(cluster))? else {
        return Ok(());
    };
    let generation = object["metadata"]["generation"]
        .as_i64()
        .unwrap_or_default();
    let progress = progress(cluster)?;
    let is_pending = object["status"]["state"] == "PENDING";
    let is_due = progress.due.is_some_and(|due| due <= cluster.now());
    if !is_pending && !is_due || !relay::is_connected(cluster)? {
        return Ok(());
    }
    let outcome = write(cluster, management, &object["spec"])?;
    let state = match &outcome {
        Ok(_) if object["spec"]["autoRestartPods"] == true => json!({ "state": "ISSUED" }),
        Ok(_) => json!({ "state": "FINISHED" }),
        Err(why) => json!({ "state": "FAILED", "error": why }),
    };
    object["status"] = state;
    object["status"]["observedGeneration"] = generation.into();
    cluster.put(ISSUED, object.clone(), AGENT)?;
    let Ok(due) = outcome else {
        return Ok(());
    };
    let progress = Progress {
        generation,
        due: Some(due),
    };
    let text = serde_json::to_string(&progress).map_err(|e| StateError::new(e.to_string()))?;
    cluster.keep(PROGRESS, &text)?;
    cluster.wake("issue", due)?;
    if object["spec"]["autoRestartPods"] == true {
        cluster.wake(
            "bounce/0/0",
            cluster.now() + millis(MeshOptions::of(cluster)?.issue),
        )
    } else {
        Ok(())
    }
}

fn progress(cluster: &Cluster) -> Result<Progress, StateError> {
    let text = cluster.kept(PROGRESS)?;
    let read = text.map(|text| serde_json::from_str(&text)).transpose();
    Ok(read.ok().flatten().unwrap_or_default())
}

/// Writes `cacerts`; returns when it must be renewed.
fn write(
    cluster: &Cluster,
    management: &Offline,
    spec: &Json,
) -> Result<Result<Moment, String>, StateError> {
    if spec["agentCa"].is_object() {
        return Ok(Err("the rehearsal has no Vault for agentCa".into()));
    }
    let (space, own) = ("istio-system", "cacerts");
    let former = cluster.find("secrets", space, own)?;
    if let Some(former) = &former
        && pods::label(former, OWN).is_empty()
    {
        return Ok(Err(format!(
            "secret {space}/{own} is not managed by Gloo Mesh: it has no label {OWN}"
        )));
    }
    let read = |ca: &Json| -> Result<(String, Files), StateError> {
        let reference = &ca["signingCertificateSecret"];
        let secret = pods::text(reference, "/name");
        let space = match pods::text(reference, "/namespace") {
            "" => NAMESPACE,
            space => space,
        };
        let files = management.read(|it| pods::secret(it, space, secret))?;
        Ok((format!("{space}/{secret}"), files))
    };
    let (place, signer) = read(&spec["mgmtServerCa"])?;
    let file = |name: &str| {
        signer
            .get(name)
            .map(String::as_str)
            .filter(|it| !it.is_empty())
    };
    let (Some(certificate), Some(key), Some(root)) = (
        file("ca-cert.pem"),
        file("ca-key.pem"),
        file("root-cert.pem"),
    ) else {
        return Ok(Err(format!(
            "secret {place} of the management cluster must have ca-cert.pem, ca-key.pem and root-cert.pem"
        )));
    };
    let mut roots = x509::blocks(root);
    if management.read(version)?.has(PASSIVE) {
        let passive = spec["passiveCertificateAuthorities"].as_array();
        for ca in passive.into_iter().flatten() {
            let (_, files) = read(ca)?;
            let bundle = files.get("root-cert.pem").map_or("", String::as_str);
            roots.extend(x509::blocks(bundle));
        }
    }
    let mut seen = Vec::new();
    roots.retain(|one| {
        if seen.contains(one) {
            false
        } else {
            seen.push(one.clone());
            true
        }
    });
    // Without passive roots, the signing root is written alone and unchanged.
    let roots = if roots.len() == x509::blocks(root).len() {
        root.to_owned()
    } else {
        roots.concat()
    };
    let issued = match certify(cluster, spec, certificate, key) {
        Ok(issued) => issued,
        Err(why) => return Ok(Err(why)),
    };
    let above = match file("cert-chain.pem") {
        Some(chain) => chain.to_owned(),
        None if certificate == root => root.to_owned(),
        None => [certificate, root].concat(),
    };
    let secret = json!({
        "metadata": {
            "name": own,
            "namespace": space,
            "labels": { OWN: issued_name(cluster) },
        },
        "type": TYPE,
        "data": secret_data(&[
            ("ca-cert.pem", &issued.certificate),
            ("ca-key.pem", &issued.key),
            ("cert-chain.pem", &[issued.certificate.as_str(), &above].concat()),
            ("root-cert.pem", &roots),
            ("key.pem", ""),
        ]),
    });
    cluster.put("secrets", secret, AGENT)?;
    Ok(Ok(issued.due))
}

/// Returns the version of the management server's pods.
fn version(management: &Cluster) -> Result<Version, StateError> {
    let pods = management.list("pods", Some(NAMESPACE))?;
    let server = pods.iter().find(|pod| pods::label(pod, "app") == SERVER);
    let newest = Version::newest(2, 6);
    Ok(server.map_or(newest, |pod| pods::version(pod, SERVER, newest)))
}

struct Issued {
    certificate: String,
    key: String,
    due: Moment,
}

/// Signs an intermediate for a key that was created here and is not sent anywhere.
fn certify(
    cluster: &Cluster,
    spec: &Json,
    signer: &str,
    signer_key: &str,
) -> Result<Issued, String> {
    let now = cluster.now();
    let options = &spec["certOptions"];
    let days = options["ttlDays"].as_i64().unwrap_or(365).max(1);
    let ratio = options["secretRotationGracePeriodRatio"]
        .as_f64()
        .unwrap_or(0.1);
    let parsed = x509::parsed(signer).into_iter().next();
    let parsed = parsed.ok_or("the signing CA's ca-cert.pem can't be read")?;
    if !x509::fits(&parsed, signer_key) {
        return Err("the signing CA's ca-key.pem is not the key of its ca-cert.pem".into());
    }
    let not_after = (now + days * DAY).min(x509::not_after(&parsed));
    if not_after <= now {
        return Err("the signing CA has expired".into());
    }
    let key = x509::new_key()?;
    let hosts: Vec<_> = spec["hosts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|host| host.as_str().map(str::to_owned))
        .collect();
    let request = Request {
        key: &key,
        common_name: Some(&issued_name(cluster)),
        organization: Some("gloo-mesh"),
        dns_names: &[],
        uris: &hosts,
        is_ca: true,
        path_len: None,
        not_after,
    };
    let certificate = x509::issue(&request, Some((signer, signer_key)), now)?;
    let grace = ((not_after - now) as f64 * ratio.clamp(0.0, 0.9)) as Moment;
    Ok(Issued {
        certificate,
        key,
        due: not_after - grace,
    })
}

/// Deletes pods so that they load the new CA: istiod, then gateways, then workloads, each after istiod's new root has
/// arrived (gloo-mesh 1.x: `pkg/certificates/agent/reconciliation/pod-bouncer`). Does not wait until the new pods are ready.
pub(super) fn bounce(cluster: &Cluster, stage: u32, looks: u32) -> Result<(), StateError> {
    let root = pods::secret(cluster, "istio-system", "cacerts")?;
    let has_arrived =
        pods::root_cert(cluster, "istio-system")?.as_ref() == root.get("root-cert.pem");
    let delay = millis(MeshOptions::of(cluster)?.issue);
    let next = |stage: u32, looks: u32| {
        cluster.wake(&format!("bounce/{stage}/{looks}"), cluster.now() + delay)
    };
    if stage > 0 && !has_arrived {
        return if looks < LOOKS {
            next(stage, looks + 1)
        } else {
            report(cluster, "FAILED", stage)
        };
    }
    for pod in cluster.list("pods", None)? {
        let is_proxy =
            pods::has_container(&pod, "istio-proxy") && pods::label(&pod, "app") != "ztunnel";
        let is_meant = match stage {
            0 => pods::label(&pod, "app") == "istiod",
            1 => is_proxy && proxy::is_gateway(&pod),
            2 => is_proxy && !proxy::is_gateway(&pod),
            _ => false,
        };
        if is_meant {
            cluster.delete("pods", &pod)?;
        }
    }
    match stage {
        0..=2 => {
            report(cluster, "BOUNCING_PODS", stage)?;
            next(stage + 1, 0)
        }
        _ => {
            report(cluster, "FINISHED", stage)?;
            let Some(mut object) = cluster.find(ISSUED, NAMESPACE, &issued_name(cluster))? else {
                return Ok(());
            };
            object["status"]["state"] = "FINISHED".into();
            cluster.put(ISSUED, object, AGENT)
        }
    }
}

fn report(cluster: &Cluster, state: &str, stage: u32) -> Result<(), StateError> {
    let sync = json!({
        "secretRef": { "name": "cacerts", "namespace": "istio-system" },
        "key": "root-cert.pem",
        "configMapRef": { "name": ROOT_MAP, "namespace": "istio-system" },
        "configMapKey": "root-cert.pem",
    });
    let step = |labels: Json, replicas: u32| json!({ "labels": labels, "waitForReplicas": replicas, "rootCertSync": sync });
    let object = json!({
        "metadata": { "name": issued_name(cluster), "namespace": NAMESPACE },
        "spec": { "podsToBounce": [
            step(json!({ "app": "istiod" }), 1),
            step(json!({ "istio": "ingressgateway" }), 0),
            step(json!({ "security.istio.io/tlsMode": "istio" }), 0),
        ] },
        "status": { "state": state, "podsBounced": stage },
    });
    cluster.put(BOUNCES, object, AGENT)
}
