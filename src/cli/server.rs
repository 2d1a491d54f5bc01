//! Finds the server that a command uses, if there is one.

use std::{env, path::PathBuf, sync::Arc};

use clap::CommandFactory;

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

/// A server with its options.
pub struct Named {
    /// The address without a trailing slash.
    pub url: String,
    pub ca: Option<PathBuf>,
}

/// Returns the server that the command line, the environment or windlass.toml names; `None` if runs are on this machine or, with
/// `--on`, on Restate.
pub fn named(args: &Args) -> Result<Option<Named>, Failure> {
    if args.on.is_some() {
        return Ok(None);
    }
    let (config, was_asked_for) = args.config();
    let (url, ca) = match &args.server {
        // If the command line names a server, or turns it off, no other setting is read.
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

/// Opens the server that the command line, the environment or windlass.toml names, if one does.
pub fn server(args: &Args) -> Result<Option<Arc<There>>, Failure> {
    let Some(named) = named(args)? else {
        return Ok(None);
    };
    let address = match env::var("WINDLASS_TOKEN") {
        Ok(token) if !token.is_empty() => named.address(Some(Secret::new(token.trim()))),
        _ => {
            let address = named.address(Credentials::token_of(&named)?);
            // A command may run for longer than a token is valid.
            let renew = move || match Credentials::token_of(&named) {
                Ok(token) => token,
                Err(failure) => {
                    failure.report();
                    None
                }
            };
            Address {
                renew: Some(Arc::new(renew)),
                ..address
            }
        }
    };
    Ok(Some(Arc::new(There::open(address)?)))
}

/// Refuses a command that would use this machine although a server is named, because the user probably did not intend that.
pub fn refuse_what_stays_here(args: &Args) -> Result<(), Failure> {
    if asks_servers(&args.command) || is_without_runs(&args.command) {
        return Ok(());
    }
    match named(args)? {
        None => Ok(()),
        Some(named) => Err(not_remote(&format!(
            "`windlass {}` works on this machine only, and does not use the server {}",
            given_name(),
            named.url
        ))
        .hint("use --server \"\" for this machine")),
    }
}

/// Returns the command's name as the user gave it.
fn given_name() -> String {
    let matches = Args::command().try_get_matches();
    let name = matches
        .ok()
        .and_then(|found| found.subcommand_name().map(str::to_owned));
    name.unwrap_or_default()
}

/// Says whether a command sends its work to the server, or itself refuses what the server can't do.
fn asks_servers(command: &Command) -> bool {
    matches!(
        command,
        Command::Approve(_)
            | Command::Audit(_)
            | Command::Cancel(_)
            | Command::Certs(_)
            | Command::Compare(_)
            | Command::Graph(_)
            | Command::Login(_)
            | Command::Logout
            | Command::Logs(_)
            | Command::Mcp(_)
            | Command::Mesh(_)
            | Command::Outputs(_)
            | Command::Plan(_)
            | Command::Prune(_)
            | Command::Reject(_)
            | Command::Resume(_)
            | Command::Run(_)
            | Command::Runs(_)
            | Command::Show(_)
            | Command::Triggers(_)
            | Command::Try(_)
            | Command::Undo(_)
    )
}

/// Says whether a command only uses files, or a server on this machine, rather than runs that may be elsewhere.
fn is_without_runs(command: &Command) -> bool {
    #[cfg(feature = "restate")]
    if matches!(command, Command::Worker(_)) {
        return true;
    }
    matches!(
        command,
        Command::Completions { .. }
            | Command::Definitions(_)
            | Command::Explain(_)
            | Command::Http(_)
            | Command::Iam(_)
            | Command::Kube(_)
            | Command::Lsp
            | Command::Man { .. }
            | Command::New(_)
            | Command::Pca(_)
            | Command::PlayTest(_)
            | Command::Rbac(_)
            | Command::Schema(_)
            | Command::Serve(_)
            | Command::Test(_)
            | Command::Validate(_)
    )
}

/// Returns the error for something that can't be done on a server.
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
            renew: None,
            certificate: file("WINDLASS_CLIENT_CERT").zip(file("WINDLASS_CLIENT_KEY")),
        }
    }
}
