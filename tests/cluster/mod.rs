//! The rehearsal cluster, held to what a real Kubernetes does.
//!
//! `contract` speaks to a cluster over a kubeconfig, and passes on the rehearsal cluster and on a real one, or it is
//! wrong: `WINDLASS_TEST_KUBECONFIG=FILE WINDLASS_TEST_CONTEXTS=a,b cargo nextest run cluster::contract`.

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
