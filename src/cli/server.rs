//! Which server a command is about, if it is about one's.

use std::{env, path::PathBuf, sync::Arc};

use super::{
    args::{Args, Command},
    failure::Failure,
    login::Credentials,
};
use crate::{
    runs::{Address, There},
    targets::Targets,
    value::Secret,
};

/// The server that is meant.
pub struct Named {
    /// Without a slash at its end.
    pub url: String,
    pub ca: Option<PathBuf>,
}

/// Finds the server that the command line, the environment or windlass.toml names; `None` where runs are on this machine, or
/// with `--on` on an engine.
pub fn named(args: &Args) -> Result<Option<Named>, Failure> {
    if args.on.is_some() {
        return Ok(None);
    }
    let (config, was_asked_for) = args.config();
    let (url, ca) = match &args.server {
        // Nothing else is looked at where a server is named, or none is wanted.
        Some(url) if url.is_empty() || args.server_ca.is_some() => {
            (Some(url.clone()), args.server_ca.clone())
        }
        given => {
            let targets = Targets::load(config, was_asked_for)?;
            let url = given.clone().or(targets.server);
            (url, args.server_ca.clone().or(targets.server_ca))
        }
    };
    let url = url.filter(|url| !url.is_empty());
    Ok(url.map(|url| Named {
        url: url.trim_end_matches('/').to_owned(),
        ca,
    }))
}

/// Opens the server that is meant, if one is.
pub fn server(args: &Args) -> Result<Option<Arc<There>>, Failure> {
    let Some(named) = named(args)? else {
        return Ok(None);
    };
    let token = match env::var("WINDLASS_TOKEN") {
        Ok(token) if !token.is_empty() => Some(Secret::new(token.trim())),
        _ => Credentials::token_of(&named)?,
    };
    Ok(Some(Arc::new(There::open(named.address(token))?)))
}

/// Refuses commands that look at this machine where a server is named: they would show something else than is meant.
pub fn refuse_what_stays_here(args: &Args) -> Result<(), Failure> {
    let name = match &args.command {
        Command::Plan(_) => "plan",
        Command::Mesh(_) => "mesh",
        Command::Backup(_) => "backup",
        Command::Restore(_) => "restore",
        _ => return Ok(()),
    };
    match named(args)? {
        None => Ok(()),
        Some(named) => Err(not_remote(&format!(
            "`windlass {name}` looks at this machine, and can't ask {}",
            named.url
        ))
        .hint("with --server \"\" it is about this machine")),
    }
}

/// Says that something can't be done on a server.
pub fn not_remote(why: &str) -> Failure {
    Failure::new("not-remote", why)
}

impl Named {
    pub fn address(&self, token: Option<Secret>) -> Address {
        let file = |name: &str| env::var_os(name).map(PathBuf::from);
        Address {
            url: self.url.clone(),
            ca: self.ca.clone(),
            token,
            certificate: file("WINDLASS_CLIENT_CERT").zip(file("WINDLASS_CLIENT_KEY")),
        }
    }
}
