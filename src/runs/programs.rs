use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::error::RunsError;
use windlass_engine::{
    compile::{Frozen, Program, compile},
    journal::RunInfo,
};
use windlass_ground::lock;
use windlass_world::value::Digest;

/// How many programs are kept: those of runs that people look at.
const PROGRAMS: usize = 64;

/// The programs of runs, compiled once.
#[derive(Default)]
pub(super) struct ProgramCache(Mutex<BTreeMap<Digest, Arc<Program>>>);

impl ProgramCache {
    /// Returns the program with which a run continues; `files` reads its frozen files.
    pub fn of(
        &self,
        info: &RunInfo,
        files: impl FnOnce() -> Result<BTreeMap<String, Arc<str>>, RunsError>,
    ) -> Result<Arc<Program>, RunsError> {
        if let Some(program) = lock(&self.0).get(&info.program) {
            return Ok(program.clone());
        }
        let program = Arc::new(compile(&info.main, &mut Frozen(files()?))?);
        let mut programs = lock(&self.0);
        if programs.len() >= PROGRAMS {
            programs.clear();
        }
        programs.insert(info.program, program.clone());
        Ok(program)
    }
}
