//! Handles one HTTP request: an operation in either protocol, an OCSP request, or the download of a CRL.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use serde_json::Value;

use crate::failure::{Code, Failure};
use crate::opening::{Opening, Served};
use crate::operation::{self, Caller, Reply};
use crate::revocation;
use crate::service::{Service, unique};
use crate::wire::request::{self, Request};
use crate::wire::signature::{self, Signed, Signer};
use crate::wire::{Protocol, answer};
use windlass_ground::{BodyError, Operation, Requester, StoreError, receive_body};

/// Enough for a chain of 2 MiB in base64 and the rest of its request.
const LARGEST_BODY: usize = 4 << 20;

const OCSP_REQUEST: &str = "application/ocsp-request";

/// A request.
struct Incoming {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// Answers a request, but not on the thread that received it, since any request may access the disk or use RSA.
pub(crate) async fn handle(
    State(opening): State<Arc<Opening>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let timeout = opening.options.client_timeout;
    let body = match receive_body(body, LARGEST_BODY, timeout).await {
        Ok(body) => body,
        Err(why) => return unread(why),
    };
    let incoming = Incoming {
        method,
        uri,
        headers,
        body,
    };
    let path = incoming.uri.path();
    let protocol = request::protocol(&incoming.method, path, &incoming.headers);
    let served = match opening.served().await {
        Ok(served) => served,
        Err(error) => return unopened(protocol, &error),
    };
    if let Some(protocol) = protocol {
        return api(served, protocol, incoming).await;
    }
    let service = Arc::clone(&served.service);
    tokio::task::spawn_blocking(move || route(&service, &incoming))
        .await
        .unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "failed\n"))
}

/// The answer where the state can't be opened.
fn unopened(protocol: Option<Protocol>, error: &StoreError) -> Response<Body> {
    let cause = error.source().map(|cause| format!(": {cause}"));
    let why = format!("{error}{}", cause.unwrap_or_default());
    tracing::error!(why, "the state can't be opened");
    match protocol {
        None => plain(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "failed\n"),
        Some(protocol) => {
            let failure = Code::InternalFailure.says(why);
            let id = unique().unwrap_or_default();
            answer::response(protocol, None, Err(failure), &id)
        }
    }
}

fn route(service: &Service, incoming: &Incoming) -> Response<Body> {
    let path = incoming.uri.path();
    let asks_status = incoming
        .headers
        .get("content-type")
        .is_some_and(|kind| kind == OCSP_REQUEST);
    match incoming.method {
        Method::POST if asks_status => status(service, &incoming.body),
        Method::GET if path.ends_with(".crl") => list(service, path),
        Method::GET => match encoded(path) {
            Some(question) => status(service, &question),
            None => nothing(),
        },
        _ => nothing(),
    }
}

async fn api(served: &Served, protocol: Protocol, incoming: Incoming) -> Response<Body> {
    let operation = request::operation(protocol, incoming.uri.path(), &incoming.headers);
    let requester = signature::claimed(&incoming.headers).map(|signer| Requester(signer.key));
    let result = match operation.clone() {
        Ok(operation) => answered(served, protocol, operation, incoming).await,
        Err(failure) => Err(failure),
    };
    let id = unique().unwrap_or_default();
    let operation = operation.ok();
    let mut answer = answer::response(protocol, operation, result, &id);
    let about = answer.extensions_mut();
    about.insert(Operation(operation.unwrap_or("unknown").to_owned()));
    if let Some(requester) = requester {
        about.insert(requester);
    }
    answer
}

/// Starts an operation on a thread of the right kind, and waits for its result.
async fn answered(
    served: &Served,
    protocol: Protocol,
    operation: &'static str,
    incoming: Incoming,
) -> Result<Value, Failure> {
    let (reply, ended) = Reply::new();
    let coming = (operation == operation::ISSUE).then(|| served.service.store.coming());
    let service = Arc::clone(&served.service);
    let job = move || match read(&service, protocol, operation, &incoming) {
        Ok((caller, request)) => operation::perform(&service, caller, request, coming, reply),
        Err(failure) => reply.send(Err(failure)),
    };
    if operation::is_short(operation) {
        served.workers.run(job);
    } else {
        // If it panics, the reply is dropped with it.
        drop(tokio::task::spawn_blocking(job));
    }
    ended
        .await
        .unwrap_or_else(|_| Err(Code::InternalFailure.says("the request failed")))
}

/// Reads the caller and the request.
fn read(
    service: &Service,
    protocol: Protocol,
    operation: &'static str,
    incoming: &Incoming,
) -> Result<(Caller, Request), Failure> {
    let caller = caller(service, incoming)?;
    let request = request::read(protocol, operation, &incoming.body)?;
    Ok((caller, request))
}

/// Returns the caller: with access keys, after a check of the signature; without access keys, as the request claims.
fn caller(service: &Service, incoming: &Incoming) -> Result<Caller, Failure> {
    let options = &service.options;
    let own = || options.account.clone();
    let region = |signer: Option<&Signer>| {
        signer.map_or_else(|| options.region.clone(), |signer| signer.region.clone())
    };
    if options.access_keys.is_empty() {
        check_host(&incoming.headers)?;
        let signer = signature::claimed(&incoming.headers);
        let account = signer
            .as_ref()
            .map(|signer| signer.key.clone())
            .filter(|key| key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit()));
        return Ok(Caller {
            account: account.unwrap_or_else(own),
            region: region(signer.as_ref()),
        });
    }
    let signed = Signed {
        method: incoming.method.as_str(),
        path: incoming.uri.path(),
        query: incoming.uri.query().unwrap_or_default(),
        headers: &incoming.headers,
        body: &incoming.body,
    };
    let signer = signature::check(&signed, &options.access_keys)?;
    let key = options.access_keys.iter().find(|key| key.id == signer.key);
    let account = key.and_then(|key| key.account.clone()).unwrap_or_else(own);
    if account.len() != 12 {
        return Err(Code::InternalFailure.says("the access key's account is not 12 digits"));
    }
    Ok(Caller {
        account,
        region: region(Some(&signer)),
    })
}

/// Refuses a request whose `Host` header is a DNS name other than localhost, for a server without access keys.
///
/// Such a server accepts every request from this machine. A web page could use this by resolving its own name to this
/// machine (DNS rebinding), but it can't choose the value of `Host`, which remains that name.
fn check_host(headers: &HeaderMap) -> Result<(), Failure> {
    let host = headers
        .get("host")
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_address = host.parse::<SocketAddr>().is_ok()
        || host.parse::<IpAddr>().is_ok()
        || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    if is_address || name == "localhost" || name.ends_with(".localhost") {
        return Ok(());
    }
    Err(Code::AccessDenied.says(format!(
        "This server has no access keys, so it must be called by its address or as localhost, not as {name}"
    )))
}

fn status(service: &Service, question: &[u8]) -> Response<Body> {
    let answer = revocation::respond(service, question);
    plain(StatusCode::OK, "application/ocsp-response", answer)
}

fn list(service: &Service, path: &str) -> Response<Body> {
    match revocation::serve(service, path) {
        Ok(Some(list)) => plain(StatusCode::OK, "application/pkix-crl", list),
        Ok(None) => nothing(),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "failed\n"),
    }
}

/// Decodes an OCSP request in a path: base64, in which special characters may be percent-encoded (RFC 6960, appendix A.1).
fn encoded(path: &str) -> Option<Vec<u8>> {
    let text = path
        .trim_start_matches('/')
        .replace("%2B", "+")
        .replace("%2b", "+")
        .replace("%2F", "/")
        .replace("%2f", "/")
        .replace("%3D", "=")
        .replace("%3d", "=");
    let bytes = data_encoding::BASE64.decode(text.as_bytes()).ok()?;
    (!bytes.is_empty()).then_some(bytes)
}

fn nothing() -> Response<Body> {
    plain(
        StatusCode::NOT_FOUND,
        "text/plain",
        "not a request of AWS Private CA\n",
    )
}

fn unread(why: BodyError) -> Response<Body> {
    let (status, text) = match why {
        BodyError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n"),
        BodyError::TooSlow => (
            StatusCode::REQUEST_TIMEOUT,
            "the body did not arrive in time\n",
        ),
        BodyError::Broken => (
            StatusCode::BAD_REQUEST,
            "the body did not arrive as a whole\n",
        ),
    };
    plain(status, "text/plain", text)
}

fn plain(status: StatusCode, kind: &str, body: impl Into<Body>) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", kind)
        .body(body.into())
        .unwrap_or_default()
}
