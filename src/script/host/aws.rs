//! `aws`: any AWS service.
//!
//! The name of an operation (`is_read`), or the script, says whether it only reads. Unknown operations are handled as the more
//! dangerous case: an operation that is not known to read is a change, and a change without a key stops and asks when it is in doubt.

mod service;
mod table;
mod undo;

use std::time::Duration;

use rhai::{Dynamic, Map, NativeCallContext};

pub(in super::super) use service::literal_mistake;
pub(super) use table::TABLE;

use self::{
    service::{described, explained, find},
    undo::{Way, kept_undo, refuse_unknown},
};
use super::{
    Thrown,
    arguments::{Arguments, refuse},
    host, perform,
};
use crate::{
    dynamic::{from_dynamic, to_dynamic},
    effects::{Call, Class, EffectKey},
    secrecy::{SECRET_OUTPUT, SecretOutput, is_part_of_aws},
};
use windlass_world::{
    outside::{
        AwsCall, AwsClient,
        aws::{Described, Service, is_read, sealed_result, service as known_service},
    },
    value::{Failure, FailureClass, Proof, Value, parse_duration},
};

pub(super) const FUNCTION: &str = "aws::request";
/// How long a service remembers a key if nothing else is known: the time of AWS Private CA, which is the shortest.
const KEY_LIVES: &str = "5m";
/// Services that remember a key for ever: it is the id of the secret's version (AWS Secrets Manager API Reference,
/// "PutSecretValue").
const KEY_LIVES_FOR_EVER: [&str; 1] = ["secretsmanager"];

/// The parsed options of a call.
#[derive(Clone)]
struct Asked {
    call: AwsCall,
    /// The param that carries the effect's key.
    token: Option<String>,
    class: Class,
    key_lives: Option<Duration>,
    secret: SecretOutput,
    /// The most pages to read; `None` for a call that returns the result of one request.
    pages: Option<usize>,
}

fn call(
    context: &NativeCallContext,
    service_name: &str,
    operation: &str,
    params: Map,
    options: Map,
) -> Result<Dynamic, Thrown> {
    let given = from_dynamic(&Dynamic::from(options.clone()));
    let mut given = given.map_err(|e| refuse(FUNCTION, e))?;
    let params = from_dynamic(&Dynamic::from(params)).map_err(|e| refuse(FUNCTION, e))?;
    let mut options = Arguments::new(FUNCTION, options)?;
    let undo = options.optional("undo");
    let described = described(&mut options)?;
    let asked = Asked::read(service_name, operation, params, &described, &mut options)?;
    options.finish()?;
    let mut refusal = Ok(());
    let undo = match undo {
        None => None,
        Some(_) if asked.class == Class::Read => {
            return Err(refuse(
                FUNCTION,
                "a read can't have `undo`, because it changes nothing",
            ));
        }
        Some(undo) => {
            let mut kept = kept_undo(service_name, &undo, &described);
            // Reports a mistake in the undo now, not when the undo is needed.
            let wrong = |why| format!("`undo`: {why}");
            refusal = refuse_unknown(&undo).map_err(wrong);
            let way = Way::read(&kept).map_err(|why| refuse(FUNCTION, wrong(why)))?;
            let sealed = way.call.sealed_params();
            for map in [Some(&mut kept), field_mut(&mut given, "undo")] {
                if let Some(Value::Map(map)) = map {
                    map.insert("params".into(), sealed.clone());
                }
            }
            Some(kept)
        }
    };
    let record = Value::map([
        ("service", service_name.into()),
        ("operation", operation.into()),
        ("object", object(&asked.call).into()),
        ("params", asked.call.sealed_params()),
        ("options", given),
    ]);
    let client = host(context)?.clients.aws;
    let (class, key_lives) = (asked.class, asked.key_lives);
    let mut call = Call::new(FUNCTION, class, record, move |key| asked.send(client, key));
    call.key_lives = key_lives;
    if let Some(undo) = undo {
        call = call.remembering(move || async move { Ok(undo) });
    }
    Ok(to_dynamic(&perform(context, call.refusing(refusal))?))
}

fn field_mut<'v>(value: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    match value {
        Value::Map(map) => map.get_mut(name),
        _ => None,
    }
}

impl Asked {
    fn read(
        service_name: &str,
        operation: &str,
        params: Value,
        described: &Option<Described>,
        options: &mut Arguments,
    ) -> Result<Self, Thrown> {
        let wrong = |why: String| refuse(FUNCTION, why);
        let service = find(service_name, operation, described).map_err(wrong)?;
        let length = |text: Option<String>| match text {
            Some(text) => parse_duration(&text)
                .map(Some)
                .map_err(|e| refuse(FUNCTION, e)),
            None => Ok(None),
        };
        let timeout = length(options.optional_text("timeout")?)?.unwrap_or(DEFAULT_TIMEOUT);
        let named = options.optional_text("idempotency")?;
        let lives = length(options.optional_text("key_lives")?)?;
        let (is_idempotent, only_reads) = (options.flag("idempotent")?, options.flag("read")?);
        let secret = SecretOutput::read(options.optional(SECRET_OUTPUT).as_ref(), is_part_of_aws);
        let secret = secret.map_err(wrong)?;
        let pages = most_pages(options.optional("pages")).map_err(wrong)?;
        let reads = only_reads || is_read(service_name, operation);
        if only_reads && (named.is_some() || is_idempotent) {
            return Err(wrong(
                "`read` can't be combined with `idempotency` or `idempotent`: a call that changes nothing needs neither".into(),
            ));
        }
        let token = named.or_else(|| marked_token(&service, operation));
        let class = match () {
            () if reads => Class::Read,
            () if token.is_some() || is_idempotent => Class::Keyed,
            () => Class::Unsure,
        };
        let is_for_ever = is_idempotent || KEY_LIVES_FOR_EVER.contains(&service_name);
        let key_lives = match (class, lives) {
            (Class::Keyed, Some(lives)) => Some(lives),
            (Class::Keyed, None) if !is_for_ever => parse_duration(KEY_LIVES).ok(),
            _ => None,
        };
        let call = AwsCall {
            service,
            operation: operation.into(),
            params,
            timeout,
            is_repeatable: class != Class::Unsure,
            is_read: reads,
        };
        if pages.is_some() && !reads {
            return Err(wrong(
                "`pages` works only with an operation that reads".into(),
            ));
        }
        if pages.is_some() && call.pages().is_none() {
            let name = format!("{service_name} {operation}");
            return Err(wrong(if call.service.is_described {
                format!("`pages` does not work with {name}: how it names its pages is not known")
            } else {
                format!("{name} does not divide its result into pages: remove `pages`")
            }));
        }
        // The param that carries the key must be a text.
        let looked_at = match &token {
            Some(token) => with_param(&call, token, "key".into()),
            None => call.clone(),
        };
        looked_at
            .check()
            .map_err(|unfit| wrong(explained(&call, &unfit)))?;
        Ok(Self {
            call,
            token,
            class,
            key_lives,
            secret,
            pages,
        })
    }

    async fn send(self, client: AwsClient, key: EffectKey) -> Result<Value, Failure> {
        let call = with_key(&self.call, self.token.as_deref(), &key)?;
        let result = match self.pages {
            Some(most) => client.call_pages(&call, most).await?,
            None => client.call(&call).await?,
        };
        Ok(self.secret.sealed(result))
    }
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// The most pages that a call may ask for. The journal takes 1 MiB for all of them together.
const MAX_PAGES: i64 = 1_000;

fn most_pages(given: Option<Value>) -> Result<Option<usize>, String> {
    match given {
        None => Ok(None),
        Some(Value::Int(most @ 1..=MAX_PAGES)) => Ok(usize::try_from(most).ok()),
        Some(other) => Err(format!(
            "`pages` must be a number from 1 to {MAX_PAGES}, not {}",
            other.to_text()
        )),
    }
}

/// Returns the call with an added param that the script did not give. A param with the value `()` counts as not given, because the request
/// omits it.
fn with_param(call: &AwsCall, name: &str, value: Value) -> AwsCall {
    let mut call = call.clone();
    if let Value::Map(params) = &mut call.params {
        let held = params.entry(name.to_owned()).or_default();
        if *held == Value::Null {
            *held = value;
        }
    }
    call
}

/// Returns the call with its key in the param that carries it, if there is one.
///
/// # Errors
/// The param would be empty: AWS would treat a repetition as another call, so nothing is sent.
fn with_key(call: &AwsCall, token: Option<&str>, key: &EffectKey) -> Result<AwsCall, Failure> {
    let Some(token) = token else {
        return Ok(call.clone());
    };
    let is_uuid = UUIDS.contains(&(&*call.service.name, &*call.operation));
    let text = match is_uuid.then(|| as_uuid(key.as_str())).flatten() {
        Some(uuid) => uuid,
        None => key.as_str().to_owned(),
    };
    let keyed = with_param(call, token, text.into());
    let is_empty = match keyed.params.field(token) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Secret(secret)) => secret.reveal().is_empty(),
        Some(_) => false,
    };
    if !is_empty {
        return Ok(keyed);
    }
    let why = format!("the param `{token}` is for the call's key, but it is empty");
    let failure = Failure::new(FailureClass::Rejected, &call.operation, "NoKey", why);
    Err(failure
        .with_hint(format!("remove `{token}`: it is filled in automatically"))
        .proving(Proof::NotDone))
}

/// The operations whose token must be a UUID: by its least length in the model of CloudWatch Logs, by its pattern in that of Systems
/// Manager. All others take the key's own form.
const UUIDS: [(&str, &str); 2] = [("logs", "PutQueryDefinition"), ("ssm", "DeleteInventory")];

/// Returns 32 hex digits in the form of a UUID.
fn as_uuid(hex: &str) -> Option<String> {
    let part = |from: usize, to: usize| hex.get(from..to);
    let parts = [
        part(0, 8)?,
        part(8, 12)?,
        part(12, 16)?,
        part(16, 20)?,
        part(20, 32)?,
    ];
    Some(parts.join("-"))
}

/// Returns the param that AWS's models mark as the idempotency token of an operation.
fn marked_token(service: &Service, operation: &str) -> Option<String> {
    let operation = service.operations.get(operation)?;
    service.token(operation).map(str::to_owned)
}

/// Describes a call for people: the operation and the values of its required params.
fn object(call: &AwsCall) -> String {
    /// Longer texts are documents rather than names.
    const LONGEST: usize = 100;
    let mut text = format!("{}:{}", call.service.name, call.operation);
    let sealed = call.sealed_params();
    if let Some(asked) = call.service.operations.get(&call.operation) {
        for name in call.service.required(asked) {
            if let Some(Value::String(named)) = sealed.field(name)
                && named.len() <= LONGEST
            {
                text.push_str(&format!(" {named}"));
            }
        }
    }
    text
}

/// Makes an operation's result secret in the same places as the client does: what AWS's models mark as sensitive. `record` holds the
/// arguments of the call, as in the journal.
pub(super) fn sealed(record: &Value, answer: Value) -> Value {
    let text = |key: &str| record.field(key).and_then(Value::as_str);
    // Services that are only described by the script have no model.
    let known = text("service").and_then(known_service);
    let operation = known.zip(text("operation"));
    match operation.and_then(|(known, name)| Some((known, known.operations.get(name)?))) {
        Some((known, operation)) => sealed_result(known, operation, answer),
        None => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(params: &str) -> AwsCall {
        AwsCall {
            service: known_service("secretsmanager").expect("a model").clone(),
            operation: "CreateSecret".into(),
            params: Value::parse_json(params).expect("JSON"),
            timeout: DEFAULT_TIMEOUT,
            is_repeatable: true,
            is_read: false,
        }
    }

    #[test]
    fn a_keyed_call_carries_its_key_or_is_not_sent() {
        let key = EffectKey::new("k1".into());
        let token = |params: &str| {
            let keyed = with_key(&create(params), Some("ClientRequestToken"), &key);
            keyed.map(|call| call.params.field("ClientRequestToken").cloned())
        };
        for params in [r#"{"Name":"n"}"#, r#"{"ClientRequestToken":null}"#] {
            assert_eq!(token(params), Ok(Some("k1".into())), "{params}");
        }
        let own = token(r#"{"ClientRequestToken":"mine"}"#);
        assert_eq!(own, Ok(Some("mine".into())));
        let failure = token(r#"{"ClientRequestToken":""}"#).expect_err("it is empty");
        assert_eq!(
            (failure.code.as_str(), failure.may_be_done()),
            ("NoKey", false)
        );
    }

    #[test]
    fn a_token_that_must_be_a_uuid_is_one() {
        let key = EffectKey::new("0123456789abcdef0123456789abcdef".into());
        for (service, operation, token) in [
            ("logs", "PutQueryDefinition", "clientToken"),
            ("ssm", "DeleteInventory", "ClientToken"),
        ] {
            let service = known_service(service).expect("a model").clone();
            assert_eq!(marked_token(&service, operation).as_deref(), Some(token));
            let call = AwsCall {
                service,
                operation: operation.into(),
                ..create("{}")
            };
            let keyed = with_key(&call, Some(token), &key).expect("a key");
            let sent = keyed.params.field(token).map(Value::to_text);
            assert_eq!(
                sent.as_deref(),
                Some("01234567-89ab-cdef-0123-456789abcdef")
            );
        }
    }
}
