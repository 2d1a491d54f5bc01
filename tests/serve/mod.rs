//! `windlass serve`: who gets through, runs from start to end over HTTP, streams, crashes, and the page.

mod door;
mod grants;
mod live;
mod oidc;
mod page;
mod remote;
mod server;
