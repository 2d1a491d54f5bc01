//! The rehearsal mesh: what Istio and Gloo Mesh do with certificates, on rehearsal clusters.
//!
//! A rehearsal that cannot fail proves nothing. So for every player (a replica of istiod, a ztunnel, a sidecar, a
//! gateway, Gloo Mesh's server and agents) the mesh keeps what it has *mounted*, which is late, what it has *loaded* and
//! what it was *issued*. A handshake uses what is loaded, with real X.509 checks. Numbers such as "MESH 1.14" in comments
//! name the fact behind a behaviour.
//!
//! # Layout
//!
//! 1. `options` are the versions of a mesh (`version`) and its delays (`written` reads them from a configuration);
//!    `plant` creates its first objects (`seed/`).
//! 2. `member` is the part of a mesh in one cluster: it is passed to the API server as its
//!    [`Controllers`](windlass_cluster::Controllers) and calls the players: `istiod` (with its `ca`), `proxy`, `ztunnel`,
//!    the API server's own call of a `webhook`, Gloo Mesh's `relay`, and `gloo`, which issues certificates.
//! 3. `player` is the state of the players, in the cluster's database; `trust` shows it with `kubectl get meshtrust`.
//! 4. `matrix` checks who can talk to whom: `handshake` does TLS 1.3 in memory, `verify` verifies chains as the library
//!    of each player does, `x509` reads and issues certificates.
//! 5. `sockets` listens on the ports of players, and serves what `report` writes; `pods` reads the objects around a pod.
//! 6. `scenarios` are tests of whole rotations in a `lab`.

mod ca;
mod gloo;
mod handshake;
mod istiod;
#[cfg(test)]
mod lab;
mod matrix;
mod member;
mod options;
mod plant;
mod player;
mod pods;
mod proxy;
mod relay;
mod report;
#[cfg(test)]
mod scenarios;
mod sockets;
mod trust;
mod verify;
mod version;
mod webhook;
mod written;
mod x509;
mod ztunnel;

pub use matrix::{Handshake, Handshakes, Matrix, handshakes};
pub use member::HANDSHAKES;
pub use member::member;
pub use options::MeshOptions;
pub use version::Version;
