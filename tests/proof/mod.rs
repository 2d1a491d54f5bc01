//! Proof on the wire: chains as they are served, through port-forward and without, and what would be accepted.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails as tests do, and clippy only lets tests themselves"
)]

mod chain;
mod forward;
mod handshake;
pub mod made;
mod pods;
mod verify;
