//! `windlass login` and `windlass logout`: how this user authenticates at a server.

mod credentials;
mod device;
mod lock;

use std::io::{IsTerminal, stdin};

use console::Term;

pub use credentials::Credentials;

use self::credentials::Entry;
use super::{
    Done,
    args::{Args, Login},
    exit,
    failure::Failure,
    server::{Named, named},
};
use crate::{
    runs::{Kind, There},
    value::Secret,
};

/// `windlass login`: logs in with the server's provider or with a token, which is stored after the server has accepted it.
pub fn login(args: &Args, command: &Login) -> Done {
    let server = wanted(args)?;
    let provider = if command.token {
        None
    } else {
        device::provider_of(&server)?
    };
    let entry = match provider {
        Some(provider) => device::log_in(&server, provider)?,
        None => Entry::of_token(read_token(&server)?),
    };
    let there = There::open(server.address(Some(Secret::new(entry.token.as_str()))));
    let there = there.map_err(|error| match error.kind {
        Kind::Denied => Failure::new(
            "login",
            format!(
                "{} does not accept the token: {}",
                server.url, error.message
            ),
        )
        .hint("nothing was stored"),
        _ => error.into(),
    })?;
    let path = Credentials::keep(&server, entry)?;
    say!(
        "logged in to {} as {}; the token is stored in {}",
        server.url,
        there.name(),
        path.display()
    );
    Ok(exit::SUCCEEDED)
}

/// `windlass logout`.
pub fn logout(args: &Args) -> Done {
    let server = wanted(args)?;
    if Credentials::forget(&server)? {
        say!("logged out of {}", server.url)
    } else {
        say!("not logged in to {}", server.url)
    }
    Ok(exit::SUCCEEDED)
}

fn wanted(args: &Args) -> Result<Named, Failure> {
    named(args)?.ok_or_else(|| {
        Failure::new("login", "no server is named").hint(
            "name it with --server https://…, WINDLASS_SERVER, or `server = \"https://…\"` in windlass.toml",
        )
    })
}

/// Reads a token that is typed without being shown, or that another program writes.
fn read_token(server: &Named) -> Result<String, Failure> {
    let failed = |e: std::io::Error| Failure::new("login", format!("can't read the token: {e}"));
    let mut text = String::new();
    if stdin().is_terminal() {
        crate::report::say(&format!("Token for {}: ", server.url));
        text = Term::stderr().read_secure_line().map_err(failed)?;
    } else {
        stdin().read_line(&mut text).map_err(failed)?;
    }
    match text.trim() {
        "" => Err(Failure::new("login", "there is no token on standard input")),
        token => Ok(token.to_owned()),
    }
}
