//! `windlass serve`: who gets through, runs from start to end over HTTP, streams, crashes, and the page.

mod browser;
mod door;
mod live;
mod more;
mod notify;
mod page;
mod schema;
mod server;
mod triggers;
mod year;
