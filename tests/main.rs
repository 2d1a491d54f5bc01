//! Everything a user would see, in one binary. `harness` reads like the shell; each other module
//! is a capability.

mod authority;
mod client;
mod flow;
mod graph;
mod harness;
mod hostile;
mod house;
mod mistakes;
mod pki;
mod reading;
mod resume;
mod secrets;
