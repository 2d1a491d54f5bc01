//! Everything a user would see, in one binary. `harness` reads like the shell; each other module
//! is a capability.

mod answers;
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
mod echo;
mod edited;
mod flow;
mod formats;
mod graph;
mod harness;
mod hints;
mod hostile;
mod house;
mod kube;
mod language;
mod locks;
mod lost;
mod mesh;
mod mine;
mod mistakes;
mod names;
mod paths;
mod pem;
mod pki;
mod places;
mod programs;
mod reading;
mod replay;
#[cfg(feature = "restate")]
mod restate;
mod resume;
mod runbook;
mod secrets;
mod site;
mod surface;
mod tls;
mod undo;
mod web;
