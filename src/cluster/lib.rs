//! The rehearsal cluster: a Kubernetes API server that keeps its state in a folder.
//!
//! It serves the kinds and verbs that rotations need, so that kubectl and the ordinary clients can't tell it from a real
//! control plane there; anything else gets 404, 405 or 415, never a guess. It knows nothing of workflows.
//!
//! # Layout
//!
//! In the order of a request:
//!
//! 1. `server` listens, by its `options`, with TLS (`listener`), under a CA of this cluster alone (`identity`); `handler`
//!    reads the request, `access` says who asks and whether RBAC lets them, and `fault` may lose it on purpose.
//! 2. `wire` reads paths, queries and kubectl's protobuf, and writes discovery, tables and `Status` bodies; `resource`
//!    lists what is served, `schema` knows its shape, and `object` what all objects have.
//! 3. `api` answers: reads, writes, watches; it validates and sets defaults as the real server does.
//! 4. `merge` holds the four kinds of patches, and who owns which field.
//! 5. `rollout` plays the controllers: Deployments, StatefulSets and DaemonSets replace their pods over a little time. It
//!    runs with each request, up to the moment of the request, so nothing happens behind a stopped server.
//! 6. `forward` carries connections to the ports of pods, on which `ports` says what listens.
//! 7. `store` keeps objects and what changed in one SQLite database, `cluster.db` (mode 0600); `seed` writes the first
//!    ones. `service` is what all requests share, `offline` the same without a server.
//! 8. `controllers` lets others take part: what runs in a cluster, such as a service mesh, is handed in with the options,
//!    and so is what listens on the ports of pods (`ports`).
//!
//! # Getting stuck on purpose
//!
//! A pod whose `nodeSelector` fits no node stays Pending, as anywhere. A workload with the annotation [`STUCK`] gets pods
//! that never become ready, with the annotation's value as the reason, until it is taken away.

mod access;
mod api;
mod controllers;
mod fault;
mod forward;
mod handler;
mod identity;
mod listener;
mod merge;
mod object;
mod offline;
mod options;
mod ports;
mod resource;
mod rollout;
mod schema;
mod seed;
mod server;
mod service;
mod store;
mod wire;

pub use controllers::{Changed, Cluster, Controllers, Hold, StateError, is_pod_ready};
pub use fault::{Fault, FaultError};
pub use identity::{Access, kubeconfig};
pub use object::{Moment, timestamp};
pub use offline::Offline;
pub use options::{Options, is_cluster_name};
pub use ports::{Ports, nothing_listens};
pub use rollout::STUCK;
pub use server::{Server, StartError};
