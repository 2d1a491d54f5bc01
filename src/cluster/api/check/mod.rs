//! Validation of objects, with the messages of the API server.

mod budget;
mod container;
mod data;
mod definition;
mod metadata;
mod name;
mod object;
mod pod;
mod quantity;
mod role;
mod service;
mod volume;
mod workload;

pub(super) use object::{create, readable, update};
