//! Asks a time stamping authority (RFC 3161, over HTTP as its section 3.4 says).

use std::time::Duration;

use super::Failure;
use crate::{
    cli::process::runtime,
    ground::random_bytes,
    outside::{BodyError, read_answer},
    value::causes,
    x509::{Certificate, TimestampRequest, TimestampToken},
};

/// The time limit: an authority answers within seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The largest answer in bytes: a token with the certificates of its authority has some 10 KiB.
const LARGEST: usize = 1 << 20;

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
        // A redirect would send the digest to another server.
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let request = client
            .post(url)
            .header("content-type", "application/timestamp-query")
            .body(body);
        let answer = request.send().await?.error_for_status()?;
        Ok::<_, BodyError>(if answer.status().is_redirection() {
            Err(answer.status())
        } else {
            Ok(read_answer(answer, LARGEST).await?)
        })
    });
    let response = response.map_err(|e| failed(causes(&e)))?;
    let response = response
        .map_err(|status| failed(format!("it answered {status}: redirects are not followed")))?;
    let timestamp = request.answered(&response);
    timestamp
        .check(statement.as_bytes(), roots)
        .map_err(|e| failed(e.to_string()))?;
    Ok(timestamp)
}
