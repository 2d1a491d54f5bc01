//! The runs of a Windlass server elsewhere, through its API: [`There`] (`service`).
//!
//! - `client` sends requests, `follow` receives events as they happen, `wire` reads the server's answers, `params` writes
//!   params;
//! - `plan` shows what a start would do, `revise` resumes with changes, `prune` deletes old runs.

mod client;
mod follow;
mod params;
mod plan;
mod prune;
mod revise;
mod service;
mod wire;

pub use client::{ASSISTANT, Address, CLIENT_HEADER};
pub use service::{There, encoded};
