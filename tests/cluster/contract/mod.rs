//! What a Kubernetes API server does, held against whichever cluster there is.

mod access;
mod apply;
mod custom;
mod kinds;
mod lists;
mod objects;
mod patches;
mod rollout;
mod watches;
