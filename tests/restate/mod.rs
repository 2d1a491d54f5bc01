//! Runs on a real Restate server. `server` starts one (or a cluster), `world` all that a run needs; each other
//! module is a proof.

mod balancer;
mod commands;
mod crashes;
mod equal;
mod kills;
mod paused;
mod server;
mod upgrade;
mod witness;
mod world;
