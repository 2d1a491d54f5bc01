//! The ends of handshakes: who calls whom.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value as Json;

use super::{
    Handshake,
    class::{Class, Classes, digest},
};
use crate::{
    istiod,
    member::MANAGEMENT,
    player::{Identity, Istiod, Place, Player, Proxy, Ztunnel},
    pods::{self, namespace},
    proxy,
    relay::{self, Agent, Server},
    verify::Library,
    webhook, ztunnel,
};
use windlass_cluster::{Cluster, Moment, StateError, is_pod_ready};

/// The error of a call to a server without a ready pod.
pub(super) const NO_POD: &str = "no ready pod";
/// The namespace of istiod, unless its clients configure another one.
const ISTIO_NAMESPACE: &str = "istio-system";

/// One handshake to try.
pub(super) struct Pair<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub port: u16,
    pub client: Class,
    pub server: Class,
}

/// One end of a handshake: its label and class.
type End = (String, Class);

/// The ends of a workload: as a server, and as a client of each other workload.
struct Workload {
    label: String,
    identity: String,
    port: Option<u16>,
    server: Class,
    /// Clients through ztunnel expect the server's exact identity.
    is_ambient: bool,
}

/// The ends of all handshakes.
#[derive(Default)]
pub(super) struct Ends {
    /// By cluster: the replicas of istiod, and their clients on 15012 and on 15017.
    istiods: BTreeMap<String, Vec<End>>,
    proxies: BTreeMap<String, Vec<End>>,
    webhooks: BTreeMap<String, Vec<End>>,
    /// By cluster: the namespace in which its proxies and webhooks connect to istiod.
    homes: BTreeMap<String, String>,
    workloads: Vec<Workload>,
    servers: Vec<(String, Server)>,
    agents: Vec<(String, Agent)>,
}

impl Ends {
    /// Adds the ends of a cluster.
    pub fn collect(
        &mut self,
        name: &str,
        cluster: &Cluster,
        classes: &mut Classes,
    ) -> Result<(), StateError> {
        let now = cluster.now();
        let mut class = |party| classes.of(party, now);
        let label = |namespace: &str, workload: &str| format!("{name}/{namespace}/{workload}");
        let istiods = self.istiods.entry(name.to_owned()).or_default();
        for istiod in Istiod::all(cluster)? {
            let own = label(&istiod.place.namespace, &istiod.place.workload);
            add(istiods, own, class(istiod::server(&istiod)));
        }
        for proxy in Proxy::all(cluster)? {
            let proxies = self.proxies.entry(name.to_owned()).or_default();
            self.homes
                .entry(name.to_owned())
                .or_insert_with(|| proxy.istiod_namespace.clone());
            let own = label(&proxy.place.namespace, &proxy.place.workload);
            let client = class(proxy::client_of_istiod(&proxy));
            add(proxies, own.clone(), client);
            self.add_workload(Workload {
                label: own,
                identity: proxy.identity.clone(),
                port: (!proxy.is_gateway).then_some(15006),
                server: class(proxy::party(&proxy)),
                is_ambient: false,
            });
        }
        let pods = cluster.list("pods", None)?;
        for tunnel in Ztunnel::all(cluster)? {
            let own = label(&tunnel.place.namespace, &tunnel.place.workload);
            let proxies = self.proxies.entry(name.to_owned()).or_default();
            add(
                proxies,
                format!("{own}/ca"),
                class(ztunnel::ca_client(&tunnel)),
            );
            add(
                proxies,
                format!("{own}/xds"),
                class(ztunnel::xds_client(&tunnel)),
            );
            for one in &tunnel.identities {
                for own in workloads_of(cluster, &pods, &tunnel, one)? {
                    self.add_workload(Workload {
                        label: format!("{name}/{own}"),
                        identity: one.name.clone(),
                        port: Some(15008),
                        server: class(ztunnel::party(one)),
                        is_ambient: true,
                    });
                }
            }
        }
        for server in Server::all(cluster)? {
            let own = label(&server.place.namespace, &server.place.workload);
            self.servers.push((own, server));
        }
        for agent in Agent::all(cluster)? {
            let own = label(&agent.place.namespace, &agent.place.workload);
            self.agents.push((own, agent));
        }
        let webhooks = self.webhooks.entry(name.to_owned()).or_default();
        for resource in istiod::WEBHOOKS {
            for configuration in cluster.list(resource, None)? {
                let hooks = configuration["webhooks"].as_array().into_iter().flatten();
                for hook in hooks {
                    let service = pods::text(hook, "/clientConfig/service/namespace");
                    if !service.is_empty() {
                        self.homes
                            .entry(name.to_owned())
                            .or_insert_with(|| service.to_owned());
                    }
                    let party = istiod::client(&webhook::bundle(hook), Library::Go, service);
                    let own = format!("{name}/kube-apiserver/{}", pods::name(&configuration));
                    add(webhooks, own, class(party));
                }
            }
        }
        Ok(())
    }

    fn add_workload(&mut self, workload: Workload) {
        let is_known = self
            .workloads
            .iter()
            .any(|one| one.label == workload.label && one.server.digest == workload.server.digest);
        if !is_known {
            self.workloads.push(workload);
        }
    }

    /// Returns the calls that fail because no pod of istiod or of the management server is ready. Without them, a mesh
    /// without a server would seem to have no failed handshakes.
    pub fn unanswered(&self) -> Vec<Handshake> {
        let mut all = Vec::new();
        let mut calls = |from: &str, to: &str, port| {
            all.push(Handshake {
                from: from.to_owned(),
                to: to.to_owned(),
                port,
                error: Some(NO_POD.into()),
            });
        };
        let is_served =
            |cluster: &str| self.istiods.get(cluster).is_some_and(|own| !own.is_empty());
        for (clients, port) in [(&self.proxies, 15012), (&self.webhooks, 15017)] {
            for (cluster, clients) in clients.iter().filter(|(cluster, _)| !is_served(cluster)) {
                let home = self
                    .homes
                    .get(cluster)
                    .map_or(ISTIO_NAMESPACE, String::as_str);
                for (from, _) in clients {
                    calls(from, &format!("{cluster}/{home}/istiod"), port);
                }
            }
        }
        // Agents without a management cluster do not belong to a mesh yet.
        if self.servers.is_empty() && self.istiods.contains_key(MANAGEMENT) {
            let (service, space) = relay::AUTHORITY
                .split_once('.')
                .expect("a service and its namespace");
            for (from, _) in &self.agents {
                calls(from, &format!("{MANAGEMENT}/{space}/{service}"), 9900);
            }
        }
        all
    }

    /// Passes every pair of a client and a server to `with`, one after the other, since there are too many to keep all at
    /// once.
    pub fn each_pair<'a>(
        &'a self,
        now: Moment,
        classes: &mut Classes,
        mut with: impl FnMut(Pair<'a>),
    ) {
        for (clients, port) in [(&self.proxies, 15012), (&self.webhooks, 15017)] {
            for (cluster, clients) in clients {
                for (from, client) in clients {
                    for (to, server) in self.istiods.get(cluster).into_iter().flatten() {
                        with(Pair {
                            from,
                            to,
                            port,
                            client: client.clone(),
                            server: server.clone(),
                        });
                    }
                }
            }
        }
        for (from, agent) in &self.agents {
            for (to, server) in &self.servers {
                with(Pair {
                    from,
                    to,
                    port: 9900,
                    client: classes.of(relay::client(agent), now),
                    server: classes.of(relay::party(server, &agent.cluster), now),
                });
            }
        }
        for client in &self.workloads {
            for server in &self.workloads {
                let Some(port) = server.port else { continue };
                with(Pair {
                    from: &client.label,
                    to: &server.label,
                    port,
                    client: client.calling(server),
                    server: server.server.clone(),
                });
            }
        }
    }
}

impl Workload {
    /// Returns this workload as the client of another one.
    fn calling(&self, server: &Self) -> Class {
        let mut class = self.server.clone();
        if self.is_ambient {
            let party = ztunnel::as_client(class.party.as_ref().clone(), &server.identity);
            class.party = Arc::new(party);
            class.judges = digest(&(class.judges, &server.identity));
            class.digest = digest(&(class.judges, class.shows));
        }
        class
    }
}

fn add(ends: &mut Vec<End>, label: String, class: Class) {
    let is_known = ends
        .iter()
        .any(|(own, known)| *own == label && known.digest == class.digest);
    if !is_known {
        ends.push((label, class));
    }
}

/// Returns the workloads whose pods have an identity on a ztunnel's node: `bookinfo/ratings`.
fn workloads_of(
    cluster: &Cluster,
    pods: &[Json],
    tunnel: &Ztunnel,
    one: &Identity,
) -> Result<Vec<String>, StateError> {
    let mut found = Vec::new();
    for pod in pods {
        if is_pod_ready(pod)
            && pods::identity(pod) == one.name
            && ztunnel::is_on(cluster, tunnel, pod)?
        {
            let own = format!("{}/{}", namespace(pod), Place::of(pod).workload);
            if !found.contains(&own) {
                found.push(own);
            }
        }
    }
    Ok(found)
}
