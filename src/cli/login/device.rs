//! The device flow (RFC 8628): the user authenticates in any browser, and this program receives a token.

use std::{
    thread,
    time::{Duration, Instant},
};

use data_encoding::BASE64URL_NOPAD;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value as Json;

use super::credentials::{Entry, Renewal};
use crate::{
    cli::{account::block_on, failure::Failure, server::Named},
    outside::{self, BodyError, Proxies, authorities_in, by_proxy, read_answer},
    report,
    value::causes,
};
use windlass_ground::Timestamp;

const TIMEOUT: Duration = Duration::from_secs(30);
/// The default interval of requests to the provider (RFC 8628, 3.2), and by how much it grows when the provider asks for that (3.5).
const INTERVAL: u64 = 5;
const SLOWER: u64 = 5;
/// The longest lifetime of a code, and the longest pause between two requests, in seconds: a provider could return any
/// value.
const LONGEST: u64 = 24 * 3600;
const LONGEST_INTERVAL: u64 = 300;
/// The largest answer of a provider, in bytes.
const LARGEST: usize = 1 << 20;

/// The provider of a server, as the server names it.
#[derive(Deserialize)]
pub struct Provider {
    issuer: String,
    client_id: String,
    #[serde(default)]
    scopes: Vec<String>,
}

/// A part of OpenID Connect Discovery 1.0, section 3, and of RFC 8628, section 4.
#[derive(Deserialize)]
struct Endpoints {
    issuer: String,
    device_authorization_endpoint: Option<String>,
    token_endpoint: String,
}

#[derive(Deserialize)]
struct Device {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: Option<String>,
    refresh_token: Option<String>,
}

/// Asks a server for its provider; returns `None` if it has none.
pub fn provider_of(server: &Named) -> Result<Option<Provider>, Failure> {
    let http = client(server)?;
    let request = http.get(format!("{}/api/v1/login", server.url));
    match ask::<Provider>(request)? {
        Ok(provider) => Ok(Some(provider)),
        Err(Refused { status: 404, .. }) => Ok(None),
        Err(refused) => {
            let message = format!("{} does not say how to log in: {}", server.url, refused.why);
            Err(Failure::new("login", message)
                .hint("to log in with a token: `windlass login --token`"))
        }
    }
}

/// Lets a person log in with a browser, and returns the provider's token.
pub fn log_in(server: &Named, provider: Provider) -> Result<Entry, Failure> {
    let http = client(server)?;
    let endpoints = discover(&http, &provider.issuer)?;
    let Some(begin) = &endpoints.device_authorization_endpoint else {
        let message = format!("{} does not offer the device flow", provider.issuer);
        return Err(
            Failure::new("login", message).hint("to log in with a token: `windlass login --token`")
        );
    };
    must_be_secure(begin)?;
    let mut scopes = vec!["openid", "offline_access"];
    scopes.extend(provider.scopes.iter().map(String::as_str));
    let scope = scopes.join(" ");
    let fields = [
        ("client_id", provider.client_id.as_str()),
        ("scope", scope.as_str()),
    ];
    let device: Device = ask(form(&http, begin, &fields))?.map_err(|refused| {
        let message = format!(
            "{} refused to start the login: {}",
            provider.issuer, refused.why
        );
        Failure::new("login", message)
    })?;
    say!(
        "To log in, open {} and enter the code {}",
        report::line(&device.verification_uri),
        report::line(&device.user_code)
    );
    if let Some(whole) = &device.verification_uri_complete {
        say!("or open {}", report::line(whole));
    }
    let tokens = wait(&http, &endpoints, &provider.client_id, &device)?;
    entry(tokens, provider.issuer, provider.client_id, None)
}

/// Renews a token that has expired.
pub fn renew(server: &Named, renewal: Renewal) -> Result<Entry, Failure> {
    let http = client(server)?;
    let endpoints = discover(&http, &renewal.issuer)?;
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", renewal.refresh_token.as_str()),
        ("client_id", renewal.client_id.as_str()),
    ];
    let tokens = ask(form(&http, &endpoints.token_endpoint, &fields))?;
    let tokens: Tokens = tokens.map_err(|refused| {
        let message = format!("the login to {} has expired: {}", server.url, refused.why);
        Failure::new("login", message).hint("to log in again: `windlass login`")
    })?;
    entry(
        tokens,
        renewal.issuer,
        renewal.client_id,
        Some(renewal.refresh_token),
    )
}

/// Sends requests to the provider until the person has logged in (RFC 8628, 3.4 and 3.5).
fn wait(
    http: &Client,
    endpoints: &Endpoints,
    client_id: &str,
    device: &Device,
) -> Result<Tokens, Failure> {
    let until = Instant::now() + Duration::from_secs(device.expires_in.min(LONGEST));
    let mut interval = device
        .interval
        .unwrap_or(INTERVAL)
        .clamp(1, LONGEST_INTERVAL);
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", device.device_code.as_str()),
        ("client_id", client_id),
    ];
    let mut has_said = false;
    loop {
        thread::sleep(Duration::from_secs(interval));
        let request = form(http, &endpoints.token_endpoint, &fields);
        let answer = match send(request)? {
            Ok(answer) => read::<Tokens>(&answer)?,
            Err(error) => Err(Refused {
                status: NO_ANSWER,
                error: String::new(),
                why: causes(&error),
            }),
        };
        let refused = match answer {
            Ok(tokens) => return Ok(tokens),
            Err(refused) => refused,
        };
        if refused.status == NO_ANSWER || refused.status >= 500 {
            let message = format!(
                "the provider does not answer: {}",
                report::line(&refused.why)
            );
            if Instant::now() >= until {
                return Err(Failure::new("login", message));
            }
            if !has_said {
                say!("{message}; it is asked again until the code expires");
                has_said = true;
            }
            // The person may have entered the code meanwhile (3.5: back off, and continue).
            interval = (interval * 2).min(LONGEST_INTERVAL);
            continue;
        }
        match refused.error.as_str() {
            _ if Instant::now() >= until => {}
            "authorization_pending" => continue,
            "slow_down" => {
                interval = (interval + SLOWER).min(LONGEST_INTERVAL);
                continue;
            }
            "access_denied" => {
                return Err(Failure::new(
                    "login",
                    "the login was denied at the provider",
                ));
            }
            "expired_token" => {}
            _ => {
                let message = format!("the provider refused: {}", refused.why);
                return Err(Failure::new("login", message));
            }
        }
        return Err(
            Failure::new("login", "the code expired before it was entered")
                .hint("to try again: `windlass login`"),
        );
    }
}

fn entry(
    tokens: Tokens,
    issuer: String,
    client_id: String,
    before: Option<String>,
) -> Result<Entry, Failure> {
    let token = tokens.id_token.ok_or_else(|| {
        let message = format!("{issuer} returned no ID token");
        Failure::new("login", message).hint("allow the client the scope `openid` at the provider")
    })?;
    Ok(Entry {
        expires_at: expiry(&token),
        token,
        // A provider may keep the old refresh token valid, or return another one.
        renewal: tokens
            .refresh_token
            .or(before)
            .map(|refresh_token| Renewal {
                issuer,
                client_id,
                refresh_token,
            }),
    })
}

/// Reads when a token expires. The signature is not verified here: the server does that.
fn expiry(token: &str) -> Option<Timestamp> {
    let body = token.split('.').nth(1)?;
    let body = BASE64URL_NOPAD.decode(body.as_bytes()).ok()?;
    let claims: Json = serde_json::from_slice(&body).ok()?;
    claims["exp"].as_i64().map(Timestamp::from_secs)
}

fn discover(http: &Client, issuer: &str) -> Result<Endpoints, Failure> {
    must_be_secure(issuer)?;
    let address = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    let endpoints: Endpoints = ask(http.get(&address))?.map_err(|refused| {
        Failure::new("login", format!("{address} can't be read: {}", refused.why))
    })?;
    if endpoints.issuer != issuer {
        let message = format!(
            "the provider's metadata names the issuer {}, not {issuer}",
            endpoints.issuer
        );
        return Err(Failure::new("login", message));
    }
    must_be_secure(&endpoints.token_endpoint)?;
    Ok(endpoints)
}

/// The status of an answer that was lost.
const NO_ANSWER: u16 = 0;

/// An error answer.
struct Refused {
    status: u16,
    /// The code of RFC 6749, 5.2.
    error: String,
    why: String,
}

/// Sends a request; returns a failure if there is no answer at all.
fn ask<T: DeserializeOwned>(request: RequestBuilder) -> Result<Result<T, Refused>, Failure> {
    let answer = send(request)?;
    read(&answer.map_err(|e| Failure::of("login", &e, None))?)
}

/// The status and the body of an answer.
type Answer = (StatusCode, Vec<u8>);

/// Sends a request. The inner result is an error if no answer arrived.
fn send(request: RequestBuilder) -> Result<Result<Answer, BodyError>, Failure> {
    block_on(async {
        let answer = request.send().await?;
        Ok::<_, BodyError>((answer.status(), read_answer(answer, LARGEST).await?))
    })
}

/// Reads an answer; returns a failure for a success that can't be read.
fn read<T: DeserializeOwned>((status, text): &Answer) -> Result<Result<T, Refused>, Failure> {
    let json: Json = serde_json::from_slice(text).unwrap_or_default();
    if status.is_success() {
        return serde_json::from_value(json)
            .map(Ok)
            .map_err(|e| Failure::new("login", format!("the answer can't be read: {e}")));
    }
    let said = |name: &str| json[name].as_str().map(str::to_owned);
    let error = said("error").unwrap_or_default();
    let why = said("error_description").or(said("detail"));
    let why = why.or((!error.is_empty()).then(|| error.clone()));
    Ok(Err(Refused {
        status: status.as_u16(),
        why: why.map_or_else(|| status.to_string(), |why| report::line(&why).into_owned()),
        error,
    }))
}

fn form(http: &Client, address: &str, fields: &[(&str, &str)]) -> RequestBuilder {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    http.post(address)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
}

fn client(server: &Named) -> Result<Client, Failure> {
    let failed = |why: String| Failure::new("login", why);
    let mut builder = Client::builder()
        .proxy(by_proxy(Proxies::of_environment()))
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        // Each request has its own runtime, and a connection can't outlive its runtime.
        .pool_max_idle_per_host(0)
        .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = &server.ca {
        // The provider's certificate may come from another CA than the server's.
        builder = builder.tls_certs_merge(authorities_in(path).map_err(failed)?);
    }
    builder.build().map_err(|e| failed(e.to_string()))
}

/// Refuses to send a token unencrypted over a network.
fn must_be_secure(address: &str) -> Result<(), Failure> {
    outside::must_be_secure(address).map_err(|why| Failure::new("login", why))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
    };

    use super::*;

    /// Reads a whole request: a connection that is closed before that is reset, and its answer is lost.
    fn read_request(reader: &mut impl BufRead) {
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            let field = line.trim_end().to_ascii_lowercase();
            if let Some(sent) = field.strip_prefix("content-length: ") {
                length = sent.parse().expect("a length");
            }
            line.clear();
        }
        reader.read_exact(&mut vec![0; length]).expect("a body");
    }

    #[test]
    fn a_lost_answer_does_not_end_a_login() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let serving = thread::spawn(move || {
            // The first connection is lost.
            drop(listener.accept().expect("a connection"));
            let (mut stream, _) = listener.accept().expect("a connection");
            read_request(&mut BufReader::new(stream.try_clone().expect("the same")));
            let body = r#"{"id_token":"it"}"#;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream
                .write_all((head + body).as_bytes())
                .expect("answered");
        });
        let endpoints = Endpoints {
            issuer: address.clone(),
            device_authorization_endpoint: None,
            token_endpoint: address,
        };
        let device = Device {
            device_code: "d".into(),
            user_code: "u".into(),
            verification_uri: "v".into(),
            verification_uri_complete: None,
            expires_in: 60,
            interval: Some(1),
        };
        let http = Client::builder().no_proxy().build().expect("a client");
        let tokens = wait(&http, &endpoints, "windlass", &device).expect("logged in");
        assert_eq!(tokens.id_token.as_deref(), Some("it"));
        serving.join().expect("served");
    }
}
