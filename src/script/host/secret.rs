//! `secret`: reads secrets from other stores.

use rhai::{Dynamic, NativeCallContext};

use super::{
    Thrown,
    arguments::refuse,
    function::{
        Binder, Function, Gives, Impact, Needs,
        ValueKind::{self, SecretReference},
        required,
    },
    host, perform,
};
use crate::{dynamic::to_dynamic, effects::Call};
use windlass_world::value::{Reference, Source, Value};

const FUNCTION: &str = "secret::read";

pub(super) static TABLE: [Function; 1] = [Function {
    name: FUNCTION,
    about: "Reads a secret from another store: `secretsmanager:NAME` or `secretsmanager:NAME#KEY` (AWS Secrets Manager), \
            `ssm:/PATH/NAME` (AWS Systems Manager Parameter Store), `vault:MOUNT/PATH#FIELD` (HashiCorp Vault, by VAULT_ADDR \
            and VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID). Like every result, it is recorded (encrypted), and a replay returns the same value. A param that refers to a secret is instead read again in each attempt.",
    takes: &[required(
        "reference",
        SecretReference,
        "such as `ssm:/app/password`",
    )],
    gives: Gives::new(ValueKind::Secret, ""),
    does: Impact::Reads,
    needs: Needs::Nothing,
    example: "let password = secret::read(`secretsmanager:${inputs.name}#password`);",
    bind,
}];

fn bind<'b, 'm>(binder: &'b mut Binder<'m>) -> &'b mut Binder<'m> {
    binder.with(read)
}

/// Why a script reads no `file:` and no `env:`.
pub const NAMED_BY_PEOPLE: &str =
    "only the person who starts a run can name a file or a variable: pass the secret as an input";

fn read(context: NativeCallContext, text: &str) -> Result<Dynamic, Thrown> {
    let reference = match Reference::parse(text) {
        Ok(Some(reference)) => reference,
        Ok(None) => {
            return Err(refuse(
                FUNCTION,
                "expected a reference: `secretsmanager:NAME`, `ssm:/PATH/NAME` or `vault:MOUNT/PATH#FIELD`",
            ));
        }
        Err(e) => return Err(refuse(FUNCTION, e)),
    };
    if let Source::File { .. } | Source::Variable { .. } = reference.source() {
        return Err(refuse(FUNCTION, NAMED_BY_PEOPLE));
    }
    let reader = host(&context)?.clients.secrets;
    let call = Call::of(FUNCTION, text.into(), move |_| async move {
        reader.read(&reference).await.map(Value::Secret)
    });
    Ok(to_dynamic(&perform(&context, call)?))
}
