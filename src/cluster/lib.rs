//! The rehearsal cluster: a Kubernetes API server that keeps its state in a folder.
//!
//! It serves the kinds and verbs that rotations need; for these, kubectl and other clients see no difference from a real
//! control plane. Anything else gets 404, 405 or 415, never a guessed response. The crate does not depend on workflows.
//!
//! # The path of a request
//!
//! 1. `server` listens with TLS, with a certificate from a CA that only this cluster uses. `handler` reads the request,
//!    `access` authenticates the user and checks RBAC, and `fault` may make the request fail on purpose.
//! 2. `wire` reads paths, queries and kubectl's protobuf, and writes discovery, tables and `Status` bodies. `resource`
//!    lists the resources that are served, and `schema` has their schemas.
//! 3. `api` carries out reads, writes and watches; it validates objects and sets defaults as the real API server does.
//! 4. `merge` has the four kinds of patches, and the ownership of fields.
//! 5. `rollout` simulates the controllers: Deployments, StatefulSets and DaemonSets replace their pods over a short time.
//!    The controllers run with each request, up to the time of the request, so nothing happens while the server is stopped.
//! 6. `forward` carries connections to the ports of pods; `ports` defines what listens there.
//! 7. `store` keeps objects and their changes in one SQLite database, `cluster.db` (mode 0600).
//! 8. `controllers` is the interface for other crates: what runs in a cluster, such as a service mesh, is passed in the
//!    options, like what listens on the ports of pods (`ports`).
//!
//! # Workloads that get stuck on purpose
//!
//! A pod whose `nodeSelector` matches no node stays Pending, as in a real cluster. A workload with the annotation [`STUCK`]
//! gets pods that never become ready, with the annotation's value as the reason, until the annotation is removed.

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
pub use object::Moment;
pub use offline::Offline;
pub use options::{Options, is_cluster_name};
pub use ports::{Ports, nothing_listens};
pub use rollout::STUCK;
pub use server::{Server, StartError};
