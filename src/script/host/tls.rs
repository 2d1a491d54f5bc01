//! `tls`: reads the chain that a server presents, and checks whether two sides would accept each other.

use rhai::{Dynamic, Map, NativeCallContext};

use super::{
    Thrown, WRONG_ARGUMENTS,
    arguments::{Arguments, both, refuse},
    function::{
        Function, Gives,
        Impact::{Reads, Records},
        Needs, Parameter,
        ValueKind::{self, Bool, Duration, Either, Int, List, Record, Text, Word},
        joined, optional, preset, required,
    },
    host, on_blocking_thread, perform, rejected, x509,
};
use crate::{dynamic::to_dynamic, effects::Call};
use windlass_world::{
    outside::{Handshake, Met, Probe, Served, Side, TlsVersion},
    value::{Secret, Value, parse_duration},
    x509::{Certificate, PeerName, pem},
};

const PEM: ValueKind = Either(&[Text, ValueKind::Secret]);

/// The options for requesting a server's chain.
pub(super) const PROBE: &[Parameter] = &[
    optional("server_name", Text, "the requested server name (SNI)"),
    optional("alpn", List(&Text), "the offered protocols, such as `h2`"),
    preset(
        "timeout",
        Duration,
        "\"10s\"",
        "for the connection and the handshake",
    ),
    optional("client_certificate", PEM, "PEM, with `client_key`"),
    optional("client_key", PEM, "PEM"),
];

pub(super) const SERVED: &[Parameter] = &[
    required("pem", Text, "the whole chain, as it was served"),
    required(
        "certificates",
        List(&Record(SERVED_CERTIFICATE)),
        "the leaf first",
    ),
    required("tls", Word(&["1.3", "1.2"]), ""),
    required(
        "alpn",
        Text,
        "the protocol that the server chose; empty for none",
    ),
    required(
        "asks_for_certificate",
        Bool,
        "whether the server asked for a client certificate",
    ),
    required(
        "accepted",
        Bool,
        "`false` if the server rejected the client, in TLS 1.3 after the handshake",
    ),
    required("error", Text, "why the server rejected the client"),
];

const SERVED_CERTIFICATE: &[Parameter] = &joined::<2, 14, 16>(
    [
        required("pem", Text, ""),
        required("sans", List(&Text), "all alternative names"),
    ],
    x509::CERTIFICATE,
);

const NAME: &str = "the name that the other side must have: a host, an IP address or a URI; `spiffe://td/` matches every URI below it";

const CLIENT: &[Parameter] = &[
    optional("certificate", PEM, "with its chain"),
    optional("key", PEM, ""),
    required("roots", PEM, "the trusted root certificates"),
    optional("server_name", Text, NAME),
    optional("alpn", List(&Text), ""),
];
const SERVER: &[Parameter] = &[
    required("certificate", PEM, "with its chain"),
    required("key", PEM, ""),
    optional(
        "roots",
        PEM,
        "the trusted root certificates; without them, the server does not request a client certificate",
    ),
    optional("client_name", Text, NAME),
    optional("alpn", List(&Text), ""),
];
const HANDSHAKE: &[Parameter] = &[
    required("client", Record(CLIENT), ""),
    required("server", Record(SERVER), ""),
    optional(
        "at",
        Text,
        "the current time for both sides, RFC 3339; by default now",
    ),
    optional("tls", Word(&["1.3", "1.2"]), "by default the newest"),
];
const MET: &[Parameter] = &[
    required("ok", Bool, ""),
    required(
        "tls",
        Text,
        "`1.3` or `1.2`; empty if the handshake failed before that",
    ),
    required("error", Text, "why one side rejected the other"),
    required("refused_by", Word(&["client", "server", ""]), ""),
];

pub(super) static TABLE: [Function; 2] = [
    Function {
        name: "tls::chain",
        about: "Reads the chain that a server presents. The chain is not verified.",
        takes: &[
            required("host", Text, "by default also the `server_name`"),
            required("port", Int, ""),
            optional("options", Record(PROBE), ""),
        ],
        gives: Gives::new(Record(SERVED), ""),
        does: Reads,
        needs: Needs::Nothing,
        example: "let expires = tls::chain(\"example.com\", 443).certificates[0].not_after;",
        bind: |b| {
            b.with(chain)
                .with(|context: NativeCallContext, host: &str, port: i64| {
                    chain(context, host, port, Map::new())
                })
        },
    },
    Function {
        name: "tls::handshake",
        about: "Performs a TLS handshake between a client and a server in memory, with rustls. A rejected handshake is a result, not a failure.",
        takes: &[required("sides", Record(HANDSHAKE), "")],
        gives: Gives::new(Record(MET), ""),
        does: Records,
        needs: Needs::Nothing,
        example: "let met = tls::handshake(#{ client: #{ roots: inputs.roots }, server: #{ certificate: inputs.certificate, key: inputs.key } });",
        bind: |b| b.with(handshake),
    },
];

/// Implements `tls::chain(host, port, #{ server_name, alpn, timeout, client_certificate, client_key })`: returns the chain that
/// a server presents, without verifying it. Without `server_name`, the host is sent as the server name.
fn chain(
    context: NativeCallContext,
    server: &str,
    port: i64,
    options: Map,
) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "tls::chain";
    let port = port_of(FUNCTION, port)?;
    let (mut probe, options) = probe(FUNCTION, options)?;
    if probe.server_name.is_none() {
        probe.server_name = Some(server.trim_matches(['[', ']']).to_owned());
    }
    let record = Value::map([
        ("host", Value::from(server)),
        ("port", i64::from(port).into()),
        ("options", options),
    ]);
    let (client, server) = (host(&context)?.clients.http, server.to_owned());
    let call = Call::of(FUNCTION, record, move |_| async move {
        client
            .tls_chain(&server, port, &probe)
            .await
            .map(served_value)
    });
    Ok(to_dynamic(&perform(&context, call)?))
}

pub(super) fn port_of(function: &str, port: i64) -> Result<u16, Thrown> {
    match u16::try_from(port) {
        Ok(port @ 1..) => Ok(port),
        _ => Err(refuse(function, format!("{port} is not a valid port"))),
    }
}

/// Reads the options of the request, and returns them for the record as well.
pub(super) fn probe(function: &'static str, options: Map) -> Result<(Probe, Value), Thrown> {
    let mut arguments = Arguments::new(function, options)?;
    let record = arguments.to_value_hiding(&["client_key"]);
    let timeout = parse_duration(&arguments.text("timeout")?)
        .map_err(|e| refuse(function, format!("`timeout`: {e}")))?;
    let identity = (
        arguments.optional_secret("client_certificate")?,
        arguments.optional_secret("client_key")?,
    );
    let identity = both(function, identity, "`client_certificate` and `client_key`")?;
    let probe = Probe {
        server_name: arguments.optional_text("server_name")?,
        alpn: arguments.texts("alpn")?,
        identity: identity.map(revealed),
        timeout,
    };
    arguments.finish()?;
    Ok((probe, record))
}

/// Returns the text of a certificate, which a script may have as a secret, and its key.
fn revealed((certificate, key): (Secret, Secret)) -> (String, Secret) {
    (certificate.reveal().to_owned(), key)
}

/// Returns a chain as scripts see it.
pub(super) fn served_value(served: Served) -> Value {
    let certificates = served.certificates.iter().map(certificate_value).collect();
    Value::map([
        ("pem", Value::from(served.pem)),
        ("certificates", Value::List(certificates)),
        ("tls", served.tls.into()),
        ("alpn", served.alpn.unwrap_or_default().into()),
        ("asks_for_certificate", served.asks_for_certificate.into()),
        ("accepted", served.is_accepted.into()),
        ("error", served.refusal.unwrap_or_default().into()),
    ])
}

/// Returns a certificate as `x509::read` does, with its PEM and all its names in one list.
fn certificate_value(certificate: &Certificate) -> Value {
    let names = &certificate.names;
    let addresses = names.ip_addresses.iter().map(ToString::to_string);
    let sans: Vec<String> = (names.dns_names.iter().cloned())
        .chain(addresses)
        .chain(names.uris.iter().cloned())
        .chain(names.email_addresses.iter().cloned())
        .collect();
    let mut value = certificate.to_value();
    if let Value::Map(fields) = &mut value {
        let pem = pem::encode("CERTIFICATE", &certificate.der);
        fields.insert("pem".into(), pem.into());
        fields.insert("sans".into(), sans.into());
    }
    value
}

/// Implements `tls::handshake(#{ client: #{ certificate, key, roots, server_name, alpn }, server: #{ certificate, key, roots,
/// client_name, alpn }, at, tls })`: makes a handshake between two sides in memory, and says which side rejects the other.
fn handshake(context: NativeCallContext, map: Map) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "tls::handshake";
    let mut arguments = Arguments::new(FUNCTION, map)?;
    let record = arguments.to_value_hiding(&["key"]);
    let version = match arguments.optional_text("tls")? {
        None => None,
        Some(text) => {
            let version = text.parse::<TlsVersion>();
            let why = || {
                refuse(
                    FUNCTION,
                    format!("`tls` must be \"1.2\" or \"1.3\", not `{text}`"),
                )
            };
            Some(version.map_err(|_| why())?)
        }
    };
    let handshake = Handshake {
        client: side(FUNCTION, &mut arguments, "client", "server_name")?,
        server: side(FUNCTION, &mut arguments, "server", "client_name")?,
        at: arguments.optional_time("at")?,
        version,
    };
    arguments.finish()?;
    let call = Call::of(FUNCTION, record, move |_| async move {
        on_blocking_thread(FUNCTION, move || handshake.shake())
            .await?
            .map(met_value)
            .map_err(|why| rejected(FUNCTION, WRONG_ARGUMENTS, why))
    });
    Ok(to_dynamic(&perform(&context, call)?))
}

fn side(
    function: &'static str,
    arguments: &mut Arguments,
    which: &'static str,
    peer: &'static str,
) -> Result<Side, Thrown> {
    let Some(mut given) = arguments.optional_map(which)? else {
        return Err(refuse(function, format!("`{which}` is required, a map")));
    };
    let identity = (
        given.optional_secret("certificate")?,
        given.optional_secret("key")?,
    );
    let names = format!("`certificate` and `key` of the {which}");
    let identity = both(function, identity, names)?;
    let roots = given.optional_secret("roots")?;
    let name = given.optional_text(peer)?;
    let name = name.map(|name| PeerName::parse(&name));
    let side = Side {
        identity: identity.map(revealed),
        roots: roots.map(|roots| roots.reveal().to_owned()),
        peer: name
            .transpose()
            .map_err(|e| refuse(function, format!("`{peer}`: {e}")))?,
        alpn: given.texts("alpn")?,
    };
    given.finish()?;
    Ok(side)
}

fn met_value(met: Met) -> Value {
    let is_ok = met.refusal.is_none();
    let (who, why) = met.refusal.unwrap_or_default();
    let version = met.version.map(|version| version.to_string());
    Value::map([
        ("ok", is_ok.into()),
        ("tls", version.unwrap_or_default().into()),
        ("error", why.into()),
        ("refused_by", who.into()),
    ])
}
