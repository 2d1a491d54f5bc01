//! `windlass serve`: who gets through, runs from start to end over HTTP, streams, crashes, and the page.

mod browser;
mod door;
mod grants;
mod live;
mod more;
mod notify;
mod oidc;
mod page;
mod remote;
mod schema;
pub mod server;
mod triggers;
mod year;
