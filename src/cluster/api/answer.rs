use super::{Call, delete, evict, read, review, scale, token, watch, write};
use crate::{
    forward,
    wire::{Answer, Failure, Verb},
};

/// Carries out a request that has been authorized.
pub(crate) fn answer(call: &Call) -> Result<Answer, Failure> {
    let subresource = call.target.subresource.as_deref();
    match (call.resource.plural.as_str(), subresource) {
        ("serviceaccounts", Some("token")) => return token::create(call),
        ("pods", Some("eviction")) => return evict::create(call),
        ("pods", Some("portforward")) => return forward::start(call),
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
