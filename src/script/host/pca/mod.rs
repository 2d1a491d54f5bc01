//! `pca`: AWS Private CA. One function for each operation, and the waits between them.
//!
//! - `authority`: CAs and their status, tags, deletion;
//! - `certificate`: issuing, fetching, importing, revoking;
//! - `access`: permissions, policies, audit reports;
//! - `revocation`: how a CA publishes what it revokes;
//! - `wait`: waits for a status;
//! - `undo`: reverses calls;
//! - `table`: the description of the functions.

mod access;
mod authority;
mod certificate;
mod revocation;
mod table;
mod undo;
mod uses;
mod wait;

pub(super) use table::TABLE;
pub use uses::{AuthorityUse, authority_use, is_authority};

use rhai::NativeCallContext;

use super::{Thrown, host, perform};
use crate::effects::Call;
use windlass_world::{
    outside::PcaClient,
    value::{Failure, Value},
};

/// Makes one effect of a call to the client.
fn call<F>(
    context: &NativeCallContext,
    function: &'static str,
    record: Value,
    act: impl FnOnce(PcaClient) -> F + Send + 'static,
) -> Result<Value, Thrown>
where
    F: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    let pca = host(context)?.clients.pca;
    perform(context, Call::of(function, record, move |_| act(pca)))
}

/// As [`call`], for a call that an undo can reverse: `before` reads the state before the call.
fn reversible<F, B>(
    context: &NativeCallContext,
    function: &'static str,
    record: Value,
    before: impl FnOnce(PcaClient) -> B + Send + 'static,
    act: impl FnOnce(PcaClient) -> F + Send + 'static,
) -> Result<(), Thrown>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
    B: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    let pca = host(context)?.clients.pca;
    let looker = pca.clone();
    let call = Call::of(function, record, move |_| {
        let doing = act(pca);
        async move { doing.await.map(|()| Value::Null) }
    })
    .remembering(move || before(looker))
    .replaced_if(move |first, again| undo::before::replaces(function, first, again));
    perform(context, call).map(|_| ())
}

/// Returns the record of a call about a CA: its ARN and the other arguments.
fn record(authority: &str, mut given: Value) -> Value {
    if let Value::Map(map) = &mut given {
        map.insert("ca".into(), authority.into());
    }
    given
}
