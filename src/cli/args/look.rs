//! Commands that look at runs.

use std::{path::PathBuf, time::Duration};

use clap::Args as ClapArgs;
use clap_complete::ArgValueCompleter;

use crate::{cli::complete, report::start_of_day, runs::STATUSES, value::parse_duration};
use windlass_ground::Timestamp;

#[derive(ClapArgs)]
pub struct Runs {
    /// List only runs with this status; can be given several times
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = STATUSES)]
    pub status: Vec<String>,

    /// List only runs of this workflow
    #[arg(long, value_name = "NAME")]
    pub workflow: Option<String>,

    /// List only runs on this target
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(complete::targets))]
    pub target: Option<String>,

    /// List only runs that this person started
    #[arg(long, value_name = "WHO")]
    pub requester: Option<String>,

    /// List only runs that started since then: a duration such as 2d, a day such as 2026-01-31, or a timestamp
    /// (RFC 3339)
    #[arg(long, value_name = "WHEN", value_parser = Since::parse)]
    pub since: Option<Since>,

    /// List at most this many runs, the newest
    #[arg(short = 'L', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,

    /// Print the runs as JSON
    #[arg(long)]
    pub json: bool,
}

/// A value of `--since`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    Ago(Duration),
    At(Timestamp),
    /// A day of the zone in which times are shown.
    Day(String),
}

impl Since {
    fn parse(text: &str) -> Result<Self, String> {
        if let Ok(ago) = parse_duration(text) {
            return Ok(Self::Ago(ago));
        }
        if start_of_day(text).is_some() {
            return Ok(Self::Day(text.to_owned()));
        }
        match text.parse() {
            Ok(at) => Ok(Self::At(at)),
            Err(_) => Err("expected a duration (2d), a day (2026-01-31) or a timestamp (2026-01-31T12:00:00Z)".into()),
        }
    }

    /// Returns the first moment that counts.
    pub fn first(&self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(ago) => now - *ago,
            Self::At(at) => *at,
            Self::Day(day) => start_of_day(day).unwrap_or(now),
        }
    }
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
pub struct Compare {
    /// The run, by any part of its id; a workflow is its newest run [default: the newest]
    #[arg(add = ArgValueCompleter::new(complete::runs))]
    pub run: Option<String>,

    /// The run to compare it with [default: the last success before it of the same workflow on the same target]
    #[arg(value_name = "WITH", add = ArgValueCompleter::new(complete::runs))]
    pub with: Option<String>,

    /// Print what differs as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs)]
pub struct Logs {
    /// The run, by any part of its id; a workflow is its newest run [default: the newest]
    #[arg(add = ArgValueCompleter::new(complete::runs))]
    pub run: Option<String>,

    /// Show only this step and the steps inside it
    pub step: Option<String>,

    /// Keep printing new events until the run ends
    #[arg(short, long)]
    pub follow: bool,

    /// Show the whole output of failed programs and servers, not only its end
    #[arg(long)]
    pub full: bool,

    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs)]
pub struct Outputs {
    /// The run, by any part of its id; a workflow is its newest run [default: the newest]
    #[arg(add = ArgValueCompleter::new(complete::runs))]
    pub run: Option<String>,

    /// Print only this output, as plain text
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

    /// Write the evidence, without secrets, to this file; `-` for standard output, without the text for people
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,

    /// Verify this evidence file instead of the journal; `-` for stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["run", "bundle"])]
    pub verify: Option<PathBuf>,

    /// Sign the evidence with this private key (PEM: P-256, Ed25519 or RSA)
    #[arg(
        long,
        value_name = "KEYFILE",
        requires = "bundle",
        conflicts_with = "verify"
    )]
    pub sign: Option<PathBuf>,

    /// Have the evidence timestamped by the authority at this address (RFC 3161)
    #[arg(
        long,
        value_name = "URL",
        requires = "bundle",
        conflicts_with = "verify"
    )]
    pub timestamp: Option<String>,

    /// Require a timestamp by an authority whose certificate was issued under one of these CAs (PEM)
    #[arg(long, value_name = "FILE")]
    pub timestamp_ca: Option<PathBuf>,

    /// Require a signature by this public key or certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "verify")]
    pub signer: Option<PathBuf>,

    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs)]
pub struct MeshTable {
    /// The target whose rehearsal clusters are looked at
    #[arg(long, default_value = crate::targets::LOCAL, value_name = "NAME")]
    pub target: String,

    /// Print the table again whenever it changes, until Ctrl-C
    #[arg(long)]
    pub watch: bool,

    /// Print the handshakes as JSON
    #[arg(long)]
    pub json: bool,
}
