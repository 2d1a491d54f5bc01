//! Kubernetes' protobuf, as kubectl's typed commands send it (`kubectl create secret`, `create token`, `auth can-i`).
//!
//! Only requests are read: every client that sends it takes JSON for an answer. `message` decodes by the tables of
//! `fields`, which have the field numbers of the `generated.proto` files of the Kubernetes API.

mod envelope;
mod fields;
mod message;
mod wire;

pub(crate) use envelope::read;
