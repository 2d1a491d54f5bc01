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
    /// Find certificates that Windlass did not make
    Scan(Scan),
}

/// Which certificates are printed, and how.
#[derive(ClapArgs)]
pub struct CertsLook {
    /// Show only certificates in use that expire within this time or have expired
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub due: Option<Duration>,

    /// Show only certificates in use that have expired
    #[arg(long)]
    pub expired: bool,

    /// Also show certificates that are no longer used: superseded, revoked, or only seen
    #[arg(long)]
    pub all: bool,

    /// Exit with code 1 if a certificate in use is due within this time, and list those that are. One that a controller
    /// renews is due when the controller is late; a revoked one that is in use is due at once
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, conflicts_with_all = ["due", "expired", "all", "json", "prometheus"])]
    pub check: Option<Duration>,

    /// Print the certificates as JSON
    #[arg(long)]
    pub json: bool,

    /// Print the certificates as metrics for Prometheus
    #[arg(long, conflicts_with = "json")]
    pub prometheus: bool,
}

#[derive(ClapArgs)]
pub struct Scan {
    /// The files, folders and TLS servers to read certificates from
    #[arg(value_name = "FILE|DIR|HOST:PORT", value_hint = clap::ValueHint::AnyPath)]
    pub sources: Vec<String>,

    /// Read the Secrets, ConfigMaps and webhooks of this kubeconfig context, or, with --target, of this cluster of
    /// the target; can be given several times
    #[arg(long, value_name = "CONTEXT")]
    pub kube: Vec<String>,

    /// The target whose clusters --kube names, such as `local`
    #[arg(long, value_name = "NAME", requires = "kube", add = ArgValueCompleter::new(complete::targets))]
    pub target: Option<String>,

    /// Read the CAs of this target; for `local`, also the valid certificates that they issued
    #[arg(long, value_name = "TARGET", add = ArgValueCompleter::new(complete::targets))]
    pub pca: Option<String>,

    /// Also read the certificates that this audit report of a CA (JSON, from its bucket) lists as valid; can be given
    /// several times
    #[arg(long, value_name = "FILE", requires = "pca")]
    pub audit_report: Vec<PathBuf>,

    #[command(flatten)]
    pub look: CertsLook,
}
