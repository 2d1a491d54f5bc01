//! `windlass serve`, `windlass login` and `windlass triggers`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args as ClapArgs, Subcommand};

use super::logging::Logging;

#[derive(ClapArgs)]
pub struct Serve {
    /// The address to listen on; port 0 takes a free one. Off loopback it needs TLS, and tokens in windlass.toml
    #[arg(long, default_value = "127.0.0.1:7420", value_name = "ADDR")]
    pub listen: SocketAddr,

    /// A folder whose workflows may be started; can be given several times
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub workflows: Vec<PathBuf>,

    /// Where each run's folder for the files that its scripts write is made
    #[arg(long, default_value = "out", value_name = "DIR")]
    pub out: PathBuf,

    /// How many steps of one run may run at once
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub max_parallel: u16,

    /// How many runs may be driven at once, those that wait for people included
    #[arg(long, default_value_t = 500, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=5000))]
    pub max_runs: u16,

    /// Speak TLS with the certificate chain in this file; it is read again when it changes
    #[arg(long, requires = "tls_key", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The key of the certificate
    #[arg(long, requires = "tls_cert", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    #[command(flatten)]
    pub logging: Logging,
}

#[derive(ClapArgs)]
pub struct Triggers {
    /// A folder whose workflows are looked at; can be given several times
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
    /// Let a trigger start its workflow again; what was due meanwhile is not made up for
    Resume {
        /// The trigger, as `windlass triggers` lists it
        #[arg(value_name = "WORKFLOW/TRIGGER")]
        trigger: String,
    },
}

#[derive(ClapArgs)]
pub struct Login {
    /// Log in with a token, which is typed, or read from standard input, also where the server has a provider
    #[arg(long)]
    pub token: bool,
}
