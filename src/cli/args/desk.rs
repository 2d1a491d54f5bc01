//! `windlass serve`, `windlass login` and `windlass triggers`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args as ClapArgs, Subcommand};

use super::logging::Logging;

#[derive(ClapArgs)]
pub struct Serve {
    /// The address to listen on; port 0 takes a free one. Addresses other than loopback require TLS, and in
    /// windlass.toml `hosts` and one of tokens, OpenID Connect and `client_ca`
    #[arg(long, default_value = "127.0.0.1:7420", value_name = "ADDR")]
    pub listen: SocketAddr,

    /// A folder whose workflows may be started; can be given several times
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub workflows: Vec<PathBuf>,

    /// The folder for files that scripts write; each run gets a subfolder of its own
    #[arg(long, default_value = "out", value_name = "DIR")]
    pub out: PathBuf,

    /// The maximum number of steps of one run that run at once
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub max_parallel: u16,

    /// The maximum number of runs that are driven at once, including those that wait for people
    #[arg(long, default_value_t = 500, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=5000))]
    pub max_runs: u16,

    /// Serve TLS with the certificate chain in this file (PEM); it is read again when it changes
    #[arg(long, requires = "tls_key", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert (PEM)
    #[arg(long, requires = "tls_cert", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    #[command(flatten)]
    pub logging: Logging,
}

#[derive(ClapArgs)]
pub struct Triggers {
    /// A folder of workflows whose triggers are listed; can be given several times
    #[arg(long, default_value = ".", value_name = "DIR", global = true)]
    pub workflows: Vec<PathBuf>,

    /// Print the triggers as JSON
    #[arg(long)]
    pub json: bool,

    #[command(subcommand)]
    pub command: Option<TriggersCommand>,
}

#[derive(Subcommand)]
pub enum TriggersCommand {
    /// Stop a trigger from starting anything
    Pause {
        /// The trigger, as `windlass triggers` lists it
        #[arg(value_name = "WORKFLOW/TRIGGER")]
        trigger: String,
    },
    /// Let a trigger start its workflow again; starts that were due while it was paused are skipped
    Resume {
        /// The trigger, as `windlass triggers` lists it
        #[arg(value_name = "WORKFLOW/TRIGGER")]
        trigger: String,
    },
}

#[derive(ClapArgs)]
pub struct Login {
    /// Log in with a token, typed or read from standard input, even if the server has an OpenID Connect provider
    #[arg(long)]
    pub token: bool,
}
