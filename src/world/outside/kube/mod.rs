//! Kubernetes: one client for each cluster that a target names by role.
//!
//! - `target` are the clusters of a target (`clusters` is the interface to find them), `clients` opens their clients on
//!   first use;
//! - `connect` makes the connections, with or without a proxy; `login` authenticates the requests, `plugin` runs a program for
//!   that, `trust` verifies the server;
//! - `resource` is a kind of objects, `discovery` finds the custom ones of a cluster, `client` are the verbs, `request` makes their requests, `watch` waits for a change,
//!   `stream` is a watch that several waits share;
//! - `object` converts objects, with the contents of a Secret as secrets;
//! - `rollout` reads the progress of a workload's rollout, `workload` restarts one and explains why it is stuck, `evict` replaces pods one at a time;
//! - `restore` computes how a changed object is restored;
//! - `forward` connects to the ports of pods, reads the chain that one presents, and sends HTTP requests to one;
//! - `permission` are the permissions that calls need, and checks whether the caller has them;
//! - `failure` classifies errors of the API server, `retry` decides how long they are retried.

mod authority;
mod client;
mod clients;
mod clusters;
mod connect;
mod discovery;
mod evict;
mod failure;
mod forward;
mod login;
mod object;
mod ownership;
mod permission;
mod plugin;
mod request;
mod resource;
mod restore;
mod retry;
mod rollout;
mod stream;
mod target;
mod trust;
mod watch;
mod workload;

pub use client::{Apply, KubeClient, Patch, PatchKind, Selection, is_terminating};
pub use clients::KubeClients;
pub use clusters::{Clusters, Opening};
pub use connect::Access;
pub(super) use connect::{ByteStream, through_proxy};
pub use evict::Next;
pub use forward::Part;
pub use object::{from_object, secret_manifest, to_object};
pub use ownership::Owners;
pub use permission::{ClusterRule, Permit, rules};
pub use resource::{Named, Resource};
pub use restore::{changed_since, covers, expected, has_taken, is_same_object, restoring};
pub use rollout::{Hindrance, Progress};
pub use target::{KubeTarget, embedded_cluster};
pub use watch::is_passing;
pub use workload::{PodState, Rollout, Trouble};
