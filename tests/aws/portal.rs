//! Where logins and roles become credentials: the SSO portal, its OIDC half, STS, and a container's agent, in one.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use serde_json::json;

/// The credentials that everybody gets who may have some.
pub const KEY: &str = "ASIAPORTAL:portal-secret";

/// The token of a login that the portal knows.
pub const LOGIN: &str = "a-login";
/// What it takes to get another one.
pub const REFRESH: &str = "a-refresh";
/// The web identity that STS and the agent know.
pub const IDENTITY: &str = "a.web.identity";

/// Listens for as long as the test runs; its URL.
pub fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || answer(client));
        }
    });
    format!("http://{address}")
}

/// One request, one answer. A client that is gone is no matter of the portal's.
fn answer(mut client: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let header = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    };
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body);

    let (status, answer) = if head.starts_with("GET /federation/credentials?") {
        federation(&head, header("x-amz-sso_bearer_token"))
    } else if head.starts_with("POST /token ") {
        token(&body)
    } else if head.starts_with("GET /container ") {
        container(header("authorization"))
    } else {
        role(&body)
    };
    let length = answer.len();
    let text = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{answer}"
    );
    client.write_all(text.as_bytes()).ok()
}

/// GetRoleCredentials.
fn federation(head: &str, bearer: &str) -> (&'static str, String) {
    let of_role = head.contains("account_id=123456789012") && head.contains("role_name=pki");
    if bearer != LOGIN || !of_role {
        let refusal = json!({ "message": "Session token not found or invalid" });
        return (
            "401 Unauthorized\r\nx-amzn-errortype: UnauthorizedException",
            refusal.to_string(),
        );
    }
    let (id, secret) = KEY.split_once(':').expect("two parts");
    let answer = json!({ "roleCredentials": {
        "accessKeyId": id, "secretAccessKey": secret, "sessionToken": "s",
        "expiration": 4_000_000_000_000_i64,
    }});
    ("200 OK", answer.to_string())
}

/// CreateToken.
fn token(body: &str) -> (&'static str, String) {
    if !body.contains(REFRESH) {
        let refusal = json!({ "error": "invalid_grant" });
        return (
            "400 Bad Request\r\nx-amzn-errortype: InvalidGrantException",
            refusal.to_string(),
        );
    }
    let answer = json!({ "accessToken": LOGIN, "tokenType": "Bearer", "expiresIn": 3600 });
    ("200 OK", answer.to_string())
}

/// The agent beside a container.
fn container(token: &str) -> (&'static str, String) {
    if token != IDENTITY {
        return ("401 Unauthorized", String::new());
    }
    let (id, secret) = KEY.split_once(':').expect("two parts");
    let answer = json!({
        "AccessKeyId": id, "SecretAccessKey": secret, "Token": "s", "Expiration": "2096-01-01T00:00:00Z",
    });
    ("200 OK", answer.to_string())
}

/// AssumeRoleWithWebIdentity.
fn role(body: &str) -> (&'static str, String) {
    if !body.contains("Action=AssumeRoleWithWebIdentity") || !body.contains(IDENTITY) {
        return ("403 Forbidden", String::new());
    }
    let (id, secret) = KEY.split_once(':').expect("two parts");
    let answer = format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{id}</AccessKeyId>\
         <SecretAccessKey>{secret}</SecretAccessKey><SessionToken>s</SessionToken>\
         <Expiration>2096-01-01T00:00:00Z</Expiration></Credentials>\
         </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    );
    ("200 OK", answer)
}
