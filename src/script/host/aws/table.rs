//! The function of `aws`, and its options.

use rhai::{Map, NativeCallContext};

use super::{FUNCTION, MAX_PAGES, call, undo::of_call};
use crate::{
    effects::Class,
    host::function::{
        Binder, Changing, Doubt, Function, Gives, Impact, Needs, Parameter, Reversible,
        ValueKind::{
            self, Any, AwsOperation, AwsService, Bool, Duration as Length, Either, List, Record,
            Text, Word,
        },
        optional, preset, required,
    },
    secrecy::SECRET_OUTPUT,
};

pub(super) const UNDO: &[Parameter] = &[
    required("operation", Text, "such as `DeleteSecret`"),
    optional("params", ValueKind::Map(&Any), ""),
    optional(
        "from_answer",
        ValueKind::Map(&Text),
        "params taken from the result of the call, by path: `#{ CertificateArn: \"CertificateArn\" }`",
    ),
    optional(
        "request",
        Text,
        "method and path, as in `http`, for a service that `protocol` describes as `rest-json`",
    ),
];
const OPTIONS: &[Parameter] = &[
    optional(
        "idempotency",
        Text,
        "the param for the call's key, such as `ClientToken`; params that AWS's models mark for this are filled in automatically",
    ),
    optional(
        "key_lives",
        Length,
        "how long the service remembers the key; by default five minutes, and for Secrets Manager without end",
    ),
    preset(
        "idempotent",
        Bool,
        "false",
        "making the call again has no further effect",
    ),
    preset("read", Bool, "false", "the call changes nothing"),
    preset("timeout", Length, "\"60s\"", "of each attempt"),
    preset(
        SECRET_OUTPUT,
        Either(&[Bool, List(&Text)]),
        "false",
        "the whole answer is secret; a list names the secret parts by path, such as `[\"Credentials.AccessKeyId\"]`",
    ),
    optional(
        "pages",
        ValueKind::Between(1, MAX_PAGES),
        "reads up to this many pages of the result, and returns their items as one list; more pages are an error",
    ),
    optional(
        "undo",
        Record(UNDO),
        "the call of the same service that reverses it",
    ),
    optional(
        "protocol",
        Word(&["json", "rest-json"]),
        "describes a service for which Windlass has no model",
    ),
    optional(
        "json_version",
        Word(&["1.0", "1.1"]),
        "for the protocol `json`",
    ),
    optional(
        "target_prefix",
        Text,
        "for the protocol `json`: the text before the operation in `X-Amz-Target`",
    ),
    optional(
        "http",
        Text,
        "for the protocol `rest-json`: method and path, such as `GET /v1/things/{Name}`",
    ),
    optional(
        "endpoint_prefix",
        Text,
        "the first part of the service's host name, if it differs from its name",
    ),
    optional(
        "signing_name",
        Text,
        "its name in signatures, if it differs from its name",
    ),
];

pub(in super::super) static TABLE: [Function; 1] = [Function {
    name: FUNCTION,
    about: "Calls an operation of any service of AWS, signed with the target's credentials. Params and results have the same names as in AWS's API. Operations whose names begin with `BatchGet`, `Describe`, `Get`, `Head`, `List`, `Lookup`, `Query`, \
            `Scan` or `Search` are reads; so are those of KMS that compute, and `AssumeRole` of STS. All others change \
            something. Values that AWS marks as sensitive are secrets in the result: `SecretString`, the value of a `SecureString`, \
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
        "the result as a map; times in RFC 3339, blobs as bytes",
    ),
    does: Impact::Changes(Changing {
        unless: Some("read"),
        ..Changing::new(
            Doubt::Decided(
                &[Class::Unsure, Class::Read, Class::Keyed],
                "repeated if it is a read, is `idempotent`, or has its key in a param (it is sent with the same key); otherwise the run stops and asks",
            ),
            Reversible::IfGiven(
                "the call of the option `undo` is made; if it is not known whether the call was made, an undo asks first",
                of_call,
            ),
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
