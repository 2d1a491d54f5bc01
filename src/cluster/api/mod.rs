//! Implements the verbs.
//!
//! `call` holds a request; `body` reads its content. `read` and `watch` return objects, with the label and field selectors
//! of `select`. `write` creates, updates, patches and applies what `intake` has decoded. All writes go through `finish`,
//! which sets `defaults` and the fields in `identity`, validates with `check`, and records the ownership of fields. `delete`
//! removes an object, `collect` the objects that it owned, and `terminate` what contains objects. `scale`, `token`, `evict` and `review` handle requests whose body is not
//! the object itself.

mod answer;
mod body;
mod call;
mod check;
mod collect;
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
mod terminate;
mod token;
mod watch;
mod write;

pub(crate) use answer::answer;
pub(crate) use body::yaml;
pub(crate) use call::Call;
pub(crate) use collect::{OWNERS, check as check_owners};
pub(crate) use finish::{install, seed};
pub(crate) use lifecycle::discard;
pub(crate) use select::selector_matches;
pub(crate) use watch::Watch;
