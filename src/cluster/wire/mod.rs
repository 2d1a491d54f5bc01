//! Formats: reads paths, queries and kubectl's protobuf; writes `Status` bodies, tables, discovery and OpenAPI.

mod accept;
mod answer;
mod cells;
mod discovery;
mod failure;
mod openapi;
mod protobuf;
mod query;
mod request;
mod table;

pub(crate) use accept::{Accept, Shape};
pub(crate) use answer::Answer;
pub(crate) use discovery::{Discovery, discover};
pub(crate) use failure::{Cause, Failure};
pub(crate) use openapi::{openapi, openapi_v2};
pub(crate) use protobuf::read as protobuf;
pub(crate) use query::Query;
pub(crate) use request::{Incoming, Target, Verb};
pub(crate) use table::table;
