//! Asks a time stamping authority (RFC 3161, over HTTP as its section 3.4 says).

use std::time::Duration;

use super::Failure;
use crate::{
    cli::process::runtime,
    ground::random_bytes,
    x509::{Certificate, TimestampRequest, TimestampToken},
};

/// The time limit: an authority answers within seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Has a statement timestamped.
pub fn fetch(url: &str, statement: &str, roots: &[Certificate]) -> Result<TimestampToken, Failure> {
    let failed = |why: String| {
        Failure::new("timestamp", format!("{url} gave no timestamp: {why}"))
            .hint("--timestamp takes the URL of an RFC 3161 time stamping authority")
    };
    let mut nonce = [0; 8];
    random_bytes(&mut nonce).map_err(|e| Failure::new("system", e.to_string()))?;
    let request = TimestampRequest::new(statement.as_bytes(), nonce);
    let body = request.der().to_vec();
    let response = runtime(1)?.block_on(async {
        let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
        let request = client
            .post(url)
            .header("content-type", "application/timestamp-query")
            .body(body);
        request.send().await?.error_for_status()?.bytes().await
    });
    let response = response.map_err(|e| failed(cause(&e)))?;
    let timestamp = request.answered(&response);
    timestamp
        .check(statement.as_bytes(), roots)
        .map_err(|e| failed(e.to_string()))?;
    Ok(timestamp)
}

/// Formats an error with its causes.
fn cause(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<_> = sources.map(ToString::to_string).collect();
    texts.join(": ")
}
