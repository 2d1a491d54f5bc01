use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::error::RunsError;
use windlass_compile::Program;
use windlass_engine::execute::compile_editions;
use windlass_ground::lock;
use windlass_journal::RunInfo;
use windlass_world::value::Digest;

/// How many programs are kept: those of runs that people look at.
const PROGRAMS: usize = 64;

/// The programs of runs, compiled once.
#[derive(Default)]
pub(super) struct ProgramCache(Mutex<BTreeMap<Digest, Arc<Program>>>);

impl ProgramCache {
    /// Returns the program with which a run continues; `files` reads the frozen files of an edition.
    pub fn of(
        &self,
        info: &RunInfo,
        files: impl FnMut(u32) -> Result<BTreeMap<String, Arc<str>>, RunsError>,
    ) -> Result<Arc<Program>, RunsError> {
        let key = info.digest();
        if let Some(program) = lock(&self.0).get(&key) {
            return Ok(program.clone());
        }
        let program = Arc::new(compile_editions(info, files)?);
        let mut programs = lock(&self.0);
        if programs.len() >= PROGRAMS {
            programs.clear();
        }
        programs.insert(key, program.clone());
        Ok(program)
    }
}
