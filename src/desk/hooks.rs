//! `POST /hooks/NAME`: signed requests that start runs. Such a request is authenticated by its signature, not by a token.

use std::{collections::BTreeMap, sync::Mutex};

use axum::{
    Extension, Json,
    extract::{Path, Request, State},
};
use http::StatusCode;

use super::{admit::Peer, answer::Problem, server::Desk};
use windlass_ground::lock;
use windlass_triggers::{HookAnswer, HookRefused};

/// The largest body, in bytes: the same as the limit on a script's value.
const MOST: usize = 1 << 20;

/// Maps a hook whose secret can't be read to what has been logged about it: anybody can send requests, and they must not fill the log.
static LOGGED: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

pub async fn hook(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<(StatusCode, Json<HookAnswer>), Problem> {
    let headers = request.headers().iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    let headers: BTreeMap<_, _> = headers.collect();
    let body = desk.body(request, MOST).await?;
    let triggers = desk.triggers.clone();
    let from = peer.address.ip().to_string();
    let hook = name.clone();
    let asked = desk
        .ask(move |_| Ok(triggers.hook(&name, &headers, &body, &from)))
        .await?;
    log_broken(hook, &asked);
    let answer = asked.map_err(refused)?;
    Ok((status(&answer), Json(answer)))
}

/// Returns the status of an answer. Senders repeat requests that failed, so a failed start is reported as a failure, unless a repeated
/// request would start other runs a second time.
fn status(answer: &HookAnswer) -> StatusCode {
    let has_started = answer.starts.iter().any(|start| start.run.is_some());
    let has_failed = answer.starts.iter().any(|start| start.problem.is_some());
    match (has_failed, has_started && !answer.is_named) {
        (false, _) | (true, true) => StatusCode::OK,
        (true, false) if answer.is_busy => StatusCode::SERVICE_UNAVAILABLE,
        (true, false) => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// Logs that the secret of a hook can't be read, once for each reason until it can be read.
fn log_broken(hook: String, asked: &Result<HookAnswer, HookRefused>) {
    let mut logged = lock(&LOGGED);
    if let Err(HookRefused::Broken(why)) = asked {
        if logged.get(&hook) != Some(why) {
            tracing::error!(%hook, %why, "the secret of a hook can't be read");
            logged.insert(hook, why.clone());
        }
    } else {
        logged.remove(&hook);
    }
}

fn refused(why: HookRefused) -> Problem {
    match why {
        HookRefused::Unsigned => {
            let detail = "there is no such hook, or the request is not signed with its secret";
            Problem::new(StatusCode::UNAUTHORIZED, "not-signed-request", detail)
                .hint("sign the body with HMAC-SHA256 and send `X-Hub-Signature-256: sha256=HEX`; the hook and its secret are configured in windlass.toml, in [hooks.NAME]")
        }
        HookRefused::Body(why) => Problem::bad(format!("the body is not JSON: {why}"))
            .hint("for a GitHub webhook, choose the content type application/json"),
        HookRefused::Unused => Problem::new(
            StatusCode::NOT_FOUND,
            "unknown-trigger",
            "no workflow has a trigger for this hook",
        )
        .hint("add one to a workflow: `triggers: [{ webhook: NAME }]`"),
        HookRefused::Away => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unknown-trigger",
            "the file of this hook's trigger is away at the moment",
        )
        .hint("send the request again in a minute: the file may be about to be replaced"),
        // The sender has not proved who it is, so the answer does not say what is wrong.
        HookRefused::Broken(_) => {
            let detail = "the signature can't be checked at the moment";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "config", detail)
                .hint("the server's log says why")
        }
    }
}
