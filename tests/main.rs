//! Everything a user would see, in one binary. `harness` reads like the shell; each other module
//! is a capability.

mod approval;
mod audit;
mod authority;
mod aws;
mod client;
mod cluster;
mod crash;
mod dag;
mod damage;
mod doubt;
mod edited;
mod flow;
mod graph;
mod harness;
mod hostile;
mod house;
mod kube;
mod language;
mod locks;
mod lost;
mod mesh;
mod mistakes;
mod pki;
mod reading;
mod replay;
#[cfg(feature = "restate")]
mod restate;
mod resume;
mod rollout;
mod runbook;
mod secrets;
mod site;
mod surface;
mod tls;
mod undo;
