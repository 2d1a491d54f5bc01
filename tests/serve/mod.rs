//! `windlass serve`: who gets through, runs from start to end over HTTP, streams, crashes, and the page.

mod bound;
mod browser;
mod crowd;
pub mod door;
mod elsewhere;
mod forms;
mod grants;
mod kinds;
pub mod limits;
mod live;
mod losses;
mod more;
mod notify;
mod oidc;
mod page;
mod prune;
mod remote;
mod rotation;
mod schema;
pub mod server;
mod terminal;
mod triggers;
mod year;
