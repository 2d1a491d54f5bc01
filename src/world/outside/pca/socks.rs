//! Connects to AWS through a SOCKS5 proxy, which the SDK's own connector does not support.

use std::error::Error;

use aws_sdk_acmpca::config::SharedHttpClient;
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};

use super::trust::Root;
use crate::{
    outside::{
        body::{BodyError, read_answer},
        http::MAX_BODY_BYTES,
    },
    value::causes,
};

/// Says whether the URL of a proxy is for SOCKS5, in the form of curl and Go.
pub(super) fn is_socks(proxy: &str) -> bool {
    proxy.starts_with("socks5://") || proxy.starts_with("socks5h://")
}

/// Creates an HTTP client for the SDK that uses this proxy, which resolves the names. It trusts only these CAs, or those of the
/// system if none are given.
///
/// # Errors
/// An invalid URL.
pub(super) fn client(
    proxy: &str,
    authorities: Option<&[Root]>,
) -> Result<SharedHttpClient, String> {
    let text = |e: reqwest::Error| causes(&e);
    // `reqwest` has a separate scheme for names that the proxy resolves.
    let proxy = match proxy.strip_prefix("socks5://") {
        Some(rest) => format!("socks5h://{rest}"),
        None => proxy.to_owned(),
    };
    // AWS does not redirect. The SDK decodes nothing itself.
    let mut builder = reqwest::Client::builder()
        .proxy(reqwest::Proxy::all(proxy).map_err(text)?)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_gzip()
        .no_deflate();
    if let Some(authorities) = authorities {
        let roots = authorities.iter();
        let roots = roots.map(|root| reqwest::Certificate::from_der(root));
        builder = builder.tls_certs_only(roots.collect::<Result<Vec<_>, _>>().map_err(text)?);
    }
    let connector = SharedHttpConnector::new(BySocks {
        client: builder.build().map_err(text)?,
    });
    Ok(http_client_fn(move |_, _| connector.clone()))
}

#[derive(Debug)]
struct BySocks {
    client: reqwest::Client,
}

impl HttpConnector for BySocks {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let asked = ask(self.client.clone(), request);
        HttpConnectorFuture::new(asked)
    }
}

/// Sends a request; the SDK limits the time.
async fn ask(
    client: reqwest::Client,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let wrong = |e: Box<dyn Error + Send + Sync>| ConnectorError::user(e);
    let method = request.method().parse::<reqwest::Method>();
    let method = method.map_err(|e| wrong(e.into()))?;
    let body = request.body().bytes();
    let body = body.ok_or_else(|| wrong("a request of the SDK is not held in memory".into()))?;
    let mut asking = client.request(method, request.uri()).body(body.to_vec());
    for (name, value) in request.headers() {
        asking = asking.header(name, value);
    }
    let answer = asking.send().await.map_err(trouble)?;
    let status = StatusCode::try_from(answer.status().as_u16());
    let status = status.map_err(|e| ConnectorError::other(e.into(), None))?;
    let headers = answer.headers().clone();
    let body = read_answer(answer, MAX_BODY_BYTES).await;
    let body = body.map_err(|e| match e {
        BodyError::Lost(e) => trouble(e),
        large @ BodyError::TooLarge(_) => ConnectorError::other(large.into(), None),
    })?;
    let mut response = HttpResponse::new(status, body.into());
    for (name, value) in &headers {
        // The SDK does not read headers that are not text.
        if let Ok(value) = value.to_str() {
            let added = response
                .headers_mut()
                .try_append(name.as_str().to_owned(), value.to_owned());
            added.map_err(|e| ConnectorError::other(e.into(), None))?;
        }
    }
    Ok(response)
}

fn trouble(error: reqwest::Error) -> ConnectorError {
    match (error.is_connect(), error.is_timeout()) {
        (true, _) => ConnectorError::io(error.into()).never_connected(),
        (false, true) => ConnectorError::timeout(error.into()),
        (false, false) => ConnectorError::io(error.into()),
    }
}
