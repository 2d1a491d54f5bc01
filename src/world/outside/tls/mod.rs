//! Examines TLS: which chain a server presents, and whether two sides would accept each other.
//!
//! - `chain` reads the chain of a server, over any connection; `dial` makes one, by the proxies of the environment;
//! - `handshake` makes a handshake between two sides in memory;
//! - `material` reads the material of a side: certificate, key and roots.

mod chain;
mod dial;
mod handshake;
mod material;

pub use chain::{Probe, Served};
pub use handshake::{Handshake, Met, Side, TlsVersion};

pub(super) use chain::{no_answer, served_chain};
