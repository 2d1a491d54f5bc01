//! Commands that look at runs.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap_complete::ArgValueCompleter;

use crate::cli::complete;

#[derive(ClapArgs)]
pub struct Runs {
    /// Print the runs as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs)]
pub struct Show {
    /// The run, by any part of its id; a workflow is its newest run [default: the newest]
    #[arg(add = ArgValueCompleter::new(complete::runs))]
    pub run: Option<String>,

    /// Print the run as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs)]
pub struct Logs {
    /// The run, by any part of its id; a workflow is its newest run [default: the newest]
    #[arg(add = ArgValueCompleter::new(complete::runs))]
    pub run: Option<String>,

    /// Only this step and what runs inside it
    pub step: Option<String>,

    /// Go on printing until the run ends
    #[arg(short, long)]
    pub follow: bool,

    /// Show all that failed programs and servers said, not only the end of it
    #[arg(long)]
    pub full: bool,

    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs)]
pub struct Outputs {
    /// The run, by any part of its id; a workflow is its newest run [default: the newest]
    #[arg(add = ArgValueCompleter::new(complete::runs))]
    pub run: Option<String>,

    /// Only this output, as bare text
    pub name: Option<String>,

    /// Print the outputs as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs)]
pub struct Audit {
    /// The run, by any part of its id; a workflow is its newest run [default: the newest]
    #[arg(add = ArgValueCompleter::new(complete::runs))]
    pub run: Option<String>,

    /// Write everything that proves it, without secrets, to a file
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,

    /// Check such a file instead of the journal
    #[arg(long, value_name = "FILE", conflicts_with_all = ["run", "bundle"])]
    pub verify: Option<PathBuf>,

    /// Sign the bundle with a private key (PEM: P-256, Ed25519 or RSA)
    #[arg(long, value_name = "KEYFILE", requires = "bundle")]
    pub sign: Option<PathBuf>,

    /// Have the bundle timestamped by this authority (RFC 3161)
    #[arg(long, value_name = "URL", requires = "bundle")]
    pub timestamp: Option<String>,

    /// Require timestamps of an authority whose certificate leads to one of these CAs (PEM)
    #[arg(long, value_name = "FILE")]
    pub timestamp_ca: Option<PathBuf>,

    /// Require a signature of this public key or certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "verify")]
    pub signer: Option<PathBuf>,

    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs)]
pub struct MeshTable {
    /// The target whose rehearsal clusters are meant
    #[arg(long, default_value = crate::targets::LOCAL, value_name = "NAME")]
    pub target: String,

    /// Print again whenever something is different, until it is interrupted
    #[arg(long)]
    pub watch: bool,

    /// Print the handshakes as JSON
    #[arg(long)]
    pub json: bool,
}
