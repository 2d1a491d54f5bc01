//! Kubernetes: one client for each cluster that a target names by role.
//!
//! - `target` is where the clusters are (`clusters` is what one has to know), `clients` opens them on their
//!   first use;
//! - `connect` makes the connections, by a proxy or not; `login` is who the requests come from, `plugin` a program that
//!   says it, `trust` whom they go to;
//! - `resource` is a kind of objects, `discovery` asks for those of a cluster's own, `client` the verbs, `watch` waiting for a change;
//! - `object` carries objects in and out, with what a Secret holds as secrets;
//! - `rollout` reads how far a workload's rollout is, `workload` restarts one and says why it is stuck, `evict` replaces pods one at a time;
//! - `restore` works out what takes a changed object back;
//! - `forward` connects to the ports of pods, reads the chain that one serves, and asks one by HTTP;
//! - `permission` is what calls need, and asks whether the caller may;
//! - `failure` sorts what the API server answers, `retry` is how long its trouble is ridden out.

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
mod resource;
mod restore;
mod retry;
mod rollout;
mod target;
mod trust;
mod watch;
mod workload;

pub use client::{Apply, KubeClient, Patch, PatchKind, Selection};
pub use clients::KubeClients;
pub use clusters::{Clusters, Opening};
pub use connect::Access;
pub(super) use connect::{ByteStream, through_proxy};
pub use evict::Next;
pub use object::{from_object, secret_manifest, to_object};
pub use ownership::other_owners;
pub use permission::{ClusterRule, Permit, rules};
pub use resource::{Named, Resource};
pub use restore::{changed_since, covers, expected, restoring};
pub use rollout::{Hindrance, Progress};
pub use target::{KubeTarget, embedded_cluster};
pub use watch::is_passing;
pub use workload::{PodState, Trouble};
