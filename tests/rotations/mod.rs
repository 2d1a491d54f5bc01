//! Rotations of a mesh, proved at every single effect: what a call changed is looked at before the run hears of it, at
//! once and until everything that it set off has happened.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails as tests do, and clippy only lets tests themselves"
)]

mod crashes;
mod effects;
mod eye;
mod phases;
mod rows;
mod site;
mod undone;
mod wide;
