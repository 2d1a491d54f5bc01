//! A mesh for tests: clusters in a folder, certificates created by the test, and repeated checks of all handshakes.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};

use super::{
    Handshakes, Matrix, MeshOptions, member,
    pods::secret_data,
    x509::{self, Request},
};
use windlass_cluster::{Cluster, Moment, Offline, is_pod_ready};

/// The longest time that a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);
const DAY: Moment = 86_400_000;

pub(super) struct Lab {
    folder: tempfile::TempDir,
    pub clusters: BTreeMap<String, Offline>,
    matrix: Matrix,
}

/// A CA: its certificate and key in PEM.
#[derive(Clone)]
pub(super) struct Authority {
    pub certificate: String,
    pub key: String,
}

pub(super) fn now() -> Moment {
    Moment::try_from(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis(),
    )
    .unwrap()
}

impl Authority {
    pub fn root(name: &str) -> Self {
        Self::make(name, None, None, now() + 3650 * DAY)
    }

    /// Returns a CA under this one.
    pub fn below(&self, name: &str) -> Self {
        Self::make(name, Some(self), None, now() + 365 * DAY)
    }

    pub fn below_until(&self, name: &str, not_after: Moment) -> Self {
        Self::make(name, Some(self), None, not_after)
    }

    pub fn below_with(&self, name: &str, path_len: u8) -> Self {
        Self::make(name, Some(self), Some(path_len), now() + 365 * DAY)
    }

    fn make(name: &str, issuer: Option<&Self>, path_len: Option<u8>, not_after: Moment) -> Self {
        let key = x509::new_key().unwrap();
        let request = Request {
            key: &key,
            common_name: Some(name),
            organization: None,
            dns_names: &[],
            uris: &[],
            is_ca: true,
            path_len,
            not_after,
        };
        let issuer = issuer.map(|it| (it.certificate.as_str(), it.key.as_str()));
        Self {
            certificate: x509::issue(&request, issuer, now()).unwrap(),
            key,
        }
    }

    /// Returns a leaf for a peer of the relay, with its key.
    pub fn leaf(&self, names: &[&str]) -> (String, String) {
        let key = x509::new_key().unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let request = Request {
            key: &key,
            common_name: Some(&names[0]),
            organization: None,
            dns_names: &names,
            uris: &[],
            is_ca: false,
            path_len: None,
            not_after: now() + 365 * DAY,
        };
        let issuer = Some((self.certificate.as_str(), self.key.as_str()));
        (x509::issue(&request, issuer, now()).unwrap(), key)
    }

    /// Returns the files of a plugged CA.
    pub fn cacerts(&self, chain: &[&Self], roots: &[&Self]) -> Vec<(&'static str, String)> {
        let pem =
            |all: &[&Self]| -> String { all.iter().map(|one| one.certificate.as_str()).collect() };
        vec![
            ("ca-cert.pem", self.certificate.clone()),
            ("ca-key.pem", self.key.clone()),
            ("cert-chain.pem", pem(&[&[self], chain].concat())),
            ("root-cert.pem", pem(roots)),
        ]
    }
}

impl Lab {
    /// Opens clusters with short delays.
    pub fn new(names: &[&str], options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().to_owned();
        let delays = "mount=5ms,renew=40ms,stream=40ms,issue=5ms";
        let all: Vec<_> = [delays, options]
            .into_iter()
            .filter(|it| !it.is_empty())
            .collect();
        let given: BTreeMap<_, _> = all
            .iter()
            .flat_map(|text| text.split(','))
            .map(|part| part.split_once('=').unwrap())
            .collect();
        let text: Vec<_> = given.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let options: MeshOptions = text.join(",").parse().unwrap();
        let clusters = names.iter().map(|name| {
            let own = windlass_cluster::Options {
                pod_delay: Duration::from_millis(5),
                ..member(&path, name, Some(&options))
            };
            ((*name).to_owned(), Offline::open(own).unwrap())
        });
        let clusters = clusters.collect();
        Self {
            folder,
            clusters,
            matrix: Matrix::open(&path).unwrap(),
        }
    }

    pub fn look(&mut self) -> Handshakes {
        for cluster in self.clusters.values() {
            cluster.catch_up().unwrap();
        }
        self.matrix.look().unwrap()
    }

    /// Checks all handshakes without the results of earlier checks.
    pub fn look_anew(&mut self) -> Handshakes {
        self.matrix = Matrix::open(self.folder.path()).unwrap();
        self.look()
    }

    pub fn secret(&self, cluster: &str, namespace: &str, name: &str, files: &[(&str, String)]) {
        let files: Vec<_> = files.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let secret = json!({
            "metadata": { "name": name, "namespace": namespace },
            "type": "Opaque",
            "data": secret_data(&files),
        });
        self.put(cluster, "secrets", secret);
    }

    pub fn cacerts(&self, cluster: &str, files: &[(&str, String)]) {
        self.secret(cluster, "istio-system", "cacerts", files);
    }

    pub fn put(&self, cluster: &str, resource: &str, object: Json) {
        self.clusters[cluster]
            .write(|it| it.put(resource, object, "kubectl"))
            .unwrap();
    }

    pub fn find(&self, cluster: &str, resource: &str, namespace: &str, name: &str) -> Option<Json> {
        self.clusters[cluster].catch_up().unwrap();
        self.clusters[cluster]
            .read(|it| it.find(resource, namespace, name))
            .unwrap()
    }

    pub fn delete(&self, cluster: &str, resource: &str, namespace: &str, name: &str) {
        let found = self.find(cluster, resource, namespace, name).unwrap();
        self.clusters[cluster]
            .write(|it| it.delete(resource, &found))
            .unwrap();
    }

    /// Restarts a workload as kubectl does, without waiting.
    pub fn restart(&self, cluster: &str, resource: &str, namespace: &str, name: &str) {
        let mut found = self.find(cluster, resource, namespace, name).unwrap();
        let at = format!("{:?}", Instant::now());
        found["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] =
            at.into();
        self.put(cluster, resource, found);
    }

    pub fn restart_istiod(&mut self, cluster: &str) {
        self.restart(cluster, "deployments.apps", "istio-system", "istiod");
        self.settle(cluster);
    }

    /// Restarts everything below istiod.
    pub fn roll(&mut self, cluster: &str) {
        self.restart(cluster, "daemonsets.apps", "istio-system", "ztunnel");
        self.settle(cluster);
        for (namespace, name) in [
            ("istio-ingress", "istio-ingressgateway"),
            ("bookinfo", "productpage"),
            ("bookinfo", "reviews"),
        ] {
            self.restart(cluster, "deployments.apps", namespace, name);
            self.settle(cluster);
        }
    }

    /// Waits until every pod of a cluster is ready and has its newest template.
    pub fn settle(&mut self, cluster: &str) {
        let what = format!("{cluster} is ready");
        self.until(&what, |lab, _| is_whole(&lab.clusters[cluster]));
    }

    /// Waits for a condition, and checks handshakes meanwhile.
    pub fn until(&mut self, what: &str, is_so: impl Fn(&Self, &Handshakes) -> bool) -> Handshakes {
        let end = Instant::now() + PATIENCE;
        loop {
            let seen = self.look();
            if is_so(self, &seen) {
                return seen;
            }
            assert!(
                Instant::now() < end,
                "{what}: not within {PATIENCE:?}\n{}",
                shown(&seen)
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Works as [`until`](Self::until), but fails if any handshake fails meanwhile.
    pub fn whole_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        self.until(what, |lab, seen| {
            assert_eq!(seen.failed().count(), 0, "{what}:\n{}", shown(seen));
            is_so(lab)
        });
    }

    /// Returns what the players of a cluster hold, as in `kubectl get meshtrust`.
    pub fn trusts(&self, cluster: &str) -> Vec<Json> {
        self.clusters[cluster].catch_up().unwrap();
        self.clusters[cluster]
            .read(|it| it.list(super::trust::RESOURCE, None))
            .unwrap()
    }

    /// Plugs a separate CA into each workload cluster, all under one root, and restarts what must be restarted.
    pub fn plug(&mut self, root: &Authority) {
        let names: Vec<_> = self.clusters.keys().cloned().collect();
        for cluster in names.iter().filter(|name| *name != "mgmt") {
            let own = root.below(&format!("istio {cluster}"));
            self.cacerts(cluster, &own.cacerts(&[], &[root]));
            self.restart_istiod(cluster);
            self.roll(cluster);
        }
        self.until("all pairs shake hands", |_, seen| {
            seen.all
                .iter()
                .all(|one| one.error.is_none() || one.port == 9900)
        });
    }
}

fn is_whole(cluster: &Offline) -> bool {
    cluster
        .read(|it: &Cluster| {
            let mut is_whole = true;
            for resource in ["deployments.apps", "daemonsets.apps"] {
                for one in it.list(resource, None)? {
                    let status = &one["status"];
                    let n = |field: &str| status[field].as_i64().unwrap_or_default();
                    let wanted = match resource {
                        "daemonsets.apps" => n("desiredNumberScheduled"),
                        _ => one["spec"]["replicas"].as_i64().unwrap_or(1),
                    };
                    let (updated, all, available) = match resource {
                        "daemonsets.apps" => (
                            n("updatedNumberScheduled"),
                            n("currentNumberScheduled"),
                            n("numberAvailable"),
                        ),
                        _ => (n("updatedReplicas"), n("replicas"), n("availableReplicas")),
                    };
                    is_whole &= status["observedGeneration"] == one["metadata"]["generation"]
                        && (updated, all, available) == (wanted, wanted, wanted);
                }
            }
            Ok(is_whole && it.list("pods", None)?.iter().all(is_pod_ready))
        })
        .unwrap()
}

pub(super) fn shown(seen: &Handshakes) -> String {
    let lines = seen.failed().map(|one| {
        format!(
            "{} -> {}:{}: {}",
            one.from,
            one.to,
            one.port,
            one.error.as_deref().unwrap_or_default()
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}
