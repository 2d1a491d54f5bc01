//! The rehearsal mesh: what Istio and Gloo Mesh do with certificates, on rehearsal clusters.
//!
//! A rehearsal has to fail where a real mesh would. So for every player (a replica of istiod, a ztunnel, a sidecar, a
//! gateway, Gloo Mesh's server and agents) the mesh stores what it has *mounted* (which is late), *loaded* and *been
//! issued*. A handshake uses what is loaded, with real X.509 checks. Comments name the source of a behaviour: a file or
//! issue of `istio/istio`, `istio/ztunnel` or `solo-io/gloo-mesh`, or a page of their documentation.
//!
//! # Layout
//!
//! 1. `options` are the versions of a mesh and its delays (`written` reads them from a configuration);
//!    `plant` creates its first objects (`seed/`).
//! 2. `member` is the part of a mesh in one cluster: it is passed to the API server as its
//!    [`Controllers`](windlass_cluster::Controllers) and calls the players: `istiod` (with its `ca`), `proxy`, `ztunnel`,
//!    the API server's own call of a `webhook`, Gloo Mesh's `relay`, and `gloo`, which issues certificates.
//! 3. `player` is the state of the players, in the cluster's database; `trust` shows it with `kubectl get meshtrust`.
//! 4. `matrix` checks who can talk to whom: `handshake` does TLS 1.3 in memory, `verify` verifies chains as the library of
//!    each player does, `x509` reads and issues certificates.
//! 5. `sockets` listens on the ports of players, and serves what `report` writes.

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
