//! `windlass certs`.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Subcommand};
use clap_complete::ArgValueCompleter;

use crate::{cli::complete, value::parse_duration};

#[derive(ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Certs {
    #[command(flatten)]
    pub look: CertsLook,

    #[command(subcommand)]
    pub command: Option<CertsCommand>,
}

#[derive(Subcommand)]
pub enum CertsCommand {
    /// Read certificates that Windlass did not make
    Scan(Scan),
}

/// Which certificates are printed, and how.
#[derive(ClapArgs)]
pub struct CertsLook {
    /// Only certificates in use that expire within this time, or have expired
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub due: Option<Duration>,

    /// Only certificates in use that have expired
    #[arg(long)]
    pub expired: bool,

    /// Also certificates that are used nowhere any more: superseded, revoked, or only seen
    #[arg(long)]
    pub all: bool,

    /// Exit with 1 if a certificate in use expires within this time, and name it
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, conflicts_with_all = ["due", "expired", "all", "json", "prometheus"])]
    pub check: Option<Duration>,

    /// Print the certificates as JSON
    #[arg(long)]
    pub json: bool,

    /// Print metrics as Prometheus reads them
    #[arg(long, conflicts_with = "json")]
    pub prometheus: bool,
}

#[derive(ClapArgs)]
pub struct Scan {
    /// Files, folders, and the TLS servers whose chain to read
    #[arg(value_name = "FILE|DIR|HOST:PORT", value_hint = clap::ValueHint::AnyPath)]
    pub sources: Vec<String>,

    /// The Secrets, ConfigMaps and webhooks of this context of the kubeconfig; with --target, of this cluster of the target
    #[arg(long, value_name = "CONTEXT")]
    pub kube: Vec<String>,

    /// The target whose clusters --kube names, such as `local`
    #[arg(long, value_name = "NAME", requires = "kube", add = ArgValueCompleter::new(complete::targets))]
    pub target: Option<String>,

    /// The CAs of this target; of `local`, also all that they issued and that is alive
    #[arg(long, value_name = "TARGET", add = ArgValueCompleter::new(complete::targets))]
    pub pca: Option<String>,

    /// An audit report of a CA in JSON, from its bucket: what it says is alive is read, too
    #[arg(long, value_name = "FILE", requires = "pca")]
    pub audit_report: Vec<PathBuf>,

    #[command(flatten)]
    pub look: CertsLook,
}
