//! The rehearsal cluster, compared with a real Kubernetes.
//!
//! `contract` uses a cluster with a kubeconfig; its tests must pass with a rehearsal cluster and with a real one:
//! `WINDLASS_TEST_KUBECONFIG=FILE WINDLASS_TEST_CONTEXTS=a,b cargo nextest run cluster::contract`.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails as tests do, and clippy only lets tests themselves"
)]

mod contract;
mod crash;
mod fuzz;
mod kubectl;
mod lab;
mod manifests;
mod rehearsal;
pub mod served;
