//! Validation of objects, with the messages of the API server.

mod data;
mod definition;
mod metadata;
mod name;
mod object;
mod role;
mod service;
mod workload;

pub(super) use data::encodings;
pub(super) use object::{create, update};
