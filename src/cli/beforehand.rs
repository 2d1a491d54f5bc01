use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{archive::Archive, failure::Failure, process::person};
use crate::{
    compile::Program,
    runs::{self, Beginning},
    value::Value,
};

/// The input of a new run.
pub struct Wanted<'a> {
    pub program: &'a Program,
    pub file: &'a Path,
    /// Empty if it is unknown.
    pub target: &'a str,
    pub kube: BTreeSet<String>,
    /// The steps to which it is limited; empty for all.
    pub chosen: BTreeSet<String>,
    pub out: String,
    pub params: Value,
}

/// Returns the first event of a run that the user of this process starts, as [`runs::begin`] does.
pub fn begin(wanted: Wanted) -> Result<Beginning, Failure> {
    Ok(runs::begin(runs::Wanted {
        program: wanted.program,
        file: wanted.file,
        folder: &current_folder()?,
        target: wanted.target,
        kube: wanted.kube,
        chosen: wanted.chosen,
        out: wanted.out,
        params: wanted.params,
        requester: &person(),
    })?)
}

/// Records the keyed digest of the secrets among the params with the run, when it is known where the run is
/// recorded.
pub fn with_secrets(beginning: Beginning, archive: &Archive) -> Result<Beginning, Failure> {
    beginning.with_secrets(|params| archive.digest_secrets(params))
}

fn current_folder() -> Result<PathBuf, Failure> {
    std::env::current_dir()
        .map_err(|e| Failure::new("system", format!("can't find the current folder: {e}")))
}
