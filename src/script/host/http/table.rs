//! The functions of `http`, and their options.

use rhai::{Map, NativeCallContext};

use super::{FIRST_STATUS, LAST_STATUS, check_method, of_request, send};
use crate::{
    effects::Class,
    host::function::{
        Bind, Binder, Changing, Doubt, Function, Gives, Impact, Needs, Parameter, Reversible,
        ValueKind::{self, Any, Bool, Bytes, Duration, Either, Float, Int, List, Record, Text},
        joined, optional, preset, required,
    },
    secrecy::SECRET_OUTPUT,
};
use windlass_world::{
    outside::check_url,
    value::{Secret, Value},
};

const SCALAR: ValueKind = Either(&[Text, ValueKind::Secret, Int, Float, Bool]);
const URL: ValueKind = Either(&[ValueKind::Form(check_url), ValueKind::Secret]);

const HEADERS: Parameter = optional("headers", ValueKind::Map(&SCALAR), "");
const QUERY: Parameter = optional("query", ValueKind::Map(&SCALAR), "added to the URL");
const JSON: Parameter = optional("json", Any, "the body, as JSON");
const FIELD: ValueKind = Either(&[Text, ValueKind::Secret, Int, Float, Bool, Bytes]);
const FORM: Parameter = optional("form", ValueKind::Map(&FIELD), "the body, as a form");
const BODY: Parameter = optional(
    "body",
    Either(&[Text, ValueKind::Secret, Bytes]),
    "the body, as it is",
);
const TIMEOUT: Parameter = preset("timeout", Duration, "\"30s\"", "");
const CA: Parameter = optional("ca", Text, "the trusted CA certificates, PEM");
const CERTIFICATE: Parameter = optional("client_certificate", Text, "PEM, with `client_key`");
const KEY: Parameter = optional("client_key", Either(&[Text, ValueKind::Secret]), "PEM");
const STATUS: ValueKind = ValueKind::Between(FIRST_STATUS as i64, LAST_STATUS as i64);
const EXPECT: Parameter = optional(
    "expect",
    Either(&[List(&STATUS), STATUS]),
    "the statuses that mean success; by default every 2xx",
);
const IDEMPOTENCY: Parameter = optional(
    "idempotency",
    Either(&[Bool, Text]),
    "`true` sends the call's key as `Idempotency-Key`; a string names another header",
);
const HIDDEN: Parameter = preset(
    SECRET_OUTPUT,
    Either(&[Bool, List(&Text)]),
    "false",
    "the answer's body is secret, and all headers except those about the transfer, such as `content-type`; a list names the secret parts instead, such as `[\"json.token\", \"headers.set-cookie\"]`",
);

/// The options of every request.
const REQUEST: [Parameter; 11] = [
    HEADERS,
    QUERY,
    JSON,
    FORM,
    BODY,
    TIMEOUT,
    CA,
    CERTIFICATE,
    KEY,
    EXPECT,
    IDEMPOTENCY,
];
/// The request of the option `undo`.
pub(super) const UNDO: &[Parameter] = &joined::<13, 1, 14>(
    joined::<2, 11, 13>(
        [
            required("method", ValueKind::Form(check_method), "such as `DELETE`"),
            required("url", URL, ""),
        ],
        REQUEST,
    ),
    [HIDDEN],
);
const READ: Parameter = preset(
    "read",
    Bool,
    "false",
    "the request changes nothing: a login, a search",
);
const REVERSED_BY: Parameter = optional("undo", Record(UNDO), "the request that reverses it");
/// The options for methods that only read: there is nothing to reverse.
const OPTIONS_OF_GET: &[Parameter] = &joined::<11, 1, 12>(REQUEST, [HIDDEN]);
const OPTIONS: &[Parameter] = &joined::<11, 2, 13>(REQUEST, [HIDDEN, REVERSED_BY]);
/// The options for methods that do not say what the request does.
const OPTIONS_OF_POST: &[Parameter] = &joined::<11, 3, 14>(REQUEST, [READ, HIDDEN, REVERSED_BY]);
pub(in super::super) const ANSWER: &[Parameter] = &[
    required("status", Int, ""),
    required(
        "headers",
        ValueKind::Map(&Text),
        "by their names in lower case",
    ),
    required(
        "body",
        Text,
        "decoded with the charset of the answer, or else as UTF-8",
    ),
    required("body_bytes", Bytes, ""),
    required("json", Any, "the body, parsed; `()` if it is empty"),
];

const PARAMETERS: &[Parameter] = &[
    required("url", URL, ""),
    optional("options", Record(OPTIONS), ""),
];
const PARAMETERS_OF_GET: &[Parameter] = &[
    required("url", URL, ""),
    optional("options", Record(OPTIONS_OF_GET), ""),
];
const PARAMETERS_OF_POST: &[Parameter] = &[
    required("url", URL, ""),
    optional("options", Record(OPTIONS_OF_POST), ""),
];

/// Returns the function for a method.
const fn method(
    name: &'static str,
    about: &'static str,
    does: Impact,
    example: &'static str,
    bind: Bind,
) -> Function {
    Function {
        name,
        about,
        takes: match does {
            Impact::Changes(Changing {
                unless: Some(_), ..
            }) => PARAMETERS_OF_POST,
            Impact::Reads => PARAMETERS_OF_GET,
            _ => PARAMETERS,
        },
        gives: Gives::new(Record(ANSWER), ""),
        does,
        needs: Needs::Nothing,
        example,
        bind,
    }
}

const UNDONE: Reversible = Reversible::IfGiven(
    "the request of the option `undo` is sent; if it is not known whether the call was made, an undo asks first",
    of_request,
);

const fn again() -> Impact {
    Impact::Changes(Changing::new(
        Doubt::Again("sent again: HTTP defines the method as idempotent (RFC 9110, 9.2.2)"),
        UNDONE,
    ))
}

const fn asks() -> Impact {
    Impact::Changes(Changing {
        unless: Some("read"),
        ..Changing::new(
            Doubt::Decided(
                &[Class::Unsure, Class::Read, Class::Keyed],
                "the run stops and asks; with `idempotency`, it is sent again with the same key; with `read`, it is sent again like a GET",
            ),
            UNDONE,
        )
    })
}

pub(in super::super) static TABLE: [Function; 7] = [
    method(
        "http::delete",
        "Sends a DELETE request.",
        again(),
        "http::delete(`${inputs.url}/users/a`, #{ expect: [204, 404] });",
        |b| bind(b, "http::delete", "DELETE"),
    ),
    method(
        "http::get",
        "Sends a GET request.",
        Impact::Reads,
        "let health = http::get(inputs.url, #{ timeout: \"5s\" }).json;",
        |b| bind(b, "http::get", "GET"),
    ),
    method(
        "http::head",
        "Sends a HEAD request.",
        Impact::Reads,
        "let status = http::head(inputs.url).status;",
        |b| bind(b, "http::head", "HEAD"),
    ),
    method(
        "http::options",
        "Sends an OPTIONS request.",
        Impact::Reads,
        "let allowed = http::options(inputs.url).headers;",
        |b| bind(b, "http::options", "OPTIONS"),
    ),
    method(
        "http::patch",
        "Sends a PATCH request.",
        asks(),
        "http::patch(inputs.url, #{ json: #{ enabled: true }, idempotency: true });",
        |b| bind(b, "http::patch", "PATCH"),
    ),
    method(
        "http::post",
        "Sends a POST request.",
        asks(),
        "http::post(inputs.url, #{ json: #{ name: \"a\" }, idempotency: true });",
        |b| bind(b, "http::post", "POST"),
    ),
    method(
        "http::put",
        "Sends a PUT request.",
        again(),
        "http::put(inputs.url, #{ json: #{ password: inputs.wanted }, undo: #{ method: \"PUT\", url: inputs.url, json: #{ password: inputs.current } } });",
        |b| bind(b, "http::put", "PUT"),
    ),
];

fn bind<'b, 'm>(
    binder: &'b mut Binder<'m>,
    function: &'static str,
    method: &'static str,
) -> &'b mut Binder<'m> {
    binder
        .with(move |context: NativeCallContext, url: &str| {
            send(&context, function, method, url.into(), Map::new())
        })
        .with(move |context: NativeCallContext, url: &str, options: Map| {
            send(&context, function, method, url.into(), options)
        })
        .with(move |context: NativeCallContext, url: Secret| {
            send(&context, function, method, Value::Secret(url), Map::new())
        })
        .with(
            move |context: NativeCallContext, url: Secret, options: Map| {
                send(&context, function, method, Value::Secret(url), options)
            },
        )
}
