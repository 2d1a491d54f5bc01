use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};

use super::{channels, session::Session, spdy, tunnel};
use crate::{
    api::Call,
    object::{text, uid},
    wire::{Answer, Failure, Incoming, Query},
};
use windlass_ground::lock;

/// The WebSocket subprotocol for port-forward that kubelets support. They do not support `v5.channel.k8s.io`, which some
/// clients offer as well (k8s.io/cri-streaming, portforward/websocket.go).
const CHANNELS: &str = "v4.channel.k8s.io";
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const SPDY: &str = "SPDY/3.1";
/// The protocol within SPDY.
const PORT_FORWARD: &str = "portforward.k8s.io";

/// A connection that becomes a port-forward once the response has been sent.
pub(crate) struct Forward {
    session: Session,
    way: Way,
    /// The key of a WebSocket request, from which the accept header is computed.
    key: String,
    upgrade: OnUpgrade,
}

/// The protocol that carries the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// The ports, in the order of their channels.
    Channels(Vec<u16>),
    Tunnel,
    Spdy,
}

/// Answers `pods/NAME/portforward`.
///
/// # Errors
/// The API server's errors for a pod that does not exist or has no node, and for a request without an upgrade; the kubelet's
/// errors for ports and protocols that it does not support.
pub(crate) fn start(call: &Call) -> Result<Answer, Failure> {
    let pod = call
        .service
        .store
        .read(|tx| tx.get(&call.resource.key(), call.namespace(), call.name()))?
        .ok_or_else(|| Failure::not_found(&call.resource, call.name()))?;
    if text(&pod, "/spec/nodeName").is_none() {
        let name = call.name();
        return Err(Failure::bad_request(format!(
            "pod {name} does not have a host assigned"
        )));
    }
    let way = Way::of(call.incoming, &call.query)?;
    let upgrade = &call.incoming.upgrade;
    let upgrade = lock(upgrade);
    let upgrade = { upgrade }.take().ok_or_else(upgrade_required)?;
    Ok(Answer::Forward(Box::new(Forward {
        session: Session {
            service: Arc::clone(call.service),
            namespace: call.namespace().to_owned(),
            pod: call.name().to_owned(),
            uid: uid(&pod).to_owned(),
        },
        way,
        key: call.incoming.header("sec-websocket-key").to_owned(),
        upgrade,
    })))
}

/// Returns whether a request asks for a WebSocket. Since Kubernetes 1.35, such a GET also requires the permission to create
/// (kubernetes/kubernetes#134577).
pub(crate) fn asks_for_websocket(incoming: &Incoming) -> bool {
    has_word(incoming, "connection", "upgrade") && has_word(incoming, "upgrade", "websocket")
}

fn has_word(incoming: &Incoming, header: &str, word: &str) -> bool {
    let mut words = incoming.header(header).split(',');
    words.any(|found| found.trim().eq_ignore_ascii_case(word))
}

fn upgrade_required() -> Failure {
    Failure::bad_request("Upgrade request required")
}

impl Way {
    fn of(incoming: &Incoming, query: &Query) -> Result<Self, Failure> {
        if asks_for_websocket(incoming) {
            let all = incoming.headers.get_all("sec-websocket-protocol").iter();
            let all = all.filter_map(|value| value.to_str().ok());
            let offered: Vec<_> = all
                .flat_map(|value| value.split(','))
                .map(str::trim)
                .collect();
            if incoming.header("sec-websocket-key").is_empty()
                || incoming.header("sec-websocket-version") != "13"
            {
                return Err(Failure::bad_request(
                    "unsupported WebSocket version, expected 13",
                ));
            }
            if offered.contains(&TUNNEL) {
                return Ok(Self::Tunnel);
            }
            if !offered.contains(&CHANNELS) {
                return Err(Failure::bad_request(format!(
                    "unable to negotiate protocol: client supports {offered:?}, server accepts [{CHANNELS:?} {TUNNEL:?}]"
                )));
            }
            return Ok(Self::Channels(ports(query)?));
        }
        if !has_word(incoming, "connection", "upgrade") || !has_word(incoming, "upgrade", SPDY) {
            return Err(upgrade_required());
        }
        if has_word(incoming, "x-stream-protocol-version", PORT_FORWARD) {
            Ok(Self::Spdy)
        } else {
            let offered = incoming.header("x-stream-protocol-version");
            Err(Failure::bad_request(format!(
                "unable to negotiate protocol: client supports [{offered}], server accepts [{PORT_FORWARD}]"
            )))
        }
    }
}

/// Reads the ports of a query, `ports=80,1234`, without duplicates.
fn ports(query: &Query) -> Result<Vec<u16>, Failure> {
    // Each port has two channels, which are numbered with one byte.
    const MOST: usize = 128;
    let given = query
        .get("ports")
        .ok_or_else(|| Failure::bad_request("query parameter \"ports\" is required"))?;
    let mut ports = Vec::new();
    for text in given.split(',') {
        match text.parse() {
            Ok(port @ 1..) if !ports.contains(&port) => ports.push(port),
            Ok(1..) => {}
            _ => {
                return Err(Failure::bad_request(format!(
                    "unable to parse {text:?} as a port"
                )));
            }
        }
    }
    if ports.len() > MOST {
        Err(Failure::bad_request(format!("more than {MOST} ports")))
    } else {
        Ok(ports)
    }
}

impl Forward {
    /// Returns the response, and takes over the connection after it.
    pub fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = axum::http::StatusCode::SWITCHING_PROTOCOLS;
        let mut headers = vec![(header::CONNECTION.as_str(), "Upgrade".to_owned())];
        match &self.way {
            Way::Spdy => headers.extend([
                (header::UPGRADE.as_str(), SPDY.to_owned()),
                ("x-stream-protocol-version", PORT_FORWARD.to_owned()),
            ]),
            Way::Channels(_) | Way::Tunnel => headers.extend([
                (header::UPGRADE.as_str(), "websocket".to_owned()),
                (
                    header::SEC_WEBSOCKET_ACCEPT.as_str(),
                    derive_accept_key(self.key.as_bytes()),
                ),
                (
                    header::SEC_WEBSOCKET_PROTOCOL.as_str(),
                    match self.way {
                        Way::Tunnel => TUNNEL.to_owned(),
                        _ => CHANNELS.to_owned(),
                    },
                ),
            ]),
        }
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        tokio::spawn(self.run());
        response
    }

    async fn run(self) {
        // The client may have left before the response.
        let Ok(upgraded) = self.upgrade.await else {
            return;
        };
        let io = TokioIo::new(upgraded);
        let session = self.session;
        match self.way {
            Way::Spdy => spdy::serve(&session, io).await,
            Way::Tunnel => {
                let socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
                tunnel::serve(&session, socket).await;
            }
            Way::Channels(ports) => {
                let socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
                channels::serve(&session, socket, &ports).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(headers: &[(&str, &str)], query: &str) -> Result<Way, String> {
        let mut incoming = Incoming::default();
        for (name, value) in headers {
            let name = axum::http::HeaderName::try_from(*name).unwrap();
            incoming.headers.append(name, value.parse().unwrap());
        }
        Way::of(&incoming, &Query::read(query)).map_err(|failure| failure.to_string())
    }

    /// Checks the protocols that the kube crate, kubectl, and kubectl without WebSockets offer.
    #[test]
    fn each_client_gets_a_protocol_that_it_offers() {
        let websocket = |protocol| {
            [
                ("connection", "Upgrade"),
                ("upgrade", "websocket"),
                ("sec-websocket-version", "13"),
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
                ("sec-websocket-protocol", protocol),
            ]
        };
        let kube = websocket("v5.channel.k8s.io, v4.channel.k8s.io");
        assert_eq!(
            way(&kube, "&ports=15012%2C80%2C80"),
            Ok(Way::Channels(vec![15012, 80]))
        );
        for (query, why) in [
            ("", "is required"),
            ("ports=", "is required"),
            ("ports=80,0", "\"0\" as a port"),
            ("ports=65536", "\"65536\" as a port"),
        ] {
            let error = way(&kube, query).unwrap_err();
            assert!(error.contains(why), "{query}: {error}");
        }
        assert_eq!(way(&websocket(TUNNEL), ""), Ok(Way::Tunnel));
        let unknown = way(&websocket("v5.channel.k8s.io"), "ports=80").unwrap_err();
        assert!(
            unknown.contains("unable to negotiate protocol"),
            "{unknown}"
        );
        let spdy = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];
        let offers = ("x-stream-protocol-version", "portforward.k8s.io");
        assert_eq!(way(&[&spdy[..], &[offers]].concat(), ""), Ok(Way::Spdy));
        assert!(way(&spdy, "").unwrap_err().contains("client supports []"));
        assert_eq!(way(&[], "ports=80"), Err("Upgrade request required".into()));
    }
}
