//! What the verbs do.
//!
//! `call` holds one request; `body` reads what was sent. `read` and `watch` look, with `select`'s label and field
//! selectors. `write` creates, updates, patches and applies what `intake` understood, all through `finish`, which sets
//! `defaults` and the object's `identity`, asks `check`, and records who owns what; `delete` removes an object and what it owns. `scale`, `token` and `review` answer the
//! requests that are no objects.

mod body;
mod call;
mod check;
mod defaults;
mod delete;
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

pub(crate) use call::Call;
pub(crate) use finish::seed;
pub(crate) use select::selector_matches;
pub(crate) use watch::Watch;

use crate::cluster::wire::{Answer, Failure, Verb};

/// Answers a request that may be made.
pub(crate) fn answer(call: &Call) -> Result<Answer, Failure> {
    let subresource = call.target.subresource.as_deref();
    match (call.resource.plural.as_str(), subresource) {
        ("serviceaccounts", Some("token")) => return token::create(call),
        (_, Some("scale")) => return scale::answer(call),
        (_, None) if call.resource.verbs == ["create"] => return review::create(call),
        _ => {}
    }
    match call.verb {
        Verb::Get => read::get(call),
        Verb::List => read::list(call),
        Verb::Watch => watch::start(call),
        Verb::Create => write::create(call),
        Verb::Update => write::update(call),
        Verb::Patch => write::patch(call),
        Verb::Delete => delete::delete(call),
        Verb::DeleteCollection => delete::delete_all(call),
    }
}
