//! Runs of workflows that a client sends.

use std::path::{Path, PathBuf};

use super::{
    Here,
    start::{About, Prepared},
};
use crate::{
    error::{Kind, RunsError},
    library::Library,
    revise::SentFiles,
    service::{Person, Sent, Started},
};
use windlass_engine::compile::Program;
use windlass_world::value::{Digest, Value};

impl Here {
    /// Starts a run of files that a client has. Files that are those of a workflow here are that workflow; scripts may do
    /// whatever the target lets them, so any others are refused unless the caller may send them.
    pub(super) fn start_sent(
        &self,
        sent: &Sent,
        key: Option<&str>,
        who: &Person,
    ) -> Result<Started, RunsError> {
        let prepare = |out: &Path| self.prepare_sent(sent, out, who);
        match key {
            Some(key) => self.begin_once(digest(sent), key, who, &prepare),
            None => self.begin_new(&prepare),
        }
    }

    /// Checks everything that a start of files that a client has needs, and makes its first event.
    pub(super) fn prepare_sent(
        &self,
        sent: &Sent,
        out: &Path,
        who: &Person,
    ) -> Result<Prepared, RunsError> {
        let known = known_file(&self.options.library, sent)?;
        let about = About::of_sent(sent, known.as_deref());
        self.prepare_program(sent.program.clone(), about, out, who)
    }
}

/// Finds the workflow that may be started by name and is made of exactly the files that a client sends; `None` if there is none
/// and the caller may send such files.
///
/// # Errors
/// A library that can't be read, and that the files are other ones.
pub(crate) fn known_file(library: &Library, sent: &Sent) -> Result<Option<PathBuf>, RunsError> {
    let found = find(library, &sent.program)?;
    if found.is_some() || sent.may_differ {
        return Ok(found);
    }
    Err(denied(&sent.program, &sent.target))
}

/// Refuses files that are not those of a workflow here, unless the caller may send such files.
///
/// # Errors
/// As [`known_file`].
pub(super) fn refuse_unknown(
    library: &Library,
    sent: &SentFiles,
    target: &str,
) -> Result<(), RunsError> {
    match sent.may_differ || find(library, &sent.program)?.is_some() {
        true => Ok(()),
        false => Err(denied(&sent.program, target)),
    }
}

fn find(library: &Library, program: &Program) -> Result<Option<PathBuf>, RunsError> {
    let mut files = library.list()?.into_iter();
    let found = files.find(|(_, file)| {
        Library::compile(file)
            .is_ok_and(|known| known.digest == program.digest && known.main == program.main)
    });
    Ok(found.map(|(_, file)| file))
}

fn denied(program: &Program, target: &str) -> RunsError {
    let name = &program.workflow.name;
    let message = format!(
        "the files of `{name}` are not those of a workflow of this server; to run them anyway needs the role `admin` for all workflows on target `{target}`"
    );
    RunsError::new(Kind::Denied, "not-permitted", message)
        .hint("have the change put into the server's --workflows folder")
}

/// Says what a start asks for. A secret counts by its mask: a digest of a weak one could be guessed.
pub(crate) fn digest(sent: &Sent) -> Digest {
    let params = Value::Map(sent.params.clone()).digest();
    let chosen: Vec<_> = sent.chosen.iter().map(String::as_str).collect();
    Digest::of(&[
        b"files",
        sent.program.digest.as_bytes(),
        sent.program.main.as_bytes(),
        sent.file.as_bytes(),
        sent.target.as_bytes(),
        params.as_bytes(),
        chosen.join("\n").as_bytes(),
    ])
}
