//! `windlass serve`: who gets through, runs from start to end over HTTP, streams, crashes, and the page.

mod door;
mod live;
mod notify;
mod page;
mod server;
mod triggers;
mod year;
