//! Runs on a real Restate server. `server` starts one (or a cluster), `world` all that a run needs; each other
//! module is a proof.

mod access;
mod answers;
mod away;
mod balancer;
mod bounded;
mod commands;
mod continued;
mod crashes;
mod equal;
mod killed;
mod kills;
mod large;
mod locks;
mod paused;
mod pruned;
mod replicas;
mod rotations;
mod server;
mod superseded;
mod traced;
mod upgrade;
mod witness;
mod world;
