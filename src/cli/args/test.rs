//! `windlass test`.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap_complete::ArgValueCompleter;

use crate::cli::complete;

#[derive(ClapArgs)]
pub struct Test {
    /// Test files, workflows that have one, or folders that hold some [default: the current folder]
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,

    /// Run only tests whose file or name contains this text; can be given several times
    #[arg(short, long, value_name = "TEXT")]
    pub filter: Vec<String>,

    /// The maximum number of tests that run at once [default: the number of processors]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub jobs: Option<u16>,

    /// Write snapshots that are missing or differ
    #[arg(long)]
    pub accept: bool,

    /// Show which steps, `when` branches and script lines the tests reach
    #[arg(long)]
    pub coverage: bool,

    /// Alter the scripts and workflows one place at a time, and show which changes no test notices
    #[arg(long, conflicts_with_all = ["accept", "coverage", "junit"])]
    pub mutate: bool,

    /// With --mutate: test only this many mutants, spread over all files
    #[arg(long, value_name = "N", requires = "mutate", value_parser = clap::value_parser!(u32).range(1..))]
    pub sample: Option<u32>,

    /// With --sample: the seed of the selection; the same seed selects the same mutants
    #[arg(long, value_name = "N", requires = "sample")]
    pub seed: Option<u64>,

    /// With --mutate: test only mutants of files whose path contains this text; can be given several times
    #[arg(long, value_name = "TEXT", requires = "mutate")]
    pub of: Vec<String>,

    /// With --mutate: succeed if the tests notice at least this percentage of the mutants [default: 100]
    #[arg(long, value_name = "PERCENT", requires = "mutate", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub score: Option<u8>,

    /// Print a test file made from a run that has ended, by any part of its id; secrets are left out
    #[arg(long, value_name = "RUN", conflicts_with_all = ["filter", "accept", "coverage", "junit", "json", "mutate"], add = ArgValueCompleter::new(complete::runs))]
    pub record: Option<String>,

    /// Also write the results to a file, or to stdout (`-`), as JUnit XML; an earlier file is removed
    /// first
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// Print the results as JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// The hidden command that `windlass test` starts for each test.
#[derive(ClapArgs)]
pub struct PlayTest {
    pub file: PathBuf,
    pub name: String,
    pub folder: PathBuf,
    /// A run that comes before the test, by its number from 0
    #[arg(long)]
    pub before: Option<usize>,
}
