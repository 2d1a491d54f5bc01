//! `aws`: any AWS service.
//!
//! The name of an operation (`is_read`), or the script, says whether it only reads. Unknown operations are handled as the more
//! dangerous case: an operation that is not known to read is a change, and a change without a key stops and asks when it is in doubt.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rhai::{Dynamic, Map, NativeCallContext};

use super::{
    Thrown,
    arguments::{Arguments, refuse},
    function::{
        Binder, Changing, Doubt, Function, Gives, Impact, Needs, Parameter, Reversible,
        ValueKind::{
            self, Any, AwsOperation, AwsService, Bool, Duration as Length, Either, Int, List,
            Record, Text, Word,
        },
        optional, preset, required,
    },
    host, perform,
    undo::{Done, Finding, Reversal, Reversed, WayBack},
};
use crate::{
    calls::closest,
    dynamic::{from_dynamic, to_dynamic},
    effects::{Call, Class, EffectKey},
    secrecy::{SECRET_OUTPUT, SecretOutput, is_part_of_aws},
};
use windlass_world::{
    outside::{
        AwsCall, AwsClient, Clients,
        aws::{Described, Misfit, Service, Unfit, is_read, sealed_result, service, services},
    },
    value::{Failure, FailureClass, Proof, Value, parse_duration},
};

pub(super) const FUNCTION: &str = "aws::request";
/// The name of the call that an undo makes.
const UNDOING: &str = "aws::undo";

/// How long a service remembers a key if nothing else is known: the time of AWS Private CA, which is the shortest.
const KEY_LIVES: &str = "5m";
/// Services that remember a key for ever: it is the id of the secret's version (AWS Secrets Manager API Reference,
/// "PutSecretValue").
const KEY_LIVES_FOR_EVER: [&str; 1] = ["secretsmanager"];

const UNDO: &[Parameter] = &[
    required("operation", Text, "such as `DeleteSecret`"),
    optional("params", ValueKind::Map(&Any), ""),
    optional(
        "from_answer",
        ValueKind::Map(&Text),
        "params that are taken from what the call gave, by their paths: `#{ CertificateArn: \"CertificateArn\" }`",
    ),
    optional(
        "request",
        Text,
        "of a service that `protocol` describes as `rest-json`",
    ),
];
const OPTIONS: &[Parameter] = &[
    optional(
        "idempotency",
        Text,
        "the param that carries the call's key, such as `ClientToken`; those that AWS's models mark are filled in without it",
    ),
    optional(
        "key_lives",
        Length,
        "how long the service knows that key; five minutes, if it is left out, and for ever with Secrets Manager",
    ),
    preset(
        "idempotent",
        Bool,
        "false",
        "made twice, the call leaves the same as once",
    ),
    preset("read", Bool, "false", "the call changes nothing"),
    preset("timeout", Length, "\"60s\"", "of each attempt"),
    preset(
        SECRET_OUTPUT,
        Either(&[Bool, List(&Text)]),
        "false",
        "all of the answer is secret; a list names what is, by paths such as `[\"Credentials.AccessKeyId\"]`",
    ),
    optional(
        "pages",
        Int,
        "reads up to so many pages of the result, and gives what they list as one; more pages are an error",
    ),
    optional(
        "undo",
        Record(UNDO),
        "the call of the same service that reverses it",
    ),
    optional(
        "protocol",
        Word(&["json", "rest-json"]),
        "describes a service that Windlass has no model of",
    ),
    optional(
        "json_version",
        Word(&["1.0", "1.1"]),
        "of the protocol `json`",
    ),
    optional(
        "target_prefix",
        Text,
        "of the protocol `json`: what stands before the operation in `X-Amz-Target`",
    ),
    optional(
        "http",
        Text,
        "of the protocol `rest-json`: method and path, such as `GET /v1/things/{Name}`",
    ),
    optional(
        "endpoint_prefix",
        Text,
        "the first part of the service's host name, if that is not its name",
    ),
    optional(
        "signing_name",
        Text,
        "its name in signatures, if that is another",
    ),
];

pub(super) static TABLE: [Function; 1] = [Function {
    name: FUNCTION,
    about: "Calls an operation of any service of AWS, signed with the target's credentials. Params and results have the names \
            of AWS's API. Operations whose names begin with `BatchGet`, `Describe`, `Get`, `Head`, `List`, `Lookup`, `Query`, \
            `Scan` or `Search` are reads; so are those of KMS that compute, and `AssumeRole` of STS. All others change \
            something. What AWS calls sensitive is a secret in the result: `SecretString`, the value of a `SecureString`, \
            the credentials of a role.",
    takes: &[
        required(
            "service",
            AwsService,
            "as the AWS CLI names it: `secretsmanager`",
        ),
        required(
            "operation",
            AwsOperation,
            "as AWS's API names it: `GetSecretValue`",
        ),
        optional("params", ValueKind::Map(&Any), "as AWS's API names them"),
        optional("options", Record(OPTIONS), ""),
    ],
    gives: Gives::new(
        Any,
        "the result as a map; moments as RFC 3339, blobs as bytes",
    ),
    does: Impact::Changes(Changing {
        unless: Some("read"),
        find: |before, _| match before.field("from_answer") {
            Some(Value::Map(paths)) if !paths.is_empty() => Finding::Impossible,
            _ => Finding::NotNeeded,
        },
        ..Changing::new(
            Doubt::Decided(
                &[Class::Unsure, Class::Read, Class::Keyed],
                "a read is made again; so is a change under the same key, where a param carries it, and one that is `idempotent`; \
                 any other stops and asks",
            ),
            Reversible::IfGiven("the call of the option `undo` is made", of_call),
        )
    }),
    needs: Needs::AwsOperation,
    example: "let found = aws::request(\"secretsmanager\", \"GetSecretValue\", #{ SecretId: inputs.name }).SecretString;",
    bind,
}];

fn bind<'b, 'm>(binder: &'b mut Binder<'m>) -> &'b mut Binder<'m> {
    binder
        .with(
            |context: NativeCallContext, service: &str, operation: &str| {
                call(&context, service, operation, Map::new(), Map::new())
            },
        )
        .with(
            |context: NativeCallContext, service: &str, operation: &str, params: Map| {
                call(&context, service, operation, params, Map::new())
            },
        )
        .with(
            |context: NativeCallContext,
             service: &str,
             operation: &str,
             params: Map,
             options: Map| call(&context, service, operation, params, options),
        )
}

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

/// The call of an undo, as it is stored in the journal.
struct Way {
    call: AwsCall,
    from_answer: BTreeMap<String, String>,
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
    let undo = match undo {
        None => None,
        Some(_) if asked.class == Class::Read => {
            return Err(refuse(FUNCTION, "a read has no `undo`: it changes nothing"));
        }
        Some(undo) => {
            let mut kept = kept_undo(service_name, &undo, &described);
            // Reports a mistake in the undo now, not when the undo is needed.
            let way = Way::read(&kept);
            let way = way.map_err(|why| refuse(FUNCTION, format!("`undo`: {why}")))?;
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
    Ok(to_dynamic(&perform(context, call)?))
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
                "`read` contradicts `idempotency` and `idempotent`: what changes nothing needs neither".into(),
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
            return Err(wrong("`pages` belongs to an operation that reads".into()));
        }
        if pages.is_some() && call.pages().is_none() {
            let name = format!("{service_name} {operation}");
            return Err(wrong(match call.service.is_described {
                true => {
                    format!("`pages` does not work here: how {name} names its pages is not known")
                }
                false => format!("{name} gives its result in one piece: leave `pages` out"),
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
            "`pages` is a number from 1 to {MAX_PAGES}, not {}",
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
    let keyed = with_param(call, token, key.as_str().into());
    let is_empty = match keyed.params.field(token) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Secret(secret)) => secret.reveal().is_empty(),
        Some(_) => false,
    };
    if !is_empty {
        return Ok(keyed);
    }
    let why = format!("the param `{token}` carries the call's key, and is empty");
    let failure = Failure::new(FailureClass::Rejected, &call.operation, "NoKey", why);
    Err(failure
        .with_hint(format!("leave `{token}` out: it is filled in"))
        .proving(Proof::NotDone))
}

/// Returns the param that AWS's models mark as the idempotency token of an operation.
fn marked_token(service: &Service, operation: &str) -> Option<String> {
    let operation = service.operations.get(operation)?;
    service.token(operation).map(str::to_owned)
}

fn described(options: &mut Arguments) -> Result<Option<Described>, Thrown> {
    let protocol = options.optional_text("protocol")?;
    let described = Described {
        protocol: protocol.clone().unwrap_or_default(),
        json_version: options.optional_text("json_version")?,
        target_prefix: options.optional_text("target_prefix")?,
        endpoint_prefix: options.optional_text("endpoint_prefix")?,
        signing_name: options.optional_text("signing_name")?,
        http: options.optional_text("http")?,
    };
    let is_empty = described == Described::default();
    match (protocol, is_empty) {
        (Some(_), _) => Ok(Some(described)),
        (None, true) => Ok(None),
        (None, false) => Err(refuse(
            FUNCTION,
            "a service is described by its `protocol`, and what belongs to it",
        )),
    }
}

fn find(
    name: &str,
    operation: &str,
    described: &Option<Described>,
) -> Result<Arc<Service>, String> {
    match (service(name), described) {
        (Some(_), Some(_)) => Err(format!("`{name}` is known: leave `protocol` out")),
        (Some(service), None) => match unknown_operation(service, operation) {
            Some((message, help)) => Err(format!("{message}: {help}")),
            None => Ok(service.clone()),
        },
        (None, Some(described)) => described.service(name, operation).map(Arc::new),
        (None, None) => {
            let (message, help) = unknown_service(name);
            Err(format!("{message}: {help}"))
        }
    }
}

/// Returns the error and the hint for an unknown service.
fn unknown_service(name: &str) -> (String, String) {
    let lower = name.to_ascii_lowercase();
    let lower: String = lower
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .collect();
    let exact = services().find(|known| known.replace('-', "") == lower);
    let help = match exact.or_else(|| closest(&lower, services())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "there is {}; others that speak JSON can be described by the option `protocol`",
            services().collect::<Vec<_>>().join(", ")
        ),
    };
    (format!("there is no service `{name}`"), help)
}

fn unknown_operation(service: &Service, operation: &str) -> Option<(String, String)> {
    if service.operations.contains_key(operation) {
        return None;
    }
    let names = || service.operations.keys().map(String::as_str);
    let plain = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
    // Accepts `get-secret-value` and `get_secret_value` as well, the forms of the CLI and of boto3.
    let exact = names().find(|known| plain(known) == plain(operation));
    let help = match exact.or_else(|| closest(operation, names())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the API Reference of {} lists them", service.id),
    };
    Some((
        format!("{} has no operation `{operation}`", service.name),
        help,
    ))
}

fn explained(call: &AwsCall, unfit: &Unfit) -> String {
    let name = format!("{} {}", call.service.name, call.operation);
    match &unfit.why {
        Misfit::Unknown(known) => {
            let last = unfit.path.rsplit('.').next().unwrap_or_default();
            match closest(last, known.iter().map(String::as_str)) {
                Some(near) => format!("{name}: {unfit}: did you mean `{near}`?"),
                None if known.is_empty() => format!("{name}: {unfit}: it takes none"),
                None => format!("{name}: {unfit} (there is {})", known.join(", ")),
            }
        }
        _ => format!("{name}: {unfit}"),
    }
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

/// Returns the part of an `undo` that is stored until it is needed.
fn kept_undo(service: &str, undo: &Value, described: &Option<Described>) -> Value {
    let mut kept = undo.as_map().cloned().unwrap_or_default();
    kept.insert("service".into(), service.into());
    if let Some(described) = described {
        let text = |text: &Option<String>| Value::from(text.clone());
        kept.insert(
            "described".into(),
            Value::map([
                ("protocol", described.protocol.as_str().into()),
                ("json_version", text(&described.json_version)),
                ("target_prefix", text(&described.target_prefix)),
                ("endpoint_prefix", text(&described.endpoint_prefix)),
                ("signing_name", text(&described.signing_name)),
            ]),
        );
    }
    Value::Map(kept)
}

impl Way {
    fn read(kept: &Value) -> Result<Self, String> {
        let text = |of: &Value, key: &str| of.field(key).and_then(Value::as_str).map(str::to_owned);
        let service_name = text(kept, "service").ok_or("it names no service")?;
        let operation = text(kept, "operation").ok_or("it needs `operation`")?;
        let described = kept.field("described").map(|of| Described {
            protocol: text(of, "protocol").unwrap_or_default(),
            json_version: text(of, "json_version"),
            target_prefix: text(of, "target_prefix"),
            endpoint_prefix: text(of, "endpoint_prefix"),
            signing_name: text(of, "signing_name"),
            http: text(kept, "http"),
        });
        let service = find(&service_name, &operation, &described)?;
        let params = match kept.field("params") {
            None | Some(Value::Null) => Value::map::<String>([]),
            Some(params) => params.clone(),
        };
        let from_answer = match kept.field("from_answer") {
            Some(Value::Map(paths)) => paths
                .iter()
                .map(|(name, path)| match path {
                    Value::String(path) => Ok((name.clone(), path.clone())),
                    other => Err(format!(
                        "`from_answer.{name}` is {}, not a path",
                        other.a_kind()
                    )),
                })
                .collect::<Result<_, _>>()?,
            _ => BTreeMap::new(),
        };
        let way = Self {
            call: AwsCall {
                service,
                operation,
                params,
                timeout: DEFAULT_TIMEOUT,
                // An undo may be repeated; the author declares that it is safe by giving one.
                is_repeatable: true,
                is_read: false,
            },
            from_answer,
        };
        let names = way.from_answer.keys();
        let whole = names.fold(way.call.clone(), |call, name| {
            with_param(&call, name, "answer".into())
        });
        whole.check().map_err(|unfit| explained(&whole, &unfit))?;
        Ok(way)
    }
}

/// Returns the value at a path of an answer: `Certificate.Arn`.
fn at<'v>(answer: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(answer, |value, key| match value {
        Value::List(items) => items.get(key.parse::<usize>().ok()?),
        other => other.field(key),
    })
}

/// Returns the reversal that makes the call which the script gave as `undo`.
fn of_call(done: Done, clients: &Clients) -> Reversal {
    if *done.before == Value::Null {
        return Reversal::never(format!("{} has no `undo`", named(&done)));
    }
    let way = match Way::read(done.before) {
        Ok(way) => way,
        Err(why) => {
            let what = named(&done);
            return Reversal::never(format!("the `undo` of {what} can't be read: {why}"));
        }
    };
    let mut call = way.call;
    for (name, path) in &way.from_answer {
        let found = done.result.and_then(|answer| at(answer, path));
        let Some(value) = found.filter(|value| **value != Value::Null) else {
            let what = named(&done);
            return Reversal::never(format!(
                "what {what} gave has no `{path}`, which its `undo` needs"
            ));
        };
        call = with_param(&call, name, value.clone());
    }
    let what = object(&call);
    let (client, about) = (clients.aws.clone(), what.as_str().into());
    // The call is sent again if its answer is lost, so it carries its key wherever AWS takes one.
    let token = marked_token(&call.service, &call.operation);
    Reversal::By(WayBack::blind(what, UNDOING, about, move |key| {
        let (client, keyed) = (client.clone(), with_key(&call, token.as_deref(), &key));
        async move {
            match client.call(&keyed?).await {
                Ok(_) => Ok(Reversed::Done),
                Err(failure) if is_gone(&failure.code) => {
                    Ok(Reversed::Already(format!("it is gone ({})", failure.code)))
                }
                Err(failure) => Err(failure),
            }
        }
    }))
}

/// Says whether an error means that the thing does not exist (any more).
fn is_gone(code: &str) -> bool {
    code.starts_with("NoSuch")
        || code.ends_with("NotFound")
        || code.ends_with("NotFoundException")
        || code.ends_with("NotFoundFault")
        || code == "NoSuchEntity"
}

/// Makes an operation's result secret in the same places as the client does: what AWS's models mark as sensitive. `record` holds the
/// arguments of the call, as in the journal.
pub(super) fn sealed(record: &Value, answer: Value) -> Value {
    let text = |key: &str| record.field(key).and_then(Value::as_str);
    // Services that are only described by the script have no model.
    let known = text("service").and_then(service);
    let operation = known.zip(text("operation"));
    match operation.and_then(|(known, name)| Some((known, known.operations.get(name)?))) {
        Some((known, operation)) => sealed_result(known, operation, answer),
        None => answer,
    }
}

fn named(done: &Done) -> String {
    let text = |key: &str| done.arguments.get(key).and_then(serde_json::Value::as_str);
    match (text("service"), text("operation")) {
        (Some(service), Some(operation)) => format!("{service}:{operation}"),
        _ => done.function.to_owned(),
    }
}

/// Finds a mistake in the literal arguments of a call: the argument, from 0, the message, and the hint.
pub(in super::super) fn literal_mistake(
    service_name: &str,
    operation: Option<&str>,
    is_described: bool,
) -> Option<(usize, String, String)> {
    if is_described {
        return None;
    }
    match service(service_name) {
        None => {
            let (message, help) = unknown_service(service_name);
            Some((0, message, help))
        }
        Some(service) => {
            let (message, help) = unknown_operation(service, operation?)?;
            Some((1, message, help))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(params: &str) -> AwsCall {
        AwsCall {
            service: service("secretsmanager").expect("a model").clone(),
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
    fn a_param_of_an_answer_is_found_by_its_path() {
        let answer = Value::parse_json(r#"{"a":{"b":[{"c":"x"}]}}"#).expect("JSON");
        assert_eq!(at(&answer, "a.b.0.c"), Some(&"x".into()));
        assert_eq!(at(&answer, "a.b.1.c"), None);
    }

    #[test]
    fn a_misspelt_name_is_found() {
        let help = |service: &str, operation: &str| {
            let found = literal_mistake(service, Some(operation), false);
            found.map_or_else(String::new, |(_, message, help)| {
                format!("{message}: {help}")
            })
        };
        assert_eq!(
            help("SecretsManager", "GetSecretValue"),
            "there is no service `SecretsManager`: did you mean `secretsmanager`?"
        );
        assert_eq!(
            help("secretsmanager", "get-secret-value"),
            "secretsmanager has no operation `get-secret-value`: did you mean `GetSecretValue`?"
        );
        assert_eq!(help("secretsmanager", "GetSecretValue"), "");
        assert!(help("nonsense", "X").contains("can be described by the option `protocol`"));
    }
}
