//! Connects to the ports of pods.

use std::{pin::Pin, time::Duration};

use futures_util::{FutureExt, future::Shared};
use http::{HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Error,
    api::Portforwarder,
    client::{Body, UpgradeConnectionError},
};
use tokio::io::DuplexStream;
use windlass_ground::boxed;

use super::{
    client::{CALL_TIMEOUT, KubeClient},
    failure::{About, classify, unauthenticated},
    resource::is_name,
    retry::Pauses,
};
use crate::{
    outside::{
        http::{HttpResponse, MAX_BODY_BYTES, headers},
        tls::{Probe, Served, no_answer, served_chain},
    },
    value::{Failure, FailureClass, causes},
};

/// How long after the end of a connection its reason may arrive.
const REASON: Duration = Duration::from_secs(1);
/// A pod in the same network answers a GET in well under a second.
const GET_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection to a port of a pod. Dropping it closes the connection.
struct Forwarded {
    about: About,
    port: u16,
    stream: DuplexStream,
    /// The kubelet's message if it can't continue.
    reason: Shared<Pin<Box<dyn Future<Output = Option<String>> + Send>>>,
    /// Closes both directions when dropped.
    _ending: Ending,
}

struct Ending(Portforwarder);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl KubeClient {
    /// Reads the chain that a pod presents on a port.
    ///
    /// # Errors
    /// A pod that does not exist, or a port on which nothing listens or TLS is not used.
    #[boxed]
    pub async fn tls_chain(
        &self,
        namespace: &str,
        pod: &str,
        port: u16,
        probe: &Probe,
    ) -> Result<Served, Failure> {
        let forwarded = self.forward(namespace, pod, port).await?;
        let operation = forwarded.about.name();
        forwarded
            .by(probe.timeout, async |stream| {
                served_chain(&operation, stream, probe).await
            })
            .await
    }

    /// Sends a plain HTTP request to a port of a pod, as `curl http://localhost:PORT/PATH` in the pod would.
    ///
    /// # Errors
    /// A pod that does not exist, a port on which nothing listens, or an answer that is not 2xx or whose body is over the
    /// limit of its part.
    #[boxed]
    pub async fn http_get(
        &self,
        namespace: &str,
        pod: &str,
        port: u16,
        path: &str,
        part: Part,
    ) -> Result<HttpResponse, Failure> {
        let forwarded = self.forward(namespace, pod, port).await?;
        let about = About {
            operation: format!("GET {path} by {}", forwarded.about.operation),
            ..forwarded.about.clone()
        };
        forwarded
            .by(GET_TIMEOUT, async |stream| {
                get(&about, stream, port, path, &part).await
            })
            .await
    }

    /// Connects to a port of a pod, with a separate port-forward: each port of a port-forward allows one connection, and can't be
    /// opened again.
    async fn forward(&self, namespace: &str, pod: &str, port: u16) -> Result<Forwarded, Failure> {
        let about = About {
            operation: format!("port-forward to port {port} of pod/{pod} in {namespace}"),
            cluster: self.cluster.to_string(),
            changes: false,
            is_repeatable: false,
            is_secret: false,
        };
        for name in [namespace, pod] {
            if !is_name(name) {
                let why = format!("`{name}` can't be the name of a pod or a namespace");
                return Err(about.failure(FailureClass::Rejected, "BadName", why));
            }
        }
        let mut pauses = Pauses::new(self.patience);
        let mut forwarder = loop {
            let failure = match self.open_forward(&about, namespace, pod, port).await {
                Ok(forwarder) => break forwarder,
                Err(failure) => failure,
            };
            let is_transient = matches!(
                failure.class,
                FailureClass::Throttled | FailureClass::Unavailable | FailureClass::Timeout
            );
            match pauses.next(None) {
                Some(pause) if is_transient => tokio::time::sleep(pause).await,
                _ => return Err(failure),
            }
        };
        let (Some(stream), Some(reason)) =
            (forwarder.take_stream(port), forwarder.take_error(port))
        else {
            let why = "the port was not forwarded";
            return Err(about.failure(FailureClass::Unavailable, "NotForwarded", why));
        };
        let reason: Pin<Box<dyn Future<Output = Option<String>> + Send>> = Box::pin(reason);
        Ok(Forwarded {
            about,
            port,
            stream,
            reason: reason.shared(),
            _ending: Ending(forwarder),
        })
    }

    async fn open_forward(
        &self,
        about: &About,
        namespace: &str,
        pod: &str,
        port: u16,
    ) -> Result<Portforwarder, Failure> {
        let mut is_again = false;
        loop {
            let login = self.login.header().await;
            let login = login.map_err(|denied| unauthenticated(about, denied))?;
            let pods: Api<Pod> = Api::namespaced(self.as_login(login.clone()), namespace);
            let ports = [port];
            let opening = pods.portforward(pod, &ports);
            let error = match tokio::time::timeout(CALL_TIMEOUT, opening).await {
                Ok(Ok(forwarder)) => return Ok(forwarder),
                Ok(Err(error)) => error,
                Err(_) => return Err(no_answer(&about.name(), CALL_TIMEOUT)),
            };
            match error {
                Error::Api(status)
                    if status.code == 401
                        && !is_again
                        && self.login.refused(login.as_ref()).await =>
                {
                    is_again = true;
                }
                Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(status)) => {
                    let why = format!("the answer was {status}, not the switch to a WebSocket");
                    let failure = about.failure(FailureClass::Rejected, "NoWebSocket", why);
                    return Err(failure.with_hint(
                        "does a proxy before the API server take WebSockets? Kubernetes 1.30 and later do",
                    ));
                }
                other => return Err(classify(about, other)),
            }
        }
    }

    /// Returns the same connections with a login, for the `kube` crate's own calls, which do not add our logins.
    fn as_login(&self, login: Option<HeaderValue>) -> Client {
        let client = self.client.clone();
        let service = tower::service_fn(move |mut request: Request<Body>| {
            if let Some(login) = &login {
                request
                    .headers_mut()
                    .insert(header::AUTHORIZATION, login.clone());
            }
            let client = client.clone();
            async move { client.send(request).await }
        });
        Client::new(service, "default")
    }
}

impl Forwarded {
    /// Does something over the connection within a time limit. A message of the kubelet takes precedence over the error of the
    /// closed connection.
    async fn by<T>(
        self,
        limit: Duration,
        act: impl AsyncFnOnce(DuplexStream) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let about = &self.about;
        let refused = |why: String| {
            let failure = about.failure(FailureClass::Unavailable, "NotForwarded", why);
            failure.with_hint(format!(
                "does the pod listen on port {}, on its loopback? The kubelet could not connect to it",
                self.port
            ))
        };
        let acting = tokio::time::timeout(limit, act(self.stream));
        let done = tokio::select! {
            done = acting => done,
            Some(why) = self.reason.clone() => return Err(refused(why)),
        };
        match done {
            Ok(Ok(done)) => Ok(done),
            Err(_) => Err(no_answer(&about.name(), limit)),
            Ok(Err(failure)) => match tokio::time::timeout(REASON, self.reason).await {
                Ok(Some(why)) => Err(refused(why)),
                _ => Err(failure),
            },
        }
    }
}

async fn get(
    about: &About,
    stream: DuplexStream,
    port: u16,
    path: &str,
    part: &Part,
) -> Result<HttpResponse, Failure> {
    let rejected = |code: &str, why: String| about.failure(FailureClass::Rejected, code, why);
    let lost =
        |e: hyper::Error| about.failure(FailureClass::Unavailable, "ConnectionLost", causes(&e));
    let uri: Uri = path
        .parse()
        .map_err(|e| rejected("BadPath", format!("`{path}` is not a path: {e}")))?;
    if !path.starts_with('/') {
        let why = format!("`{path}` is not a path, which begins with /");
        return Err(rejected("BadPath", why));
    }
    let request = Request::get(uri)
        .header(header::HOST, format!("localhost:{port}"))
        .header(
            header::USER_AGENT,
            concat!("windlass/", env!("CARGO_PKG_VERSION")),
        )
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|e| rejected("BadPath", e.to_string()))?;
    let opened = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = opened.map_err(lost)?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(lost)?;
        let (parts, body) = answer.into_parts();
        let too_large = || {
            let limit = part.limit() / (1024 * 1024);
            rejected("TooLarge", format!("the answer is larger than {limit} MiB")).with_hint(
                "ask for a part of it (Envoy: `/config_dump?resource=dynamic_active_secrets`), for some of its lines with the option `lines`, or for some of its fields with the option `pick`",
            )
        };
        let body = match part {
            Part::Lines(start) if parts.status.is_success() => {
                let kept = lines_of(body, start.as_bytes()).await.map_err(lost)?;
                kept.ok_or_else(too_large)?
            }
            _ => {
                let body = Limited::new(body, part.limit()).collect().await;
                let body = body.map_err(|e| match e.downcast::<hyper::Error>() {
                    Ok(e) => lost(*e),
                    Err(_) => too_large(),
                })?;
                body.to_bytes().to_vec()
            }
        };
        Ok(HttpResponse {
            status: parts.status.as_u16(),
            headers: headers(&parts.headers),
            body,
        })
    };
    // The connection only makes progress while it is polled.
    let answer = tokio::select! {
        answer = answer => answer?,
        Err(e) = connection => return Err(lost(e)),
    };
    match answer.status {
        200..300 => Ok(answer),
        status => {
            let class = FailureClass::of_status(status);
            Err(about.failure(class, &format!("HTTP{status}"), answer.said()))
        }
    }
}

/// What of an answer is wanted.
#[derive(Clone, Debug)]
pub enum Part {
    /// The whole body, of 1 MiB at most.
    Whole,
    /// The lines that begin with this text, 1 MiB of them at most, of a body of any length.
    Lines(String),
    /// The whole body, of which the caller keeps some fields.
    Picked,
}

/// How much is read of an answer of which some fields are kept: a ztunnel's dump has all workloads and services of a mesh,
/// some kilobytes for each.
const MAX_PICKED_BYTES: usize = 64 * 1024 * 1024;

impl Part {
    fn limit(&self) -> usize {
        match self {
            Self::Whole | Self::Lines(_) => MAX_BODY_BYTES,
            Self::Picked => MAX_PICKED_BYTES,
        }
    }
}

/// Reads a body of any length, and keeps the lines that begin with a text. `None` if these, or one line, are over the limit of a body.
async fn lines_of<B>(mut body: B, start: &[u8]) -> Result<Option<Vec<u8>>, B::Error>
where
    B: hyper::body::Body<Data = Bytes> + Unpin,
{
    let (mut kept, mut line) = (Vec::new(), Vec::new());
    loop {
        let frame = body.frame().await.transpose()?;
        let is_last = frame.is_none();
        if let Some(data) = frame.and_then(|frame| frame.into_data().ok()) {
            line.extend_from_slice(&data);
        }
        let whole = if is_last {
            line.len()
        } else {
            line.iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1)
        };
        let all = line[..whole].split_inclusive(|byte| *byte == b'\n');
        all.filter(|one| one.starts_with(start))
            .for_each(|one| kept.extend_from_slice(one));
        line.drain(..whole);
        if kept.len() > MAX_BODY_BYTES || line.len() > MAX_BODY_BYTES {
            return Ok(None);
        }
        if is_last {
            return Ok(Some(kept));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    /// The lines of a body that comes in these parts.
    async fn lines(parts: &[&'static str], start: &str) -> Option<String> {
        let frames = parts.iter().map(|part| Ok(Frame::data(Bytes::from(*part))));
        let frames: Vec<Result<_, Infallible>> = frames.collect();
        let kept = lines_of(StreamBody::new(stream::iter(frames)), start.as_bytes()).await;
        kept.expect("it can't fail")
            .map(|kept| String::from_utf8(kept).expect("text"))
    }

    #[tokio::test]
    async fn only_the_lines_that_begin_so_are_kept_wherever_a_body_is_cut() {
        let kept = Some("a{x=\"1\"} 1\na{x=\"2\"} 0".to_owned());
        for parts in [
            &["# a\na{x=\"1\"} 1\nb 2\n a 3\na{x=\"2\"} 0"][..],
            &["# a\na{", "x=\"1\"} 1\nb", " 2\n a 3", "\na{x=\"2\"} 0"],
            &["# a\n", "a{x=\"1\"} 1\n", "", "b 2\n", "a{x=\"2\"} ", "0"],
        ] {
            assert_eq!(lines(parts, "a{").await, kept, "{parts:?}");
        }
        assert_eq!(lines(&[], "a").await, Some(String::new()));
    }

    #[tokio::test]
    async fn a_long_answer_with_few_such_lines_is_no_trouble_and_many_are() {
        let other: &str = Box::leak("b 1\n".repeat(1 << 20).into_boxed_str());
        assert_eq!(
            lines(&[other, "a 1\n", other], "a").await,
            Some("a 1\n".into())
        );
        assert_eq!(lines(&[other], "b").await, None);
        let endless: &str = Box::leak("b".repeat(2 << 20).into_boxed_str());
        assert_eq!(lines(&[endless, "\n"], "a").await, None);
    }
}
