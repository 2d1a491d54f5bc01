//! The behaviour of a Kubernetes API server, checked with a rehearsal cluster or a real one.

mod access;
mod apply;
mod custom;
mod kinds;
mod lists;
mod objects;
mod patches;
mod references;
mod rollout;
mod watches;
