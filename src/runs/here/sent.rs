//! Runs of workflows whose files a client sends.

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
    /// Starts a run of files from a client. If they are equal to those of a workflow here, the run is one of that workflow. Scripts may do
    /// anything that the target allows, so other files are rejected unless the caller has the permission to send them.
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

    /// Makes all checks for a start with files from a client, and returns its first event.
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

/// Returns the workflow that may be started by name and has exactly the files that a client sends; `None` if there is none and the
/// caller may send other files.
///
/// # Errors
/// A library that can't be read, or files that differ without permission.
pub(crate) fn known_file(library: &Library, sent: &Sent) -> Result<Option<PathBuf>, RunsError> {
    let found = find(library, &sent.program)?;
    if found.is_some() || sent.may_differ {
        return Ok(found);
    }
    Err(denied(&sent.program, &sent.target))
}

/// Rejects files that differ from those of the workflows here, unless the caller may send such files.
///
/// # Errors
/// The same as of [`known_file`].
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
        .hint("put the change into a --workflows folder of the server")
}

/// Digests the request of a start. Each secret is represented by its mask, because a weak secret could be guessed from
/// a digest.
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
