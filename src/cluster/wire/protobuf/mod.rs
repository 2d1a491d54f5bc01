//! Kubernetes' protobuf, which kubectl's typed commands send (`kubectl create secret`, `create token`, `auth can-i`).
//!
//! Only requests are read, since every client that sends protobuf also accepts JSON. `message` decodes with the tables in
//! `fields`, which have the field numbers of the `generated.proto` files of the Kubernetes API.

mod envelope;
mod fields;
mod message;
mod wire;

pub(crate) use envelope::read;
