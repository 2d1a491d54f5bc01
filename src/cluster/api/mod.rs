//! What the verbs do.
//!
//! `call` holds one request; `body` reads what was sent. `read` and `watch` look, with `select`'s label and field
//! selectors. `write` creates, updates, patches and applies what `intake` understood, all through `finish`, which sets
//! `defaults` and the object's `identity`, asks `check`, and records who owns what; `delete` removes an object and what it owns. `scale`, `token`, `evict` and `review` answer the
//! requests that are no objects.

mod answer;
mod body;
mod call;
mod check;
mod defaults;
mod delete;
mod evict;
mod finish;
mod identity;
mod intake;
mod lifecycle;
mod page;
mod read;
mod review;
mod scale;
mod select;
mod token;
mod watch;
mod write;

pub(crate) use answer::answer;
pub(crate) use body::yaml;
pub(crate) use call::Call;
pub(crate) use finish::{install, seed};
pub(crate) use lifecycle::discard;
pub(crate) use select::selector_matches;
pub(crate) use watch::Watch;
